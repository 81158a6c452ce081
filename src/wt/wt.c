/* SPDX-License-Identifier: MIT */
/* The wt itself, and the events of one connection. */
#include "wt/conn.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LINGER_PTO = 3 };

void wt_opts_default(struct wt_opts *o)
{
	*o = (struct wt_opts){
		.first_request_ms = 5000,
		.connect_timeout_ms = 10000,
		.max_early_datagrams = 8,
		.max_early_streams = 4,
		.max_early_bytes = 4096,
		.max_streams = 16,
		.stream_send_bytes = 65536,
		.max_field_bytes = 16384,
		.max_requests = 16,
		.id_first = 1,
		.id_step = 1,
	};
}

int wt_new(const struct wt_opts *opts, const struct wt_app *app, void *ctx, const struct log *log, struct wt **out)
{
	struct wt *w = calloc(1, sizeof *w);

	if (!w)
		return ERR_NOMEM;
	w->opts = *opts;
	w->app = *app;
	w->ctx = ctx;
	if (log)
		w->log = *log;
	list_init(&w->conns);
	*out = w;
	return 0;
}

void wt_attach(struct wt *w, struct quic_endpoint *ep)
{
	w->ep = ep;
}

void wt_on_request(struct wt *w, http_handler_fn *handler, void *ctx)
{
	w->on_request = handler;
	w->request_ctx = ctx;
}

void wt_free(struct wt *w)
{
	if (!w)
		return;
	assert(list_empty(&w->conns));
	assert(!w->stats.sessions);
	free(w);
}

const struct wt_stats *wt_stats(const struct wt *w)
{
	return &w->stats;
}

void wt_drain(struct wt *w)
{
	if (w->draining)
		return;
	w->draining = true;
	list_each(it, &w->conns, next) {
		struct wt_conn *c = list_entry(it, struct wt_conn, link);

		if (c->dead || !c->server || c->control.id < 0)
			continue;
		h3_goaway(c);
		if (c->session)
			session_drain(c->session);
		quic_conn_wake(c->qc);
	}
}

/* --- the connection ------------------------------------------------------------------- */

int conn_new(struct wt *w, struct quic_conn *qc, struct wt_conn **out)
{
	struct wt_conn *c = calloc(1, sizeof *c);
	struct quic_conn_info info;

	if (!c)
		return ERR_NOMEM;
	quic_conn_info(qc, &info);
	c->w = w;
	c->qc = qc;
	c->server = info.server;
	c->control.id = c->qpack_enc = c->qpack_dec = c->refused_id = -1;
	c->idle_at = c->end_at = NSEC_NONE;
	c->early_tail = &c->early;
	list_init(&c->streams);
	list_init(&c->sendq);
	log_child(&c->log, &w->log, "conn=%llu", (unsigned long long)info.id);
	list_append(&w->conns, &c->link);
	*out = c;
	return 0;
}

static void conn_free(struct wt_conn *c)
{
	session_drop_early(c);
	list_each(it, &c->streams, next)
		stream_free(list_entry(it, struct wt_stream, link));
	if (c->session)
		session_free(c->session);
	h3_close(c);
	assert(!c->n_early && !c->n_early_streams && !c->n_peer_streams && !c->n_requests);
	list_remove(&c->link);
	free(c);
}

void conn_arm(struct wt_conn *c)
{
	quic_conn_set_timer(c->qc, c->end_at < c->idle_at ? c->end_at : c->idle_at);
}

static uint32_t patience_ms(const struct wt_conn *c)
{
	const struct wt_opts *o = &c->w->opts;

	return c->server && !c->asked ? o->first_request_ms : o->connect_timeout_ms;
}

void conn_active(struct wt_conn *c)
{
	if (c->session && c->session->state == SESSION_OPEN)
		c->idle_at = NSEC_NONE;
	else
		c->idle_at = c->now + nsec_from_ms(patience_ms(c));
	conn_arm(c);
}

