/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/backoff.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/stall.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(varints_round_trip_and_truncations_are_bad)
{
	static const uint64_t values[] = {0, 63, 64, 16383, 16384, (1u << 30) - 1, 1u << 30, ((uint64_t)1 << 62) - 1};
	uint8_t b[8];

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		size_t n = (size_t)(varint_put(b, values[i]) - b);

		assert_int_equal(n, varint_len(values[i]));
		struct cursor c = cursor_of(b, n);

		assert_int_equal(cursor_varint(&c), values[i]);
		assert_false(c.bad);
		assert_int_equal(cursor_left(&c), 0);
		c = cursor_of(b, n - 1);
		cursor_varint(&c);
		assert_true(c.bad);
	}
	assert_int_equal(varint_len((uint64_t)1 << 62), 0);
}

TEST(a_cursor_stays_bad_after_the_first_fault)
{
	static const uint8_t b[] = {1, 2, 3};
	struct cursor c = cursor_of(b, sizeof b);

	assert_int_equal(cursor_le(&c, 2), 0x0201);
	assert_int_equal(cursor_be(&c, 2), 0);
	assert_true(c.bad);
	assert_int_equal(cursor_be(&c, 1), 0);
	assert_int_equal(cursor_left(&c), 0);
	c = cursor_of(NULL, 0);
	assert_int_equal(cursor_left(&c), 0);
}

TEST(a_map_behaves_like_a_plain_array)
{
	enum { N = 500 };
	static int present[N];
	struct map *m;
	unsigned seed = 1;

	memset(present, 0, sizeof present);
	assert_int_equal(map_new(8, &m), 0);
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1103515245u + 12345u;
		uint32_t k = (seed >> 8) % N;

		if (seed & 0x80000000u) {
			assert_int_equal(map_put(m, &k, sizeof k, &present[k]), present[k] ? ERR_EXISTS : 0);
			present[k] = 1;
		} else {
			assert_ptr_equal(map_remove(m, &k, sizeof k), present[k] ? &present[k] : NULL);
			present[k] = 0;
		}
	}
	size_t count = 0, walked = 0, it = 0;

	for (uint32_t k = 0; k < N; k++) {
		assert_ptr_equal(map_get(m, &k, sizeof k), present[k] ? &present[k] : NULL);
		count += (size_t)present[k];
	}
	while (map_next(m, &it))
		walked++;
	assert_int_equal(map_count(m), count);
	assert_int_equal(walked, count);
	assert_int_equal(map_put(m, "123456789", 9, m), ERR_RANGE);
	assert_int_equal(map_put(m, "", 0, m), ERR_RANGE);
	map_free(m);
	map_free(NULL);
}

TEST(siphash_matches_the_reference_vector)
{
	/* SipHash-1-3 of the empty string and of 00..0e under the key 00..0f */
	uint8_t key[16], in[15];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		in[i] = i;
	assert_true(siphash13(key, in, 0) == 0xabac0158050fc4dcu);
	assert_true(siphash13(key, in, 15) == 0xd320d86d2a519956u);
}

TEST(buf_stops_at_its_bound)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(buf_printf(&b, "%0600d", 7), 0);
	assert_int_equal(buf_printf(&b, "%0401d", 7), ERR_LIMIT);
	assert_int_equal(b.len, 600);
	assert_int_equal(buf_printf(&b, "%0400d", 7), 0);
	buf_consume(&b, 999);
	assert_int_equal(b.len, 1);
	assert_int_equal(b.p[0], '7');
	buf_fini(&b);
}

struct node {
	int v;
	struct list link;
};

TEST(list_survives_removal_while_walking)
{
	struct list head;
	struct node n[3] = {{.v = 1}, {.v = 2}, {.v = 3}};
	int sum = 0;

	list_init(&head);
	for (int i = 0; i < 3; i++) {
		list_init(&n[i].link);
		list_append(&head, &n[i].link);
	}
	list_each (it, &head, tmp) {
		sum += list_entry(it, struct node, link)->v;
		list_remove(it);
		list_remove(it);
	}
	assert_int_equal(sum, 6);
	assert_true(list_empty(&head));
}

