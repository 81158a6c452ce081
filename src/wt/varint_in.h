/* SPDX-License-Identifier: MIT */
/*
 * varint_in - a QUIC varint (RFC 9000 section 16) that comes byte by byte, in any of its
 * four lengths. All zero is "nothing read yet". Pure.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct varint_in {
	uint64_t v;
	uint8_t left; /* bytes still to come; 0 before the first and after the last */
};

/* Takes one byte; true when `v` is complete. The next byte begins another varint. */
static inline bool varint_in_byte(struct varint_in *in, uint8_t b)
{
	if (in->left) {
		in->v = in->v << 8 | b;
		in->left--;
	} else {
		in->v = b & 0x3f;
		in->left = (uint8_t)((1u << (b >> 6)) - 1);
	}
	return in->left == 0;
}
