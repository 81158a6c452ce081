/* SPDX-License-Identifier: MIT */
/* Any texts, one a line, from a provider of the OpenAI dialect, and from a worker in each WebSocket framing. The room
 * takes a little, and interrupts now and then. */
#include "base/err.h"
#include "bridge/openai.h"
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
	assert(*text && strlen(text) < AI_TURN_BYTES);
}

static const struct bridge_sink sink = {.audio = on_audio, .flush = on_flush, .message = on_text, .transcript = on_transcript,
	.failed = on_text};

static void provider_says(const struct bridge_opts *opts, const uint8_t *data, size_t size)
{
	static struct openai a;
	static const struct log quiet;
	size_t left = 5000, bytes = 0;

	memset(&a, 0, sizeof a);
	a.opts = opts;
	a.profile = ai_profile(opts->profile);
	a.sink = &sink;
	a.sink_ctx = &left;
	a.log = &quiet;
	a.speaker.id = 7;
	a.state = AI_SETTING_UP;
	voice_init(&a.voice, &sink, &left, AI_RATE_HZ);
	buf_init(&a.out, AI_QUEUE_MAX);
	assert(ear_init(&a.ear, AI_RATE_HZ, AI_FRAME_MS, AI_WAIT_MS) == 0);
	uv_timer_init(opts->loop, &a.timer);
	a.timer.data = &a;
	for (const uint8_t *p = data, *end = data + size, *next; p < end; p = next + 1) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next : end;
		yyjson_val *event = json_read(&a.json, p, (size_t)(next - p));

		if (yyjson_is_obj(event))
			ai_take(&a, event);
		else if (next > p)
			ai_interrupted(&a, a.voice.item > p[0] ? a.voice.item - p[0] % 4u : 1, p[0]);
		if (a.state != AI_READY && a.state != AI_SETTING_UP) /* it made us hang up: as if the next connection had come */
			a.state = AI_SETTING_UP;
	}
	assert(a.n_items <= AI_ITEMS && a.n_history <= AI_HISTORY);
	for (size_t i = 0; i < a.n_history; i++)
		bytes += strlen(a.history[i].text);
	assert(bytes == a.history_bytes && bytes <= AI_HISTORY_BYTES);
	ai_forget_history(&a);
	json_fini(&a.json);
	buf_fini(&a.out);
	ear_fini(&a.ear);
	uv_close((uv_handle_t *)&a.timer, NULL);
	uv_run(opts->loop, UV_RUN_NOWAIT);
}

static void worker_says(const struct ws_dialect *dialect, const struct bridge_opts *opts, const uint8_t *data, size_t size)
{
	static struct ws_worker w;
	static const struct log quiet;
	size_t left = 5000;

	memset(&w, 0, sizeof w);
	w.dialect = dialect;
	w.opts = opts;
	w.sink = &sink;
	w.sink_ctx = &left;
	w.log = &quiet;
	w.rate_hz = 8000;
	w.state = WORKER_TALKS;
	voice_init(&w.voice, &sink, &left, 8000);
	buf_init(&w.out, WS_CONTROL_MAX);
	for (const uint8_t *p = data, *end = data + size, *next; p < end && w.state == WORKER_TALKS; p = next + 1) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next : end;
		yyjson_val *message = json_read(&w.json, p, (size_t)(next - p));

		if (yyjson_is_obj(message) && !json_is(message, "type", "disconnect"))
			dialect->take(&w, message);
		assert(w.n_marks <= WS_MARKS_MAX);
	}
	for (size_t i = 0; i < w.n_marks; i++)
		free(w.marks[i].text);
	json_fini(&w.json);
	buf_fini(&w.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bridge_opts opts;
	uv_loop_t loop;

	if (size == 0)
		return 0;
	bridge_opts_default(&opts);
	uv_loop_init(&loop);
	opts.loop = &loop;
	opts.profile = (enum bridge_profile)(data[0] % 6);
	provider_says(&opts, data + 1, size - 1);
	worker_says(&ws_jambonz, &opts, data + 1, size - 1);
	worker_says(&ws_vonage, &opts, data + 1, size - 1);
	worker_says(&ws_twilio, &opts, data + 1, size - 1);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert(uv_loop_close(&loop) == 0);
	return 0;
}
