/* SPDX-License-Identifier: MIT */
/*
 * schedule - when which connection wants to be called: a flat array of deadlines. Setting
 * one is a store, finding the due ones a walk of 1 ns an entry, 5 us for 5000 (a heap takes
 * 70 ns for each update, and every packet is an update).
 */
#pragma once
#include "base/time.h"
#include "cid_table.h"

struct schedule {
	nsec *at;
	struct cid_owner **who; /* NULL: free slot */
	uint32_t *free;         /* stack of free slots below n */
	uint32_t n, n_free, cap;
	nsec next; /* no deadline is earlier; may itself be too early */
};

void schedule_init(struct schedule *s);
/* Asserts that nobody is left. */
void schedule_fini(struct schedule *s);
int schedule_add(struct schedule *s, struct cid_owner *who, uint32_t *slot); /* ERR_NOMEM */
void schedule_remove(struct schedule *s, uint32_t slot);
/* Computes `next` anew. */
void schedule_settle(struct schedule *s);

static inline void schedule_set(struct schedule *s, uint32_t slot, nsec at)
{
	s->at[slot] = at;
	if (at < s->next)
		s->next = at;
}
