/* SPDX-License-Identifier: MIT */
/*
 * ep - the inside of an endpoint, shared by the files that make it up:
 *
 *   endpoint.c   made, fed, flushed, expired
 *   accept.c     packets that belong to no connection: new clients and stateless answers
 *   initial.c    opens the first packet of a client
 *   conn.c       a connection from its first packet to its end
 *   conn_api.c   what the application may do with it
 *   events.c     what ngtcp2 reports of it
 *   write.c      packets out
 *   black_hole.c watches the path, silence.c the peer
 *   group.c      endpoints behind one address, and connections that move from one to another
 */
#pragma once
#include "addr_limit.h"
#include "base/limit.h"
#include "base/list.h"
#include "base/map.h"
#include "black_hole.h"
#include "cid_table.h"
#include "dgram.h"
#include "initial.h"
#include "quic/endpoint.h"
#include "recent.h"
#include "schedule.h"
#include "silence.h"
#include "tls_ctx.h"
#include "token.h"
#include "closing_state.h"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>

struct quic_move;

struct quic_endpoint {
	struct quic_opts opts;
	struct quic_nets exempt; /* opts.exempt */
	struct quic_out out;
	const struct quic_app *app;
	void *app_ctx;
	struct quic_tls *tls;
	struct log log;
	struct secret retry_secret, reset_secret; /* the first is of this process only: its clock is in the tokens */
	struct quic_stats stats;
	struct cid_table *cids;
	struct addr_limit *addrs;    /* the group's, if there is one */
	struct quic_group *group;    /* NULL: alone */
	struct quic_relay relay;
	struct list moved_out;       /* of struct quic_move: connections that other endpoints have now */
	struct map *resets;          /* stateless reset tokens of the servers that our connections go to */
	struct dgram_pool pool;
	struct schedule sched;
	struct list dirty; /* connections that the next flush looks at */
	struct list half_open; /* handshakes under way, the oldest first */
	nsec now;          /* the latest time of any call; never goes back */
	struct limit stateless; /* see stateless_allowed() */
	struct initial_opener *opener;
	struct recent failed;   /* handshakes of clients; see must_prove() */
	uint64_t next_id;
	uint8_t random_key[16];   /* see on_rand() */
	uint64_t n_random;
	uint32_t n_closing;
	bool refuse; /* new connections */
	bool turn_away; /* the client of the packet at hand */
};

#define NO_SLOT UINT32_MAX

/* Bytes of a datagram that may begin a connection (RFC 9000 14.1). */
enum { INITIAL_MIN = 1200 };

/* ngtcp2 keeps 8 of our ids active at most; one more is the client's first choice. */
enum { CONN_IDS_MAX = 12 };

/* active_connection_id_limit: ids of the peer that we store. */
enum { PEER_IDS = 4 };

struct reset_token {
	bool used;
	uint8_t b[NGTCP2_STATELESS_RESET_TOKENLEN];
};

/* How far the handshake has come; never goes back. */
enum conn_phase {
	CONN_HANDSHAKE, /* keys are being agreed */
	CONN_OPEN,      /* a server has 1-RTT keys for sending: the application knows it */
	CONN_COMPLETE,  /* the handshake is complete; a client's application knows it, too */
	CONN_CONFIRMED, /* and confirmed (RFC 9001 4.1.2) */
};

/* What the next flush does with it. */
enum conn_ending {
	ENDING_NOT,    /* goes on */
	ENDING_CLOSE,  /* writes CONNECTION_CLOSE and frees it */
	ENDING_SILENT, /* frees it without a packet */
};

/* How it ends. */
struct conn_end {
	enum conn_ending how;
	bool was_reset; /* a stateless reset came */
	struct quic_close why;
	ngtcp2_ccerr close; /* what CONNECTION_CLOSE says */
};

struct conn_tls {
	struct quic_tls *ctx;
	SSL *ssl; /* NULL once a server needs it no more */
	ngtcp2_crypto_ossl_ctx *ossl;
	ngtcp2_crypto_conn_ref ref;
};

/* Our connection ids. */
struct cid_list {
	size_t n;
	struct cid id[CONN_IDS_MAX];
};

struct quic_conn {
	struct cid_owner owner; /* first: the table gives this back */
	struct quic_endpoint *ep;
	ngtcp2_conn *q;
	void *user;
	struct list dirty;
	struct list half_open; /* in ep->half_open until its handshake is over */
	bool server;
	bool proven; /* while half open: the client came with a token */
	enum conn_phase phase;
	struct conn_end end;
	uint32_t slot; /* in the schedule; NO_SLOT: it is moving to another endpoint */

	/* What the next flush has to do. */
	bool want_plain;  /* a write without data: handshake, credit, retransmission, probes, ACK now */
	bool want_stream; /* next_data may have something */
	bool blocked;     /* the last write could not send everything; any packet may unblock it */
	uint32_t held;    /* packets read since the last write, whose ACK waits for other frames */
	nsec hold_until;  /* until then at the latest */

	struct silence silence;
	struct black_hole black_hole;
	struct dgram_queue dgrams;
	uint64_t dgrams_dropped;
	nsec app_timer;

