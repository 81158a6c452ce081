/* SPDX-License-Identifier: MIT */
/* WebTransport between a client and a server over QUIC, on a simulated network. */
#include "support/test.h"

#include "base/cursor.h"
#include "base/err.h"
#include "support/h3_raw.h"
#include "support/sim.h"
#include "wt/wt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 256, NUMBERS = 4096 };

/* One end of a session, at the server or at the client. */
struct side {
	struct net *net;
	bool server, open, closed;
	unsigned status; /* of the answer */
	struct wt_session *s;
	struct wt_stream *stream;
	struct wt_close why;
	char reason[64], origin[64], path[128], agent[64];
	nsec opened_at, closed_at;
	uint64_t datagrams, streams, stream_bytes, fins, gone;
	uint8_t seen[NUMBERS];
	size_t to_send, sent; /* of a long stream of ours */
	bool wrong;
};

struct net {
	struct sim *sim;
	struct sim_node *sn, *cn;
	struct quic_endpoint *se, *ce;
	struct quic_tls *st, *ct;
	struct quic_cert cert;
	struct quic_opts so, co;
	struct wt_opts wo;
	struct wt *sw, *cw;
	struct side side[SIDES];
	size_t n_sides;
	bool echo;
	unsigned answer;
	const uint8_t *page;
	size_t page_len;
	bool page_static;
};

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 13 + (i >> 8) * 7);
}

static struct side *side_new(struct net *n, bool server)
{
	assert_true(n->n_sides < SIDES);
	struct side *d = &n->side[n->n_sides++];

	d->net = n;
	d->server = server;
	return d;
}

/* --- the application ------------------------------------------------------------------ */

static unsigned on_connect(void *ctx, struct wt_session *s, const struct http_request *req, struct http_response *res,
	void **user, nsec now)
{
	struct net *n = ctx;

	(void)res;
	if (strncmp(req->path, "/audio", 6) != 0)
		return 404;
	if (n->answer != 200)
		return n->answer;
	struct side *d = side_new(n, true);

	d->s = s;
	d->open = true;
	d->opened_at = now;
	snprintf(d->origin, sizeof d->origin, "%s", req->origin ? req->origin : "");
	snprintf(d->path, sizeof d->path, "%s?%s", req->path, req->query);
	*user = d;
	return 200;
}

static void on_request(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct net *n = ctx;

	(void)req;
	*res = (struct http_response){.status = 200, .content_type = "text/html", .body = n->page, .len = n->page_len,
		.static_body = n->page_static};
}

static void on_answer(void *user, struct wt_session *s, unsigned status, nsec now)
{
	struct side *d = user;

	d->status = status;
	d->open = status == 200;
	d->s = d->open ? s : NULL;
	if (!d->open)
		snprintf(d->reason, sizeof d->reason, "%s", wt_session_refusal(s));
	d->opened_at = now;
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct side *d = user;
	uint32_t number;

	d->datagrams++;
	assert_true(len >= sizeof number);
	memcpy(&number, p, sizeof number);
	if (number < NUMBERS)
		d->seen[number]++;
	if (d->server && d->net->echo)
		wt_session_send(d->s, p, 2, p + 2, len - 2, now);
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	struct side *d = user;

	(void)now;
	d->streams++;
	d->stream = st;
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct side *d = user;

	for (size_t i = 0; i < len; i++)
		d->wrong |= p[i] != byte_at(d->stream_bytes + i);
	d->stream_bytes += len;
	d->fins += fin;
	if (d->server && d->net->echo && wt_stream_is_bidi(st))
		assert_int_equal(wt_stream_send(st, p, len, fin, now), 0);
}

/* Sends on the side's long stream what there is room for. */
static void push(struct side *d, nsec now)
{
	uint8_t b[3000];

	while (d->sent < d->to_send) {
		size_t left = d->to_send - d->sent, n = left < sizeof b ? left : sizeof b;

		for (size_t i = 0; i < n; i++)
			b[i] = byte_at(d->sent + i);
		int err = wt_stream_send(d->stream, b, n, n == left, now);

		if (err == ERR_LIMIT)
			return;
		assert_int_equal(err, 0);
		d->sent += n;
	}
}

static void on_stream_sent(void *user, struct wt_stream *st, nsec now)
{
	struct side *d = user;

	if (st == d->stream && !d->net->echo)
		push(d, now);
	else if (st == d->stream && !d->server)
		push(d, now);
}

static void on_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	struct side *d = user;

	(void)now;
	d->gone++;
	if (d->stream == st)
		d->stream = NULL;
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	struct side *d = user;

	assert_false(d->closed);
	d->closed = true;
	d->open = false;
	d->s = NULL;
	d->why = *why;
	d->closed_at = now;
	snprintf(d->reason, sizeof d->reason, "%s", why->reason);
}

static const struct wt_app app = {
	.on_connect = on_connect,
	.on_answer = on_answer,
	.on_datagram = on_datagram,
	.on_stream = on_stream,
	.on_stream_data = on_stream_data,
	.on_stream_sent = on_stream_sent,
	.on_stream_closed = on_stream_closed,
	.on_closed = on_closed,
};

