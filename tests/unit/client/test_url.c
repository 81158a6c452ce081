/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "client/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST(good_urls_are_taken_apart)
{
	static const struct {
		const char *text, *host, *authority, *path;
		uint16_t port;
	} cases[] = {
		{"https://example.com", "example.com", "example.com", "/audio", 443},
		{"https://example.com:4433", "example.com", "example.com:4433", "/audio", 4433},
		{"https://example.com/", "example.com", "example.com", "/", 443},
		{"https://example.com?room=a", "example.com", "example.com", "/audio?room=a", 443},
		{"HTTPS://localhost:1/audio?room=a&name=b%20c#x", "localhost", "localhost:1", "/audio?room=a&name=b%20c", 1},
		{"https://127.0.0.1:65535/x/y", "127.0.0.1", "127.0.0.1:65535", "/x/y", 65535},
		{"https://[::1]:4433/audio", "::1", "[::1]:4433", "/audio", 4433},
		{"https://[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", "/audio", 443},
		{"https://a#b", "a", "a", "/audio", 443},
	};
	char why[URL_ERROR];
	struct url u;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(url_parse(cases[i].text, &u, why), 0);
		assert_string_equal(u.host, cases[i].host);
		assert_string_equal(u.authority, cases[i].authority);
		assert_string_equal(u.path, cases[i].path);
		assert_int_equal(u.port, cases[i].port);
	}
}

TEST(bad_urls_are_refused_with_a_reason)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "https://"}, {"http://a", "https://"}, {"a:4433", "https://"}, {"https://", "host"}, {"https:///x", "host"},
		{"https://u@h", "host"}, {"https://:1", "host"}, {"https://a:", "port"}, {"https://a:0", "port"},
		{"https://a:65536", "port"}, {"https://a:1x", "port"}, {"https://a:-1", "port"}, {"https://a:+1", "port"},
		{"https://a: 1", "percent"}, {"https://[::1", "]"}, {"https://[::1]x", "port"}, {"https://[]", "host"},
		{"https://a/b c", "percent"}, {"https://a/\x01", "percent"}, {"https://a/\xc3\xa4", "percent"},
		{"https://a/\"", "percent"},
	};
	char why[URL_ERROR], *text;
	struct url u;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		why[0] = '\0';
		assert_int_equal(url_parse(cases[i].text, &u, why), ERR_MALFORMED);
		assert_non_null(strstr(why, cases[i].why));
	}
	text = calloc(1, 5000);
	memset(text, 'a', 4990);
	memcpy(text, "https://", 8);
	assert_int_equal(url_parse(text, &u, why), ERR_RANGE);
	text[20] = '/';
	assert_int_equal(url_parse(text, &u, why), ERR_RANGE);
	text[2000] = '\0';
	assert_int_equal(url_parse(text, &u, why), 0);
	free(text);
}

TEST(query_keys_are_set_and_replaced)
{
	static const struct {
		const char *url, *key, *value, *path;
	} cases[] = {
		{"https://h/a", "room", "lobby", "/a?room=lobby"},
		{"https://h/a?x=1", "room", "lobby", "/a?x=1&room=lobby"},
		{"https://h/a?room=old", "room", "new", "/a?room=new"},
		{"https://h/a?room=old&x=1&room=older", "room", "new", "/a?x=1&room=new"},
		{"https://h/a?x=1&room&y=2", "room", "new", "/a?x=1&y=2&room=new"},
		{"https://h/a?rooms=1", "room", "new", "/a?rooms=1&room=new"},
		{"https://h/a", "name", "J\xc3\xbcrg & \"x\"%", "/a?name=J%C3%BCrg%20%26%20%22x%22%25"},
		{"https://h/a", "room", "", "/a?room="},
	};
	char why[URL_ERROR], value[URL_PATH_MAX + 1];
	struct url u;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(url_parse(cases[i].url, &u, why), 0);
		assert_int_equal(url_set_query(&u, cases[i].key, cases[i].value), 0);
		assert_string_equal(u.path, cases[i].path);
	}
	memset(value, 'v', URL_PATH_MAX);
	value[URL_PATH_MAX] = '\0';
	assert_int_equal(url_parse("https://h/a?room=old", &u, why), 0);
	assert_int_equal(url_set_query(&u, "room", value), ERR_RANGE);
	assert_string_equal(u.path, "/a?room=old");
	value[URL_PATH_MAX - strlen("/a?room=")] = '\0';
	assert_int_equal(url_set_query(&u, "room", value), 0);
	assert_int_equal(strlen(u.path), URL_PATH_MAX);
}

TEST(numbers_and_localhost_need_nobody)
{
	static const struct {
		const char *url, *first, *second;
	} cases[] = {
		{"https://localhost:4433", "[::1]:4433", "127.0.0.1:4433"},
		{"https://LocalHost", "[::1]:443", "127.0.0.1:443"},
		{"https://192.0.2.1:5", "192.0.2.1:5", NULL},
		{"https://[2001:db8::1]:5", "[2001:db8::1]:5", NULL},
	};
	struct quic_addr a[URL_ADDRESSES_MAX];
	char why[URL_ERROR], text[QUIC_ADDR_TEXT];
	struct url u;
	size_t n;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(url_parse(cases[i].url, &u, why), 0);
		assert_int_equal(url_resolve(&u, a, &n, why), 0);
		assert_int_equal(n, cases[i].second ? 2 : 1);
		assert_string_equal(quic_addr_format(&a[0], text), cases[i].first);
		if (cases[i].second)
			assert_string_equal(quic_addr_format(&a[1], text), cases[i].second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_urls_are_taken_apart),
		cmocka_unit_test(bad_urls_are_refused_with_a_reason),
		cmocka_unit_test(query_keys_are_set_and_replaced),
		cmocka_unit_test(numbers_and_localhost_need_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
