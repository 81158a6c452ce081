/* SPDX-License-Identifier: MIT */
/* What each hears of the others: level, noise, clicks and delay. */
#include "bridge/tone.h"
#include "unit/room/stage.h"

static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};

TEST(three_rooms_of_two_hear_only_their_partner)
{
	static const char *const names[] = {"red", "green", "blue"};
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 6; i++)
		actor_talk(stage_join(s, names[i / 2]), 300 + 100 * (double)i, 0.2);
	stage_run(s, 2000);
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < 6; j++) {
			double db = actor_level_db(&s->actors[i], 300 + 100 * (double)j, 1000);

			if (j == (i ^ 1))
				assert_near(db, sig_db(0.2), 0.1);
			else
				assert_below(db, sig_db(0.2) - 60);
		}
	stage_close(s);
}

TEST(ten_in_a_room_hear_nine_at_one_level_and_not_themselves)
{
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 10; i++)
		actor_talk(stage_join_at(s, "all", i % 3 == 2 ? 48000 : 16000), 310 + 130 * (double)i, 0.05);
	stage_run(s, 3000);
	for (size_t i = 0; i < 10; i++)
		for (size_t j = 0; j < 10; j++) {
			double db = actor_level_db(&s->actors[i], 310 + 130 * (double)j, 1000);

			if (j != i)
				assert_near(db, sig_db(0.05), 0.1);
			else
				assert_below(db, sig_db(0.05) - 60);
		}
	stage_close(s);
}

TEST(everybody_receives_fifty_frames_a_second)
{
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 10; i++)
		stage_join_at(s, "all", rates[i % 9]);
	for (size_t i = 0; i < 3; i++)
		actor_talk(&s->actors[i], 310 + 130 * (double)i, 0.1);
	stage_run(s, 1000);
	for (size_t i = 0; i < 10; i++)
		actor_forget_heard(&s->actors[i]);
	stage_run(s, 10000);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(s->actors[i].n_frames, 500);
		assert_in_range(s->actors[i].n_heard, 10 * rates[i % 9] - 1, 10 * rates[i % 9] + 1);
	}
	/* seven listeners at seven rates, and three talkers at their own */
	assert_int_equal(rooms_stats(s->rooms)->ticks_skipped, 0);
	stage_close(s);
}

TEST(a_talker_alone_is_sent_nothing)
{
	struct stage *s = stage_new();
	struct actor *a, *b;

	stage_open(s);
	a = stage_join(s, "all");
	b = stage_join(s, "all");
	actor_talk(a, 440, 0.2);
	stage_run(s, 1000);
	assert_int_equal(a->n_frames, 0);
	assert_in_range(b->n_frames, 48, 50);
	stage_close(s);
}

TEST(silent_listeners_share_one_mix)
{
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 20; i++)
		stage_join(s, "all");
	actor_talk(&s->actors[0], 440, 0.2);
	stage_run(s, 1000);
	const struct rooms_stats *st = rooms_stats(s->rooms);

	assert_int_equal(st->frames_out, st->mixes * 19);
	assert_int_equal(st->shared_mixes, st->mixes);
	stage_close(s);
}

/* Two tones up to 0.75 of half the lower rate. */
static void echo_at(uint32_t rate_hz, uint32_t room_hz, uint32_t bridge_hz, uint32_t frame_ms)
{
	uint32_t low = rate_hz < room_hz ? rate_hz : room_hz;
	struct stage *s = stage_new();
	double hz[2], amplitudes[2];
	size_t n = rate_hz * 2;
	struct actor *a;

	low = bridge_hz && bridge_hz < low ? bridge_hz : low;
	s->rules[0].rate_hz = room_hz;
	s->opts.frame_ms = frame_ms;
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "e");
	s->bridges[0] = (struct bridge_opts){.name = "e", .type = "echo", .rate_hz = bridge_hz, .backlog_ms = 1000};
	s->opts.n_bridges = 1;
	stage_open(s);
	a = stage_join_at(s, "all", rate_hz);
	actor_talk(a, 0.1 * low, 0.2);
	a->frame = nsec_from_ms(20); /* at 11025 Hz 220 and 221 samples in turn */
	a->hz[1] = 0.35 * low;
	a->amplitude[1] = 0.1;
	hz[0] = a->hz[0];
	hz[1] = a->hz[1];
	stage_run(s, 4000);
	assert_in_range(a->n_frames, (4000 - 60) / frame_ms, 4000 / frame_ms);
	assert_true(a->n_heard > n);
	double snr = sig_snr(a->heard + a->n_heard - n, n, rate_hz, hz, 2, amplitudes, NULL);

	print_message("%5u Hz in a room of %5u, bridge %5u, %u ms: snr %.1f dB, level %+.3f %+.3f dB\n", rate_hz, room_hz,
		bridge_hz, frame_ms, snr, sig_db(amplitudes[0] / 0.2), sig_db(amplitudes[1] / 0.1));
	assert_near(sig_db(amplitudes[0] / 0.2), 0, 0.5);
	assert_near(sig_db(amplitudes[1] / 0.1), 0, 0.5);
	assert_above(snr, 60);
	stage_close(s);
}

