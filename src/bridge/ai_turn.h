/* SPDX-License-Identifier: MIT */
/*
 * ai_turn - whose turn it is, and what people say in theirs: their sound on its way to the provider, the detection of turns
 * by the provider or by the room, the transcripts of people.
 *
 *   tick -> input queue (frames of 40 ms) -> ai_out
 *
 * Uses ai_out, ai_people, ai_history. Its caller decides what a change of turn means for the model's response.
 * One thread, the loop's; times are arguments. Takes memory in ai_turn_init() only.
 */
#pragma once
#include "bridge/ai_history.h"
#include "bridge/ai_people.h"
#include "bridge/ai_text.h"
#include "bridge/input_queue.h"

enum {
	AI_WAIT_MS = 160,   /* of sound that may wait for a slow provider */
	AI_LEAD_MS = 320,   /* with the room's detection: sound from before it was known that somebody speaks */
	AI_COMMIT_MS = 100, /* a provider refuses to commit less */
	AI_ANSWER_MS = 1000, /* a provider that answers by itself does so within this time after a turn ... */
	AI_STUCK_MS = 3000, /* ... and reports the end of a turn at least within this time of silence */
};

/* As the provider detects it. */
enum ai_floor {
	AI_FLOOR_FREE,
	AI_FLOOR_TAKEN,   /* somebody speaks */
	AI_FLOOR_WAITING, /* somebody has finished, and the provider may answer by itself */
};

/* What a tick has changed, where the room detects turns. */
enum ai_turn_change { AI_TURN_SAME, AI_TURN_BEGAN, AI_TURN_COMMITTED };

struct ai_turn {
	const struct ai_context *cx;
	struct ai_out *out;
	struct ai_people *people;
	struct ai_history *history;
	struct input_queue input;
	enum ai_floor floor;
	uint64_t began_ms, ended_ms;
	bool speech;                /* somebody speaks, as the room detects it */
	bool provider_interrupts;   /* it cancels its response by itself when somebody begins to speak */
	uint32_t uncommitted_ms;    /* sent since the last commit (room's detection) */
	uint32_t quiet_ms;          /* since somebody spoke, as the room detects it */
	struct ai_person speaker;   /* of the turn that is being transcribed */
	struct ai_partial transcript;
};

/* Borrows everything until ai_turn_fini(). ERR_NOMEM. */
int ai_turn_init(struct ai_turn *t, const struct ai_context *cx, struct ai_out *out, struct ai_people *people,
	struct ai_history *history);
void ai_turn_fini(struct ai_turn *t);

/* Once a tick, ready or not: queues what people say. After AI_TURN_COMMITTED an answer is expected. */
enum ai_turn_change ai_turn_hear(struct ai_turn *t, const struct bridge_input *h);
/* Then: sends what waits, unless the provider is slow. With the room's detection only while somebody speaks. */
void ai_turn_send(struct ai_turn *t);
/* Then: a turn whose end is never reported, or never answered, is over all the same. */
void ai_turn_expire(struct ai_turn *t, uint64_t now_ms);
/* Somebody speaks, as detected by who detects turns: to the provider noise is not speech. */
bool ai_turn_is_taken(const struct ai_turn *t);

/* What the provider reports. */
void ai_turn_speech_started(struct ai_turn *t, uint64_t now_ms);
void ai_turn_speech_stopped(struct ai_turn *t, uint64_t now_ms);
void ai_turn_answered(struct ai_turn *t); /* a response begins */
void ai_turn_transcript_delta(struct ai_turn *t, const char *item, const char *delta);
void ai_turn_transcript(struct ai_turn *t, const char *item, const char *text); /* "": what has come is all */

/* The next session hears people from now on. */
void ai_turn_session_began(struct ai_turn *t);
void ai_turn_session_ended(struct ai_turn *t);
