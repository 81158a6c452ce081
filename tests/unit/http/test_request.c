/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "http/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 512 };

#define H "Host: a.example\r\n"

static const struct {
	const char *bytes;
	unsigned status; /* 0: good; 405 is READY, others are BAD */
	const char *path, *query, *host, *origin; /* origin NULL: absent */
	bool keep, head;
} cases[] = {
	{"GET / HTTP/1.1\r\n" H "\r\n", 0, "/", "", "a.example", NULL, true, false},
	{"HEAD /x HTTP/1.1\r\n" H "\r\n", 0, "/x", "", "a.example", NULL, true, true},
	{"\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, "/", "", "a.example", NULL, true, false},
	{"GET /a?b=c&d=%zz HTTP/1.1\r\nhOsT: [::1]:8080\r\nORIGIN: https://x\r\n\r\n", 0, "/a", "b=c&d=%zz", "[::1]:8080",
		"https://x", true, false},
	{"GET /?? HTTP/1.1\r\n" H "\r\n", 0, "/", "?", "a.example", NULL, true, false},
	{"GET /a%20b/%C3%A4 HTTP/1.1\r\n" H "\r\n", 0, "/a b/\xc3\xa4", "", "a.example", NULL, true, false},
	{"GET /a+b HTTP/1.1\r\n" H "\r\n", 0, "/a+b", "", "a.example", NULL, true, false},
	{"GET /a%2fb HTTP/1.1\r\n" H "\r\n", 0, "/a/b", "", "a.example", NULL, true, false},
	{"GET /...x/..y/z.. HTTP/1.1\r\n" H "\r\n", 0, "/...x/..y/z..", "", "a.example", NULL, true, false},
	{"GET /?a=../.. HTTP/1.1\r\n" H "\r\n", 0, "/", "a=../..", "a.example", NULL, true, false},
	{"GET http://b.example:81/x?y HTTP/1.1\r\n" H "\r\n", 0, "/x", "y", "b.example:81", NULL, true, false},
	{"GET HTTP://b.example HTTP/1.1\r\n" H "\r\n", 0, "/", "", "b.example", NULL, true, false},
	{"GET http://b.example?q HTTP/1.1\r\n" H "\r\n", 0, "/", "q", "b.example", NULL, true, false},
	{"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", 0, "/", "", "a.example", NULL, false, false},
	{"GET / HTTP/1.0\r\n\r\n", 0, "/", "", "", NULL, false, false},
	{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, "/", "", "", NULL, true, false},
	{"GET / HTTP/1.1\r\n" H "Origin:\r\n\r\n", 0, "/", "", "a.example", "", true, false},
	{"GET / HTTP/1.1\r\n" H "Origin: \t \r\n\r\n", 0, "/", "", "a.example", "", true, false},
	{"GET / HTTP/1.1\r\n" H "Origin: https://caf\xc3\xa9\r\n\r\n", 0, "/", "", "a.example", "https://caf\xc3\xa9", true, false},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "/", "", "", NULL, true, false},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0, "/", "", "a.example", NULL, true, false},
	{"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0, "/", "", "a.example", NULL, true, false},
	{"GET / HTTP/1.1\r\n" H "A-name-far-longer-than-any-that-we-know: x\r\n\r\n", 0, "/", "", "a.example", NULL, true, false},
	{"GET  / HTTP/1.1\r\n" H "\r\n", 0, "/", "", "a.example", NULL, true, false},
	{"GET / HTTP/1.1\r\nHostage: no\r\n" H "\r\n", 0, "/", "", "a.example", NULL, true, false},
	/* other methods */
	{"POST / HTTP/1.1\r\n" H "\r\n", .status = 405, .keep = true},
	{"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", .status = 405, .keep = false},
	{"PUT /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", .status = 405, .keep = false},
	{"OPTIONS * HTTP/1.1\r\n" H "\r\n", .status = 405, .keep = true},
	{"DELETE / HTTP/1.1\r\n" H "\r\n", .status = 405, .keep = true},
	{"CONNECT b.example:443 HTTP/1.1\r\n" H "\r\n", .status = 405, .keep = false},
	/* bodies */
	{"GET / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n", .status = 413},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", .status = 413},
	/* versions */
	{"GET / HTTP/2.0\r\n" H "\r\n", .status = 505},
	{"GET / HTTP/1.2\r\n" H "\r\n", .status = 505},
	{"GET / HTTP/9.9\r\n" H "\r\n", .status = 505},
	{"GET / HTTP/0.9\r\n" H "\r\n", .status = 505},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .status = 505},
	/* malformed */
	{"GET / HTTP/1.1\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H H "\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Origin: a\r\nOrigin: b\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Origin:\r\norigin:\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Origin: https://a\x01\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Authorization: a\r\nAuthorization: b\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "X: a\r\n folded\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H ": no name\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\n" "Host: a\n\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: x\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", .status = 400},
	{"GET nothing HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET * HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET ftp://b.example/ HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET http:///x HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /a#b HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /%00 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /%0d%0aX:1 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /% HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /%4 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /%g1 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /.. HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /../etc/passwd HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /a/%2e%2e/b HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /a/..%2fb HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /a/./b HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"get / HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"FROB / HTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET / HTTP/1.1 x\r\n" H "\r\n", .status = 400},
	{"GET / XTTP/1.1\r\n" H "\r\n", .status = 400},
	{"GET / HTTP/1.1\r\r\n" H "\r\n", .status = 400},
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not for us", .status = 400},
};

