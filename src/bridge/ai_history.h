/* SPDX-License-Identifier: MIT */
/*
 * ai_history - what was said in a conversation, as text, for the session that follows a lost or an old one. The oldest
 * turns go first: 64 turns and 16 KB of text are kept. Uses ai_out. Takes memory once a turn; no clock.
 */
#pragma once
#include "bridge/ai_out.h"

enum {
	AI_HISTORY_TURNS = 64,
	AI_HISTORY_BYTES = 16384, /* the text of all of them */
};

struct ai_history_turn {
	enum ai_role role;
	uint64_t utterance; /* the model's, by its number; 0: none */
	char *text;
};

/* Zero-initialise. */
struct ai_history {
	struct ai_history_turn turns[AI_HISTORY_TURNS]; /* oldest first */
	size_t n, bytes;
};

/* Copies what fits of `text`. An empty text is no turn; nor is one for which there is no memory. */
void ai_history_add(struct ai_history *h, enum ai_role role, uint64_t utterance, const char *text);
/* People heard only this share (0..1) of the model's utterance: the same share of its text is kept. */
void ai_history_trim(struct ai_history *h, uint64_t utterance, double share);
/* Tells a new session everything, oldest first. Asks for no response. */
void ai_history_replay(const struct ai_history *h, struct ai_out *out);
/* Frees everything. */
void ai_history_clear(struct ai_history *h);
