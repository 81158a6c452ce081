/* SPDX-License-Identifier: MIT */
/*
 * An output sample at time t is the sum of x[k] * h(k - t), where h is a windowed sinc of 32 samples of the
 * slower side. h is kept for a grid of fractions of a sample; between
 * two of them the two sums are interpolated. A stream is a piece of its past in a buffer and a
 * position in it, so trimming the ratio is a matter of the step:
 *
 *     buf  [ past ....... | T/2 before | pos | T/2 after | fill
 *
 * A bank is h for one stretch (1 when the rate rises, else in/out). The banks cover every pair
 * of the usual rates exactly; another pair takes the next narrower filter.
 */
#include "audio/resample.h"

#include "audio/fade.h"
#include "audio/rate.h"
#include "audio/simd.h"
#include "base/err.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CROSSINGS 32      /* length of the filter in samples of the slower side */
#define CUTOFF 0.955      /* -6 dB, of the slower side's Nyquist frequency */
#define KAISER_BETA 8.6   /* stop band below -86 dB */
#define FRACTIONS 240     /* grid of a sample; divisible by 2, 3, 4, 5, 6, 8: those never interpolate */
#define TAPS_MAX (CROSSINGS * 6)
#define PAST 304          /* samples kept: two filters' worth at the greatest change of rate */
#define BUF (PAST + 336)
#define ON_GRID 1e-4      /* of a fraction: an error below -120 dB */
#define POS_SLACK 1e-9    /* what rounding may make of a whole position */
#define ORDER 32          /* of the prediction at a change of rate */
#define JOIN_MS 5         /* over which a hole is bridged, ... */
#define JOIN_MAX 240      /* ... and the same in samples at 48 kHz */
#define N_BANKS_MAX 20