static char last_line[LOG_LINE_MAX * 2 + 64];
static int n_lines;

static void keep_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)level;
	n_lines++;
	snprintf(last_line, sizeof last_line, "%s", line);
}

TEST(log_lines_cannot_be_forged)
{
	struct log_out out = {.level = LOG_INFO, .journal = true, .hook = keep_line};
	struct log root = {.out = &out}, sess;

	log_child(&sess, &root, "sess=%d", 17);
	log_child(&sess, &sess, "room=%s", "lobby");
	n_lines = 0;
	log_debug(&sess, "not shown");
	assert_int_equal(n_lines, 0);
	log_info(&sess, "closed reason=\"%s\"", "a\nb\x1b[0m");
	assert_string_equal(last_line, "<6>sess=17 room=lobby closed reason=\"a\\x0ab\\x1b[0m\"");
	out.format = LOG_JSON;
	log_warn(&sess, "it said \"%s\"", "x\n");
	assert_non_null(strstr(last_line, "\"level\":\"warn\",\"sess\":\"17\",\"room\":\"lobby\",\"msg\":\"it said \\\"x\\u000a\\\"\"}"));
	struct log silent = {0};

	log_error(&silent, "nobody hears");
	assert_int_equal(n_lines, 2);
}

TEST(log_fields_cannot_be_forged)
{
	struct log_out out = {.level = LOG_INFO, .journal = true, .hook = keep_line};
	struct log root = {.out = &out}, room;
	char q[64];

	assert_string_equal(log_quoted("plain", q, sizeof q), "\"plain\"");
	assert_string_equal(log_quoted("a\" b=\\", q, sizeof q), "\"a\\\" b=\\\\\"");
	assert_string_equal(log_quoted("caf\xc3\xa9", q, 7), "\"caf\""); /* no half character, always its end */
	assert_string_equal(log_quoted("caf\xc3\xa9", q, 8), "\"caf\xc3\xa9\"");
	assert_string_equal(log_quoted("a\"", q, 5), "\"a\"");
	assert_string_equal(log_quoted("a", q, 3), "\"\"");
	log_child(&room, &root, "sess=7 room=%s", log_quoted("x\" sess=8", q, sizeof q));
	log_child(&room, &room, "n=1");
	log_info(&room, "here");
	assert_string_equal(last_line, "<6>sess=7 room=\"x\\\" sess=8\" n=1 here");
	out.format = LOG_JSON;
	log_info(&room, "here");
	assert_non_null(strstr(last_line, "\"level\":\"info\",\"sess\":\"7\",\"room\":\"x\\\" sess=8\",\"n\":\"1\",\"msg\":\"here\"}"));
}

TEST(log_lines_are_utf8_whatever_came)
{
	struct log_out out = {.level = LOG_INFO, .journal = true, .hook = keep_line};
	struct log root = {.out = &out};
	char half[LOG_LINE_MAX + 8];

	log_info(&root, "a\xffz \xc3\xa9 \xed\xa0\x80 \xc2\x9b!");
	assert_string_equal(last_line, "<6>a\\xffz \xc3\xa9 \\xed\\xa0\\x80 \\x9b!");
	out.format = LOG_JSON;
	log_info(&root, "a\xffz \xc3\xa9 \xc2\x9b!");
	assert_non_null(strstr(last_line, "\"msg\":\"a\\ufffdz \xc3\xa9 \\u009b!\"}"));
	memset(half, 'x', sizeof half); /* cut inside a character */
	memcpy(half + LOG_LINE_MAX - 2, "\xc3\xa9", 3);
	log_info(&root, "%s", half);
	assert_true(utf8_ok(last_line));
	assert_string_equal(last_line + strlen(last_line) - 9, "x\\ufffd\"}");
}

TEST(a_log_that_nobody_reads_drops_lines_and_never_blocks)
{
	int fd[2];
	char text[256];

	assert_int_equal(pipe(fd), 0);
	struct log_out out = {.fd = fd[1], .level = LOG_INFO, .journal = true};
	struct log root = {.out = &out};

	log_info(&root, "first");
	for (int i = 0; i < 5000; i++) /* more than a pipe holds: without a reader this would never end */
		log_info(&root, "%0100d", i);
	ssize_t n = read(fd[0], text, sizeof text);

	assert_true(n > 100);
	assert_memory_equal(text, "<6>first\n<6>0000", 16);
	close(fd[0]);
	close(fd[1]);
}

