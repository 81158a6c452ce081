/* SPDX-License-Identifier: MIT */
/*
 * One mix:
 *
 *   each talker: jitter -> contributions[i] -> voice detection
 *                             | sum (once)
 *                             +-> seat: the bridge hears, speaks -> sum
 *   each output, each listener: sum - own -> limiter, resampler, encoder -> packets
 */
#include "audio/fade.h"
#include "audio/jitter.h"
#include "audio/mixer.h"
#include "room/room_private.h"

#include <stdlib.h>
#include <string.h>

#define FADE_IN_MS 5

struct tally {
	uint32_t talkers; /* people, and a fade tail */
	bool speech;
	bool stay_awake;
	const struct participant *voice; /* see seat_input */
};

static void note_depth(struct participant *p)
{
	struct rooms *rs = p->room->rooms;
	double depth_ms = jitter_depth_ms(p->jitter), dropped_ms = jitter_dropped_ms(p->jitter);
	int i = 0;

	while (i < 8 && depth_ms > rooms_depth_bound_ms[i])
		i++;
	rs->stats.depth_bucket[i]++;
	rs->depth_sum_ms += depth_ms;
	rs->dropped_ms += dropped_ms - p->dropped_ms;
	p->dropped_ms = dropped_ms;
}

/* One tick of what somebody sent, in `x`; false: nothing. Mute drops what was waiting, softly. */
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
		fade_out(x, r->n);
	else if (p->fade_in)
		fade_in(x, r->n * FADE_IN_MS / r->rooms->opts.frame_ms);
	p->fade_in = false;
	return true;
}

static void note_voice(struct participant *p)
{
	uint64_t tick = p->room->tick;

	if (!p->vad.speaking && p->vad.above_ms <= 0)
		return;
	if (p->voice_seen == 0 || p->voice_seen + 1 < tick)
		p->voice_began = tick;
	p->voice_seen = tick;
}

static void detect_voice(struct participant *p, const float *own, nsec now)
{
	bool before = p->vad.speaking;

	if (own && !p->muted)
		vad_run(&p->vad, own, p->room->n);
	else if (before || p->vad.above_ms > 0 || p->vad.level_dbfs > VAD_SILENCE_DBFS)
		vad_run_silence(&p->vad, p->room->n);
	note_voice(p);
	if (before != p->vad.speaking)
		participant_report_speaking(p, now);
}

static void mix_talker(struct participant *p, struct tally *t, nsec now)
{
	struct room *r = p->room;
	float *x = r->rooms->contributions + t->talkers * r->n;
	bool talks = pull(p, x, now);

	if (talks) {
		if (t->talkers++ == 0)
			memcpy(r->rooms->sum, x, r->n * sizeof *x);
		else
			mix_add(r->rooms->sum, x, r->n);
		listener_talks(&p->listener, x);
	} else {
		p->listener.own = NULL;
	}
	detect_voice(p, talks ? x : NULL, now);
	if (talks && !p->muted && p->vad.above_ms > 0 && (!t->voice || p->vad.level_dbfs > t->voice->vad.level_dbfs))
		t->voice = p;
	t->speech |= p->vad.speaking;
	t->stay_awake |= p->vad.speaking || jitter_active(p->jitter);
}

static struct tally mix_people(struct room *r, nsec now)
{
	struct tally t = {0};

	list_each(it, &r->people, tmp)
		mix_talker(list_entry(it, struct participant, node), &t, now);
	if (t.talkers == 0)
		mix_clear(r->rooms->sum, r->n);
	r->rooms->two = t.talkers == 2 && !r->fade_tail;
	if (r->fade_tail) {
		mix_add(r->rooms->sum, r->fade_tail, r->n);
		free(r->fade_tail);
		r->fade_tail = NULL;
		t.talkers++;
	}
	return t;
}

bool room_tick(struct room *r, nsec now)
{
	struct rooms *rs = r->rooms;
	bool bridge_spoke = false;

	r->tick++;
	struct tally t = mix_people(r, now);
	struct seat_input input = {.people = rs->sum, .talkers = t.talkers, .speech = t.speech, .voice = t.voice};

	if (r->seat)
		t.stay_awake |= seat_tick(r->seat, &input, rs->sum, &bridge_spoke, now);
	unsigned n_sources = t.talkers + bridge_spoke;

	r->quiet = n_sources ? 0 : r->quiet + 1;

	rs->two &= !bridge_spoke;

	outputs_deliver(r, n_sources, now);
	return t.stay_awake || n_sources > 0; /* one tick more, for the ends of the filters */
}