	struct quic_path path; /* the validated one, which the application sees */
	struct conn_tls tls;
	struct addr_entry *addr;
	struct quic_move *move;   /* moves to another endpoint at the next flush */
	struct quic_move *origin; /* came from another endpoint, which gets this back when no packet of it can come */
	struct cid_list ids;      /* in the table, the client's first choice among them */
	struct reset_token resets[PEER_IDS + 1];
	uint64_t id, packets_lost;
	uint32_t key_preparations;
};

static inline bool qconn_ending(const struct quic_conn *c)
{
	return c->end.how != ENDING_NOT;
}

/* on_open was called. */
static inline bool qconn_opened(const struct quic_conn *c)
{
	return c->phase >= CONN_OPEN;
}

/* The handshake is complete and the end not decided. */
static inline bool qconn_live(const struct quic_conn *c)
{
	return c->phase >= CONN_COMPLETE && !qconn_ending(c);
}

/* --- endpoint.c */
void ep_random_cid(struct quic_endpoint *ep, ngtcp2_cid *cid);

/* --- group.c */
/* Counts of the whole group. */
uint32_t ep_conns(const struct quic_endpoint *ep);
uint32_t ep_half_open(const struct quic_endpoint *ep);
void ep_count(struct quic_endpoint *ep, int conns, int half_open);
/* A number for logs that no other connection of the group has. */
uint64_t ep_number(struct quic_endpoint *ep);
/* A packet came for a connection that has moved out. */
void ep_forward(struct quic_endpoint *ep, struct cid_owner *moved_out, const struct quic_path *path, uint8_t ecn,
	const uint8_t *p, size_t len);
/* Drops the ids of all connections that have moved out. */
void ep_forget_moved_out(struct quic_endpoint *ep);
/* From the flush: `c` moves to the endpoint that c->move names. */
void qconn_depart(struct quic_conn *c);
void qmove_cancel(struct quic_conn *c);
/* Its first endpoint may drop the ids: no packet is expected any more. Accepts NULL. */
void qmove_over(struct quic_endpoint *ep, struct quic_move *origin);

/* --- accept.c */
void ep_recv_unknown(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len,
	const ngtcp2_version_cid *vc);
void ep_send_version_negotiation(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_version_cid *vc,
	size_t len);
void ep_send_retry(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_pkt_hd *hd);

/* --- conn.c */
void qconn_drop_dgrams(struct quic_conn *c);
/* ngtcp2's count of lost packets, into that of the endpoint. */
void qconn_count_lost(struct quic_conn *c);
/* `odcid` is the id of the client's first packet if it was sent a Retry, else NULL. */
int qconn_accept(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_pkt_hd *hd,
	const ngtcp2_cid *odcid, struct quic_conn **out);
/* Handles one packet. ERR_STATE: the client must prove its address by Retry first; `c` is freed. */
int qconn_read(struct quic_conn *c, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len);
void qconn_expire(struct quic_conn *c);
/* The longest packet that the path is believed to carry. */
static inline size_t qconn_packet_max(const struct quic_conn *c)
{
	return c->black_hole.found ? INITIAL_MIN : QUIC_PACKET_MAX;
}

void qconn_flush(struct quic_conn *c);
/* Adds an id of `c` to the table: ERR_EXISTS, ERR_LIMIT, ERR_NOMEM. */
int qconn_add_id(struct quic_conn *c, const ngtcp2_cid *cid);
void qconn_drop_id(struct quic_conn *c, const ngtcp2_cid *cid);
/* Decides how `c` ends; the next flush does it. `close` NULL: without a packet. */
void qconn_end(struct quic_conn *c, enum quic_end end, bool app, uint64_t code, const ngtcp2_ccerr *close);
/* ngtcp2 failed with `rv`: decides how the connection ends. */
void qconn_fail(struct quic_conn *c, int rv);
/* Ends it now, without a packet and without a closing state. */
void qconn_destroy(struct quic_conn *c);
/* Drops the oldest handshake that is under way; false: there is none. */
bool qconn_drop_oldest_half_open(struct quic_endpoint *ep);

static inline bool qconn_half_open(const struct quic_conn *c)
{
	return !list_empty(&c->half_open);
}

/* Its handshake is over, completed or not. */
static inline void qconn_leave_half_open(struct quic_conn *c)
{
	if (!qconn_half_open(c))
		return;
	if (c->proven)
		addr_limit_count_proven(c->ep->addrs, c->addr, -1);
	list_remove(&c->half_open);
	ep_count(c->ep, 0, -1);
}

static inline void qconn_touch(struct quic_conn *c)
{
	if (list_empty(&c->dirty))
		list_append(&c->ep->dirty, &c->dirty);
}

static inline ngtcp2_path qpath_of(const struct quic_path *p)
{
	return (ngtcp2_path){
		.local = {(ngtcp2_sockaddr *)&p->local.sa, p->local.len},
		.remote = {(ngtcp2_sockaddr *)&p->remote.sa, p->remote.len},
	};
}
void qpath_copy(struct quic_path *to, const ngtcp2_path *from);

/* --- events.c */
extern const ngtcp2_callbacks qconn_callbacks_server, qconn_callbacks_client;

/* --- write.c */
/* Sends what may be sent now. */
void qconn_write(struct quic_conn *c);
/* Writes CONNECTION_CLOSE; returns its length and a copy in `copy`, 0 if there is none. */
size_t qconn_write_close(struct quic_conn *c, uint8_t copy[QUIC_PACKET_MAX]);
