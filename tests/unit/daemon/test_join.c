/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/join.h"

#include <stdio.h>
#include <string.h>

static unsigned parse(const char *target, uint32_t rate_hz, struct join *j, char why[JOIN_ERROR])
{
	char text[256];
	struct http_request req;

	snprintf(text, sizeof text, "%s", target);
	assert_int_equal(http_target_parse(text, &req), 0);
	return join_parse(&req, "/audio", rate_hz, j, why);
}

TEST(a_query_is_read_as_browsers_write_it)
{
	struct join j;
	char why[JOIN_ERROR];

	assert_int_equal(parse("/audio", 16000, &j, why), 200);
	assert_string_equal(j.room, "");
	assert_string_equal(j.name, "");
	assert_int_equal(j.out_rate_hz, 16000);
	assert_int_equal(parse("/audio?room=caf%C3%A9+1&x=%zz&name=Ann%26Bob&rate=44100&rate=8000&&frames=legacy", 16000, &j, why), 200);
	assert_string_equal(j.room, "caf\xc3\xa9 1");
	assert_string_equal(j.name, "Ann&Bob");
	assert_int_equal(j.out_rate_hz, 44100);
	assert_false(j.v1);
	assert_int_equal(parse("/audio?rate=11025", 16000, &j, why), 200);
	assert_int_equal(j.out_rate_hz, 11025);
	assert_int_equal(parse("/audio?rate=12345", 16000, &j, why), 200);
	assert_int_equal(j.out_rate_hz, 12300);
	assert_int_equal(parse("/audio", 47999, &j, why), 200);
	assert_int_equal(j.out_rate_hz, 47900);
	assert_int_equal(parse("/audio?frames=v1", 16000, &j, why), 200);
	assert_true(j.v1);
	assert_int_equal(parse("/audio?room", 16000, &j, why), 200);
	assert_string_equal(j.room, "");
}

TEST(a_bad_query_is_refused_with_its_reason)
{
	static const struct {
		const char *path;
		unsigned status;
		const char *why;
	} cases[] = {
		{"/", 404, "no voice"},
		{"/audio/", 404, "no voice"},
		{"/audiox?room=a", 404, "no voice"},
		{"/AUDIO", 404, "no voice"},
		{"/audio?room=%4", 400, "room"},
		{"/audio?room=%gg", 400, "room"},
		{"/audio?room=a%00b", 400, "room"},
		{"/audio?name=%", 400, "name"},
		{"/audio?rate=7999", 400, "rate"},
		{"/audio?rate=48001", 400, "rate"},
		{"/audio?rate=", 400, "rate"},
		{"/audio?rate=-16000", 400, "rate"},
		{"/audio?rate=16000Hz", 400, "rate"},
		{"/audio?rate=99999999999999999999", 400, "rate"},
		{"/audio?codec=opus", 400, "codec"},
		{"/audio?frames=v2", 400, "frames"},
		{"/audio?room=01234567890123456789012345678901234567890123456789012345678901234", 400, "room"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct join j;
		char why[JOIN_ERROR];

		assert_int_equal(parse(cases[i].path, 16000, &j, why), cases[i].status);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: \"%s\"", cases[i].path, why);
	}
}

TEST(origins_are_compared_as_origins)
{
	static const struct {
		const char *origin, *authority;
		bool same_host; /* allowed without a list */
		bool listed;    /* allowed with the list below */
	} cases[] = {
		{"", "voice.example.com:4433", true, true},
		{"https://voice.example.com", "voice.example.com:4433", true, true},
		{"https://VOICE.example.com", "voice.example.com:4433", true, true},
		{"https://voice.example.com:8443", "voice.example.com:4433", true, false},
		{"http://localhost:8080", "127.0.0.1:4433", true, false},
		{"http://[::1]:8080", "localhost:4433", true, false},
		{"http://127.0.0.1:8080", "localhost:4433", true, false},
		{"https://example.com", "voice.example.com:4433", false, false},
		{"https://voice.example.com.evil.org", "voice.example.com:4433", false, false},
		{"https://evil.org/voice.example.com", "voice.example.com:4433", false, false},
		{"https://localhost.evil.org", "voice.example.com:4433", false, false},
		{"https://voice.example.com@evil.org", "voice.example.com:4433", false, false},
		{"null", "voice.example.com:4433", false, false},
		{"https://", "", false, false},
		{"https://[::1", "[::1", false, false},
	};
	static struct config_server none, list, all;

	list.n_origins = 1;
	snprintf(list.origins[0], sizeof list.origins[0], "https://voice.example.com");
	all.n_origins = 1;
	snprintf(all.origins[0], sizeof all.origins[0], "*");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (join_origin_ok(cases[i].origin, cases[i].authority, &none) != cases[i].same_host ||
		    join_origin_ok(cases[i].origin, cases[i].authority, &list) != cases[i].listed ||
		    !join_origin_ok(cases[i].origin, cases[i].authority, &all))
			fail_msg("origin \"%s\" at \"%s\"", cases[i].origin, cases[i].authority);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read_as_browsers_write_it),
		cmocka_unit_test(a_bad_query_is_refused_with_its_reason),
		cmocka_unit_test(origins_are_compared_as_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
