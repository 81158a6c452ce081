/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/limiter.h"
#include "audio/mixer.h"
#include "audio/pcm.h"
#include "audio/tone.h"
#include "support/signal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE 16000
#define TICK 320
#define TALKERS 10

TEST(nobody_hears_their_own_voice)
{
	static float x[TALKERS][RATE], sum[RATE], out[RATE], others[RATE];
	uint32_t seed = 5;

	mix_clear(sum, RATE);
	for (size_t t = 0; t < TALKERS; t++) {
		struct tone tone;

		tone_init(&tone, 311 + 97.3 * (double)t, RATE, 0.3f);
		tone_run(&tone, x[t], RATE);
		for (size_t i = 0; i < RATE; i++)
			x[t][i] += 0.01f * sig_noise(&seed);
		mix_add(sum, x[t], RATE);
	}
	for (size_t t = 0; t < TALKERS; t++) {
		double own_hz = 311 + 97.3 * (double)t;
		int16_t a[TICK], b[TICK];

		mix_minus(out, sum, x[t], RATE);
		mix_clear(others, RATE);
		for (size_t k = 0; k < TALKERS; k++)
			if (k != t)
				mix_add(others, x[k], RATE);
		for (size_t i = 0; i < RATE; i++)
			assert_true(fabsf(out[i] - others[i]) < 1e-6f);
		for (size_t i = 0; i < RATE; i++)
			others[i] = out[i] - others[i];
		assert_true(sig_db(sig_level(others, RATE, RATE, own_hz) / 0.3) < -120);
		for (size_t i = 0; i < TICK; i++)
			others[i] = out[i] - others[i];
		pcm_to_i16(a, out, TICK);
		pcm_to_i16(b, others, TICK);
		for (size_t i = 0; i < TICK; i++)
			assert_true(abs(a[i] - b[i]) <= 1);
	}
}

TEST(a_lone_talker_hears_exactly_nothing)
{
	float x[TICK], sum[TICK], out[TICK];
	uint32_t seed = 5;

	for (size_t i = 0; i < TICK; i++)
		x[i] = sig_noise(&seed);
	mix_clear(sum, TICK);
	mix_add(sum, x, TICK);
	mix_minus(out, sum, x, TICK);
	for (size_t i = 0; i < TICK; i++)
		assert_true(out[i] == 0);
}

TEST(below_the_ceiling_nothing_is_changed)
{
	static float x[RATE], y[RATE];
	struct limiter l;
	uint32_t seed = 9;

	limiter_init(&l, RATE);
	for (size_t i = 0; i < RATE; i++)
		x[i] = y[i] = LIMITER_CEILING * sig_noise(&seed);
	for (size_t i = 0; i < RATE; i += TICK)
		limiter_run(&l, y + i, TICK);
	assert_memory_equal(x, y, sizeof x);
}

/* A sum of equal talkers in step, steady: turned down as one, not clipped. */
TEST(a_steady_sum_is_turned_down_without_distortion)
{
	static const size_t talkers[] = {2, 5, 10};
	static const double tones[] = {100, 440, 1000, 3000};
	static float x[2 * RATE];

	for (size_t k = 0; k < 12; k++) {
		size_t n = talkers[k % 3];
		double hz = tones[k / 3];
		struct limiter l;
		struct tone t;

		limiter_init(&l, RATE);
		tone_init(&t, hz, RATE, 0.25f * (float)n);
		tone_run(&t, x, 2 * RATE);
		for (size_t i = 0; i < 2 * RATE; i += TICK)
			limiter_run(&l, x + i, TICK);
		assert_true(sig_peak(x, 2 * RATE) <= LIMITER_CEILING * 1.00001);
		double snr = sig_snr(x + RATE / 2, RATE, RATE, &hz, 1, NULL, NULL);
		double level = sig_level(x + RATE / 2, RATE, RATE, hz), want = fmin(LIMITER_CEILING, 0.25 * (double)n);

		if (snr < 60)
			print_message("%zu talkers at %.0f Hz: %.1f dB\n", n, hz, snr);
		assert_true(snr > 60);
		assert_true(fabs(sig_db(level / want)) < 0.3);
	}
}

