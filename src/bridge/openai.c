/* SPDX-License-Identifier: MIT */
#include "bridge/openai.h"

#include "base/backoff.h"
#include "base/err.h"
#include "bridge/dial.h"
#include "bridge/drivers.h"
#include "bridge/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { PAUSE_FIRST_MS = 500, PAUSE_MOST_MS = 30000, WORKED_MS = 10000, BUSY_MOST_S = 600 };

/* Who was refused is not helped by asking often: three times more. */
static const uint32_t refused_pause_s[] = {60, 300, 900};

static void connect_now(struct openai *a);
static void lost(struct openai *a, enum ai_trouble t, const char *why);

/* ---- the end ---- */

static void free_if_idle(struct openai *a)
{
	if (!a->timer_closed || a->n_closing)
		return;
	ai_forget_history(a);
	ear_fini(&a->ear);
	json_fini(&a->json);
	buf_fini(&a->out);
	free(a->instructions);
	free(a);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct openai *a = h->data;

	a->timer_closed = true;
	free_if_idle(a);
}

static void on_closed(void *ctx)
{
	struct openai *a = ctx;

	a->n_closing--;
	free_if_idle(a);
}

static void drop_connection(struct openai *a)
{
	struct websocket *ws = a->ws;

	if (!ws)
		return;
	a->ws = NULL;
	a->n_closing++;
	websocket_close(ws, 1000, NULL);
}

/* ---- trouble ---- */

static uint64_t next_backoff_ms(const struct openai *a)
{
	uint32_t chance = 0;

	(void)!getrandom(&chance, sizeof chance, 0);
	return backoff_ms(PAUSE_FIRST_MS, PAUSE_MOST_MS, a->failures, chance);
}

/* 0: no more. */
static uint64_t pause_ms(const struct openai *a, enum ai_trouble t)
{
	uint64_t busy_ms = (a->retry_after_s < BUSY_MOST_S ? a->retry_after_s : BUSY_MOST_S) * UINT64_C(1000);
	uint64_t ms = next_backoff_ms(a);

	if (t == AI_PLANNED)
		return 1;
	if (t == AI_REFUSED)
		return a->refusals <= 3 ? refused_pause_s[a->refusals - 1] * UINT64_C(1000) : 0;
	return busy_ms > ms ? busy_ms : ms;
}

static void on_pause_over(uv_timer_t *t)
{
	connect_now(t->data);
}

static void tell_down(struct openai *a, const char *why)
{
	if (a->sink->up && !a->told_down)
		a->sink->up(a->sink_ctx, false, why);
	a->told_down = true;
}

static void give_up(struct openai *a, const char *why)
{
	a->state = AI_GIVEN_UP;
	uv_timer_stop(&a->timer);
	log_error(a->log, "given up: %s", why);
}

static void rest(struct openai *a, enum ai_trouble t, const char *why)
{
	char quoted[200];
	uint64_t ms = pause_ms(a, t);

	a->retry_after_s = 0;
	if (t != AI_PLANNED)
		tell_down(a, why);
	if (ms == 0) {
		give_up(a, why);
		return;
	}
	if (t == AI_PLANNED)
		log_info(a->log, "the session is over, the next one begins");
	else
		log_warn(a->log, "no connection why=%s retry_ms=%llu", log_quoted(why, quoted, sizeof quoted), (unsigned long long)ms);
	a->state = AI_RESTS;
	uv_timer_start(&a->timer, on_pause_over, ms, 0);
}

static void lost(struct openai *a, enum ai_trouble t, const char *why)
{
	bool was_ready = a->state == AI_READY, worked = was_ready && uv_now(a->opts->loop) - a->ready_at_ms >= WORKED_MS;

	drop_connection(a);
	if (a->closed)
		return;
	ai_forget_talk(a);
	if (worked)
		a->failures = a->refusals = 0;
	if (t == AI_PLANNED && !worked) /* at its age: it would go on like that */
		t = AI_PASSING;
	a->failures += t != AI_PLANNED;
	a->refusals += t == AI_REFUSED;
	a->trouble = AI_PASSING;
	rest(a, t, why);
}

void ai_trouble(struct openai *a, enum ai_trouble t, const char *why)
{
	a->trouble = t;
	snprintf(a->why, sizeof a->why, "%s", why);
}

void ai_hang_up(struct openai *a)
{
	lost(a, a->trouble, a->why);
}

