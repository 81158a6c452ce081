/* SPDX-License-Identifier: MIT */
/* Any texts, one a line, from a provider of the OpenAI dialect, and from a worker in each WebSocket framing. The room's backlog
 * is short, and it interrupts now and then. */
#include "base/err.h"
#include "bridge/ai_events.h"
#include "bridge/ws_worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_audio(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	size_t *left = ctx;

	assert(item > 0 && pcm && n > 0);
	if (n > *left)
		return ERR_LIMIT;
	*left -= n;
	return 0;
}

static void on_flush(void *ctx)
{
	*(size_t *)ctx = 5000;
}

static void on_text(void *ctx, const char *text)
{
	(void)ctx;
	assert(text);
}

static void on_transcript(void *ctx, uint32_t participant, const char *text, bool final)
{
	(void)ctx, (void)participant, (void)final;
	assert(*text && strlen(text) < AI_TEXT_MAX);
}

static const struct bridge_sink sink = {.audio = on_audio, .flush = on_flush, .message = on_text, .transcript = on_transcript,
	.failed = on_text};

static void check_history(const struct ai_history *h)
{
	size_t bytes = 0;

	assert(h->n <= AI_HISTORY_TURNS);
	for (size_t i = 0; i < h->n; i++)
		bytes += strlen(h->turns[i].text);
	assert(bytes == h->bytes && bytes <= AI_HISTORY_BYTES);
}

static void on_line(struct openai *a, const uint8_t *p, size_t len)
{
	yyjson_val *event = json_read(&a->conn.json, p, len);
	uint64_t last = a->response.output.utterance;

	if (yyjson_is_obj(event))
		ai_events_handle(a, event);
	else if (len)
		ai_response_interrupted(&a->response, last > p[0] ? last - p[0] % 4u : 1, p[0]);
	if (a->conn.state != AI_CONN_READY && a->conn.state != AI_CONN_SETTING_UP) /* it made us hang up: the next one is connected */
		a->conn.state = AI_CONN_SETTING_UP;
}

static void on_closed(void *ctx)
{
	(void)ctx;
}

static const struct ai_conn_events closes_only = {.on_closed = on_closed};

/* There is no WebSocket: what is sent goes nowhere. */
static void provider_sends(const struct bridge_opts *opts, const uint8_t *data, size_t size)
{
	static struct openai a;
	static const struct log quiet;
	size_t left = 5000;

	assert(openai_init(&a, opts, &sink, &left, &quiet) == 0);
	a.people.last.id = 7;
	a.conn.state = AI_CONN_SETTING_UP;
	for (const uint8_t *p = data, *end = data + size, *next; p < end; p = next + 1) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next : end;
		on_line(&a, p, (size_t)(next - p));
	}
	assert(a.response.n_utterances <= AI_UTTERANCES && a.calls.n <= AI_CALLS);
	check_history(&a.history);
	a.conn.events = &closes_only;
	ai_conn_close(&a.conn);
	uv_run(opts->loop, UV_RUN_NOWAIT);
	openai_fini(&a);
}

static void worker_says(const struct ws_dialect *dialect, const struct bridge_opts *opts, const uint8_t *data, size_t size)
{
	static struct ws_worker w;
	static const struct log quiet;
	size_t left = 5000;

	memset(&w, 0, sizeof w);
	w.dialect = dialect;
	w.bridge = opts;
	w.sink = &sink;
	w.sink_ctx = &left;
	w.log = &quiet;
	w.rate_hz = 8000;
	w.state = WS_WORKER_UP;
	bridge_output_init(&w.output, &sink, &left, 8000, WS_SILENCE_MS);
	marks_init(&w.marks, WS_MARKS_MAX, WS_MARKS_MAX * (MARK_MAX + 16));
	buf_init(&w.out, WS_CONTROL_MAX);
	for (const uint8_t *p = data, *end = data + size, *next; p < end && w.state == WS_WORKER_UP; p = next + 1) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next : end;
		yyjson_val *message = json_read(&w.json, p, (size_t)(next - p));

		if (yyjson_is_obj(message) && !json_is(message, "type", "disconnect"))
			dialect->on_message(&w, message);
		assert(w.marks.n <= WS_MARKS_MAX);
	}
	marks_fini(&w.marks);
	json_fini(&w.json);
	buf_fini(&w.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bridge_opts opts;
	static struct openai_opts model;
	uv_loop_t loop;

	if (size == 0)
		return 0;
	bridge_opts_default(&opts);
	model = openai_defaults;
	uv_loop_init(&loop);
	opts.loop = &loop;
	model.profile = (enum bridge_profile)(data[0] % 6);
	opts.options = &model;
	provider_sends(&opts, data + 1, size - 1);
	worker_says(&ws_jambonz, &opts, data + 1, size - 1);
	worker_says(&ws_vonage, &opts, data + 1, size - 1);
	worker_says(&ws_twilio, &opts, data + 1, size - 1);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert(uv_loop_close(&loop) == 0);
	return 0;
}
