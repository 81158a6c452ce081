/* SPDX-License-Identifier: MIT */
/* The WebSocket client against a server on the same loop that misbehaves as asked. */
#include "support/test.h"

#include "base/base64.h"
#include "base/buf.h"
#include "http/tls_stream.h"
#include "http/upgrade.h"
#include "http/websocket.h"
#include "unit/http/pem.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

/* --- the server --------------------------------------------------------------------------- */

enum manner {
	PEER_ECHO,      /* sends every message back */
	PEER_SILENT,    /* opens and then sends nothing at all */
	PEER_RAW,       /* opens and sends `raw`, in pieces of `step` bytes (0: all at once) */
	PEER_ANSWER,    /* sends `raw` instead of the answer to the upgrade */
	PEER_STALLED,   /* opens and stops reading */
	PEER_SHUT,      /* closes the connection instead of answering */
};

struct world {
	uv_loop_t loop;
	uv_poll_t listener;
	int listening;
	uint16_t port;
	struct pem pem, other;
	struct tls_context *tls; /* of the server, NULL: in clear */
	struct tls_context *trust;
	enum manner manner;
	const char *raw;
	size_t raw_len, step, raw_sent;
	const char *protocol;    /* chosen, NULL: none */
	struct tls_stream *peer; /* the connection it has, one at a time */
	wslay_event_context_ptr frames;
	struct buf request, in;
	bool upgraded;
	uint16_t close_code;     /* received, 0: none in it */
	char reason[128];
	unsigned n_pings, n_pongs, n_messages, closes;
	/* the client */
	struct websocket_opts opts;
	struct websocket *ws;
	bool open, ended, gone;
	char chosen[64], why[WEBSOCKET_WHY], body[WEBSOCKET_BODY];
	struct websocket_end end;
	struct buf received;
	bool received_text;
	unsigned n_received;
};

static void server_flush(struct world *w)
{
	while (w->frames && wslay_event_want_write(w->frames))
		assert_int_equal(wslay_event_send(w->frames), 0);
}

static ssize_t server_send(wslay_event_context_ptr f, const uint8_t *p, size_t len, int flags, void *ctx)
{
	struct world *w = ctx;

	(void)f, (void)flags;
	tls_stream_send(w->peer, p, len); /* the client may have left */
	return (ssize_t)len;
}

static ssize_t server_recv(wslay_event_context_ptr f, uint8_t *p, size_t len, int flags, void *ctx)
{
	struct world *w = ctx;
	size_t n = len < w->in.len ? len : w->in.len;

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(f, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(p, w->in.p, n);
	buf_consume(&w->in, n);
	return (ssize_t)n;
}

static void server_message(wslay_event_context_ptr f, const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
	struct wslay_event_msg echo = {.opcode = m->opcode, .msg = m->msg, .msg_length = m->msg_length};
	struct world *w = ctx;

	w->n_pings += m->opcode == WSLAY_PING;
	w->n_pongs += m->opcode == WSLAY_PONG;
	if (m->opcode == WSLAY_CONNECTION_CLOSE) {
		w->close_code = m->status_code;
		w->closes++;
		w->reason[0] = '\0';
		if (m->msg_length > 2)
			snprintf(w->reason, sizeof w->reason, "%.*s", (int)m->msg_length - 2, (const char *)m->msg + 2);
	}
	if (wslay_is_ctrl_frame(m->opcode))
		return;
	w->n_messages++;
	if (w->manner == PEER_ECHO)
		assert_int_equal(wslay_event_queue_msg(f, &echo), 0);
}

static const struct wslay_event_callbacks server_calls = {
	.recv_callback = server_recv,
	.send_callback = server_send,
	.on_msg_recv_callback = server_message,
};

static const char *field(const struct world *w, const char *name)
{
	static char value[256];
	const char *at = strstr((const char *)w->request.p, name);

	assert_non_null(at);
	snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(name), "\r"), at + strlen(name));
	return value;
}

static void send_raw(struct world *w)
{
	size_t n = w->step ? w->step : w->raw_len;

	if (w->raw_sent >= w->raw_len || !w->peer)
		return;
	n = n < w->raw_len - w->raw_sent ? n : w->raw_len - w->raw_sent;
	tls_stream_send(w->peer, w->raw + w->raw_sent, n);
	w->raw_sent += n;
}

static void accept_of(const char *key, char out[32])
{
	char text[128];
	uint8_t digest[20];
	int n = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	assert_int_equal(EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL), 1);
	*base64_encode(out, digest, 20) = '\0';
}

