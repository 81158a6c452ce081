/* SPDX-License-Identifier: MIT */
/*
 * stage - rooms with people in simulated time: each may send frames of tones on a phase of its own,
 * and everything that anybody receives is kept. Included by the room's tests.
 */
#pragma once
#include "support/test.h"

#include "audio/pcm.h"
#include "base/err.h"
#include "room/room.h"
#include "support/frames.h"
#include "support/signal.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { STAGE_ACTORS = 64, STAGE_EVENTS = 256, STAGE_FRAMES = 4096, ACTOR_TONES = 2, STAGE_PACKET = 4096 };

struct stage_event {
	enum room_event_kind kind;
	uint64_t serial;
	uint32_t id, to;
	bool up, left, speaking, muted, final;
	enum leave_reason reason;
	enum bridge_mode mode;
	uint32_t by;
	char text[80], name[70];
	nsec at;
};

struct actor {
	struct participant *p;
	struct stage *stage;
	/* sends */
	bool talks;
	uint32_t rate_hz;
	double hz[ACTOR_TONES], amplitude[ACTOR_TONES];
	double gate_hz;   /* > 0: a raised cosine on the level, as syllables have */
	double noise;
	uint32_t seed;
	uint64_t sent;    /* samples of the rate it has now */
	uint64_t frames_sent;
	double turns[ACTOR_TONES];
	nsec next_send, frame;
	float *said;      /* what it sent, if kept; at rate_hz */
	size_t n_said;
	/* hears */
	bool outside;        /* it does not know yet that it is in */
	uint32_t out_rate_hz;
	float *heard;
	size_t n_heard, cap;
	size_t n_older;   /* of these, of earlier epochs */
	size_t n_frames;
	uint8_t epoch;    /* by the last flush */
	nsec frame_at[STAGE_FRAMES];
	size_t frame_pos[STAGE_FRAMES];
	struct stage_event events[STAGE_EVENTS];
	size_t n_events;
};

struct stage {
	struct rooms_opts opts;
	struct room_rule rules[4];
	struct bridge_opts bridges[4];
	struct log log;
	struct rooms *rooms;
	nsec now;
	nsec late;  /* of every rooms_run() behind its deadline */
	struct actor actors[STAGE_ACTORS];
	size_t n_actors;
};

/* `p` as it leaves the network at the other end; `bytes` holds it. */
static inline void stage_parse(const struct room_packet *p, uint8_t bytes[STAGE_PACKET], struct frame *out)
{
	assert_true(p->packet.head_len + p->packet.body_len <= STAGE_PACKET);
	memcpy(bytes, p->packet.head, p->packet.head_len);
	memcpy(bytes + p->packet.head_len, p->packet.body, p->packet.body_len);
	assert_int_equal(packet_parse(bytes, p->packet.head_len + p->packet.body_len, 16000, out), FRAME_OK);
}

static size_t stage_packet_max(void *user)
{
	(void)user;
	return STAGE_PACKET;
}

static void stage_packet(void *user, const struct room_packet *p, nsec now)
{
	struct actor *a = user;
	uint8_t bytes[STAGE_PACKET];
	struct frame f;

	stage_parse(p, bytes, &f);
	assert_int_equal(f.format.rate_hz, a->out_rate_hz);
	assert_int_equal(f.n_samples, p->frame->n_samples); /* whole */
	assert_int_equal(p->frame->v1.epoch, a->epoch);
	if (a->n_frames < STAGE_FRAMES) {
		a->frame_at[a->n_frames] = now;
		a->frame_pos[a->n_frames] = a->n_heard;
	}
	a->n_frames++;
	size_t n = f.n_samples < a->cap - a->n_heard ? f.n_samples : a->cap - a->n_heard;

	if (n > 0)
		pcm_to_float(a->heard + a->n_heard, f.payload, n);
	a->n_heard += n;
}

