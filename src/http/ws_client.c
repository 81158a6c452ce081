/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket client:
 *
 *   name -> addresses -> tls_stream -> upgrade -> ws_frames
 *
 * Nothing is freed before the last handle has closed.
 */
#include "http/websocket.h"

#include "base/buf.h"
#include "base/closing_uv.h"
#include "base/stall.h"
#include "http/lookup.h"
#include "http/openssl.h"
#include "http/tls_stream.h"
#include "http/upgrade.h"
#include "http/ws_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ADDRESSES_MAX = 8,
	BODY_TIMEOUT_MS = 1000,  /* for the body of a refusal */
	WATCH_MS = 1000,
	CLOSE_READ_MAX = 1 << 20, /* received while the other side's close is awaited */
};

enum ws_state {
	WS_RESOLVING,  /* waits for addresses */
	WS_CONNECTING, /* TCP and TLS, one address after the other */
	WS_UPGRADING,  /* the request is sent, the response awaited */
	WS_OPEN,
	WS_OVER,       /* on_end was called */
	WS_CLOSING,    /* websocket_close() was called; the other side's close is awaited */
	WS_CLOSED,     /* handles are closing */
};

struct websocket {
	uv_loop_t *loop;
	uv_timer_t timer;          /* until OPEN the limit of everything; then pings; then the limit of closing */
	uv_timer_t attempt;        /* of one address */
	uv_timer_t watch;          /* while OPEN: does the other side take what we send? */
	struct stall stall;
	struct closing handles;    /* timers and streams */
	struct lookup *lookup;     /* of the name; NULL: none is under way */
	enum ws_state state;
	const struct websocket_events *ev;
	void *ctx;
	struct websocket_opts opts; /* without what it points to */
	struct tls_context *tls;
	char *url_text;
	struct websocket_url url;
	char *subprotocols;        /* NULL: none */
	struct buf request;
	struct sockaddr_storage addr[ADDRESSES_MAX];
	size_t n_addr, next_addr;
	struct tls_stream *stream; /* NULL: between two */
	struct upgrade up;
	struct ws_frames frames;   /* zero before OPEN */
	int64_t readable;          /* of this turn; less than 0: taken off the next. Without read_per_turn it is not looked at */
	char last_why[128];        /* of the address tried last */
	int last_err;
};

void websocket_opts_default(struct websocket_opts *o)
{
	*o = (struct websocket_opts){
		.connect_timeout_ms = 10000,
		.attempt_timeout_ms = 3000,
		.ping_ms = 15000,
		.stall_ms = 30000,
		.close_timeout_ms = 2000,
		.max_message = 1 << 20,
		.max_queue = 1 << 20,
	};
}

/* --- the end ---------------------------------------------------------------------------- */

/* It may hold a key. */
static void forget_request(struct websocket *ws)
{
	if (ws->request.p)
		OPENSSL_cleanse(ws->request.p, ws->request.cap);
	buf_fini(&ws->request);
}

static void free_websocket(void *websocket)
{
	struct websocket *ws = websocket;

	ws_frames_fini(&ws->frames);
	tls_context_unref(ws->tls);
	forget_request(ws);
	free(ws->subprotocols);
	free(ws->url_text);
	free(ws);
}

static void drop_stream(struct websocket *ws)
{
	if (ws->stream)
		tls_stream_close(ws->stream); /* counted until its on_closed */
	ws->stream = NULL;
}

static void tear_down(struct websocket *ws)
{
	if (ws->state == WS_CLOSED)
		return;
	ws->state = WS_CLOSED;
	drop_stream(ws);
	if (ws->lookup)
		lookup_cancel(ws->lookup);
	ws->lookup = NULL;
	closing_close(&ws->handles, (uv_handle_t *)&ws->timer);
	closing_close(&ws->handles, (uv_handle_t *)&ws->attempt);
	closing_close(&ws->handles, (uv_handle_t *)&ws->watch);
}

