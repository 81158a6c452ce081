/* SPDX-License-Identifier: MIT */
/* What the drivers behind a network are made of: ear, voice, key, json. */
#include "support/test.h"

#include "base/base64.h"
#include "base/err.h"
#include "bridge/ear.h"
#include "bridge/json.h"
#include "bridge/key.h"
#include "bridge/voice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- ear ---------------------------------------------------------------------------------- */

static int16_t sample(const uint8_t *frame, size_t i)
{
	return (int16_t)(frame[2 * i] | frame[2 * i + 1] << 8);
}

/* Sound comes in pieces of every length and goes out in frames, none lost. */
TEST(an_ear_makes_frames)
{
	struct ear e;
	int16_t next_in = 0, next_out = 0;

	assert_int_equal(ear_init(&e, 8000, 20, 60), 0);
	assert_int_equal(e.frame, 160);
	for (size_t n = 0; n < 300; n += 7) {
		float x[300];

		for (size_t i = 0; i < n; i++)
			x[i] = (float)(next_in++) / 32768;
		assert_int_equal(ear_hear(&e, x, n), 0);
		for (const uint8_t *f; (f = ear_next(&e)); ear_take(&e))
			for (size_t i = 0; i < e.frame; i++)
				assert_int_equal(sample(f, i), next_out++);
	}
	assert_true(next_in - next_out < 160 && next_out > 6000);
	ear_fini(&e);
}

TEST(an_ear_drops_the_oldest)
{
	struct ear e;
	float x[160];
	size_t gone = 0;

	assert_int_equal(ear_init(&e, 8000, 20, 60), 0);
	for (int k = 0; k < 10; k++) {
		for (size_t i = 0; i < 160; i++)
			x[i] = (float)k / 32768;
		gone += ear_hear(&e, x, 160);
	}
	assert_int_equal(e.count, 3);
	assert_int_equal(gone, 7 * 160);
	for (int k = 7; k < 10; k++, ear_take(&e))
		assert_int_equal(sample(ear_next(&e), 0), k);
	assert_null(ear_next(&e));
	ear_hear(&e, x, 100);
	ear_clear(&e);
	ear_hear(&e, x, 100);
	assert_null(ear_next(&e));
	ear_fini(&e);
}

/* --- voice -------------------------------------------------------------------------------- */

struct room {
	int16_t pcm[8192];
	size_t n, most;
	uint64_t item;
};

static int take(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	struct room *r = ctx;

	assert_true(n > 0);
	if (r->n + n > r->most)
		return ERR_LIMIT;
	memcpy(r->pcm + r->n, pcm, n * sizeof *pcm);
	r->n += n;
	r->item = item;
	return 0;
}

static const struct bridge_sink sink = {.audio = take};

static void fill(uint8_t *bytes, size_t samples)
{
	for (size_t i = 0; i < samples; i++) {
		bytes[2 * i] = (uint8_t)i;
		bytes[2 * i + 1] = (uint8_t)(i >> 8);
	}
}

static void assert_ramp(const struct room *r, size_t n)
{
	assert_int_equal(r->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(r->pcm[i], i);
}

TEST(a_voice_puts_halves_together)
{
	static const size_t steps[] = {1, 2, 3, 7, 959, 960, 961, 4000};
	uint8_t bytes[4000];

	fill(bytes, 2000);
	for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
		struct room r = {.most = 8192};
		struct voice v;
		size_t said = 0;

		voice_init(&v, &sink, &r, 24000);
		for (size_t at = 0, n; at < sizeof bytes; at += n) {
			n = sizeof bytes - at < steps[k] ? sizeof bytes - at : steps[k];
			said += voice_say(&v, VOICE_PCM16, bytes + at, n);
		}
		assert_int_equal(said, 2000);
		assert_int_equal(v.taken, 2000);
		assert_ramp(&r, 2000);
	}
}

TEST(a_voice_reads_base64)
{
	uint8_t bytes[4000];
	char text[8000];

	fill(bytes, 2000);
	for (size_t n = 0; n < 2000; n += 37) { /* across the pieces in which it is read */
		struct room r = {.most = 8192};
		struct voice v;
		size_t len = (size_t)(base64_encode(text, bytes, n * 2) - text);

		voice_init(&v, &sink, &r, 24000);
		assert_int_equal(voice_say_base64(&v, VOICE_PCM16, text, len), n);
		assert_ramp(&r, n);
		text[len / 2] = '!';
		if (len)
			assert_int_equal(voice_say_base64(&v, VOICE_PCM16, text, len), -1);
	}
}

TEST(padding_in_the_middle_is_none)
{
	struct room r = {.most = 8192};
	struct voice v;
	char text[4000];

	voice_init(&v, &sink, &r, 24000);
	memset(text, 'A', sizeof text);
	text[1279] = '=';
	assert_int_equal(voice_say_base64(&v, VOICE_PCM16, text, sizeof text), -1);
}

