/* SPDX-License-Identifier: MIT */
/*
 * wt - WebTransport over HTTP/3 (draft-ietf-webtrans-http3, the -02 and -07 dialects at
 * once, so that Chrome, Firefox, Safari and libraries all connect) on nghttp3, with plain
 * GET and HEAD beside it. One `wt` serves all connections of one endpoint; server and
 * client. One thread, no clock, no socket. Memory is allocated when a connection, a session
 * or a stream opens; datagrams allocate nothing.
 *
 * Order at start: wt_new(), quic_endpoint_new(.., wt_quic_app(), wt, ..), wt_attach().
 */
#pragma once
#include "base/http.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"
#include "quic/endpoint.h"

struct wt;
struct wt_session;
struct wt_stream;

struct wt_opts {
	uint32_t first_request_ms;     /* server: from the handshake to the first request. Firefox opens connections that
	                                * it never uses. default 5000 */
	uint32_t connect_timeout_ms;   /* then, without a session: the longest time between requests, and without progress
	                                * of an answer; client: from the handshake on. default 10000 */
	uint32_t max_early_datagrams;  /* kept until their session is open. default 8 of 1500 bytes */
	uint32_t max_early_streams;    /* WebTransport streams that wait for their session. default 4 */
	uint32_t max_early_bytes;      /* bytes kept for each of those. default 4096 */
	uint32_t max_streams;          /* peer's streams of one session at once. default 16 */
	uint32_t stream_send_bytes;    /* unacknowledged bytes of ours on one stream. default 65536 */
	uint32_t max_field_bytes;      /* of a request's header fields. default 16384 */
	uint32_t max_requests;         /* plain requests under way on one connection. default 16 */
	bool draft15;                  /* also send 0x2c7cf000. default false */
	uint32_t id_first, id_step;    /* numbers of sessions, for logs; default 1, 1 */
};
void wt_opts_default(struct wt_opts *o);

/* How a session ended. */
enum wt_end {
	WT_END_LOCAL,  /* wt_session_close() */
	WT_END_PEER,   /* CLOSE capsule, or FIN (code 0) */
	WT_END_RESET,  /* the CONNECT stream was reset */
	WT_END_CONN,   /* the connection ended; `conn` says how. `code` is what the client closed it with: Deno sends no
	                * capsule */
	WT_END_ERROR,  /* the peer broke the protocol */
};
enum { WT_REASON_MAX = 1024 };
struct wt_close {
	enum wt_end end;
	uint32_t code;      /* 0 if none was given */
	const char *reason; /* never NULL; UTF-8 as it came, NUL-terminated */
	struct quic_close conn; /* for WT_END_CONN */
};

/* What the application does. `ctx` is that of wt_new(), `user` what on_connect stored. */
struct wt_app {
	/* A session is asked for, by a request with the method CONNECT. Return 200 to accept (then *user is kept and the
	 * session is open, answer on its way), else a status 400..599; `res` (see http_response_init()) may then carry a
	 * body, and `s` is gone on return, without on_closed. The connection of a refused client ends soon after.
	 * Or call wt_session_move() and, if that succeeds, return 0. */
	unsigned (*on_connect)(void *ctx, struct wt_session *s, const struct http_request *req, struct http_response *res,
		void **user, nsec now);
	/* Client: the server's answer to wt_client_connect(). 200: the session is open. Anything else is
	 * a refusal and the last call: no on_closed follows. */
	void (*on_answer)(void *user, struct wt_session *s, unsigned status, nsec now);
	void (*on_datagram)(void *user, const uint8_t *p, size_t len, nsec now); /* never empty */
	/* The peer opened a stream; store your own pointer with wt_stream_set_user(). */
	void (*on_stream)(void *user, struct wt_stream *st, nsec now);
	void (*on_stream_data)(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now);
	void (*on_stream_sent)(void *user, struct wt_stream *st, nsec now); /* room again in its send buffer, once for each time that it was short */
	/* The stream ended, for any reason; the pointer is invalid afterwards. If the peer resets its side, both end (an
	 * incomplete stream looks like a complete one); if it stops ours, it may go on sending. */
	void (*on_stream_closed)(void *user, struct wt_stream *st, nsec now);
	/* The last call for this session. Streams were closed before. */
	void (*on_closed)(void *user, const struct wt_close *why, nsec now);
};

struct wt_stats {
	uint64_t sessions_opened, sessions_closed, refused, requests;
	uint64_t conns_unused; /* ended since they never asked for anything */
	uint64_t datagrams_in, datagrams_out, datagrams_unknown, datagrams_empty, early_dropped;
	uint64_t streams_opened, streams_rejected, capsules_skipped, protocol_errors, second_sessions;
	uint32_t sessions; /* now */
};

