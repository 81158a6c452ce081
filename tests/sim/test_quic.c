/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "talk.h"

#include "base/err.h"
#include "quic/ep.h"
#include "support/sealed_initial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_link clean = {.delay_us = 10000};
static const struct sim_link rough = {
	.delay_us = 20000, .jitter_us = 15000, .loss = 0.05, .duplicate = 0.05, .reorder = 0.1, .reorder_us = 15000,
};

static void begin(struct world *w, uint64_t seed, const struct sim_link *l)
{
	world_init(w, seed);
	sim_both(w->cn, l);
	world_start(w);
}

static const struct quic_stats *server_stats(const struct world *w)
{
	return quic_endpoint_stats(w->se);
}

static const struct quic_stats *client_stats(const struct world *w)
{
	return quic_endpoint_stats(w->ce);
}

static bool closed(void *ctx)
{
	return ((struct talker *)ctx)->closed;
}

/* Sends `n` datagrams of 642 bytes, one each 20 ms, numbered from `first`. */
static void speak(struct talker *t, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		talk_datagram(t, i, 642);
		world_run(t->w, nsec_from_ms(20));
	}
}

/* --- handshake ------------------------------------------------------------------------------ */

TEST(handshake_takes_one_round_trip_on_a_clean_path)
{
	struct world w;

	begin(&w, 1, &clean);
	nsec began = sim_now(w.sim);
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_in_range(t->handshaken_at - began, nsec_from_ms(20), nsec_from_ms(25));
	/* SETTINGS can leave half a round trip before the server knows who it talks to. */
	assert_in_range(world_server(&w)->opened_at - began, nsec_from_ms(10), nsec_from_ms(12));
	assert_int_equal(server_stats(&w)->handshakes, 1);
	assert_int_equal(server_stats(&w)->half_open, 0);
	world_end(&w);
}

/* The server's number of the key exchange that a client gets, and how many round trips it took. */
static unsigned agree(const char *groups, bool post_quantum, unsigned *round_trips)
{
	struct world w;
	unsigned found = QUIC_TLS_GROUPS;

	world_init(&w, 9);
	struct quic_tls_client_opts o = {.sha256 = w.cert.info.sha256, .post_quantum = post_quantum};

	quic_tls_unref(w.st);
	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_server(&w.cert, groups, &w.st), 0);
	assert_int_equal(quic_tls_client(&o, &w.ct), 0);
	sim_both(w.cn, &clean);
	world_start(&w);
	nsec began = sim_now(w.sim);
	struct talker *t = world_join(&w, nsec_from_s(5));

	*round_trips = (unsigned)((t->handshaken_at - began) / nsec_from_ms(20));
	for (unsigned i = 0; i < QUIC_TLS_GROUPS; i++)
		if (server_stats(&w)->by_group[i])
			found = i;
	world_end(&w);
	return found;
}

/* Browsers send keys for X25519MLKEM768 and for X25519, older clients for X25519 and the name of the other. */
TEST(the_server_prefers_among_the_keys_that_a_client_sent)
{
	static const struct {
		const char *groups;
		bool browser;
		const char *agreed;
		unsigned round_trips;
	} rows[] = {
		{NULL, true, "X25519MLKEM768", 1},
		{NULL, false, "X25519", 1}, /* not asked for another key, since this one is good enough */
		{"X25519:P-256:X25519MLKEM768", true, "X25519", 1},
		{"X25519MLKEM768", false, "X25519MLKEM768", 2},
		{"P-256", true, "P-256", 2},
		{"P-256:P-256:X25519", false, "X25519", 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned round_trips, group = agree(rows[i].groups, rows[i].browser, &round_trips);

		assert_string_equal(quic_tls_group_name(group), rows[i].agreed);
		assert_int_equal(round_trips, rows[i].round_trips);
	}
}

static void join_on(const struct sim_link *l, uint64_t seed, bool post_quantum)
{
	struct world w;

	world_init(&w, seed);
	sim_both(w.cn, l);
	w.so.handshake_timeout_ms = w.co.handshake_timeout_ms = 60000;
	w.so.idle_timeout_ms = w.co.idle_timeout_ms = 60000;
	if (post_quantum) {
		struct quic_tls_client_opts o = {.sha256 = w.cert.info.sha256, .post_quantum = true};

		quic_tls_unref(w.ct);
		assert_int_equal(quic_tls_client(&o, &w.ct), 0);
	}
	world_start(&w);
	world_join(&w, nsec_from_s(60));
	world_end(&w);
}

TEST(handshake_completes_at_up_to_30_percent_loss)
{
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct sim_link l = {.delay_us = 20000, .loss = 0.01 * (double)(seed % 31)};

		join_on(&l, seed, false);
	}
}

TEST(a_client_hello_of_two_packets_survives_a_rough_path)
{
	struct sim_link l = {.delay_us = 20000, .loss = 0.1, .reorder = 0.4, .duplicate = 0.1};

	join_on(&clean, 0, true);
	for (uint64_t seed = 0; seed < 20; seed++)
		join_on(&l, seed, true);
}

static bool swallow_first(void *ctx, const struct quic_path *path, uint8_t *p, size_t len)
{
	unsigned *n = ctx;

	(void)path;
	(void)p;
	(void)len;
	return (*n)++ != 0;
}

TEST(the_second_half_of_a_client_hello_alone_is_answered_with_retry)
{
	struct world w;
	unsigned n = 0;

	world_init(&w, 5);
	struct quic_tls_client_opts o = {.sha256 = w.cert.info.sha256, .post_quantum = true};

	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_client(&o, &w.ct), 0);
	sim_both(w.cn, &clean);
	world_start(&w);
	sim_tap(w.sim, swallow_first, &n);
	world_join(&w, nsec_from_s(5));
	assert_int_equal(server_stats(&w)->retries_sent, 1);
	world_end(&w);
}

/* --- first packets ----------------------------------------------------------------------------------- */

struct first_packet {
	uint8_t p[QUIC_PACKET_MAX];
	size_t len;
};

static bool keep_first(void *ctx, const struct quic_path *path, uint8_t *p, size_t len)
{
	struct first_packet *f = ctx;

	(void)path;
	if (f->len == 0) {
		memcpy(f->p, p, len);
		f->len = len;
	}
	return false;
}

TEST(a_first_packet_with_any_byte_changed_makes_nothing_and_gets_no_answer)
{
	enum { VERSION_END = 5 };
	struct first_packet f = {.len = 0};
	struct world w;

	begin(&w, 10, &clean);
	sim_tap(w.sim, keep_first, &f);
	world_connect(&w);
	world_run(&w, nsec_from_ms(50));
	struct quic_path path = sim_path(w.cn, w.sn);

	for (size_t i = VERSION_END; i < f.len; i++) {
		f.p[i] ^= 0x10;
		sim_inject(w.sim, &path, f.p, f.len);
		f.p[i] ^= 0x10;
	}
	world_run(&w, nsec_from_ms(10));
	assert_int_equal(server_stats(&w)->conns_accepted, 0);
	assert_int_equal(sim_sent(w.sn)->packets, 0);
	assert_true(server_stats(&w)->initials_dropped > f.len - 50);
	sim_inject(w.sim, &path, f.p, f.len);
	world_run(&w, nsec_from_ms(10));
	assert_int_equal(server_stats(&w)->conns_accepted, 1);
	world_end(&w);
}

/* What the server makes of a first packet that is sealed as it should be. */
static struct quic_stats begin_with(const uint8_t *frames, size_t n)
{
	uint8_t p[SEALED_INITIAL];
	struct world w;

	world_init(&w, 11);
	world_start(&w);
	struct quic_path path = sim_path(w.cn, w.sn);

	sealed_initial((const uint8_t *)"12345678", 8, frames, n, p);
	sim_inject(w.sim, &path, p, sizeof p);
	world_run(&w, nsec_from_ms(1));
	struct quic_stats found = *server_stats(&w);

	world_end(&w);
	return found;
}

