/* SPDX-License-Identifier: MIT */
/*
 * A service in virtual time, in steps of a millisecond: main looks, shards turn, and a service manager, whose clock goes
 * on while the machine stands still, kills what has not fed it for WatchdogSec=.
 */
#include "support/test.h"

#include "daemon/watchdog.h"

#include <string.h>

enum { LIMIT_MS = 10000, N_SHARDS = 3, FOREVER = 1 << 30 };

struct shard_model {
	unsigned turn_ms;  /* how long one turn takes; 0: it sleeps until it is asked to turn */
	unsigned hangs_at; /* from then on it never turns */
	unsigned turn_at;  /* the next turn */
	bool asked;
	uint64_t turns;
};

struct service {
	struct watchdog w;
	unsigned limit_ms;
	unsigned now, look_at, fed_at;
	unsigned killed_at, longest_gap;    /* killed_at 0: it lives */
	unsigned main_busy_ms;              /* how late main is at each look */
	unsigned pause_from, pause_ms, pause_every_ms; /* of the whole machine */
	struct shard_model shard[N_SHARDS];
};

static void start(struct service *s, unsigned limit_ms, unsigned turn_ms)
{
	memset(s, 0, sizeof *s);
	watchdog_init(&s->w, limit_ms);
	s->limit_ms = limit_ms;
	s->look_at = s->w.every_ms;
	for (int i = 0; i < N_SHARDS; i++)
		s->shard[i] = (struct shard_model){.turn_ms = turn_ms, .hangs_at = FOREVER};
}

static bool paused(const struct service *s)
{
	if (s->pause_ms == 0 || s->now < s->pause_from)
		return false;
	unsigned since = s->now - s->pause_from;

	return (s->pause_every_ms ? since % s->pause_every_ms : since) < s->pause_ms;
}

static void feed(struct service *s)
{
	if (s->now - s->fed_at > s->longest_gap)
		s->longest_gap = s->now - s->fed_at;
	s->fed_at = s->now;
}

static void look(struct service *s)
{
	for (unsigned i = 0; i < N_SHARDS; i++)
		if (!watchdog_look(&s->w, i, s->shard[i].turns))
			s->shard[i].asked = true;
	enum watchdog_verdict v = watchdog_verdict(&s->w, N_SHARDS);

	if (v == WATCHDOG_FEED)
		feed(s);
	else if (v == WATCHDOG_HUNG && !s->killed_at)
		s->killed_at = s->now;
	s->look_at = s->now + s->w.every_ms + s->main_busy_ms;
}

static void turn(struct shard_model *m, unsigned now)
{
	bool due = m->turn_ms ? now >= m->turn_at : m->asked;

	if (now >= m->hangs_at || !due)
		return;
	m->turns++;
	m->asked = false;
	m->turn_at = now + m->turn_ms;
}

/* After a pause main looks before any shard has turned. */
static void run_until(struct service *s, unsigned until)
{
	for (; s->now < until && !s->killed_at; s->now++) {
		if (!paused(s)) {
			if (s->now >= s->look_at)
				look(s);
			for (int i = 0; i < N_SHARDS; i++)
				turn(&s->shard[i], s->now);
		}
		if (!s->killed_at && s->now - s->fed_at >= s->limit_ms)
			s->killed_at = s->now;
	}
}

/* --- cases --------------------------------------------------------------------------------------- */

TEST(talking_and_sleeping_shards_are_fed_every_second)
{
	static const unsigned turn_ms[] = {0, 1, 5, 20, 400};

	for (size_t i = 0; i < sizeof turn_ms / sizeof *turn_ms; i++) {
		struct service s;

		start(&s, LIMIT_MS, turn_ms[i]);
		run_until(&s, 60000);
		assert_int_equal(s.killed_at, 0);
		assert_in_range(s.longest_gap, 1, 1010);
	}
}

/* Each turns after every second look only, one after the odd ones, another after the even ones. */
TEST(shards_that_sleep_out_of_step_are_fed)
{
	struct service s;

	start(&s, LIMIT_MS, 0);
	s.shard[1].turn_ms = 2 * s.w.every_ms;
	s.shard[1].turn_at = s.w.every_ms + 10;
	s.shard[2].turn_ms = 2 * s.w.every_ms;
	s.shard[2].turn_at = 2 * s.w.every_ms + 10;
	run_until(&s, 60000);
	assert_int_equal(s.killed_at, 0);
	assert_in_range(s.longest_gap, 1, 1010);
}

/* A shard may be any time late and works: it is never the time by which it is late that counts. Each turn of the second
 * shard takes as long as that: one that never comes back to its loop within the limit cannot be told from one that hangs. */
TEST(a_shard_that_is_late_lives_as_long_as_it_turns)
{
	for (unsigned late_ms = 100; late_ms <= 30000; late_ms += late_ms < 3000 ? 100 : 500) {
		struct service s;

		start(&s, LIMIT_MS, 5);
		s.shard[1].turn_ms = late_ms;
		run_until(&s, 2 * late_ms + LIMIT_MS);
		if (late_ms < LIMIT_MS - 1500)
			assert_int_equal(s.killed_at, 0);
		if (late_ms >= LIMIT_MS)
			assert_in_range(s.killed_at, 1, LIMIT_MS + 1000);
	}
}

TEST(a_join_storm_is_no_reason_for_a_restart)
{
	for (unsigned busy_ms = 0; busy_ms <= 4000; busy_ms += 250) { /* at which main looks each 4.5 s */
		struct service s;

		start(&s, LIMIT_MS, 900); /* all shards have fallen behind and turn now and then */
		s.main_busy_ms = busy_ms;
		s.shard[2].turn_ms = 2500;
		run_until(&s, 60000);
		assert_int_equal(s.killed_at, 0);
	}
}

