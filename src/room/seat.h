/* SPDX-License-Identifier: MIT */
/*
 * seat - the bridge's seat in a room: opens and closes the driver, brings it what people say,
 * holds what it says until its time has come, and tries again after a failure. To the
 * room it is one more member.
 *
 *   people -> limiter -> [resample] -> driver -> backlog -> [resample] -> mix
 *
 * A driver that fails does so by a flag; it is buried at the edge of rooms_run(), so no list changes
 * under anybody's feet.
 */
#pragma once
#include "audio/limiter.h"
#include "audio/vad.h"
#include "base/list.h"
#include "bridge/bridge.h"
#include "bridge/pcm_queue.h"
#include "room/barge.h"
#include "room/room.h"

struct participant;
struct room;
struct rooms;
struct resample;

enum { SEAT_MARKS = 32, SEAT_CARRY = 16, SEAT_WHY = 128 };

enum seat_state {
	SEAT_CLOSED,  /* nobody is in the room */
	SEAT_OPEN,    /* the driver is open */
	SEAT_FAILED,  /* it failed and is to be closed and told about by the next rooms_run() */
	SEAT_WAITING, /* closed until retry_at */
};

/* A stretch of the backlog that belongs to one utterance. */
struct seat_mark {
	uint64_t item;
	size_t n;
};

struct bridge_seat {
	struct list node;  /* in rooms.failed or rooms.retry[] */
	struct room *room;
	const struct bridge_ops *ops;
	const struct bridge_opts *opts;
	void *self;
	uint32_t id;       /* as a member */
	uint32_t rate_hz;
	struct log log;
	enum seat_state state;
	bool is_open;      /* ops->close is due */
	bool in_call;
	bool away;         /* people know that nobody is there: it failed, or its driver says so */
	char told[SEAT_WHY]; /* why, as they were told */
	char why[SEAT_WHY];
	nsec opened_at, retry_at;
	unsigned level;    /* of the back-off */
	uint32_t n_pauses; /* so far */
	uint32_t least_pause_ms; /* as the driver asks */

	enum bridge_mode mode;
	uint32_t mode_by;  /* who has made it so */
	bool mode_due;     /* to be told to the driver */
	uint64_t silent_item; /* the last utterance that nobody heard, since it was not to speak; 0: none */
	bool last_words;   /* it was cut short: what it had said until then may still be told */

	/* hears */
	struct limiter limiter;
	struct resample *hear; /* NULL: the room's rate is its own */

	/* speaks */
	struct pcm_queue backlog;
	struct seat_mark marks[SEAT_MARKS];
	unsigned n_marks;
	uint64_t item;      /* played last or now */
	size_t item_played; /* samples of it */
	bool interrupted;   /* to be told to the driver */
	uint64_t interrupted_item;
	uint32_t interrupted_ms;
	struct barge barge;
	uint64_t cut_item;  /* utterances up to this were taken back by the room: what still comes of them is dropped; 0: none */
	float cut_ms;       /* since then */
	bool sounding;      /* the last sample was speech */
	float last, slope;  /* it, and how it came there */
	size_t ring_left;   /* samples until both have faded to nothing */
	bool filter_rings;  /* the resampler has an end to give */
	struct resample *speak; /* NULL: as hear */
	float carry[SEAT_CARRY]; /* resampled, for the next tick */
	size_t n_carry;
	struct vad vad;     /* of its speech */
};

/* `opts` is borrowed. ERR_NOMEM, ERR_RANGE for its rate. */
int seat_new(struct room *room, const struct bridge_ops *ops, const struct bridge_opts *opts, struct bridge_seat **out);
void seat_free(struct bridge_seat *s);
const char *seat_name(const struct bridge_seat *s);
struct room_member seat_member(const struct bridge_seat *s);
/* Never fails: what cannot be opened is tried again. Tells the driver who is there. */
void seat_open(struct bridge_seat *s, nsec now);
void seat_close(struct bridge_seat *s);
/* Takes its speech back and its input away, as the mode says, whatever the driver does; tells everybody. */
void seat_set_mode(struct bridge_seat *s, enum bridge_mode mode, struct participant *by, nsec now);
void seat_event(struct bridge_seat *s, const struct bridge_event *ev, nsec now);

struct seat_input {
	const float *people; /* their sum, one tick at the room's rate */
	uint32_t talkers;
	bool speech;
	const struct participant *voice; /* the loudest who speaks in this tick; NULL: nobody */
};
/* One tick. Adds its speech to `sum` (which may be `people`); `*spoke` tells whether there was any. Returns whether
 * it wants the next tick too. */
bool seat_tick(struct bridge_seat *s, const struct seat_input *input, float *sum, bool *spoke, nsec now);

/* Closes those that failed and opens those whose pause is over. */
void seats_run(struct rooms *rs, nsec now);
/* When the first of a list is to be tried again; NSEC_NONE. */
nsec seats_retry_at(const struct list *retry);
