/* SPDX-License-Identifier: MIT */
#include "daemon/join.h"

#include "audio/packet.h"
#include "base/err.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* Is `key` there, as it should be or not? */
static bool get(const char *query, const char *key, char *out, size_t cap, bool *bad)
{
	int err = http_query_get(query, key, out, cap);

	*bad = err && err != ERR_NOTFOUND;
	return err != ERR_NOTFOUND;
}

unsigned join_parse(const struct http_request *req, const char *path, uint32_t default_rate_hz, struct join *out,
	char why[JOIN_ERROR])
{
	char value[16];
	bool bad;

	*out = (struct join){.out_rate_hz = default_rate_hz};
	if (strcmp(req->path, path) != 0)
		return refuse(404, why, "no voice at this path");
	if (get(req->query, "room", out->room, sizeof out->room, &bad) && bad)
		return refuse(400, why, "room: badly encoded or longer than 64 bytes");
	if (get(req->query, "name", out->name, sizeof out->name, &bad) && bad)
		return refuse(400, why, "name: badly encoded or longer than 64 bytes");
	if (get(req->query, "rate", value, sizeof value, &bad)) {
		out->out_rate_hz = bad ? 0 : rate_of(value);
		if (!out->out_rate_hz)
			return refuse(400, why, "rate: use 8000 to 48000");
	}
	out->out_rate_hz = packet_rate(out->out_rate_hz); /* the sound must have the rate of its header */
	if (get(req->query, "codec", value, sizeof value, &bad) && (bad || strcmp(value, "pcm") != 0))
		return refuse(400, why, "codec: this server speaks pcm");
	if (get(req->query, "frames", value, sizeof value, &bad)) {
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
