/* SPDX-License-Identifier: MIT */
#include "bridge/ai_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing is known of ids but that they are short. */
static const char *id_of(yyjson_val *obj, const char *key)
{
	const char *id = json_text(obj, key);

	return strlen(id) < AI_ID_MAX ? id : "";
}

static uint64_t now_ms(const struct openai *a)
{
	return uv_now(a->cx.bridge->loop);
}

/* ---- errors ---- */

/* It was not serious: `what` is all that is logged, since a key may be in the provider's own message. */
static void report_complaint(struct openai *a, const char *what)
{
	char quoted[160];

	ai_response_maybe_refused(&a->response);
	log_warn(a->cx.log, "the provider complains: %s", log_quoted(what, quoted, sizeof quoted));
}

/* While the session is set up a server may complain of one field and go on: only what is known to be final ends it. */
static bool is_serious(const struct openai *a, enum ai_trouble t)
{
	if (a->conn.state == AI_CONN_SETTING_UP)
		return t == AI_TROUBLE_REFUSED || t == AI_TROUBLE_PLANNED;
	return t != AI_TROUBLE_PASSING;
}

static void handle_error(struct openai *a, yyjson_val *error)
{
	const char *type = json_text(error, "type"), *code = json_text(error, "code"), *param = json_text(error, "param");
	enum ai_trouble t = ai_trouble_of_error(type, code);
	char what[AI_COMPLAINT_MAX];

	if (!is_serious(a, t)) {
		snprintf(what, sizeof what, "%.40s %.40s %.40s", type, code, param);
		ai_conn_note_complaint(&a->conn, t, what);
		report_complaint(a, what);
		return;
	}
	snprintf(what, sizeof what, "refused by the provider: %.80s", *code ? code : type);
	ai_conn_end(&a->conn, t, what);
}

static void on_error(struct openai *a, yyjson_val *ev)
{
	yyjson_val *error = json_get(ev, "error");

	if (json_is(error, "code", "response_cancel_not_active"))
		return; /* it ended while we asked for that */
	if (json_is(error, "code", "conversation_already_has_active_response"))
		ai_response_was_active(&a->response);
	else
		handle_error(a, error);
}

/* ---- the session ---- */

static void on_session_created(struct openai *a, yyjson_val *ev)
{
	(void)ev;
	ai_conn_set_up(&a->conn, a->response.mode == BRIDGE_ACTIVE);
}

/* The effective configuration says who interrupts. */
static bool provider_interrupts(const struct openai *a, yyjson_val *session)
{
	yyjson_val *turns = json_get(json_get(json_get(session, "audio"), "input"), "turn_detection");

	if (!turns)
		turns = json_get(session, "turn_detection");
	return yyjson_is_obj(turns) && !yyjson_is_false(json_get(turns, "interrupt_response")) && !a->cx.profile->flat;
}

/* The mode may have changed since session.update was sent. */
static void on_session_updated(struct openai *a, yyjson_val *ev)
{
	a->turn.provider_interrupts = provider_interrupts(a, json_get(ev, "session"));
	if (!ai_conn_set_ready(&a->conn))
		return;
	ai_turn_session_began(&a->turn);
	ai_out_create_response(&a->out, a->response.mode == BRIDGE_ACTIVE);
	ai_history_replay(&a->history, &a->out);
	ai_calls_session_began(&a->calls);
	ai_response_session_began(&a->response);
}

/* ---- people's turns ---- */

/* BRIDGE_INTERRUPTED follows the flush, if the room had something left to play. */
static void on_speech_started(struct openai *a, yyjson_val *ev)
{
	(void)ev;
	ai_turn_speech_started(&a->turn, now_ms(a));
	ai_response_stop(&a->response, !a->turn.provider_interrupts);
	a->cx.sink->flush(a->cx.sink_ctx);
}

static void on_speech_stopped(struct openai *a, yyjson_val *ev)
{
	(void)ev;
	ai_turn_speech_stopped(&a->turn, now_ms(a));
}

static void on_input_transcript_delta(struct openai *a, yyjson_val *ev)
{
	ai_turn_transcript_delta(&a->turn, id_of(ev, "item_id"), json_text(ev, "delta"));
}

static void on_input_transcript(struct openai *a, yyjson_val *ev)
{
	ai_turn_transcript(&a->turn, id_of(ev, "item_id"), json_text(ev, "transcript"));
}

/* ---- what the model says ---- */

static void on_audio(struct openai *a, yyjson_val *ev)
{
	yyjson_val *delta = json_get(ev, "delta");
	const struct ai_audio_delta d = {
		.response = id_of(ev, "response_id"),
		.item = id_of(ev, "item_id"),
		.content_index = (uint32_t)yyjson_get_uint(json_get(ev, "content_index")),
		.base64 = yyjson_is_str(delta) ? yyjson_get_str(delta) : "",
		.len = yyjson_get_len(delta),
	};

	ai_response_audio(&a->response, &d);
}

