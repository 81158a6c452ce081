/* SPDX-License-Identifier: MIT */
/*
 * Calls of tools. A call is named by up to three events (its arguments are whole, its item is, its response is) and begins with
 * the first of them. It is answered with an item of the conversation, once; when all calls of a response are
 * answered and the response is over, the next one is asked for.
 *
 * A call belongs to its session: what a tool finds after that is lost is dropped, since the next session does not know
 * the call. The model is told so.
 */
#include "bridge/openai.h"

#include <stdio.h>
#include <string.h>

static const char no_tool[] = "{\"error\":\"there is no such tool\"}", too_many[] = "{\"error\":\"too many calls at once\"}",
	not_run[] = "{\"error\":\"not run: somebody has begun to speak, or has silenced you\"}";

static struct ai_call *find_call(struct openai *a, const char *id)
{
	for (size_t i = 0; i < a->n_calls; i++)
		if (strcmp(a->calls[i].id, id) == 0)
			return &a->calls[i];
	return NULL;
}

static void drop_call(struct openai *a, struct ai_call *c)
{
	size_t i = (size_t)(c - a->calls);

	memmove(c, c + 1, (--a->n_calls - i) * sizeof *c);
}

/* Nothing more will be heard of it. */
static bool is_settled(const struct ai_call *c)
{
	return c->answered && c->over;
}

/* A provider may keep it to itself that it has taken an answer: those go when others need their place. */
static struct ai_call *add_call(struct openai *a, const char *id, const char *name)
{
	for (size_t i = 0; a->n_calls == AI_CALLS && i < a->n_calls; i++)
		if (is_settled(&a->calls[i]))
			drop_call(a, &a->calls[i]);
	if (a->n_calls == AI_CALLS)
		return NULL;
	struct ai_call *c = &a->calls[a->n_calls++];

	*c = (struct ai_call){.number = ++a->call_numbers, .response = a->n_responses};
	snprintf(c->id, sizeof c->id, "%s", id);
	snprintf(c->name, sizeof c->name, "%s", name);
	return c;
}

/* All calls of this response have their answers, and it is over. */
static bool is_complete(const struct openai *a, uint64_t response)
{
	for (size_t i = 0; i < a->n_calls; i++)
		if (a->calls[i].response == response && !is_settled(&a->calls[i]))
			return false;
	return true;
}

static void answer_call(struct openai *a, struct ai_call *c, const char *json, size_t len)
{
	uint64_t response = c->response;
	bool wanted = c->wanted;

	c->answered = true;
	int err = ai_send_output(a, c->id, json, len);

	if (a->state != AI_READY) /* the connection is lost, and its calls with it */
		return;
	if (err) {
		ai_trouble(a, AI_PASSING, "the provider takes no answers of tools");
		ai_hang_up(a);
	} else if (wanted && is_complete(a, response)) {
		ai_want_results(a);
	}
}

void ai_on_tool(void *ctx, uint64_t number, bool good, const char *json, size_t len)
{
	struct openai *a = ctx;

	if (a->sink->tool)
		a->sink->tool(a->sink_ctx, good);
	for (size_t i = 0; i < a->n_calls; i++) {
		if (a->calls[i].number != number || a->calls[i].answered)
			continue;
		answer_call(a, &a->calls[i], json, len);
		return;
	}
}

static void refuse(struct openai *a, struct ai_call *c, const char *json)
{
	c->wanted = false;
	answer_call(a, c, json, strlen(json));
}

void ai_call(struct openai *a, const char *response, const struct ai_said_call *said)
{
	bool ignored = *response && strcmp(response, a->ignored) == 0;

	if (!*said->id || a->state != AI_READY || find_call(a, said->id))
		return;
	struct ai_call *c = add_call(a, said->id, said->name);

	if (!c) {
		if (said->last)
			ai_send_output(a, said->id, too_many, strlen(too_many));
		return;
	}
	c->wanted = true;
	if (ignored) /* he may just have said: no, wait */
		refuse(a, c, not_run);
	else if (!a->tools)
		answer_call(a, c, no_tool, strlen(no_tool));
	else
		tools_call(a->tools, c->number, said->name, said->arguments, said->len);
}

void ai_calls_over(struct openai *a)
{
	bool any = false;

	for (size_t i = 0; i < a->n_calls; i++) {
		struct ai_call *c = &a->calls[i];

		if (c->response != a->n_responses || c->over)
			continue;
		c->over = true;
		any |= c->wanted;
	}
	if (any && is_complete(a, a->n_responses))
		ai_want_results(a);
}

void ai_call_taken(struct openai *a, const char *id)
{
	struct ai_call *c = find_call(a, id);

	if (c && c->answered)
		c->taken = true;
	for (size_t i = a->n_calls; i-- > 0;)
		if (a->calls[i].taken && a->calls[i].over)
			drop_call(a, &a->calls[i]);
}

bool ai_calls_run(const struct openai *a)
{
	for (size_t i = 0; i < a->n_calls; i++)
		if (!a->calls[i].answered)
			return true;
	return false;
}

bool ai_answers_under_way(const struct openai *a)
{
	for (size_t i = 0; i < a->n_calls; i++)
		if (a->calls[i].answered && !a->calls[i].taken)
			return true;
	return false;
}

/* For the next session. */
static void note_lost(struct openai *a)
{
	size_t n = 0;

	a->calls_lost = ai_calls_run(a) || a->results_due;
	a->lost_names[0] = '\0';
	for (size_t i = 0; i < a->n_calls && n < sizeof a->lost_names; i++)
		if (!a->calls[i].answered)
			n += (size_t)snprintf(a->lost_names + n, sizeof a->lost_names - n, "%s%s", n ? ", " : "", a->calls[i].name);
}

void ai_forget_calls(struct openai *a)
{
	if (ai_calls_run(a) || a->results_due)
		note_lost(a);
	a->n_calls = 0;
	a->results_due = false;
	if (a->tools)
		tools_cancel(a->tools);
}

void ai_tell_lost_calls(struct openai *a)
{
	char text[sizeof a->lost_names + 200];

	if (!a->calls_lost)
		return;
	a->calls_lost = false;
	snprintf(text, sizeof text, "The line to you broke while tools were at work%s%s%s. Their results are lost; whether they did "
		"what they were to do is unknown.", a->lost_names[0] ? " (" : "", a->lost_names, a->lost_names[0] ? ")" : "");
	ai_send_turn(a, AI_SYSTEM, text);
	a->create_due = a->mode == BRIDGE_ACTIVE;
}
