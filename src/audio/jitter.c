/* SPDX-License-Identifier: MIT */
/*
 * The ring is a plain buffer that is moved down when its end is reached:
 *
 *     buf  | played (for concealment) | rd ... stored ... wr | free
 *
 * Lead is what the control looks at: after a tick, what is still stored plus the time since the
 * last arrival, i.e. by how much the talker's stream is ahead of the ticks. It does not depend
 * on how the stream is cut into datagrams or where they fall between two ticks.
 *  - Playing begins with the first tick at which the lead is at least the margin. Frames of
 *    exactly a tick then need no more than that, and as long as the least lead of two seconds stays
 *    between margin and margin + one frame (or what it began with) nothing is bent: samples pass bit for bit.
 *  - A lead that leaves this band is a clock that drifts or a network that changed. From then on
 *    the lead is held at margin + one frame, where any phase of arrivals is safe, by trimming
 *    the resampler: a proportional and a slow integral part, which is the drift.
 *  - A lead far above it is what a stall left behind. It is given back at once in silence, else in pieces that
 *    are cut out where the sound resembles itself; the ratio is not bent for it.
 *
 * v1 frames that follow on each other go straight into the ring, as all legacy ones do. One with something missing
 * before it is held aside (order.h) until that comes or the ring is played out. Then a gap is opened before it:
 *
 *     buf  | played | rd (gap_left samples, not there yet) ... stored ... wr | and then what is held
 *
 * The lead counts gap and held frames as stored, so neither loss nor order moves it.
 */
#include "audio/jitter.h"

#include "audio/codec.h"
#include "audio/order.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "audio/splice.h"
#include "base/err.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 320            /* input samples converted at once: 20 ms of 16 kHz */
#define LAG_MIN_MS 5         /* of the repetition in concealment: 200 .. */
#define LAG_MAX_MS 17        /* .. 59 Hz */
#define MATCH_MS 6           /* compared to find it */
#define PLAYED_MS (LAG_MAX_MS + MATCH_MS + 1)
#define FADE_MS 5            /* of every splice */
#define CONCEAL_FULL_MS 10   /* invented sound at full level, ... */
#define CONCEAL_MS 50        /* ... and the end of it */
#define SAME_BURST_MS 2      /* datagrams of one frame come within this */
#define HOLE_GAP 1.5         /* times the frame before: one seems to be missing */
#define SPURT_GAP_MS 60      /* idle for so long: a new talkspurt, nothing to carry over */
#define WINDOW_MS 1000       /* the least lead is that of one to two of these */
#define BAND_MS 2            /* lead above margin + frame that is let be */
#define SLACK_MS 2.0         /* an arrival is before its tick by this at the least */
#define LOW_SHARE 0.85       /* of the margin: less lead than this is raised */
#define SHRINK_MS 5          /* surplus worth a splice in silence, */
#define RECOVER_MS 20        /* and where somebody speaks: more than one late frame leaves behind */
#define CUT_MAX_MS 25        /* left out at once, ... */
#define CUT_LOW_SHARE 0.4    /* ... and at least so much of what may be */
#define CUT_EVERY_MS 80      /* a sixth faster than life on the average, a third at the most */
#define CUT_WAIT_MS 500      /* by then any place is good enough */
#define ALIKE 0.97f          /* enough not to be heard, asked for at first */
#define CALM_MS 10000        /* no cuts after a late frame: the network jitters, and may want that lead again */
#define NOISE_AFTER_MS 160   /* nothing good was found for so long, ... */
#define NOISE_ALIKE 0.5f     /* ... and no lag is better than this: noise, ... */
#define NOISE_EVEN 0.8f      /* ... in which only a change of level is heard */
#define SILENCE_RMS 0.003f   /* -50 dBFS */
#define SLEW_PPM 250.0       /* most that the ratio changes in a tick: a bend, not a corner */
#define TRIM_S 2.0           /* time constant of the proportional part, ... */
#define RAISE_S 0.4          /* ... and of what a frame may soon lack, ... */
#define NEAR_MS 1.0          /* ... if it is more than this */
#define DRIFT_S 30.0         /* of the integral part, times TRIM_S */
#define DRIFT_MAX_PPM 1000.0
#define PEAK_DECAY_S 20.0    /* of the lateness that widens the margin */

enum state {
	STATE_IDLE,       /* nothing is playing */
	STATE_PLAYING,    /* the talker's sound, tick by tick */
	STATE_CONCEALING, /* it ran out; its last sound goes on, fading */
};

