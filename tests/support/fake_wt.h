/* SPDX-License-Identifier: MIT */
/*
 * fake_wt - the calls of wt/wt.h that a session makes, without WebTransport: what was sent is kept, and every result is
 * the test's to choose. Include it in one file of a program, which must not use the real wt.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "wt/wt.h"

#include <stdio.h>
#include <string.h>

struct wt_session {
	const struct wt_app *app;
	void *user;
	struct quic_conn_info info;
	size_t datagram_max;
	bool confirmed;
	int send_result, move_result;
	char sent[64]; /* the last datagram, head and body */
	unsigned n_sent, moved_to, n_moves;
	struct wt_stream *streams[4];
	size_t n_streams;
	struct wt_close closed; /* by wt_session_close() */
	char reason[64];
	unsigned n_closed;
};

struct wt_stream {
	struct wt_session *s;
	bool bidi, gone, fin;
	int send_result;
	size_t room, wanted; /* room: of the send buffer; 0: what `out` has */
	uint64_t acked;
	struct buf out;
	unsigned n_aborted, n_flushed;
	uint32_t abort_code;
};

int wt_session_send(struct wt_session *s, const void *head, size_t head_len, const void *body, size_t body_len, nsec now)
{
	(void)now;
	if (s->send_result)
		return s->send_result;
	snprintf(s->sent, sizeof s->sent, "%.*s|%.*s", (int)head_len, (const char *)head, (int)body_len, (const char *)body);
	s->n_sent++;
	return 0;
}

bool wt_session_confirmed(const struct wt_session *s) { return s->confirmed; }
size_t wt_session_datagram_max(const struct wt_session *s) { return s->datagram_max; }
void wt_session_info(const struct wt_session *s, struct quic_conn_info *out) { *out = s->info; }
uint64_t wt_session_id(const struct wt_session *s) { (void)s; return 17; }

int wt_session_move(struct wt_session *s, unsigned shard)
{
	s->n_moves++;
	s->moved_to = shard;
	return s->move_result;
}

static inline void fake_wt_stream_gone(struct wt_stream *st, nsec now)
{
	if (!st->gone)
		st->s->app->on_stream_closed(st->s->user, st, now);
	st->gone = true;
}

static inline void fake_wt_close(struct wt_session *s, const struct wt_close *why, nsec now)
{
	for (size_t i = 0; i < s->n_streams; i++)
		fake_wt_stream_gone(s->streams[i], now);
	s->n_closed++;
	s->app->on_closed(s->user, why, now);
}

void wt_session_close(struct wt_session *s, uint32_t code, const char *reason, nsec now)
{
	snprintf(s->reason, sizeof s->reason, "%s", reason);
	s->closed = (struct wt_close){.end = WT_END_LOCAL, .code = code, .reason = s->reason};
	fake_wt_close(s, &s->closed, now);
}

int wt_stream_send(struct wt_stream *st, const void *p, size_t len, bool fin, nsec now)
{
	(void)now;
	st->fin |= fin;
	return st->send_result ? st->send_result : buf_append(&st->out, p, len);
}

int wt_stream_queue(struct wt_stream *st, const void *p, size_t len, nsec now) { return wt_stream_send(st, p, len, false, now); }

void wt_stream_flush(struct wt_stream *st, nsec now)
{
	(void)now;
	st->n_flushed++;
}

size_t wt_stream_room(const struct wt_stream *st)
{
	if (st->send_result == ERR_STATE)
		return 0;
	return st->room ? st->room : st->out.max - st->out.len;
}

void wt_stream_want_room(struct wt_stream *st, size_t len) { st->wanted = len; }
uint64_t wt_stream_acked(const struct wt_stream *st) { return st->acked; }

void wt_stream_abort(struct wt_stream *st, uint32_t code, nsec now)
{
	(void)now;
	st->n_aborted++;
	st->abort_code = code;
}

bool wt_stream_is_bidi(const struct wt_stream *st) { return st->bidi; }

const char *quic_end_name(enum quic_end end)
{
	return end == QUIC_END_PEER ? "peer" : end == QUIC_END_IDLE ? "idle" : "other";
}

/* --- the test's side ------------------------------------------------------------------ */

/* A stream of the peer's. It may have been opened before. */
static inline void fake_wt_stream(struct wt_session *s, struct wt_stream *st, bool bidi, nsec now)
{
	*st = (struct wt_stream){.s = s, .bidi = bidi};
	buf_init(&st->out, 1 << 16);
	s->streams[s->n_streams++] = st;
	s->app->on_stream(s->user, st, now);
}

static inline void fake_wt_data(struct wt_stream *st, const char *text, nsec now)
{
	st->s->app->on_stream_data(st->s->user, st, (const uint8_t *)text, strlen(text), false, now);
}

static inline void fake_wt_fin(struct wt_stream *st, const char *text, nsec now)
{
	st->s->app->on_stream_data(st->s->user, st, (const uint8_t *)text, strlen(text), true, now);
}
