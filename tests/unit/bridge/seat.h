/* SPDX-License-Identifier: MIT */
/*
 * A room that is a few arrays, for drivers with descriptors: a real loop, and a tick every few milliseconds that
 * stands for 20 ms, in which the driver is given TICK samples and TICK of its own are played. The driver's time is that of
 * the ticks.
 */
#pragma once
#include "base/err.h"
#include "bridge/bridge.h"

#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { RATE = 16000, TICK = 320, TICK_EVERY_MS = 4, TEXTS = 64, KEPT = 400000 };

struct seat {
	uv_loop_t loop;
	uv_timer_t tick, limit;
	const struct bridge_ops *ops;
	struct bridge_opts opts;
	_Alignas(max_align_t) unsigned char own[BRIDGE_OPTIONS_MAX]; /* of the driver; its defaults to begin with */
	struct log_out out;
	struct log log;
	void *self;
	bool open, late;
	bool (*until)(struct seat *s);

	float mix[TICK];          /* in each tick */
	float speech[KEPT];       /* the last of it is missing if there is more */
	size_t n_speech, n_played, n_dropped, n_flushes, n_ticks, most_per_tick, speech_before;
	uint64_t item, tick_ns_max;
	bool backlog_full;        /* it accepts no more */
	bool hold;                /* and plays nothing */
	char texts[TEXTS][200];   /* messages, and transcripts as "WHO TEXT final|more" */
	size_t played_at[TEXTS];  /* n_played when a text came */
	size_t n_texts;
	size_t up_at;             /* n_ticks when it reported that it is up; 0: it did not */
	char failed[200];
	bool left;                /* `failed` is a goodbye */
	char lines[200][400];
	size_t n_lines;
};

static inline int seat_audio(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	struct seat *s = ctx;

	assert(s->open && item >= s->item && item > 0);
	s->item = item;
	if (s->backlog_full)
		return ERR_LIMIT;
	for (size_t i = 0; i < n && s->n_speech + i < KEPT; i++)
		s->speech[s->n_speech + i] = (float)pcm[i] / 32768;
	s->n_speech += n;
	return 0;
}

static inline void seat_flush(void *ctx)
{
	struct seat *s = ctx;

	s->n_flushes++;
	s->n_speech = s->n_played;
}

static inline void add_text(struct seat *s, const char *text)
{
	assert(s->open && s->n_texts < TEXTS);
	snprintf(s->texts[s->n_texts], sizeof s->texts[0], "%s", text);
	s->played_at[s->n_texts++] = s->n_played;
}

static inline void seat_message(void *ctx, const char *text)
{
	add_text(ctx, text);
}

static inline void seat_transcript(void *ctx, uint32_t who, const char *text, bool final)
{
	char line[200];

	snprintf(line, sizeof line, "%u %.150s %s", who, text, final ? "final" : "more");
	add_text(ctx, line);
}

static inline void seat_dropped(void *ctx, size_t n)
{
	((struct seat *)ctx)->n_dropped += n;
}

static inline void seat_up(void *ctx)
{
	struct seat *s = ctx;

	assert(s->open);
	s->up_at = s->n_ticks + 1;
}

static inline void seat_failed(void *ctx, const char *why)
{
	struct seat *s = ctx;

	assert(s->open && !s->failed[0] && why[0]);
	snprintf(s->failed, sizeof s->failed, "%s", why);
}

static inline void seat_left(void *ctx, const char *why)
{
	struct seat *s = ctx;

	seat_failed(ctx, why);
	s->left = true;
}

static const struct bridge_sink seat_sink = {
	.audio = seat_audio,
	.flush = seat_flush,
	.message = seat_message,
	.transcript = seat_transcript,
	.dropped = seat_dropped,
	.up = seat_up,
	.left = seat_left,
	.failed = seat_failed,
};

static inline void seat_log(void *ctx, enum log_level level, const char *line)
{
	struct seat *s = ctx;

	(void)level;
	if (s->n_lines < 200)
		snprintf(s->lines[s->n_lines++], sizeof s->lines[0], "%s", line);
}

/* Is there a line with `what`? */
static inline size_t seat_count(const struct seat *s, const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_lines; i++)
		n += strstr(s->lines[i], what) != NULL;
	return n;
}

