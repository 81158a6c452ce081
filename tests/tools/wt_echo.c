/* SPDX-License-Identifier: MIT */
/*
 * wt_echo PORT - a WebTransport echo on a real socket, to try foreign clients against the
 * wt layer alone. Sessions at /echo; datagrams and bidirectional streams come back, a
 * unidirectional one is answered by one of ours. "?close=N" has the server close with
 * code N at the first datagram. Prints "ready PORT SHA256" of its certificate, then what
 * happens, until its standard input ends.
 */
#include "base/err.h"
#include "base/log.h"
#include "quic/udp.h"
#include "wt/wt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct echo {
	uv_loop_t loop;
	uv_timer_t timer;
	uv_pipe_t in;
	struct udp *udp;
	struct quic_endpoint *ep;
	struct wt *w;
};

struct client {
	struct wt_session *s;
	unsigned long close_code; /* 0: never */
	uint64_t datagrams, bytes;
};

/* --- the application ------------------------------------------------------------------ */

static unsigned on_connect(void *ctx, struct wt_session *s, const struct http_request *req, struct http_response *res,
	void **user, nsec now)
{
	const char *close = strstr(req->query, "close=");

	(void)ctx, (void)res, (void)now;
	printf("connect sess=%llu path=%s?%s origin=%s agent=%s\n", (unsigned long long)wt_session_id(s), req->path,
		req->query, req->origin ? req->origin : "", req->user_agent);
	if (strncmp(req->path, "/echo", 5) != 0)
		return 404;
	struct client *c = calloc(1, sizeof *c);

	if (!c)
		return 503;
	c->s = s;
	c->close_code = close ? strtoul(close + 6, NULL, 10) : 0;
	*user = c;
	return 200;
}

static void on_request(void *ctx, const struct http_request *req, struct http_response *res)
{
	(void)ctx;
	printf("request %s %s\n", req->method, req->path);
	http_response_text(res, 200, "hello\n");
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct client *c = user;

	c->datagrams++;
	if (c->close_code)
		wt_session_close(c->s, (uint32_t)c->close_code, "as you asked", now);
	else
		wt_session_send(c->s, p, len, NULL, 0, now);
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct client *c = user;
	struct wt_stream *back = st;

	c->bytes += len;
	if (!wt_stream_is_bidi(st) && !wt_stream_user(st)) {
		if (wt_stream_open(c->s, false, &back))
			return;
		wt_stream_set_user(st, back);
	}
	if (!wt_stream_is_bidi(st))
		back = wt_stream_user(st);
	if (wt_stream_send(back, p, len, fin, now))
		wt_stream_abort(st, 1, now);
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	static const char *const ends[] = {"local", "peer", "reset", "conn", "error"};
	struct client *c = user;

	(void)now;
	printf("closed sess=%llu by=%s code=%u reason=%s datagrams=%llu bytes=%llu\n",
		(unsigned long long)wt_session_id(c->s), ends[why->end], why->code, why->reason,
		(unsigned long long)c->datagrams, (unsigned long long)c->bytes);
	free(c);
}

/* --- the socket ----------------------------------------------------------------------- */

static void arm(struct echo *e);

static void on_timer(uv_timer_t *t)
{
	struct echo *e = t->data;

	quic_endpoint_expire(e->ep, clock_now());
	udp_flush(e->udp);
	arm(e);
}

static void arm(struct echo *e)
{
	nsec at = quic_endpoint_deadline(e->ep), now = clock_now();

	uv_update_time(&e->loop);
	if (at == NSEC_NONE)
		uv_timer_stop(&e->timer);
	else
		uv_timer_start(&e->timer, on_timer, at > now ? (at - now + 999999) / 1000000 : 0, 0);
}

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	quic_endpoint_recv(((struct echo *)ctx)->ep, path, ecn, p, len, now);
}

