/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/tone.h"
#include "audio/vad.h"
#include "support/signal.h"

#include <math.h>
#include <string.h>

#define RATE 16000
#define TICK 320

static uint32_t seed;

static float noise(double dbfs_rms)
{
	return (float)(pow(10, dbfs_rms / 20) * sqrt(3)) * sig_noise(&seed);
}

/* Runs `s` seconds of noise at `noise_db` plus a tone at `tone_db` (RMS, -200: none); returns
 * for how many of them somebody was said to speak. */
static double run(struct vad *v, double s, double noise_db, double tone_db, float dc)
{
	struct tone t;
	double speaking = 0;

	tone_init(&t, 300, RATE, (float)(pow(10, tone_db / 20) * M_SQRT2));
	for (int i = 0; i < (int)(s * 50); i++) {
		float x[TICK];

		tone_run(&t, x, TICK);
		for (size_t k = 0; k < TICK; k++)
			x[k] += noise(noise_db) + dc;
		speaking += vad_run(v, x, TICK) ? 0.02 : 0;
	}
	return speaking;
}

TEST(speech_enters_fast_and_leaves_slowly)
{
	struct vad v;
	int ticks = 0;

	vad_init(&v, RATE);
	assert_true(run(&v, 2, -65, -200, 0) == 0);
	while (run(&v, 0.02, -65, -20, 0) == 0)
		ticks++;
	assert_in_range(ticks, 1, 2); /* the second or third tick says so */
	run(&v, 1, -65, -20, 0);
	assert_true(fabs(v.level_dbfs + 20) < 0.5);
	ticks = 0;
	while (run(&v, 0.02, -65, -200, 0) > 0)
		ticks++;
	assert_in_range(ticks, 18, 21);
}

TEST(a_gap_between_words_does_not_end_it)
{
	struct vad v;

	vad_init(&v, RATE);
	run(&v, 1, -65, -200, 0);
	run(&v, 0.5, -65, -25, 0);
	for (int i = 0; i < 20; i++) {
		assert_true(run(&v, 0.3, -65, -200, 0) > 0.29);
		assert_true(run(&v, 0.3, -65, -25, 0) > 0.29);
	}
}

TEST(a_click_is_not_speech)
{
	struct vad v;

	vad_init(&v, RATE);
	run(&v, 1, -65, -200, 0);
	for (int i = 0; i < 20; i++) {
		assert_true(run(&v, 0.02, -65, -15, 0) == 0);
		assert_true(run(&v, 0.2, -65, -200, 0) == 0);
	}
}

TEST(dc_and_silence_are_not_speech)
{
	struct vad v;

	vad_init(&v, RATE);
	assert_true(run(&v, 2, -200, -200, 0.5f) == 0);
	assert_true(run(&v, 2, -200, -200, 0) == 0);
	assert_true(v.level_dbfs == VAD_SILENCE_DBFS);
	assert_true(run(&v, 2, -70, -200, -0.9f) == 0);
}

TEST(steady_noise_is_learnt_and_a_voice_over_it_still_counts)
{
	struct vad v;

	vad_init(&v, RATE);
	assert_true(run(&v, 10, -45, -200, 0) == 0);
	/* a fan goes on, 20 dB louder: speech at first, noise in the end */
	assert_true(run(&v, 15, -25, -200, 0) > 2);
	assert_true(run(&v, 30, -25, -200, 0) < 0.5);
	assert_true(run(&v, 1, -25, -12, 0) > 0.9);
	/* the fan goes off: quiet voices count again soon */
	run(&v, 1.5, -60, -200, 0);
	assert_true(run(&v, 1, -60, -40, 0) > 0.9);
}

TEST(a_test_tone_counts_for_ten_seconds_from_the_first_moment)
{
	struct vad v;

	vad_init(&v, RATE);
	assert_true(run(&v, 8, -200, -20, 0) > 7.9);
	vad_init(&v, RATE);
	run(&v, 5, -65, -200, 0);
	assert_true(run(&v, 10, -65, -20, 0) > 9.9);
	/* and again after a pause */
	run(&v, 1, -65, -200, 0);
	assert_true(run(&v, 10, -65, -20, 0) > 9.9);
}

TEST(silence_without_samples_is_the_same_as_zeros)
{
	struct vad a, b;
	float zeros[TICK] = {0};

	vad_init(&a, RATE);
	run(&a, 1, -60, -200, 0);
	run(&a, 1, -60, -20, 0);
	b = a;
	for (int i = 0; i < 40; i++) {
		bool with = vad_run(&a, zeros, TICK), without = vad_run_silence(&b, TICK);

		assert_int_equal(with, without);
		assert_true(a.floor_dbfs == b.floor_dbfs && a.level_dbfs == b.level_dbfs);
	}
	assert_false(a.speaking);
}

TEST(a_tone_keeps_its_pitch_for_a_day)
{
	static float x[RATE];
	struct tone t;

	tone_init(&t, 440, RATE, 0.5f);
	t.phase = fmod(86400.0 * 440, 1);
	tone_run(&t, x, RATE / 2);
	tone_run(&t, x + RATE / 2, RATE / 2);
	assert_true(fabs(sig_frequency(x, RATE, RATE, 441) - 440) < 1e-3);
	assert_true(fabs(sig_level(x, RATE, RATE, 440) - 0.5) < 1e-6);
	assert_true(t.phase >= 0 && t.phase < 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speech_enters_fast_and_leaves_slowly),
		cmocka_unit_test(a_gap_between_words_does_not_end_it),
		cmocka_unit_test(a_click_is_not_speech),
		cmocka_unit_test(dc_and_silence_are_not_speech),
		cmocka_unit_test(steady_noise_is_learnt_and_a_voice_over_it_still_counts),
		cmocka_unit_test(a_test_tone_counts_for_ten_seconds_from_the_first_moment),
		cmocka_unit_test(silence_without_samples_is_the_same_as_zeros),
		cmocka_unit_test(a_tone_keeps_its_pitch_for_a_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
