/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "bridge/drivers.h"
#include "bridge/ws_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ws_dialect *const dialects[] = {
	[WS_JAMBONZ] = &ws_jambonz,
	[WS_VONAGE] = &ws_vonage,
	[WS_TWILIO] = &ws_twilio,
};

static const struct ws_worker_opts defaults;

static const char *const framing_names[] = {"jambonz", "vonage", "twilio", NULL}; /* enum ws_framing */

static const struct option_row rows[] = {
	DIAL_URL_ROW(ws_worker_opts, .sample = "ws://127.0.0.1:8765/",),
	{.key = "framing", .type = OPTION_NAME, OPTION_AT(ws_worker_opts, framing), .names = framing_names,
		.help = "whose calls the worker was written for"},
	KEY_ROWS(ws_worker_opts),
};

static const struct bridge_options options = BRIDGE_OPTIONS(rows, defaults);

static const struct ws_worker_opts *own(const struct bridge_opts *o)
{
	return o->options ? o->options : &defaults;
}

/* ---- to the worker ---- */

struct buf *ws_begin(struct ws_worker *w)
{
	buf_consume(&w->out, w->out.len);
	return &w->out;
}

/* A worker that does not read loses the message; there is no way to let it know. */
void ws_end(struct ws_worker *w, int err)
{
	if (!w->ws)
		return;
	if (!err)
		err = websocket_send_text(w->ws, w->out.p, w->out.len);
	if (err && w->state == WS_WORKER_UP)
		log_debug(w->log, "a message for the worker is lost: %s", err_str(err));
}

static void count_dropped(struct ws_worker *w, size_t n)
{
	if (n && w->sink->dropped)
		w->sink->dropped(w->sink_ctx, n);
}

/* Frames that the kernel does not take wait where the oldest can still be dropped. All that it takes goes at once: a worker
 * that was slow for a moment must catch up. */
static void send_frames(struct ws_worker *w)
{
	const uint8_t *frame;

	while (w->state == WS_WORKER_UP && (frame = input_queue_front(&w->input)) && websocket_unsent(w->ws) == 0) {
		w->dialect->send_frame(w, frame, w->input.frame);
		input_queue_pop(&w->input);
	}
}

/* ---- marks ---- */

static void return_marks_before(struct ws_worker *w, uint64_t played, bool cleared)
{
	const char *text;
	size_t len;

	while ((text = marks_due(&w->marks, played, &len))) {
		w->dialect->mark_done(w, text, cleared);
		marks_pop(&w->marks);
	}
}

static void return_marks(struct ws_worker *w)
{
	return_marks_before(w, w->output.heard, false);
}

/* The speech before them is not played any more. */
static void clear_marks(struct ws_worker *w)
{
	return_marks_before(w, UINT64_MAX, true);
}

void ws_mark(struct ws_worker *w, const char *text, size_t len)
{
	if (marks_add(&w->marks, w->output.accepted, text, len))
		ws_warn_once(w, "a mark is too long, or too many are waiting");
}

void ws_clear(struct ws_worker *w)
{
	w->sink->flush(w->sink_ctx);
	bridge_output_flushed(&w->output);
	clear_marks(w);
}

/* ---- from the worker ---- */

void ws_warn_once(struct ws_worker *w, const char *what)
{
	if (!w->warned)
		log_warn(w->log, "the worker: %s (told once)", what);
	w->warned = true;
}

static void on_open(void *ctx, const char *subprotocol)
{
	struct ws_worker *w = ctx;

	w->state = WS_WORKER_UP;
	if (w->sink->up)
		w->sink->up(w->sink_ctx);
	log_info(w->log, "connected%s%s", *subprotocol ? " subprotocol=" : "", subprotocol);
	w->dialect->on_open(w);
}

static void on_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct ws_worker *w = ctx;

	if (w->state != WS_WORKER_UP)
		return;
	if (!text && w->dialect->binary) {
		bridge_output_send(&w->output, OUTPUT_PCM16, p, len);
		return;
	}
	yyjson_val *message = text ? json_read(&w->json, p, len) : NULL;

	if (yyjson_is_obj(message))
		w->dialect->on_message(w, message);
	else
		ws_warn_once(w, text ? "a text that is no JSON object" : "a binary message, which this framing does not have");
}