static void on_batch(void *ctx, nsec now)
{
	struct echo *e = ctx;

	quic_endpoint_flush(e->ep, now);
	udp_flush(e->udp);
	arm(e);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	static char b[64];

	(void)h, (void)size;
	*buf = uv_buf_init(b, sizeof b);
}

static void on_input(uv_stream_t *in, ssize_t n, const uv_buf_t *buf)
{
	struct echo *e = in->data;

	(void)buf;
	if (n >= 0)
		return;
	uv_close((uv_handle_t *)in, NULL);
	uv_close((uv_handle_t *)&e->timer, NULL);
	udp_close(e->udp, NULL, NULL);
}

static int listen_on(struct echo *e, uint16_t port, const struct quic_cert *cert)
{
	const struct udp_handler handler = {e, on_packet, on_batch};
	struct quic_addr addr, bound;
	struct udp_opts opts;

	udp_opts_default(&opts);
	int err = quic_addr_parse("127.0.0.1", port, &addr);

	if (!err)
		err = udp_new(&e->loop, &opts, &handler, NULL, &e->udp);
	if (!err)
		err = udp_bind(e->udp, &addr, &bound);
	if (err)
		return err;
	printf("ready %u ", quic_addr_port(&bound));
	for (size_t i = 0; i < sizeof cert->info.sha256; i++)
		printf("%02x", cert->info.sha256[i]);
	printf("\n");
	return 0;
}

static int serve(struct echo *e, uint16_t port, const struct log *log)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};
	static const struct wt_app app = {.on_connect = on_connect, .on_datagram = on_datagram,
		.on_stream_data = on_stream_data, .on_closed = on_closed};
	struct quic_cert cert;
	struct quic_tls *tls;
	struct quic_opts qo;
	struct wt_opts wo;

	quic_opts_default(&qo);
	wt_opts_default(&wo);
	int err = quic_cert_make(names, 2, 10, clock_wall_s(), &cert);

	if (!err)
		err = quic_tls_server(&cert, NULL, &tls);
	if (!err)
		err = listen_on(e, port, &cert);
	if (!err)
		err = wt_new(&wo, &app, NULL, log, &e->w);
	if (err)
		return err;
	struct quic_out out = udp_out(e->udp);

	err = quic_endpoint_new(&qo, &out, wt_quic_app(), e->w, tls, log, &e->ep);
	quic_tls_unref(tls);
	quic_cert_free(&cert);
	if (err)
		return err;
	wt_attach(e->w, e->ep);
	wt_on_request(e->w, on_request, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct log_out debug = {.fd = 2, .level = LOG_DEBUG};
	struct log log = {.out = &debug};
	struct echo e = {0};

	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_loop_init(&e.loop);
	uv_timer_init(&e.loop, &e.timer);
	uv_pipe_init(&e.loop, &e.in, 0);
	e.timer.data = e.in.data = &e;
	int err = serve(&e, argc > 1 ? (uint16_t)atoi(argv[1]) : 0, &log);

	if (err) {
		fprintf(stderr, "wt_echo: %s\n", err_str(err));
		return 1;
	}
	uv_pipe_open(&e.in, 0);
	uv_read_start((uv_stream_t *)&e.in, on_alloc, on_input);
	uv_run(&e.loop, UV_RUN_DEFAULT);
	quic_endpoint_free(e.ep);
	const struct wt_stats *s = wt_stats(e.w);

	printf("end sessions=%llu refused=%llu requests=%llu datagrams_in=%llu datagrams_out=%llu capsules_skipped=%llu "
	       "protocol_errors=%llu\n",
		(unsigned long long)s->sessions_opened, (unsigned long long)s->refused, (unsigned long long)s->requests,
		(unsigned long long)s->datagrams_in, (unsigned long long)s->datagrams_out,
		(unsigned long long)s->capsules_skipped, (unsigned long long)s->protocol_errors);
	wt_free(e.w);
	uv_loop_close(&e.loop);
	return 0;
}
