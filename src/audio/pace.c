/* SPDX-License-Identifier: MIT */
#include "audio/pace.h"

#include "audio/fade.h"
#include "audio/pcm.h"
#include "audio/resample.h"

#include <math.h>

#define WINDOW_MS 1000       /* the least lead is that of one to two of these */
#define BAND_MS 2            /* lead above margin + frame that is tolerated */
#define SLACK_MS 2.0         /* an arrival is at least this much before its tick */
#define SHRINK_MS 5          /* surplus worth a splice in silence, ... */
#define COMPRESS_MS 20       /* ... and in speech: more than one late frame leaves behind */
#define PIECE_MAX_MS 25      /* left out at once, ... */
#define PIECE_LOW_SHARE 0.4  /* ... and at least this share of what may be */
#define PIECE_EVERY_MS 80    /* a sixth faster than life on the average, a third at the most */
#define PIECE_WAIT_MS 500    /* by then any place is good enough */
#define ALIKE 0.97f          /* enough not to be heard, asked for at first */
#define ALIKE_CALM 0.99f     /* the same where there is no hurry */
#define CALM_MS 10000        /* no compression after a late frame: the network jitters, and may want that lead again */
#define NOISE_AFTER_MS 160   /* nothing good was found in this time, ... */
#define NOISE_ALIKE 0.5f     /* ... and no lag is better than this: noise, ... */
#define NOISE_EVEN 0.8f      /* ... in which only a change of level is heard */
#define SILENCE_RMS 0.003f   /* -50 dBFS */
#define SLEW_PPM 250.0       /* greatest change of the ratio in a tick, so that its curve has no corner */
#define TRIM_S 2.0           /* time constant of the proportional part, ... */
#define BEND_MAX_PPM 1000.0  /* of it, except what a stall left and time compression could not take away */
#define DRIFT_S 30.0         /* of the integral part, times TRIM_S */
#define DRIFT_MAX_PPM 4000.0
#define UNSEEN_SHARE 0.05    /* of the unevenness: later frames than the latest may still come */
#define AHEAD_S 25.0         /* that long before a drift has used up what is spare, the lead is raised */
#define STILL_PPM 20.0       /* drift learnt that is none */
#define STEADY_MS 0.5        /* the rest varies by less, if frames keep their place among the ticks */
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
static double slack_ms(const struct pace *p)
{
	double wanted = p->limits.min_delay_ms;

	return larger(wanted - resample_delay_ms(p->resample), smaller(wanted, SLACK_MS));
}

double pace_margin_ms(const struct pace *p)
{
	return smaller(slack_ms(p) + p->peak_ms, p->limits.max_delay_ms / 2.0);
}

double pace_least_lead_ms(const struct pace *p)
{
	return smaller(p->least_now, p->least_before);
}

/* Leads in the ring are less all that was moved since. */
static void move_leads(struct pace *p, double ms)
{
	p->least_now += ms;
	p->least_before += ms;
	p->moved_ms += ms;
}

static void forget_rest(struct pace *p)
{
	p->rest_low_now = p->rest_low_ms = LEAD_UNKNOWN;
	p->rest_high_now = p->rest_high_ms = -LEAD_UNKNOWN;
}

/* The delay was changed at once. */
static void step(struct pace *p, double ms)
{
	p->lead_ms += ms;
	move_leads(p, ms);
	forget_rest(p);
}

/* By how much the lead can exceed the margin for no better reason than the grid of ticks: one frame of the talker's. */
static double grid_ms(const struct pace *p)
{
	const struct arrivals *a = p->arrivals;

	return smaller(a->frame_ms > 0 ? a->frame_ms : larger(a->burst_ms, 1), p->limits.max_delay_ms / 2.0);
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
	p->least_old = LEAD_UNKNOWN;
	p->moved_ms = 0;
	p->n_windows = 0;
	p->change_ms = 0;
	forget_rest(p);
	p->window_end = now + nsec_from_ms(WINDOW_MS);
	p->compressing = false;
}

/* The least of the ring, as it would be now on a clock that drifts: less all that was moved since. */
static double least_of_ring(const struct pace *p)
{
	double ppm = p->holding ? p->drift_ppm : p->arrivals->trend.ppm, least = LEAD_UNKNOWN;

	for (unsigned i = 0; i < PACE_WINDOWS && i < p->n_windows; i++) {
		double age_s = (i + 2) * WINDOW_MS / 1000.0;

		least = smaller(least, p->least_then[(p->n_windows - 1 - i) % PACE_WINDOWS] + ppm * 1e-3 * age_s);
	}
	return least;
}

static void next_window(struct pace *p, nsec now)
{
	p->least_then[p->n_windows++ % PACE_WINDOWS] = p->least_before - p->moved_ms;
	p->least_old = least_of_ring(p);
	p->least_before = p->least_now;
	p->least_now = LEAD_UNKNOWN;
	p->rest_low_ms = p->rest_low_now;
	p->rest_high_ms = p->rest_high_now;
	p->rest_low_now = LEAD_UNKNOWN;
	p->rest_high_now = -LEAD_UNKNOWN;
	p->window_end = now + nsec_from_ms(WINDOW_MS);
}

