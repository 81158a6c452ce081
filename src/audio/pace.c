/* SPDX-License-Identifier: MIT */
#include "audio/pace.h"

#include "audio/pcm.h"
#include "audio/resample.h"

#include <math.h>

#define WINDOW_MS 1000       /* the least lead is that of one to two of these */
#define BAND_MS 2            /* lead above margin + frame that is tolerated */
#define SLACK_MS 2.0         /* an arrival is at least this much before its tick */
#define LOW_SHARE 0.85       /* of the margin: less lead than this is raised */
#define SHRINK_MS 5          /* surplus worth a splice in silence, ... */
#define COMPRESS_MS 20       /* ... and in speech: more than one late frame leaves behind */
#define PIECE_MAX_MS 25      /* left out at once, ... */
#define PIECE_LOW_SHARE 0.4  /* ... and at least this share of what may be */
#define PIECE_EVERY_MS 80    /* a sixth faster than life on the average, a third at the most */
#define PIECE_WAIT_MS 500    /* by then any place is good enough */
#define ALIKE 0.97f          /* enough not to be heard, asked for at first */
#define CALM_MS 10000        /* no compression after a late frame: the network jitters, and may want that lead again */
#define NOISE_AFTER_MS 160   /* nothing good was found in this time, ... */
#define NOISE_ALIKE 0.5f     /* ... and no lag is better than this: noise, ... */
#define NOISE_EVEN 0.8f      /* ... in which only a change of level is heard */
#define SILENCE_RMS 0.003f   /* -50 dBFS */
#define SLEW_PPM 250.0       /* greatest change of the ratio in a tick, so that its curve has no corner */
#define TRIM_S 2.0           /* time constant of the proportional part, ... */
#define RAISE_S 0.4          /* ... and of what a frame may soon lack, ... */
#define NEAR_MS 1.0          /* ... if it is more than this */
#define DRIFT_S 30.0         /* of the integral part, times TRIM_S */
#define DRIFT_MAX_PPM 1000.0
#define PEAK_DECAY_S 20.0    /* of the lateness that widens the margin */

/* fmin() and fmax() are calls, for the sake of NaN. */
static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

void pace_init(struct pace *p, struct playout *playout, struct resample *resample, const struct arrivals *arrivals)
{
	p->playout = playout;
	p->resample = resample;
	p->arrivals = arrivals;
	p->missed_at = NSEC_NONE;
}

void pace_begin_spurt(struct pace *p)
{
	p->trim_ppm = 0;
	p->holding = false;
}

/* ---- leads ---- */

/* The delay of the resampler counts as part of min_delay_ms, except for the last SLACK_MS. */
double pace_margin_ms(const struct pace *p)
{
	double wanted = p->limits.min_delay_ms, slack = larger(wanted - resample_delay_ms(p->resample), smaller(wanted, SLACK_MS));

	return smaller(slack + p->peak_ms, p->limits.max_delay_ms / 2.0);
}

double pace_least_lead_ms(const struct pace *p)
{
	return smaller(p->least_now, p->least_before);
}

static void move_leads(struct pace *p, double ms)
{
	p->least_now += ms;
	p->least_before += ms;
}

/* By how much the lead can exceed the margin for no better reason than the grid of ticks: one frame of the talker's. */
static double grid_ms(const struct pace *p)
{
	const struct arrivals *a = p->arrivals;

	return smaller(a->burst_mean_ms > 0 ? a->burst_mean_ms : larger(a->burst_ms, 1), p->limits.max_delay_ms / 2.0);
}

/* Frames that are not a whole part of a tick arrive at any phase in turn: they need more lead at
 * the start. */
static double phase_reserve_ms(const struct pace *p, double tick)
{
	double frame = grid_ms(p), ratio = frame < tick ? tick / frame : frame / tick;

	if (fabs(ratio - round(ratio)) > 0.002 * ratio)
		return frame;
	return frame > 1.5 * tick ? frame - tick : 0;
}

bool pace_ready(const struct pace *p, size_t ahead, size_t n, nsec now)
{
	double waited = ms_between(p->arrivals->last_at, now), tick = playout_ms(p->playout, n);

	if (ahead < n)
		return playout_level(p->playout) > 0 && waited >= 2 * tick; /* the end of something short */
	return waited + playout_ms(p->playout, ahead - n) >= pace_margin_ms(p) + phase_reserve_ms(p, tick);
}

void pace_start(struct pace *p, nsec now)
{
	p->has_start = false;
	p->least_now = p->least_before = LEAD_UNKNOWN;
	p->window_end = now + nsec_from_ms(WINDOW_MS);
	p->compressing = false;
}