static void answer_upgrade(struct world *w)
{
	char accept[32], text[512];

	if (w->manner == PEER_SHUT) {
		tls_stream_end(w->peer);
		return;
	}
	if (w->manner == PEER_ANSWER) {
		send_raw(w);
		return;
	}
	accept_of(field(w, "Sec-WebSocket-Key: "), accept);
	int n = snprintf(text, sizeof text,
		"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
		accept, w->protocol ? "Sec-WebSocket-Protocol: " : "", w->protocol ? w->protocol : "", w->protocol ? "\r\n" : "");

	assert_int_equal(tls_stream_send(w->peer, text, (size_t)n), 0);
	w->upgraded = true;
	assert_int_equal(wslay_event_context_server_init(&w->frames, &server_calls, w), 0);
	if (w->manner == PEER_RAW)
		send_raw(w);
	if (w->manner == PEER_STALLED)
		tls_stream_pause(w->peer, true);
}

static void peer_data(void *ctx, const uint8_t *p, size_t len)
{
	struct world *w = ctx;

	if (!w->upgraded) {
		buf_append(&w->request, p, len);
		buf_append(&w->request, "", 1);
		w->request.len--;
		if (strstr((const char *)w->request.p, "\r\n\r\n"))
			answer_upgrade(w);
		return;
	}
	buf_append(&w->in, p, len);
	wslay_event_recv(w->frames);
	if (w->manner != PEER_SILENT)
		server_flush(w);
}

static void peer_sent(void *ctx)
{
	send_raw(ctx);
}

static void peer_end(void *ctx, int err)
{
	struct world *w = ctx;

	(void)err;
	tls_stream_close(w->peer);
	w->peer = NULL;
}

static void peer_closed(void *ctx)
{
	(void)ctx;
}

static const struct tls_stream_events peer_events = {NULL, peer_data, peer_sent, peer_end, peer_closed, NULL};

static void on_connection(uv_poll_t *listener, int status, int events)
{
	struct world *w = listener->data;

	int fd = accept(w->listening, NULL, NULL);

	(void)events;
	assert_int_equal(status, 0);
	assert_true(fd >= 0);
	if (w->peer)
		tls_stream_close(w->peer);
	if (w->frames)
		wslay_event_context_free(w->frames);
	w->frames = NULL;
	w->upgraded = false;
	w->raw_sent = 0;
	buf_consume(&w->request, w->request.len);
	buf_consume(&w->in, w->in.len);
	assert_int_equal(tls_stream_accept(&w->loop, fd, w->tls, 64 << 20, &peer_events, w, &w->peer), 0);
}

/* --- the world ---------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	assert_non_null(w);
	uv_loop_init(&w->loop);
	w->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(w->listening >= 0);
	assert_int_equal(bind(w->listening, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(w->listening, 16), 0);
	assert_int_equal(getsockname(w->listening, (struct sockaddr *)&a, &len), 0);
	uv_poll_init(&w->loop, &w->listener, w->listening);
	w->listener.data = w;
	uv_poll_start(&w->listener, UV_READABLE, on_connection);
	w->port = ntohs(a.sin_port);
	buf_init(&w->request, 65536);
	buf_init(&w->in, 8 << 20);
	buf_init(&w->received, 8 << 20);
	websocket_opts_default(&w->opts);
	w->opts.ping_ms = 0;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->peer)
		tls_stream_close(w->peer);
	uv_close((uv_handle_t *)&w->listener, NULL);
	close(w->listening);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	if (w->frames)
		wslay_event_context_free(w->frames);
	tls_context_unref(w->tls);
	tls_context_unref(w->trust);
	buf_fini(&w->request);
	buf_fini(&w->in);
	buf_fini(&w->received);
	free(w);
	return 0;
}

/* --- the client --------------------------------------------------------------------------- */

static void on_open(void *ctx, const char *subprotocol)
{
	struct world *w = ctx;

	assert_false(w->open);
	w->open = true;
	snprintf(w->chosen, sizeof w->chosen, "%s", subprotocol);
}

static void on_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct world *w = ctx;

	assert_true(w->open && !w->ended);
	w->received_text = text;
	w->n_received++;
	assert_int_equal(buf_append(&w->received, p, len), 0);
}

static void on_end(void *ctx, const struct websocket_end *end)
{
	struct world *w = ctx;

	assert_false(w->ended);
	w->ended = true;
	w->end = *end;
	snprintf(w->why, sizeof w->why, "%s", end->why);
	snprintf(w->body, sizeof w->body, "%s", end->body);
}

