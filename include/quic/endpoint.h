/* SPDX-License-Identifier: MIT */
/*
 * endpoint - QUIC version 1 connections (RFC 9000, 9001, 9002, 9221) on ngtcp2. Knows no
 * socket and no clock: UDP payloads and the time come in as arguments, packets leave
 * through a `quic_out`. One thread. Memory is taken when a connection is accepted and
 * when a stream opens; datagrams use a pool that the endpoint makes at start.
 *
 *   quic_endpoint_recv() for each UDP payload, then quic_endpoint_flush() once: reading a
 *   whole batch before writing lets one packet carry its answer and the acknowledgement.
 *
 * Time must not run backwards between calls for one endpoint (ngtcp2 aborts); a smaller
 * `now` is taken as the last one seen.
 */
#pragma once
#include "base/log.h"
#include "base/metric.h"
#include "base/mailbox.h"
#include "base/time.h"
#include "quic/addr.h"
#include "quic/tls.h"

struct quic_endpoint;
struct quic_conn;

enum { QUIC_SECRET_LEN = 32 };

struct quic_opts {
	uint32_t max_conns;            /* refused above: CONNECTION_REFUSED. default 10000 */
	uint32_t max_conns_per_addr;   /* by IPv4 address or IPv6 /64. default 512 */
	uint32_t max_half_open;        /* handshakes under way; above: the oldest is dropped. default 1000 */
	uint32_t retry_half_open;      /* with this many under way, or failed within a second, every new client must validate
	                                * its address by Retry (RFC 9000 8.1.2); 0 = always. default 100 */
	uint32_t handshake_timeout_ms; /* default 10000 */
	uint32_t idle_timeout_ms;      /* default 30000 */
	uint32_t keep_alive_ms;        /* PING after this much silence; 0 = never. default 10000 */
	uint32_t max_streams_bidi;     /* open at once, of the peer. default 16 */
	uint32_t max_streams_uni;      /* default 16 */
	uint32_t stream_window_bytes;  /* default 65536 */
	uint32_t conn_window_bytes;    /* default 262144 */
	uint32_t datagram_queue;       /* datagrams waiting in one connection; the oldest is dropped. default 32 */
	uint32_t datagram_age_ms;      /* older ones are dropped unsent. default 120 */
	uint32_t datagram_pool;        /* buffers shared by all connections. default 4096 */
	uint32_t address_share_percent; /* of max_half_open, for one address, once half of it is taken: see base/fair.h. default 10 */
	struct quic_net_texts exempt;  /* who is not held to such a share. default "127.0.0.0/8", "::1" */
	uint32_t stateless_per_s;      /* version negotiation, refusal and reset packets. default 2000 */
	bool pmtud;                    /* probe for larger packets: 1444 bytes at most, in ngtcp2's steps. default true */
	uint8_t shard;                 /* first byte of the connection ids we choose; for steering */
	uint8_t reset_secret[QUIC_SECRET_LEN]; /* makes stateless reset tokens, across restarts if it stays the same; all zero:
	                                * random. Endpoints of a group use that of the group */
};
void quic_opts_default(struct quic_opts *o);

/* Where packets go. `slot` gives room for QUIC_PACKET_MAX bytes that stays valid until
 * `commit`, and never fails; `commit` takes `len` bytes of it for `path` (send from
 * path->local to path->remote) with these two ECN bits (0 = Not-ECT, 2 = ECT(0)).
 * The owner of the sockets sends the packets in batches and drops those that the kernel refuses. */
enum { QUIC_PACKET_MAX = 1500 };
struct quic_out {
	void *ctx;
	uint8_t *(*slot)(void *ctx);
	void (*commit)(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len);
};

struct quic_vec {
	const uint8_t *p;
	size_t len;
};

/* Why a connection ended. */
enum quic_end {
	QUIC_END_LOCAL,     /* we closed it; `code` is ours */
	QUIC_END_PEER,      /* the peer's CONNECTION_CLOSE; `code` is the peer's */
	QUIC_END_IDLE,      /* no packet came for the idle timeout */
	QUIC_END_HANDSHAKE, /* the handshake failed or took too long */
	QUIC_END_ERROR,     /* the peer broke the protocol; `code` is the one that we sent */
	QUIC_END_RESET,     /* stateless reset */
};
struct quic_close {
	enum quic_end end;
	bool app;      /* `code` is an application (HTTP/3) code */
	uint64_t code;
};
const char *quic_end_name(enum quic_end end); /* "local", "peer", "idle", ... */

