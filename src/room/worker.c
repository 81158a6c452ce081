/* SPDX-License-Identifier: MIT */
#include "room/worker.h"

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

static size_t worker_samples(const struct worker *w, uint32_t ms)
{
	return (size_t)((uint64_t)w->rate_hz * ms / 1000);
}

const char *worker_name(const struct worker *w)
{
	return w->opts->name[0] ? w->opts->name : w->ops->type;
}

struct room_member worker_member(const struct worker *w)
{
	return (struct room_member){
		.id = w->id,
		.name = worker_name(w),
		.bridge = true,
		.speaking = w->vad.speaking,
		.muted = w->mode != BRIDGE_ACTIVE,
		.mode = w->mode,
		.down = w->away ? w->told : NULL,
	};
}

static struct room_event event_of(const struct worker *w, enum room_event_kind kind)
{
	return (struct room_event){.kind = kind, .member = worker_member(w), .up = !w->away, .text = ""};
}

/* ---- calls into the driver ---- */

static void call_begin(struct worker *w)
{
	assert(!w->in_call);
	w->in_call = true;
	w->room->rooms->calling++;
}

static void call_end(struct worker *w)
{
	w->room->rooms->calling--;
	w->in_call = false;
}

void worker_event(struct worker *w, const struct bridge_event *ev, nsec now)
{
	bool for_ears = ev->kind == BRIDGE_MESSAGE || (ev->kind == BRIDGE_SPEAKING && ev->speaking);

	if (w->state != WORKER_UP || !w->ops->event || w->in_call || (w->mode == BRIDGE_MUTED && for_ears))
		return;
	call_begin(w);
	w->ops->event(w->self, ev, now);
	call_end(w);
}

static void tell_interrupted(struct worker *w, nsec now)
{
	struct bridge_event ev = {
		.kind = BRIDGE_INTERRUPTED,
		.name = "",
		.text = "",
		.item = w->interrupted_item,
		.heard_ms = w->interrupted_ms,
	};

	if (!w->interrupted || w->in_call)
		return;
	w->interrupted = false;
	worker_event(w, &ev, now);
}

/* With the first tick, if it cannot be at once. */
static void tell_mode(struct worker *w, nsec now)
{
	struct bridge_event ev = {.kind = BRIDGE_MODE, .participant = w->mode_by, .name = "", .text = "", .mode = w->mode};

	if (!w->mode_due || w->in_call)
		return;
	w->mode_due = false;
	worker_event(w, &ev, now);
}

/* ---- calls from the driver ---- */

/* What is left to the next rooms_run(). */
static void break_worker(struct worker *w, const char *why)
{
	if (w->state == WORKER_BROKEN)
		return;
	w->state = WORKER_BROKEN;
	snprintf(w->why, sizeof w->why, "%s", why);
	list_append(&w->room->rooms->broken, &w->node);
}

static void on_failed(void *ctx, const char *why)
{
	struct worker *w = ctx;

	if (w->state == WORKER_UP)
		break_worker(w, why);
}

static int add_mark(struct worker *w, uint64_t item, size_t n)
{
	struct worker_mark *last = w->n_marks ? &w->marks[w->n_marks - 1] : NULL;

	if (last && last->item == item) {
		last->n += n;
		return 0;
	}
	if (w->n_marks == WORKER_MARKS)
		return ERR_LIMIT;
	w->marks[w->n_marks++] = (struct worker_mark){item, n};
	return 0;
}

static void count_dropped(struct worker *w, size_t n)
{
	struct rooms *rs = w->room->rooms;

	rs->bridge_dropped_ms += 1000.0 * (double)n / w->rate_hz;
	rs->stats.bridge_dropped_ms = (uint64_t)rs->bridge_dropped_ms;
}

