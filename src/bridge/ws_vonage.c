/* SPDX-License-Identifier: MIT */
/*
 * Vonage Voice API: websocket:connected first, then 16-bit samples as binary messages of 20 ms both ways. The worker may
 * clear what waits, and ask to be notified when what it said so far was heard; its payload comes back as it was.
 */
#include "base/err.h"
#include "bridge/ws_worker.h"

#include <stdlib.h>
#include <string.h>

static void greet(struct ws_worker *w)
{
	ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"websocket:connected\",\"content-type\":\"audio/l16;rate=%u\"}", w->rate_hz));
}

static void hear(struct ws_worker *w, const uint8_t *pcm16, size_t n)
{
	websocket_send_binary(w->ws, pcm16, n * 2);
}

/* Who clears knows that what waited will not be heard. */
static void marked(struct ws_worker *w, const char *payload, bool cleared)
{
	if (!cleared)
		ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"websocket:notify\",\"payload\":%s}", payload));
}

static void note(struct ws_worker *w, yyjson_val *payload)
{
	size_t len = 0;
	char *json = payload ? yyjson_val_write(payload, 0, &len) : NULL;

	if (json)
		ws_mark(w, json, len);
	else
		ws_complain(w, "notify without a payload");
	free(json);
}

static void take(struct ws_worker *w, yyjson_val *message)
{
	const char *action = json_text(message, "action");

	if (!strcmp(action, "clear")) {
		ws_clear(w);
		ws_end(w, buf_printf(ws_begin(w), "{\"event\":\"websocket:cleared\"}"));
	} else if (!strcmp(action, "notify")) {
		note(w, json_get(message, "payload"));
	} else {
		log_debug(w->log, "the worker says something else");
	}
}

const struct ws_dialect ws_vonage = {
	.rates = {8000, 16000, 24000, 0},
	.rate = 16000,
	.greet = greet,
	.hear = hear,
	.binary = true,
	.take = take,
	.marked = marked,
};
