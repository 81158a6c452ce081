/* SPDX-License-Identifier: MIT */
#include "room/seat.h"

#include "audio/mixer.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/backoff.h"
#include "base/err.h"
#include "room/room_private.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS 30000
#define WORKED_MS 10000 /* who lasted so long begins with the shortest pause again */
#define FADE_MS 5       /* of every end and beginning of speech */
#define CUT_MS 500      /* what comes of an utterance for so long after it was cut off did not know yet */

static size_t seat_samples(const struct bridge_seat *s, uint32_t ms)
{
	return (size_t)((uint64_t)s->rate_hz * ms / 1000);
}

const char *seat_name(const struct bridge_seat *s)
{
	return s->opts->name[0] ? s->opts->name : s->ops->type;
}

struct room_member seat_member(const struct bridge_seat *s)
{
	return (struct room_member){
		.id = s->id,
		.name = seat_name(s),
		.bridge = true,
		.speaking = s->vad.speaking,
		.muted = s->mode != BRIDGE_ACTIVE,
		.mode = s->mode,
		.down = s->away ? s->told : NULL,
	};
}

static struct room_event event_of(const struct bridge_seat *s, enum room_event_kind kind)
{
	return (struct room_event){.kind = kind, .member = seat_member(s), .up = !s->away, .text = ""};
}

/* ---- calls into the driver ---- */

static void call_begin(struct bridge_seat *s)
{
	assert(!s->in_call);
	s->in_call = true;
	s->room->rooms->calling++;
}

static void call_end(struct bridge_seat *s)
{
	s->room->rooms->calling--;
	s->in_call = false;
}

void seat_event(struct bridge_seat *s, const struct bridge_event *ev, nsec now)
{
	bool for_ears = ev->kind == BRIDGE_MESSAGE || (ev->kind == BRIDGE_SPEAKING && ev->speaking);

	if (s->state != SEAT_OPEN || !s->ops->event || s->in_call || (s->mode == BRIDGE_MUTED && for_ears))
		return;
	call_begin(s);
	s->ops->event(s->self, ev, now);
	call_end(s);
}

static void tell_interrupted(struct bridge_seat *s, nsec now)
{
	struct bridge_event ev = {
		.kind = BRIDGE_INTERRUPTED,
		.name = "",
		.text = "",
		.item = s->interrupted_item,
		.heard_ms = s->interrupted_ms,
	};

	if (!s->interrupted || s->in_call)
		return;
	s->interrupted = false;
	seat_event(s, &ev, now);
}

/* With the first tick, if it cannot be at once. */
static void tell_mode(struct bridge_seat *s, nsec now)
{
	struct bridge_event ev = {.kind = BRIDGE_MODE, .participant = s->mode_by, .name = "", .text = "", .mode = s->mode};

	if (!s->mode_due || s->in_call)
		return;
	s->mode_due = false;
	seat_event(s, &ev, now);
}

/* ---- calls from the driver ---- */

/* What is left to the next rooms_run(). */
static void fail_seat(struct bridge_seat *s, const char *why)
{
	if (s->state == SEAT_FAILED)
		return;
	s->state = SEAT_FAILED;
	snprintf(s->why, sizeof s->why, "%s", why);
	list_append(&s->room->rooms->failed, &s->node);
}

static void on_failed(void *ctx, const char *why)
{
	struct bridge_seat *s = ctx;

	if (s->state == SEAT_OPEN)
		fail_seat(s, why);
}

static int add_mark(struct bridge_seat *s, uint64_t item, size_t n)
{
	struct seat_mark *last = s->n_marks ? &s->marks[s->n_marks - 1] : NULL;

	if (last && last->item == item) {
		last->n += n;
		return 0;
	}
	if (s->n_marks == SEAT_MARKS)
		return ERR_LIMIT;
	s->marks[s->n_marks++] = (struct seat_mark){item, n};
	return 0;
}

static void count_dropped(struct bridge_seat *s, size_t n)
{
	struct rooms *rs = s->room->rooms;

	rs->bridge_dropped_ms += 1000.0 * (double)n / s->rate_hz;
	rs->stats.bridge_dropped_ms = (uint64_t)rs->bridge_dropped_ms;
}

