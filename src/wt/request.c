/* SPDX-License-Identifier: MIT */
/* Requests: the fields, the decision, the answer; plain ones and those for a session. */
#include "wt/conn.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIELD_OVERHEAD = 32,        /* RFC 9114 4.2.2: what a field counts beside its bytes */
	BODY_DISCARD_MAX = 1 << 16, /* of a request; it is discarded */
	BODY_MAX = 4 << 20,         /* of a response, as over HTTP/1.1 */
	LINGER_PTO = 3,             /* then the connection of a refused client ends */
};

struct request *request_new(struct wt_stream *st)
{
	struct request *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->st = st;
	st->req = r;
	st->c->n_requests++;
	return r;
}

static void release_fields(struct request *r)
{
	for (size_t i = 0; i < FIELD_N; i++) {
		if (r->field[i])
			nghttp3_rcbuf_decref(r->field[i]);
		r->field[i] = NULL;
	}
}

void request_free(struct request *r)
{
	release_fields(r);
	r->st->c->n_requests--;
	r->st->req = NULL;
	http_body_fini(&r->body);
	free(r);
}

/* --- the fields ----------------------------------------------------------------------- */

static const char *text(const struct request *r, enum field f)
{
	return r->field[f] ? (const char *)nghttp3_rcbuf_get_buf(r->field[f]).base : "";
}

static enum field field_of(int32_t token)
{
	switch (token) {
	case NGHTTP3_QPACK_TOKEN__METHOD:
		return FIELD_METHOD;
	case NGHTTP3_QPACK_TOKEN__PROTOCOL:
		return FIELD_PROTOCOL;
	case NGHTTP3_QPACK_TOKEN__SCHEME:
		return FIELD_SCHEME;
	case NGHTTP3_QPACK_TOKEN__AUTHORITY:
		return FIELD_AUTHORITY;
	case NGHTTP3_QPACK_TOKEN_HOST:
		return FIELD_HOST;
	case NGHTTP3_QPACK_TOKEN__PATH:
		return FIELD_PATH;
	case NGHTTP3_QPACK_TOKEN_ORIGIN:
		return FIELD_ORIGIN;
	case NGHTTP3_QPACK_TOKEN_AUTHORIZATION:
		return FIELD_AUTHORIZATION;
	case NGHTTP3_QPACK_TOKEN_USER_AGENT:
		return FIELD_USER_AGENT;
	default:
		return FIELD_N;
	}
}

static bool is_text(nghttp3_vec v, const char *s)
{
	return v.len == strlen(s) && !memcmp(v.base, s, v.len);
}

static unsigned parse_status(nghttp3_vec v)
{
	unsigned n = 0;

	for (size_t i = 0; i < v.len && i < 3; i++)
		n = n * 10 + (unsigned)(v.base[i] - '0'); /* nghttp3 let only digits through */
	return n;
}

void request_field(struct request *r, int32_t token, nghttp3_rcbuf *name, nghttp3_rcbuf *value)
{
	nghttp3_vec n = nghttp3_rcbuf_get_buf(name), v = nghttp3_rcbuf_get_buf(value);
	enum field f = field_of(token);

	r->field_bytes += n.len + v.len + FIELD_OVERHEAD;
	r->too_large |= r->field_bytes > r->st->c->w->opts.max_field_bytes;
	if (token == NGHTTP3_QPACK_TOKEN__STATUS)
		r->status = parse_status(v);
	if (is_text(n, "sec-webtransport-http3-draft02"))
		r->draft02 = true;
	if (f == FIELD_N || r->too_large)
		return;
	if (r->field[f] || memchr(v.base, 0, v.len)) {
		r->bad = true;
		return;
	}
	nghttp3_rcbuf_incref(value);
	r->field[f] = value;
}

static bool is_connect(const struct request *r)
{
	return !strcmp(text(r, FIELD_METHOD), "CONNECT");
}

static bool is_webtransport(const struct request *r)
{
	const char *p = text(r, FIELD_PROTOCOL);

	return is_connect(r) && (!strcmp(p, "webtransport") || !strcmp(p, "webtransport-h3"));
}

void request_headers_end(struct request *r)
{
	struct wt_conn *c = r->st->c;

	if (!c->server && r->status < 200)
		return; /* interim */
	r->complete = true;
	c->asked = true;
	c->unsettled = true;
	conn_active(c);
	/* Capsules may follow in the next byte, long before the answer: their reader must be there. */
	if (c->server && is_webtransport(r) && !c->session && !r->too_large && !r->bad)
		session_new(c, r->st->id, &r->session); /* without it the answer is 429 */
}