TEST(a_first_packet_without_the_beginning_of_a_client_hello_is_not_accepted)
{
	static const struct {
		const char *frames;
		size_t n;
		unsigned accepted, retries, dropped;
	} rows[] = {
		{"\x06\x00\x04\x01\x00\x01\x00", 7, 1, 0, 0},
		{"\x06\x01\x01\x00\x00\x01\x06\x00\x01\x01", 10, 1, 0, 0}, /* shuffled, as Chromium does */
		{"\x06\x40\xc8\x02\x00\x01", 6, 0, 1, 0},                 /* the first packet is late or lost */
		{"", 0, 0, 0, 1},
		{"\x01", 1, 0, 0, 1},                                       /* PING alone */
		{"\x06\x00\x00", 3, 0, 1, 0},                               /* nothing of it */
		{"\x06\x00\x01\x02", 4, 0, 0, 1},                           /* a ServerHello */
		{"\x06\x00\x44\xff\x01", 5, 0, 0, 1},                       /* more than is there */
		{"\x02\x00\x00\x00\x00\x06\x00\x01\x01", 9, 0, 0, 1},       /* acknowledges what nobody sent */
		{"\x1c\x00\x00\x00", 4, 0, 0, 1},
		{"\x08\x00\x01\x01", 4, 0, 0, 1},                           /* a stream */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct quic_stats s = begin_with((const uint8_t *)rows[i].frames, rows[i].n);

		assert_int_equal(s.conns_accepted, rows[i].accepted);
		assert_int_equal(s.retries_sent, rows[i].retries);
		assert_int_equal(s.initials_dropped, rows[i].dropped);
	}
}

TEST(a_client_hello_in_crumbs_has_to_prove_its_address)
{
	uint8_t frames[SEALED_INITIAL];

	assert_int_equal(begin_with(frames, crumbs(frames, INITIAL_PIECES_MAX)).conns_accepted, 1);
	struct quic_stats s = begin_with(frames, crumbs(frames, INITIAL_PIECES_MAX + 1));

	assert_int_equal(s.conns_accepted, 0);
	assert_int_equal(s.retries_sent, 1);
}

static void handshake_fails(struct world *w, uint64_t code)
{
	struct talker *t = world_connect(w);

	assert_true(sim_run(w->sim, closed, t, nsec_from_s(30)));
	assert_int_equal(t->why.code, code);
	assert_false(t->why.app);
	world_run(w, nsec_from_s(2));
	assert_int_equal(server_stats(w)->conns, 0);
	assert_int_equal(client_stats(w)->conns, 0);
}

TEST(a_wrong_certificate_is_refused)
{
	static const uint8_t other[32] = {1};
	struct quic_tls_client_opts pinned = {.sha256 = other}, system = {0}, insecure = {.insecure = true};
	enum { ALERT = 0x100, BAD_CERTIFICATE = 42, UNKNOWN_CA = 48 };
	struct world w;

	begin(&w, 6, &clean);
	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_client(&pinned, &w.ct), 0);
	struct talker *t = world_connect(&w);

	assert_true(sim_run(w.sim, closed, t, nsec_from_s(30)));
	assert_int_equal(t->why.end, QUIC_END_HANDSHAKE);
	assert_true(t->why.code >= ALERT && t->why.code < ALERT + 256);
	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_client(&system, &w.ct), 0);
	t = world_connect(&w);
	assert_true(sim_run(w.sim, closed, t, nsec_from_s(30)));
	assert_int_equal(t->why.end, QUIC_END_HANDSHAKE);
	assert_true(t->why.code >= ALERT && t->why.code < ALERT + 256);
	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_client(&insecure, &w.ct), 0);
	world_join(&w, nsec_from_s(2));
	world_end(&w);
}

TEST(no_common_protocol_is_a_tls_alert)
{
	struct world w;

	begin(&w, 7, &clean);
	SSL_CTX_set_alpn_select_cb(w.st->ctx, NULL, NULL); /* a server that agrees to nothing */
	handshake_fails(&w, 0x100 + 120);
	world_end(&w);
}

TEST(an_application_may_refuse_a_connection)
{
	struct world w;

	begin(&w, 8, &clean);
	w.deny_open = true;
	struct talker *t = world_connect(&w);

	assert_true(sim_run(w.sim, closed, t, nsec_from_s(5)));
	assert_int_equal(t->why.end, QUIC_END_PEER);
	assert_int_equal(server_stats(&w)->conns, 0);
	world_end(&w);
}

TEST(a_stalled_handshake_is_freed_after_its_timeout)
{
	struct world w;
	unsigned n = 0;

	begin(&w, 9, &clean);
	sim_down(w.cn)->blackout = true;
	struct talker *t = world_connect(&w);

	world_run(&w, nsec_from_ms(100));
	assert_int_equal(server_stats(&w)->half_open, 1);
	world_run(&w, nsec_from_s(12));
	assert_true(t->closed);
	assert_int_equal(t->why.end, QUIC_END_HANDSHAKE);
	world_run(&w, nsec_from_s(10)); /* the client tried until 10 s */
	assert_int_equal(server_stats(&w)->conns, 0);
	assert_true(server_stats(&w)->handshake_failures >= 1);
	(void)n;
	world_end(&w);
}

static bool only_first_from_client(void *ctx, const struct quic_path *path, uint8_t *p, size_t len)
{
	size_t *bytes = ctx;

	(void)p;
	if (quic_addr_port(&path->remote) != 4433)
		return true;
	if (*bytes > 0)
		return false;
	*bytes = len;
	return true;
}

TEST(a_spoofed_initial_gets_three_times_its_bytes_at_most)
{
	struct world w;
	size_t in = 0;

	begin(&w, 10, &clean);
	sim_down(w.cn)->blackout = true;
	sim_tap(w.sim, only_first_from_client, &in);
	world_connect(&w);
	world_run(&w, nsec_from_s(20));
	assert_true(in >= 1200);
	assert_true(sim_sent(w.sn)->bytes > 0);
	assert_true(sim_sent(w.sn)->bytes <= 3 * in);
	assert_int_equal(server_stats(&w)->conns, 0);
	world_end(&w);
}

/* --- datagrams and streams ---------------------------------------------------------------------- */

TEST(datagrams_echo_both_ways)
{
	struct world w;

	begin(&w, 20, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	speak(t, 0, 100);
	world_run(&w, nsec_from_ms(100));
	assert_int_equal(talk_distinct(t), 100);
	assert_int_equal(server_stats(&w)->datagrams_in, 100);
	assert_int_equal(server_stats(&w)->datagrams_out, 100);
	world_end(&w);
}

TEST(datagrams_cross_a_rough_path_once_each)
{
	struct world w;

	begin(&w, 21, &rough);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(10));

	speak(t, 0, 1000);
	world_run(&w, nsec_from_s(1));
	/* 5 % lost each way leaves 90 %; QUIC itself removes the duplicates. */
	assert_in_range(talk_distinct(t), 870, 940);
	assert_int_equal(t->datagrams_in, talk_distinct(t));
	assert_true(server_stats(&w)->packets_lost > 0);
	world_end(&w);
}

TEST(several_datagrams_share_a_packet)
{
	struct world w;

	begin(&w, 22, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_s(5)); /* path MTU found */
	uint64_t before = sim_sent(w.cn)->packets;

	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(talk_datagram(t, i, 100), 0);
	world_run(&w, nsec_from_us(10));
	assert_int_equal(sim_sent(w.cn)->packets - before, 1);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(talk_distinct(world_server(&w)), 12);
	world_end(&w);
}

TEST(streams_echo)
{
	struct world w;

	begin(&w, 23, &clean);
	w.echo_streams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_true(talk_stream(t, true, 300000) >= 0);
	assert_true(talk_stream(t, true, 1000) >= 0);
	assert_true(talk_stream(t, true, 0) >= 0);
	world_run(&w, nsec_from_s(5));
	assert_int_equal(t->streams_finished, 3);
	assert_int_equal(t->bytes_in, 301000);
	assert_int_equal(t->streams_closed, 3);
	world_end(&w);
}