TEST(a_pause_of_the_machine_is_no_reason_for_a_restart)
{
	static const unsigned turn_ms[] = {0, 5, 700};

	for (size_t i = 0; i < sizeof turn_ms / sizeof *turn_ms; i++) {
		for (unsigned pause_ms = 250; pause_ms <= LIMIT_MS - 1600; pause_ms += 350) {
			for (unsigned from = 3000; from < 3600; from += 59) {
				struct service s;

				start(&s, LIMIT_MS, turn_ms[i]);
				s.pause_from = from;
				s.pause_ms = pause_ms;
				run_until(&s, 3000 + pause_ms + LIMIT_MS);
				assert_int_equal(s.killed_at, 0);
				assert_in_range(s.longest_gap, 1, pause_ms + 1600);
			}
		}
	}
}

TEST(pauses_that_come_again_and_again_are_no_reason_for_a_restart)
{
	for (unsigned runs_ms = 100; runs_ms <= 1000; runs_ms += 50) { /* between pauses of a second and a half */
		struct service s;

		start(&s, LIMIT_MS, 5);
		s.shard[1].turn_ms = 0;
		s.pause_from = 1234;
		s.pause_ms = 1500;
		s.pause_every_ms = s.pause_ms + runs_ms;
		run_until(&s, 60000);
		assert_int_equal(s.killed_at, 0);
		assert_in_range(s.longest_gap, 1, 5000);
	}
}

/* Shards that are busy, shards that sleep, one that hangs at any moment between two looks; limits from a second on. */
TEST(a_shard_that_hangs_is_restarted_within_the_limit)
{
	static const unsigned limit_ms[] = {1000, 3000, 10000, 30000};

	for (size_t i = 0; i < sizeof limit_ms / sizeof *limit_ms; i++) {
		for (unsigned at = 3000; at < 3600; at += 37) {
			for (unsigned which = 0; which < 2 * N_SHARDS; which++) {
				struct service s;

				start(&s, limit_ms[i], which < N_SHARDS ? 5 : 0);
				s.shard[which % N_SHARDS].hangs_at = at;
				run_until(&s, 200000);
				assert_in_range(s.killed_at, at + limit_ms[i] / 3, at + limit_ms[i]);
			}
		}
	}
}

TEST(a_shard_that_hangs_while_the_machine_pauses_is_restarted)
{
	struct service s;

	start(&s, LIMIT_MS, 5);
	s.shard[1].hangs_at = 30000;
	s.pause_from = 1234;
	s.pause_ms = 1500;
	s.pause_every_ms = 2000;
	run_until(&s, 120000);
	assert_in_range(s.killed_at, 30000, 30000 + LIMIT_MS + 2 * s.pause_every_ms);
}

/* Main hangs: nobody looks, nobody feeds. */
TEST(main_that_hangs_is_restarted_within_the_limit)
{
	struct service s;

	start(&s, LIMIT_MS, 5);
	run_until(&s, 30000);
	s.look_at = FOREVER;
	run_until(&s, 120000);
	assert_in_range(s.killed_at, 30000, 30000 + LIMIT_MS);
}

TEST(health_tells_after_two_seconds_and_not_for_a_pause)
{
	struct service s;

	start(&s, 0, 5);
	s.limit_ms = FOREVER;
	s.pause_from = 20000;
	s.pause_ms = 15000;
	run_until(&s, 36000);
	for (unsigned i = 0; i < N_SHARDS; i++)
		assert_false(watchdog_stuck(&s.w, i));
	s.shard[2].hangs_at = 40000;
	run_until(&s, 42000);
	assert_false(watchdog_stuck(&s.w, 2));
	run_until(&s, 43500);
	assert_true(watchdog_stuck(&s.w, 2));
	assert_false(watchdog_stuck(&s.w, 1));
	run_until(&s, 1000000);
	assert_int_equal(s.killed_at, 0); /* there is no limit */
}

TEST(looks_come_often_enough_for_any_limit)
{
	static const uint64_t limit_ms[] = {0, 1, 2, 100, 400, 1000, 10000, 3600000, UINT64_MAX / 1000};

	for (size_t i = 0; i < sizeof limit_ms / sizeof *limit_ms; i++) {
		struct watchdog w;

		watchdog_init(&w, limit_ms[i]);
		assert_in_range(w.every_ms, 1, 500);
		assert_true(w.looks_limit > 0);
		if (limit_ms[i] >= 100)
			assert_true(w.every_ms * 8 <= limit_ms[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talking_and_sleeping_shards_are_fed_every_second),
		cmocka_unit_test(shards_that_sleep_out_of_step_are_fed),
		cmocka_unit_test(a_shard_that_is_late_lives_as_long_as_it_turns),
		cmocka_unit_test(a_join_storm_is_no_reason_for_a_restart),
		cmocka_unit_test(a_pause_of_the_machine_is_no_reason_for_a_restart),
		cmocka_unit_test(pauses_that_come_again_and_again_are_no_reason_for_a_restart),
		cmocka_unit_test(a_shard_that_hangs_is_restarted_within_the_limit),
		cmocka_unit_test(a_shard_that_hangs_while_the_machine_pauses_is_restarted),
		cmocka_unit_test(main_that_hangs_is_restarted_within_the_limit),
		cmocka_unit_test(health_tells_after_two_seconds_and_not_for_a_pause),
		cmocka_unit_test(looks_come_often_enough_for_any_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
