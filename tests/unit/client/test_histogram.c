/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "client/histogram.h"

#include <stdlib.h>

TEST(small_values_are_exact)
{
	static struct histogram h;

	histogram_init(&h);
	assert_int_equal(histogram_percentile(&h, 0.5), 0);
	for (uint64_t v = 1; v <= 200; v++)
		histogram_add(&h, v);
	assert_int_equal(histogram_percentile(&h, 0), 1);
	assert_int_equal(histogram_percentile(&h, 0.5), 100);
	assert_int_equal(histogram_percentile(&h, 0.99), 198);
	assert_int_equal(histogram_percentile(&h, 1), 200);
	assert_int_equal(h.max, 200);
	assert_int_equal(h.count, 200);
}

TEST(every_value_is_known_to_within_a_hundredth)
{
	static struct histogram h;

	for (uint64_t v = 1; v < (UINT64_C(1) << 36); v = v * 21 / 20 + 1) {
		histogram_init(&h);
		histogram_add(&h, v);
		histogram_add(&h, UINT64_C(1) << 40);
		uint64_t got = histogram_percentile(&h, 0.5);

		assert_true(got >= v);
		assert_true((double)(got - v) <= 0.008 * (double)v);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

TEST(percentiles_are_those_of_the_sorted_values)
{
	enum { N = 10000 };
	static const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999, 1};
	static struct histogram h;
	uint64_t *v = calloc(N, sizeof *v);

	srand(3);
	histogram_init(&h);
	for (size_t i = 0; i < N; i++) {
		v[i] = (uint64_t)rand() % 1000 * ((uint64_t)rand() % 1000);
		histogram_add(&h, v[i]);
	}
	qsort(v, N, sizeof *v, compare);
	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
		double wanted = (double)v[(size_t)(shares[i] * (double)N + 0.5) - 1], got = (double)histogram_percentile(&h, shares[i]);

		assert_true(got >= wanted && got <= wanted * 1.008 + 1);
	}
	free(v);
}

TEST(the_greatest_values_have_a_place)
{
	static struct histogram h;

	histogram_init(&h);
	histogram_add(&h, UINT64_MAX);
	histogram_add(&h, 0);
	assert_int_equal(h.max, UINT64_MAX);
	assert_int_equal(histogram_percentile(&h, 1), (UINT64_C(1) << 36) - 1);
	assert_int_equal(histogram_percentile(&h, 0.5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(every_value_is_known_to_within_a_hundredth),
		cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
		cmocka_unit_test(the_greatest_values_have_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