/* --- the world ------------------------------------------------------------------------ */

static struct net *net_new(uint64_t seed, const struct sim_link *link)
{
	static const char *const names[] = {"localhost"};
	struct net *n = calloc(1, sizeof *n);

	n->sim = sim_new(seed);
	n->sn = sim_node(n->sim, "10.0.0.1", 4433);
	n->cn = sim_node(n->sim, "10.1.0.1", 50000);
	if (link)
		sim_both(n->cn, link);
	quic_opts_default(&n->so);
	quic_opts_default(&n->co);
	wt_opts_default(&n->wo);
	n->answer = 200;
	assert_int_equal(quic_cert_make(names, 1, 10, 1000000, &n->cert), 0);
	assert_int_equal(quic_tls_server(&n->cert, NULL, &n->st), 0);
	struct quic_tls_client_opts o = {.sha256 = n->cert.info.sha256};

	assert_int_equal(quic_tls_client(&o, &n->ct), 0);
	return n;
}

static void net_start(struct net *n)
{
	struct quic_out out = sim_out(n->sn);

	static const struct log_out err = {.fd = 2, .level = LOG_DEBUG};
	struct log log = {.out = getenv("MYNAH_TEST_LOG") ? &err : NULL};

	assert_int_equal(wt_new(&n->wo, &app, n, &log, &n->sw), 0);
	wt_on_request(n->sw, on_request, n);
	assert_int_equal(quic_endpoint_new(&n->so, &out, wt_quic_app(), n->sw, n->st, &log, &n->se), 0);
	wt_attach(n->sw, n->se);
	sim_attach(n->sn, n->se);
	out = sim_out(n->cn);
	assert_int_equal(wt_new(&n->wo, &app, n, &log, &n->cw), 0);
	assert_int_equal(quic_endpoint_new(&n->co, &out, wt_quic_app(), n->cw, NULL, &log, &n->ce), 0);
	wt_attach(n->cw, n->ce);
	sim_attach(n->cn, n->ce);
}

static struct net *net_make(uint64_t seed, const struct sim_link *link)
{
	struct net *n = net_new(seed, link);

	net_start(n);
	return n;
}

static void net_free(struct net *n)
{
	quic_endpoint_free(n->ce);
	quic_endpoint_free(n->se);
	for (size_t i = 0; i < n->n_sides; i++) {
		struct side *d = &n->side[i];

		assert_false(d->wrong);
		assert_true(d->closed || (!d->server && d->status && d->status != 200));
	}
	assert_int_equal(wt_stats(n->sw)->sessions, 0);
	assert_int_equal(wt_stats(n->sw)->sessions_opened, wt_stats(n->sw)->sessions_closed);
	wt_free(n->sw);
	wt_free(n->cw);
	quic_tls_unref(n->st);
	quic_tls_unref(n->ct);
	quic_cert_free(&n->cert);
	sim_free(n->sim);
	free(n);
}

static void run_ms(struct net *n, uint64_t ms)
{
	sim_run(n->sim, NULL, NULL, nsec_from_ms(ms));
}

static struct side *dial(struct net *n, const char *path, const char *origin)
{
	struct side *d = side_new(n, false);
	struct quic_path way = sim_path(n->cn, n->sn);
	struct quic_conn *c;

	assert_int_equal(quic_endpoint_connect(n->ce, n->ct, &way, "localhost", sim_now(n->sim), &c), 0);
	assert_int_equal(wt_client_connect(n->cw, c, "localhost:4433", path, origin, d), 0);
	assert_int_equal(wt_client_connect(n->cw, c, "localhost:4433", path, origin, d), ERR_EXISTS);
	return d;
}

static bool answered(void *ctx)
{
	struct side *d = ctx;

	return d->status || d->closed;
}

static struct side *join(struct net *n)
{
	struct side *d = dial(n, "/audio?room=a", NULL);

	assert_true(sim_run(n->sim, answered, d, nsec_from_s(10)));
	if (!d->open)
		fail_msg("no session: status=%u end=%d reason=%s conn=%s app=%d code=0x%llx", d->status, d->why.end, d->reason,
			quic_end_name(d->why.conn.end), d->why.conn.app, (unsigned long long)d->why.conn.code);
	return d;
}

/* The server's side of the session that opened last. */
static struct side *server_side(struct net *n)
{
	for (size_t i = n->n_sides; i-- > 0;)
		if (n->side[i].server)
			return &n->side[i];
	return NULL;
}

static bool both_gone(void *ctx)
{
	struct net *n = ctx;

	return !quic_endpoint_stats(n->se)->conns && !quic_endpoint_stats(n->ce)->conns;
}

static int send_number(struct side *d, uint32_t number, size_t len)
{
	uint8_t b[1500] = {0};

	return wt_session_send(d->s, &number, sizeof number, b, len - sizeof number, sim_now(d->net->sim));
}

static size_t distinct(const struct side *d)
{
	size_t n = 0;

	for (size_t i = 0; i < NUMBERS; i++)
		n += d->seen[i] > 0;
	return n;
}

