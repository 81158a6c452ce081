/* SPDX-License-Identifier: MIT */
/*
 * caller talk PORT SESSIONS SECONDS RAMP - sessions with a WebTransport echo on 127.0.0.1, ours or anybody's; each sends a
 * frame of 20 ms at 16 kHz (642 bytes) 50 times a second, on a grid that does not drift, and takes what comes back.
 * Every frame is a mark (client/mark.h), so an echo through a mixer is read as well as one of the datagram. Says
 * "measuring" and "measured" when the time that counts begins and ends, then key=value of what came back.
 *
 * caller visit PORT VISITS PARALLEL - sessions that go again as soon as they are accepted, PARALLEL at a time.
 *
 * caller sit PORT SESSIONS SECONDS RAMP - sessions that say nothing.
 *
 * More arguments: "classic" leaves out post-quantum key exchange, which aioquic cannot answer; "room=SIZE" puts SIZE
 * sessions into each room of a mynahd, where marks meet and do not read: then only `received` counts; "talkers=K" has K
 * of each room talk.
 */
#include "audio/packet.h"
#include "audio/pcm.h"
#include "base/err.h"
#include "client/histogram.h"
#include "client/mark.h"
#include "client/net.h"
#include "support/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

enum {
	SLOTS = 40,         /* moments within a frame at which sessions send: 0.5 ms apart, as in `mynah load` */
	SLOT_STRIDE = 11,
	FRAME_MS = 20,
	SENT_RING = 128,    /* marks whose moment of sending is known: 2.5 s */
	SETTLE_MS = 1000, TRAIL_MS = 500, RAMP_MAX_S = 60,
	SESSIONS_PER_SOCKET = 256,
	SAMPLES_MAX = 1024,
};

struct session {
	uint32_t index;
	struct wt_session *wt;
	uint16_t next, first, end; /* marks: first <= seq < end count */
	nsec sent_at[SENT_RING];
	struct mark_reader marks;
};

enum phase { OPENING, SETTLING, MEASURING, TRAILING, OVER };

static struct caller {
	enum phase phase;
	bool talks, visits, classic;
	uint32_t room, talkers; /* 0: everybody alone; 0: all */
	uint32_t n_sessions, parallel, n_asked, n_open, n_failed, n_lost, n_closed;
	double ramp_per_s;
	nsec started, until, measure, measured_from;
	uint64_t slot_at;
	struct session *sessions;
	struct net *net;
	struct quic_addr addr;
	char authority[32];
	struct histogram delay_us, late_us;
	uint64_t expected, heard, sent, received;
	double seconds, own_cpu_s;
} g;

static double own_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* --- one session -------------------------------------------------------------------------------- */

struct reception {
	struct session *s;
	nsec now;
};

static void on_mark(void *ctx, const struct mark *m, size_t after)
{
	const struct reception *h = ctx;
	struct session *s = h->s;
	nsec early = (nsec)after * nsec_from_s(1) / MARK_RATE_HZ, delay = nsec_since(s->sent_at[m->seq % SENT_RING], h->now);
	uint16_t end = g.phase == MEASURING ? s->next : s->end;

	if (m->talker != (uint16_t)s->index || (g.phase != MEASURING && g.phase != TRAILING))
		return;
	if ((uint16_t)(m->seq - s->first) >= (uint16_t)(end - s->first))
		return;
	g.heard++;
	if ((uint16_t)(s->next - m->seq) <= SENT_RING)
		histogram_add(&g.delay_us, nsec_since(early, delay) / 1000);
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct session *s = user;
	struct reception reception = {s, now};
	int16_t pcm[SAMPLES_MAX];
	struct frame f;

	g.received += g.phase == MEASURING;
	if (!g.talks || g.room || packet_parse(p, len, MARK_RATE_HZ, &f) != FRAME_OK || f.n_samples > SAMPLES_MAX)
		return;
	memcpy(pcm, f.payload, f.len); /* both ends are this machine, little-endian */
	mark_read(&s->marks, pcm, f.n_samples, on_mark, &reception);
}

static void talk(struct session *s, nsec now)
{
	const struct mark m = {0, (uint16_t)s->index, s->next};
	uint8_t b[PACKET_LEGACY_HEAD + 2 * MARK_SAMPLES];
	int16_t pcm[MARK_SAMPLES];
	float x[MARK_SAMPLES];

	mark_write(&m, pcm);
	s->sent_at[s->next++ % SENT_RING] = now;
	pcm_from_i16(x, pcm, MARK_SAMPLES);
	size_t len = datagram_of_float(b, MARK_RATE_HZ, x, MARK_SAMPLES);

	if (wt_session_send(s->wt, NULL, 0, b, len, now) == 0 && g.phase == MEASURING)
		g.sent++;
}

