/* SPDX-License-Identifier: MIT */
#include "session/session_wt.h"

#include "base/err.h"
#include "session/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Application codes of streams that are reset; docs/protocol.md lists them. */
enum { STREAM_GIVEN_UP = 1, STREAM_REFUSED = 2 };

/* The application may end a session from inside on_line: then the loop over lines frees it. */
enum reading {
	READING_IDLE,
	READING_LINES,
	READING_CLOSED, /* in that loop, and on_closed was called */
};

struct session_wt {
	struct session base;
	struct session_host *host;
	struct wt_session *wt;
	struct wt_stream *control; /* set while base.lines is SESSION_LINES_OPEN */
	size_t room;               /* all that its send buffer has */
	bool ended;                /* the client has ended its side of it: another may take its place */
	enum reading reading;
	struct lines in;
};

static struct session_wt *of(struct session *s)
{
	return (struct session_wt *)s;
}

static const struct session_wt *of_const(const struct session *s)
{
	return (const struct session_wt *)s;
}

static void free_session(struct session_wt *s)
{
	lines_fini(&s->in);
	free(s);
}

static void lose_lines(struct session_wt *s)
{
	s->control = NULL;
	s->base.lines = SESSION_LINES_LOST;
}

/* --- what a session can do ------------------------------------------------------------------- */

static int send_audio(struct session *s, const void *head, size_t head_len, const void *body, size_t len, nsec now)
{
	return wt_session_send(of(s)->wt, head, head_len, body, len, now);
}

static bool hears(const struct session *s)
{
	return wt_session_confirmed(of_const(s)->wt);
}

static size_t audio_max(const struct session *s)
{
	return wt_session_datagram_max(of_const(s)->wt);
}

static void end_lines(struct session *base, nsec now)
{
	struct session_wt *s = of(base);
	struct wt_stream *control = s->control;

	lose_lines(s);
	if (control)
		wt_stream_abort(control, STREAM_GIVEN_UP, now);
}

/* Bytes of the send buffer that this kind of line must leave free. */
static size_t kept_from(const struct session_wt *s, enum session_line kind)
{
	static const unsigned parts[] = {[SESSION_LINE_ORDINARY] = 4, [SESSION_LINE_STATE] = 8};

	return kind == SESSION_LINE_VITAL ? 0 : s->room / parts[kind];
}

static int append_line(struct session_wt *s, enum session_line kind, const void *p, size_t len, nsec now)
{
	size_t room = wt_stream_room(s->control);

	if (room > 0 && room < len + kept_from(s, kind)) /* without any, the stream knows whether it is full or closed */
		return ERR_LIMIT;
	return wt_stream_queue(s->control, p, len, now);
}

static int queue_line(struct session *base, enum session_line kind, const void *p, size_t len, nsec now)
{
	struct session_wt *s = of(base);

	if (!s->control)
		return ERR_STATE;
	int err = append_line(s, kind, p, len, now);

	if (err == ERR_LIMIT)
		wt_stream_want_room(s->control, s->room / 2);
	else if (err)
		end_lines(base, now);
	return err;
}

static void flush_lines(struct session *base, nsec now)
{
	struct session_wt *s = of(base);

	if (s->control)
		wt_stream_flush(s->control, now);
}

static uint64_t lines_taken(const struct session *base)
{
	const struct session_wt *s = of_const(base);

	return s->control ? wt_stream_acked(s->control) : 0;
}

static size_t lines_waiting(const struct session *base)
{
	const struct session_wt *s = of_const(base);

	return s->control ? s->room - wt_stream_room(s->control) : 0;
}

static void info(const struct session *s, struct session_info *out)
{
	struct quic_conn_info conn;

	wt_session_info(of_const(s)->wt, &conn);
	*out = (struct session_info){
		.rtt_us = conn.rtt_us,
		.packets_sent = conn.packets_out,
		.packets_lost = conn.packets_lost,
		.audio_dropped = conn.datagrams_dropped,
	};
}

static void peer(const struct session *s, char out[SESSION_PEER_TEXT])
{
	struct quic_conn_info conn;

	_Static_assert((int)SESSION_PEER_TEXT >= (int)QUIC_ADDR_TEXT, "an address fits");
	wt_session_info(of_const(s)->wt, &conn);
	quic_addr_format(&conn.path.remote, out);
}

static int move(struct session *s, unsigned shard)
{
	return wt_session_move(of(s)->wt, shard);
}

static void close_session(struct session *s, uint32_t code, const char *reason, nsec now)
{
	wt_session_close(of(s)->wt, code, reason, now);
}

static const struct session_ops ops = {
	.send_audio = send_audio,
	.hears = hears,
	.audio_max = audio_max,
	.queue_line = queue_line,
	.flush_lines = flush_lines,
	.lines_taken = lines_taken,
	.lines_waiting = lines_waiting,
	.end_lines = end_lines,
	.info = info,
	.peer = peer,
	.move = move,
	.close = close_session,
};

