/* SPDX-License-Identifier: MIT */
/*
 * registry - which shard each room lives in, and how many people there are in all: what the shards have to agree
 * on. Any thread; a lock is held where somebody joins or leaves, or asks whether he could, and by nothing else.
 */
#pragma once
#include "config/config.h"

struct registry;

/* For `n_shards` of them. Borrows `cfg` until free. */
int registry_new(const struct config *cfg, unsigned n_shards, struct registry **out);
/* Everybody has left. Accepts NULL. */
void registry_free(struct registry *r);

/* Somebody who came to shard `here` wants into `room` ("" or NULL: a private one). 0 and *shard `here`: he is counted until
 * registry_leave(), and if there was no such room, it is here now. 0 and another *shard: it is there, or would better be
 * there, and nothing was counted. ERR_DENIED: no shard has time for him. ERR_STATE: max_sessions are there; ERR_LIMIT: the room is full, or there are max_rooms;
 * ERR_RANGE, ERR_NOTFOUND: see rooms_place(); ERR_NOMEM. */
int registry_enter(struct registry *r, const char *room, unsigned here, unsigned *shard);
/* `room` as it was entered. The last one takes the room along. */
void registry_leave(struct registry *r, const char *room);
/* A busy shard gets nobody new. None is at the start. */
void registry_set_busy(struct registry *r, unsigned shard, bool busy);
/* What registry_enter() would answer; counts nothing. */
int registry_check(struct registry *r, const char *room);

uint32_t registry_sessions(struct registry *r); /* now, of all shards */