/* --- sessions ------------------------------------------------------------------------- */

TEST(a_session_takes_two_round_trips)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_make(1, &l);
	nsec began = sim_now(n->sim);
	struct side *d = join(n);

	assert_in_range(d->opened_at - began, nsec_from_ms(80), nsec_from_ms(90));
	assert_in_range(server_side(n)->opened_at - began, nsec_from_ms(60), nsec_from_ms(68));
	assert_true(wt_session_datagram_max(d->s) >= 1100);
	net_free(n);
}

TEST(datagrams_flow_both_ways_over_a_bad_path)
{
	struct sim_link l = {.delay_us = 20000, .jitter_us = 5000, .loss = 0.05, .reorder = 0.02, .duplicate = 0.01};

	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct net *n = net_make(seed, &l);
		struct side *d;

		n->echo = true;
		d = join(n);
		for (uint32_t i = 0; i < 500; i++) {
			assert_int_equal(send_number(d, i, 642), 0);
			run_ms(n, 20);
		}
		run_ms(n, 300);
		assert_in_range(server_side(n)->datagrams, 440, 505);
		assert_in_range(distinct(d), 400, 499);
		assert_int_equal(wt_stats(n->sw)->datagrams_unknown, 0);
		assert_int_equal(wt_stats(n->sw)->protocol_errors, 0);
		net_free(n);
	}
}

TEST(a_server_sends_no_datagram_before_its_answer_is_confirmed)
{
	struct sim_link l = {.delay_us = 50000};
	struct net *n = net_make(3, &l);

	dial(n, "/audio", NULL);
	while (!server_side(n))
		run_ms(n, 1);
	struct side *d = server_side(n);

	run_ms(n, 90);
	assert_int_equal(send_number(d, 1, 100), ERR_STATE);
	run_ms(n, 60);
	assert_int_equal(send_number(d, 2, 100), 0);
	run_ms(n, 100);
	assert_int_equal(n->side[0].seen[2], 1);
	net_free(n);
}

/* Who closes, with what; the other side must hear exactly that, and both connections end. */
static void close_with(struct net *n, bool by_server, uint32_t code, const char *reason, nsec limit)
{
	struct side *c = join(n), *s = server_side(n), *from = by_server ? s : c, *to = by_server ? c : s;

	run_ms(n, 100);
	wt_session_close(from->s, code, reason, sim_now(n->sim));
	assert_int_equal(from->why.end, WT_END_LOCAL);
	assert_true(sim_run(n->sim, both_gone, n, limit));
	assert_true(from->closed && to->closed);
	assert_int_equal(to->why.end, WT_END_PEER);
	assert_int_equal(to->why.code, code);
	assert_string_equal(to->reason, reason);
}

TEST(a_close_arrives_with_code_and_reason)
{
	struct sim_link good = {.delay_us = 10000}, bad = {.delay_us = 20000, .loss = 0.1};

	for (uint64_t seed = 1; seed <= 16; seed++) {
		struct net *n = net_make(seed, seed % 2 ? &good : &bad);

		close_with(n, seed & 4, (uint32_t)(seed * 1000003), seed & 8 ? "" : "bye", nsec_from_s(40));
		net_free(n);
	}
}

TEST(connections_end_soon_after_the_session)
{
	struct sim_link l = {.delay_us = 20000};

	for (int by_server = 0; by_server < 2; by_server++) {
		struct net *n = net_make(7, &l);

		close_with(n, by_server, 1, "x", nsec_from_ms(500));
		net_free(n);
	}
}

TEST(a_long_reason_arrives_cut)
{
	struct net *n = net_make(8, NULL);
	struct side *c = join(n), *s = server_side(n);
	char reason[3000];

	memset(reason, 'z', sizeof reason);
	reason[sizeof reason - 1] = 0;
	wt_session_close(c->s, 5, reason, sim_now(n->sim));
	assert_true(sim_run(n->sim, both_gone, n, nsec_from_s(2)));
	assert_int_equal(s->why.end, WT_END_PEER);
	assert_int_equal(s->why.code, 5);
	assert_int_equal(strlen(s->reason), 63);
	net_free(n);
}

TEST(both_may_close_at_once)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_make(9, &l);
	struct side *c = join(n), *s = server_side(n);

	run_ms(n, 100);
	wt_session_close(c->s, 1, "c", sim_now(n->sim));
	wt_session_close(s->s, 2, "s", sim_now(n->sim));
	assert_true(sim_run(n->sim, both_gone, n, nsec_from_s(2)));
	assert_int_equal(c->why.end, WT_END_LOCAL);
	assert_int_equal(s->why.end, WT_END_LOCAL);
	assert_int_equal(wt_stats(n->sw)->protocol_errors, 0);
	net_free(n);
}

