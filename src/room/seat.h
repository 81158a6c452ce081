/* SPDX-License-Identifier: MIT */
/*
 * seat - the place of a bridge in a room: opens and closes the driver, gives it the sum of the people, mixes what it says and
 * opens it again after a failure. For the room it is one more member.
 *
 *   people -> limiter -> [resampler] -> driver -> speech (backlog, fades, [resampler]) -> mix
 *
 * What it says waits until the first listener can hear it, so that nobody misses the beginning.
 *
 * A driver that fails is only marked; it is closed by the next seats_run(), so that no list changes while it is walked.
 * Used by the room's thread; time is an argument. Only seat_new() allocates, and the backlog when the driver fills it.
 */
#pragma once
#include "audio/limiter.h"
#include "audio/vad.h"
#include "base/limit.h"
#include "bridge/bridge.h"
#include "room/barge.h"
#include "room/retry.h"
#include "room/room.h"
#include "room/speech.h"

struct participant;
struct room;
struct rooms;
struct resample;

enum { SEAT_WHY = 128 };

enum seat_state {
	SEAT_CLOSED,   /* nobody is in the room */
	SEAT_OPEN,     /* the driver is open */
	SEAT_FAILED,   /* it failed while open, or its worker left: seats_run() closes or suspends it */
	SEAT_UNOPENED, /* it could not be opened: seats_run() reports that */
	SEAT_WAITING,  /* closed until retry.due */
	SEAT_SUSPENDED, /* open, without a worker until retry.due: a driver with ops->resume */
};

/* Utterances that the room has ended: what the driver still sends of them is dropped. */
struct seat_ended {
	uint64_t through;  /* up to this number; 0: none */
	float ms;          /* since then */
	uint64_t silenced; /* the newest that came while the bridge was not to speak; 0: none */
};

struct bridge_seat {
	struct room *room;
	const struct bridge_ops *ops;
	const struct bridge_opts *opts;
	void *self;
	uint32_t id;       /* as a member */
	struct log log;
	enum seat_state state;
	bool in_call;      /* of the driver's */
	struct retry retry;
	char why[SEAT_WHY]; /* it failed */
	bool left;         /* its worker ended the call: it rests until somebody joins */
	bool away;         /* as people were told: it failed, or its driver says that the worker is away */
	bool down;         /* counted in stats.bridges_down: away, and not at rest */
	bool away_left;    /* ... or that it has left */
	char away_why[SEAT_WHY];

	enum bridge_mode mode;
	uint32_t mode_by;  /* the participant who set it */
	bool mode_due;     /* to be reported to the driver */
	bool final_transcript; /* it was silenced while it spoke: the transcript of what was heard may still come */

	struct limiter limiter;    /* of its input */
	struct resample *resample; /* of its input; NULL: the driver has the room's rate */

	struct limit text;         /* what it writes */
	struct log_limit limited;

	struct speech speech;
	bool heard;                /* somebody can hear it, or it has waited long enough for that */
	uint32_t held_ms;          /* its first words, so far */
	struct vad vad;            /* of its speech */
	struct barge barge;
	struct speech_cut cut_due; /* to be reported to the driver; utterance 0: nothing is */
	struct seat_ended ended;
};

/* `opts` is borrowed. ERR_NOMEM, ERR_RANGE for its rate. */
int seat_new(struct room *room, const struct bridge_ops *ops, const struct bridge_opts *opts, struct bridge_seat **out);
void seat_free(struct bridge_seat *s);
const char *seat_name(const struct bridge_seat *s);
struct room_member seat_member(const struct bridge_seat *s);
/* Never fails: a driver that cannot be opened is tried again. Tells it who is in the room. */
void seat_open(struct bridge_seat *s, nsec now);
void seat_close(struct bridge_seat *s);
/* Flushes its speech or withholds its input, as the mode says, whatever the driver does; tells everybody. */
void seat_set_mode(struct bridge_seat *s, enum bridge_mode mode, struct participant *by, nsec now);
/* Somebody joins an open room: a worker that left is called again. */
void seat_newcomer(struct bridge_seat *s, const struct participant *p, nsec now);
/* Passes an event on to the driver, unless it is in a call or the mode withholds it. */
void seat_event(struct bridge_seat *s, const struct bridge_event *ev, nsec now);

/* What one tick of the people is. */
struct seat_input {
	const float *people; /* their sum, at the room's rate */
	uint32_t talkers;
	bool speech;
	const struct participant *voice; /* the loudest who speaks in this tick; NULL: nobody */
};
/* One tick. Adds its speech to `sum` (which may be `people`); `*spoke` tells whether there was any. Returns whether
 * it wants the next tick too. */
bool seat_tick(struct bridge_seat *s, const struct seat_input *input, float *sum, bool *spoke, nsec now);

/* Closes the drivers that failed and opens those whose pause is over. */
void seats_run(struct rooms *rs, nsec now);

/* ---- between seat.c and seat_sink.c ---- */

extern const struct bridge_sink seat_sink; /* its context is the seat */
/* Once: what follows from it is left to seats_run(). */
void seat_fail(struct bridge_seat *s, const char *why);
/* The same for one whose worker said goodbye. */
void seat_leave(struct bridge_seat *s, const char *why);
/* How far behind the mix the person is who talks over it: of several the one who began, of none the one who spoke last. Where nobody
 * has spoken yet, the one who is furthest behind. By their reports; 0 without. */
uint32_t seat_unplayed_ms(const struct bridge_seat *s);
/* Discards what the bridge still had to say, here and in the clients, and what was not heard yet by somebody who is `unplayed_ms`
 * behind the mix. Returns whether there was something. */
bool seat_flush(struct bridge_seat *s, uint32_t unplayed_ms);
/* Tells people when the worker goes away, is away for another reason, or comes back. One that fails again and again for the
 * same reason is reported once. */
void seat_report_worker(struct bridge_seat *s, bool connected, const char *why);