static int on_audio(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	struct bridge_seat *s = ctx;
	size_t before = s->backlog.len;

	if (s->state != SEAT_OPEN)
		return ERR_STATE;
	if (n == 0)
		return 0;
	if (item <= s->cut_item)
		return 0;
	if (s->mode != BRIDGE_ACTIVE) {
		s->silent_item = item > s->silent_item ? item : s->silent_item;
		return 0;
	}
	int err = pcm_queue_push(&s->backlog, pcm, n);

	if (!err && (err = add_mark(s, item, n)))
		pcm_queue_cut(&s->backlog, before);
	if (err) {
		count_dropped(s, n);
		return err;
	}
	schedule_wake(s->room, s->in_call ? s->room->rooms->now : NSEC_NONE);
	return 0;
}

/* What was playing rings out: see run_dry(). */
static void drop_backlog(struct bridge_seat *s)
{
	pcm_queue_cut(&s->backlog, 0);
	s->n_marks = 0;
}

/* `unheard_ms`: of what went into the mix. */
static void take_back(struct bridge_seat *s, uint32_t unheard_ms)
{
	uint32_t played_ms = (uint32_t)(1000 * (uint64_t)s->item_played / s->rate_hz);

	s->interrupted = true;
	s->interrupted_item = s->n_marks ? s->marks[0].item : s->item;
	s->interrupted_ms = 0;
	if (s->item == s->interrupted_item && played_ms > unheard_ms)
		s->interrupted_ms = played_ms - unheard_ms;
	drop_backlog(s);
	room_flush(s->room, s->room->rooms->now);
}

static void on_flush(void *ctx)
{
	struct bridge_seat *s = ctx;

	if (s->state != SEAT_OPEN || s->n_marks == 0)
		return;
	take_back(s, 0);
	schedule_wake(s->room, s->in_call ? s->room->rooms->now : NSEC_NONE);
}

static void on_unheard(void *ctx, size_t n)
{
	struct bridge_seat *s = ctx;
	struct rooms *rs = s->room->rooms;

	rs->bridge_unheard_ms += 1000.0 * (double)n / s->rate_hz;
	rs->stats.bridge_unheard_ms = (uint64_t)rs->bridge_unheard_ms;
}

static void on_message(void *ctx, const char *text)
{
	struct bridge_seat *s = ctx;
	struct room_event ev = event_of(s, ROOM_MESSAGE);

	ev.text = text;
	if (s->state == SEAT_OPEN && s->mode == BRIDGE_ACTIVE)
		room_tell(s->room, &ev, s->room->rooms->now);
}

/* Of what it says itself: nothing while it is not to speak, but the end of what was heard before. */
static bool may_tell(struct bridge_seat *s, bool final)
{
	bool may = s->mode == BRIDGE_ACTIVE || s->last_words;

	s->last_words &= !final;
	return may;
}

static void on_transcript(void *ctx, uint32_t participant, const char *text, bool final)
{
	struct bridge_seat *s = ctx;
	struct participant *p = room_find(s->room, participant);
	struct room_event ev = event_of(s, ROOM_TRANSCRIPT);

	if (s->state != SEAT_OPEN || (!p && participant != 0 && participant != s->id))
		return; /* he has left */
	if (!p && !may_tell(s, final))
		return;
	if (p)
		ev.member = participant_member(p);
	ev.text = text;
	ev.final = final;
	room_tell(s->room, &ev, s->room->rooms->now);
}

/* People are told what changes: that it went, that it is away for another reason now, that it is back. A worker that dies
 * again and again for the same one is told of once. */
static void set_up(struct bridge_seat *s, bool up, const char *why)
{
	struct rooms *rs = s->room->rooms;
	struct room_event ev = event_of(s, ROOM_BRIDGE);

	if (s->away == !up && (up || strncmp(s->told, why, sizeof s->told - 1) == 0))
		return;
	if (s->away && up)
		rs->stats.bridges_down--;
	if (!s->away && !up)
		rs->stats.bridges_down++;
	s->away = !up;
	snprintf(s->told, sizeof s->told, "%s", why);
	ev.up = up;
	ev.text = s->told;
	room_tell(s->room, &ev, rs->now);
}

/* It is still open: only what people are told, and what is counted, is as after a failure. */
static void on_up(void *ctx, bool up, const char *why)
{
	struct bridge_seat *s = ctx;

	if (s->state != SEAT_OPEN)
		return;
	s->room->rooms->stats.bridge_failures += !up && !s->away;
	set_up(s, up, why);
}