static int on_audio(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	struct worker *w = ctx;
	size_t before = w->backlog.len;

	if (w->state != WORKER_UP)
		return ERR_STATE;
	if (n == 0)
		return 0;
	if (item <= w->cut_item)
		return 0;
	if (w->mode != BRIDGE_ACTIVE) {
		w->silent_item = item > w->silent_item ? item : w->silent_item;
		return 0;
	}
	int err = pcm_queue_push(&w->backlog, pcm, n);

	if (!err && (err = add_mark(w, item, n)))
		pcm_queue_cut(&w->backlog, before);
	if (err) {
		count_dropped(w, n);
		return err;
	}
	schedule_wake(w->room, w->in_call ? w->room->rooms->now : NSEC_NONE);
	return 0;
}

/* What was playing rings out: see run_dry(). */
static void drop_backlog(struct worker *w)
{
	pcm_queue_cut(&w->backlog, 0);
	w->n_marks = 0;
}

/* `unheard_ms`: of what went into the mix. */
static void take_back(struct worker *w, uint32_t unheard_ms)
{
	uint32_t played_ms = (uint32_t)(1000 * (uint64_t)w->item_played / w->rate_hz);

	w->interrupted = true;
	w->interrupted_item = w->n_marks ? w->marks[0].item : w->item;
	w->interrupted_ms = 0;
	if (w->item == w->interrupted_item && played_ms > unheard_ms)
		w->interrupted_ms = played_ms - unheard_ms;
	drop_backlog(w);
	room_flush(w->room, w->room->rooms->now);
}

static void on_flush(void *ctx)
{
	struct worker *w = ctx;

	if (w->state != WORKER_UP || w->n_marks == 0)
		return;
	take_back(w, 0);
	schedule_wake(w->room, w->in_call ? w->room->rooms->now : NSEC_NONE);
}

static void on_unheard(void *ctx, size_t n)
{
	struct worker *w = ctx;
	struct rooms *rs = w->room->rooms;

	rs->bridge_unheard_ms += 1000.0 * (double)n / w->rate_hz;
	rs->stats.bridge_unheard_ms = (uint64_t)rs->bridge_unheard_ms;
}

static void on_message(void *ctx, const char *text)
{
	struct worker *w = ctx;
	struct room_event ev = event_of(w, ROOM_MESSAGE);

	ev.text = text;
	if (w->state == WORKER_UP && w->mode == BRIDGE_ACTIVE)
		room_tell(w->room, &ev, w->room->rooms->now);
}

/* Of what it says itself: nothing while it is not to speak, but the end of what was heard before. */
static bool may_tell(struct worker *w, bool final)
{
	bool may = w->mode == BRIDGE_ACTIVE || w->last_words;

	w->last_words &= !final;
	return may;
}

static void on_transcript(void *ctx, uint32_t participant, const char *text, bool final)
{
	struct worker *w = ctx;
	struct participant *p = room_find(w->room, participant);
	struct room_event ev = event_of(w, ROOM_TRANSCRIPT);

	if (w->state != WORKER_UP || (!p && participant != 0 && participant != w->id))
		return; /* he has left */
	if (!p && !may_tell(w, final))
		return;
	if (p)
		ev.member = participant_member(p);
	ev.text = text;
	ev.final = final;
	room_tell(w->room, &ev, w->room->rooms->now);
}

/* People are told what changes: that it went, that it is away for another reason now, that it is back. A worker that dies
 * again and again for the same one is told of once. */
static void set_up(struct worker *w, bool up, const char *why)
{
	struct rooms *rs = w->room->rooms;
	struct room_event ev = event_of(w, ROOM_BRIDGE);

	if (w->away == !up && (up || strncmp(w->told, why, sizeof w->told - 1) == 0))
		return;
	if (w->away && up)
		rs->stats.bridges_down--;
	if (!w->away && !up)
		rs->stats.bridges_down++;
	w->away = !up;
	snprintf(w->told, sizeof w->told, "%s", why);
	ev.up = up;
	ev.text = w->told;
	room_tell(w->room, &ev, rs->now);
}

/* It is still open: only what people are told, and what is counted, is as after a failure. */
static void on_up(void *ctx, bool up, const char *why)
{
	struct worker *w = ctx;

	if (w->state != WORKER_UP)
		return;
	w->room->rooms->stats.bridge_failures += !up && !w->away;
	set_up(w, up, why);
}