/* The stream data that the application offers: see next_data. */
enum { QUIC_SEND_VECS = 16 };
struct quic_send {
	int64_t id; /* -1: nothing to send */
	bool fin;
	size_t n;
	struct quic_vec v[QUIC_SEND_VECS]; /* must stay valid until on_stream_acked covers it */
};

/* The application over the connections (HTTP/3). `user` is what on_open stored. From any of
 * these the application may open, reset and consume streams, send datagrams, call
 * quic_conn_wake() and quic_conn_close(); a closed connection lives on until on_closed. */
struct quic_app {
	/* 1-RTT keys for sending are available (at a server: before the client's Finished, so
	 * send SETTINGS and nothing private). ERR_* closes the connection. */
	int (*on_open)(void *ctx, struct quic_conn *c, void **user, nsec now);
	/* The handshake is complete; the peer's address is validated. */
	void (*on_handshake)(void *user, nsec now);
	/* In order, without gaps; borrowed until return. `fin`: these are the last bytes (len may
	 * be 0). quic_stream_consume() gives credit back. */
	void (*on_stream_data)(void *user, int64_t id, const uint8_t *p, size_t len, bool fin, nsec now);
	void (*on_stream_reset)(void *user, int64_t id, uint64_t code, nsec now); /* RESET_STREAM came */
	void (*on_stream_acked)(void *user, int64_t id, uint64_t len);            /* the next `len` bytes arrived */
	void (*on_stream_credit)(void *user, int64_t id);                         /* a blocked stream may go on */
	void (*on_stream_closed)(void *user, int64_t id, uint64_t code, nsec now);/* both sides done; credit was given back */
	void (*on_datagram)(void *user, const uint8_t *p, size_t len, nsec now);  /* borrowed until return */
	/* Offers the next stream bytes; called during flush until it sets id -1. It and the three below may
	 * call only quic_conn_close(), quic_conn_wake() and functions that change nothing. */
	void (*next_data)(void *user, struct quic_send *out);
	/* The first `len` bytes of the last offer were taken (and its FIN, if `fin`). */
	void (*data_sent)(void *user, int64_t id, size_t len, bool fin);
	/* The stream has no credit: skip it until on_stream_credit. Or it was reset, by us or because the peer sent
	 * STOP_SENDING, which ngtcp2 reports in no other way. */
	void (*data_blocked)(void *user, int64_t id);
	void (*data_refused)(void *user, int64_t id);
	void (*on_timer)(void *user, nsec now); /* set by quic_conn_set_timer() */
	/* For quic_conn_move(); may be NULL where that is never called. moved_out, in the old thread: the connection has
	 * left, nothing of it may be used any more. moved_in, in the new thread, with the ctx of that endpoint: it has
	 * arrived, only store it. moved, unless it ended at once: it goes on. */
	void (*moved_out)(void *user);
	void (*moved_in)(void *ctx, void *user, nsec now);
	void (*moved)(void *user, nsec now);
	/* The last call for this connection; `c` is freed when it returns. */
	void (*on_closed)(void *user, const struct quic_close *why, nsec now);
};

struct quic_stats {
	uint64_t packets_in, packets_out, bytes_in, bytes_out;
	uint64_t conns_accepted, conns_closed, handshakes, handshake_failures;
	uint64_t by_group[QUIC_TLS_GROUPS]; /* handshakes, by the number of their key exchange */
	uint64_t retries_sent, bad_tokens, version_negotiations, stateless_resets;
	uint64_t refused_limit, refused_addr, refused_share, refused_busy, dropped_half_open, dropped_stateless;
	uint64_t unknown_packets; /* of no connection, and no Initial */
	uint64_t initials_dropped; /* of no connection, and not what a client begins with */
	uint64_t datagrams_in, datagrams_out;
	struct {
		uint64_t queue, age, size, pool;
	} datagrams_dropped; /* unsent: too many, too old, too long for the path, no memory */
	uint64_t packets_lost, migrations, key_updates, black_holes;
	uint64_t conns_moved;     /* to another endpoint of the group */
	uint64_t forwarded;       /* packets passed on to the endpoint that has the connection */
	uint32_t conns, half_open; /* now */
	uint32_t moved_out;        /* now: connections of other endpoints whose packets may still come here */
};

