/* SPDX-License-Identifier: MIT */
/*
 * Our resampler beside speexdsp's, in one run: cost of an output sample, SNR, what is folded, delay;
 * then the cost of the other blocks of the voice path. Times are the least of many short
 * rounds, interleaved, so that another load on the machine hits all alike; read the ratios.
 */
#include "audio/jitter.h"
#include "audio/limiter.h"
#include "audio/mixer.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "audio/splice.h"
#include "audio/vad.h"
#include "support/frames.h"
#include "base/time.h"
#include "support/signal.h"

#include <math.h>
#include <speex/speex_resampler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 40
#define BLOCKS 100
#define SAMPLES_MAX (48000 * 2)

static struct resample_table *table;
static float in[SAMPLES_MAX], out[SAMPLES_MAX];

struct engine {
	const char *name;
	int quality; /* of speexdsp; -1: ours, -2: ours with a ratio that is being bent */
	struct resample *ours;
	SpeexResamplerState *speex;
};

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void engine_open(struct engine *e, uint32_t from, uint32_t to)
{
	int err = 0;

	if (e->quality >= 0)
		e->speex = speex_resampler_init(1, from, to, e->quality, &err);
	else
		err = resample_new(table, from, to, &e->ours);
	if (err)
		abort();
	if (e->quality == -2)
		resample_trim_ppm(e->ours, 37);
}

static void engine_close(struct engine *e)
{
	resample_free(e->ours);
	if (e->speex)
		speex_resampler_destroy(e->speex);
	e->ours = NULL;
	e->speex = NULL;
}

static size_t engine_run(struct engine *e, const float *x, size_t n, float *y)
{
	spx_uint32_t n_in = (spx_uint32_t)n, n_out = SAMPLES_MAX / 2;

	if (e->ours)
		return resample_run(e->ours, x, n, y, SAMPLES_MAX / 2);
	speex_resampler_process_float(e->speex, 0, x, &n_in, y, &n_out);
	return n_out;
}

static size_t convert(struct engine *e, uint32_t from, uint32_t to, double hz)
{
	size_t n = from / 2, m = 0;

	for (size_t i = 0; i < n; i++)
		in[i] = (float)(0.5 * sin(2 * M_PI * hz * (double)i / from));
	engine_open(e, from, to);
	for (size_t at = 0; at + from / 50 <= n; at += from / 50)
		m += engine_run(e, in + at, from / 50, out + m);
	engine_close(e);
	return m;
}

static double snr(struct engine *e, uint32_t from, uint32_t to, double hz)
{
	double mixed = e->quality == -2 ? hz * (1 + 37e-6) : hz; /* its clock is bent */
	size_t m = convert(e, from, to, hz), skip = to / 20;

	return sig_snr(out + skip, m - skip, to, &mixed, 1, NULL, NULL);
}

static double alias(struct engine *e, uint32_t from, uint32_t to)
{
	double worst = -300, low = from < to ? from : to;

	for (double at = 1.17; at < 1.9; at += 0.05) {
		double hz = at * low / 2;
		size_t m, skip = to / 20;

		if (from < to) {
			worst = fmax(worst, -snr(e, from, to, (2 - at) * low / 2));
		} else if (hz < from / 2.0) {
			m = convert(e, from, to, hz);
			worst = fmax(worst, sig_db(sig_rms(out + skip, m - skip) / 0.5 * M_SQRT2));
		}
	}
	return worst;
}

static double delay_ms(struct engine *e, uint32_t from, uint32_t to)
{
	double ms;

	engine_open(e, from, to);
	ms = e->ours ? resample_delay_ms(e->ours) : 1000.0 * speex_resampler_get_output_latency(e->speex) / to;
	engine_close(e);
	return ms;
}

static void measure_pair(uint32_t from, uint32_t to)
{
	struct engine engines[] = {{.name = "ours", .quality = -1}, {.name = "ours, bent", .quality = -2},
				   {.name = "speex q3", .quality = 3}, {.name = "speex q5", .quality = 5}};
	enum { N = sizeof engines / sizeof *engines };
	double best[N];
	uint32_t seed = 1;

	for (size_t k = 0; k < N; k++) {
		best[k] = 1e30;
		engine_open(&engines[k], from, to);
	}
	for (size_t i = 0; i < from; i++)
		in[i] = 0.1f * sig_noise(&seed);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t k = 0; k < N; k++) {
			double t = cpu_ns();
			size_t made = 0;

			for (size_t b = 0; b < BLOCKS; b++)
				made += engine_run(&engines[k], in + b % 50 * (from / 50), from / 50, out);
			best[k] = fmin(best[k], (cpu_ns() - t) / (double)made);
		}
	}
	for (size_t k = 0; k < N; k++) {
		engine_close(&engines[k]);
		double tone = 0.7 * (from < to ? from : to) / 2;

		printf("%5u -> %5u  %-10s %6.1f ns/out (x %.2f of q3)  SNR 1 kHz %5.1f  at 0.7 Nyquist %5.1f  alias %6.1f dB  delay %.2f ms\n",
		       from, to, engines[k].name, best[k], best[k] / best[2], snr(&engines[k], from, to, 1000),
		       snr(&engines[k], from, to, tone), alias(&engines[k], from, to), delay_ms(&engines[k], from, to));
	}
}