static void fail_worker(struct ws_worker *w, const char *why)
{
	w->state = WS_WORKER_FAILED;
	w->sink->failed(w->sink_ctx, why);
}

/* Until it is worth calling again, or as long as the server asked for: a request that is refused now will be refused in
 * a moment, too. */
static uint32_t pause_s(const struct websocket_end *end)
{
	bool passing = end->http_status == 0 || end->http_status == 408 || end->http_status == 429 || end->http_status >= 500;
	uint32_t s = passing ? 0 : WS_REFUSED_S;

	s = end->retry_after_s > s ? end->retry_after_s : s;
	return s < WS_PAUSE_MOST_S ? s : WS_PAUSE_MOST_S;
}

/* What a bot's own close sends, with and without a code. A server that goes away, or breaks, closes with others. */
static bool is_goodbye(const struct websocket_end *end)
{
	return end->err == ERR_OK && (end->close_code == 1000 || end->close_code == 1005);
}

static void on_end(void *ctx, const struct websocket_end *end)
{
	struct ws_worker *w = ctx;

	if (is_goodbye(end)) {
		w->state = WS_WORKER_FAILED;
		w->sink->left(w->sink_ctx, end->why);
		return;
	}
	if (w->sink->pause)
		w->sink->pause(w->sink_ctx, pause_s(end) * 1000);
	fail_worker(w, end->why);
}

static void free_worker(struct ws_worker *w)
{
	marks_fini(&w->marks);
	input_queue_fini(&w->input);
	json_fini(&w->json);
	buf_fini(&w->out);
	free(w);
}

static void on_closed(void *ctx)
{
	struct ws_worker *w = ctx;

	w->ws = NULL;
	if (w->state == WS_WORKER_CLOSED)
		free_worker(w);
}

static const struct websocket_events events = {on_open, on_message, on_end, on_closed};

void ws_leave(struct ws_worker *w)
{
	w->state = WS_WORKER_LEFT;
	websocket_close(w->ws, 1000, NULL);
	w->sink->left(w->sink_ctx, "it asked for the end of the call");
}

/* ---- the room's calls ---- */

static bool allows_rate(const struct ws_dialect *d, uint32_t rate_hz)
{
	for (size_t i = 0; d->rates[i]; i++)
		if (d->rates[i] == rate_hz)
			return true;
	return false;
}

static uint32_t websocket_rate(const struct bridge_opts *opts, uint32_t room_hz)
{
	const struct ws_dialect *d = dialects[own(opts)->framing];

	if (opts->rate_hz)
		return opts->rate_hz;
	return allows_rate(d, room_hz) ? room_hz : d->rate;
}

/* A fault of the key is a failure, not an error of opening: somebody may correct it at any time. */
static int connect_now(struct ws_worker *w)
{
	struct dial d = {.key = &w->opts->key};
	char why[DIAL_WHY];

	websocket_opts_default(&d.to);
	d.to.url = w->opts->url;
	d.to.subprotocols = w->dialect->subprotocols;
	d.to.tls = w->bridge->tls;
	d.to.max_message = WS_MESSAGE_MAX;
	d.to.max_queue = WS_CONTROL_MAX;
	d.to.read_per_turn = BRIDGE_READ_PER_TICK;
	d.to.stall_ms = w->bridge->stall_ms;
	d.to.kernel_buffer = (int)(w->rate_hz * 2 * WS_KERNEL_MS / 1000);
	int err = dial(&d, w->bridge->loop, &events, w, &w->ws, why);

	if (err != ERR_DENIED)
		return err;
	fail_worker(w, why);
	return 0;
}