/* `tls` NULL: no server. Copies `opts`, `out`; borrows `app`, `ctx` until free; takes a
 * reference to `tls`. ERR_NOMEM, ERR_TLS. */
int quic_endpoint_new(const struct quic_opts *opts, const struct quic_out *out, const struct quic_app *app, void *ctx,
	struct quic_tls *tls, const struct log *log, struct quic_endpoint **ep);
/* Ends every connection without a packet (on_closed is called for each); accepts NULL. */
void quic_endpoint_free(struct quic_endpoint *ep);

/* New connections use `tls` from now on. */
void quic_endpoint_set_tls(struct quic_endpoint *ep, struct quic_tls *tls);
/* New connections are refused (CONNECTION_REFUSED) while `refuse`. */
void quic_endpoint_refuse(struct quic_endpoint *ep, bool refuse);

/* The sender of a packet with a long header. NONE: of no connection, and it begins none; it was counted, drop it. */
enum quic_sender { QUIC_SENDER_NONE, QUIC_SENDER_NEW, QUIC_SENDER_KNOWN };
/* By form and id alone. For servers. */
enum quic_sender quic_endpoint_sender(struct quic_endpoint *ep, const uint8_t *p, size_t len);

/* One UDP payload. `p` is borrowed and may be changed in place. */
void quic_endpoint_recv(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len,
	nsec now);
/* The same, but a client that this packet would make known is refused: the server is busy (CONNECTION_REFUSED). */
void quic_endpoint_turn_away(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len,
	nsec now);
/* Writes what the connections touched since the last flush have to send. */
void quic_endpoint_flush(struct quic_endpoint *ep, nsec now);
/* When quic_endpoint_expire() has to be called next; NSEC_NONE: not at all. May be early, never late. */
nsec quic_endpoint_deadline(const struct quic_endpoint *ep);
void quic_endpoint_expire(struct quic_endpoint *ep, nsec now); /* flushes, too */

const struct quic_stats *quic_endpoint_stats(const struct quic_endpoint *ep);
extern const struct metric_table quic_metrics; /* of struct quic_stats */

/* --- several endpoints behind one address -------------------------------------------------
 *
 * Each has its own thread and its own socket; opts.shard is its number. Ids that an endpoint chooses begin with its
 * number, so a filter that steers by `first byte of the id % n` (udp_steer()) sends every packet to the endpoint that
 * accepted its connection. A connection can move to another endpoint; packets that still come to the old one are
 * passed on, answers leave from the new one.
 */
struct quic_group;
enum { QUIC_SHARDS_MAX = 64, QUIC_MOVES_MAX = 256 };

/* How an endpoint reaches the others. Both may be called by every call into the endpoint. */
struct quic_relay {
	void *ctx;
	/* To the thread of endpoint `to`, which passes it to quic_endpoint_mail(), in order, and before any packet that is
	 * passed on later. Must not fail. Kinds of mail below QUIC_MAIL_KINDS are reserved. */
	void (*post)(void *ctx, unsigned to, struct mail *m);
	/* One UDP payload for quic_endpoint_recv() of `to`. Copies; may drop it. */
	void (*packet)(void *ctx, unsigned to, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len);
};
enum { QUIC_MAIL_CONN = 1, QUIC_MAIL_OVER, QUIC_MAIL_KINDS = 16 };

/* What they share: the secrets that make tokens, and the counts of connections, in all and from one address, so that
 * the limits hold for all together. 1..QUIC_SHARDS_MAX endpoints. `reset_secret`: as in quic_opts; NULL: random. ERR_RANGE,
 * ERR_NOMEM. */
int quic_group_new(unsigned n_shards, const uint8_t *reset_secret, struct quic_group **out);
/* After all endpoints are freed. Accepts NULL. */
void quic_group_free(struct quic_group *g);
/* Now, of all endpoints, including connections that are moving. Any thread. */
uint32_t quic_group_conns(const struct quic_group *g);

