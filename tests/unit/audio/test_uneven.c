/* SPDX-License-Identifier: MIT */
/* What unevenly arriving frames cost: delay, concealment, pitch. Prints the table in docs/audio.md. */
#include "support/test.h"

#include "audio/jitter.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "support/frames.h"
#include "support/signal.h"
#include "unit/audio/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 20, LOOP_S = 2, SETTLE_S = 15, RUN_S = 40, RATE_MAX = 48000, PHASES = 5 };

static const double tick_ms = TICK_MS, runs_a_minute = 60.0 / (double)RUN_S;

/* ---- a voice, a network and ticks, in virtual time ---- */

struct world {
	/* to be set */
	uint32_t hz;       /* of the talker and the mix */
	unsigned frame_ms;
	double phase_ms;   /* of the first arrival against a tick */
	double uneven_ms;  /* every frame comes up to this much later, uniformly */
	double loss, ppm;
	bool v1;
	uint32_t seed;
	/* within */
	struct jitter *j;
	const uint8_t *loop;
	uint32_t n_sent, newest;
	double next_ms, last_ms;
	uint64_t n_ticks;
	/* measured */
	double sum_ms, low_ms, high_ms; /* delay after SETTLE_S */
	uint64_t n_measured, n_concealed, n_bent;
};

/* Two seconds of a voice of 170 Hz, four syllables a second, half a second of pause; repeated for ever. */
static uint8_t *loop_of(uint32_t hz)
{
	size_t n = (size_t)LOOP_S * hz;
	uint8_t *pcm = malloc(2 * n);
	float *x = malloc(n * sizeof *x);

	assert_true(pcm && x);
	for (size_t i = 0; i < n; i++) {
		double t = (double)i / hz, loud = t < 1.5 ? 0.5 - 0.5 * cos(2 * M_PI * 4 * t) : 0, v = 0;

		for (int k = 1; k <= 12; k++)
			v += sin(2 * M_PI * fmod(170 * k * t, 1) + 1.7 * k * k) / k;
		x[i] = (float)(0.2 * (0.1 + 0.9 * loud) * (t < 1.5) * v);
	}
	pcm_from_float(pcm, x, n);
	free(x);
	return pcm;
}

static double random_share(struct world *w)
{
	return fabs((double)sig_noise(&w->seed));
}

/* On a network without unevenness. */
static double even_ms(const struct world *w, uint32_t i)
{
	return w->phase_ms + w->frame_ms * (double)i / (1 + w->ppm * 1e-6);
}

static void send_frame(struct world *w)
{
	size_t n = w->hz * w->frame_ms / 1000, at = w->n_sent * n % ((size_t)LOOP_S * w->hz);
	struct frame f = {PCM_FRAME(w->hz, w->loop + 2 * at, n), .is_v1 = w->v1};

	f.v1.seq = (uint16_t)w->n_sent;
	f.v1.time = (uint32_t)(w->n_sent * n);
	if (random_share(w) >= w->loss) {
		jitter_put(w->j, &f, (nsec)(w->next_ms * 1e6));
		w->newest = w->n_sent;
	}
	w->n_sent++;
}

/* From the arrival that a frame would have had on an even network until its first sample is heard. */
static double delay_ms(const struct world *w, double now_ms)
{
	return now_ms + tick_ms + jitter_depth_ms(w->j) - even_ms(w, w->newest + 1);
}

static void measure(struct world *w, enum jitter_result r, double now_ms)
{
	struct jitter_stats s;

	jitter_stats(w->j, &s);
	w->n_concealed += r == JITTER_CONCEALED;
	w->n_bent += fabs(s.trim_ppm - w->ppm) > 1000;
	if (now_ms < 1000 * SETTLE_S)
		return;
	double ms = delay_ms(w, now_ms);

	w->sum_ms += ms;
	w->low_ms = w->n_measured ? fmin(w->low_ms, ms) : ms;
	w->high_ms = fmax(w->high_ms, ms);
	w->n_measured++;
}

static void one_tick(struct world *w)
{
	double now_ms = tick_ms * (double)w->n_ticks++;
	float out[RATE_MAX / 50];

	for (;;) {
		if (w->next_ms < 0)
			w->next_ms = w->last_ms = fmax(w->last_ms, even_ms(w, w->n_sent) + w->uneven_ms * random_share(w));
		if (w->next_ms > now_ms)
			break;
		send_frame(w);
		w->next_ms = -1;
	}
	measure(w, jitter_get(w->j, out, w->hz / 50, (nsec)(now_ms * 1e6)), now_ms);
}

static struct world run(struct world w)
{
	struct jitter_opts o = {.rate_hz = w.hz};