static void report_end(struct websocket *ws, struct websocket_end *end, const char *what)
{
	char why[WEBSOCKET_WHY];

	if (ws->state == WS_CLOSING) {
		tear_down(ws);
		return;
	}
	if (ws->state >= WS_OVER)
		return;
	snprintf(why, sizeof why, "%.120s port %u: %.120s", ws->url.host, ws->url.port, what);
	ws->state = WS_OVER;
	uv_timer_stop(&ws->timer);
	uv_timer_stop(&ws->attempt);
	uv_timer_stop(&ws->watch);
	ws_frames_stop(&ws->frames);
	end->why = why;
	if (!end->body)
		end->body = "";
	ws->ev->on_end(ws->ctx, end);
}

static void fail(struct websocket *ws, int err, const char *what)
{
	struct websocket_end end = {.err = err};

	report_end(ws, &end, what);
}

/* --- messages --------------------------------------------------------------------------- */

static int send_bytes(void *ctx, const uint8_t *p, size_t len)
{
	struct websocket *ws = ctx;

	return ws->stream ? tls_stream_send(ws->stream, p, len) : 0;
}

static size_t queued_bytes(void *ctx)
{
	const struct websocket *ws = ctx;

	return ws->stream ? tls_stream_queued(ws->stream) : 0;
}

static void on_frames_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct websocket *ws = ctx;

	if (ws->state == WS_OPEN)
		ws->ev->on_message(ws->ctx, text, p, len);
}

static const struct ws_frames_io frames_io = {.send = send_bytes, .queued = queued_bytes, .on_message = on_frames_message};

/* `err`: of ws_frames, while it sent. */
static void fail_if_broken(struct websocket *ws, int err)
{
	if (err)
		fail(ws, err, err == ERR_LIMIT ? "it does not take what we send" : err_str(err));
}

static int send_message(struct websocket *ws, bool text, const void *p, size_t len)
{
	int broken, err = ws->state == WS_OPEN ? ws_frames_send(&ws->frames, text, p, len, &broken) : ERR_STATE;

	if (err)
		return err;
	fail_if_broken(ws, broken);
	return ws->state == WS_OPEN ? 0 : ERR_STATE;
}

int websocket_send_text(struct websocket *ws, const void *p, size_t len)
{
	return send_message(ws, true, p, len);
}

int websocket_send_binary(struct websocket *ws, const void *p, size_t len)
{
	return send_message(ws, false, p, len);
}

size_t websocket_queued(const struct websocket *ws)
{
	if (ws_frames_is_open(&ws->frames))
		return ws_frames_queued(&ws->frames);
	return ws->stream ? tls_stream_queued(ws->stream) : 0;
}

size_t websocket_unsent(const struct websocket *ws)
{
	return ws->stream ? tls_stream_unsent(ws->stream) : 0;
}

/* Over the bound it waits for the next turn; a side that floods instead of closing is not waited for. */
static void charge(struct websocket *ws, size_t len, uint64_t n_frames)
{
	if (!ws->opts.read_per_turn)
		return;
	ws->readable -= (int64_t)(len + n_frames * WEBSOCKET_FRAME_BYTES);
	if (ws->readable > 0)
		return;
	if (ws->state == WS_CLOSING)
		tear_down(ws);
	else if (ws->state == WS_OPEN)
		tls_stream_pause(ws->stream, true);
}

void websocket_read_on(struct websocket *ws)
{
	int64_t turn = (int64_t)ws->opts.read_per_turn;

	if (!turn || ws->state != WS_OPEN)
		return;
	ws->readable = ws->readable < 0 ? ws->readable + turn : turn;
	if (ws->readable > 0)
		tls_stream_pause(ws->stream, false);
}

static void receive(struct websocket *ws, const uint8_t *p, size_t len)
{
	uint64_t before = ws->frames.n_frames;
	struct ws_frames_end got;

	if (ws_frames_receive(&ws->frames, p, len, &got)) {
		charge(ws, len, ws->frames.n_frames - before);
		return;
	}
	struct websocket_end end = {.err = got.err, .close_code = got.close_code};

	report_end(ws, &end, got.what);
}

