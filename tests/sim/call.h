/* SPDX-License-Identifier: MIT */
/*
 * call - a server and people who talk to it in virtual time: QUIC, WebTransport, control stream, rooms and mixing, without
 * sockets, on a network that loses and delays. The server may have two shards behind its address.
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
	bool hold[SHARDS_MAX]; /* this shard does not read what others send it */
	struct wt *cw;
	struct quic_endpoint *ce;
	struct person *people;
	size_t n_people;
};

/* A client that knows the two-byte header and sends the same sample over and over. */
struct person {
	struct world *w;
	struct quic_conn *conn;
	struct wt_session *session;
	char path[128];
	int16_t sample;        /* 0: silent */
	uint32_t rate_hz;      /* what its frames claim */
	uint32_t phase_ms;     /* its own moment within the frame */
	unsigned status;
	uint64_t sent, received; /* frames */
	uint64_t wrong;        /* frames with another sample in the middle than `expect`, once that is set */
	int16_t expect;
	int16_t last;
	bool closed, controls;
	bool v1;               /* knows the long header and asks for it */
	uint16_t seq, last_seq;
	uint32_t media_time, last_time;
	uint64_t missing, disordered; /* by sequence; frames whose media time does not fit it */
	struct wt_close why;
	struct wt_stream *control;
	struct buf lines;
};

void world_init(struct world *w, uint64_t seed, size_t n_people);
/* `bridge` is in every private room; borrowed until the end. */
void world_init_bridge(struct world *w, uint64_t seed, size_t n_people, const struct bridge_opts *bridge);
void world_init_shards(struct world *w, uint64_t seed, size_t n_people, unsigned n_shards);
/* Frees everything, and asserts that no session and no connection is left on any shard. */
void world_end(struct world *w);

/* A client connects and sends `sample` all the time; 0: it is silent. Further keys of the query may follow `room`. */
struct person *join(struct world *w, const char *room, int16_t sample);
/* One frame of this client, out of turn. */
void send_frame(struct person *p, nsec now);
/* Until all have a session. */
void wait_for_all(struct world *w);
void run(struct world *w, nsec time);
/* From here on: what is received is counted, and compared with `expect`. */
void count_from_now(struct world *w);