int wt_new(const struct wt_opts *opts, const struct wt_app *app, void *ctx, const struct log *log, struct wt **out);
/* To be given to quic_endpoint_new() with the wt as its ctx. */
const struct quic_app *wt_quic_app(void);
void wt_attach(struct wt *w, struct quic_endpoint *ep);
/* Answers GET and HEAD; without it they are answered 404. The answer cannot wait. */
void wt_on_request(struct wt *w, http_handler_fn *handler, void *ctx);
/* After the endpoint is freed. Accepts NULL. */
void wt_free(struct wt *w);
const struct wt_stats *wt_stats(const struct wt *w);
extern const struct metric_table wt_metrics; /* of struct wt_stats */

/* Sends GOAWAY on every connection and DRAIN to every session; new sessions are refused with 503. */
void wt_drain(struct wt *w);

/* --- sessions ------------------------------------------------------------------------- */

/* Sends one datagram of two pieces (`head` may be empty), copied. Until the client has
 * shown that it saw the 200 (any stream data or datagram from it; at the latest
 * after one round trip) nothing may be sent: ERR_STATE. ERR_RANGE: longer than wt_session_datagram_max(). */
int wt_session_send(struct wt_session *s, const void *head, size_t head_len, const void *body, size_t body_len,
	nsec now);
/* The client has shown that it saw the 200: it acknowledged it, or sent data of the session. */
bool wt_session_confirmed(const struct wt_session *s);
/* The longest payload of a datagram now: what the path carries, at most the peer's max_datagram_frame_size. */
size_t wt_session_datagram_max(const struct wt_session *s);
/* CLOSE capsule with code and reason (cut at 1024 bytes), FIN, and a moment later the end of the connection.
 * on_closed follows before this returns. Never waits for the peer's credit. */
void wt_session_close(struct wt_session *s, uint32_t code, const char *reason, nsec now);
/* Of the connection beneath. */
void wt_session_info(const struct wt_session *s, struct quic_conn_info *out);
uint64_t wt_session_id(const struct wt_session *s); /* counts up within the wt; for logs */

/* From on_connect: the whole connection goes to another endpoint of the group, and the `wt` of that one asks its
 * application again. ERR_*: it cannot go; refuse or accept it here. */
int wt_session_move(struct wt_session *s, unsigned shard);

/* --- streams -------------------------------------------------------------------------- */

/* Opens a stream of ours (client use, and tests). ERR_LIMIT: no credit. */
int wt_stream_open(struct wt_session *s, bool bidi, struct wt_stream **out);
/* Queues bytes. Copies. ERR_LIMIT: `stream_send_bytes` would be passed, nothing is queued;
 * ERR_STATE: our side is closed. */
int wt_stream_send(struct wt_stream *st, const void *p, size_t len, bool fin, nsec now);
/* The same without FIN, but the bytes wait for company: they leave with the session's next datagram, or once
 * wt_stream_flush() or wt_stream_send() is called. */
int wt_stream_queue(struct wt_stream *st, const void *p, size_t len, nsec now);
void wt_stream_flush(struct wt_stream *st, nsec now);
size_t wt_stream_room(const struct wt_stream *st); /* bytes that wt_stream_send() would take */
/* on_stream_sent follows as soon as this room is there; without it, after ERR_LIMIT, with the first acknowledgement. */
void wt_stream_want_room(struct wt_stream *st, size_t len);
uint64_t wt_stream_acked(const struct wt_stream *st); /* bytes of ours that the peer has acknowledged, ever */
/* Resets our side and asks the peer to stop, with an application code below 256 (Chrome shows only those). */
void wt_stream_abort(struct wt_stream *st, uint32_t code, nsec now);
bool wt_stream_is_bidi(const struct wt_stream *st);
void wt_stream_set_user(struct wt_stream *st, void *user);
void *wt_stream_user(const struct wt_stream *st);

/* --- client --------------------------------------------------------------------------- */

/* Asks for a session as soon as the connection and the server's SETTINGS allow. `path` with its query;
 * `origin` may be NULL. All strings are copied. on_answer follows, or on_closed. */
int wt_client_connect(struct wt *w, struct quic_conn *c, const char *authority, const char *path, const char *origin,
	void *user);
/* From on_answer with a refusal: the text of the response, as far as it was received (at most
 * WT_REFUSAL_MAX bytes, cut at the first control character), else "". Borrowed until return. */
enum { WT_REFUSAL_MAX = 256 };
const char *wt_session_refusal(const struct wt_session *s);
