/* SPDX-License-Identifier: MIT */
/*
 * Frames become samples of the mix (feed), wait in memory (playout.h) and are played tick by tick, as pace.h wants it and
 * with conceal.h where something is missing.
 *
 * v1 frames that follow on each other go straight into that memory, as all legacy ones do. One with something missing
 * before it is held aside (order.h) until that comes or the memory is played out. Then a gap is opened before it:
 *
 *     x | played | rd (gap.left samples, not there yet) ... stored ... wr | and then what is held
 *
 * The lead counts gap and held frames as stored, so neither loss nor order moves it.
 */
#include "audio/jitter.h"

#include "audio/arrivals.h"
#include "audio/codec.h"
#include "audio/conceal.h"
#include "audio/fade.h"
#include "audio/order.h"
#include "audio/pace.h"
#include "audio/playout.h"
#include "audio/resample.h"
#include "base/err.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 320       /* input samples converted at once: 20 ms of 16 kHz */
#define HOLE_GAP 1.5    /* times the burst before: a frame seems to be missing */
#define SPURT_GAP_MS 60 /* after this much idleness a new talkspurt begins, with nothing to carry over */

enum state {
	STATE_IDLE,       /* nothing is playing */
	STATE_PLAYING,    /* the talker's sound, tick by tick */
	STATE_CONCEALING, /* it ran out; its last sound goes on, fading */
};

/* Before the next stored sample. */
struct gap {
	size_t left; /* samples */
	bool silent; /* nobody spoke */
};

struct jitter {
	enum state state;
	bool hole;           /* the next samples may not follow the last */
	const struct codec *codec; /* of the last frame; NULL: none came yet */
	void *decoder;
	struct resample *resample;
	struct playout playout;
	size_t max;          /* samples that are stored at the most */
	struct arrivals arrivals;
	struct pace pace;
	struct concealment concealment;
	struct gap gap;
	struct order *order; /* NULL: no v1 frame came yet */
	size_t pending;      /* samples that what is held there will take */
	struct jitter_order by_order;
	uint64_t n_put, n_got, n_concealed, n_overflows, n_rate_changes, n_spurts; /* see struct jitter_stats */
};

/* Media between the next sample and the newest one. */
static size_t ahead(const struct jitter *j)
{
	return playout_level(&j->playout) + j->gap.left + j->pending;
}

static double lead_ms(const struct jitter *j, nsec now)
{
	return playout_ms(&j->playout, ahead(j)) + ms_between(j->arrivals.last_at, now);
}

static size_t chunk_max(uint32_t rate_hz)
{
	return CHUNK * (size_t)rate_hz / AUDIO_RATE_MIN_HZ * 102 / 100 + rate_hz / 300;
}

static int check(struct jitter_opts *o)
{
	o->tick_ms = o->tick_ms ? o->tick_ms : 20;
	o->min_delay_ms = o->min_delay_ms ? o->min_delay_ms : 3;
	o->max_delay_ms = o->max_delay_ms ? o->max_delay_ms : 200;
	if (!audio_rate_ok(o->rate_hz) || o->tick_ms > 100 || o->max_delay_ms < 40 || o->max_delay_ms > 1000)
		return ERR_RANGE;
	return o->min_delay_ms > o->max_delay_ms / 2 || o->max_delay_ms < 2 * o->tick_ms ? ERR_RANGE : 0;
}

int jitter_new(const struct jitter_opts *opts, const struct resample_table *t, struct jitter **out)
{
	struct jitter_opts o = *opts;
	int err = check(&o);

	if (err)
		return err;
	struct jitter *j = calloc(1, sizeof *j);

	if (!j)
		return ERR_NOMEM;
	err = resample_new(t, o.rate_hz, o.rate_hz, &j->resample);
	if (err) {
		free(j);
		return err;
	}
	j->playout.rate_hz = o.rate_hz;
	j->playout.cap = (size_t)o.rate_hz * (o.max_delay_ms + PLAYED_MS) / 1000 + chunk_max(o.rate_hz);
	pace_init(&j->pace, &j->playout, j->resample, &j->arrivals);
	j->max = playout_samples(&j->playout, o.max_delay_ms);
	j->pace.limits = (struct pace_limits){o.min_delay_ms, o.max_delay_ms};
	j->pace.tick = (o.rate_hz * o.tick_ms + 999) / 1000;
	jitter_clear(j);
	*out = j;
	return 0;
}

