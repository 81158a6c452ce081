/* SPDX-License-Identifier: MIT */
#include "schedule.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

void schedule_init(struct schedule *s)
{
	*s = (struct schedule){.next = NSEC_NONE};
}

void schedule_fini(struct schedule *s)
{
	assert(s->n == s->n_free);
	free(s->at);
	free(s->who);
	free(s->free);
	schedule_init(s);
}

static int grow(struct schedule *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : FIRST_CAP;
	nsec *at = realloc(s->at, cap * sizeof *at);

	if (at)
		s->at = at;
	struct cid_owner **who = realloc(s->who, cap * sizeof *who);

	if (who)
		s->who = who;
	uint32_t *spare = realloc(s->free, cap * sizeof *spare);

	if (spare)
		s->free = spare;
	if (!at || !who || !spare)
		return ERR_NOMEM;
	s->cap = cap;
	return 0;
}

int schedule_add(struct schedule *s, struct cid_owner *who, uint32_t *slot)
{
	if (s->n_free > 0) {
		*slot = s->free[--s->n_free];
	} else {
		if (s->n == s->cap && grow(s))
			return ERR_NOMEM;
		*slot = s->n++;
	}
	s->who[*slot] = who;
	s->at[*slot] = NSEC_NONE;
	return 0;
}

void schedule_remove(struct schedule *s, uint32_t slot)
{
	s->who[slot] = NULL;
	s->at[slot] = NSEC_NONE;
	s->free[s->n_free++] = slot;
}

void schedule_settle(struct schedule *s)
{
	s->next = NSEC_NONE;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->at[i] < s->next)
			s->next = s->at[i];
}
