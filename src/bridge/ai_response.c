/* SPDX-License-Identifier: MIT */
#include "bridge/ai_response.h"

#include <stdio.h>
#include <string.h>

void ai_response_init(struct ai_response *r, const struct ai_context *cx, struct ai_out *out, struct ai_turn *turn,
	struct ai_history *history)
{
	*r = (struct ai_response){.cx = cx, .out = out, .turn = turn, .history = history};
	bridge_output_init(&r->output, cx->sink, cx->sink_ctx, AI_RATE_HZ, OUTPUT_ALL_SILENCE);
}

bool ai_response_is_ignored(const struct ai_response *r, const char *response)
{
	return *response && strcmp(response, r->ignored_id) == 0;
}

bool ai_response_is_quiet(const struct ai_response *r)
{
	return r->phase == AI_IDLE && !r->results_due && r->output.played == r->output.accepted;
}

/* ---- one response at a time ---- */

static void request(struct ai_response *r)
{
	char greeting[BRIDGE_TEXT_MAX + 96];
	bool greets = r->due == AI_DUE_GREETING;

	r->id[0] = '\0';
	r->phase = AI_REQUESTED;
	if (greets)
		snprintf(greeting, sizeof greeting, "Greet the people in the room. Say exactly this and nothing else: %s",
			r->cx->opts->greeting);
	r->due = AI_DUE_NOTHING;
	r->results_due = false;
	ai_out_response(r->out, greets ? greeting : NULL);
}

void ai_response_request_due(struct ai_response *r)
{
	bool due = r->due != AI_DUE_NOTHING || (r->results_due && !ai_turn_is_taken(r->turn));

	if (due && r->phase == AI_IDLE && r->out->ready && r->mode == BRIDGE_ACTIVE)
		request(r);
}

void ai_response_want_answer(struct ai_response *r)
{
	if (r->mode == BRIDGE_ACTIVE && r->due == AI_DUE_NOTHING)
		r->due = AI_DUE_ANSWER;
	ai_response_request_due(r);
}

void ai_response_want_results(struct ai_response *r)
{
	r->results_due = r->mode == BRIDGE_ACTIVE;
	ai_response_request_due(r);
}

void ai_response_session_began(struct ai_response *r)
{
	if (r->cx->opts->greeting[0] && !r->greeted && r->mode == BRIDGE_ACTIVE)
		r->due = AI_DUE_GREETING;
	r->greeted = true;
	ai_response_request_due(r);
}

void ai_response_session_ended(struct ai_response *r)
{
	for (size_t i = 0; i < r->n_utterances; i++)
		r->utterances[i].item[0] = '\0';
	r->phase = AI_IDLE;
	r->results_due = false;
	r->id[0] = r->ignored_id[0] = '\0';
	ai_partial_clear(&r->transcript);
}

void ai_response_set_mode(struct ai_response *r, enum bridge_mode mode)
{
	r->mode = mode;
	r->due = AI_DUE_NOTHING;
	r->results_due = false;
	if (mode != BRIDGE_ACTIVE)
		ai_response_stop(r, true);
	ai_out_create_response(r->out, mode == BRIDGE_ACTIVE);
}

/* ---- what the provider reports ---- */

void ai_response_began(struct ai_response *r, const char *id)
{
	r->phase = AI_RESPONDING;
	r->n_responses++;
	snprintf(r->id, sizeof r->id, "%s", id);
	if (r->mode != BRIDGE_ACTIVE)
		ai_response_stop(r, true);
}

bool ai_response_ended(struct ai_response *r, const char *id)
{
	if (*id && r->id[0] && strcmp(id, r->id) != 0)
		return false; /* an older one's end, late */
	r->phase = AI_IDLE;
	return true;
}

void ai_response_was_active(struct ai_response *r)
{
	r->phase = r->id[0] ? AI_RESPONDING : AI_REQUESTED;
	if (r->due == AI_DUE_NOTHING)
		r->due = AI_DUE_ANSWER;
}

