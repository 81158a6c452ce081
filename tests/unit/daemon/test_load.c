/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/load.h"

/* `ms` in steps of a millisecond, of each of which the loop sleeps `idle_us` and greets for `greet_us`. */
static void live(struct load *l, nsec *now, nsec *idle, unsigned ms, unsigned idle_us, unsigned greet_us)
{
	for (unsigned i = 0; i < ms; i++) {
		*now += nsec_from_ms(1);
		*idle += nsec_from_us(idle_us);
		load_except(l, nsec_from_us(greet_us));
		load_look(l, *idle, 0, *now);
	}
}

TEST(follows_within_a_second)
{
	struct load l = {0};
	nsec now = nsec_from_s(100), idle = nsec_from_s(90);

	live(&l, &now, &idle, 1000, 900, 0);
	assert_float_equal(l.share, 0.1, 0.01);
	live(&l, &now, &idle, 300, 0, 0);
	assert_in_range((int)(l.share * 100), 50, 80);
	live(&l, &now, &idle, 1000, 0, 0);
	assert_true(l.share > 0.95);
	live(&l, &now, &idle, 1000, 500, 0);
	assert_float_equal(l.share, 0.5, 0.03);
}

TEST(does_not_count_handshakes)
{
	struct load l = {0};
	nsec now = nsec_from_s(100), idle = 0;

	live(&l, &now, &idle, 2000, 0, 700);
	assert_float_equal(l.share, 0.3, 0.01);
}

/* Before the loop has turned once everything looks like work; and greeting can be measured beyond the look. */
TEST(starts_from_nothing)
{
	struct load l = {0};

	load_look(&l, 0, 0, nsec_from_s(100));
	assert_float_equal(l.share, 0, 1e-9);
	load_except(&l, nsec_from_s(2));
	load_look(&l, 0, 0, nsec_from_s(101));
	assert_float_equal(l.share, 0, 1e-9);
}

/* --- joins beyond what a core carries ----------------------------------------------------------- */

enum { STEP_MS = 10, WAITS_MAX = 200 };
static const double per_s = 1000.0 / (double)STEP_MS;

/* A shard whose work is that of those who talk. */
struct crowd {
	struct load load;
	struct load_rule rule;
	double talker, joins_per_s; /* what one takes of the time; who come */
	unsigned waits;             /* steps from a join to the first word; WAITS_MAX: they never talk */
	double talkers, joins, frames;
	double coming[WAITS_MAX];   /* those who begin to talk in that many steps, round */
	double most;                /* of the time that was needed in a step */
	unsigned step, changes, admitted;
	nsec now, idle;
	uint32_t random;
};

static void crowd_init(struct crowd *c, double talker, double joins_per_s, unsigned waits)
{
	*c = (struct crowd){.rule = load_rule_make(90, 80), .talker = talker, .joins_per_s = joins_per_s, .waits = waits,
		.talkers = 0.2 / talker, .now = nsec_from_s(100), .random = 1};
}

/* -1..1 */
static double noise(struct crowd *c)
{
	c->random = c->random * 1664525 + 1013904223;
	return (double)(c->random >> 8) / (1 << 23) - 1;
}

static void ask(struct crowd *c)
{
	for (c->joins += c->joins_per_s / per_s; c->joins >= 1; c->joins--) {
		if (load_decide(&c->load, &c->rule))
			continue;
		load_charge(&c->load, 1);
		c->admitted++;
		if (c->waits < WAITS_MAX)
			c->coming[(c->step + c->waits) % WAITS_MAX]++;
	}
}

static void step(struct crowd *c)
{
	bool was = c->load.busy;
	double needed = c->talkers * c->talker, used = needed * (1 + 0.1 * noise(c));

	ask(c);
	c->talkers += c->coming[c->step % WAITS_MAX];
	c->coming[c->step++ % WAITS_MAX] = 0;
	c->most = needed > c->most ? needed : c->most;
	c->frames += c->talkers * 100 / per_s;
	c->now += nsec_from_ms(STEP_MS);
	c->idle += (nsec)((used < 1 ? 1 - used : 0) * (double)nsec_from_ms(STEP_MS));
	load_look(&c->load, c->idle, (uint64_t)c->frames, c->now);
	c->changes += load_decide(&c->load, &c->rule) != was;
}

static void live_on(struct crowd *c, unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 1000 / STEP_MS; i++)
		step(c);
}

