/* SPDX-License-Identifier: MIT */
#include "bridge/ai_conn.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "bridge/dial.h"

#include <stdio.h>
#include <string.h>

enum { PAUSE_MS = 500, WORKED_MS = 10000, BUSY_MOST_S = 600 };

/* ---- the end ---- */

/* Its owner may go now. */
static void on_all_closed(void *conn)
{
	struct ai_conn *c = conn;

	json_fini(&c->json);
	c->events->on_closed(c->ctx);
}

static void on_closed(void *ctx)
{
	closing_done(&((struct ai_conn *)ctx)->handles);
}

static void drop_connection(struct ai_conn *c)
{
	struct websocket *ws = c->ws;

	c->out->ready = false;
	if (!ws)
		return;
	c->ws = NULL;
	closing_add(&c->handles);
	websocket_close(ws, 1000, NULL);
}

void ai_conn_close(struct ai_conn *c)
{
	c->state = AI_CONN_CLOSED;
	drop_connection(c);
	closing_close(&c->handles, (uv_handle_t *)&c->timer);
}

/* ---- failures and renewals ---- */

/* The shortest pause that makes sense. Asking often does not help a bridge that was refused: it is tried three times more. */
static uint32_t least_pause_ms(const struct ai_conn *c, enum ai_trouble t)
{
	static const uint32_t refused_pause_s[] = {60, 300, 900};
	uint32_t asked_s = c->retry_after_s < BUSY_MOST_S ? c->retry_after_s : BUSY_MOST_S;

	if (t == AI_TROUBLE_REFUSED)
		return c->refusals <= 3 ? refused_pause_s[c->refusals - 1] * 1000 : BRIDGE_NO_RETRY;
	return asked_s ? asked_s * 1000 : PAUSE_MS;
}

static void report_failure(struct ai_conn *c, enum ai_trouble t, const char *why)
{
	const struct ai_context *cx = c->cx;

	c->refusals += t == AI_TROUBLE_REFUSED;
	uint32_t pause_ms = least_pause_ms(c, t);

	c->retry_after_s = 0;
	uv_timer_stop(&c->timer);
	if (cx->sink->pause)
		cx->sink->pause(cx->sink_ctx, pause_ms);
	cx->sink->failed(cx->sink_ctx, why);
}

static void on_renewal(uv_timer_t *t)
{
	ai_conn_dial(t->data);
}

static void renew(struct ai_conn *c)
{
	log_info(c->cx->log, "the session is over, the next one begins");
	uv_timer_start(&c->timer, on_renewal, 1, 0);
}

/* A session that says it is over before it has worked for a while would go on like that: no planned end. */
void ai_conn_end(struct ai_conn *c, enum ai_trouble t, const char *why)
{
	bool worked = c->state == AI_CONN_READY && uv_now(c->cx->bridge->loop) - c->ready_at_ms >= WORKED_MS;

	drop_connection(c);
	if (c->state == AI_CONN_CLOSED)
		return;
	c->state = AI_CONN_IDLE;
	c->events->on_ended(c->ctx);
	if (worked)
		c->refusals = 0;
	if (t == AI_TROUBLE_PLANNED && worked)
		renew(c);
	else
		report_failure(c, t, why);
}

static void on_end(void *ctx, const struct websocket_end *end)
{
	struct ai_conn *c = ctx;
	char why[WEBSOCKET_WHY + 40];

	snprintf(why, sizeof why, "%s%s", end->why, ai_trouble_hint(end));
	if (end->retry_after_s)
		c->retry_after_s = end->retry_after_s;
	ai_conn_end(c, ai_trouble_of_end(end), why);
}

/* ---- a session ---- */

static uint64_t session_ms(const struct ai_conn *c)
{
	uint32_t configured = c->cx->opts->session_max_s, limit = c->cx->profile->session_max_s;

	return (configured < limit ? configured : limit) * UINT64_C(1000);
}

static void on_grace_over(uv_timer_t *t)
{
	ai_conn_end(t->data, AI_TROUBLE_PLANNED, "");
}

static void on_age(uv_timer_t *t)
{
	struct ai_conn *c = t->data;

	c->renew_due = true; /* by the next quiet tick */
	uv_timer_start(t, on_grace_over, AI_RENEW_GRACE_MS, 0);
}

/* What it complained of will be refused next time, too. */
void ai_conn_setup_over(uv_timer_t *t)
{
	struct ai_conn *c = t->data;
	char why[AI_COMPLAINT_MAX + 60];

	snprintf(why, sizeof why, "the provider does not answer session.update%s%s", c->complaint[0] ? ": " : "", c->complaint);
	ai_conn_end(c, c->complaint[0] ? c->complaint_is : AI_TROUBLE_PASSING, why);
}

