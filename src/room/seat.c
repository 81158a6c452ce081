/* SPDX-License-Identifier: MIT */
#include "room/seat.h"

#include "audio/mixer.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/err.h"
#include "room/room_private.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDED_MS 500 /* a driver may not know until then that an utterance was ended */

_Static_assert((int)OUT_SAMPLES_MAX >= (int)SPEECH_OUT_MAX && (int)TICK_SAMPLES_MAX <= (int)SPEECH_TICK_MAX,
	"rooms.resampled holds a tick of speech");

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
		.down = s->away ? s->away_why : NULL,
		.left = s->away && s->away_left,
	};
}

static struct room_event event_of(const struct bridge_seat *s, enum room_event_kind kind)
{
	return (struct room_event){.kind = kind, .member = seat_member(s), .up = !s->away, .text = ""};
}

static void count_down(struct bridge_seat *s, bool down)
{
	struct rooms_stats *st = &s->room->rooms->stats;

	st->bridges_down += (uint32_t)down - s->down;
	s->down = down;
}

void seat_report_worker(struct bridge_seat *s, bool connected, const char *why)
{
	bool left = !connected && s->left;

	count_down(s, !connected && !left);
	if (s->away == !connected && (connected || (s->away_left == left && strncmp(s->away_why, why, sizeof s->away_why - 1) == 0)))
		return;
	s->away = !connected;
	s->away_left = left;
	snprintf(s->away_why, sizeof s->away_why, "%s", why);
	struct room_event ev = event_of(s, ROOM_BRIDGE);

	ev.text = s->away_why;
	room_notify(s->room, &ev, s->room->rooms->now);
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

/* A muted bridge learns neither what people write nor when they speak. */
static bool withheld(const struct bridge_seat *s, const struct bridge_event *ev)
{
	return s->mode == BRIDGE_MUTED && (ev->kind == BRIDGE_MESSAGE || (ev->kind == BRIDGE_SPEAKING && ev->speaking));
}

/* ops->close is due. */
static bool driver_open(const struct bridge_seat *s)
{
	return s->state == SEAT_OPEN || s->state == SEAT_FAILED || s->state == SEAT_SUSPENDED;
}

/* A driver that outlives its worker learns what happens meanwhile. */
static bool takes_events(const struct bridge_seat *s)
{
	return s->state == SEAT_OPEN || (driver_open(s) && s->ops->resume);
}

void seat_event(struct bridge_seat *s, const struct bridge_event *ev, nsec now)
{
	if (!takes_events(s) || !s->ops->event || s->in_call || withheld(s, ev))
		return;
	call_begin(s);
	s->ops->event(s->self, ev, now);
	call_end(s);
}

/* At once or, from inside a call of the driver's, with the next tick. */
static void report_cut(struct bridge_seat *s, nsec now)
{
	struct bridge_event ev = {
		.kind = BRIDGE_INTERRUPTED,
		.name = "",
		.text = "",
		.utterance = s->cut_due.utterance,
		.heard_ms = s->cut_due.heard_ms,
	};

	if (s->cut_due.utterance == 0 || s->in_call)
		return;
	s->cut_due.utterance = 0;
	seat_event(s, &ev, now);
}

static void report_mode(struct bridge_seat *s, nsec now)
{
	struct bridge_event ev = {.kind = BRIDGE_MODE, .participant = s->mode_by, .name = "", .text = "", .mode = s->mode};

	if (!s->mode_due || s->in_call)
		return;
	s->mode_due = false;
	seat_event(s, &ev, now);
}

static void report_people(struct bridge_seat *s, nsec now)
{
	list_each(it, &s->room->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);
		struct bridge_event ev = {.kind = BRIDGE_JOINED, .participant = p->id, .name = p->name, .text = ""};

		seat_event(s, &ev, now);
	}
}

/* For the driver, the people who speak at this moment begin or cease to do so. */
static void report_speakers(struct bridge_seat *s, bool speaking, nsec now)
{
	list_each(it, &s->room->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);
		struct bridge_event ev = {.kind = BRIDGE_SPEAKING, .participant = p->id, .name = p->name, .text = "",
			.speaking = speaking};

		if (p->vad.speaking)
			seat_event(s, &ev, now);
	}
}

void seat_newcomer(struct bridge_seat *s, const struct participant *p, nsec now)
{
	struct bridge_event ev = {.kind = BRIDGE_JOINED, .participant = p->id, .name = p->name, .text = ""};

	if (s->left && s->state == SEAT_FAILED)
		retry_ask_pause(&s->retry, 0);
	else if (s->left)
		retry_hurry(&s->room->rooms->retry, &s->retry, now);
	seat_event(s, &ev, now);
}