struct jitter {
	struct jitter_opts opts;
	struct resample *rs;
	enum state state;
	struct jitter_stats stats;
	size_t tick; /* samples of frame_ms, rounded up: 220 and 221 take turns at 11025 Hz */

	/* arrivals */
	bool heard;          /* last_put is valid */
	nsec last_put;
	double burst_ms;     /* media in the datagrams that came together last */
	double frame_ms;     /* of such a burst, smoothed; 0: none complete yet */
	double media_ms;     /* of everything in this talkspurt */
	double transit_ms;   /* last arrival against media time */
	bool has_transit;
	bool hole;           /* the next samples may not follow the last */

	/* control; all leads in ms */
	double lead_ms;      /* after the last tick */
	double start_ms;     /* after the first tick of this talkspurt */
	double min_now, min_before; /* least lead of this window and the one before */
	nsec window_end;
	double peak_ms;      /* lateness seen, decaying */
	bool holding;        /* the lead left its band: it is held from now on */
	nsec calm_at;        /* no cuts before, see CALM_MS */
	bool recovering;     /* surplus is being cut out, piece by piece */
	nsec cut_at;         /* the last piece, or so long before the first that it may be cut now */
	double trim_ppm;

	/* concealment */
	nsec missed_at;      /* the tick that ran out; NSEC_NONE: none, or its lateness is known */
	double late_ms;      /* of the first arrival after it */
	size_t lag;          /* period that is repeated */
	size_t invented;     /* samples so far */
	float step;          /* jump that the repetition would make, faded out */
	bool fade_in;        /* the next sound begins from nothing */

	/* v1 frames */
	struct order *order; /* NULL: none came yet */
	size_t pending;      /* samples that what is held there will take */
	size_t gap_left;     /* samples of a gap before rd */
	bool gap_silent;     /* it is one of silence */
	bool quiet;          /* what is invented only ends the sound */

	size_t cap, rd, wr;
	float *buf;          /* NULL: no frame came yet; most people in a room only listen */
};

static size_t samples(const struct jitter *j, double ms)
{
	return (size_t)(ms * j->opts.rate_hz / 1000);
}

static double ms_of(const struct jitter *j, size_t n)
{
	return 1000.0 * (double)n / j->opts.rate_hz;
}

static double ms_since(nsec then, nsec now)
{
	return now > then ? (double)(now - then) * 1e-6 : 0;
}

static size_t level(const struct jitter *j)
{
	return j->wr - j->rd;
}

/* Media between the next sample and the newest one. */
static size_t ahead(const struct jitter *j)
{
	return level(j) + j->gap_left + j->pending;
}

static size_t chunk_max(uint32_t rate_hz)
{
	return CHUNK * (size_t)rate_hz / AUDIO_RATE_MIN_HZ * 102 / 100 + rate_hz / 300;
}

static int check(struct jitter_opts *o)
{
	o->frame_ms = o->frame_ms ? o->frame_ms : 20;
	o->min_delay_ms = o->min_delay_ms ? o->min_delay_ms : 3;
	o->max_delay_ms = o->max_delay_ms ? o->max_delay_ms : 200;
	if (!audio_rate_ok(o->rate_hz) || o->frame_ms > 100 || o->max_delay_ms < 40 || o->max_delay_ms > 1000)
		return ERR_RANGE;
	return o->min_delay_ms > o->max_delay_ms / 2 || o->max_delay_ms < 2 * o->frame_ms ? ERR_RANGE : 0;
}

int jitter_new(const struct jitter_opts *opts, const struct resample_table *t, struct jitter **out)
{
	struct jitter_opts o = *opts;
	int err = check(&o);

	if (err)
		return err;
	size_t cap = (size_t)o.rate_hz * (o.max_delay_ms + PLAYED_MS) / 1000 + chunk_max(o.rate_hz);
	struct jitter *j = calloc(1, sizeof *j);

	if (!j)
		return ERR_NOMEM;
	j->opts = o;
	j->cap = cap;
	j->tick = (o.rate_hz * o.frame_ms + 999) / 1000;
	err = resample_new(t, o.rate_hz, o.rate_hz, &j->rs);
	if (err) {
		free(j);
		return err;
	}
	jitter_clear(j);
	*out = j;
	return 0;
}

void jitter_free(struct jitter *j)
{
	if (!j)
		return;
	resample_free(j->rs);
	free(j->order);
	free(j->buf);
	free(j);
}

