/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "talk.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

uint8_t talk_byte(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8));
}

static struct talker *talker_new(struct world *w, bool server)
{
	struct talker *t = calloc(1, sizeof *t);

	assert_non_null(t);
	t->w = w;
	t->server = server;
	t->next = w->talkers;
	w->talkers = t;
	return t;
}

/* --- streams ------------------------------------------------------------------------------ */

static struct talk_out *out_of(struct talker *t, int64_t id)
{
	for (size_t i = 0; i < TALK_STREAMS; i++)
		if (t->out[i].used && t->out[i].id == id)
			return &t->out[i];
	return NULL;
}

static struct talk_out *out_add(struct talker *t, int64_t id, size_t len)
{
	for (size_t i = 0; i < TALK_STREAMS; i++) {
		if (t->out[i].used)
			continue;
		t->out[i] = (struct talk_out){.id = id, .len = len, .used = true};
		return &t->out[i];
	}
	fail_msg("too many streams");
	return NULL;
}

/* Every byte is a function of its place, so one pattern serves all streams. */
enum { PATTERN = 1 << 20 };
static const uint8_t *pattern(void)
{
	static uint8_t p[PATTERN];

	if (p[1] == 0)
		for (size_t i = 0; i < PATTERN; i++)
			p[i] = talk_byte(i);
	return p;
}

int64_t talk_stream(struct talker *t, bool bidi, size_t len)
{
	int64_t id;

	if (quic_stream_open(t->c, bidi, &id))
		return -1;
	assert_true(len <= PATTERN);
	out_add(t, id, len);
	quic_conn_wake(t->c);
	return id;
}

static void next_data(void *user, struct quic_send *s)
{
	struct talker *t = user;

	for (size_t i = 0; i < TALK_STREAMS; i++) {
		struct talk_out *o = &t->out[i];

		if (!o->used || o->blocked || o->refused || o->fin_sent)
			continue;
		s->id = o->id;
		s->fin = true;
		s->n = o->len > o->sent ? 2 : 0; /* in two pieces */
		size_t left = o->len - o->sent, half = left / 2;

		s->v[0] = (struct quic_vec){pattern() + o->sent, half};
		s->v[1] = (struct quic_vec){pattern() + o->sent + half, left - half};
		return;
	}
}

static void data_sent(void *user, int64_t id, size_t len, bool fin)
{
	struct talk_out *o = out_of(user, id);

	assert_non_null(o);
	o->sent += len;
	o->fin_sent |= fin;
	assert_true(o->sent <= o->len);
}

static void data_blocked(void *user, int64_t id)
{
	out_of(user, id)->blocked = true;
}

static void data_refused(void *user, int64_t id)
{
	out_of(user, id)->refused = true;
}

static void on_stream_acked(void *user, int64_t id, uint64_t len)
{
	struct talk_out *o = out_of(user, id);

	assert_non_null(o);
	o->acked += len;
	assert_true(o->acked <= o->sent);
}

static void on_stream_credit(void *user, int64_t id)
{
	struct talk_out *o = out_of(user, id);

	if (o)
		o->blocked = false;
}

static void on_stream_data(void *user, int64_t id, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct talker *t = user;
	size_t slot = (size_t)(id >> 2) % TALK_STREAMS;

	(void)now;
	for (size_t i = 0; i < len; i++)
		t->wrong |= p[i] != talk_byte(t->in_len[slot] + i);
	t->in_len[slot] += len;
	t->bytes_in += len;
	if (t->w->stingy)
		t->unread += len;
	else
		quic_stream_consume(t->c, id, len);
	if (!fin)
		return;
	t->streams_finished++;
	if (t->w->echo_streams && t->server && quic_stream_is_bidi(id)) {
		out_add(t, id, t->in_len[slot]);
		quic_conn_wake(t->c);
	}
	t->in_len[slot] = 0;
}

static void on_stream_reset(void *user, int64_t id, uint64_t code, nsec now)
{
	struct talker *t = user;

	(void)id;
	(void)now;
	t->resets++;
	t->last_code = code;
}

static void on_stream_closed(void *user, int64_t id, uint64_t code, nsec now)
{
	struct talker *t = user;
	struct talk_out *o = out_of(t, id);

	(void)now;
	(void)code;
	t->streams_closed++;
	if (o)
		o->used = false;
}

/* --- datagrams and life -------------------------------------------------------------------- */

int talk_datagram(struct talker *t, uint32_t seq, size_t len)
{
	uint8_t b[QUIC_PACKET_MAX];
	struct quic_vec v[2] = {{(const uint8_t *)&seq, sizeof seq}, {b, len - sizeof seq}};

	for (size_t i = sizeof seq; i < len; i++)
		b[i - sizeof seq] = (uint8_t)(seq + i);
	return quic_conn_send_datagram(t->c, v, 2, sim_now(t->w->sim));
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct talker *t = user;
	uint32_t seq;

	t->datagrams_in++;
	t->last_datagram_at = now;
	assert_true(len >= sizeof seq);
	memcpy(&seq, p, sizeof seq);
	for (size_t i = sizeof seq; i < len; i++)
		t->wrong |= p[i] != (uint8_t)(seq + i);
	if (seq < TALK_SEEN)
		t->seen[seq]++;
	if (t->w->echo_datagrams && t->server)
		talk_datagram(t, seq, len);
}

