/* SPDX-License-Identifier: MIT */
/* g711 - ITU-T G.711 mu-law, a byte for a sample, to 16 bits and back. Pure functions. */
#pragma once
#include <stddef.h>
#include <stdint.h>

void ulaw_encode(uint8_t *restrict out, const int16_t *restrict pcm, size_t n);
void ulaw_decode(int16_t *restrict out, const uint8_t *restrict ulaw, size_t n);
