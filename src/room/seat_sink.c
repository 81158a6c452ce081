/* SPDX-License-Identifier: MIT */
/* What a driver calls: see struct bridge_sink. Nothing here closes the driver or touches the room's lists. */
#include "base/err.h"
#include "room/room_private.h"
#include "room/seat.h"

#include <stdio.h>
#include <string.h>

/* The room's next tick takes it. */
static void wake(struct bridge_seat *s)
{
	schedule_wake(s->room, s->in_call ? s->room->rooms->now : NSEC_NONE);
}

static struct room_event event_of(const struct bridge_seat *s, enum room_event_kind kind)
{
	return (struct room_event){.kind = kind, .member = seat_member(s), .text = ""};
}

static double to_ms(const struct bridge_seat *s, size_t n)
{
	return 1000.0 * (double)n / s->speech.rate_hz;
}

static void count_refused(struct bridge_seat *s, size_t n)
{
	struct rooms *rs = s->room->rooms;

	rs->bridge_dropped_ms += to_ms(s, n);
	rs->stats.bridge_dropped_ms = (uint64_t)rs->bridge_dropped_ms;
}

static void note_silenced(struct bridge_seat *s, uint64_t utterance)
{
	if (utterance > s->ended.silenced)
		s->ended.silenced = utterance;
}

static int on_audio(void *ctx, uint64_t utterance, const int16_t *pcm, size_t n)
{
	struct bridge_seat *s = ctx;

	if (s->state != SEAT_OPEN)
		return ERR_STATE;
	if (n == 0 || utterance <= s->ended.through)
		return 0;
	if (s->mode != BRIDGE_ACTIVE) {
		note_silenced(s, utterance);
		return 0;
	}
	int err = speech_push(&s->speech, utterance, pcm, n);

	if (err) {
		count_refused(s, n);
		return err;
	}
	wake(s);
	return 0;
}

static void on_flush(void *ctx)
{
	struct bridge_seat *s = ctx;

	if (s->state == SEAT_OPEN && seat_flush(s, seat_unplayed_ms(s)))
		wake(s);
}

static void on_dropped(void *ctx, size_t n)
{
	struct bridge_seat *s = ctx;
	struct rooms *rs = s->room->rooms;

	rs->bridge_input_dropped_ms += to_ms(s, n);
	rs->stats.bridge_input_dropped_ms = (uint64_t)rs->bridge_input_dropped_ms;
}

/* One line in the log each ten seconds. */
static void log_limited(struct bridge_seat *s, nsec now)
{
	uint64_t left_out;

	if (log_limit_take(&s->limited, 1, now, &left_out))
		log_warn(&s->log, "writes more than its limit lines_left_out=%llu", (unsigned long long)left_out);
}

static void tell_text(struct bridge_seat *s, struct room_event *ev)
{
	struct rooms *rs = s->room->rooms;
	size_t len = strlen(ev->text);

	if (!limit_take(&s->text, &rs->bridge_text, len + TEXT_LINE_BYTES, rs->now)) {
		rs->stats.bridge_text_limited++;
		log_limited(s, rs->now);
	} else if (room_may_tell(s->room, len, 0, rs->now)) {
		room_notify(s->room, ev, rs->now);
	}
}

static void on_message(void *ctx, const char *text)
{
	struct bridge_seat *s = ctx;
	struct room_event ev = event_of(s, ROOM_MESSAGE);

	ev.text = text;
	if (s->state == SEAT_OPEN && s->mode == BRIDGE_ACTIVE)
		tell_text(s, &ev);
}

/* A transcript of its own speech: none while it is not to speak, except for the end of what was heard before. */
static bool may_transcribe_itself(struct bridge_seat *s, bool final)
{
	bool may = s->mode == BRIDGE_ACTIVE || s->final_transcript;

	s->final_transcript &= !final;
	return may;
}

static void on_transcript(void *ctx, uint32_t participant, const char *text, bool final)
{
	struct bridge_seat *s = ctx;
	struct participant *p = room_find(s->room, participant);
	struct room_event ev = event_of(s, ROOM_TRANSCRIPT);

	if (s->state != SEAT_OPEN || (!p && participant != 0 && participant != s->id))
		return; /* that participant has left */
	if (!p && !may_transcribe_itself(s, final))
		return;
	if (p)
		ev.member = participant_member(p);
	ev.text = text;
	ev.final = final;
	tell_text(s, &ev);
}

static void on_up(void *ctx)
{
	struct bridge_seat *s = ctx;

	if (s->state != SEAT_OPEN)
		return;
	if (s->ops->resume) /* dialling is part of each attempt: it may take longer than what counts as having worked */
		retry_works(&s->retry, s->room->rooms->now);
	seat_report_worker(s, true, "");
}

static void on_pause(void *ctx, uint32_t ms)
{
	struct bridge_seat *s = ctx;

	retry_ask_pause(&s->retry, ms);
}

static void on_tool(void *ctx, bool good)
{
	struct bridge_seat *s = ctx;
	struct rooms_stats *st = &s->room->rooms->stats;

	if (good)
		st->tool_calls.results++;
	else
		st->tool_calls.errors++;
}

static const char *on_room(void *ctx)
{
	return ((struct bridge_seat *)ctx)->room->name;
}

static void on_left(void *ctx, const char *why)
{
	struct bridge_seat *s = ctx;

	if (s->state == SEAT_OPEN)
		seat_leave(s, why);
}

static void on_failed(void *ctx, const char *why)
{
	struct bridge_seat *s = ctx;

	if (s->state != SEAT_OPEN)
		return;
	seat_fail(s, why);
	if (s->ops->resume) /* it stays open, so there is nothing to wait for */
		seat_report_worker(s, false, why);
}

const struct bridge_sink seat_sink = {
	.audio = on_audio,
	.flush = on_flush,
	.message = on_message,
	.transcript = on_transcript,
	.dropped = on_dropped,
	.up = on_up,
	.pause = on_pause,
	.tool = on_tool,
	.room = on_room,
	.left = on_left,
	.failed = on_failed,
};
