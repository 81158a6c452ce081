/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "base/hex.h"
#include "base/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST(a_target_is_decoded_and_split)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
		{"/", "/", ""},
		{"/a?b=c&d=%zz", "/a", "b=c&d=%zz"},
		{"/??", "/", "?"},
		{"/a%20b/%C3%A4", "/a b/\xc3\xa4", ""},
		{"/a+b", "/a+b", ""},
		{"/a%2fb", "/a/b", ""},
		{"/a%3fb%23c", "/a?b#c", ""},
		{"/%25", "/%", ""},
		{"/%2541", "/%41", ""},
		{"/mynah%2Ejson", "/mynah.json", ""},
		{"/...x/..y/z..", "/...x/..y/z..", ""},
		{"/?a=../..", "/", "a=../.."},
		{"//", "//", ""},
		{"/?name=J\xc3\xbcrg", "/", "name=J\xc3\xbcrg"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_request req = {0};
		char *text = strdup(cases[i].target); /* exactly sized: the sanitizer sees a read beyond it */

		assert_non_null(text);
		assert_int_equal(http_target_parse(text, &req), 0);
		assert_string_equal(req.path, cases[i].path);
		assert_string_equal(req.query, cases[i].query);
		free(text);
	}
}

TEST(a_malformed_target_is_refused)
{
	static const char *const cases[] = {"", "nothing", "*", "?a", "http://a/", "/a#b", "/?a#b", "/a b", "/?a b", "/\x01",
		"/?\x7f", "/\xc3\xa4", "/%00", "/%0d%0aX:1", "/%7f", "/%", "/%4", "/%g1", "/%1g", "/..", "/../etc/passwd",
		"/a/%2e%2e/b", "/a/..%2fb", "/a/./b", "/a/.", "/%2e", "/a/.."};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_request req = {0};
		char *text = strdup(cases[i]);

		assert_non_null(text);
		if (http_target_parse(text, &req) != ERR_MALFORMED)
			fail_msg("%s was let through as %s", cases[i], req.path);
		free(text);
	}
}