/* Right after quic_endpoint_new(). Borrows `g` until free, copies `relay` (NULL: no connection ever moves). */
void quic_endpoint_join(struct quic_endpoint *ep, struct quic_group *g, const struct quic_relay *relay);
/* Mail that the others posted. `ep` NULL: the endpoint was freed already, the message is only freed; no
 * connection may be moving to it then. */
void quic_endpoint_mail(struct quic_endpoint *ep, struct mail *m, nsec now);

/* The connection moves to endpoint `to` at the next flush, with all its state; queued datagrams are dropped.
 * From then on `c` belongs to that thread. Once only. ERR_STATE: no group, a client, not established, ending, or moved
 * before; ERR_RANGE: no such endpoint, or this one; ERR_LIMIT: QUIC_MOVES_MAX are moving there; ERR_NOMEM. */
int quic_conn_move(struct quic_conn *c, unsigned to);

/* Starts a client connection; on_open follows. `server_name` is copied (SNI and verification). */
int quic_endpoint_connect(struct quic_endpoint *ep, struct quic_tls *tls, const struct quic_path *path,
	const char *server_name, nsec now, struct quic_conn **out);

/* --- connections ---------------------------------------------------------------------- */

/* Has data to offer: next_data will be called at the next flush. */
void quic_conn_wake(struct quic_conn *c);
/* Ends the connection with an application code at the next flush. Later calls do nothing. */
void quic_conn_close(struct quic_conn *c, uint64_t app_code);
/* One timer for the application; NSEC_NONE stops it. */
void quic_conn_set_timer(struct quic_conn *c, nsec at);

/* Queues one datagram made of `n` pieces. Copies. Never blocks: over the queue's bound the
 * oldest is dropped and counted. ERR_RANGE: longer than quic_conn_datagram_max() or empty;
 * ERR_STATE: closing, or the peer accepts none. */
int quic_conn_send_datagram(struct quic_conn *c, const struct quic_vec *v, size_t n, nsec now);
/* Longest datagram (all pieces) that fits one packet on the current path; 0: none. Can change at any time. */
size_t quic_conn_datagram_max(const struct quic_conn *c);

/* ERR_LIMIT: the peer grants no more streams now. */
int quic_stream_open(struct quic_conn *c, bool bidi, int64_t *id);
uint64_t quic_streams_left(const struct quic_conn *c, bool bidi);
void quic_stream_reset(struct quic_conn *c, int64_t id, uint64_t code); /* RESET_STREAM */
void quic_stream_stop(struct quic_conn *c, int64_t id, uint64_t code);  /* STOP_SENDING */
void quic_stream_consume(struct quic_conn *c, int64_t id, size_t len);  /* `len` bytes were processed: credit */
static inline bool quic_stream_is_bidi(int64_t id) { return !(id & 2); }
static inline bool quic_stream_is_server(int64_t id) { return id & 1; }

struct quic_conn_info {
	struct quic_path path;     /* the validated one */
	uint64_t rtt_us, rtt_var_us, min_rtt_us; /* 0: not measured yet */
	uint64_t cwnd_bytes, in_flight_bytes;
	uint64_t packets_in, packets_out, packets_lost, bytes_in, bytes_out;
	uint64_t datagrams_dropped;  /* of ours: queue, age, size */
	uint32_t datagrams_queued;
	size_t peer_datagram_max;  /* max_datagram_frame_size of the peer, 0: accepts none */
	bool server, handshake_done;
	uint64_t id;               /* counts up within the endpoint; for logs */
};
void quic_conn_info(const struct quic_conn *c, struct quic_conn_info *out);
/* The peer's validated address, with its port. Borrowed until the next call into the endpoint. */
const struct quic_addr *quic_conn_peer(const struct quic_conn *c);
nsec quic_conn_pto(const struct quic_conn *c);
void *quic_conn_user(const struct quic_conn *c);
/* The `user` of the callbacks. A client may set it right after quic_endpoint_connect(): then on_open
 * finds it in *user, and on_closed is called even if the handshake fails before on_open. */
void quic_conn_set_user(struct quic_conn *c, void *user);

/* For tests and the client: begin a key update; move to another local address. */
int quic_conn_update_keys(struct quic_conn *c, nsec now);
int quic_conn_migrate(struct quic_conn *c, const struct quic_path *path, nsec now);
