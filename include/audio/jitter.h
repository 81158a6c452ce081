/* SPDX-License-Identifier: MIT */
/*
 * jitter - the playout buffer of one talker: frames go in as they arrive, one tick of samples at
 * the rate of the mix comes out. Legacy frames have no sequence numbers, so for them it is a FIFO in time: a lost frame
 * shows as an underrun later. v1 frames are placed by sequence and media time: an overtaken frame
 * is put in its place until its tick, a missing one is concealed in its own place, and silence stays silence. All waiting
 * is bounded by max_delay_ms.
 *
 *     put: [order] -> decode -> resample (trimmed) -> memory -> get: copy | conceal | nothing
 *
 * Single-threaded. Time is an argument and must not go backwards. Allocates in jitter_new(), 3 KB, and with the
 * first frame: 17 KB at 16 kHz, 50 KB at 48 kHz with the defaults; 12 KB more with the first v1 frame; a decoder with the
 * first frame of a codec that has one.
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
	uint32_t max_delay_ms; /* never is more stored, 40..1000; 0 = 200 */
};

enum jitter_put {
	JITTER_STORED,
	JITTER_DROPPED_OLD, /* stored; the oldest samples were dropped for it */
	JITTER_REFUSED,     /* not stored: an empty frame, a rate that is not allowed, a duplicate, too late, or no memory */
};

enum jitter_result {
	JITTER_IDLE,      /* nothing to play: out is silence */
	JITTER_PLAYING,   /* out is what the talker sent */
	JITTER_CONCEALED, /* all or part of out is concealment */
};

/* Counters of v1 frames, by sequence number. */
struct jitter_order {
	uint64_t n_lost;         /* missing when their turn came */
	uint64_t n_reordered;    /* overtaken, but in time */
	uint64_t n_duplicates;
	uint64_t n_too_late;     /* arrived after their turn; these count as lost, too */
};

struct jitter_stats {
	double depth_ms;    /* stored now */
	double target_ms;   /* margin wanted between arrival and tick: 2 ms or more */
	double lead_ms;     /* the least margin within the last two seconds */
	double jitter_ms;   /* RFC 3550 6.4.1, of arrivals against media time */
	double drift_ppm;   /* of the talker's clock, as far as it had to be followed; positive: fast */
	double trim_ppm;    /* of the resampling ratio now; positive: delay is given back */
	uint64_t n_put;          /* datagrams */
	uint64_t n_got;          /* ticks in which something was playing */
	uint64_t n_concealed;    /* ticks with concealment */
	uint64_t n_late;         /* underruns whose audio came after all */
	uint64_t n_overflows;    /* times that the oldest samples were dropped at max_delay_ms */
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

/* Stores `f`, which arrived at `now`; copies its payload or its samples. Over max_delay_ms the oldest samples
 * are dropped, cross-faded and counted. */
enum jitter_put jitter_put(struct jitter *j, const struct frame *f, nsec now);

/* The next `n` samples, once a tick: tick_ms worth, not more. Always fills `out`. */
enum jitter_result jitter_get(struct jitter *j, float *out, size_t n, nsec now);

/* Whether jitter_get() could give more than silence: false lets a room skip this talker. */
bool jitter_active(const struct jitter *j);

/* Drops what is stored (mute, flush); statistics stay. */
void jitter_clear(struct jitter *j);
/* The caller withheld frames: the next one begins anew, and those missing before it do not count as lost. */
void jitter_skip(struct jitter *j);

void jitter_stats(const struct jitter *j, struct jitter_stats *out);
/* Two of these figures, for every tick. */
double jitter_depth_ms(const struct jitter *j);
double jitter_dropped_ms(const struct jitter *j);
/* The counters of jitter_stats() for every v1 frame, without a copy. Valid as long as `j`. */
const struct jitter_order *jitter_order(const struct jitter *j);
