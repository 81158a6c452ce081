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

/* The time that has passed since `then`; 0 if `then` is still to come. */
static inline nsec nsec_since(nsec then, nsec now) { return now > then ? now - then : 0; }

/* CLOCK_MONOTONIC, for pacing and deadlines. */
nsec clock_now(void);

/* Seconds since 1970, for certificates and logs. */
int64_t clock_wall_s(void);