static void check_case(size_t i, const struct request *r, size_t used, const char *how)
{
	enum request_state want = cases[i].status == 0 || cases[i].status == 405 ? REQUEST_READY : REQUEST_BAD;

	if (r->state != want || r->status != cases[i].status)
		fail_msg("%s, %s: state %d status %u", cases[i].bytes, how, (int)r->state, r->status);
	if (want == REQUEST_BAD)
		return;
	assert_int_equal(used, strlen(cases[i].bytes));
	if (r->keep_alive != cases[i].keep)
		fail_msg("%s, %s: keep_alive %d", cases[i].bytes, how, r->keep_alive);
	if (r->status)
		return;
	assert_string_equal(r->http.path, cases[i].path);
	assert_string_equal(r->http.query, cases[i].query);
	assert_string_equal(r->http.host, cases[i].host);
	assert_true(!r->http.origin == !cases[i].origin);
	if (cases[i].origin)
		assert_string_equal(r->http.origin, cases[i].origin);
	assert_int_equal(r->head, cases[i].head);
}

static void every_request_split_at_every_place(void **state)
{
	struct request *r = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].bytes);

		for (size_t split = 0; split <= len; split++) {
			char how[32];

			http_parse_next(r);
			/* exactly sized copies: a read beyond either piece is a fault that the sanitizer sees */
			char *a = malloc(split + 1), *b = malloc(len - split + 1);

			assert_true(a && b);
			memcpy(a, cases[i].bytes, split);
			memcpy(b, cases[i].bytes + split, len - split);
			size_t used = http_parse_feed(r, a, split);

			if (r->state == REQUEST_MORE)
				used += http_parse_feed(r, b, len - split);
			snprintf(how, sizeof how, "split at %zu", split);
			check_case(i, r, used, how);
			free(a);
			free(b);
		}
	}
}

static void every_request_byte_by_byte(void **state)
{
	struct request *r = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t used = 0;

		http_parse_next(r);
		for (const char *p = cases[i].bytes; *p && r->state == REQUEST_MORE; p++)
			used += http_parse_feed(r, p, 1);
		check_case(i, r, used, "byte by byte");
	}
}