void jitter_free(struct jitter *j)
{
	if (!j)
		return;
	codec_decoder_free(j->codec, j->decoder);
	resample_free(j->resample);
	free(j->order);
	free(j->playout.x);
	free(j);
}

static void to_idle(struct jitter *j)
{
	j->state = STATE_IDLE;
	j->concealment.n_done = 0;
	pace_not_missed(&j->pace);
}

static void begin_spurt(struct jitter *j, uint32_t rate_hz)
{
	resample_reset(j->resample, rate_hz);
	resample_trim_ppm(j->resample, 0);
	pace_begin_spurt(&j->pace);
}

void jitter_clear(struct jitter *j)
{
	size_t played = playout_samples(&j->playout, PLAYED_MS);

	if (j->playout.x)
		memset(j->playout.x, 0, played * sizeof *j->playout.x);
	j->playout.rd = j->playout.wr = played;
	to_idle(j);
	arrivals_clear(&j->arrivals);
	j->pending = j->gap.left = 0;
	if (j->order)
		order_reset(j->order);
	begin_spurt(j, j->playout.rate_hz);
}

void jitter_skip(struct jitter *j)
{
	if (j->order && j->order->n_held == 0)
		order_reset(j->order);
}

/* ---- frames in ---- */

/* `skipped_ms`: media that is known to be missing before it. */
static void note_arrival(struct jitter *j, const struct frame *f, double skipped_ms, nsec now)
{
	double gap_ms = arrivals_gap_ms(&j->arrivals, now), ms = 1000.0 * (double)f->n_samples / f->format.rate_hz;

	if (j->state == STATE_IDLE && ahead(j) == 0 && (f->is_v1 || gap_ms > SPURT_GAP_MS)) {
		begin_spurt(j, f->format.rate_hz);
		arrivals_begin_spurt(&j->arrivals);
		j->hole = true;
	} else if (!f->is_v1 && gap_ms > HOLE_GAP * j->arrivals.burst_ms && gap_ms > SAME_BURST_MS) {
		j->hole = true;
	}
	arrivals_add(&j->arrivals, ms, skipped_ms, gap_ms, now);
	pace_arrived(&j->pace, ms, now);
	j->n_put++;
}

static bool overflow(struct jitter *j)
{
	size_t max = j->max, n = playout_level(&j->playout);

	if (n <= max)
		return false;
	pace_skip(&j->pace, n - max + (j->pace.tick < max / 2 ? j->pace.tick : max / 2));
	j->n_overflows++;
	return true;
}

/* Appends decoded samples, CHUNK at the most. Returns whether something was dropped for them. */
static bool append(struct jitter *j, float *in, size_t n)
{
	struct playout *p = &j->playout;

	if (j->hole)
		resample_join(j->resample, in, n);
	j->hole = false;
	playout_make_room(p, resample_out_max(j->resample, n));
	p->wr += resample_run(j->resample, in, n, p->x + p->wr, p->cap - p->wr);
	return overflow(j);
}

/* A payload that is not made of units is decoded at once. */
static bool feed_whole(struct jitter *j, const struct frame *f)
{
	float in[CODEC_SAMPLES_MAX];
	bool dropped = false;

	f->format.codec->decode(j->decoder, f->payload, f->len, in, f->n_samples);
	for (size_t at = 0, n; at < f->n_samples; at += n) {
		n = f->n_samples - at < CHUNK ? f->n_samples - at : CHUNK;
		dropped |= append(j, in + at, n);
	}
	return dropped;
}

static bool feed(struct jitter *j, const struct frame *f)
{
	const size_t unit = f->format.codec->unit_bytes;
	bool dropped = false;

	if (f->format.rate_hz != resample_in_hz(j->resample)) {
		resample_change_rate(j->resample, f->format.rate_hz);
		j->n_rate_changes++;
	}
	if (unit == 0)
		return feed_whole(j, f);
	for (size_t at = 0, n; at < f->n_samples; at += n) {
		float in[CHUNK];

		n = f->n_samples - at < CHUNK ? f->n_samples - at : CHUNK;
		f->format.codec->decode(j->decoder, f->payload + at * unit, n * unit, in, n);
		dropped |= append(j, in, n);
	}
	return dropped;
}

