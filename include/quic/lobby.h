/* SPDX-License-Identifier: MIT */
/*
 * lobby - packets of handshakes wait here while voice goes first. One handshake costs as much as a hundred packets of
 * voice, and after a network outage everybody comes back at once: taken in as they arrive, a few hundred of them
 * would silence everybody who is talking. Its owner feeds voice to the endpoint directly, these one by one as time
 * allows. What leads nowhere does not wait at all, and who has begun goes before who begins.
 *
 * One thread, no clock. Memory is taken once, at the start, and used only as it fills.
 */
#pragma once
#include "base/metric.h"
#include "quic/endpoint.h"

struct lobby;

struct lobby_stats {
	uint64_t packets; /* that waited */
	uint64_t full;    /* dropped: so many waited already */
	uint64_t stale;   /* dropped: whoever sent them has sent them again, or has gone */
};

enum { LOBBY_STALE_MS = 3000 };

/* Room for `max` packets of those who begin, and for as many of the others. ERR_NOMEM. */
int lobby_new(uint32_t max, struct lobby **out);
void lobby_free(struct lobby *l); /* accepts NULL; what waits is forgotten */

/* Does this UDP payload belong to a handshake? By its form (RFC 9000 17.2): a long header. */
static inline bool lobby_takes(const uint8_t *p, size_t len)
{
	return len > 0 && (p[0] & 0x80);
}

/* Copies. A full lobby drops it. `ep` tells whose it is. */
void lobby_put(struct lobby *l, struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, const uint8_t *p,
	size_t len, nsec now);
/* Gives the one whose turn it is to the endpoint; its flush is the caller's. False: nobody waits. */
bool lobby_admit(struct lobby *l, struct quic_endpoint *ep, nsec now);
uint32_t lobby_waiting(const struct lobby *l);
const struct lobby_stats *lobby_stats(const struct lobby *l);
extern const struct metric_table lobby_metrics; /* of struct lobby_stats */