TEST(echo_is_clean_at_every_rate)
{
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		echo_at(rates[i], 16000, 0, 20);
		echo_at(rates[i], 48000, 0, 10);
	}
}

TEST(echo_is_clean_through_a_bridge_of_any_rate)
{
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		echo_at(16000, 16000, rates[i], 20);
		echo_at(48000, 24000, rates[i], 10);
	}
}

TEST(a_change_of_rate_makes_no_click)
{
	struct stage *s = stage_with_bridge("echo");
	struct actor *a = stage_join_at(s, "all", 16000);
	static const double hz[] = {440};

	actor_talk(a, 440, 0.3);
	stage_run(s, 2000);
	for (int i = 0; i < 6; i++) {
		a->rate_hz = rates[(i * 5 + 2) % 9];
		a->sent = a->frames_sent = 0;
		stage_run(s, 500);
	}
	size_t n = 16000 * 4;
	double snr = sig_snr(a->heard + a->n_heard - n, n, 16000, hz, 1, NULL, NULL);
	double click = sig_click(a->heard + a->n_heard - n, n, 16000, 2000, NULL);

	print_message("changing rate: snr %.1f dB, click %.1f dB\n", snr, sig_db(click));
	assert_below(sig_db(click), -50);
	assert_int_equal(a->n_frames > 245, 1);
	stage_close(s);
}

/* From a datagram's arrival to the frame that holds its first sample, for every phase of arrival. */
TEST(delay_is_at_most_margin_and_tick)
{
	double worst = 0;

	for (uint32_t phase = 0; phase < 20; phase++) {
		struct stage *s = stage_with_bridge("echo");
		struct actor *a = stage_join(s, "all");

		actor_talk(a, 440, 0.2);
		a->next_send = s->now + nsec_from_ms(phase);
		nsec first = a->next_send;

		stage_run(s, 3000);
		/* continuous since: the n-th frame back is the n-th frame sent, later by the buffer */
		uint64_t i = a->n_frames - 1;
		double ms = (double)(a->frame_at[i] - (first + i * nsec_from_ms(20))) * 1e-6;

		worst = ms > worst ? ms : worst;
		assert_true(ms >= 0);
		stage_close(s);
	}
	print_message("delay at most %.2f ms\n", worst);
	assert_true(worst <= 23.01);
}

static void mute_at(uint32_t out_hz, uint32_t after_ms)
{
	struct stage *s = stage_new();
	struct participant_stats st;
	struct actor *a, *b;

	stage_open(s);
	a = stage_join(s, "all");
	b = stage_join_at(s, "all", out_hz);
	actor_talk(a, 440, 0.3);
	stage_run(s, after_ms);
	participant_mute(a->p, true, s->now);
	size_t before = b->n_frames;

	stage_run(s, 1000);
	assert_in_range(b->n_frames, before, before + 2);
	for (size_t i = 1; i <= 4; i++) /* the filter has given what it held */
		assert_below(fabs((double)b->heard[b->n_heard - i]), 0.003);
	participant_mute(a->p, false, s->now);
	stage_run(s, 1000);
	assert_in_range(b->n_frames, before + 47, before + 52);
	assert_below(sig_db(sig_click(b->heard, b->n_heard, out_hz, 2500, NULL)), -50);
	assert_int_equal(actor_count(a, ROOM_MUTED), 2);
	assert_int_equal(actor_count(b, ROOM_MUTED), 2);
	participant_stats(a->p, &st);
	assert_in_range(st.muted_frames, 49, 51);
	stage_close(s);
}

TEST(mute_is_soft_and_silent)
{
	for (uint32_t ms = 1000; ms < 1010; ms++) {
		mute_at(8000, ms);
		mute_at(16000, ms);
		mute_at(48000, ms);
	}
}

