/* SPDX-License-Identifier: MIT */
/*
 * histogram - many durations in little room: buckets that are equally wide within a power of two, 128 to
 * each, so a value is known to within 0.8 % whatever its size. Plain data in the caller's storage (30 KB),
 * no allocation; unit and meaning are the caller's.
 */
#pragma once
#include <stdint.h>

enum {
	HISTOGRAM_SUB_BITS = 7,
	HISTOGRAM_MAX_BITS = 36,
	HISTOGRAM_BUCKETS = (HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
	uint64_t count, max;
	double sum;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
/* Values of 2^36 and more are taken as 2^36 - 1, in the buckets alone. */
void histogram_add(struct histogram *h, uint64_t value);
/* The value that `share` (0..1) of all do not exceed: the upper end of its bucket, never above the greatest
 * that was added. 0 if there is none. */
uint64_t histogram_percentile(const struct histogram *h, double share);
