/* SPDX-License-Identifier: MIT */
#include "support/signal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWNS (2 * SIG_TONES_MAX + 1)
#define TAPS 127

double sig_db(double ratio)
{
	return ratio > 1e-10 ? 20 * log10(ratio) : -200;
}

double sig_rms(const float *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return n ? sqrt(sum / (double)n) : 0;
}

double sig_peak(const float *x, size_t n)
{
	double peak = 0;

	for (size_t i = 0; i < n; i++)
		peak = fmax(peak, fabs((double)x[i]));
	return peak;
}

/* Gauss with pivoting; `a` has `m` rows of m + 1. */
static void solve(double a[UNKNOWNS][UNKNOWNS + 1], size_t m, double *out)
{
	for (size_t c = 0; c < m; c++) {
		size_t best = c;
		double tmp[UNKNOWNS + 1];

		for (size_t r = c + 1; r < m; r++)
			if (fabs(a[r][c]) > fabs(a[best][c]))
				best = r;
		memcpy(tmp, a[c], sizeof tmp);
		memcpy(a[c], a[best], sizeof tmp);
		memcpy(a[best], tmp, sizeof tmp);
		for (size_t r = 0; r < m; r++) {
			double f = r == c || a[c][c] == 0 ? 0 : a[r][c] / a[c][c];

			for (size_t k = c; k <= m && f != 0; k++)
				a[r][k] -= f * a[c][k];
		}
	}
	for (size_t c = 0; c < m; c++)
		out[c] = a[c][c] == 0 ? 0 : a[c][m] / a[c][c];
}

/* The values of all base functions at sample i. */
static void basis(double i, double rate_hz, const double *hz, size_t n_tones, double *v)
{
	v[0] = 1;
	for (size_t t = 0; t < n_tones; t++) {
		v[1 + 2 * t] = sin(2 * M_PI * hz[t] * i / rate_hz);
		v[2 + 2 * t] = cos(2 * M_PI * hz[t] * i / rate_hz);
	}
}

double sig_snr(const float *x, size_t n, double rate_hz, const double *hz, size_t n_tones, double *amplitudes,
	       float *residual)
{
	double a[UNKNOWNS][UNKNOWNS + 1] = {0}, v[UNKNOWNS], c[UNKNOWNS], tones = 0, rest = 0;
	size_t m = 2 * n_tones + 1;

	assert(n_tones <= SIG_TONES_MAX);
	for (size_t i = 0; i < n; i++) {
		basis((double)i, rate_hz, hz, n_tones, v);
		for (size_t r = 0; r < m; r++) {
			for (size_t k = 0; k < m; k++)
				a[r][k] += v[r] * v[k];
			a[r][m] += v[r] * (double)x[i];
		}
	}
	solve(a, m, c);
	for (size_t i = 0; i < n; i++) {
		double fit = 0;

		basis((double)i, rate_hz, hz, n_tones, v);
		for (size_t k = 0; k < m; k++)
			fit += c[k] * v[k];
		double left = (double)x[i] - fit;

		tones += (fit - c[0]) * (fit - c[0]);
		rest += left * left;
		if (residual)
			residual[i] = (float)left;
	}
	for (size_t t = 0; t < n_tones && amplitudes; t++)
		amplitudes[t] = hypot(c[1 + 2 * t], c[2 + 2 * t]);
	return rest > 0 ? sig_db(sqrt(tones / rest)) : 200;
}

double sig_level(const float *x, size_t n, double rate_hz, double hz)
{
	double amplitude;

	sig_snr(x, n, rate_hz, &hz, 1, &amplitude, NULL);
	return amplitude;
}

/* Golden section on the fit; the lobe is 2 rate / n wide, so a coarse search comes first. */
double sig_frequency(const float *x, size_t n, double rate_hz, double guess_hz)
{
	const double g = 0.6180339887498949;
	double lobe = rate_hz / (double)n / 2, best = guess_hz, most = -300;

	for (double hz = guess_hz * 0.98; hz <= guess_hz * 1.02; hz += lobe) {
		double snr = sig_snr(x, n, rate_hz, &hz, 1, NULL, NULL);

		if (snr > most) {
			most = snr;
			best = hz;
		}
	}
	double low = best - lobe, high = best + lobe;

	for (int i = 0; i < 40; i++) {
		double p = high - g * (high - low), q = low + g * (high - low);

		if (sig_snr(x, n, rate_hz, &p, 1, NULL, NULL) > sig_snr(x, n, rate_hz, &q, 1, NULL, NULL))
			high = q;
		else
			low = p;
	}
	return (low + high) / 2;
}

static double correlation(const float *a, const float *b, size_t n, long lag)
{
	size_t from = lag < 0 ? (size_t)-lag : 0, to = lag > 0 ? n - (size_t)lag : n;
	double sum = 0;

	for (size_t i = from; i < to; i++)
		sum += (double)a[i] * (double)b[(long)i + lag];
	return sum / (double)(to - from);
}

double sig_delay(const float *a, const float *b, size_t n, size_t max_lag)
{
	long best = 0;
	double most = -1e300;

	for (long lag = -(long)max_lag; lag <= (long)max_lag; lag++) {
		double v = correlation(a, b, n, lag);

		if (v > most) {
			most = v;
			best = lag;
		}
	}
	double l = correlation(a, b, n, best - 1), r = correlation(a, b, n, best + 1), bend = l - 2 * most + r;

	return (double)best + (bend < 0 ? (l - r) / 2 / bend : 0);
}

double sig_click(const float *x, size_t n, double rate_hz, double above_hz, size_t *at)
{
	double h[TAPS], sum = 0, worst = 0;

	for (int i = 0; i < TAPS; i++) {
		double d = i - TAPS / 2, u = 2 * M_PI * i / (TAPS - 1);

		h[i] = d == 0 ? 2 * above_hz / rate_hz : sin(2 * M_PI * above_hz / rate_hz * d) / (M_PI * d);
		h[i] *= 0.35875 - 0.48829 * cos(u) + 0.14128 * cos(2 * u) - 0.01168 * cos(3 * u);
		sum += h[i];
	}
	for (int i = 0; i < TAPS; i++)
		h[i] = (i == TAPS / 2) - h[i] / sum;
	for (size_t i = 0; i + TAPS <= n; i++) {
		double y = 0;

		for (size_t k = 0; k < TAPS; k++)
			y += h[k] * (double)x[i + k];
		if (fabs(y) > worst) {
			worst = fabs(y);
			if (at)
				*at = i + TAPS / 2;
		}
	}
	return worst;
}

float sig_noise(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (float)(int32_t)*seed / 2147483648.0f;
}
