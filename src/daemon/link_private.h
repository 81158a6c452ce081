/* SPDX-License-Identifier: MIT */
/*
 * link_private - what link.c (sessions and participants), link_control.c (lines of the client), link_watch.c (clients that
 * may have gone), link_slow.c (clients that take their lines slowly) and link_refused.c (sessions that are refused) share.
 */
#pragma once
#include "base/buf.h"
#include "base/limit.h"
#include "base/list.h"
#include "daemon/link.h"
#include "daemon/presence.h"
#include "daemon/stats_timer.h"
#include "session/session.h"

struct links {
	struct links_opts opts;
	struct admission admission;
	struct log log;
	struct session_host host;
	struct list all;         /* of struct link */
	struct stats_timer stats_timer;
	struct presence_opts presence;
	struct list watched;     /* of struct link */
	nsec watch_due;
	struct list slow;        /* of struct link: the one to be looked at next is the first */
	struct list unsent;      /* of struct link: lines wait there for company ... */
	nsec unsent_due;         /* ... until then */
	struct list refused_waiting, refused_told; /* see link_refused.c */
	struct rate datagrams, messages, bytes; /* of one link; `bytes`: of its lines */
	bool draining;
	struct log_limit refusals, joined, left;
	struct buf line;         /* the one being written, or that was written last ... */
	uint64_t line_serial;    /* ... and of which event it is; 0: of none */
	struct links_stats stats;
};

/* Of a client that took its lines too slowly. */
struct slow_lines {
	uint32_t n;       /* lines that found no room */
	bool state;       /* there were some among them without which its picture is wrong */
	uint64_t taken;   /* what had arrived when it was last looked at ... */
	nsec due;         /* ... and when it will be again */
};

struct link {
	struct links *owner;
	struct list node;
	struct session *session;
	struct participant *participant;
	struct listener_opts hears;
	struct list watched;     /* in links->watched, if there is something to look for */
	struct presence presence;
	struct list unsent;      /* in links->unsent */
	struct list slow;        /* in links->slow, while there are lines that it lost and was not told of */
	struct slow_lines lost;
	struct holder_key from;  /* as it was counted; the client may be elsewhere by now */
	enum leave_reason left;  /* why we close the session */
	uint64_t datagrams_in, packets_out;
	uint32_t warned;         /* kinds of fault that it has been warned of, one bit each */
	struct limit datagrams, messages, bytes;
	struct limit limited;    /* warnings that a message was dropped */
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
/* Sends what is in it; `err`: what came of writing it. */
void link_send(struct link *l, int err, nsec now);
void link_send_kind(struct link *l, enum session_line kind, int err, nsec now);
/* The same for what a whole room is told: the lines of one tick leave together. */
void link_queue(struct link *l, enum session_line kind, int err, nsec now);
/* No more lines go to this client until it opens them anew. */
void link_lose_lines(struct link *l, const char *why, nsec now);
/* Warns the client of a kind of fault, the first time that it occurs. */
void link_warn_once(struct link *l, unsigned bit, const char *code, const char *text, nsec now);
bool link_has_lines(const struct link *l);

/* link_watch.c. After presence has noted something: looks at the client when that is due. */
void link_watch(struct link *l, nsec now);
void links_watch_run(struct links *ls, nsec now);

/* link_slow.c. A client that takes its lines more slowly than they come loses lines, not the stream. As soon as there is room
 * again it is told how many, and gets a new welcome if its picture of the room is wrong; one that takes nothing at all for
 * LINES_STALL_MS loses the stream. */
enum { LINES_STALL_MS = 5000 };
void link_line_lost(struct link *l, enum session_line kind, nsec now);
void link_slow_end(struct link *l); /* its lines are gone, or begin anew */
void link_lines_room(void *user, nsec now); /* of struct session_app */
nsec links_slow_deadline(const struct links *ls);
void links_slow_run(struct links *ls, nsec now);

/* link_refused.c. Opens a session that is closed again as soon as the client knows why. ERR_NOMEM: nothing was done. */
int refused_open(struct links *ls, struct session *s, enum verdict v, struct session_answer *out, nsec now);
nsec refused_deadline(const struct links *ls);
void refused_run(struct links *ls, nsec now);
void refused_close_all(struct links *ls, uint32_t code, const char *reason, nsec now);

/* link_control.c: of struct session_app, and of the statistics timer. */
void link_ready(void *user, nsec now);
int link_write_welcome(struct link *l); /* into links_line() */
void link_lines_ended(void *user, nsec now);
void link_line(void *user, const char *line, size_t len, nsec now);
void link_long_line(void *user, nsec now);
void link_stats_due(struct stats_wish *w, nsec now);
