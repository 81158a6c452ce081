/* SPDX-License-Identifier: MIT */
#include "daemon/stats_timer.h"

enum { GRID_MS = 50 };

void stats_timer_init(struct stats_timer *t)
{
	list_init(&t->all);
	t->due = NSEC_NONE;
}

void stats_wish_init(struct stats_wish *w)
{
	list_init(&w->node);
	w->every_ms = 0;
	w->next = NSEC_NONE;
}

/* The first moment on the grid that is `every_ms` after `t` or later. */
static nsec next_after(const struct stats_wish *w, nsec t)
{
	const nsec grid = nsec_from_ms(GRID_MS);

	return (t + nsec_from_ms(w->every_ms) + grid - 1) / grid * grid;
}

static void due_at(struct stats_timer *t, nsec at)
{
	if (at < t->due)
		t->due = at;
}

void stats_timer_set(struct stats_timer *t, struct stats_wish *w, uint32_t every_ms, nsec now)
{
	list_remove(&w->node);
	w->every_ms = every_ms;
	w->next = NSEC_NONE;
	if (!every_ms)
		return;
	w->next = next_after(w, now);
	list_append(&t->all, &w->node);
	due_at(t, w->next);
}

void stats_timer_run(struct stats_timer *t, nsec now, void (*send)(struct stats_wish *w, nsec now))
{
	t->due = NSEC_NONE;
	list_each (it, &t->all, tmp) {
		struct stats_wish *w = list_entry(it, struct stats_wish, node);

		if (now < w->next) {
			due_at(t, w->next);
			continue;
		}
		w->next = next_after(w, w->next);
		if (w->next <= now)
			w->next = next_after(w, now);
		send(w, now); /* it may change the wish */
		if (w->every_ms)
			due_at(t, w->next);
	}
}