/* ---- v1 frames: what came out of order ---- */

static bool feed_next(struct jitter *j, const struct frame *f)
{
	order_place(j->order, f);
	return feed(j, f);
}

/* Held frames that now follow. */
static bool feed_followers(struct jitter *j)
{
	struct frame f;
	bool dropped = false;

	while (order_first(j->order, &f) && f.v1.seq == j->order->next && order_gap(j->order, &f).samples == 0) {
		dropped |= feed_next(j, &f);
		order_drop_first(j->order);
	}
	j->pending = order_span(j->order, j->playout.rate_hz);
	return dropped;
}

/* The memory is played out and `f` comes next, after a gap. Sound concealed since then is part of the gap. */
static bool open_gap(struct jitter *j, const struct frame *f)
{
	struct order_gap gap = order_gap(j->order, f);
	uint64_t n = (uint64_t)gap.samples * j->playout.rate_hz / f->format.rate_hz;
	size_t max = j->max, concealed = j->concealment.n_done;

	n = n < max ? n : max;
	j->by_order.n_lost += gap.lost;
	j->gap.left = j->state == STATE_IDLE || n < concealed ? 0 : (size_t)n - concealed;
	j->gap.silent = gap.silent;
	pace_not_missed(&j->pace);
	j->hole |= gap.lost > 0 || gap.samples > 0;
	bool dropped = feed_next(j, f);
	size_t level = playout_level(&j->playout);

	j->gap.left = level + j->gap.left < max ? j->gap.left : max - level;
	return dropped;
}

/* Gives up the frames that are missing before `f`, and leaves out their place. */
static bool feed_over_gap(struct jitter *j, const struct frame *f)
{
	j->by_order.n_lost += order_gap(j->order, f).lost;
	j->hole = true;
	return feed_next(j, f);
}

/* Waiting is over: the held frames are stored, up to `until`, or all if that is NULL. */
static bool feed_held(struct jitter *j, const struct frame *until)
{
	struct frame f;
	bool dropped = false;

	while (order_first(j->order, &f) && !(until && (int16_t)(f.v1.seq - until->v1.seq) > 0)) {
		dropped |= feed_over_gap(j, &f);
		order_drop_first(j->order);
	}
	j->pending = order_span(j->order, j->playout.rate_hz);
	return dropped;
}

static bool place(struct jitter *j, const struct frame *f)
{
	struct order *o = j->order;
	bool follows = f->v1.seq == o->next && order_gap(o, f).samples == 0, dropped = false;

	if (follows) {
		dropped = feed_next(j, f);
		return feed_followers(j) || dropped;
	}
	if (ahead(j) == 0 && j->state != STATE_PLAYING)
		return open_gap(j, f);
	if (order_hold(o, f)) {
		dropped = feed_held(j, f);
		dropped |= feed_over_gap(j, f);
		return feed_followers(j) || dropped;
	}
	j->pending = order_span(o, j->playout.rate_hz);
	return false;
}

/* Over max_delay_ms in all, gaps and held frames are given up first. */
static bool keep_bound(struct jitter *j)
{
	size_t max = j->max, over = ahead(j) > max ? ahead(j) - max : 0;

	if (over == 0)
		return false;
	j->gap.left -= over < j->gap.left ? over : j->gap.left;
	if (ahead(j) > max)
		feed_held(j, NULL);
	j->n_overflows++;
	return true;
}

static enum jitter_put put_in_order(struct jitter *j, const struct frame *f, nsec now)
{
	double skipped_ms;
	bool dropped = false;

	switch (order_note(j->order, f, &skipped_ms)) {
	case ORDER_DUPLICATE:
		j->by_order.n_duplicates++;
		return JITTER_REFUSED;
	case ORDER_LATE:
		j->by_order.n_too_late++;
		return JITTER_REFUSED;
	case ORDER_OLDER:
		j->by_order.n_reordered++;
		j->n_put++;
		break;
	case ORDER_RESTART:
		dropped = feed_held(j, NULL);
		order_start(j->order, f);
		j->hole = true;
		note_arrival(j, f, 0, now);
		break;
	case ORDER_NEWEST:
		note_arrival(j, f, skipped_ms, now);
		break;
	}
	dropped |= place(j, f);
	dropped |= keep_bound(j);
	return dropped ? JITTER_DROPPED_OLD : JITTER_STORED;
}

