/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "quic/udp.h"

#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* Two of them on one loop; what the second hears is kept. */
struct end {
	struct udp *u;
	struct quic_addr addr;
	unsigned packets, batches, closed;
	struct quic_path path;
	uint8_t ecn;
	size_t len;
	uint8_t data[QUIC_PACKET_MAX];
};

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	struct end *e = ctx;

	assert_true(now > 0);
	e->packets++;
	e->path = *path;
	e->ecn = ecn;
	e->len = len;
	memcpy(e->data, p, len);
}

static void on_batch(void *ctx, nsec now)
{
	(void)now;
	((struct end *)ctx)->batches++;
}

static void on_end_closed(void *ctx)
{
	((struct end *)ctx)->closed++;
}

static void end_open(struct end *e, uv_loop_t *loop, const char *host)
{
	struct udp_opts o;
	struct udp_handler h = {e, on_packet, on_batch};
	struct quic_addr a;

	memset(e, 0, sizeof *e);
	udp_opts_default(&o);
	o.rcvbuf_bytes = o.sndbuf_bytes = 65536;
	o.grid_us = 1000;
	assert_int_equal(udp_new(loop, &o, &h, NULL, &e->u), 0);
	assert_int_equal(quic_addr_parse(host, 0, &a), 0);
	assert_int_equal(udp_bind(e->u, &a, &e->addr), 0);
	assert_true(quic_addr_port(&e->addr) > 0);
}

static void post(struct end *from, struct quic_addr to, uint8_t ecn, const void *p, size_t len)
{
	struct quic_out out = udp_out(from->u);
	struct quic_path path = {from->addr, to};

	memcpy(out.slot(out.ctx), p, len);
	out.commit(out.ctx, &path, ecn, len);
}

/* Loopback delivers before sendmmsg returns, so no waiting is needed beyond turning the loop. */
static void turn(uv_loop_t *loop, const struct end *e, unsigned packets)
{
	for (int i = 0; i < 1000 && e->packets < packets; i++)
		uv_run(loop, UV_RUN_NOWAIT);
	assert_int_equal(e->packets, packets);
}

static void open_both(uv_loop_t *loop, struct end *a, struct end *b)
{
	assert_int_equal(uv_loop_init(loop), 0);
	end_open(a, loop, "127.0.0.1");
	end_open(b, loop, "127.0.0.1");
}

static void close_both(uv_loop_t *loop, struct end *a, struct end *b)
{
	udp_close(a->u, on_end_closed, a);
	udp_close(b->u, on_end_closed, b);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(a->closed, 1);
	assert_int_equal(b->closed, 1);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void packets_cross(const char *a_host, const char *b_host, const char *b_dest)
{
	struct end a, b;
	uv_loop_t loop;
	struct quic_addr to;

	assert_int_equal(uv_loop_init(&loop), 0);
	end_open(&a, &loop, a_host);
	end_open(&b, &loop, b_host);
	assert_int_equal(quic_addr_parse(b_dest, quic_addr_port(&b.addr), &to), 0);
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		post(&a, to, ecn, "hello", 5);
		udp_flush(a.u);
		turn(&loop, &b, ecn + 1u);
		assert_int_equal(b.ecn, ecn);
		assert_int_equal(b.len, 5);
		assert_memory_equal(b.data, "hello", 5);
		assert_true(quic_addr_equal(&b.path.local, &to)); /* also on a wildcard socket */
		assert_int_equal(quic_addr_port(&b.path.remote), quic_addr_port(&a.addr));
	}
	/* Back from the address that it was sent to. */
	struct quic_path back = b.path;
	struct quic_out out = udp_out(b.u);

	memcpy(out.slot(out.ctx), "there", 5);
	out.commit(out.ctx, &back, 2, 5);
	udp_flush(b.u);
	turn(&loop, &a, 1);
	assert_true(quic_addr_equal(&a.path.remote, &to));
	close_both(&loop, &a, &b);
}

