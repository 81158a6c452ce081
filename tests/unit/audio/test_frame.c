/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/frame.h"
#include "audio/pcm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *what;
	uint8_t bytes[8];
	size_t len;
	enum frame_fault fault;
	uint32_t rate_hz;
	size_t n_samples;
} cases[] = {
	{"nothing", {0}, 0, FRAME_SHORT, 0, 0},
	{"one byte", {160}, 1, FRAME_SHORT, 0, 0},
	{"a header alone", {160, 0}, 2, FRAME_EMPTY, 0, 0},
	{"half a sample", {160, 0, 1}, 3, FRAME_EMPTY, 0, 0},
	{"one sample", {160, 0, 1, 2}, 4, FRAME_OK, 16000, 1},
	{"an odd byte", {160, 0, 1, 2, 3}, 5, FRAME_ODD, 16000, 1},
	{"the default rate", {0, 0, 1, 2}, 4, FRAME_OK, 24000, 1},
	{"11025", {110, 0, 1, 2}, 4, FRAME_OK, 11025, 1},
	{"22050", {220, 0, 1, 2}, 4, FRAME_OK, 22050, 1},
	{"44100", {441 & 255, 441 >> 8, 1, 2}, 4, FRAME_OK, 44100, 1},
	{"lowest", {80, 0, 1, 2, 3, 4}, 6, FRAME_OK, 8000, 2},
	{"highest", {480 & 255, 480 >> 8, 1, 2}, 4, FRAME_OK, 48000, 1},
	{"too low", {79, 0, 1, 2}, 4, FRAME_BAD_RATE, 0, 0},
	{"too high", {481 & 255, 481 >> 8, 1, 2}, 4, FRAME_BAD_RATE, 0, 0},
	{"the highest field that is no v1", {255, 127, 1, 2}, 4, FRAME_BAD_RATE, 0, 0},
	{"v1, cut", {0, 128, 1, 2}, 4, FRAME_SHORT, 0, 0},
	{"v1 with Opus", {1, 128}, 2, FRAME_UNSUPPORTED, 0, 0},
};

TEST(every_kind_of_frame_gets_its_name)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct frame f = {.rate_hz = 7, .n_samples = 7};
		enum frame_fault fault = frame_parse(cases[i].bytes, cases[i].len, 24000, &f);

		if (fault != cases[i].fault)
			print_message("%s\n", cases[i].what);
		assert_int_equal(fault, cases[i].fault);
		if (fault == FRAME_OK || fault == FRAME_ODD) {
			assert_int_equal(f.rate_hz, cases[i].rate_hz);
			assert_int_equal(f.n_samples, cases[i].n_samples);
			assert_ptr_equal(f.pcm, cases[i].bytes + 2);
			assert_false(f.is_v1);
		} else {
			assert_int_equal(f.rate_hz, 7);
		}
	}
	assert_int_equal(frame_parse(NULL, 0, 16000, NULL), FRAME_SHORT);
}

/* Every field at its own place; the bytes are those of docs/protocol.md. */
static const uint8_t v1_bytes[] = {0x30, 0x80, 0, 3, 160, 0, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 1, 0, 255, 255};

TEST(v1_is_read_and_written)
{
	struct frame f = {0};
	uint8_t head[FRAME_V1_BYTES];

	assert_int_equal(frame_parse(v1_bytes, sizeof v1_bytes, 48000, &f), FRAME_OK);
	assert_true(f.is_v1 && f.v1.begins && f.v1.ends);
	assert_int_equal(f.v1.epoch, 3);
	assert_int_equal(f.rate_hz, 16000);
	assert_int_equal(f.v1.seq, 0x1234);
	assert_int_equal(f.v1.time, 0x12345678);
	assert_int_equal(f.n_samples, 2);
	assert_ptr_equal(f.pcm, v1_bytes + 12);
	frame_v1_write(head, f.rate_hz, &f.v1);
	assert_memory_equal(head, v1_bytes, sizeof head);
	f.v1 = (struct frame_v1){.seq = 65535, .time = UINT32_MAX};
	frame_v1_write(head, 11025, &f.v1);
	assert_memory_equal(head, ((uint8_t[]){0, 128, 0, 0, 110, 0, 255, 255, 255, 255, 255, 255}), sizeof head);
}

