/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/codec.h"
#include "audio/pcm.h"
#include "audio/rate.h"

#include <math.h>
#include <string.h>

TEST(the_table_finds_a_codec_by_id_and_by_name)
{
	assert_ptr_equal(codec_by_id(0), &codec_pcm);
	assert_ptr_equal(codec_by_name("pcm"), &codec_pcm);
	for (unsigned id = 1; id < 20; id++)
		assert_null(codec_by_id(id));
	assert_null(codec_by_name("PCM"));
	assert_null(codec_by_name("opus"));
	assert_null(codec_by_name(""));
}

TEST(pcm_takes_every_rate_that_may_enter)
{
	for (uint32_t rate = 7000; rate < 50000; rate += 1000) {
		assert_int_equal(audio_rate_ok(rate), rate >= 8000 && rate <= 48000);
		assert_int_equal(codec_pcm.rate_ok(rate), audio_rate_ok(rate));
	}
	assert_false(audio_rate_ok(7999) || audio_rate_ok(48001) || audio_rate_ok(0));
}

TEST(a_pcm_payload_holds_one_sample_in_two_bytes)
{
	static const uint8_t bytes[5] = {1, 2, 3, 4, 5};
	size_t n = 7;

	assert_int_equal(codec_pcm.measure(bytes, 0, &n), FRAME_EMPTY);
	assert_int_equal(codec_pcm.measure(bytes, 1, &n), FRAME_EMPTY);
	assert_int_equal(n, 7);
	assert_int_equal(codec_pcm.measure(bytes, 2, &n), FRAME_OK);
	assert_int_equal(n, 1);
	assert_int_equal(codec_pcm.measure(bytes, 5, &n), FRAME_ODD);
	assert_int_equal(n, 2);
}

TEST(every_16_bit_sample_survives_decoding_and_encoding)
{
	for (int v = -32768; v <= 32767; v++) {
		uint8_t b[3] = {0, (uint8_t)v, (uint8_t)((unsigned)v >> 8)}, back[3] = {0}; /* unaligned */
		float x;

		codec_pcm.decode(NULL, b + 1, 2, &x, 1);
		assert_true(x == (float)v / 32768);
		assert_int_equal(codec_pcm.encode(NULL, back + 1, &x, 1), 2);
		assert_memory_equal(back, b, 3);
	}
}

TEST(long_blocks_are_encoded_as_single_samples_are)
{
	float x[1000];
	uint8_t all[2001], one[2];

	for (size_t i = 0; i < 1000; i++)
		x[i] = 1.2f * sinf(0.37f * (float)i);
	for (size_t n = 1; n <= 1000; n += 37) {
		memset(all, 0xa5, sizeof all);
		assert_int_equal(codec_pcm.encode(NULL, all + 1, x, n), 2 * n);
		for (size_t i = 0; i < n; i++) {
			pcm_from_float(one, x + i, 1);
			assert_memory_equal(all + 1 + 2 * i, one, 2);
		}
		assert_true(2 * n + 1 >= sizeof all || all[2 * n + 1] == 0xa5);
	}
}

/* Stands for a codec with state. */
static int n_states;
static int counter_new(uint32_t rate_hz, void **out)
{
	static int state;

	assert_int_equal(rate_hz, 48000);
	n_states++;
	*out = &state;
	return 0;
}
static int counter_encoder_new(uint32_t rate_hz, uint32_t bitrate_bps, void **out)
{
	assert_int_equal(bitrate_bps, 24000);
	return counter_new(rate_hz, out);
}
static void counter_free(void *state)
{
	assert_non_null(state);
	n_states--;
}
static void counter_copy(void *to, const void *from)
{
	*(int *)to = *(const int *)from;
}

TEST(state_belongs_to_the_codecs_that_have_some)
{
	static const struct codec stateful = {
		.decoder_new = counter_new,
		.decoder_free = counter_free,
		.encoder_new = counter_encoder_new,
		.encoder_free = counter_free,
		.encoder_copy = counter_copy,
	};
	void *d = &n_states, *e = &n_states;
	int from = 3, to = 0;

	assert_int_equal(codec_decoder_new(&codec_pcm, 16000, &d), 0);
	assert_int_equal(codec_encoder_new(&codec_pcm, 16000, 0, &e), 0);
	assert_null(d);
	assert_null(e);
	codec_encoder_copy(&codec_pcm, NULL, NULL);
	codec_decoder_free(&codec_pcm, d);
	codec_encoder_free(&codec_pcm, e);
	codec_decoder_free(NULL, NULL);
	codec_encoder_free(NULL, NULL);
	assert_int_equal(codec_decoder_new(&stateful, 48000, &d), 0);
	assert_int_equal(codec_encoder_new(&stateful, 48000, 24000, &e), 0);
	assert_int_equal(n_states, 2);
	codec_encoder_copy(&stateful, &to, &from);
	assert_int_equal(to, 3);
	codec_decoder_free(&stateful, d);
	codec_encoder_free(&stateful, e);
	assert_int_equal(n_states, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_finds_a_codec_by_id_and_by_name),
		cmocka_unit_test(pcm_takes_every_rate_that_may_enter),
		cmocka_unit_test(a_pcm_payload_holds_one_sample_in_two_bytes),
		cmocka_unit_test(every_16_bit_sample_survives_decoding_and_encoding),
		cmocka_unit_test(long_blocks_are_encoded_as_single_samples_are),
		cmocka_unit_test(state_belongs_to_the_codecs_that_have_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
