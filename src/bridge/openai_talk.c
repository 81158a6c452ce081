/* SPDX-License-Identifier: MIT */
/*
 * The model speaks faster than real time: what was received is not what was heard. The room knows what it has mixed, so
 * that after an interruption the model is told to the millisecond. (A truncation beyond what was received is an
 * error, after which some sessions stay silent for good.)
 */
#include "bridge/openai.h"

#include <stdio.h>
#include <string.h>

static struct ai_item *find_item(struct openai *a, const char *id)
{
	for (size_t i = 0; i < a->n_items; i++)
		if (strcmp(a->items[i].id, id) == 0)
			return &a->items[i];
	return NULL;
}

static void drop_items(struct openai *a, size_t n)
{
	a->n_items -= n;
	memmove(a->items, a->items + n, a->n_items * sizeof *a->items);
}

static struct ai_item *add_item(struct openai *a, const char *id, uint32_t content_index)
{
	if (a->n_items == AI_ITEMS)
		drop_items(a, 1);
	struct ai_item *it = &a->items[a->n_items++];

	voice_next(&a->voice);
	*it = (struct ai_item){.number = a->voice.item, .content_index = content_index};
	snprintf(it->id, sizeof it->id, "%s", id);
	return it;
}

void ai_speech(struct openai *a, const char *response, const char *item, uint32_t content_index, const char *base64,
	size_t len)
{
	if (*response && strcmp(response, a->ignored) == 0)
		return;
	struct ai_item *it = find_item(a, *item ? item : "-");

	if (!it)
		it = add_item(a, *item ? item : "-", content_index);
	a->voice.item = it->number;
	ssize_t n = voice_say_base64(&a->voice, VOICE_PCM16, base64, len);

	if (n >= 0)
		it->received += (uint64_t)n;
	else
		log_warn(a->log, "sound of the provider's that is not base64");
}

void ai_item_done(struct openai *a, const char *item)
{
	struct ai_item *it = find_item(a, item);

	if (it)
		it->done = true;
}

/* Of this one the room had something left. */
static void take_back(struct openai *a, const struct ai_item *it, uint32_t heard_ms)
{
	uint64_t received_ms = it->received * 1000 / AI_RATE_HZ, end_ms = heard_ms < received_ms ? heard_ms : received_ms;

	ai_remember_part(a, it->number, received_ms ? (double)end_ms / (double)received_ms : 0);
	if (!a->profile->truncates || a->state != AI_READY || !it->id[0])
		return;
	if (end_ms == 0)
		ai_send_delete(a, it);
	else
		ai_send_truncate(a, it, end_ms);
}

void ai_stop_response(struct openai *a, bool cancel)
{
	if (!a->responding || strcmp(a->response, a->ignored) == 0)
		return;
	if (cancel && a->state == AI_READY)
		ai_send_cancel(a);
	snprintf(a->ignored, sizeof a->ignored, "%s", a->response);
}

void ai_interrupted(struct openai *a, uint64_t number, uint32_t heard_ms)
{
	ai_stop_response(a, true);
	for (size_t i = 0; i < a->n_items; i++)
		if (a->items[i].number >= number) /* those before were heard to their end */
			take_back(a, &a->items[i], a->items[i].number == number ? heard_ms : 0);
	a->n_items = 0;
}

/* ---- one response at a time ---- */

static void respond(struct openai *a)
{
	char text[BRIDGE_TEXT_MAX + 96];

	a->response[0] = '\0';
	a->responding = true; /* it will be: another one before response.created would be an error */
	if (a->greeting_due)
		snprintf(text, sizeof text, "Greet the people in the room. Say exactly this and nothing else: %s", a->opts->greeting);
	ai_send_response(a, a->greeting_due ? text : NULL);
	a->greeting_due = a->create_due = false;
}

void ai_want_response(struct openai *a)
{
	a->create_due = true;
	if (!a->responding && a->state == AI_READY)
		respond(a);
}

void ai_response_began(struct openai *a, const char *id)
{
	a->responding = true;
	snprintf(a->response, sizeof a->response, "%s", id);
}

void ai_response_ended(struct openai *a, const char *id)
{
	if (*id && *a->response && strcmp(id, a->response) != 0)
		return; /* an older one's, late */
	a->responding = false;
	if (a->create_due && a->state == AI_READY)
		respond(a);
}

void ai_forget_talk(struct openai *a)
{
	for (size_t i = 0; i < a->n_items; i++)
		a->items[i].id[0] = '\0';
	a->responding = false;
	a->response[0] = a->ignored[0] = '\0';
	a->heard.id[0] = a->said.id[0] = '\0';
}