static enum ai_trouble judge_end(const struct websocket_end *end)
{
	switch (end->http_status) {
	case 0:
		return end->err == ERR_TLS ? AI_REFUSED : AI_PASSING;
	case 429:
		return strstr(end->body, "insufficient_quota") ? AI_REFUSED : AI_BUSY;
	case 408:
		return AI_PASSING;
	default:
		return end->http_status < 500 ? AI_REFUSED : AI_BUSY;
	}
}

static void say_end(const struct websocket_end *end, char *why, size_t size)
{
	const char *what = end->http_status == 401 || end->http_status == 403 ? ": the key is refused" :
		end->http_status == 404 ? ": no such model or path" :
		end->http_status == 429 && judge_end(end) == AI_REFUSED ? ": the quota is used up" : "";

	snprintf(why, size, "%s%s", end->why, what);
}

static void on_end(void *ctx, const struct websocket_end *end)
{
	struct openai *a = ctx;
	enum ai_trouble t = a->trouble != AI_PASSING ? a->trouble : judge_end(end);
	char why[WEBSOCKET_WHY + 40];

	say_end(end, why, sizeof why);
	if (end->retry_after_s)
		a->retry_after_s = end->retry_after_s;
	lost(a, t, a->trouble != AI_PASSING ? a->why : why);
}

/* ---- a session ---- */

static uint64_t session_ms(const struct openai *a)
{
	uint32_t s = a->opts->session_max_s < a->profile->session_max_s ? a->opts->session_max_s : a->profile->session_max_s;

	return s * UINT64_C(1000);
}

static void roll_over(struct openai *a)
{
	lost(a, AI_PLANNED, "");
}

static void on_patience_over(uv_timer_t *t)
{
	roll_over(t->data);
}

static void on_age(uv_timer_t *t)
{
	struct openai *a = t->data;

	a->roll_due = true; /* by the next quiet tick */
	uv_timer_start(t, on_patience_over, AI_ROLL_GRACE_MS, 0);
}

static void on_setup_timer(uv_timer_t *t)
{
	lost(t->data, AI_PASSING, "the provider does not answer session.update");
}

static void on_open(void *ctx, const char *subprotocol)
{
	struct openai *a = ctx;

	(void)subprotocol;
	a->state = AI_SETTING_UP;
	uv_timer_start(&a->timer, on_setup_timer, AI_SETUP_MS, 0); /* session.created comes first, unasked */
}

void ai_ready(struct openai *a)
{
	a->state = AI_READY;
	a->ready_at_ms = uv_now(a->opts->loop);
	a->roll_due = false;
	ear_clear(&a->ear);
	uv_timer_start(&a->timer, on_age, session_ms(a), 0);
	log_info(a->log, "the model listens%s%s", a->opts->model[0] ? " model=" : "", a->opts->model);
	if (a->sink->up)
		a->sink->up(a->sink_ctx, true, "");
	a->told_down = false;
	if (a->may_answer != (a->mode == BRIDGE_ACTIVE)) /* it has changed since session.update */
		ai_send_turn_detection(a);
	ai_replay(a);
	ai_tell_lost_calls(a);
	a->greeting_due = a->opts->greeting[0] && !a->greeted && a->mode == BRIDGE_ACTIVE;
	a->greeted = true;
	if (a->greeting_due || a->create_due)
		ai_want_response(a);
}

static void on_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct openai *a = ctx;
	yyjson_val *event = json_read(&a->json, p, len); /* some servers send it as binary */

	(void)text;
	if (yyjson_is_obj(event))
		ai_take(a, event);
	else
		log_warn(a->log, "the provider says something that is no JSON object");
}

static const struct websocket_events events = {on_open, on_message, on_end, on_closed};

/* ---- connecting ---- */

static bool unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c);
}

/* The configured address, with the model where it is not in it already. */
static void make_url(const struct openai *a, char *out, size_t size)
{
	const char *url = a->opts->url[0] ? a->opts->url : a->profile->url;
	size_t n = (size_t)snprintf(out, size, "%s", url ? url : "");

	if (!a->opts->model[0] || strstr(out, "model="))
		return;
	n += (size_t)snprintf(out + n, size - n, "%cmodel=", strchr(out, '?') ? '&' : '?');
	for (const char *m = a->opts->model; *m && n + 4 < size; m++)
		n += (size_t)snprintf(out + n, size - n, unreserved(*m) ? "%c" : "%%%02X", (unsigned char)*m);
}