static const uint32_t usual_hz[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
#define N_USUAL (sizeof usual_hz / sizeof *usual_hz)

struct bank {
	double stretch;
	size_t n_taps;      /* a multiple of 8 */
	size_t n_fractions; /* rows - 1 */
	const float *rows;
};

struct resample_table {
	size_t n_banks;
	struct bank banks[N_BANKS_MAX]; /* rising stretch */
	float *rows;
};

struct resample {
	const struct resample_table *table;
	const struct bank *bank;
	uint32_t in_hz, out_hz;
	double step; /* input samples per output sample */
	double pos;  /* of the next output sample in buf */
	size_t fill;
	bool trimmed; /* or may be: no copying without delay */
	bool primed;  /* something has gone through since the reset */
	float buf[BUF];
};

/* Modified Bessel function of order 0, by its series. */
static double bessel_i0(double x)
{
	double sum = 1, term = 1;

	for (int k = 1; term > 1e-12 * sum; k++) {
		term *= x / (2 * k) * (x / (2 * k));
		sum += term;
	}
	return sum;
}

/* h at `d` input samples from the middle, without its scale. */
static double kernel(double d, double stretch)
{
	double w = d / (stretch * CROSSINGS / 2), a = M_PI * CUTOFF * d / stretch;

	if (fabs(w) >= 1)
		return 0;
	return bessel_i0(KAISER_BETA * sqrt(1 - w * w)) * (fabs(a) < 1e-9 ? 1 : sin(a) / a);
}

static void bank_size(struct bank *b, double stretch)
{
	static const size_t grids[] = {40, 48, 60, 80, 120, FRACTIONS};
	size_t g = 0;

	b->stretch = stretch;
	b->n_taps = ((size_t)ceil(CROSSINGS * stretch - 1e-6) + 7) / 8 * 8;
	while ((double)grids[g] < FRACTIONS / stretch - 1e-6)
		g++;
	b->n_fractions = grids[g];
}

static size_t bank_floats(const struct bank *b)
{
	return b->n_taps * (b->n_fractions + 1);
}

/* Every row adds up to 1; otherwise a constant would carry a tone at the rate of the fractions. */
static void bank_fill(const struct bank *b, float *rows)
{
	for (size_t r = 0; r <= b->n_fractions; r++) {
		double row[TAPS_MAX], sum = 0;

		for (size_t i = 0; i < b->n_taps; i++) {
			double d = (double)i - (double)(b->n_taps / 2 - 1) - (double)r / (double)b->n_fractions;

			row[i] = kernel(d, b->stretch);
			sum += row[i];
		}
		for (size_t i = 0; i < b->n_taps; i++)
			rows[r * b->n_taps + i] = (float)(row[i] / sum);
	}
}

static void add_stretch(struct resample_table *t, double stretch)
{
	size_t i = 0;

	while (i < t->n_banks && t->banks[i].stretch < stretch - 1e-6)
		i++;
	if (i < t->n_banks && t->banks[i].stretch < stretch + 1e-6)
		return;
	assert(t->n_banks < N_BANKS_MAX);
	memmove(&t->banks[i + 1], &t->banks[i], (t->n_banks - i) * sizeof t->banks[0]);
	bank_size(&t->banks[i], stretch);
	t->n_banks++;
}

int resample_table_new(struct resample_table **out)
{
	struct resample_table *t = calloc(1, sizeof *t);
	size_t total = 0;

	if (!t)
		return ERR_NOMEM;
	for (size_t i = 0; i < N_USUAL; i++)
		for (size_t o = 0; o <= i; o++)
			add_stretch(t, (double)usual_hz[i] / usual_hz[o]);
	for (size_t i = 0; i < t->n_banks; i++)
		total += bank_floats(&t->banks[i]);
	t->rows = aligned_alloc(64, (total * sizeof *t->rows + 63) / 64 * 64);
	if (!t->rows) {
		free(t);
		return ERR_NOMEM;
	}
	float *rows = t->rows;

	for (size_t i = 0; i < t->n_banks; i++) {
		bank_fill(&t->banks[i], rows);
		t->banks[i].rows = rows;
		rows += bank_floats(&t->banks[i]);
	}
	*out = t;
	return 0;
}

void resample_table_free(struct resample_table *t)
{
	if (!t)
		return;
	free(t->rows);
	free(t);
}

static const struct bank *bank_for(const struct resample_table *t, uint32_t in_hz, uint32_t out_hz)
{
	double stretch = in_hz > out_hz ? (double)in_hz / out_hz : 1;
	size_t i = 0;

	while (i + 1 < t->n_banks && t->banks[i].stretch < stretch - 1e-6)
		i++;
	return &t->banks[i];
}

/* `n` is a multiple of 8; so it is a whole number of turns. */
AUDIO_INLINE float dot(const float *x, const float *c, size_t n)
{
	lanes sum = {0};

	for (size_t i = 0; i < n; i += LANES)
		sum += lanes_load(x + i) * lanes_load(c + i);
	return lanes_sum(sum);
}

/* Between the rows `c` and `c + n`. */
AUDIO_INLINE float dot_between(const float *x, const float *c, size_t n, float f)
{
	const float *d = c + n;
	lanes at_c = {0}, at_d = {0};

	for (size_t i = 0; i < n; i += LANES) {
		const lanes v = lanes_load(x + i);

		at_c += v * lanes_load(c + i);
		at_d += v * lanes_load(d + i);
	}
	return lanes_sum(at_c + (at_d - at_c) * f);
}

/* The sample at `frac` (0..1) after the middle of the bank's `n_taps` samples at `x`. Whole numbers are signed here: to
 * and from unsigned ones x86 has no conversion. */
AUDIO_INLINE float sample_at(const struct bank *b, size_t n_taps, const float *x, double frac)
{
	double place = frac * (double)(int)b->n_fractions;
	int row = (int)(place + ON_GRID);
	float f = (float)(place - row);
	const float *c = b->rows + (size_t)row * n_taps;

	return f < (float)ON_GRID ? dot(x, c, n_taps) : dot_between(x, c, n_taps, f);
}

static bool copying(const struct resample *r)
{
	return r->in_hz == r->out_hz && !r->trimmed;
}

static void set_rate(struct resample *r, uint32_t in_hz)
{
	r->in_hz = in_hz;
	r->bank = bank_for(r->table, in_hz, r->out_hz);
	r->step = (double)in_hz / r->out_hz;
}

/* Where the next output is when as much time has come out as has gone in. */
static double pos_at_start(const struct resample *r)
{
	return (double)r->fill - (copying(r) ? 0 : (double)(r->bank->n_taps / 2));
}

void resample_reset(struct resample *r, uint32_t in_hz)
{
	assert(audio_rate_ok(in_hz));
	set_rate(r, in_hz);
	memset(r->buf, 0, PAST * sizeof *r->buf);
	r->fill = PAST;
	r->trimmed = r->primed = false;
	r->pos = pos_at_start(r);
}

int resample_new(const struct resample_table *t, uint32_t in_hz, uint32_t out_hz, struct resample **out)
{
	struct resample *r;

	if (!audio_rate_ok(in_hz) || !audio_rate_ok(out_hz))
		return ERR_RANGE;
	r = malloc(sizeof *r);
	if (!r)
		return ERR_NOMEM;
	r->table = t;
	r->out_hz = out_hz;
	resample_reset(r, in_hz);
	*out = r;
	return 0;
}

void resample_free(struct resample *r)
{
	free(r);
}

void resample_copy(struct resample *to, const struct resample *from)
{
	assert(to->table == from->table);
	*to = *from;
}

void resample_trim_ppm(struct resample *r, double ppm)
{
	bool was_copying = copying(r);

	ppm = fmin(fmax(ppm, -RESAMPLE_TRIM_MAX_PPM), RESAMPLE_TRIM_MAX_PPM);
	r->trimmed = true;
	r->step = (double)r->in_hz / r->out_hz * (1 + ppm * 1e-6);
	if (was_copying && !r->primed)
		r->pos = pos_at_start(r);
}

size_t resample_out_max(const struct resample *r, size_t n_in)
{
	double most = (double)n_in * r->out_hz / r->in_hz * (1 + RESAMPLE_TRIM_MAX_PPM * 1e-6);
	double withheld = (double)r->out_hz * (CROSSINGS / 2 + 4) / AUDIO_RATE_MIN_HZ; /* by a slower rate before */

	return (size_t)(most * (1 + 1e-9) + withheld) + 3;
}

/* Drops the past beyond PAST when `n` more would not fit. */
static void make_room(struct resample *r, size_t n)
{
	size_t drop = r->fill - PAST;

	if (r->fill + n <= BUF)
		return;
	memmove(r->buf, r->buf + drop, PAST * sizeof *r->buf);
	r->fill = PAST;
	r->pos -= (double)drop;
}

static void remember(struct resample *r, const float *in, size_t n)
{
	if (n > BUF - PAST) {
		in += n - (BUF - PAST);
		n = BUF - PAST;
	}
	make_room(r, n);
	memcpy(r->buf + r->fill, in, n * sizeof *in);
	r->fill += n;
	r->pos = (double)r->fill;
}

AUDIO_INLINE size_t produce_taps(struct resample *r, float *out, size_t n_taps)
{
	const struct bank b = *r->bank;
	const float *x = r->buf + 1 - n_taps / 2;
	double pos = r->pos, step = r->step;
	int end = (int)r->fill - (int)(n_taps / 2);
	size_t n = 0;

	for (int whole; (whole = (int)(pos + POS_SLACK)) < end; pos += step) {
		double frac = pos - whole;

		out[n++] = sample_at(&b, n_taps, x + whole, frac > 0 ? frac : 0);
	}
	r->pos = pos;
	return n;
}

/* Loops of a known length need no counting: 32 taps are every rate that stays or rises, 48 and 64 are 24 000
 * and 32 000 Hz to 16 000, 96 is 44 100 and 48 000 Hz to that. */
AUDIO_FMA static size_t produce(struct resample *r, float *out)
{
	switch (r->bank->n_taps) {
	case 32: return produce_taps(r, out, 32);
	case 48: return produce_taps(r, out, 48);
	case 64: return produce_taps(r, out, 64);
	case 96: return produce_taps(r, out, 96);
	default: return produce_taps(r, out, r->bank->n_taps);
	}
}

/* Equal rates, never off the grid so far: nothing to compute. */
static size_t produce_copy(struct resample *r, float *out)
{
	size_t half = r->bank->n_taps / 2, from = (size_t)r->pos;
	size_t n = r->fill > from + half ? r->fill - half - from : 0;

	memcpy(out, r->buf + from, n * sizeof *out);
	r->pos += (double)n;
	return n;
}

/* The same for a whole past and more at once, which need not go through the buffer to come out again. */
static size_t pass_by(struct resample *r, const float *in, size_t n, float *out)
{
	size_t half = r->bank->n_taps / 2, waiting = r->fill - (size_t)r->pos, direct = n - half;

	memcpy(out, r->buf + r->fill - waiting, waiting * sizeof *out);
	memcpy(out + waiting, in, direct * sizeof *out);
	memcpy(r->buf, in + n - PAST, PAST * sizeof *in);
	r->fill = PAST;
	r->pos = (double)(int)(PAST - half);
	return waiting + direct;
}

static bool on_grid(const struct resample *r)
{
	return r->step == 1 && r->pos == floor(r->pos) && r->pos <= (double)(int)r->fill;
}

size_t resample_run(struct resample *r, const float *in, size_t n_in, float *out, size_t out_cap)
{
	size_t made = 0;

	assert(out_cap >= (copying(r) ? n_in : resample_out_max(r, n_in)));
	if (n_in > 0)
		r->primed = true;
	if (copying(r)) {
		remember(r, in, n_in);
		memcpy(out, in, n_in * sizeof *in);
		return n_in;
	}
	while (n_in > 0) {
		size_t n = n_in < BUF - PAST ? n_in : BUF - PAST;

		if (n >= PAST && on_grid(r)) {
			made += pass_by(r, in, n, out + made);
		} else {
			make_room(r, n);
			memcpy(r->buf + r->fill, in, n * sizeof *in);
			r->fill += n;
			made += on_grid(r) ? produce_copy(r, out + made) : produce(r, out + made);
		}
		in += n;
		n_in -= n;
	}
	return made;
}

/* Burg's method: a predictor that is always stable and follows tones well. Writes `order`
 * coefficients a[], x[n] = -sum a[k] * x[n-1-k]; returns how many of them are valid. */
static size_t burg(const float *x, size_t n, double *a, size_t order)
{
	double f[PAST], b[PAST], energy = 0;

	assert(n <= PAST);
	for (size_t i = 0; i < n; i++) {
		f[i] = b[i] = x[i];
		energy += f[i] * f[i];
	}
	for (size_t m = 0; m < order; m++) {
		double num = 0, den = 0;

		for (size_t i = m + 1; i < n; i++) {
			num += f[i] * b[i - 1];
			den += f[i] * f[i] + b[i - 1] * b[i - 1];
		}
		if (den <= 1e-14 * energy || den < 1e-12)
			return m;
		double k = -2 * num / den;

		for (size_t i = 0; i < (m + 1) / 2; i++) {
			double low = a[i], high = a[m - 1 - i];

			a[i] = low + k * high;
			a[m - 1 - i] = high + k * low;
		}
		a[m] = k;
		for (size_t i = n - 1; i > m; i--) {
			double was = f[i];

			f[i] = was + k * b[i - 1];
			b[i] = b[i - 1] + k * was;
		}
	}
	return order;
}

/* Continues x[0..n) by `more` samples. */
static void extrapolate(float *x, size_t n, size_t more)
{
	double a[ORDER] = {0};
	size_t order = burg(x, n, a, ORDER);

	for (size_t i = n; i < n + more; i++) {
		double v = 0;

		for (size_t k = 0; k < order; k++)
			v -= a[k] * x[i - 1 - k];
		x[i] = (float)v;
	}
}

/*
 * The past is converted to the new rate, so that the filter finds one continuous signal. The
 * last samples of the past need some that would have followed at the old rate: those are predicted.
 */
void resample_change_rate(struct resample *r, uint32_t new_in_hz)
{
	float old[PAST + TAPS_MAX / 2 + 1];
	double ratio = (double)r->in_hz / new_in_hz, trim = r->step * r->out_hz / r->in_hz;
	double lag = ((double)r->fill - r->pos) / ratio;
	const struct bank *b = bank_for(r->table, r->in_hz, new_in_hz);
	size_t half = b->n_taps / 2;

	assert(audio_rate_ok(new_in_hz));
	if (new_in_hz == r->in_hz)
		return;
	memcpy(old, r->buf + r->fill - PAST, PAST * sizeof *old);
	extrapolate(old, PAST, half + 1);
	for (size_t j = 1; j <= PAST; j++) {
		double t = PAST - (double)j * ratio;
		size_t whole = (size_t)fmax(t, 0);
		bool known = t >= (double)(half - 1);

		r->buf[PAST - j] = known ? sample_at(b, b->n_taps, old + whole + 1 - half, t - (double)whole) : 0;
	}
	set_rate(r, new_in_hz);
	r->step *= trim;
	r->trimmed = true; /* from now on there is a delay to keep, whatever the rate */
	r->fill = PAST;
	r->pos = PAST - lag;
}

void resample_join(struct resample *r, float *in, size_t n)
{
	float x[PAST + JOIN_MAX];
	size_t len = (size_t)r->in_hz * JOIN_MS / 1000;

	len = len < JOIN_MAX ? len : JOIN_MAX;
	len = len < n ? len : n;
	memcpy(x, r->buf + r->fill - PAST, PAST * sizeof *x);
	extrapolate(x, PAST, len);
	for (size_t i = 0; i < len; i++) {
		float w = fade_rising(i, len);

		in[i] = w * in[i] + (1 - w) * x[PAST + i];
	}
}

double resample_delay_ms(const struct resample *r)
{
	return copying(r) ? 0 : 1000.0 * (double)(r->bank->n_taps / 2) / r->in_hz;
}

uint32_t resample_in_hz(const struct resample *r)
{
	return r->in_hz;
}
