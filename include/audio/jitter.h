/* SPDX-License-Identifier: MIT */
/*
 * jitter - the playout buffer of one talker: datagrams in as they come, one tick of samples at
 * the rate of the mix out. Legacy frames carry no sequence, so it is a FIFO in time: a lost frame
 * is a hole that shows as an underrun later. v1 frames are placed by sequence and media time: what was overtaken
 * waits its turn until its tick, what is missing is concealed in its own place, silence is silence. All waiting
 * is bounded by max_delay_ms.
 *
 *     put: [order] -> PCM -> float -> resample (trimmed) -> ring -> get: copy | conceal | nothing
 *
 * Single-threaded. Time is an argument and must not go backwards. Memory is taken in jitter_new(), 3 KB, and with the
 * first frame: 17 KB at 16 kHz, 50 KB at 48 kHz with the defaults, and 12 KB with the first v1 frame.
 */
#pragma once
#include "audio/frame.h"
#include "base/time.h"

#include <stddef.h>
#include <stdint.h>

struct resample_table;
struct jitter;

struct jitter_opts {
	uint32_t rate_hz;      /* of the mix, what is pulled; required */
	uint32_t tick_ms;      /* what is pulled at once; 0 = 20 */
	uint32_t min_delay_ms; /* from arrival to mix at the least, filter included; 0 = 3 */
	uint32_t max_delay_ms; /* most that is ever stored, 40..1000; 0 = 200 */
};

enum jitter_put {
	JITTER_STORED,
	JITTER_DROPPED_OLD, /* stored; the oldest made room for it */
	JITTER_REFUSED,     /* not stored: the frame is empty, its rate is not allowed, it came twice or too late; no memory */
};

enum jitter_result {
	JITTER_IDLE,      /* nothing to play: out is silence */
	JITTER_PLAYING,   /* out is what the talker sent */
	JITTER_CONCEALED, /* all or part of out is invented */
};

/* What the sequence numbers of v1 frames tell; all only grow. */
struct jitter_order {
	uint64_t n_lost;         /* missing when their turn came */
	uint64_t n_reordered;    /* overtaken, and placed in time */
	uint64_t n_duplicates;
	uint64_t n_too_late;     /* came after others had been played in their place; they count as lost, too */
};

struct jitter_stats {
	double depth_ms;    /* stored now */
	double target_ms;   /* margin wanted between arrival and tick: 2 ms or more */
	double lead_ms;     /* the least margin there was within the last two seconds */
	double jitter_ms;   /* RFC 3550 6.4.1, of arrivals against media time */
	double drift_ppm;   /* of the talker's clock, once it had to be followed; positive: fast */
	double trim_ppm;    /* ratio bent by now; positive: delay is given back */
	uint64_t n_put;          /* datagrams */
	uint64_t n_got;          /* ticks in which something was playing */
	uint64_t n_concealed;    /* ticks with invented sound */
	uint64_t n_late;         /* underruns whose audio came after all */
	uint64_t n_overflows;    /* times that the oldest was dropped at max_delay_ms */
	uint64_t n_shrinks;      /* times that delay was given back at once in silence */
	uint64_t n_compressions; /* times that a piece was left out to give delay back while somebody spoke */
	uint64_t n_rate_changes;
	uint64_t n_spurts;       /* talkspurts begun */
	double dropped_ms;       /* by overflow, shrinking and time compression */
	struct jitter_order order;
};

/* Borrows `t` until jitter_free(). ERR_RANGE for an option outside its range, ERR_NOMEM. */
int jitter_new(const struct jitter_opts *opts, const struct resample_table *t, struct jitter **out);
void jitter_free(struct jitter *j);

/* Copies the samples of `f`, which arrived at `now`. Never fails: over max_delay_ms the oldest
 * go, cross-faded and counted. */
enum jitter_put jitter_put(struct jitter *j, const struct frame *f, nsec now);

/* The next `n` samples, once a tick: tick_ms worth, not more. Always fills `out`. */
enum jitter_result jitter_get(struct jitter *j, float *out, size_t n, nsec now);

/* Whether jitter_get() could give anything but silence: false lets a room skip this talker. */
bool jitter_active(const struct jitter *j);

/* Forgets what is stored (mute, flush); statistics stay. */
void jitter_clear(struct jitter *j);
/* Frames were kept from it: the next one follows on nothing, and what is missing before it was not lost. */
void jitter_skip(struct jitter *j);

void jitter_stats(const struct jitter *j, struct jitter_stats *out);
/* Two of them for every tick. */
double jitter_depth_ms(const struct jitter *j);
double jitter_dropped_ms(const struct jitter *j);
/* For every v1 frame: what jitter_stats() would say, without a copy. Valid as long as `j`. */
const struct jitter_order *jitter_order(const struct jitter *j);