TEST(a_query_gives_the_first_value_of_a_key)
{
	static const struct {
		const char *query;
		int err;
		const char *value;
	} cases[] = {
		{"", ERR_NOTFOUND, NULL},
		{"keys=1&ke=2&KEY=3", ERR_NOTFOUND, NULL},
		{"key", 0, ""},
		{"key=", 0, ""},
		{"a=1&&key=x&key=y", 0, "x"},
		{"key=a=b", 0, "a=b"},
		{"key=a+b%2Bc", 0, "a b+c"},
		{"key=caf%c3%A9", 0, "caf\xc3\xa9"},
		{"key=1234567", 0, "1234567"},
		{"key=12345678", ERR_RANGE, NULL},
		{"key=%", ERR_MALFORMED, NULL},
		{"key=%4&1", ERR_MALFORMED, NULL},
		{"key=%4", ERR_MALFORMED, NULL},
		{"key=%xy", ERR_MALFORMED, NULL},
		{"key=a%00b", ERR_MALFORMED, NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char value[8];

		assert_int_equal(http_query_get(cases[i].query, "key", value, sizeof value), cases[i].err);
		if (!cases[i].err)
			assert_string_equal(value, cases[i].value);
	}
}

TEST(get_and_head_are_the_methods_that_are_served)
{
	static const char *const others[] = {"", "POST", "CONNECT", "get", "GETS", "HEADER", "OPTIONS"};

	assert_true(http_method_ok("GET") && http_method_ok("HEAD"));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(http_method_ok(others[i]));
}

TEST(a_hex_digit_has_its_value)
{
	static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF", others[] = "/:@G`g\x10 \xe1";

	for (int i = 0; i < 16; i++) {
		assert_int_equal(hex_digit(digits[i]), i);
		assert_int_equal(hex_digit(capitals[i]), i);
	}
	for (const char *p = others; *p; p++)
		assert_int_equal(hex_digit(*p), -1);
	assert_int_equal(hex_digit('\0'), -1);
}

/* --- responses -------------------------------------------------------------------------- */

static const char *value_of(const struct http_fields *f, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->field[i].name, name)) {
			assert_null(value); /* each once */
			value = f->field[i].value;
		}
	return value;
}

TEST(every_response_has_the_fields_that_protect)
{
	static const unsigned statuses[] = {200, 204, 301, 400, 404, 405, 431, 500, 503};

	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		const struct http_response res = http_response_of(statuses[i]);
		struct http_fields f;

		assert_true(http_response_ok(&res, 100));
		http_response_fields(&res, &f);
		assert_string_equal(value_of(&f, "x-content-type-options"), "nosniff");
		assert_string_equal(value_of(&f, "referrer-policy"), "no-referrer");
		assert_string_equal(value_of(&f, "cross-origin-opener-policy"), "same-origin");
		assert_string_equal(value_of(&f, "cache-control"), "no-store");
		assert_true((value_of(&f, "allow") != NULL) == (statuses[i] == 405));
		assert_true((value_of(&f, "content-length") != NULL) == http_status_has_body(statuses[i]));
		assert_null(value_of(&f, "access-control-allow-origin"));
		assert_null(value_of(&f, "vary"));
	}
}

TEST(fields_say_what_the_handler_said)
{
	struct http_response res;
	struct http_fields f;

	http_response_init(&res);
	http_response_text(&res, 200, "hello");
	res.content_type = "text/x";
	res.cache_control = "max-age=60";
	res.csp = "default-src 'self'";
	res.location = "/there";
	res.cors = "https://a.example";
	res.vary = "origin";
	http_response_fields(&res, &f);
	assert_true(f.n < HTTP_FIELDS_MAX);
	assert_string_equal(value_of(&f, "content-type"), "text/x");
	assert_string_equal(value_of(&f, "content-length"), "5");
	assert_string_equal(value_of(&f, "cache-control"), "max-age=60");
	assert_string_equal(value_of(&f, "content-security-policy"), "default-src 'self'");
	assert_string_equal(value_of(&f, "location"), "/there");
	assert_string_equal(value_of(&f, "access-control-allow-origin"), "https://a.example");
	assert_string_equal(value_of(&f, "vary"), "origin");
}

TEST(an_invalid_response_is_recognised)
{
	struct http_response good = http_response_of(200), res;

	assert_true(http_response_ok(&good, good.len));
	assert_false(http_response_ok(&good, good.len - 1));
	static const unsigned statuses[] = {0, 1, 100, 199, 600};

	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		res = good;
		res.status = statuses[i];
		assert_false(http_response_ok(&res, 100));
	}
	static const char forged[] = "a\r\nSet-Cookie: b=c";
	const char **fields[] = {&res.content_type, &res.cache_control, &res.csp, &res.location, &res.cors, &res.vary};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		res = good;
		*fields[i] = forged;
		assert_false(http_response_ok(&res, 100));
	}
	res = good;
	res.content_type = NULL;
	assert_false(http_response_ok(&res, 100));
}

TEST(a_body_is_owned_static_or_copied)
{
	char text[] = "text";
	struct http_body b;
	struct http_response res = {.body = text, .len = 4};

	assert_int_equal(http_body_init(&b, &res), 0);
	assert_ptr_not_equal(b.p, text);
	assert_memory_equal(b.p, "text", 4);
	http_body_fini(&b);
	assert_null(b.p);
	res.static_body = true;
	assert_int_equal(http_body_init(&b, &res), 0);
	assert_ptr_equal(b.p, text);
	assert_null(b.owned);
	http_body_fini(&b);
	res = (struct http_response){.len = 3, .owned = strdup("own")};
	res.body = res.owned;
	assert_int_equal(http_body_init(&b, &res), 0);
	assert_ptr_equal(b.owned, res.owned);
	http_body_fini(&b);
	http_body_fini(&b);
	res = (struct http_response){.owned = strdup("left behind")}; /* no body, but memory */
	assert_int_equal(http_body_init(&b, &res), 0);
	assert_int_equal(b.len, 0);
	http_body_fini(&b);
}

TEST(a_status_has_a_name)
{
	assert_string_equal(http_reason(404), "Not Found");
	assert_string_equal(http_reason(429), "Too Many Requests");
	assert_string_equal(http_reason(299), "Unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_is_decoded_and_split),
		cmocka_unit_test(a_malformed_target_is_refused),
		cmocka_unit_test(a_query_gives_the_first_value_of_a_key),
		cmocka_unit_test(get_and_head_are_the_methods_that_are_served),
		cmocka_unit_test(a_hex_digit_has_its_value),
		cmocka_unit_test(every_response_has_the_fields_that_protect),
		cmocka_unit_test(fields_say_what_the_handler_said),
		cmocka_unit_test(an_invalid_response_is_recognised),
		cmocka_unit_test(a_body_is_owned_static_or_copied),
		cmocka_unit_test(a_status_has_a_name),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
