/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "quic/handshake_queue.h"

#include "base/err.h"

#include <string.h>

enum { MAX = 4 };

/* A server that answers a version that it does not know: what came in shows in what goes out. */
struct door {
	struct handshake_queue *queue;
	struct quic_endpoint *ep;
	struct quic_tls *tls;
	struct quic_path path;
	uint8_t slot[QUIC_PACKET_MAX], sent[QUIC_PACKET_MAX]; /* what is written next, and the last that was */
	unsigned answers;
	size_t last_len;
	uint8_t last; /* the first byte of the id that the last answer is for */
};

static uint8_t *on_slot(void *ctx)
{
	return ((struct door *)ctx)->slot;
}

static void on_commit(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len)
{
	struct door *d = ctx;

	(void)path, (void)ecn;
	assert_true(len > 6);
	d->answers++;
	d->last_len = len;
	memcpy(d->sent, d->slot, len);
	d->last = d->slot[6];
}

static int on_open(void *ctx, struct quic_conn *c, void **user, nsec now)
{
	(void)ctx, (void)c, (void)user, (void)now;
	return 0;
}

static void on_closed(void *user, const struct quic_close *why, nsec now)
{
	(void)user, (void)why, (void)now;
}

static int open_door(void **state)
{
	static struct door d;
	static const char *const names[] = {"localhost"};
	struct quic_cert cert;
	struct quic_opts opts;
	const struct quic_out out = {&d, on_slot, on_commit};
	static const struct quic_app app = {.on_open = on_open, .on_closed = on_closed};

	memset(&d, 0, sizeof d);
	quic_opts_default(&opts);
	assert_int_equal(quic_cert_make(names, 1, 10, clock_wall_s(), &cert), 0);
	assert_int_equal(quic_tls_server(&cert, NULL, &d.tls), 0);
	quic_cert_free(&cert);
	assert_int_equal(quic_endpoint_new(&opts, &out, &app, NULL, d.tls, NULL, &d.ep), 0);
	assert_int_equal(quic_addr_parse("10.0.0.1", 4433, &d.path.local), 0);
	assert_int_equal(quic_addr_parse("10.0.0.2", 5000, &d.path.remote), 0);
	assert_int_equal(handshake_queue_new(MAX, &d.queue), 0);
	*state = &d;
	return 0;
}

static int close_door(void **state)
{
	struct door *d = *state;

	handshake_queue_free(d->queue);
	quic_endpoint_free(d->ep);
	quic_tls_unref(d->tls);
	return 0;
}

/* A long header of a version that nobody speaks, from the id `who`. */
static void knock(struct door *d, uint8_t who, nsec now)
{
	uint8_t p[1200] = {0xc0, 0xba, 0xba, 0xba, 0xba, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, who};

	assert_true(handshake_queue_accepts(p, sizeof p));
	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, sizeof p, now);
}

TEST(only_long_headers_are_accepted)
{
	const uint8_t one_rtt[30] = {0x40};

	assert_false(handshake_queue_accepts(one_rtt, sizeof one_rtt));
	assert_false(handshake_queue_accepts(one_rtt, 0));
}

static void packets_leave_one_by_one_in_order(void **state)
{
	struct door *d = *state;
	nsec now = nsec_from_s(1);

	assert_false(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, now));
	for (uint8_t round = 0; round < 3; round++) { /* round the ring */
		for (uint8_t i = 0; i < 3; i++)
			knock(d, (uint8_t)(0x10 * round + i), now);
		assert_int_equal(handshake_queue_len(d->queue), 3);
		for (uint8_t i = 0; i < 3; i++) {
			assert_true(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, now));
			assert_int_equal(d->last, 0x10 * round + i);
		}
	}
	assert_int_equal(d->answers, 9);
	assert_int_equal(handshake_queue_len(d->queue), 0);
	assert_int_equal(handshake_queue_stats(d->queue)->packets, 9);
}

static void a_full_queue_drops_and_counts(void **state)
{
	struct door *d = *state;
	nsec now = nsec_from_s(1);

	for (uint8_t i = 0; i < MAX + 2; i++)
		knock(d, i, now);
	assert_int_equal(handshake_queue_stats(d->queue)->full, 2);
	while (handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, now))
		;
	assert_int_equal(d->answers, MAX);
	assert_int_equal(d->last, MAX - 1); /* who was first is served first */
}

static void old_packets_are_dropped(void **state)
{
	struct door *d = *state;
	nsec now = nsec_from_s(1), later = now + nsec_from_ms(HANDSHAKE_STALE_MS) + 1;

	knock(d, 1, now);
	knock(d, 2, now);
	knock(d, 3, later);
	assert_true(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, later));
	assert_int_equal(d->last, 3);
	assert_int_equal(handshake_queue_stats(d->queue)->stale, 2);
	assert_false(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, later));
}

static void a_payload_longer_than_any_packet_is_ignored(void **state)
{
	struct door *d = *state;
	static uint8_t p[QUIC_PACKET_MAX + 1] = {0xc0};

	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, sizeof p, 1);
	assert_int_equal(handshake_queue_len(d->queue), 0);
}

