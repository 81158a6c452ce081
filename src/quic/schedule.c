/* SPDX-License-Identifier: MIT */
#include "schedule.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 256, FAN = 16 };

void schedule_init(struct schedule *s)
{
	*s = (struct schedule){0};
}

void schedule_fini(struct schedule *s)
{
	assert(s->n == s->n_free);
	free(s->low[0]);
	free(s->who);
	free(s->free);
	schedule_init(s);
}

/* The least of the FAN entries below entry `i` of `level`. */
static nsec least(const struct schedule *s, unsigned level, uint32_t i)
{
	const nsec *below = s->low[level - 1] + (size_t)i * FAN;
	nsec min = below[0];

	for (int k = 1; k < FAN; k++)
		min = below[k] < min ? below[k] : min;
	return min;
}

/* Entries of the level above `below` entries: a multiple of FAN, except at the top. */
static uint32_t level_size(uint32_t below)
{
	uint32_t n = below / FAN;

	return n > 1 ? (n + FAN - 1) / FAN * FAN : 1;
}

/* `cap` is a multiple of FAN. */
static int grow_levels(struct schedule *s, uint32_t cap)
{
	uint32_t size[SCHEDULE_LEVELS] = {cap};
	unsigned n_levels = 1;
	size_t total = cap;

	while (size[n_levels - 1] > 1) {
		assert(n_levels < SCHEDULE_LEVELS);
		size[n_levels] = level_size(size[n_levels - 1]);
		total += size[n_levels++];
	}
	nsec *block = malloc(total * sizeof *block);

	if (!block)
		return ERR_NOMEM;
	for (size_t i = 0; i < total; i++)
		block[i] = NSEC_NONE;
	if (s->n)
		memcpy(block, s->low[0], s->n * sizeof *block);
	free(s->low[0]);
	s->n_levels = n_levels;
	for (unsigned l = 0; l < n_levels; block += size[l++]) {
		s->low[l] = block;
		for (uint32_t i = 0; l > 0 && i < size[l - 1] / FAN; i++)
			s->low[l][i] = least(s, l, i);
	}
	return 0;
}

static int grow(struct schedule *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : FIRST_CAP;
	struct cid_owner **who = realloc(s->who, cap * sizeof *who);

	if (who)
		s->who = who;
	uint32_t *spare = realloc(s->free, cap * sizeof *spare);

	if (spare)
		s->free = spare;
	if (!who || !spare || grow_levels(s, cap))
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
	return 0;
}

void schedule_remove(struct schedule *s, uint32_t slot)
{
	schedule_set(s, slot, NSEC_NONE);
	s->who[slot] = NULL;
	s->free[s->n_free++] = slot;
}

void schedule_set(struct schedule *s, uint32_t slot, nsec at)
{
	nsec was = s->low[0][slot];

	s->low[0][slot] = at;
	for (unsigned l = 1; l < s->n_levels && at != was; l++) {
		slot /= FAN;
		nsec *up = &s->low[l][slot], before = *up;

		if (at < before)
			*up = at;
		else if (was == before)
			*up = least(s, l, slot);
		else
			return;
		was = before;
		at = *up;
	}
}

struct cid_owner *schedule_pop(struct schedule *s, nsec now)
{
	uint32_t i = 0;

	if (schedule_next(s) > now)
		return NULL;
	for (unsigned l = s->n_levels; --l > 0;) {
		const nsec min = s->low[l][i];

		for (i *= FAN; s->low[l - 1][i] != min;)
			i++;
	}
	schedule_set(s, i, NSEC_NONE);
	return s->who[i];
}