void conn_end(struct wt_conn *c, uint64_t code)
{
	if (c->dead)
		return;
	c->dead = true;
	quic_conn_set_timer(c->qc, NSEC_NONE);
	quic_conn_close(c->qc, code);
}

void conn_end_after(struct wt_conn *c, unsigned n_pto)
{
	nsec at = c->now + n_pto * quic_conn_pto(c->qc);

	if (at < c->end_at)
		c->end_at = at;
	conn_arm(c);
}

void h3_fail(struct wt_conn *c, uint64_t code, const char *what)
{
	struct wt_close why = {.end = WT_END_ERROR, .reason = what};

	if (c->dead)
		return;
	log_info(&c->log, "closed: %s code=0x%llx", what, (unsigned long long)code);
	c->w->stats.protocol_errors++;
	c->dead = true; /* first: the application may call us from on_closed */
	quic_conn_set_timer(c->qc, NSEC_NONE);
	quic_conn_close(c->qc, code);
	if (c->session)
		session_end(c->session, &why);
}

/* --- callbacks of QUIC ---------------------------------------------------------------- */

static int on_open(void *ctx, struct quic_conn *qc, void **user, nsec now)
{
	struct wt_conn *c = quic_conn_user(qc); /* set if wt_client_connect() was called before */
	int err = c ? 0 : conn_new(ctx, qc, &c);

	if (err)
		return err;
	*user = c;
	c->now = now;
	return h3_open(c); /* on an error on_closed follows, and frees */
}

static void on_handshake(void *user, nsec now)
{
	struct wt_conn *c = user;

	c->now = now;
	if (c->dead)
		return;
	if (h3_begin(c)) {
		h3_fail(c, H3_INTERNAL_ERROR, "out of memory");
		return;
	}
	quic_conn_wake(c->qc);
	if (c->server || c->session)
		conn_active(c);
}

static void on_stream_data(void *user, int64_t id, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct wt_conn *c = user;

	c->now = now;
	if (c->dead)
		return;
	struct wt_stream *st = stream_find(c, id);

	if (!st)
		st = stream_new(c, id, KIND_NEW, false);
	if (!st) {
		h3_fail(c, H3_INTERNAL_ERROR, "out of memory");
		return;
	}
	stream_input(st, p, len, fin);
}

static void on_stream_reset(void *user, int64_t id, uint64_t code, nsec now)
{
	struct wt_conn *c = user;
	struct wt_stream *st = stream_find(c, id);

	c->now = now;
	if (!c->dead && st)
		stream_reset_by_peer(st, code);
}

static void on_stream_acked(void *user, int64_t id, uint64_t len)
{
	struct wt_conn *c = user;
	struct wt_stream *st = stream_find(c, id);

	if (c->dead)
		return;
	if (st && (st->kind != KIND_H3))
		stream_acked(st, (size_t)len);
	else
		h3_stream_acked(c, id, len);
}

static void on_stream_credit(void *user, int64_t id)
{
	struct wt_conn *c = user;
	struct wt_stream *st = stream_find(c, id);

	if (c->dead)
		return;
	if (st && st->kind != KIND_H3)
		stream_unblock(st);
	else
		h3_credit(c, id);
}

/* The CONNECT stream is over in both directions. The peer may not know it yet: Chrome reports a
 * lost connection instead of our code if CONNECTION_CLOSE overtakes the ACK of its FIN. */
static void connect_stream_over(struct wt_conn *c, uint64_t code)
{
	struct wt_close why = {.end = WT_END_RESET, .reason = ""};

	if (c->session->state != SESSION_ENDED) {
		log_debug(&c->session->log, "stream closed code=0x%llx", (unsigned long long)code);
		session_end(c->session, &why);
	}
	conn_end_after(c, LINGER_PTO);
}

