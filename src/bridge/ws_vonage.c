/* SPDX-License-Identifier: MIT */
/*
 * Vonage Voice API: websocket:connected first, then 16-bit samples as binary messages of 20 ms both ways. The worker may
 * clear what waits, and ask to be notified when its speech so far was played; its payload comes back unchanged.
 */
#include "base/err.h"
#include "bridge/ws_worker.h"

#include <stdlib.h>
#include <string.h>

static void on_open(struct ws_worker *w)
{
	ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"websocket:connected\",\"content-type\":\"audio/l16;rate=%u\"}", w->rate_hz));
}

static void send_frame(struct ws_worker *w, const uint8_t *pcm16, size_t n)
{
	websocket_send_binary(w->ws, pcm16, n * 2);
}

/* A worker that clears knows that the rest is not played. */
static void mark_done(struct ws_worker *w, const char *payload, bool cleared)
{
	if (!cleared)
		ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"websocket:notify\",\"payload\":%s}", payload));
}

static void on_notify(struct ws_worker *w, yyjson_val *payload)
{
	size_t len = 0;
	char *json = payload ? yyjson_val_write(payload, 0, &len) : NULL;

	if (json)
		ws_mark(w, json, len);
	else
		ws_warn_once(w, "notify without a payload");
	free(json);
}

static void on_message(struct ws_worker *w, yyjson_val *message)
{
	const char *action = json_text(message, "action");

	if (!strcmp(action, "clear")) {
		ws_clear(w);
		ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"websocket:cleared\"}"));
	} else if (!strcmp(action, "notify")) {
		on_notify(w, json_get(message, "payload"));
	} else {
		log_debug(w->log, "the worker says something else");
	}
}

const struct ws_dialect ws_vonage = {
	.rates = {8000, 16000, 24000, 0},
	.rate = 16000,
	.on_open = on_open,
	.send_frame = send_frame,
	.binary = true,
	.on_message = on_message,
	.mark_done = mark_done,
};