static void on_closed(void *ctx)
{
	((struct world *)ctx)->gone = true;
}

static const struct websocket_events events = {on_open, on_message, on_end, on_closed};

static int try_dial(struct world *w, const char *scheme, const char *host, const char *target)
{
	char url[256];

	w->open = w->ended = w->gone = false;
	w->n_received = 0;
	buf_consume(&w->received, w->received.len);
	snprintf(url, sizeof url, "%s://%s:%u%s", scheme, host, w->port, target);
	w->opts.url = url;
	w->opts.tls = w->trust;
	return websocket_connect(&w->loop, &w->opts, &events, w, &w->ws);
}

static void dial(struct world *w)
{
	assert_int_equal(try_dial(w, w->tls ? "wss" : "ws", "127.0.0.1", "/bot?x=1"), 0);
}

#define WAIT(w, condition)                         \
	while (!(condition))                       \
		uv_run(&(w)->loop, UV_RUN_ONCE)

static void dial_open(struct world *w)
{
	dial(w);
	WAIT(w, w->open || w->ended);
	if (!w->open)
		fail_msg("%s", w->why);
}

static void hang_up(struct world *w)
{
	websocket_close(w->ws, 1000, NULL);
	WAIT(w, w->gone);
}

static void assert_end(struct world *w, int err, const char *why)
{
	WAIT(w, w->ended);
	if (w->end.err != err || !strstr(w->why, why))
		fail_msg("%d \"%s\", not %d \"%s\"", w->end.err, w->why, err, why);
	hang_up(w);
}

static void use_tls(struct world *w, bool trusted)
{
	struct tls_client_opts opts = {0};

	make_pem(&w->pem, "server");
	make_pem(&w->other, "other");
	assert_int_equal(tls_context_server(w->pem.chain, w->pem.key, &w->tls), 0);
	opts.ca_pem = trusted ? w->pem.chain : w->other.chain;
	assert_int_equal(tls_context_client(&opts, &w->trust), 0);
}

static void say_and_hear(struct world *w, size_t len, bool text)
{
	uint8_t *p = malloc(len + 1);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = text ? (uint8_t)('a' + i % 26) : (uint8_t)(i * 7 + i / 251);
	w->n_received = 0;
	buf_consume(&w->received, w->received.len);
	assert_int_equal(text ? websocket_send_text(w->ws, p, len) : websocket_send_binary(w->ws, p, len), 0);
	WAIT(w, w->n_received || w->ended);
	assert_int_equal(w->received.len, len);
	assert_true(w->received_text == text);
	if (len)
		assert_memory_equal(w->received.p, p, len);
	free(p);
}

/* --- cases -------------------------------------------------------------------------------- */

TEST(urls_are_parsed_or_refused)
{
	static const struct {
		const char *text, *host, *target;
		uint16_t port;
		bool secure, loopback;
	} good[] = {
		{"ws://a.example", "a.example", "", 80, false, false},
		{"wss://a.example/x?y=%20z", "a.example", "/x?y=%20z", 443, true, false},
		{"wss://a.example:8443?y", "a.example", "?y", 8443, true, false},
		{"ws://127.1.2.3:1/", "127.1.2.3", "/", 1, false, true},
		{"ws://[::1]:65535/a", "::1", "/a", 65535, false, true},
		{"wss://[2001:db8::1]", "2001:db8::1", "", 443, true, false},
		{"ws://localhost:80", "localhost", "", 80, false, true},
		{"ws://127.example", "127.example", "", 80, false, false},
	};
	static const char *const bad[] = {"", "a.example", "http://a.example", "ws:/a", "ws://", "ws:///x", "ws://:80", "ws://a:0",
		"ws://a:65536", "ws://a:", "ws://a:8x", "ws://user:pw@a/", "ws://a b/", "ws://a/#x", "ws://a/\n", "ws://a/\xc3\xa4",
		"ws://[::1", "ws://[nonsense]", "ws://[127.0.0.1]", "ws://-a", "ws://.a", "WS://a", "ws://a\"b"};
	struct websocket_url u;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(websocket_url_parse(good[i].text, &u), 0);
		assert_string_equal(u.host, good[i].host);
		assert_string_equal(u.target, good[i].target);
		assert_int_equal(u.port, good[i].port);
		assert_int_equal(u.secure, good[i].secure);
		assert_int_equal(u.loopback, good[i].loopback);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (websocket_url_parse(bad[i], &u) != ERR_RANGE)
			fail_msg("\"%s\" was accepted", bad[i]);
}

