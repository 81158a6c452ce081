/* SPDX-License-Identifier: MIT */
#include "bridge/ai_calls.h"

#include <stdio.h>
#include <string.h>

static const char no_tool[] = "{\"error\":\"there is no such tool\"}", too_many[] = "{\"error\":\"too many calls at once\"}",
	not_run[] = "{\"error\":\"not run: somebody has begun to speak, or has silenced you\"}";

/* ---- life ---- */

int ai_calls_init(struct ai_calls *c, const struct ai_context *cx, struct ai_out *out, struct ai_response *response)
{
	const struct tools_opts o = {
		.bridge = cx->bridge,
		.room = cx->sink->room ? cx->sink->room(cx->sink_ctx) : NULL,
		.log = cx->log,
		.on_result = ai_calls_on_result,
		.ctx = c,
	};

	*c = (struct ai_calls){.cx = cx, .out = out, .response = response};
	return cx->bridge->n_tools ? tools_new(&o, &c->tools) : 0;
}

void ai_calls_fini(struct ai_calls *c)
{
	tools_close(c->tools);
	c->tools = NULL;
}

/* ---- the list ---- */

static struct ai_call *find_call(struct ai_calls *c, const char *id)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->calls[i].id, id) == 0)
			return &c->calls[i];
	return NULL;
}

static void drop_call(struct ai_calls *c, size_t i)
{
	memmove(&c->calls[i], &c->calls[i + 1], (--c->n - i) * sizeof *c->calls);
}

static bool has_ended(const struct ai_call *call)
{
	return call->state != AI_CALL_RUNNING && call->response_over;
}

/* Not every provider confirms results: unconfirmed ones go when others need their place. */
static struct ai_call *add_call(struct ai_calls *c, const char *id, const char *name)
{
	for (size_t i = 0; c->n == AI_CALLS && i < c->n; i++)
		if (has_ended(&c->calls[i]))
			drop_call(c, i);
	if (c->n == AI_CALLS)
		return NULL;
	struct ai_call *call = &c->calls[c->n++];

	*call = (struct ai_call){.number = ++c->n_numbers, .response = c->response->n_responses, .wanted = true};
	snprintf(call->id, sizeof call->id, "%s", id);
	snprintf(call->name, sizeof call->name, "%s", name);
	return call;
}

/* All calls of this response have results, and it is over. */
static bool is_complete(const struct ai_calls *c, uint64_t response)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->calls[i].response == response && !has_ended(&c->calls[i]))
			return false;
	return true;
}

/* ---- results ---- */

static void send_result(struct ai_calls *c, struct ai_call *call, const char *json, size_t len)
{
	uint64_t response = call->response;
	bool wanted = call->wanted;

	call->state = AI_CALL_ANSWERED;
	int err = ai_out_result(c->out, call->id, json, len);

	if (!c->out->ready) /* the session was lost, and its calls with it */
		return;
	if (err)
		ai_out_fail(c->out, "the provider takes no results of tools");
	else if (wanted && is_complete(c, response))
		ai_response_want_results(c->response);
}

void ai_calls_on_result(void *ctx, uint64_t number, bool good, const char *json, size_t len)
{
	struct ai_calls *c = ctx;

	if (c->cx->sink->tool)
		c->cx->sink->tool(c->cx->sink_ctx, good);
	for (size_t i = 0; i < c->n; i++) {
		if (c->calls[i].number != number || c->calls[i].state != AI_CALL_RUNNING)
			continue;
		send_result(c, &c->calls[i], json, len);
		return;
	}
}

/* The person who interrupted may just have said: no, wait. */
static void refuse_call(struct ai_calls *c, struct ai_call *call)
{
	call->wanted = false;
	send_result(c, call, not_run, strlen(not_run));
}

/* ---- what the provider reports ---- */

void ai_calls_add(struct ai_calls *c, const struct ai_called *called)
{
	if (!*called->id || !c->out->ready || find_call(c, called->id))
		return;
	struct ai_call *call = add_call(c, called->id, called->name);

	if (!call) {
		if (called->last)
			ai_out_result(c->out, called->id, too_many, strlen(too_many));
		return;
	}
	if (ai_response_is_ignored(c->response, called->response))
		refuse_call(c, call);
	else if (!c->tools)
		send_result(c, call, no_tool, strlen(no_tool));
	else
		tools_call(c->tools, call->number, called->name, called->arguments, called->len);
}

void ai_calls_response_ended(struct ai_calls *c)
{
	uint64_t response = c->response->n_responses;
	bool any = false;

	for (size_t i = 0; i < c->n; i++) {
		struct ai_call *call = &c->calls[i];

		if (call->response != response || call->response_over)
			continue;
		call->response_over = true;
		any |= call->wanted;
	}
	if (any && is_complete(c, response))
		ai_response_want_results(c->response);
}

void ai_calls_confirm(struct ai_calls *c, const char *id)
{
	struct ai_call *call = find_call(c, id);

	if (call && call->state == AI_CALL_ANSWERED)
		call->state = AI_CALL_CONFIRMED;
	for (size_t i = c->n; i-- > 0;)
		if (c->calls[i].state == AI_CALL_CONFIRMED && c->calls[i].response_over)
			drop_call(c, i);
}

bool ai_calls_running(const struct ai_calls *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->calls[i].state == AI_CALL_RUNNING)
			return true;
	return false;
}

bool ai_calls_unconfirmed(const struct ai_calls *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->calls[i].state == AI_CALL_ANSWERED)
			return true;
	return false;
}

/* ---- sessions ---- */

static void note_lost(struct ai_calls *c)
{
	size_t n = 0;

	c->lost = true;
	c->lost_names[0] = '\0';
	for (size_t i = 0; i < c->n && n < sizeof c->lost_names; i++)
		if (c->calls[i].state == AI_CALL_RUNNING)
			n += (size_t)snprintf(c->lost_names + n, sizeof c->lost_names - n, "%s%s", n ? ", " : "", c->calls[i].name);
}

void ai_calls_session_ended(struct ai_calls *c)
{
	if (ai_calls_running(c) || c->response->results_due)
		note_lost(c);
	c->n = 0;
	if (c->tools)
		tools_cancel(c->tools);
}

void ai_calls_session_began(struct ai_calls *c)
{
	char text[sizeof c->lost_names + 200];

	if (!c->lost)
		return;
	c->lost = false;
	snprintf(text, sizeof text, "The line to you broke while tools were at work%s%s%s. Their results are lost; whether they did "
		"what they were to do is unknown.", c->lost_names[0] ? " (" : "", c->lost_names, c->lost_names[0] ? ")" : "");
	ai_out_text(c->out, AI_SYSTEM, text);
	ai_response_want_answer(c->response);
}