TEST(a_client_that_vanishes_is_forgotten)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_new(10, &l);
	struct side *s;

	n->so.idle_timeout_ms = 5000;
	net_start(n);
	join(n);
	s = server_side(n);
	sim_attach(n->cn, NULL);
	nsec began = sim_now(n->sim);

	while (!s->closed && sim_now(n->sim) < began + nsec_from_s(60))
		run_ms(n, 100);
	assert_true(s->closed);
	assert_int_equal(s->why.end, WT_END_CONN);
	assert_int_equal(s->why.conn.end, QUIC_END_IDLE);
	assert_true(s->closed_at - began < nsec_from_s(16));
	assert_int_equal(quic_endpoint_stats(n->se)->conns, 0);
	net_free(n);
}

TEST(a_server_that_vanishes_is_noticed)
{
	struct net *n = net_new(11, NULL);
	struct side *c;

	n->co.idle_timeout_ms = 5000;
	net_start(n);
	c = join(n);
	sim_attach(n->sn, NULL);
	run_ms(n, 20000);
	assert_true(c->closed);
	assert_int_equal(c->why.end, WT_END_CONN);
	net_free(n);
}

TEST(a_lost_connection_ends_the_session)
{
	struct net *n = net_make(12, NULL);
	struct side *c = join(n), *s = server_side(n);
	struct quic_conn_info info;

	wt_session_info(c->s, &info);
	assert_true(info.handshake_done && !info.server);
	quic_endpoint_free(n->ce); /* without a packet; the server learns it by a stateless reset or silence */
	assert_true(c->closed);
	assert_int_equal(c->why.end, WT_END_CONN);
	sim_attach(n->cn, NULL);
	n->ce = NULL;
	run_ms(n, 60000);
	assert_true(s->closed);
	net_free(n);
}

TEST(a_silent_session_stays)
{
	struct sim_link l = {.delay_us = 20000, .loss = 0.05};
	struct net *n = net_make(13, &l);
	struct side *c = join(n), *s = server_side(n);

	run_ms(n, 600000);
	assert_true(c->open && s->open);
	assert_int_equal(send_number(c, 7, 100), 0);
	assert_int_equal(send_number(s, 7, 100), 0);
	net_free(n);
}

/* --- refusals ------------------------------------------------------------------------- */

TEST(a_wrong_path_is_a_404_and_no_connection_stays)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_make(20, &l);
	struct side *c = dial(n, "/wrong", NULL);

	assert_true(sim_run(n->sim, answered, c, nsec_from_s(5)));
	assert_int_equal(c->status, 404);
	assert_string_equal(c->reason, "not found");
	assert_true(sim_run(n->sim, both_gone, n, nsec_from_s(1)));
	assert_false(c->closed);
	assert_int_equal(wt_stats(n->sw)->refused, 1);
	assert_int_equal(wt_stats(n->sw)->sessions_opened, 0);
	net_free(n);
}

TEST(every_status_arrives)
{
	static const unsigned statuses[] = {400, 401, 403, 405, 429, 500, 503, 599};
	struct sim_link l = {.delay_us = 5000, .loss = 0.05};
	struct net *n = net_make(21, &l);

	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		n->answer = statuses[i];
		struct side *c = dial(n, "/audio", NULL);

		assert_true(sim_run(n->sim, answered, c, nsec_from_s(10)));
		assert_int_equal(c->status, statuses[i]);
	}
	net_free(n);
}

TEST(the_origin_reaches_the_application)
{
	struct net *n = net_make(22, NULL);
	struct side *c = dial(n, "/audio?room=x&name=J%C3%BCrg", "https://voice.example.com:8443");

	assert_true(sim_run(n->sim, answered, c, nsec_from_s(5)));
	assert_string_equal(server_side(n)->origin, "https://voice.example.com:8443");
	assert_string_equal(server_side(n)->path, "/audio?room=x&name=J%C3%BCrg");
	net_free(n);
}

TEST(a_certificate_other_than_the_pinned_one_is_refused)
{
	struct net *n = net_new(23, NULL);
	uint8_t other[32] = {1};
	struct quic_tls_client_opts o = {.sha256 = other};

	quic_tls_unref(n->ct);
	assert_int_equal(quic_tls_client(&o, &n->ct), 0);
	net_start(n);
	struct side *c = dial(n, "/audio", NULL);

	assert_true(sim_run(n->sim, answered, c, nsec_from_s(20)));
	assert_true(c->closed);
	assert_int_equal(c->why.end, WT_END_CONN);
	assert_int_equal(c->why.conn.end, QUIC_END_HANDSHAKE);
	run_ms(n, 20000);
	net_free(n);
}

TEST(a_missing_server_is_an_end)
{
	struct net *n = net_make(24, NULL);
	struct side *c;

	sim_attach(n->sn, NULL);
	c = dial(n, "/audio", NULL);
	assert_true(sim_run(n->sim, answered, c, nsec_from_s(30)));
	assert_true(c->closed);
	assert_int_equal(c->why.end, WT_END_CONN);
	net_free(n);
}

