/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "bridge/audiosocket_codec.h"

#include <stdlib.h>
#include <string.h>

/* A stream in, and what came out: each record as its bytes, the parts of audio put together again. */
struct run {
	struct as_parser ps;
	uint8_t out[4096];
	size_t n_out, n_records;
};

static void feed(struct run *r, const uint8_t *p, size_t len)
{
	struct as_record rec;
	int got;

	while ((got = as_next(&r->ps, &p, &len, &rec)) == 1) {
		bool audio = as_audio_rate(rec.type) != 0;

		if (audio)
			assert_true(rec.len > 0 && rec.len % 2 == 0);
		if (!audio) {
			r->out[r->n_out++] = rec.type;
			r->n_records++;
		}
		memcpy(r->out + r->n_out, rec.payload, rec.len);
		r->n_out += rec.len;
	}
	assert_int_equal(got, 0);
	assert_int_equal(len, 0);
}

static const uint8_t stream[] = {
	0x01, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, /* UUID */
	0x12, 0, 4, 1, 2, 3, 4, 0x12, 0, 0, 0x12, 0, 2, 5, 6,               /* audio, none, audio */
	0x21, 0, 0, 0x21, 0, 3, 'a', 'b', 'c', 0x20, 0, 0,                  /* marks, flush */
	0x22, 0, 2, '{', '}', 0x03, 0, 1, '5', 0xff, 0, 1, 4, 0x00, 0, 0,   /* event, digit, error, hang up */
};
static const uint8_t meaning[] = {
	0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5, 6, 0x21, 0x21, 'a', 'b', 'c',
	0x20, 0x22, '{', '}', 0x03, '5', 0xff, 4, 0x00,
};

TEST(a_stream_is_parsed_alike_in_any_pieces)
{
	static struct run r;

	for (size_t a = 0; a <= sizeof stream; a++) {
		for (size_t b = a; b <= sizeof stream; b++) {
			memset(&r, 0, sizeof r);
			feed(&r, stream, a);
			feed(&r, stream + a, b - a);
			feed(&r, stream + b, sizeof stream - b);
			assert_int_equal(r.n_out, sizeof meaning);
			assert_memory_equal(r.out, meaning, sizeof meaning);
			assert_false(as_cut(&r.ps));
		}
	}
}

TEST(a_stream_is_parsed_alike_byte_by_byte)
{
	static struct run r;

	for (size_t i = 0; i < sizeof stream; i++)
		feed(&r, stream + i, 1);
	assert_int_equal(r.n_out, sizeof meaning);
	assert_memory_equal(r.out, meaning, sizeof meaning);
}

TEST(half_a_record_is_recognised)
{
	static struct run r;

	assert_false(as_cut(&r.ps));
	feed(&r, (const uint8_t *)"\x10", 1);
	assert_true(as_cut(&r.ps));
	feed(&r, (const uint8_t *)"\x00\x04xy", 4);
	assert_true(as_cut(&r.ps));
	feed(&r, (const uint8_t *)"zz", 2);
	assert_false(as_cut(&r.ps));
}

TEST(the_rates_are_those_of_asterisk)
{
	static const struct { uint32_t rate_hz; uint8_t type; } known[] = {
		{8000, 0x10}, {12000, 0x11}, {16000, 0x12}, {24000, 0x13}, {32000, 0x14}, {44100, 0x15}, {48000, 0x16},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		assert_int_equal(as_audio_type(known[i].rate_hz), known[i].type);
		assert_int_equal(as_audio_rate(known[i].type), known[i].rate_hz);
	}
	assert_int_equal(as_audio_rate(0x17), 96000);
	assert_int_equal(as_audio_rate(0x18), 192000);
	assert_int_equal(as_audio_rate(0x0f), 0);
	assert_int_equal(as_audio_rate(0x19), 0);
	assert_int_equal(as_audio_type(22050), 0);
	assert_int_equal(as_audio_type(96000), 0);
}

TEST(a_malformed_stream_stays_refused)
{
	static const struct { uint8_t head[3]; const char *why; } bad[] = {
		{{'G', 'E', 'T'}, "a record of type 0x47 with 17748 bytes: no such type"},
		{{0x02, 0, 0}, "a record of type 0x02 with 0 bytes: no such type"},
		{{0x10, 0, 1}, "a record of type 0x10 with 1 bytes: half a sample too many"},
		{{0x01, 0, 15}, "a record of type 0x01 with 15 bytes: a wrong length"},
		{{0x03, 0, 0}, "a record of type 0x03 with 0 bytes: a wrong length"},
		{{0x20, 0, 1}, "a record of type 0x20 with 1 bytes: a wrong length"},
		{{0x21, 1, 0}, "a record of type 0x21 with 256 bytes: a wrong length"},
		{{0x22, 0x40, 1}, "a record of type 0x22 with 16385 bytes: a wrong length"},
		{{0xff, 0xff, 0xff}, "a record of type 0xff with 65535 bytes: a wrong length"},
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		static struct as_parser ps;
		const uint8_t *p = bad[i].head;
		struct as_record rec;
		size_t len = 3;

		memset(&ps, 0, sizeof ps);
		assert_int_equal(as_next(&ps, &p, &len, &rec), ERR_MALFORMED);
		assert_string_equal(ps.why, bad[i].why);
		p = stream;
		len = sizeof stream;
		assert_int_equal(as_next(&ps, &p, &len, &rec), ERR_MALFORMED);
	}
}

TEST(the_longest_records_are_parsed)
{
	static uint8_t event[AS_HEAD + AS_EVENT_MAX], audio[AS_HEAD + AS_AUDIO_MAX];
	static struct as_parser ps;
	const uint8_t *p = event;
	struct as_record rec;
	size_t len = sizeof event, n = 0;

	as_put_head(event, AS_EVENT, AS_EVENT_MAX);
	assert_int_equal(as_next(&ps, &p, &len, &rec), 1);
	assert_int_equal(rec.len, AS_EVENT_MAX);
	as_put_head(audio, AS_AUDIO, AS_AUDIO_MAX);
	p = audio;
	for (len = sizeof audio; as_next(&ps, &p, &len, &rec) == 1;)
		n += rec.len;
	assert_int_equal(n, AS_AUDIO_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_is_parsed_alike_in_any_pieces),
		cmocka_unit_test(a_stream_is_parsed_alike_byte_by_byte),
		cmocka_unit_test(half_a_record_is_recognised),
		cmocka_unit_test(the_rates_are_those_of_asterisk),
		cmocka_unit_test(a_malformed_stream_stays_refused),
		cmocka_unit_test(the_longest_records_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
