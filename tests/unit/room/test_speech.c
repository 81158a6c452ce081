/* SPDX-License-Identifier: MIT */
/* What a bridge says, from its samples to the ticks of a room. */
#include "support/test.h"

#include "audio/pcm.h"
#include "audio/resample.h"
#include "audio/tone.h"
#include "base/err.h"
#include "room/speech.h"
#include "support/signal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_HZ = 16000, TICK = ROOM_HZ / 50, FADE = ROOM_HZ / 200, KEPT = ROOM_HZ * 12 };

/* A driver that says a tone, and what the room made of it. */
struct line {
	struct resample_table *table;
	struct speech speech;
	struct tone tone;
	float heard[KEPT];
	size_t n_heard;
	unsigned n_sounding; /* ticks */
};

static struct line *line_new(uint32_t rate_hz, uint32_t backlog_ms)
{
	struct line *l = calloc(1, sizeof *l);

	assert_non_null(l);
	assert_int_equal(resample_table_new(&l->table), 0);
	assert_int_equal(speech_init(&l->speech, l->table, rate_hz, ROOM_HZ, backlog_ms), 0);
	tone_init(&l->tone, 440, rate_hz, 0.3f);
	return l;
}

static void line_free(struct line *l)
{
	speech_fini(&l->speech);
	resample_table_free(l->table);
	free(l);
}

static int say(struct line *l, uint64_t utterance, size_t n)
{
	float *x = malloc((n + 1) * sizeof *x);
	int16_t *pcm = malloc((n + 1) * sizeof *pcm);

	tone_run(&l->tone, x, n);
	pcm_to_i16(pcm, x, n);
	int err = speech_push(&l->speech, utterance, pcm, n);

	free(pcm);
	free(x);
	return err;
}

/* One tick; silence is kept as silence. */
static bool tick(struct line *l)
{
	float out[SPEECH_OUT_MAX];
	bool sounds = speech_pull(&l->speech, out, TICK);

	assert_true(l->n_heard + TICK <= KEPT);
	if (sounds)
		memcpy(l->heard + l->n_heard, out, TICK * sizeof *out);
	else
		memset(l->heard + l->n_heard, 0, TICK * sizeof *out);
	l->n_heard += TICK;
	l->n_sounding += sounds;
	return sounds;
}

static void ticks(struct line *l, unsigned n)
{
	while (n--)
		tick(l);
}

static double click_db(const struct line *l)
{
	return sig_db(sig_click(l->heard, l->n_heard, ROOM_HZ, 2500, NULL));
}

TEST(samples_at_the_rooms_rate_pass_unchanged_after_the_fade)
{
	struct line *l = line_new(ROOM_HZ, 1000);
	int16_t pcm[5 * TICK], out[5 * TICK];

	for (size_t i = 0; i < 5 * TICK; i++)
		pcm[i] = (int16_t)(i * 7919 % 60001);
	assert_int_equal(speech_push(&l->speech, 1, pcm, 5 * TICK), 0);
	ticks(l, 5);
	pcm_to_i16(out, l->heard, 5 * TICK);
	assert_memory_equal(out + FADE, pcm + FADE, (5 * TICK - FADE) * sizeof *out);
	assert_true(abs(out[0]) <= abs(pcm[0]) && abs(out[FADE / 2]) < abs(pcm[FADE / 2]));
	line_free(l);
}

TEST(every_beginning_and_end_is_soft)
{
	struct line *l = line_new(ROOM_HZ, 1000);
	uint32_t seed = 3;

	ticks(l, 2);
	for (unsigned i = 0; i < 60; i++) { /* now too little, now too much, and sometimes within one fade */
		say(l, 1, (size_t)(200 + 190 * (double)sig_noise(&seed)));
		ticks(l, 1 + i % 3);
	}
	ticks(l, 10);
	assert_true(click_db(l) < -50);
	assert_true(speech_silent(&l->speech));
	line_free(l);
}

TEST(a_flush_fades_within_five_milliseconds)
{
	struct line *l = line_new(ROOM_HZ, 10000);

	say(l, 1, ROOM_HZ);
	ticks(l, 10);
	speech_flush(&l->speech, 0);
	assert_false(speech_waits(&l->speech));
	assert_true(speech_talks(&l->speech));
	assert_true(tick(l));
	assert_false(speech_talks(&l->speech));
	assert_true(sig_peak(l->heard + 10 * TICK + FADE, TICK - FADE) == 0);
	assert_false(tick(l));
	ticks(l, 5);
	assert_true(click_db(l) < -50);
	line_free(l);
}

