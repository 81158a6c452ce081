/* SPDX-License-Identifier: MIT */
#include "bridge/ai_out.h"

#include "base/base64.h"
#include "base/err.h"
#include "bridge/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PCM_FORMAT "\"format\":{\"type\":\"audio/pcm\",\"rate\":24000}"

void ai_out_init(struct ai_out *o, const struct ai_context *cx, const struct ai_transport *transport, void *transport_ctx)
{
	*o = (struct ai_out){.cx = cx, .transport = transport, .transport_ctx = transport_ctx};
	buf_init(&o->event, AI_QUEUE_MAX);
}

void ai_out_fini(struct ai_out *o)
{
	buf_fini(&o->event);
}

/* ---- writing: the first error stands and is seen when the event is sent ---- */

static void write_raw(struct ai_out *o, const char *text)
{
	if (!o->err)
		o->err = buf_append(&o->event, text, strlen(text));
}

static void write_number(struct ai_out *o, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, n);
	write_raw(o, text);
}

static void write_string(struct ai_out *o, const char *text, size_t len)
{
	if (!o->err)
		o->err = json_quote(&o->event, text, len);
}

/* `,"key":"text"`; nothing where there is no text. */
static void write_field(struct ai_out *o, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	write_raw(o, ",\"");
	write_raw(o, key);
	write_raw(o, "\":");
	write_string(o, text, strlen(text));
}

/* `{"type":"TYPE","event_id":"mN"`: the id names our event where the provider complains about it. */
static void begin(struct ai_out *o, const char *type)
{
	buf_consume(&o->event, o->event.len);
	o->err = 0;
	write_raw(o, "{\"type\":\"");
	write_raw(o, type);
	write_raw(o, "\",\"event_id\":\"m");
	write_number(o, ++o->n_events);
	write_raw(o, "\"");
}

/* `closing` ends what was begun. */
static int end(struct ai_out *o, const char *closing)
{
	write_raw(o, closing);
	if (!o->err)
		o->err = o->transport->send(o->transport_ctx, o->event.p, o->event.len);
	if (o->err && o->err != ERR_STATE)
		log_warn(o->cx->log, "a message to the provider is lost: %s", err_str(o->err));
	return o->err;
}

/* ---- session.update ---- */

static bool provider_detects_turns(const struct ai_out *o)
{
	return o->cx->opts->turn_detection != BRIDGE_ROOM_VAD;
}

/* `"turn_detection":...` */
static void write_turn_detection(struct ai_out *o, bool create_response)
{
	o->create_response = create_response;
	if (!provider_detects_turns(o)) {
		write_raw(o, "\"turn_detection\":null");
		return;
	}
	write_raw(o, "\"turn_detection\":{\"type\":\"");
	write_raw(o, o->cx->opts->turn_detection == BRIDGE_SEMANTIC_VAD ? "semantic_vad" : "server_vad");
	write_raw(o, "\",\"create_response\":");
	write_raw(o, create_response ? "true" : "false");
	write_raw(o, o->cx->profile->flat ? "}" : ",\"interrupt_response\":true}");
}

static void write_tool(struct ai_out *o, const struct bridge_tool *t)
{
	write_raw(o, "{\"type\":\"function\",\"name\":\"");
	write_raw(o, t->name);
	write_raw(o, "\"");
	write_field(o, "description", t->description);
	write_raw(o, ",\"parameters\":");
	write_raw(o, t->parameters);
	write_raw(o, "}");
}

static void write_tools(struct ai_out *o)
{
	const struct bridge_opts *opts = o->cx->bridge;

	if (opts->n_tools == 0)
		return;
	write_raw(o, ",\"tool_choice\":\"auto\",\"tools\":[");
	for (size_t i = 0; i < opts->n_tools; i++) {
		write_raw(o, i > 0 ? "," : "");
		write_tool(o, &opts->tools[i]);
	}
	write_raw(o, "]");
}

static void write_transcription(struct ai_out *o, const char *key)
{
	const char *model = o->cx->opts->transcription;

	if (!*model)
		return;
	write_raw(o, ",\"");
	write_raw(o, key);
	write_raw(o, "\":{\"model\":");
	write_string(o, model, strlen(model));
	write_raw(o, "}");
}

/* The shape of the beta, which some servers have kept. Its formats are pcm16 unless others are named, and speaches complains
 * when they are. */
static void write_flat_session(struct ai_out *o, bool create_response)
{
	write_raw(o, ",\"session\":{\"modalities\":[\"audio\",\"text\"]");
	write_field(o, "instructions", o->cx->instructions);
	write_field(o, "voice", o->cx->opts->voice);
	write_tools(o);
	write_raw(o, ",");
	write_turn_detection(o, create_response);
	write_transcription(o, "input_audio_transcription");
}

/* xAI's own. */
static void write_top_session(struct ai_out *o, bool create_response)
{
	write_raw(o, ",\"session\":{");
	write_turn_detection(o, create_response);
	write_field(o, "voice", o->cx->opts->voice);
	write_field(o, "instructions", o->cx->instructions);
	write_tools(o);
	write_raw(o, ",\"audio\":{\"input\":{" PCM_FORMAT);
	write_transcription(o, "transcription");
	write_raw(o, "},\"output\":{" PCM_FORMAT "}}");
}