static void packets_of_no_connection_are_not_queued(void **state)
{
	struct door *d = *state;
	static const uint8_t heads[][20] = {
		{0xe0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0},          /* Handshake of no connection */
		{0xd0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0},          /* 0-RTT, which we do not take */
		{0xc0, 0, 0, 0, 1, 7, 1, 2, 3, 4, 5, 6, 7, 0},             /* Initial whose id is too short */
		{0xc0, 0, 0, 0, 1, 21, 1, 2, 3, 4, 5, 6, 7, 0},            /* and too long */
		{0xc0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0},          /* Version Negotiation, to a server */
	};
	static const uint8_t good[1200] = {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};
	uint8_t p[1200] = {0};

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		memcpy(p, heads[i], sizeof heads[i]);
		handshake_queue_put(d->queue, d->ep, &d->path, 0, p, sizeof p, 1);
	}
	handshake_queue_put(d->queue, d->ep, &d->path, 0, good, sizeof good - 1, 1); /* Initial in a datagram that is too short */
	handshake_queue_put(d->queue, d->ep, &d->path, 0, good, 3, 1);
	assert_int_equal(handshake_queue_len(d->queue), 0);
	assert_int_equal(quic_endpoint_stats(d->ep)->unknown_packets, 7);
	assert_int_equal(quic_endpoint_stats(d->ep)->packets_in, 7);
	handshake_queue_put(d->queue, d->ep, &d->path, 0, good, sizeof good, 1);
	assert_int_equal(handshake_queue_len(d->queue), 1);
}

/* The first packet of a client that means it. */
static size_t first_flight(struct door *d, uint8_t p[QUIC_PACKET_MAX])
{
	struct door client = {.path = {.local = d->path.remote, .remote = d->path.local}};
	const struct quic_out out = {&client, on_slot, on_commit};
	static const struct quic_app app;
	struct quic_conn *c;
	struct quic_opts opts;
	const struct quic_tls_client_opts tls = {.insecure = true};
	size_t len;

	quic_opts_default(&opts);
	assert_int_equal(quic_tls_client(&tls, &client.tls), 0);
	assert_int_equal(quic_endpoint_new(&opts, &out, &app, NULL, NULL, NULL, &client.ep), 0);
	assert_int_equal(quic_endpoint_connect(client.ep, client.tls, &client.path, "localhost", nsec_from_s(1), &c), 0);
	quic_endpoint_flush(client.ep, nsec_from_s(1));
	len = client.last_len;
	memcpy(p, client.sent, len);
	quic_endpoint_free(client.ep);
	quic_tls_unref(client.tls);
	return len;
}

static void connections_go_before_new_clients(void **state)
{
	struct door *d = *state;
	uint8_t p[QUIC_PACKET_MAX];
	size_t len = first_flight(d, p);
	nsec now = nsec_from_s(1);

	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, len, now);
	assert_true(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, now));
	assert_int_equal(quic_endpoint_stats(d->ep)->half_open, 1);
	for (uint8_t i = 0; i < MAX + 1; i++)
		knock(d, i, now);
	assert_int_equal(handshake_queue_stats(d->queue)->full, 1);
	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, len, now); /* said again */
	assert_int_equal(handshake_queue_len(d->queue), MAX + 1);
	assert_true(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, now));
	assert_int_equal(d->answers, 0);
	assert_true(handshake_queue_run_next(d->queue, d->ep, NSEC_NONE, now));
	assert_int_equal(d->answers, 1);
}

/* While the server is busy, everybody whom it keeps out is told so, and cheaply. */
static void new_clients_that_wait_too_long_are_turned_away(void **state)
{
	struct door *d = *state;
	uint8_t p[QUIC_PACKET_MAX];
	size_t len = first_flight(d, p);
	nsec now = nsec_from_s(1), patience = nsec_from_ms(500), later = now + patience + 1;

	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, len, now);
	assert_true(handshake_queue_run_next(d->queue, d->ep, patience, later));
	assert_int_equal(d->answers, 1);
	assert_true(d->last_len > 0 && d->last_len < len / 3);
	assert_int_equal(quic_endpoint_stats(d->ep)->refused_busy, 1);
	assert_int_equal(quic_endpoint_stats(d->ep)->half_open, 0);
	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, len, later);
	assert_true(handshake_queue_run_next(d->queue, d->ep, patience, later + patience));
	assert_int_equal(quic_endpoint_stats(d->ep)->half_open, 1);
	handshake_queue_put(d->queue, d->ep, &d->path, 0, p, len, later); /* whose handshake has begun is heard */
	assert_true(handshake_queue_run_next(d->queue, d->ep, patience, later + 2 * patience));
	assert_int_equal(quic_endpoint_stats(d->ep)->half_open, 1);
	assert_int_equal(quic_endpoint_stats(d->ep)->refused_busy, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_long_headers_are_accepted),
		cmocka_unit_test_setup_teardown(packets_leave_one_by_one_in_order, open_door, close_door),
		cmocka_unit_test_setup_teardown(a_full_queue_drops_and_counts, open_door, close_door),
		cmocka_unit_test_setup_teardown(old_packets_are_dropped, open_door, close_door),
		cmocka_unit_test_setup_teardown(packets_of_no_connection_are_not_queued, open_door, close_door),
		cmocka_unit_test_setup_teardown(connections_go_before_new_clients, open_door, close_door),
		cmocka_unit_test_setup_teardown(new_clients_that_wait_too_long_are_turned_away, open_door, close_door),
		cmocka_unit_test_setup_teardown(a_payload_longer_than_any_packet_is_ignored, open_door, close_door),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
