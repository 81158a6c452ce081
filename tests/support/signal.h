/* SPDX-License-Identifier: MIT */
/*
 * signal - what tests measure sound with. Levels are in dB of the ratio of amplitudes, so
 * that a full-scale sine has an RMS of -3 dB. Allocates and frees inside; slow and exact.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define SIG_TONES_MAX 8

double sig_db(double ratio); /* 20 log10, -200 for nothing */
double sig_rms(const float *x, size_t n);
double sig_peak(const float *x, size_t n);

/* Fits sines of the given frequencies and a constant to x by least squares. Returns their level
 * over that of all the rest in dB. `amplitudes` (n_tones of them) and `residual` (n) may be NULL. */
double sig_snr(const float *x, size_t n, double rate_hz, const double *hz, size_t n_tones, double *amplitudes,
	       float *residual);

/* Amplitude of one frequency, by the same fit. */
double sig_level(const float *x, size_t n, double rate_hz, double hz);

/* The frequency near `guess_hz` (+-2 %) that fits best. */
double sig_frequency(const float *x, size_t n, double rate_hz, double guess_hz);

/* By how many samples `b` lags `a`, -max_lag..max_lag, fractions by a parabola through the peak. */
double sig_delay(const float *a, const float *b, size_t n, size_t max_lag);

/* The highest peak of what lies above `above_hz`: a click in a lower sound shows here. Writes
 * where it is unless `at` is NULL. Filter: 127 taps, so the first and last 63 samples are left out. */
double sig_click(const float *x, size_t n, double rate_hz, double above_hz, size_t *at);

/* Noise in -1..1, the same for the same seed; advances the seed. */
float sig_noise(uint32_t *seed);
