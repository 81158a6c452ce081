/* SPDX-License-Identifier: MIT */
/*
 * schedule - the deadline of each connection. The deadlines lie in an array; above it are the least of
 * each 16, the least of each 16 of those, and so on to the next one of all:
 *
 *     low[2]  next
 *     low[1]  least of 0..15 | least of 16..31 | ...
 *     low[0]  deadline of each slot
 *
 * Setting one is a store and a comparison or two unless it was the least of its 16 (every packet sets one: a heap
 * would take 70 ns each time); finding the next one reads 16 for each level. So connections with distant deadlines
 * cost nothing, however many there are. The endpoint's thread; allocates as it grows.
 */
#pragma once
#include "base/time.h"
#include "cid_table.h"

#include <stdbool.h>

enum { SCHEDULE_LEVELS = 8 };

struct schedule {
	nsec *low[SCHEDULE_LEVELS]; /* one block of memory, at low[0] */
	unsigned n_levels;
	struct cid_owner **who; /* NULL: free slot */
	uint32_t *free;         /* stack of free slots below n */
	uint32_t n, n_free, cap;
};

void schedule_init(struct schedule *s);
/* Asserts that it is empty. */
void schedule_fini(struct schedule *s);
int schedule_add(struct schedule *s, struct cid_owner *who, uint32_t *slot); /* ERR_NOMEM */
void schedule_remove(struct schedule *s, uint32_t slot);
void schedule_set(struct schedule *s, uint32_t slot, nsec at);
/* The earliest that is due, whose deadline is NSEC_NONE afterwards; NULL: none is. */
struct cid_owner *schedule_pop(struct schedule *s, nsec now);

static inline nsec schedule_at(const struct schedule *s, uint32_t slot)
{
	return s->low[0][slot];
}

static inline nsec schedule_next(const struct schedule *s)
{
	return s->n_levels ? s->low[s->n_levels - 1][0] : NSEC_NONE;
}
