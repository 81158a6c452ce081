/* SPDX-License-Identifier: MIT */
/* Both sides of tls_stream on one loop: the server over TLS, and a client made of the same stream. */
#include "support/http_turns.h"
#include "support/test.h"

#include "base/buf.h"
#include "http/openssl.h"
#include "http/server.h"
#include "http/tls_stream.h"
#include "unit/http/pem.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 1 << 20, QUEUE = 100000 };

/* --- world -------------------------------------------------------------------------------- */

struct world {
	uv_loop_t loop;
	struct http_server *server;
	struct http_turns turns;
	struct http_opts opts;
	uint16_t port;
	struct pem first, second;
	uint8_t *big;
	bool closed;
};

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct world *w = ctx;
	bool big = !strcmp(req->path, "/big");

	res->body = big ? (const char *)w->big : "hello";
	res->len = big ? BIG : 5;
	res->static_body = true;
}

static void start(struct world *w)
{
	static const struct log quiet = {0};

	assert_int_equal(http_server_new(&w->loop, &w->opts, handle, w, &quiet, &w->server), 0);
	http_turns_begin(&w->turns, &w->loop, w->server);
	assert_int_equal(http_server_set_certificate(w->server, w->first.chain, w->first.key), 0);
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, true, &w->port), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	uv_loop_init(&w->loop);
	http_opts_default(&w->opts);
	make_pem(&w->first, "first");
	make_pem(&w->second, "second");
	w->big = malloc(BIG);
	assert_non_null(w->big);
	for (size_t i = 0; i < BIG; i++)
		w->big[i] = (uint8_t)(i * 31 + i / 1000);
	*state = w;
	return 0;
}

static void server_closed(void *ctx)
{
	((struct world *)ctx)->closed = true;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_turns_end(&w->turns);
	if (w->server)
		http_server_close(w->server, server_closed, w);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w->big);
	free(w);
	return 0;
}

/* --- client ------------------------------------------------------------------------------- */

struct client {
	struct world *w;
	struct tls_context *tls;
	struct tls_stream *stream;
	struct buf heard;
	bool open, ended, gone;
	bool stops, stopped; /* pauses itself in every on_data */
	unsigned sent;
	int err;
};

static void client_open(void *ctx)
{
	((struct client *)ctx)->open = true;
}

static void client_data(void *ctx, const uint8_t *p, size_t len)
{
	struct client *c = ctx;

	assert_true(len > 0 && len <= 16384);
	assert_false(c->stopped);
	if (c->stops) {
		c->stopped = true;
		tls_stream_pause(c->stream, true);
	}
	assert_int_equal(buf_append(&c->heard, p, len), 0);
}

static void client_sent(void *ctx)
{
	((struct client *)ctx)->sent++;
}

static void client_end(void *ctx, int err)
{
	struct client *c = ctx;

	assert_false(c->ended);
	c->ended = true;
	c->err = err;
}

static void client_gone(void *ctx)
{
	((struct client *)ctx)->gone = true;
}

static const struct tls_stream_events client_events = {client_open, client_data, client_sent, client_end, client_gone, NULL};

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

/* `trust` NULL: accept any certificate. */
static void dial(struct client *c, struct world *w, const char *trust, const char *name)
{
	struct tls_client_opts opts = {.ca_pem = trust, .insecure = !trust};
	struct sockaddr_in a = loopback(w->port);

	memset(c, 0, sizeof *c);
	c->w = w;
	buf_init(&c->heard, 8 << 20);
	assert_int_equal(tls_context_client(&opts, &c->tls), 0);
	assert_int_equal(tls_stream_connect(&w->loop, (struct sockaddr *)&a, c->tls, name, QUEUE, &client_events, c, &c->stream), 0);
}

static void run(struct client *c)
{
	uv_run(&c->w->loop, UV_RUN_ONCE);
}

static void wait_open(struct client *c)
{
	while (!c->open && !c->ended)
		run(c);
}

static void say(struct client *c, const char *text)
{
	assert_int_equal(tls_stream_send(c->stream, text, strlen(text)), 0);
}

static bool heard_all(const struct client *c, size_t body_len)
{
	const char *end = c->heard.len ? memmem(c->heard.p, c->heard.len, "\r\n\r\n", 4) : NULL;

	return end && c->heard.len == (size_t)(end + 4 - (const char *)c->heard.p) + body_len;
}

static void wait_answer(struct client *c, size_t body_len)
{
	while (!heard_all(c, body_len) && !c->ended)
		run(c);
	assert_true(heard_all(c, body_len));
}

