/* SPDX-License-Identifier: MIT */
#include "http/websocket.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char *parse_scheme(const char *s, struct websocket_url *u)
{
	u->secure = !strncmp(s, "wss://", 6);
	if (u->secure)
		return s + 6;
	return strncmp(s, "ws://", 5) ? NULL : s + 5;
}

static bool is_name(const char *s)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	return s[0] && s[0] != '.' && s[0] != '-' && strspn(s, good) == strlen(s);
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static const char *parse_host(const char *s, struct websocket_url *u)
{
	bool brackets = *s == '[';
	size_t n = strcspn(s += brackets, brackets ? "]" : ":/?");
	struct in6_addr addr;

	if (n == 0 || n >= sizeof u->host || (brackets && !s[n]))
		return NULL;
	memcpy(u->host, s, n);
	u->host[n] = '\0';
	if (brackets ? inet_pton(AF_INET6, u->host, &addr) != 1 : !is_name(u->host))
		return NULL;
	return s + n + brackets;
}

static const char *parse_port(const char *s, struct websocket_url *u)
{
	u->port = u->secure ? 443 : 80;
	if (*s != ':')
		return s;
	size_t n = strspn(++s, "0123456789");
	unsigned long port = n > 0 && n <= 5 ? strtoul(s, NULL, 10) : 0;

	if (port == 0 || port > 65535)
		return NULL;
	u->port = (uint16_t)port;
	return s + n;
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (!strcmp(host, "localhost") || !strcmp(host, "::1"))
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

int websocket_url_parse(const char *text, struct websocket_url *out)
{
	struct websocket_url u = {0};
	const char *s;

	for (s = text; *s; s++)
		if (*s <= ' ' || *s > '~' || *s == '#')
			return ERR_RANGE;
	s = parse_scheme(text, &u);
	if (s)
		s = parse_host(s, &u);
	if (s)
		s = parse_port(s, &u);
	if (!s || (*s && *s != '/' && *s != '?'))
		return ERR_RANGE;
	u.loopback = is_loopback(u.host);
	u.target = s;
	*out = u;
	return 0;
}
