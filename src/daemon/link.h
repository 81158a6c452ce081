/* SPDX-License-Identifier: MIT */
/*
 * link - joins a WebTransport session to a participant: datagrams to frames and back, the control
 * stream to events and back. The only place where wt and room meet. One `struct links` for each shard.
 */
#pragma once
#include "config/config.h"
#include "room/room.h"
#include "wt/wt.h"

struct links;

struct links_stats {
	uint64_t datagrams_in, rate_limited, sent, send_failed;
	uint64_t refused[6];       /* 400, 401, 403, 404, 429, 503 */
	uint64_t control_in, control_bad, control_limited, control_lost;
	uint64_t second_streams;   /* streams beside the control stream: refused */
	uint32_t links;            /* now */
};
extern const unsigned links_refusals[6];

/* Borrows everything until free. */
int links_new(const struct config *cfg, struct rooms *rooms, const struct log *log, struct links **out);
void links_free(struct links *ls); /* accepts NULL; all sessions are closed before */

/* A CONNECT: joins a room. The status that on_connect returns; `why` is its one line. */
unsigned links_connect(struct links *ls, struct wt_session *s, const struct wt_request *req, char *why, size_t why_len,
	void **user, nsec now);
void link_datagram(void *user, const uint8_t *p, size_t len, nsec now);
void link_stream(void *user, struct wt_stream *st, nsec now);
void link_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now);
void link_stream_closed(void *user, struct wt_stream *st, nsec now);
void link_closed(void *user, const struct wt_close *why, nsec now);

/* Statistics that were asked for and sessions that asked to leave are due then; NSEC_NONE: nothing is. */
nsec links_deadline(const struct links *ls);
void links_run(struct links *ls, nsec now);
/* Could a session for `room` be opened now? 200 or the status, as links_connect() would. */
unsigned links_check(const struct links *ls, const char *room, char *why, size_t why_len);

/* While `busy` everybody new is refused with 503. */
void links_set_busy(struct links *ls, bool busy);
/* From now on everybody new is refused with 503, and those here are told to come back later. */
void links_drain(struct links *ls, uint32_t reconnect_ms, nsec now);
/* Closes every session with `code`. */
void links_close_all(struct links *ls, uint32_t code, const char *reason, nsec now);
const struct links_stats *links_stats(const struct links *ls);

/* Session close codes; docs/protocol.md lists them. */
enum { CLOSE_OK = 0, CLOSE_SHUTDOWN = 1 };
