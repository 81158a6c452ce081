/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/join.h"

#include <stdio.h>
#include <string.h>

TEST(a_query_is_read_as_browsers_write_it)
{
	struct join j;

	assert_int_equal(join_parse("", 16000, &j), VERDICT_ADMITTED);
	assert_string_equal(j.room, "");
	assert_string_equal(j.name, "");
	assert_int_equal(j.hears.rate_hz, 16000);
	assert_int_equal(join_parse("room=caf%C3%A9+1&x=%zz&name=Ann%26Bob&rate=44100&rate=8000&&frames=legacy", 16000, &j), VERDICT_ADMITTED);
	assert_string_equal(j.room, "caf\xc3\xa9 1");
	assert_string_equal(j.name, "Ann&Bob");
	assert_int_equal(j.hears.rate_hz, 44100);
	assert_int_equal(j.hears.packets, PACKET_LEGACY);
	assert_int_equal(join_parse("rate=11025", 16000, &j), VERDICT_ADMITTED);
	assert_int_equal(j.hears.rate_hz, 11025);
	assert_int_equal(join_parse("rate=12345", 16000, &j), VERDICT_ADMITTED);
	assert_int_equal(j.hears.rate_hz, 12300);
	assert_int_equal(join_parse("", 47999, &j), VERDICT_ADMITTED);
	assert_int_equal(j.hears.rate_hz, 47900);
	assert_int_equal(join_parse("frames=v1", 16000, &j), VERDICT_ADMITTED);
	assert_int_equal(j.hears.packets, PACKET_V1);
	assert_int_equal(join_parse("room", 16000, &j), VERDICT_ADMITTED);
	assert_string_equal(j.room, "");
}

TEST(a_bad_query_is_refused_with_its_reason)
{
	static const struct {
		const char *query;
		enum verdict verdict;
	} cases[] = {
		{"room=%4", VERDICT_BAD_ROOM},
		{"room=%gg", VERDICT_BAD_ROOM},
		{"room=a%00b", VERDICT_BAD_ROOM},
		{"room=01234567890123456789012345678901234567890123456789012345678901234", VERDICT_BAD_ROOM},
		{"name=%", VERDICT_BAD_NAME},
		{"name=01234567890123456789012345678901234567890123456789012345678901234", VERDICT_BAD_NAME},
		{"name=a%0Ab", VERDICT_BAD_TEXT},
		{"name=%ff", VERDICT_BAD_TEXT},
		{"rate=7999", VERDICT_BAD_RATE},
		{"rate=48001", VERDICT_BAD_RATE},
		{"rate=", VERDICT_BAD_RATE},
		{"rate=%", VERDICT_BAD_RATE},
		{"rate=-16000", VERDICT_BAD_RATE},
		{"rate=16000Hz", VERDICT_BAD_RATE},
		{"rate=99999999999999999999", VERDICT_BAD_RATE},
		{"codec=opus", VERDICT_BAD_CODEC},
		{"codec=", VERDICT_BAD_CODEC},
		{"codec=%", VERDICT_BAD_CODEC},
		{"frames=v2", VERDICT_BAD_FRAMES},
		{"frames", VERDICT_BAD_FRAMES},
		{"frames=%", VERDICT_BAD_FRAMES},
		{"frames=v2&codec=opus&rate=1&name=%&room=%", VERDICT_BAD_ROOM}, /* in the order of the document */
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct join j;

		if (join_parse(cases[i].query, 16000, &j) != cases[i].verdict)
			fail_msg("%s", cases[i].query);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read_as_browsers_write_it),
		cmocka_unit_test(a_bad_query_is_refused_with_its_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
