/* SPDX-License-Identifier: MIT */
#include "client/url.h"

#include "base/err.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char scheme[] = "https://";

static int fault(int err, char why[URL_ERROR], const char *text)
{
	snprintf(why, URL_ERROR, "%s", text);
	return err;
}

/* Nothing in a URL may be a space, a control character, or a character that must be encoded. */
static bool clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr("\"<>\\^`{|}", *s))
			return false;
	return true;
}

/* host, [v6], each with or without :port, `len` bytes of it. */
static int parse_authority(const char *s, size_t len, struct url *u, char why[URL_ERROR])
{
	const char *host = s, *end = s + len, *host_end;

	if (len == 0 || memchr(s, '@', len))
		return fault(ERR_MALFORMED, why, "a URL needs a host, and no user name");
	if (*s == '[') {
		host_end = memchr(s, ']', len);
		host++;
		if (!host_end)
			return fault(ERR_MALFORMED, why, "a [ without its ]");
		s = host_end + 1;
	} else {
		host_end = memchr(s, ':', len);
		if (!host_end)
			host_end = end;
		s = host_end;
	}
	if (host_end == host)
		return fault(ERR_MALFORMED, why, "a URL needs a host");
	if (host_end - host > URL_HOST_MAX)
		return fault(ERR_RANGE, why, "the host is too long");
	u->port = 443;
	if (s < end) {
		char *stop;
		unsigned long port = s[1] >= '0' && s[1] <= '9' ? strtoul(s + 1, &stop, 10) : 0;

		if (*s != ':' || port == 0 || port > 65535 || stop != end)
			return fault(ERR_MALFORMED, why, "the port must be a number from 1 to 65535");
		u->port = (uint16_t)port;
	}
	snprintf(u->host, sizeof u->host, "%.*s", (int)(host_end - host), host);
	return 0;
}

int url_parse(const char *text, struct url *out, char why[URL_ERROR])
{
	struct url u = {.path = ""};

	if (strncasecmp(text, scheme, sizeof scheme - 1) != 0)
		return fault(ERR_MALFORMED, why, "the URL must begin with https://");
	if (!clean(text))
		return fault(ERR_MALFORMED, why, "the URL has a character that must be percent-encoded");
	text += sizeof scheme - 1;
	size_t n_authority = strcspn(text, "/?#"), n_path = strcspn(text + n_authority, "#");
	const char *path = text + n_authority;
	int err = parse_authority(text, n_authority, &u, why);

	if (err)
		return err;
	snprintf(u.authority, sizeof u.authority, "%.*s", (int)n_authority, text);
	if (n_path + sizeof "/audio" > sizeof u.path)
		return fault(ERR_RANGE, why, "the path is too long");
	snprintf(u.path, sizeof u.path, "%s%.*s", *path == '/' ? "" : "/audio", (int)n_path, path);
	*out = u;
	return 0;
}

/* --- query -------------------------------------------------------------------------------------- */

static void remove_key(char *path, const char *key)
{
	size_t len = strlen(key);
	char *at = strchr(path, '?');

	while (at && *at) {
		char *begin = at + 1, *end = begin + strcspn(begin, "&");

		if (strncmp(begin, key, len) != 0 || (begin[len] != '=' && begin + len != end)) {
			at = end;
			continue;
		}
		if (*end)
			memmove(begin, end + 1, strlen(end + 1) + 1);
		else
			*at = '\0';
	}
}

static bool unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-._~", c));
}

int url_set_query(struct url *u, const char *key, const char *value)
{
	char path[URL_PATH_MAX + 1];

	memcpy(path, u->path, sizeof path);
	remove_key(path, key);
	size_t n = strlen(path), len = strlen(key) + 2;

	if (n + len > URL_PATH_MAX)
		return ERR_RANGE;
	n += (size_t)snprintf(path + n, sizeof path - n, "%c%s=", strchr(path, '?') ? '&' : '?', key);
	for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
		if (n + (unreserved(*p) ? 1 : 3) > URL_PATH_MAX)
			return ERR_RANGE;
		n += (size_t)snprintf(path + n, sizeof path - n, unreserved(*p) ? "%c" : "%%%02X", *p);
	}
	memcpy(u->path, path, sizeof path);
	return 0;
}

/* --- addresses ---------------------------------------------------------------------------------- */

static size_t numeric(const struct url *u, struct quic_addr out[URL_ADDRESSES_MAX])
{
	if (strcasecmp(u->host, "localhost") == 0) {
		quic_addr_parse("::1", u->port, &out[0]);
		quic_addr_parse("127.0.0.1", u->port, &out[1]);
		return 2;
	}
	return quic_addr_parse(u->host, u->port, &out[0]) ? 0 : 1;
}

int url_resolve(const struct url *u, struct quic_addr out[URL_ADDRESSES_MAX], size_t *n, char why[URL_ERROR])
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found, *a;
	char port[8];

	*n = numeric(u, out);
	if (*n > 0)
		return 0;
	snprintf(port, sizeof port, "%u", u->port);
	int rv = getaddrinfo(u->host, port, &hints, &found);

	if (rv) {
		snprintf(why, URL_ERROR, "%.100s: %s", u->host, gai_strerror(rv));
		return ERR_NOTFOUND;
	}
	for (a = found; a && *n < URL_ADDRESSES_MAX; a = a->ai_next) {
		if (a->ai_addrlen > sizeof out->in6)
			continue;
		memset(&out[*n], 0, sizeof *out);
		memcpy(&out[*n].sa, a->ai_addr, a->ai_addrlen);
		out[(*n)++].len = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return *n ? 0 : fault(ERR_NOTFOUND, why, "the host has no address");
}
