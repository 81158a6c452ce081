/* SPDX-License-Identifier: MIT */
/*
 * room_private - what the files of this layer share. One thread; time is an argument.
 *
 *   rooms.c        all rooms: options, names, rules, admission
 *   schedule.c     their clock: slots of a millisecond, late ticks, bridges to be tried again
 *   room.c         one room: members, what they are told
 *   participant.c  one person in it
 *   tick.c         one mix
 *   path.c         limiter and resampler of what somebody hears, shared or his own
 *   seat.c         the bridge's seat; seat_sink.c: what its driver calls
 *   speech.c       what the bridge says, until it is mixed
 *   retry.c        what failed, and when it is tried again
 *   barge.c        who talks over the bridge
 */
#pragma once
#include "audio/jitter.h"
#include "audio/limiter.h"
#include "audio/vad.h"
#include "base/list.h"
#include "base/map.h"
#include "room/room.h"
#include "room/seat.h"

enum {
	TICK_SAMPLES_MAX = 48000 / 50, /* 20 ms at the highest rate */
	OUT_SAMPLES_MAX = TICK_SAMPLES_MAX + 256, /* and what resample_out_max() wants to be free */
	SLOTS_MAX = 20,
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
	uint64_t serial;                /* of the last event that was told to a whole room */
	nsec frame;                     /* between ticks */
	uint64_t frame_no;              /* of the tick that runs, on the grid of its slot; never 0 */
	struct slot slots[SLOTS_MAX];   /* opts.frame_ms of them */
	nsec due;                       /* the least of theirs */
	struct retry_queue retry;       /* of the bridges that failed */
	int calling;                    /* depth of calls into sinks and drivers */
	double dropped_ms, bridge_dropped_ms, bridge_unheard_ms, depth_sum_ms;
	struct list builtins;           /* options of the types that were named without a section */

	/* scratch of the tick */
	float *contributions;           /* one tick of each talker */
	size_t n_contributions;         /* talkers there is room for */
	bool two;                       /* the sum is the first two of them and nothing else */
	float sum[TICK_SAMPLES_MAX];
	float block[TICK_SAMPLES_MAX];
	float resampled[OUT_SAMPLES_MAX];
	int16_t shared_pcm[OUT_SAMPLES_MAX], own_pcm[OUT_SAMPLES_MAX];
};

/* Limiter and resampler of one listener, or of all silent ones with the same rate. */
struct path {
	struct limiter limiter;
	struct resample *resample; /* NULL: the room's rate is wanted */
	uint32_t room_rate_hz;
	uint64_t ran;              /* the last tick it ran in */
};

/* Listeners of one rate. */
struct output {
	struct list node;    /* in room.outputs */
	struct list members; /* of struct participant */
	uint32_t rate_hz;
	struct path path;
	size_t n_shared;     /* samples in shared_pcm, this tick; 0: not computed yet */
	unsigned n_served;   /* listeners who got them */
};

struct room {
	struct list awake;   /* in slot.awake */
	struct rooms *rooms;
	struct slot *slot;
	const struct room_rule *rule;
	char name[ROOM_NAME_MAX + 1]; /* "": private */
	struct log log;
	uint32_t rate_hz;
	size_t n;            /* samples of a tick */
	struct list people, outputs;
	uint32_t n_people;
	uint64_t tick;       /* counts */
	unsigned quiet;      /* ticks in a row without a sound, as of the last one; QUIET_TICKS in a new room */
	nsec awake_since;
	float *leftover;     /* the end of somebody who left while talking; for the next tick, else NULL */
	struct bridge_seat *seat; /* NULL: no bridge here */
};

struct participant {
	struct list node;    /* in room.people */
	struct list out_node; /* in output.members */
	struct room *room;
	struct output *output;
	uint32_t id;
	char name[PARTICIPANT_NAME_MAX + 1];
	struct participant_sink sink;
	void *user;
	struct jitter *jitter;
	struct vad vad;
	bool muted;
	bool fade_in;        /* the next sound begins softly */

	/* hearing */
	const float *own;    /* his part of this tick's sum, NULL: none */
	bool alone;          /* hears through his own path, because he talks or did so lately */
	uint64_t alone_until; /* tick */
	bool ringing;        /* was fed in the last tick: the filter has an end to give */
	struct path path;

	/* what he is sent, as v1 headers say it */
	struct frame_media media;
	uint32_t next_time;  /* media time after it */
	uint64_t fed_at;     /* frame_no; 0: never */
	bool tail;           /* nobody is in this tick but the end of a filter */
	uint64_t sent;       /* samples of this epoch */
	uint64_t unheard;    /* samples between what he was sent and what he plays, by his reports; 0: he makes none */

	struct jitter_order counted; /* of the buffer, as already counted for the shard */
	struct participant_stats stats; /* what jitter does not count */
	double dropped_ms;   /* of the buffer, as already counted for the shard */
};

/* Time goes forward only, whatever callers say. */
static inline void rooms_see_time(struct rooms *rs, nsec now) { rs->now = now > rs->now ? now : rs->now; }

/* rooms.c */
uint32_t rooms_next_id(struct rooms *rs);

/* schedule.c */
void grid_init(struct rooms *rs);
void grid_add(struct rooms *rs, struct room *r);
void grid_remove(struct room *r);
/* Its next tick is the next point of its grid. `now` NSEC_NONE: the caller has no clock. */
void schedule_wake(struct room *r, nsec now);
/* Before a talker wakes it, or begins where all were quiet: its ticks follow his frames. */
void schedule_follow(struct room *r, double slack_ms, nsec now);

/* room.c */
int room_new(struct rooms *rs, const struct room_rule *rule, const char *name, struct room **out);
void room_free(struct room *r);
void room_free_builtins(struct rooms *rs);
bool room_is_full(const struct room *r);
/* To everybody's sink, under one serial number. */
void room_tell(struct room *r, struct room_event *ev, nsec now);
void room_tell_others(const struct participant *but, struct room_event *ev, nsec now);
void room_tell_one(struct participant *p, const struct room_event *ev, nsec now);
struct participant *room_find(struct room *r, uint32_t id);
/* The bridge's speech is taken back: a new epoch for everybody. */
void room_flush(struct room *r, nsec now);

/* participant.c */
int participant_new(struct room *r, const struct participant_opts *opts, const struct participant_sink *sink,
	void *user, struct participant **out);
void participant_free(struct participant *p);
struct room_member participant_member(const struct participant *p);
uint32_t participant_unheard_ms(const struct participant *p);
void participant_set_speaking(struct participant *p, bool before, nsec now);

/* tick.c: false: nobody makes a sound and the bridge wants none either. */
bool room_tick(struct room *r, nsec now);

/* path.c */
int path_init(struct path *p, const struct resample_table *t, uint32_t room_rate_hz, uint32_t out_rate_hz);
void path_fini(struct path *p);
/* Goes on where `from` was; of the same rates. */
void path_clone(struct path *to, const struct path *from);
static inline bool path_live(const struct path *p, uint64_t tick) { return p->ran + 1 >= tick && p->ran > 0; }
/* Turns `n` samples of the room into 16-bit ones; `x` may be rooms.block, which is used up. Begins anew unless it ran in the tick before. */
size_t path_run(struct path *p, struct rooms *rs, uint64_t tick, const float *x, size_t n, int16_t *out);
/* Takes `p` from the shared path to his own or back: see path.c. */
void path_leave_shared(struct participant *p);
void path_deliver(struct room *r, struct output *o, unsigned n_sources, nsec now);
