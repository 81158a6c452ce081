/* SPDX-License-Identifier: MIT */
/* openai_opts - the options of a bridge of type "openai". */
#pragma once
#include "bridge/dial.h"

/* Whose realtime server it is; and who finds out that somebody has finished speaking. */
enum bridge_profile { BRIDGE_OPENAI, BRIDGE_AZURE, BRIDGE_XAI, BRIDGE_LOCALAI, BRIDGE_SPEACHES, BRIDGE_GENERIC };
enum bridge_turns { BRIDGE_SERVER_VAD, BRIDGE_SEMANTIC_VAD, BRIDGE_ROOM_VAD };

/* Which of what people write is given to the model. */
enum bridge_messages {
	BRIDGE_MESSAGES_DIRECT, /* what is written to it; and everything where only one person is in the room */
	BRIDGE_MESSAGES_ALL,    /* what is written to everybody, too */
	BRIDGE_MESSAGES_NONE,
};

struct openai_opts {
	char url[BRIDGE_TEXT_MAX];      /* "": the profile's */
	struct bridge_key key;
	enum bridge_profile profile;    /* default BRIDGE_OPENAI */
	enum bridge_turns turn_detection; /* default BRIDGE_SERVER_VAD */
	char model[128];                /* "": as the server likes */
	char voice[64], transcription[128]; /* of the model; the model that writes down what people say. default "": none */
	char instructions[2048], instructions_file[BRIDGE_ARG_MAX]; /* the file goes first. default "" */
	char greeting[BRIDGE_TEXT_MAX]; /* what it says first, once. default "": nothing */
	enum bridge_messages messages;  /* default BRIDGE_MESSAGES_DIRECT */
	bool speaker_labels;            /* with several people in the room it is told who speaks. default false */
	uint32_t session_max_s;         /* a session is renewed before it is so old, 10..86400; default 3300 */
};
extern const struct openai_opts openai_defaults;
extern const struct bridge_options openai_options;