static inline bool seat_has_text(const struct seat *s, const char *text)
{
	for (size_t i = 0; i < s->n_texts; i++)
		if (strcmp(s->texts[i], text) == 0)
			return true;
	return false;
}

static inline void seat_check(struct seat *s)
{
	if (s->until && s->until(s))
		uv_stop(&s->loop);
}

static inline void seat_tick(uv_timer_t *t)
{
	struct seat *s = t->data;
	size_t waiting = s->n_speech - s->n_played;
	struct bridge_input h = {.pcm = s->mix, .n = TICK, .waiting_ms = (uint32_t)((waiting * 1000 + RATE - 1) / RATE)};
	uint64_t before = uv_hrtime();

	if (s->n_speech - s->speech_before > s->most_per_tick)
		s->most_per_tick = s->n_speech - s->speech_before;
	s->speech_before = s->n_speech;
	if (s->open)
		s->ops->audio(s->self, &h, nsec_from_ms(20 * s->n_ticks));
	before = uv_hrtime() - before;
	s->tick_ns_max = before > s->tick_ns_max ? before : s->tick_ns_max;
	s->n_played += s->hold ? 0 : waiting < TICK ? waiting : TICK;
	s->n_ticks++;
	seat_check(s);
}

static inline void seat_late(uv_timer_t *t)
{
	struct seat *s = t->data;

	s->late = true;
	uv_stop(&s->loop);
}

/* Runs until `until`; false after `ms`. */
static inline bool seat_run(struct seat *s, bool (*until)(struct seat *s), uint64_t ms)
{
	s->until = until;
	s->late = false;
	uv_timer_start(&s->limit, seat_late, ms, 0);
	if (!until(s))
		uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_timer_stop(&s->limit);
	s->until = NULL;
	return !s->late;
}

static inline struct seat *seat_new(const char *type)
{
	struct seat *s = calloc(1, sizeof *s);

	signal(SIGPIPE, SIG_IGN);
	assert(s);
	bridge_opts_default(&s->opts);
	snprintf(s->opts.name, sizeof s->opts.name, "bot");
	s->ops = bridge_find(type);
	if (s->ops->options)
		s->opts.options = memcpy(s->own, s->ops->options->defaults, s->ops->options->size);
	s->out = (struct log_out){.fd = -1, .level = LOG_DEBUG, .hook = seat_log, .hook_ctx = s};
	s->log.out = &s->out;
	uv_loop_init(&s->loop);
	s->opts.loop = &s->loop;
	uv_timer_init(&s->loop, &s->tick);
	uv_timer_init(&s->loop, &s->limit);
	s->tick.data = s->limit.data = s;
	return s;
}

static inline int seat_open(struct seat *s)
{
	s->open = true;
	uv_timer_start(&s->tick, seat_tick, TICK_EVERY_MS, TICK_EVERY_MS);
	int err = s->ops->open(&s->opts, s->opts.rate_hz ? s->opts.rate_hz : RATE, TICK, &seat_sink, s, &s->log, 0, &s->self);

	s->open = err == 0;
	return err;
}

/* Its ticks come later: a second of the room is five of the clock, enough for any program to exit in. */
static inline void seat_slow(struct seat *s)
{
	uv_timer_start(&s->tick, seat_tick, 100, 100);
}

static inline void seat_event(struct seat *s, struct bridge_event ev)
{
	ev.name = ev.name ? ev.name : "";
	ev.text = ev.text ? ev.text : "";
	s->ops->event(s->self, &ev, 0);
}

/* Closes the driver and everything; returns how many milliseconds the driver held the loop. */
static inline uint64_t seat_free(struct seat *s)
{
	uint64_t before = uv_hrtime();

	uv_timer_stop(&s->tick);
	if (s->open) {
		s->ops->close(s->self);
		s->open = false;
	}
	uv_close((uv_handle_t *)&s->tick, NULL);
	uv_close((uv_handle_t *)&s->limit, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uint64_t ms = (uv_hrtime() - before) / 1000000;
	int busy = uv_loop_close(&s->loop);

	assert(busy == 0);
	(void)busy;
	free(s);
	return ms;
}
