/* SPDX-License-Identifier: MIT */
/*
 * A provider and a room that only remember: the objects of an OpenAI bridge, wired as the driver wires them, with a
 * connection that records every client event and a sink that records every call. No loop, no clock, no network.
 */
#pragma once
#include "support/test.h"

#include "base/base64.h"
#include "base/err.h"
#include "bridge/ai_calls.h"

#include <stdio.h>
#include <string.h>

enum { STAGE_SENT = 200, STAGE_TEXT = 1000, STAGE_TICK = AI_RATE_HZ / 50 };

struct ai_stage {
	struct bridge_opts bridge;
	struct openai_opts opts;
	struct log log;
	struct ai_profile profile;
	struct ai_context cx;
	struct ai_out out;
	struct ai_history history;
	struct ai_people people;
	struct ai_turn turn;
	struct ai_response response;

	char sent[STAGE_SENT][STAGE_TEXT]; /* client events, oldest first */
	size_t n_sent;
	int send_err;                      /* what sending returns */
	size_t unsent;
	char failed[100];                  /* why the session was failed; "": it was not */
	char transcripts[STAGE_SENT][STAGE_TEXT]; /* "WHO: TEXT", with "..." after one that is not final */
	size_t n_transcripts;
	size_t n_samples, n_dropped, n_flushes, n_tools;
	uint64_t utterance;                /* of the last audio */
	bool backlog_full;
};

static inline int stage_send(void *ctx, const void *text, size_t len)
{
	struct ai_stage *s = ctx;

	if (s->send_err)
		return s->send_err;
	assert_true(s->n_sent < STAGE_SENT);
	snprintf(s->sent[s->n_sent++], STAGE_TEXT, "%.*s", (int)len, (const char *)text);
	return 0;
}

static inline size_t stage_unsent(void *ctx)
{
	return ((struct ai_stage *)ctx)->unsent;
}

static inline void stage_fail(void *ctx, const char *why)
{
	struct ai_stage *s = ctx;

	snprintf(s->failed, sizeof s->failed, "%s", why);
	s->out.ready = false;
}

static inline int stage_audio(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	struct ai_stage *s = ctx;

	assert_non_null(pcm);
	if (s->backlog_full)
		return ERR_LIMIT;
	s->utterance = item;
	s->n_samples += n;
	return 0;
}

static inline void stage_flush(void *ctx)
{
	((struct ai_stage *)ctx)->n_flushes++;
}

static inline void stage_transcript(void *ctx, uint32_t participant, const char *text, bool final)
{
	struct ai_stage *s = ctx;

	assert_true(s->n_transcripts < STAGE_SENT);
	snprintf(s->transcripts[s->n_transcripts++], STAGE_TEXT, "%u: %s%s", participant, text, final ? "" : "...");
}

static inline void stage_dropped(void *ctx, size_t n)
{
	((struct ai_stage *)ctx)->n_dropped += n;
}

static inline void stage_no_worker(void *ctx, const char *why)
{
	(void)ctx, (void)why;
}

static inline void stage_tool(void *ctx, bool good)
{
	(void)good;
	((struct ai_stage *)ctx)->n_tools++;
}

static const struct ai_transport stage_transport = {stage_send, stage_unsent, stage_fail};
static const struct bridge_sink stage_sink = {.audio = stage_audio, .flush = stage_flush, .transcript = stage_transcript,
	.dropped = stage_dropped, .tool = stage_tool, .failed = stage_no_worker};

/* A session that is ready, with the options as they are in s->opts: change those before. */
static inline void stage_open(struct ai_stage *s)
{
	s->cx = (struct ai_context){&s->bridge, &s->opts, &s->profile, &stage_sink, s, &s->log, s->opts.instructions};
	ai_out_init(&s->out, &s->cx, &stage_transport, s);
	s->people = (struct ai_people){.cx = &s->cx, .out = &s->out};
	assert_int_equal(ai_turn_init(&s->turn, &s->cx, &s->out, &s->people, &s->history), 0);
	ai_response_init(&s->response, &s->cx, &s->out, &s->turn, &s->history);
	s->out.ready = true;
}

static inline int stage_setup(void **state)
{
	static struct ai_stage s;

	memset(&s, 0, sizeof s);
	bridge_opts_default(&s.bridge);
	s.opts = openai_defaults;
	s.bridge.options = &s.opts;
	s.profile = *ai_profile(BRIDGE_OPENAI);
	*state = &s;
	return 0;
}

static inline int stage_teardown(void **state)
{
	struct ai_stage *s = *state;

	ai_history_clear(&s->history);
	ai_turn_fini(&s->turn);
	ai_out_fini(&s->out);
	return 0;
}

/* STAGE_TEST(what_holds) { ... }: a case with a stage `s`, not open yet. */
#define STAGE_TEST(name)                                 \
	static void name##_on(struct ai_stage *s);       \
	static void name(void **state)                   \
	{                                                \
		name##_on(*state);                       \
	}                                                \
	static void name##_on(struct ai_stage *s)
#define STAGE_CASE(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

/* How many client events hold `text`. */
static inline size_t stage_count(const struct ai_stage *s, const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_sent; i++)
		n += strstr(s->sent[i], text) != NULL;
	return n;
}

/* The newest event; "": none. */
static inline const char *stage_last(const struct ai_stage *s)
{
	return s->n_sent ? s->sent[s->n_sent - 1] : "";
}

static inline const char *stage_last_transcript(const struct ai_stage *s)
{
	return s->n_transcripts ? s->transcripts[s->n_transcripts - 1] : "";
}

/* `ms` of the model's audio. */
static inline void stage_model_speaks(struct ai_stage *s, const char *response, const char *item, uint32_t ms)
{
	static const uint8_t pcm[AI_RATE_HZ / 10 * 2];
	static char text[sizeof pcm / 3 * 4 + 8];

	for (uint32_t at = 0; at < ms; at += 100) {
		size_t n = (ms - at < 100 ? ms - at : 100) * AI_RATE_HZ / 1000 * 2;
		const struct ai_audio_delta d = {response, item, 0, text, (size_t)(base64_encode(text, pcm, n) - text)};

		ai_response_audio(&s->response, &d);
	}
}

/* One tick of 20 ms. */
static inline enum ai_turn_change stage_hear(struct ai_stage *s, bool speech)
{
	static const float pcm[STAGE_TICK];
	const struct bridge_input h = {.pcm = pcm, .n = STAGE_TICK, .speech = speech};
	enum ai_turn_change change = ai_turn_hear(&s->turn, &h);

	ai_turn_send(&s->turn);
	return change;
}
