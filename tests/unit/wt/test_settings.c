/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "support/h3_raw.h"
#include "wt/settings.h"

#include <string.h>

/* Reads what follows the stream type, split at `cut`. */
static int read_split(struct settings_reader *r, const struct buf *b, size_t cut)
{
	memset(r, 0, sizeof *r);
	int err = settings_read(r, b->p + 1, cut);

	return err ? err : settings_read(r, b->p + 1 + cut, b->len - 1 - cut);
}

TEST(browsers_settings_are_understood)
{
	static const uint64_t chrome[] = {0x1, 65536, 0x6, 262144, 0x7, 100, 0x33, 1, 0x2b603742, 1, 0x1f * 9 + 0x21, 5};
	static const uint64_t old[] = {0xffd277, 1, 0xc671706a, 16};
	static const uint64_t safari[] = {0x1, 16383, 0x7, 100, 0x33, 1, 0xc671706a, 1, 0x14e9cd29, 1, 0x2b61, 8388608,
		0x2b64, 100, 0x2b65, 100};
	struct buf b;
	struct settings_reader r;

	buf_init(&b, 4096);
	raw_settings(&b, chrome, 6);
	raw_frame(&b, 0x0d, "\x00", 1); /* whatever follows is none of ours */
	for (size_t cut = 0; cut < b.len; cut++) {
		assert_int_equal(read_split(&r, &b, cut), 0);
		assert_true(r.done && r.got.datagram && r.got.webtransport);
		assert_false(r.got.connect_protocol || settings_want_credit(&r.got));
	}
	b.len = 0;
	raw_settings(&b, old, 2);
	assert_int_equal(read_split(&r, &b, 1), 0);
	assert_true(r.done && r.got.datagram && r.got.webtransport);
	b.len = 0;
	raw_settings(&b, safari, 8);
	for (size_t cut = 0; cut < b.len; cut++) {
		assert_int_equal(read_split(&r, &b, cut), 0);
		assert_true(r.done && settings_want_credit(&r.got));
		assert_int_equal(r.got.wt_max_data, 8388608);
	}
	buf_fini(&b);
}

TEST(empty_settings_are_valid)
{
	struct buf b;
	struct settings_reader r;

	buf_init(&b, 16);
	raw_settings(&b, NULL, 0);
	assert_int_equal(read_split(&r, &b, 1), 0);
	assert_true(r.done);
	assert_false(r.got.datagram || r.got.webtransport);
	buf_fini(&b);
}

TEST(malformed_settings_are_refused)
{
	static const struct {
		uint8_t p[8];
		size_t len;
		int err;
	} wrong[] = {
		{{0x00, 0x00}, 2, ERR_MALFORMED},             /* DATA first */
		{{0x0d, 0x01, 0x00}, 3, ERR_MALFORMED},       /* MAX_PUSH_ID first */
		{{0x04, 0x01, 0x33}, 3, ERR_MALFORMED},       /* an identifier without a value */
		{{0x04, 0x02, 0x33, 0x40, 0x01}, 5, ERR_MALFORMED},
		{{0x04, 0x01, 0x40, 0x33}, 4, ERR_MALFORMED},
		{{0x04, 0x50, 0x01}, 3, ERR_LIMIT},           /* 4097 bytes */
		{{0x04, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, 0},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct settings_reader r = {0};

		assert_int_equal(settings_read(&r, wrong[i].p, wrong[i].len), wrong[i].err);
		assert_false(r.done);
	}
}

TEST(our_settings_are_exactly_these)
{
	static const uint8_t want[] = {0x00, 0x04, 30, 0x01, 0, 0x07, 0, 0x06, 0x80, 0, 0x40, 0, 0x08, 1, 0x33, 1, 0xab, 0x60,
		0x37, 0x42, 1, 0xc0, 0, 0, 0, 0xc6, 0x71, 0x70, 0x6a, 1, 0x40, 0x40, 1};
	struct settings_own own = {.server = true, .max_field = 16384, .grease = 1};
	uint8_t b[SETTINGS_WRITE_MAX];
	struct settings_reader r = {0};

	assert_int_equal(settings_write(&own, b), sizeof want);
	assert_memory_equal(b, want, sizeof want);
	own.draft15 = true;
	own.max_field = UINT32_MAX >> 2;
	own.grease = 255;
	size_t len = settings_write(&own, b);

	assert_int_equal(settings_read(&r, b + 1, len - 1), 0);
	assert_true(r.done && r.got.connect_protocol && r.got.datagram && r.got.webtransport);
	own.server = false;
	memset(&r, 0, sizeof r);
	assert_int_equal(settings_read(&r, b + 1, settings_write(&own, b) - 1), 0);
	assert_true(r.done && !r.got.connect_protocol);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(browsers_settings_are_understood),
		cmocka_unit_test(empty_settings_are_valid),
		cmocka_unit_test(malformed_settings_are_refused),
		cmocka_unit_test(our_settings_are_exactly_these),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
