/* SPDX-License-Identifier: MIT */
/* A server that speaks AudioSocket by hand: a socket without blocking, looked at between ticks. */
#include "support/test.h"

#include "bridge/audiosocket.h"
#include "unit/bridge/seat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { GOT = 200000 };

struct server {
	int listening, conn;
	uint16_t port;
	char path[108];
	uint8_t got[GOT];
	size_t n_got, wanted;
	bool ended, echo, stalled;
	size_t n_echoed;
};

/* One for each test: `until` callbacks know only the seat. */
static struct server *server;

static void listen_on(const struct sockaddr *addr, socklen_t len, int backlog, int rcvbuf)
{
	server = calloc(1, sizeof *server);
	assert_non_null(server);
	server->conn = -1;
	server->listening = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(server->listening >= 0);
	if (rcvbuf)
		setsockopt(server->listening, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
	assert_int_equal(bind(server->listening, addr, len), 0);
	assert_int_equal(listen(server->listening, backlog), 0);
}

static void listen_tcp(int backlog, int rcvbuf)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	listen_on((struct sockaddr *)&a, sizeof a, backlog, rcvbuf);
	assert_int_equal(getsockname(server->listening, (struct sockaddr *)&a, &len), 0);
	server->port = ntohs(a.sin_port);
}

static void listen_unix(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof a.sun_path, "/tmp/mynah-audiosocket-%d", (int)getpid());
	unlink(a.sun_path);
	listen_on((struct sockaddr *)&a, sizeof a, 1, 0);
	snprintf(server->path, sizeof server->path, "%s", a.sun_path);
}

static void server_free(void)
{
	if (server->path[0])
		unlink(server->path);
	if (server->conn >= 0)
		close(server->conn);
	close(server->listening);
	free(server);
	server = NULL;
}

