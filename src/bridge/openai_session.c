/* SPDX-License-Identifier: MIT */
#include "bridge/openai.h"

#include "base/base64.h"
#include "base/err.h"

#include <string.h>

static const struct ai_profile profiles[] = {
	[BRIDGE_OPENAI] = {.url = "wss://api.openai.com/v1/realtime", .key_env = "OPENAI_API_KEY", .session_max_s = 3480,
		.truncates = true},
	[BRIDGE_AZURE] = {.key_header = "api-key", .key_env = "AZURE_OPENAI_API_KEY", .session_max_s = 1680, .truncates = true},
	[BRIDGE_XAI] = {.url = "wss://api.x.ai/v1/realtime", .key_env = "XAI_API_KEY", .session_max_s = 3480},
	[BRIDGE_LOCALAI] = {.url = "ws://127.0.0.1:8080/v1/realtime", .session_max_s = UINT32_MAX, .truncates = true},
	[BRIDGE_SPEACHES] = {.url = "ws://127.0.0.1:8000/v1/realtime", .session_max_s = UINT32_MAX, .flat = true,
		.truncates = true},
	[BRIDGE_GENERIC] = {.session_max_s = UINT32_MAX, .truncates = true},
};

const struct ai_profile *ai_profile(enum bridge_profile p)
{
	return &profiles[p];
}

/* ---- messages ---- */

/* `{"type":"TYPE","event_id":"mN"`: the id names our message where the provider complains about it. */
static int begin(struct openai *a, const char *type)
{
	buf_consume(&a->out, a->out.len);
	return buf_printf(&a->out, "{\"type\":\"%s\",\"event_id\":\"m%llu\"", type, (unsigned long long)++a->n_sent);
}

static int end(struct openai *a, int err)
{
	if (!a->ws) /* it was lost with the message before */
		return 0;
	if (!err)
		err = websocket_send_text(a->ws, a->out.p, a->out.len);
	if (err && a->ws)
		log_warn(a->log, "a message to the provider is lost: %s", err_str(err));
	return err;
}

/* `,"key":"text"`, nothing where there is no text. */
static int put_text(struct buf *b, const char *key, const char *text)
{
	if (!text || !*text)
		return 0;
	int err = buf_printf(b, ",\"%s\":", key);

	return err ? err : json_quote(b, text, strlen(text));
}

static const char *turns_name(const struct openai *a)
{
	return a->opts->turn_detection == BRIDGE_SEMANTIC_VAD ? "semantic_vad" : "server_vad";
}

/* `"turn_detection":...` */
static int put_turns(struct openai *a, struct buf *b)
{
	a->may_answer = a->mode == BRIDGE_ACTIVE;
	if (a->opts->turn_detection == BRIDGE_ROOM_VAD)
		return buf_printf(b, "\"turn_detection\":null");
	return buf_printf(b, "\"turn_detection\":{\"type\":\"%s\",\"create_response\":%s%s}", turns_name(a),
		a->may_answer ? "true" : "false", a->profile->flat ? "" : ",\"interrupt_response\":true");
}

static int put_tool(struct buf *b, const struct bridge_tool *t)
{
	int err = buf_printf(b, "{\"type\":\"function\",\"name\":\"%s\"", t->name);

	if (!err)
		err = put_text(b, "description", t->description);
	if (!err)
		err = buf_printf(b, ",\"parameters\":%s}", t->parameters);
	return err;
}

static int put_tools(struct openai *a, struct buf *b)
{
	if (a->opts->n_tools == 0)
		return 0;
	int err = buf_printf(b, ",\"tool_choice\":\"auto\",\"tools\":[");

	for (size_t i = 0; i < a->opts->n_tools && !err; i++) {
		err = buf_append(b, ",", i > 0);
		if (!err)
			err = put_tool(b, &a->opts->tools[i]);
	}
	return err ? err : buf_append(b, "]", 1);
}

static int put_transcription(struct openai *a, struct buf *b, const char *key)
{
	if (!a->opts->transcription[0])
		return 0;
	int err = buf_printf(b, ",\"%s\":{\"model\":", key);

	if (!err)
		err = json_quote(b, a->opts->transcription, strlen(a->opts->transcription));
	return err ? err : buf_printf(b, "}");
}

/* As it was in the beta, and is on some servers. */
static int put_flat_session(struct openai *a, struct buf *b)
{
	int err = buf_printf(b, ",\"session\":{\"modalities\":[\"audio\",\"text\"],\"input_audio_format\":\"pcm16\","
		"\"output_audio_format\":\"pcm16\"");

	if (!err)
		err = put_text(b, "instructions", a->instructions);
	if (!err)
		err = put_text(b, "voice", a->opts->voice);
	if (!err)
		err = put_tools(a, b);
	if (!err)
		err = buf_append(b, ",", 1);
	if (!err)
		err = put_turns(a, b);
	if (!err)
		err = put_transcription(a, b, "input_audio_transcription");
	return err ? err : buf_printf(b, "}}");
}

#define PCM_FORMAT "\"format\":{\"type\":\"audio/pcm\",\"rate\":24000}"