static void hang_up(struct client *c)
{
	tls_stream_close(c->stream);
	assert_int_equal(tls_stream_send(c->stream, "x", 1), ERR_STATE);
	while (!c->gone)
		run(c);
	tls_context_unref(c->tls);
	buf_fini(&c->heard);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* --- cases -------------------------------------------------------------------------------- */

static void a_verified_client_gets_an_answer(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};
	struct world *w = *state;
	struct client c;

	start(w);
	for (size_t i = 0; i < 2; i++) {
		dial(&c, w, w->first.chain, names[i]);
		assert_int_equal(tls_stream_send(c.stream, "x", 1), ERR_STATE); /* not open yet */
		wait_open(&c);
		assert_true(c.open);
		say(&c, GET("/"));
		wait_answer(&c, 5);
		assert_memory_equal(c.heard.p + c.heard.len - 5, "hello", 5);
		assert_int_equal(c.sent, 1);
		hang_up(&c);
	}
}

static void another_issuer_or_another_name_is_refused(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	dial(&c, w, w->second.chain, "localhost"); /* another issuer */
	wait_open(&c);
	assert_false(c.open);
	assert_int_equal(c.err, ERR_TLS);
	hang_up(&c);
	dial(&c, w, w->first.chain, "other.example"); /* another name */
	wait_open(&c);
	assert_false(c.open);
	assert_int_equal(c.err, ERR_TLS);
	hang_up(&c);
	while (http_server_stats(w->server)->conns)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(http_server_stats(w->server)->tls_failures, 2);
	dial(&c, w, NULL, NULL);
	wait_open(&c);
	assert_true(c.open);
	hang_up(&c);
}

static void a_client_that_verifies_must_name_the_server(void **state)
{
	struct world *w = *state;
	struct tls_client_opts opts = {.ca_pem = w->first.chain};
	struct sockaddr_in a = loopback(1);
	struct tls_context *t;
	struct tls_stream *s;

	assert_int_equal(tls_context_client(&opts, &t), 0);
	assert_int_equal(tls_stream_connect(&w->loop, (struct sockaddr *)&a, t, NULL, QUEUE, &client_events, NULL, &s), ERR_TLS);
	tls_context_unref(t);
	opts.ca_pem = "no certificate at all";
	assert_int_equal(tls_context_client(&opts, &t), ERR_TLS);
}

static void a_big_answer_arrives_whole(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	for (int i = 0; i < 2; i++) {
		say(&c, GET("/big"));
		wait_answer(&c, BIG);
		assert_memory_equal(c.heard.p + c.heard.len - BIG, w->big, BIG);
		buf_consume(&c.heard, c.heard.len);
	}
	hang_up(&c);
}

static void a_paused_client_hears_it_later(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	say(&c, GET("/big"));
	while (c.heard.len == 0)
		run(&c);
	for (int i = 0; i < 50; i++) { /* start and stop: nothing is lost, nothing comes while stopped */
		tls_stream_pause(c.stream, true);
		size_t before = c.heard.len;

		uv_run(&w->loop, UV_RUN_NOWAIT);
		uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_int_equal(c.heard.len, before);
		tls_stream_pause(c.stream, false);
	}
	wait_answer(&c, BIG);
	assert_memory_equal(c.heard.p + c.heard.len - BIG, w->big, BIG);
	hang_up(&c);
}

/* Head and body of a short answer are two records in one TCP segment, or two that are read together. */
static void a_pause_from_inside_holds_at_once(void **state)
{
	static const struct {
		const char *request;
		size_t len;
	} asks[] = {{GET("/"), 5}, {GET("/big"), BIG}};
	struct world *w = *state;
	struct client c;

	start(w);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	c.stops = true;
	for (size_t i = 0; i < 2; i++) {
		say(&c, asks[i].request);
		while (!heard_all(&c, asks[i].len)) {
			while (!c.stopped)
				run(&c);
			c.stopped = false;
			tls_stream_pause(c.stream, false);
		}
		buf_consume(&c.heard, c.heard.len);
	}
	hang_up(&c);
}