static void on_ping_timer(uv_timer_t *t)
{
	struct websocket *ws = t->data;
	char what[64];
	int broken;

	if (ws_frames_ping(&ws->frames, &broken)) {
		fail_if_broken(ws, broken);
		return;
	}
	snprintf(what, sizeof what, "nothing heard for %u ms", 2 * ws->opts.ping_ms);
	fail(ws, ERR_IO, what);
}

static void on_watch_timer(uv_timer_t *t)
{
	struct websocket *ws = t->data;
	nsec now = nsec_from_ms(uv_now(ws->loop));
	char what[64];

	if (ws->state != WS_OPEN)
		return;
	if (stall_ask(&ws->stall, websocket_unsent(ws) > 0, tls_stream_taken(ws->stream), now) < nsec_from_ms(ws->opts.stall_ms))
		return;
	snprintf(what, sizeof what, "it has taken nothing for %g s", ws->opts.stall_ms / 1000.0);
	fail(ws, ERR_IO, what);
}

/* --- the upgrade ------------------------------------------------------------------------ */

static void open_up(struct websocket *ws)
{
	if (ws_frames_init(&ws->frames, WS_CLIENT, ws->opts.max_message, ws->opts.max_queue, &frames_io, ws)) {
		fail(ws, ERR_NOMEM, err_str(ERR_NOMEM));
		return;
	}
	ws->state = WS_OPEN;
	ws->readable = (int64_t)ws->opts.read_per_turn;
	uv_timer_stop(&ws->timer);
	if (ws->opts.ping_ms)
		uv_timer_start(&ws->timer, on_ping_timer, ws->opts.ping_ms, ws->opts.ping_ms);
	if (ws->opts.stall_ms)
		uv_timer_start(&ws->watch, on_watch_timer, WATCH_MS, WATCH_MS);
	ws->ev->on_open(ws->ctx, ws->up.value[FIELD_PROTOCOL]);
}

static void refused(struct websocket *ws)
{
	struct websocket_end end = {
		.err = ERR_DENIED,
		.http_status = ws->up.parser.status_code,
		.retry_after_s = upgrade_retry_after_s(&ws->up),
		.body = ws->up.body,
	};
	char what[64];

	snprintf(what, sizeof what, "answers %u instead of opening a WebSocket", end.http_status);
	report_end(ws, &end, what);
}

/* Returns whether the response is complete, good or bad. */
static bool check_response(struct websocket *ws)
{
	switch (ws->up.state) {
	case UPGRADE_MORE:
		return false;
	case UPGRADE_DONE:
		open_up(ws);
		break;
	case UPGRADE_REFUSED:
		refused(ws);
		break;
	case UPGRADE_BAD:
		fail(ws, ERR_MALFORMED, ws->up.why);
		break;
	}
	return true;
}

static void on_body_timer(uv_timer_t *t)
{
	struct websocket *ws = t->data;

	upgrade_finish(&ws->up);
	check_response(ws);
}

static void receive_response(struct websocket *ws, const uint8_t *p, size_t len)
{
	bool was_in_body = ws->up.in_body;
	size_t used = upgrade_feed(&ws->up, p, len);

	if (check_response(ws)) {
		if (ws->state == WS_OPEN && used < len)
			receive(ws, p + used, len - used);
	} else if (ws->up.in_body && !was_in_body) {
		uv_timer_start(&ws->timer, on_body_timer, BODY_TIMEOUT_MS, 0);
	}
}

/* --- the stream ------------------------------------------------------------------------- */

static void try_next(struct websocket *ws);

static void on_stream_open(void *ctx)
{
	struct websocket *ws = ctx;

	uv_timer_stop(&ws->attempt);
	ws->state = WS_UPGRADING;
	if (ws->opts.kernel_buffer)
		tls_stream_bound_kernel(ws->stream, ws->opts.kernel_buffer);
	int err = tls_stream_send(ws->stream, ws->request.p, ws->request.len);

	forget_request(ws);
	if (err)
		fail(ws, err, err_str(err));
}

