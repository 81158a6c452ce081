/* SPDX-License-Identifier: MIT */
#include "room/retry.h"

#include "base/backoff.h"

#include <stddef.h>

#define FIRST_MS 100
#define MOST_MS 30000
#define WORKED_MS 10000

void retry_queue_init(struct retry_queue *q)
{
	list_init(&q->failed);
	for (int i = 0; i < RETRY_LEVELS; i++)
		list_init(&q->waiting[i]);
	q->n_waiting = 0;
}

void retry_init(struct retry *r, uint32_t id)
{
	*r = (struct retry){.id = id};
	list_init(&r->node);
}

void retry_begin(struct retry *r, nsec now)
{
	r->began_at = now;
	r->works = false;
	r->least_pause_ms = 0;
}

void retry_works(struct retry *r, nsec now)
{
	if (!r->works)
		r->began_at = now;
	r->works = true;
}

void retry_ask_pause(struct retry *r, uint32_t ms)
{
	r->least_pause_ms = ms;
}

void retry_fail(struct retry_queue *q, struct retry *r)
{
	retry_cancel(q, r);
	list_append(&q->failed, &r->node);
}

struct retry *retry_next_failed(const struct retry_queue *q)
{
	return list_empty(&q->failed) ? NULL : list_entry(q->failed.next, struct retry, node);
}

static struct retry *first(const struct list *waiting)
{
	return list_empty(waiting) ? NULL : list_entry(waiting->next, struct retry, node);
}

/* Entries of one level wait for nearly the same time: the place is at the end or close to it. */
static void insert(struct list *waiting, struct retry *r)
{
	struct list *after = waiting->prev;

	while (after != waiting && list_entry(after, struct retry, node)->due > r->due)
		after = after->prev;
	list_append(after->next, &r->node);
}

static uint64_t next_pause_ms(struct retry *r)
{
	uint64_t ms = backoff_ms(FIRST_MS, MOST_MS, r->level + 1, backoff_chance(r->id, ++r->n_pauses));

	return ms > r->least_pause_ms ? ms : r->least_pause_ms;
}

static void wait_until(struct retry_queue *q, struct retry *r, nsec due)
{
	retry_cancel(q, r);
	r->due = due;
	r->waiting = true;
	q->n_waiting++;
	insert(&q->waiting[r->level], r);
}

uint64_t retry_wait(struct retry_queue *q, struct retry *r, bool worked, nsec now)
{
	if (worked && now - r->began_at >= nsec_from_ms(WORKED_MS))
		r->level = 0;
	uint64_t pause_ms = next_pause_ms(r);

	wait_until(q, r, pause_ms < RETRY_NEVER_MS ? now + nsec_from_ms(pause_ms) : NSEC_NONE);
	r->level += r->level < RETRY_LEVELS - 1;
	return pause_ms;
}

void retry_hurry(struct retry_queue *q, struct retry *r, nsec now)
{
	r->level = 0;
	wait_until(q, r, now);
}

void retry_cancel(struct retry_queue *q, struct retry *r)
{
	list_remove(&r->node);
	q->n_waiting -= r->waiting;
	r->waiting = false;
}

struct retry *retry_due(struct retry_queue *q, nsec now)
{
	for (int i = 0; i < RETRY_LEVELS && q->n_waiting > 0; i++) {
		struct retry *r = first(&q->waiting[i]);

		if (!r || r->due > now)
			continue;
		retry_cancel(q, r);
		return r;
	}
	return NULL;
}

nsec retry_deadline(const struct retry_queue *q)
{
	nsec at = NSEC_NONE;

	for (int i = 0; i < RETRY_LEVELS && q->n_waiting > 0; i++) {
		const struct retry *r = first(&q->waiting[i]);

		if (r && r->due < at)
			at = r->due;
	}
	return at;
}
