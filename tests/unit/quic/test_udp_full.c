/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A kernel that takes `room` packets and then says EAGAIN; loopback itself never does. */
static unsigned room;
static unsigned taken;
static uint32_t order[1024];

static int fake_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	unsigned i;

	(void)fd;
	(void)flags;
	for (i = 0; i < n && room > 0; i++, room--)
		memcpy(&order[taken++], m[i].msg_hdr.msg_iov->iov_base, sizeof *order);
	if (i > 0)
		return (int)i;
	errno = EAGAIN;
	return -1;
}

#define sendmmsg fake_sendmmsg
#include "quic/udp.c"
#include "quic/udp_send.c"

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	(void)ctx;
	(void)path;
	(void)ecn;
	(void)p;
	(void)len;
	(void)now;
}

static void on_batch(void *ctx, nsec now)
{
	(void)ctx;
	(void)now;
}

static void post(struct udp *u, const struct quic_addr *from, uint32_t n)
{
	struct quic_out out = udp_out(u);
	struct quic_path path = {*from, *from};

	memcpy(out.slot(out.ctx), &n, sizeof n);
	out.commit(out.ctx, &path, 2, sizeof n);
}

TEST(a_full_socket_keeps_one_batch_and_drops_the_rest)
{
	struct udp_opts o;
	struct udp_handler h = {NULL, on_packet, on_batch};
	struct quic_addr a;
	struct udp *u;
	uv_loop_t loop;

	uv_loop_init(&loop);
	udp_opts_default(&o);
	o.rcvbuf_bytes = o.sndbuf_bytes = 0;
	assert_int_equal(udp_new(&loop, &o, &h, NULL, &u), 0);
	quic_addr_parse("127.0.0.1", 0, &a);
	assert_int_equal(udp_bind(u, &a, &a), 0);
	room = 10;
	for (uint32_t i = 0; i < 200; i++)
		post(u, &a, i);
	udp_flush(u);
	assert_int_equal(taken, 10);
	assert_int_equal(u->tx.n, UDP_BATCH);
	assert_int_equal(udp_stats(u)->send_dropped, 200 - 10 - UDP_BATCH);
	room = 30;
	udp_flush(u); /* nothing until the loop says that it is writable */
	assert_int_equal(taken, 10);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(taken, 40);
	post(u, &a, 1000);
	room = 1000;
	for (int i = 0; i < 5; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	udp_flush(u);
	assert_int_equal(taken, 10 + UDP_BATCH + 1);
	for (uint32_t i = 0; i < 10 + UDP_BATCH; i++)
		assert_int_equal(order[i], i); /* nothing lost or turned round among what was kept */
	assert_int_equal(order[10 + UDP_BATCH], 1000);
	udp_close(u, NULL, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_socket_keeps_one_batch_and_drops_the_rest),
	};

	return cmocka_run_group_tests_name("udp_full", tests, NULL, NULL);
}