/* Ten different voices: what the limiter adds to their sum, against clipping the same sum. */
TEST(ten_voices_are_far_cleaner_than_when_clipped)
{
	static float x[2 * RATE], clipped[2 * RATE], one[2 * RATE], limited_rest[RATE], clipped_rest[RATE];
	double hz[5];
	struct limiter l;

	limiter_init(&l, RATE);
	memset(x, 0, sizeof x);
	for (size_t i = 0; i < 10; i++) {
		struct tone t;

		tone_init(&t, 200 + 60 * (double)(i / 2), RATE, 0.2f); /* beats of 60 Hz and more */
		tone_run(&t, one, 2 * RATE);
		mix_add(x, one, 2 * RATE);
		hz[i / 2] = 200 + 60 * (double)(i / 2);
	}
	for (size_t i = 0; i < 2 * RATE; i++)
		clipped[i] = fminf(fmaxf(x[i], -LIMITER_CEILING), LIMITER_CEILING);
	for (size_t i = 0; i < 2 * RATE; i += TICK)
		limiter_run(&l, x + i, TICK);
	double a = sig_snr(x + RATE / 2, RATE, RATE, hz, 5, NULL, limited_rest);
	double b = sig_snr(clipped + RATE / 2, RATE, RATE, hz, 5, NULL, clipped_rest);

	print_message("limited %.1f dB, clipped %.1f dB\n", a, b);
	assert_true(a > 50 && a > b + 30);
}

TEST(nothing_ever_exceeds_the_ceiling)
{
	static const size_t blocks[] = {320, 160, 960, 1, 17, 33};
	static float x[960];
	uint32_t seed = 11;

	for (size_t k = 0; k < 6; k++) {
		struct limiter l;

		limiter_init(&l, k == 2 ? 48000 : RATE);
		for (size_t b = 0; b < 2000; b++) {
			float loud = b % 40 < 20 ? 0.1f : 5 * fabsf(sig_noise(&seed));

			for (size_t i = 0; i < blocks[k]; i++)
				x[i] = loud * sig_noise(&seed);
			limiter_run(&l, x, blocks[k]);
			assert_true(sig_peak(x, blocks[k]) <= LIMITER_CEILING * 1.00001);
		}
	}
}

TEST(the_gain_moves_smoothly_and_comes_back)
{
	static float x[3 * RATE];
	struct limiter l;
	struct tone t;

	/* loud between 0.5 and 1 s, in the middle of a block */
	limiter_init(&l, RATE);
	tone_init(&t, 440, RATE, 0.5f);
	tone_run(&t, x, 3 * RATE);
	for (size_t i = RATE / 2 + 100; i < RATE + 100; i++)
		x[i] *= 1 + 3 * fminf(1, fminf((float)(i - RATE / 2 - 100), (float)(RATE + 100 - i)) / 160);
	for (size_t i = 0; i < 3 * RATE; i += TICK)
		limiter_run(&l, x + i, TICK);
	double click = sig_db(sig_click(x, 3 * RATE, RATE, 3000, NULL) / 0.5);

	print_message("gain changes: click %.1f dB\n", click);
	assert_true(click < -40);
	/* a quarter of a second later half of it is back, after two all of it, exactly */
	assert_true(sig_level(x + RATE * 5 / 4, RATE / 4, RATE, 440) > 0.3);
	assert_true(l.gain == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_hears_their_own_voice),
		cmocka_unit_test(a_lone_talker_hears_exactly_nothing),
		cmocka_unit_test(below_the_ceiling_nothing_is_changed),
		cmocka_unit_test(a_steady_sum_is_turned_down_without_distortion),
		cmocka_unit_test(ten_voices_are_far_cleaner_than_when_clipped),
		cmocka_unit_test(nothing_ever_exceeds_the_ceiling),
		cmocka_unit_test(the_gain_moves_smoothly_and_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