TEST(a_voice_that_is_refused_is_quiet_until_the_next_message)
{
	struct room r = {.most = 1000};
	struct voice v;
	uint8_t bytes[4000];

	fill(bytes, 2000);
	voice_init(&v, &sink, &r, 24000);
	assert_int_equal(voice_say(&v, VOICE_PCM16, bytes, 4000), 2000);
	assert_int_equal(v.taken, 960); /* two pieces of 480, and nothing after the hole */
	voice_tick(&v, 0);
	assert_int_equal(v.played, 960);
	voice_tick(&v, 20);
	assert_int_equal(v.played, 480);
	voice_tick(&v, 10000);
	assert_int_equal(v.played, 0);
	r.n = 0;
	voice_next(&v);
	voice_say(&v, VOICE_ULAW, (const uint8_t *)"\xff\x7f\x80", 3);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.item, v.item);
	assert_int_equal(r.pcm[0], 0);
	assert_int_equal(r.pcm[2], 32124);
}

TEST(silence_does_not_pile_up)
{
	static struct room r = {.most = 8192};
	static uint8_t silence[20000], tone[2];
	struct voice v;

	voice_init(&v, &sink, &r, 8000);
	v.skips_silence = true;
	voice_say(&v, VOICE_PCM16, silence, sizeof silence);
	assert_in_range(r.n, 2400, 2880); /* 300 ms and a piece */
	voice_tick(&v, 300);
	tone[1] = 10;
	voice_say(&v, VOICE_PCM16, tone, 2);
	size_t n = r.n;

	voice_say(&v, VOICE_PCM16, silence, 4000); /* the pauses of what is said are all kept */
	assert_int_equal(r.n, n + 2000);
	voice_tick(&v, 0);
	voice_say(&v, VOICE_PCM16, silence, 4000);
	voice_say(&v, VOICE_PCM16, silence, 4000);
	assert_in_range(r.n, n + 4000, n + 5000);
}

/* --- key ---------------------------------------------------------------------------------- */

TEST(keys_are_found)
{
	static struct bridge_key o;
	char key[KEY_MAX], why[160], path[] = "/tmp/mynah-key-XXXXXX";
	int fd = mkstemp(path);

	assert_int_equal(key_read(&o, key, why, sizeof why), 0);
	assert_string_equal(key, "");
	snprintf(o.env, sizeof o.env, "MYNAH_TEST_KEY");
	assert_int_equal(key_read(&o, key, why, sizeof why), ERR_NOTFOUND);
	setenv("MYNAH_TEST_KEY", "sk-env", 1);
	assert_int_equal(key_read(&o, key, why, sizeof why), 0);
	assert_string_equal(key, "sk-env");
	snprintf(o.file, sizeof o.file, "%s", path);
	assert_int_equal(key_read(&o, key, why, sizeof why), ERR_NOTFOUND); /* empty */
	assert_int_equal(write(fd, "sk-file\r\nrest", 13), 13);
	assert_int_equal(key_read(&o, key, why, sizeof why), 0);
	assert_string_equal(key, "sk-file");
	assert_int_equal(pwrite(fd, "sk file\n", 8, 0), 8);
	assert_int_equal(key_read(&o, key, why, sizeof why), ERR_RANGE);
	assert_null(strstr(why, "sk"));
	assert_int_equal(key[0], 0);
	close(fd);
	unlink(path);
	assert_int_equal(key_read(&o, key, why, sizeof why), ERR_NOTFOUND);
	unsetenv("MYNAH_TEST_KEY");
}

/* --- json --------------------------------------------------------------------------------- */

TEST(strings_are_quoted)
{
	static const struct {
		const char *in, *out;
	} pairs[] = {{"", "\"\""}, {"a\"\\\n\x01", "\"a\\\"\\\\\\u000a\\u0001\""}, {"\xc3\xa4\xff" "b", "\"\xc3\xa4?b\""}};

	for (size_t i = 0; i < 3; i++) {
		struct buf b;

		buf_init(&b, 100);
		assert_int_equal(json_quote(&b, pairs[i].in, strlen(pairs[i].in)), 0);
		assert_int_equal(b.len, strlen(pairs[i].out));
		assert_memory_equal(b.p, pairs[i].out, b.len);
		buf_fini(&b);
	}
}

TEST(documents_small_and_big)
{
	struct json_pool pool = {0};
	char *big = malloc(200000);

	assert_non_null(big);
	memset(big, 'x', 200000);
	memcpy(big, "{\"a\":\"", 6);
	memcpy(big + 200000 - 2, "\"}", 2);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(json_text(json_read(&pool, "{\"a\":\"b\"}", 9), "a"), "b");
		assert_int_equal(strlen(json_text(json_read(&pool, big, 200000), "a")), 200000 - 8);
		assert_null(json_read(&pool, "{", 1));
		assert_null(json_read(&pool, big, 199999));
	}
	assert_string_equal(json_text(NULL, "a"), "");
	assert_false(json_is(json_read(&pool, "[1]", 3), "a", "b"));
	json_fini(&pool);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ear_makes_frames),
		cmocka_unit_test(an_ear_drops_the_oldest),
		cmocka_unit_test(a_voice_puts_halves_together),
		cmocka_unit_test(a_voice_reads_base64),
		cmocka_unit_test(padding_in_the_middle_is_none),
		cmocka_unit_test(a_voice_that_is_refused_is_quiet_until_the_next_message),
		cmocka_unit_test(silence_does_not_pile_up),
		cmocka_unit_test(keys_are_found),
		cmocka_unit_test(strings_are_quoted),
		cmocka_unit_test(documents_small_and_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
