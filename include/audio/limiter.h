/* SPDX-License-Identifier: MIT */
/*
 * limiter - keeps the mix of one listener below full scale by turning it down smoothly instead of
 * clipping. No delay: it looks ahead within the block it is given (a tick). Bit-exact while the
 * block stays under LIMITER_CEILING and the gain has recovered; the output never exceeds
 * it. Plain data in the caller's storage, single-threaded, no allocation.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define LIMITER_CEILING 0.891f    /* -1 dBFS */
#define LIMITER_HOLD_MS 50        /* a gain is kept for this long (a period of 20 Hz) ... */
#define LIMITER_RELEASE_MS 150    /* ... and then recovers with this time constant */

struct limiter {
	float gain;        /* at the end of the last block; 1 = transparent */
	uint32_t hold;     /* samples until the gain may rise */
	uint32_t rate_hz;
};

void limiter_init(struct limiter *l, uint32_t rate_hz);

/* Limits `x` in place. */
void limiter_run(struct limiter *l, float *x, size_t n);
/* The same for an `x` that must not change: returns `x` itself if nothing is too loud, which is nearly always the case;
 * otherwise `copy`, limited. `copy` may be `x`. */
const float *limiter_pass(struct limiter *l, const float *x, float *copy, size_t n);
