/* SPDX-License-Identifier: MIT */
/*
 * link - joins a WebTransport session to a participant: datagrams to frames and back, the control
 * stream to events and back. The only place where wt and room meet. One `struct links` for each shard.
 */
#pragma once
#include "base/metric.h"
#include "config/config.h"
#include "daemon/admission.h"
#include "room/room.h"
#include "wt/wt.h"

struct links;

struct links_stats {
	uint64_t datagrams_in, rate_limited, sent, send_failed;
	struct refusals refused;
	uint64_t control_in, control_bad, control_limited, control_lost;
	uint64_t second_streams;   /* streams beside the control stream: refused */
	uint32_t links;            /* now */
};

/* Borrows everything until free. `shard`: the number of the one that all this belongs to. */
int links_new(const struct config *cfg, struct rooms *rooms, struct registry *registry, unsigned shard,
	const struct log *log, struct links **out);
void links_free(struct links *ls); /* accepts NULL; all sessions are closed before */

/* What wt_new() wants, with the links as its ctx: a session joins a room, here or in the shard where that room lives. */
const struct wt_app *links_app(void);

/* Statistics that were asked for and sessions that asked to leave are due then; NSEC_NONE: nothing is. */
nsec links_deadline(const struct links *ls);
void links_run(struct links *ls, nsec now);

/* From now on everybody new is refused, in all shards, and those here are told to come back later. */
void links_drain(struct links *ls, uint32_t reconnect_ms, nsec now);
/* Closes every session with `code`. */
void links_close_all(struct links *ls, uint32_t code, const char *reason, nsec now);
const struct links_stats *links_stats(const struct links *ls);
extern const struct metric_table links_metrics; /* of struct links_stats */

/* Session close codes; docs/protocol.md lists them. */
enum { CLOSE_OK = 0, CLOSE_SHUTDOWN = 1 };
