/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *p, size_t len)
{
	uint8_t *b = p;

	while (len > 0) {
		ssize_t n = getrandom(b, len, 0);

		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			b += n;
			len -= (size_t)n;
		}
	}
}

/* A random 32-bit fraction of `n`. The 2^32 % n smallest remainders would come once too often: those are drawn again. */
uint32_t random_below(uint32_t n)
{
	const uint32_t surplus = -n % n;
	uint64_t product;

	do {
		uint32_t r;

		random_bytes(&r, sizeof r);
		product = (uint64_t)r * n;
	} while ((uint32_t)product < surplus);
	return (uint32_t)(product >> 32);
}

void random_uuid(uint8_t out[16])
{
	random_bytes(out, 16);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}
