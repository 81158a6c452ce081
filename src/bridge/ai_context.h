/* SPDX-License-Identifier: MIT */
/*
 * ai_context - what all objects of one OpenAI bridge share and none of them changes: the options, the room, what is
 * known of the provider. Plain data, borrowed by them until the bridge is closed.
 */
#pragma once
#include "bridge/openai_opts.h"

enum {
	AI_RATE_HZ = 24000, /* of audio/pcm, the only one */
	AI_ID_MAX = 96,     /* bytes of a provider's id, the final NUL included; a longer one counts as none */
	AI_NAME_MAX = 65,   /* of a person or a tool */
	AI_TEXT_MAX = 4096, /* of one transcript or one turn of the history */
};

/* What differs between providers. Plain facts; the only thing that a new provider should need. */
struct ai_profile {
	const char *url;        /* NULL: must be configured */
	const char *key_header; /* its value is the key alone; NULL: Authorization: Bearer */
	const char *key_env;    /* the variable in which its users keep their key; NULL: no key is needed */
	uint32_t session_max_s; /* its own limit, less a minute or two */
	bool flat;              /* session.update has the shape of the beta */
	bool truncates;         /* implements conversation.item.truncate */
	bool top;               /* voice and turn detection stand at the top of the session, and it has no type and no modalities */
};
const struct ai_profile *ai_profile(enum bridge_profile p);

struct ai_context {
	const struct bridge_opts *bridge;
	const struct openai_opts *opts;
	const struct ai_profile *profile;
	const struct bridge_sink *sink;
	void *sink_ctx;
	const struct log *log;
	const char *instructions; /* NULL: none */
};

/* Reports what `participant` (0: the model) said to the room, cut to AI_TEXT_MAX - 1 bytes. An empty text is not reported. */
void ai_report_transcript(const struct ai_context *cx, uint32_t participant, const char *text, bool final);
