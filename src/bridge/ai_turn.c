/* SPDX-License-Identifier: MIT */
#include "bridge/ai_turn.h"

static bool room_detects(const struct ai_turn *t)
{
	return t->cx->opts->turn_detection == BRIDGE_ROOM_VAD;
}

int ai_turn_init(struct ai_turn *t, const struct ai_context *cx, struct ai_out *out, struct ai_people *people,
	struct ai_history *history)
{
	*t = (struct ai_turn){.cx = cx, .out = out, .people = people, .history = history};
	return input_queue_init(&t->input, AI_RATE_HZ, AI_FRAME_MS, room_detects(t) ? AI_LEAD_MS : AI_WAIT_MS);
}

void ai_turn_fini(struct ai_turn *t)
{
	input_queue_fini(&t->input);
}

/* ---- ticks ---- */

/* With the room's detection nothing is sent in silence: what waits then is the beginning of the next turn. */
static void queue_input(struct ai_turn *t, const struct bridge_input *h)
{
	size_t dropped = input_queue_push(&t->input, h->pcm, h->n);
	bool lead = room_detects(t) && !t->speech && !h->speech;

	if (dropped && !lead && t->cx->sink->dropped)
		t->cx->sink->dropped(t->cx->sink_ctx, dropped);
}

static enum ai_turn_change begin_turn(struct ai_turn *t)
{
	t->speaker = t->people->last;
	return AI_TURN_BEGAN;
}

static enum ai_turn_change end_turn(struct ai_turn *t)
{
	bool enough = t->uncommitted_ms >= AI_COMMIT_MS;

	t->uncommitted_ms = 0;
	if (!enough)
		return AI_TURN_SAME;
	ai_out_commit(t->out);
	return AI_TURN_COMMITTED;
}

enum ai_turn_change ai_turn_hear(struct ai_turn *t, const struct bridge_input *h)
{
	bool before = t->speech;

	t->quiet_ms = h->speech ? 0 : t->quiet_ms + (uint32_t)(h->n * 1000 / AI_RATE_HZ);
	if (t->out->ready)
		queue_input(t, h);
	t->speech = h->speech;
	if (!t->out->ready || !room_detects(t) || before == h->speech)
		return AI_TURN_SAME;
	return h->speech ? begin_turn(t) : end_turn(t);
}

void ai_turn_send(struct ai_turn *t)
{
	const uint8_t *frame;

	if (room_detects(t) && !t->speech)
		return;
	while (t->out->ready && (frame = input_queue_front(&t->input)) && ai_out_unsent(t->out) == 0) {
		ai_out_audio(t->out, frame, t->input.frame);
		input_queue_pop(&t->input);
		t->uncommitted_ms += AI_FRAME_MS;
	}
}

void ai_turn_expire(struct ai_turn *t, uint64_t now_ms)
{
	bool unanswered = t->floor == AI_FLOOR_WAITING && now_ms - t->ended_ms >= AI_ANSWER_MS;
	bool stuck = t->quiet_ms >= AI_STUCK_MS && now_ms - t->began_ms >= AI_STUCK_MS;

	if (unanswered || stuck)
		t->floor = AI_FLOOR_FREE;
}

bool ai_turn_is_taken(const struct ai_turn *t)
{
	return t->floor != AI_FLOOR_FREE || (t->speech && room_detects(t));
}

/* ---- what the provider reports ---- */

void ai_turn_speech_started(struct ai_turn *t, uint64_t now_ms)
{
	t->speaker = t->people->last;
	t->floor = AI_FLOOR_TAKEN;
	t->began_ms = now_ms;
}

void ai_turn_speech_stopped(struct ai_turn *t, uint64_t now_ms)
{
	if (t->floor == AI_FLOOR_FREE)
		return;
	t->floor = AI_FLOOR_WAITING;
	t->ended_ms = now_ms;
}

void ai_turn_answered(struct ai_turn *t)
{
	t->floor = AI_FLOOR_FREE;
}

void ai_turn_transcript_delta(struct ai_turn *t, const char *item, const char *delta)
{
	if (ai_partial_add(&t->transcript, item, delta) && t->speaker.id)
		ai_report_transcript(t->cx, t->speaker.id, t->transcript.text, false);
}

void ai_turn_transcript(struct ai_turn *t, const char *item, const char *text)
{
	char attributed[AI_ATTRIBUTED_MAX];

	if (!*text)
		text = ai_partial_of(&t->transcript, item);
	if (!*text)
		return;
	if (t->speaker.id)
		ai_report_transcript(t->cx, t->speaker.id, text, true);
	ai_people_attribute(t->people, &t->speaker, text, attributed);
	ai_history_add(t->history, AI_USER, 0, attributed);
}

/* ---- sessions ---- */

void ai_turn_session_began(struct ai_turn *t)
{
	input_queue_clear(&t->input);
	t->uncommitted_ms = 0;
}

void ai_turn_session_ended(struct ai_turn *t)
{
	t->floor = AI_FLOOR_FREE;
	ai_partial_clear(&t->transcript);
}
