/* SPDX-License-Identifier: MIT */
/*
 * Time is cut into frames and each frame into slots of a millisecond:
 *
 *     |0 1 2 ... 19|0 1 2 ... 19|     a room ticks in its slot of every frame
 *
 * A slot's points are multiples of the frame plus its number, counted from time zero: nothing
 * accumulates, so nothing drifts. Only slots with rooms awake have a deadline; the number of
 * rooms asleep does not matter to anything here.
 */
#include "room/room_private.h"

#include <assert.h>

const double rooms_late_bound_ms[9] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50};

/* Neighbours in time are filled late: 7 has no factor in common with 10 and 20. */
#define SLOT_STRIDE 7
/* Places that a room looks at when it is aligned with a talker. */
#define ALIGN_PLACES 4
/* People in a place that others are led to: the fewer milliseconds have work, the less often the server wakes up. */
#define CROWD_PEOPLE 32

void grid_init(struct rooms *rs)
{
	rs->frame = nsec_from_ms(rs->opts.frame_ms);
	for (uint32_t i = 0; i < rs->opts.frame_ms; i++) {
		list_init(&rs->slots[i].awake);
		rs->slots[i].due = NSEC_NONE;
		rs->slots[i].next = nsec_from_ms(i);
	}
	rs->first = &rs->slots[0];
	retry_queue_init(&rs->retry);
}

void grid_add(struct rooms *rs, struct room *r)
{
	struct slot *best = &rs->slots[0];

	for (uint32_t i = 1; i < rs->opts.frame_ms; i++) {
		struct slot *s = &rs->slots[i * SLOT_STRIDE % rs->opts.frame_ms];

		if (s->n_people < best->n_people)
			best = s;
	}
	r->slot = best;
	list_init(&r->awake);
}

static struct slot *first_due(struct rooms *rs)
{
	struct slot *first = &rs->slots[0];

	for (uint32_t i = 1; i < rs->opts.frame_ms; i++)
		if (rs->slots[i].due < first->due)
			first = &rs->slots[i];
	return first;
}

/* The first point of the slot's grid at or after `t`. */
static nsec grid_after(const struct rooms *rs, const struct slot *s, nsec t)
{
	nsec behind = t > s->next ? t - s->next : 0;

	return s->next + (behind + rs->frame - 1) / rs->frame * rs->frame;
}

/* Its next tick is the first of its new place after `now`. */
static void move_awake(struct room *r, struct slot *to, nsec now)
{
	list_remove(&r->awake);
	if (list_empty(&r->slot->awake))
		r->slot->due = NSEC_NONE;
	r->slot = to;
	list_append(&to->awake, &r->awake);
	r->awake_since = now;
	if (to->due == NSEC_NONE) {
		to->due = grid_after(r->rooms, to, now);
		to->unclocked = false;
	}
	r->rooms->first = first_due(r->rooms);
}

/*
 * A room asleep that a talker wakes moves to a place soon after the talker's frames come, so that they wait 6 to
 * 11 ms for the tick and not anything up to a frame. So does one that was kept awake by its bridge alone, and was quiet: one
 * of its ticks comes a little early or late then. `slack_ms` is what the frames need to be in
 * time. Of the places after it one in which others are awake is filled first: a server with few rooms then wakes up seldom.
 * Without such it is the least taken, so that many rooms stay spread.
 */