/* ---- life ---- */

static bool catches_up(const struct bridge_seat *s)
{
	enum bridge_catch_up wish = s->opts->catch_up == CATCH_UP_AUTO ? s->ops->catch_up : s->opts->catch_up;

	return wish == CATCH_UP_PAUSES;
}

static int init_audio(struct bridge_seat *s, uint32_t rate_hz)
{
	const struct resample_table *table = s->room->rooms->table;
	uint32_t room_hz = s->room->rate_hz;

	limiter_init(&s->limiter, room_hz);
	vad_init(&s->vad, room_hz);
	barge_init(&s->barge, s->ops, s->opts);
	int err = speech_init(&s->speech, table, rate_hz, room_hz, s->opts->backlog_ms);

	s->speech.catch_up.on = catches_up(s);
	if (!err && rate_hz != room_hz)
		err = resample_new(table, room_hz, rate_hz, &s->resample);
	return err;
}

int seat_new(struct room *room, const struct bridge_ops *ops, const struct bridge_opts *opts, struct bridge_seat **out)
{
	struct bridge_seat *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	s->room = room;
	s->ops = ops;
	s->opts = opts;
	s->id = rooms_next_id(room->rooms);
	retry_init(&s->retry, s->id);
	log_child(&s->log, &room->log, "bridge=%s", seat_name(s));
	int err = init_audio(s, bridge_rate(ops, opts, room->rate_hz));

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
	assert(!driver_open(s));
	retry_cancel(&s->room->rooms->retry, &s->retry);
	speech_fini(&s->speech);
	resample_free(s->resample);
	free(s);
}

static int open_driver(struct bridge_seat *s, nsec now)
{
	uint32_t rate_hz = s->speech.rate_hz;
	size_t n = (rate_hz * s->room->rooms->opts.frame_ms + 999) / 1000;

	s->state = SEAT_OPEN;
	speech_begin(&s->speech);
	retry_begin(&s->retry, now);
	call_begin(s);
	int err = s->ops->open(s->opts, rate_hz, n, &seat_sink, s, &s->log, now, &s->self);

	call_end(s);
	return err;
}

void seat_open(struct bridge_seat *s, nsec now)
{
	int err = open_driver(s, now);

	if (err) {
		seat_fail(s, err_str(err));
		s->state = SEAT_UNOPENED;
		return;
	}
	s->room->rooms->stats.bridges++;
	if (!takes_events(s))
		return;
	log_info(&s->log, "open type=%s rate_hz=%u", s->ops->type, s->speech.rate_hz);
	report_people(s, now);
	s->mode_due = s->mode != BRIDGE_ACTIVE;
	report_mode(s, now);
	schedule_wake(s->room, now); /* only a tick can tell whether it wants ticks */
}

static void close_driver(struct bridge_seat *s)
{
	if (driver_open(s)) {
		s->ops->close(s->self);
		s->room->rooms->stats.bridges--;
	}
	s->state = SEAT_CLOSED;
	s->self = NULL;
	s->cut_due.utterance = 0;
	s->ended.through = 0;
}

void seat_close(struct bridge_seat *s)
{
	struct rooms *rs = s->room->rooms;

	retry_cancel(&rs->retry, &s->retry);
	count_down(s, false);
	s->left = s->away = false;
	s->away_why[0] = '\0';
	close_driver(s);
}

/* ---- failure ---- */

void seat_fail(struct bridge_seat *s, const char *why)
{
	if (s->state == SEAT_FAILED)
		return;
	s->state = SEAT_FAILED;
	snprintf(s->why, sizeof s->why, "%s", why);
	retry_fail(&s->room->rooms->retry, &s->retry);
}

void seat_leave(struct bridge_seat *s, const char *why)
{
	s->left = true;
	retry_ask_pause(&s->retry, RETRY_NEVER_MS);
	seat_fail(s, why);
}

static void log_failure(const struct bridge_seat *s, uint64_t pause_ms)
{
	char quoted[SEAT_WHY + 2];

	log_quoted(s->why, quoted, sizeof quoted);
	if (s->left)
		log_info(&s->log, "left why=%s", quoted);
	else if (pause_ms >= RETRY_NEVER_MS)
		log_error(&s->log, "given up why=%s", quoted);
	else
		log_warn(&s->log, "failed why=%s retry_ms=%llu", quoted, (unsigned long long)pause_ms);
}

