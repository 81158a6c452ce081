/* SPDX-License-Identifier: MIT */
/* Whose key goes where: the request as a server on this machine reads it. */
#include "support/test.h"

#include "base/err.h"
#include "bridge/dial.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 4096, TURNS = 5000 };

struct world {
	uv_loop_t loop;
	int listener, peer;
	char url[64], request[REQUEST_MAX], why[DIAL_WHY];
	size_t len;
	struct bridge_key key;
	struct dial dial;
	struct websocket *ws; /* NULL: none, or closed */
};

static void on_open(void *ctx, const char *subprotocol)
{
	(void)ctx, (void)subprotocol;
}

static void on_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	(void)ctx, (void)text, (void)p, (void)len;
}

static void on_end(void *ctx, const struct websocket_end *end)
{
	(void)ctx, (void)end;
}

static void on_closed(void *ctx)
{
	((struct world *)ctx)->ws = NULL;
}

static const struct websocket_events events = {on_open, on_message, on_end, on_closed};

static void setup(struct world *w)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	*w = (struct world){.peer = -1, .dial.key = &w->key};
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&w->loop);
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(w->listener, 1), 0);
	assert_int_equal(getsockname(w->listener, (struct sockaddr *)&at, &len), 0);
	snprintf(w->url, sizeof w->url, "ws://127.0.0.1:%u/path", ntohs(at.sin_port));
	websocket_opts_default(&w->dial.to);
	w->dial.to.url = w->url;
	unsetenv("MYNAH_TEST_USUAL");
}

static void teardown(struct world *w)
{
	if (w->ws)
		websocket_close(w->ws, 1000, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_null(w->ws);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	if (w->peer >= 0)
		close(w->peer);
	close(w->listener);
	unsetenv("MYNAH_TEST_KEY");
	unsetenv("MYNAH_TEST_USUAL");
}

static int dial_now(struct world *w)
{
	return dial(&w->dial, &w->loop, &events, w, &w->ws, w->why);
}

static void read_some(struct world *w)
{
	if (w->peer < 0)
		w->peer = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK);
	ssize_t n = w->peer < 0 ? 0 : read(w->peer, w->request + w->len, REQUEST_MAX - 1 - w->len);

	w->len += n > 0 ? (size_t)n : 0;
}

/* Connects and returns what the server was sent. */
static const char *request(struct world *w)
{
	assert_int_equal(dial_now(w), 0);
	assert_string_equal(w->why, "");
	for (int i = 0; i < TURNS && !strstr(w->request, "\r\n\r\n"); i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		read_some(w);
		usleep(1000);
	}
	return w->request;
}

static void configure(struct world *w, const char *key)
{
	snprintf(w->key.env, sizeof w->key.env, "MYNAH_TEST_KEY");
	setenv("MYNAH_TEST_KEY", key, 1);
}

TEST(a_key_goes_to_this_machine_as_a_bearer)
{
	struct world w;

	setup(&w);
	configure(&w, "sk-1");
	assert_non_null(strstr(request(&w), "\r\nAuthorization: Bearer sk-1\r\n"));
	teardown(&w);
}

TEST(a_header_of_its_own_holds_the_key_alone)
{
	struct world w;

	setup(&w);
	configure(&w, "sk-2");
	w.dial.key_header = "api-key";
	assert_non_null(strstr(request(&w), "\r\napi-key: sk-2\r\n"));
	assert_null(strstr(w.request, "Bearer"));
	teardown(&w);
}

TEST(without_a_key_no_header_is_sent)
{
	struct world w;

	setup(&w);
	assert_non_null(strstr(request(&w), "GET /path HTTP/1.1\r\n"));
	assert_null(strstr(w.request, "Authorization"));
	teardown(&w);
}

TEST(a_key_in_clear_does_not_leave_this_machine)
{
	struct world w;

	setup(&w);
	configure(&w, "sk-3");
	w.dial.to.url = "ws://192.0.2.1/";
	assert_int_equal(dial_now(&w), ERR_DENIED);
	assert_string_equal(w.why, "a key is sent over wss:// only, or to this machine");
	teardown(&w);
}

TEST(a_configured_key_must_be_there)
{
	struct world w;

	setup(&w);
	configure(&w, "");
	w.dial.usual_env = "MYNAH_TEST_USUAL";
	w.dial.usual_is_optional = true;
	setenv("MYNAH_TEST_USUAL", "sk-4", 1);
	assert_int_equal(dial_now(&w), ERR_DENIED);
	assert_string_equal(w.why, "the environment has no MYNAH_TEST_KEY");
	teardown(&w);
}

TEST(the_usual_variable_is_read_where_no_key_is_configured)
{
	struct world w;

	setup(&w);
	w.dial.usual_env = "MYNAH_TEST_USUAL";
	setenv("MYNAH_TEST_USUAL", "sk-5", 1);
	assert_non_null(strstr(request(&w), "\r\nAuthorization: Bearer sk-5\r\n"));
	teardown(&w);
}

TEST(the_usual_variable_may_be_optional)
{
	struct world w;

	setup(&w);
	w.dial.usual_env = "MYNAH_TEST_USUAL";
	assert_int_equal(dial_now(&w), ERR_DENIED);
	assert_string_equal(w.why, "the environment has no MYNAH_TEST_USUAL");
	w.dial.usual_is_optional = true;
	assert_non_null(strstr(request(&w), "GET /path HTTP/1.1\r\n"));
	assert_null(strstr(w.request, "Authorization"));
	teardown(&w);
}

TEST(a_url_without_a_websocket_is_an_error)
{
	struct world w;

	setup(&w);
	w.dial.to.url = "http://127.0.0.1/";
	assert_int_equal(dial_now(&w), ERR_RANGE);
	assert_string_equal(w.why, "url: no address of a WebSocket");
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_goes_to_this_machine_as_a_bearer),
		cmocka_unit_test(a_header_of_its_own_holds_the_key_alone),
		cmocka_unit_test(without_a_key_no_header_is_sent),
		cmocka_unit_test(a_key_in_clear_does_not_leave_this_machine),
		cmocka_unit_test(a_configured_key_must_be_there),
		cmocka_unit_test(the_usual_variable_is_read_where_no_key_is_configured),
		cmocka_unit_test(the_usual_variable_may_be_optional),
		cmocka_unit_test(a_url_without_a_websocket_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
