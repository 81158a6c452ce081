/* SPDX-License-Identifier: MIT */
/* What the drivers behind a network are made of: input queue, output, key, json. */
#include "support/test.h"

#include "base/base64.h"
#include "base/err.h"
#include "bridge/input_queue.h"
#include "bridge/json.h"
#include "bridge/key.h"
#include "bridge/bridge_output.h"
#include "bridge/stream_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- input queue ------------------------------------------------------------------------- */

static int16_t sample(const uint8_t *frame, size_t i)
{
	return (int16_t)(frame[2 * i] | frame[2 * i + 1] << 8);
}

/* Sound comes in pieces of every length and goes out in frames, none lost. */
TEST(the_input_becomes_frames)
{
	struct input_queue q;
	int16_t next_in = 0, next_out = 0;

	assert_int_equal(input_queue_init(&q, 8000, 20, 60), 0);
	assert_int_equal(q.frame, 160);
	for (size_t n = 0; n < 300; n += 7) {
		float x[300];

		for (size_t i = 0; i < n; i++)
			x[i] = (float)(next_in++) / 32768;
		assert_int_equal(input_queue_push(&q, x, n), 0);
		for (const uint8_t *f; (f = input_queue_front(&q)); input_queue_pop(&q))
			for (size_t i = 0; i < q.frame; i++)
				assert_int_equal(sample(f, i), next_out++);
	}
	assert_true(next_in - next_out < 160 && next_out > 6000);
	input_queue_fini(&q);
}

TEST(the_oldest_input_is_dropped)
{
	struct input_queue q;
	float x[160];
	size_t gone = 0;

	assert_int_equal(input_queue_init(&q, 8000, 20, 60), 0);
	for (int k = 0; k < 10; k++) {
		for (size_t i = 0; i < 160; i++)
			x[i] = (float)k / 32768;
		gone += input_queue_push(&q, x, 160);
	}
	assert_int_equal(q.count, 3);
	assert_int_equal(gone, 7 * 160);
	for (int k = 7; k < 10; k++, input_queue_pop(&q))
		assert_int_equal(sample(input_queue_front(&q), 0), k);
	assert_null(input_queue_front(&q));
	input_queue_push(&q, x, 100);
	input_queue_clear(&q);
	input_queue_push(&q, x, 100);
	assert_null(input_queue_front(&q));
	input_queue_fini(&q);
}

/* --- output ------------------------------------------------------------------------------ */

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

TEST(halves_of_a_sample_are_joined)
{
	static const size_t steps[] = {1, 2, 3, 7, 959, 960, 961, 4000};
	uint8_t bytes[4000];

	fill(bytes, 2000);
	for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
		struct room r = {.most = 8192};
		struct bridge_output o;
		size_t said = 0;

		bridge_output_init(&o, &sink, &r, 24000, OUTPUT_ALL_SILENCE);
		for (size_t at = 0, n; at < sizeof bytes; at += n) {
			n = sizeof bytes - at < steps[k] ? sizeof bytes - at : steps[k];
			said += bridge_output_send(&o, OUTPUT_PCM16, bytes + at, n);
		}
		assert_int_equal(said, 2000);
		assert_int_equal(o.accepted, 2000);
		assert_ramp(&r, 2000);
	}
}

TEST(output_in_base64_is_the_same)
{
	uint8_t bytes[4000];
	char text[8000];

	fill(bytes, 2000);
	for (size_t n = 0; n < 2000; n += 37) { /* across the pieces in which it is read */
		struct room r = {.most = 8192};
		struct bridge_output o;
		size_t len = (size_t)(base64_encode(text, bytes, n * 2) - text);

		bridge_output_init(&o, &sink, &r, 24000, OUTPUT_ALL_SILENCE);
		assert_int_equal(bridge_output_send_base64(&o, OUTPUT_PCM16, text, len), n);
		assert_ramp(&r, n);
		text[len / 2] = '!';
		if (len)
			assert_int_equal(bridge_output_send_base64(&o, OUTPUT_PCM16, text, len), -1);
	}
}

