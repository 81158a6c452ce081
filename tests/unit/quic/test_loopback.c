/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "quic/endpoint.h"
#include "quic/udp.h"

#include <string.h>
#include <uv.h>

/* Two endpoints on real sockets and one loop; the logic itself is tested in virtual time. */
struct side {
	struct udp *u;
	struct quic_endpoint *ep;
	struct quic_addr addr;
	struct quic_conn *c;
	bool server, handshaken, closed;
	unsigned datagrams;
};

static int on_open(void *ctx, struct quic_conn *c, void **user, nsec now)
{
	(void)now;
	*user = ctx;
	((struct side *)ctx)->c = c;
	return 0;
}

static void on_handshake(void *user, nsec now)
{
	(void)now;
	((struct side *)user)->handshaken = true;
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct side *s = user;
	struct quic_vec v = {p, len};

	s->datagrams++;
	if (s->server)
		assert_int_equal(quic_conn_send_datagram(s->c, &v, 1, now), 0);
}

static void next_data(void *user, struct quic_send *out)
{
	(void)user;
	out->id = -1;
}

static void on_closed(void *user, const struct quic_close *why, nsec now)
{
	(void)why;
	(void)now;
	((struct side *)user)->closed = true;
}

/* No streams here. */
static const struct quic_app app = {
	.on_open = on_open, .on_handshake = on_handshake, .on_datagram = on_datagram, .next_data = next_data,
	.on_closed = on_closed,
};

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	quic_endpoint_recv(((struct side *)ctx)->ep, path, ecn, p, len, now);
}

static void on_batch(void *ctx, nsec now)
{
	struct side *s = ctx;

	quic_endpoint_flush(s->ep, now);
	udp_flush(s->u);
}

static void side_open(struct side *s, uv_loop_t *loop, const char *host, struct quic_tls *tls)
{
	struct udp_handler h = {s, on_packet, on_batch};
	struct udp_opts uo;
	struct quic_opts qo;

	memset(s, 0, sizeof *s);
	s->server = tls != NULL;
	udp_opts_default(&uo);
	assert_int_equal(udp_new(loop, &uo, &h, NULL, &s->u), 0);
	assert_int_equal(quic_addr_parse(host, 0, &s->addr), 0);
	assert_int_equal(udp_bind(s->u, &s->addr, &s->addr), 0);
	struct quic_out out = udp_out(s->u);

	quic_opts_default(&qo);
	assert_int_equal(quic_endpoint_new(&qo, &out, &app, s, tls, NULL, &s->ep), 0);
}

static void side_close(struct side *s)
{
	quic_endpoint_free(s->ep);
	udp_close(s->u, NULL, NULL);
}

static void side_turn(struct side *s)
{
	nsec now = clock_now();

	if (quic_endpoint_deadline(s->ep) <= now)
		quic_endpoint_expire(s->ep, now);
	udp_flush(s->u);
}

/* Until `flag`; the socket wakes the loop, a timer of 1 ms serves the deadlines. */
static void on_timer(uv_timer_t *t)
{
	(void)t;
}

static void turn_until(uv_loop_t *loop, struct side *a, struct side *b, const bool *flag, const unsigned *count,
	unsigned enough)
{
	nsec limit = clock_now() + nsec_from_s(20);

	while ((flag ? !*flag : *count < enough) && clock_now() < limit) {
		uv_run(loop, UV_RUN_ONCE);
		side_turn(a);
		side_turn(b);
	}
	assert_true(flag ? *flag : *count >= enough);
}

static void join(const char *server_host, const char *dest, const char *client_host)
{
	static const char *const names[] = {"localhost"};
	struct quic_cert cert;
	struct quic_tls *st, *ct;
	struct side s, c;
	uv_loop_t loop;
	uv_timer_t timer;

	assert_int_equal(quic_cert_make(names, 1, 10, clock_wall_s(), &cert), 0);
	struct quic_tls_client_opts o = {.sha256 = cert.info.sha256};

	assert_int_equal(quic_tls_server(&cert, NULL, &st), 0);
	assert_int_equal(quic_tls_client(&o, &ct), 0);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_timer, 1, 1);
	side_open(&s, &loop, server_host, st);
	side_open(&c, &loop, client_host, NULL);
	struct quic_path path = {.local = c.addr};
	struct quic_conn *conn;

	quic_addr_parse(dest, quic_addr_port(&s.addr), &path.remote);
	assert_int_equal(quic_endpoint_connect(c.ep, ct, &path, "localhost", clock_now(), &conn), 0);
	quic_endpoint_flush(c.ep, clock_now());
	turn_until(&loop, &s, &c, &s.handshaken, NULL, 0);
	for (unsigned i = 0; i < 20; i++) {
		struct quic_vec v = {(const uint8_t *)"hello", 5};

		assert_int_equal(quic_conn_send_datagram(c.c, &v, 1, clock_now()), 0);
		quic_endpoint_flush(c.ep, clock_now());
		turn_until(&loop, &s, &c, NULL, &c.datagrams, i + 1);
	}
	quic_conn_close(c.c, 0);
	quic_endpoint_flush(c.ep, clock_now());
	turn_until(&loop, &s, &c, &s.closed, NULL, 0);
	assert_true(c.closed);
	side_close(&s);
	side_close(&c);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	quic_tls_unref(st);
	quic_tls_unref(ct);
	quic_cert_free(&cert);
}

TEST(endpoints_meet_over_real_sockets)
{
	struct quic_addr v6, local;

	join("127.0.0.1", "127.0.0.1", "127.0.0.1");
	join("0.0.0.0", "127.0.0.3", "127.0.0.1");
	quic_addr_parse("::1", 9, &v6);
	if (udp_local_for(&v6, &local) == 0)
		join("::", "::1", "::1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_meet_over_real_sockets),
	};

	return cmocka_run_group_tests_name("loopback", tests, NULL, NULL);
}