static void messages_of_every_size_come_back(void **state)
{
	static const size_t sizes[] = {0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 300000};
	struct world *w = *state;

	for (int tls = 0; tls < 2; tls++) {
		if (tls)
			use_tls(w, true);
		dial_open(w);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			say_and_hear(w, sizes[i], true);
			say_and_hear(w, sizes[i], false);
		}
		hang_up(w);
		WAIT(w, w->close_code);
		assert_int_equal(w->close_code, 1000);
		w->close_code = 0;
	}
}

static void the_request_holds_the_headers_of_the_handshake(void **state)
{
	static const struct websocket_header headers[] = {{"Authorization", "Bearer s3cret"}, {"X-A", ""}, {NULL, NULL}};
	struct world *w = *state;
	char host[32];

	w->opts.headers = headers;
	w->opts.subprotocols = "audio.one, audio.two";
	w->protocol = "audio.two";
	dial_open(w);
	assert_memory_equal(w->request.p, "GET /bot?x=1 HTTP/1.1\r\n", 23);
	snprintf(host, sizeof host, "127.0.0.1:%u", w->port);
	assert_string_equal(field(w, "\r\nHost: "), host);
	assert_string_equal(field(w, "\r\nAuthorization: "), "Bearer s3cret");
	assert_string_equal(field(w, "\r\nX-A: "), "");
	assert_string_equal(field(w, "\r\nSec-WebSocket-Version: "), "13");
	assert_string_equal(field(w, "\r\nSec-WebSocket-Protocol: "), "audio.one, audio.two");
	assert_int_equal(strlen(field(w, "\r\nSec-WebSocket-Key: ")), 24);
	assert_string_equal(w->chosen, "audio.two");
	hang_up(w);
	assert_int_equal(try_dial(w, "ws", "127.0.0.1", ""), 0);
	WAIT(w, w->open);
	assert_memory_equal(w->request.p, "GET / HTTP/1.1\r\n", 16);
	hang_up(w);
}

static void a_header_cannot_be_smuggled_in(void **state)
{
	struct websocket_header headers[] = {{"Authorization", "Bearer a\r\nX: y"}, {NULL, NULL}};
	struct world *w = *state;

	w->opts.headers = headers;
	assert_int_equal(try_dial(w, "ws", "127.0.0.1", "/"), ERR_RANGE);
	headers[0] = (struct websocket_header){"Bad name", "x"};
	assert_int_equal(try_dial(w, "ws", "127.0.0.1", "/"), ERR_RANGE);
	headers[0] = (struct websocket_header){"A", "b"};
	w->opts.subprotocols = "a\nb";
	assert_int_equal(try_dial(w, "ws", "127.0.0.1", "/"), ERR_RANGE);
	w->opts.subprotocols = NULL;
	assert_int_equal(try_dial(w, "ws", "127.0.0.1", "/ x"), ERR_RANGE);
}

static void a_refusal_is_reported_with_status_and_body(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 429 Too Many\r\nRetry-After: 17\r\nContent-Length: 5\r\n\r\nquota",
		"HTTP/1.1 103 Early Hints\r\nUpgrade: x\r\n\r\nHTTP/1.1 429 No\r\nretry-after: 17\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nquota\r\n0\r\n\r\n",
		"HTTP/1.0 429 No\r\nRetry-After: 17\r\n\r\nquota", /* whose end is a matter of time */
	};
	struct world *w = *state;

	w->manner = PEER_ANSWER;
	for (size_t i = 0; i < 3; i++) {
		w->raw = answers[i];
		w->raw_len = strlen(answers[i]);
		w->step = i == 1 ? 1 : 0;
		dial(w);
		WAIT(w, w->ended);
		assert_int_equal(w->end.http_status, 429);
		assert_int_equal(w->end.retry_after_s, 17);
		assert_string_equal(w->body, "quota");
		assert_null(strstr(w->why, "quota"));
		assert_null(strstr(w->why, "x=1"));
		assert_end(w, ERR_DENIED, "answers 429");
	}
}

static void a_long_refusal_is_truncated(void **state)
{
	struct world *w = *state;
	char text[8000];
	int n = snprintf(text, sizeof text, "HTTP/1.1 401 No\r\nRetry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\nContent-Length: 100000\r\n\r\n");

	memset(text + n, 'x', sizeof text - (size_t)n);
	w->manner = PEER_ANSWER;
	w->raw = text;
	w->raw_len = sizeof text;
	dial(w);
	WAIT(w, w->ended);
	assert_int_equal(strlen(w->body), WEBSOCKET_BODY - 1);
	assert_int_equal(w->end.retry_after_s, 0);
	assert_end(w, ERR_DENIED, "answers 401");
}

