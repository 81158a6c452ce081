/* SPDX-License-Identifier: MIT */
#include "quic/addr.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* "[::1]" without its brackets; false if they do not match or it is too long. */
static bool strip_brackets(const char *host, char out[INET6_ADDRSTRLEN])
{
	size_t n = strlen(host);

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n == 0 || n >= INET6_ADDRSTRLEN)
		return false;
	memcpy(out, host, n);
	out[n] = '\0';
	return true;
}

int quic_addr_parse(const char *host, uint16_t port, struct quic_addr *out)
{
	char text[INET6_ADDRSTRLEN];
	struct quic_addr a;

	memset(&a, 0, sizeof a);
	if (!strip_brackets(host, text))
		return ERR_MALFORMED;
	if (host[0] != '[' && inet_pton(AF_INET, text, &a.in4.sin_addr) == 1) {
		a.in4.sin_family = AF_INET;
		a.in4.sin_port = htons(port);
		a.len = sizeof a.in4;
	} else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		a.len = sizeof a.in6;
	} else {
		return ERR_MALFORMED;
	}
	*out = a;
	return 0;
}

const char *quic_addr_format(const struct quic_addr *a, char text[QUIC_ADDR_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->len == 0) {
		snprintf(text, QUIC_ADDR_TEXT, "-");
	} else if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in4.sin_addr, host, sizeof host);
		snprintf(text, QUIC_ADDR_TEXT, "%s:%u", host, quic_addr_port(a));
	} else {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
		snprintf(text, QUIC_ADDR_TEXT, "[%s]:%u", host, quic_addr_port(a));
	}
	return text;
}

uint16_t quic_addr_port(const struct quic_addr *a)
{
	if (a->len == 0)
		return 0;
	return ntohs(a->sa.sa_family == AF_INET ? a->in4.sin_port : a->in6.sin6_port);
}

bool quic_addr_equal(const struct quic_addr *a, const struct quic_addr *b)
{
	if (a->len == 0 || b->len == 0)
		return a->len == b->len;
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_port == b->in4.sin_port && a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
		memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
}

size_t quic_addr_limit_key(const struct quic_addr *a, uint8_t key[16])
{
	enum { V4_IN_V6 = 12, PREFIX = 8 };

	if (a->len == 0)
		return 0;
	if (a->sa.sa_family == AF_INET) {
		memcpy(key, &a->in4.sin_addr, 4);
		return 4;
	}
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		memcpy(key, a->in6.sin6_addr.s6_addr + V4_IN_V6, 4);
		return 4;
	}
	memcpy(key, a->in6.sin6_addr.s6_addr, PREFIX);
	return PREFIX;
}
