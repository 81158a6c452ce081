/* SPDX-License-Identifier: MIT */
/*
 * addr - an IPv4 or IPv6 address with its port, and a QUIC path, which is a pair of them.
 * Plain data, compared by value.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct quic_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
	socklen_t len; /* 0: unset */
};

struct quic_path {
	struct quic_addr local, remote;
};

enum { QUIC_ADDR_TEXT = 64 };

/* `host` is a numeric address ("0.0.0.0", "::", "[::1]"). ERR_MALFORMED otherwise. */
int quic_addr_parse(const char *host, uint16_t port, struct quic_addr *out);
/* "127.0.0.1:4433" or "[::1]:4433"; returns `text`. */
const char *quic_addr_format(const struct quic_addr *a, char text[QUIC_ADDR_TEXT]);
uint16_t quic_addr_port(const struct quic_addr *a);
/* True if host and port are equal. */
bool quic_addr_equal(const struct quic_addr *a, const struct quic_addr *b);
/* The key that limits per address count by: the 4 bytes of IPv4 (also if mapped into IPv6), the
 * /64 of IPv6. Returns how many bytes of `key` were set. */
size_t quic_addr_limit_key(const struct quic_addr *a, uint8_t key[16]);