TEST(every_truncation_of_v1_has_its_name)
{
	struct frame f = {.rate_hz = 7};

	for (size_t len = 0; len < sizeof v1_bytes; len++) {
		uint8_t *p = malloc(len ? len : 1); /* so that a read beyond it is seen */
		enum frame_fault want = len < 12 ? FRAME_SHORT : len < 14 ? FRAME_EMPTY : len % 2 ? FRAME_ODD : FRAME_OK;

		memcpy(p, v1_bytes, len);
		assert_int_equal(frame_parse(p, len, 48000, &f), want);
		free(p);
	}
}

TEST(v1_of_a_later_version_is_unsupported)
{
	for (int bit = 0; bit < 15; bit++) {
		uint8_t b[16] = {0, 128, 0, 0, 160, 0};
		struct frame f = {0};

		b[bit / 8] |= (uint8_t)(1 << bit % 8);
		assert_int_equal(frame_parse(b, sizeof b, 48000, &f), bit == 4 || bit == 5 ? FRAME_OK : FRAME_UNSUPPORTED);
	}
	uint8_t b[16] = {0, 128, 1, 0, 160, 0}; /* a separate feed: reserved */
	struct frame f = {0};

	assert_int_equal(frame_parse(b, sizeof b, 48000, &f), FRAME_UNSUPPORTED);
	b[2] = 0;
	b[4] = 79;
	assert_int_equal(frame_parse(b, sizeof b, 48000, &f), FRAME_BAD_RATE);
	b[4] = 0;
	assert_int_equal(frame_parse(b, sizeof b, 48000, &f), FRAME_OK);
	assert_int_equal(f.rate_hz, 48000);
}

TEST(a_default_rate_that_is_not_allowed_is_a_bad_rate)
{
	static const uint8_t b[] = {0, 0, 1, 2};
	struct frame f;

	assert_int_equal(frame_parse(b, 4, 96000, &f), FRAME_BAD_RATE);
}

TEST(faults_have_names_for_metrics)
{
	for (int i = 0; i < FRAME_N_FAULTS; i++)
		assert_int_equal(strspn(frame_fault_name((enum frame_fault)i), "abcdefghijklmnopqrstuvwxyz_"),
				 strlen(frame_fault_name((enum frame_fault)i)));
	assert_string_equal(frame_fault_name(FRAME_BAD_RATE), "bad_rate");
	assert_string_equal(frame_fault_name(FRAME_N_FAULTS), "unknown");
}

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
		assert_int_equal(f.rate_hz, rates[i]);
		assert_int_equal(frame_rate_said(rates[i]), rates[i]);
		assert_int_equal(f.n_samples, 6);
		pcm_to_float(x, f.pcm, 6);
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
		int16_t in = (int16_t)v, out;
		uint8_t b[2] = {(uint8_t)v, (uint8_t)((unsigned)v >> 8)}, c[2];
		float x, y;

		pcm_from_i16(&x, &in, 1);
		pcm_to_float(&y, b, 1);
		assert_true(x == y && x == (float)v / 32768);
		pcm_to_i16(&out, &x, 1);
		pcm_from_float(c, &x, 1);
		assert_int_equal(out, v);
		assert_memory_equal(b, c, 2);
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
		cmocka_unit_test(every_kind_of_frame_gets_its_name),
		cmocka_unit_test(v1_is_read_and_written),
		cmocka_unit_test(every_truncation_of_v1_has_its_name),
		cmocka_unit_test(v1_of_a_later_version_is_unsupported),
		cmocka_unit_test(a_default_rate_that_is_not_allowed_is_a_bad_rate),
		cmocka_unit_test(faults_have_names_for_metrics),
		cmocka_unit_test(what_is_written_is_what_is_read),
		cmocka_unit_test(samples_are_split_into_the_fewest_equal_pieces),
		cmocka_unit_test(every_sample_survives_the_float),
		cmocka_unit_test(what_is_too_loud_saturates_and_the_rest_is_rounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
