/* SPDX-License-Identifier: MIT */
/*
 * handshake_queue - packets of handshakes wait here while voice goes first. One handshake costs as much as a hundred
 * packets of voice, and after a network outage all clients reconnect at once: handled as they arrive, a few hundred
 * handshakes would interrupt every call. The owner passes other packets to the endpoint directly, and these one by one
 * as time allows. Packets that belong to no connection and begin none are not queued; those of connections go before
 * those of new clients.
 *
 * One thread, no clock. Memory is allocated once, at the start, and used only as it fills.
 */
#pragma once
#include "base/metric.h"
#include "quic/endpoint.h"

struct handshake_queue;

struct handshake_queue_stats {
	uint64_t packets; /* that were queued */
	uint64_t full;    /* dropped: the queue was full */
	uint64_t stale;   /* dropped: too old; the client has sent them again, or is gone */
};

enum { HANDSHAKE_STALE_MS = 3000 };

/* Room for `max` packets of new clients, and for `max` of connections. ERR_NOMEM. */
int handshake_queue_new(uint32_t max, struct handshake_queue **out);
void handshake_queue_free(struct handshake_queue *h); /* accepts NULL; drops what is queued */

/* Does this UDP payload belong to a handshake? It has a long header then (RFC 9000 17.2). */
static inline bool handshake_queue_accepts(const uint8_t *p, size_t len)
{
	return len > 0 && (p[0] & 0x80);
}

/* Copies. Drops the packet if the queue is full. `ep` knows which ids are those of connections. */
void handshake_queue_put(struct handshake_queue *h, struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn,
	const uint8_t *p, size_t len, nsec now);
/* Passes the next packet to the endpoint; the caller flushes it. A new client that has waited for longer than `patience` is
 * turned away; NSEC_NONE: none is. False: the queue is empty. */
bool handshake_queue_run_next(struct handshake_queue *h, struct quic_endpoint *ep, nsec patience, nsec now);
uint32_t handshake_queue_len(const struct handshake_queue *h);
const struct handshake_queue_stats *handshake_queue_stats(const struct handshake_queue *h);
extern const struct metric_table handshake_queue_metrics; /* of struct handshake_queue_stats */
