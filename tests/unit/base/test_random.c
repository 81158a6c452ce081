/* SPDX-License-Identifier: MIT */
/* random: numbers below a bound are all of them and nothing else, a UUID has the form of its version. */
#include "base/random.h"

#include "support/test.h"

#include <string.h>

TEST(every_byte_is_filled_and_no_two_calls_agree)
{
	uint8_t a[300], b[300], seen[300] = {0};

	for (int round = 0; round < 20; round++) {
		memset(a, 0, sizeof a);
		random_bytes(a, sizeof a);
		random_bytes(b, sizeof b);
		assert_memory_not_equal(a, b, sizeof a);
		for (size_t i = 0; i < sizeof a; i++)
			seen[i] |= a[i];
	}
	for (size_t i = 0; i < sizeof seen; i++)
		assert_int_not_equal(seen[i], 0);
	random_bytes(a, 0);
}

TEST(numbers_below_a_bound_are_evenly_spread)
{
	enum { N = 6, DRAWS = 60000 };
	int count[N] = {0};

	for (int i = 0; i < DRAWS; i++) {
		uint32_t r = random_below(N);

		assert_true(r < N);
		count[r]++;
	}
	for (int i = 0; i < N; i++) /* nine standard deviations */
		assert_in_range(count[i], DRAWS / N - 820, DRAWS / N + 820);
}

TEST(the_largest_and_the_smallest_bound_hold)
{
	uint32_t all = 0;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(random_below(1), 0);
		assert_true(random_below(UINT32_MAX) < UINT32_MAX);
		assert_true(random_below(3u << 30) < 3u << 30); /* a quarter of the draws is drawn again */
		all |= random_below(1u << 31);
	}
	assert_int_equal(all, (1u << 31) - 1);
}

TEST(a_uuid_says_version_4_and_its_variant)
{
	uint8_t id[16], any = 0;

	for (int i = 0; i < 100; i++) {
		random_uuid(id);
		assert_int_equal(id[6] >> 4, 4);
		assert_int_equal(id[8] >> 6, 2);
		any |= id[0] | id[15];
	}
	assert_int_equal(any, 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_filled_and_no_two_calls_agree),
		cmocka_unit_test(numbers_below_a_bound_are_evenly_spread),
		cmocka_unit_test(the_largest_and_the_smallest_bound_hold),
		cmocka_unit_test(a_uuid_says_version_4_and_its_variant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
