/* SPDX-License-Identifier: MIT */
#include "room/catch_up.h"

#include <assert.h>

enum {
	BLOCK_MAX = 960,  /* samples that are played at once */
	SLOT_MS = 200,
	SLOTS = 10,       /* that must look live, one after the other */
	SLOT_OFF_MS = 120, /* how far one may be from that: chunks of 100 ms, and the network */
	SLOTS_OFF_MS = 120, /* and all of them together */
	KEEP_MS = 80,     /* that always waits, against the next stall: as much as is needed to look ahead */
	LOOK_MS = 60,     /* of a pause stay before a voice ... */
	AFTER_MS = 120,   /* ... and after one: no word loses its end */
	LEAST_MS = 5,     /* at once */
};
#define PAUSE_MOST_DBFS (-40.0f) /* louder is music, or a voice that the floor has caught up with */

static size_t samples(const struct catch_up *c, uint32_t ms)
{
	return (size_t)((uint64_t)c->rate_hz * ms / 1000);
}

static void begin_slots(struct catch_up *c)
{
	c->n_live = 0;
	c->came = 0;
	c->least = SIZE_MAX;
}

void catch_up_init(struct catch_up *c, uint32_t rate_hz, bool on)
{
	*c = (struct catch_up){.on = on, .rate_hz = rate_hz};
	vad_init(&c->ahead, rate_hz);
	begin_slots(c);
}

void catch_up_came(struct catch_up *c, size_t n)
{
	c->slot_came += n;
}

/* ---- is it live? ---- */

static bool near(size_t a, size_t b, size_t off)
{
	return a < b + off && b < a + off;
}

/* All slots look live. */
static void judge(struct catch_up *c)
{
	size_t keep = samples(c, KEEP_MS);

	if (near(c->came, samples(c, SLOTS * SLOT_MS), samples(c, SLOTS_OFF_MS)) && c->least > keep)
		c->excess = c->least - keep;
	else
		c->excess = 0;
	begin_slots(c);
}

static void end_slot(struct catch_up *c)
{
	if (near(c->slot_came, c->slot_played, samples(c, SLOT_OFF_MS))) {
		c->came += c->slot_came;
		if (++c->n_live == SLOTS)
			judge(c);
	} else {
		begin_slots(c);
		c->excess = 0;
	}
	c->slot_came = c->slot_played = 0;
}

/* ---- does it pause? ---- */

/* At the `n` samples that are LOOK_MS and `later` samples away. */
static void look(struct catch_up *c, const struct pcm_queue *backlog, size_t later, size_t n)
{
	float x[BLOCK_MAX];

	if (pcm_queue_peek_float(backlog, samples(c, LOOK_MS) + later, x, n) < n) {
		c->quiet_ms = 0;
		return;
	}
	vad_run(&c->ahead, x, n);
	if (c->ahead.above_ms > 0 || c->ahead.level_dbfs > PAUSE_MOST_DBFS)
		c->quiet_ms = 0;
	else
		c->quiet_ms += 1000 * (float)n / (float)c->rate_hz;
}

static bool look_for_pause(struct catch_up *c, const struct pcm_queue *backlog, size_t n)
{
	float needed_ms = LOOK_MS + AFTER_MS + 1000 * (float)n / (float)c->rate_hz;

	if (!c->looked)
		c->quiet_ms = 0;
	c->looked = c->excess >= n;
	if (!c->looked)
		return false;
	look(c, backlog, 0, n);
	if (c->quiet_ms < needed_ms)
		return false;
	look(c, backlog, n, n); /* it is passed over now */
	c->excess -= n;
	return true;
}

bool catch_up_played(struct catch_up *c, const struct pcm_queue *backlog, size_t n)
{
	assert(n <= BLOCK_MAX);
	if (!c->on)
		return false;
	size_t left = backlog->len > n ? backlog->len - n : 0;

	c->least = left < c->least ? left : c->least;
	c->slot_played += n;
	bool shortens = n >= samples(c, LEAST_MS) && look_for_pause(c, backlog, n);

	if (c->slot_played >= samples(c, SLOT_MS))
		end_slot(c);
	return shortens;
}