#define OK "HTTP/1.1 101 Switching Protocols\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static void malformed_responses_are_refused(void **state)
{
	static const struct {
		const char *raw, *why;
	} bad[] = {
		{OK UP "Sec-WebSocket-Accept: c29tZWJvZHkgZWxzZSBlbnRpcmU=\r\n\r\n", "another one's"},
		{OK UP "\r\n", "another one's"},
		{OK "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "something else"},
		{OK "Upgrade: websocket\r\n\r\n", "something else"},
		{"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"},
		{"\x15\x03\x01\x00\x02\x02\x0a", "not HTTP"},
	};
	struct world *w = *state;

	w->manner = PEER_ANSWER;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		w->raw = bad[i].raw;
		w->raw_len = strlen(bad[i].raw);
		dial(w);
		assert_end(w, ERR_MALFORMED, bad[i].why);
	}
	w->manner = PEER_SHUT;
	dial(w);
	assert_end(w, ERR_MALFORMED, "closed before the answer");
	w->manner = PEER_ECHO;
	w->protocol = "never.offered";
	dial(w);
	assert_end(w, ERR_MALFORMED, "nobody offered");
	w->opts.subprotocols = "never, offered";
	dial(w);
	assert_end(w, ERR_MALFORMED, "nobody offered");
	w->protocol = "x\r\nSec-WebSocket-Extensions: permessage-deflate";
	w->opts.subprotocols = "x";
	dial(w);
	assert_end(w, ERR_MALFORMED, "extension");
}

static void an_endless_header_ends_the_connection(void **state)
{
	struct world *w = *state;
	char text[40000];

	memset(text, 'a', sizeof text);
	memcpy(text, "HTTP/1.1 101 x\r\nX: ", 19);
	w->manner = PEER_ANSWER;
	w->raw = text;
	w->raw_len = sizeof text;
	dial(w);
	assert_end(w, ERR_MALFORMED, "too long");
	memset(text, ' ', sizeof text);
	memcpy(text, "HTTP/1.1 101 x\r\nUpgrade: ", 25);
	memset(text + 25, 'b', 300);
	dial(w);
	assert_end(w, ERR_MALFORMED, "too long");
}

/* The answer and what comes right behind it, cut wherever it can be. */
TEST(the_response_may_arrive_in_any_pieces)
{
	char text[512], accept[32];
	struct upgrade u;

	assert_int_equal(upgrade_init(&u, "a,b"), 0);
	accept_of(u.key, accept);
	size_t head = (size_t)snprintf(text, sizeof text, OK UP "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: b\r\n\r\n", accept);
	size_t len = head + (size_t)snprintf(text + head, sizeof text - head, "\x81\x02hi");
	char key[UPGRADE_KEY], expected[UPGRADE_ACCEPT];

	memcpy(key, u.key, sizeof key);
	memcpy(expected, u.accept, sizeof expected);
	for (size_t cut = 0; cut <= len; cut++) {
		upgrade_init(&u, "a,b");
		memcpy(u.key, key, sizeof key);
		memcpy(u.accept, expected, sizeof expected);
		size_t used = upgrade_feed(&u, text, cut);

		if (u.state == UPGRADE_MORE) {
			assert_int_equal(used, cut);
			used += upgrade_feed(&u, text + cut, len - cut);
		}
		assert_int_equal(u.state, UPGRADE_DONE);
		assert_int_equal(used, head);
		assert_string_equal(u.value[FIELD_PROTOCOL], "b");
		assert_int_equal(upgrade_feed(&u, text, len), 0);
	}
}

/* A message in three frames with a ping between them, and a second one; then a close. */
static const char frames[] = "\x01\x03one\x89\x02hi\x00\x00\x80\x03two\x82\x02\x00\xff\x88\x05\x03\xf3" "bye";

