/* SPDX-License-Identifier: MIT */
#include "daemon/load.h"

#include <string.h>

enum {
	LOOK_MS = 100,
	MEMORY_MS = 250,   /* of share and talkers */
	LEARN_MS = 1000,   /* of what a talker costs */
	WAIT_MS = 500,     /* LOAD_WAITS times that: a newcomer who has not talked by then only listens ... */
	LATE_MS = 10000,   /* ... or begins some time later */
	SILENT_MS = 4000,  /* those who talked before are awaited for this time */
};
static const double talker_frames_per_s = 100; /* in and out */

/* Of a talker: before anything is known, and at most, whatever else keeps the loop at work. */
static const double TALKER_GUESS = 0.001, TALKER_MAX = 0.02;

struct load_rule load_rule_make(uint32_t max_percent, uint32_t resume_percent)
{
	double max = max_percent / 100.0, resume = resume_percent / 100.0;

	return (struct load_rule){.refuse = max, .resume = resume < max ? resume : max * 8 / 9};
}

void load_except(struct load *l, nsec spent)
{
	l->except += spent;
}

bool load_due(const struct load *l, nsec now)
{
	return nsec_since(l->at, now) >= nsec_from_ms(LOOK_MS);
}

/* How much a value of the last `time` weighs against those before, of which about `memory_ms` count. */
static double weight(nsec time, uint32_t memory_ms)
{
	return (double)time / (double)(time + nsec_from_ms(memory_ms));
}

/* A guess is worth one talker: with few of them much else is in the share. */
static void learn(struct load *l, double share, double talkers, nsec time)
{
	double cost = (share + TALKER_GUESS) / (talkers + 1);

	if (l->talker <= 0)
		l->talker = TALKER_GUESS;
	if (talkers >= 1)
		l->talker += ((cost < TALKER_MAX ? cost : TALKER_MAX) - l->talker) * weight(time, LEARN_MS);
}

static double take(double *from, double n)
{
	double taken = n < *from ? n : *from;

	*from -= taken;
	return taken;
}

static void age_newcomers(struct load *l, nsec time, nsec now)
{
	l->late -= l->late * weight(time, LATE_MS);
	for (int i = 0; i < LOAD_WAITS && nsec_since(l->turned_at, now) >= nsec_from_ms(WAIT_MS); i++) {
		l->late += l->newcomers[LOAD_WAITS - 1];
		memmove(l->newcomers + 1, l->newcomers, sizeof l->newcomers - sizeof l->newcomers[0]);
		l->newcomers[0] = 0;
		l->turned_at += nsec_from_ms(WAIT_MS);
	}
	if (nsec_since(l->turned_at, now) >= nsec_from_ms(WAIT_MS)) /* after a long sleep */
		l->turned_at = now;
}

/* More talkers than were measured before: newcomers who are not new any more, the longest here first. Fewer: some are silent
 * for a moment, and will be no newcomers when they go on. */
static void discharge(struct load *l, nsec time)
{
	double more = l->talkers - l->measured;

	l->measured += more > 0 ? more : more * weight(time, SILENT_MS);
	if (more <= 0)
		return;
	more -= take(&l->late, more);
	for (int i = LOAD_WAITS; i-- > 0;)
		more -= take(&l->newcomers[i], more);
}

void load_look(struct load *l, nsec idle, uint64_t frames, nsec now)
{
	nsec time = nsec_since(l->at, now), not_ours = nsec_since(l->idle, idle) + l->except;

	if (!load_due(l, now))
		return;
	double share = 1 - (double)(not_ours < time ? not_ours : time) / (double)time;
	double talkers = (double)(frames - l->frames) * (double)nsec_from_s(1) / (double)time / talker_frames_per_s;

	if (l->at > 0) { /* after a long sleep only the sleep counts */
		l->share += (share - l->share) * weight(time, MEMORY_MS);
		l->talkers += (talkers - l->talkers) * weight(time, MEMORY_MS);
		learn(l, share, talkers, time);
		age_newcomers(l, time, now);
		discharge(l, time);
	}
	l->at = now;
	l->idle = idle;
	l->except = 0;
	l->frames = frames;
}

void load_charge(struct load *l, uint64_t n)
{
	l->newcomers[0] += (double)n;
}

double load_expected(const struct load *l)
{
	double n = 0;

	for (int i = 0; i < LOAD_WAITS; i++)
		n += l->newcomers[i];
	return l->share + n * (l->talker > 0 ? l->talker : TALKER_GUESS);
}

bool load_decide(struct load *l, const struct load_rule *r)
{
	l->busy = r->refuse > 0 && load_expected(l) >= (l->busy ? r->resume : r->refuse);
	return l->busy;
}