static void serve(void)
{
	if (server->conn < 0)
		server->conn = accept4(server->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (server->conn < 0 || server->stalled)
		return;
	ssize_t n = 1;

	while (n > 0 && server->n_got < GOT) {
		n = recv(server->conn, server->got + server->n_got, GOT - server->n_got, 0);
		server->ended |= n == 0;
		server->n_got += n > 0 ? (size_t)n : 0;
	}
	while (server->echo && server->n_got >= 19 && server->n_echoed < server->n_got - 19) {
		n = send(server->conn, server->got + 19 + server->n_echoed, server->n_got - 19 - server->n_echoed, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		server->n_echoed += (size_t)n;
	}
}

static void say(const char *p, size_t len)
{
	assert_int_equal(send(server->conn, p, len, MSG_NOSIGNAL), len);
}

static bool connected(struct seat *s) { (void)s; serve(); return server->conn >= 0; }
static bool got_wanted(struct seat *s) { (void)s; serve(); return server->n_got >= server->wanted; }
static bool failed(struct seat *s) { if (server) serve(); return s->failed[0] != '\0'; }
static bool spoke_a_second(struct seat *s) { serve(); return s->n_speech >= RATE; }
static bool ticked_500(struct seat *s) { serve(); return s->n_ticks >= 500; }
static bool has_text(struct seat *s) { serve(); return s->n_texts > 0; }

static void set_address(struct seat *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void set_address(struct seat *s, const char *fmt, ...)
{
	struct audiosocket_opts *o = (struct audiosocket_opts *)s->own;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->address, sizeof o->address, fmt, ap);
	va_end(ap);
}

static struct seat *seat_for(const char *host, uint32_t rate_hz)
{
	struct seat *s = seat_new("audiosocket");

	if (server && server->path[0])
		set_address(s, "unix:%s", server->path);
	else
		set_address(s, "tcp://%s:%u", host, server ? server->port : 1u);
	s->opts.rate_hz = rate_hz;
	for (size_t i = 0; i < TICK; i++)
		s->mix[i] = (float)((int)(i % 100) - 50) / 128;
	return s;
}

static struct seat *seat_at(const char *host, uint32_t rate_hz)
{
	struct seat *s = seat_for(host, rate_hz);

	assert_int_equal(seat_open(s), 0);
	return s;
}

static void check_stream(uint8_t audio_type)
{
	static const uint8_t uuid_head[] = {0x01, 0x00, 0x10};

	assert_memory_equal(server->got, uuid_head, 3);
	assert_int_equal(server->got[3 + 6] >> 4, 4); /* version 4 */
	for (size_t at = 19; at + 3 < server->n_got; at += 3 + 2 * TICK) {
		assert_int_equal(server->got[at], audio_type);
		assert_int_equal(server->got[at + 1] << 8 | server->got[at + 2], 2 * TICK);
	}
}

/* Opens, echoes for a second, closes: the last that the server gets is a hang-up and the end. */
static void speak_with(struct seat *s)
{
	server->echo = true;
	assert_true(seat_run(s, spoke_a_second, 20000));
	for (size_t i = 0; i < RATE; i++)
		assert_true(s->speech[i] == s->mix[i % TICK]);
	assert_string_equal(s->failed, "");
	check_stream(0x12);
	server->echo = false;
	s->ops->close(s->self);
	s->open = false;
	server->wanted = GOT;
	for (int i = 0; i < 1000 && !server->ended; i++) {
		uv_run(&s->loop, UV_RUN_NOWAIT);
		serve();
		usleep(1000);
	}
	assert_true(server->ended);
	assert_memory_equal(server->got + server->n_got - 3, "\0\0\0", 3);
	close(server->conn);
	server->conn = -1;
	assert_true(seat_free(s) < 900);
	server_free();
}

TEST(it_speaks_over_tcp)
{
	listen_tcp(1, 0);
	speak_with(seat_at("127.0.0.1", 0));
}

TEST(it_speaks_over_a_unix_socket)
{
	listen_unix();
	speak_with(seat_at("", 0));
}

/* "localhost" is ::1 too, where nobody listens. */
TEST(every_address_of_a_name_is_tried)
{
	listen_tcp(1, 0);
	speak_with(seat_at("localhost", 0));
}

TEST(at_8_kHz_audio_is_of_the_type_that_every_server_knows)
{
	listen_tcp(1, 0);
	struct seat *s = seat_at("127.0.0.1", 8000);

	server->wanted = 19 + 10 * (3 + 2 * TICK);
	assert_true(seat_run(s, got_wanted, 10000));
	check_stream(0x10);
	seat_free(s);
	server_free();
}

TEST(the_extension_is_sent_to_a_server_that_used_it)
{
	listen_tcp(1, 0);
	struct seat *s = seat_at("127.0.0.1", 0);

	assert_true(seat_run(s, connected, 10000));
	seat_event(s, (struct bridge_event){.kind = BRIDGE_JOINED, .participant = 1, .name = "Ann"});
	server->wanted = 19 + 10 * (3 + 2 * TICK);
	assert_true(seat_run(s, got_wanted, 10000));
	check_stream(0x12); /* and nothing else */
	say("\x22\x00\x1f{\"type\":\"message\",\"text\":\"hey\"}", 34);
	assert_true(seat_run(s, has_text, 10000));
	assert_string_equal(s->texts[0], "hey");
	server->wanted = server->n_got + 2 * (3 + 2 * TICK);
	assert_true(seat_run(s, got_wanted, 10000));
	assert_non_null(memmem(server->got, server->n_got, "\x22\x00\x2e{\"type\":\"joined\",\"participant\":1,\"name\":\"Ann\"}",
		49));
	seat_free(s);
	server_free();
}

TEST(the_end_of_the_connection_is_a_failure_and_a_hang_up_is_not)
{
	static const struct { const char *bytes; size_t n; const char *why; bool left; } ends[] = {
		{"", 0, "the connection: it ended", false},
		{"\x12\x00", 2, "the connection: it ended in the middle of a record", false},
		{"\x00\x00\x00", 3, "it hung up", true},
		{"HTTP", 4, "a record of type 0x48 with 21588 bytes: no such type", false},
	};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		listen_tcp(1, 0);
		struct seat *s = seat_at("127.0.0.1", 0);

		server->wanted = 19;
		assert_true(seat_run(s, got_wanted, 10000));
		say(ends[i].bytes, ends[i].n);
		shutdown(server->conn, SHUT_WR);
		assert_true(seat_run(s, failed, 10000));
		assert_string_equal(s->failed, ends[i].why);
		assert_int_equal(s->left, ends[i].left);
		seat_free(s);
		server_free();
	}
}

TEST(a_server_that_cannot_be_reached_is_a_failure)
{
	char why[128];

	listen_tcp(1, 0);
	close(server->listening);
	struct seat *s = seat_at("127.0.0.1", 0);

	assert_true(seat_run(s, failed, 10000));
	snprintf(why, sizeof why, "cannot connect to tcp://127.0.0.1:%u: connection refused", server->port);
	assert_string_equal(s->failed, why);
	seat_free(s);
	server->listening = -1;
	server_free();

	s = seat_new("audiosocket");
	set_address(s, "unix:/nonexistent/socket");
	assert_int_equal(seat_open(s), 0);
	assert_true(seat_run(s, failed, 10000));
	assert_string_equal(s->failed, "cannot connect to unix:/nonexistent/socket: no such file or directory");
	seat_free(s);

	s = seat_new("audiosocket");
	assert_int_equal(seat_open(s), ERR_RANGE); /* no address at all */
	seat_free(s);
}

/* Somebody else fills the queue of a server that accepts nobody: SYNs are dropped without a word. */
TEST(connecting_is_given_up_after_5_s)
{
	int others[4];

	listen_tcp(0, 0);
	server->stalled = true;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(server->port)};

	for (int i = 0; i < 4; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(others[i], (struct sockaddr *)&a, sizeof a);
	}
	struct server *mute = server;

	server = NULL; /* so that nobody accepts */
	struct seat *s = seat_new("audiosocket");
	uint64_t before = uv_hrtime();

	set_address(s, "tcp://127.0.0.1:%u", mute->port);
	assert_int_equal(seat_open(s), 0);
	assert_true(seat_run(s, failed, 8000));
	assert_in_range((uv_hrtime() - before) / 1000000, 4900, 6500);
	assert_non_null(strstr(s->failed, ": no answer within 5 s"));
	seat_free(s);
	for (int i = 0; i < 4; i++)
		close(others[i]);
	server = mute;
	server_free();
}