static void note_lead(struct pace *p, double lead_ms, nsec now)
{
	p->lead_ms = lead_ms;
	if (now >= p->window_end) {
		p->least_before = p->least_now;
		p->least_now = LEAD_UNKNOWN;
		p->window_end = now + nsec_from_ms(WINDOW_MS);
	}
	if (!p->has_start)
		p->start_ms = p->lead_ms;
	p->has_start = true;
	p->least_now = smaller(p->least_now, p->lead_ms);
}

/* ---- late or lost ---- */

void pace_missed(struct pace *p, nsec now)
{
	p->missed_at = now;
	p->late_ms = 0;
}

void pace_not_missed(struct pace *p)
{
	p->missed_at = NSEC_NONE;
	p->late_ms = 0;
}

void pace_arrived(struct pace *p, double ms, nsec now)
{
	if (p->missed_at != NSEC_NONE) {
		p->late_ms = ms_between(p->missed_at, now);
		p->missed_at = NSEC_NONE;
	}
	/* the trim changes all later leads; those in the window are corrected to be comparable */
	move_leads(p, -ms * p->trim_ppm * 1e-6);
}

/* Concealment for a late frame adds to the lead; for a lost one it only fills its place. */
void pace_resumed(struct pace *p, double lead_ms, size_t concealed, nsec now)
{
	double concealed_ms = playout_ms(p->playout, concealed);

	if (p->late_ms > 0 && lead_ms > p->lead_ms + concealed_ms / 2) {
		p->n_late++;
		p->peak_ms = smaller(larger(p->peak_ms, p->late_ms + 1), p->limits.max_delay_ms / 4.0);
		if (p->late_ms > concealed_ms - playout_ms(p->playout, p->tick)) { /* otherwise the ticks were late */
			p->calm_at = now + nsec_from_ms(CALM_MS);
			p->compressing = false;
		}
	}
	p->late_ms = 0;
}

/* ---- trimming ---- */

static void set_trim(struct pace *p, double ppm)
{
	if (ppm == p->trim_ppm)
		return;
	p->trim_ppm = ppm;
	resample_trim_ppm(p->resample, ppm);
}

static void hold_lead(struct pace *p, double surplus_ms, double dt_s)
{
	double most = RESAMPLE_TRIM_MAX_PPM, ppm = surplus_ms * 1000 / TRIM_S + p->drift_ppm;

	if (surplus_ms < -NEAR_MS)
		ppm += (surplus_ms + NEAR_MS) * 1000 / RAISE_S;
	/* while the proportional part alone is at its limit, nothing can be learnt */
	if (fabs(ppm) < most)
		p->drift_ppm += surplus_ms * 1000 / TRIM_S * dt_s / DRIFT_S;
	p->drift_ppm = smaller(larger(p->drift_ppm, -DRIFT_MAX_PPM), DRIFT_MAX_PPM);
	ppm = smaller(larger(ppm, p->trim_ppm - SLEW_PPM), p->trim_ppm + SLEW_PPM);
	set_trim(p, smaller(larger(ppm, -most), most));
}

/* A talkspurt may begin with up to a tick more than is safe: where its first frame falls short of a tick by half
 * a sample (11025 Hz) it has to wait for the second. That is no drift, and silence will give it back. */
static double most_lead(const struct pace *p, double safe)
{
	return larger(safe, smaller(p->start_ms, safe + playout_ms(p->playout, p->tick))) + BAND_MS;
}

/* ---- giving delay back at once ---- */

static void leave_out(struct pace *p, size_t n)
{
	struct playout *b = p->playout;
	size_t fade = playout_samples(b, SPLICE_FADE_MS), left = playout_level(b) - n;
	double ms = playout_ms(b, n);

	splice_cut(b->x + b->rd, n, fade < left ? fade : left);
	b->rd += n;
	p->dropped_ms += ms;
	p->lead_ms -= ms;
	move_leads(p, -ms);
}

void pace_skip(struct pace *p, size_t n)
{
	struct playout *b = p->playout;
	size_t match = playout_samples(b, SPLICE_MATCH_MS), lag_max = playout_samples(b, SPLICE_LAG_MAX_MS);
	size_t spare = playout_level(b) - n;

	if (spare > match + 1)
		n = splice_lag(b->x + b->rd, 1, n, n + (spare - match < lag_max ? spare - match : lag_max), match);
	leave_out(p, n);
}

static float rms(const float *x, size_t n)
{
	return sqrtf(pcm_mean_square(x, n));
}