/* Of all windows. */
static double least_of_all(const struct pace *p)
{
	return smaller(pace_least_lead_ms(p), p->least_old + p->moved_ms);
}

/* Stored beyond whole frames. A hair less than a frame is nothing. */
static double rest_ms(const struct pace *p, double stored_ms)
{
	double frame = grid_ms(p), rest = stored_ms - frame * (double)(long)(stored_ms / frame);

	return rest > frame - STEADY_MS / 2 ? rest - frame : rest;
}

static void note_lead(struct pace *p, const struct pace_tick *t, nsec now)
{
	double rest = rest_ms(p, t->stored_ms);

	p->lead_ms = t->lead_ms;
	if (now >= p->window_end)
		next_window(p, now);
	if (!p->has_start)
		p->start_ms = p->lead_ms;
	p->has_start = true;
	p->least_now = smaller(p->least_now, p->lead_ms);
	p->rest_low_now = smaller(p->rest_low_now, rest);
	p->rest_high_now = larger(p->rest_high_now, rest);
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
	/* the trim changes all later leads; those of the past are corrected to be comparable */
	move_leads(p, -ms * p->trim_ppm * 1e-6);
}

/* Concealment for a late frame adds to the lead; for a lost one it only fills its place. */
void pace_resumed(struct pace *p, double lead_ms, size_t concealed, nsec now)
{
	double concealed_ms = playout_ms(p->playout, concealed);

	if (p->late_ms > 0 && lead_ms > p->lead_ms + concealed_ms / 2) {
		p->n_late++;
		step(p, concealed_ms);
		p->least_now = smaller(p->least_now, larger(concealed_ms, playout_ms(p->playout, p->tick)) - p->late_ms);
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

static double within(double x, double low, double high)
{
	return smaller(larger(x, low), high);
}

static void hold_lead(struct pace *p, double surplus_ms, double dt_s)
{
	double pull = surplus_ms * 1000 / TRIM_S, most = surplus_ms > COMPRESS_MS ? RESAMPLE_TRIM_MAX_PPM : BEND_MAX_PPM;
	double bend = within(pull, -BEND_MAX_PPM, most), ppm;

	/* while the proportional part is at its limit, nothing can be learnt */
	if (bend == pull)
		p->drift_ppm += pull * dt_s / DRIFT_S;
	p->drift_ppm = within(p->drift_ppm, -DRIFT_MAX_PPM, DRIFT_MAX_PPM);
	ppm = within(bend + p->drift_ppm, p->trim_ppm - SLEW_PPM, p->trim_ppm + SLEW_PPM);
	set_trim(p, within(ppm, -RESAMPLE_TRIM_MAX_PPM, RESAMPLE_TRIM_MAX_PPM));
}

static void let_go(struct pace *p)
{
	set_trim(p, within(0, p->trim_ppm - SLEW_PPM, p->trim_ppm + SLEW_PPM));
}

static void begin_to_hold(struct pace *p)
{
	if (p->arrivals->trend.ppm != 0)
		p->drift_ppm = within(p->arrivals->trend.ppm, -DRIFT_MAX_PPM, DRIFT_MAX_PPM);
	p->holding = true;
}

/* A talkspurt may begin with up to a tick more than is safe: where its first frame falls short of a tick by half
 * a sample (11025 Hz) it has to wait for the second. That is no drift, and silence will give it back. */
static double most_lead(const struct pace *p, double safe)
{
	return larger(safe, smaller(p->start_ms, safe + playout_ms(p->playout, p->tick))) + BAND_MS;
}

/* ---- changing the delay at once ---- */

static void leave_out(struct pace *p, size_t n)
{
	struct playout *b = p->playout;
	size_t fade = playout_samples(b, SPLICE_FADE_MS), left = playout_level(b) - n;
	double ms = playout_ms(b, n);

	splice_cut(b->x + b->rd, n, fade < left ? fade : left);
	b->rd += n;
	p->dropped_ms += ms;
	step(p, -ms);
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

/* ---- in silence ---- */

/* Nobody spoke in the last `past` samples, nor will in the next `n`. */
static bool silent(const struct pace *p, size_t past, size_t n)
{
	const struct playout *b = p->playout;
	const float *x = b->x + b->rd;

	return rms(x - past, past) < SILENCE_RMS && rms(x, n) < SILENCE_RMS;
}

/* Makes silence longer: what was played, mirrored, passes into what comes, mirrored. */
static void repeat(struct pace *p, size_t n)
{
	struct playout *b = p->playout;

	playout_make_room(b, n);
	float *x = b->x + b->rd;

	memmove(x + n, x, playout_level(b) * sizeof *x);
	b->wr += n;
	for (size_t i = 0; i < n; i++) {
		float w = fade_rising(i, n);

		x[i] = (1 - w) * x[-1 - (ptrdiff_t)i] + w * x[2 * n - 1 - i];
	}
	step(p, playout_ms(b, n));
}

void pace_before(struct pace *p, size_t tick)
{
	const struct playout *b = p->playout;
	size_t level = playout_level(b), past = playout_samples(b, PLAYED_MS), most = tick < past ? tick : past;
	size_t n = playout_samples(b, smaller(fabs(p->change_ms), playout_ms(b, most)));

	if (fabs(p->change_ms) < SHRINK_MS || level < tick)
		return;
	if (p->change_ms > 0 && level >= tick + n && silent(p, most, n)) {
		leave_out(p, n);
		p->n_shrinks++;
		p->change_ms = 0;
	} else if (p->change_ms < 0 && playout_ms(b, level + n) <= p->limits.max_delay_ms && silent(p, most, n)) {
		repeat(p, n);
		p->change_ms = 0;
	}
}

/* ---- while somebody speaks ---- */

/* Whether leaving out `lag` samples would not be heard. The longer the wait so far, the less is asked of the place.
 * A surplus that ordinary jitter can leave is in no hurry. */
static bool good_place(const struct pace *p, size_t lag, double surplus_ms, double waited_ms)
{
	const struct playout *b = p->playout;
	const float *x = b->x + b->rd;
	struct splice_match m = splice_compare(x, x + lag, playout_samples(b, SPLICE_MATCH_MS));
	double patience = (PIECE_WAIT_MS - waited_ms) / (PIECE_WAIT_MS - PIECE_EVERY_MS);

	if (surplus_ms <= COMPRESS_MS)
		return m.alike >= ALIKE_CALM;
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

/* Gives back a large surplus soon. Returns whether it is doing so. */
static bool recover(struct pace *p, const struct pace_tick *t, double surplus_ms, nsec now)
{
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

/* What may go at once without a frame lacking anything: while frames keep their place among the ticks, the rest
 * and whole frames; otherwise what is more than is safe at any place. */
static double removable_ms(const struct pace *p, double least, double safe)
{
	double low = smaller(p->rest_low_ms, p->rest_low_now), high = larger(p->rest_high_ms, p->rest_high_now);
	double frame = grid_ms(p), any = larger(least - safe, 0);
	double spare = least - high - slack_ms(p) - p->arrivals->trend.uneven_ms * UNSEEN_SHARE;

	if (p->n_windows < PACE_WINDOWS || high - low > STEADY_MS || spare < 0)
		return any;
	return larger(any, low + frame * (double)(long)(spare / frame));
}

/* Wanted in the next silence. Sound that is lost without a number takes delay away with it. */
static double change_ms(const struct pace *p, double least, double safe)
{
	if (p->holding)
		return least - safe;
	return p->arrivals->trend.losing ? smaller(pace_least_lead_ms(p) - safe, 0) : removable_ms(p, least, safe);
}

/* A slow clock has soon used up what is spare. */
static bool runs_dry(const struct pace *p, double least)
{
	double ppm = p->arrivals->trend.ppm;

	return ppm < 0 && least - larger(p->rest_high_ms, p->rest_high_now) - slack_ms(p) < -ppm * 1e-3 * AHEAD_S;
}

static bool stands_still(const struct pace *p, double surplus_ms)
{
	const struct trend *t = &p->arrivals->trend;

	return t->ppm == 0 && t->n == TREND_PERIODS && fabs(p->drift_ppm) < STILL_PPM && fabs(surplus_ms) < BAND_MS;
}

static void keep_delay(struct pace *p, double safe, bool recovering, double dt_s)
{
	double least = least_of_all(p), surplus = least - safe;

	if (!p->holding && ((least > most_lead(p, safe) && !recovering) || runs_dry(p, least)))
		begin_to_hold(p);
	if (p->holding && (stands_still(p, surplus) || p->arrivals->trend.losing))
		p->holding = false;
	p->change_ms = change_ms(p, least, safe);
	if (p->holding)
		hold_lead(p, recovering ? smaller(surplus, 0) : surplus, dt_s);
	else if (p->trim_ppm != 0)
		let_go(p);
}

void pace_run(struct pace *p, const struct pace_tick *t, nsec now)
{
	double safe = slack_ms(p) + grid_ms(p), dt_s = playout_ms(p->playout, t->n) / 1000, surplus;
	bool recovering = false;

	p->peak_ms *= 1 - dt_s / PEAK_DECAY_S;
	note_lead(p, t, now);
	if (p->least_before >= LEAD_UNKNOWN)
		return;
	surplus = pace_least_lead_ms(p) - safe - p->peak_ms;
	if (p->compressing || surplus > SHRINK_MS)
		recovering = recover(p, t, surplus, now);
	keep_delay(p, safe, recovering, dt_s);
}
