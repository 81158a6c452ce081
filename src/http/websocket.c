/* SPDX-License-Identifier: MIT */
/*
 *   name -> addresses -> tls_stream -> upgrade -> frames (wslay)
 *
 *   send: wslay frames and masks into `out`, which goes to the stream in one piece
 *   recv: the stream's bytes lie in `in` while wslay takes them
 *
 * Nothing is freed before the last handle has closed: see release().
 */
#include "http/websocket.h"

#include "base/buf.h"
#include "http/lookup.h"
#include "http/openssl.h"
#include "http/tls_stream.h"
#include "http/upgrade.h"

#include <assert.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
	ADDRESSES_MAX = 8,
	BODY_TIMEOUT_MS = 1000,  /* for what a refusal has to say */
	CONTROL_ROOM = 16384,    /* of the queue, for pongs and the close */
	REASON_MAX = 123,        /* RFC 6455 section 5.5 */
};

enum ws_state {
	WS_RESOLVING,  /* waits for addresses */
	WS_CONNECTING, /* TCP and TLS, one address after the other */
	WS_UPGRADING,  /* the request is sent, the answer awaited */
	WS_OPEN,
	WS_OVER,       /* on_end was called */
	WS_SAYING_BYE, /* websocket_close() was called; the other side's part of the closing is awaited */
	WS_CLOSED,     /* handles are closing */
};

struct websocket {
	uv_loop_t *loop;
	uv_timer_t timer;          /* of the whole way to OPEN; then the ping; then the closing */
	uv_timer_t attempt;        /* of one address */
	struct lookup *lookup;     /* of the name; NULL: none is under way */
	unsigned n_pending;        /* timers and streams: whoever calls us once more */
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
	wslay_event_context_ptr frames; /* NULL before OPEN */
	const uint8_t *in;         /* borrowed from on_data */
	size_t in_len;
	struct buf out;
	bool heard, pinged;        /* since the ping timer's last turn */
	bool framing;              /* inside wslay: it must not be entered again */
	bool bye_due;              /* the close is not queued yet: wslay would send it before what waits */
	uint16_t bye_code;
	char bye_reason[REASON_MAX];
	size_t bye_len;
	char last_why[128];        /* of the address tried last */
	int last_err;
};

