/* SPDX-License-Identifier: MIT */
/*
 * One mix:
 *
 *   each talker: jitter -> contributions[i] -> voice detection
 *                             | sum (once)
 *                             +-> seat: the bridge hears, speaks -> sum
 *   each listener: sum - own -> path (limiter, resampler) -> sink
 */
#include "audio/jitter.h"
#include "audio/mixer.h"
#include "room/room_private.h"

#include <stdlib.h>
#include <string.h>

#define FADE_IN_MS 5

struct tally {
	uint32_t talkers; /* people, and what somebody who left still had to say */
	bool speech;
	bool stay_awake;
	const struct participant *voice; /* see seat_input */
};

/* The first or the last `len` samples, in the shape of half a cosine. */
static void fade(float *x, size_t n, size_t len, bool in)
{
	for (size_t i = 0; i < len; i++) {
		float t = (float)(i + 1) / (float)(len + 1), w = t * t * (3 - 2 * t);

		if (in)
			x[i] *= w;
		else
			x[n - 1 - i] *= w;
	}
}

static void note_depth(struct participant *p)
{
	struct rooms *rs = p->room->rooms;
	double depth_ms = jitter_depth_ms(p->jitter), dropped_ms = jitter_dropped_ms(p->jitter);
	int i = 0;

	while (i < 8 && depth_ms > rooms_depth_bound_ms[i])
		i++;
	rs->stats.depth_bucket[i]++;
	rs->depth_sum_ms += depth_ms;
	rs->stats.depth_sum_ms = (uint64_t)rs->depth_sum_ms;
	rs->dropped_ms += dropped_ms - p->dropped_ms;
	rs->stats.dropped_ms = (uint64_t)rs->dropped_ms;
	p->dropped_ms = dropped_ms;
}

/* One tick of what he sent, in `x`; false: nothing. Mute takes away what was waiting, softly. */
static bool pull(struct participant *p, float *x, nsec now)
{
	struct room *r = p->room;
	enum jitter_result got;

	if (!jitter_active(p->jitter))
		return false;
	note_depth(p);
	got = jitter_get(p->jitter, x, r->n, now);
	if (got == JITTER_CONCEALED)
		r->rooms->stats.concealed++;
	if (p->muted)
		jitter_clear(p->jitter);
	if (got == JITTER_IDLE)
		return false;
	if (p->muted)
		fade(x, r->n, r->n, false);
	else if (p->fade_in)
		fade(x, r->n, r->n * FADE_IN_MS / r->rooms->opts.frame_ms, true);
	p->fade_in = false;
	return true;
}

static void detect_voice(struct participant *p, nsec now)
{
	bool before = p->vad.speaking;

	if (p->own && !p->muted)
		vad_run(&p->vad, p->own, p->room->n);
	else if (before || p->vad.above_ms > 0 || p->vad.level_dbfs > VAD_SILENCE_DBFS)
		vad_run_silence(&p->vad, p->room->n);
	participant_set_speaking(p, before, now);
}

static void hear_one(struct participant *p, struct tally *t, nsec now)
{
	struct room *r = p->room;
	float *x = r->rooms->contributions + t->talkers * r->n;

	p->own = NULL;
	if (pull(p, x, now)) {
		p->own = x;
		if (t->talkers++ == 0)
			memcpy(r->rooms->sum, x, r->n * sizeof *x);
		else
			mix_add(r->rooms->sum, x, r->n);
		path_leave_shared(p);
	}
	detect_voice(p, now);
	if (p->own && !p->muted && p->vad.above_ms > 0 && (!t->voice || p->vad.level_dbfs > t->voice->vad.level_dbfs))
		t->voice = p;
	t->speech |= p->vad.speaking;
	t->stay_awake |= p->vad.speaking || jitter_active(p->jitter);
}

static struct tally hear_people(struct room *r, nsec now)
{
	struct tally t = {0};

	list_each(it, &r->people, tmp)
		hear_one(list_entry(it, struct participant, node), &t, now);
	if (t.talkers == 0)
		mix_clear(r->rooms->sum, r->n);
	r->rooms->two = t.talkers == 2 && !r->leftover;
	if (r->leftover) {
		mix_add(r->rooms->sum, r->leftover, r->n);
		free(r->leftover);
		r->leftover = NULL;
		t.talkers++;
	}
	return t;
}

bool room_tick(struct room *r, nsec now)
{
	struct rooms *rs = r->rooms;
	bool bridge_spoke = false;

	r->tick++;
	struct tally t = hear_people(r, now);
	struct seat_input input = {.people = rs->sum, .talkers = t.talkers, .speech = t.speech, .voice = t.voice};

	if (r->seat)
		t.stay_awake |= seat_tick(r->seat, &input, rs->sum, &bridge_spoke, now);
	unsigned n_sources = t.talkers + bridge_spoke;

	r->quiet = n_sources ? 0 : r->quiet + 1;

	rs->two &= !bridge_spoke;

	list_each(it, &r->outputs, tmp)
		path_deliver(r, list_entry(it, struct output, node), n_sources, now);
	return t.stay_awake || n_sources > 0; /* one tick more, for the ends of the filters */
}
