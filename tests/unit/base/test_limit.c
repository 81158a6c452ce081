/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/limit.h"

static unsigned take_all(struct limit *l, const struct rate *r, uint64_t n, nsec now)
{
	unsigned taken = 0;

	while (taken < 100000 && limit_take(l, r, n, now))
		taken++;
	return taken;
}

TEST(a_new_limit_gives_its_burst_at_once)
{
	const struct rate r = rate_make(250, nsec_from_s(1), nsec_from_s(2));
	struct limit l = {0};

	assert_true(limit_is_full(&l, 0));
	assert_int_equal(take_all(&l, &r, 1, nsec_from_s(7)), 500);
	assert_false(limit_is_full(&l, nsec_from_s(7)));
}

TEST(the_allowance_comes_back_at_the_rate)
{
	const struct rate r = rate_make(20, nsec_from_s(1), nsec_from_s(2));
	struct limit l = {0};
	nsec now = nsec_from_s(1);

	assert_int_equal(take_all(&l, &r, 1, now), 40);
	assert_false(limit_take(&l, &r, 1, now + nsec_from_ms(50) - 1));
	assert_true(limit_take(&l, &r, 1, now + nsec_from_ms(50)));
	assert_int_equal(take_all(&l, &r, 1, now + nsec_from_ms(550)), 10);
	assert_int_equal(take_all(&l, &r, 1, now + nsec_from_s(100)), 40);
}

TEST(a_refusal_takes_nothing)
{
	const struct rate r = rate_make(16384, nsec_from_s(1), nsec_from_s(2));
	struct limit l = {0};
	nsec now = nsec_from_s(1);

	assert_false(limit_take(&l, &r, 40000, now));
	assert_true(limit_take(&l, &r, 30000, now));
	assert_false(limit_take(&l, &r, 3000, now));
	assert_true(limit_take(&l, &r, 2768, now));
}

TEST(a_rate_of_nothing_allows_nothing)
{
	const struct rate r = rate_make(0, nsec_from_s(1), nsec_from_s(2));
	struct limit l = {0};

	for (unsigned s = 0; s < 1000; s++)
		assert_false(limit_take(&l, &r, 1, nsec_from_s(s)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_limit_gives_its_burst_at_once),
		cmocka_unit_test(the_allowance_comes_back_at_the_rate),
		cmocka_unit_test(a_refusal_takes_nothing),
		cmocka_unit_test(a_rate_of_nothing_allows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