TEST(a_flush_reports_how_much_of_the_utterance_was_heard)
{
	struct line *l = line_new(ROOM_HZ, 10000);
	struct speech_cut cut;

	say(l, 3, 5 * TICK);
	say(l, 4, 50 * TICK);
	assert_int_equal(speech_next(&l->speech), 3);
	assert_int_equal(speech_newest(&l->speech), 4);
	ticks(l, 25);
	assert_int_equal(speech_next(&l->speech), 4);
	cut = speech_flush(&l->speech, 150); /* mixed, but not played by its listener yet */
	assert_int_equal(cut.utterance, 4);
	assert_int_equal(cut.heard_ms, 400 - 150);
	assert_int_equal(speech_next(&l->speech), 0);
	assert_int_equal(speech_newest(&l->speech), 4);
	assert_int_equal(speech_waiting_ms(&l->speech), 0);

	say(l, 5, TICK); /* nothing of it has been played */
	cut = speech_flush(&l->speech, 0);
	assert_int_equal(cut.utterance, 5);
	assert_int_equal(cut.heard_ms, 0);

	say(l, 6, TICK); /* all of it has, though its listener is a second behind */
	ticks(l, 1);
	cut = speech_flush(&l->speech, 1000);
	assert_int_equal(cut.utterance, 6);
	assert_int_equal(cut.heard_ms, 0);
	line_free(l);
}

/* Its listener is behind: so is the place where it was cut. */
TEST(a_flush_finds_the_utterance_at_the_ear_and_not_at_the_mixer)
{
	static const struct {
		unsigned silent, ticks; /* between the two utterances; of the second */
		uint32_t unplayed_ms;
		uint64_t utterance;
		uint32_t heard_ms, underway_ms;
	} cases[] = {
		{0, 3, 0, 2, 60, 0},
		{0, 3, 40, 2, 20, 40},
		{0, 3, 60, 2, 0, 60},
		{0, 3, 180, 1, 400 - 120, 180},
		{0, 3, 100000, 1, 0, 460},
		{5, 3, 160, 2, 0, 60}, /* in the silence between them */
		{5, 3, 180, 1, 400 - 20, 80},
		{0, 0, 100, 1, 300, 100}, /* all of it was mixed */
		{2, 0, 100, 1, 340, 60},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct line *l = line_new(ROOM_HZ, 10000);

		say(l, 1, 20 * TICK);
		ticks(l, 20 + cases[i].silent);
		say(l, 2, cases[i].ticks ? 50 * TICK : 0);
		ticks(l, cases[i].ticks);
		assert_true(speech_goes_on(&l->speech, cases[i].unplayed_ms));
		assert_int_equal(speech_underway_ms(&l->speech, cases[i].unplayed_ms), cases[i].underway_ms);
		struct speech_cut cut = speech_flush(&l->speech, cases[i].unplayed_ms);

		assert_int_equal(cut.utterance, cases[i].utterance);
		assert_int_equal(cut.heard_ms, cases[i].heard_ms);
		assert_false(speech_goes_on(&l->speech, cases[i].unplayed_ms)); /* one flush ends it */
		assert_int_equal(speech_underway_ms(&l->speech, cases[i].unplayed_ms), 0);
		line_free(l);
	}
}

/* At another rate than the room's, in pieces, with a pause in the middle of a word. */
TEST(the_ear_is_found_in_the_words_of_a_worker_that_stutters)
{
	struct line *l = line_new(24000, 10000);

	for (unsigned i = 0; i < 100; i++) {
		say(l, 1, 240 * (i % 3));
		ticks(l, 1);
	}
	assert_in_range(speech_underway_ms(&l->speech, 200), 80, 120);
	assert_in_range(speech_flush(&l->speech, 200).heard_ms, 990 - 120, 990 - 80);
	line_free(l);
}

TEST(the_backlog_has_a_bound_in_time)
{
	struct line *l = line_new(ROOM_HZ, 100);

	assert_int_equal(say(l, 1, 5 * TICK), 0);
	assert_int_equal(say(l, 1, 1), ERR_LIMIT);
	assert_int_equal(speech_waiting_ms(&l->speech), 100);
	ticks(l, 1);
	assert_int_equal(say(l, 1, TICK + 1), ERR_LIMIT);
	assert_int_equal(speech_waiting_ms(&l->speech), 80);
	assert_int_equal(say(l, 1, TICK), 0);
	line_free(l);
}