TEST(closing_while_it_connects_waits_for_nothing)
{
	static const char *const addresses[] = {"tcp://127.0.0.1:1", "tcp://localhost:1", "unix:/nonexistent/socket"};

	for (size_t i = 0; i < 3; i++) {
		struct seat *s = seat_new("audiosocket");

		set_address(s, "%s", addresses[i]);
		assert_int_equal(seat_open(s), 0);
		seat_free(s);
	}
}

TEST(a_server_that_reads_late_gets_the_newest_sound)
{
	listen_tcp(1, 2048);
	struct seat *s = seat_at("127.0.0.1", 0);

	assert_true(seat_run(s, connected, 10000));
	server->stalled = true;
	s->n_ticks = 0;
	assert_true(seat_run(s, ticked_500, 20000));
	assert_string_equal(s->failed, "");
	/* the kernels' buffers, both, are small here */
	assert_in_range(s->n_dropped, 500 * TICK - RATE, 500 * TICK);
	seat_free(s);
	server_free();
}

static void stall(struct seat *s, size_t most_ticks)
{
	s->opts.stall_ms = 3000;
	assert_int_equal(seat_open(s), 0);
	assert_true(seat_run(s, connected, 10000));
	server->stalled = true;
	size_t from = s->n_ticks;

	assert_true(seat_run(s, failed, 60000));
	assert_string_equal(s->failed, "it has taken nothing for 3 s");
	assert_in_range(s->n_ticks - from, 149, most_ticks);
	seat_free(s);
	server_free();
}

/* What its kernel takes for it counts as taken. */
TEST(a_server_that_takes_nothing_is_given_up)
{
	listen_unix();
	stall(seat_for("", 0), 200);
	listen_tcp(1, 2048);
	stall(seat_for("127.0.0.1", 0), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_speaks_over_tcp),
		cmocka_unit_test(it_speaks_over_a_unix_socket),
		cmocka_unit_test(every_address_of_a_name_is_tried),
		cmocka_unit_test(at_8_kHz_audio_is_of_the_type_that_every_server_knows),
		cmocka_unit_test(the_extension_is_sent_to_a_server_that_used_it),
		cmocka_unit_test(the_end_of_the_connection_is_a_failure_and_a_hang_up_is_not),
		cmocka_unit_test(a_server_that_cannot_be_reached_is_a_failure),
		cmocka_unit_test(connecting_is_given_up_after_5_s),
		cmocka_unit_test(closing_while_it_connects_waits_for_nothing),
		cmocka_unit_test(a_server_that_reads_late_gets_the_newest_sound),
		cmocka_unit_test(a_server_that_takes_nothing_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