	assert_int_equal(jitter_new(&o, table, &w.j), 0);
	w.next_ms = -1;
	while (w.n_ticks < RUN_S * 1000 / TICK_MS)
		one_tick(&w);
	jitter_free(w.j);
	return w;
}

/* ---- the table ---- */

static uint8_t *loops[2];
static const uint32_t rates[2] = {16000, 48000};
static const double unevens[] = {0, 1, 2, 5, 10, 20, 30, 40, 60};

/* Of all phases of arrivals against ticks. */
struct cell {
	double mean_ms, most_ms; /* delay */
	double concealed, bent_s; /* in a minute */
};

static struct cell measure_all(const struct world *like)
{
	unsigned n = 0;
	struct cell c = {0};

	for (unsigned phase = 0; phase < PHASES; phase++) {
		for (int sign = like->ppm > 0 ? -1 : 1; sign <= 1; sign += 2, n++) {
			struct world w = *like;
			unsigned rate = (phase + (sign > 0)) % 2;

			w.hz = rates[rate];
			w.loop = loops[rate];
			w.phase_ms = 1.5 + tick_ms * phase / (double)PHASES;
			w.ppm *= sign;
			w.seed = 77 * (phase + 1) + (uint32_t)like->uneven_ms;
			w = run(w);
			c.mean_ms += w.sum_ms / (double)w.n_measured;
			c.most_ms = fmax(c.most_ms, w.sum_ms / (double)w.n_measured);
			c.concealed += (double)w.n_concealed * runs_a_minute;
			c.bent_s += 0.001 * tick_ms * (double)w.n_bent * runs_a_minute;
		}
	}
	return (struct cell){c.mean_ms / n, c.most_ms, c.concealed / n, c.bent_s / n};
}

/* Beyond J: on the average of all phases, at the worst one; a minute: ticks concealed, seconds bent by more than 0.1 %. */
struct bounds {
	double mean_ms, most_ms, concealed, bent_s;
};

static void is_within(double ppm, double loss, unsigned frame_ms, bool v1, struct bounds b)
{
	bool good = true;

	print_message("%3.0f ppm, %.0f %% lost, %u ms, %s\n", ppm, 100 * loss, frame_ms, v1 ? "v1" : "legacy");
	for (size_t i = 0; i < sizeof unevens / sizeof *unevens; i++) {
		double j = unevens[i];
		struct cell c = measure_all(&(struct world){.ppm = ppm, .loss = loss, .frame_ms = frame_ms, .v1 = v1, .uneven_ms = j});
		bool ok = c.mean_ms <= j + b.mean_ms && c.most_ms <= j + b.most_ms && c.concealed <= b.concealed && c.bent_s <= b.bent_s;

		print_message("  J %2.0f: J %+5.1f ms, at most J %+5.1f; concealed %6.2f, bent %.2f s a minute%s\n", j, c.mean_ms - j,
			c.most_ms - j, c.concealed, c.bent_s, ok ? "" : " <- too much");
		good &= ok;
	}
	assert_true(good);
}

/* Numbers make no difference while nothing is lost. */
TEST(unevenness_costs_what_ticks_cannot_avoid)
{
	for (int v1 = 0; v1 < 2; v1++) {
		is_within(0, 0, 20, v1, (struct bounds){15, 23, 3, 0.1});
		is_within(0, 0, 10, v1, (struct bounds){20, 27, 6, 0.1});
	}
}

TEST(unevenness_of_a_clock_that_drifts_costs_a_tick_more)
{
	for (int v1 = 0; v1 < 2; v1++) {
		is_within(300, 0, 20, v1, (struct bounds){19, 25, 3, 2});
		is_within(300, 0, 10, v1, (struct bounds){22, 25, 7, 2});
	}
}

TEST(unevenness_and_loss_conceal_what_is_lost)
{
	is_within(0, 0.05, 20, false, (struct bounds){18, 24, 165, 1});
	is_within(0, 0.05, 20, true, (struct bounds){18, 25, 200, 1});
	is_within(0, 0.05, 10, false, (struct bounds){24, 28, 310, 3});
	is_within(0, 0.05, 10, true, (struct bounds){28, 34, 420, 3});
}

static int prepare(void **state)
{
	for (int i = 0; i < 2; i++)
		loops[i] = loop_of(rates[i]);
	return make_table(state);
}

static int clean_up(void **state)
{
	for (int i = 0; i < 2; i++)
		free(loops[i]);
	return free_table(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unevenness_costs_what_ticks_cannot_avoid),
		cmocka_unit_test(unevenness_of_a_clock_that_drifts_costs_a_tick_more),
		cmocka_unit_test(unevenness_and_loss_conceal_what_is_lost),
	};

	return cmocka_run_group_tests(tests, prepare, clean_up);
}