static void on_pause(void *ctx, uint32_t ms)
{
	struct bridge_seat *s = ctx;

	s->least_pause_ms = ms;
}

static void on_tool(void *ctx, bool good)
{
	struct rooms_stats *st = &((struct bridge_seat *)ctx)->room->rooms->stats;

	if (good)
		st->tool_results++;
	else
		st->tool_errors++;
}

static const char *on_room(void *ctx)
{
	return ((struct bridge_seat *)ctx)->room->name;
}

static const struct bridge_sink sink = {
	.audio = on_audio,
	.flush = on_flush,
	.message = on_message,
	.transcript = on_transcript,
	.unheard = on_unheard,
	.up = on_up,
	.pause = on_pause,
	.tool = on_tool,
	.room = on_room,
	.failed = on_failed,
};

/* ---- life ---- */

int seat_new(struct room *room, const struct bridge_ops *ops, const struct bridge_opts *opts, struct bridge_seat **out)
{
	struct bridge_seat *s = calloc(1, sizeof *s);
	int err = 0;

	if (!s)
		return ERR_NOMEM;
	list_init(&s->node);
	s->room = room;
	s->ops = ops;
	s->opts = opts;
	s->rate_hz = bridge_rate(ops, opts, room->rate_hz);
	s->id = rooms_next_id(room->rooms);
	log_child(&s->log, &room->log, "bridge=%s", seat_name(s));
	limiter_init(&s->limiter, room->rate_hz);
	vad_init(&s->vad, room->rate_hz);
	barge_init(&s->barge, ops, opts);
	pcm_queue_init(&s->backlog, seat_samples(s, opts->backlog_ms));
	if (s->rate_hz != room->rate_hz)
		err = resample_new(room->rooms->table, room->rate_hz, s->rate_hz, &s->hear);
	if (!err && s->hear)
		err = resample_new(room->rooms->table, s->rate_hz, room->rate_hz, &s->speak);
	if (err) {
		seat_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void seat_free(struct bridge_seat *s)
{
	if (!s)
		return;
	assert(!s->is_open);
	list_remove(&s->node);
	pcm_queue_clear(&s->backlog);
	resample_free(s->hear);
	resample_free(s->speak);
	free(s);
}

static void tell_who_is_there(struct bridge_seat *s, nsec now)
{
	list_each(it, &s->room->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);
		struct bridge_event ev = {.kind = BRIDGE_JOINED, .participant = p->id, .name = p->name, .text = ""};

		seat_event(s, &ev, now);
	}
}

void seat_open(struct bridge_seat *s, nsec now)
{
	size_t n = (s->rate_hz * s->room->rooms->opts.frame_ms + 999) / 1000;

	s->state = SEAT_OPEN;
	s->opened_at = now;
	s->least_pause_ms = 0;
	call_begin(s);
	int err = s->ops->open(s->opts, s->rate_hz, n, &sink, s, &s->log, now, &s->self);

	call_end(s);
	if (err) {
		fail_seat(s, err_str(err));
		return;
	}
	s->is_open = true;
	s->room->rooms->stats.bridges++;
	if (s->state != SEAT_OPEN)
		return;
	log_info(&s->log, "open type=%s rate_hz=%u", s->ops->type, s->rate_hz);
	tell_who_is_there(s, now);
	s->mode_due = s->mode != BRIDGE_ACTIVE;
	tell_mode(s, now);
	schedule_wake(s->room, now); /* only a tick can tell whether it wants ticks */
}

static void close_driver(struct bridge_seat *s)
{
	if (s->is_open) {
		s->is_open = false;
		s->ops->close(s->self);
		s->room->rooms->stats.bridges--;
	}
	s->self = NULL;
	s->interrupted = false;
	s->cut_item = 0;
}

void seat_close(struct bridge_seat *s)
{
	list_remove(&s->node);
	s->room->rooms->stats.bridges_down -= s->away;
	s->away = false;
	s->told[0] = '\0';
	close_driver(s);
	s->state = SEAT_CLOSED;
}

/* Into the list of its level, which is sorted but for the chance in the pauses. */
static void wait_in_line(struct bridge_seat *s, uint64_t pause_ms, nsec now)
{
	struct list *line = &s->room->rooms->retry[s->level], *after = line->prev;

	s->retry_at = now + nsec_from_ms(pause_ms);
	s->state = SEAT_WAITING;
	while (after != line && list_entry(after, struct bridge_seat, node)->retry_at > s->retry_at)
		after = after->prev;
	list_append(after->next, &s->node);
}

static uint64_t next_pause_ms(struct bridge_seat *s)
{
	uint64_t ms = backoff_ms(RETRY_FIRST_MS, RETRY_MOST_MS, s->level + 1, backoff_chance(s->id, ++s->n_pauses));

	return ms > s->least_pause_ms ? ms : s->least_pause_ms;
}

/* Its speech ends softly; people go on. */
static void bury(struct bridge_seat *s, nsec now)
{
	char quoted[SEAT_WHY + 2];
	bool worked = s->is_open && now - s->opened_at >= nsec_from_ms(WORKED_MS);

	list_remove(&s->node);
	drop_backlog(s);
	close_driver(s);
	if (worked)
		s->level = 0;
	uint64_t pause_ms = next_pause_ms(s);

	wait_in_line(s, pause_ms, now);
	s->level += s->level < RETRY_LEVELS - 1;
	s->room->rooms->stats.bridge_failures++;
	log_warn(&s->log, "failed why=%s retry_ms=%u", log_quoted(s->why, quoted, sizeof quoted), (unsigned)pause_ms);
	set_up(s, false, s->why);
}

static void try_again(struct bridge_seat *s, nsec now)
{
	list_remove(&s->node);
	s->room->rooms->stats.bridge_restarts++;
	seat_open(s, now);
	if (s->state == SEAT_OPEN && !s->ops->tells_up)
		set_up(s, true, "");
}

nsec seats_retry_at(const struct list *retry)
{
	return list_empty(retry) ? NSEC_NONE : list_entry(retry->next, struct bridge_seat, node)->retry_at;
}

static void bury_all(struct rooms *rs, nsec now)
{
	while (!list_empty(&rs->failed))
		bury(list_entry(rs->failed.next, struct bridge_seat, node), now);
}

void seats_run(struct rooms *rs, nsec now)
{
	bury_all(rs, now);
	for (int i = 0; i < RETRY_LEVELS && rs->stats.bridges_down > 0; i++)
		while (seats_retry_at(&rs->retry[i]) <= now)
			try_again(list_entry(rs->retry[i].next, struct bridge_seat, node), now);
	bury_all(rs, now); /* who failed again at once */
}

/* ---- speech: from the backlog, exactly a tick at a time ---- */

/* What was played belongs to whom. */
static void count_played(struct bridge_seat *s, size_t n)
{
	for (size_t take; n > 0 && s->n_marks > 0; n -= take) {
		struct seat_mark *m = &s->marks[0];

		take = n < m->n ? n : m->n;
		if (m->item != s->item) {
			s->item = m->item;
			s->item_played = 0;
		}
		s->item_played += take;
		m->n -= take;
		if (m->n == 0)
			memmove(m, m + 1, --s->n_marks * sizeof *m);
	}
}

/* Speech begins. */
static void soften_start(const struct bridge_seat *s, float *x, size_t n)
{
	size_t len = seat_samples(s, FADE_MS);

	for (size_t i = 0; i < n && i < len; i++) {
		float t = (float)(i + 1) / (float)(len + 1);

		x[i] *= t * t * (3 - 2 * t);
	}
}

/* Speech ran out, and nobody knew before: its last value sinks to nothing, and its last slope, which
 * would be heard as a click if it broke off, does so in a third of that. */
static void ring(struct bridge_seat *s, float *x, size_t n)
{
	size_t len = seat_samples(s, FADE_MS);

	for (size_t i = 0; i < n && s->ring_left > 0; i++, s->ring_left--) {
		float at = (float)(len - s->ring_left + 1), t = at / (float)len, u = 3 * t;

		x[i] += s->last * (1 - t) * (1 - t) * (1 + 2 * t);
		if (u < 1)
			x[i] += s->slope * at * (1 - u) * (1 - u);
	}
}

/* Returns whether there is something to fade. */
static bool run_dry(struct bridge_seat *s, float *x, size_t n)
{
	s->sounding = false;
	if (fabsf(s->last) + fabsf(s->slope) < 1e-4f)
		return false;
	s->ring_left = seat_samples(s, FADE_MS);
	ring(s, x, n);
	return true;
}

static size_t take_speech(struct bridge_seat *s, float *x, size_t n)
{
	float *pcm = s->room->rooms->block;
	size_t got = pcm_queue_pull_float(&s->backlog, pcm, n);

	if (got == 0)
		return 0;
	count_played(s, got);
	if (!s->sounding)
		soften_start(s, pcm, got);
	mix_add(x, pcm, got);
	s->slope = pcm[got - 1] - (got > 1 ? pcm[got - 2] : s->sounding ? s->last : 0);
	s->last = pcm[got - 1];
	s->sounding = true;
	return got;
}

/* `n` samples at the driver's rate. Returns whether any is not silence for certain. */
static bool take(struct bridge_seat *s, float *x, size_t n)
{
	bool rang = s->ring_left > 0;

	mix_clear(x, n);
	ring(s, x, n); /* of an earlier end, under whatever comes */
	size_t got = take_speech(s, x, n);

	if (s->sounding && got < n)
		rang |= run_dry(s, x + got, n - got);
	return rang || got > 0;
}

static bool silent(const struct bridge_seat *s)
{
	return s->backlog.len == 0 && !s->sounding && s->ring_left == 0 && !s->filter_rings;
}

/* One tick at the room's rate in rooms.resampled, through the resampler. Both resamplers round up what they have made
 * so far, so a driver that says a sample for each it hears is never short of one. */
static bool take_resampled(struct bridge_seat *s)
{
	struct room *r = s->room;
	float *out = r->rooms->resampled, x[TICK_SAMPLES_MAX];
	size_t have = s->n_carry;
	bool spoke = false;

	memcpy(out, s->carry, have * sizeof *out);
	while (have < r->n) {
		size_t n = ((r->n - have) * s->rate_hz + r->rate_hz - 1) / r->rate_hz;

		spoke |= take(s, x, n);
		have += resample_run(s->speak, x, n, out + have, OUT_SAMPLES_MAX - have);
	}
	s->n_carry = have - r->n;
	assert(s->n_carry <= SEAT_CARRY);
	memcpy(s->carry, out + r->n, s->n_carry * sizeof *out);
	bool sounds = spoke || s->filter_rings;

	s->filter_rings = spoke;
	return sounds;
}

static void set_speaking(struct bridge_seat *s, bool before, nsec now)
{
	if (before == s->vad.speaking)
		return;
	struct room_event ev = event_of(s, ROOM_SPEAKING);

	room_tell(s->room, &ev, now);
}

static bool speak(struct bridge_seat *s, float *sum, nsec now)
{
	struct room *r = s->room;
	float *x = r->rooms->resampled;
	bool before = s->vad.speaking, spoke = false;

	if (!silent(s))
		spoke = s->speak ? take_resampled(s) : take(s, x, r->n);
	if (spoke) {
		vad_run(&s->vad, x, r->n);
		barge_apply(&s->barge, x, r->n);
		mix_add(sum, x, r->n);
	} else {
		vad_run_silence(&s->vad, r->n);
		barge_rest(&s->barge);
	}
	set_speaking(s, before, now);
	return spoke;
}

/* ---- hearing ---- */

static float level_dbfs(const float *x, size_t n)
{
	float power = pcm_mean_square(x, n);

	return power > 1e-10f ? 10 * log10f(power) : VAD_SILENCE_DBFS;
}

static uint32_t waiting_ms(const struct bridge_seat *s)
{
	return (uint32_t)((1000 * (uint64_t)s->backlog.len + s->rate_hz - 1) / s->rate_hz);
}

static bool hear(struct bridge_seat *s, const struct seat_input *input, nsec now)
{
	struct room *r = s->room;
	float *x = r->rooms->block;
	struct bridge_hearing h = {.pcm = x, .n = r->n, .talkers = input->talkers, .speech = input->speech};

	memcpy(x, input->people, r->n * sizeof *x);
	if (s->mode == BRIDGE_MUTED) {
		mix_clear(x, r->n);
		h.talkers = 0;
		h.speech = false;
	}
	if (input->talkers > 1 || s->limiter.gain < 1) /* one alone passes as he is, up to full scale */
		limiter_run(&s->limiter, x, r->n);
	h.level_dbfs = level_dbfs(x, r->n);
	if (s->hear) {
		h.pcm = r->rooms->resampled;
		h.n = resample_run(s->hear, x, r->n, r->rooms->resampled, OUT_SAMPLES_MAX);
	}
	h.heard_item = s->n_marks ? s->marks[0].item : 0;
	h.waiting_ms = waiting_ms(s);
	call_begin(s);
	bool wants = s->ops->audio(s->self, &h, now);

	call_end(s);
	return wants;
}

/* ---- who talks over it ---- */

static void cut_off(struct bridge_seat *s, const struct participant *by)
{
	uint64_t last = s->n_marks ? s->marks[s->n_marks - 1].item : s->item;

	take_back(s, participant_unheard_ms(by));
	s->cut_item = last;
	s->cut_ms = 0;
}

static void give_way(struct bridge_seat *s, const struct seat_input *input)
{
	struct room *r = s->room;
	enum barge_state before = s->barge.state;
	struct barge_tick t = {
		.ms = (float)r->rooms->opts.frame_ms,
		.speaks = s->n_marks > 0 || s->sounding,
		.voiced_ms = input->voice ? input->voice->vad.above_ms : 0,
		.level_dbfs = input->voice ? input->voice->vad.level_dbfs : VAD_SILENCE_DBFS,
	};

	s->cut_ms += t.ms;
	if (s->cut_ms >= CUT_MS && before == BARGE_CALM) /* a worker may know no utterances and count on with one */
		s->cut_item = 0;
	if (barge_run(&s->barge, &t))
		cut_off(s, input->voice);
	r->rooms->stats.talked_over += before == BARGE_CALM && s->barge.state != BARGE_CALM;
}

/* ---- who silences it ---- */

/* Who speaks in this moment begins or ends to do so for its input. */
static void tell_who_speaks(struct bridge_seat *s, bool speaking, nsec now)
{
	list_each(it, &s->room->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);
		struct bridge_event ev = {.kind = BRIDGE_SPEAKING, .participant = p->id, .name = p->name, .text = "",
			.speaking = speaking};

		if (p->vad.speaking)
			seat_event(s, &ev, now);
	}
}

