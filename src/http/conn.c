/* SPDX-License-Identifier: MIT */
/*
 * One request at a time: while a response is being sent nothing is read, so a client that
 * pipelines or does not read its response costs at most what one read brought along
 * (`pending`) and one chunk in the send queue.
 */
#include "http/conn.h"

#include "base/limit.h"
#include "http/response.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUEUE_MAX = TLS_STREAM_CHUNK + 8192, /* a head and a chunk */
	HEAD_MAX = 8192,
	PENDING_MAX = 32768,                 /* twice what one on_data brings */
	LINGER_MS = 2000,
	LINGER_BYTES = 1 << 20,
};

enum conn_state {
	CONN_OPENING, /* TLS handshake */
	CONN_READING, /* waits for a request or the rest of one */
	CONN_WRITING, /* a response is being made or sent */
	CONN_LINGER,  /* sent its last response: discards what is still received, so that no RST destroys it */
	CONN_CLOSED,
};

struct http_conn {
	struct list link;
	struct list due;       /* in server->due */
	struct http_server *server;
	struct tls_stream *stream;
	uv_timer_t timer;
	enum conn_state state;
	struct request req;
	struct buf pending;    /* requests received along with the one being answered */
	struct http_body body; /* what is left to send of it */
	bool close_after;
	bool sent;             /* while WRITING: all that was queued */
	size_t discarded;
	struct closing handles; /* stream and timer */
	uint64_t n_requests;
	struct limit requests; /* a second */
	struct http_deferred *deferred; /* the response that is to come; NULL: none */
};

/* Lives until http_respond(), perhaps longer than the connection. */
struct http_deferred {
	struct http_conn *c; /* NULL: gone */
};

static const bool may_follow[5][5] = {
	[CONN_OPENING] = {[CONN_READING] = true, [CONN_CLOSED] = true},
	[CONN_READING] = {[CONN_WRITING] = true, [CONN_CLOSED] = true},
	[CONN_WRITING] = {[CONN_READING] = true, [CONN_LINGER] = true, [CONN_CLOSED] = true},
	[CONN_LINGER] = {[CONN_CLOSED] = true},
};

static void set_state(struct http_conn *c, enum conn_state next)
{
	assert(may_follow[c->state][next]);
	c->state = next;
}

/* Waits for a request from now on. The list is in the order of waiting: the longest is first. */
static void begin_waiting(struct http_conn *c)
{
	set_state(c, CONN_READING);
	list_remove(&c->link);
	list_append(&c->server->conns, &c->link);
}

static void on_timer(uv_timer_t *t);

static void set_timer(struct http_conn *c, uint64_t ms)
{
	uv_timer_start(&c->timer, on_timer, ms, 0);
}

/* --- responding -------------------------------------------------------------------------- */

static void count(struct http_stats *st, unsigned status)
{
	uint64_t *const by_class[] = {&st->responses_2xx, &st->responses_3xx, &st->responses_4xx, &st->responses_5xx};

	(*by_class[status / 100 - 2])++;
}

/* The next chunk. The rest follows when it is gone: a slow reader holds only this much. */
static void send_chunk(struct http_conn *c)
{
	size_t n = c->body.len < TLS_STREAM_CHUNK ? c->body.len : TLS_STREAM_CHUNK;

	if (tls_stream_send(c->stream, c->body.p, n)) {
		http_conn_close(c);
		return;
	}
	c->body.p += n;
	c->body.len -= n;
	set_timer(c, c->server->opts.idle_timeout_ms);
}

static void send_head(struct http_conn *c, const struct http_response *res)
{
	const struct http_head how = {.close = c->close_after, .old = c->req.old};
	struct buf head;

	buf_init(&head, HEAD_MAX);
	int err = http_head(res, &how, &head);

	if (!err)
		err = tls_stream_send(c->stream, head.p, head.len);
	buf_fini(&head);
	if (err) {
		http_conn_close(c);
		return;
	}
	count(&c->server->stats, res->status);
	set_timer(c, c->server->opts.idle_timeout_ms);
	if (c->body.len)
		send_chunk(c);
}

/* It has something to do when its turn comes. */
static void make_due(struct http_conn *c)
{
	if (list_empty(&c->due))
		list_append(&c->server->due, &c->due);
}

static void begin_response(struct http_conn *c)
{
	tls_stream_pause(c->stream, true);
	set_state(c, CONN_WRITING);
}