void jitter_clear(struct jitter *j)
{
	size_t played = samples(j, PLAYED_MS);

	if (j->buf)
		memset(j->buf, 0, played * sizeof *j->buf);
	j->rd = j->wr = played;
	j->state = STATE_IDLE;
	j->heard = j->has_transit = j->holding = false;
	j->burst_ms = j->trim_ppm = 0;
	j->invented = 0;
	j->fade_in = true;
	j->missed_at = NSEC_NONE;
	j->pending = j->gap_left = 0;
	if (j->order)
		order_reset(j->order);
	resample_reset(j->rs, j->opts.rate_hz);
	resample_trim_ppm(j->rs, 0);
}

void jitter_skip(struct jitter *j)
{
	if (j->order && j->order->n_held == 0)
		order_reset(j->order);
}

/* Moves everything down when fewer than `n` samples are free behind wr. */
static void make_room(struct jitter *j, size_t n)
{
	size_t played = samples(j, PLAYED_MS), drop = j->rd - played;

	if (j->cap - j->wr >= n)
		return;
	memmove(j->buf, j->buf + drop, (j->wr - drop) * sizeof *j->buf);
	j->rd -= drop;
	j->wr -= drop;
	assert(j->cap - j->wr >= n);
}

/* ---- giving delay back at once ---- */

static void move_leads(struct jitter *j, double ms)
{
	j->min_now += ms;
	j->min_before += ms;
}

static void cut(struct jitter *j, size_t n)
{
	size_t fade = samples(j, FADE_MS), left = level(j) - n;

	splice_cut(j->buf + j->rd, n, fade < left ? fade : left);
	j->rd += n;
	j->stats.dropped_ms += ms_of(j, n);
	j->lead_ms -= ms_of(j, n);
	move_leads(j, -ms_of(j, n));
}

/* Skips about `n` stored samples (up to a period more), cross-fading over the cut. */
static void skip(struct jitter *j, size_t n)
{
	size_t match = samples(j, MATCH_MS), spare = level(j) - n;

	if (spare > match + 1) {
		size_t more = spare - match < samples(j, LAG_MAX_MS) ? spare - match : samples(j, LAG_MAX_MS);

		n = splice_lag(j->buf + j->rd, 1, n, n + more, match);
	}
	cut(j, n);
}

/* ---- arrivals ---- */

static void begin_spurt(struct jitter *j, uint32_t rate_hz)
{
	resample_reset(j->rs, rate_hz);
	resample_trim_ppm(j->rs, 0);
	j->trim_ppm = 0;
	j->holding = false;
	j->has_transit = false;
	j->burst_ms = 0;
	j->media_ms = 0;
	j->hole = true;
}

/* The first datagram of a burst: the one before is complete now. */
static void end_burst(struct jitter *j, nsec now)
{
	double transit = (double)now * 1e-6 - j->media_ms;

	if (j->burst_ms > 0)
		j->frame_ms += j->frame_ms > 0 ? (j->burst_ms - j->frame_ms) / 32 : j->burst_ms;
	j->burst_ms = 0;
	if (j->has_transit)
		j->stats.jitter_ms += (fabs(transit - j->transit_ms) - j->stats.jitter_ms) / 16;
	j->transit_ms = transit;
	j->has_transit = true;
}

/* `skipped_ms`: media that is known to be missing before it. */
static void note_arrival(struct jitter *j, const struct frame *f, double skipped_ms, nsec now)
{
	double gap_ms = j->heard ? ms_since(j->last_put, now) : 1e9, ms = 1000.0 * (double)f->n_samples / f->format.rate_hz;

	if (j->state == STATE_IDLE && ahead(j) == 0 && (f->is_v1 || gap_ms > SPURT_GAP_MS))
		begin_spurt(j, f->format.rate_hz);
	else if (!f->is_v1 && gap_ms > HOLE_GAP * j->burst_ms && gap_ms > SAME_BURST_MS)
		j->hole = true;
	j->media_ms += skipped_ms;
	if (gap_ms > SAME_BURST_MS)
		end_burst(j, now);
	j->burst_ms += ms;
	j->media_ms += ms;
	j->last_put = now;
	j->heard = true;
	if (j->missed_at != NSEC_NONE) {
		j->late_ms = ms_since(j->missed_at, now);
		j->missed_at = NSEC_NONE;
	}
	/* the trim changes every lead that will be; those in the window are to be compared with them */
	move_leads(j, -ms * j->trim_ppm * 1e-6);
	j->stats.n_put++;
}