static void the_end_is_said_in_order(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	say(&c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	wait_answer(&c, 5);
	while (!c.ended)
		run(&c);
	assert_int_equal(c.err, 0); /* close_notify came, not just an end */
	hang_up(&c);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	tls_stream_end(c.stream);
	assert_int_equal(tls_stream_send(c.stream, "x", 1), ERR_STATE);
	while (http_server_stats(w->server)->conns > 0)
		run(&c);
	assert_int_equal(http_server_stats(w->server)->tls_failures, 0);
	hang_up(&c);
}

static void a_new_certificate_is_for_new_connections(void **state)
{
	struct world *w = *state;
	struct client old, young;

	start(w);
	dial(&old, w, w->first.chain, "localhost");
	wait_open(&old);
	assert_int_equal(http_server_set_certificate(w->server, w->second.chain, w->second.key), 0);
	say(&old, GET("/"));
	wait_answer(&old, 5);
	dial(&young, w, w->second.chain, "localhost");
	wait_open(&young);
	assert_true(young.open);
	say(&young, GET("/"));
	wait_answer(&young, 5);
	hang_up(&old);
	hang_up(&young);
}

static void a_bad_certificate_changes_nothing(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	assert_int_equal(http_server_set_certificate(w->server, "rubbish", w->second.key), ERR_TLS);
	assert_int_equal(http_server_set_certificate(w->server, w->second.chain, "rubbish"), ERR_TLS);
	assert_int_equal(http_server_set_certificate(w->server, w->second.chain, w->first.key), ERR_TLS);
	assert_int_equal(http_server_set_certificate(w->server, "", ""), ERR_TLS);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	assert_true(c.open);
	hang_up(&c);
}

/* Raw bytes at the TLS port. */
static void a_connection_that_does_not_speak_tls_is_closed(void **state)
{
	static const char *const words[] = {GET("/"), "\x16\x03\x01\x00\x05rubbish", "\x16\x03\x01\xff\xff", "\0\0\0\0\0\0\0\0"};
	struct world *w = *state;
	struct client c;

	w->opts.idle_timeout_ms = 60;
	start(w);
	for (size_t i = 0; i < 4; i++) {
		struct sockaddr_in a = loopback(w->port);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		size_t len = i == 3 ? 8 : strlen(words[i]);

		assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
		assert_int_equal(send(fd, words[i], len, MSG_NOSIGNAL), (ssize_t)len);
		while (http_server_stats(w->server)->conns_accepted == i)
			uv_run(&w->loop, UV_RUN_ONCE);
		while (http_server_stats(w->server)->conns)
			uv_run(&w->loop, UV_RUN_ONCE);
		close(fd);
	}
	/* each either failed at once or waited for the rest of its record until the time was over */
	assert_int_equal(http_server_stats(w->server)->tls_failures + http_server_stats(w->server)->timeouts, 4);
	assert_true(http_server_stats(w->server)->tls_failures >= 1);
	bool open = false;

	while (!open) { /* a busy machine may take longer than the timeout */
		dial(&c, w, w->first.chain, "localhost");
		wait_open(&c);
		open = c.open;
		hang_up(&c);
	}
}

static void a_handshake_that_stops_times_out(void **state)
{
	struct world *w = *state;
	struct sockaddr_in a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	w->opts.idle_timeout_ms = 60;
	start(w);
	a = loopback(w->port);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	while (http_server_stats(w->server)->timeouts == 0)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(http_server_stats(w->server)->conns, 0);
	close(fd);
}

static void the_send_queue_is_bounded(void **state)
{
	struct world *w = *state;
	struct client c;
	char *much = calloc(1, QUEUE + 1);

	assert_non_null(much);
	start(w);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	assert_int_equal(tls_stream_send(c.stream, much, QUEUE + 1), ERR_LIMIT);
	assert_int_equal(tls_stream_queued(c.stream), 0);
	say(&c, GET("/"));
	assert_int_equal(tls_stream_send(c.stream, much, QUEUE), ERR_LIMIT);
	wait_answer(&c, 5);
	assert_int_equal(tls_stream_queued(c.stream), 0);
	hang_up(&c);
	free(much);
}

static void a_refused_connection_is_reported_as_an_end(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	uint16_t port = w->port;
	/* a port that was free a moment ago */
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0); /* bound, not listening: refused */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	assert_false(c.open);
	assert_int_equal(c.err, ERR_IO);
	hang_up(&c);
	close(fd);
	w->port = port;
}

static void closing_in_the_middle_of_it_is_clean(void **state)
{
	struct world *w = *state;
	struct client c;

	start(w);
	for (int steps = 0; steps < 12; steps++) {
		dial(&c, w, w->first.chain, "localhost");
		for (int i = 0; i < steps && !c.open; i++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
		if (c.open)
			say(&c, GET("/big"));
		hang_up(&c);
	}
	dial(&c, w, w->first.chain, "localhost");
	wait_open(&c);
	say(&c, GET("/big"));
	while (c.heard.len == 0)
		run(&c);
	http_turns_end(&w->turns);
	http_server_close(w->server, server_closed, w);
	w->server = NULL;
	while (!c.ended)
		run(&c);
	hang_up(&c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_verified_client_gets_an_answer),
		CASE(another_issuer_or_another_name_is_refused),
		CASE(a_client_that_verifies_must_name_the_server),
		CASE(a_big_answer_arrives_whole),
		CASE(a_paused_client_hears_it_later),
		CASE(a_pause_from_inside_holds_at_once),
		CASE(the_end_is_said_in_order),
		CASE(a_new_certificate_is_for_new_connections),
		CASE(a_bad_certificate_changes_nothing),
		CASE(a_connection_that_does_not_speak_tls_is_closed),
		CASE(a_handshake_that_stops_times_out),
		CASE(the_send_queue_is_bounded),
		CASE(a_refused_connection_is_reported_as_an_end),
		CASE(closing_in_the_middle_of_it_is_clean),
	};

	signal(SIGPIPE, SIG_IGN); /* as the contract asks */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