/* Takes over what `res` owns. */
static void send_response(struct http_conn *c, const struct http_response *res)
{
	const struct http_response failed = http_response_of(500);

	http_body_fini(&c->body);
	if (http_body_init(&c->body, res)) {
		res = &failed;
		http_body_init(&c->body, res); /* is static: needs no memory */
	}
	if (c->req.head || !http_status_has_body(res->status))
		c->body.len = 0;
	send_head(c, res);
}

/* A response of the server's own. */
static void respond_error(struct http_conn *c, unsigned status)
{
	const struct http_response res = http_response_of(status);

	if (c->state == CONN_READING)
		begin_response(c);
	send_response(c, &res);
}

/* The response of the handler. */
static void respond(struct http_conn *c, const struct http_response *res)
{
	struct http_server *s = c->server;
	size_t most = s->opts.max_response_bytes;

	if (!http_response_ok(res, most)) {
		log_error(&s->log, "bad response path=%.200s status=%u bytes=%zu%s", c->req.http.path, res->status, res->len,
			res->len > most ? " (over http_max_response_bytes)" : "");
		free(res->owned);
		respond_error(c, 500);
		return;
	}
	log_debug(&s->log, "%s %.200s %u", c->req.http.method, c->req.http.path, res->status);
	send_response(c, res);
}

static void serve(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct sockaddr_storage peer;
	struct http_response res;

	begin_response(c);
	http_response_init(&res);
	tls_stream_peer(c->stream, &peer);
	c->req.http.peer = (const struct sockaddr *)&peer;
	c->req.http.conn = c;
	s->handler(s->ctx, &c->req.http, &res);
	if (!c->deferred)
		respond(c, &res);
}

struct http_deferred *http_defer(const struct http_request *req)
{
	struct http_conn *c = req->conn;
	struct http_deferred *l = c ? calloc(1, sizeof *l) : NULL;

	if (l) {
		l->c = c;
		c->deferred = l;
	}
	return l;
}

void http_respond(struct http_deferred *l, const struct http_response *res)
{
	struct http_conn *c = l->c;

	free(l);
	if (!c) {
		free(res->owned);
		return;
	}
	c->deferred = NULL;
	respond(c, res);
}

/* --- reading ---------------------------------------------------------------------------- */

static bool over_rate(struct http_conn *c)
{
	const struct http_server *s = c->server;
	const struct rate rate = rate_make(s->opts.requests_per_second, nsec_from_s(1), nsec_from_s(1));

	return !limit_take(&c->requests, &rate, 1, s->now);
}

static void request_limited(struct http_conn *c)
{
	c->server->stats.requests_limited++;
	c->close_after = true;
	respond_error(c, 429);
}

static void request_done(struct http_conn *c)
{
	c->server->stats.requests++;
	c->n_requests++;
	c->close_after = !c->req.keep_alive || c->server->closing;
	if (over_rate(c))
		request_limited(c);
	else if (c->req.status)
		respond_error(c, c->req.status);
	else
		serve(c);
}

static void request_bad(struct http_conn *c, unsigned status)
{
	c->server->stats.bad_requests++;
	c->close_after = true;
	respond_error(c, status);
}

static void receive(struct http_conn *c, const uint8_t *p, size_t len)
{
	while (len && c->state == CONN_READING) {
		if (c->req.n_bytes == 0) /* the time for a whole request runs from its first byte */
			set_timer(c, c->server->opts.idle_timeout_ms);
		size_t n = http_parse_feed(&c->req, p, len);

		p += n;
		len -= n;
		if (c->req.state == REQUEST_BAD)
			request_bad(c, c->req.status);
		else if (c->req.state == REQUEST_READY)
			request_done(c);
	}
	if (len && c->state == CONN_WRITING && !c->close_after && buf_append(&c->pending, p, len))
		http_conn_close(c);
}

static void next_request(struct http_conn *c)
{
	struct buf again = c->pending;

	buf_init(&c->pending, PENDING_MAX);
	http_parse_next(&c->req);
	begin_waiting(c);
	set_timer(c, c->server->opts.idle_timeout_ms);
	if (again.len)
		receive(c, again.p, again.len);
	buf_fini(&again);
	if (c->state == CONN_READING)
		tls_stream_pause(c->stream, false);
}

static void linger(struct http_conn *c)
{
	uint32_t ms = c->server->opts.idle_timeout_ms;

	set_state(c, CONN_LINGER);
	set_timer(c, ms < LINGER_MS ? ms : LINGER_MS);
	tls_stream_end(c->stream);
	tls_stream_pause(c->stream, false);
}

/* --- events ----------------------------------------------------------------------------- */

static void on_open(void *ctx)
{
	struct http_conn *c = ctx;

	begin_waiting(c);
	set_timer(c, c->server->opts.idle_timeout_ms);
}

