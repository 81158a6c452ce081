/* SPDX-License-Identifier: MIT */
/*
 * A byte is sign, exponent (3 bits) and mantissa (4 bits) of the magnitude plus a bias, all of it inverted: the
 * quietest sound is 0xff, so that a line with nothing on it is not all zeros.
 */
#include "audio/g711.h"

enum { BIAS = 0x84, CLIP = 32635 };

static uint8_t encode(int16_t sample)
{
	int sign = sample < 0 ? 0x80 : 0, x = sample < 0 ? -(int)sample : sample;

	x = (x > CLIP ? CLIP : x) + BIAS; /* 132..32767: its highest bit is one of 7..14 */
	int exponent = 31 - __builtin_clz((unsigned)x) - 7;

	return (uint8_t) ~(sign | exponent << 4 | (x >> (exponent + 3) & 15));
}

static int16_t decode(uint8_t byte)
{
	int v = ~byte & 0xff, x = ((((v & 15) << 3) + BIAS) << (v >> 4 & 7)) - BIAS;

	return (int16_t)(v & 0x80 ? -x : x);
}

void ulaw_encode(uint8_t *restrict out, const int16_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = encode(pcm[i]);
}

void ulaw_decode(int16_t *restrict out, const uint8_t *restrict ulaw, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = decode(ulaw[i]);
}
