/* SPDX-License-Identifier: MIT */
/*
 * black_hole - PMTU black hole detection (RFC 9000 14.4, RFC 8899 4.3). A path can shrink under a connection: a route
 * changes, a tunnel is put in. ngtcp2 does not look for that, and every packet of the size once found is lost from then
 * on. So large datagrams are watched: when nearly all their bytes of two seconds are in flight still, or lost, packets
 * are as short as QUIC allows until the peer's address changes. An outage looks the same, and costs one packet more for
 * each large frame afterwards. (ngtcp2 would report each datagram that arrives, for 130 instructions each.)
 *
 * The connection's thread; no allocation, time is an argument.
 */
#pragma once
#include "base/time.h"

#include <ngtcp2/ngtcp2.h>
#include <stdbool.h>

enum { BLACK_HOLE_LARGE = 1150 }; /* longer datagrams are watched; others fit into 1200 bytes (RFC 9000 14), whatever the id */

struct black_hole {
	nsec watched_since, tried_at;  /* tried_at: the last large datagram */
	uint64_t sent, lost_before; /* bytes of large datagrams since; of all packets lost until then */
	bool found;
};

/* A large datagram is about to be sent. False, once: the path is found to carry none of that size. */
bool black_hole_try(struct black_hole *h, ngtcp2_conn *q, nsec now);

/* A datagram of `len` bytes was sent. */
static inline void black_hole_sent(struct black_hole *h, size_t len)
{
	h->sent += len > BLACK_HOLE_LARGE ? len : 0;
}

/* The connection has another path: what was found of the old one does not hold. */
static inline void black_hole_new_path(struct black_hole *h)
{
	h->found = false;
	h->tried_at = 0;
}
