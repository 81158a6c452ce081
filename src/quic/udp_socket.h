/* SPDX-License-Identifier: MIT */
/* udp_socket - one UDP socket: its options, its address, steering between several that share one. Knows no loop. */
#pragma once
#include "base/log.h"
#include "quic/addr.h"
#include "quic/udp.h"

enum {
	UDP_BATCH = 64, /* packets of one recvmmsg or sendmmsg */
	UDP_CONTROL_MAX = 128,
	ECN_MASK = 3,
	ECT0 = 2,       /* set on the sockets, so that most packets need no control message */
};

struct udp_socket {
	struct udp_socket *next;
	int fd;
	struct quic_addr addr;
	bool wildcard; /* each packet has its own local address */
	bool blocked;  /* full: waits until it is writable */
	uint32_t overflow; /* last SO_RXQ_OVFL */
};

/* Opens and binds. ERR_IO with errno set; nothing is left open then. */
int udp_socket_open(struct udp_socket *s, const struct quic_addr *addr, const struct udp_opts *opts,
	const struct log *log);
void udp_socket_close(struct udp_socket *s); /* errno stays */
/* See udp_steer(). ERR_IO with errno set. */
int udp_socket_steer(const struct udp_socket *s, unsigned n_sockets);
/* The one of a list that sends from `local`; NULL: none. */
struct udp_socket *udp_socket_for(struct udp_socket *all, const struct quic_addr *local);
bool udp_is_wildcard(const struct quic_addr *a);