/* Nobody speaks now, nor in the `n` samples that would be left out. */
static bool silent(const struct pace *p, const struct pace_tick *t, size_t n)
{
	const struct playout *b = p->playout;

	return !t->in_gap && playout_level(b) > n + playout_samples(b, SPLICE_FADE_MS) && rms(t->out, t->n) < SILENCE_RMS &&
	       rms(b->x + b->rd, n) < SILENCE_RMS;
}

/* Whether leaving out `lag` samples would not be heard. The longer the wait so far, the less is asked of the place.
 * A surplus that ordinary jitter can leave is in no hurry. */
static bool good_place(const struct pace *p, size_t lag, double surplus_ms, double waited_ms)
{
	const struct playout *b = p->playout;
	const float *x = b->x + b->rd;
	struct splice_match m = splice_compare(x, x + lag, playout_samples(b, SPLICE_MATCH_MS));
	double patience = (PIECE_WAIT_MS - waited_ms) / (PIECE_WAIT_MS - PIECE_EVERY_MS);

	if (surplus_ms <= COMPRESS_MS)
		return m.alike >= ALIKE;
	if (waited_ms >= NOISE_AFTER_MS && m.alike < NOISE_ALIKE && m.even > NOISE_EVEN)
		return true;
	return m.alike >= ALIKE * patience;
}

/* Leaves out a piece of what comes next, if the sound goes on after it as it would have before it. */
static void compress(struct pace *p, double surplus_ms, nsec now)
{
	const struct playout *b = p->playout;
	double waited_ms = ms_between(p->compressed_at, now), most_ms = smaller(surplus_ms, PIECE_MAX_MS);
	size_t low, lag;

	if (waited_ms < PIECE_EVERY_MS)
		return;
	most_ms = smaller(most_ms, playout_ms(b, playout_level(b)) - SPLICE_MATCH_MS - 1);
	if (most_ms < SPLICE_LAG_MIN_MS)
		return;
	low = playout_samples(b, larger(SPLICE_LAG_MIN_MS, PIECE_LOW_SHARE * most_ms));
	lag = splice_lag(b->x + b->rd, 1, low, playout_samples(b, most_ms), playout_samples(b, SPLICE_MATCH_MS));
	if (!good_place(p, lag, surplus_ms, waited_ms))
		return;
	leave_out(p, lag);
	p->start_ms = p->lead_ms; /* the rest is tolerated as if the talkspurt had begun with it */
	p->has_start = true;
	p->compressed_at = now;
	p->n_compressions++;
}

/* Gives back a large surplus at once, or soon. Returns whether it is doing so. */
static bool recover(struct pace *p, const struct pace_tick *t, double surplus_ms, nsec now)
{
	if (surplus_ms > SHRINK_MS && silent(p, t, playout_samples(p->playout, surplus_ms))) {
		pace_skip(p, playout_samples(p->playout, surplus_ms));
		p->n_shrinks++;
		return false;
	}
	if (surplus_ms > COMPRESS_MS && !p->compressing && now >= p->calm_at) {
		p->compressing = true;
		p->compressed_at = now - nsec_from_ms(PIECE_EVERY_MS);
	}
	bool no_place = ms_between(p->compressed_at, now) > PIECE_WAIT_MS;

	if (ms_between(p->compressed_at, now) > 2 * WINDOW_MS) /* long enough to see all the surplus there is */
		p->compressing = false;
	if (p->compressing && t->playing) /* neither concealment nor a gap is compressed */
		compress(p, surplus_ms, now);
	return p->compressing && !no_place;
}

/* ---- after each tick ---- */

void pace_run(struct pace *p, const struct pace_tick *t, nsec now)
{
	double margin = pace_margin_ms(p), safe = margin + grid_ms(p), dt_s = playout_ms(p->playout, t->n) / 1000, least;
	bool known, recovering = false;

	p->peak_ms *= 1 - dt_s / PEAK_DECAY_S;
	note_lead(p, t->lead_ms, now);
	known = p->least_before < LEAD_UNKNOWN;
	least = pace_least_lead_ms(p);
	if (known && (p->compressing || least > safe + SHRINK_MS)) {
		recovering = recover(p, t, least - safe, now);
		least = pace_least_lead_ms(p);
	}
	if (known && ((least > most_lead(p, safe) && !recovering) || least < margin * LOW_SHARE))
		p->holding = true;
	if (p->holding)
		hold_lead(p, recovering ? smaller(least - safe, 0) : least - safe, dt_s);
}