/* The usual variable need not be there for a server of one's own. */
static int connect_to(struct openai *a, const char *url, char why[DIAL_WHY])
{
	struct dial d = {
		.key = &a->opts->key,
		.usual_env = a->profile->key_env,
		.usual_is_optional = a->opts->url[0] != '\0',
		.key_header = a->profile->key_header,
	};

	websocket_opts_default(&d.to);
	d.to.url = url;
	d.to.tls = a->opts->tls;
	d.to.max_message = AI_MESSAGE_MAX;
	d.to.max_queue = AI_QUEUE_MAX;
	d.to.kernel_buffer = AI_KERNEL_BYTES;
	return dial(&d, a->opts->loop, &events, a, &a->ws, why);
}

static void connect_now(struct openai *a)
{
	char url[BRIDGE_TEXT_MAX + 512], why[DIAL_WHY];

	make_url(a, url, sizeof url);
	a->state = AI_CONNECTING;
	int err = connect_to(a, url, why);

	if (err)
		lost(a, err == ERR_DENIED || err == ERR_RANGE ? AI_REFUSED : AI_PASSING, why);
}

/* ---- the room's calls ---- */

/* The file, else the text. Published only if there is something. */
static int find_instructions(const struct bridge_opts *opts, char **out)
{
	if (!opts->instructions_file[0]) {
		*out = opts->instructions[0] ? strdup(opts->instructions) : NULL;
		return opts->instructions[0] && !*out ? ERR_NOMEM : 0;
	}
	int fd = open(opts->instructions_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = calloc(1, AI_INSTRUCTIONS_MAX + 1);
	ssize_t n = fd >= 0 && text ? read(fd, text, AI_INSTRUCTIONS_MAX) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return text ? ERR_IO : ERR_NOMEM;
	}
	*out = text;
	return 0;
}

static uint32_t openai_rate(const struct bridge_opts *opts, uint32_t room_hz)
{
	(void)opts, (void)room_hz;
	return AI_RATE_HZ;
}

static void init(struct openai *a, const struct bridge_opts *opts, const struct bridge_sink *sink, void *sink_ctx,
	const struct log *log)
{
	a->opts = opts;
	a->profile = ai_profile(opts->profile);
	a->sink = sink;
	a->sink_ctx = sink_ctx;
	a->log = log;
	voice_init(&a->voice, sink, sink_ctx, AI_RATE_HZ);
	buf_init(&a->out, AI_QUEUE_MAX);
}

static int open_tools(struct openai *a)
{
	const struct tools_opts o = {
		.bridge = a->opts,
		.room = a->sink->room ? a->sink->room(a->sink_ctx) : NULL,
		.log = a->log,
		.answer = ai_on_tool,
		.ctx = a,
	};

	return tools_new(&o, &a->tools);
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
	init(a, opts, sink, sink_ctx, log);
	int err = ear_init(&a->ear, AI_RATE_HZ, AI_FRAME_MS, opts->turn_detection == BRIDGE_ROOM_VAD ? AI_LEAD_MS : AI_WAIT_MS);

	if (!err)
		err = find_instructions(opts, &a->instructions);
	if (!err && opts->n_tools)
		err = open_tools(a);
	if (err) {
		if (err == ERR_IO)
			log_error(log, "the instructions cannot be read from %.80s", opts->instructions_file);
		a->timer_closed = true;
		free_if_idle(a);
		return err;
	}
	uv_timer_init(opts->loop, &a->timer);
	a->timer.data = a;
	connect_now(a);
	*self = a;
	return 0;
}

/* With the room's own detection nothing is sent in silence: what waits then is the beginning of what will be said. */
static void send_frames(struct openai *a)
{
	const uint8_t *frame;

	if (a->opts->turn_detection == BRIDGE_ROOM_VAD && !a->speech)
		return;
	while (a->state == AI_READY && (frame = ear_next(&a->ear)) && websocket_unsent(a->ws) == 0) {
		ai_send_frame(a, frame, a->ear.frame);
		ear_take(&a->ear);
		a->unsent_ms += AI_FRAME_MS;
	}
}

static void detect_turn(struct openai *a, bool speech)
{
	bool before = a->speech;

	a->speech = speech;
	if (a->opts->turn_detection != BRIDGE_ROOM_VAD || before == speech)
		return;
	if (speech) {
		a->said_by = a->speaker;
		ai_stop_response(a, true);
		a->sink->flush(a->sink_ctx);
		return;
	}
	if (a->unsent_ms >= 100) { /* less is an error */
		ai_send_commit(a);
		ai_want_response(a);
	}
	a->unsent_ms = 0;
}