void schedule_align(struct room *r, double slack_ms, nsec now)
{
	struct rooms *rs = r->rooms;
	uint32_t frame_ms = rs->opts.frame_ms;
	double most = frame_ms > ALIGN_PLACES ? frame_ms - ALIGN_PLACES : 0;
	nsec from = now + (nsec)((slack_ms < most ? slack_ms : most) * 1e6);
	uint64_t first = (from + nsec_from_ms(1) - 1) / nsec_from_ms(1);
	struct slot *least = &rs->slots[first % frame_ms], *crowd = NULL;

	r->slot->n_people -= r->n_people;
	for (uint32_t i = 0; i < ALIGN_PLACES; i++) {
		struct slot *s = &rs->slots[(first + i) % frame_ms];

		if (s->n_people < least->n_people)
			least = s;
		if (!list_empty(&s->awake) && s->n_people + r->n_people <= CROWD_PEOPLE && (!crowd || s->n_people > crowd->n_people))
			crowd = s;
	}
	struct slot *best = crowd ? crowd : least;

	best->n_people += r->n_people;
	if (list_empty(&r->awake))
		r->slot = best;
	else if (best != r->slot)
		move_awake(r, best, now);
}

static void sleep_room(struct room *r)
{
	list_remove(&r->awake);
	if (!list_empty(&r->slot->awake))
		return;
	r->slot->due = NSEC_NONE;
	r->rooms->first = first_due(r->rooms);
}

void grid_remove(struct room *r)
{
	sleep_room(r);
}

void schedule_wake(struct room *r, nsec now)
{
	struct slot *s = r->slot;

	if (!list_empty(&r->awake))
		return;
	list_append(&s->awake, &r->awake);
	r->awake_since = now == NSEC_NONE ? r->rooms->now : now;
	if (s->due != NSEC_NONE)
		return;
	s->due = grid_after(r->rooms, s, r->awake_since);
	s->unclocked = now == NSEC_NONE;
	if (s->due < r->rooms->first->due)
		r->rooms->first = s;
}

nsec rooms_deadline(const struct rooms *rs)
{
	nsec due = rs->first->due, first = !retry_any_failed(&rs->retry) || rs->now > due ? due : rs->now;
	nsec again = retry_deadline(&rs->retry);

	return again < first ? again : first;
}

static void note_lateness(struct rooms *rs, nsec late)
{
	double ms = (double)late * 1e-6;
	int i = 0;

	while (i < 9 && ms > rooms_late_bound_ms[i])
		i++;
	rs->stats.late_bucket[i]++;
	rs->stats.late_sum_ns += late;
	rs->stats.ticks++;
}

static uint32_t rooms_awake_since(struct slot *s, nsec point)
{
	uint32_t n = 0;

	list_each(it, &s->awake, tmp)
		n += list_entry(it, struct room, awake)->awake_since <= point;
	return n;
}

/* Passes over the points that are too late to be caught up. */
static void skip_late(struct rooms *rs, struct slot *s, nsec now)
{
	nsec most = nsec_from_ms(rs->opts.max_late_ms);

	if (now - s->due <= most)
		return;
	uint64_t points = (now - s->due - most + rs->frame - 1) / rs->frame;

	rs->stats.ticks_skipped += points * rooms_awake_since(s, s->due);
	s->due += points * rs->frame;
}

/* Ticks the rooms of one slot once. The ones that fell asleep leave it. */
static void run_slot(struct rooms *rs, struct slot *s, nsec now)
{
	if (s->unclocked) /* not late: nobody could know */
		s->due += (now - s->due) / rs->frame * rs->frame;
	s->unclocked = false;
	skip_late(rs, s, now);
	if (s->due > now)
		return;
	nsec point = s->due;

	rs->frame_no = point / rs->frame + 1;
	list_each(it, &s->awake, tmp) {
		struct room *r = list_entry(it, struct room, awake);

		if (r->awake_since > point)
			continue;
		note_lateness(rs, now - point);
		if (!room_tick(r, now))
			list_remove(&r->awake);
	}
	s->next = point + rs->frame;
	s->due = list_empty(&s->awake) ? NSEC_NONE : s->next;
}

void rooms_run(struct rooms *rs, nsec now)
{
	assert(!rs->calling);
	rs->now = now;
	seats_run(rs, now);
	while (rs->first->due <= now) {
		run_slot(rs, rs->first, now);
		rs->first = first_due(rs);
	}
	seats_run(rs, now); /* what failed in a tick is told at once */
}