/* Client: the line of text in a refusal. */
static void keep_refusal(struct request *r, const uint8_t *p, size_t len)
{
	char *text = r->body.owned;

	if (!text)
		text = r->body.owned = calloc(1, WT_REFUSAL_MAX + 1);
	for (; text && len && r->body.len < WT_REFUSAL_MAX && *p >= ' ' && *p != 0x7f; len--)
		text[r->body.len++] = (char)*p++;
	if (len)
		r->body.len = WT_REFUSAL_MAX; /* keep nothing after it */
}

void request_body(struct request *r, const uint8_t *p, size_t len)
{
	struct wt_conn *c = r->st->c;
	bool over = r->body_bytes > BODY_DISCARD_MAX;

	if (!c->server && r->status / 100 != 2) {
		keep_refusal(r, p, len);
		return;
	}
	if (r->session) {
		session_capsules(r->session, p, len);
		return;
	}
	r->body_bytes += len;
	if (over || r->body_bytes <= BODY_DISCARD_MAX)
		return;
	nghttp3_conn_shutdown_stream_read(c->h3, r->st->id);
	quic_stream_stop(c->qc, r->st->id, H3_NO_ERROR);
}

/* --- the answer ----------------------------------------------------------------------- */

static nghttp3_nv pair(const char *name, const char *value)
{
	return (nghttp3_nv){(const uint8_t *)name, (const uint8_t *)value, strlen(name), strlen(value),
		NGHTTP3_NV_FLAG_NONE}; /* nghttp3 copies both */
}

static void submit(struct request *r, const nghttp3_nv *nv, size_t n, bool with_body)
{
	static const nghttp3_data_reader reader = {request_read_data};
	struct wt_conn *c = r->st->c;

	int rv = nghttp3_conn_submit_response(c->h3, r->st->id, nv, n, with_body ? &reader : NULL);

	r->answered = true;
	release_fields(r); /* after all: `nv` may point into them */
	if (rv)
		h3_fail(c, H3_INTERNAL_ERROR, "out of memory");
	else
		quic_conn_wake(c->qc);
}

void request_answer(struct request *r, const struct http_response *res)
{
	struct wt_conn *c = r->st->c;
	const struct http_response failed = http_response_of(500);
	bool head = !strcmp(text(r, FIELD_METHOD), "HEAD");
	struct http_fields fields;
	nghttp3_nv nv[1 + HTTP_FIELDS_MAX];
	char status[12];
	size_t n = 0;

	if (!http_response_ok(res, BODY_MAX)) {
		log_warn(&c->log, "bad response status=%u body_bytes=%zu", res->status, res->len);
		free(res->owned);
		res = &failed;
	}
	if (http_body_init(&r->body, res)) {
		res = &failed;
		http_body_init(&r->body, res); /* is static: needs no memory */
	}
	http_response_fields(res, &fields);
	snprintf(status, sizeof status, "%u", res->status);
	nv[n++] = pair(":status", status);
	for (size_t i = 0; i < fields.n; i++)
		nv[n++] = pair(fields.field[i].name, fields.field[i].value);
	submit(r, nv, n, res->len && !head && http_status_has_body(res->status));
}

static void answer_connect(struct request *r)
{
	nghttp3_nv nv[2];
	size_t n = 0;

	nv[n++] = pair(":status", "200");
	if (r->draft02)
		nv[n++] = pair("sec-webtransport-http3-draft", "draft02");
	submit(r, nv, n, true);
}

nghttp3_ssize request_read_data(nghttp3_conn *h3, int64_t id, nghttp3_vec *vec, size_t cnt, uint32_t *flags, void *conn,
	void *stream)
{
	struct wt_stream *st = stream_find(conn, id);

	(void)h3, (void)cnt, (void)stream;
	if (!st || !st->req)
		return NGHTTP3_ERR_CALLBACK_FAILURE;
	if (st->req->session)
		return session_read_data(st->req->session, vec, flags);
	*flags |= NGHTTP3_DATA_FLAG_EOF;
	vec[0] = (nghttp3_vec){(uint8_t *)st->req->body.p, st->req->body.len}; /* nghttp3 only reads it */
	return 1;
}

/* --- the decision --------------------------------------------------------------------- */

/* This CONNECT opens no session: what waited for it is dropped, and the connection ends soon. */
static void refuse_with(struct request *r, const struct http_response *res)
{
	struct wt_conn *c = r->st->c;

	c->w->stats.refused++;
	if (r->session) {
		c->refused_id = r->st->id;
		c->session = NULL;
		session_free(r->session);
		r->session = NULL;
		streams_refuse_early(c);
		session_drop_early(c);
	}
	request_answer(r, res);
	if (!c->dead && !c->session)
		conn_end_after(c, LINGER_PTO); /* else it would stay until it is idle */
}

void request_refuse(struct request *r, unsigned status)
{
	const struct http_response res = http_response_of(status);

	refuse_with(r, &res);
}