/* A talker may change between v1 and legacy frames. */
static bool ordered(struct jitter *j, const struct frame *f)
{
	if (f->is_v1 && !j->order)
		j->order = order_new(); /* without memory they are played as they arrive */
	if (!f->is_v1 && j->order && j->order->live) {
		feed_held(j, NULL);
		order_reset(j->order);
	}
	return f->is_v1 && j->order;
}

/* The talker changes the codec: held frames are of the one before. */
static int change_codec(struct jitter *j, const struct format *format)
{
	void *decoder;
	int err = codec_decoder_new(format->codec, format->rate_hz, &decoder);

	if (err)
		return err;
	if (j->order && j->order->live)
		feed_held(j, NULL);
	codec_decoder_free(j->codec, j->decoder);
	j->codec = format->codec;
	j->decoder = decoder;
	return 0;
}

/* The first frame, or one of another codec. */
static int prepare(struct jitter *j, const struct format *format)
{
	if (!j->playout.x && !(j->playout.x = calloc(j->playout.cap, sizeof *j->playout.x)))
		return ERR_NOMEM;
	return change_codec(j, format);
}

enum jitter_put jitter_put(struct jitter *j, const struct frame *f, nsec now)
{
	if (f->n_samples == 0 || !audio_rate_ok(f->format.rate_hz))
		return JITTER_REFUSED;
	if (f->format.codec != j->codec && prepare(j, &f->format))
		return JITTER_REFUSED;
	if (ordered(j, f))
		return put_in_order(j, f, now);
	note_arrival(j, f, 0, now);
	return feed(j, f) ? JITTER_DROPPED_OLD : JITTER_STORED;
}

/* ---- samples out ---- */

static void begin_softly(const struct jitter *j, float *out, size_t n)
{
	size_t fade = playout_samples(&j->playout, SPLICE_FADE_MS);

	fade_in(out, fade < n ? fade : n);
}

static void play(struct jitter *j, float *out, size_t n, nsec now)
{
	memcpy(out, j->playout.x + j->playout.rd, n * sizeof *out);
	if (j->state == STATE_CONCEALING)
		conceal_return(&j->concealment, &j->playout, out, n);
	else if (j->state == STATE_IDLE)
		begin_softly(j, out, n);
	j->playout.rd += n;
	if (j->state == STATE_CONCEALING)
		pace_resumed(&j->pace, lead_ms(j, now), j->concealment.n_done, now);
	j->concealment.n_done = 0;
	j->state = STATE_PLAYING;
}

static void keep_pace(struct jitter *j, size_t n, nsec now)
{
	const double stored = playout_ms(&j->playout, ahead(j));
	const struct pace_tick t = {
		.n = n,
		.lead_ms = stored + ms_between(j->arrivals.last_at, now),
		.stored_ms = stored,
		.playing = j->state == STATE_PLAYING,
	};

	pace_run(&j->pace, &t, now);
}

static void start_concealing(struct jitter *j, bool quiet)
{
	conceal_start(&j->concealment, &j->playout, quiet);
	j->state = STATE_CONCEALING;
}

/* Nothing is left for the rest of a tick: late or lost, or the talker stopped without saying so. */
static enum jitter_result run_out(struct jitter *j, float *out, size_t n, nsec now)
{
	if (j->state != STATE_CONCEALING) {
		start_concealing(j, false);
		pace_missed(&j->pace, now);
	}
	conceal_run(&j->concealment, &j->playout, out, n);
	j->n_concealed++;
	if (j->concealment.n_done >= playout_samples(&j->playout, CONCEAL_MS))
		to_idle(j);
	return JITTER_CONCEALED;
}

/* Up to `n` samples of the gap; they follow the sound played or concealed before. Returns how many. */
static size_t fill_gap(struct jitter *j, float *out, size_t n)
{
	n = n < CHUNK ? n : CHUNK;
	n = n < j->gap.left ? n : j->gap.left;
	if (j->state != STATE_CONCEALING) {
		start_concealing(j, j->gap.silent);
		pace_not_missed(&j->pace);
	}
	conceal_run(&j->concealment, &j->playout, out, n);
	j->gap.left -= n;
	return n;
}

