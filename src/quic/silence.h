/* SPDX-License-Identifier: MIT */
/*
 * silence - what a connection does while its peer is silent. Voice that nobody acknowledges fills the congestion window
 * within half a second; then only ngtcp2's probes go out, at intervals that double: after an outage of 18 seconds it
 * took 13 more until anything was received. So what is left of the window when nobody answers is kept for probes of our
 * own at a steady, small rate. They are PINGs, some 40 bytes each: the reserve lasts as long as the idle timeout. See
 * tests/sim/test_call.c.
 *
 * The connection's thread; no allocation, time is an argument.
 */
#pragma once
#include "base/time.h"

#include <ngtcp2/ngtcp2.h>
#include <stdbool.h>

struct silence {
	nsec heard_at;   /* the peer's last packet */
	bool unanswered; /* the peer is silent and the window nearly full: no datagrams, but probes */
};

/* PING after `ms` without a packet; 0: never. */
static inline void silence_set_keep_alive(ngtcp2_conn *q, uint32_t ms)
{
	ngtcp2_conn_set_keep_alive_timeout(q, ms ? nsec_from_ms(ms) : UINT64_MAX);
}

/* A packet of the peer came. */
static inline void silence_heard(struct silence *s, ngtcp2_conn *q, uint32_t keep_alive_ms, nsec now)
{
	s->heard_at = now;
	if (!s->unanswered)
		return;
	s->unanswered = false;
	silence_set_keep_alive(q, keep_alive_ms);
}

/* For connections whose handshake is complete: decides whether the peer is `unanswered`. */
void silence_check(struct silence *s, ngtcp2_conn *q, nsec now);

enum { SILENCE_MIN_MS = 50 }; /* shorter silence is not looked at */

static inline bool silence_short(const struct silence *s, nsec now)
{
	return nsec_since(s->heard_at, now) < nsec_from_ms(SILENCE_MIN_MS);
}
