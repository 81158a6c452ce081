/* SPDX-License-Identifier: MIT */
/* Any bytes as HTTP requests: the pieces in which they come must make no difference, and what is let through is clean. */
#include "http/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 400, KEPT = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out, in words. */
struct story {
	char text[KEPT];
	size_t len;
};

static void tell(struct story *s, const char *word)
{
	size_t n = strlen(word) + 1;

	if (n > sizeof s->text - s->len)
		return;
	memcpy(s->text + s->len, word, n);
	s->len += n;
}

static void check_clean(const struct request *r)
{
	assert(r->http.path[0] == '/');
	for (const char *p = r->http.path; *p; p++)
		assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	for (const char *p = strstr(r->http.path, "/.."); p; p = strstr(p + 1, "/.."))
		assert(p[3] != '/' && p[3] != '\0');
	assert(strlen(r->http.host) < REQUEST_FIELD_MAX && (!r->http.origin || strlen(r->http.origin) < REQUEST_FIELD_MAX));
}

static void read_all(const uint8_t *data, size_t size, size_t step, struct story *s)
{
	struct request r;
	size_t at = 0;

	s->len = 0;
	if (http_parse_init(&r, MAX))
		return;
	while (at < size && r.state != REQUEST_BAD) {
		size_t n = size - at < step ? size - at : step;
		uint8_t *piece = malloc(n); /* of its own, so that reading past it is seen */

		assert(piece);
		memcpy(piece, data + at, n);
		size_t used = http_parse_feed(&r, piece, n);

		free(piece);
		assert(used <= n && (used == n || r.state != REQUEST_MORE));
		at += used;
		if (r.state != REQUEST_READY)
			continue;
		if (r.status == 0) {
			check_clean(&r);
			tell(s, r.http.path);
			tell(s, r.http.query);
			tell(s, r.http.host);
			tell(s, r.http.origin ? r.http.origin : "absent");
		}
		tell(s, r.keep_alive ? "keep" : "close");
		http_parse_next(&r);
	}
	tell(s, r.state == REQUEST_BAD ? "bad" : "more");
	if (r.state == REQUEST_BAD)
		assert(r.status >= 400 && r.status <= 505);
	http_parse_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct story whole, parts;

	if (size == 0)
		return 0;
	read_all(data + 1, size - 1, size, &whole);
	read_all(data + 1, size - 1, 1 + data[0] % 64u, &parts);
	assert(whole.len == parts.len && !memcmp(whole.text, parts.text, whole.len));
	return 0;
}
