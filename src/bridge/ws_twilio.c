/* SPDX-License-Identifier: MIT */
/*
 * Twilio Media Streams, bidirectional: JSON only, the sound in it as base64 of mu-law at 8 kHz. Numbers that count are
 * strings there. Workers recognise Twilio by start.streamSid and start.callSid.
 */
#include "audio/g711.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/random.h"
#include "bridge/ws_worker.h"

#include <stdio.h>
#include <string.h>

static const char account_sid[] = "AC00000000000000000000000000000000";

/* Two letters and 32 hexadecimal digits. */
static void make_sid(const char *kind, char out[35])
{
	uint8_t r[16];

	random_bytes(r, sizeof r);
	snprintf(out, 35, "%s", kind);
	for (size_t i = 0; i < sizeof r; i++)
		snprintf(out + 2 + 2 * i, 3, "%02x", r[i]);
}

/* The beginning that all but the first have. */
static int write_head(struct ws_worker *w, struct buf *b, const char *event)
{
	w->sequence++;
	return buf_printf(b, "{\"event\":\"%s\",\"sequenceNumber\":\"%llu\",\"streamSid\":\"%s\",", event,
		(unsigned long long)w->sequence, w->stream_sid);
}

static void on_open(struct ws_worker *w)
{
	make_sid("MZ", w->stream_sid);
	make_sid("CA", w->call_sid);
	ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}"));
	struct buf *b = ws_begin(w);
	int err = write_head(w, b, "start");

	if (!err)
		err = buf_printf(b,
			"\"start\":{\"accountSid\":\"%s\",\"streamSid\":\"%s\",\"callSid\":\"%s\",\"tracks\":[\"inbound\"],"
			"\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1},\"customParameters\":{}}}",
			account_sid, w->stream_sid, w->call_sid);
	ws_end(w, err);
}

static void send_frame(struct ws_worker *w, const uint8_t *pcm16, size_t n)
{
	enum { MOST = 8000 * WS_FRAME_MS / 1000 };
	int16_t pcm[MOST];
	uint8_t ulaw[MOST];
	char text[(MOST + 2) / 3 * 4];
	struct buf *b = ws_begin(w);
	int err = write_head(w, b, "media");

	for (size_t i = 0; i < n; i++)
		pcm[i] = (int16_t)(pcm16[2 * i] | pcm16[2 * i + 1] << 8);
	ulaw_encode(ulaw, pcm, n);
	base64_encode(text, ulaw, n);
	if (!err)
		err = buf_printf(b, "\"media\":{\"track\":\"inbound\",\"chunk\":\"%llu\",\"timestamp\":\"%llu\",\"payload\":\"%.*s\"}}",
			(unsigned long long)w->chunk + 1, (unsigned long long)w->chunk * WS_FRAME_MS, (int)base64_len(n), text);
	w->chunk++;
	ws_end(w, err);
}

/* Marks of what was cleared come back, too. */
static void mark_done(struct ws_worker *w, const char *name, bool cleared)
{
	struct buf *b = ws_begin(w);
	int err = write_head(w, b, "mark");

	(void)cleared;
	if (!err)
		err = buf_printf(b, "\"mark\":{\"name\":");
	if (!err)
		err = json_quote(b, name, strlen(name));
	ws_end(w, err ? err : buf_printf(b, "}}"));
}

static void on_message(struct ws_worker *w, yyjson_val *message)
{
	const char *event = json_text(message, "event");

	if (!strcmp(event, "media")) {
		const char *payload = json_text(json_get(message, "media"), "payload");

		if (bridge_output_send_base64(&w->output, OUTPUT_ULAW, payload, strlen(payload)) < 0)
			ws_warn_once(w, "media.payload is not base64");
	} else if (!strcmp(event, "mark")) {
		const char *name = json_text(json_get(message, "mark"), "name");

		ws_mark(w, name, strlen(name));
	} else if (!strcmp(event, "clear")) {
		ws_clear(w);
	} else {
		log_debug(w->log, "the worker says something else");
	}
}

static void before_close(struct ws_worker *w)
{
	struct buf *b = ws_begin(w);
	int err = write_head(w, b, "stop");

	if (!err)
		err = buf_printf(b, "\"stop\":{\"accountSid\":\"%s\",\"callSid\":\"%s\"}}", account_sid, w->call_sid);
	ws_end(w, err);
}

const struct ws_dialect ws_twilio = {
	.rates = {8000, 0},
	.rate = 8000,
	.on_open = on_open,
	.send_frame = send_frame,
	.on_message = on_message,
	.mark_done = mark_done,
	.before_close = before_close,
};