static int websocket_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	const struct ws_dialect *dialect = dialects[own(opts)->framing];

	(void)frame_samples, (void)now;
	if (!opts->loop)
		return ERR_UNSUPPORTED;
	if (!allows_rate(dialect, rate_hz))
		return ERR_RANGE;
	struct ws_worker *w = calloc(1, sizeof *w);

	if (!w)
		return ERR_NOMEM;
	w->dialect = dialect;
	w->bridge = opts;
	w->opts = own(opts);
	w->sink = sink;
	w->sink_ctx = sink_ctx;
	w->log = log;
	w->rate_hz = rate_hz;
	bridge_output_init(&w->output, sink, sink_ctx, rate_hz, WS_SILENCE_MS);
	marks_init(&w->marks, WS_MARKS_MAX, WS_MARKS_MAX * (MARK_MAX + 16));
	buf_init(&w->out, WS_CONTROL_MAX);
	int err = input_queue_init(&w->input, rate_hz, WS_FRAME_MS, WS_WAIT_MS);

	if (!err)
		err = connect_now(w);
	if (err) {
		free_worker(w);
		return err;
	}
	*self = w;
	return 0;
}

/* Workers expect sound without a gap, silence too: their voice detection needs it. */
static bool websocket_audio(void *self, const struct bridge_input *h, nsec now)
{
	struct ws_worker *w = self;

	(void)now;
	if (w->state != WS_WORKER_UP)
		return w->state == WS_WORKER_CONNECTING; /* so that it is sent the mix from its first moment on */
	bridge_output_tick(&w->output, h);
	return_marks(w);
	count_dropped(w, input_queue_push(&w->input, h->pcm, h->n));
	send_frames(w);
	if (w->ws)
		websocket_read_on(w->ws);
	return true;
}

/* The room flushed what the worker said: as if the worker had. (Our own flushes are reported here, too.) The rest of
 * it, which the worker may still send, belongs to the same utterance, and the room drops it. */
static void websocket_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct ws_worker *w = self;

	(void)now;
	if (ev->kind == BRIDGE_MODE)
		bridge_output_flushed(&w->output); /* what it sends from now on is another utterance */
	if (ev->kind != BRIDGE_INTERRUPTED || w->state != WS_WORKER_UP || ev->utterance != w->output.utterance)
		return;
	clear_marks(w);
}

static void websocket_close_driver(void *self)
{
	struct ws_worker *w = self;

	bool closing = w->state == WS_WORKER_LEFT; /* the connection, already */

	if (w->state == WS_WORKER_UP && w->dialect->before_close)
		w->dialect->before_close(w);
	w->state = WS_WORKER_CLOSED;
	if (!w->ws)
		free_worker(w);
	else if (!closing)
		websocket_close(w->ws, 1000, NULL);
}

static bool websocket_check(const struct bridge_opts *opts, struct bridge_fault *f)
{
	static const char *const rates[] = {
		[WS_JAMBONZ] = "0, 8000, 16000, 24000 or 48000 with this framing",
		[WS_VONAGE] = "0, 8000, 16000 or 24000 with this framing",
		[WS_TWILIO] = "0 or 8000 with this framing",
	};
	const struct ws_worker_opts *o = own(opts);
	struct websocket_url url;

	if (websocket_url_parse(o->url, &url))
		return bridge_faulty(f, "url", "\"ws://HOST:PORT/PATH\" or \"wss://HOST/PATH\"");
	if (opts->rate_hz && !allows_rate(dialects[o->framing], opts->rate_hz))
		return bridge_faulty(f, "sample_rate", rates[o->framing]);
	return key_check(&o->key, url.secure || url.loopback, f);
}

static bool websocket_needs_tls(const struct bridge_opts *opts)
{
	return dial_needs_tls(own(opts)->url);
}

const struct bridge_ops bridge_websocket = {
	.type = "websocket",
	.catch_up = CATCH_UP_PAUSES,
	.tells_up = true,
	.rate = websocket_rate,
	.check = websocket_check,
	.needs_tls = websocket_needs_tls,
	.options = &options,
	.open = websocket_open,
	.audio = websocket_audio,
	.event = websocket_event,
	.close = websocket_close_driver,
	.barge_in = BARGE_IN_WORKER, /* workers have a voice detection of their own, and clear */
};