TEST(streams_and_datagrams_cross_a_rough_path_together)
{
	for (uint64_t seed = 30; seed < 36; seed++) {
		struct world w;

		begin(&w, seed, &rough);
		w.echo_streams = w.echo_datagrams = true;
		struct talker *t = world_join(&w, nsec_from_s(10));

		for (int i = 0; i < 5; i++)
			assert_true(talk_stream(t, true, 40000) >= 0);
		assert_true(talk_stream(t, false, 40000) >= 0);
		speak(t, 0, 500);
		world_run(&w, nsec_from_s(20));
		assert_int_equal(t->streams_finished, 5);
		assert_int_equal(t->bytes_in, 200000);
		assert_int_equal(world_server(&w)->bytes_in, 240000);
		assert_true(talk_distinct(t) > 300);
		world_end(&w);
	}
}

TEST(corrupted_packets_do_no_harm)
{
	struct sim_link l = {.delay_us = 10000, .corrupt = 0.2};
	struct world w;

	begin(&w, 40, &clean);
	w.echo_streams = w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(10));

	sim_both(w.cn, &l);
	assert_true(talk_stream(t, true, 50000) >= 0);
	speak(t, 0, 500);
	sim_both(w.cn, &clean);
	world_run(&w, nsec_from_s(10));
	assert_false(t->closed);
	assert_int_equal(t->streams_finished, 1);
	assert_true(talk_distinct(t) > 250);
	for (uint64_t seed = 0; seed < 10; seed++)
		join_on(&l, seed, false);
	world_end(&w);
}