/* Those who were there first have all the time that they need, and all who come are told the same thing for long. */
TEST(joins_beyond_a_core_do_not_overload_it_and_busy_does_not_flap)
{
	static const double talkers[] = {0.0005, 0.001, 0.002, 0.005, 0.01}, rates[] = {20, 150, 600};
	static const unsigned waits[] = {0, 5, 30, 100};

	for (size_t t = 0; t < sizeof talkers / sizeof *talkers; t++)
		for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
			for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
				struct crowd c;

				crowd_init(&c, talkers[t], 0, waits[i]);
				live_on(&c, 20); /* what a talker costs is known by then */
				c.joins_per_s = rates[r];
				live_on(&c, 120);
				if (c.most >= 1 || c.changes > 5 || c.load.share < 0.7)
					fail_msg("talker=%g joins=%g waits=%u: most=%g changes=%u share=%g", talkers[t], rates[r], waits[i],
						c.most, c.changes, c.load.share);
			}
}

/* After a restart, when all come back and nothing is known. */
TEST(a_storm_of_joins_from_nothing_does_not_overload_it)
{
	static const double talkers[] = {0.0005, 0.001, 0.002}; /* up to twice what is guessed */

	for (size_t t = 0; t < sizeof talkers / sizeof *talkers; t++)
		for (unsigned waits = 0; waits <= 100; waits += 20) {
			struct crowd c;

			crowd_init(&c, talkers[t], 150, waits);
			c.talkers = 0;
			live_on(&c, 60);
			if (c.most >= 1 || c.changes > 5 || c.load.share < 0.7)
				fail_msg("talker=%g waits=%u: most=%g changes=%u share=%g", talkers[t], waits, c.most, c.changes, c.load.share);
		}
}

TEST(a_server_that_is_less_busy_takes_in_again)
{
	struct crowd c;

	crowd_init(&c, 0.002, 0, 30);
	live_on(&c, 20);
	c.joins_per_s = 150;
	live_on(&c, 60);
	assert_true(c.load.busy);
	unsigned admitted = c.admitted;

	c.talkers *= 0.95;
	live_on(&c, 10);
	if (c.load.share >= 0.8)
		assert_int_equal(c.admitted, admitted);
	c.talkers *= 0.7;
	live_on(&c, 10);
	assert_true(c.admitted > admitted + 50);
	assert_true(c.most < 1);
}

/* A lecture: a charge that stayed would keep listeners out of an idle server. */
TEST(newcomers_who_only_listen_are_charged_for_a_while)
{
	struct crowd c;

	crowd_init(&c, 0.001, 50, WAITS_MAX);
	live_on(&c, 300);
	assert_int_equal(c.admitted, 50 * 300);
	assert_int_equal(c.changes, 0);
}

TEST(a_talkers_cost_is_learned_and_bounded)
{
	struct crowd c;

	crowd_init(&c, 0.004, 0, 0);
	live_on(&c, 30);
	assert_float_equal(c.load.talker, 0.004, 0.0004);
	c.talkers = 2;
	c.talker = 0.4; /* something else is at work */
	live_on(&c, 60);
	assert_true(c.load.talker <= 0.02);
}

TEST(thresholds_leave_a_gap)
{
	const struct load_rule given = load_rule_make(90, 85), unfit = load_rule_make(45, 80), equal = load_rule_make(90, 90);
	const struct load_rule never = load_rule_make(0, 80);
	struct load l = {.share = 1};

	assert_float_equal(given.resume, 0.85, 1e-9);
	assert_float_equal(unfit.resume, 0.40, 1e-9);
	assert_float_equal(equal.resume, 0.80, 1e-9);
	assert_false(load_decide(&l, &never));
	assert_true(load_decide(&l, &given));
	l.share = 0.86;
	assert_true(load_decide(&l, &given));
	l.share = 0.84;
	assert_false(load_decide(&l, &given));
	l.share = 0.89;
	assert_false(load_decide(&l, &given));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_within_a_second),
		cmocka_unit_test(does_not_count_handshakes),
		cmocka_unit_test(starts_from_nothing),
		cmocka_unit_test(joins_beyond_a_core_do_not_overload_it_and_busy_does_not_flap),
		cmocka_unit_test(a_storm_of_joins_from_nothing_does_not_overload_it),
		cmocka_unit_test(a_server_that_is_less_busy_takes_in_again),
		cmocka_unit_test(newcomers_who_only_listen_are_charged_for_a_while),
		cmocka_unit_test(a_talkers_cost_is_learned_and_bounded),
		cmocka_unit_test(thresholds_leave_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