static void hear(struct openai *a, const struct bridge_hearing *h)
{
	size_t gone = ear_hear(&a->ear, h->pcm, h->n);
	bool silence = a->opts->turn_detection == BRIDGE_ROOM_VAD && !a->speech && !h->speech;

	if (gone && !silence && a->sink->unheard)
		a->sink->unheard(a->sink_ctx, gone);
	ai_label(a, uv_now(a->opts->loop)); /* before what is said is committed */
	detect_turn(a, h->speech);
	if (a->state == AI_READY)
		send_frames(a);
	if (a->state == AI_READY)
		ai_talk_tick(a);
}

static bool is_quiet(const struct openai *a)
{
	return !a->responding && !a->speech && a->voice.played == a->voice.taken && !ai_calls_run(a) && !a->results_due;
}

static bool openai_audio(void *self, const struct bridge_hearing *h, nsec now)
{
	struct openai *a = self;

	(void)now;
	voice_tick(&a->voice, h->waiting_ms);
	a->quiet_ms = h->speech ? 0 : a->quiet_ms + (uint32_t)(h->n * 1000 / AI_RATE_HZ);
	if (a->tools)
		tools_tick(a->tools);
	if (a->state != AI_READY) {
		a->speech = h->speech;
		return a->state != AI_GIVEN_UP; /* so that it hears from its first moment on */
	}
	hear(a, h);
	if (a->state == AI_READY && a->roll_due && is_quiet(a))
		roll_over(a);
	return true;
}

static bool is_for_model(const struct openai *a, const struct bridge_event *ev)
{
	switch (a->opts->messages) {
	case BRIDGE_MESSAGES_NONE: return false;
	case BRIDGE_MESSAGES_ALL: return true;
	case BRIDGE_MESSAGES_DIRECT: break;
	}
	return ev->direct || a->n_people < 2;
}

static void take_message(struct openai *a, const struct bridge_event *ev)
{
	struct ai_person who = {.id = ev->participant};
	char text[AI_SAID_MAX];

	if (!is_for_model(a, ev))
		return;
	snprintf(who.name, sizeof who.name, "%s", ev->name);
	ai_attribute(a, &who, ev->text, text);
	ai_remember(a, false, 0, text);
	if (a->state == AI_READY)
		ai_send_turn(a, AI_USER, text);
	ai_want_response(a);
}

static void openai_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct openai *a = self;

	(void)now;
	switch (ev->kind) {
	case BRIDGE_JOINED:
		ai_person_joined(a, ev->participant, ev->name);
		break;
	case BRIDGE_LEFT:
		ai_person_left(a, ev->participant);
		break;
	case BRIDGE_SPEAKING:
		ai_person_speaks(a, ev->participant, ev->name, ev->speaking);
		break;
	case BRIDGE_MESSAGE:
		take_message(a, ev);
		break;
	case BRIDGE_INTERRUPTED:
		ai_interrupted(a, ev->item, ev->heard_ms);
		break;
	case BRIDGE_MODE:
		ai_set_mode(a, ev->mode);
		break;
	}
}

static void openai_close(void *self)
{
	struct openai *a = self;

	a->closed = true;
	tools_close(a->tools);
	a->tools = NULL;
	drop_connection(a);
	uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

static bool openai_check(const struct bridge_opts *o, struct bridge_fault *f)
{
	const struct ai_profile *p = ai_profile(o->profile);
	const char *text = o->url[0] ? o->url : p->url;
	struct websocket_url url;

	if (!text)
		return bridge_faulty(f, "url", "\"wss://HOST/PATH\": this profile has none of its own");
	if (websocket_url_parse(text, &url))
		return bridge_faulty(f, "url", "\"wss://HOST/PATH\" or \"ws://HOST:PORT/PATH\"");
	if (o->rate_hz && o->rate_hz != AI_RATE_HZ)
		return bridge_faulty(f, "sample_rate", "0 or 24000");
	if (!o->model[0] && (o->profile == BRIDGE_OPENAI || o->profile == BRIDGE_AZURE) && !strstr(text, "model="))
		return bridge_faulty(f, "model", "the name of a model, such as the provider's list has");
	return key_check(&o->key, url.secure || url.loopback, f);
}

const struct bridge_ops bridge_openai = {
	.type = "openai",
	.tells_up = true,
	.rate = openai_rate,
	.check = openai_check,
	.open = openai_open,
	.audio = openai_audio,
	.event = openai_event,
	.close = openai_close,
	.barge_in = BARGE_IN_WORKER, /* who finds turns is configured, and flushes */
};