static void stage_event(void *user, const struct room_event *ev, nsec now)
{
	struct actor *a = user;

	if (ev->kind == ROOM_FLUSH) {
		a->epoch = ev->epoch;
		a->n_older = a->n_heard;
	}
	assert_true(a->n_events < STAGE_EVENTS);
	struct stage_event *e = &a->events[a->n_events++];

	*e = (struct stage_event){.kind = ev->kind, .serial = ev->serial, .id = ev->member.id, .to = ev->to, .up = ev->up, .at = now,
		.left = ev->member.left, .speaking = ev->member.speaking, .muted = ev->member.muted, .final = ev->final, .reason = ev->reason,
		.mode = ev->member.mode, .by = ev->by};
	snprintf(e->text, sizeof e->text, "%s", ev->text ? ev->text : "");
	snprintf(e->name, sizeof e->name, "%s", ev->member.name ? ev->member.name : "");
}

static bool stage_hears(void *user)
{
	return !((const struct actor *)user)->outside;
}

static const struct listener_sink stage_sink = {.packet_max = stage_packet_max, .packet = stage_packet, .hears = stage_hears,
	.event = stage_event};

/* One rule "*" without a bridge; change `opts`, `rules`, `bridges` and call stage_open(). */
static inline struct stage *stage_new(void)
{
	struct stage *s = calloc(1, sizeof *s);

	rooms_opts_default(&s->opts);
	room_rule_default(&s->rules[0]);
	for (size_t i = 1; i < 4; i++)
		room_rule_default(&s->rules[i]);
	for (size_t i = 0; i < 4; i++)
		bridge_opts_default(&s->bridges[i]);
	s->opts.rules = s->rules;
	s->opts.n_rules = 1;
	s->opts.bridges = s->bridges;
	s->now = nsec_from_s(1000) + 123456;
	return s;
}

static inline void stage_open(struct stage *s)
{
	assert_int_equal(rooms_new(&s->opts, &s->log, &s->rooms), 0);
}

static inline struct stage *stage_with_bridge(const char *bridge)
{
	struct stage *s = stage_new();

	snprintf(s->rules[0].bridge, sizeof s->rules[0].bridge, "%s", bridge);
	stage_open(s);
	return s;
}

static inline struct actor *stage_join_as(struct stage *s, const char *room, uint32_t rate_hz, enum packet_kind packets)
{
	struct actor *a = &s->actors[s->n_actors++];
	struct participant_opts o = {.room = room, .name = "", .hears = {.rate_hz = rate_hz, .packets = packets}};

	assert_true(s->n_actors <= STAGE_ACTORS);
	*a = (struct actor){.stage = s, .rate_hz = rate_hz, .out_rate_hz = rate_hz, .frame = nsec_from_ms(20),
		.cap = (size_t)rate_hz * 30, .seed = (uint32_t)s->n_actors};
	a->heard = malloc(a->cap * sizeof(float));
	assert_int_equal(rooms_join(s->rooms, &o, &stage_sink, a, s->now, &a->p), 0);
	return a;
}

static inline struct actor *stage_join_at(struct stage *s, const char *room, uint32_t rate_hz)
{
	return stage_join_as(s, room, rate_hz, PACKET_LEGACY);
}

static inline struct actor *stage_join(struct stage *s, const char *room)
{
	return stage_join_at(s, room, 16000);
}

static inline void actor_talk(struct actor *a, double hz, double amplitude)
{
	a->talks = true;
	a->hz[0] = hz;
	a->amplitude[0] = amplitude;
	a->next_send = a->stage->now + nsec_from_ms(3);
	a->sent = a->frames_sent = 0;
}

static inline void actor_leave(struct actor *a)
{
	participant_leave(a->p, LEAVE_CLOSED, a->stage->now);
	a->p = NULL;
	a->talks = false;
}

static inline void actor_forget_heard(struct actor *a)
{
	a->n_heard = a->n_older = a->n_frames = 0;
}

static inline float actor_sample(struct actor *a)
{
	double x = a->noise > 0 ? a->noise * (double)sig_noise(&a->seed) : 0;

	for (int i = 0; i < ACTOR_TONES; i++) {
		x += a->amplitude[i] * sin(2 * M_PI * a->turns[i]);
		a->turns[i] = fmod(a->turns[i] + a->hz[i] / a->rate_hz, 1);
	}
	if (a->gate_hz > 0)
		x *= 0.5 - 0.5 * cos(2 * M_PI * a->gate_hz * (double)a->sent / a->rate_hz);
	a->sent++;
	return (float)x;
}