static void on_pause(void *ctx, uint32_t ms)
{
	struct worker *w = ctx;

	w->least_pause_ms = ms;
}

static void on_tool(void *ctx, bool good)
{
	struct rooms_stats *st = &((struct worker *)ctx)->room->rooms->stats;

	if (good)
		st->tool_results++;
	else
		st->tool_errors++;
}

static const char *on_room(void *ctx)
{
	return ((struct worker *)ctx)->room->name;
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

int worker_new(struct room *room, const struct bridge_ops *ops, const struct bridge_opts *opts, struct worker **out)
{
	struct worker *w = calloc(1, sizeof *w);
	int err = 0;

	if (!w)
		return ERR_NOMEM;
	list_init(&w->node);
	w->room = room;
	w->ops = ops;
	w->opts = opts;
	w->rate_hz = bridge_rate(ops, opts, room->rate_hz);
	w->id = rooms_next_id(room->rooms);
	log_child(&w->log, &room->log, "bridge=%s", worker_name(w));
	limiter_init(&w->limiter, room->rate_hz);
	vad_init(&w->vad, room->rate_hz);
	barge_init(&w->barge, ops, opts);
	pcm_queue_init(&w->backlog, worker_samples(w, opts->backlog_ms));
	if (w->rate_hz != room->rate_hz)
		err = resample_new(room->rooms->table, room->rate_hz, w->rate_hz, &w->hear);
	if (!err && w->hear)
		err = resample_new(room->rooms->table, w->rate_hz, room->rate_hz, &w->speak);
	if (err) {
		worker_free(w);
		return err;
	}
	*out = w;
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	assert(!w->is_open);
	list_remove(&w->node);
	pcm_queue_clear(&w->backlog);
	resample_free(w->hear);
	resample_free(w->speak);
	free(w);
}

static void tell_who_is_there(struct worker *w, nsec now)
{
	list_each(it, &w->room->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);
		struct bridge_event ev = {.kind = BRIDGE_JOINED, .participant = p->id, .name = p->name, .text = ""};

		worker_event(w, &ev, now);
	}
}

void worker_open(struct worker *w, nsec now)
{
	size_t n = (w->rate_hz * w->room->rooms->opts.frame_ms + 999) / 1000;

	w->state = WORKER_UP;
	w->opened_at = now;
	w->least_pause_ms = 0;
	call_begin(w);
	int err = w->ops->open(w->opts, w->rate_hz, n, &sink, w, &w->log, now, &w->self);

	call_end(w);
	if (err) {
		break_worker(w, err_str(err));
		return;
	}
	w->is_open = true;
	w->room->rooms->stats.bridges++;
	if (w->state != WORKER_UP)
		return;
	log_info(&w->log, "open type=%s rate_hz=%u", w->ops->type, w->rate_hz);
	tell_who_is_there(w, now);
	w->mode_due = w->mode != BRIDGE_ACTIVE;
	tell_mode(w, now);
	schedule_wake(w->room, now); /* only a tick can tell whether it wants ticks */
}

static void close_driver(struct worker *w)
{
	if (w->is_open) {
		w->is_open = false;
		w->ops->close(w->self);
		w->room->rooms->stats.bridges--;
	}
	w->self = NULL;
	w->interrupted = false;
	w->cut_item = 0;
}

void worker_close(struct worker *w)
{
	list_remove(&w->node);
	w->room->rooms->stats.bridges_down -= w->away;
	w->away = false;
	w->told[0] = '\0';
	close_driver(w);
	w->state = WORKER_CLOSED;
}

/* Into the list of its level, which is sorted but for the chance in the pauses. */
static void wait_in_line(struct worker *w, uint64_t pause_ms, nsec now)
{
	struct list *line = &w->room->rooms->retry[w->level], *after = line->prev;

	w->retry_at = now + nsec_from_ms(pause_ms);
	w->state = WORKER_WAITS;
	while (after != line && list_entry(after, struct worker, node)->retry_at > w->retry_at)
		after = after->prev;
	list_append(after->next, &w->node);
}

