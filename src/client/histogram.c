/* SPDX-License-Identifier: MIT */
#include "client/histogram.h"

#include <string.h>

/*
 *   value            bucket          width
 *   0 .. 255         value           1
 *   256 .. 511       256 + v / 2     2
 *   512 .. 1023      ...             4
 */
enum { SUB = 1 << HISTOGRAM_SUB_BITS };

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof *h);
}

static unsigned shift_of(uint64_t value)
{
	unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;

	return bits > HISTOGRAM_SUB_BITS + 1 ? bits - HISTOGRAM_SUB_BITS - 1 : 0;
}

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value >> HISTOGRAM_MAX_BITS)
		value = (UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1;
	shift = shift_of(value);
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* The greatest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
	unsigned shift = bucket < 2 * SUB ? 0 : (bucket >> HISTOGRAM_SUB_BITS) - 1;

	return ((uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift) + (UINT64_C(1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	h->sum += (double)value;
	h->max = value > h->max ? value : h->max;
	h->bucket[bucket_of(value)]++;
}

uint64_t histogram_percentile(const struct histogram *h, double share)
{
	double rank = share * (double)h->count;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen && (double)seen >= rank)
			return top_of(i) < h->max ? top_of(i) : h->max;
	}
	return h->max;
}