TEST(padding_in_the_middle_is_not_base64)
{
	struct room r = {.most = 8192};
	struct bridge_output o;
	char text[4000];

	bridge_output_init(&o, &sink, &r, 24000, OUTPUT_ALL_SILENCE);
	memset(text, 'A', sizeof text);
	text[1279] = '=';
	assert_int_equal(bridge_output_send_base64(&o, OUTPUT_PCM16, text, sizeof text), -1);
}

TEST(after_a_refusal_the_rest_of_the_message_is_dropped)
{
	struct room r = {.most = 1000};
	struct bridge_output o;
	uint8_t bytes[4000];

	fill(bytes, 2000);
	bridge_output_init(&o, &sink, &r, 24000, OUTPUT_ALL_SILENCE);
	assert_int_equal(bridge_output_send(&o, OUTPUT_PCM16, bytes, 4000), 2000);
	assert_int_equal(o.accepted, 960); /* two pieces of 480, and nothing after the hole */
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 0});
	assert_int_equal(o.played, 960);
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 20});
	assert_int_equal(o.played, 480);
	assert_int_equal(o.heard, 480); /* nobody reports */
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 20, .underway_ms = 5});
	assert_int_equal(o.heard, 480 - 120);
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 20, .underway_ms = 500});
	assert_int_equal(o.played, 480);
	assert_int_equal(o.heard, 0);
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 10000});
	assert_int_equal(o.played, 0);
	r.n = 0;
	bridge_output_next(&o);
	bridge_output_send(&o, OUTPUT_ULAW, (const uint8_t *)"\xff\x7f\x80", 3);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.item, o.utterance);
	assert_int_equal(r.pcm[0], 0);
	assert_int_equal(r.pcm[2], 32124);
}

TEST(silence_does_not_accumulate)
{
	static struct room r = {.most = 8192};
	static uint8_t silence[20000], tone[2];
	struct bridge_output o;

	bridge_output_init(&o, &sink, &r, 8000, 300);
	bridge_output_send(&o, OUTPUT_PCM16, silence, sizeof silence);
	assert_in_range(r.n, 2400, 2880); /* 300 ms and a piece */
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 300});
	tone[1] = 10;
	bridge_output_send(&o, OUTPUT_PCM16, tone, 2);
	size_t n = r.n;

	bridge_output_send(&o, OUTPUT_PCM16, silence, 4000); /* the pauses of what is said are all kept */
	assert_int_equal(r.n, n + 2000);
	bridge_output_tick(&o, &(struct bridge_input){.waiting_ms = 0});
	bridge_output_send(&o, OUTPUT_PCM16, silence, 4000);
	bridge_output_send(&o, OUTPUT_PCM16, silence, 4000);
	assert_in_range(r.n, n + 4000, n + 5000);
}

/* With no silence allowed a worker that sends all day is never late, and its pauses are kept while it speaks. */
TEST(silence_before_speech_takes_no_time)
{
	static struct room r = {.most = 8192};
	static uint8_t silence[960], tone[960];
	struct bridge_output o;

	bridge_output_init(&o, &sink, &r, 8000, 0);
	silence[0] = 2; /* the least noise is silence, too */
	tone[1] = 10;
	bridge_output_send(&o, OUTPUT_PCM16, silence, sizeof silence);
	assert_int_equal(r.n, 0);
	bridge_output_send(&o, OUTPUT_PCM16, tone, sizeof tone);
	bridge_output_send(&o, OUTPUT_PCM16, silence, sizeof silence);
	assert_int_equal(r.n, 960);
	assert_int_equal(o.utterance, 1);
	bridge_output_flushed(&o);
	assert_int_equal(o.utterance, 2);
	bridge_output_send(&o, OUTPUT_PCM16, silence, sizeof silence); /* nothing audible is before it any more */
	assert_int_equal(r.n, 960);
	silence[0] = 3;
	bridge_output_send(&o, OUTPUT_PCM16, silence, sizeof silence);
	assert_int_equal(r.n, 1440);
}