static uint64_t next_pause_ms(struct worker *w)
{
	uint64_t ms = backoff_ms(RETRY_FIRST_MS, RETRY_MOST_MS, w->level + 1, backoff_chance(w->id, ++w->n_pauses));

	return ms > w->least_pause_ms ? ms : w->least_pause_ms;
}

/* Its speech ends softly; people go on. */
static void bury(struct worker *w, nsec now)
{
	char quoted[WORKER_WHY + 2];
	bool worked = w->is_open && now - w->opened_at >= nsec_from_ms(WORKED_MS);

	list_remove(&w->node);
	drop_backlog(w);
	close_driver(w);
	if (worked)
		w->level = 0;
	uint64_t pause_ms = next_pause_ms(w);

	wait_in_line(w, pause_ms, now);
	w->level += w->level < RETRY_LEVELS - 1;
	w->room->rooms->stats.bridge_failures++;
	log_warn(&w->log, "failed why=%s retry_ms=%u", log_quoted(w->why, quoted, sizeof quoted), (unsigned)pause_ms);
	set_up(w, false, w->why);
}

static void try_again(struct worker *w, nsec now)
{
	list_remove(&w->node);
	w->room->rooms->stats.bridge_restarts++;
	worker_open(w, now);
	if (w->state == WORKER_UP && !w->ops->tells_up)
		set_up(w, true, "");
}

nsec worker_retry_at(const struct list *retry)
{
	return list_empty(retry) ? NSEC_NONE : list_entry(retry->next, struct worker, node)->retry_at;
}

static void bury_all(struct rooms *rs, nsec now)
{
	while (!list_empty(&rs->broken))
		bury(list_entry(rs->broken.next, struct worker, node), now);
}

void workers_run(struct rooms *rs, nsec now)
{
	bury_all(rs, now);
	for (int i = 0; i < RETRY_LEVELS && rs->stats.bridges_down > 0; i++)
		while (worker_retry_at(&rs->retry[i]) <= now)
			try_again(list_entry(rs->retry[i].next, struct worker, node), now);
	bury_all(rs, now); /* who failed again at once */
}

/* ---- speech: from the backlog, exactly a tick at a time ---- */

/* What was played belongs to whom. */
static void count_played(struct worker *w, size_t n)
{
	for (size_t take; n > 0 && w->n_marks > 0; n -= take) {
		struct worker_mark *m = &w->marks[0];

		take = n < m->n ? n : m->n;
		if (m->item != w->item) {
			w->item = m->item;
			w->item_played = 0;
		}
		w->item_played += take;
		m->n -= take;
		if (m->n == 0)
			memmove(m, m + 1, --w->n_marks * sizeof *m);
	}
}

/* Speech begins. */
static void soften_start(const struct worker *w, float *x, size_t n)
{
	size_t len = worker_samples(w, FADE_MS);

	for (size_t i = 0; i < n && i < len; i++) {
		float t = (float)(i + 1) / (float)(len + 1);

		x[i] *= t * t * (3 - 2 * t);
	}
}

/* Speech ran out, and nobody knew before: its last value sinks to nothing, and its last slope, which
 * would be heard as a click if it broke off, does so in a third of that. */
static void ring(struct worker *w, float *x, size_t n)
{
	size_t len = worker_samples(w, FADE_MS);

	for (size_t i = 0; i < n && w->ring_left > 0; i++, w->ring_left--) {
		float at = (float)(len - w->ring_left + 1), t = at / (float)len, u = 3 * t;

		x[i] += w->last * (1 - t) * (1 - t) * (1 + 2 * t);
		if (u < 1)
			x[i] += w->slope * at * (1 - u) * (1 - u);
	}
}

/* Returns whether there is something to fade. */
static bool run_dry(struct worker *w, float *x, size_t n)
{
	w->sounding = false;
	if (fabsf(w->last) + fabsf(w->slope) < 1e-4f)
		return false;
	w->ring_left = worker_samples(w, FADE_MS);
	ring(w, x, n);
	return true;
}

