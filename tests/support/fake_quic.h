/* SPDX-License-Identifier: MIT */
/*
 * fake_quic - the calls of quic/endpoint.h without QUIC: streams are byte strings, nothing
 * is lost, nothing takes time, and every piece, edge and credit is the test's to choose.
 * Include it in one file of a program, which must not use the real endpoint.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "quic/endpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_STREAMS = 64, FAKE_DATAGRAMS = 64 };

struct fake_stream {
	int64_t id;
	struct buf out;       /* what the wt wrote */
	size_t acked;
	bool out_fin, reset, stopped, closed;
	uint64_t reset_code, stop_code;
	size_t in, consumed;  /* bytes fed to the wt, credit it gave back */
	size_t credit;        /* bytes that may still be written */
};

struct quic_conn {
	const struct quic_app *app;
	void *user;
	struct quic_conn_info info;
	struct fake_stream stream[FAKE_STREAMS];
	size_t n_streams;
	uint64_t next_bidi, next_uni;
	uint64_t max_streams; /* of each kind that the wt may open */
	size_t piece;         /* most bytes taken from one offer; 0: all */
	size_t credit;        /* of a new stream */
	bool closed, gone;
	uint64_t close_code;
	nsec timer, now, pto;
	struct { uint8_t p[1500]; size_t len; } datagram[FAKE_DATAGRAMS];
	size_t n_datagrams, datagram_max;
	unsigned n_woken;
};

static inline struct fake_stream *fake_find(struct quic_conn *c, int64_t id)
{
	for (size_t i = 0; i < c->n_streams; i++)
		if (c->stream[i].id == id && !c->stream[i].closed)
			return &c->stream[i];
	return NULL;
}

static inline struct fake_stream *fake_stream(struct quic_conn *c, int64_t id)
{
	struct fake_stream *s = fake_find(c, id);

	if (s)
		return s;
	for (s = c->stream; s < c->stream + c->n_streams && !s->closed; s++)
		;
	if (s == c->stream + c->n_streams) {
		assert(c->n_streams < FAKE_STREAMS);
		c->n_streams++;
	}
	buf_fini(&s->out);
	*s = (struct fake_stream){.id = id, .credit = c->credit};
	buf_init(&s->out, 16 << 20);
	return s;
}

/* --- the calls ------------------------------------------------------------------------ */

void quic_conn_wake(struct quic_conn *c) { c->n_woken++; }
int quic_conn_move(struct quic_conn *c, unsigned to) { (void)c, (void)to; return ERR_STATE; }
void quic_conn_set_timer(struct quic_conn *c, nsec at) { c->timer = at; }
size_t quic_conn_datagram_max(const struct quic_conn *c) { return c->datagram_max; }
void quic_conn_info(const struct quic_conn *c, struct quic_conn_info *out) { *out = c->info; }
const struct quic_addr *quic_conn_peer(const struct quic_conn *c) { return &c->info.path.remote; }
nsec quic_conn_pto(const struct quic_conn *c) { return c->pto; }
void *quic_conn_user(const struct quic_conn *c) { return c->user; }
void quic_conn_set_user(struct quic_conn *c, void *user) { c->user = user; }

void quic_conn_close(struct quic_conn *c, uint64_t code)
{
	if (!c->closed)
		c->close_code = code;
	c->closed = true;
}

int quic_conn_send_datagram(struct quic_conn *c, const struct quic_vec *v, size_t n, nsec now)
{
	size_t len = 0;

	(void)now;
	for (size_t i = 0; i < n; i++)
		len += v[i].len;
	if (!len || len > c->datagram_max)
		return ERR_RANGE;
	if (c->n_datagrams == FAKE_DATAGRAMS)
		return 0;
	for (size_t i = 0, at = 0; i < n; at += v[i++].len)
		if (v[i].len)
			memcpy(c->datagram[c->n_datagrams].p + at, v[i].p, v[i].len);
	c->datagram[c->n_datagrams++].len = len;
	return 0;
}

int quic_stream_open(struct quic_conn *c, bool bidi, int64_t *id)
{
	uint64_t *next = bidi ? &c->next_bidi : &c->next_uni;

	if (*next >= c->max_streams)
		return ERR_LIMIT;
	*id = (int64_t)(*next * 4 + (bidi ? 0 : 2) + c->info.server);
	++*next;
	fake_stream(c, *id);
	return 0;
}

void quic_stream_reset(struct quic_conn *c, int64_t id, uint64_t code)
{
	struct fake_stream *s = fake_find(c, id);

	if (!s || s->reset)
		return;
	s->reset = true;
	s->reset_code = code;
}

void quic_stream_stop(struct quic_conn *c, int64_t id, uint64_t code)
{
	struct fake_stream *s = fake_find(c, id);

	if (!s || s->stopped)
		return;
	s->stopped = true;
	s->stop_code = code;
}