/* Everything that happens around a steady tone: the listener must hear the tone alone. */
TEST(coming_and_going_makes_no_clicks)
{
	static const uint32_t out[] = {16000, 48000, 11025};

	for (size_t k = 0; k < 3; k++) {
		struct stage *s = stage_new();

		stage_open(s);
		struct actor *a = stage_join(s, "all"), *b = stage_join_at(s, "all", out[k]), *c = NULL;

		actor_talk(a, 440, 0.3);
		for (int i = 0; i < 8; i++) {
			stage_run(s, 333);
			c = stage_join_at(s, "all", out[k]);
			stage_run(s, 211);
			if (i % 2)
				actor_talk(c, 523, 0.3);
			stage_run(s, 307);
			actor_leave(c);
		}
		size_t at = 0, skip = out[k] / 10;
		double click = sig_click(b->heard + skip, b->n_heard - skip, out[k], 2500, &at);

		print_message("coming and going at %u: click %.1f dB at %.3f s\n", out[k], sig_db(click),
			(double)(skip + at) / out[k]);
		assert_below(sig_db(click), -50);
		stage_close(s);
	}
}

TEST(a_newcomer_hears_no_click_at_the_start)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct stage *s = stage_new();

		stage_open(s);
		struct actor *a = stage_join(s, "all");

		actor_talk(a, 440, 0.3);
		stage_run(s, 500 + 21 * i);
		struct actor *b = stage_join(s, "all");

		b->n_heard = 1000; /* after silence */
		memset(b->heard, 0, 1000 * sizeof(float));
		stage_run(s, 500);
		assert_below(sig_db(sig_click(b->heard, b->n_heard, 16000, 2500, NULL)), -50);
		stage_close(s);
	}
}

/* A listener hears a steady tone while it begins to talk (own path) and long after it stopped (shared path). */
static void change_path(uint32_t out_hz, bool somebody_shares, uint32_t talks_before_ms)
{
	struct stage *s = stage_new();
	static const double hz[] = {440};

	stage_open(s);
	struct actor *a = stage_join(s, "all"), *b = stage_join_at(s, "all", out_hz);

	if (somebody_shares)
		stage_join_at(s, "all", out_hz);
	if (talks_before_ms) { /* the shared path runs meanwhile, its own does not: they stand at different fractions */
		actor_talk(b, 700, 0.3);
		stage_run(s, talks_before_ms);
	}
	actor_talk(a, 440, 0.3);
	stage_run(s, 1000);
	if (!talks_before_ms)
		actor_talk(b, 700, 0.3);
	stage_run(s, 1000);
	b->talks = false;
	stage_run(s, 4000);
	size_t skip = out_hz / 10, n = b->n_heard - skip;
	double snr = sig_snr(b->heard + skip, n, out_hz, hz, 1, NULL, NULL);
	double click = sig_click(b->heard + skip, n, out_hz, 2500, NULL);

	print_message("changing path at %u: snr %.1f dB, click %.1f dB\n", out_hz, snr, sig_db(click));
	assert_below(sig_db(click), -75);
	if (!talks_before_ms) /* else half a sample later from then on */
		assert_above(snr, 65);
	stage_close(s);
}

TEST(a_listener_changes_path_without_a_seam)
{
	static const uint32_t out[] = {8000, 16000, 48000, 11025, 22050, 44100};

	for (size_t k = 0; k < sizeof out / sizeof *out; k++) {
		change_path(out[k], true, 0);
		change_path(out[k], false, 0);
		change_path(out[k], true, 1003);
		change_path(out[k], true, 1023);
	}
}

static void tone_from_its_start(uint32_t bridge_hz, uint32_t room_hz, uint32_t frame_ms)
{
	static const struct tone_opts tone = {.hz = 440, .dbfs = -12};
	static const double hz[] = {440};
	struct stage *s = stage_new();

	s->opts.frame_ms = frame_ms;
	s->rules[0].rate_hz = room_hz;
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "t");
	s->bridges[0] = (struct bridge_opts){.name = "t", .type = "tone", .rate_hz = bridge_hz, .backlog_ms = 1000,
		.options = &tone};
	s->opts.n_bridges = 1;
	stage_open(s);
	struct actor *a = stage_join_at(s, "all", room_hz);
	size_t skip = room_hz / 50; /* the filter's delay and the soft start */

	stage_run(s, 1000);
	double click = sig_click(a->heard, a->n_heard, room_hz, 2500, NULL);
	double snr = sig_snr(a->heard + skip, a->n_heard - skip, room_hz, hz, 1, NULL, NULL);

	if (click > 0.003 || snr < 75)
		print_message("bridge at %u in a room of %u, %u ms\n", bridge_hz, room_hz, frame_ms);
	assert_below(sig_db(click), -50);
	assert_above(snr, 75);
	stage_close(s);
}

