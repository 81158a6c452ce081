/* SPDX-License-Identifier: MIT */
#include "bridge/openai_opts.h"

static const char *const profile_names[] = {"openai", "azure", "xai", "localai", "speaches", "generic", NULL}; /* enum bridge_profile */
static const char *const messages_names[] = {"direct", "all", "none", NULL}; /* enum bridge_messages */
static const char *const turns_names[] = {"server_vad", "semantic_vad", "room", NULL}; /* enum bridge_turns */

const struct openai_opts openai_defaults = {.session_max_s = 3300};

static const struct option_row rows[] = {
	DIAL_URL_ROW(openai_opts, ),
	KEY_ROWS(openai_opts),
	{.key = "profile", .type = OPTION_NAME, OPTION_AT(openai_opts, profile), .names = profile_names,
		.help = "whose realtime server it is, or is like"},
	{.key = "model", .type = OPTION_TEXT, OPTION_TEXT_AT(openai_opts, model),
		.accepts = "the name of a model", .sample = "gpt-realtime-2.1",
		.help = "the model that speaks; with azure the deployment"},
	{.key = "voice", .type = OPTION_TEXT, OPTION_TEXT_AT(openai_opts, voice),
		.accepts = "the name of a voice", .help = "whose voice it has; empty: the model's own"},
	{.key = "instructions", .type = OPTION_TEXT, OPTION_TEXT_AT(openai_opts, instructions),
		.accepts = "a text", .lines = true, .help = "what the model is to be and to do"},
	{.key = "instructions_file", .type = OPTION_TEXT, .form = FORM_FILE,
		OPTION_TEXT_AT(openai_opts, instructions_file),
		.help = "the same from a file, before instructions"},
	{.key = "greeting", .type = OPTION_TEXT, OPTION_TEXT_AT(openai_opts, greeting),
		.accepts = "a text", .help = "what it says first, once; empty: it waits to be spoken to"},
	{.key = "turn_detection", .type = OPTION_NAME, OPTION_AT(openai_opts, turn_detection), .names = turns_names,
		.help = "who finds out that somebody has finished: the provider by silence or by meaning, or the room"},
	{.key = "transcription", .type = OPTION_TEXT, OPTION_TEXT_AT(openai_opts, transcription),
		.accepts = "the name of a model",
		.help = "the model that writes down what people say; empty: nobody does"},
	{.key = "messages", .type = OPTION_NAME, OPTION_AT(openai_opts, messages), .names = messages_names,
		.help = "which of what people write is said to the model, and answered: what is written to it alone (or by somebody "
			"who is alone with it), what is written to everybody too, or nothing"},
	{.key = "speaker_labels", .type = OPTION_BOOL, OPTION_AT(openai_opts, speaker_labels),
		.help = "with several people in the room the model is told by name who speaks"},
	{.key = "session_max_s", .type = OPTION_U32, OPTION_AT(openai_opts, session_max_s), .min = 10, .max = 86400, .unit = "s",
		.help = "a session is renewed in a quiet moment before it is so old"},
};

_Static_assert(sizeof openai_defaults <= BRIDGE_OPTIONS_MAX, "the configuration has room for it");
const struct bridge_options openai_options = BRIDGE_OPTIONS(rows, openai_defaults);
