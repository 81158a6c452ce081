/* SPDX-License-Identifier: MIT */
/*
 * addr_limit - counts the connections of each IPv4 address or IPv6 /64, and of its handshakes under way those from where
 * it has proved to be. Any thread: takes a lock when a connection or handshake begins or ends, never for a packet.
 */
#pragma once
#include "quic/addr.h"

struct addr_limit;
struct addr_entry;

int addr_limit_new(struct addr_limit **out);
/* Asserts that all have left. Accepts NULL. */
void addr_limit_free(struct addr_limit *l);
/* Counts one more for `a`; ERR_LIMIT over `max`, ERR_NOMEM. */
int addr_limit_enter(struct addr_limit *l, const struct quic_addr *a, uint32_t max, struct addr_entry **out);
/* One handshake more (1) or less (-1). */
void addr_limit_count_proven(struct addr_limit *l, struct addr_entry *e, int n);
/* Those of `a` now. */
uint32_t addr_limit_proven(struct addr_limit *l, const struct quic_addr *a);
void addr_limit_leave(struct addr_limit *l, struct addr_entry *e); /* accepts NULL */