void ai_conn_note_complaint(struct ai_conn *c, enum ai_trouble t, const char *what)
{
	if (c->state != AI_CONN_SETTING_UP)
		return;
	c->complaint_is = t == AI_TROUBLE_PASSING ? AI_TROUBLE_REFUSED : t;
	snprintf(c->complaint, sizeof c->complaint, "%s", what);
}

/* session.created comes unasked. */
static void on_open(void *ctx, const char *subprotocol)
{
	struct ai_conn *c = ctx;

	(void)subprotocol;
	c->state = AI_CONN_SETTING_UP;
	c->complaint[0] = '\0';
	uv_timer_start(&c->timer, ai_conn_setup_over, AI_SETUP_MS, 0);
}

void ai_conn_set_up(struct ai_conn *c, bool create_response)
{
	if (c->state == AI_CONN_SETTING_UP)
		ai_out_session(c->out, create_response);
}

bool ai_conn_set_ready(struct ai_conn *c)
{
	const struct ai_context *cx = c->cx;

	if (c->state != AI_CONN_SETTING_UP)
		return false;
	c->state = AI_CONN_READY;
	c->out->ready = true;
	c->ready_at_ms = uv_now(cx->bridge->loop);
	c->renew_due = false;
	uv_timer_start(&c->timer, on_age, session_ms(c), 0);
	log_info(cx->log, "the model listens%s%s", cx->opts->model[0] ? " model=" : "", cx->opts->model);
	if (cx->sink->up)
		cx->sink->up(cx->sink_ctx);
	return true;
}

/* Some servers send their events as binary messages. */
static void on_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct ai_conn *c = ctx;
	yyjson_val *event = json_read(&c->json, p, len);

	(void)text;
	if (yyjson_is_obj(event))
		c->events->on_event(c->ctx, event);
	else
		log_warn(c->cx->log, "the provider sends something that is no JSON object");
}

static const struct websocket_events events = {on_open, on_message, on_end, on_closed};

/* ---- sending ---- */

static int send_event(void *ctx, const void *text, size_t len)
{
	struct ai_conn *c = ctx;

	return c->ws ? websocket_send_text(c->ws, text, len) : ERR_STATE;
}

static size_t unsent(void *ctx)
{
	struct ai_conn *c = ctx;

	return c->ws ? websocket_unsent(c->ws) : 0;
}

static void fail(void *ctx, const char *why)
{
	ai_conn_end(ctx, AI_TROUBLE_PASSING, why);
}

const struct ai_transport ai_conn_transport = {send_event, unsent, fail};

/* ---- dialling ---- */

static bool unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c);
}

/* The configured address, with the model where it is not in it already. */
static void make_url(const struct ai_context *cx, char *out, size_t size)
{
	const char *url = cx->opts->url[0] ? cx->opts->url : cx->profile->url;
	size_t n = (size_t)snprintf(out, size, "%s", url ? url : "");

	if (!cx->opts->model[0] || strstr(out, "model="))
		return;
	n += (size_t)snprintf(out + n, size - n, "%cmodel=", strchr(out, '?') ? '&' : '?');
	for (const char *m = cx->opts->model; *m && n + 4 < size; m++)
		n += (size_t)snprintf(out + n, size - n, unreserved(*m) ? "%c" : "%%%02X", (unsigned char)*m);
}

/* The usual variable need not be there for a server of one's own. */
static int connect_to(struct ai_conn *c, const char *url, char why[DIAL_WHY])
{
	struct dial d = {
		.key = &c->cx->opts->key,
		.usual_env = c->cx->profile->key_env,
		.usual_is_optional = c->cx->opts->url[0] != '\0',
		.key_header = c->cx->profile->key_header,
	};

	websocket_opts_default(&d.to);
	d.to.stall_ms = c->cx->bridge->stall_ms;
	d.to.url = url;
	d.to.tls = c->cx->bridge->tls;
	d.to.max_message = AI_MESSAGE_MAX;
	d.to.max_queue = AI_QUEUE_MAX;
	d.to.kernel_buffer = AI_KERNEL_BYTES;
	return dial(&d, c->cx->bridge->loop, &events, c, &c->ws, why);
}

void ai_conn_dial(struct ai_conn *c)
{
	char url[BRIDGE_TEXT_MAX + 512], why[DIAL_WHY];

	make_url(c->cx, url, sizeof url);
	c->state = AI_CONN_CONNECTING;
	int err = connect_to(c, url, why);

	if (err)
		ai_conn_end(c, err == ERR_DENIED || err == ERR_RANGE ? AI_TROUBLE_REFUSED : AI_TROUBLE_PASSING, why);
}

void ai_conn_init(struct ai_conn *c, const struct ai_context *cx, struct ai_out *out, const struct ai_conn_events *ev, void *ctx)
{
	*c = (struct ai_conn){.cx = cx, .out = out, .events = ev, .ctx = ctx};
	closing_init(&c->handles, on_all_closed, c);
	closing_add(&c->handles);
	uv_timer_init(cx->bridge->loop, &c->timer);
	c->timer.data = c;
}