static bool overflow(struct jitter *j)
{
	size_t most = samples(j, j->opts.max_delay_ms), n = level(j);

	if (n <= most)
		return false;
	skip(j, n - most + (j->tick < most / 2 ? j->tick : most / 2));
	j->stats.n_overflows++;
	return true;
}

/* Appends to the ring. Returns whether something was dropped for it. */
static bool feed(struct jitter *j, const struct frame *f)
{
	const size_t unit = f->format.codec->unit_bytes;
	bool dropped = false;

	if (f->format.rate_hz != resample_in_hz(j->rs)) {
		resample_change_rate(j->rs, f->format.rate_hz);
		j->stats.n_rate_changes++;
	}
	for (size_t at = 0, n; at < f->n_samples; at += n) {
		float in[CHUNK];

		n = f->n_samples - at < CHUNK ? f->n_samples - at : CHUNK;
		f->format.codec->decode(NULL, f->payload + at * unit, n * unit, in, n);
		if (j->hole)
			resample_join(j->rs, in, n);
		j->hole = false;
		make_room(j, resample_out_max(j->rs, n));
		j->wr += resample_run(j->rs, in, n, j->buf + j->wr, j->cap - j->wr);
		dropped |= overflow(j);
	}
	return dropped;
}

/* ---- v1 frames: what came out of order ---- */

static bool feed_next(struct jitter *j, const struct frame *f)
{
	order_place(j->order, f);
	return feed(j, f);
}

/* What was held and now follows. */
static bool feed_followers(struct jitter *j)
{
	struct frame f;
	bool dropped = false;

	while (order_first(j->order, &f) && f.v1.seq == j->order->next && order_gap(j->order, &f).samples == 0) {
		dropped |= feed_next(j, &f);
		order_drop_first(j->order);
	}
	j->pending = order_span(j->order, j->opts.rate_hz);
	return dropped;
}

/* The ring is played out and `f` is what comes next, after a gap. What was invented since is part of it. */
static bool open_gap(struct jitter *j, const struct frame *f)
{
	struct order_gap gap = order_gap(j->order, f);
	uint64_t n = (uint64_t)gap.samples * j->opts.rate_hz / f->format.rate_hz, most = samples(j, j->opts.max_delay_ms);

	n = n < most ? n : most;
	j->stats.order.n_lost += gap.lost;
	j->gap_left = j->state == STATE_IDLE || n < j->invented ? 0 : (size_t)n - j->invented;
	j->gap_silent = gap.silent;
	j->missed_at = NSEC_NONE;
	j->late_ms = 0;
	j->hole |= gap.lost > 0 || gap.samples > 0;
	bool dropped = feed_next(j, f);

	j->gap_left = level(j) + j->gap_left < most ? j->gap_left : most - level(j);
	return dropped;
}

/* What is missing before `f` is given up, and its place left out. */
static bool feed_over_gap(struct jitter *j, const struct frame *f)
{
	j->stats.order.n_lost += order_gap(j->order, f).lost;
	j->hole = true;
	return feed_next(j, f);
}

/* There is no more time or room to wait in: what is held goes into the ring, up to `until`, or all if that is NULL. */
static bool feed_held(struct jitter *j, const struct frame *until)
{
	struct frame f;
	bool dropped = false;

	while (order_first(j->order, &f) && !(until && (int16_t)(f.v1.seq - until->v1.seq) > 0)) {
		dropped |= feed_over_gap(j, &f);
		order_drop_first(j->order);
	}
	j->pending = order_span(j->order, j->opts.rate_hz);
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
	j->pending = order_span(o, j->opts.rate_hz);
	return false;
}

/* Over max_delay_ms with gaps and what is held, these are given up first. */
static bool keep_bound(struct jitter *j)
{
	size_t most = samples(j, j->opts.max_delay_ms), over = ahead(j) > most ? ahead(j) - most : 0;

	if (over == 0)
		return false;
	j->gap_left -= over < j->gap_left ? over : j->gap_left;
	if (ahead(j) > most)
		feed_held(j, NULL);
	j->stats.n_overflows++;
	return true;
}

static enum jitter_put put_in_order(struct jitter *j, const struct frame *f, nsec now)
{
	double skipped_ms;
	bool dropped = false;

