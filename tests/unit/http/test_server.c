/* SPDX-License-Identifier: MIT */
/*
 * Over real loopback sockets, all on one loop in this thread: a client is a non-blocking
 * socket, and waiting for something means running the loop until it is there. Nothing sleeps; a case
 * that waits for what never comes ends with the alarm.
 */
#include "support/http_turns.h"
#include "support/test.h"

#include "base/buf.h"
#include "http/files.h"
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 3 << 20, SHORT_MS = 60 };

struct world {
	uv_loop_t loop;
	struct http_server *server;
	struct http_turns turns;
	struct http_opts opts;
	uint16_t port;
	uint8_t *big;
	char text[64]; /* overwritten as soon as the loop turns */
	unsigned served;
	struct http_deferred *later; /* of "/later" */
	bool closed;
};

/* --- the server's side -------------------------------------------------------------------- */

static void echo(const struct http_request *req, struct http_response *res)
{
	char *text = malloc(2048);

	assert_non_null(text);
	res->len = (size_t)snprintf(text, 2048, "%s|%s|%s|%s|%s", req->method, req->path, req->query, req->host,
		req->origin ? req->origin : "");
	res->body = res->owned = text;
}

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct world *w = ctx;

	w->served++;
	if (!strncmp(req->path, "/echo", 5)) {
		echo(req, res);
	} else if (!strcmp(req->path, "/copy")) {
		snprintf(w->text, sizeof w->text, "as it was when the handler returned");
		res->body = w->text;
		res->len = strlen(w->text);
		res->content_type = "text/x-copy";
		res->cache_control = "max-age=60";
		res->csp = "default-src 'self'";
		res->cors = "*";
	} else if (!strcmp(req->path, "/big")) {
		res->body = w->big;
		res->len = BIG;
		res->static_body = true;
	} else if (!strcmp(req->path, "/over")) {
		res->body = w->big;
		res->len = w->opts.max_response_bytes + 1u;
		res->static_body = true;
	} else if (!strcmp(req->path, "/later")) {
		w->later = http_defer(req);
		assert_non_null(w->later);
	} else if (!strcmp(req->path, "/empty")) {
		res->status = 204;
	} else if (!strcmp(req->path, "/moved")) {
		res->status = 301;
		res->location = "/copy";
	} else if (!strcmp(req->path, "/forged")) {
		echo(req, res);
		res->location = "/\r\nSet-Cookie: a=b";
	} else if (!strcmp(req->path, "/nonsense")) {
		echo(req, res);
		res->status = 99;
	} else {
		res->status = 404;
		res->body = "nothing here\n";
		res->len = 13;
		res->static_body = true;
	}
}

static void start(struct world *w)
{
	static const struct log quiet = {0};

	assert_int_equal(http_server_new(&w->loop, &w->opts, handle, w, &quiet, &w->server), 0);
	http_turns_begin(&w->turns, &w->loop, w->server);
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, false, &w->port), 0);
	assert_int_not_equal(w->port, 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	uv_loop_init(&w->loop);
	http_opts_default(&w->opts);
	w->big = malloc(BIG);
	assert_non_null(w->big);
	for (size_t i = 0; i < BIG; i++)
		w->big[i] = (uint8_t)(i * 7 + i / 256);
	*state = w;
	return 0;
}

static void on_closed(void *ctx)
{
	((struct world *)ctx)->closed = true;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_turns_end(&w->turns);
	http_server_close(w->server, on_closed, w);
	assert_false(w->closed); /* from the loop, never from inside */
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_true(w->closed);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w->big);
	free(w);
	return 0;
}

/* --- the client's side -------------------------------------------------------------------- */

static int dial_sized(struct world *w, int rcvbuf)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (rcvbuf)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf), 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0); /* the backlog takes it */
	return fd;
}

static int dial(struct world *w)
{
	return dial_sized(w, 0);
}

