/* SPDX-License-Identifier: MIT */
/*
 * conn - what the files of this layer share: one HTTP/3 connection, its streams, its one
 * WebTransport session, its requests.
 *
 *   quic callbacks (wt.c) -> stream_input (stream.c) -> classify
 *        WebTransport's --> application                       (stream.c)
 *        nghttp3's -------> h3_feed (h3.c) -> requests, capsules (request.c, session.c)
 *   next_data (h3.c): own control stream, then WebTransport streams, then nghttp3
 *
 * The application is never called from inside nghttp3: callbacks only note the event, and
 * h3_settle() handles it when nghttp3 has returned. Records of streams are freed only when
 * QUIC reports the end of the stream or the connection, so an application may close
 * anything from any callback.
 */
#pragma once
#include "base/list.h"
#include "wt/capsule.h"
#include "wt/classify.h"
#include "wt/code.h"
#include "wt/sendbuf.h"
#include "wt/settings.h"
#include "wt/wt.h"

#include <nghttp3/nghttp3.h>

struct wt {
	struct wt_opts opts;
	struct wt_app app;
	void *ctx;
	http_handler_fn *on_request; /* may be NULL */
	void *request_ctx;
	struct log log;
	struct quic_endpoint *ep;
	struct wt_stats stats;
	struct list conns;
	uint64_t n_sessions; /* ever asked for */
	bool draining;
};

/* --- streams (stream.c) --------------------------------------------------------------- */

enum stream_kind {
	KIND_NEW,     /* not classified yet */
	KIND_H3,      /* belongs to nghttp3 */
	KIND_EARLY,   /* WebTransport, waits for its session */
	KIND_WT,      /* WebTransport, known to the application */
	KIND_DISCARD, /* further bytes are dropped */
};

/* Our side of a stream (RFC 9000 3.1). */
enum send_state {
	SEND_OPEN,
	SEND_FIN,      /* FIN is queued behind the bytes */
	SEND_FIN_SENT,
	SEND_NONE,     /* reset, or there is no such side */
};

/* KIND_EARLY: what came before the session. */
struct early_bytes {
	uint8_t *p; /* opts.max_early_bytes */
	uint32_t n;
	bool fin;
};

struct wt_stream {
	struct list link;      /* in conn->streams */
	struct list send_link; /* in conn->sendq, while there is something to send */
	struct wt_conn *c;
	int64_t id;
	enum stream_kind kind;
	bool ours;
	bool announced;   /* on_stream was called, or it is ours: on_stream_closed is due */
	bool peer_done;   /* FIN or RESET_STREAM came */
	struct classifier head;
	struct early_bytes early;
	struct request *req;
	void *user;

	enum send_state send;
	bool blocked;     /* the peer grants no credit */
	size_t wanted;    /* the application found no room: on_stream_sent is due when this much is there; 0: it did */
	struct sendbuf out;
	size_t unacked;   /* bytes in it, without the prefix */
	size_t prefix;    /* bytes of the prefix not acknowledged yet */
	uint64_t acked;   /* ever, without the prefix */
};

/* --- requests (request.c) ------------------------------------------------------------- */

enum field {
	FIELD_METHOD, FIELD_PROTOCOL, FIELD_SCHEME, FIELD_AUTHORITY, FIELD_HOST, FIELD_PATH, FIELD_ORIGIN,
	FIELD_AUTHORIZATION, FIELD_USER_AGENT,
	FIELD_N,
};

struct request {
	struct wt_stream *st;
	nghttp3_rcbuf *field[FIELD_N]; /* held until the request is answered */
	struct wt_session *session;    /* a CONNECT that asks for, or is, the session */
	size_t field_bytes, body_bytes;
	unsigned status;  /* client: of the answer */
	bool complete;    /* the fields are all there */
	bool answered;
	bool too_large;   /* of the fields */
	bool bad;         /* a field that must be one came twice, or holds a NUL */
	bool draft02;     /* the version field was there */
	struct http_body body; /* of the answer: what is to be sent, once; client: what the server says of a refusal */
};

/* --- sessions (session.c) ------------------------------------------------------------- */

