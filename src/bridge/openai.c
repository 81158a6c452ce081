/* SPDX-License-Identifier: MIT */
#include "bridge/openai.h"

#include "base/err.h"
#include "bridge/ai_events.h"
#include "bridge/drivers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INSTRUCTIONS_MAX = 65536 };

/* ---- life ---- */

static const struct openai_opts *own(const struct bridge_opts *o)
{
	return o->options ? o->options : &openai_defaults;
}

/* The file, else the text. Published only if there is something. */
static int find_instructions(const struct openai_opts *opts, char **out)
{
	if (!opts->instructions_file[0]) {
		*out = opts->instructions[0] ? strdup(opts->instructions) : NULL;
		return opts->instructions[0] && !*out ? ERR_NOMEM : 0;
	}
	int fd = open(opts->instructions_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = calloc(1, INSTRUCTIONS_MAX + 1);
	ssize_t n = fd >= 0 && text ? read(fd, text, INSTRUCTIONS_MAX) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return text ? ERR_IO : ERR_NOMEM;
	}
	*out = text;
	return 0;
}

static void on_event(void *ctx, yyjson_val *event)
{
	ai_events_handle(ctx, event);
}

/* The next session knows nothing of what happens in this one. */
static void on_session_ended(void *ctx)
{
	struct openai *a = ctx;

	ai_calls_session_ended(&a->calls);
	ai_response_session_ended(&a->response);
	ai_turn_session_ended(&a->turn);
	ai_people_session_ended(&a->people);
}

static void on_closed(void *ctx)
{
	openai_fini(ctx);
	free(ctx);
}

static const struct ai_conn_events conn_events = {on_event, on_session_ended, on_closed};

int openai_init(struct openai *a, const struct bridge_opts *opts, const struct bridge_sink *sink, void *sink_ctx,
	const struct log *log)
{
	const struct openai_opts *o = own(opts);

	*a = (struct openai){.cx = {opts, o, ai_profile(o->profile), sink, sink_ctx, log, NULL}};
	int err = find_instructions(o, &a->instructions);

	if (err)
		return err;
	a->cx.instructions = a->instructions;
	ai_out_init(&a->out, &a->cx, &ai_conn_transport, &a->conn);
	a->people = (struct ai_people){.cx = &a->cx, .out = &a->out};
	err = ai_turn_init(&a->turn, &a->cx, &a->out, &a->people, &a->history);
	if (err)
		goto fail;
	ai_response_init(&a->response, &a->cx, &a->out, &a->turn, &a->history);
	err = ai_calls_init(&a->calls, &a->cx, &a->out, &a->response);
	if (err)
		goto fail;
	ai_conn_init(&a->conn, &a->cx, &a->out, &conn_events, a);
	return 0;

fail:
	openai_fini(a);
	return err;
}

void openai_fini(struct openai *a)
{
	ai_history_clear(&a->history);
	ai_turn_fini(&a->turn);
	ai_out_fini(&a->out);
	free(a->instructions);
	a->instructions = NULL;
}

static int openai_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	(void)frame_samples, (void)now;
	if (!opts->loop)
		return ERR_UNSUPPORTED;
	if (rate_hz != AI_RATE_HZ)
		return ERR_RANGE;
	struct openai *a = calloc(1, sizeof *a);

	if (!a)
		return ERR_NOMEM;
	int err = openai_init(a, opts, sink, sink_ctx, log);

	if (err) {
		if (err == ERR_IO)
			log_error(log, "the instructions cannot be read from %.80s", own(opts)->instructions_file);
		free(a);
		return err;
	}
	ai_conn_dial(&a->conn);
	*self = a;
	return 0;
}

static void openai_close(void *self)
{
	struct openai *a = self;

	ai_calls_fini(&a->calls);
	ai_conn_close(&a->conn);
}

/* History, people and requests that are due are kept. */
static void openai_resume(void *self, nsec now)
{
	struct openai *a = self;

	(void)now;
	ai_conn_dial(&a->conn);
}

/* ---- ticks ---- */

/* With the room's detection a turn that begins interrupts the model, and one that ends is to be answered. */
static void hear(struct openai *a, const struct bridge_input *h)
{
	switch (ai_turn_hear(&a->turn, h)) {
	case AI_TURN_BEGAN:
		ai_response_stop(&a->response, true);
		a->cx.sink->flush(a->cx.sink_ctx);
		break;
	case AI_TURN_COMMITTED:
		ai_response_want_answer(&a->response);
		break;
	case AI_TURN_SAME:
		break;
	}
	ai_turn_send(&a->turn);
}