static void on_stream_closed(void *user, int64_t id, uint64_t code, nsec now)
{
	struct wt_conn *c = user;
	struct wt_stream *st = stream_find(c, id);

	c->now = now;
	if (st)
		stream_gone(st);
	if (!c->dead && id == c->control.id) /* the peer sent STOP_SENDING, which RFC 9114 6.2.1 forbids */
		h3_fail(c, H3_CLOSED_CRITICAL_STREAM, "critical stream closed");
	if (!c->dead && c->h3) {
		int rv = nghttp3_conn_close_stream(c->h3, id, code);

		if (rv && rv != NGHTTP3_ERR_STREAM_NOT_FOUND)
			h3_fail(c, nghttp3_err_infer_quic_app_error_code(rv), "critical stream closed");
	}
	if (!c->dead && c->server && !(id & 3))
		nghttp3_conn_set_max_client_streams_bidi(c->h3, ++c->bidi_closed + H3_PRIORITY_AHEAD);
	if (!c->dead && c->session && c->session->id == id)
		connect_stream_over(c, code);
	if (st)
		stream_free(st);
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct wt_conn *c = user;

	c->now = now;
	if (!c->dead)
		session_datagram(c, p, len);
}

static void next_data(void *user, struct quic_send *out)
{
	struct wt_conn *c = user;

	*out = (struct quic_send){.id = -1};
	if (!c->dead)
		h3_next_data(c, out);
}

static void data_sent(void *user, int64_t id, size_t len, bool fin)
{
	struct wt_conn *c = user;

	if (!c->dead)
		h3_data_sent(c, id, len, fin);
}

static void data_blocked(void *user, int64_t id)
{
	struct wt_conn *c = user;

	if (!c->dead)
		h3_data_blocked(c, id);
}

static void data_refused(void *user, int64_t id)
{
	struct wt_conn *c = user;

	if (!c->dead)
		h3_data_refused(c, id);
}

static void on_timer(void *user, nsec now)
{
	struct wt_conn *c = user;

	c->now = now;
	if (c->dead)
		return;
	if (now >= c->idle_at && c->server && !c->asked)
		c->w->stats.conns_unused++;
	if (now >= c->end_at || now >= c->idle_at)
		conn_end(c, c->end_at > now && c->session && !c->peer.done ? H3_MISSING_SETTINGS : H3_NO_ERROR);
	else
		conn_arm(c);
}

/* --- moving to another endpoint ------------------------------------------------------- */

static void moved_out(void *user)
{
	struct wt_conn *c = user;

	list_remove(&c->link);
	c->w = NULL; /* nothing of it may be used until it has arrived */
}

static void moved_in(void *ctx, void *user, nsec now)
{
	struct wt_conn *c = user;

	c->w = ctx;
	c->now = now;
	c->moving = false;
	c->unsettled = true;
	list_append(&c->w->conns, &c->link);
}

static void moved(void *user, nsec now)
{
	struct wt_conn *c = user;

	c->now = now;
	if (c->dead)
		return;
	if (c->w->draining)
		h3_goaway(c);
	h3_settle(c);
	quic_conn_wake(c->qc);
}

static void on_closed(void *user, const struct quic_close *close, nsec now)
{
	struct wt_conn *c = user;
	struct wt_close why = {.end = WT_END_CONN, .reason = "", .conn = *close};

	if (!c) /* it ended before on_open */
		return;
	if (close->end == QUIC_END_PEER && close->app)
		why.code = wt_code_of_conn(close->code);
	c->now = now;
	c->dead = true;
	if (c->session)
		session_end(c->session, &why);
	conn_free(c);
}

const struct quic_app *wt_quic_app(void)
{
	static const struct quic_app app = {
		.on_open = on_open,
		.on_handshake = on_handshake,
		.on_stream_data = on_stream_data,
		.on_stream_reset = on_stream_reset,
		.on_stream_acked = on_stream_acked,
		.on_stream_credit = on_stream_credit,
		.on_stream_closed = on_stream_closed,
		.on_datagram = on_datagram,
		.next_data = next_data,
		.data_sent = data_sent,
		.data_blocked = data_blocked,
		.data_refused = data_refused,
		.on_timer = on_timer,
		.moved_out = moved_out,
		.moved_in = moved_in,
		.moved = moved,
		.on_closed = on_closed,
	};

	return &app;
}
