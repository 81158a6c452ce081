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

/* The bytes of an address: 4 of IPv4, also of one that is mapped into IPv6, or 16. NULL: another kind. */
static const uint8_t *bytes_of(const struct sockaddr *a, size_t *len)
{
	enum { V4_IN_V6 = 12 };
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

	*len = 4;
	if (a->sa_family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)a)->sin_addr;
	if (a->sa_family != AF_INET6)
		return NULL;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return in6->sin6_addr.s6_addr + V4_IN_V6;
	*len = sizeof in6->sin6_addr;
	return in6->sin6_addr.s6_addr;
}

size_t quic_sockaddr_limit_key(const struct sockaddr *a, uint8_t key[16])
{
	enum { PREFIX = 8 };
	size_t len;
	const uint8_t *b = bytes_of(a, &len);

	if (!b)
		return 0;
	if (len > PREFIX)
		len = PREFIX;
	memcpy(key, b, len);
	return len;
}

size_t quic_addr_limit_key(const struct quic_addr *a, uint8_t key[16])
{
	return a->len == 0 ? 0 : quic_sockaddr_limit_key(&a->sa, key);
}

/* --- networks ------------------------------------------------------------------------- */

/* Of the number behind the '/'; NULL: there is none, and all bits count. */
static int parse_bits(const char *digits, size_t max, uint8_t *out)
{
	unsigned n = 0;

	if (!digits) {
		*out = (uint8_t)max;
		return 0;
	}
	if (!*digits || strlen(digits) > 3 || (digits[0] == '0' && digits[1]))
		return ERR_MALFORMED;
	for (; *digits; digits++) {
		if (*digits < '0' || *digits > '9')
			return ERR_MALFORMED;
		n = 10 * n + (unsigned)(*digits - '0');
	}
	*out = (uint8_t)n;
	return n <= max ? 0 : ERR_MALFORMED;
}

static bool bit_is_set(const uint8_t *b, size_t i)
{
	return b[i / 8] >> (7 - i % 8) & 1;
}

int quic_net_parse(const char *text, struct quic_net *out)
{
	char host[QUIC_NET_TEXT];
	struct quic_addr a;
	struct quic_net n = {0};
	size_t len;

	if (strlen(text) >= sizeof host)
		return ERR_MALFORMED;
	memcpy(host, text, strlen(text) + 1);
	char *slash = strchr(host, '/');

	if (slash)
		*slash++ = '\0';
	if (quic_addr_parse(host, 0, &a))
		return ERR_MALFORMED;
	const uint8_t *b = bytes_of(&a.sa, &len);

	if (a.sa.sa_family == AF_INET6 && len == 4) /* bits of a mapped one would be counted in two ways */
		return ERR_MALFORMED;
	if (parse_bits(slash, 8 * len, &n.bits))
		return ERR_MALFORMED;
	for (size_t i = n.bits; i < 8 * len; i++)
		if (bit_is_set(b, i))
			return ERR_MALFORMED;
	n.len = (uint8_t)len;
	memcpy(n.b, b, len);
	*out = n;
	return 0;
}

bool quic_net_has(const struct quic_net *n, const struct sockaddr *a)
{
	size_t len, whole = n->bits / 8, rest = n->bits % 8;
	const uint8_t *b = bytes_of(a, &len);

	if (!b || len != n->len || memcmp(b, n->b, whole) != 0)
		return false;
	return rest == 0 || (b[whole] ^ n->b[whole]) >> (8 - rest) == 0;
}

void quic_nets_parse(const struct quic_net_texts *texts, struct quic_nets *out)
{
	out->n = 0;
	for (size_t i = 0; i < texts->n; i++)
		out->n += !quic_net_parse(texts->net[i], &out->net[out->n]);
}

bool quic_nets_have(const struct quic_nets *l, const struct sockaddr *a)
{
	for (size_t i = 0; i < l->n; i++)
		if (quic_net_has(&l->net[i], a))
			return true;
	return false;
}