static void silence(struct bridge_seat *s, const struct participant *by)
{
	s->last_words = s->n_marks > 0;
	if (s->n_marks > 0)
		take_back(s, participant_unheard_ms(by));
}

/* An utterance that began unheard is not heard from its middle on. */
static void give_voice_back(struct bridge_seat *s)
{
	if (s->silent_item > s->cut_item) {
		s->cut_item = s->silent_item;
		s->cut_ms = 0;
	}
	s->silent_item = 0;
	s->last_words = false;
}

void seat_set_mode(struct bridge_seat *s, enum bridge_mode mode, struct participant *by, nsec now)
{
	enum bridge_mode before = s->mode;
	struct rooms *rs = s->room->rooms;

	if (mode == before)
		return;
	rooms_see_time(rs, now);
	s->mode = mode;
	s->mode_by = by->id;
	s->mode_due = true;
	log_info(&s->log, "mode=%s participant=%u", bridge_mode_name(mode), by->id);
	if (before == BRIDGE_ACTIVE)
		silence(s, by);
	if (mode == BRIDGE_ACTIVE)
		give_voice_back(s);
	tell_interrupted(s, now);
	tell_mode(s, now);
	if (mode == BRIDGE_MUTED || before == BRIDGE_MUTED)
		tell_who_speaks(s, mode != BRIDGE_MUTED, now);
	struct room_event ev = event_of(s, ROOM_BRIDGE);

	ev.by = by->id;
	ev.text = s->told;
	room_tell(s->room, &ev, now);
	schedule_wake(s->room, now);
}

bool seat_tick(struct bridge_seat *s, const struct seat_input *input, float *sum, bool *spoke, nsec now)
{
	bool wants = false;

	if (s->state == SEAT_OPEN) {
		give_way(s, input);
		tell_interrupted(s, now);
		tell_mode(s, now);
		wants = hear(s, input, now);
		tell_interrupted(s, now);
	}
	*spoke = speak(s, sum, now);
	if (silent(s) && !wants)
		pcm_queue_clear(&s->backlog);
	return wants || !silent(s) || s->vad.speaking || s->cut_item > 0;
}
