/* SPDX-License-Identifier: MIT */
/*
 * gate WHAT [SESSIONS [SECONDS]] - what the shard alone costs, to be run under callgrind with
 * --instr-atstart=no --collect-atstart=no: it switches counting on around the work of the shard, after a warm-up, so neither
 * start nor clients are in the figures. WHAT:
 *
 *   pairs      rooms of two who both talk
 *   echo       everybody alone with the echo
 *   drift      as pairs, but every clock is 2000 ppm slow: buffers are trimmed, so resampled
 *   resample   as pairs, people send and hear 24 kHz in a room of 16 kHz
 *   idle       nobody says anything
 *   crowd      as pairs, beside 200 people who say nothing, each alone
 *   relay      a room of 100 who write instead of talking, each five times a second
 *   handshake  SESSIONS people come one after the other and go again; X25519
 *   mlkem      the same with X25519MLKEM768, as browsers do
 *   noise      SESSIONS first packets with noise in them
 *   crumbs     SESSIONS first packets with a ClientHello in crumbs
 *
 * Prints key=value lines; test_gate.py reads them together with callgrind's output.
 */
#include "bench/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

enum { WARM_UP_S = 4 };

static struct {
	bool on;
	nsec cpu, since;
} count;

static nsec cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (nsec)t.tv_sec * 1000000000u + (nsec)t.tv_nsec;
}

static void server(bool on)
{
	if (!count.on)
		return;
	if (on) {
		count.since = cpu_now();
		CALLGRIND_TOGGLE_COLLECT;
	} else {
		CALLGRIND_TOGGLE_COLLECT;
		count.cpu += cpu_now() - count.since;
	}
}

static const struct what {
	const char *name;
	struct stage_opts opts;
	bool silent;
	enum { TALK, VISITS, NOISE, CRUMBS } does;
} whats[] = {
	{"pairs", {.room = 2, .rate_hz = 16000, .bridge = "none"}, false, TALK},
	{"echo", {.room = 0, .rate_hz = 16000, .bridge = "echo"}, false, TALK},
	{"drift", {.room = 2, .rate_hz = 16000, .bridge = "none", .drift_ppm = -2000}, false, TALK},
	{"resample", {.room = 2, .rate_hz = 24000, .bridge = "none"}, false, TALK},
	{"idle", {.room = 2, .rate_hz = 16000, .bridge = "none"}, true, TALK},
	{"crowd", {.room = 2, .rate_hz = 16000, .bridge = "none", .idle = 200}, false, TALK},
	{"relay", {.sessions = 100, .room = 100, .rate_hz = 16000, .bridge = "none", .write_every_ms = 200}, false, TALK},
	{"handshake", {.room = 0, .rate_hz = 16000, .bridge = "echo"}, false, VISITS},
	{"mlkem", {.room = 0, .rate_hz = 16000, .bridge = "echo", .post_quantum = true}, false, VISITS},
	{"noise", {.room = 0, .rate_hz = 16000, .bridge = "echo"}, false, NOISE},
	{"crumbs", {.room = 0, .rate_hz = 16000, .bridge = "echo"}, false, CRUMBS},
};

static const struct what *find(const char *name)
{
	for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
		if (strcmp(whats[i].name, name) == 0)
			return &whats[i];
	fprintf(stderr, "gate: what is %s?\n", name);
	exit(2);
}

static void print(const struct stage *s, const struct stage_counts *from)
{
	struct stage_counts to = stage_counts(s);
	uint64_t frames, silent;

	stage_heard(s, &frames, &silent);
	printf("in=%llu\nout=%llu\npackets_in=%llu\npackets_out=%llu\nhandshakes=%llu\nconcealed=%llu\nwakeups=%llu\n",
		(unsigned long long)(to.datagrams_in - from->datagrams_in),
		(unsigned long long)(to.datagrams_out - from->datagrams_out),
		(unsigned long long)(to.packets_in - from->packets_in), (unsigned long long)(to.packets_out - from->packets_out),
		(unsigned long long)(to.handshakes - from->handshakes), (unsigned long long)(to.concealed - from->concealed),
		(unsigned long long)(to.wakeups - from->wakeups));
	printf("messages=%llu\n", (unsigned long long)(to.messages - from->messages));
	printf("heard=%llu\nsilent=%llu\ncpu_us=%llu\n", (unsigned long long)frames, (unsigned long long)silent,
		(unsigned long long)(count.cpu / 1000));
}

static struct stage_counts begin(const struct stage *s)
{
	CALLGRIND_START_INSTRUMENTATION; /* not before: the handshakes of a crowd take minutes with it */
	count.on = true;
	return stage_counts(s);
}

int main(int argc, char **argv)
{
	const struct what *w = find(argc > 1 ? argv[1] : "pairs");
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
	nsec time = nsec_from_s(argc > 3 ? strtoul(argv[3], NULL, 10) : 4);
	struct stage_opts opts = w->opts;

	if (!opts.sessions)
		opts.sessions = n;
	opts.server = server;
	struct stage *s = stage_new(&opts);
	struct stage_counts from;

	if (w->does == VISITS) {
		stage_visits(s, 2);
		from = begin(s);
		stage_visits(s, n);
	} else if (w->does != TALK) {
		stage_flood(s, w->does == CRUMBS, 2);
		from = begin(s);
		stage_flood(s, w->does == CRUMBS, n);
	} else {
		stage_join(s);
		stage_talk(s, !w->silent);
		stage_run(s, nsec_from_s(WARM_UP_S));
		from = begin(s);
		stage_run(s, time);
	}
	count.on = false;
	print(s, &from);
	stage_free(s);
	return 0;
}