void websocket_opts_default(struct websocket_opts *o)
{
	*o = (struct websocket_opts){
		.connect_timeout_ms = 10000,
		.attempt_timeout_ms = 3000,
		.ping_ms = 15000,
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

static void free_websocket(struct websocket *ws)
{
	if (ws->frames)
		wslay_event_context_free(ws->frames);
	tls_context_unref(ws->tls);
	forget_request(ws);
	buf_fini(&ws->out);
	free(ws->subprotocols);
	free(ws->url_text);
	free(ws);
}

/* One of those who could still call us is done. */
static void release(struct websocket *ws)
{
	const struct websocket_events *ev = ws->ev;
	void *ctx = ws->ctx;

	assert(ws->n_pending > 0);
	if (--ws->n_pending > 0)
		return;
	free_websocket(ws);
	if (ev)
		ev->on_closed(ctx);
}

static void on_timer_closed(uv_handle_t *h)
{
	release(h->data);
}

static void drop_stream(struct websocket *ws)
{
	if (ws->stream)
		tls_stream_close(ws->stream); /* its on_closed releases */
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
	uv_close((uv_handle_t *)&ws->timer, on_timer_closed);
	uv_close((uv_handle_t *)&ws->attempt, on_timer_closed);
}

static void give_end(struct websocket *ws, struct websocket_end *end, const char *what)
{
	char why[WEBSOCKET_WHY];

	if (ws->state == WS_SAYING_BYE) {
		tear_down(ws);
		return;
	}
	if (ws->state >= WS_OVER)
		return;
	snprintf(why, sizeof why, "%.120s port %u: %.120s", ws->url.host, ws->url.port, what);
	ws->state = WS_OVER;
	uv_timer_stop(&ws->timer);
	uv_timer_stop(&ws->attempt);
	if (ws->frames)
		wslay_event_shutdown_read(ws->frames);
	end->why = why;
	if (!end->body)
		end->body = "";
	ws->ev->on_end(ws->ctx, end);
}

static void fail(struct websocket *ws, int err, const char *what)
{
	struct websocket_end end = {.err = err};

	give_end(ws, &end, what);
}

/* --- out -------------------------------------------------------------------------------- */

static ssize_t frames_send(wslay_event_context_ptr frames, const uint8_t *p, size_t len, int flags, void *ctx)
{
	struct websocket *ws = ctx;

	(void)flags;
	if (buf_append(&ws->out, p, len) == 0)
		return (ssize_t)len;
	wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static int frames_mask(wslay_event_context_ptr frames, uint8_t *p, size_t len, void *ctx)
{
	(void)ctx;
	if (RAND_bytes(p, (int)len) == 1)
		return 0;
	wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* What wslay has queued goes to the stream. */
static int flush(struct websocket *ws)
{
	int err = 0;

	if (wslay_event_want_write(ws->frames) && wslay_event_send(ws->frames) != 0)
		err = ERR_NOMEM;
	if (!err && ws->out.len)
		err = tls_stream_send(ws->stream, ws->out.p, ws->out.len);
	buf_consume(&ws->out, ws->out.len);
	return err;
}

static void flush_or_fail(struct websocket *ws)
{
	int err = ws->stream && !ws->framing ? flush(ws) : 0;

	if (err)
		fail(ws, err, err == ERR_LIMIT ? "it does not take what we send" : err_str(err));
}

static int send_message(struct websocket *ws, uint8_t opcode, const void *p, size_t len)
{
	struct wslay_event_msg m = {.opcode = opcode, .msg = p, .msg_length = len};
	size_t most = ws->opts.max_queue, queued = websocket_queued(ws);

	if (ws->state != WS_OPEN)
		return ERR_STATE;
	if (len + 14 > most || queued > most - (len + 14))
		return ERR_LIMIT;
	int err = wslay_event_queue_msg(ws->frames, &m);

	if (err)
		return err == WSLAY_ERR_NOMEM ? ERR_NOMEM : ERR_STATE;
	if (!ws->framing) /* else what comes after it flushes */
		flush_or_fail(ws);
	return ws->state == WS_OPEN ? 0 : ERR_STATE;
}

int websocket_send_text(struct websocket *ws, const void *p, size_t len)
{
	return send_message(ws, WSLAY_TEXT_FRAME, p, len);
}

int websocket_send_binary(struct websocket *ws, const void *p, size_t len)
{
	return send_message(ws, WSLAY_BINARY_FRAME, p, len);
}

size_t websocket_queued(const struct websocket *ws)
{
	size_t waiting = ws->frames ? wslay_event_get_queued_msg_length(ws->frames) : 0;

	return waiting + (ws->stream ? tls_stream_queued(ws->stream) : 0);
}

size_t websocket_unsent(const struct websocket *ws)
{
	return ws->stream ? tls_stream_unsent(ws->stream) : 0;
}

/* --- in --------------------------------------------------------------------------------- */

static ssize_t frames_recv(wslay_event_context_ptr frames, uint8_t *p, size_t len, int flags, void *ctx)
{
	struct websocket *ws = ctx;
	size_t n = len < ws->in_len ? len : ws->in_len;

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(p, ws->in, n);
	ws->in += n;
	ws->in_len -= n;
	return (ssize_t)n;
}

static void frames_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
	struct websocket *ws = ctx;

	(void)frames;
	if (ws->state == WS_OPEN && !wslay_is_ctrl_frame(m->opcode))
		ws->ev->on_message(ws->ctx, m->opcode == WSLAY_TEXT_FRAME, m->msg_length ? m->msg : (const uint8_t *)"", m->msg_length);
}

static void say_bye(struct websocket *ws)
{
	ws->bye_due = false;
	wslay_event_queue_close(ws->frames, ws->bye_code, (const uint8_t *)ws->bye_reason, ws->bye_len);
	flush_or_fail(ws);
}

/* wslay judged what came and has queued its answer, a close with a code. */
static void end_of_frames(struct websocket *ws)
{
	struct websocket_end end = {.err = ERR_MALFORMED};
	uint16_t code = wslay_event_get_status_code_sent(ws->frames);
	char what[128];

	if (wslay_event_get_close_received(ws->frames)) {
		end.err = 0;
		end.close_code = wslay_event_get_status_code_received(ws->frames);
		if (end.close_code == WSLAY_CODE_NO_STATUS_RCVD)
			snprintf(what, sizeof what, "closed by the other side");
		else
			snprintf(what, sizeof what, "closed by the other side with code %u", end.close_code);
	} else if (code == WSLAY_CODE_MESSAGE_TOO_BIG) {
		end.err = ERR_LIMIT;
		snprintf(what, sizeof what, "a message is longer than %zu bytes", ws->opts.max_message);
	} else if (code == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA) {
		snprintf(what, sizeof what, "a text message is not UTF-8");
	} else {
		snprintf(what, sizeof what, "what came is not a WebSocket frame");
	}
	give_end(ws, &end, what);
}

static void take_frames(struct websocket *ws, const uint8_t *p, size_t len)
{
	ws->in = p;
	ws->in_len = len;
	ws->heard = true;
	ws->framing = true;
	int err = wslay_event_recv(ws->frames);

	ws->framing = false;
	if (ws->state == WS_CLOSED || ws->state == WS_OVER)
		return;
	flush_or_fail(ws);
	if (ws->bye_due)
		say_bye(ws);
	if (ws->state != WS_OPEN && ws->state != WS_SAYING_BYE)
		return;
	if (err == WSLAY_ERR_NOMEM)
		fail(ws, ERR_NOMEM, err_str(ERR_NOMEM));
	else if (err || !wslay_event_get_read_enabled(ws->frames))
		end_of_frames(ws);
}

/* --- pings ------------------------------------------------------------------------------ */

static void on_ping_timer(uv_timer_t *t)
{
	struct websocket *ws = t->data;
	struct wslay_event_msg ping = {.opcode = WSLAY_PING};

	if (!ws->heard && ws->pinged) {
		char what[64];

		snprintf(what, sizeof what, "nothing heard for %u ms", 2 * ws->opts.ping_ms);
		fail(ws, ERR_IO, what);
		return;
	}
	ws->pinged = !ws->heard;
	ws->heard = false;
	if (!ws->pinged)
		return;
	if (wslay_event_queue_msg(ws->frames, &ping) == 0)
		flush_or_fail(ws);
}

/* --- the upgrade ------------------------------------------------------------------------ */

static int make_frames(struct websocket *ws)
{
	static const struct wslay_event_callbacks calls = {
		.recv_callback = frames_recv,
		.send_callback = frames_send,
		.genmask_callback = frames_mask,
		.on_msg_recv_callback = frames_message,
	};

	if (wslay_event_context_client_init(&ws->frames, &calls, ws) != 0)
		return ERR_NOMEM;
	wslay_event_config_set_max_recv_msg_length(ws->frames, ws->opts.max_message);
	return 0;
}

static void open_up(struct websocket *ws)
{
	if (make_frames(ws)) {
		fail(ws, ERR_NOMEM, err_str(ERR_NOMEM));
		return;
	}
	ws->state = WS_OPEN;
	uv_timer_stop(&ws->timer);
	if (ws->opts.ping_ms)
		uv_timer_start(&ws->timer, on_ping_timer, ws->opts.ping_ms, ws->opts.ping_ms);
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
	give_end(ws, &end, what);
}

/* Returns whether the answer is complete, whatever it says. */
static bool judge_answer(struct websocket *ws)
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
	judge_answer(ws);
}

static void take_answer(struct websocket *ws, const uint8_t *p, size_t len)
{
	bool was_in_body = ws->up.in_body;
	size_t used = upgrade_feed(&ws->up, p, len);

	if (judge_answer(ws)) {
		if (ws->state == WS_OPEN && used < len)
			take_frames(ws, p + used, len - used);
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
		take_answer(ws, p, len);
	else if (ws->state == WS_OPEN || ws->state == WS_SAYING_BYE)
		take_frames(ws, p, len);
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
		judge_answer(ws);
		return;
	}
	snprintf(what, sizeof what, "connection lost: %s", tls_stream_why(ws->stream));
	fail(ws, ERR_IO, what);
}

static void on_stream_closed(void *ctx)
{
	release(ctx);
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
		ws->opts.max_queue + CONTROL_ROOM, &stream_events, ws, &ws->stream);

	if (err) {
		ws->stream = NULL;
		ws->last_err = err;
		snprintf(ws->last_why, sizeof ws->last_why, "cannot connect: %s", err_str(err));
		return err;
	}
	ws->n_pending++;
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

static void take_addresses(struct websocket *ws, const struct addrinfo *list)
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
	take_addresses(ws, list);
	snprintf(what, sizeof what, "the name cannot be resolved: %s", error ? lookup_why(error) : "no address");
	ws->state = WS_CONNECTING;
	if (ws->n_addr)
		try_next(ws);
	else
		fail(ws, ERR_NOTFOUND, what);
}

/* Numeric addresses too: they take the same way and need no one's answer. */
static int resolve(struct websocket *ws)
{
	char port[8];

	snprintf(port, sizeof port, "%u", ws->url.port);
	return lookup_start(ws->loop, ws->url.host, port, on_resolved, ws, &ws->lookup);
}

/* --- beginning -------------------------------------------------------------------------- */

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
	buf_init(&ws->request, UPGRADE_HEADER_MAX);
	buf_init(&ws->out, opts->max_queue + CONTROL_ROOM);
	int err = copy(ws, opts);

	if (err) {
		free_websocket(ws);
		return err;
	}
	uv_timer_init(loop, &ws->timer);
	uv_timer_init(loop, &ws->attempt);
	ws->timer.data = ws->attempt.data = ws;
	ws->n_pending = 2;
	err = resolve(ws);
	if (err) {
		tear_down(ws);
		return err;
	}
	ws->ev = ev;
	ws->ctx = ctx;
	uv_update_time(loop);
	uv_timer_start(&ws->timer, on_connect_timer, opts->connect_timeout_ms, 0);
	*out = ws;
	return 0;
}

/* --- goodbye ---------------------------------------------------------------------------- */

static void on_close_timer(uv_timer_t *t)
{
	tear_down(t->data);
}

void websocket_close(struct websocket *ws, uint16_t code, const char *reason)
{
	size_t len = reason ? strlen(reason) : 0;

	if (ws->state != WS_OPEN) {
		if (ws->state == WS_OVER && ws->frames && ws->stream)
			flush(ws); /* what wslay answered to the end, if there is somebody to hear it */
		tear_down(ws);
		return;
	}
	ws->state = WS_SAYING_BYE;
	uv_timer_stop(&ws->timer);
	uv_timer_start(&ws->timer, on_close_timer, ws->opts.close_timeout_ms, 0);
	ws->bye_due = true;
	ws->bye_code = code;
	ws->bye_len = len < REASON_MAX ? len : REASON_MAX;
	if (len)
		memcpy(ws->bye_reason, reason, ws->bye_len);
	if (!ws->framing)
		say_bye(ws);
}