static void on_stream_data(void *ctx, const uint8_t *p, size_t len)
{
	struct websocket *ws = ctx;

	if (ws->state == WS_UPGRADING)
		receive_response(ws, p, len);
	else if (ws->state == WS_OPEN || ws->state == WS_CLOSING)
		receive(ws, p, len);
}

static void on_stream_sent(void *ctx)
{
	(void)ctx;
}

static void on_stream_end(void *ctx, int err)
{
	struct websocket *ws = ctx;
	char what[160];

	if (ws->state == WS_CONNECTING) {
		ws->last_err = err == ERR_TLS ? ERR_TLS : ERR_IO;
		snprintf(ws->last_why, sizeof ws->last_why, "%s", tls_stream_why(ws->stream));
		drop_stream(ws);
		try_next(ws);
		return;
	}
	if (ws->state == WS_UPGRADING) {
		upgrade_finish(&ws->up);
		check_response(ws);
		return;
	}
	snprintf(what, sizeof what, "connection lost: %s", tls_stream_why(ws->stream));
	fail(ws, ERR_IO, what);
}

static void on_stream_closed(void *ctx)
{
	closing_done(&((struct websocket *)ctx)->handles);
}

static const struct tls_stream_events stream_events = {
	.on_open = on_stream_open,
	.on_data = on_stream_data,
	.on_sent = on_stream_sent,
	.on_end = on_stream_end,
	.on_closed = on_stream_closed,
};

/* --- addresses -------------------------------------------------------------------------- */

static void on_attempt_timer(uv_timer_t *t)
{
	struct websocket *ws = t->data;

	snprintf(ws->last_why, sizeof ws->last_why, "no connection within %u ms", ws->opts.attempt_timeout_ms);
	ws->last_err = ERR_IO;
	drop_stream(ws);
	try_next(ws);
}

static int try_address(struct websocket *ws, const struct sockaddr_storage *addr)
{
	struct tls_context *tls = ws->url.secure ? ws->tls : NULL;
	int err = tls_stream_connect(ws->loop, (const struct sockaddr *)addr, tls, tls ? ws->url.host : NULL,
		ws->opts.max_queue + WS_CONTROL_BYTES, &stream_events, ws, &ws->stream);

	if (err) {
		ws->stream = NULL;
		ws->last_err = err;
		snprintf(ws->last_why, sizeof ws->last_why, "cannot connect: %s", err_str(err));
		return err;
	}
	closing_add(&ws->handles);
	return 0;
}

static void try_next(struct websocket *ws)
{
	uv_timer_stop(&ws->attempt);
	while (ws->next_addr < ws->n_addr) {
		if (try_address(ws, &ws->addr[ws->next_addr++]))
			continue;
		if (ws->next_addr < ws->n_addr)
			uv_timer_start(&ws->attempt, on_attempt_timer, ws->opts.attempt_timeout_ms, 0);
		return;
	}
	fail(ws, ws->last_err, ws->last_why);
}

static void keep_addresses(struct websocket *ws, const struct addrinfo *list)
{
	for (; list && ws->n_addr < ADDRESSES_MAX; list = list->ai_next)
		if (list->ai_family == AF_INET || list->ai_family == AF_INET6)
			memcpy(&ws->addr[ws->n_addr++], list->ai_addr, list->ai_addrlen);
}

static void on_resolved(void *ctx, int error, const struct addrinfo *list)
{
	struct websocket *ws = ctx;
	char what[128];

	ws->lookup = NULL;
	if (ws->state != WS_RESOLVING)
		return;
	keep_addresses(ws, list);
	snprintf(what, sizeof what, "the name cannot be resolved: %s", error ? lookup_why(error) : "no address");
	ws->state = WS_CONNECTING;
	if (ws->n_addr)
		try_next(ws);
	else
		fail(ws, ERR_NOTFOUND, what);
}

