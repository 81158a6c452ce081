/* SPDX-License-Identifier: MIT */
#include "daemon/join.h"

#include "audio/packet.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded; false for a bad escape, a NUL or no room. */
static bool decode(const char *p, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)p[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int hi = i + 2 < len ? hex_digit(p[i + 1]) : -1;
			int lo = i + 2 < len ? hex_digit(p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = hi << 4 | lo;
			i += 2;
		}
		if (c == 0 || n + 1 >= cap)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

bool join_query_get(const char *query, const char *key, char *out, size_t cap, bool *bad)
{
	size_t key_len = strlen(key);

	while (*query) {
		size_t len = strcspn(query, "&");

		if (len >= key_len && memcmp(query, key, key_len) == 0 && (len == key_len || query[key_len] == '=')) {
			const char *value = query + key_len + (len > key_len);

			if (!decode(value, (size_t)(query + len - value), out, cap))
				*bad = true;
			return true;
		}
		query += len + (query[len] == '&');
	}
	return false;
}

static unsigned refuse(unsigned status, char why[JOIN_ERROR], const char *text)
{
	snprintf(why, JOIN_ERROR, "%s", text);
	return status;
}

/* 0 if it is not a rate. */
static uint32_t rate_of(const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (!isdigit((unsigned char)s[0]) || *end || v > 48000 || !audio_rate_ok((uint32_t)v))
		return 0;
	return (uint32_t)v;
}

unsigned join_parse(const char *path_and_query, const char *path, uint32_t default_rate_hz, struct join *out,
	char why[JOIN_ERROR])
{
	size_t path_len = strcspn(path_and_query, "?#");
	const char *query = path_and_query[path_len] == '?' ? path_and_query + path_len + 1 : "";
	char value[16];
	bool bad = false;

	*out = (struct join){.out_rate_hz = default_rate_hz};
	if (path_len != strlen(path) || memcmp(path_and_query, path, path_len) != 0)
		return refuse(404, why, "no voice at this path");
	join_query_get(query, "room", out->room, sizeof out->room, &bad);
	if (bad)
		return refuse(400, why, "room: badly encoded or longer than 64 bytes");
	join_query_get(query, "name", out->name, sizeof out->name, &bad);
	if (bad)
		return refuse(400, why, "name: badly encoded or longer than 64 bytes");
	if (join_query_get(query, "rate", value, sizeof value, &bad)) {
		out->out_rate_hz = bad ? 0 : rate_of(value);
		if (!out->out_rate_hz)
			return refuse(400, why, "rate: use 8000 to 48000");
	}
	out->out_rate_hz = packet_rate(out->out_rate_hz); /* the sound must have the rate of its header */
	if (join_query_get(query, "codec", value, sizeof value, &bad) && (bad || strcmp(value, "pcm") != 0))
		return refuse(400, why, "codec: this server speaks pcm");
	if (join_query_get(query, "frames", value, sizeof value, &bad)) {
		out->v1 = !bad && strcmp(value, "v1") == 0;
		if (bad || (!out->v1 && strcmp(value, "legacy") != 0))
			return refuse(400, why, "frames: this server speaks legacy and v1");
	}
	return 200;
}

/* --- origins ----------------------------------------------------------------------------- */

/* The host of "host", "host:port" or "[v6]:port", brackets included. */
static size_t host_len(const char *authority)
{
	if (authority[0] == '[') {
		const char *end = strchr(authority, ']');

		return end ? (size_t)(end - authority) + 1 : 0;
	}
	return strcspn(authority, ":/?#");
}

static bool is_localhost(const char *host, size_t len)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], host, len) == 0)
			return true;
	return false;
}

static bool same_host_or_localhost(const char *origin, const char *authority)
{
	const char *host = strstr(origin, "://");

	if (!host)
		return false; /* "null": a sandboxed or opaque page */
	host += 3;
	size_t n = host_len(host), m = host_len(authority);

	if (n == 0 || (host[n] != '\0' && host[n] != ':'))
		return false;
	return is_localhost(host, n) || (n == m && strncasecmp(host, authority, n) == 0);
}

bool join_origin_ok(const char *origin, const char *authority, const struct config_server *cfg)
{
	if (!origin[0])
		return true;
	if (cfg->n_origins == 0)
		return same_host_or_localhost(origin, authority);
	for (size_t i = 0; i < cfg->n_origins; i++)
		if (strcmp(cfg->origins[i], "*") == 0 || strcasecmp(cfg->origins[i], origin) == 0)
			return true;
	return false;
}
