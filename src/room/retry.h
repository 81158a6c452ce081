/* SPDX-License-Identifier: MIT */
/*
 * retry - what failed and is to be tried again, each after a pause of its own. The pause is 100 ms first and doubles with
 * each failure up to 30 s, a little longer by chance; whatever worked for 10 s begins with 100 ms again.
 *
 *   retry_fail() -> failed -> retry_wait() -> waiting, a list for each pause -> retry_due()
 *
 * One thread; time is an argument. The entries are in their owners' storage: nothing is allocated. An entry is inserted into a
 * list that is nearly sorted by itself, so the number of entries costs nothing.
 */
#pragma once
#include "base/list.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_LEVELS = 10 };
#define RETRY_NEVER_MS UINT32_MAX /* as a pause: until retry_cancel() */

struct retry_queue {
	struct list failed;
	struct list waiting[RETRY_LEVELS];
	uint32_t n_waiting;
};

struct retry {
	struct list node;
	uint32_t id;             /* tells entries apart: each has its own chance */
	uint32_t n_pauses;       /* so far */
	unsigned level;          /* of the next pause */
	uint32_t least_pause_ms; /* asked for since retry_begin() */
	bool waiting, works;
	nsec began_at, due;
};

void retry_queue_init(struct retry_queue *q);
void retry_init(struct retry *r, uint32_t id);

/* An attempt begins. */
void retry_begin(struct retry *r, nsec now);
/* Only now is it certain that the attempt works; the first call of an attempt counts. For what takes a while to begin. */
void retry_works(struct retry *r, nsec now);
/* If this attempt fails, the pause is not shorter than this. */
void retry_ask_pause(struct retry *r, uint32_t ms);
/* It failed: handled later by retry_next_failed(). */
void retry_fail(struct retry_queue *q, struct retry *r);
/* The first that failed, still in the list; NULL: none. */
struct retry *retry_next_failed(const struct retry_queue *q);
/* It is to be tried again: returns after how many milliseconds. `worked`: the attempt succeeded at first. */
uint64_t retry_wait(struct retry_queue *q, struct retry *r, bool worked, nsec now);
/* Waits no longer, and the next pause is the first one. */
void retry_hurry(struct retry_queue *q, struct retry *r, nsec now);
/* One whose pause is over, removed; NULL: none. */
struct retry *retry_due(struct retry_queue *q, nsec now);
/* It is neither failed nor waiting any more. */
void retry_cancel(struct retry_queue *q, struct retry *r);

/* When retry_due() has the next; NSEC_NONE. */
nsec retry_deadline(const struct retry_queue *q);
static inline bool retry_any_failed(const struct retry_queue *q) { return !list_empty(&q->failed); }