static void on_data(void *ctx, const uint8_t *p, size_t len)
{
	struct http_conn *c = ctx;

	if (c->state == CONN_LINGER) {
		c->discarded += len;
		if (c->discarded > LINGER_BYTES)
			http_conn_close(c);
		return;
	}
	receive(c, p, len);
}

static void on_due(void *ctx)
{
	make_due(ctx);
}

static void on_sent(void *ctx)
{
	struct http_conn *c = ctx;

	if (c->state != CONN_WRITING)
		return;
	c->sent = true;
	make_due(c);
}

static void go_on(struct http_conn *c)
{
	c->sent = false;
	if (c->body.len) {
		send_chunk(c);
		return;
	}
	http_body_fini(&c->body);
	if (c->close_after)
		linger(c);
	else
		next_request(c);
}

void http_conn_run_next(struct http_server *s)
{
	struct http_conn *c = list_entry(s->due.next, struct http_conn, due);

	list_remove(&c->due);
	if (c->state == CONN_WRITING && c->sent)
		go_on(c);
	else
		tls_stream_work(c->stream);
}

static void on_end(void *ctx, int err)
{
	struct http_conn *c = ctx;

	if (err == ERR_TLS)
		c->server->stats.tls_failures++;
	http_conn_close(c);
}

static void on_timer(uv_timer_t *t)
{
	struct http_conn *c = t->data;
	bool half = c->state == CONN_READING && c->req.n_bytes > 0;
	bool idle = c->state == CONN_LINGER || (c->state == CONN_READING && !half && c->n_requests > 0);

	c->server->stats.timeouts += !idle;
	if (!half) {
		http_conn_close(c);
		return;
	}
	c->close_after = true;
	respond_error(c, 408);
}

/* --- beginning and end ------------------------------------------------------------------ */

static void free_conn(void *ctx)
{
	struct http_conn *c = ctx;

	http_body_fini(&c->body);
	http_parse_fini(&c->req);
	buf_fini(&c->pending);
	free(c);
}

static void on_closed(void *ctx)
{
	struct http_conn *c = ctx;

	closing_done(&c->handles);
}

static const struct tls_stream_events events = {on_open, on_data, on_sent, on_end, on_closed, on_due};

struct http_conn *http_conn_of(struct list *link)
{
	return list_entry(link, struct http_conn, link);
}

int http_conn_accept(struct http_server *s, int fd, struct tls_context *tls)
{
	struct http_conn *c = calloc(1, sizeof *c);
	int err = c ? http_parse_init(&c->req, s->opts.max_header_bytes) : ERR_NOMEM;

	if (!err)
		err = tls_stream_accept(s->loop, fd, tls, QUEUE_MAX, &events, c, &c->stream);
	if (err) {
		if (c)
			http_parse_fini(&c->req);
		free(c);
		return err;
	}
	c->server = s;
	list_init(&c->due);
	closing_init(&c->handles, free_conn, c);
	closing_add(&c->handles); /* stream */
	closing_add(&c->handles); /* timer */
	closing_then(&c->handles, closing_done, &s->handles);
	c->state = tls ? CONN_OPENING : CONN_READING;
	buf_init(&c->pending, PENDING_MAX);
	uv_timer_init(s->loop, &c->timer);
	c->timer.data = c;
	set_timer(c, s->opts.idle_timeout_ms);
	list_init(&c->link);
	list_append(&s->conns, &c->link);
	closing_add(&s->handles);
	s->stats.conns++;
	return 0;
}

void http_conn_close(struct http_conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	set_state(c, CONN_CLOSED);
	if (c->deferred)
		c->deferred->c = NULL;
	c->deferred = NULL;
	list_remove(&c->link);
	list_remove(&c->due);
	c->server->stats.conns--;
	tls_stream_close(c->stream);
	closing_close(&c->handles, (uv_handle_t *)&c->timer);
}

static struct http_conn *find_idle(struct http_server *s, bool half_sent)
{
	list_each (it, &s->conns, tmp) {
		struct http_conn *c = http_conn_of(it);
		bool idle = c->state == CONN_READING && c->req.n_bytes == 0;

		if (c->state != CONN_WRITING && list_empty(&c->due) && (idle || half_sent))
			return c;
	}
	return NULL;
}

/* One byte of a request must not hold a place either: an honest client has sent the rest before hundreds of others connect. */
struct http_conn *http_conn_idle(struct http_server *s)
{
	struct http_conn *c = find_idle(s, false);

	return c ? c : find_idle(s, true);
}
