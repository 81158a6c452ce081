/* SPDX-License-Identifier: MIT */
#include "base/http.h"

#include "base/err.h"
#include "base/hex.h"

#include <string.h>

bool http_method_ok(const char *method)
{
	return !strcmp(method, "GET") || !strcmp(method, "HEAD");
}

static bool is_control(int c)
{
	return c < 0x20 || c == 0x7f;
}

/* The byte of "%41"; -1 if it is not a whole escape. Reads no further than the NUL. */
static int unescape(const char *s)
{
	int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);

	return low < 0 ? -1 : high << 4 | low;
}

/* In place. No control character may come out of it, encoded or not. */
static bool percent_decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		int c = (unsigned char)*s;

		if (c == '%') {
			c = unescape(s);
			s += 2;
		}
		if (c < 0 || is_control(c))
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

/* "." and ".." mean a way through directories: a browser resolves them before it asks. */
static bool has_dot_segment(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		p += *p == '/';
		size_t n = strcspn(p, "/");

		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return true;
	}
	return false;
}

/* Escapes are checked later. Client libraries send a name in a query as raw UTF-8; a path is ASCII. */
static bool is_target(const char *s)
{
	bool in_query = false;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		in_query |= c == '?';
		if (c == ' ' || c == '#' || is_control(c) || (c >= 0x80 && !in_query))
			return false;
	}
	return true;
}

int http_target_parse(char *target, struct http_request *req)
{
	if (*target != '/' || !is_target(target))
		return ERR_MALFORMED;
	char *query = strchr(target, '?');

	if (query)
		*query++ = '\0';
	req->path = target;
	req->query = query ? query : "";
	return percent_decode(target) && !has_dot_segment(target) ? 0 : ERR_MALFORMED;
}

/* --- queries ---------------------------------------------------------------------------- */

static int form_decode(const char *p, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (const char *end = p + len; p < end; p++) {
		int c = *p == '+' ? ' ' : (unsigned char)*p;

		if (c == '%') {
			c = end - p > 2 ? unescape(p) : -1;
			p += 2;
		}
		if (c <= 0)
			return ERR_MALFORMED;
		if (n + 1 >= cap)
			return ERR_RANGE;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

int http_query_get(const char *query, const char *key, char *out, size_t cap)
{
	size_t key_len = strlen(key);

	while (*query) {
		size_t len = strcspn(query, "&");

		if (len >= key_len && !memcmp(query, key, key_len) && (len == key_len || query[key_len] == '=')) {
			const char *value = query + key_len + (len > key_len);

			return form_decode(value, (size_t)(query + len - value), out, cap);
		}
		query += len + (query[len] == '&');
	}
	return ERR_NOTFOUND;
}