void ai_response_maybe_refused(struct ai_response *r)
{
	if (r->phase == AI_REQUESTED)
		r->phase = AI_IDLE;
}

/* ---- audio ---- */

static struct ai_utterance *find_utterance(struct ai_response *r, const char *item)
{
	for (size_t i = 0; i < r->n_utterances; i++)
		if (strcmp(r->utterances[i].item, item) == 0)
			return &r->utterances[i];
	return NULL;
}

static void drop_oldest(struct ai_response *r)
{
	memmove(r->utterances, r->utterances + 1, --r->n_utterances * sizeof *r->utterances);
}

static struct ai_utterance *add_utterance(struct ai_response *r, const char *item, uint32_t content_index)
{
	if (r->n_utterances == AI_UTTERANCES)
		drop_oldest(r);
	struct ai_utterance *u = &r->utterances[r->n_utterances++];

	bridge_output_next(&r->output);
	*u = (struct ai_utterance){.number = r->output.utterance, .content_index = content_index};
	snprintf(u->item, sizeof u->item, "%s", item);
	return u;
}

void ai_response_audio(struct ai_response *r, const struct ai_audio_delta *d)
{
	const char *item = *d->item ? d->item : "-";

	if (ai_response_is_ignored(r, d->response))
		return;
	struct ai_utterance *u = find_utterance(r, item);

	if (!u)
		u = add_utterance(r, item, d->content_index);
	r->output.utterance = u->number;
	ssize_t n = bridge_output_send_base64(&r->output, OUTPUT_PCM16, d->base64, d->len);

	if (n >= 0)
		u->received += (uint64_t)n;
	else
		log_warn(r->cx->log, "audio from the provider is not base64");
}

/* ---- words ---- */

void ai_response_transcript_delta(struct ai_response *r, const char *response, const char *item, const char *delta)
{
	if (ai_response_is_ignored(r, response))
		return;
	if (ai_partial_add(&r->transcript, item, delta))
		ai_report_transcript(r->cx, 0, r->transcript.text, false);
}

void ai_response_transcript(struct ai_response *r, const char *response, const char *item, const char *text)
{
	const struct ai_utterance *u = find_utterance(r, item);

	if (ai_response_is_ignored(r, response) || !*text)
		text = ai_partial_of(&r->transcript, item);
	ai_report_transcript(r->cx, 0, text, true);
	ai_history_add(r->history, AI_ASSISTANT, u ? u->number : 0, text);
}

/* ---- interruptions ---- */

void ai_response_stop(struct ai_response *r, bool cancel)
{
	if (r->phase == AI_IDLE || strcmp(r->id, r->ignored_id) == 0)
		return;
	if (cancel)
		ai_out_cancel(r->out, r->id);
	snprintf(r->ignored_id, sizeof r->ignored_id, "%s", r->id);
}

/* The room dropped the rest of this one. */
static void truncate_utterance(struct ai_response *r, const struct ai_utterance *u, uint32_t heard_ms)
{
	uint64_t received_ms = u->received * 1000 / AI_RATE_HZ, end_ms = heard_ms < received_ms ? heard_ms : received_ms;

	ai_history_trim(r->history, u->number, received_ms ? (double)end_ms / (double)received_ms : 0);
	if (!r->cx->profile->truncates || !u->item[0])
		return;
	if (end_ms == 0)
		ai_out_delete(r->out, u->item);
	else
		ai_out_truncate(r->out, u->item, u->content_index, end_ms);
}

void ai_response_interrupted(struct ai_response *r, uint64_t number, uint32_t heard_ms)
{
	ai_response_stop(r, true);
	for (size_t i = 0; i < r->n_utterances; i++)
		if (r->utterances[i].number >= number) /* those before were heard to their end */
			truncate_utterance(r, &r->utterances[i], r->utterances[i].number == number ? heard_ms : 0);
	r->n_utterances = 0;
}