static void on_transcript_delta(struct openai *a, yyjson_val *ev)
{
	ai_response_transcript_delta(&a->response, id_of(ev, "response_id"), id_of(ev, "item_id"), json_text(ev, "delta"));
}

static void on_transcript(struct openai *a, yyjson_val *ev)
{
	ai_response_transcript(&a->response, id_of(ev, "response_id"), id_of(ev, "item_id"), json_text(ev, "transcript"));
}

/* ---- calls of tools ---- */

/* JSON in a text, as it should be; other servers write the object itself, or nothing where there are none. Whether they make sense
 * is for the tools to say: every call is answered. */
static void add_call(struct openai *a, struct ai_called *called, yyjson_val *arguments)
{
	char *json = NULL;

	if (yyjson_is_str(arguments)) {
		called->arguments = yyjson_get_str(arguments);
		called->len = yyjson_get_len(arguments);
	} else if (arguments && !yyjson_is_null(arguments)) {
		called->arguments = json = yyjson_val_write(arguments, 0, &called->len);
	}
	ai_calls_add(&a->calls, called);
	free(json);
}

/* The whole of a call, by any of three events. A call that was cut off in the middle is none. */
static void handle_call(struct openai *a, const char *response, yyjson_val *call, bool last)
{
	struct ai_called called = {
		.response = response,
		.id = id_of(call, "call_id"),
		.name = json_text(call, "name"),
		.arguments = "",
		.last = last,
	};

	if (!json_is(call, "status", "incomplete") && !json_is(call, "status", "in_progress"))
		add_call(a, &called, json_get(call, "arguments"));
}

/* Some servers leave the name to the events that follow. */
static void on_call(struct openai *a, yyjson_val *ev)
{
	if (*json_text(ev, "name"))
		handle_call(a, id_of(ev, "response_id"), ev, false);
}

static void on_output_item_done(struct openai *a, yyjson_val *ev)
{
	yyjson_val *item = json_get(ev, "item");

	if (json_is(item, "type", "function_call"))
		handle_call(a, id_of(ev, "response_id"), item, false);
}

static void on_item_added(struct openai *a, yyjson_val *ev)
{
	yyjson_val *item = json_get(ev, "item");

	if (json_is(item, "type", "function_call_output"))
		ai_calls_confirm(&a->calls, id_of(item, "call_id"));
}

/* ---- responses ---- */

/* A response that the provider begins by itself tells of the results of tools, too, if it had them by then. */
static void on_response_created(struct openai *a, yyjson_val *ev)
{
	ai_turn_answered(&a->turn);
	if (!ai_calls_unconfirmed(&a->calls))
		a->response.results_due = false;
	ai_response_began(&a->response, id_of(json_get(ev, "response"), "id"));
}

static void handle_output(struct openai *a, yyjson_val *response)
{
	yyjson_val *output = json_get(response, "output"), *item;
	size_t i, n;

	yyjson_arr_foreach(output, i, n, item)
		if (json_is(item, "type", "function_call"))
			handle_call(a, id_of(response, "id"), item, true);
}

static void on_response_done(struct openai *a, yyjson_val *ev)
{
	yyjson_val *response = json_get(ev, "response");

	handle_output(a, response);
	if (!a->out.ready) /* the session was lost with a result */
		return;
	if (ai_response_ended(&a->response, id_of(response, "id"))) {
		ai_calls_response_ended(&a->calls);
		ai_response_request_due(&a->response);
	}
	if (json_is(response, "status", "failed"))
		handle_error(a, json_get(json_get(response, "status_details"), "error"));
}

/* ---- all of them ---- */

static const struct row {
	const char *type;
	void (*handle)(struct openai *a, yyjson_val *event);
} table[] = { /* sorted by type, for bsearch(); some events have two names: that of the beta, and that of today */
	{"conversation.item.added", on_item_added},
	{"conversation.item.created", on_item_added},
	{"conversation.item.input_audio_transcription.completed", on_input_transcript},
	{"conversation.item.input_audio_transcription.delta", on_input_transcript_delta},
	{"error", on_error},
	{"input_audio_buffer.speech_started", on_speech_started},
	{"input_audio_buffer.speech_stopped", on_speech_stopped},
	{"response.audio.delta", on_audio},
	{"response.audio_transcript.delta", on_transcript_delta},
	{"response.audio_transcript.done", on_transcript},
	{"response.created", on_response_created},
	{"response.done", on_response_done},
	{"response.function_call_arguments.done", on_call},
	{"response.output_audio.delta", on_audio},
	{"response.output_audio_transcript.delta", on_transcript_delta},
	{"response.output_audio_transcript.done", on_transcript},
	{"response.output_item.done", on_output_item_done},
	{"session.created", on_session_created},
	{"session.updated", on_session_updated},
};

static int compare_type(const void *type, const void *row)
{
	return strcmp(type, ((const struct row *)row)->type);
}

void ai_events_handle(struct openai *a, yyjson_val *event)
{
	const struct row *row = bsearch(json_text(event, "type"), table, sizeof table / sizeof *table, sizeof *table, compare_type);

	if (row)
		row->handle(a, event);
}
