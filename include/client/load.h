/* SPDX-License-Identifier: MIT */
/*
 * load - many sessions in many rooms from one process, to see what a server does under them.
 *
 *   ramp: session i is opened at i / ramp_per_s ... all open or failed, 1 s: measuring, `seconds` ... 0.5 s: closed
 *
 * Session i is in room i mod rooms; the first talkers * sessions of them talk: 20 ms at 16 kHz in each
 * datagram, each talker at a moment of its own within the 20 ms, on a grid that does not drift. In a room with one
 * talker every frame is a mark (mark.h). K talkers take turns: in frame f talker j sends a mark if f mod 3K = 3j, and
 * faint noise (-60 dBFS) else, so that marks do not meet in the mix. A lost mark is a lost frame; a mark of another room
 * must never arrive.
 *
 * Acknowledgements are bundled by quic/conn.c as browsers do. One thread, the loop of its net. Memory is taken when a
 * session is made; the sound path allocates nothing.
 */
#pragma once
#include "client/histogram.h"
#include "client/net.h"
#include "client/url.h"

#include <stdbool.h>

enum { LOAD_FRAME_MS = 20, LOAD_SESSIONS_MAX = 60000, LOAD_ROOM_MAX = 48, LOAD_TEXT_MAX = 160,
	LOAD_SECONDS_MAX = 1200 /* marks are counted in 16 bits */ };

struct load;

struct load_opts {
	struct net_opts net;     /* on_time, ctx, max_conns and sockets are the load's own */
	uint32_t sessions;       /* 1..LOAD_SESSIONS_MAX. default 20 */
	uint32_t rooms;          /* 1..sessions. default 5 */
	double talkers;          /* share of the sessions, 0..1. default 0.25 */
	double ramp_per_s;       /* sessions opened a second. default 50 */
	double seconds;          /* of measuring, up to LOAD_SECONDS_MAX. default 10 */
	char room[LOAD_ROOM_MAX + 1]; /* rooms are called this, a dash and a number; required */
};
void load_opts_default(struct load_opts *o);

struct load_report {
	uint32_t sessions, rooms, talkers;
	uint32_t opened, failed;     /* failed: refused, or not reached */
	uint32_t lost;               /* open, then ended by itself */
	uint32_t open;               /* now */
	unsigned status;             /* of a refusal, 0: none */
	char why[LOAD_TEXT_MAX];     /* of the last failure or loss */
	bool measuring, done;
	double seconds;              /* measured so far */
	struct histogram join_us, rtt_us, delay_us; /* rtt: of pings on the control stream, one in 2 s each */
	struct histogram late_us;    /* how late this process itself was to send */
	uint64_t skipped;            /* frames that it was too late to send at all */
	/* While measuring: */
	uint64_t marks_expected, marks_heard, marks_lost; /* over all pairs of talker and listener; known when done */
	uint64_t duplicates, gaps;   /* gaps: runs of lost marks */
	uint64_t frames_sent, frames_received; /* datagrams */
	/* From the first moment on: */
	uint64_t wrong_room;         /* marks of another room: must be 0 */
	uint64_t own_voice;          /* marks that came back to their talker: must be 0 unless the room echoes */
	uint64_t foreign;            /* marks of another run in our rooms */
	uint64_t damaged;            /* marks that nobody can have sent lately: chance */
};

struct load_handler {
	void *ctx;
	void (*on_measure)(void *ctx, bool begin); /* the measured time begins, ends */
	void (*on_second)(void *ctx, const struct load_report *r); /* for a progress line */
	/* The last call. */
	void (*on_end)(void *ctx);
};

/* Opens sessions at `addr`, and nowhere else. Copies all. ERR_RANGE for an option, ERR_NOMEM, ERR_*. */
int load_new(uv_loop_t *loop, const struct load_opts *opts, const struct url *url, const struct quic_addr *addr,
	const struct load_handler *handler, const struct log *log, struct load **out);
/* Ends it now; on_end follows. */
void load_stop(struct load *l);
const struct load_report *load_report(const struct load *l);
/* After on_end. Accepts NULL. */
void load_free(struct load *l);
