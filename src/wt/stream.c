/* SPDX-License-Identifier: MIT */
/* Streams: their classification, and those of WebTransport in both directions. */
#include "wt/conn.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- records -------------------------------------------------------------------------- */

struct wt_stream *stream_find(struct wt_conn *c, int64_t id)
{
	list_each(it, &c->streams, next) { /* QUIC's limit keeps them few */
		struct wt_stream *st = list_entry(it, struct wt_stream, link);

		if (st->id == id)
			return st;
	}
	return NULL;
}

struct wt_stream *stream_new(struct wt_conn *c, int64_t id, enum stream_kind kind, bool ours)
{
	struct wt_stream *st = calloc(1, sizeof *st);

	if (!st)
		return NULL;
	st->c = c;
	st->id = id;
	st->kind = kind;
	st->ours = ours;
	st->peer_done = ours && !quic_stream_is_bidi(id);
	st->send = !ours && !quic_stream_is_bidi(id) ? SEND_NONE : SEND_OPEN;
	list_init(&st->send_link);
	list_append(&c->streams, &st->link);
	if (!ours && quic_stream_is_bidi(id) && id >= c->next_bidi)
		c->next_bidi = id + 4;
	return st;
}

static void drop_early(struct wt_stream *st)
{
	if (st->kind != KIND_EARLY)
		return;
	free(st->early.p);
	st->early.p = NULL;
	st->kind = KIND_DISCARD;
	st->c->n_early_streams--;
}

void stream_free(struct wt_stream *st)
{
	assert(!st->announced);
	drop_early(st);
	if (st->req)
		request_free(st->req);
	sendbuf_fini(&st->out);
	list_remove(&st->send_link);
	list_remove(&st->link);
	free(st);
}

void stream_gone(struct wt_stream *st)
{
	struct wt_conn *c = st->c;
	const struct wt_app *app = &c->w->app;

	if (!st->announced)
		return;
	st->announced = false;
	if (!st->ours)
		c->n_peer_streams--;
	if (app->on_stream_closed)
		app->on_stream_closed(c->session->user, st, c->now);
}

static void close_sending(struct wt_stream *st, uint64_t code)
{
	if (st->send == SEND_NONE)
		return;
	st->send = SEND_NONE;
	list_remove(&st->send_link);
	quic_stream_reset(st->c->qc, st->id, code);
}

void stream_refuse(struct wt_stream *st, uint64_t code)
{
	drop_early(st);
	st->kind = KIND_DISCARD;
	close_sending(st, code);
	if (!st->peer_done)
		quic_stream_stop(st->c->qc, st->id, code);
}

void stream_give_up(struct wt_stream *st)
{
	st->send = SEND_NONE;
	list_remove(&st->send_link);
}

/* --- from the peer -------------------------------------------------------------------- */

static void deliver(struct wt_stream *st, const uint8_t *p, size_t len, bool fin)
{
	struct wt_conn *c = st->c;
	const struct wt_app *app = &c->w->app;

	if (app->on_stream_data)
		app->on_stream_data(c->session->user, st, p, len, fin, c->now);
}

/* A stream of the peer becomes the application's. */
static bool announce(struct wt_stream *st)
{
	struct wt_conn *c = st->c;
	const struct wt_app *app = &c->w->app;

	if (c->n_peer_streams >= c->w->opts.max_streams) {
		c->w->stats.streams_rejected++;
		stream_refuse(st, WT_BUFFERED_STREAM_REJECTED);
		return false;
	}
	c->n_peer_streams++;
	c->w->stats.streams_opened++;
	st->kind = KIND_WT;
	st->announced = true;
	if (app->on_stream)
		app->on_stream(c->session->user, st, c->now);
	return st->kind == KIND_WT; /* the application may have closed it, or everything */
}

static void early_input(struct wt_stream *st, const uint8_t *p, size_t len, bool fin)
{
	struct wt_conn *c = st->c;
	struct early_bytes *e = &st->early;

	if (len > c->w->opts.max_early_bytes - e->n) {
		c->w->stats.streams_rejected++;
		stream_refuse(st, WT_BUFFERED_STREAM_REJECTED);
		return;
	}
	if (len)
		memcpy(e->p + e->n, p, len);
	e->n += (uint32_t)len;
	e->fin = fin;
}