static inline void actor_send(struct actor *a)
{
	float x[4800];
	uint8_t bytes[PACKET_LEGACY_HEAD + 2 * 4800];
	uint64_t until = ++a->frames_sent * (a->frame / 1000) * a->rate_hz / 1000000;
	size_t n = 0;

	while (a->sent < until)
		x[n++] = actor_sample(a);
	if (a->said && a->n_said + n <= a->cap)
		for (size_t i = 0; i < n; i++)
			a->said[a->n_said++] = x[i];
	size_t len = datagram_of_float(bytes, a->rate_hz, x, n);

	assert_int_equal(participant_audio(a->p, bytes, len, a->stage->now), FRAME_OK);
	a->next_send += a->frame;
}

static inline nsec stage_next(const struct stage *s)
{
	nsec run = rooms_deadline(s->rooms), next = run == NSEC_NONE ? NSEC_NONE : run + s->late;

	for (size_t i = 0; i < s->n_actors; i++)
		if (s->actors[i].p && s->actors[i].talks && s->actors[i].next_send < next)
			next = s->actors[i].next_send;
	return next;
}

static inline void stage_step(struct stage *s)
{
	for (size_t i = 0; i < s->n_actors; i++)
		while (s->actors[i].p && s->actors[i].talks && s->actors[i].next_send <= s->now)
			actor_send(&s->actors[i]);
	nsec run = rooms_deadline(s->rooms);

	if (run != NSEC_NONE && run + s->late <= s->now)
		rooms_run(s->rooms, s->now);
}

static inline void stage_run(struct stage *s, uint32_t ms)
{
	nsec end = s->now + nsec_from_ms(ms);

	for (nsec next = stage_next(s); next <= end; next = stage_next(s)) {
		s->now = next > s->now ? next : s->now;
		stage_step(s);
	}
	s->now = end;
}

static inline void stage_close(struct stage *s)
{
	for (size_t i = 0; i < s->n_actors; i++) {
		if (s->actors[i].p)
			actor_leave(&s->actors[i]);
		free(s->actors[i].heard);
		free(s->actors[i].said);
	}
	rooms_free(s->rooms);
	free(s);
}

static inline size_t actor_count(const struct actor *a, enum room_event_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_events; i++)
		n += a->events[i].kind == kind;
	return n;
}

static inline const struct stage_event *actor_last(const struct actor *a, enum room_event_kind kind)
{
	for (size_t i = a->n_events; i-- > 0;)
		if (a->events[i].kind == kind)
			return &a->events[i];
	return NULL;
}

/* Level of one tone in the last `ms` that it heard, dB. */
static inline double actor_level_db(const struct actor *a, double hz, uint32_t ms)
{
	size_t n = (size_t)a->out_rate_hz * ms / 1000;

	assert_true(a->n_heard >= n);
	return sig_db(sig_level(a->heard + a->n_heard - n, n, a->out_rate_hz, hz));
}

#define assert_near(x, want, tolerance)                                                              \
	do {                                                                                         \
		double x_ = (x), want_ = (want);                                                     \
		if (!(fabs(x_ - want_) <= (tolerance)))                                              \
			fail_msg("%s is %g, not %g +- %g", #x, x_, want_, (double)(tolerance));      \
	} while (0)

#define assert_below(x, bound)                                                       \
	do {                                                                         \
		double x_ = (x);                                                     \
		if (!(x_ < (bound)))                                                 \
			fail_msg("%s is %g, not below %g", #x, x_, (double)(bound)); \
	} while (0)

#define assert_above(x, bound)                                                       \
	do {                                                                         \
		double x_ = (x);                                                     \
		if (!(x_ > (bound)))                                                 \
			fail_msg("%s is %g, not above %g", #x, x_, (double)(bound)); \
	} while (0)