enum session_state {
	SESSION_WAITING, /* server: the CONNECT came, the peer's SETTINGS or the answer are missing.
	                  * client: nothing was sent yet */
	SESSION_ASKED,   /* client: the CONNECT was sent */
	SESSION_OPEN,
	SESSION_ENDED,   /* on_closed was called, or the answer was a refusal */
};

/* The peer's capsules. */
enum capsules_state {
	CAPSULES_READ,
	CAPSULES_CLOSED,    /* CLOSE is complete */
	CAPSULES_MALFORMED, /* they broke a rule */
	CAPSULES_REJECTED,  /* and the stream was reset for that */
};

struct session_in {
	struct capsule_reader reader;
	enum capsules_state state;
	bool fin;
	uint8_t *close; /* the value of the peer's CLOSE, as it comes; one byte more for the end */
	size_t close_len;
};

enum { SESSION_OUT_CAPSULES = 5, SESSION_OUT_MAX = SESSION_OUT_CAPSULES * CAPSULE_SMALL_MAX };

struct session_out {
	uint8_t small[SESSION_OUT_MAX]; /* small capsules, each its own DATA frame */
	uint8_t small_end[SESSION_OUT_CAPSULES], n_small, next_small;
	uint8_t *close;
	size_t close_len;
	bool close_offered, fin;
};

struct wt_session {
	struct wt_conn *c;
	int64_t id; /* of the CONNECT stream; -1: none yet */
	uint64_t number;
	enum session_state state;
	void *user;
	struct log log;
	bool confirmed;     /* the peer showed that it saw the 200 */
	nsec confirmed_by;  /* from then on we take it so */
	bool blocked_logged;
	struct session_in in;
	struct session_out out;
	char *authority, *path, *origin; /* client; one allocation, at `authority` */
};

/* The peer has ended the session, or broken its rules. */
static inline bool session_peer_done(const struct wt_session *s)
{
	return s->in.fin || s->in.state != CAPSULES_READ;
}

/* --- the connection ------------------------------------------------------------------- */

struct early_datagram {
	struct early_datagram *next;
	size_t len;
	uint8_t p[];
};

enum {
	CONTROL_OUT_MAX = SETTINGS_WRITE_MAX + 16, /* SETTINGS, later GOAWAY */
	EARLY_DATAGRAM_MAX = 1500,
	/* PRIORITY_UPDATE may name streams that are not open yet (RFC 9218 7.1), and nghttp3
	 * keeps a record for each: this many beyond those that were closed. No endpoint of ours
	 * grants more at once. */
	H3_PRIORITY_AHEAD = 128,
};

/* Our control stream. */
struct control_out {
	int64_t id;
	uint8_t bytes[CONTROL_OUT_MAX];
	size_t len, sent;
	bool blocked, goaway_sent;
};

struct wt_conn {
	struct wt *w;
	struct quic_conn *qc;
	struct list link; /* in wt->conns */
	struct log log;
	nghttp3_conn *h3; /* NULL until the handshake is complete: who never ends it takes no memory here */
	bool server;
	bool dead;        /* closed by us: neither nghttp3 nor QUIC may be called */
	bool unsettled;   /* h3_settle() has work to do */
	bool asked;       /* the fields of a request were all there */
	bool waiting;     /* bytes of wt_stream_queue() wait in `sendq` */
	bool moving;      /* to another endpoint at the next flush: requests wait for the move */
	uint64_t fail_code; /* why a callback of nghttp3 failed */
	nsec now;           /* the time of the last call */

	struct control_out control;
	int64_t qpack_enc, qpack_dec; /* ours */
	struct settings_reader peer;

	struct list streams, sendq;
	uint32_t n_requests, n_early_streams, n_peer_streams;
	int64_t next_bidi;      /* the lowest id above all bidirectional streams of the peer */
	uint64_t bidi_closed;

	struct wt_session *session;
	int64_t refused_id;     /* the last CONNECT that became no session; -1: none */
	struct early_datagram *early, **early_tail;
	uint32_t n_early;

	nsec idle_at; /* there must be a session or a new request until then */
	nsec end_at;  /* the connection is closed then */
};

/* wt.c */
void h3_fail(struct wt_conn *c, uint64_t code, const char *what); /* the peer is wrong: ends session and connection */
void conn_end(struct wt_conn *c, uint64_t code);                    /* without an error */
void conn_end_after(struct wt_conn *c, unsigned n_pto);
void conn_active(struct wt_conn *c);                                /* moves idle_at */
void conn_arm(struct wt_conn *c);
int conn_new(struct wt *w, struct quic_conn *qc, struct wt_conn **out);