static void keep_early(struct wt_stream *st)
{
	struct wt_conn *c = st->c;

	if (c->n_early_streams < c->w->opts.max_early_streams)
		st->early.p = malloc(c->w->opts.max_early_bytes + 1);
	if (!st->early.p) {
		c->w->stats.streams_rejected++;
		stream_refuse(st, WT_BUFFERED_STREAM_REJECTED);
		return;
	}
	st->kind = KIND_EARLY;
	c->n_early_streams++;
}

/* The session id is known: joins the session, waits for it, or is refused. */
static void join_session(struct wt_stream *st)
{
	struct wt_conn *c = st->c;
	struct wt_session *s = c->session;
	uint64_t id = st->head.session;
	bool mine = s && s->id >= 0 && (uint64_t)s->id == id;

	if (id & 3) {
		h3_fail(c, H3_ID_ERROR, "session id is no client's bidirectional stream");
	} else if ((mine && s->state == SESSION_ENDED) || (c->refused_id >= 0 && (uint64_t)c->refused_id == id)) {
		stream_refuse(st, WT_SESSION_GONE);
	} else if (mine && s->state == SESSION_OPEN) {
		announce(st);
	} else if (s && (s->state == SESSION_OPEN || s->state == SESSION_ENDED)) {
		c->w->stats.streams_rejected++; /* one session for each connection */
		stream_refuse(st, WT_BUFFERED_STREAM_REJECTED);
	} else {
		keep_early(st);
	}
}

/* Ended before its type was complete. RFC 9114 6.2 requires to tolerate unidirectional ones. */
static void ended_in_head(struct wt_stream *st)
{
	struct wt_conn *c = st->c;

	if (quic_stream_is_bidi(st->id) && !st->head.typed) {
		st->kind = KIND_H3;
		h3_feed(c, st, st->head.head, st->head.n_head, true);
		return;
	}
	quic_stream_consume(c->qc, st->id, st->head.n);
	stream_refuse(st, WT_BUFFERED_STREAM_REJECTED);
}

static void identify(struct wt_stream *st, const uint8_t **p, size_t *len, bool fin)
{
	struct wt_conn *c = st->c;

	switch (classify_read(&st->head, quic_stream_is_bidi(st->id), p, len)) {
	case CLASSIFY_MORE:
		if (fin)
			ended_in_head(st);
		break;
	case CLASSIFY_H3:
		st->kind = KIND_H3;
		h3_feed(c, st, st->head.head, st->head.n_head, fin && !*len);
		break;
	case CLASSIFY_WT:
		quic_stream_consume(c->qc, st->id, st->head.n);
		join_session(st);
		break;
	}
}

static bool is_control(const struct wt_stream *st)
{
	return !quic_stream_is_bidi(st->id) && st->head.type == STREAM_CONTROL;
}

static void h3_input(struct wt_stream *st, const uint8_t *p, size_t len, bool fin)
{
	struct wt_conn *c = st->c;

	h3_feed(c, st, p, len, fin);
	if (!c->dead && is_control(st))
		h3_control_input(c, p, len);
	h3_settle(c);
}

static void dispatch(struct wt_stream *st, const uint8_t *p, size_t len, bool fin)
{
	struct wt_conn *c = st->c;

	switch (st->kind) {
	case KIND_H3:
		h3_input(st, p, len, fin);
		return;
	case KIND_EARLY:
		early_input(st, p, len, fin);
		break;
	case KIND_WT:
		session_confirm(c->session);
		if (len || fin)
			deliver(st, p, len, fin);
		break;
	case KIND_NEW:
	case KIND_DISCARD:
		break;
	}
	if (!c->dead)
		quic_stream_consume(c->qc, st->id, len);
}