/* --- key ---------------------------------------------------------------------------------- */

TEST(keys_come_from_the_file_or_else_the_variable)
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

TEST(documents_of_any_size_are_read)
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

/* All that the grammar allows is read (RFC 8259), and nothing else. */
TEST(all_that_is_json_is_read)
{
	static const struct {
		const char *json, *text; /* of its "a"; NULL: it is no JSON */
	} cases[] = {
		{"{\"a\":\"half \\ud83d\"}", "half \xef\xbf\xbd"},
		{"{\"a\":\"\\ude00half\"}", "\xef\xbf\xbdhalf"},
		{"{\"a\":\"\\ud83d\\ude00\"}", "\xf0\x9f\x98\x80"},
		{"{\"a\":\"x\",\"\\ud83d\":1}", "x"},
		{"{\"a\":\"x\",\"b\":1e400,\"c\":-1e-400,\"d\":123456789012345678901234567890}", "x"},
		{" {\"a\" : \"x\"}\r\n", "x"},
		{"{\"a\":\"\xff\"}", NULL},
		{"{\"a\":\"\xed\xa0\xbd\"}", NULL}, /* a half in three bytes is not UTF-8 */
		{"{\"a\":NaN}", NULL},
		{"{\"a\":\"\\ud83\"}", NULL},
		{"{\"a\":\"\n\"}", NULL},
	};
	struct json_pool pool = {0};
	char *big = calloc(1, 100000);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].json);

		memset(big, ' ', 100000);
		memcpy(big + 100000 - len, cases[i].json, len);
		for (int is_big = 0; is_big < 2; is_big++) {
			yyjson_val *v = is_big ? json_read(&pool, big, 100000) : json_read(&pool, cases[i].json, len);

			if (!cases[i].text && v)
				fail_msg("%s was read", cases[i].json);
			else if (cases[i].text && !json_is(v, "a", cases[i].text))
				fail_msg("%s became %s", cases[i].json, json_text(v, "a"));
		}
	}
	json_fini(&pool);
	free(big);
}

static char said[100];

static void on_message(void *ctx, const char *text)
{
	(void)ctx;
	snprintf(said, sizeof said, "%s", text);
}

TEST(an_event_of_a_worker_may_hold_half_a_pair)
{
	static const struct bridge_sink hears = {.message = on_message};
	static const char event[] = "{\"type\":\"message\",\"text\":\"half \\ud83d\",\"x\":1e400}";
	char why[100];

	assert_int_equal(stream_event_handle((const uint8_t *)event, strlen(event), &hears, NULL, why, sizeof why), 0);
	assert_string_equal(said, "half \xef\xbf\xbd");
	assert_int_equal(stream_event_handle((const uint8_t *)"{\"type\":\"\xff\"}", 12, &hears, NULL, why, sizeof why), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_input_becomes_frames),
		cmocka_unit_test(the_oldest_input_is_dropped),
		cmocka_unit_test(halves_of_a_sample_are_joined),
		cmocka_unit_test(output_in_base64_is_the_same),
		cmocka_unit_test(padding_in_the_middle_is_not_base64),
		cmocka_unit_test(after_a_refusal_the_rest_of_the_message_is_dropped),
		cmocka_unit_test(silence_does_not_accumulate),
		cmocka_unit_test(silence_before_speech_takes_no_time),
		cmocka_unit_test(keys_come_from_the_file_or_else_the_variable),
		cmocka_unit_test(strings_are_quoted),
		cmocka_unit_test(documents_of_any_size_are_read),
		cmocka_unit_test(all_that_is_json_is_read),
		cmocka_unit_test(an_event_of_a_worker_may_hold_half_a_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
