/* SPDX-License-Identifier: MIT */
/* When ticks happen. */
#include "unit/room/stage.h"

static struct stage *tone_stage(void)
{
	return stage_with_bridge("tone");
}

TEST(an_empty_or_silent_room_has_no_deadline)
{
	struct stage *s = stage_new();
	struct actor *a;

	stage_open(s);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	a = stage_join(s, "all");
	stage_join(s, "all");
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	actor_talk(a, 440, 0.2);
	stage_run(s, 500);
	assert_true(rooms_deadline(s->rooms) <= s->now + nsec_from_ms(20));
	a->talks = false;
	stage_run(s, 1000);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	uint64_t ticks = rooms_stats(s->rooms)->ticks;

	stage_run(s, 5000);
	assert_int_equal(rooms_stats(s->rooms)->ticks, ticks);
	stage_close(s);
}

TEST(bridges_that_listen_let_the_room_sleep)
{
	static const char *const types[] = {"echo", "parrot"};

	for (size_t i = 0; i < 2; i++) {
		struct stage *s = stage_with_bridge(types[i]);

		stage_join(s, "all");
		stage_join(s, "");
		stage_run(s, 100);
		assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
		assert_in_range(rooms_stats(s->rooms)->ticks, 2, 4);
		stage_close(s);
	}
}

TEST(a_room_that_a_talker_wakes_ticks_soon_after_the_talkers_frames)
{
	struct stage *s = stage_new();
	struct actor *a, *b;

	stage_open(s);
	a = stage_join(s, "all");
	b = stage_join(s, "all");
	for (int i = 0; i < 13; i++) {
		b->n_frames = 0;
		actor_talk(a, 440, 0.2);
		nsec first = a->next_send;

		stage_run(s, 200);
		a->talks = false;
		/* 6 to 7 ms of slack, and a place within the next four */
		assert_in_range(b->frame_at[0] - first, nsec_from_ms(6), nsec_from_ms(11));
		for (size_t k = 1; k < b->n_frames; k++)
			assert_int_equal(b->frame_at[k] - b->frame_at[0], k * nsec_from_ms(20));
		stage_run(s, 1001 + 13 * (uint32_t)i);
	}
	stage_close(s);
}

static void count_people_by_ms(const struct stage *s, uint32_t per_ms[20])
{
	memset(per_ms, 0, 20 * sizeof *per_ms);
	for (size_t i = 0; i < s->n_actors; i++)
		per_ms[s->actors[i].frame_at[0] / 1000000 % 20]++;
}

TEST(rooms_aligned_with_talkers_gather_until_a_place_is_full)
{
	struct stage *s = stage_new();
	uint32_t per_ms[20], busy = 0;
	char name[24];

	stage_open(s);
	for (int i = 0; i < 30; i++) { /* all begin to talk in the same moment */
		snprintf(name, sizeof name, "room %d", i / 2);
		actor_talk(stage_join(s, name), 440, 0.2);
	}
	stage_run(s, 100);
	count_people_by_ms(s, per_ms);
	for (int i = 0; i < 20; i++)
		busy += per_ms[i] > 0;
	assert_int_equal(busy, 1);
	stage_close(s);
}

TEST(rooms_aligned_with_talkers_leave_a_full_place)
{
	struct stage *s = stage_new();
	uint32_t per_ms[20];
	char name[24];

	stage_open(s);
	for (int i = 0; i < 64; i++) { /* all begin to talk in the same moment, and have four places to go to */
		snprintf(name, sizeof name, "room %d", i / 2);
		actor_talk(stage_join(s, name), 440, 0.2);
	}
	stage_run(s, 100);
	count_people_by_ms(s, per_ms);
	for (int i = 0; i < 20; i++)
		assert_true(per_ms[i] <= 32);
	stage_close(s);
}

TEST(rooms_are_spread_over_the_frame)
{
	struct stage *s = tone_stage();
	uint32_t per_ms[20] = {0};
	char name[24];

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "room %d", i);
		stage_join(s, name);
	}
	stage_run(s, 100);
	for (size_t i = 0; i < s->n_actors; i++)
		per_ms[s->actors[i].frame_at[0] / 1000000 % 20]++;
	for (int i = 0; i < 20; i++)
		assert_int_equal(per_ms[i], 3);
	/* a place that became free is taken again */
	nsec was = s->actors[7].frame_at[0] % nsec_from_ms(20);

	actor_leave(&s->actors[7]);
	struct actor *a = stage_join(s, "another");

	stage_run(s, 100);
	assert_int_equal(a->frame_at[0] % nsec_from_ms(20), was);
	stage_close(s);
}

TEST(two_rooms_do_not_tick_in_neighbouring_milliseconds)
{
	struct stage *s = tone_stage();

	stage_join(s, "one");
	stage_join(s, "two");
	stage_run(s, 100);
	int64_t apart = (int64_t)(s->actors[0].frame_at[0] / 1000000 % 20) - (int64_t)(s->actors[1].frame_at[0] / 1000000 % 20);

	assert_true(llabs(apart) >= 5 && llabs(apart) <= 15);
	stage_close(s);
}

