/* SPDX-License-Identifier: MIT */
/*
 * room_private - what the files of this layer share. One thread; time is an argument.
 *
 *   rooms.c        all rooms: options, names, rules, admission
 *   schedule.c     their clock: slots of a millisecond, late ticks, bridges to be tried again
 *   room.c         one room: members, what they are told
 *   participant.c  one person in it
 *   tick.c         one mix
 *   output.c       a format in which the room is heard; what its silent listeners share
 *   listener.c     what one hears: shared or its own; numbers and packets
 *   path.c         limiter, resampler and encoder
 *   tap.c          listeners that are not participants
 *   seat.c         the bridge's seat; seat_sink.c: what its driver calls
 *   speech.c       what the bridge says, until it is mixed
 *   catch_up.c     which part of it is late for nothing
 *   retry.c        what failed, and when it is tried again
 *   barge.c        who talks over the bridge
 */
#pragma once
#include "audio/jitter.h"
#include "audio/limiter.h"
#include "audio/vad.h"
#include "base/limit.h"
#include "base/list.h"
#include "base/map.h"
#include "room/listener.h"
#include "room/output.h"
#include "room/room.h"
#include "room/seat.h"

enum {
	TICK_SAMPLES_MAX = 48000 / 50, /* 20 ms at the highest rate */
	OUT_SAMPLES_MAX = TICK_SAMPLES_MAX + 256, /* and what resample_out_max() wants to be free */
	SLOTS_MAX = 20,
	TEXT_LINE_BYTES = 80, /* what a line has beside its text, about */
	QUIET_TICKS = 3, /* in a row: nobody is in the middle of a word, nor is a filter's end to come */
};

/* The rooms whose ticks fall on the same millisecond of the frame. */
struct slot {
	struct list awake; /* of struct room */
	uint32_t n_people; /* in its rooms, in those asleep too */
	nsec due;          /* next tick; NSEC_NONE: nobody is awake */
	nsec next;         /* first point of the grid that has not been ticked */
	bool unclocked;    /* woken by a call that carried no time: `due` may lie in the past */
};

struct rooms {
	struct rooms_opts opts;
	struct log log;
	struct rooms_stats stats;
	struct resample_table *table;
	struct map *by_name;
	uint32_t next_id;
	nsec now;                       /* the latest that was seen */
	struct rate room_text, bridge_text;
	uint64_t serial;                /* of the last event that was told to a whole room */
	nsec frame;                     /* between ticks */
	uint64_t frame_no;              /* of the tick that runs, on the grid of its slot; never 0 */
	struct slot slots[SLOTS_MAX];   /* opts.frame_ms of them */
	struct slot *first;             /* the one that is due first */
	struct retry_queue retry;       /* of the bridges that failed */
	int calling;                    /* depth of calls into sinks and drivers */
	double dropped_ms, bridge_dropped_ms, bridge_input_dropped_ms, depth_sum_ms;
	struct list builtins;           /* options of the types that were named without a section */

	/* scratch of the tick */
	float *contributions;           /* one tick of each talker */
	size_t n_contributions;         /* talkers there is room for */
	bool two;                       /* the sum is the first two of them and nothing else */
	float sum[TICK_SAMPLES_MAX];
	float block[TICK_SAMPLES_MAX];
	float resampled[OUT_SAMPLES_MAX];
	float shared[OUT_SAMPLES_MAX];  /* what the silent listeners of an output hear */
	uint8_t shared_payload[2 * OUT_SAMPLES_MAX], own_payload[2 * OUT_SAMPLES_MAX];
};

struct room {
	struct list awake;   /* in slot.awake */
	struct rooms *rooms;
	struct slot *slot;
	const struct room_rule *rule;
	struct limit text;   /* what is written in it */
	char name[ROOM_NAME_MAX + 1]; /* "": private */
	struct log log;
	uint32_t rate_hz;
	size_t n;            /* samples of a tick */
	struct list people, taps, outputs;
	uint32_t n_people;
	uint64_t tick;       /* counts */
	unsigned quiet;      /* ticks in a row without a sound, as of the last one; QUIET_TICKS in a new room */
	nsec awake_since;
	float *fade_tail;    /* the end of a participant that left while talking; for the next tick, else NULL */
	struct bridge_seat *seat; /* NULL: no bridge here */
};

struct participant {
	struct list node;    /* in room.people */
	struct room *room;
	uint32_t id;
	char name[PARTICIPANT_NAME_MAX + 1];
	struct listener listener;
	struct jitter *jitter;
	struct vad vad;
	bool muted;
	bool fade_in;        /* the next sound begins softly */
	uint64_t voice_began, voice_seen; /* ticks of the room, of its latest voice; 0: it has said nothing */

	struct jitter_order counted; /* of the buffer, as already counted for the shard */
	struct participant_stats stats; /* what jitter does not count */
	double dropped_ms;   /* of the buffer, as already counted for the shard */
};

/* Time goes forward only, whatever callers say. */
static inline void rooms_see_time(struct rooms *rs, nsec now) { rs->now = now > rs->now ? now : rs->now; }

struct tap {
	struct list node; /* in room.taps */
	struct listener listener;
};

/* rooms.c */
uint32_t rooms_next_id(struct rooms *rs);

/* schedule.c */
void grid_init(struct rooms *rs);
void grid_add(struct rooms *rs, struct room *r);
void grid_remove(struct room *r);
/* Its next tick is the next point of its grid. `now` NSEC_NONE: the caller has no clock. */
void schedule_wake(struct room *r, nsec now);
/* Before a talker wakes it, or begins where all were quiet: its ticks come soon after the talker's frames. */
void schedule_align(struct room *r, double slack_ms, nsec now);

/* room.c */
int room_new(struct rooms *rs, const struct room_rule *rule, const char *name, struct room **out);
void room_free(struct room *r);
/* Nobody is in it any more: its taps end, too. */
void room_end(struct room *r, nsec now);
void room_free_builtins(struct rooms *rs);
bool room_is_full(const struct room *r);
/* To everybody's sink, under one serial number. */
/* May a text of this length be told to `listeners` of them, 0: to all? If so it is charged; if not it is counted. */
bool room_may_tell(struct room *r, size_t len, uint32_t listeners, nsec now);
void room_notify(struct room *r, struct room_event *ev, nsec now);
void room_notify_others(const struct participant *except, struct room_event *ev, nsec now);
struct participant *room_find(struct room *r, uint32_t id);
/* The bridge's speech is taken back: a new epoch for everybody. */
void room_flush(struct room *r, nsec now);

/* participant.c */
int participant_new(struct room *r, const struct participant_opts *opts, const struct listener_sink *sink,
	void *user, struct participant **out);
void participant_free(struct participant *p);
struct room_member participant_member(const struct participant *p);
void participant_report_speaking(const struct participant *p, nsec now);

/* tick.c: false: nobody makes a sound and the bridge wants none either. */
bool room_tick(struct room *r, nsec now);

/* tap.c: each is told, then freed. */
void taps_end(struct room *r, nsec now);
