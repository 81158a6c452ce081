/* SPDX-License-Identifier: MIT */
/*
 * call - a server and people who talk to it in virtual time: QUIC, WebTransport, control stream, rooms and mixing, all
 * but the sockets, on a network that loses and delays. The server may have two shards behind its address.
 */
#pragma once
#include "support/test.h"

#include "config/config.h"
#include "daemon/exchange.h"
#include "daemon/stack.h"
#include "support/sim.h"

enum { SHARDS_MAX = 2, FRAME_SAMPLES = 320, FRAME_BYTES = 2 + 2 * FRAME_SAMPLES };

struct world {
	struct sim *sim;
	struct sim_node *sn, *cn;
	struct quic_tls *st, *ct;
	struct quic_cert cert;
	struct config *cfg;
	struct registry *registry;
	struct stack shard[SHARDS_MAX];
	unsigned n_shards;
	struct quic_group *group;
	struct exchange *exchange;
	bool hold[SHARDS_MAX]; /* this shard takes no news */
	struct wt *cw;
	struct quic_endpoint *ce;
	struct person *people;
	size_t n_people;
};

/* A client that knows the two-byte header and says the same sample over and over. */
struct person {
	struct world *w;
	struct quic_conn *conn;
	struct wt_session *session;
	char path[128];
	int16_t says;          /* 0: silent */
	uint32_t rate_hz;      /* what his frames claim */
	uint32_t phase_ms;     /* his own moment within the frame */
	unsigned status;
	uint64_t sent, heard;  /* frames */
	uint64_t wrong;        /* frames with another sample in the middle than `expect`, once that is set */
	int16_t expect;
	int16_t last;
	bool closed, controls;
	bool v1;               /* knows the long header, and asks for it */
	uint16_t seq, heard_seq;
	uint32_t media_time, heard_time;
	uint64_t missing, disordered; /* by sequence; media time that does not go with it */
	struct wt_close why;
	struct wt_stream *control;
	struct buf lines;
};

void world_init(struct world *w, uint64_t seed, size_t n_people);
void world_init_shards(struct world *w, uint64_t seed, size_t n_people, unsigned n_shards);
/* Frees everything, and asserts that nobody and nothing is left on any shard. */
void world_end(struct world *w);

/* Somebody comes and says `says` all the time; 0: he is silent. `room` may go on with further keys of the query. */
struct person *join(struct world *w, const char *room, int16_t says);
/* One frame of his, out of turn. */
void say(struct person *p, nsec now);
/* Until everybody has a session. */
void gather(struct world *w);
void run(struct world *w, nsec time);
/* From here on: what is heard is counted, and compared with `expect`. */
void listen_from_now(struct world *w);