/* No tick lacks a sample, though most of these rates have no whole number of them in a tick. */
TEST(speech_of_any_rate_is_whole_from_its_start)
{
	static const uint32_t room[] = {8000, 16000, 24000, 48000};

	for (size_t k = 0; k < sizeof rates / sizeof *rates; k++)
		for (size_t i = 0; i < 4; i++)
			tone_from_its_start(rates[k], room[i], (k + i) % 2 ? 10 : 20);
}

TEST(sound_that_we_send_ends_without_a_click)
{
	for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
		struct stage *s = stage_new();

		stage_open(s);
		struct actor *a = stage_join(s, "all"), *b = stage_join_at(s, "all", rates[k]);

		actor_talk(a, 440, 0.5);
		stage_run(s, 507);
		a->talks = false;
		stage_run(s, 1000);
		/* the end and the silence that a player puts after it */
		size_t end = b->n_heard;

		memset(b->heard + end, 0, 1000 * sizeof(float));
		assert_below(sig_db(sig_click(b->heard, end + 1000, rates[k], 2600, NULL)), -50);
		assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
		stage_close(s);
	}
}

TEST(ten_loud_talkers_do_not_clip)
{
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 10; i++)
		actor_talk(stage_join(s, "all"), 310 + 130 * (double)i, 0.8);
	stage_join(s, "all");
	stage_run(s, 2000);
	for (size_t i = 0; i < 11; i++)
		assert_below(sig_peak(s->actors[i].heard, s->actors[i].n_heard), 0.9);
	/* what comes next is not turned down for it */
	for (size_t i = 0; i < 10; i++)
		s->actors[i].talks = false;
	stage_run(s, 1000);
	actor_forget_heard(&s->actors[10]);
	actor_talk(&s->actors[0], 500, 0.2);
	stage_run(s, 150);
	assert_near(actor_level_db(&s->actors[10], 500, 100), sig_db(0.2), 0.1);
	stage_close(s);
}

TEST(speaking_is_reported_to_all)
{
	struct stage *s = stage_new();
	struct actor *a, *b;

	stage_open(s);
	a = stage_join(s, "all");
	b = stage_join(s, "all");
	actor_talk(a, 440, 0.2);
	stage_run(s, 1000);
	assert_int_equal(actor_count(b, ROOM_SPEAKING), 1);
	assert_int_equal(actor_count(a, ROOM_SPEAKING), 1);
	assert_int_equal(b->events[0].id, participant_id(a->p));
	assert_true(b->events[0].speaking);
	a->talks = false;
	stage_run(s, 1000);
	assert_int_equal(actor_count(b, ROOM_SPEAKING), 2);
	assert_false(b->events[1].speaking);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_rooms_of_two_hear_only_their_partner),
		cmocka_unit_test(ten_in_a_room_hear_nine_at_one_level_and_not_themselves),
		cmocka_unit_test(everybody_receives_fifty_frames_a_second),
		cmocka_unit_test(a_talker_alone_is_sent_nothing),
		cmocka_unit_test(silent_listeners_share_one_mix),
		cmocka_unit_test(echo_is_clean_at_every_rate),
		cmocka_unit_test(echo_is_clean_through_a_bridge_of_any_rate),
		cmocka_unit_test(a_change_of_rate_makes_no_click),
		cmocka_unit_test(delay_is_at_most_margin_and_tick),
		cmocka_unit_test(mute_is_soft_and_silent),
		cmocka_unit_test(coming_and_going_makes_no_clicks),
		cmocka_unit_test(a_newcomer_hears_no_click_at_the_start),
		cmocka_unit_test(a_listener_changes_path_without_a_seam),
		cmocka_unit_test(speech_of_any_rate_is_whole_from_its_start),
		cmocka_unit_test(sound_that_we_send_ends_without_a_click),
		cmocka_unit_test(ten_loud_talkers_do_not_clip),
		cmocka_unit_test(speaking_is_reported_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
