/* SPDX-License-Identifier: MIT */
#include "bridge/openai.h"

#include <stdio.h>
#include <string.h>

/* Nothing is known of ids but that they are short. */
static const char *id_of(yyjson_val *obj, const char *key)
{
	const char *id = json_text(obj, key);

	return strlen(id) < AI_ID_MAX ? id : "";
}

/* ---- what went wrong ---- */

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static enum ai_trouble judge(const char *type, const char *code)
{
	static const char *const refusals[] = {"insufficient_quota", "invalid_api_key", "incorrect_api_key", "authentication_error",
		"permission_denied", "account_deactivated", "billing_hard_limit_reached", "billing_not_active", "model_not_found",
		"beta_api_shape_disabled", "invalid_model", "insufficient_permissions", NULL};
	static const char *const busy[] = {"rate_limit_exceeded", "rate_limit_error", "server_overloaded", "overloaded_error", NULL};

	if (is_one_of(code, refusals) || is_one_of(type, refusals))
		return AI_REFUSED;
	if (is_one_of(code, busy) || is_one_of(type, busy))
		return AI_BUSY;
	return strcmp(code, "session_expired") == 0 ? AI_PLANNED : AI_PASSING;
}

/* `end`: it ends the session. Its message is only told where no key can be in it. */
static void take_error(struct openai *a, yyjson_val *error, bool setting_up)
{
	const char *type = json_text(error, "type"), *code = json_text(error, "code"), *param = json_text(error, "param");
	enum ai_trouble t = judge(type, code);
	char what[128], quoted[160];

	if (strcmp(code, "response_cancel_not_active") == 0)
		return; /* it ended while we said so */
	if (strcmp(code, "conversation_already_has_active_response") == 0) {
		a->responding = a->create_due = true; /* again when that one is done */
		return;
	}
	snprintf(what, sizeof what, "%.40s %.40s %.40s", type, code, param);
	log_quoted(what, quoted, sizeof quoted);
	if (t == AI_PASSING && setting_up)
		t = AI_REFUSED; /* it does not like our session.update, and will not like it next time */
	if (t == AI_PASSING) {
		a->responding = a->responding && a->response[0]; /* else it may be our response.create that was refused */
		log_warn(a->log, "the provider complains: %s", quoted);
		return;
	}
	snprintf(what, sizeof what, "refused by the provider: %.80s", *code ? code : type);
	ai_trouble(a, t, what);
	ai_hang_up(a);
}

/* ---- words ---- */

static void tell(struct openai *a, uint32_t who, const char *text, bool final)
{
	char bounded[AI_TURN_BYTES];
	size_t n = ai_cut(text, sizeof bounded - 1);

	memcpy(bounded, text, n);
	bounded[n] = '\0';
	if (n)
		a->sink->transcript(a->sink_ctx, who, bounded, final);
}

static void said_more(struct openai *a, yyjson_val *ev)
{
	const char *response = id_of(ev, "response_id");

	if (*response && strcmp(response, a->ignored) == 0)
		return;
	if (ai_words_add(&a->said, id_of(ev, "item_id"), json_text(ev, "delta")))
		tell(a, 0, a->said.text, false);
}

static uint64_t number_of(const struct openai *a, const char *item)
{
	for (size_t i = 0; i < a->n_items; i++)
		if (strcmp(a->items[i].id, item) == 0)
			return a->items[i].number;
	return 0;
}

/* An utterance that was interrupted is told as far as it came. */
static void said_all(struct openai *a, yyjson_val *ev)
{
	const char *response = id_of(ev, "response_id"), *item = id_of(ev, "item_id"), *text = json_text(ev, "transcript");

	if (*response && strcmp(response, a->ignored) == 0)
		text = strcmp(item, a->said.id) == 0 ? a->said.text : "";
	tell(a, 0, text, true);
	ai_remember(a, true, number_of(a, item), text);
}

static void heard_more(struct openai *a, yyjson_val *ev)
{
	if (ai_words_add(&a->heard, id_of(ev, "item_id"), json_text(ev, "delta")) && a->said_by.id)
		tell(a, a->said_by.id, a->heard.text, false);
}

static void heard_all(struct openai *a, yyjson_val *ev)
{
	const char *text = json_text(ev, "transcript");
	char named[AI_SAID_MAX];

	if (a->said_by.id)
		tell(a, a->said_by.id, text, true);
	ai_attribute(a, &a->said_by, text, named);
	if (*text)
		ai_remember(a, false, 0, named);
}

/* ---- turns ---- */

static void speech_started(struct openai *a)
{
	a->said_by = a->speaker;
	a->turn_open = true;
	a->turn_began_ms = uv_now(a->opts->loop);
	a->turn_ended_ms = 0;
	ai_stop_response(a, !a->server_interrupts);
	a->sink->flush(a->sink_ctx); /* BRIDGE_INTERRUPTED follows, if something was left to be said */
}

static void take_speech(struct openai *a, yyjson_val *ev)
{
	yyjson_val *delta = json_get(ev, "delta");

	ai_speech(a, id_of(ev, "response_id"), id_of(ev, "item_id"), (uint32_t)yyjson_get_uint(json_get(ev, "content_index")),
		yyjson_is_str(delta) ? yyjson_get_str(delta) : "", yyjson_get_len(delta));
}