static void open_session(nsec now)
{
	struct session *s = &g.sessions[g.n_asked];
	char path[64] = "/audio";
	const struct net_target to = {&g.addr, "127.0.0.1", g.authority, path};

	s->index = g.n_asked++;
	if (g.room)
		snprintf(path, sizeof path, "/audio?room=bench-%u", s->index / g.room);
	if (net_connect(g.net, &to, s, now, NULL)) {
		g.n_failed++;
		g.n_closed++;
	}
}

static void on_answer(void *user, struct wt_session *w, unsigned status, nsec now)
{
	struct session *s = user;

	if (status != 200) { /* the last call */
		g.n_failed++;
		g.n_closed++;
		return;
	}
	g.n_open++;
	s->wt = w;
	if (g.visits)
		wt_session_close(w, 0, "", now);
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	struct session *s = user;

	(void)now;
	if (!s->wt) /* never open */
		g.n_failed++;
	else if (why->end != WT_END_LOCAL && g.phase != OVER)
		g.n_lost++;
	s->wt = NULL;
	g.n_closed++;
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	(void)user;
	wt_stream_abort(st, 2, now);
}

/* --- the course of it --------------------------------------------------------------------------- */

static nsec slot_due(void)
{
	return g.started + g.slot_at * (nsec_from_ms(FRAME_MS) / SLOTS);
}

static bool has_something_to_say(const struct session *s)
{
	return s->wt && (!g.room || !g.talkers || s->index % g.room < g.talkers);
}

