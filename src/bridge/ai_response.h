/* SPDX-License-Identifier: MIT */
/*
 * ai_response - what the model says: one response at a time is asked for, its audio goes to the room, its words become
 * transcripts, and an interruption ends it. The model speaks faster than real time: what was received is not what was
 * heard. The room knows what it has mixed, so that after an interruption the model is told to the millisecond. (A
 * truncation beyond what was received is an error, after which some sessions stay silent for good.)
 *
 * Uses ai_out, ai_turn (whether somebody speaks), ai_history. One thread, the loop's; no clock; takes memory
 * for the history only.
 */
#pragma once
#include "bridge/ai_turn.h"
#include "bridge/bridge_output.h"

enum { AI_UTTERANCES = 32 }; /* that may wait to be heard; the room takes no more either */

/* One response at a time: to ask for another one before response.done is an error. */
enum ai_phase {
	AI_IDLE,
	AI_REQUESTED, /* response.create was sent */
	AI_RESPONDING, /* between response.created and response.done */
};

/* What is asked for as soon as no response runs. */
enum ai_due { AI_DUE_NOTHING, AI_DUE_ANSWER, AI_DUE_GREETING };

/* An item of the model's that is waiting in the room, or was just now. */
struct ai_utterance {
	char item[AI_ID_MAX];   /* "": of a session that is over */
	uint64_t number;        /* for the room */
	uint32_t content_index;
	uint64_t received;      /* samples */
};

struct ai_response {
	const struct ai_context *cx;
	struct ai_out *out;
	struct ai_turn *turn;
	struct ai_history *history;
	struct bridge_output output;
	struct ai_utterance utterances[AI_UTTERANCES]; /* oldest first */
	size_t n_utterances;
	enum ai_phase phase;
	enum ai_due due;
	bool results_due;         /* results of tools are to be spoken of, once nobody speaks */
	bool greeted;
	enum bridge_mode mode;
	uint64_t n_responses;     /* begun so far: the number of the last one */
	char id[AI_ID_MAX];       /* of the one that runs or was the last; "": not known yet */
	char ignored_id[AI_ID_MAX]; /* of the one whose audio and words are not wanted any more */
	struct ai_partial transcript;
};

/* A piece of audio, as its event has it; borrowed. */
struct ai_audio_delta {
	const char *response, *item;
	uint32_t content_index;
	const char *base64; /* 16 bits little endian at AI_RATE_HZ */
	size_t len;
};

/* Borrows everything. */
void ai_response_init(struct ai_response *r, const struct ai_context *cx, struct ai_out *out, struct ai_turn *turn,
	struct ai_history *history);

/* --- asking for one --- */

/* An answer: now, or when the running response is done. Nothing unless the bridge may speak. */
void ai_response_want_answer(struct ai_response *r);
/* The same for results of tools, but not while somebody speaks: the answer to that person tells of them, too. */
void ai_response_want_results(struct ai_response *r);
/* Asks for what is due, if it may be asked for now: once a tick and after each response. */
void ai_response_request_due(struct ai_response *r);
/* The greeting, once; and what was due when the last session ended. */
void ai_response_session_began(struct ai_response *r);
/* Utterances that wait are still played; the next session knows nothing of them. */
void ai_response_session_ended(struct ai_response *r);
/* Silences it, or lets it speak again when it is spoken to. */
void ai_response_set_mode(struct ai_response *r, enum bridge_mode mode);

/* --- what the provider reports --- */

void ai_response_began(struct ai_response *r, const char *id);
/* Returns whether it was the one that runs. */
bool ai_response_ended(struct ai_response *r, const char *id);
/* Our request came while another response ran: it is made again when that one is done. */
void ai_response_was_active(struct ai_response *r);
/* A complaint without a name: it may have been our request that was refused. */
void ai_response_maybe_refused(struct ai_response *r);
void ai_response_audio(struct ai_response *r, const struct ai_audio_delta *d);
void ai_response_transcript_delta(struct ai_response *r, const char *response, const char *item, const char *delta);
/* The whole of it; "": what has come is. Of an interrupted response it is cut to what had come by then. */
void ai_response_transcript(struct ai_response *r, const char *response, const char *item, const char *text);

/* --- interruptions --- */

/* The rest of the running response is not wanted. `cancel`: the provider is told, too. */
void ai_response_stop(struct ai_response *r, bool cancel);
/* The room dropped what was waiting from utterance `number` on, of which `heard_ms` were heard: the model must not think
 * that people heard the rest. */
void ai_response_interrupted(struct ai_response *r, uint64_t number, uint32_t heard_ms);
bool ai_response_is_ignored(const struct ai_response *r, const char *response);
/* No response runs, no results wait, and everything was played. */
bool ai_response_is_quiet(const struct ai_response *r);
