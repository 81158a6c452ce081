/* SPDX-License-Identifier: MIT */
/*
 * link_private - what link.c (sessions and participants) and link_control.c (lines of the client) share.
 */
#pragma once
#include "base/buf.h"
#include "base/limit.h"
#include "base/list.h"
#include "daemon/link.h"
#include "daemon/stats_timer.h"
#include "session/session.h"

struct links {
	struct links_opts opts;
	struct admission admission;
	struct log log;
	struct session_host host;
	struct list all;         /* of struct link */
	struct stats_timer stats_timer;
	struct rate datagrams, messages, bytes; /* of one link; `bytes`: of its lines */
	bool draining;
	struct log_limit refusals;
	struct buf line;         /* the one being written, or that was written last ... */
	uint64_t line_serial;    /* ... and of which event it is; 0: of none */
	struct links_stats stats;
};

struct link {
	struct links *owner;
	struct list node;
	struct session *session;
	struct participant *participant;
	struct listener_opts hears;
	uint64_t datagrams_in;
	uint32_t warned;         /* kinds of fault that it has been warned of, one bit each */
	struct limit datagrams, messages, bytes;
	struct stats_wish stats;
	nsec joined_at;
};

/* Bits of `warned` beyond the frame faults. */
enum { WARNED_RATE_LIMIT = FRAME_N_FAULTS, WARNED_MESSAGES };

/* link.c. A line is written into links_line() and then sent, by itself or to several links:
 *
 *	link_send(l, control_pong(links_line(l->owner), t), now);
 */
struct buf *links_line(struct links *ls); /* emptied */
/* Sends what is in it; `err`: what came of writing it. A client that does not read loses its lines, not the audio. */
void link_send(struct link *l, int err, nsec now);
/* Warns the client of a kind of fault, the first time that it occurs. */
void link_warn_once(struct link *l, unsigned bit, const char *code, const char *text, nsec now);
bool link_has_lines(const struct link *l);

/* link_control.c: of struct session_app, and of the statistics timer. */
void link_ready(void *user, nsec now);
void link_line(void *user, const char *line, size_t len, nsec now);
void link_long_line(void *user, nsec now);
void link_stats_due(struct stats_wish *w, nsec now);