static bool is_quiet(const struct openai *a)
{
	return ai_response_is_quiet(&a->response) && !a->turn.speech && !ai_calls_running(&a->calls);
}

/* Ticks are wanted before the session is ready, so that it hears from its first moment on. */
static bool openai_audio(void *self, const struct bridge_input *h, nsec now)
{
	struct openai *a = self;
	uint64_t now_ms = uv_now(a->cx.bridge->loop);

	(void)now;
	bridge_output_tick(&a->response.output, h);
	if (a->calls.tools)
		tools_tick(a->calls.tools);
	ai_people_label(&a->people, now_ms); /* before what is said is committed */
	hear(a, h);
	ai_turn_expire(&a->turn, now_ms);
	if (a->response.results_due)
		ai_response_request_due(&a->response);
	if (a->out.ready && a->conn.renew_due && is_quiet(a))
		ai_conn_end(&a->conn, AI_TROUBLE_PLANNED, "");
	return true;
}

/* ---- events of the room ---- */

static bool is_for_model(const struct openai *a, const struct bridge_event *ev)
{
	switch (a->cx.opts->messages) {
	case BRIDGE_MESSAGES_NONE: return false;
	case BRIDGE_MESSAGES_ALL: return true;
	case BRIDGE_MESSAGES_DIRECT: break;
	}
	return ev->direct || a->people.n < 2;
}

static void handle_message(struct openai *a, const struct bridge_event *ev)
{
	struct ai_person who = {.id = ev->participant};
	char text[AI_ATTRIBUTED_MAX];

	if (!is_for_model(a, ev))
		return;
	snprintf(who.name, sizeof who.name, "%s", ev->name);
	ai_people_attribute(&a->people, &who, ev->text, text);
	ai_history_add(&a->history, AI_USER, 0, text);
	ai_out_text(&a->out, AI_USER, text);
	ai_response_want_answer(&a->response);
}

static void openai_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct openai *a = self;

	(void)now;
	switch (ev->kind) {
	case BRIDGE_JOINED:
		ai_people_joined(&a->people, ev->participant, ev->name);
		break;
	case BRIDGE_LEFT:
		ai_people_left(&a->people, ev->participant);
		break;
	case BRIDGE_SPEAKING:
		ai_people_spoke(&a->people, ev->participant, ev->name, ev->speaking);
		break;
	case BRIDGE_MESSAGE:
		handle_message(a, ev);
		break;
	case BRIDGE_INTERRUPTED:
		ai_response_interrupted(&a->response, ev->utterance, ev->heard_ms);
		break;
	case BRIDGE_MODE:
		ai_response_set_mode(&a->response, ev->mode);
		break;
	}
}

/* ---- options ---- */

static uint32_t openai_rate(const struct bridge_opts *opts, uint32_t room_hz)
{
	(void)opts, (void)room_hz;
	return AI_RATE_HZ;
}

static const char *url_of(const struct openai_opts *o)
{
	return o->url[0] ? o->url : ai_profile(o->profile)->url;
}

static bool openai_check(const struct bridge_opts *opts, struct bridge_fault *f)
{
	const struct openai_opts *o = own(opts);
	const char *text = url_of(o);
	struct websocket_url url;

	if (!text)
		return bridge_faulty(f, "url", "\"wss://HOST/PATH\": this profile has none of its own");
	if (websocket_url_parse(text, &url))
		return bridge_faulty(f, "url", "\"wss://HOST/PATH\" or \"ws://HOST:PORT/PATH\"");
	if (opts->rate_hz && opts->rate_hz != AI_RATE_HZ)
		return bridge_faulty(f, "sample_rate", "0 or 24000");
	if (!o->model[0] && (o->profile == BRIDGE_OPENAI || o->profile == BRIDGE_AZURE) && !strstr(text, "model="))
		return bridge_faulty(f, "model", "the name of a model, such as the provider's list has");
	return key_check(&o->key, url.secure || url.loopback, f);
}

static bool openai_needs_tls(const struct bridge_opts *opts)
{
	const char *url = url_of(own(opts));

	return url && dial_needs_tls(url);
}

const struct bridge_ops bridge_openai = {
	.type = "openai",
	.tells_up = true,
	.rate = openai_rate,
	.check = openai_check,
	.needs_tls = openai_needs_tls,
	.options = &openai_options,
	.has_tools = true,
	.open = openai_open,
	.audio = openai_audio,
	.event = openai_event,
	.close = openai_close,
	.resume = openai_resume,
	.barge_in = BARGE_IN_WORKER, /* who finds turns is configured, and flushes */
};
