/* SPDX-License-Identifier: MIT */
/*
 * mix [SECONDS] - what rooms cost without any network, in virtual time: CPU by talkers and listeners, then by
 * rates, then the resampler alone. One line of key=value for each.
 */
#include "audio/resample.h"
#include "base/err.h"
#include "room/room.h"
#include "support/frames.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FRAME_MS = 20, STEPS = 20 /* of a frame in virtual time */, PEOPLE = 240 /* about, in all rooms together */, WARM_UP_S = 2 };

static uint64_t frames_out;

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t packet_max(void *user)
{
	(void)user;
	return 1200;
}

static void on_packet(void *user, const struct room_packet *p, nsec now)
{
	(void)user, (void)now;
	frames_out += p->packet.body == p->frame->payload;
}

static void on_event(void *user, const struct room_event *ev, nsec now)
{
	(void)user, (void)ev, (void)now;
}

struct world {
	struct rooms *rs;
	struct participant *p[2 * PEOPLE];
	uint32_t n, size, talkers, rate_hz;
	uint8_t frame[4000];
	size_t len;
};

static void enter(struct world *h, uint32_t room_hz)
{
	static const struct listener_sink sink = {.packet_max = packet_max, .packet = on_packet, .event = on_event};
	static struct room_rule rule;
	static const struct log_out out = {.fd = 2, .level = LOG_ERROR};
	static const struct log log = {.out = &out};
	struct rooms_opts o;
	float x[1920];
	char name[16];

	room_rule_default(&rule);
	rule.rate_hz = room_hz;
	rooms_opts_default(&o);
	o.rules = &rule;
	o.n_rules = 1;
	if (rooms_new(&o, &log, &h->rs))
		abort();
	for (uint32_t i = 0; i < h->n; i++) {
		const struct participant_opts po = {name, "", {.rate_hz = h->rate_hz}};

		snprintf(name, sizeof name, "r%u", i / h->size);
		if (rooms_join(h->rs, &po, &sink, NULL, 0, &h->p[i]))
			abort();
	}
	for (uint32_t i = 0; i < h->rate_hz / 50; i++)
		x[i] = (float)(4000.0 / 32768 * sin(0.11 * i));
	h->len = datagram_of_float(h->frame, h->rate_hz, x, h->rate_hz / 50);
}

static void leave(struct world *h, nsec now)
{
	for (uint32_t i = 0; i < h->n; i++)
		participant_leave(h->p[i], LEAVE_CLOSED, now);
	rooms_free(h->rs);
}

static nsec run(struct world *h, nsec from, double seconds)
{
	uint64_t steps = (uint64_t)(seconds * 1000 / FRAME_MS) * STEPS;
	nsec now = from;

	for (uint64_t k = 0; k < steps; k++, now += nsec_from_ms(FRAME_MS) / STEPS) {
		for (uint32_t i = (uint32_t)(k % STEPS); i < h->n; i += STEPS)
			if (i % h->size < h->talkers)
				participant_audio(h->p[i], h->frame, h->len, now);
		while (rooms_deadline(h->rs) <= now)
			rooms_run(h->rs, now);
	}
	return now;
}

static void measure(uint32_t size, uint32_t talkers, uint32_t rate_hz, uint32_t room_hz, double seconds)
{
	static struct world h;
	double least = 1e9, t;
	nsec now;

	h = (struct world){.n = size > PEOPLE ? size : PEOPLE / size * size, .size = size, .talkers = talkers, .rate_hz = rate_hz};
	enter(&h, room_hz);
	now = run(&h, nsec_from_s(1), WARM_UP_S);
	frames_out = 0;
	for (int round = 0; round < 3; round++) {
		t = cpu_s();
		now = run(&h, now, seconds);
		t = cpu_s() - t;
		least = t < least ? t : least;
	}
	printf("what=room size=%u talkers=%u rate_hz=%u room_hz=%u us_per_session_s=%.2f frames_per_listener_s=%.1f\n", size, talkers,
		rate_hz, room_hz, least / seconds / h.n * 1e6, (double)frames_out / 3 / seconds / h.n);
	leave(&h, now);
}

static void measure_resampler(const struct resample_table *table, uint32_t from, uint32_t to)
{
	static float in[960], out[8192];
	struct resample *r;
	double least = 1e9, t;

	if (resample_new(table, from, to, &r))
		abort();
	resample_trim_ppm(r, 50); /* as for a talker whose clock drifts: equal rates are not copied */
	for (size_t i = 0; i < 960; i++)
		in[i] = 0.2f * (float)sin(0.07 * (double)i);
	for (int round = 0; round < 10; round++) {
		t = cpu_s();
		for (int i = 0; i < 50; i++)
			resample_run(r, in, from / 50, out, sizeof out / sizeof *out);
		t = cpu_s() - t;
		least = t < least ? t : least;
	}
	printf("what=resample from=%u to=%u us_per_s=%.1f\n", from, to, least * 1e6);
	resample_free(r);
}

int main(int argc, char **argv)
{
	static const uint32_t rooms[][2] = {{2, 1}, {2, 2}, {4, 1}, {4, 2}, {4, 4}, {10, 3}, {40, 1}, {40, 3}, {40, 40}, {50, 3}, {50, 50}, {100, 3}, {100, 10}},
		rates[][2] = {{8000, 16000}, {16000, 16000}, {24000, 16000}, {44100, 16000}, {48000, 16000}, {48000, 48000}},
		pairs[][2] = {{8000, 16000}, {16000, 8000}, {16000, 16000}, {16000, 24000}, {24000, 16000}, {16000, 48000},
			{48000, 16000}, {44100, 16000}, {44100, 48000}, {48000, 44100}, {48000, 48000}};
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 4;
	struct resample_table *table;

	for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
		measure(rooms[i][0], rooms[i][1], 16000, 16000, seconds);
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		measure(4, 4, rates[i][0], rates[i][1], seconds);
	if (resample_table_new(&table))
		return 1;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		measure_resampler(table, pairs[i][0], pairs[i][1]);
	resample_table_free(table);
	return 0;
}