static void frames_may_arrive_in_any_pieces(void **state)
{
	struct world *w = *state;

	w->manner = PEER_RAW;
	w->raw = frames;
	w->raw_len = sizeof frames - 1;
	for (w->step = 0; w->step < w->raw_len; w->step++) {
		w->n_pongs = 0;
		dial_open(w);
		WAIT(w, w->ended && w->close_code);
		assert_true(w->n_pongs == 1 || w->step == 0 || w->step > 2); /* who reads the close with the ping may leave it at that */
		assert_int_equal(w->n_received, 2);
		assert_int_equal(w->received.len, 8);
		assert_memory_equal(w->received.p, "onetwo\0\xff", 8);
		assert_int_equal(w->end.close_code, 1011);
		assert_int_equal(w->close_code, 1011); /* echoed */
		w->close_code = 0;
		assert_end(w, 0, "closed by the other side with code 1011");
	}
}

static void malformed_frames_end_the_connection(void **state)
{
	static const struct {
		const char *raw;
		size_t len;
		int err;
		const char *why;
		uint16_t code;
	} bad[] = {
		{"\x83\x01x", 3, ERR_MALFORMED, "not a WebSocket frame", 1002},       /* an opcode of the future */
		{"\xc1\x01x", 3, ERR_MALFORMED, "not a WebSocket frame", 1002},       /* marked as compressed */
		{"\x81\x81\0\0\0\0x", 7, ERR_MALFORMED, "not a WebSocket frame", 1002}, /* masked by a server */
		{"\x80\x01x", 3, ERR_MALFORMED, "not a WebSocket frame", 1002},       /* goes on with nothing */
		{"\x81\x02\xff\xfe", 4, ERR_MALFORMED, "not UTF-8", 1007},
		{"\x09\x00", 2, ERR_MALFORMED, "not a WebSocket frame", 0},           /* a ping in parts */
		{"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffx", 11, ERR_LIMIT, "longer than 1000 bytes", 1009},
		{"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, ERR_MALFORMED, "not a WebSocket frame", 0},
		{"\x82\x7e\x03\xe9x", 5, ERR_LIMIT, "longer than 1000 bytes", 1009},
	};
	struct world *w = *state;

	w->manner = PEER_RAW;
	w->opts.max_message = 1000;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		w->close_code = 0;
		w->closes = 0;
		w->raw = bad[i].raw;
		w->raw_len = bad[i].len;
		dial_open(w);
		WAIT(w, w->ended && w->closes);
		assert_int_equal(w->n_received, 0);
		assert_int_equal(w->close_code, bad[i].code);
		assert_end(w, bad[i].err, bad[i].why);
	}
}

static void fragments_together_keep_to_the_bound(void **state)
{
	struct world *w = *state;
	char text[4 + 400 * 12];
	size_t n = 0;

	for (int i = 0; i < 400; i++, n += 12)
		memcpy(text + n, i ? "\x00\x0a" "0123456789" : "\x02\x0a" "0123456789", 12);
	w->manner = PEER_RAW;
	w->opts.max_message = 1000;
	w->raw = text;
	w->raw_len = n;
	dial_open(w);
	assert_end(w, ERR_LIMIT, "longer than 1000 bytes");
}

static void pings_detect_a_silent_peer(void **state)
{
	struct world *w = *state;

	w->opts.ping_ms = 20;
	w->manner = PEER_SILENT;
	dial_open(w);
	WAIT(w, w->ended);
	assert_true(w->n_pings >= 1);
	assert_end(w, ERR_IO, "nothing heard for 40 ms");
	w->manner = PEER_ECHO;
	w->n_pings = 0;
	dial_open(w);
	WAIT(w, w->n_pings >= 4 || w->ended); /* and answered */
	assert_false(w->ended);
	hang_up(w);
}

static void every_step_of_connecting_has_a_limit(void **state)
{
	struct world *w = *state;

	w->opts.connect_timeout_ms = 50;
	w->manner = PEER_ANSWER;
	dial(w);
	assert_end(w, ERR_IO, "no answer to the upgrade within 50 ms");
	use_tls(w, true); /* but the server speaks first, in clear, and not at all */
	tls_context_unref(w->tls);
	w->tls = NULL;
	assert_int_equal(try_dial(w, "wss", "127.0.0.1", "/"), 0);
	assert_end(w, ERR_IO, "no connection within 50 ms");
}

static void closing_has_a_limit(void **state)
{
	struct world *w = *state;

	w->manner = PEER_SILENT;
	w->opts.close_timeout_ms = 30;
	dial_open(w);
	websocket_close(w->ws, 1001, "going away");
	WAIT(w, w->gone);
	assert_int_equal(w->close_code, 1001);
	assert_string_equal(w->reason, "going away");
	assert_false(w->ended); /* nothing but on_closed follows */
}