/* Numeric addresses too: the same path, without a query. */
static int resolve(struct websocket *ws)
{
	char port[8];

	snprintf(port, sizeof port, "%u", ws->url.port);
	return lookup_start(ws->loop, ws->url.host, port, on_resolved, ws, &ws->lookup);
}

/* --- connecting -------------------------------------------------------------------------- */

static void on_connect_timer(uv_timer_t *t)
{
	static const char *const what[] = {
		[WS_RESOLVING] = "the name is not resolved",
		[WS_CONNECTING] = "no connection",
		[WS_UPGRADING] = "no answer to the upgrade",
	};
	struct websocket *ws = t->data;
	char why[80];

	snprintf(why, sizeof why, "%s within %u ms", what[ws->state], ws->opts.connect_timeout_ms);
	fail(ws, ERR_IO, why);
}

/* Everything that the options point to. */
static int copy(struct websocket *ws, const struct websocket_opts *o)
{
	struct tls_client_opts system_roots = {0};

	ws->opts = *o;
	ws->url_text = strdup(o->url);
	ws->subprotocols = o->subprotocols ? strdup(o->subprotocols) : NULL;
	if (!ws->url_text || (o->subprotocols && !ws->subprotocols))
		return ERR_NOMEM;
	int err = websocket_url_parse(ws->url_text, &ws->url);

	if (!err)
		err = upgrade_init(&ws->up, ws->subprotocols);
	if (!err)
		err = upgrade_request(&ws->up, &ws->url, o->headers, &ws->request);
	if (!err && ws->url.secure && !o->tls)
		return tls_context_client(&system_roots, &ws->tls);
	if (!err && ws->url.secure)
		ws->tls = tls_context_ref(o->tls);
	return err;
}

int websocket_connect(uv_loop_t *loop, const struct websocket_opts *opts, const struct websocket_events *ev, void *ctx,
	struct websocket **out)
{
	struct websocket *ws = calloc(1, sizeof *ws);

	if (!ws)
		return ERR_NOMEM;
	ws->loop = loop;
	closing_init(&ws->handles, free_websocket, ws);
	buf_init(&ws->request, UPGRADE_HEADER_MAX);
	int err = copy(ws, opts);

	if (err) {
		free_websocket(ws);
		return err;
	}
	uv_timer_init(loop, &ws->timer);
	uv_timer_init(loop, &ws->attempt);
	uv_timer_init(loop, &ws->watch);
	ws->timer.data = ws->attempt.data = ws->watch.data = ws;
	closing_add(&ws->handles);
	closing_add(&ws->handles);
	closing_add(&ws->handles);
	err = resolve(ws);
	if (err) {
		tear_down(ws);
		return err;
	}
	ws->ev = ev;
	ws->ctx = ctx;
	closing_then(&ws->handles, ev->on_closed, ctx);
	uv_update_time(loop);
	uv_timer_start(&ws->timer, on_connect_timer, opts->connect_timeout_ms, 0);
	*out = ws;
	return 0;
}

/* --- closing ---------------------------------------------------------------------------- */

static void on_close_timer(uv_timer_t *t)
{
	tear_down(t->data);
}

void websocket_close(struct websocket *ws, uint16_t code, const char *reason)
{
	if (ws->state != WS_OPEN) {
		if (ws->state == WS_OVER)
			ws_frames_flush(&ws->frames); /* the answer to the other side's end, if it still receives */
		tear_down(ws);
		return;
	}
	ws->state = WS_CLOSING;
	uv_timer_stop(&ws->watch);
	uv_timer_stop(&ws->timer);
	uv_timer_start(&ws->timer, on_close_timer, ws->opts.close_timeout_ms, 0);
	fail_if_broken(ws, ws_frames_close(&ws->frames, code, reason));
	ws->readable = CLOSE_READ_MAX;
	if (ws->state == WS_CLOSING)
		tls_stream_pause(ws->stream, false);
}