static size_t take_speech(struct worker *w, float *x, size_t n)
{
	float *pcm = w->room->rooms->block;
	size_t got = pcm_queue_pull_float(&w->backlog, pcm, n);

	if (got == 0)
		return 0;
	count_played(w, got);
	if (!w->sounding)
		soften_start(w, pcm, got);
	mix_add(x, pcm, got);
	w->slope = pcm[got - 1] - (got > 1 ? pcm[got - 2] : w->sounding ? w->last : 0);
	w->last = pcm[got - 1];
	w->sounding = true;
	return got;
}

/* `n` samples at the driver's rate. Returns whether any is not silence for certain. */
static bool take(struct worker *w, float *x, size_t n)
{
	bool rang = w->ring_left > 0;

	mix_clear(x, n);
	ring(w, x, n); /* of an earlier end, under whatever comes */
	size_t got = take_speech(w, x, n);

	if (w->sounding && got < n)
		rang |= run_dry(w, x + got, n - got);
	return rang || got > 0;
}

static bool silent(const struct worker *w)
{
	return w->backlog.len == 0 && !w->sounding && w->ring_left == 0 && !w->filter_rings;
}

/* One tick at the room's rate in rooms.resampled, through the resampler. Both resamplers round up what they have made
 * so far, so a driver that says a sample for each it hears is never short of one. */
static bool take_resampled(struct worker *w)
{
	struct room *r = w->room;
	float *out = r->rooms->resampled, x[TICK_SAMPLES_MAX];
	size_t have = w->n_carry;
	bool spoke = false;

	memcpy(out, w->carry, have * sizeof *out);
	while (have < r->n) {
		size_t n = ((r->n - have) * w->rate_hz + r->rate_hz - 1) / r->rate_hz;

		spoke |= take(w, x, n);
		have += resample_run(w->speak, x, n, out + have, OUT_SAMPLES_MAX - have);
	}
	w->n_carry = have - r->n;
	assert(w->n_carry <= WORKER_CARRY);
	memcpy(w->carry, out + r->n, w->n_carry * sizeof *out);
	bool sounds = spoke || w->filter_rings;

	w->filter_rings = spoke;
	return sounds;
}

static void set_speaking(struct worker *w, bool before, nsec now)
{
	if (before == w->vad.speaking)
		return;
	struct room_event ev = event_of(w, ROOM_SPEAKING);

	room_tell(w->room, &ev, now);
}

static bool speak(struct worker *w, float *sum, nsec now)
{
	struct room *r = w->room;
	float *x = r->rooms->resampled;
	bool before = w->vad.speaking, spoke = false;

	if (!silent(w))
		spoke = w->speak ? take_resampled(w) : take(w, x, r->n);
	if (spoke) {
		vad_run(&w->vad, x, r->n);
		barge_apply(&w->barge, x, r->n);
		mix_add(sum, x, r->n);
	} else {
		vad_run_silence(&w->vad, r->n);
		barge_rest(&w->barge);
	}
	set_speaking(w, before, now);
	return spoke;
}

/* ---- hearing ---- */

static float level_dbfs(const float *x, size_t n)
{
	float power = pcm_mean_square(x, n);

	return power > 1e-10f ? 10 * log10f(power) : VAD_SILENCE_DBFS;
}

static uint32_t waiting_ms(const struct worker *w)
{
	return (uint32_t)((1000 * (uint64_t)w->backlog.len + w->rate_hz - 1) / w->rate_hz);
}

static bool hear(struct worker *w, const struct worker_ears *ears, nsec now)
{
	struct room *r = w->room;
	float *x = r->rooms->block;
	struct bridge_hearing h = {.pcm = x, .n = r->n, .talkers = ears->talkers, .speech = ears->speech};

	memcpy(x, ears->people, r->n * sizeof *x);
	if (w->mode == BRIDGE_MUTED) {
		mix_clear(x, r->n);
		h.talkers = 0;
		h.speech = false;
	}
	if (ears->talkers > 1 || w->limiter.gain < 1) /* one alone passes as he is, up to full scale */
		limiter_run(&w->limiter, x, r->n);
	h.level_dbfs = level_dbfs(x, r->n);
	if (w->hear) {
		h.pcm = r->rooms->resampled;
		h.n = resample_run(w->hear, x, r->n, r->rooms->resampled, OUT_SAMPLES_MAX);
	}
	h.heard_item = w->n_marks ? w->marks[0].item : 0;
	h.waiting_ms = waiting_ms(w);
	call_begin(w);
	bool wants = w->ops->audio(w->self, &h, now);

	call_end(w);
	return wants;
}