TEST(draining_refuses_new_sessions_and_keeps_old_ones)
{
	struct sim_link l = {.delay_us = 10000};
	struct net *n = net_make(25, &l);
	struct side *c = join(n), *s = server_side(n), *late;

	n->echo = true;
	wt_drain(n->sw);
	run_ms(n, 100);
	assert_int_equal(send_number(c, 1, 100), 0);
	run_ms(n, 100);
	assert_int_equal(c->seen[1], 1);
	late = dial(n, "/audio", NULL);
	assert_true(sim_run(n->sim, answered, late, nsec_from_s(5)));
	assert_int_equal(late->status, 503);
	wt_session_close(s->s, 0, "shutting down", sim_now(n->sim));
	assert_true(sim_run(n->sim, both_gone, n, nsec_from_s(2)));
	assert_string_equal(c->reason, "shutting down");
	net_free(n);
}

/* --- streams -------------------------------------------------------------------------- */

static bool echoed(void *ctx)
{
	struct side *d = ctx;

	return d->fins > 0 || d->closed;
}

TEST(a_long_stream_echoes_over_a_bad_path)
{
	struct sim_link l = {.delay_us = 15000, .loss = 0.03, .reorder = 0.02};

	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct net *n = net_new(seed, &l);
		struct side *c;

		n->wo.stream_send_bytes = 200000; /* the echo keeps pace with the window, not with its buffer */
		net_start(n);
		n->echo = true;
		c = join(n);
		c->to_send = 150000;
		assert_int_equal(wt_stream_open(c->s, true, &c->stream), 0);
		push(c, sim_now(n->sim));
		assert_true(sim_run(n->sim, echoed, c, nsec_from_s(60)));
		assert_int_equal(c->stream_bytes, 150000);
		assert_int_equal(server_side(n)->stream_bytes, 150000);
		run_ms(n, 2000);
		assert_int_equal(c->gone, 1);
		assert_int_equal(server_side(n)->gone, 1);
		net_free(n);
	}
}

TEST(a_stream_longer_than_every_buffer_arrives)
{
	struct sim_link l = {.delay_us = 10000, .loss = 0.01};

	for (int bidi = 0; bidi < 2; bidi++) {
		struct net *n = net_make(31, &l);
		struct side *c = join(n), *s = server_side(n);

		c->to_send = 1000000;
		assert_int_equal(wt_stream_open(c->s, bidi, &c->stream), 0);
		push(c, sim_now(n->sim));
		assert_true(c->sent <= 65536);
		assert_true(sim_run(n->sim, echoed, s, nsec_from_s(60)));
		assert_int_equal(s->stream_bytes, 1000000);
		net_free(n);
	}
}

TEST(the_server_may_open_streams_too)
{
	struct net *n = net_make(32, NULL);
	struct side *c = join(n), *s = server_side(n);

	s->to_send = 100000;
	assert_int_equal(wt_stream_open(s->s, false, &s->stream), 0);
	push(s, sim_now(n->sim));
	assert_true(sim_run(n->sim, echoed, c, nsec_from_s(20)));
	assert_int_equal(c->stream_bytes, 100000);
	c->stream_bytes = 0;
	c->fins = 0;
	s->to_send = 5000;
	s->sent = 0;
	assert_int_equal(wt_stream_open(s->s, true, &s->stream), 0);
	push(s, sim_now(n->sim));
	assert_true(sim_run(n->sim, echoed, c, nsec_from_s(20)));
	assert_int_equal(c->stream_bytes, 5000);
	net_free(n);
}

TEST(streams_without_end_come_and_go)
{
	struct sim_link l = {.delay_us = 5000};
	struct net *n = net_make(33, &l);
	struct side *c = join(n), *s = server_side(n);
	struct wt_stream *st;

	for (int i = 0; i < 300; i++) { /* far beyond the limit of streams at once */
		s->stream_bytes = 0;
		assert_int_equal(wt_stream_open(c->s, i % 2, &st), 0);
		assert_int_equal(wt_stream_send(st, "\x00\x0d", 2, true, sim_now(n->sim)), 0);
		run_ms(n, 50);
		if (i % 2)
			assert_int_equal(wt_stream_send(s->stream, NULL, 0, true, sim_now(n->sim)), 0);
		run_ms(n, 50);
	}
	assert_int_equal(s->streams, 300);
	assert_int_equal(s->gone, 300);
	assert_int_equal(c->gone, 300);
	assert_int_equal(wt_stats(n->sw)->streams_rejected, 0);
	net_free(n);
}

TEST(aborts_reach_the_other_side)
{
	struct sim_link l = {.delay_us = 5000};
	struct net *n = net_make(34, &l);
	struct side *c = join(n), *s = server_side(n);

	c->to_send = 1000;
	assert_int_equal(wt_stream_open(c->s, true, &c->stream), 0);
	c->to_send = 2000;
	c->sent = 0;
	assert_int_equal(wt_stream_send(c->stream, "\x00\x0d", 2, false, sim_now(n->sim)), 0);
	run_ms(n, 100);
	assert_int_equal(s->streams, 1);
	wt_stream_abort(s->stream, 7, sim_now(n->sim));
	run_ms(n, 200);
	assert_int_equal(s->gone, 1);
	assert_int_equal(c->gone, 1);
	assert_true(c->open && s->open);
	net_free(n);
}

