/* SPDX-License-Identifier: MIT */
#include "bridge/stream_events.h"

#include "base/err.h"
#include "bridge/json.h"

#include <stdio.h>
#include <string.h>

/* ---- to the worker ---- */

static void print_fields(yyjson_mut_doc *d, yyjson_mut_val *o, const struct bridge_event *ev)
{
	switch (ev->kind) {
	case BRIDGE_JOINED:
		yyjson_mut_obj_add_str(d, o, "type", "joined");
		yyjson_mut_obj_add_uint(d, o, "participant", ev->participant);
		yyjson_mut_obj_add_str(d, o, "name", ev->name);
		break;
	case BRIDGE_LEFT:
		yyjson_mut_obj_add_str(d, o, "type", "left");
		yyjson_mut_obj_add_uint(d, o, "participant", ev->participant);
		break;
	case BRIDGE_SPEAKING:
		yyjson_mut_obj_add_str(d, o, "type", "speaking");
		yyjson_mut_obj_add_uint(d, o, "participant", ev->participant);
		yyjson_mut_obj_add_bool(d, o, "speaking", ev->speaking);
		break;
	case BRIDGE_MESSAGE:
		yyjson_mut_obj_add_str(d, o, "type", "message");
		yyjson_mut_obj_add_uint(d, o, "participant", ev->participant);
		yyjson_mut_obj_add_str(d, o, "text", ev->text);
		if (ev->direct)
			yyjson_mut_obj_add_bool(d, o, "direct", true);
		break;
	case BRIDGE_MODE:
		yyjson_mut_obj_add_str(d, o, "type", "mode");
		yyjson_mut_obj_add_str(d, o, "mode", bridge_mode_name(ev->mode));
		if (ev->participant)
			yyjson_mut_obj_add_uint(d, o, "participant", ev->participant);
		break;
	case BRIDGE_INTERRUPTED:
		yyjson_mut_obj_add_str(d, o, "type", "interrupted");
		yyjson_mut_obj_add_uint(d, o, "item", ev->utterance);
		yyjson_mut_obj_add_uint(d, o, "heard_ms", ev->heard_ms);
		break;
	}
}

char *stream_event_print(const struct bridge_event *ev, size_t *len)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d); /* NULL for a NULL document */

	if (!o) {
		yyjson_mut_doc_free(d);
		return NULL;
	}
	yyjson_mut_doc_set_root(d, o);
	print_fields(d, o, ev);
	char *json = yyjson_mut_write(d, 0, len);

	yyjson_mut_doc_free(d);
	return json;
}

/* ---- from the worker ---- */

/* A text of 1 to BRIDGE_TEXT_MAX bytes, without NUL: NULL otherwise. */
static const char *text_of(yyjson_val *o, const char *key)
{
	yyjson_val *v = yyjson_obj_get(o, key);
	size_t len = yyjson_get_len(v);

	return yyjson_is_str(v) && len > 0 && len <= BRIDGE_TEXT_MAX && strlen(yyjson_get_str(v)) == len ? yyjson_get_str(v) : NULL;
}

struct target {
	const struct bridge_sink *sink;
	void *ctx;
};

static const char *handle_message(const struct target *t, yyjson_val *o)
{
	const char *text = text_of(o, "text");

	if (!text)
		return "message: text must be a string of 1 to 4096 bytes without NUL";
	t->sink->message(t->ctx, text);
	return NULL;
}

static const char *handle_transcript(const struct target *t, yyjson_val *o)
{
	yyjson_val *who = yyjson_obj_get(o, "participant"), *final = yyjson_obj_get(o, "final");
	const char *text = text_of(o, "text");

	if (!text)
		return "transcript: text must be a string of 1 to 4096 bytes without NUL";
	if (who && (!yyjson_is_uint(who) || yyjson_get_uint(who) > UINT32_MAX))
		return "transcript: participant must be somebody's number, or 0 for the worker itself";
	if (final && !yyjson_is_bool(final))
		return "transcript: final must be true or false";
	t->sink->transcript(t->ctx, (uint32_t)yyjson_get_uint(who), text, !final || yyjson_get_bool(final));
	return NULL;
}

static const char *handle_object(const struct target *t, yyjson_val *o)
{
	const char *type = text_of(o, "type");

	if (!type)
		return "an event must be a JSON object with a type";
	if (strcmp(type, "message") == 0)
		return handle_message(t, o);
	if (strcmp(type, "transcript") == 0)
		return handle_transcript(t, o);
	return NULL;
}

int stream_event_handle(const uint8_t *json, size_t len, const struct bridge_sink *sink, void *sink_ctx, char *why,
	size_t why_size)
{
	const struct target t = {sink, sink_ctx};
	yyjson_doc *d = json_parse(json, len); /* refuses what is not UTF-8 */
	const char *fault = d ? handle_object(&t, yyjson_doc_get_root(d)) : "an event must be a JSON object in UTF-8";

	yyjson_doc_free(d);
	if (!fault)
		return 0;
	snprintf(why, why_size, "%s", fault);
	return ERR_MALFORMED;
}
