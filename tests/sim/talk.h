/* SPDX-License-Identifier: MIT */
/*
 * talk - a small application over QUIC for the tests: every connection has a `talker`, which
 * counts what it receives, may echo, and can send streams of known bytes. A `world` is a
 * server and a client endpoint on a simulated network.
 */
#pragma once
#include "support/sim.h"

enum { TALK_STREAMS = 48, TALK_SEEN = 1 << 14 };

struct talk_out { /* a stream that we send on: byte i is talk_byte(i) */
	int64_t id;
	size_t len, sent, acked;
	bool used, fin_sent, blocked, refused;
};

struct talker {
	struct world *w;
	struct quic_conn *c;
	struct talker *next;
	bool server, opened, handshaken, closed;
	struct quic_close why;
	nsec opened_at, handshaken_at, closed_at, last_datagram_at;
	uint64_t datagrams_in, bytes_in;
	uint8_t seen[TALK_SEEN]; /* times that the datagram with this number arrived */
	uint64_t streams_closed, streams_finished, resets, last_code;
	bool wrong; /* a byte differed from the pattern */
	struct talk_out out[TALK_STREAMS];
	uint64_t in_len[TALK_STREAMS]; /* by stream id / 4 */
	uint64_t unread; /* bytes not given back because `stingy` */
	uint32_t timers;
};

struct world {
	struct sim *sim;
	struct sim_node *sn, *cn;
	struct quic_endpoint *se, *ce;
	struct quic_tls *st, *ct;
	struct quic_opts so, co;
	struct quic_cert cert;
	struct talker *talkers; /* including those that have ended */
	/* How talkers behave. */
	bool echo_datagrams, echo_streams, stingy, deny_open;
	uint32_t seq;
};

/* Makes everything; change w->so, w->co between the two calls. */
void world_init(struct world *w, uint64_t seed);
void world_start(struct world *w);
/* Frees all; the endpoints assert that nothing is left. */
void world_end(struct world *w);

struct talker *world_connect(struct world *w);
struct talker *world_connect_from(struct world *w, const struct quic_addr *local); /* one of the client's addresses */
/* Connects and waits for both sides; fails the test if it takes longer than `limit`. */
struct talker *world_join(struct world *w, nsec limit);
/* The server's side of the connection that joined last, or of the n-th (0 = first). */
struct talker *world_server(struct world *w);
void world_run(struct world *w, nsec time);
void world_replace_server(struct world *w); /* loses all its state except its secret */

/* Datagram number `seq` of `len` >= 4 bytes; the result of quic_conn_send_datagram(). */
int talk_datagram(struct talker *t, uint32_t seq, size_t len);
/* Opens a stream and sends `len` bytes and FIN on it; the stream's id, or -1. */
int64_t talk_stream(struct talker *t, bool bidi, size_t len);
uint8_t talk_byte(size_t i);
/* Number of different datagrams that arrived. */
uint64_t talk_distinct(const struct talker *t);