TEST(streams_end_with_their_session)
{
	struct sim_link l = {.delay_us = 5000};
	struct net *n = net_make(35, &l);
	struct side *c = join(n), *s = server_side(n);

	for (int i = 0; i < 5; i++) {
		struct wt_stream *st;

		assert_int_equal(wt_stream_open(c->s, true, &st), 0);
		if (i == 0)
			assert_int_equal(wt_stream_send(st, "\x00", 1, false, sim_now(n->sim)), 0);
	}
	run_ms(n, 100);
	assert_int_equal(s->streams, 5);
	wt_session_close(c->s, 0, "", sim_now(n->sim));
	assert_int_equal(c->gone, 5);
	run_ms(n, 100);
	assert_true(s->closed);
	assert_int_equal(s->gone, 5);
	net_free(n);
}

/* --- many ----------------------------------------------------------------------------- */

TEST(a_hundred_sessions_come_and_go)
{
	struct sim_link l = {.delay_us = 10000, .loss = 0.02};
	struct net *n = net_new(40, &l);

	n->so.max_conns_per_addr = 1000;
	net_start(n);
	n->echo = true;
	for (int round = 0; round < 4; round++) {
		struct side *c[25];

		for (int i = 0; i < 25; i++)
			c[i] = dial(n, "/audio", NULL);
		run_ms(n, 5000);
		for (int i = 0; i < 25; i++) {
			assert_true(c[i]->open);
			send_number(c[i], 1, 200);
			assert_int_equal(wt_stream_open(c[i]->s, true, &c[i]->stream), 0);
			c[i]->to_send = 1000;
			push(c[i], sim_now(n->sim));
		}
		run_ms(n, 2000);
		for (int i = 0; i < 25; i++) {
			assert_int_equal(c[i]->stream_bytes, 1000);
			wt_session_close(c[i]->s, (uint32_t)i, "round", sim_now(n->sim));
		}
		assert_true(sim_run(n->sim, both_gone, n, nsec_from_s(60)));
	}
	assert_int_equal(wt_stats(n->sw)->sessions_opened, 100);
	assert_int_equal(wt_stats(n->sw)->sessions_closed, 100);
	assert_int_equal(wt_stats(n->cw)->sessions_opened, 100);
	net_free(n);
}

/* --- a client without any HTTP/3 library ---------------------------------------------- */

enum { RAW_STREAMS = 8 };

struct raw {
	struct net *net;
	struct quic_conn *c;
	struct quic_endpoint *ep;
	struct sim_node *node;
	bool open, closed;
	struct quic_close why;
	int64_t control;
	struct raw_stream {
		int64_t id;
		struct buf out, in;
		size_t sent;
		bool fin, fin_sent, got_fin, reset, blocked;
		uint64_t code;
	} s[RAW_STREAMS];
	size_t n;
	uint64_t datagrams;
};

static struct raw_stream *raw_find(struct raw *r, int64_t id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->s[i].id == id)
			return &r->s[i];
	return NULL;
}

static struct raw_stream *raw_add(struct raw *r, int64_t id)
{
	struct raw_stream *s = &r->s[r->n++];

	assert_true(r->n <= RAW_STREAMS);
	*s = (struct raw_stream){.id = id};
	buf_init(&s->out, 4 << 20);
	buf_init(&s->in, 4 << 20);
	return s;
}

static int raw_on_open(void *ctx, struct quic_conn *c, void **user, nsec now)
{
	struct raw *r = ctx;

	(void)now;
	*user = r;
	r->open = true;
	int err = quic_stream_open(c, false, &r->control);

	raw_client_settings(&raw_add(r, r->control)->out);
	quic_conn_wake(c);
	return err;
}

static void raw_on_handshake(void *user, nsec now) { (void)user, (void)now; }

static void raw_on_stream_data(void *user, int64_t id, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct raw *r = user;
	struct raw_stream *s = raw_find(r, id);

	(void)now;
	if (!s)
		s = raw_add(r, id);
	raw_bytes(&s->in, p, len);
	s->got_fin |= fin;
	quic_stream_consume(r->c, id, len);
}

static void raw_on_reset(void *user, int64_t id, uint64_t code, nsec now)
{
	struct raw_stream *s = raw_find(user, id);

	(void)now;
	if (!s)
		return;
	s->reset = true;
	s->code = code;
}

static void raw_on_acked(void *user, int64_t id, uint64_t len) { (void)user, (void)id, (void)len; }
static void raw_on_credit(void *user, int64_t id)
{
	struct raw_stream *s = raw_find(user, id);

	if (s)
		s->blocked = false;
}
static void raw_on_stream_closed(void *user, int64_t id, uint64_t code, nsec now)
{
	(void)user, (void)id, (void)code, (void)now;
}
static void raw_on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	(void)p, (void)len, (void)now;
	((struct raw *)user)->datagrams++;
}

static void raw_next_data(void *user, struct quic_send *out)
{
	struct raw *r = user;

	out->id = -1;
	for (size_t i = 0; i < r->n; i++) {
		struct raw_stream *s = &r->s[i];

		if (s->blocked || (s->sent == s->out.len && (!s->fin || s->fin_sent)))
			continue;
		out->id = s->id;
		out->n = 1;
		out->v[0] = (struct quic_vec){s->out.p + s->sent, s->out.len - s->sent};
		out->fin = s->fin;
		return;
	}
}