static void fields_for_handlers_are_kept(void **state)
{
	static const char bytes[] = "GET /x HTTP/1.1\r\nUser-Agent: voice/1 (x)\r\nAccept: */*\r\n" H
				    "AUTHORIZATION: Bearer aaaa.bbbb.cccc\r\nAuthorizations: no\r\n\r\n";
	struct request *r = *state;

	for (size_t step = 1; step < sizeof bytes; step++) {
		http_parse_next(r);
		assert_string_equal(r->http.authorization, "");
		for (size_t at = 0; at < sizeof bytes - 1;) {
			size_t len = sizeof bytes - 1 - at < step ? sizeof bytes - 1 - at : step;

			at += http_parse_feed(r, bytes + at, len);
		}
		assert_int_equal(r->state, REQUEST_READY);
		assert_string_equal(r->http.method, "GET");
		assert_string_equal(r->http.path, "/x");
		assert_string_equal(r->http.host, "a.example");
		assert_null(r->http.origin);
		assert_string_equal(r->http.authorization, "Bearer aaaa.bbbb.cccc");
		assert_string_equal(r->http.user_agent, "voice/1 (x)");
	}
}

static void a_request_ends_where_the_next_begins(void **state)
{
	static const char bytes[] = "GET /1 HTTP/1.1\r\n" H "\r\nHEAD /2 HTTP/1.1\r\n" H "Origin: o\r\n\r\nGET /3 HTTP/1.0\r\n\r\n";
	struct request *r = *state;

	for (size_t step = 1; step < sizeof bytes; step++) {
		size_t at = 0, n = 0;

		http_parse_next(r);
		while (at < sizeof bytes - 1) {
			size_t len = sizeof bytes - 1 - at < step ? sizeof bytes - 1 - at : step;

			at += http_parse_feed(r, bytes + at, len);
			if (r->state == REQUEST_MORE)
				continue;
			assert_int_equal(r->state, REQUEST_READY);
			n++;
			assert_int_equal(r->http.path[1], '0' + (int)n);
			assert_true((r->http.origin != NULL) == (n == 2));
			http_parse_next(r);
		}
		assert_int_equal(n, 3);
	}
}

static void a_request_is_bounded(void **state)
{
	struct request *r = *state;
	char bytes[MAX * 4];

	/* exactly at the bound it is good, one byte over it is not */
	for (size_t extra = 0; extra < 2; extra++) {
		int n = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\n" H "X: ");

		memset(bytes + n, 'x', MAX);
		memcpy(bytes + MAX - 4 + extra, "\r\n\r\n", 5);
		http_parse_next(r);
		http_parse_feed(r, bytes, strlen(bytes));
		assert_int_equal(r->state, extra ? REQUEST_BAD : REQUEST_READY);
		assert_int_equal(r->status, extra ? 431 : 0);
	}
	/* a target, a name and empty lines without end */
	memset(bytes, 'a', sizeof bytes);
	memcpy(bytes, "GET /", 5);
	for (size_t step = 1; step <= sizeof bytes; step *= 4) {
		http_parse_next(r);
		for (size_t at = 0; at < sizeof bytes && r->state == REQUEST_MORE; at += step)
			http_parse_feed(r, bytes + at, step);
		assert_int_equal(r->state, REQUEST_BAD);
		assert_int_equal(r->status, 431);
	}
	http_parse_next(r);
	for (int i = 0; i < MAX && r->state == REQUEST_MORE; i++)
		http_parse_feed(r, "\r\n", 2);
	assert_int_equal(r->status, 431);
	/* one field that we keep */
	int n = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: ");

	memset(bytes + n, 'a', REQUEST_FIELD_MAX);
	snprintf(bytes + n + REQUEST_FIELD_MAX, 8, "\r\n\r\n");
	http_parse_next(r);
	http_parse_feed(r, bytes, strlen(bytes));
	assert_int_equal(r->status, 400);
}

static int setup(void **state)
{
	struct request *r = malloc(sizeof *r);

	*state = r;
	return r ? http_parse_init(r, MAX) : -1;
}

static int teardown(void **state)
{
	http_parse_fini(*state);
	free(*state);
	return 0;
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(every_request_split_at_every_place),
		CASE(every_request_byte_by_byte),
		CASE(fields_for_handlers_are_kept),
		CASE(a_request_ends_where_the_next_begins),
		CASE(a_request_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