static void run_slots(nsec now)
{
	for (; slot_due() <= now; g.slot_at++) {
		uint32_t slot = (uint32_t)(g.slot_at % SLOTS);

		if (g.phase == MEASURING)
			histogram_add(&g.late_us, (now - slot_due()) / 1000);
		/* session i speaks in slot 11 i mod 40: 11 * 11 = 1 mod 40 */
		for (uint32_t i = slot * SLOT_STRIDE % SLOTS; i < g.n_asked; i += SLOTS)
			if (has_something_to_say(&g.sessions[i]))
				talk(&g.sessions[i], now);
	}
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static void enter(enum phase phase, nsec until)
{
	g.phase = phase;
	g.until = until;
}

static void begin_measuring(nsec now)
{
	for (uint32_t i = 0; i < g.n_sessions; i++)
		g.sessions[i].first = g.sessions[i].next;
	g.measured_from = now;
	g.own_cpu_s = own_cpu_s();
	enter(MEASURING, now + g.measure);
	say("measuring");
}

static void end_measuring(nsec now)
{
	g.seconds = (double)(now - g.measured_from) * 1e-9;
	g.own_cpu_s = own_cpu_s() - g.own_cpu_s;
	say("measured");
	for (uint32_t i = 0; i < g.n_sessions; i++) {
		g.sessions[i].end = g.sessions[i].next;
		g.expected += (uint16_t)(g.sessions[i].end - g.sessions[i].first);
	}
	enter(TRAILING, now + nsec_from_ms(TRAIL_MS));
}

static void finish(nsec now)
{
	enter(OVER, NSEC_NONE);
	for (uint32_t i = 0; i < g.n_sessions; i++)
		if (g.sessions[i].wt)
			wt_session_close(g.sessions[i].wt, 0, "", now);
	net_close(g.net, NULL, NULL);
}

static void move_on(nsec now)
{
	bool all = g.n_open + g.n_failed >= g.n_sessions || now > g.started + nsec_from_s(RAMP_MAX_S);

	if (g.phase == OPENING && all && g.visits)
		end_measuring(now);
	else if (g.phase == OPENING && all)
		enter(SETTLING, now + nsec_from_ms(SETTLE_MS));
	else if (g.phase == OPENING || now < g.until)
		return;
	else if (g.phase == SETTLING)
		begin_measuring(now);
	else if (g.phase == MEASURING)
		end_measuring(now);
	else if (g.phase == TRAILING)
		finish(now);
}

static void on_time(void *ctx, nsec now)
{
	(void)ctx;
	if (g.phase == OVER)
		return;
	if (g.talks) /* in the end, too, or what comes last would wait in a mixer for the rest of its tick */
		run_slots(now);
	while (!g.visits && g.n_asked < g.n_sessions && g.started + (nsec)(g.n_asked / g.ramp_per_s * 1e9) <= now)
		open_session(now);
	while (g.visits && g.n_asked < g.n_sessions && g.n_asked < g.n_closed + g.parallel)
		open_session(now);
	move_on(now);
	net_at(g.net, g.phase == OVER ? NSEC_NONE : g.talks ? slot_due() : now + nsec_from_ms(1));
}

static void report(void)
{
	printf("sessions=%u opened=%u failed=%u lost=%u seconds=%.3f expected=%llu heard=%llu sent=%llu received=%llu "
	       "delay_mean_ms=%.3f delay_p50_ms=%.3f delay_p99_ms=%.3f late_p99_ms=%.3f late_max_ms=%.3f own_cpu_s=%.4f\n",
		g.n_sessions, g.n_open, g.n_failed, g.n_lost, g.seconds, (unsigned long long)g.expected, (unsigned long long)g.heard,
		(unsigned long long)g.sent, (unsigned long long)g.received, g.delay_us.count ? g.delay_us.sum / (double)g.delay_us.count / 1000 : 0,
		(double)histogram_percentile(&g.delay_us, 0.5) / 1000, (double)histogram_percentile(&g.delay_us, 0.99) / 1000,
		(double)histogram_percentile(&g.late_us, 0.99) / 1000, (double)g.late_us.max / 1000, g.own_cpu_s);
}

static void take_more(const char *arg)
{
	g.classic |= strcmp(arg, "classic") == 0;
	if (strncmp(arg, "room=", 5) == 0)
		g.room = (uint32_t)strtoul(arg + 5, NULL, 10);
	if (strncmp(arg, "talkers=", 8) == 0)
		g.talkers = (uint32_t)strtoul(arg + 8, NULL, 10);
}

static int prepare(int argc, char **argv)
{
	if (argc < 5 || (argc < 6 && strcmp(argv[1], "visit") != 0)) {
		fputs("usage: caller talk|sit PORT SESSIONS SECONDS RAMP | caller visit PORT VISITS PARALLEL\n", stderr);
		return 2;
	}
	for (int i = 5; i < argc; i++)
		take_more(argv[i]);
	g.talks = strcmp(argv[1], "talk") == 0;
	g.visits = strcmp(argv[1], "visit") == 0;
	g.n_sessions = (uint32_t)strtoul(argv[3], NULL, 10);
	if (g.n_sessions < 1 || g.n_sessions > 60000)
		return 2;
	g.parallel = g.visits ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
	g.measure = g.visits ? 0 : (nsec)(strtod(argv[4], NULL) * 1e9);
	g.ramp_per_s = g.visits ? 1 : strtod(argv[5], NULL);
	snprintf(g.authority, sizeof g.authority, "127.0.0.1:%s", argv[2]);
	g.sessions = calloc(g.n_sessions, sizeof *g.sessions);
	if (!g.sessions || quic_addr_parse("127.0.0.1", (uint16_t)atoi(argv[2]), &g.addr))
		return 1;
	for (uint32_t i = 0; i < g.n_sessions; i++)
		mark_reader_init(&g.sessions[i].marks);
	histogram_init(&g.delay_us);
	histogram_init(&g.late_us);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct wt_app app = {.on_answer = on_answer, .on_datagram = on_datagram, .on_stream = on_stream,
		.on_closed = on_closed};
	static const struct log_out out = {.fd = 2, .level = LOG_ERROR};
	const struct log log = {.out = &out};
	struct net_opts opts;
	uv_loop_t loop;
	int status = prepare(argc, argv);

	if (status)
		return status;
	net_opts_default(&opts);
	opts.insecure = true;
	opts.classic = g.classic;
	opts.on_time = on_time;
	/* a connection that was closed lingers for a while */
	opts.max_conns = g.visits ? 20000 : g.n_sessions + 8;
	opts.sockets = 1 + (g.n_sessions - 1) / SESSIONS_PER_SOCKET;
	uv_loop_init(&loop);
	if (net_new(&loop, &opts, &app, &log, &g.net))
		return 1;
	g.started = g.measured_from = clock_now();
	if (g.visits) {
		g.own_cpu_s = own_cpu_s();
		say("measuring");
	}
	net_at(g.net, g.started);
	uv_run(&loop, UV_RUN_DEFAULT);
	report();
	uv_loop_close(&loop);
	free(g.sessions);
	return g.n_open == 0;
}