	switch (order_note(j->order, f, &skipped_ms)) {
	case ORDER_DUPLICATE:
		j->stats.order.n_duplicates++;
		return JITTER_REFUSED;
	case ORDER_LATE:
		j->stats.order.n_too_late++;
		return JITTER_REFUSED;
	case ORDER_OLDER:
		j->stats.order.n_reordered++;
		j->stats.n_put++;
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

/* From here on frames have numbers, or again none. */
static bool ordered(struct jitter *j, const struct frame *f)
{
	if (f->is_v1 && !j->order)
		j->order = order_new(); /* without memory they are taken as they come */
	if (!f->is_v1 && j->order && j->order->live) {
		feed_held(j, NULL);
		order_reset(j->order);
	}
	return f->is_v1 && j->order;
}

enum jitter_put jitter_put(struct jitter *j, const struct frame *f, nsec now)
{
	if (f->n_samples == 0 || !audio_rate_ok(f->format.rate_hz))
		return JITTER_REFUSED;
	if (!j->buf && !(j->buf = calloc(j->cap, sizeof *j->buf)))
		return JITTER_REFUSED;
	if (ordered(j, f))
		return put_in_order(j, f, now);
	note_arrival(j, f, 0, now);
	return feed(j, f) ? JITTER_DROPPED_OLD : JITTER_STORED;
}

/* ---- concealment ---- */

static float conceal_gain(const struct jitter *j, size_t at)
{
	size_t full = j->quiet ? 0 : samples(j, CONCEAL_FULL_MS), end = samples(j, j->quiet ? FADE_MS : CONCEAL_MS);

	if (at <= full)
		return 1;
	return at >= end ? 0 : 1 - splice_rising(at - full, end - full);
}

/* Repeats the last period, found by likeness. What is left of a jump between its end and its
 * beginning is faded out over the first repetition. */
static void start_concealing(struct jitter *j, nsec now)
{
	size_t match = samples(j, MATCH_MS);
	const float *end = j->buf + j->rd;

	j->lag = splice_lag(end - match, -1, samples(j, LAG_MIN_MS), samples(j, LAG_MAX_MS), match);
	j->step = end[-1] - end[-1 - (ptrdiff_t)j->lag];
	j->invented = 0;
	j->missed_at = now;
	j->late_ms = 0;
	j->quiet = false;
	j->state = STATE_CONCEALING;
}

/* What is left of the jump `at` samples after the sound ran out. */
static float step_at(const struct jitter *j, size_t at)
{
	size_t fade = samples(j, FADE_MS);

	return at < fade ? j->step * (1 - splice_rising(at, fade)) : 0;
}

/* Invents `n` samples before what is stored. They become part of the past, at full level. */
static void conceal(struct jitter *j, float *out, size_t n)
{
	make_room(j, n);
	float *x = j->buf + j->rd;

	memmove(x + n, x, level(j) * sizeof *x);
	for (size_t i = 0; i < n; i++, j->invented++) {
		x[i] = x[(ptrdiff_t)i - (ptrdiff_t)j->lag] + step_at(j, j->invented);
		out[i] = x[i] * conceal_gain(j, j->invented);
	}
	j->rd += n;
	j->wr += n;
}

static void to_idle(struct jitter *j)
{
	j->state = STATE_IDLE;
	j->invented = 0;
	j->fade_in = true;
	j->missed_at = NSEC_NONE;
}

/* ---- playing ---- */

static double lead_now(const struct jitter *j, nsec now)
{
	return ms_of(j, ahead(j)) + ms_since(j->last_put, now);
}

/* Sound begins, or is back: from nothing, or from what was invented meanwhile. */
static void fade_in(struct jitter *j, float *out, size_t n)
{
	size_t fade = samples(j, FADE_MS) < n ? samples(j, FADE_MS) : n;
	const float *past = j->buf + j->rd - j->lag; /* rd is still before `out` */
	float gain = j->state == STATE_CONCEALING ? conceal_gain(j, j->invented) : 0;

	for (size_t i = 0; i < fade; i++) {
		float w = splice_rising(i, fade);

		out[i] *= w;
		if (gain > 0)
			out[i] += (1 - w) * gain * (past[i % j->lag] + step_at(j, j->invented + i));
	}
}

/* The lead tells whether the sound was late or lost: what was invented for a late frame is
 * added to the lead, for a lost one it only fills its place. */
static void judge_lateness(struct jitter *j, double lead_ms, nsec now)
{
	double invented_ms = ms_of(j, j->invented);

	if (j->late_ms > 0 && lead_ms > j->lead_ms + invented_ms / 2) {
		j->stats.n_late++;
		j->peak_ms = fmin(fmax(j->peak_ms, j->late_ms + 1), j->opts.max_delay_ms / 4.0);
		if (j->late_ms > invented_ms - ms_of(j, j->tick)) { /* else it was the ticks that were late */
			j->calm_at = now + nsec_from_ms(CALM_MS);
			j->recovering = false;
		}
	}
	j->late_ms = 0;
}

static void play(struct jitter *j, float *out, size_t n, nsec now)
{
	memcpy(out, j->buf + j->rd, n * sizeof *out);
	if (j->state == STATE_CONCEALING || j->fade_in)
		fade_in(j, out, n);
	j->rd += n;
	if (j->state == STATE_CONCEALING)
		judge_lateness(j, lead_now(j, now), now);
	j->fade_in = false;
	j->invented = 0;
	j->state = STATE_PLAYING;
}

/* ---- control ---- */

/* The delay of the resampler counts as part of min_delay_ms, but for the last SLACK_MS. */
static double margin_ms(const struct jitter *j)
{
	double wanted = j->opts.min_delay_ms, slack = fmax(wanted - resample_delay_ms(j->rs), fmin(wanted, SLACK_MS));

	return fmin(slack + j->peak_ms, j->opts.max_delay_ms / 2.0);
}

static double least_lead(const struct jitter *j)
{
	return fmin(j->min_now, j->min_before);
}

/* By how much the lead can exceed the margin for no better reason than the grid of ticks. */
static double frame_ms(const struct jitter *j)
{
	return fmin(j->frame_ms > 0 ? j->frame_ms : fmax(j->burst_ms, 1), j->opts.max_delay_ms / 2.0);
}

/* Frames that are not a whole part of a tick arrive at any phase in turn: they need more lead at
 * the start. */
static double phase_reserve_ms(const struct jitter *j, double tick)
{
	double frame = frame_ms(j), ratio = frame < tick ? tick / frame : frame / tick;

	if (fabs(ratio - round(ratio)) > 0.002 * ratio)
		return frame;
	return frame > 1.5 * tick ? frame - tick : 0;
}

static bool ready(const struct jitter *j, size_t n, nsec now)
{
	double waited = ms_since(j->last_put, now), tick = ms_of(j, n);

	if (ahead(j) < n)
		return level(j) > 0 && waited >= 2 * tick; /* the end of something short */
	return waited + ms_of(j, ahead(j) - n) >= margin_ms(j) + phase_reserve_ms(j, tick);
}

static void start_window(struct jitter *j, nsec now)
{
	j->min_now = j->min_before = 1e9;
	j->window_end = now + nsec_from_ms(WINDOW_MS);
	j->recovering = false;
}

static void note_lead(struct jitter *j, nsec now)
{
	j->lead_ms = lead_now(j, now);
	if (now >= j->window_end) {
		j->min_before = j->min_now;
		j->min_now = 1e9;
		j->window_end = now + nsec_from_ms(WINDOW_MS);
	}
	if (j->start_ms < 0)
		j->start_ms = j->lead_ms;
	j->min_now = fmin(j->min_now, j->lead_ms);
}

static void set_trim(struct jitter *j, double ppm)
{
	if (ppm == j->trim_ppm)
		return;
	j->trim_ppm = ppm;
	resample_trim_ppm(j->rs, ppm);
}

static void hold_lead(struct jitter *j, double surplus_ms, double dt_s)
{
	double most = RESAMPLE_TRIM_MAX_PPM, ppm = surplus_ms * 1000 / TRIM_S + j->stats.drift_ppm;

	if (surplus_ms < -NEAR_MS)
		ppm += (surplus_ms + NEAR_MS) * 1000 / RAISE_S;
	/* while the proportional part alone is at its limit there is nothing to learn */
	if (fabs(ppm) < most)
		j->stats.drift_ppm += surplus_ms * 1000 / TRIM_S * dt_s / DRIFT_S;
	j->stats.drift_ppm = fmin(fmax(j->stats.drift_ppm, -DRIFT_MAX_PPM), DRIFT_MAX_PPM);
	ppm = fmin(fmax(ppm, j->trim_ppm - SLEW_PPM), j->trim_ppm + SLEW_PPM);
	set_trim(j, fmin(fmax(ppm, -most), most));
}

static float rms(const float *x, size_t n)
{
	return sqrtf(pcm_mean_square(x, n));
}

/* A talkspurt may begin with up to a tick more than is safe: where its first frame falls short of a tick by half
 * a sample (11025 Hz) it has to wait for the second. That is no drift, and silence will give it back. */
static double most_lead(const struct jitter *j, double safe)
{
	return fmax(safe, fmin(j->start_ms, safe + ms_of(j, j->tick))) + BAND_MS;
}

/* Nobody speaks now, nor in what would be left out. */
static bool silent(const struct jitter *j, const float *out, size_t n, size_t n_cut)
{
	return j->gap_left == 0 && level(j) > n_cut + samples(j, FADE_MS) && rms(out, n) < SILENCE_RMS &&
	       rms(j->buf + j->rd, n_cut) < SILENCE_RMS;
}

/* Whether leaving out `lag` samples would not be heard. The longer one had to wait, the less is asked of the place;
 * what ordinary jitter may leave behind, too, is in no hurry. */
static bool may_cut(const struct jitter *j, size_t lag, double surplus_ms, double waited_ms)
{
	const float *x = j->buf + j->rd;
	struct splice_match m = splice_compare(x, x + lag, samples(j, MATCH_MS));
	double patience = (CUT_WAIT_MS - waited_ms) / (CUT_WAIT_MS - CUT_EVERY_MS);

	if (surplus_ms <= RECOVER_MS)
		return m.alike >= ALIKE;
	if (waited_ms >= NOISE_AFTER_MS && m.alike < NOISE_ALIKE && m.even > NOISE_EVEN)
		return true;
	return m.alike >= ALIKE * patience;
}

/* Leaves out a piece of what comes next, if the sound goes on after it as it would have before it. */
static void cut_piece(struct jitter *j, double surplus_ms, nsec now)
{
	size_t low, high, lag;
	double waited_ms = ms_since(j->cut_at, now), most_ms = fmin(surplus_ms, CUT_MAX_MS);

	if (waited_ms < CUT_EVERY_MS || j->state != STATE_PLAYING) /* what is invented, or a gap, is not to be cut */
		return;
	most_ms = fmin(most_ms, ms_of(j, level(j)) - MATCH_MS - 1);
	if (most_ms < LAG_MIN_MS)
		return;
	low = samples(j, fmax(LAG_MIN_MS, CUT_LOW_SHARE * most_ms));
	high = samples(j, most_ms);
	lag = splice_lag(j->buf + j->rd, 1, low, high, samples(j, MATCH_MS));
	if (!may_cut(j, lag, surplus_ms, waited_ms))
		return;
	cut(j, lag);
	j->start_ms = j->lead_ms; /* what is left in the end is let be as if it had begun so */
	j->cut_at = now;
	j->stats.n_cuts++;
}

/* Gives back much at once, or at least soon. Returns whether it is about that. */
static bool recover(struct jitter *j, const float *out, size_t n, double surplus_ms, nsec now)
{
	if (surplus_ms > SHRINK_MS && silent(j, out, n, samples(j, surplus_ms))) {
		skip(j, samples(j, surplus_ms));
		j->stats.n_shrinks++;
		return false;
	}
	if (surplus_ms > RECOVER_MS && !j->recovering && now >= j->calm_at) {
		j->recovering = true;
		j->cut_at = now - nsec_from_ms(CUT_EVERY_MS);
	}
	bool in_vain = ms_since(j->cut_at, now) > CUT_WAIT_MS;

	if (ms_since(j->cut_at, now) > 2 * WINDOW_MS) /* long enough to see all the surplus there is */
		j->recovering = false;
	if (j->recovering)
		cut_piece(j, surplus_ms, now);
	return j->recovering && !in_vain;
}

static void control(struct jitter *j, const float *out, size_t n, nsec now)
{
	double margin = margin_ms(j), safe = margin + frame_ms(j), dt_s = ms_of(j, n) / 1000, least;
	bool known, recovering = false;

	j->peak_ms *= 1 - dt_s / PEAK_DECAY_S;
	note_lead(j, now);
	known = j->min_before < 1e9;
	least = least_lead(j);
	if (known && (j->recovering || least > safe + SHRINK_MS)) {
		recovering = recover(j, out, n, least - safe, now);
		least = least_lead(j);
	}
	if (known && ((least > most_lead(j, safe) && !recovering) || least < margin * LOW_SHARE))
		j->holding = true;
	if (j->holding)
		hold_lead(j, recovering ? fmin(least - safe, 0) : least - safe, dt_s);
}

/* ---- v1 frames: a tick made of pieces ---- */

/* Up to `n` samples of the gap; they follow what was played or invented before. Returns how many. */
static size_t fill_gap(struct jitter *j, float *out, size_t n, nsec now)
{
	n = n < CHUNK ? n : CHUNK;
	n = n < j->gap_left ? n : j->gap_left;
	if (j->state != STATE_CONCEALING) {
		start_concealing(j, now);
		j->missed_at = NSEC_NONE;
		j->quiet = j->gap_silent;
	}
	conceal(j, out, n);
	j->gap_left -= n;
	return n;
}

/* Silence was announced: the end of the sound, faded if it ends above nothing. */
static void end_spurt(struct jitter *j, float *out, size_t n, nsec now)
{
	start_concealing(j, now);
	j->quiet = true;
	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < CHUNK ? n - at : CHUNK;
		conceal(j, out + at, k);
	}
	to_idle(j);
}

static enum jitter_result run_out(struct jitter *j, float *out, size_t n, nsec now)
{
	if (j->order->ends && j->state == STATE_PLAYING) {
		end_spurt(j, out, n, now);
		return JITTER_PLAYING;
	}
	if (j->state != STATE_CONCEALING)
		start_concealing(j, now);
	conceal(j, out, n);
	j->stats.n_concealed++;
	if (j->invented >= samples(j, CONCEAL_MS))
		to_idle(j);
	return JITTER_CONCEALED;
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

static enum jitter_result get_pieces(struct jitter *j, float *out, size_t n, nsec now)
{
	bool invented = false;
	size_t at = 0;

