/* SPDX-License-Identifier: MIT */
/*
 * fair - how much one holder may have of what there is for all. As long as there is plenty nobody is held to anything; from
 * where half of it is taken on, nobody gets more than a share. What somebody has already stays theirs.
 * Pure arithmetic.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Half of `max` or more is taken. */
static inline bool fair_counts(uint32_t taken, uint32_t max)
{
	return 2 * (uint64_t)taken >= max;
}

/* May somebody who holds `held` have one more? A share is `percent` of `max`, and 1 at least; 100: everything. */
static inline bool fair_allows(uint32_t held, uint32_t taken, uint32_t max, uint32_t percent)
{
	uint64_t share = (uint64_t)max * percent / 100;

	return percent >= 100 || !fair_counts(taken, max) || held < (share > 0 ? share : 1);
}