TEST(the_number_of_waiting_utterances_has_a_bound)
{
	struct line *l = line_new(ROOM_HZ, 10000);

	for (uint64_t i = 1; i <= SPEECH_UTTERANCES; i++)
		assert_int_equal(say(l, i, 10), 0);
	assert_int_equal(say(l, SPEECH_UTTERANCES + 1, 10), ERR_LIMIT);
	assert_int_equal(l->speech.backlog.len, 10 * SPEECH_UTTERANCES); /* nothing of it was kept */
	assert_int_equal(say(l, SPEECH_UTTERANCES, 10), 0);
	ticks(l, 1);
	assert_int_equal(say(l, SPEECH_UTTERANCES + 1, 10), 0);
	line_free(l);
}

TEST(another_rate_is_resampled_cleanly)
{
	static const uint32_t rates_hz[] = {8000, 11025, 24000, 44100, 48000};
	static const double hz[] = {440};

	for (size_t i = 0; i < sizeof rates_hz / sizeof *rates_hz; i++) {
		struct line *l = line_new(rates_hz[i], 10000);

		say(l, 1, rates_hz[i]);
		ticks(l, 60);
		assert_in_range(l->n_sounding, 50, 52); /* with the end of the filter */
		assert_true(sig_snr(l->heard + 1600, ROOM_HZ - 3200, ROOM_HZ, hz, 1, NULL, NULL) > 75);
		assert_true(fabs(sig_level(l->heard + 1600, ROOM_HZ - 3200, ROOM_HZ, 440) - 0.3) < 0.004);
		assert_true(click_db(l) < -50);
		assert_true(speech_silent(&l->speech));
		line_free(l);
	}
}

/* An echo says as many samples as it is given; with both resamplers rounding up it never runs out. */
TEST(a_driver_that_says_a_sample_for_each_it_hears_is_never_short)
{
	static const uint32_t rates_hz[] = {8000, 11025, 22050, 44100, 48000};

	for (size_t i = 0; i < sizeof rates_hz / sizeof *rates_hz; i++) {
		struct line *l = line_new(rates_hz[i], 1000);
		float in[TICK] = {0}, out[SPEECH_OUT_MAX];
		struct resample *input;

		assert_int_equal(resample_new(l->table, ROOM_HZ, rates_hz[i], &input), 0);
		for (int k = 0; k < 550; k++) {
			say(l, 1, resample_run(input, in, TICK, out, SPEECH_OUT_MAX));
			assert_true(tick(l));
			assert_true(l->speech.sounding);
			assert_true(l->speech.backlog.len < 8); /* nor does it fall behind */
		}
		resample_free(input);
		line_free(l);
	}
}

TEST(silence_costs_nothing_and_keeps_no_memory)
{
	struct line *l = line_new(24000, 1000);

	assert_true(speech_silent(&l->speech));
	assert_false(tick(l));
	say(l, 1, 480);
	ticks(l, 4);
	assert_true(speech_silent(&l->speech));
	assert_false(tick(l));
	assert_non_null(l->speech.backlog.spare);
	speech_trim(&l->speech);
	assert_null(l->speech.backlog.spare);
	line_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_at_the_rooms_rate_pass_unchanged_after_the_fade),
		cmocka_unit_test(every_beginning_and_end_is_soft),
		cmocka_unit_test(a_flush_fades_within_five_milliseconds),
		cmocka_unit_test(a_flush_reports_how_much_of_the_utterance_was_heard),
		cmocka_unit_test(a_flush_finds_the_utterance_at_the_ear_and_not_at_the_mixer),
		cmocka_unit_test(the_ear_is_found_in_the_words_of_a_worker_that_stutters),
		cmocka_unit_test(the_backlog_has_a_bound_in_time),
		cmocka_unit_test(the_number_of_waiting_utterances_has_a_bound),
		cmocka_unit_test(another_rate_is_resampled_cleanly),
		cmocka_unit_test(a_driver_that_says_a_sample_for_each_it_hears_is_never_short),
		cmocka_unit_test(silence_costs_nothing_and_keeps_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