TEST(packets_keep_address_and_ecn_on_ipv4)
{
	packets_cross("127.0.0.1", "127.0.0.1", "127.0.0.1");
	packets_cross("127.0.0.1", "0.0.0.0", "127.0.0.1");
	packets_cross("127.0.0.1", "0.0.0.0", "127.0.0.5");
}

static bool has_ipv6(void)
{
	struct quic_addr a, local;

	quic_addr_parse("::1", 9, &a);
	return udp_local_for(&a, &local) == 0;
}

TEST(packets_keep_address_and_ecn_on_ipv6)
{
	if (!has_ipv6())
		skip();
	packets_cross("::1", "::1", "::1");
	packets_cross("::1", "::", "::1");
}

TEST(a_burst_longer_than_a_batch_arrives)
{
	enum { N = 150 };
	struct end a, b;
	uv_loop_t loop;

	open_both(&loop, &a, &b);
	for (uint32_t i = 0; i < N; i++)
		post(&a, b.addr, 2, &i, sizeof i);
	udp_flush(a.u);
	turn(&loop, &b, N);
	uint32_t last;

	memcpy(&last, b.data, sizeof last);
	assert_int_equal(last, N - 1);
	assert_int_equal(udp_stats(a.u)->packets_out, N);
	assert_int_equal(udp_stats(b.u)->packets_in, N);
	assert_true(b.batches < N);
	close_both(&loop, &a, &b);
}

TEST(empty_and_huge_packets_are_dropped)
{
	static const uint8_t huge[4000];
	struct end a, b;
	uv_loop_t loop;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	open_both(&loop, &a, &b);
	for (int i = 0; i < 100; i++)
		assert_int_equal(sendto(fd, "", 0, 0, &b.addr.sa, b.addr.len), 0);
	assert_int_equal(sendto(fd, huge, sizeof huge, 0, &b.addr.sa, b.addr.len), sizeof huge);
	assert_int_equal(sendto(fd, "x", 1, 0, &b.addr.sa, b.addr.len), 1);
	turn(&loop, &b, 1);
	assert_int_equal(b.len, 1);
	close(fd);
	close_both(&loop, &a, &b);
}

