/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "support/h3_raw.h"
#include "wt/capsule.h"

#include <stdio.h>
#include <string.h>

/* What a reader tells, as text: "B2843/4 D.... E" with one line for each capsule. */
struct trace {
	char text[8192];
	size_t n;
	uint64_t data;
};

static void read_piece(struct capsule_reader *r, struct trace *t, const uint8_t *p, size_t len)
{
	enum capsule_event ev;

	while ((ev = capsule_read(r, &p, &len)) != CAPSULE_NONE) {
		if (ev == CAPSULE_DATA) {
			t->data += r->n;
			for (size_t i = 0; i < r->n && t->n + 3 < sizeof t->text; i++)
				t->n += (size_t)snprintf(t->text + t->n, 3, "%02x", r->p[i]);
			continue;
		}
		t->n += (size_t)snprintf(t->text + t->n, sizeof t->text - t->n, ev == CAPSULE_BEGIN ? "B%llx/%llu " : "E\n",
			(unsigned long long)r->type, (unsigned long long)r->len);
	}
	assert_int_equal(len, 0);
}

static struct buf three_capsules(void)
{
	struct buf b;
	uint8_t close[CAPSULE_CLOSE_MAX], drain[CAPSULE_SMALL_MAX];

	buf_init(&b, 1 << 20);
	raw_frame(&b, 41 * 7 + 23, "grease", 6);
	raw_varint_sized(&b, CAPSULE_DRAIN, 8);
	raw_varint_sized(&b, 0, 8);
	raw_bytes(&b, drain, capsule_put_drain(drain));
	raw_bytes(&b, close, capsule_put_close(close, 0x01020304, "bye", 3));
	return b;
}

TEST(reads_the_same_however_it_is_split)
{
	static const char want[] = "B136/6 677265617365E\nB78ae/0 E\nB78ae/0 E\nB2843/7 01020304627965E\n";
	struct buf b = three_capsules();

	for (size_t first = 0; first <= b.len; first++) {
		struct capsule_reader r = {0};
		struct trace t = {0};

		read_piece(&r, &t, b.p, first);
		read_piece(&r, &t, b.p + first, b.len - first);
		assert_string_equal(t.text, want);
		assert_true(capsule_at_edge(&r));
	}
	struct capsule_reader r = {0};
	struct trace t = {0};

	for (size_t i = 0; i < b.len; i++)
		read_piece(&r, &t, b.p + i, 1);
	assert_string_equal(t.text, want);
	buf_fini(&b);
}

TEST(a_capsule_of_any_length_is_skipped_without_memory)
{
	struct capsule_reader r = {0};
	struct trace t = {0};
	struct buf b;
	static const uint8_t rubbish[4096];

	buf_init(&b, 64);
	raw_varint(&b, 0x17);
	raw_varint(&b, ((uint64_t)1 << 62) - 1);
	read_piece(&r, &t, b.p, b.len);
	assert_int_equal(r.len, ((uint64_t)1 << 62) - 1);
	for (int i = 0; i < 1000; i++)
		read_piece(&r, &t, rubbish, sizeof rubbish);
	assert_int_equal(t.data, 4096000);
	assert_false(capsule_at_edge(&r));
	buf_fini(&b);
}

TEST(the_edge_is_only_between_capsules)
{
	struct buf b = three_capsules();
	struct capsule_reader r = {0};
	struct trace t = {0};
	size_t edges = 0;

	assert_true(capsule_at_edge(&r));
	for (size_t i = 0; i < b.len; i++) {
		read_piece(&r, &t, b.p + i, 1);
		edges += capsule_at_edge(&r);
	}
	assert_int_equal(edges, 4);
	buf_fini(&b);
}

TEST(capsules_are_written_as_in_the_drafts)
{
	static const uint8_t close[] = {0x68, 0x43, 7, 0, 0, 0, 42, 'b', 'y', 'e'};
	static const uint8_t drain[] = {0x80, 0x00, 0x78, 0xae, 0};
	static const uint8_t max_data[] = {0x99, 0x0b, 0x4d, 0x3d, 2, 0x40, 0x64};
	uint8_t b[CAPSULE_CLOSE_MAX];

	assert_int_equal(capsule_put_close(b, 42, "bye", 3), sizeof close);
	assert_memory_equal(b, close, sizeof close);
	assert_int_equal(capsule_put_drain(b), sizeof drain);
	assert_memory_equal(b, drain, sizeof drain);
	assert_int_equal(capsule_put_varint(b, CAPSULE_MAX_DATA, 100), sizeof max_data);
	assert_memory_equal(b, max_data, sizeof max_data);
	char reason[CAPSULE_REASON_MAX];

	memset(reason, 'x', sizeof reason);
	assert_int_equal(capsule_put_close(b, 1, reason, sizeof reason), CAPSULE_CLOSE_MAX);
}

TEST(a_long_reason_is_cut_between_characters)
{
	char s[2000];

	assert_int_equal(capsule_reason_len(""), 0);
	memset(s, 'a', sizeof s);
	s[sizeof s - 1] = 0;
	assert_int_equal(capsule_reason_len(s), 1024);
	memcpy(s + 1023, "\xc3\xa9", 2); /* two bytes, the second at 1024 */
	assert_int_equal(capsule_reason_len(s), 1023);
	memcpy(s + 1021, "\xf0\x9f\x90\xa6", 4);
	assert_int_equal(capsule_reason_len(s), 1021);
	s[1024] = 0;
	assert_int_equal(capsule_reason_len(s), 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_same_however_it_is_split),
		cmocka_unit_test(a_capsule_of_any_length_is_skipped_without_memory),
		cmocka_unit_test(the_edge_is_only_between_capsules),
		cmocka_unit_test(capsules_are_written_as_in_the_drafts),
		cmocka_unit_test(a_long_reason_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
