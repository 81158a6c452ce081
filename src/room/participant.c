/* SPDX-License-Identifier: MIT */
#include "audio/jitter.h"
#include "audio/resample.h"
#include "base/err.h"
#include "room/names.h"
#include "room/room_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- coming and going ---- */

static int new_jitter(struct participant *p)
{
	const struct rooms_opts *o = &p->room->rooms->opts;
	struct jitter_opts opts = {
		.rate_hz = p->room->rate_hz,
		.tick_ms = o->frame_ms,
		.min_delay_ms = o->min_delay_ms,
		.max_delay_ms = o->max_delay_ms,
	};

	return jitter_new(&opts, p->room->rooms->table, &p->jitter);
}

static int set_name(struct participant *p, const char *name)
{
	if (name && name_clean_person(name, p->name, sizeof p->name))
		return ERR_RANGE;
	if (!p->name[0])
		snprintf(p->name, sizeof p->name, "guest-%u", p->id);
	return 0;
}

int participant_new(struct room *r, const struct participant_opts *opts, const struct listener_sink *sink,
	void *user, struct participant **out)
{
	struct participant *p = calloc(1, sizeof *p);
	int err;

	if (!p)
		return ERR_NOMEM;
	p->room = r;
	p->id = rooms_next_id(r->rooms);
	vad_init(&p->vad, r->rate_hz);
	err = set_name(p, opts->name);
	if (err)
		goto fail_participant;
	err = new_jitter(p);
	if (err)
		goto fail_participant;
	err = listener_init(&p->listener, r, &opts->hears, sink, user);
	if (err)
		goto fail_jitter;
	list_append(&r->people, &p->node);
	r->n_people++;
	r->slot->n_people++;
	*out = p;
	return 0;

fail_jitter:
	jitter_free(p->jitter);
fail_participant:
	free(p);
	return err;
}

void participant_free(struct participant *p)
{
	list_remove(&p->node);
	p->room->n_people--;
	p->room->slot->n_people--;
	listener_fini(&p->listener);
	jitter_free(p->jitter);
	free(p);
}

/* What the buffer found by sequence. */
static void count_order(struct participant *p)
{
	struct rooms_stats *st = &p->room->rooms->stats;
	const struct jitter_order *o = jitter_order(p->jitter);

	st->sequence.lost += o->n_lost - p->counted.n_lost;
	st->sequence.reordered += o->n_reordered - p->counted.n_reordered;
	st->sequence.duplicate += o->n_duplicates - p->counted.n_duplicates;
	st->sequence.late += o->n_too_late - p->counted.n_too_late;
	p->counted = *o;
}

/* The others heard this one until now: its sound ends softly, in the next tick. */
static void leave_fade_tail(struct participant *p, nsec now)
{
	struct room *r = p->room;
	struct rooms *rs = r->rooms;
	float *x = rs->block;

	if (p->muted || r->n_people < 2 || !jitter_active(p->jitter))
		return;
	if (jitter_get(p->jitter, x, r->n, now) == JITTER_IDLE)
		return;
	if (!r->fade_tail)
		r->fade_tail = calloc(r->n, sizeof *r->fade_tail);
	for (size_t i = 0; r->fade_tail && i < r->n; i++)
		r->fade_tail[i] += x[i] * (float)(r->n - i - 1) / (float)r->n;
	schedule_wake(r, now);
}

static void announce_leaving(struct room *r, const struct room_member *m, enum leave_reason reason, nsec now)
{
	struct room_event ev = {.kind = ROOM_LEFT, .member = *m, .reason = reason, .text = ""};
	struct bridge_event heard = {.kind = BRIDGE_LEFT, .participant = m->id, .name = m->name, .text = ""};

	room_notify(r, &ev, now);
	if (r->seat)
		seat_event(r->seat, &heard, now);
}

void participant_leave(struct participant *p, enum leave_reason reason, nsec now)
{
	struct room *r = p->room;
	struct rooms *rs = r->rooms;
	char name[PARTICIPANT_NAME_MAX + 1];
	struct room_member m = participant_member(p);

	assert(!rs->calling);
	rooms_see_time(rs, now);
	memcpy(name, p->name, sizeof name);
	m.name = name;
	leave_fade_tail(p, now);
	count_order(p);
	participant_free(p);
	rs->stats.participants--;
	rs->stats.leaves++;
	log_debug(&r->log, "left participant=%u reason=%s people=%u", m.id, leave_reason_name(reason), r->n_people);
	announce_leaving(r, &m, reason, now);
	if (r->n_people > 0)
		return;
	if (r->seat)
		seat_close(r->seat);
	room_end(r, now);
}

/* ---- speaking ---- */

static enum frame_fault count_fault(struct participant *p, enum frame_fault fault)
{
	if (fault != FRAME_OK) {
		p->stats.faults[fault]++;
		p->room->rooms->stats.faults[fault]++;
	}
	return fault;
}

/* Spare time beyond what the arrivals so far have shown. */
#define ALIGN_SPARE_MS 4

static void wake_room(struct participant *p, nsec now)
{
	struct jitter_stats j;

	jitter_stats(p->jitter, &j);
	schedule_align(p->room, j.target_ms + 2 * j.jitter_ms + ALIGN_SPARE_MS, now);
	schedule_wake(p->room, now);
	p->room->quiet = 0;
}

enum frame_fault participant_audio(struct participant *p, const uint8_t *data, size_t len, nsec now)
{
	struct rooms *rs = p->room->rooms;
	struct frame f;
	enum frame_fault fault = packet_parse(data, len, rs->opts.input_rate_hz, &f);

