/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/frame.h"
#include "audio/pcm.h"

#include <math.h>
#include <string.h>

TEST(what_is_written_is_what_is_read)
{
	static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
	static const int16_t pcm[] = {0, 1, -1, 32767, -32768, 258};
	uint8_t bytes[14];
	int16_t back[6];
	float x[6];

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct frame f;

		assert_int_equal(frame_write(bytes, sizeof bytes, rates[i], pcm, 6), 14);
		assert_int_equal(frame_parse(bytes, 14, 16000, &f), FRAME_OK);
		assert_int_equal(f.format.rate_hz, rates[i]);
		assert_int_equal(frame_rate_said(rates[i]), rates[i]);
		assert_int_equal(f.n_samples, 6);
		pcm_to_float(x, f.payload, 6);
		pcm_to_i16(back, x, 6);
		assert_memory_equal(back, pcm, sizeof pcm);
		memset(bytes + 2, 0, 12);
		assert_int_equal(frame_write_float(bytes, sizeof bytes, rates[i], x, 6), 14);
		pcm_to_float(x, bytes + 2, 6);
		pcm_to_i16(back, x, 6);
		assert_memory_equal(back, pcm, sizeof pcm);
	}
	assert_int_equal(frame_write(bytes, 13, 16000, pcm, 6), 0);
	assert_int_equal(frame_write(bytes, 1, 16000, pcm, 0), 0);
	assert_int_equal(frame_write_float(bytes, 13, 16000, x, 6), 0);
}

TEST(samples_are_split_into_the_fewest_equal_pieces)
{
	assert_int_equal(frame_samples_max(1170), 584);
	assert_int_equal(frame_samples_max(3), 0);
	assert_int_equal(frame_samples_max(1), 0);
	assert_int_equal(frame_pieces(960, 1170), 2);
	assert_int_equal(frame_piece(960, 2, 0), 480);
	assert_int_equal(frame_piece(960, 2, 1), 480);
	assert_int_equal(frame_pieces(584, 1170), 1);
	assert_int_equal(frame_pieces(585, 1170), 2);
	assert_int_equal(frame_pieces(0, 1170), 0);
	assert_int_equal(frame_pieces(10, 3), 0);
	for (size_t n = 1; n < 2000; n += 7) {
		size_t pieces = frame_pieces(n, 333), sum = 0;

		for (size_t i = 0; i < pieces; i++) {
			assert_true(frame_piece(n, pieces, i) <= frame_samples_max(333));
			assert_in_range(frame_piece(n, pieces, i), n / pieces, n / pieces + 1);
			sum += frame_piece(n, pieces, i);
		}
		assert_int_equal(sum, n);
	}
}

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

TEST(what_is_too_loud_saturates_and_the_rest_is_rounded)
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
		cmocka_unit_test(what_is_written_is_what_is_read),
		cmocka_unit_test(samples_are_split_into_the_fewest_equal_pieces),
		cmocka_unit_test(every_sample_survives_the_float),
		cmocka_unit_test(what_is_too_loud_saturates_and_the_rest_is_rounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
