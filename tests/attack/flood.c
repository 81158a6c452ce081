/* SPDX-License-Identifier: MIT */
/*
 * flood - what a client in Python is too slow for, at 127.0.0.1. It says how often it did it, and ends.
 *
 * flood noise PORT SECONDS      well-formed heads of Initials with noise behind them, as fast as the kernel takes them
 * flood datagrams PORT TIMES    datagrams of one byte, of one session
 * flood streams PORT TIMES      streams that one session opens and resets
 * flood slow PORT SESSIONS      sessions that say nothing, opened at 300 a second and held for five seconds
 */
#include "base/time.h"
#include "client/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BATCH = 64, PER_TURN = 50, PER_SECOND = 300, HOLD_S = 5, GIVE_UP_S = 300, SESSIONS_PER_SOCKET = 256 };

struct mode {
	const char *name;
	/* One repetition on the session, or an error if it cannot now. NULL: sessions are what is repeated. */
	int (*act)(struct wt_session *s, nsec now);
};

static struct flood {
	const struct mode *mode;
	uint32_t times, done, asked, open, failed, lost;
	nsec started, until;
	bool over;
	struct wt_session *session;
	struct net *net;
	struct quic_addr addr;
	char authority[32];
} g;

/* --- packets of nobody -------------------------------------------------------------------------- */

static void fill(uint8_t *p, size_t len)
{
	static uint64_t x = 88172645463325252;

	for (size_t i = 0; i < len; i++) { /* xorshift: noise is enough */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)x;
	}
}

/* The head says: version 1, two ids of 8 bytes, no token, 1174 bytes of payload. */
static void make_initial(uint8_t p[1200])
{
	static const uint8_t first[] = {0xc1, 0, 0, 0, 1, 8};

	fill(p, 1200);
	memcpy(p, first, sizeof first);
	p[14] = 8;
	p[23] = 0;
	p[24] = 0x44;
	p[25] = 0x96;
}

static int flood_noise(uint16_t port, double seconds)
{
	static uint8_t packets[BATCH][1200];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iov[BATCH];
	unsigned long long sent = 0;
	nsec end = clock_now() + (nsec)(seconds * 1e9);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
		return 1;
	while (clock_now() < end) {
		for (size_t i = 0; i < BATCH; i++) {
			make_initial(packets[i]);
			iov[i] = (struct iovec){packets[i], sizeof packets[i]};
			msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		}
		int n = sendmmsg(fd, msgs, BATCH, 0);

		sent += n > 0 ? (unsigned long long)n : 0;
	}
	close(fd);
	printf("times=%llu\n", sent);
	return 0;
}

/* --- sessions ----------------------------------------------------------------------------------- */

static int send_datagram(struct wt_session *s, nsec now)
{
	return wt_session_send(s, "x", 1, NULL, 0, now);
}

static int reset_stream(struct wt_session *s, nsec now)
{
	struct wt_stream *st;
	int err = wt_stream_open(s, true, &st);

	if (!err)
		wt_stream_abort(st, 1, now);
	return err;
}

static const struct mode modes[] = {{"datagrams", send_datagram}, {"streams", reset_stream}, {"slow", NULL}};

static void on_answer(void *user, struct wt_session *s, unsigned status, nsec now)
{
	(void)user, (void)now;
	if (status != 200)
		return;
	g.open++;
	g.session = s;
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	(void)user, (void)why, (void)now;
	if (g.over)
		return;
	if (g.mode->act && g.open)
		g.lost++;
	else
		g.failed++;
	g.session = NULL;
}

static void ask(nsec now)
{
	char path[48];
	const struct net_target to = {&g.addr, "localhost", g.authority, path};

	snprintf(path, sizeof path, "/audio?room=flood-%u", g.asked / 50);
	g.asked++;
	if (net_connect(g.net, &to, NULL, now, NULL))
		g.failed++;
}

static bool finished(nsec now)
{
	if (now > g.started + nsec_from_s(GIVE_UP_S))
		return true;
	if (g.mode->act)
		return g.done == g.times || g.failed || g.lost;
	if (g.until == NSEC_NONE && g.open + g.failed >= g.times)
		g.until = now + nsec_from_s(HOLD_S);
	return now >= g.until;
}

static void on_time(void *ctx, nsec now)
{
	(void)ctx;
	if (g.over)
		return;
	while (g.asked < (g.mode->act ? 1 : g.times) && g.started + g.asked * (nsec_from_s(1) / PER_SECOND) <= now)
		ask(now);
	for (int i = 0; i < PER_TURN && g.mode->act && g.session && g.done < g.times; i++, g.done++)
		if (g.mode->act(g.session, now))
			break;
	if (finished(now)) {
		g.over = true;
		net_close(g.net, NULL, NULL);
	}
	net_at(g.net, g.over ? NSEC_NONE : now + nsec_from_ms(1));
}

static int flood_sessions(uint16_t port)
{
	static const struct wt_app app = {.on_answer = on_answer, .on_closed = on_closed};
	static const struct log_out out = {.fd = 2, .level = LOG_ERROR};
	const struct log log = {.out = &out};
	struct net_opts opts;
	uv_loop_t loop;

	snprintf(g.authority, sizeof g.authority, "localhost:%u", port);
	net_opts_default(&opts);
	opts.insecure = true;
	opts.on_time = on_time;
	opts.max_conns = g.times + 8;
	opts.sockets = g.mode->act ? 1 : 1 + (g.times - 1) / SESSIONS_PER_SOCKET;
	if (quic_addr_parse("127.0.0.1", port, &g.addr) || uv_loop_init(&loop) || net_new(&loop, &opts, &app, &log, &g.net))
		return 1;
	g.started = clock_now();
	g.until = NSEC_NONE;
	net_at(g.net, g.started);
	uv_run(&loop, UV_RUN_DEFAULT);
	printf("times=%u open=%u failed=%u lost=%u\n", g.mode->act ? g.done : g.asked, g.open, g.failed, g.lost);
	return uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "noise") == 0)
		return flood_noise((uint16_t)atoi(argv[2]), strtod(argv[3], NULL));
	for (size_t i = 0; argc == 4 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			g.mode = &modes[i];
			g.times = (uint32_t)strtoul(argv[3], NULL, 10);
			return g.times == 0 || g.times > 1000000 ? 2 : flood_sessions((uint16_t)atoi(argv[2]));
		}
	fputs("usage: flood noise PORT SECONDS | flood datagrams|streams|slow PORT TIMES\n", stderr);
	return 2;
}