/* ---- who talks over it ---- */

static void cut_off(struct worker *w, const struct participant *by)
{
	uint64_t last = w->n_marks ? w->marks[w->n_marks - 1].item : w->item;

	take_back(w, participant_unheard_ms(by));
	w->cut_item = last;
	w->cut_ms = 0;
}

static void give_way(struct worker *w, const struct worker_ears *ears)
{
	struct room *r = w->room;
	enum barge_state before = w->barge.state;
	struct barge_tick t = {
		.ms = (float)r->rooms->opts.frame_ms,
		.speaks = w->n_marks > 0 || w->sounding,
		.voiced_ms = ears->voice ? ears->voice->vad.above_ms : 0,
		.level_dbfs = ears->voice ? ears->voice->vad.level_dbfs : VAD_SILENCE_DBFS,
	};

	w->cut_ms += t.ms;
	if (w->cut_ms >= CUT_MS && before == BARGE_CALM) /* a worker may know no utterances and count on with one */
		w->cut_item = 0;
	if (barge_run(&w->barge, &t))
		cut_off(w, ears->voice);
	r->rooms->stats.talked_over += before == BARGE_CALM && w->barge.state != BARGE_CALM;
}

/* ---- who silences it ---- */

/* Who speaks in this moment begins or ends to do so for its ears. */
static void tell_who_speaks(struct worker *w, bool speaking, nsec now)
{
	list_each(it, &w->room->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);
		struct bridge_event ev = {.kind = BRIDGE_SPEAKING, .participant = p->id, .name = p->name, .text = "",
			.speaking = speaking};

		if (p->vad.speaking)
			worker_event(w, &ev, now);
	}
}

static void silence(struct worker *w, const struct participant *by)
{
	w->last_words = w->n_marks > 0;
	if (w->n_marks > 0)
		take_back(w, participant_unheard_ms(by));
}

/* An utterance that began unheard is not heard from its middle on. */
static void give_voice_back(struct worker *w)
{
	if (w->silent_item > w->cut_item) {
		w->cut_item = w->silent_item;
		w->cut_ms = 0;
	}
	w->silent_item = 0;
	w->last_words = false;
}

void worker_set_mode(struct worker *w, enum bridge_mode mode, struct participant *by, nsec now)
{
	enum bridge_mode before = w->mode;
	struct rooms *rs = w->room->rooms;

	if (mode == before)
		return;
	rooms_see_time(rs, now);
	w->mode = mode;
	w->mode_by = by->id;
	w->mode_due = true;
	log_info(&w->log, "mode=%s participant=%u", bridge_mode_name(mode), by->id);
	if (before == BRIDGE_ACTIVE)
		silence(w, by);
	if (mode == BRIDGE_ACTIVE)
		give_voice_back(w);
	tell_interrupted(w, now);
	tell_mode(w, now);
	if (mode == BRIDGE_MUTED || before == BRIDGE_MUTED)
		tell_who_speaks(w, mode != BRIDGE_MUTED, now);
	struct room_event ev = event_of(w, ROOM_BRIDGE);

	ev.by = by->id;
	ev.text = w->told;
	room_tell(w->room, &ev, now);
	schedule_wake(w->room, now);
}

bool worker_tick(struct worker *w, const struct worker_ears *ears, float *sum, bool *spoke, nsec now)
{
	bool wants = false;

	if (w->state == WORKER_UP) {
		give_way(w, ears);
		tell_interrupted(w, now);
		tell_mode(w, now);
		wants = hear(w, ears, now);
		tell_interrupted(w, now);
	}
	*spoke = speak(w, sum, now);
	if (silent(w) && !wants)
		pcm_queue_clear(&w->backlog);
	return wants || !silent(w) || w->vad.speaking || w->cut_item > 0;
}
