/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "support/h3_raw.h"
#include "wt/classify.h"
#include "wt/code.h"

#include <string.h>

/* Feeds `b` split at `cut`; returns the verdict and how many bytes it took. */
static enum classify feed(struct classifier *c, bool bidi, const struct buf *b, size_t cut, size_t *used)
{
	const uint8_t *p = b->p;
	size_t len = cut;
	enum classify v;

	memset(c, 0, sizeof *c);
	v = classify_read(c, bidi, &p, &len);
	if (v == CLASSIFY_MORE) {
		assert_int_equal(len, 0);
		len = b->len - cut;
		v = classify_read(c, bidi, &p, &len);
	}
	*used = (size_t)(p - b->p);
	return v;
}

TEST(webtransport_streams_are_recognised_in_every_form_and_split)
{
	static const size_t sizes[] = {2, 4, 8};

	for (int bidi = 0; bidi < 2; bidi++)
		for (size_t i = 0; i < 3; i++) {
			struct buf b;
			struct classifier c;
			size_t used;

			buf_init(&b, 100);
			raw_varint_sized(&b, bidi ? 0x41 : 0x54, sizes[i]);
			raw_varint_sized(&b, 4 * 77, sizes[2 - i]);
			size_t head = b.len;

			raw_bytes(&b, "payload", 7);
			for (size_t cut = 0; cut <= b.len; cut++) {
				assert_int_equal(feed(&c, bidi, &b, cut, &used), CLASSIFY_WT);
				assert_int_equal(c.session, 4 * 77);
				assert_int_equal(used, head);
				assert_int_equal(c.n, head);
			}
			buf_fini(&b);
		}
}

TEST(other_streams_are_replayed_from_their_first_byte)
{
	/* The other direction's type, HTTP/3's own, greased ones, and near misses. */
	static const struct {
		bool bidi;
		uint64_t type;
	} others[] = {{true, 0x54}, {false, 0x41}, {true, 0x01}, {true, 0x00}, {false, 0x00}, {false, 0x02}, {false, 0x03},
		{true, 0x21 + 0x1f * 5}, {false, 0x21 + 0x1f * 1000}, {true, 0x40}, {true, 0x42}, {false, 0x55},
		{false, ((uint64_t)1 << 62) - 1}};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct buf b;
		struct classifier c;
		size_t used;

		buf_init(&b, 100);
		raw_varint_sized(&b, others[i].type, 8);
		raw_bytes(&b, "abc", 3);
		for (size_t cut = 0; cut <= b.len; cut++) {
			assert_int_equal(feed(&c, others[i].bidi, &b, cut, &used), CLASSIFY_H3);
			assert_int_equal(c.type, others[i].type);
			assert_int_equal(used, 8);
			assert_int_equal(c.n_head, 8);
			assert_memory_equal(c.head, b.p, 8);
		}
		buf_fini(&b);
	}
}

TEST(a_stream_that_ends_in_its_head_is_not_classified)
{
	static const uint8_t head[] = {0x40, 0x41, 0x80, 0, 0};
	struct classifier c = {0};
	const uint8_t *p = head;
	size_t len = sizeof head;

	assert_int_equal(classify_read(&c, true, &p, &len), CLASSIFY_MORE);
	assert_true(c.typed);
	assert_int_equal(c.n, 5);
	assert_int_equal(c.n_head, 2);
}

TEST(our_prefix_is_what_a_peer_expects)
{
	static const uint8_t bidi[] = {0x40, 0x41, 0x04}, uni[] = {0x40, 0x54, 0x44, 0x00};
	uint8_t b[CLASSIFY_PREFIX_MAX];

	assert_int_equal(classify_prefix(b, true, 4), sizeof bidi);
	assert_memory_equal(b, bidi, sizeof bidi);
	assert_int_equal(classify_prefix(b, false, 1024), sizeof uni);
	assert_memory_equal(b, uni, sizeof uni);
	assert_int_equal(classify_prefix(b, false, ((uint64_t)1 << 62) - 4), CLASSIFY_PREFIX_MAX);
}

/* What a peer makes of a code: draft-ietf-webtrans-http3 4.3. */
static uint32_t application_code(uint64_t h)
{
	uint64_t shifted = h - 0x52e4a40fa8db;

	return (uint32_t)(shifted - shifted / 0x1f);
}

TEST(a_peer_reads_our_application_codes_back)
{
	assert_int_equal(wt_code_to_h3(0), 0x52e4a40fa8db);
	assert_int_equal(wt_code_to_h3(255), 0x52e4a40fa9e2); /* the last of the drafts with eight bits */
	assert_int_equal(wt_code_to_h3(UINT32_MAX), 0x52e5ac983162);
	for (uint64_t i = 0; i <= UINT32_MAX; i += i < 100000 ? 1 : 99991) {
		uint64_t h = wt_code_to_h3((uint32_t)i);

		assert_true((h - 0x21) % 0x1f != 0); /* never a greased one */
		assert_int_equal(application_code(h), i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(webtransport_streams_are_recognised_in_every_form_and_split),
		cmocka_unit_test(other_streams_are_replayed_from_their_first_byte),
		cmocka_unit_test(a_stream_that_ends_in_its_head_is_not_classified),
		cmocka_unit_test(our_prefix_is_what_a_peer_expects),
		cmocka_unit_test(a_peer_reads_our_application_codes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
