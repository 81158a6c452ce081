/* SPDX-License-Identifier: MIT */
/*
 * registry - which shard each room lives in, the number of sessions in all, and whether new ones are accepted: what
 * the shards have to agree on. Any thread; a lock is held while somebody joins or leaves, or asks whether they could,
 * and for nothing else.
 */
#pragma once
#include "config/config.h"
#include "daemon/verdict.h"

struct registry;

/* Whose share a session counts for: the IPv4 address or the IPv6 /64 that it came from. No bytes: nobody's. */
struct holder_key {
	uint8_t len, b[16];
};

/* Somebody who asks for a room. Borrowed. */
struct guest {
	const char *room; /* "" or NULL: a private one */
	struct holder_key from;
};

/* `peer` NULL, exempt, or of no network: nobody in particular. */
struct holder_key registry_holder(const struct registry *r, const struct sockaddr *peer);

/* For `n_shards` of them. Borrows `cfg` until free. ERR_NOMEM. */
int registry_new(const struct config *cfg, unsigned n_shards, struct registry **out);
/* Everybody has left. Accepts NULL. */
void registry_free(struct registry *r);

/* `g` came to shard `here`. VERDICT_ADMITTED: they are counted until registry_leave(), and the room is here now, if it was
 * not; as long as it is there it counts for the share of the one who made it. VERDICT_MOVED: the room is in *shard, or is
 * better made there, and nothing was counted. Anything else: why not. */
enum verdict registry_enter(struct registry *r, const struct guest *g, unsigned here, unsigned *shard);
/* `g` as it has entered. The last one takes the room along. */
void registry_leave(struct registry *r, const struct guest *g);
/* What registry_enter() would answer in the right shard; never VERDICT_MOVED. Counts nothing. */
enum verdict registry_check(struct registry *r, const struct guest *g);

/* A busy shard gets no new sessions. At the start none is busy. */
void registry_set_busy(struct registry *r, unsigned shard, bool busy);
/* All shards are. */
bool registry_is_busy(struct registry *r);
/* From now on no new session is admitted. */
void registry_drain(struct registry *r);
uint32_t registry_sessions(struct registry *r); /* now, of all shards */
