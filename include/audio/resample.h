/* SPDX-License-Identifier: MIT */
/*
 * resample - one stream from one sample rate to another, both 8000..48000 Hz, with a ratio
 * that can be trimmed to follow a clock. Windowed sinc (Kaiser) over 32 zero crossings at the
 * lower of the two rates, coefficients interpolated from a table that all streams share.
 *
 * A tone below 0.75 of the lower Nyquist frequency: SNR >= 80 dB, level within 0.1 dB; what
 * would fold (above 1.15 times that frequency) is <= -80 dB. tests/unit/audio/test_resample.c
 * holds every pair of rates to this. Delay: 16 samples of the lower rate, 0.33 ms (48 kHz) to
 * 2 ms (8 kHz); 1 ms between 48 and 16 kHz.
 *
 * Single-threaded, no clock. Memory: the table about 0.7 MB once, each stream 2.6 KB
 * taken in resample_new(); nothing is allocated later. The table is immutable: share it.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define RESAMPLE_TRIM_MAX_PPM 5000.0

struct resample_table;
struct resample;

/* Computes the filters (under 10 ms). ERR_NOMEM. */
int resample_table_new(struct resample_table **out);
void resample_table_free(struct resample_table *t);

/* Borrows `t` until resample_free(). ERR_RANGE for a rate outside 8000..48000, ERR_NOMEM.
 * Equal rates are copied bit for bit without delay until resample_trim_ppm() is called. */
int resample_new(const struct resample_table *t, uint32_t in_hz, uint32_t out_hz, struct resample **out);
void resample_free(struct resample *r);

/* As new, at `in_hz` (8000..48000): without a past and never trimmed. */
void resample_reset(struct resample *r, uint32_t in_hz);

/* `to` goes on as `from` would: rates, past, position and trim. Both use the same table. */
void resample_copy(struct resample *to, const struct resample *from);

/* Changes the ratio from the next sample on, without a click: positive consumes the input faster
 * (fewer samples come out). Clamped to +-5000 ppm. Between equal rates the first call ends the copying
 * without delay. Before the first sample (with 0 ppm, for example) it costs only the
 * delay of the filter; later it withholds the samples of that delay once. */
void resample_trim_ppm(struct resample *r, double ppm);

/* Most samples that resample_run() makes of `n_in`, whatever its state. */
size_t resample_out_max(const struct resample *r, size_t n_in);

/* Consumes all of `in` and returns how many samples it wrote. `out_cap` must be at least
 * resample_out_max(r, n_in). The count is that of the time passed: the first 20 ms in give
 * 20 ms out (beginning with the filter's delay of silence). The buffers must not overlap. */
size_t resample_run(struct resample *r, const float *in, size_t n_in, float *out, size_t out_cap);

/* The source goes on at another rate, without a click: the past is carried over by converting
 * it. 8000..48000. */
void resample_change_rate(struct resample *r, uint32_t new_in_hz);

/* For input that does not follow the input before it (after a lost frame, or at the start): blends the first 5 ms of
 * in[0..n) with a prediction of how the past would have gone on, so that the jump makes no click. If there was no jump,
 * little changes. Takes about 50 us. */
void resample_join(struct resample *r, float *in, size_t n);

/* Between a sample's arrival and its output. */
double resample_delay_ms(const struct resample *r);
uint32_t resample_in_hz(const struct resample *r);
