/* SPDX-License-Identifier: MIT */
/*
 * link - joins a session to a participant: packets to frames and back, lines to events and back. The only place where
 * session and room meet. One `struct links` for each shard; one thread, no clock. A link takes its memory when it joins.
 */
#pragma once
#include "base/metric.h"
#include "config/config.h"
#include "daemon/admission.h"
#include "room/room.h"
#include "session/session.h"

struct links;

struct links_opts {
	const struct config *cfg;
	struct rooms *rooms;
	struct registry *registry;
	struct certs *certs;       /* see struct admission; may be NULL */
	unsigned shard;            /* the number of the one that all this belongs to */
	int64_t (*wall_ms)(void);  /* milliseconds since 1970, for the time of messages; NULL: always 0 */
};

struct links_stats {
	uint64_t rate_limited, send_failed;
	struct refusals refused;
	uint64_t control_in, control_bad, control_limited, control_lost;
	uint64_t lines_lost;       /* lines to clients that take them too slowly */
	uint64_t refused_opened, refused_closed; /* sessions that were opened to tell the client that it is refused */
	uint64_t gone_lines, gone_silent; /* clients that had gone without closing their session */
	uint64_t second_streams;   /* streams beside the control stream: refused */
	uint32_t links, refused_open; /* now */
};

/* Borrows what `o` points to until free. */
int links_new(const struct links_opts *o, const struct log *log, struct links **out);
void links_free(struct links *ls); /* accepts NULL; all sessions are closed before */

/* For the transports: here a session joins a room, of this shard or of the one where that room lives. */
struct session_host *links_host(struct links *ls);

/* Something is due then: statistics that were asked for, the end of a client that has gone or was refused; NSEC_NONE: nothing. */
nsec links_deadline(const struct links *ls);
void links_run(struct links *ls, nsec now);

/* From now on new sessions are refused, in all shards, and the clients here are asked to come back later. */
void links_drain(struct links *ls, uint32_t reconnect_ms, nsec now);
/* Closes every session with `code`. */
void links_close_all(struct links *ls, uint32_t code, const char *reason, nsec now);
const struct links_stats *links_stats(struct links *ls);
extern const struct metric_table links_metrics; /* of struct links_stats */

/* Session close codes; docs/protocol.md lists them. */
enum {
	CLOSE_OK = 0,
	CLOSE_SHUTDOWN = 1,
	CLOSE_LINES_ENDED = 2,
	CLOSE_SILENT = 3,
	/* 400 to 599: refused, with the status of its verdict */
};