/* Silence was announced: the end of the sound, faded if it ends above nothing. */
static enum jitter_result end_spurt(struct jitter *j, float *out, size_t n)
{
	start_concealing(j, true);
	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < CHUNK ? n - at : CHUNK;
		conceal_run(&j->concealment, &j->playout, out + at, k);
	}
	to_idle(j);
	return JITTER_PLAYING;
}

static void open_held(struct jitter *j)
{
	struct frame f;

	if (!order_first(j->order, &f))
		return;
	open_gap(j, &f);
	order_drop_first(j->order);
	feed_followers(j);
	keep_bound(j);
}

/* A tick of v1 frames that is made of pieces. */
static enum jitter_result get_pieces(struct jitter *j, float *out, size_t n, nsec now)
{
	bool concealed = false;
	size_t at = 0;

	/* as for legacy frames: late sound waits until it fills a tick */
	if (j->state == STATE_CONCEALING && j->gap.left == 0 && ahead(j) < n && !j->order->ends)
		return run_out(j, out, n, now);
	while (at < n) {
		size_t level = playout_level(&j->playout), k = level < n - at ? level : n - at;

		if (j->gap.left > 0) {
			concealed |= !j->gap.silent;
			at += fill_gap(j, out + at, n - at);
		} else if (level > 0) {
			play(j, out + at, k, now);
			at += k;
		} else if (j->order->n_held > 0) {
			open_held(j);
		} else if (j->order->ends && j->state == STATE_PLAYING) {
			return end_spurt(j, out + at, n - at);
		} else {
			return run_out(j, out + at, n - at, now);
		}
	}
	j->n_concealed += concealed;
	keep_pace(j, n, now);
	return concealed ? JITTER_CONCEALED : JITTER_PLAYING;
}

enum jitter_result jitter_get(struct jitter *j, float *out, size_t n, nsec now)
{
	assert(n > 0 && n <= j->pace.tick);
	if (j->state == STATE_PLAYING && j->gap.left == 0)
		pace_before(&j->pace, n);
	size_t level = playout_level(&j->playout), have = level < n ? level : n;

	if (j->state == STATE_IDLE) {
		if (!pace_ready(&j->pace, ahead(j), n, now)) {
			memset(out, 0, n * sizeof *out);
			return JITTER_IDLE;
		}
		j->n_spurts++;
		pace_start(&j->pace, now);
	}
	j->n_got++;
	if (j->gap.left > 0 || (have < n && j->order && j->order->live))
		return get_pieces(j, out, n, now);
	if (have == n) {
		play(j, out, n, now);
		keep_pace(j, n, now);
		return JITTER_PLAYING;
	}
	if (j->state == STATE_CONCEALING)
		have = 0; /* wait for a whole tick */
	else if (have > 0)
		play(j, out, have, now);
	return run_out(j, out + have, n - have, now);
}

bool jitter_active(const struct jitter *j)
{
	return j->state != STATE_IDLE || ahead(j) > 0;
}

/* ---- figures ---- */

double jitter_depth_ms(const struct jitter *j)
{
	return playout_ms(&j->playout, ahead(j));
}

double jitter_dropped_ms(const struct jitter *j)
{
	return j->pace.dropped_ms;
}

const struct jitter_order *jitter_order(const struct jitter *j)
{
	return &j->by_order;
}

void jitter_stats(const struct jitter *j, struct jitter_stats *out)
{
	const struct pace *p = &j->pace;
	double least = pace_least_lead_ms(p);

	*out = (struct jitter_stats){
		.depth_ms = jitter_depth_ms(j),
		.target_ms = pace_margin_ms(p),
		.lead_ms = least < LEAD_UNKNOWN ? least : 0,
		.jitter_ms = j->arrivals.jitter_ms,
		.drift_ppm = p->drift_ppm,
		.trim_ppm = p->trim_ppm,
		.n_put = j->n_put,
		.n_got = j->n_got,
		.n_concealed = j->n_concealed,
		.n_late = p->n_late,
		.n_overflows = j->n_overflows,
		.n_shrinks = p->n_shrinks,
		.n_compressions = p->n_compressions,
		.n_rate_changes = j->n_rate_changes,
		.n_spurts = j->n_spurts,
		.dropped_ms = p->dropped_ms,
		.order = j->by_order,
	};
}