uint64_t talk_distinct(const struct talker *t)
{
	uint64_t n = 0;

	for (size_t i = 0; i < TALK_SEEN; i++)
		n += t->seen[i] > 0;
	return n;
}

static int on_open(void *ctx, struct quic_conn *c, void **user, nsec now)
{
	struct world *w = ctx;
	struct talker *t = *user ? *user : talker_new(w, true);

	if (w->deny_open && t->server)
		return ERR_DENIED;
	t->c = c;
	t->opened = true;
	t->opened_at = now;
	*user = t;
	return 0;
}

static void on_handshake(void *user, nsec now)
{
	struct talker *t = user;

	t->handshaken = true;
	t->handshaken_at = now;
}

static void on_timer(void *user, nsec now)
{
	(void)now;
	((struct talker *)user)->timers++;
}

static void on_closed(void *user, const struct quic_close *why, nsec now)
{
	struct talker *t = user;

	assert_false(t->closed);
	t->closed = true;
	t->closed_at = now;
	t->why = *why;
	t->c = NULL;
}

static const struct quic_app app = {
	.on_open = on_open, .on_handshake = on_handshake, .on_stream_data = on_stream_data,
	.on_stream_reset = on_stream_reset, .on_stream_acked = on_stream_acked,
	.on_stream_credit = on_stream_credit, .on_stream_closed = on_stream_closed, .on_datagram = on_datagram,
	.next_data = next_data, .data_sent = data_sent, .data_blocked = data_blocked, .data_refused = data_refused,
	.on_timer = on_timer, .on_closed = on_closed,
};

/* --- the world ----------------------------------------------------------------------------- */

void world_init(struct world *w, uint64_t seed)
{
	static const char *const names[] = {"localhost", "10.0.0.1"};

	memset(w, 0, sizeof *w);
	w->sim = sim_new(seed);
	w->sn = sim_node(w->sim, "10.0.0.1", 4433);
	w->cn = sim_node(w->sim, "10.1.0.1", 50000);
	quic_opts_default(&w->so);
	quic_opts_default(&w->co);
	w->so.reset_secret[0] = 1;
	assert_int_equal(quic_cert_make(names, 2, 10, 1000000, &w->cert), 0);
	assert_int_equal(quic_tls_server(&w->cert, NULL, &w->st), 0);
	struct quic_tls_client_opts o = {.sha256 = w->cert.info.sha256};

	assert_int_equal(quic_tls_client(&o, &w->ct), 0);
}

static void start_server(struct world *w)
{
	struct quic_out out = sim_out(w->sn);

	assert_int_equal(quic_endpoint_new(&w->so, &out, &app, w, w->st, NULL, &w->se), 0);
	sim_attach(w->sn, w->se);
}

void world_start(struct world *w)
{
	struct quic_out out = sim_out(w->cn);

	start_server(w);
	assert_int_equal(quic_endpoint_new(&w->co, &out, &app, w, NULL, NULL, &w->ce), 0);
	sim_attach(w->cn, w->ce);
}

void world_replace_server(struct world *w)
{
	sim_attach(w->sn, NULL);
	quic_endpoint_free(w->se);
	start_server(w);
}

void world_end(struct world *w)
{
	quic_endpoint_free(w->ce);
	quic_endpoint_free(w->se);
	quic_tls_unref(w->st);
	quic_tls_unref(w->ct);
	quic_cert_free(&w->cert);
	while (w->talkers) {
		struct talker *t = w->talkers;

		w->talkers = t->next;
		assert_true(t->closed || !t->opened);
		assert_false(t->wrong);
		free(t);
	}
	sim_free(w->sim);
}

struct talker *world_connect(struct world *w)
{
	const struct quic_path path = sim_path(w->cn, w->sn);

	return world_connect_from(w, &path.local);
}

struct talker *world_connect_from(struct world *w, const struct quic_addr *local)
{
	struct talker *t = talker_new(w, false);
	struct quic_path path = sim_path(w->cn, w->sn);

	path.local = *local;
	assert_int_equal(quic_endpoint_connect(w->ce, w->ct, &path, "localhost", sim_now(w->sim), &t->c), 0);
	quic_conn_set_user(t->c, t);
	return t;
}

struct talker *world_server(struct world *w)
{
	for (struct talker *t = w->talkers; t; t = t->next)
		if (t->server)
			return t;
	return NULL;
}

static bool joined(void *ctx)
{
	struct talker *t = ctx, *s = world_server(t->w);

	return t->closed || (t->handshaken && s && s->handshaken);
}

struct talker *world_join(struct world *w, nsec limit)
{
	struct talker *t = world_connect(w);

	assert_true(sim_run(w->sim, joined, t, limit));
	assert_true(t->handshaken);
	return t;
}

void world_run(struct world *w, nsec time)
{
	sim_run(w->sim, NULL, NULL, time);
}
