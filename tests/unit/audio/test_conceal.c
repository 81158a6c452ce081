/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/arrivals.h"
#include "audio/conceal.h"
#include "audio/fade.h"
#include "support/signal.h"

#include <math.h>
#include <string.h>

#define RATE 16000

enum { CAP = 4000 };

static float memory[CAP];

/* The played sound is a tone. */
static struct playout played(double hz)
{
	struct playout p = {.rate_hz = RATE, .cap = CAP, .x = memory};

	p.rd = p.wr = playout_samples(&p, PLAYED_MS);
	for (size_t i = 0; i < p.rd; i++)
		memory[i] = (float)(0.5 * sin(2 * M_PI * hz * (double)i / RATE));
	return p;
}

static double rms_of(const float *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return sqrt(sum / (double)n);
}

TEST(a_fade_rises_from_nothing_to_all_without_a_corner)
{
	float in[100], out[100], last = 0;

	for (size_t i = 0; i < 100; i++)
		in[i] = out[i] = 1;
	fade_in(in, 100);
	fade_out(out, 100);
	for (size_t i = 0; i < 100; i++) {
		assert_true(in[i] > last && in[i] < 1);
		assert_true(in[i] - last < 0.016f);
		assert_float_equal(in[i] + out[i], 1, 1e-6);
		assert_true(out[99 - i] == in[i]);
		last = in[i];
	}
	assert_true(fade_curve(0) == 0 && fade_curve(0.5f) == 0.5f && fade_curve(1) == 1);
}

TEST(the_period_of_a_tone_is_found_and_goes_on)
{
	struct playout p = played(200);
	struct concealment c;
	float out[160];

	conceal_start(&c, &p, false);
	assert_int_equal(c.lag % (RATE / 200), 0);
	conceal_run(&c, &p, out, 160); /* ten milliseconds are at full level */
	for (size_t i = 0; i < 160; i++)
		assert_true(fabs(out[i] - 0.5 * sin(2 * M_PI * 200 * (double)(p.rd - 160 + i) / RATE)) < 1e-3);
	assert_int_equal(c.n_done, 160);
	assert_int_equal(playout_level(&p), 0);
}

TEST(concealment_fades_and_is_silence_after_50_ms)
{
	struct playout p = played(200);
	struct concealment c;
	float out[RATE / 100];
	double last = 1;

	conceal_start(&c, &p, false);
	for (int i = 0; i < 7; i++) {
		conceal_run(&c, &p, out, RATE / 100);
		double level = rms_of(out, RATE / 100);

		assert_true(i == 0 ? level > 0.35 : level < last || level == 0);
		assert_true(i < 5 || level == 0);
		last = level;
	}
}

TEST(a_quiet_end_fades_at_once)
{
	struct playout p = played(200);
	struct concealment c;
	float out[320];

	conceal_start(&c, &p, true);
	conceal_run(&c, &p, out, 320);
	assert_true(rms_of(out, 80) > 0.05);
	assert_true(sig_peak(out + 81, 239) == 0);
}

TEST(the_way_back_has_no_jump)
{
	struct playout p = played(200);
	struct concealment c;
	float out[640], *x = memory + p.wr;

	for (size_t i = 0; i < 320; i++) /* what comes after the gap: the same tone upside down */
		x[i] = (float)(-0.5 * sin(2 * M_PI * 200 * (double)(p.wr + i) / RATE));
	p.wr += 320;
	conceal_start(&c, &p, false);
	conceal_run(&c, &p, out, 320);
	assert_int_equal(playout_level(&p), 320);
	memcpy(out + 320, p.x + p.rd, 320 * sizeof *out);
	conceal_return(&c, &p, out + 320, 320);
	for (size_t i = 1; i < 640; i++)
		assert_true(fabsf(out[i] - out[i - 1]) < 0.05f); /* the tone itself changes by 0.039 */
	assert_memory_equal(out + 320 + 81, p.x + p.rd + 81, 239 * sizeof *out);
}

TEST(memory_is_moved_down_and_keeps_what_was_played)
{
	struct playout p = played(200);
	size_t kept = p.rd;
	float before[CAP];

	p.rd += 3000;
	p.wr += 3100;
	for (size_t i = 0; i < p.wr; i++)
		memory[i] = (float)i;
	memcpy(before, memory, sizeof before);
	playout_make_room(&p, CAP - p.wr); /* fits as it is */
	assert_int_equal(p.rd, kept + 3000);
	playout_make_room(&p, CAP - p.wr + 1);
	assert_int_equal(p.rd, kept);
	assert_int_equal(playout_level(&p), 100);
	assert_memory_equal(memory, before + 3000, (kept + 100) * sizeof *memory);
}

TEST(datagrams_that_come_together_are_one_burst)
{
	struct arrivals a = {0};
	nsec now = nsec_from_s(7);

	assert_true(isinf(arrivals_gap_ms(&a, now)));
	for (int i = 0; i < 50; i++, now += nsec_from_ms(20))
		for (int piece = 0; piece < 2; piece++) {
			nsec at = now + nsec_from_ms((nsec)piece);

			arrivals_add(&a, 10, 0, arrivals_gap_ms(&a, at), at);
		}
	assert_float_equal(a.frame_ms, 20, 1e-9);
	assert_float_equal(a.burst_ms, 20, 1e-9);
	assert_float_equal(a.jitter_ms, 0, 1e-9);
	assert_float_equal(arrivals_gap_ms(&a, now), 19, 1e-9);
	arrivals_clear(&a);
	assert_true(isinf(arrivals_gap_ms(&a, now)));
}

/* RFC 3550 6.4.1: towards the mean difference of neighbours. */
TEST(jitter_is_that_of_arrivals_against_media_time)
{
	struct arrivals a = {0};

	for (unsigned i = 0; i < 500; i++) {
		nsec at = nsec_from_ms(20 * i + 4 * (i % 2));

		arrivals_add(&a, 20, 0, arrivals_gap_ms(&a, at), at);
	}
	assert_float_equal(a.jitter_ms, 4, 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fade_rises_from_nothing_to_all_without_a_corner),
		cmocka_unit_test(the_period_of_a_tone_is_found_and_goes_on),
		cmocka_unit_test(concealment_fades_and_is_silence_after_50_ms),
		cmocka_unit_test(a_quiet_end_fades_at_once),
		cmocka_unit_test(the_way_back_has_no_jump),
		cmocka_unit_test(memory_is_moved_down_and_keeps_what_was_played),
		cmocka_unit_test(datagrams_that_come_together_are_one_burst),
		cmocka_unit_test(jitter_is_that_of_arrivals_against_media_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