	rooms_see_time(rs, now);
	if (fault != FRAME_OK && fault != FRAME_ODD)
		return count_fault(p, fault);
	p->stats.frames_in++;
	p->stats.samples_in += f.n_samples;
	rs->stats.frames_in++;
	if (p->muted) {
		p->stats.muted_frames++;
		return count_fault(p, fault);
	}
	jitter_put(p->jitter, &f, now);
	if (f.is_v1)
		count_order(p);
	if (list_empty(&p->room->awake) || p->room->quiet >= QUIET_TICKS)
		wake_room(p, now);
	return count_fault(p, fault);
}

/* The voice detection has found a change. */
void participant_report_speaking(const struct participant *p, nsec now)
{
	struct room_event ev = {.kind = ROOM_SPEAKING, .member = participant_member(p), .text = ""};
	struct bridge_event heard = {
		.kind = BRIDGE_SPEAKING,
		.participant = p->id,
		.name = p->name,
		.text = "",
		.speaking = p->vad.speaking,
	};

	room_notify(p->room, &ev, now);
	if (p->room->seat)
		seat_event(p->room->seat, &heard, now);
}

void participant_mute(struct participant *p, bool muted, nsec now)
{
	bool spoke = p->vad.speaking;

	if (p->muted == muted)
		return;
	p->muted = muted;
	if (!muted) {
		p->fade_in = true;
		jitter_skip(p->jitter);
	}
	struct room_event ev = {.kind = ROOM_MUTED, .member = participant_member(p), .text = ""};

	room_notify(p->room, &ev, now);
	if (muted) {
		vad_init(&p->vad, p->room->rate_hz);
		if (spoke)
			participant_report_speaking(p, now);
	}
}

/* ---- hearing ---- */

void participant_played(struct participant *p, uint8_t epoch, uint64_t samples)
{
	listener_played(&p->listener, epoch, samples);
}

/* ---- writing ---- */

static void send_to_bridge(struct participant *p, const char *text, bool direct, nsec now)
{
	struct bridge_event ev = {.kind = BRIDGE_MESSAGE, .participant = p->id, .name = p->name, .text = text, .direct = direct};

	seat_event(p->room->seat, &ev, now);
}

int participant_message(struct participant *p, uint32_t to, const char *text, nsec now)
{
	struct room *r = p->room;
	struct room_event ev = {.kind = ROOM_MESSAGE, .member = participant_member(p), .to = to, .text = text};
	bool to_bridge = r->seat && (to == 0 || to == r->seat->id);
	struct participant *other = to ? room_find(r, to) : NULL;

	if (!text[0] || strnlen(text, MESSAGE_MAX + 1) > MESSAGE_MAX || !utf8_ok(text))
		return ERR_RANGE;
	if (to && !other && !to_bridge)
		return ERR_NOTFOUND;
	if (!room_may_tell(r, strlen(text), to ? 2 : 0, now))
		return ERR_LIMIT;
	if (to == 0) {
		room_notify(r, &ev, now);
	} else {
		if (other && other != p)
			listener_report(&other->listener, &ev, now);
		listener_report(&p->listener, &ev, now);
	}
	if (to_bridge)
		send_to_bridge(p, text, to != 0, now);
	return 0;
}

int participant_bridge(struct participant *p, enum bridge_mode mode, nsec now)
{
	struct bridge_seat *seat = p->room->seat;

	if (!seat)
		return ERR_NOTFOUND;
	seat_set_mode(seat, mode, p, now);
	return 0;
}

/* ---- questions ---- */

uint32_t participant_id(const struct participant *p)
{
	return p->id;
}

const char *participant_name(const struct participant *p)
{
	return p->name;
}

const char *participant_room(const struct participant *p)
{
	return p->room->name;
}

uint32_t participant_room_rate(const struct participant *p)
{
	return p->room->rate_hz;
}

struct room_member participant_member(const struct participant *p)
{
	return (struct room_member){.id = p->id, .name = p->name, .muted = p->muted, .speaking = p->vad.speaking};
}

void participant_stats(const struct participant *p, struct participant_stats *out)
{
	struct jitter_stats j;

	jitter_stats(p->jitter, &j);
	*out = p->stats;
	out->frames_out = p->listener.frames;
	out->concealed = j.n_concealed;
	out->dropped_ms = (uint64_t)j.dropped_ms;
	out->rate_changes = j.n_rate_changes;
	out->sequence.lost = j.order.n_lost;
	out->sequence.reordered = j.order.n_reordered;
	out->sequence.duplicate = j.order.n_duplicates;
	out->sequence.late = j.order.n_too_late;
	out->buffer_ms = (uint32_t)(j.depth_ms + 0.5);
	out->target_ms = (uint32_t)(j.target_ms + 0.5);
	out->jitter_ms = (float)j.jitter_ms;
	out->drift_ppm = (int32_t)j.drift_ppm;
	out->level_dbfs = p->vad.level_dbfs;
}

void participant_each_member(const struct participant *p, void (*each)(void *ctx, const struct room_member *m), void *ctx)
{
	const struct bridge_seat *seat = p->room->seat;

	list_each(it, &p->room->people, tmp) {
		struct room_member m = participant_member(list_entry(it, struct participant, node));

		each(ctx, &m);
	}
	if (seat) {
		struct room_member m = seat_member(seat);

		each(ctx, &m);
	}
}
