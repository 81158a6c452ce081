/* SPDX-License-Identifier: MIT */
/* Conversations with the parrot: it waits, repeats, and lets itself be interrupted. */
#include "unit/room/stage.h"

/* Speech, roughly: noise in syllables. */
static void speak(struct actor *a, double level)
{
	actor_talk(a, 0, 0);
	a->noise = level;
	a->gate_hz = 4;
	if (!a->said)
		a->said = malloc(a->cap * sizeof(float));
	a->n_said = 0;
}

/* How alike are `said` and `heard`, at the best offset: 1 is the same, at any level. */
static double likeness(const float *said, size_t n, const float *heard, size_t n_heard)
{
	double best = 0;

	for (size_t lag = 0; lag + n <= n_heard; lag++) {
		double ab = 0, aa = 1e-9, bb = 1e-9;

		for (size_t i = 0; i < n; i += 31) {
			ab += (double)(said[i] * heard[lag + i]);
			aa += (double)(said[i] * said[i]);
			bb += (double)(heard[lag + i] * heard[lag + i]);
		}
		best = fmax(best, ab / sqrt(aa * bb));
	}
	return best;
}

/* Between the last datagram with speech and the first frame back, ms. */
static double answer_ms(const struct actor *a, nsec fell_silent)
{
	return (double)(a->frame_at[0] - fell_silent) * 1e-6;
}

TEST(it_repeats_what_was_said_once)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	speak(a, 0.3);
	stage_run(s, 2000);
	a->talks = false;
	nsec silent = s->now;

	assert_int_equal(a->n_frames, 0);
	stage_run(s, 4000);
	double ms = answer_ms(a, silent), seconds = (double)a->n_heard / 16000, same = likeness(a->said + 4000, 24000, a->heard, a->n_heard);

	print_message("parrot: after %.0f ms, %.2f s, likeness %.4f\n", ms, seconds, same);
	assert_in_range(ms, 450, 700); /* the last syllable ended a little before the last datagram */
	assert_in_range(a->n_heard, 30000, 36000);
	assert_above(same, 0.99);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_close(s);
}

TEST(it_answers_a_microphone_that_stays_open)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	actor_talk(a, 0, 0);
	a->noise = 0.0015; /* -62 dBFS */
	stage_run(s, 3000);
	assert_int_equal(a->n_frames, 0);
	speak(a, 0.3);
	stage_run(s, 2000);
	a->noise = 0.0015;
	a->gate_hz = 0;
	nsec silent = s->now;
	const size_t n = a->n_said;

	stage_run(s, 4000);
	assert_true(a->n_frames > 90);
	assert_in_range(answer_ms(a, silent), 450, 700);
	assert_above(likeness(a->said + 4000, 24000, a->heard, a->n_heard), 0.99);
	assert_in_range(a->n_heard, n, n + 16000 / 2);
	stage_close(s);
}

TEST(it_stops_when_talked_over_and_repeats_that_instead)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	speak(a, 0.3);
	stage_run(s, 4000);
	a->talks = false;
	stage_run(s, 1500);
	size_t before = a->n_frames;

	assert_true(before > 20);
	speak(a, 0.3);
	a->gate_hz = 0; /* from the middle of a syllable */
	stage_run(s, 1000);
	/* it takes a tick for the datagram, one to notice, and 5 ms to fall silent in */
	print_message("talked over: %zu frames more\n", a->n_frames - before);
	assert_in_range(a->n_frames - before, 0, 4);
	a->gate_hz = 4;
	stage_run(s, 500);
	a->talks = false;
	actor_forget_heard(a);
	stage_run(s, 4000);
	assert_in_range(a->n_heard, 1500 * 16, 2020 * 16); /* what was said, pre-roll, tail */
	assert_above(likeness(a->said + 4000, 16000, a->heard, a->n_heard), 0.98);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_close(s);
}

TEST(two_talkers_are_repeated_together_to_both)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "all"), *b = stage_join_at(s, "all", 48000);

	actor_talk(a, 500, 0.2);
	actor_talk(b, 900, 0.2);
	stage_run(s, 2000);
	a->talks = b->talks = false;
	stage_run(s, 300);
	actor_forget_heard(a);
	actor_forget_heard(b);
	stage_run(s, 2000);
	assert_near(sig_db(sig_level(a->heard + 8000, 16000, 16000, 500)), sig_db(0.2), 0.2);
	assert_near(sig_db(sig_level(a->heard + 8000, 16000, 16000, 900)), sig_db(0.2), 0.2);
	assert_near(sig_db(sig_level(b->heard + 24000, 48000, 48000, 500)), sig_db(0.2), 0.2);
	assert_near(sig_db(sig_level(b->heard + 24000, 48000, 48000, 900)), sig_db(0.2), 0.2);
	stage_close(s);
}

TEST(of_a_long_speech_it_keeps_the_last_fifteen_seconds)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	speak(a, 0.3);
	stage_run(s, 25000);
	a->talks = false;
	stage_run(s, 20000);
	assert_in_range(a->n_heard, 16000 * 14, 16000 * 15 + 640);
	assert_below(likeness(a->said + 16000, 8000, a->heard, a->n_heard), 0.5);
	assert_above(likeness(a->said + 16000 * 23, 16000, a->heard, a->n_heard), 0.98);
	stage_close(s);
}

TEST(it_ignores_clicks_coughs_and_steady_noise)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	for (int i = 0; i < 5; i++) {
		actor_talk(a, 0, 0);
		a->noise = 0.4;
		stage_run(s, 100); /* 100 ms of noise */
		a->talks = false;
		stage_run(s, 1500);
	}
	assert_int_equal(a->n_frames, 0);
	actor_talk(a, 0, 0);
	a->noise = 0.002;
	stage_run(s, 10000);
	assert_int_equal(a->n_frames, 0);
	a->talks = false;
	stage_run(s, 1000);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_close(s);
}

TEST(a_repetition_begins_and_ends_softly)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	actor_talk(a, 440, 0.3);
	stage_run(s, 2000);
	a->talks = false;
	stage_run(s, 4000);
	assert_true(a->n_heard > 16000);
	memset(a->heard + a->n_heard, 0, 1000 * sizeof(float));
	assert_below(sig_db(sig_click(a->heard, a->n_heard + 1000, 16000, 2500, NULL)), -50);
	assert_near(sig_db(sig_level(a->heard + 8000, 16000, 16000, 440)), sig_db(0.3), 0.1);
	stage_close(s);
}

TEST(it_goes_on_turn_after_turn)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	for (int i = 0; i < 5; i++) {
		speak(a, 0.3);
		stage_run(s, 1000);
		a->talks = false;
		actor_forget_heard(a);
		stage_run(s, 3000);
		assert_in_range(a->n_heard, 14000, 21000);
		assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	}
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_repeats_what_was_said_once),
		cmocka_unit_test(it_answers_a_microphone_that_stays_open),
		cmocka_unit_test(it_stops_when_talked_over_and_repeats_that_instead),
		cmocka_unit_test(two_talkers_are_repeated_together_to_both),
		cmocka_unit_test(of_a_long_speech_it_keeps_the_last_fifteen_seconds),
		cmocka_unit_test(it_ignores_clicks_coughs_and_steady_noise),
		cmocka_unit_test(a_repetition_begins_and_ends_softly),
		cmocka_unit_test(it_goes_on_turn_after_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
