/* SPDX-License-Identifier: MIT */
/*
 * backoff - the pause before another attempt: twice as long after each failure up to a bound, plus a random part, so
 * that peers that failed together do not come back together. Pure functions.
 */
#pragma once
#include <stdint.h>

/* After `failures` in a row (1: the first): first_ms, twice that ..., and up to a quarter of it more by `random`, which is
 * any number. Never less than `first_ms`, never more than `most_ms`, a quarter more than `first_ms` at the least. */
static inline uint64_t backoff_ms(uint64_t first_ms, uint64_t most_ms, unsigned failures, uint32_t random)
{
	uint64_t ms = first_ms, top = most_ms / 5 * 4;

	for (unsigned i = 1; i < failures && ms < top; i++)
		ms *= 2;
	ms = ms < top ? ms : top;
	return ms + (ms / 4 * random >> 32);
}

/* A number that looks random, the same for the same arguments: jitter that tests can repeat (splitmix64's finish). */
static inline uint32_t backoff_chance(uint32_t who, uint32_t nth)
{
	uint64_t z = ((uint64_t)who << 32 | nth) + UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}
