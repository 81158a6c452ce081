/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/pcm.h"

#include <math.h>

TEST(every_sample_survives_the_float)
{
	for (int v = -32768; v <= 32767; v++) {
		int16_t in = (int16_t)v, out, raw;
		uint8_t b[2] = {(uint8_t)v, (uint8_t)((unsigned)v >> 8)}, c[2];
		float x, y;

		pcm_from_i16(&x, &in, 1);
		pcm_to_float(&y, b, 1);
		assert_true(x == y && x == (float)v / 32768);
		pcm_to_i16(&out, &x, 1);
		pcm_from_float(c, &x, 1);
		assert_int_equal(out, v);
		assert_memory_equal(b, c, 2);
		pcm_from_bytes(&raw, b, 1);
		assert_int_equal(raw, v);
	}
}

TEST(loud_samples_saturate_and_the_rest_are_rounded)
{
	static const float x[] = {2.0f, -2.0f, 1.0f, 1e30f, -1e30f, 0.4f / 32768, 0.6f / 32768, -0.6f / 32768, INFINITY, -INFINITY, NAN};
	static const int16_t want[] = {32767, -32768, 32767, 32767, -32768, 0, 1, -1, 32767, -32768};
	int16_t out[11];

	pcm_to_i16(out, x, 11);
	assert_memory_equal(out, want, sizeof want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample_survives_the_float),
		cmocka_unit_test(loud_samples_saturate_and_the_rest_are_rounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