void quic_stream_consume(struct quic_conn *c, int64_t id, size_t len)
{
	struct fake_stream *s = fake_find(c, id);

	if (!s)
		return;
	s->consumed += len;
	assert(s->consumed <= s->in);
}

/* --- the test's side ------------------------------------------------------------------ */

static inline void fake_init(struct quic_conn *c, const struct quic_app *app, bool server)
{
	static uint64_t count;

	memset(c, 0, sizeof *c);
	c->app = app;
	c->info.server = server;
	c->info.id = ++count;
	c->info.peer_datagram_max = 65535;
	c->info.rtt_us = 10000;
	c->datagram_max = 1200;
	c->credit = SIZE_MAX;
	c->max_streams = 1000;
	c->timer = NSEC_NONE;
	c->pto = nsec_from_ms(30);
	c->now = nsec_from_s(1);
}

static inline int fake_open(struct quic_conn *c, void *ctx)
{
	int err = c->app->on_open(ctx, c, &c->user, c->now);

	if (!err)
		c->app->on_handshake(c->user, c->now);
	return err;
}

static inline void fake_fini(struct quic_conn *c, enum quic_end end)
{
	struct quic_close why = {.end = end, .app = true, .code = c->close_code};

	if (!c->gone && c->user)
		c->app->on_closed(c->user, &why, c->now);
	c->gone = true;
	for (size_t i = 0; i < c->n_streams; i++)
		buf_fini(&c->stream[i].out);
}

static inline void fake_take(struct quic_conn *c, const struct quic_send *o)
{
	struct fake_stream *s = fake_stream(c, o->id);
	size_t all = 0, want = c->piece ? c->piece : SIZE_MAX, took = 0;

	for (size_t i = 0; i < o->n; i++)
		all += o->v[i].len;
	if (s->reset) {
		c->app->data_refused(c->user, o->id);
		return;
	}
	if (want > s->credit)
		want = s->credit;
	if (all && !want) {
		c->app->data_blocked(c->user, o->id);
		return;
	}
	for (size_t i = 0; i < o->n && took < want; i++) {
		size_t n = o->v[i].len < want - took ? o->v[i].len : want - took;

		if (n && buf_append(&s->out, o->v[i].p, n))
			abort();
		took += n;
	}
	s->credit -= took;
	s->out_fin = o->fin && took == all;
	c->app->data_sent(c->user, o->id, took, s->out_fin);
}

/* Takes all that the wt has to say. */
static inline void fake_flush(struct quic_conn *c)
{
	struct quic_send o;

	for (int i = 0; i < 100000 && !c->closed; i++) {
		c->app->next_data(c->user, &o);
		if (o.id < 0)
			return;
		fake_take(c, &o);
	}
	assert(c->closed);
}

static inline void fake_ack(struct quic_conn *c)
{
	for (size_t i = 0; i < c->n_streams; i++) {
		struct fake_stream *s = &c->stream[i];

		if (s->closed || s->acked == s->out.len)
			continue;
		size_t n = s->out.len - s->acked;

		s->acked = s->out.len;
		c->app->on_stream_acked(c->user, s->id, n);
	}
}

static inline void fake_credit(struct quic_conn *c, int64_t id, size_t n)
{
	fake_stream(c, id)->credit += n;
	c->app->on_stream_credit(c->user, id);
}

/* Bytes from the peer in pieces of `piece` (0: one), a FIN with the last or after it. */
static inline void fake_feed(struct quic_conn *c, int64_t id, const void *p, size_t len, bool fin, size_t piece)
{
	const uint8_t *b = p;
	struct fake_stream *s = fake_stream(c, id);

	if (!piece || piece > len)
		piece = len;
	do {
		size_t n = len < piece ? len : piece;
		uint8_t *copy = malloc(n ? n : 1); /* of exactly this length: the sanitizer sees every access beyond */

		if (n)
			memcpy(copy, b, n);
		s->in += n;
		c->app->on_stream_data(c->user, id, copy, n, fin && n == len, c->now);
		free(copy);
		len -= n;
		b = len ? b + n : NULL;
	} while (len);
	fake_flush(c);
}

static inline void fake_close_stream(struct quic_conn *c, int64_t id, uint64_t code)
{
	struct fake_stream *s = fake_stream(c, id);

	c->app->on_stream_closed(c->user, id, code, c->now);
	s->closed = true;
}

static inline void fake_datagram(struct quic_conn *c, const void *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (len)
		memcpy(copy, p, len);
	c->app->on_datagram(c->user, copy, len, c->now);
	free(copy);
}

/* Lets time pass; the timer rings if it is due. */
static inline void fake_wait(struct quic_conn *c, nsec d)
{
	nsec end = c->now + d;

	while (!c->closed && c->timer <= end) {
		c->now = c->timer > c->now ? c->timer : c->now;
		c->timer = NSEC_NONE;
		c->app->on_timer(c->user, c->now);
	}
	c->now = end;
	if (!c->closed)
		fake_flush(c);
}