/* Its speech fades, unless its driver stays or the worker has left: that may have been its goodbye. People go on. */
static void on_failure(struct bridge_seat *s, nsec now)
{
	struct rooms *rs = s->room->rooms;
	bool was_open = driver_open(s), stays = was_open && s->ops->resume;

	if (!stays && !s->left)
		(void)speech_flush(&s->speech, 0);
	if (!stays)
		close_driver(s);
	uint64_t pause_ms = retry_wait(&rs->retry, &s->retry, stays ? s->retry.works : was_open, now);

	s->state = stays ? SEAT_SUSPENDED : SEAT_WAITING;
	rs->stats.bridge_failures += !s->left;
	log_failure(s, pause_ms);
	seat_report_worker(s, false, s->why);
}

static void resume(struct bridge_seat *s, nsec now)
{
	s->state = SEAT_OPEN;
	retry_begin(&s->retry, now);
	call_begin(s);
	s->ops->resume(s->self, now);
	call_end(s);
	schedule_wake(s->room, now);
}

static void try_again(struct bridge_seat *s, nsec now)
{
	s->room->rooms->stats.bridge_restarts += !s->left;
	s->left = false;
	if (s->state == SEAT_SUSPENDED)
		resume(s, now);
	else
		seat_open(s, now);
	if (s->state == SEAT_OPEN && !s->ops->tells_up)
		seat_report_worker(s, true, "");
}

static void handle_failures(struct rooms *rs, nsec now)
{
	for (struct retry *r; (r = retry_next_failed(&rs->retry));)
		on_failure(list_entry(r, struct bridge_seat, retry), now);
}

void seats_run(struct rooms *rs, nsec now)
{
	handle_failures(rs, now);
	for (struct retry *r; (r = retry_due(&rs->retry, now));)
		try_again(list_entry(r, struct bridge_seat, retry), now);
	handle_failures(rs, now); /* of those that failed again at once */
}

/* ---- interruptions and modes ---- */

/* Whether `a` rather than `b` decides when they talk over the bridge. */
static bool talks_first(const struct participant *a, const struct participant *b)
{
	uint64_t tick = a->room->tick;
	bool a_talks = a->voice_seen == tick, b_talks = b->voice_seen == tick;

	if (a_talks && b_talks)
		return a->voice_began < b->voice_began;
	if (a->voice_seen || b->voice_seen)
		return a->voice_seen > b->voice_seen;
	return listener_playout_lag_ms(&a->listener) > listener_playout_lag_ms(&b->listener);
}

uint32_t seat_unplayed_ms(const struct bridge_seat *s)
{
	const struct participant *first = NULL;

	list_each(it, &s->room->people, tmp) {
		const struct participant *p = list_entry(it, struct participant, node);

		if (!first || talks_first(p, first))
			first = p;
	}
	return first ? listener_playout_lag_ms(&first->listener) : 0;
}

bool seat_flush(struct bridge_seat *s, uint32_t unplayed_ms)
{
	if (!speech_goes_on(&s->speech, unplayed_ms))
		return false;
	s->cut_due = speech_flush(&s->speech, unplayed_ms);
	room_flush(s->room, s->room->rooms->now);
	return true;
}

static void end_utterances(struct bridge_seat *s, uint64_t through)
{
	s->ended.through = through;
	s->ended.ms = 0;
}

/* A worker may know no utterances and go on with the same one: after a while that is speech again. */
static void forget_ended(struct bridge_seat *s, float ms)
{
	s->ended.ms += ms;
	if (s->ended.ms >= ENDED_MS && s->barge.state == BARGE_CALM)
		s->ended.through = 0;
}

static void interrupt(struct bridge_seat *s)
{
	uint64_t newest = speech_newest(&s->speech);

	seat_flush(s, seat_unplayed_ms(s));
	end_utterances(s, newest);
}

/* Turns its speech down while somebody talks over it, or flushes it. */
static void duck(struct bridge_seat *s, const struct seat_input *input)
{
	struct rooms *rs = s->room->rooms;
	enum barge_state before = s->barge.state;
	struct barge_tick t = {
		.ms = (float)rs->opts.frame_ms,
		.speaks = speech_talks(&s->speech),
		.voiced_ms = input->voice ? input->voice->vad.above_ms : 0,
		.level_dbfs = input->voice ? input->voice->vad.level_dbfs : VAD_SILENCE_DBFS,
	};

	forget_ended(s, t.ms);
	if (barge_run(&s->barge, &t))
		interrupt(s);
	rs->stats.talked_over += before == BARGE_CALM && s->barge.state != BARGE_CALM;
}

static void silence(struct bridge_seat *s, const struct participant *by)
{
	s->final_transcript = seat_flush(s, listener_playout_lag_ms(&by->listener));
}

/* An utterance that began while it was silenced is not played from its middle on. */
static void let_speak(struct bridge_seat *s)
{
	if (s->ended.silenced > s->ended.through)
		end_utterances(s, s->ended.silenced);
	s->ended.silenced = 0;
	s->final_transcript = false;
}