static void messages_before_the_close_arrive(void **state)
{
	struct world *w = *state;
	char *p = calloc(1, 100000);

	assert_non_null(p);
	dial_open(w);
	w->n_messages = 0;
	for (int i = 0; i < 9; i++)
		assert_int_equal(websocket_send_binary(w->ws, p, 100000), 0);
	websocket_close(w->ws, 1000, NULL);
	WAIT(w, w->gone);
	assert_int_equal(w->n_messages, 9);
	free(p);
}

static void the_queue_is_bounded(void **state)
{
	struct world *w = *state;
	char *p = calloc(1, 65536);
	unsigned n = 0;

	assert_non_null(p);
	w->manner = PEER_STALLED;
	w->opts.max_queue = 200000;
	dial_open(w);
	while (!w->upgraded)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(websocket_send_binary(w->ws, p, 65536 * 4), ERR_LIMIT);
	while (websocket_send_binary(w->ws, p, 65536) == 0 && n < 1000) {
		n++;
		uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_true(websocket_queued(w->ws) <= 200000);
	}
	assert_in_range(n, 3, 999); /* the kernel accepts some */
	assert_int_equal(websocket_send_binary(w->ws, p, 65536), ERR_LIMIT);
	w->n_messages = 0;
	tls_stream_pause(w->peer, false);
	WAIT(w, w->n_messages == n);
	assert_int_equal(websocket_send_binary(w->ws, p, 65536), 0);
	WAIT(w, w->n_messages == n + 1);
	hang_up(w);
	free(p);
}

/* It is alive and says so, which pings would be content with. */
static void a_peer_that_takes_nothing_is_given_up(void **state)
{
	struct world *w = *state;
	char *p = calloc(1, 65536);

	assert_non_null(p);
	for (int secure = 0; secure < 2; secure++) {
		if (secure)
			use_tls(w, true);
		w->manner = PEER_STALLED;
		w->opts.stall_ms = 1500;
		w->opts.ping_ms = 20000;
		dial_open(w);
		while (!w->upgraded)
			uv_run(&w->loop, UV_RUN_NOWAIT);
		while (websocket_unsent(w->ws) == 0) {
			assert_int_equal(websocket_send_binary(w->ws, p, 65536), 0);
			uv_run(&w->loop, UV_RUN_NOWAIT);
		}
		uint64_t before = uv_hrtime();

		WAIT(w, w->ended);
		assert_true(uv_hrtime() - before >= 500000000); /* the kernel may have taken some more at first */
		assert_end(w, ERR_IO, "it has taken nothing for 1.5 s");
	}
	free(p);
}

static void certificates_are_verified(void **state)
{
	struct world *w = *state;

	use_tls(w, false);
	dial(w);
	assert_end(w, ERR_TLS, "certificate refused: self-signed certificate");
	tls_context_unref(w->trust);
	struct tls_client_opts opts = {.ca_pem = w->pem.chain};

	assert_int_equal(tls_context_client(&opts, &w->trust), 0);
	assert_int_equal(try_dial(w, "wss", "127.0.0.2", "/"), 0); /* not in it; 0.0.0.0/8 is all ours */
	WAIT(w, w->ended);
	assert_true(w->end.err == ERR_IO || w->end.err == ERR_TLS); /* the listener is at 127.0.0.1 only */
	hang_up(w);
	dial_open(w);
	say_and_hear(w, 1000, true);
	hang_up(w);
	tls_context_unref(w->trust);
	w->trust = NULL; /* the system's roots do not know it */
	dial(w);
	assert_end(w, ERR_TLS, "certificate refused");
}

static void a_name_is_resolved_and_every_address_tried(void **state)
{
	struct world *w = *state;

	assert_int_equal(try_dial(w, "ws", "localhost", "/"), 0); /* ::1 first, where nobody listens, on most machines */
	WAIT(w, w->open || w->ended);
	assert_true(w->open);
	hang_up(w);
	uint16_t port = w->port;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0); /* bound, not listening: refused */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	dial(w);
	assert_end(w, ERR_IO, "connection refused");
	w->port = port;
	close(fd);
}

static void a_lost_connection_is_reported(void **state)
{
	struct world *w = *state;

	dial_open(w);
	say_and_hear(w, 10, true);
	tls_stream_close(w->peer);
	w->peer = NULL;
	assert_end(w, ERR_IO, "connection lost");
	assert_int_equal(w->end.close_code, 0);
}