TEST(ticks_that_are_late_still_come_fifty_a_second)
{
	struct stage *s = tone_stage();
	struct actor *a = stage_join(s, "all");
	uint32_t seed = 5;

	stage_run(s, 1000);
	size_t before = a->n_frames;
	nsec start = s->now;

	while (s->now < start + nsec_from_s(20)) /* in steps of up to 180 ms */
		rooms_run(s->rooms, s->now += nsec_from_ms(90) + (nsec)(int64_t)(90e6f * sig_noise(&seed)));
	assert_int_equal(a->n_frames - before, (s->now - start) / nsec_from_ms(20));
	assert_int_equal(rooms_stats(s->rooms)->ticks_skipped, 0);
	stage_close(s);
}

TEST(a_stall_is_caught_up_to_the_bound_and_the_rest_skipped)
{
	struct stage *s = tone_stage();
	struct actor *a = stage_join(s, "all");

	stage_run(s, 1000);
	size_t before = a->n_frames;
	nsec due = rooms_deadline(s->rooms);

	s->now = due + nsec_from_ms(1000); /* 51 ticks are due: 40 later than 200 ms, 11 not */
	rooms_run(s->rooms, s->now);
	assert_int_equal(a->n_frames - before, 11);
	assert_int_equal(rooms_stats(s->rooms)->ticks_skipped, 40);
	assert_int_equal(rooms_deadline(s->rooms), due + nsec_from_ms(1020));
	/* exactly at the bound nothing is skipped */
	s->now = rooms_deadline(s->rooms) + nsec_from_ms(200);
	rooms_run(s->rooms, s->now);
	assert_int_equal(a->n_frames - before, 22);
	assert_int_equal(rooms_stats(s->rooms)->ticks_skipped, 40);
	/* a night asleep costs one division */
	s->now += nsec_from_s(8 * 3600);
	rooms_run(s->rooms, s->now);
	assert_in_range(a->n_frames - before, 32, 33);
	stage_close(s);
}

TEST(lateness_is_counted)
{
	static const uint32_t late_us[] = {0, 100, 101, 700, 1500, 4000, 7000, 15000, 30000, 60000};
	static const int bucket[] = {0, 0, 1, 3, 4, 5, 6, 7, 8, 9};
	uint64_t want[10] = {0}, sum = 0;
	struct stage *s = tone_stage();

	s->opts.max_late_ms = 200;
	stage_join(s, "all");
	for (size_t i = 0; i < 10; i++) {
		nsec due = rooms_deadline(s->rooms);

		rooms_run(s->rooms, due + late_us[i] * 1000ull);
		for (nsec late = late_us[i] * 1000ull;; late -= nsec_from_ms(20)) {
			int k = late == late_us[i] * 1000ull ? bucket[i] : -1;

			for (int j = 0; k < 0; j++)
				if (j == 9 || (double)late * 1e-6 <= rooms_late_bound_ms[j])
					k = j;
			want[k]++;
			sum += late;
			if (late < nsec_from_ms(20))
				break;
		}
		s->now = due + late_us[i] * 1000ull;
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(rooms_stats(s->rooms)->late_bucket[i], want[i]);
	assert_int_equal(rooms_stats(s->rooms)->late_sum_ns, sum);
	stage_close(s);
}

TEST(ten_milliseconds_give_a_hundred_frames)
{
	struct stage *s = stage_new();
	struct actor *a;

	s->opts.frame_ms = 10;
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "tone");
	stage_open(s);
	a = stage_join_at(s, "all", 11025);
	stage_run(s, 100);
	actor_forget_heard(a);
	stage_run(s, 10000);
	assert_int_equal(a->n_frames, 1000);
	assert_in_range(a->n_heard, 110249, 110251);
	stage_close(s);
}

/* The cost of the clock must not grow with rooms that sleep: counted in calls, not in time. */
TEST(only_rooms_that_are_awake_tick)
{
	struct stage *s = stage_new();
	char name[24];

	stage_open(s);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "room %d", i);
		stage_join(s, name);
	}
	actor_talk(&s->actors[17], 440, 0.2);
	stage_run(s, 1000);
	assert_in_range(rooms_stats(s->rooms)->ticks, 49, 51);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_or_silent_room_has_no_deadline),
		cmocka_unit_test(bridges_that_listen_let_the_room_sleep),
		cmocka_unit_test(a_room_that_a_talker_wakes_ticks_soon_after_the_talkers_frames),
		cmocka_unit_test(rooms_aligned_with_talkers_gather_until_a_place_is_full),
		cmocka_unit_test(rooms_aligned_with_talkers_leave_a_full_place),
		cmocka_unit_test(rooms_are_spread_over_the_frame),
		cmocka_unit_test(two_rooms_do_not_tick_in_neighbouring_milliseconds),
		cmocka_unit_test(ticks_that_are_late_still_come_fifty_a_second),
		cmocka_unit_test(a_stall_is_caught_up_to_the_bound_and_the_rest_skipped),
		cmocka_unit_test(lateness_is_counted),
		cmocka_unit_test(ten_milliseconds_give_a_hundred_frames),
		cmocka_unit_test(only_rooms_that_are_awake_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