TEST(a_slow_link_queues_no_old_datagrams)
{
	struct sim_link narrow = {.delay_us = 10000, .rate_bps = 100000, .queue_bytes = 3000};
	struct world w;

	begin(&w, 41, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	uint32_t most = 0;

	sim_down(w.cn)->rate_bps = narrow.rate_bps; /* 257 kbit/s do not fit */
	sim_down(w.cn)->queue_bytes = narrow.queue_bytes;
	for (uint32_t i = 0; i < 1000; i++) {
		struct quic_conn_info info;

		assert_int_equal(talk_datagram(s, i, 642), 0);
		world_run(&w, nsec_from_ms(20));
		quic_conn_info(s->c, &info);
		if (info.datagrams_queued > most)
			most = info.datagrams_queued;
	}
	assert_true(most <= 120 / 20 + 1); /* age bounds the queue before its length does */
	assert_true(server_stats(&w)->datagrams_dropped.age > 0);
	assert_true(talk_distinct(t) > 200);
	world_end(&w);
}

TEST(a_peer_that_acknowledges_nothing_fills_only_the_queue)
{
	struct world w;
	struct quic_conn_info info;

	begin(&w, 42, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	sim_both(w.cn, &(struct sim_link){.blackout = true});
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(talk_datagram(s, i, 642), 0);
		world_run(&w, nsec_from_ms(1));
	}
	quic_conn_info(s->c, &info);
	assert_true(info.datagrams_queued <= 32);
	assert_int_equal(info.datagrams_dropped,
		server_stats(&w)->datagrams_dropped.queue + server_stats(&w)->datagrams_dropped.age);
	assert_true(info.datagrams_dropped > 100);
	sim_both(w.cn, &clean);
	world_run(&w, nsec_from_s(2));
	for (uint32_t i = 1000; i < 1100; i++) {
		talk_datagram(s, i, 642);
		world_run(&w, nsec_from_ms(20));
	}
	world_run(&w, nsec_from_s(1));
	assert_true(t->seen[1099] == 1); /* the newest get through again */
	world_end(&w);
}

TEST(an_empty_pool_drops_and_counts)
{
	struct world w;

	world_init(&w, 43);
	w.so.datagram_pool = 8;
	sim_both(w.cn, &clean);
	world_start(&w);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(talk_datagram(s, i, 100), 0);
	assert_int_equal(server_stats(&w)->datagrams_dropped.pool, 12);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(talk_distinct(t), 8);
	assert_int_equal(t->seen[19], 1); /* the oldest went */
	world_end(&w);
}

TEST(an_oversize_datagram_does_not_stall_the_queue)
{
	struct world w;

	begin(&w, 44, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	size_t small = quic_conn_datagram_max(t->c);

	assert_in_range(small, 1150, 1199);
	assert_int_equal(talk_datagram(t, 0, small), 0);
	world_run(&w, nsec_from_s(10));
	size_t large = quic_conn_datagram_max(t->c);

	assert_int_equal(large - small, 1444 - 1200); /* the largest that ngtcp2 probes for, as limits.path_mtu_discovery says */
	assert_int_equal(talk_datagram(t, 1, large + 1), ERR_RANGE);
	assert_int_equal(quic_conn_send_datagram(t->c, NULL, 0, sim_now(w.sim)), ERR_RANGE);
	assert_int_equal(client_stats(&w)->datagrams_dropped.size, 1);
	assert_int_equal(talk_datagram(t, 2, large), 0);
	/* Queued for the large path; before it is sent the path is a new one, with 1200 bytes. */
	w.echo_datagrams = true;
	sim_rebind(w.cn, "10.9.9.9", 1234);
	assert_int_equal(talk_datagram(t, 3, large), 0);
	assert_int_equal(talk_datagram(t, 4, 100), 0);
	world_run(&w, nsec_from_s(3));
	assert_int_equal(s->seen[2] + s->seen[3] + s->seen[4], 3);
	assert_int_equal(t->seen[4], 1);
	world_end(&w);
}

TEST(a_queued_datagram_that_no_longer_fits_is_dropped)
{
	struct world w;

	begin(&w, 48, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	/* As if the path had shrunk since it was queued. ngtcp2 would neither take nor refuse it. */
	struct dgram *d = dgram_get(&w.se->pool);

	d->len = DGRAM_MAX;
	d->at = sim_now(w.sim);
	dgram_push(&s->c->dgrams, d);
	assert_int_equal(talk_datagram(s, 1, 100), 0);
	world_run(&w, nsec_from_ms(15));
	assert_int_equal(server_stats(&w)->datagrams_dropped.size, 1);
	assert_int_equal(t->seen[1], 1);
	world_end(&w);
}

TEST(a_small_mtu_is_discovered)
{
	struct sim_link l = {.delay_us = 10000, .mtu = 1350};
	struct world w;

	begin(&w, 45, &l);
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_s(30));
	assert_in_range(quic_conn_datagram_max(t->c), 1250, 1349);
	assert_int_equal(talk_datagram(t, 0, quic_conn_datagram_max(t->c)), 0);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(talk_distinct(world_server(&w)), 1);
	world_end(&w);
}

TEST(packets_are_marked_for_ecn)
{
	struct world w;

	begin(&w, 47, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	speak(t, 0, 100);
	uint64_t packets = sim_sent(w.sn)->packets, ect = sim_sent(w.sn)->ect;

	speak(t, 100, 100);
	assert_int_equal(sim_sent(w.sn)->ect - ect, sim_sent(w.sn)->packets - packets);
	world_end(&w);
}

TEST(congestion_marks_do_not_stop_the_voice)
{
	struct world w;

	begin(&w, 46, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	sim_up(w.cn)->mark_ce = sim_down(w.cn)->mark_ce = 1;
	speak(t, 0, 250);
	world_run(&w, nsec_from_s(1));
	assert_true(talk_distinct(t) > 245);
	world_end(&w);
}

/* --- credit --------------------------------------------------------------------------------------- */

TEST(stream_credit_comes_back)
{
	struct world w;

	begin(&w, 50, &clean);
	w.echo_streams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_ms(100));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 16; i++) {
			assert_true(talk_stream(t, true, 100) >= 0);
			assert_true(talk_stream(t, false, 100) >= 0);
		}
		assert_int_equal(quic_streams_left(t->c, true), 0);
		assert_int_equal(quic_streams_left(t->c, false), 0);
		assert_int_equal(talk_stream(t, true, 1), -1);
		world_run(&w, nsec_from_s(1));
	}
	assert_int_equal(world_server(&w)->bytes_in, 32000);
	assert_int_equal(quic_streams_left(t->c, true), 16);
	world_end(&w);
}

TEST(unread_bytes_are_bounded_by_the_windows)
{
	struct world w;

	begin(&w, 51, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	w.stingy = true;
	for (int i = 0; i < 8; i++)
		assert_true(talk_stream(t, true, 100000) >= 0);
	world_run(&w, nsec_from_s(5));
	assert_int_equal(s->unread, w.so.conn_window_bytes);
	for (int i = 0; i < 8; i++)
		assert_true(s->in_len[i] <= w.so.stream_window_bytes);
	w.stingy = false;
	for (int i = 0; i < 8; i++)
		quic_stream_consume(s->c, i * 4, s->in_len[i]);
	world_run(&w, nsec_from_s(5));
	assert_int_equal(s->streams_finished, 8);
	assert_int_equal(s->bytes_in, 800000);
	world_end(&w);
}

TEST(reset_and_stop_reach_the_other_side)
{
	struct world w;

	begin(&w, 52, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	assert_true(talk_stream(t, true, 500000) >= 0);
	world_run(&w, nsec_from_ms(35)); /* in the middle of it */
	assert_in_range(s->bytes_in, 1, 400000);
	quic_stream_stop(s->c, t->out[0].id, 77);
	world_run(&w, nsec_from_s(1));
	assert_true(t->out[0].refused); /* our stream was reset: no more data is taken */
	assert_int_equal(s->resets, 1); /* the answer, with our code */
	assert_int_equal(s->last_code, 77);
	assert_in_range(s->bytes_in, 1, 400000);
	quic_stream_reset(s->c, t->out[0].id, 5);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(t->resets, 1);
	assert_int_equal(t->last_code, 5);
	assert_int_equal(t->streams_closed, 1);
	assert_int_equal(s->streams_closed, 1);
	world_end(&w);
}

TEST(a_stopped_stream_gives_its_credit_back)
{
	struct world w;

	begin(&w, 54, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	for (int i = 0; i < 20; i++) { /* 20 times 100 KB unread would be far over the window */
		int64_t id = talk_stream(t, false, 100000);

		assert_true(id >= 0);
		world_run(&w, nsec_from_ms(25));
		quic_stream_stop(s->c, id, 1);
		world_run(&w, nsec_from_ms(500));
	}
	assert_int_equal(t->streams_closed, 20);
	assert_int_equal(talk_stream(t, false, 200000), 20 * 4 + 2);
	world_run(&w, nsec_from_s(5));
	assert_int_equal(s->streams_finished, 1);
	world_end(&w);
}

TEST(voice_leaves_the_next_stream_unpaced)
{
	struct world w;

	begin(&w, 53, &clean);
	w.echo_datagrams = w.echo_streams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	speak(t, 0, 6000);
	assert_true(talk_stream(t, true, 60000) >= 0);
	world_run(&w, nsec_from_ms(500));
	assert_int_equal(t->streams_finished, 1);
	world_end(&w);
}

/* --- packets for each datagram ---------------------------------------------------------------------- */

struct ticker {
	struct talker *s;
	uint32_t n;
};

static void on_server_tick(void *ctx, nsec now)
{
	struct ticker *k = ctx;

	(void)now;
	if (k->s->c)
		talk_datagram(k->s, k->n++, 642);
}

TEST(an_echo_costs_one_packet_each_way)
{
	static const uint32_t delays_us[] = {50, 1000, 10000, 40000, 100000};

	for (size_t i = 0; i < sizeof delays_us / sizeof *delays_us; i++) {
		struct sim_link l = {.delay_us = delays_us[i]};
		struct world w;

		begin(&w, 60, &l);
		w.echo_datagrams = true;
		struct talker *t = world_join(&w, nsec_from_s(2));

		world_run(&w, nsec_from_s(5));
		uint64_t up = sim_sent(w.cn)->packets, down = sim_sent(w.sn)->packets;

		speak(t, 0, 500);
		assert_in_range(sim_sent(w.cn)->packets - up, 500, 506);
		assert_in_range(sim_sent(w.sn)->packets - down, 495, 506);
		world_end(&w);
	}
}

TEST(a_server_that_sends_on_its_tick_sends_one_packet_a_tick)
{
	for (uint32_t phase_ms = 1; phase_ms < 20; phase_ms += 6) {
		struct sim_link l = {.delay_us = 10000};
		struct world w;

		begin(&w, 61, &l);
		struct talker *t = world_join(&w, nsec_from_s(2));
		struct ticker k = {world_server(&w), 0};

		world_run(&w, nsec_from_s(5));
		sim_every(w.sim, sim_now(w.sim) + nsec_from_ms(phase_ms), nsec_from_ms(20), on_server_tick, &k);
		world_run(&w, nsec_from_ms(200));
		uint64_t up = sim_sent(w.cn)->packets, down = sim_sent(w.sn)->packets;

		speak(t, 0, 500);
		assert_in_range(sim_sent(w.sn)->packets - down, 500, 505);
		assert_in_range(sim_sent(w.cn)->packets - up, 500, 505);
		world_end(&w);
	}
}

TEST(one_way_voice_costs_one_ack_for_two_packets)
{
	struct world w;

	begin(&w, 62, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_s(5));
	uint64_t down = sim_sent(w.sn)->packets, up = sim_sent(w.cn)->packets;

	speak(t, 0, 500);
	assert_in_range(sim_sent(w.sn)->packets - down, 240, 262);
	assert_in_range(sim_sent(w.cn)->packets - up, 500, 520);
	world_end(&w);
}

TEST(a_burst_is_acknowledged_while_it_lasts)
{
	struct world w;

	begin(&w, 63, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_s(5));
	uint64_t down = sim_sent(w.sn)->packets;

	for (uint32_t i = 0; i < 64; i++) { /* in 6.4 ms; their ACK alone might wait for 22 */
		talk_datagram(t, i, 20);
		world_run(&w, nsec_from_us(100));
	}
	world_run(&w, nsec_from_ms(11));
	assert_in_range(sim_sent(w.sn)->packets - down, 3, 6);
	world_end(&w);
}

/* --- keys, paths ------------------------------------------------------------------------------------- */

TEST(keys_change_from_either_side_while_datagrams_flow)
{
	struct world w;

	begin(&w, 70, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	uint32_t n = 0;

	for (int round = 0; round < 6; round++) {
		speak(t, n, 100);
		n += 100;
		assert_int_equal(quic_conn_update_keys(round % 2 ? t->c : s->c, sim_now(w.sim)), 0);
		assert_int_equal(quic_conn_update_keys(round % 2 ? t->c : s->c, sim_now(w.sim)), ERR_STATE);
	}
	speak(t, n, 100);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(talk_distinct(t), n + 100);
	assert_int_equal(server_stats(&w)->key_updates, 6);
	assert_int_equal(client_stats(&w)->key_updates, 6);
	world_end(&w);
}

TEST(a_rebound_nat_keeps_the_connection)
{
	struct world w;
	struct quic_conn_info info;
	char text[QUIC_ADDR_TEXT];

	begin(&w, 71, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	speak(t, 0, 50);
	for (uint16_t i = 1; i <= 4; i++) {
		sim_rebind(w.cn, "203.0.113.9", (uint16_t)(2000 + i));
		speak(t, 50u * i, 50);
		world_run(&w, nsec_from_ms(200));
		quic_conn_info(s->c, &info);
		snprintf(text, sizeof text, "203.0.113.9:%u", 2000 + i);
		char now[QUIC_ADDR_TEXT];

		assert_string_equal(quic_addr_format(&info.path.remote, now), text);
	}
	assert_false(t->closed);
	assert_true(talk_distinct(t) >= 235);
	assert_int_equal(server_stats(&w)->migrations, 4);
	world_end(&w);
}

TEST(a_new_address_is_challenged_at_once)
{
	struct world w;

	begin(&w, 74, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_s(5));
	sim_rebind(w.cn, "203.0.113.9", 2000);
	talk_datagram(t, 0, 100);
	world_run(&w, nsec_from_ms(9));
	uint64_t before = sim_sent(w.sn)->packets;

	world_run(&w, nsec_from_ms(2)); /* not after the time that an ACK may wait */
	assert_true(sim_sent(w.sn)->packets > before);
	world_end(&w);
}

TEST(an_unproven_address_is_not_shown_and_gets_little)
{
	struct world w;
	struct quic_conn_info info;

	begin(&w, 72, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	struct sim_node *thief = sim_node(w.sim, "198.51.100.66", 666);

	speak(t, 0, 20);
	uint64_t before = sim_sent(w.sn)->bytes;
	struct quic_path was;

	quic_conn_info(s->c, &info);
	was = info.path;
	sim_rebind(w.cn, "198.51.100.66", 666); /* packets go out from there, answers never arrive */
	(void)thief;
	speak(t, 20, 1);
	sim_both(w.cn, &(struct sim_link){.blackout = true});
	world_run(&w, nsec_from_s(3));
	quic_conn_info(s->c, &info);
	assert_true(quic_addr_equal(&info.path.remote, &was.remote));
	assert_true(sim_sent(w.sn)->bytes - before < 40000);
	world_end(&w);
}

TEST(a_client_moves_to_another_address)
{
	struct world w;

	begin(&w, 73, &clean);
	w.echo_datagrams = w.echo_streams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_true(talk_stream(t, true, 200000) >= 0);
	speak(t, 0, 50);
	struct quic_path path = {sim_add_addr(w.cn, "172.16.0.9", 4444), sim_addr(w.sn)};

	assert_int_equal(quic_conn_migrate(t->c, &path, sim_now(w.sim)), 0);
	speak(t, 50, 100);
	world_run(&w, nsec_from_s(2));
	struct quic_conn_info info;

	quic_conn_info(world_server(&w)->c, &info);
	assert_true(quic_addr_equal(&info.path.remote, &path.local));
	assert_true(talk_distinct(t) >= 148);
	assert_int_equal(t->streams_finished, 1);
	assert_int_equal(server_stats(&w)->migrations, 1);
	assert_int_equal(quic_conn_migrate(world_server(&w)->c, &path, sim_now(w.sim)), ERR_STATE);
	world_end(&w);
}

/* --- stateless answers --------------------------------------------------------------------------------- */

TEST(every_client_proves_its_address_when_asked_to)
{
	struct world w;

	world_init(&w, 80);
	w.so.retry_half_open = 0;
	sim_both(w.cn, &clean);
	world_start(&w);
	nsec began = sim_now(w.sim);
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_in_range(t->handshaken_at - began, nsec_from_ms(40), nsec_from_ms(45));
	assert_int_equal(server_stats(&w)->retries_sent, 1);
	assert_int_equal(server_stats(&w)->bad_tokens, 0);
	world_end(&w);
}

TEST(retry_begins_with_many_half_open_handshakes)
{
	struct world w;

	world_init(&w, 81);
	w.so.retry_half_open = 5;
	sim_both(w.cn, &clean);
	world_start(&w);
	for (int i = 0; i < 20; i++)
		world_connect(&w);
	world_run(&w, nsec_from_s(3));
	assert_int_equal(server_stats(&w)->handshakes, 20);
	assert_in_range(server_stats(&w)->retries_sent, 15, 16);
	world_join(&w, nsec_from_s(1));
	assert_in_range(server_stats(&w)->retries_sent, 15, 16); /* no more once they are done */
	world_end(&w);
}

/* An attacker whose handshakes fail at once never has many under way. */
TEST(retry_begins_with_many_handshakes_that_failed)
{
	struct world w;

	world_init(&w, 81);
	w.so.retry_half_open = 5;
	sim_both(w.cn, &clean);
	world_start(&w);
	SSL_CTX_set_alpn_select_cb(w.st->ctx, NULL, NULL); /* a server that agrees to nothing */
	for (int i = 0; i < 10; i++) {
		world_connect(&w);
		world_run(&w, nsec_from_ms(90));
		assert_int_equal(server_stats(&w)->half_open, 0);
	}
	assert_int_equal(server_stats(&w)->handshake_failures, 10);
	assert_int_equal(server_stats(&w)->retries_sent, 5);
	world_run(&w, nsec_from_s(2));
	world_connect(&w);
	world_run(&w, nsec_from_ms(90));
	assert_int_equal(server_stats(&w)->retries_sent, 5); /* that is over */
	world_end(&w);
}

TEST(a_retry_has_a_tenth_of_what_it_answers)
{
	struct world w;

	world_init(&w, 81);
	w.so.retry_half_open = 0;
	world_start(&w);
	for (uint8_t id = 8; id <= NGTCP2_MAX_CIDLEN; id++) {
		uint8_t frames[4] = {6, 0, 1, 1}, dcid[NGTCP2_MAX_CIDLEN] = {id}, p[SEALED_INITIAL];
		struct quic_path path = sim_path(w.cn, w.sn);
		uint64_t before = sim_sent(w.sn)->bytes;

		sealed_initial(dcid, id, frames, sizeof frames, p);
		sim_inject(w.sim, &path, p, sizeof p);
		world_run(&w, nsec_from_ms(1));
		assert_in_range(sim_sent(w.sn)->bytes - before, 30, SEALED_INITIAL / 10 - (NGTCP2_MAX_CIDLEN - 8)); /* of the client's id */
	}
	world_end(&w);
}

/* Keeps the client's Initial that carries a token from the server. */
struct thief {
	uint8_t p[QUIC_PACKET_MAX];
	size_t len;
	struct quic_path path;
};

static bool steal_token(void *ctx, const struct quic_path *path, uint8_t *p, size_t len)
{
	struct thief *h = ctx;
	ngtcp2_pkt_hd hd;

	if (quic_addr_port(&path->remote) != 4433 || !(p[0] & 0x80) || ngtcp2_pkt_decode_hd_long(&hd, p, len) < 0 ||
		hd.type != NGTCP2_PKT_INITIAL || hd.tokenlen == 0)
		return true;
	if (h->len == 0) {
		memcpy(h->p, p, len);
		h->len = len;
		h->path = *path;
	}
	return false;
}

static void token_is_refused(struct quic_addr from, bool spoil, nsec later)
{
	struct thief h = {.len = 0};
	struct world w;

	world_init(&w, 82);
	w.so.retry_half_open = 0;
	sim_both(w.cn, &clean);
	world_start(&w);
	sim_tap(w.sim, steal_token, &h);
	struct talker *t = world_connect(&w);

	world_run(&w, nsec_from_ms(50) + later);
	assert_true(h.len > 0);
	if (from.len)
		h.path.local = from;
	if (spoil) /* the packet is sealed; to forge a token is to guess the secret */
		w.se->retry_secret.b[20] ^= 1;
	uint64_t packets = sim_sent(w.sn)->packets, bytes = sim_sent(w.sn)->bytes;

	sim_inject(w.sim, &h.path, h.p, h.len);
	world_run(&w, nsec_from_ms(50));
	assert_int_equal(server_stats(&w)->bad_tokens, 1);
	assert_int_equal(server_stats(&w)->conns_accepted, 0);
	assert_int_equal(sim_sent(w.sn)->packets - packets, 1); /* CONNECTION_CLOSE */
	assert_true(sim_sent(w.sn)->bytes - bytes < 100);
	if (!from.len && later == 0) {
		assert_true(t->closed);
		assert_int_equal(t->why.end, QUIC_END_PEER);
		assert_int_equal(t->why.code, NGTCP2_INVALID_TOKEN);
	}
	world_end(&w);
}

TEST(a_bad_retry_token_ends_the_attempt)
{
	struct quic_addr own = {.len = 0}, other;

	quic_addr_parse("10.77.0.1", 50000, &other);
	token_is_refused(own, true, 0);               /* forged */
	token_is_refused(other, false, 0);            /* replayed from elsewhere */
	token_is_refused(own, false, nsec_from_s(11)); /* too old */
}

TEST(an_unknown_version_is_answered_with_ours)
{
	static const uint8_t hello[1200] = {0xc0, 0xba, 0xba, 0xba, 0xba, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9};
	struct world w;

	begin(&w, 83, &clean);
	struct quic_path path = sim_path(w.cn, w.sn);

	sim_inject(w.sim, &path, hello, sizeof hello);
	sim_inject(w.sim, &path, hello, sizeof hello - 1); /* too short to be answered */
	world_run(&w, nsec_from_ms(1));
	assert_int_equal(server_stats(&w)->version_negotiations, 1);
	assert_int_equal(sim_sent(w.sn)->packets, 1);
	assert_true(sim_sent(w.sn)->bytes < 60);
	world_run(&w, nsec_from_ms(100));
	assert_int_equal(server_stats(&w)->conns, 0);
	world_end(&w);
}

TEST(stateless_answers_are_limited)
{
	static uint8_t hello[1200] = {0xc0, 0xba, 0xba, 0xba, 0xba, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9};
	struct world w;

	world_init(&w, 84);
	w.so.stateless_per_s = 100;
	world_start(&w);
	struct quic_path path = sim_path(w.cn, w.sn);

	for (int s = 0; s < 3; s++) {
		for (int i = 0; i < 500; i++)
			sim_inject(w.sim, &path, hello, sizeof hello);
		world_run(&w, nsec_from_s(1));
	}
	assert_in_range(sim_sent(w.sn)->packets, 299, 302);
	assert_int_equal(server_stats(&w)->dropped_stateless + sim_sent(w.sn)->packets, 1500);
	world_end(&w);
}

TEST(a_server_without_memory_resets_its_clients)
{
	struct world w;

	begin(&w, 85, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2));

	speak(t, 0, 10);
	world_replace_server(&w);
	talk_datagram(t, 10, 642);
	assert_true(sim_run(w.sim, closed, t, nsec_from_s(1)));
	assert_int_equal(t->why.end, QUIC_END_RESET);
	assert_int_equal(server_stats(&w)->stateless_resets, 1);
	assert_int_equal(client_stats(&w)->conns, 0);
	world_end(&w);
}

TEST(a_reset_is_shorter_than_what_caused_it)
{
	uint8_t p[100];
	struct world w;

	begin(&w, 86, &clean);
	struct quic_path path = sim_path(w.cn, w.sn);

	memset(p, 0x55, sizeof p);
	for (size_t len = 1; len <= sizeof p; len++) {
		uint64_t packets = sim_sent(w.sn)->packets, bytes = sim_sent(w.sn)->bytes;

		sim_inject(w.sim, &path, p, len);
		world_run(&w, nsec_from_ms(50));
		assert_int_equal(sim_sent(w.sn)->packets - packets, len > 21);
		assert_true(sim_sent(w.sn)->bytes - bytes < len);
	}
	world_end(&w);
}

/* --- limits ----------------------------------------------------------------------------------------------- */

static unsigned count_end(const struct world *w, enum quic_end end, uint64_t code)
{
	unsigned n = 0;

	for (const struct talker *t = w->talkers; t; t = t->next)
		n += t->closed && !t->server && t->why.end == end && t->why.code == code;
	return n;
}

TEST(connections_over_a_limit_are_refused)
{
	for (int which = 0; which < 3; which++) {
		struct world w;

		world_init(&w, 90);
		sim_both(w.cn, &clean);
		if (which == 0)
			w.so.max_conns = 10;
		else if (which == 1)
			w.so.max_conns_per_addr = 10;
		world_start(&w);
		if (which == 2)
			quic_endpoint_refuse(w.se, true);
		for (int i = 0; i < 15; i++)
			world_connect(&w);
		world_run(&w, nsec_from_s(3));
		unsigned refused = which == 2 ? 15 : 5;

		assert_int_equal(server_stats(&w)->conns, 15 - refused);
		assert_int_equal(count_end(&w, QUIC_END_PEER, NGTCP2_CONNECTION_REFUSED), refused);
		assert_int_equal(which == 1 ? server_stats(&w)->refused_addr : server_stats(&w)->refused_limit, refused);
		world_end(&w);
	}
}

TEST(half_open_handshakes_are_bounded)
{
	struct world w;

	world_init(&w, 91);
	w.so.max_half_open = 10;
	sim_both(w.cn, &clean);
	sim_down(w.cn)->blackout = true;
	world_start(&w);
	for (int i = 0; i < 30; i++)
		world_connect(&w);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(server_stats(&w)->half_open, 5); /* half: the rest is for those who prove their address */
	assert_int_equal(server_stats(&w)->dropped_half_open, 0);
	assert_true(server_stats(&w)->retries_sent >= 20); /* nobody makes way for an address that may be forged */
	world_run(&w, nsec_from_s(25));
	assert_int_equal(server_stats(&w)->conns, 0);
	world_end(&w);
}

/* Of the server's packets only Retry arrives: clients prove their addresses and send nothing more, as an attacker
 * does that fills the half-open list. */
static bool only_retry(void *ctx, const struct quic_path *path, uint8_t *p, size_t len)
{
	enum { TYPE = 0xf0, RETRY = 0xf0 };
	const bool *on = ctx;

	(void)len;
	return !*on || quic_addr_port(&path->local) != 4433 || (p[0] & TYPE) == RETRY;
}

TEST(a_client_that_proves_its_address_is_accepted_despite_a_full_half_open_list)
{
	struct world w;
	bool on = true;

	world_init(&w, 92);
	w.so.max_half_open = 10;
	w.so.retry_half_open = 5;
	w.so.address_share_percent = 100;
	sim_both(w.cn, &clean);
	world_start(&w);
	sim_tap(w.sim, only_retry, &on);
	for (int i = 0; i < 25; i++)
		world_connect(&w);
	world_run(&w, nsec_from_ms(500));
	assert_int_equal(server_stats(&w)->half_open, 10);
	assert_true(server_stats(&w)->dropped_half_open >= 15);
	on = false;
	world_join(&w, nsec_from_ms(500)); /* long before those time out */
	world_end(&w);
}

/* A server with place for 20 handshakes, of which somebody takes as many as they get. */
static void world_with_hoarder(struct world *w, uint64_t seed, bool *only_retries)
{
	world_init(w, seed);
	w->so.max_half_open = 20;
	w->so.retry_half_open = 5;
	sim_both(w->cn, &clean);
	*only_retries = true;
}

static void hoard(struct world *w, bool *only_retries)
{
	world_start(w);
	sim_tap(w->sim, only_retry, only_retries);
	for (int i = 0; i < 40; i++)
		world_connect(w);
	world_run(w, nsec_from_ms(500));
}

TEST(an_address_gets_no_more_than_its_share_of_half_open_handshakes)
{
	struct world w;
	bool on;

	world_with_hoarder(&w, 94, &on);
	hoard(&w, &on);
	assert_int_equal(server_stats(&w)->half_open, 10); /* half */
	assert_true(server_stats(&w)->refused_share >= 30);
	assert_int_equal(server_stats(&w)->dropped_half_open, 0);

	const struct quic_addr other = sim_add_addr(w.cn, "10.2.0.1", 50001);

	for (int i = 0; i < 4; i++)
		world_connect_from(&w, &other);
	world_run(&w, nsec_from_ms(500));
	assert_int_equal(server_stats(&w)->half_open, 12); /* two are a tenth of twenty */
	on = false;
	const struct quic_addr third = sim_add_addr(w.cn, "10.3.0.1", 50002);
	struct talker *refused = world_connect(&w), *welcome = world_connect_from(&w, &third);

	world_run(&w, nsec_from_ms(300));
	assert_true(welcome->handshaken);
	assert_true(refused->closed && refused->why.end == QUIC_END_PEER && refused->why.code == NGTCP2_CONNECTION_REFUSED);
	world_run(&w, nsec_from_s(20)); /* those have timed out: nobody holds anything */
	world_join(&w, nsec_from_ms(500));
	world_end(&w);
}

TEST(an_exempt_address_may_take_every_half_open_handshake)
{
	struct world w;
	bool on;

	world_with_hoarder(&w, 95, &on);
	strcpy(w.so.exempt.net[w.so.exempt.n++], "10.1.0.0/24");
	hoard(&w, &on);
	assert_int_equal(server_stats(&w)->half_open, 20);
	assert_int_equal(server_stats(&w)->refused_share, 0);
	world_end(&w);
}

TEST(retry_packets_are_not_limited)
{
	struct world w;

	world_init(&w, 93);
	w.so.retry_half_open = 0;
	w.so.stateless_per_s = 10;
	sim_both(w.cn, &clean);
	world_start(&w);
	for (int i = 0; i < 50; i++)
		world_connect(&w);
	world_run(&w, nsec_from_ms(500));
	assert_int_equal(server_stats(&w)->handshakes, 50);
	assert_int_equal(server_stats(&w)->dropped_stateless, 0);
	world_end(&w);
}

/* --- the end ------------------------------------------------------------------------------------------------ */

TEST(a_close_reaches_the_peer_with_its_code)
{
	struct world w;

	begin(&w, 100, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	struct quic_conn *c = t->c;

	quic_conn_close(c, 0x1234);
	quic_conn_close(c, 99); /* too late */
	assert_int_equal(talk_datagram(t, 0, 100), ERR_STATE);
	assert_int_equal(quic_conn_datagram_max(c), 0);
	int64_t id;

	assert_int_equal(quic_stream_open(c, true, &id), ERR_STATE);
	world_run(&w, nsec_from_ms(15));
	assert_true(t->closed && s->closed);
	assert_int_equal(t->why.end, QUIC_END_LOCAL);
	assert_int_equal(s->why.end, QUIC_END_PEER);
	assert_true(t->why.app && s->why.app);
	assert_int_equal(t->why.code, 0x1234);
	assert_int_equal(s->why.code, 0x1234);
	assert_int_equal(server_stats(&w)->conns, 0);
	assert_int_equal(client_stats(&w)->conns, 0);
	world_end(&w);
}

static bool swallow_all_from_server(void *ctx, const struct quic_path *path, uint8_t *p, size_t len)
{
	(void)p;
	(void)len;
	return !*(bool *)ctx || quic_addr_port(&path->local) != 4433;
}

TEST(a_lost_close_is_sent_again_but_not_for_every_packet)
{
	struct world w;
	bool swallow = false;

	begin(&w, 101, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	speak(t, 0, 10);
	sim_tap(w.sim, swallow_all_from_server, &swallow);
	swallow = true;
	quic_conn_close(s->c, 9);
	world_run(&w, nsec_from_us(1));
	assert_true(s->closed);
	uint64_t before = sim_sent(w.sn)->packets;

	for (uint32_t i = 100; i < 107; i++) { /* each a packet of its own */
		talk_datagram(t, i, 1100);
	}
	world_run(&w, nsec_from_ms(12));
	assert_int_equal(sim_sent(w.sn)->packets - before, 3); /* for the 1st, 2nd and 4th of seven */
	swallow = false;
	talk_datagram(t, 200, 642);
	world_run(&w, nsec_from_ms(25));
	assert_true(t->closed);
	assert_int_equal(t->why.code, 9);
	world_end(&w);
}

TEST(connections_in_the_closing_state_are_bounded)
{
	struct world w;

	world_init(&w, 106);
	w.so.max_conns = 4;
	sim_both(w.cn, &clean);
	world_start(&w);
	for (int i = 0; i < 12; i++) {
		struct talker *t = world_join(&w, nsec_from_s(2));

		quic_conn_close(t->c, 0);
		world_run(&w, nsec_from_ms(11));
		assert_int_equal(server_stats(&w)->conns, 0);
		assert_int_equal(w.se->n_closing, i < 4 ? i + 1 : 4);
	}
	world_run(&w, nsec_from_s(5));
	assert_int_equal(w.se->n_closing, 0);
	assert_int_equal(cid_table_count(w.se->cids), 0);
	world_end(&w);
}

TEST(silence_ends_both_sides_at_the_idle_timeout)
{
	struct world w;

	world_init(&w, 102);
	w.so.keep_alive_ms = w.co.keep_alive_ms = 0;
	sim_both(w.cn, &clean);
	world_start(&w);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);

	world_run(&w, nsec_from_s(25));
	assert_false(t->closed || s->closed);
	world_run(&w, nsec_from_s(15));
	assert_true(t->closed && s->closed);
	assert_int_equal(t->why.end, QUIC_END_IDLE);
	assert_int_equal(s->why.end, QUIC_END_IDLE);
	world_end(&w);
}

TEST(keep_alive_outlives_the_idle_timeout)
{
	struct world w;

	world_init(&w, 103);
	w.co.keep_alive_ms = 0;
	sim_both(w.cn, &clean);
	world_start(&w);
	struct talker *t = world_join(&w, nsec_from_s(2));

	world_run(&w, nsec_from_s(5));
	uint64_t before = sim_sent(w.sn)->packets;

	world_run(&w, nsec_from_s(600));
	assert_false(t->closed);
	assert_in_range(sim_sent(w.sn)->packets - before, 55, 130);
	world_end(&w);
}

TEST(clients_that_vanish_leave_nothing_behind)
{
	struct world w;

	begin(&w, 104, &clean);
	w.echo_datagrams = w.echo_streams = true;
	for (int i = 0; i < 20; i++) {
		struct talker *t = world_join(&w, nsec_from_s(2));

		talk_stream(t, true, 100000);
		speak(t, 0, 3);
	}
	sim_both(w.cn, &(struct sim_link){.blackout = true});
	assert_int_equal(server_stats(&w)->conns, 20);
	world_run(&w, nsec_from_s(120));
	assert_int_equal(server_stats(&w)->conns, 0);
	assert_int_equal(server_stats(&w)->conns_closed, 20);
	world_end(&w);
}

TEST(freeing_an_endpoint_ends_its_connections)
{
	struct world w;

	begin(&w, 105, &clean);
	for (int i = 0; i < 5; i++)
		talk_datagram(world_join(&w, nsec_from_s(2)), 0, 100);
	world_connect(&w); /* one in the middle of its handshake */
	world_run(&w, nsec_from_ms(11));
	quic_conn_close(world_server(&w)->c, 3); /* and one that is about to say goodbye */
	world_end(&w);
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

TEST(the_application_has_a_timer)
{
	struct world w;

	begin(&w, 110, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2));

	quic_conn_set_timer(t->c, sim_now(w.sim) + nsec_from_ms(500));
	world_run(&w, nsec_from_ms(499));
	assert_int_equal(t->timers, 0);
	world_run(&w, nsec_from_ms(2));
	assert_int_equal(t->timers, 1);
	quic_conn_set_timer(t->c, sim_now(w.sim) + nsec_from_ms(500));
	quic_conn_set_timer(t->c, NSEC_NONE);
	world_run(&w, nsec_from_s(2));
	assert_int_equal(t->timers, 1);
	world_end(&w);
}

TEST(a_new_certificate_leaves_old_connections_alone)
{
	static const char *const names[] = {"localhost"};
	struct quic_cert fresh;
	struct quic_tls *tls;
	struct world w;

	begin(&w, 111, &clean);
	w.echo_datagrams = true;
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_int_equal(quic_cert_make(names, 1, 10, 1000000, &fresh), 0);
	assert_int_equal(quic_tls_server(&fresh, NULL, &tls), 0);
	quic_endpoint_set_tls(w.se, tls);
	quic_tls_unref(tls);
	struct talker *old_pin = world_connect(&w);

	speak(t, 0, 50);
	assert_true(old_pin->closed);
	assert_int_equal(old_pin->why.end, QUIC_END_HANDSHAKE);
	struct quic_tls_client_opts o = {.sha256 = fresh.info.sha256};

	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_client(&o, &w.ct), 0);
	world_join(&w, nsec_from_s(2));
	speak(t, 50, 50);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(talk_distinct(t), 100);
	quic_cert_free(&fresh);
	world_end(&w);
}

TEST(time_that_runs_backwards_is_tolerated)
{
	struct world w;

	begin(&w, 112, &clean);
	struct talker *t = world_join(&w, nsec_from_s(2)), *s = world_server(&w);
	nsec past = sim_now(w.sim) - nsec_from_s(1);

	talk_datagram(t, 0, 100);
	quic_endpoint_flush(w.ce, past);
	talk_datagram(s, 1, 100);
	quic_endpoint_expire(w.se, past);
	quic_endpoint_flush(w.se, past);
	world_run(&w, nsec_from_s(1));
	assert_int_equal(talk_distinct(t), 1);
	assert_int_equal(talk_distinct(s), 1);
	world_end(&w);
}

TEST(a_thousand_connections_talk_at_once)
{
#ifdef __SANITIZE_ADDRESS__
	enum { N = 200 };
#else
	enum { N = 1000 };
#endif
	struct sim_link l = {.delay_us = 10000, .jitter_us = 5000, .loss = 0.01};
	static struct talker *all[N];
	struct world w;

	world_init(&w, 113);
	w.so.max_conns_per_addr = N;
	w.so.retry_half_open = N / 2;
	sim_both(w.cn, &l);
	w.echo_datagrams = true;
	world_start(&w);
	for (int i = 0; i < N; i++)
		all[i] = world_connect(&w);
	world_run(&w, nsec_from_s(8));
	assert_int_equal(server_stats(&w)->conns, N);
	assert_int_equal(server_stats(&w)->half_open, 0);
	assert_true(server_stats(&w)->retries_sent > 0);
	for (uint32_t k = 0; k < 25; k++) {
		for (int i = 0; i < N; i++)
			assert_int_equal(talk_datagram(all[i], k, 642), 0);
		world_run(&w, nsec_from_ms(20));
	}
	world_run(&w, nsec_from_s(1));
	for (int i = 0; i < N; i++)
		assert_true(talk_distinct(all[i]) >= 15);
	for (int i = 0; i < N; i++)
		quic_conn_close(all[i]->c, 0);
	world_run(&w, nsec_from_s(5));
	assert_true(server_stats(&w)->conns <= (uint32_t)N / 50); /* where the CLOSE was lost; until idle */
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake_takes_one_round_trip_on_a_clean_path),
		cmocka_unit_test(the_server_prefers_among_the_keys_that_a_client_sent),
		cmocka_unit_test(handshake_completes_at_up_to_30_percent_loss),
		cmocka_unit_test(a_client_hello_of_two_packets_survives_a_rough_path),
		cmocka_unit_test(the_second_half_of_a_client_hello_alone_is_answered_with_retry),
		cmocka_unit_test(a_first_packet_with_any_byte_changed_makes_nothing_and_gets_no_answer),
		cmocka_unit_test(a_first_packet_without_the_beginning_of_a_client_hello_is_not_accepted),
		cmocka_unit_test(a_client_hello_in_crumbs_has_to_prove_its_address),
		cmocka_unit_test(a_wrong_certificate_is_refused),
		cmocka_unit_test(no_common_protocol_is_a_tls_alert),
		cmocka_unit_test(an_application_may_refuse_a_connection),
		cmocka_unit_test(a_stalled_handshake_is_freed_after_its_timeout),
		cmocka_unit_test(a_spoofed_initial_gets_three_times_its_bytes_at_most),
		cmocka_unit_test(datagrams_echo_both_ways),
		cmocka_unit_test(datagrams_cross_a_rough_path_once_each),
		cmocka_unit_test(several_datagrams_share_a_packet),
		cmocka_unit_test(streams_echo),
		cmocka_unit_test(streams_and_datagrams_cross_a_rough_path_together),
		cmocka_unit_test(corrupted_packets_do_no_harm),
		cmocka_unit_test(a_slow_link_queues_no_old_datagrams),
		cmocka_unit_test(a_peer_that_acknowledges_nothing_fills_only_the_queue),
		cmocka_unit_test(an_empty_pool_drops_and_counts),
		cmocka_unit_test(an_oversize_datagram_does_not_stall_the_queue),
		cmocka_unit_test(a_queued_datagram_that_no_longer_fits_is_dropped),
		cmocka_unit_test(a_small_mtu_is_discovered),
		cmocka_unit_test(packets_are_marked_for_ecn),
		cmocka_unit_test(congestion_marks_do_not_stop_the_voice),
		cmocka_unit_test(stream_credit_comes_back),
		cmocka_unit_test(unread_bytes_are_bounded_by_the_windows),
		cmocka_unit_test(reset_and_stop_reach_the_other_side),
		cmocka_unit_test(a_stopped_stream_gives_its_credit_back),
		cmocka_unit_test(voice_leaves_the_next_stream_unpaced),
		cmocka_unit_test(an_echo_costs_one_packet_each_way),
		cmocka_unit_test(a_server_that_sends_on_its_tick_sends_one_packet_a_tick),
		cmocka_unit_test(one_way_voice_costs_one_ack_for_two_packets),
		cmocka_unit_test(a_burst_is_acknowledged_while_it_lasts),
		cmocka_unit_test(keys_change_from_either_side_while_datagrams_flow),
		cmocka_unit_test(a_rebound_nat_keeps_the_connection),
		cmocka_unit_test(a_new_address_is_challenged_at_once),
		cmocka_unit_test(an_unproven_address_is_not_shown_and_gets_little),
		cmocka_unit_test(a_client_moves_to_another_address),
		cmocka_unit_test(every_client_proves_its_address_when_asked_to),
		cmocka_unit_test(retry_begins_with_many_half_open_handshakes),
		cmocka_unit_test(retry_begins_with_many_handshakes_that_failed),
		cmocka_unit_test(a_retry_has_a_tenth_of_what_it_answers),
		cmocka_unit_test(a_bad_retry_token_ends_the_attempt),
		cmocka_unit_test(an_unknown_version_is_answered_with_ours),
		cmocka_unit_test(stateless_answers_are_limited),
		cmocka_unit_test(a_server_without_memory_resets_its_clients),
		cmocka_unit_test(a_reset_is_shorter_than_what_caused_it),
		cmocka_unit_test(connections_over_a_limit_are_refused),
		cmocka_unit_test(half_open_handshakes_are_bounded),
		cmocka_unit_test(a_client_that_proves_its_address_is_accepted_despite_a_full_half_open_list),
		cmocka_unit_test(an_address_gets_no_more_than_its_share_of_half_open_handshakes),
		cmocka_unit_test(an_exempt_address_may_take_every_half_open_handshake),
		cmocka_unit_test(retry_packets_are_not_limited),
		cmocka_unit_test(a_close_reaches_the_peer_with_its_code),
		cmocka_unit_test(a_lost_close_is_sent_again_but_not_for_every_packet),
		cmocka_unit_test(connections_in_the_closing_state_are_bounded),
		cmocka_unit_test(silence_ends_both_sides_at_the_idle_timeout),
		cmocka_unit_test(keep_alive_outlives_the_idle_timeout),
		cmocka_unit_test(clients_that_vanish_leave_nothing_behind),
		cmocka_unit_test(freeing_an_endpoint_ends_its_connections),
		cmocka_unit_test(the_application_has_a_timer),
		cmocka_unit_test(a_new_certificate_leaves_old_connections_alone),
		cmocka_unit_test(time_that_runs_backwards_is_tolerated),
		cmocka_unit_test(a_thousand_connections_talk_at_once),
	};

	return cmocka_run_group_tests_name("quic", tests, NULL, NULL);
}