static int put_session(struct openai *a, struct buf *b)
{
	int err = buf_printf(b, ",\"session\":{\"type\":\"realtime\",\"output_modalities\":[\"audio\"]");

	if (!err)
		err = put_text(b, "instructions", a->instructions);
	if (!err)
		err = put_tools(a, b);
	if (!err)
		err = buf_printf(b, ",\"audio\":{\"input\":{" PCM_FORMAT ",");
	if (!err)
		err = put_turns(a, b);
	if (!err)
		err = put_transcription(a, b, "transcription");
	if (!err)
		err = buf_printf(b, "},\"output\":{" PCM_FORMAT);
	if (!err)
		err = put_text(b, "voice", a->opts->voice);
	return err ? err : buf_printf(b, "}}}}");
}

void ai_send_session(struct openai *a)
{
	int err = begin(a, "session.update");

	if (!err)
		err = a->profile->flat ? put_flat_session(a, &a->out) : put_session(a, &a->out);
	end(a, err);
}

/* A voice cannot be named again once it has spoken: nothing but what changes. */
void ai_send_turn_detection(struct openai *a)
{
	int err;

	if (a->opts->turn_detection == BRIDGE_ROOM_VAD)
		return;
	err = begin(a, "session.update");
	if (!err)
		err = buf_printf(&a->out, ",\"session\":{%s", a->profile->flat ? "" : "\"type\":\"realtime\",\"audio\":{\"input\":{");
	if (!err)
		err = put_turns(a, &a->out);
	end(a, err ? err : buf_printf(&a->out, "%s}}", a->profile->flat ? "" : "}}"));
}

void ai_send_frame(struct openai *a, const uint8_t *pcm16, size_t n)
{
	static const char head[] = "{\"type\":\"input_audio_buffer.append\",\"audio\":\"";
	enum { MOST = AI_RATE_HZ * AI_FRAME_MS / 1000 * 2 };
	char text[sizeof head + (MOST + 2) / 3 * 4 + 2], *p = text + sizeof head - 1;

	memcpy(text, head, sizeof head - 1);
	p = base64_encode(p, pcm16, n * 2);
	*p++ = '"';
	*p++ = '}';
	websocket_send_text(a->ws, text, (size_t)(p - text));
}

static void send_bare(struct openai *a, const char *type)
{
	int err = begin(a, type);

	end(a, err ? err : buf_printf(&a->out, "}"));
}

void ai_send_commit(struct openai *a)
{
	send_bare(a, "input_audio_buffer.commit");
}

void ai_send_response(struct openai *a, const char *instructions)
{
	int err = begin(a, "response.create");

	if (!err && instructions) {
		err = buf_printf(&a->out, ",\"response\":{\"instructions\":");
		if (!err)
			err = json_quote(&a->out, instructions, strlen(instructions));
		if (!err)
			err = buf_printf(&a->out, "}");
	}
	end(a, err ? err : buf_printf(&a->out, "}"));
}

void ai_send_cancel(struct openai *a)
{
	int err = begin(a, "response.cancel");

	if (!err && !a->profile->flat)
		err = put_text(&a->out, "response_id", a->response);
	end(a, err ? err : buf_printf(&a->out, "}"));
}

void ai_send_truncate(struct openai *a, const struct ai_item *it, uint64_t ms)
{
	int err = begin(a, "conversation.item.truncate");

	if (!err)
		err = put_text(&a->out, "item_id", it->id);
	if (!err)
		err = buf_printf(&a->out, ",\"content_index\":%u,\"audio_end_ms\":%llu}", it->content_index, (unsigned long long)ms);
	end(a, err);
}

void ai_send_delete(struct openai *a, const struct ai_item *it)
{
	int err = begin(a, "conversation.item.delete");

	if (!err)
		err = put_text(&a->out, "item_id", it->id);
	end(a, err ? err : buf_printf(&a->out, "}"));
}

void ai_send_turn(struct openai *a, enum ai_role role, const char *text)
{
	static const char *const names[] = {[AI_USER] = "user", [AI_ASSISTANT] = "assistant", [AI_SYSTEM] = "system"};
	const char *kind = role != AI_ASSISTANT ? "input_text" : a->profile->flat ? "text" : "output_text";
	int err = begin(a, "conversation.item.create");

	if (!err)
		err = buf_printf(&a->out, ",\"item\":{\"type\":\"message\",\"role\":\"%s\",\"content\":[{\"type\":\"%s\"",
			names[role], kind);
	if (!err)
		err = put_text(&a->out, "text", text);
	end(a, err ? err : buf_printf(&a->out, "}]}}"));
}

int ai_send_output(struct openai *a, const char *call, const char *json, size_t len)
{
	int err = begin(a, "conversation.item.create");

	if (!err)
		err = buf_printf(&a->out, ",\"item\":{\"type\":\"function_call_output\"");
	if (!err)
		err = put_text(&a->out, "call_id", call);
	if (!err)
		err = buf_printf(&a->out, ",\"output\":");
	if (!err)
		err = json_quote(&a->out, json, len);
	return end(a, err ? err : buf_printf(&a->out, "}}"));
}
