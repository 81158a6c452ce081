/* SPDX-License-Identifier: MIT */
/*
 * time - nanoseconds of the monotonic clock. Inside the layers time is an argument; only
 * code that owns a socket or a timer calls clock_now(), once for each wake-up.
 */
#pragma once
#include <stdint.h>

typedef uint64_t nsec;

#define NSEC_NONE UINT64_MAX /* "no such time" */

static inline nsec nsec_from_us(uint64_t us) { return us * 1000u; }
static inline nsec nsec_from_ms(uint64_t ms) { return ms * 1000000u; }
static inline nsec nsec_from_s(uint64_t s) { return s * 1000000000u; }
static inline uint64_t nsec_to_ms(nsec t) { return t / 1000000u; }

/* The time from `from` until `to`, 0 if that has passed. */
static inline nsec nsec_until(nsec from, nsec to) { return to > from ? to - from : 0; }

/* CLOCK_MONOTONIC, for pacing and deadlines. */
nsec clock_now(void);

/* Seconds since 1970, for certificates and logs. */
int64_t clock_wall_s(void);