TEST(log_lines_of_a_kind_are_limited)
{
	struct log_limit l = {0};
	uint64_t left_out;
	nsec t = nsec_from_s(5);

	for (int i = 0; i < 100; i++, t += nsec_from_ms(90)) {
		assert_int_equal(log_limit_take(&l, 3, t, &left_out), i < 3);
		assert_int_equal(left_out, 0);
	}
	t += nsec_from_s(1);
	assert_true(log_limit_take(&l, 3, t, &left_out));
	assert_int_equal(left_out, 97);
	assert_true(log_limit_take(&l, 3, t, &left_out));
	assert_int_equal(left_out, 0);
}

TEST(slow_log_lines_are_limited_as_well)
{
	struct log_limit l = {0};
	uint64_t left_out;
	unsigned n = 0;

	for (unsigned i = 0; i < 30; i++) /* 30 within 3 s */
		n += log_limit_take(&l, 20, nsec_from_s(5) + nsec_from_ms(100 * i), &left_out);
	assert_int_equal(n, 20);
}

/* One that takes a byte now and then is slow, and no more than that; our own sleep is not the other side's. */
TEST(only_a_reader_that_takes_nothing_stalls)
{
	struct stall s = {0};
	nsec now = nsec_from_s(1000);
	uint64_t taken = 7;

	for (unsigned k = 0; k < 100; k++, now += nsec_from_s(1))
		assert_int_equal(stall_ask(&s, false, taken, now), 0);
	for (unsigned k = 0; k < 100; k++, now += nsec_from_s(1)) {
		taken += k % 20 == 0;
		assert_int_equal(stall_ask(&s, true, taken, now), nsec_from_s(k % 20));
	}
	now += nsec_from_s(3600);
	assert_int_equal(stall_ask(&s, true, taken, now), nsec_from_s(19) + STALL_STEP);
	now += nsec_from_s(1);
	assert_int_equal(stall_ask(&s, false, taken, now), 0);
	now += nsec_from_s(1);
	assert_int_equal(stall_ask(&s, true, taken, now), 0); /* it begins to wait */
	now += nsec_from_ms(20);
	assert_int_equal(stall_ask(&s, true, taken, now), nsec_from_ms(20));
}

TEST(pauses_double_and_differ)
{
	static const uint32_t chances[] = {0, 1, 1u << 31, UINT32_MAX};

	for (size_t i = 0; i < 4; i++) {
		uint64_t ms = 100;

		for (unsigned n = 1; n < 40; n++, ms = 2 * ms < 24000 ? 2 * ms : 24000)
			assert_in_range(backoff_ms(100, 30000, n, chances[i]), ms, ms * 5 / 4);
	}
	assert_int_equal(backoff_ms(100, 30000, 99, UINT32_MAX), 29999);
	assert_true(backoff_chance(1, 1) != backoff_chance(2, 1));
	assert_int_equal(backoff_chance(7, 3), backoff_chance(7, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints_round_trip_and_truncations_are_bad),
		cmocka_unit_test(a_cursor_stays_bad_after_the_first_fault),
		cmocka_unit_test(a_map_behaves_like_a_plain_array),
		cmocka_unit_test(siphash_matches_the_reference_vector),
		cmocka_unit_test(buf_stops_at_its_bound),
		cmocka_unit_test(list_survives_removal_while_walking),
		cmocka_unit_test(log_lines_cannot_be_forged),
		cmocka_unit_test(log_fields_cannot_be_forged),
		cmocka_unit_test(log_lines_are_utf8_whatever_came),
		cmocka_unit_test(a_log_that_nobody_reads_drops_lines_and_never_blocks),
		cmocka_unit_test(log_lines_of_a_kind_are_limited),
		cmocka_unit_test(slow_log_lines_are_limited_as_well),
		cmocka_unit_test(only_a_reader_that_takes_nothing_stalls),
		cmocka_unit_test(pauses_double_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