void stream_input(struct wt_stream *st, const uint8_t *p, size_t len, bool fin)
{
	bool fresh = st->kind == KIND_NEW;

	st->peer_done |= fin;
	if (fresh)
		identify(st, &p, &len, fin);
	if (st->c->dead)
		return;
	if (fresh && st->kind == KIND_H3 && !len) /* all of it was the head */
		h3_settle(st->c);
	else if (st->kind != KIND_NEW)
		dispatch(st, p, len, fin);
}

static bool is_critical_of_peer(const struct wt_stream *st)
{
	return st->kind == KIND_H3 && !quic_stream_is_bidi(st->id) &&
	       (st->head.type == STREAM_CONTROL || st->head.type == STREAM_QPACK_ENCODER ||
		st->head.type == STREAM_QPACK_DECODER);
}

static void request_reset(struct wt_stream *st)
{
	struct wt_conn *c = st->c;
	struct request *r = st->req;
	struct wt_close why = {.end = WT_END_RESET, .reason = ""};

	if (nghttp3_conn_shutdown_stream_read(c->h3, st->id))
		h3_fail(c, H3_INTERNAL_ERROR, "out of memory");
	else if (r && r->session)
		session_end(r->session, &why);
	else if (!r || !r->answered)
		h3_reject(st, H3_REQUEST_CANCELLED);
}

void stream_reset_by_peer(struct wt_stream *st, uint64_t code)
{
	st->peer_done = true;
	if (is_critical_of_peer(st)) {
		h3_fail(st->c, H3_CLOSED_CRITICAL_STREAM, "peer reset a critical stream");
	} else if (st->kind == KIND_H3) {
		request_reset(st);
		h3_settle(st->c);
	} else { /* no application here has a use for the other half */
		drop_early(st);
		st->kind = KIND_DISCARD;
		close_sending(st, code);
		stream_gone(st); /* at once: the client's next stream may come before QUIC has closed this one */
	}
}

/* --- with the session ----------------------------------------------------------------- */

void streams_of_session_open(struct wt_session *s)
{
	struct wt_conn *c = s->c;

	list_each(it, &c->streams, next) {
		struct wt_stream *st = list_entry(it, struct wt_stream, link);

		if (st->kind != KIND_EARLY || c->dead || s->state != SESSION_OPEN)
			continue;
		uint8_t *p = st->early.p;

		st->early.p = NULL;
		st->kind = KIND_DISCARD;
		c->n_early_streams--;
		join_session(st);
		if (st->kind == KIND_WT && (st->early.n || st->early.fin))
			deliver(st, p, st->early.n, st->early.fin);
		free(p);
	}
}

void streams_refuse_early(struct wt_conn *c)
{
	list_each(it, &c->streams, next) {
		struct wt_stream *st = list_entry(it, struct wt_stream, link);

		if (st->kind == KIND_EARLY)
			stream_refuse(st, WT_SESSION_GONE);
	}
}

void streams_of_session_end(struct wt_session *s)
{
	struct wt_conn *c = s->c;

	list_each(it, &c->streams, next) {
		struct wt_stream *st = list_entry(it, struct wt_stream, link);

		if (!st->announced)
			continue;
		if (!c->dead)
			stream_refuse(st, WT_SESSION_GONE);
		stream_gone(st);
	}
}

/* --- to the peer ---------------------------------------------------------------------- */

/* False: there is nothing to send, or nothing may be. */
static bool line_up(struct wt_stream *st)
{
	if (st->blocked || (sendbuf_all_sent(&st->out) && st->send != SEND_FIN))
		return false;
	list_remove(&st->send_link);
	list_append(&st->c->sendq, &st->send_link);
	return true;
}

void streams_flush(struct wt_conn *c)
{
	c->waiting = false;
	quic_conn_wake(c->qc);
}

static void want_send(struct wt_stream *st)
{
	if (!line_up(st))
		return;
	streams_flush(st->c);
}

void stream_offer(struct wt_stream *st, struct quic_send *out)
{
	bool fin = st->send == SEND_FIN;

	out->id = st->id;
	out->fin = sendbuf_offer(&st->out, out) && fin;
}

void stream_sent(struct wt_stream *st, size_t len, bool fin)
{
	sendbuf_sent(&st->out, len);
	if (fin)
		st->send = SEND_FIN_SENT;
	list_remove(&st->send_link);
	want_send(st); /* to the end of the queue: streams take turns */
}