static void closing_at_every_step_is_clean(void **state)
{
	struct world *w = *state;

	use_tls(w, true);
	for (int steps = 0; steps < 16; steps++) {
		dial(w);
		for (int i = 0; i < steps && !w->open; i++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
		if (w->open)
			websocket_send_text(w->ws, "x", 1);
		hang_up(w);
		assert_false(w->ended);
	}
}

/* A client that answers, closes or sends from inside its own callbacks. */
static void on_message_close(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct world *w = ctx;

	(void)text, (void)p, (void)len;
	assert_int_equal(++w->n_received, 1); /* what follows in the same bytes is not for one who left */
	assert_int_equal(websocket_send_text(w->ws, "last", 4), 0);
	websocket_close(w->ws, 1000, "enough");
}

static void closing_from_on_message_is_clean(void **state)
{
	static const struct websocket_events calls = {on_open, on_message_close, on_end, on_closed};
	struct world *w = *state;
	char url[64];

	w->manner = PEER_RAW;
	w->raw = "\x81\x01" "a\x81\x01" "b\x81\x01" "c";
	w->raw_len = 9;
	snprintf(url, sizeof url, "ws://127.0.0.1:%u/", w->port);
	w->opts.url = url;
	assert_int_equal(websocket_connect(&w->loop, &w->opts, &calls, w, &w->ws), 0);
	WAIT(w, w->gone);
	assert_false(w->ended);
	assert_int_equal(w->n_messages, 1);
	assert_string_equal(w->reason, "enough");
}

/* A flood, 60 KB of it, and then a message: whatever it is made of, it takes as many turns as it costs. Less the last
 * read, which may have gone beyond its turn. */
static void a_flood_waits_for_its_turns(void **state)
{
	static const struct {
		const char *first, *frame;
		size_t len;
	} floods[] = {
		{"\x01\x00", "\x00\x00", 2},   /* a message that goes on with nothing */
		{"\x89\x00", "\x89\x00", 2},   /* pings, which want answers */
		{"\x8a\x00", "\x8a\x00", 2},   /* pongs */
		{"\x81\x02{}", "\x81\x02{}", 4}, /* messages */
	};
	enum { BYTES = 60000, TURN = 65536, READ = 16384 };
	struct world *w = *state;
	char *raw = malloc(BYTES + 3);

	assert_non_null(raw);
	w->manner = PEER_RAW;
	w->raw = raw;
	w->raw_len = BYTES + 3;
	w->opts.read_per_turn = TURN;
	for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
		unsigned turns = 0;
		size_t len = floods[i].len, cost = BYTES / len * (len + WEBSOCKET_FRAME_BYTES);
		size_t last = READ / len * (len + WEBSOCKET_FRAME_BYTES);

		for (size_t at = 0; at < BYTES; at += len)
			memcpy(raw + at, at ? floods[i].frame : floods[i].first, len);
		memcpy(raw + BYTES, i ? "\x81\x01z" : "\x80\x01z", 3);
		dial_open(w);
		for (; !w->ended && (!w->received.len || w->received.p[w->received.len - 1] != 'z'); turns++) {
			for (int n = 0; n < 4; n++)
				uv_run(&w->loop, UV_RUN_NOWAIT);
			websocket_read_on(w->ws);
		}
		assert_false(w->ended);
		assert_true(turns + 1 >= (cost - last) / TURN);
		hang_up(w);
	}
	free(raw);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_parsed_or_refused),
		CASE(messages_of_every_size_come_back),
		CASE(the_request_holds_the_headers_of_the_handshake),
		CASE(a_header_cannot_be_smuggled_in),
		CASE(a_refusal_is_reported_with_status_and_body),
		CASE(a_long_refusal_is_truncated),
		CASE(malformed_responses_are_refused),
		CASE(an_endless_header_ends_the_connection),
		cmocka_unit_test(the_response_may_arrive_in_any_pieces),
		CASE(frames_may_arrive_in_any_pieces),
		CASE(malformed_frames_end_the_connection),
		CASE(fragments_together_keep_to_the_bound),
		CASE(pings_detect_a_silent_peer),
		CASE(every_step_of_connecting_has_a_limit),
		CASE(closing_has_a_limit),
		CASE(messages_before_the_close_arrive),
		CASE(the_queue_is_bounded),
		CASE(a_peer_that_takes_nothing_is_given_up),
		CASE(certificates_are_verified),
		CASE(a_name_is_resolved_and_every_address_tried),
		CASE(a_lost_connection_is_reported),
		CASE(closing_at_every_step_is_clean),
		CASE(closing_from_on_message_is_clean),
		CASE(a_flood_waits_for_its_turns),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
