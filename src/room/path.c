/* SPDX-License-Identifier: MIT */
/*
 * What a listener hears goes through a limiter and a resampler, and both remember. Silent
 * listeners of one rate hear the same, so they share one such path. Who begins to talk must not
 * hear himself: he leaves with a copy of the shared state, which so far held nothing of
 * his, and goes on alone without a seam. A while after his last sound both paths have been fed the
 * same for longer than either remembers, and he returns, over one tick of cross-fade in case
 * the two stand at different fractions of a sample.
 */
#include "audio/mixer.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "room/room_private.h"

#include <string.h>

/* Longer than the limiter needs to recover to within 10^-4. */
enum { ALONE_MS = 2000, EASE_IN_MS = 5 };

int path_init(struct path *p, const struct resample_table *t, uint32_t room_rate_hz, uint32_t out_rate_hz)
{
	*p = (struct path){.room_rate_hz = room_rate_hz};
	limiter_init(&p->limiter, room_rate_hz);
	if (room_rate_hz == out_rate_hz)
		return 0;
	return resample_new(t, room_rate_hz, out_rate_hz, &p->resample);
}

void path_fini(struct path *p)
{
	resample_free(p->resample);
	p->resample = NULL;
}

void path_clone(struct path *to, const struct path *from)
{
	to->limiter = from->limiter;
	to->ran = from->ran;
	if (to->resample)
		resample_copy(to->resample, from->resample);
}

size_t path_run(struct path *p, struct rooms *rs, uint64_t tick, const float *x, size_t n, int16_t *out)
{
	if (!path_live(p, tick)) {
		limiter_init(&p->limiter, p->room_rate_hz);
		if (p->resample)
			resample_reset(p->resample, p->room_rate_hz);
	}
	p->ran = tick;
	rs->stats.mixes++;
	x = limiter_pass(&p->limiter, x, rs->block, n);
	if (p->resample) {
		n = resample_run(p->resample, x, n, rs->resampled, OUT_SAMPLES_MAX);
		x = rs->resampled;
	}
	pcm_to_i16(out, x, n);
	return n;
}

/* Before this tick's paths run. */
void path_leave_shared(struct participant *p)
{
	struct room *r = p->room;

	p->alone_until = r->tick + ALONE_MS / r->rooms->opts.frame_ms;
	if (p->alone)
		return;
	p->alone = true;
	if (path_live(&p->output->path, r->tick))
		path_clone(&p->path, &p->output->path);
	else
		p->path.ran = 0;
}

/* Once for all who share it. */
static void run_shared(struct room *r, struct output *o)
{
	struct rooms *rs = r->rooms;

	if (o->n_shared == 0) {
		o->n_shared = path_run(&o->path, rs, r->tick, rs->sum, r->n, rs->shared_pcm);
	}
	if (++o->n_served == 2)
		rs->stats.shared_mixes++;
}

static size_t run_alone(struct room *r, struct participant *p)
{
	struct rooms *rs = r->rooms;
	const float *x = rs->sum;

	if (p->own && rs->two) { /* most calls have two people: what the one hears is the other */
		x = p->own == rs->contributions ? rs->contributions + r->n : rs->contributions;
	} else if (p->own) {
		mix_minus(rs->block, rs->sum, p->own, r->n);
		x = rs->block;
	}
	return path_run(&p->path, rs, r->tick, x, r->n, rs->own_pcm);
}

/* From his own path's sound in own_pcm to the shared one, in own_pcm. */
static size_t cross_fade(struct rooms *rs, size_t n_own, size_t n_shared)
{
	size_t n = n_own < n_shared ? n_own : n_shared;

	for (size_t i = 0; i < n; i++) {
		int32_t w = (int32_t)(i + 1), all = (int32_t)n + 1;

		rs->own_pcm[i] = (int16_t)(((all - w) * rs->own_pcm[i] + w * rs->shared_pcm[i]) / all);
	}
	memcpy(rs->own_pcm + n, rs->shared_pcm + n, (n_shared - n) * sizeof *rs->own_pcm);
	return n_shared;
}

/* The last tick of somebody who was alone. */
static size_t return_to_shared(struct room *r, struct output *o, struct participant *p)
{
	p->alone = false;
	if (path_live(&p->path, r->tick) && !path_live(&o->path, r->tick))
		path_clone(&o->path, &p->path); /* nobody else listened: it goes on where his was */
	size_t n = run_alone(r, p);

	run_shared(r, o);
	return cross_fade(r->rooms, n, o->n_shared);
}

static bool hears_something(struct participant *p, unsigned n_sources)
{
	bool others = n_sources > (p->own ? 1u : 0u), fed = others || p->ringing;

	p->tail = !others;
	p->ringing = others && p->path.resample;
	return fed;
}

/* Who comes while others talk would hear them begin in the middle of a wave. */
static const int16_t *ease_in(struct rooms *rs, const int16_t *pcm, size_t n, uint32_t rate_hz)
{
	int32_t len = (int32_t)(rate_hz * EASE_IN_MS / 1000);

	memmove(rs->own_pcm, pcm, n * sizeof *pcm);
	for (int32_t i = 0; i < len && i < (int32_t)n; i++)
		rs->own_pcm[i] = (int16_t)(rs->own_pcm[i] * (i + 1) / (len + 1));
	return rs->own_pcm;
}

static void note_media(struct participant *p, const struct output *o, size_t n)
{
	struct rooms *rs = p->room->rooms;
	uint64_t silent = p->fed_at && rs->frame_no > p->fed_at ? rs->frame_no - p->fed_at - 1 : 0;

	p->media.begins = !p->fed_at || silent > 0;
	p->media.ends = p->tail;
	p->media.time = p->next_time;
	if (silent > 0)
		p->media.time += (uint32_t)(silent * o->rate_hz * rs->opts.frame_ms / 1000);
	p->next_time = p->media.time + (uint32_t)n;
	p->fed_at = rs->frame_no;
	p->sent += n;
}

static void feed(struct room *r, struct output *o, struct participant *p, nsec now)
{
	const int16_t *pcm = r->rooms->own_pcm;
	size_t n;

	if (!p->alone) {
		run_shared(r, o);
		pcm = r->rooms->shared_pcm;
		n = o->n_shared;
	} else if (r->tick <= p->alone_until) {
		n = run_alone(r, p);
	} else {
		n = return_to_shared(r, o, p);
	}
	if (p->stats.frames_out++ == 0)
		pcm = ease_in(r->rooms, pcm, n, o->rate_hz);
	note_media(p, o, n);
	r->rooms->stats.frames_out++;
	r->rooms->calling++;
	p->sink.audio(p->user, o->rate_hz, pcm, n, now);
	r->rooms->calling--;
}

void path_deliver(struct room *r, struct output *o, unsigned n_sources, nsec now)
{
	o->n_shared = o->n_served = 0;
	list_each(it, &o->members, tmp) {
		struct participant *p = list_entry(it, struct participant, out_node);

		if (hears_something(p, n_sources))
			feed(r, o, p, now);
	}
}