	/* as without numbers: what was late waits until it fills a tick */
	if (j->state == STATE_CONCEALING && j->gap_left == 0 && ahead(j) < n && !j->order->ends)
		return run_out(j, out, n, now);
	while (at < n) {
		if (j->gap_left > 0) {
			invented |= !j->gap_silent;
			at += fill_gap(j, out + at, n - at, now);
		} else if (level(j) > 0) {
			size_t k = level(j) < n - at ? level(j) : n - at;

			play(j, out + at, k, now);
			at += k;
		} else if (j->order->n_held > 0) {
			open_held(j);
		} else {
			return run_out(j, out + at, n - at, now);
		}
	}
	j->stats.n_concealed += invented;
	control(j, out, n, now);
	return invented ? JITTER_CONCEALED : JITTER_PLAYING;
}

enum jitter_result jitter_get(struct jitter *j, float *out, size_t n, nsec now)
{
	size_t have = level(j) < n ? level(j) : n;

	assert(n > 0 && n <= j->tick);
	if (j->state == STATE_IDLE) {
		if (!ready(j, n, now)) {
			memset(out, 0, n * sizeof *out);
			return JITTER_IDLE;
		}
		j->stats.n_spurts++;
		j->start_ms = -1;
		start_window(j, now);
	}
	j->stats.n_got++;
	if (j->gap_left > 0 || (have < n && j->order && j->order->live))
		return get_pieces(j, out, n, now);
	if (have == n) {
		play(j, out, n, now);
		control(j, out, n, now);
		return JITTER_PLAYING;
	}
	if (j->state == STATE_CONCEALING)
		have = 0; /* wait for a whole tick */
	else if (have > 0)
		play(j, out, have, now);
	if (j->state != STATE_CONCEALING)
		start_concealing(j, now);
	conceal(j, out + have, n - have);
	j->stats.n_concealed++;
	if (j->invented >= samples(j, CONCEAL_MS))
		to_idle(j);
	return JITTER_CONCEALED;
}

bool jitter_active(const struct jitter *j)
{
	return j->state != STATE_IDLE || ahead(j) > 0;
}

double jitter_depth_ms(const struct jitter *j)
{
	return ms_of(j, ahead(j));
}

double jitter_dropped_ms(const struct jitter *j)
{
	return j->stats.dropped_ms;
}

const struct jitter_order *jitter_order(const struct jitter *j)
{
	return &j->stats.order;
}

void jitter_stats(const struct jitter *j, struct jitter_stats *out)
{
	*out = j->stats;
	out->depth_ms = ms_of(j, ahead(j));
	out->target_ms = margin_ms(j);
	out->lead_ms = least_lead(j) < 1e9 ? least_lead(j) : 0;
	out->trim_ppm = j->trim_ppm;
}
