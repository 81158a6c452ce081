/* SPDX-License-Identifier: MIT */
/*
 * udp_send - packets on their way out: written into slots, sent in batches with sendmmsg. A packet that a full socket does not
 * take keeps its slot; packets of other sockets pass it. The sockets' thread; no allocation.
 */
#pragma once
#include "udp_socket.h"

struct udp_send_packet {
	struct quic_path path;
	struct udp_socket *socket;
	uint8_t ecn;
	size_t len;
	_Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_MAX];
	uint8_t buf[QUIC_PACKET_MAX];
};

struct udp_send {
	struct udp_send_packet packets[UDP_BATCH + 1]; /* one more to write into when all others wait */
	struct udp_send_packet *order[UDP_BATCH + 1];  /* the first n are to be sent */
	size_t n;
	struct mmsghdr msg[UDP_BATCH];
	struct iovec vec[UDP_BATCH];
};

void udp_send_init(struct udp_send *t);
static inline bool udp_send_full(const struct udp_send *t)
{
	return t->n == UDP_BATCH;
}
/* QUIC_PACKET_MAX bytes for the next packet; valid until the next call. */
static inline uint8_t *udp_send_slot(struct udp_send *t)
{
	return t->order[t->n]->buf;
}
/* The packet in the slot is `len` bytes long and leaves by `s`. False: dropped, too many wait. */
bool udp_send_commit(struct udp_send *t, struct udp_socket *s, const struct quic_path *path, uint8_t ecn, size_t len);
/* Sends what it can, and counts it in `stats`. True: a socket is `blocked` now. */
bool udp_send_flush(struct udp_send *t, struct udp_stats *stats);