static void report_mode_to_room(struct bridge_seat *s, nsec now)
{
	struct room_event ev = event_of(s, ROOM_BRIDGE);

	ev.by = s->mode_by;
	ev.text = s->away_why;
	room_notify(s->room, &ev, now);
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
		let_speak(s);
	report_cut(s, now);
	report_mode(s, now);
	if (mode == BRIDGE_MUTED || before == BRIDGE_MUTED)
		report_speakers(s, mode != BRIDGE_MUTED, now);
	report_mode_to_room(s, now);
	schedule_wake(s->room, now);
}

/* ---- one tick ---- */

static float level_dbfs(const float *x, size_t n)
{
	float power = pcm_mean_square(x, n);

	return power > 1e-10f ? 10 * log10f(power) : VAD_SILENCE_DBFS;
}

/* The sum of the people as the driver may hear it, at the room's rate. A single talker passes unchanged, up to full scale. */
static const float *limited(struct bridge_seat *s, const struct seat_input *input)
{
	struct room *r = s->room;
	const float *x = input->people;

	if (s->mode == BRIDGE_MUTED) {
		mix_clear(r->rooms->block, r->n);
		x = r->rooms->block;
	}
	if (input->talkers > 1 || s->limiter.gain < 1)
		x = limiter_pass(&s->limiter, x, r->rooms->block, r->n);
	return x;
}

/* Returns whether the driver wants ticks when nobody makes a sound. */
static bool give_input(struct bridge_seat *s, const struct seat_input *input, nsec now)
{
	struct room *r = s->room;
	const float *x = limited(s, input);
	bool muted = s->mode == BRIDGE_MUTED;
	struct bridge_input h = {
		.pcm = x,
		.n = r->n,
		.talkers = muted ? 0 : input->talkers,
		.speech = input->speech && !muted,
		.level_dbfs = level_dbfs(x, r->n),
		.utterance = speech_next(&s->speech),
		.waiting_ms = speech_waiting_ms(&s->speech),
		.underway_ms = s->speech.n_runs ? speech_underway_ms(&s->speech, seat_unplayed_ms(s)) : 0,
	};

	if (s->resample) {
		h.pcm = r->rooms->resampled;
		h.n = resample_run(s->resample, x, r->n, r->rooms->resampled, OUT_SAMPLES_MAX);
	}
	call_begin(s);
	bool wants = s->ops->audio(s->self, &h, now);

	call_end(s);
	return wants;
}

static void report_speaking(struct bridge_seat *s, bool before, nsec now)
{
	if (before == s->vad.speaking)
		return;
	struct room_event ev = event_of(s, ROOM_SPEAKING);

	room_notify(s->room, &ev, now);
}

static bool anybody_hears(const struct room *r)
{
	list_each(it, &r->people, tmp)
		if (listener_hears(&list_entry(it, struct participant, node)->listener))
			return true;
	return false;
}

/* Its first words wait for the first who hears them. */
static bool may_begin(struct bridge_seat *s)
{
	if (s->heard || !speech_waits(&s->speech))
		return true;
	s->heard = s->held_ms >= s->opts->hold_ms || anybody_hears(s->room);
	s->held_ms += s->room->rooms->opts.frame_ms;
	return s->heard;
}

static bool speak(struct bridge_seat *s, float *sum, nsec now)
{
	struct room *r = s->room;
	float *x = r->rooms->resampled;
	bool before = s->vad.speaking, spoke = may_begin(s) && speech_pull(&s->speech, x, r->n);

	if (spoke) {
		vad_run(&s->vad, x, r->n);
		barge_apply(&s->barge, x, r->n);
		mix_add(sum, x, r->n);
	} else {
		vad_run_silence(&s->vad, r->n);
		barge_rest(&s->barge);
	}
	report_speaking(s, before, now);
	return spoke;
}

static void follow_people(struct bridge_seat *s, const struct seat_input *input, nsec now)
{
	duck(s, input);
	report_cut(s, now);
	report_mode(s, now);
}

bool seat_tick(struct bridge_seat *s, const struct seat_input *input, float *sum, bool *spoke, nsec now)
{
	bool wants = false;

	if (s->state == SEAT_OPEN) {
		follow_people(s, input, now);
		wants = give_input(s, input, now);
		report_cut(s, now);
	} else if (takes_events(s)) {
		follow_people(s, input, now);
	}
	*spoke = speak(s, sum, now);
	bool silent = speech_silent(&s->speech);

	if (silent && !wants)
		speech_trim(&s->speech);
	return wants || !silent || s->vad.speaking || s->ended.through > 0;
}
