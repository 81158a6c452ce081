/* SPDX-License-Identifier: MIT */
#include "base/origin.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

enum { NAME_MAX_BYTES = 253, LABEL_MAX = 63 };

/* Without the locale, which tolower() asks. */
static void copy_lower(char *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + ('a' - 'A')) : s[i];
	out[n] = '\0';
}

/* --- hosts ------------------------------------------------------------------------------ */

static bool label_ok(const char *s, size_t n)
{
	return n > 0 && n <= LABEL_MAX && s[0] != '-' && s[n - 1] != '-';
}

static bool name_ok(const char *name)
{
	const char *label = name;

	if (name[strspn(name, LETTERS DIGITS "-_.")])
		return false;
	for (const char *dot; (dot = strchr(label, '.')) != NULL; label = dot + 1)
		if (!label_ok(label, (size_t)(dot - label)))
			return false;
	return label_ok(label, strlen(label));
}

/* Browsers read such a host as IPv4, in whatever spelling: 127.1, 2130706433, 0x7f.1. */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

	return !last[strspn(last, DIGITS)] || (!strncmp(last, "0x", 2) && !last[2 + strspn(last + 2, DIGITS "abcdef")]);
}

/* The text up to a colon or the end. Returns where that is; NULL: no name, no IPv4 address. */
static const char *parse_name(const char *s, struct authority *out)
{
	size_t n = strcspn(s, ":");
	struct in_addr a;

	if (n > NAME_MAX_BYTES)
		return NULL;
	copy_lower(out->host, s, n);
	if (!name_ok(out->host))
		return NULL;
	out->is_address = ends_in_number(out->host);
	return out->is_address && inet_pton(AF_INET, out->host, &a) != 1 ? NULL : s + n;
}

/* "[...]": returns where it ends; NULL: no IPv6 address. */
static const char *parse_v6(const char *s, struct authority *out)
{
	size_t n = strcspn(s, "]");
	struct in6_addr a;
	char inner[INET6_ADDRSTRLEN];

	if (!s[n] || n > sizeof inner)
		return NULL;
	memcpy(inner, s + 1, n - 1);
	inner[n - 1] = '\0';
	if (inet_pton(AF_INET6, inner, &a) != 1 || !inet_ntop(AF_INET6, &a, inner, sizeof inner))
		return NULL;
	snprintf(out->host, sizeof out->host, "[%s]", inner);
	out->is_address = true;
	return s + n + 1;
}

/* --- authorities and origins ------------------------------------------------------------ */

static bool parse_port(const char *s, uint16_t *out)
{
	if (!*s || *s == '0' || s[strspn(s, DIGITS)])
		return false;
	unsigned long port = strtoul(s, NULL, 10); /* of too many digits it makes the largest number */

	*out = (uint16_t)port;
	return port <= UINT16_MAX;
}

int authority_parse(const char *text, struct authority *out)
{
	struct authority a = {0};
	const char *end = text[0] == '[' ? parse_v6(text, &a) : parse_name(text, &a);

	if (!end || (*end && (*end != ':' || !parse_port(end + 1, &a.port))))
		return ERR_MALFORMED;
	*out = a;
	return 0;
}

static bool scheme_ok(const char *s)
{
	return s[0] >= 'a' && s[0] <= 'z' && !s[strspn(s, LETTERS DIGITS "+-.")];
}

static uint16_t implied_port(const char *scheme)
{
	return !strcmp(scheme, "https") ? 443 : !strcmp(scheme, "http") ? 80 : 0;
}

int origin_parse(const char *text, struct origin *out)
{
	const char *mark = strstr(text, "://");
	struct origin o;

	if (!mark || mark - text >= ORIGIN_SCHEME)
		return ERR_MALFORMED;
	copy_lower(o.scheme, text, (size_t)(mark - text));
	if (!scheme_ok(o.scheme) || authority_parse(mark + 3, &o.at))
		return ERR_MALFORMED;
	if (o.at.port == implied_port(o.scheme))
		o.at.port = 0;
	*out = o;
	return 0;
}

bool origin_is_web(const struct origin *o)
{
	return implied_port(o->scheme) != 0;
}

void origin_text(const struct origin *o, char out[ORIGIN_TEXT])
{
	int n = snprintf(out, ORIGIN_TEXT, "%s://%s", o->scheme, o->at.host);

	if (o->at.port)
		snprintf(out + n, ORIGIN_TEXT - (size_t)n, ":%u", o->at.port);
}

/* --- who is who -------------------------------------------------------------------------- */

bool host_is_localhost(const char *host)
{
	return !strcmp(host, "localhost") || !strcmp(host, "127.0.0.1") || !strcmp(host, "[::1]");
}

bool host_matches(const char *host, const char *name)
{
	if (strncmp(name, "*.", 2) != 0)
		return !strcmp(host, name);
	const char *dot = strchr(host, '.');

	return dot && !strcmp(dot, name + 1);
}