void stream_acked(struct wt_stream *st, size_t len)
{
	const struct wt_app *app = &st->c->w->app;
	size_t prefix = len < st->prefix ? len : st->prefix, n = sendbuf_acked(&st->out, len);

	st->prefix -= prefix;
	n -= n < prefix ? n : prefix;
	st->unacked -= n;
	st->acked += n;
	if (!st->wanted || !st->announced || wt_stream_room(st) < st->wanted)
		return;
	st->wanted = 0;
	if (app->on_stream_sent)
		app->on_stream_sent(st->c->session->user, st, st->c->now);
}

void stream_unblock(struct wt_stream *st)
{
	st->blocked = false;
	want_send(st);
}

/* --- the application's ---------------------------------------------------------------- */

int wt_stream_open(struct wt_session *s, bool bidi, struct wt_stream **out)
{
	struct wt_conn *c = s->c;
	uint8_t prefix[CLASSIFY_PREFIX_MAX];
	int64_t id;

	if (s->state != SESSION_OPEN || c->dead)
		return ERR_STATE;
	int err = quic_stream_open(c->qc, bidi, &id);

	if (err)
		return err;
	struct wt_stream *st = stream_new(c, id, KIND_WT, true);

	if (!st) {
		quic_stream_reset(c->qc, id, H3_INTERNAL_ERROR);
		return ERR_NOMEM;
	}
	st->announced = true;
	st->prefix = classify_prefix(prefix, bidi, (uint64_t)s->id);
	if (sendbuf_append(&st->out, prefix, st->prefix)) {
		st->announced = false;
		stream_refuse(st, H3_INTERNAL_ERROR);
		return ERR_NOMEM;
	}
	c->w->stats.streams_opened++;
	want_send(st);
	*out = st;
	return 0;
}

size_t wt_stream_room(const struct wt_stream *st)
{
	return st->send != SEND_OPEN ? 0 : st->c->w->opts.stream_send_bytes - st->unacked;
}

void wt_stream_want_room(struct wt_stream *st, size_t len)
{
	st->wanted = len;
}

uint64_t wt_stream_acked(const struct wt_stream *st)
{
	return st->acked;
}

static int append(struct wt_stream *st, const void *p, size_t len, nsec now)
{
	if (now > st->c->now)
		st->c->now = now;
	if (st->send != SEND_OPEN || st->c->dead)
		return ERR_STATE;
	if (len > wt_stream_room(st)) {
		wt_stream_want_room(st, 1);
		return ERR_LIMIT;
	}
	int err = len ? sendbuf_append(&st->out, p, len) : 0;

	if (err)
		return err;
	st->unacked += len;
	if (wt_stream_room(st) == 0 && !st->wanted)
		st->wanted = 1;
	return 0;
}

int wt_stream_send(struct wt_stream *st, const void *p, size_t len, bool fin, nsec now)
{
	int err = append(st, p, len, now);

	if (err)
		return err;
	if (fin)
		st->send = SEND_FIN;
	want_send(st);
	return 0;
}

int wt_stream_queue(struct wt_stream *st, const void *p, size_t len, nsec now)
{
	int err = append(st, p, len, now);

	if (!err && line_up(st))
		st->c->waiting = true;
	return err;
}

void wt_stream_flush(struct wt_stream *st, nsec now)
{
	if (now > st->c->now)
		st->c->now = now;
	if (!st->c->dead)
		want_send(st);
}

void wt_stream_abort(struct wt_stream *st, uint32_t code, nsec now)
{
	if (now > st->c->now)
		st->c->now = now;
	if (st->c->dead || st->kind != KIND_WT)
		return;
	stream_refuse(st, wt_code_to_h3(code));
}

bool wt_stream_is_bidi(const struct wt_stream *st)
{
	return quic_stream_is_bidi(st->id);
}

void wt_stream_set_user(struct wt_stream *st, void *user)
{
	st->user = user;
}

void *wt_stream_user(const struct wt_stream *st)
{
	return st->user;
}