static void write_session(struct ai_out *o, bool create_response)
{
	write_raw(o, ",\"session\":{\"type\":\"realtime\",\"output_modalities\":[\"audio\"]");
	write_field(o, "instructions", o->cx->instructions);
	write_tools(o);
	write_raw(o, ",\"audio\":{\"input\":{" PCM_FORMAT ",");
	write_turn_detection(o, create_response);
	write_transcription(o, "transcription");
	write_raw(o, "},\"output\":{" PCM_FORMAT);
	write_field(o, "voice", o->cx->opts->voice);
	write_raw(o, "}}");
}

void ai_out_session(struct ai_out *o, bool create_response)
{
	begin(o, "session.update");
	if (o->cx->profile->flat)
		write_flat_session(o, create_response);
	else if (o->cx->profile->top)
		write_top_session(o, create_response);
	else
		write_session(o, create_response);
	end(o, "}}");
}

/* A voice cannot be named again once it has spoken: nothing is sent but what changes. */
void ai_out_create_response(struct ai_out *o, bool create_response)
{
	bool top = o->cx->profile->flat || o->cx->profile->top;

	if (!o->ready || o->create_response == create_response || !provider_detects_turns(o))
		return;
	begin(o, "session.update");
	write_raw(o, top ? ",\"session\":{" : ",\"session\":{\"type\":\"realtime\",\"audio\":{\"input\":{");
	write_turn_detection(o, create_response);
	end(o, top ? "}}" : "}}}}");
}

/* ---- input ---- */

/* 25 times a second: no event_id, no way through the buffer. */
void ai_out_audio(struct ai_out *o, const uint8_t *pcm16, size_t n)
{
	static const char head[] = "{\"type\":\"input_audio_buffer.append\",\"audio\":\"";
	enum { MOST = AI_RATE_HZ * AI_FRAME_MS / 1000 * 2 };
	char text[sizeof head + (MOST + 2) / 3 * 4 + 2], *p = text + sizeof head - 1;

	if (!o->ready)
		return;
	memcpy(text, head, sizeof head - 1);
	p = base64_encode(p, pcm16, n * 2);
	*p++ = '"';
	*p++ = '}';
	o->transport->send(o->transport_ctx, text, (size_t)(p - text));
}

void ai_out_commit(struct ai_out *o)
{
	if (!o->ready)
		return;
	begin(o, "input_audio_buffer.commit");
	end(o, "}");
}

/* ---- responses ---- */

void ai_out_response(struct ai_out *o, const char *instructions)
{
	if (!o->ready)
		return;
	begin(o, "response.create");
	if (instructions) {
		write_raw(o, ",\"response\":{\"instructions\":");
		write_string(o, instructions, strlen(instructions));
		write_raw(o, "}");
	}
	end(o, "}");
}

void ai_out_cancel(struct ai_out *o, const char *response)
{
	if (!o->ready)
		return;
	begin(o, "response.cancel");
	if (!o->cx->profile->flat)
		write_field(o, "response_id", response);
	end(o, "}");
}

/* ---- items of the conversation ---- */

void ai_out_truncate(struct ai_out *o, const char *item, uint32_t content_index, uint64_t end_ms)
{
	if (!o->ready)
		return;
	begin(o, "conversation.item.truncate");
	write_field(o, "item_id", item);
	write_raw(o, ",\"content_index\":");
	write_number(o, content_index);
	write_raw(o, ",\"audio_end_ms\":");
	write_number(o, end_ms);
	end(o, "}");
}

void ai_out_delete(struct ai_out *o, const char *item)
{
	if (!o->ready)
		return;
	begin(o, "conversation.item.delete");
	write_field(o, "item_id", item);
	end(o, "}");
}

void ai_out_text(struct ai_out *o, enum ai_role role, const char *text)
{
	static const char *const names[] = {[AI_USER] = "user", [AI_ASSISTANT] = "assistant", [AI_SYSTEM] = "system"};

	if (!o->ready)
		return;
	begin(o, "conversation.item.create");
	write_raw(o, ",\"item\":{\"type\":\"message\",\"role\":\"");
	write_raw(o, names[role]);
	write_raw(o, "\",\"content\":[{\"type\":\"");
	write_raw(o, role != AI_ASSISTANT ? "input_text" : o->cx->profile->flat ? "text" : "output_text");
	write_raw(o, "\"");
	write_field(o, "text", text);
	end(o, "}]}}");
}

int ai_out_result(struct ai_out *o, const char *call, const char *json, size_t len)
{
	if (!o->ready)
		return ERR_STATE;
	begin(o, "conversation.item.create");
	write_raw(o, ",\"item\":{\"type\":\"function_call_output\"");
	write_field(o, "call_id", call);
	write_raw(o, ",\"output\":");
	write_string(o, json, len);
	return end(o, "}}");
}

size_t ai_out_unsent(struct ai_out *o)
{
	return o->transport->unsent(o->transport_ctx);
}

void ai_out_fail(struct ai_out *o, const char *why)
{
	o->transport->fail(o->transport_ctx, why);
}
