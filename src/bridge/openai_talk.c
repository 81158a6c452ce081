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
	a->greeting_due = a->create_due = a->results_due = false;
}

/* By whoever finds the turns: noise is not speech for a provider. */
static bool somebody_speaks(const struct openai *a)
{
	return a->turn_open || (a->speech && a->opts->turn_detection == BRIDGE_ROOM_VAD);
}

static void respond_if_due(struct openai *a)
{
	if (a->responding || a->state != AI_READY || a->mode != BRIDGE_ACTIVE)
		return;
	if (a->create_due || (a->results_due && !somebody_speaks(a)))
		respond(a);
}

void ai_want_response(struct openai *a)
{
	a->create_due = a->mode == BRIDGE_ACTIVE;
	respond_if_due(a);
}

void ai_want_results(struct openai *a)
{
	a->results_due = a->mode == BRIDGE_ACTIVE;
	respond_if_due(a);
}

/* Not every provider answers by itself, and not every one says that somebody has finished. */
void ai_talk_tick(struct openai *a)
{
	uint64_t now_ms = uv_now(a->opts->loop);
	bool unanswered = a->turn_ended_ms && now_ms - a->turn_ended_ms >= AI_ANSWER_MS;
	bool stuck = a->quiet_ms >= AI_STUCK_MS && now_ms - a->turn_began_ms >= AI_STUCK_MS;

	if (unanswered || stuck)
		a->turn_open = false;
	if (a->results_due)
		respond_if_due(a);
}

/* One that the provider began by itself tells of what tools have found, if it had that by then. */
void ai_response_began(struct openai *a, const char *id)
{
	a->responding = true;
	a->turn_open = false;
	a->n_responses++;
	snprintf(a->response, sizeof a->response, "%s", id);
	if (!ai_answers_under_way(a))
		a->results_due = false;
	if (a->mode != BRIDGE_ACTIVE)
		ai_stop_response(a, true);
}

void ai_set_mode(struct openai *a, enum bridge_mode mode)
{
	a->mode = mode;
	a->create_due = a->results_due = a->greeting_due = false;
	if (mode != BRIDGE_ACTIVE)
		ai_stop_response(a, true);
	if (a->state == AI_READY && a->may_answer != (mode == BRIDGE_ACTIVE))
		ai_send_turn_detection(a);
}

void ai_response_ended(struct openai *a, const char *id)
{
	if (*id && *a->response && strcmp(id, a->response) != 0)
		return; /* an older one's, late */
	a->responding = false;
	ai_calls_over(a);
	respond_if_due(a);
}

void ai_forget_talk(struct openai *a)
{
	for (size_t i = 0; i < a->n_items; i++)
		a->items[i].id[0] = '\0';
	ai_forget_calls(a);
	a->responding = a->turn_open = false;
	a->label[0] = '\0';
	a->response[0] = a->ignored[0] = '\0';
	a->heard.id[0] = a->said.id[0] = '\0';
}