/* One of the two is there, which nghttp3 has seen to; both must say the same (RFC 9114 4.3.1). NULL: they do not. */
static const char *host_of(const struct request *r)
{
	const char *authority = text(r, FIELD_AUTHORITY), *host = text(r, FIELD_HOST);

	if (!r->field[FIELD_AUTHORITY])
		return host;
	return r->field[FIELD_HOST] && strcmp(authority, host) ? NULL : authority;
}

/* The request as the application sees it; its target is taken apart in a copy, to be freed after. 0, or how to refuse. */
static unsigned describe(const struct request *r, struct http_request *req, char **target)
{
	*req = (struct http_request){
		.method = text(r, FIELD_METHOD),
		.host = host_of(r),
		/* One with a control character or a blank at an end was dropped by nghttp3, which tells nobody. No browser
		 * sends it, and other programs gain nothing by it: they may send none. */
		.origin = r->field[FIELD_ORIGIN] ? text(r, FIELD_ORIGIN) : NULL,
		.authorization = text(r, FIELD_AUTHORIZATION),
		.user_agent = text(r, FIELD_USER_AGENT),
		.peer = &quic_conn_peer(r->st->c->qc)->sa,
	};
	*target = strdup(text(r, FIELD_PATH));
	if (!*target)
		return 503;
	return http_target_parse(*target, req) || !req->host ? 400 : 0;
}

int wt_session_move(struct wt_session *s, unsigned shard)
{
	struct wt_conn *c = s->c;
	int err = quic_conn_move(c->qc, shard);

	c->moving = !err; /* the request is run again there: see moved() in wt.c */
	if (err)
		log_info(&c->log, "not moved to shard=%u: %s", shard, err_str(err));
	return err;
}

static void open_session(struct request *r, void *user)
{
	struct wt_conn *c = r->st->c;
	const struct wt_close why = {.end = WT_END_ERROR, .reason = "out of memory"};

	answer_connect(r);
	if (!c->dead)
		session_accept(r->session, user);
	else if (c->w->app.on_closed) /* the application has it open already */
		c->w->app.on_closed(user, &why, c->now);
}

/* The application decides. */
static void ask_for_session(struct request *r, const struct http_request *req)
{
	struct wt_conn *c = r->st->c;
	const struct wt_app *app = &c->w->app;
	struct http_response res;
	void *user = NULL;
	unsigned status = 404;

	http_response_init(&res);
	if (app->on_connect)
		status = app->on_connect(c->w->ctx, r->session, req, &res, &user, c->now);
	if (c->moving || status == 200) {
		free(res.owned);
		if (!c->moving)
			open_session(r, user);
		return;
	}
	if (status < 400 || status > 599)
		status = 500;
	if (!res.len) {
		free(res.owned);
		res = http_response_of(status);
	}
	res.status = status;
	refuse_with(r, &res);
}

static bool takes_datagrams(const struct wt_conn *c)
{
	struct quic_conn_info info;

	quic_conn_info(c->qc, &info);
	return c->peer.got.datagram && info.peer_datagram_max;
}

static void run_connect(struct request *r)
{
	struct wt_conn *c = r->st->c;
	struct wt_session *s = r->session;

	if (!is_webtransport(r)) {
		request_refuse(r, 501); /* RFC 9220 3 */
	} else if (!s) {
		c->w->stats.second_sessions++;
		request_refuse(r, 429);
	} else if (!c->peer.done) {
		return; /* SETTINGS say whether the client can do it; conn->idle_at bounds the wait */
	} else if (c->w->draining) {
		request_refuse(r, 503);
	} else if (strcmp(text(r, FIELD_SCHEME), "https") || !takes_datagrams(c) || session_peer_done(s)) {
		request_refuse(r, 400);
	} else {
		struct http_request req;
		char *target;
		unsigned fault = describe(r, &req, &target);

		if (fault)
			request_refuse(r, fault);
		else
			ask_for_session(r, &req);
		free(target);
	}
}

static void run_plain(struct request *r)
{
	struct wt *w = r->st->c->w;
	struct http_response res = http_response_of(404);
	struct http_request req;
	char *target = NULL;
	unsigned fault = http_method_ok(text(r, FIELD_METHOD)) ? describe(r, &req, &target) : 405;

	w->stats.requests++;
	if (fault) {
		res = http_response_of(fault);
	} else if (w->on_request) {
		http_response_init(&res);
		w->on_request(w->request_ctx, &req, &res);
	}
	request_answer(r, &res); /* copies what lies in `target` */
	free(target);
}

void request_run(struct request *r)
{
	struct wt_conn *c = r->st->c;

	if (r->answered || !r->complete || c->moving)
		return;
	if (!c->server) {
		r->answered = true;
		client_answered(r->session, r->status);
	} else if (r->too_large) {
		request_refuse(r, 431);
	} else if (r->bad) {
		request_refuse(r, 400);
	} else if (is_connect(r)) {
		run_connect(r);
	} else {
		run_plain(r);
	}
}
