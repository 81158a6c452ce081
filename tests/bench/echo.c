/* SPDX-License-Identifier: MIT */
/*
 * echo [PORT] - our transport alone: datagrams of WebTransport sessions come back at once. No rooms, no sound. Says
 * "ready PORT"; ends with its standard input.
 */
#include "base/err.h"
#include "quic/ticker.h"
#include "quic/udp.h"
#include "wt/wt.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct echo {
	uv_loop_t loop;
	uv_pipe_t in;
	struct ticker *ticker;
	struct udp *udp;
	struct quic_endpoint *ep;
	struct wt *w;
};

static unsigned on_connect(void *ctx, struct wt_session *s, const struct http_request *req, struct http_response *res,
	void **user, nsec now)
{
	(void)ctx, (void)req, (void)res, (void)now;
	*user = s;
	return 200;
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	wt_session_send(user, p, len, NULL, 0, now);
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	(void)user, (void)st, (void)p, (void)len, (void)fin, (void)now;
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	(void)user, (void)why, (void)now;
}

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	quic_endpoint_recv(((struct echo *)ctx)->ep, path, ecn, p, len, now);
}

static void settle(void *ctx, nsec now)
{
	struct echo *e = ctx;

	if (quic_endpoint_deadline(e->ep) <= now)
		quic_endpoint_expire(e->ep, now);
	quic_endpoint_flush(e->ep, now);
	udp_flush(e->udp);
	ticker_set(e->ticker, udp_wake_at(e->udp, NSEC_NONE, quic_endpoint_deadline(e->ep)));
}

static void on_tick(void *ctx, nsec now)
{
	struct echo *e = ctx;

	if (!udp_run(e->udp, NSEC_NONE, now))
		settle(e, now);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	static char b[64];

	(void)h, (void)size;
	*buf = uv_buf_init(b, sizeof b);
}

static void on_input(uv_stream_t *in, ssize_t n, const uv_buf_t *buf)
{
	(void)in, (void)buf;
	if (n < 0)
		exit(0);
}

static int serve(struct echo *e, uint16_t port)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};
	static const struct wt_app app = {.on_connect = on_connect, .on_datagram = on_datagram,
		.on_stream_data = on_stream_data, .on_closed = on_closed};
	static const struct log_out out = {.fd = 2, .level = LOG_WARN};
	static struct log log = {.out = &out};
	const struct udp_handler handler = {e, on_packet, settle};
	struct quic_addr addr, bound;
	struct quic_cert cert;
	struct quic_tls *tls;
	struct quic_opts qo;
	struct udp_opts uo;
	struct wt_opts wo;

	udp_opts_default(&uo);
	uo.grid_us = 1000; /* as the daemon has it */
	quic_opts_default(&qo);
	wt_opts_default(&wo);
	qo.max_conns_per_addr = qo.max_conns;
	int err = quic_cert_make(names, 2, 10, clock_wall_s(), &cert);

	if (!err)
		err = quic_tls_server(&cert, NULL, &tls);
	if (!err)
		err = quic_addr_parse("127.0.0.1", port, &addr);
	if (!err)
		err = udp_new(&e->loop, &uo, &handler, &log, &e->udp);
	if (!err)
		err = udp_bind(e->udp, &addr, &bound);
	if (!err)
		err = ticker_open(&e->loop, on_tick, e, &e->ticker);
	if (!err)
		err = wt_new(&wo, &app, NULL, &log, &e->w);
	if (err)
		return err;
	const struct quic_out to = udp_out(e->udp);

	err = quic_endpoint_new(&qo, &to, wt_quic_app(), e->w, tls, &log, &e->ep);
	if (err)
		return err;
	wt_attach(e->w, e->ep);
	printf("ready %u\n", quic_addr_port(&bound));
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static struct echo e;

	uv_loop_init(&e.loop);
	uv_pipe_init(&e.loop, &e.in, 0);
	e.in.data = &e;
	int err = serve(&e, argc > 1 ? (uint16_t)atoi(argv[1]) : 0);

	if (err) {
		fprintf(stderr, "echo: %s\n", err_str(err));
		return 1;
	}
	uv_pipe_open(&e.in, 0);
	uv_read_start((uv_stream_t *)&e.in, on_alloc, on_input);
	return uv_run(&e.loop, UV_RUN_DEFAULT);
}
