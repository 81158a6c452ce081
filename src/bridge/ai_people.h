/* SPDX-License-Identifier: MIT */
/*
 * ai_people - who is in the room and who speaks, for a model that hears one mix: it is told "[Ann is speaking]" before
 * Ann's words become part of the conversation. That is a user's text and not the system's, since people choose their
 * names themselves. Uses ai_out. Takes no memory; the time is an argument.
 */
#pragma once
#include "bridge/ai_out.h"

enum {
	AI_SPEAKERS = 4,     /* people who speak at the same time and are named */
	AI_ATTRIBUTED_MAX = BRIDGE_TEXT_MAX + AI_NAME_MAX + 3, /* a text with a name before it */
	AI_LABEL_MAX = AI_SPEAKERS * (AI_NAME_MAX + 5) + 40,
	AI_LABEL_MS = 500,   /* between two labels */
};

struct ai_person {
	uint32_t id; /* 0: nobody */
	char name[AI_NAME_MAX];
};

/* Set the two pointers; the rest begins as zero. */
struct ai_people {
	const struct ai_context *cx;
	struct ai_out *out;
	uint32_t n;                                /* people in the room */
	struct ai_person last;                     /* who spoke last, or else will probably be the first to speak */
	struct ai_person speaking[AI_SPEAKERS];    /* in the order in which they began */
	size_t n_speaking;
	char label[AI_LABEL_MAX];                  /* what this session was told last; "": nothing */
	uint64_t labelled_at_ms;
};

void ai_people_joined(struct ai_people *p, uint32_t id, const char *name);
void ai_people_left(struct ai_people *p, uint32_t id);
void ai_people_spoke(struct ai_people *p, uint32_t id, const char *name, bool speaking);
/* Once a tick: tells the model who speaks, if that has changed. */
void ai_people_label(struct ai_people *p, uint64_t now_ms);
/* "Ann: text" where the model is told who speaks, else the text alone. */
void ai_people_attribute(const struct ai_people *p, const struct ai_person *who, const char *text, char out[AI_ATTRIBUTED_MAX]);
/* A new session was told nothing. */
void ai_people_session_ended(struct ai_people *p);