/* --- opening and closing --------------------------------------------------------------------- */

static struct session_wt *session_new(struct session_host *host, struct wt_session *wt)
{
	struct session_wt *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->base.ops = &ops;
	s->base.app = host->app;
	s->base.id = wt_session_id(wt);
	s->host = host;
	s->wt = wt;
	lines_init(&s->in, host->line_bytes);
	return s;
}

static unsigned on_connect(void *ctx, struct wt_session *wt, const struct http_request *req, struct http_response *res,
	void **user, nsec now)
{
	struct session_host *host = ctx;
	struct session_wt *s = session_new(host, wt);
	struct session_answer a = {0};

	if (!s)
		return 503;
	host->app->on_open(host->ctx, &s->base, req, &a, now);
	if (a.decision == SESSION_ADMITTED) {
		s->base.user = a.user;
		s->base.app = a.app ? a.app : host->app;
		*user = s;
		return 200;
	}
	free_session(s);
	if (a.decision == SESSION_MOVED)
		return 0;
	http_response_text(res, a.status, a.why);
	return a.status;
}

static enum session_end end_of(const struct wt_close *why)
{
	if (why->end == WT_END_LOCAL)
		return SESSION_END_LOCAL;
	if (why->end == WT_END_PEER || (why->end == WT_END_CONN && why->conn.end == QUIC_END_PEER))
		return SESSION_END_PEER;
	return SESSION_END_LOST;
}

static void on_closed(void *user, const struct wt_close *wt, nsec now)
{
	static const char *const ends[] = {
		[WT_END_LOCAL] = "local",
		[WT_END_PEER] = "peer",
		[WT_END_RESET] = "reset",
		[WT_END_CONN] = "connection/",
		[WT_END_ERROR] = "error",
	};
	struct session_wt *s = user;
	char how[48];
	const struct session_close why = {.end = end_of(wt), .code = wt->code, .reason = wt->reason, .how = how};

	snprintf(how, sizeof how, "%s%s", ends[wt->end], wt->end == WT_END_CONN ? quic_end_name(wt->conn.end) : "");
	lose_lines(s);
	s->base.app->on_closed(s->base.user, &why, now);
	if (s->reading == READING_IDLE)
		free_session(s);
	else
		s->reading = READING_CLOSED;
}

/* --- audio ----------------------------------------------------------------------------------- */

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct session_wt *s = user;

	s->base.app->on_audio(s->base.user, p, len, now);
}

/* --- the control stream ---------------------------------------------------------------------- */

static bool takes_lines(const struct session_wt *s)
{
	return s->base.lines != SESSION_LINES_OPEN || s->ended;
}

/* What is left of the stream before: our side, and half a line. */
static void end_old_stream(struct session_wt *s, nsec now)
{
	if (s->control)
		wt_stream_send(s->control, NULL, 0, true, now);
	lines_fini(&s->in);
	lines_init(&s->in, s->host->line_bytes);
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	struct session_wt *s = user;

	if (!takes_lines(s) || !wt_stream_is_bidi(st)) {
		s->host->streams_refused++;
		wt_stream_abort(st, STREAM_REFUSED, now);
		return;
	}
	if (s->base.lines != SESSION_LINES_AWAITED)
		end_old_stream(s, now);
	s->ended = false;
	s->control = st;
	s->room = wt_stream_room(st);
	s->base.lines = SESSION_LINES_OPEN;
	s->base.app->on_ready(s->base.user, now);
}

static void note_end(struct session_wt *s, nsec now)
{
	if (!s->ended)
		s->base.app->on_lines_ended(s->base.user, now);
	s->ended = true;
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct session_wt *s = user;
	const struct session_app *app = s->base.app;
	enum lines_event ev;
	const char *line;
	size_t n;

	s->reading = READING_LINES;
	while (s->control == st && (ev = lines_read(&s->in, &p, &len, &line, &n)) != LINES_MORE) {
		if (ev == LINES_LINE)
			app->on_line(s->base.user, line, n, now);
		else
			app->on_long_line(s->base.user, now);
	}
	if (fin && s->control == st) /* it may still read ours */
		note_end(s, now);
	if (s->reading == READING_CLOSED)
		free_session(s);
	else
		s->reading = READING_IDLE;
}

static void on_stream_sent(void *user, struct wt_stream *st, nsec now)
{
	struct session_wt *s = user;

	if (st == s->control)
		s->base.app->on_lines_room(s->base.user, now);
}

static void on_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	struct session_wt *s = user;

	if (st != s->control)
		return;
	lose_lines(s);
	note_end(s, now);
}

const struct wt_app *session_wt_app(void)
{
	static const struct wt_app app = {
		.on_connect = on_connect,
		.on_datagram = on_datagram,
		.on_stream = on_stream,
		.on_stream_data = on_stream_data,
		.on_stream_sent = on_stream_sent,
		.on_stream_closed = on_stream_closed,
		.on_closed = on_closed,
	};

	return &app;
}