static void say_bytes(int fd, const void *p, size_t len)
{
	assert_int_equal(send(fd, p, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* Lets the loop work until it has something to say, or `fd` has something to read. */
static void turn(struct world *w, int fd)
{
	struct pollfd p[2] = {{.fd = uv_backend_fd(&w->loop), .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	memset(w->text, '?', sizeof w->text);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	poll(p, 2, uv_backend_timeout(&w->loop));
	uv_run(&w->loop, UV_RUN_NOWAIT);
}

/* The same while the server alone is looked at. */
static void until_no_conns(struct world *w)
{
	while (http_server_stats(w->server)->conns)
		uv_run(&w->loop, UV_RUN_ONCE);
}

/* Appends what comes. False at the end of the connection (*reset: not in order). */
static bool hear(struct world *w, int fd, struct buf *b, bool *reset)
{
	uint8_t part[65536];
	ssize_t n;

	while ((n = recv(fd, part, sizeof part, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
		turn(w, fd);
	if (n > 0)
		assert_int_equal(buf_append(b, part, (size_t)n), 0);
	*reset = n < 0;
	return n > 0;
}

struct answer {
	unsigned status;
	char head[2048];
	struct buf rest; /* body, then what came behind it */
	size_t len;      /* of the body, by Content-Length */
	bool reset;
};

static bool head_has(const struct answer *a, const char *line)
{
	char want[256];

	snprintf(want, sizeof want, "\r\n%s\r\n", line);
	return strstr(a->head, want) != NULL;
}

/* Reads one answer; `rest` may begin with what is left from before. False: the connection ended first. */
static bool answer(struct world *w, int fd, struct answer *a, bool no_body)
{
	bool more = true;
	char *end;

	while (!(end = a->rest.len ? memmem(a->rest.p, a->rest.len, "\r\n\r\n", 4) : NULL) && more)
		more = hear(w, fd, &a->rest, &a->reset);
	if (!end)
		return false;
	size_t head_len = (size_t)(end + 4 - (char *)a->rest.p);

	assert_true(head_len < sizeof a->head);
	memcpy(a->head, a->rest.p, head_len);
	a->head[head_len] = '\0';
	buf_consume(&a->rest, head_len);
	assert_int_equal(sscanf(a->head, "HTTP/1.1 %u ", &a->status), 1);
	const char *field = strstr(a->head, "\r\nContent-Length: ");

	a->len = field ? (size_t)strtoul(field + 18, NULL, 10) : 0;
	while (!no_body && a->rest.len < a->len && more)
		more = hear(w, fd, &a->rest, &a->reset);
	return no_body || a->rest.len >= a->len;
}

static void next_answer(struct answer *a)
{
	buf_consume(&a->rest, a->len);
}

static bool body_is(const struct answer *a, const char *text)
{
	return a->len == strlen(text) && !memcmp(a->rest.p, text, a->len);
}

/* The connection ends in order, with nothing left to read. */
static bool ended(struct world *w, int fd, struct answer *a)
{
	while (hear(w, fd, &a->rest, &a->reset))
		;
	return !a->reset;
}

static void answer_init(struct answer *a)
{
	memset(a, 0, sizeof *a);
	buf_init(&a->rest, 8 << 20);
}

/* One request on a connection of its own. */
static unsigned ask(struct world *w, const char *request, struct answer *a, bool no_body)
{
	int fd = dial(w);

	answer_init(a);
	say(fd, request);
	bool good = answer(w, fd, a, no_body);

	close(fd);
	return good ? a->status : 0;
}

static void must_still_answer(struct world *w)
{
	struct answer a;

	assert_int_equal(ask(w, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", &a, false), 200);
	assert_true(body_is(&a, "GET|/echo||x|"));
	buf_fini(&a.rest);
}

#define HOST "Host: x\r\n"
#define ASK(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n" /* to be joined with others */
#define GET(path) (ASK(path))

/* --- cases ---------------------------------------------------------------------------------- */

static void a_request_reaches_the_handler_decoded(void **state)
{
	struct world *w = *state;
	struct answer a;

	start(w);
	assert_int_equal(ask(w, "GET /echo%2Fa%20b?q=%20&r HTTP/1.1\r\nHost: voice.example:8080\r\nOrigin: https://o\r\n\r\n", &a, false), 200);
	assert_true(body_is(&a, "GET|/echo/a b|q=%20&r|voice.example:8080|https://o"));
	buf_fini(&a.rest);
}

static void every_response_has_the_security_fields(void **state)
{
	static const char *const requests[] = {GET("/echo"), GET("/nowhere"), GET("/moved"), GET("/empty"),
		"POST / HTTP/1.1\r\n" HOST "\r\n", "rubbish\r\n\r\n"};
	struct world *w = *state;
	struct answer a;

	start(w);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		assert_int_not_equal(ask(w, requests[i], &a, false), 0);
		assert_true(head_has(&a, "Server: mynah"));
		assert_true(head_has(&a, "X-Content-Type-Options: nosniff"));
		assert_true(head_has(&a, "Referrer-Policy: no-referrer"));
		assert_true(head_has(&a, "Cross-Origin-Opener-Policy: same-origin"));
		assert_null(strstr(a.head, "Embedder"));
		assert_true(a.status == 204 || strstr(a.head, "\r\nContent-Length: "));
		assert_true(head_has(&a, "Cache-Control: no-store"));
		buf_fini(&a.rest);
	}
}

static void the_response_of_the_handler_is_sent(void **state)
{
	struct world *w = *state;
	struct answer a;

	start(w);
	assert_int_equal(ask(w, GET("/copy"), &a, false), 200);
	assert_true(body_is(&a, "as it was when the handler returned"));
	assert_true(head_has(&a, "Content-Type: text/x-copy"));
	assert_true(head_has(&a, "Cache-Control: max-age=60"));
	assert_true(head_has(&a, "Content-Security-Policy: default-src 'self'"));
	assert_true(head_has(&a, "Access-Control-Allow-Origin: *"));
	buf_fini(&a.rest);
	assert_int_equal(ask(w, GET("/moved"), &a, false), 301);
	assert_true(head_has(&a, "Location: /copy"));
	assert_null(strstr(a.head, "Access-Control"));
	buf_fini(&a.rest);
	assert_int_equal(ask(w, GET("/empty"), &a, false), 204);
	assert_null(strstr(a.head, "Content-Length"));
	buf_fini(&a.rest);
	assert_int_equal(http_server_stats(w->server)->responses_2xx, 2);
	assert_int_equal(http_server_stats(w->server)->responses_3xx, 1);
}

static void respond_later(struct world *w, const char *text)
{
	struct http_response res = {.status = 200, .content_type = "text/plain", .len = strlen(text)};

	res.body = res.owned = strdup(text);
	assert_non_null(res.owned);
	http_respond(w->later, &res);
	w->later = NULL;
}

static void until_asked(struct world *w)
{
	while (!w->later)
		uv_run(&w->loop, UV_RUN_ONCE);
	for (int i = 0; i < 3; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void a_handler_may_respond_later(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	say(fd, "GET /later HTTP/1.1\r\n" HOST "\r\nHEAD /later HTTP/1.1\r\n" HOST "\r\n" ASK("/echo"));
	until_asked(w);
	assert_int_equal(w->served, 1); /* what came along waits */
	assert_int_equal(http_server_stats(w->server)->responses_2xx, 0);
	respond_later(w, "at last");
	assert_true(answer(w, fd, &a, false));
	assert_true(body_is(&a, "at last"));
	next_answer(&a);
	until_asked(w);
	respond_later(w, "its length alone");
	assert_true(answer(w, fd, &a, true));
	assert_int_equal(a.len, 16);
	assert_true(answer(w, fd, &a, false));
	assert_true(body_is(&a, "GET|/echo||x|"));
	buf_fini(&a.rest);
	close(fd);
}

static void a_deferred_response_to_a_closed_connection_is_dropped(void **state)
{
	struct world *w = *state;
	int fd;

	w->opts.idle_timeout_ms = SHORT_MS;
	start(w);
	fd = dial(w);
	say(fd, GET("/later"));
	until_asked(w);
	until_no_conns(w); /* it took too long */
	respond_later(w, "too late");
	close(fd);
	fd = dial(w);
	say(fd, GET("/later"));
	until_asked(w);
	http_turns_end(&w->turns);
	http_server_close(w->server, on_closed, w);
	respond_later(w, "later than that");
	close(fd);
}

static void head_is_get_without_its_body(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	say(fd, "HEAD /copy HTTP/1.1\r\n" HOST "\r\nHEAD /nowhere HTTP/1.1\r\n" HOST "\r\n" ASK("/echo"));
	assert_true(answer(w, fd, &a, true));
	assert_int_equal(a.status, 200);
	assert_int_equal(a.len, 35);
	assert_true(answer(w, fd, &a, true));
	assert_int_equal(a.status, 404);
	assert_int_equal(a.len, 13);
	assert_true(answer(w, fd, &a, false));
	assert_true(body_is(&a, "GET|/echo||x|"));
	buf_fini(&a.rest);
	close(fd);
}

static void one_connection_serves_many_requests(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	for (int i = 0; i < 50; i++) {
		char want[64], request[128];

		snprintf(request, sizeof request, "GET /echo/%d HTTP/1.1\r\n" HOST "\r\n", i);
		snprintf(want, sizeof want, "GET|/echo/%d||x|", i);
		say(fd, request);
		assert_true(answer(w, fd, &a, false));
		assert_true(body_is(&a, want));
		assert_null(strstr(a.head, "Connection:"));
		next_answer(&a);
	}
	assert_int_equal(http_server_stats(w->server)->conns_accepted, 1);
	assert_int_equal(http_server_stats(w->server)->requests, 50);
	say(fd, "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	assert_true(answer(w, fd, &a, false));
	assert_true(head_has(&a, "Connection: close"));
	assert_true(ended(w, fd, &a));
	buf_fini(&a.rest);
	close(fd);
}

static void http_1_0_is_closed_unless_it_asks(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	say(fd, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_true(answer(w, fd, &a, false));
	assert_true(head_has(&a, "Connection: keep-alive"));
	next_answer(&a);
	say(fd, "GET /echo HTTP/1.0\r\n\r\n");
	assert_true(answer(w, fd, &a, false));
	assert_true(head_has(&a, "Connection: close"));
	assert_true(ended(w, fd, &a));
	buf_fini(&a.rest);
	close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	enum { N = 400 };
	struct world *w = *state;
	struct buf all;
	struct answer a;
	int fd;

	w->opts.requests_per_second = N;
	start(w);
	buf_init(&all, 1 << 20);
	for (int i = 0; i < N; i++)
		assert_int_equal(buf_printf(&all, "GET /echo/%d HTTP/1.1\r\n" HOST "X: %080d\r\n\r\n", i, 0), 0);
	fd = dial(w);
	answer_init(&a);
	say_bytes(fd, all.p, all.len);
	for (int i = 0; i < N; i++) {
		char want[64];

		snprintf(want, sizeof want, "GET|/echo/%d||x|", i);
		assert_true(answer(w, fd, &a, false));
		assert_true(body_is(&a, want));
		next_answer(&a);
	}
	buf_fini(&a.rest);
	buf_fini(&all);
	close(fd);
}

static void big_responses_arrive_whole(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	for (int i = 0; i < 2; i++) {
		say(fd, GET("/big"));
		assert_true(answer(w, fd, &a, false));
		assert_int_equal(a.len, BIG);
		assert_memory_equal(a.rest.p, w->big, BIG);
		next_answer(&a);
	}
	buf_fini(&a.rest);
	close(fd);
}

static void an_unfit_answer_becomes_500(void **state)
{
	static const char *const requests[] = {GET("/forged"), GET("/nonsense"), GET("/over")};
	struct world *w = *state;
	struct answer a;

	w->opts.max_response_bytes = 1000;
	start(w);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ask(w, requests[i], &a, false), 500);
		assert_null(strstr(a.head, "Cookie"));
		assert_true(body_is(&a, "internal server error\n"));
		buf_fini(&a.rest);
	}
	assert_int_equal(http_server_stats(w->server)->responses_5xx, 3);
}

static void a_405_lists_the_methods_in_allow(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	say(fd, "DELETE /echo HTTP/1.1\r\n" HOST "\r\n" ASK("/echo"));
	assert_true(answer(w, fd, &a, false));
	assert_int_equal(a.status, 405);
	assert_true(head_has(&a, "Allow: GET, HEAD"));
	next_answer(&a);
	assert_true(answer(w, fd, &a, false)); /* the connection is still good */
	assert_int_equal(a.status, 200);
	assert_int_equal(w->served, 1);
	buf_fini(&a.rest);
	close(fd);
}

static const struct {
	const char *request;
	unsigned status;
} malformed[] = {
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	{"hello\r\n\r\n", 400},
	{"GET\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
	{"GET /../../etc/passwd HTTP/1.1\r\n" HOST "\r\n", 400},
	{"GET /%2e%2e/etc/passwd HTTP/1.1\r\n" HOST "\r\n", 400},
	{"GET /a%00b HTTP/1.1\r\n" HOST "\r\n", 400},
	{"GET /a%zzb HTTP/1.1\r\n" HOST "\r\n", 400},
	{"GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 413},
	{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 413},
	{"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 405},
	{"POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", 405},
	{"CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n\x16\x03\x01", 405},
	{"GET / HTTP/3.0\r\n" HOST "\r\n", 505},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
};

static void malformed_requests_are_answered_and_end_only_their_connection(void **state)
{
	struct world *w = *state;
	struct answer a;

	start(w);
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		int fd = dial(w);

		answer_init(&a);
		say(fd, malformed[i].request);
		if (!answer(w, fd, &a, false) || a.status != malformed[i].status)
			fail_msg("%s: %u", malformed[i].request, a.status);
		assert_true(head_has(&a, "Connection: close"));
		assert_true(ended(w, fd, &a));
		buf_fini(&a.rest);
		close(fd);
		must_still_answer(w);
	}
	assert_int_equal(w->served, sizeof malformed / sizeof *malformed);
}

static void too_long_a_head_is_431(void **state)
{
	struct world *w = *state;
	struct answer a;
	char *flood = malloc(200000);
	int fd;

	assert_non_null(flood);
	start(w);
	memset(flood, 'a', 200000);
	fd = dial(w);
	answer_init(&a);
	say(fd, "GET /");
	say_bytes(fd, flood, 200000); /* much more than is read before the answer: it must not be lost to a reset */
	assert_true(answer(w, fd, &a, false));
	assert_int_equal(a.status, 431);
	shutdown(fd, SHUT_WR);
	assert_true(ended(w, fd, &a));
	buf_fini(&a.rest);
	close(fd);
	free(flood);
	must_still_answer(w);
}

static void a_half_sent_request_times_out(void **state)
{
	static const char *const halves[] = {"G", "GET / HTTP/1.1\r\n", ("GET / HTTP/1.1\r\n" HOST), "\r\n"};
	struct world *w = *state;
	struct answer a;

	w->opts.idle_timeout_ms = SHORT_MS;
	start(w);
	for (size_t i = 0; i < 4; i++) {
		int fd = dial(w);

		answer_init(&a);
		say(fd, halves[i]);
		assert_true(answer(w, fd, &a, false));
		assert_int_equal(a.status, 408);
		assert_true(ended(w, fd, &a));
		buf_fini(&a.rest);
		close(fd);
	}
	assert_int_equal(http_server_stats(w->server)->timeouts, 4);
	assert_int_equal(w->served, 0);
}

/* A byte now and then must not buy more time: the request must be whole in time. */
static void a_request_sent_byte_by_byte_times_out(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	w->opts.idle_timeout_ms = SHORT_MS;
	w->opts.max_header_bytes = 1 << 24; /* not to be stopped by that */
	start(w);
	fd = dial(w);
	answer_init(&a);
	say(fd, "GET /");
	while (http_server_stats(w->server)->timeouts + http_server_stats(w->server)->bad_requests == 0) {
		say(fd, "a");
		uv_run(&w->loop, UV_RUN_NOWAIT); /* without a pause: the timer would never end if every byte began it anew */
	}
	assert_true(answer(w, fd, &a, false));
	assert_int_equal(a.status, 408);
	buf_fini(&a.rest);
	close(fd);
}

static void silent_connections_are_closed(void **state)
{
	struct world *w = *state;
	struct answer a;
	int never, after;

	w->opts.idle_timeout_ms = SHORT_MS;
	start(w);
	never = dial(w);
	after = dial(w);
	answer_init(&a);
	say(after, GET("/echo"));
	assert_true(answer(w, after, &a, false));
	next_answer(&a);
	assert_true(ended(w, after, &a));
	assert_int_equal(a.rest.len, 0);
	assert_true(ended(w, never, &a));
	assert_int_equal(a.rest.len, 0);
	until_no_conns(w);
	assert_int_equal(http_server_stats(w->server)->timeouts, 1); /* idle after a request is nothing unusual */
	buf_fini(&a.rest);
	close(never);
	close(after);
}

static void a_client_that_does_not_read_is_closed(void **state)
{
	struct world *w = *state;
	int fd;

	w->opts.idle_timeout_ms = SHORT_MS;
	start(w);
	/* a small window, and more than the kernel's send buffer will swallow */
	fd = dial_sized(w, 4096);
	for (int i = 0; i < 8; i++)
		say(fd, GET("/big"));
	while (http_server_stats(w->server)->conns_accepted == 0)
		uv_run(&w->loop, UV_RUN_ONCE);
	until_no_conns(w);
	assert_int_equal(http_server_stats(w->server)->timeouts, 1);
	close(fd);
	must_still_answer(w);
}

/* A few bytes of a request buy no place for fifteen seconds. */
static void half_sent_requests_are_displaced_last(void **state)
{
	enum { N = 4 };
	struct world *w = *state;
	struct answer a;
	int fd[N], extra;

	w->opts.max_conns = N;
	start(w);
	answer_init(&a);
	for (int i = 0; i < N; i++) {
		fd[i] = dial(w);
		say(fd[i], "GET");
		while (http_server_stats(w->server)->conns <= (unsigned)i)
			uv_run(&w->loop, UV_RUN_ONCE);
	}
	for (int i = 0; i < 10; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT); /* they are read */
	extra = dial(w);
	say(extra, GET("/echo"));
	assert_true(answer(w, extra, &a, false));
	next_answer(&a);
	close(extra);
	assert_int_equal(http_server_stats(w->server)->conns_displaced, 1);
	assert_int_equal(http_server_stats(w->server)->conns_refused, 0);
	for (int i = 1; i < N; i++) {
		say(fd[i], GET("/echo") + 3);
		assert_true(answer(w, fd[i], &a, false));
		next_answer(&a);
		close(fd[i]);
	}
	close(fd[0]);
	until_no_conns(w);
	must_still_answer(w);
	buf_fini(&a.rest);
}

/* Browsers keep connections for a next request that may never come. */
static void the_longest_idle_connection_is_displaced(void **state)
{
	enum { N = 4 };
	struct world *w = *state;
	struct answer a;
	int fd[N], extra;

	w->opts.max_conns = N;
	start(w);
	answer_init(&a);
	for (int i = 0; i < N; i++) {
		fd[i] = dial(w);
		say(fd[i], GET("/echo"));
		assert_true(answer(w, fd[i], &a, false));
		next_answer(&a);
	}
	say(fd[0], GET("/echo")); /* so that the second is the one */
	assert_true(answer(w, fd[0], &a, false));
	next_answer(&a);
	extra = dial(w);
	say(extra, GET("/echo"));
	assert_true(answer(w, extra, &a, false));
	next_answer(&a);
	ended(w, fd[1], &a);
	assert_int_equal(http_server_stats(w->server)->conns, N);
	assert_int_equal(http_server_stats(w->server)->conns_displaced, 1);
	assert_int_equal(http_server_stats(w->server)->conns_refused, 0);
	for (int i = 0; i < N; i++) {
		if (i != 1) {
			say(fd[i], GET("/echo"));
			assert_true(answer(w, fd[i], &a, false));
			next_answer(&a);
		}
		close(fd[i]);
	}
	close(extra);
	until_no_conns(w);
	must_still_answer(w);
	buf_fini(&a.rest);
}

static void clients_that_vanish_leave_nothing_behind(void **state)
{
	static const char *const words[] = {"", "GET", GET("/echo"), GET("/big"), (ASK("/big") ASK("/big")), "bad\r\n\r\n"};
	struct world *w = *state;

	start(w);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		for (int abrupt = 0; abrupt < 2; abrupt++) {
			int fd = dial(w);
			struct linger now = {.l_onoff = 1};

			say(fd, words[i]);
			uv_run(&w->loop, UV_RUN_ONCE);
			uv_run(&w->loop, UV_RUN_NOWAIT);
			if (abrupt)
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
			close(fd);
			until_no_conns(w);
		}
	}
	must_still_answer(w);
}

static void a_client_may_close_its_side_and_still_read(void **state)
{
	struct world *w = *state;
	struct answer a;
	int fd;

	start(w);
	fd = dial(w);
	answer_init(&a);
	say(fd, GET("/big"));
	shutdown(fd, SHUT_WR);
	assert_true(answer(w, fd, &a, false));
	assert_memory_equal(a.rest.p, w->big, BIG);
	next_answer(&a);
	assert_true(ended(w, fd, &a));
	buf_fini(&a.rest);
	close(fd);
}

static void closing_with_work_under_way_is_clean(void **state)
{
	struct world *w = *state;
	int fd[3];

	start(w);
	for (int i = 0; i < 3; i++) {
		fd[i] = dial(w);
		say(fd[i], i == 0 ? "GET" : i == 1 ? GET("/big") : GET("/echo"));
	}
	for (int i = 0; i < 4; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(http_server_stats(w->server)->conns, 3);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	/* teardown closes the server with all three still there */
}

static void it_listens_on_several_addresses(void **state)
{
	struct world *w = *state;
	uint16_t second, six = 0;

	start(w);
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, false, &second), 0);
	assert_int_not_equal(second, w->port);
	if (http_server_listen(w->server, "::1", 0, false, &six) == 0) /* where there is IPv6 */
		assert_int_not_equal(six, 0);
	must_still_answer(w);
	w->port = second;
	must_still_answer(w);
}

static void listening_on_a_bad_address_is_an_error(void **state)
{
	struct world *w = *state;

	start(w);
	errno = 0;
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", w->port, false, NULL), ERR_IO);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(http_server_listen(w->server, "192.0.2.1", 0, false, NULL), ERR_IO);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(http_server_listen(w->server, "localhost", 0, false, NULL), ERR_MALFORMED);
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, true, NULL), ERR_STATE);
	must_still_answer(w);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_request_reaches_the_handler_decoded),
		CASE(every_response_has_the_security_fields),
		CASE(the_response_of_the_handler_is_sent),
		CASE(a_handler_may_respond_later),
		CASE(a_deferred_response_to_a_closed_connection_is_dropped),
		CASE(head_is_get_without_its_body),
		CASE(one_connection_serves_many_requests),
		CASE(http_1_0_is_closed_unless_it_asks),
		CASE(pipelined_requests_are_answered_in_order),
		CASE(big_responses_arrive_whole),
		CASE(an_unfit_answer_becomes_500),
		CASE(a_405_lists_the_methods_in_allow),
		CASE(malformed_requests_are_answered_and_end_only_their_connection),
		CASE(too_long_a_head_is_431),
		CASE(a_half_sent_request_times_out),
		CASE(a_request_sent_byte_by_byte_times_out),
		CASE(silent_connections_are_closed),
		CASE(a_client_that_does_not_read_is_closed),
		CASE(half_sent_requests_are_displaced_last),
		CASE(the_longest_idle_connection_is_displaced),
		CASE(clients_that_vanish_leave_nothing_behind),
		CASE(a_client_may_close_its_side_and_still_read),
		CASE(closing_with_work_under_way_is_clean),
		CASE(it_listens_on_several_addresses),
		CASE(listening_on_a_bad_address_is_an_error),
	};

	signal(SIGPIPE, SIG_IGN); /* as the contract asks */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