#define LEAST(result, work)                                                     \
	do {                                                                    \
		(result) = 1e30;                                                \
		for (int round_ = 0; round_ < ROUNDS; round_++) {               \
			double t_ = cpu_ns();                                   \
			for (int b_ = 0; b_ < BLOCKS; b_++) {                   \
				work;                                           \
				__asm__ volatile("" : : "g"(in), "g"(out) : "memory"); \
			}                                                       \
			(result) = fmin((result), (cpu_ns() - t_) / BLOCKS);    \
		}                                                               \
	} while (0)

static void measure_blocks(uint32_t rate_hz)
{
	static uint8_t bytes[4096];
	size_t n = rate_hz / 50;
	struct limiter l;
	struct vad v;
	double t;

	limiter_init(&l, rate_hz);
	vad_init(&v, rate_hz);
	for (size_t i = 0; i < n; i++)
		in[i] = 0.3f * (float)sin(0.07 * (double)i);
	printf("\na tick of 20 ms at %u Hz:\n", rate_hz);
	LEAST(t, pcm_from_float(bytes, in, n));
	printf("  float to PCM       %7.2f us\n", t / 1000);
	LEAST(t, pcm_to_float(out, bytes, n));
	printf("  PCM to float       %7.2f us\n", t / 1000);
	LEAST(t, mix_add(out, in, n));
	printf("  add one talker     %7.2f us\n", t / 1000);
	LEAST(t, mix_minus(out + 2000, out, in, n));
	printf("  take one away      %7.2f us\n", t / 1000);
	LEAST(t, limiter_run(&l, in, n));
	printf("  limiter, quiet     %7.2f us\n", t / 1000);
	LEAST(t, for (size_t i = 0; i < n; i++) out[i] = 4 * in[i]; limiter_run(&l, out, n));
	printf("  limiter, at work   %7.2f us\n", t / 1000);
	LEAST(t, vad_run(&v, in, n));
	printf("  VAD                %7.2f us\n", t / 1000);
	LEAST(t, out[0] = (float)splice_lag(in, 1, rate_hz / 100, rate_hz / 40, rate_hz * 6 / 1000));
	printf("  place for a cut    %7.2f us\n", t / 1000);
}

static void measure_jitter(uint32_t in_hz, uint32_t rate_hz)
{
	static uint8_t bytes[4096];
	struct jitter_opts o = {.rate_hz = rate_hz};
	struct frame f = {PCM_FRAME(in_hz, bytes, in_hz / 50)};
	struct jitter *j;
	nsec now = 0;
	double t;

	for (size_t i = 0; i < in_hz / 50; i++)
		in[i] = 0.3f * (float)sin(0.07 * (double)i);
	pcm_from_float(bytes, in, in_hz / 50);
	if (jitter_new(&o, table, &j))
		abort();
	LEAST(t, jitter_put(j, &f, now += nsec_from_ms(13)); jitter_get(j, out, rate_hz / 50, now += nsec_from_ms(7)));
	printf("jitter put and get, %5u -> %5u Hz: %.2f us a frame of 20 ms, of what a talker costs a second: %.0f us\n", in_hz,
	       rate_hz, t / 1000, t / 20);
	LEAST(t, jitter_put(j, &f, now));
	printf("the same when the buffer is full and the oldest goes: %.2f us\n", t / 1000);
	LEAST(t, jitter_put(j, &f, now += nsec_from_ms(20)); jitter_get(j, out, rate_hz / 50, now += nsec_from_ms(20));
	      jitter_get(j, out, rate_hz / 50, now += nsec_from_ms(20)));
	printf("a frame, a hole concealed, and the way back: %.2f us\n", t / 1000);
	jitter_free(j);
}

static void measure_change(void)
{
	struct resample *r;
	double t;

	if (resample_new(table, 48000, 16000, &r))
		abort();
	resample_run(r, in, 960, out, SAMPLES_MAX);
	LEAST(t, resample_change_rate(r, resample_in_hz(r) == 48000 ? 16000 : 48000));
	printf("change of rate: %.1f us\n", t / 1000);
	resample_free(r);
}

int main(void)
{
	static const uint32_t pairs[][2] = {{16000, 48000}, {48000, 16000}, {44100, 16000}, {44100, 48000}, {24000, 16000}, {8000, 16000}};
	double t = cpu_ns();

	if (resample_table_new(&table))
		abort();
	printf("table: %.1f ms\n", (cpu_ns() - t) / 1e6);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		measure_pair(pairs[i][0], pairs[i][1]);
	printf("\n");
	measure_change();
	measure_jitter(16000, 16000);
	measure_jitter(48000, 16000);
	measure_jitter(44100, 16000);
	measure_jitter(48000, 48000);
	measure_blocks(16000);
	measure_blocks(48000);
	resample_table_free(table);
	return 0;
}
