/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/trend.h"
#include "support/signal.h"

#include <math.h>

/* Frames of 20 ms until `s`, up to `uneven_ms` late; from the fifth second on `step_ms` later. */
static struct trend run(double s, double ppm, double uneven_ms, double step_ms)
{
	struct trend t = {0};
	uint32_t seed = 3;

	for (int i = 0; 0.02 * i < s; i++) {
		double late_ms = uneven_ms * fabs((double)sig_noise(&seed)) + (0.02 * i >= 5 ? step_ms : 0);
		double transit_ms = 7 - 20 * i * ppm * 1e-6 + late_ms;

		trend_add(&t, transit_ms, (nsec)((0.02 * i + 0.001 * late_ms) * 1e9));
	}
	return t;
}

TEST(a_clock_that_drifts_is_seen_within_seconds)
{
	for (double ppm = -300; ppm <= 300; ppm += 600) {
		assert_true(fabs(run(4, ppm, 0, 0).ppm - ppm) < 1);
		assert_true(fabs(run(60, ppm / 30, 0, 0).ppm - ppm / 30) < 1);
		assert_true(fabs(run(40, ppm, 20, 0).ppm - ppm) < 40);
		assert_true(fabs(run(70, ppm, 60, 0).ppm - ppm) < 60);
	}
}

TEST(unevenness_is_no_drift)
{
	static const double unevens[] = {0, 1, 5, 20, 60};

	for (int i = 0; i < 5; i++) {
		for (double s = 1; s < 100; s *= 1.3)
			assert_true(fabs(run(s, 0, unevens[i], 0).ppm) < 25);
		assert_true(run(60, 0, unevens[i], 0).uneven_ms <= unevens[i]);
		assert_true(run(60, 0, unevens[i], 0).uneven_ms >= 0.9 * unevens[i]);
	}
}

TEST(a_longer_way_is_no_drift)
{
	for (double s = 8; s < 40; s *= 1.3) {
		assert_true(run(s, 0, 1, 15).ppm == 0);
		assert_true(run(s, 0, 1, -15).ppm == 0);
	}
}

TEST(media_that_is_missing_without_a_number_is_seen)
{
	assert_true(run(10, -50000, 5, 0).losing);
	assert_true(run(10, -50000, 5, 0).ppm == 0);
	assert_false(run(10, -300, 5, 0).losing);
	assert_false(run(10, 50000, 5, 0).losing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_drifts_is_seen_within_seconds),
		cmocka_unit_test(unevenness_is_no_drift),
		cmocka_unit_test(a_longer_way_is_no_drift),
		cmocka_unit_test(media_that_is_missing_without_a_number_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