/* The whole of a call, by the name of any of three events. One that was cut off in the middle is none. */
static void take_call(struct openai *a, const char *response, yyjson_val *call, bool last)
{
	yyjson_val *arguments = json_get(call, "arguments");
	bool whole = yyjson_is_str(arguments) && !json_is(call, "status", "incomplete") && !json_is(call, "status", "in_progress");
	const struct ai_said_call said = {
		.id = id_of(call, "call_id"),
		.name = json_text(call, "name"),
		.arguments = yyjson_get_str(arguments),
		.len = yyjson_get_len(arguments),
		.last = last,
	};

	if (whole && *said.name)
		ai_call(a, response, &said);
}

static void item_done(struct openai *a, yyjson_val *ev)
{
	yyjson_val *item = json_get(ev, "item");

	if (json_is(item, "type", "function_call"))
		take_call(a, id_of(ev, "response_id"), item, false);
}

static void take_calls(struct openai *a, yyjson_val *response)
{
	yyjson_val *output = json_get(response, "output"), *item;
	size_t i, n;

	yyjson_arr_foreach(output, i, n, item)
		if (json_is(item, "type", "function_call"))
			take_call(a, id_of(response, "id"), item, true);
}

static void item_added(struct openai *a, yyjson_val *ev)
{
	yyjson_val *item = json_get(ev, "item");

	if (json_is(item, "type", "function_call_output"))
		ai_call_taken(a, id_of(item, "call_id"));
}

static void response_done(struct openai *a, yyjson_val *ev)
{
	yyjson_val *response = json_get(ev, "response");
	yyjson_val *error = json_get(json_get(response, "status_details"), "error");

	take_calls(a, response);
	if (a->state != AI_READY) /* it was lost with an answer */
		return;
	ai_response_ended(a, id_of(response, "id"));
	if (json_is(response, "status", "failed"))
		take_error(a, error, false);
}

/* The effective configuration: who interrupts. */
static void session_updated(struct openai *a, yyjson_val *ev)
{
	yyjson_val *session = json_get(ev, "session");
	yyjson_val *turns = json_get(json_get(json_get(session, "audio"), "input"), "turn_detection");

	if (!turns)
		turns = json_get(session, "turn_detection");
	a->server_interrupts = yyjson_is_obj(turns) && !yyjson_is_false(json_get(turns, "interrupt_response")) && !a->profile->flat;
	if (a->state == AI_SETTING_UP)
		ai_ready(a);
}

static void session_created(struct openai *a)
{
	if (a->state == AI_SETTING_UP)
		ai_send_session(a);
}

/* ---- all of them ---- */

enum kind {
	CREATED, UPDATED, SPEECH, SPEECH_DONE, SAID_MORE, SAID_ALL, HEARD_MORE, HEARD_ALL, SPEECH_STARTED, SPEECH_STOPPED,
	RESPONSE_CREATED, RESPONSE_DONE, CALL, ITEM_DONE, ITEM_ADDED, COMPLAINT, OTHER,
};

static const struct {
	const char *type;
	enum kind kind;
} events[] = { /* the frequent ones first; each by its name in the beta, too */
	{"response.output_audio.delta", SPEECH},
	{"response.audio.delta", SPEECH},
	{"response.output_audio_transcript.delta", SAID_MORE},
	{"response.audio_transcript.delta", SAID_MORE},
	{"response.output_audio.done", SPEECH_DONE},
	{"response.audio.done", SPEECH_DONE},
	{"response.output_audio_transcript.done", SAID_ALL},
	{"response.audio_transcript.done", SAID_ALL},
	{"conversation.item.input_audio_transcription.delta", HEARD_MORE},
	{"conversation.item.input_audio_transcription.completed", HEARD_ALL},
	{"input_audio_buffer.speech_started", SPEECH_STARTED},
	{"input_audio_buffer.speech_stopped", SPEECH_STOPPED},
	{"conversation.item.added", ITEM_ADDED},
	{"conversation.item.created", ITEM_ADDED},
	{"response.output_item.done", ITEM_DONE},
	{"response.function_call_arguments.done", CALL},
	{"response.created", RESPONSE_CREATED},
	{"response.done", RESPONSE_DONE},
	{"session.created", CREATED},
	{"session.updated", UPDATED},
	{"error", COMPLAINT},
};

static enum kind kind_of(yyjson_val *ev)
{
	const char *type = json_text(ev, "type");

	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (strcmp(events[i].type, type) == 0)
			return events[i].kind;
	return OTHER;
}

void ai_take(struct openai *a, yyjson_val *ev)
{
	switch (kind_of(ev)) {
	case CREATED: session_created(a); break;
	case UPDATED: session_updated(a, ev); break;
	case SPEECH: take_speech(a, ev); break;
	case SPEECH_DONE: ai_item_done(a, id_of(ev, "item_id")); break;
	case SAID_MORE: said_more(a, ev); break;
	case SAID_ALL: said_all(a, ev); break;
	case HEARD_MORE: heard_more(a, ev); break;
	case HEARD_ALL: heard_all(a, ev); break;
	case SPEECH_STARTED: speech_started(a); break;
	case SPEECH_STOPPED: a->turn_ended_ms = uv_now(a->opts->loop); break;
	case CALL: take_call(a, id_of(ev, "response_id"), ev, false); break;
	case ITEM_DONE: item_done(a, ev); break;
	case ITEM_ADDED: item_added(a, ev); break;
	case RESPONSE_CREATED: ai_response_began(a, id_of(json_get(ev, "response"), "id")); break;
	case RESPONSE_DONE: response_done(a, ev); break;
	case COMPLAINT: take_error(a, json_get(ev, "error"), a->state == AI_SETTING_UP); break;
	case OTHER: break;
	}
}