TEST(losses_in_a_full_receive_buffer_are_counted)
{
	enum { N = 1000 };
	static const uint8_t p[1200];
	struct end a, b;
	uv_loop_t loop;

	open_both(&loop, &a, &b);
	for (int i = 0; i < N; i++)
		post(&a, b.addr, 2, p, sizeof p);
	udp_flush(a.u);
	for (int i = 0; i < 100; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	post(&a, b.addr, 2, "x", 1); /* carries the count */
	udp_flush(a.u);
	turn(&loop, &b, b.packets + 1);
	assert_true(b.packets < N);
	assert_int_equal(udp_stats(b.u)->kernel_dropped + b.packets, N + 1);
	close_both(&loop, &a, &b);
}

TEST(a_packet_without_a_socket_is_dropped_and_counted)
{
	struct end a, b;
	uv_loop_t loop;

	open_both(&loop, &a, &b);
	struct quic_addr own = a.addr;

	quic_addr_parse("127.0.0.1", 1, &a.addr); /* none is bound to this */
	post(&a, b.addr, 2, "x", 1);
	udp_flush(a.u);
	assert_int_equal(udp_stats(a.u)->send_dropped, 1);
	a.addr = own;
	struct quic_addr nowhere;

	quic_addr_parse("255.255.255.255", 9, &nowhere); /* not allowed without SO_BROADCAST */
	post(&a, nowhere, 2, "x", 1);
	post(&a, b.addr, 2, "y", 1);
	udp_flush(a.u);
	assert_int_equal(udp_stats(a.u)->send_dropped, 2);
	turn(&loop, &b, 1);
	assert_int_equal(b.data[0], 'y');
	close_both(&loop, &a, &b);
}

TEST(a_taken_port_is_an_error_with_errno)
{
	struct end a;
	uv_loop_t loop;
	struct end b;

	open_both(&loop, &a, &b);
	assert_int_equal(udp_bind(b.u, &a.addr, NULL), ERR_IO);
	assert_int_equal(errno, EADDRINUSE);
	close_both(&loop, &a, &b);
}

TEST(the_kernel_chooses_our_address)
{
	struct quic_addr remote, local;
	char text[QUIC_ADDR_TEXT];

	quic_addr_parse("127.0.0.1", 4433, &remote);
	assert_int_equal(udp_local_for(&remote, &local), 0);
	assert_string_equal(quic_addr_format(&local, text), "127.0.0.1:0");
}

TEST(without_a_socket_the_loop_still_reports_the_close)
{
	struct end e = {0};
	struct udp_opts o;
	struct udp_handler h = {&e, on_packet, on_batch};
	uv_loop_t loop;

	uv_loop_init(&loop);
	udp_opts_default(&o);
	assert_int_equal(udp_new(&loop, &o, &h, NULL, &e.u), 0);
	udp_close(e.u, on_end_closed, &e);
	assert_int_equal(e.closed, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(e.closed, 1);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* One packet at a time, each of which wakes the loop. */
static void post_one_by_one(uv_loop_t *loop, struct end *a, struct end *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		post(a, b->addr, 0, "x", 1);
		udp_flush(a->u);
		uv_run(loop, UV_RUN_NOWAIT);
	}
}

TEST(a_late_tick_reads_the_sockets_first)
{
	const nsec late = nsec_from_s(5);
	uv_loop_t loop;
	struct end a, b;

	open_both(&loop, &a, &b);
	post(&a, b.addr, 0, "x", 1);
	udp_flush(a.u);
	assert_false(udp_run(b.u, NSEC_NONE, late));
	assert_false(udp_run(b.u, late - nsec_from_ms(1), late));
	assert_int_equal(b.packets, 0);
	assert_true(udp_run(b.u, late - nsec_from_ms(3), late));
	assert_int_equal(b.packets, 1);
	close_both(&loop, &a, &b);
}

/* `n` packets for each millisecond of half a second, on the clock of the grid: how often they are read. */
static unsigned readings(uv_loop_t *loop, struct end *a, struct end *b, unsigned n)
{
	nsec now = udp_wake_at(b->u, NSEC_NONE, NSEC_NONE), end = now + nsec_from_ms(500);
	unsigned times = 0, due = 0;

	for (nsec then = now; now < end; then = now, now = udp_wake_at(b->u, NSEC_NONE, NSEC_NONE)) {
		due = (unsigned)((now - then) / nsec_from_ms(1)) * n;
		for (unsigned i = 0; i < due; i++)
			post(a, b->addr, 0, "x", 1);
		udp_flush(a->u);
		uv_run(loop, UV_RUN_NOWAIT);
		times += udp_run(b->u, NSEC_NONE, now);
	}
	return times;
}

TEST(the_busier_the_socket_the_sooner_the_next_reading)
{
	uv_loop_t loop;
	struct end a, b;

	open_both(&loop, &a, &b);
	while (udp_wake_at(b.u, NSEC_NONE, NSEC_NONE) == NSEC_NONE)
		post_one_by_one(&loop, &a, &b, 30);
	/* time is ours from here on: the clock of the machine must not be ahead of it */
	for (nsec now = clock_now() + nsec_from_s(1000), i = 0; i < 3; i++)
		udp_run(b.u, NSEC_NONE, now += nsec_from_ms(1));
	post_one_by_one(&loop, &a, &b, 30);
	assert_in_range(readings(&loop, &a, &b, 3), 120, 150);
	assert_in_range(readings(&loop, &a, &b, 12), 240, 285);
	assert_in_range(readings(&loop, &a, &b, 24), 465, 500);
	assert_in_range(readings(&loop, &a, &b, 3), 120, 150);
	close_both(&loop, &a, &b);
}

TEST(busy_sockets_are_read_on_the_grid)
{
	uv_loop_t loop;
	struct end a, b;
	nsec now;

	open_both(&loop, &a, &b);
	assert_true(udp_wake_at(b.u, 12345, 23456) == 12345);
	assert_true(udp_wake_at(b.u, NSEC_NONE, 23456) == 23456);
	for (int tries = 0; udp_wake_at(b.u, NSEC_NONE, NSEC_NONE) == NSEC_NONE; tries++) {
		assert_true(tries < 100); /* only a machine that stands still takes 20 ms for twenty packets */
		post_one_by_one(&loop, &a, &b, 30);
	}
	now = udp_wake_at(b.u, NSEC_NONE, NSEC_NONE);
	assert_true(now % nsec_from_ms(1) == 0);
	assert_true(udp_wake_at(b.u, NSEC_NONE, 1) == now);          /* what is due before waits */
	assert_true(udp_wake_at(b.u, now - nsec_from_ms(2), 1) == now - nsec_from_ms(2)); /* except for ticks ... */
	assert_true(udp_wake_at(b.u, now - nsec_from_us(1500), 1) == now - nsec_from_ms(1)); /* ... on the grid */

	unsigned packets = b.packets, batches = b.batches;

	post_one_by_one(&loop, &a, &b, 10);
	assert_int_equal(b.packets, packets); /* nobody looked */
	assert_false(udp_run(b.u, NSEC_NONE, now - 1));
	assert_int_equal(b.packets, packets);
	assert_true(udp_run(b.u, NSEC_NONE, now));
	assert_true(b.packets >= packets + 10); /* and what came while the grid was entered */
	assert_int_equal(b.batches, batches + 1);
	assert_true(udp_wake_at(b.u, NSEC_NONE, NSEC_NONE) > now);
	packets = b.packets;
	post_one_by_one(&loop, &a, &b, 1);
	now = udp_wake_at(b.u, NSEC_NONE, NSEC_NONE);
	assert_true(udp_run(b.u, now - nsec_from_ms(1), now - nsec_from_ms(1))); /* a room's tick reads, too */
	assert_int_equal(b.packets, packets + 1);

	for (int i = 0; i < 100 && udp_wake_at(b.u, NSEC_NONE, NSEC_NONE) != NSEC_NONE; i++) /* silence */
		udp_run(b.u, NSEC_NONE, now += nsec_from_ms(1));
	assert_true(udp_wake_at(b.u, NSEC_NONE, NSEC_NONE) == NSEC_NONE);
	packets = b.packets;
	post(&a, b.addr, 0, "y", 1);
	udp_flush(a.u);
	turn(&loop, &b, packets + 1); /* packets wake the loop again */
	close_both(&loop, &a, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_sockets_are_read_on_the_grid),
		cmocka_unit_test(the_busier_the_socket_the_sooner_the_next_reading),
		cmocka_unit_test(a_late_tick_reads_the_sockets_first),
		cmocka_unit_test(packets_keep_address_and_ecn_on_ipv4),
		cmocka_unit_test(packets_keep_address_and_ecn_on_ipv6),
		cmocka_unit_test(a_burst_longer_than_a_batch_arrives),
		cmocka_unit_test(empty_and_huge_packets_are_dropped),
		cmocka_unit_test(losses_in_a_full_receive_buffer_are_counted),
		cmocka_unit_test(a_packet_without_a_socket_is_dropped_and_counted),
		cmocka_unit_test(a_taken_port_is_an_error_with_errno),
		cmocka_unit_test(the_kernel_chooses_our_address),
		cmocka_unit_test(without_a_socket_the_loop_still_reports_the_close),
	};

	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