static void raw_data_sent(void *user, int64_t id, size_t len, bool fin)
{
	struct raw_stream *s = raw_find(user, id);

	s->sent += len;
	s->fin_sent |= fin;
}

static void raw_data_blocked(void *user, int64_t id) { raw_find(user, id)->blocked = true; }
static void raw_data_refused(void *user, int64_t id) { raw_find(user, id)->blocked = true; }
static void raw_on_timer(void *user, nsec now) { (void)user, (void)now; }

static void raw_on_closed(void *user, const struct quic_close *why, nsec now)
{
	struct raw *r = user;

	(void)now;
	r->closed = true;
	r->why = *why;
}

static const struct quic_app raw_app = {
	.on_open = raw_on_open, .on_handshake = raw_on_handshake, .on_stream_data = raw_on_stream_data,
	.on_stream_reset = raw_on_reset, .on_stream_acked = raw_on_acked,
	.on_stream_credit = raw_on_credit, .on_stream_closed = raw_on_stream_closed, .on_datagram = raw_on_datagram,
	.next_data = raw_next_data, .data_sent = raw_data_sent, .data_blocked = raw_data_blocked,
	.data_refused = raw_data_refused, .on_timer = raw_on_timer, .on_closed = raw_on_closed,
};

static bool raw_is_open(void *ctx)
{
	return ((struct raw *)ctx)->open;
}

static struct raw *raw_new(struct net *n)
{
	struct raw *r = calloc(1, sizeof *r);
	struct sim_node *node = sim_node(n->sim, "10.2.0.1", 40000);
	struct quic_out out = sim_out(node);
	struct quic_path way = sim_path(node, n->sn);

	r->net = n;
	r->node = node;
	sim_both(node, sim_up(n->cn));
	assert_int_equal(quic_endpoint_new(&n->co, &out, &raw_app, r, NULL, NULL, &r->ep), 0);
	sim_attach(node, r->ep);
	assert_int_equal(quic_endpoint_connect(r->ep, n->ct, &way, "localhost", sim_now(n->sim), &r->c), 0);
	assert_true(sim_run(n->sim, raw_is_open, r, nsec_from_s(5)));
	return r;
}

static void raw_free(struct raw *r)
{
	sim_attach(r->node, NULL);
	quic_endpoint_free(r->ep);
	for (size_t i = 0; i < r->n; i++) {
		buf_fini(&r->s[i].out);
		buf_fini(&r->s[i].in);
	}
	free(r);
}

static struct raw_stream *raw_open(struct raw *r, bool bidi)
{
	int64_t id;

	assert_int_equal(quic_stream_open(r->c, bidi, &id), 0);
	return raw_add(r, id);
}

/* Bytes of all DATA frames of a stream; the statuses of HEADERS are the unit test's matter. */
static size_t raw_body(const struct raw_stream *s, bool *wrong)
{
	struct cursor c = cursor_of(s->in.p, s->in.len);
	size_t total = 0;

	while (cursor_left(&c)) {
		uint64_t type = cursor_varint(&c), len = cursor_varint(&c);
		const uint8_t *p = cursor_bytes(&c, len);

		if (!p) {
			*wrong = true;
			return total;
		}
		for (size_t i = 0; type == 0 && i < len; i++)
			*wrong |= p[i] != byte_at(total + i);
		total += type == 0 ? len : 0;
	}
	return total;
}

TEST(a_page_larger_than_every_window_is_served)
{
	struct sim_link l = {.delay_us = 10000, .loss = 0.02};
	static uint8_t page[1 << 20];

	for (size_t i = 0; i < sizeof page; i++)
		page[i] = byte_at(i);
	for (int is_static = 0; is_static < 2; is_static++) {
		struct net *n = net_make(50, &l);
		struct raw *r = raw_new(n);
		struct raw_stream *get = raw_open(r, true), *head = raw_open(r, true);
		bool wrong = false;

		n->page = page;
		n->page_len = sizeof page;
		n->page_static = is_static;
		raw_headers(&get->out, (const char *const[]){":method", "GET", ":scheme", "https", ":authority", "a", ":path",
					       "/app.js", NULL});
		raw_headers(&head->out, (const char *const[]){":method", "HEAD", ":scheme", "https", ":authority", "a",
						":path", "/app.js", NULL});
		get->fin = head->fin = true;
		quic_conn_wake(r->c);
		run_ms(n, 20000);
		assert_true(get->got_fin && head->got_fin);
		assert_int_equal(raw_body(get, &wrong), sizeof page);
		assert_false(wrong);
		assert_int_equal(raw_body(head, &wrong), 0);
		assert_int_equal(wt_stats(n->sw)->requests, 2);
		run_ms(n, 12000); /* then nothing is asked */
		assert_true(r->closed);
		assert_int_equal(r->why.code, 0x100);
		raw_free(r);
		net_free(n);
	}
}

