/* SPDX-License-Identifier: MIT */
/*
 * addr - an IPv4 or IPv6 address with its port, a QUIC path, which is a pair of them, and networks of addresses.
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

/* The same of an address of any kind; 0 bytes: neither IPv4 nor IPv6. */
size_t quic_sockaddr_limit_key(const struct sockaddr *a, uint8_t key[16]);

/* All addresses that begin with the same bits. IPv4 that is mapped into IPv6 is IPv4. */
struct quic_net {
	uint8_t len;  /* of `b`: 4 or 16 */
	uint8_t bits; /* that count */
	uint8_t b[16];
};

enum { QUIC_NETS_MAX = 64, QUIC_NET_TEXT = 64 };

/* "192.0.2.0/24", "2001:db8::/32", or an address, which is a net of one. ERR_MALFORMED, also if a bit is set behind those
 * that count: it would not mean what it says. */
int quic_net_parse(const char *text, struct quic_net *out);
bool quic_net_has(const struct quic_net *n, const struct sockaddr *a);

/* Several, as text and as they are looked up in. */
struct quic_net_texts {
	char net[QUIC_NETS_MAX][QUIC_NET_TEXT];
	size_t n;
};
struct quic_nets {
	struct quic_net net[QUIC_NETS_MAX];
	size_t n;
};
/* A text that is malformed stands for no net. */
void quic_nets_parse(const struct quic_net_texts *texts, struct quic_nets *out);
bool quic_nets_have(const struct quic_nets *l, const struct sockaddr *a);
