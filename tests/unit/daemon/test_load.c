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
		load_look(l, *idle, *now);
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

	load_look(&l, 0, nsec_from_s(100));
	assert_float_equal(l.share, 0, 1e-9);
	load_except(&l, nsec_from_s(2));
	load_look(&l, 0, nsec_from_s(101));
	assert_float_equal(l.share, 0, 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_within_a_second),
		cmocka_unit_test(does_not_count_handshakes),
		cmocka_unit_test(starts_from_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
