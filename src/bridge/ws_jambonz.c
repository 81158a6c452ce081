/* SPDX-License-Identifier: MIT */
/*
 * jambonz, verb "listen": a first text with the call's attributes, then 16-bit samples as binary messages both ways.
 * The worker may send killAudio, mark, clearMarks and disconnect. Newer workers know the subprotocol by one name,
 * older ones by the other.
 */
#include "base/err.h"
#include "base/random.h"
#include "bridge/ws_worker.h"

#include <stdio.h>
#include <string.h>

static void make_uuid(char out[37])
{
	uint8_t r[16];

	random_uuid(r);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4],
		r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

static void on_open(struct ws_worker *w)
{
	make_uuid(w->uuid);
	ws_end(w, buf_printf(ws_begin(w),
		"{\"callSid\":\"%s\",\"callId\":\"%s\",\"direction\":\"inbound\",\"from\":\"mynah\",\"to\":\"%s\","
		"\"callStatus\":\"in-progress\",\"sampleRate\":%u,\"mixType\":\"mono\"}",
		w->uuid, w->uuid, w->bridge->name, w->rate_hz));
}

static void send_frame(struct ws_worker *w, const uint8_t *pcm16, size_t n)
{
	websocket_send_binary(w->ws, pcm16, n * 2);
}

static void mark_done(struct ws_worker *w, const char *name, bool cleared)
{
	struct buf *b = ws_begin(w);
	int err = buf_printf(b, "{\"type\":\"mark\",\"data\":{\"name\":");

	if (!err)
		err = json_quote(b, name, strlen(name));
	if (!err)
		err = buf_printf(b, ",\"event\":\"%s\"}}", cleared ? "cleared" : "playout");
	ws_end(w, err);
}

/* Without a word about those that waited. */
static void on_message(struct ws_worker *w, yyjson_val *message)
{
	const char *type = json_text(message, "type");

	if (!strcmp(type, "killAudio")) {
		ws_clear(w);
	} else if (!strcmp(type, "mark")) {
		const char *name = json_text(json_get(message, "data"), "name");

		if (*name)
			ws_mark(w, name, strlen(name));
		else
			ws_warn_once(w, "a mark without a name");
	} else if (!strcmp(type, "clearMarks")) {
		marks_clear(&w->marks);
	} else if (!strcmp(type, "disconnect")) {
		ws_leave(w);
	} else if (!strcmp(type, "playAudio")) {
		ws_warn_once(w, "playAudio, which is a file; sound comes as binary messages");
	} else {
		log_debug(w->log, "the worker says something else");
	}
}

const struct ws_dialect ws_jambonz = {
	.subprotocols = "audio.jambonz.org, audio.drachtio.org",
	.rates = {8000, 16000, 24000, 48000, 0},
	.rate = 16000,
	.on_open = on_open,
	.send_frame = send_frame,
	.binary = true,
	.on_message = on_message,
	.mark_done = mark_done,
};