TEST(streams_and_datagrams_that_overtake_their_session_are_kept)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_make(51, &l);
	struct raw *r = raw_new(n);
	struct raw_stream *connect, *early;

	connect = raw_open(r, true);
	early = raw_open(r, true);
	raw_bytes(&early->out, "\x40\x41\x00\x00\x0d", 5);
	early->fin = true;
	for (uint32_t i = 1; i <= 3; i++) {
		struct quic_vec v[] = {{(const uint8_t *)"\0", 1}, {(const uint8_t *)&i, sizeof i}};

		assert_int_equal(quic_conn_send_datagram(r->c, v, 2, sim_now(n->sim)), 0);
	}
	quic_conn_wake(r->c);
	run_ms(n, 100);
	assert_null(server_side(n));
	raw_connect(&connect->out, "/audio", NULL);
	quic_conn_wake(r->c);
	run_ms(n, 100);
	struct side *s = server_side(n);

	assert_non_null(s);
	assert_int_equal(s->datagrams, 3);
	assert_int_equal(s->stream_bytes, 2);
	assert_int_equal(s->fins, 1);
	assert_true(connect->in.len > 0);
	raw_free(r);
	run_ms(n, 60000);
	assert_true(s->closed);
	net_free(n);
}

TEST(a_second_connect_is_refused_and_the_first_lives)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_make(52, &l);
	struct raw *r = raw_new(n);
	struct raw_stream *one = raw_open(r, true), *two = raw_open(r, true);

	raw_connect(&one->out, "/audio", NULL);
	raw_connect(&two->out, "/audio", NULL);
	quic_conn_wake(r->c);
	run_ms(n, 5000);
	assert_true(two->got_fin);
	assert_false(one->got_fin);
	assert_int_equal(wt_stats(n->sw)->second_sessions, 1);
	assert_int_equal(wt_stats(n->sw)->sessions, 1);
	assert_int_equal(send_number(server_side(n), 9, 50), 0);
	run_ms(n, 100);
	assert_int_equal(r->datagrams, 1);
	one->fin = true;
	quic_conn_wake(r->c);
	run_ms(n, 1000);
	assert_int_equal(server_side(n)->why.end, WT_END_PEER);
	assert_true(r->closed);
	raw_free(r);
	net_free(n);
}

TEST(a_client_that_gives_no_credit_cannot_hold_a_session)
{
	struct sim_link l = {.delay_us = 20000};
	struct net *n = net_new(53, &l);

	n->co.stream_window_bytes = 40; /* less than the 200 and the CLOSE */
	net_start(n);
	struct raw *r = raw_new(n);
	struct raw_stream *one = raw_open(r, true);

	raw_connect(&one->out, "/audio", NULL);
	quic_conn_wake(r->c);
	run_ms(n, 1000);
	struct side *s = server_side(n);
	char reason[500];

	memset(reason, 'x', sizeof reason);
	reason[sizeof reason - 1] = 0;
	assert_true(s->open);
	wt_session_close(s->s, 1, reason, sim_now(n->sim));
	assert_true(s->closed);
	run_ms(n, 3000);
	assert_true(r->closed);
	assert_int_equal(quic_endpoint_stats(n->se)->conns, 0);
	raw_free(r);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_takes_two_round_trips),
		cmocka_unit_test(datagrams_flow_both_ways_over_a_bad_path),
		cmocka_unit_test(a_server_sends_no_datagram_before_its_answer_is_confirmed),
		cmocka_unit_test(a_close_arrives_with_code_and_reason),
		cmocka_unit_test(connections_end_soon_after_the_session),
		cmocka_unit_test(a_long_reason_arrives_cut),
		cmocka_unit_test(both_may_close_at_once),
		cmocka_unit_test(a_client_that_vanishes_is_forgotten),
		cmocka_unit_test(a_server_that_vanishes_is_noticed),
		cmocka_unit_test(a_lost_connection_ends_the_session),
		cmocka_unit_test(a_silent_session_stays),
		cmocka_unit_test(a_wrong_path_is_a_404_and_no_connection_stays),
		cmocka_unit_test(every_status_arrives),
		cmocka_unit_test(the_origin_reaches_the_application),
		cmocka_unit_test(a_certificate_other_than_the_pinned_one_is_refused),
		cmocka_unit_test(a_missing_server_is_an_end),
		cmocka_unit_test(draining_refuses_new_sessions_and_keeps_old_ones),
		cmocka_unit_test(a_long_stream_echoes_over_a_bad_path),
		cmocka_unit_test(a_stream_longer_than_every_buffer_arrives),
		cmocka_unit_test(the_server_may_open_streams_too),
		cmocka_unit_test(streams_without_end_come_and_go),
		cmocka_unit_test(aborts_reach_the_other_side),
		cmocka_unit_test(streams_end_with_their_session),
		cmocka_unit_test(a_hundred_sessions_come_and_go),
		cmocka_unit_test(a_page_larger_than_every_window_is_served),
		cmocka_unit_test(streams_and_datagrams_that_overtake_their_session_are_kept),
		cmocka_unit_test(a_second_connect_is_refused_and_the_first_lives),
		cmocka_unit_test(a_client_that_gives_no_credit_cannot_hold_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