/* h3.c */
int h3_open(struct wt_conn *c);  /* our streams and SETTINGS, which may leave before the handshake is complete */
int h3_begin(struct wt_conn *c); /* nghttp3, as soon as it is */
void h3_close(struct wt_conn *c);
void h3_feed(struct wt_conn *c, struct wt_stream *st, const uint8_t *p, size_t len, bool fin);
void h3_control_input(struct wt_conn *c, const uint8_t *p, size_t len);
void h3_settle(struct wt_conn *c);
void h3_reject(struct wt_stream *st, uint64_t code); /* both sides, without an answer */
void h3_resume(struct wt_conn *c, int64_t id);
void h3_goaway(struct wt_conn *c); /* once */
void h3_next_data(struct wt_conn *c, struct quic_send *out);
void h3_data_sent(struct wt_conn *c, int64_t id, size_t len, bool fin);
void h3_data_blocked(struct wt_conn *c, int64_t id);
void h3_data_refused(struct wt_conn *c, int64_t id);
void h3_credit(struct wt_conn *c, int64_t id);
void h3_stream_acked(struct wt_conn *c, int64_t id, uint64_t len);

/* stream.c */
struct wt_stream *stream_find(struct wt_conn *c, int64_t id);
struct wt_stream *stream_new(struct wt_conn *c, int64_t id, enum stream_kind kind, bool ours);
void stream_free(struct wt_stream *st);
void stream_input(struct wt_stream *st, const uint8_t *p, size_t len, bool fin);
void stream_reset_by_peer(struct wt_stream *st, uint64_t code);
void stream_gone(struct wt_stream *st);                 /* on_stream_closed, once */
void stream_refuse(struct wt_stream *st, uint64_t code); /* both sides; then KIND_DISCARD */
void stream_offer(struct wt_stream *st, struct quic_send *out);
void stream_sent(struct wt_stream *st, size_t len, bool fin);
void stream_acked(struct wt_stream *st, size_t len);
void stream_unblock(struct wt_stream *st);
void stream_give_up(struct wt_stream *st); /* our side was reset */
void streams_flush(struct wt_conn *c);      /* what wt_stream_queue() left waiting is to be sent */
void streams_of_session_open(struct wt_session *s);
void streams_of_session_end(struct wt_session *s);
void streams_refuse_early(struct wt_conn *c);

/* request.c */
struct request *request_new(struct wt_stream *st);
void request_free(struct request *r);
void request_field(struct request *r, int32_t token, nghttp3_rcbuf *name, nghttp3_rcbuf *value);
void request_headers_end(struct request *r);
void request_body(struct request *r, const uint8_t *p, size_t len);
void request_run(struct request *r); /* answers it, if it is time */
void request_answer(struct request *r, const struct http_response *res);
void request_refuse(struct request *r, unsigned status);
nghttp3_ssize request_read_data(nghttp3_conn *h3, int64_t id, nghttp3_vec *vec, size_t cnt, uint32_t *flags, void *conn,
	void *stream);

/* session.c */
int session_new(struct wt_conn *c, int64_t id, struct wt_session **out);
void session_free(struct wt_session *s);
void session_capsules(struct wt_session *s, const uint8_t *p, size_t len);
void session_accept(struct wt_session *s, void *user);
void session_count_open(struct wt_session *s); /* the state, the counters, the timer */
void session_opened(struct wt_session *s);     /* delivers early streams and datagrams */
void session_settle(struct wt_session *s);
void session_end(struct wt_session *s, const struct wt_close *why);
void session_drain(struct wt_session *s);
void session_datagram(struct wt_conn *c, const uint8_t *p, size_t len);
void session_confirm(struct wt_session *s); /* the peer showed that it saw the 200 */
void session_drop_early(struct wt_conn *c);
nghttp3_ssize session_read_data(struct wt_session *s, nghttp3_vec *vec, uint32_t *flags);

/* client.c */
void client_ask(struct wt_conn *c);              /* if it is time */
void client_answered(struct wt_session *s, unsigned status);
