/* SPDX-License-Identifier: MIT */
/*
 * pace - keeps the delay of one talker where it belongs. It looks at the lead: after a tick, what is still
 * stored plus the time since the last arrival, i.e. by how much the talker's stream is ahead of the ticks. The lead does not depend
 * on how the stream is cut into datagrams or where they fall between two ticks. What a tick takes has to be there at the tick, so of the
 * lead the *rest*, what is stored beyond whole frames, protects nobody: lead less rest is what the latest frame has to *spare*.
 *  - Playing begins with the first tick at which the lead is at least the margin. Frames of
 *    exactly a tick need no more than that.
 *  - A frame with nothing to spare is concealed, and the delay has grown by what was concealed. Nothing else raises it, as long as the talker's clock
 *    runs as ours: samples pass bit for bit.
 *  - Of what all frames of ten seconds had to spare, whole frames and the rest go in the next silence.
 *  - A clock that drifts (trend.h) would use up what is spare, or pile up delay. Then the least lead is held at margin + one frame,
 *    where any phase of arrivals is safe, by trimming the resampler, at most 0.1 %; a pause is made longer or shorter instead.
 *  - A lead far above it remains after a stall. It is given back at once in silence, otherwise by time compression: pieces
 *    are left out where the sound resembles itself. The ratio is not trimmed for this.
 *
 * Single-threaded; time is an argument; no allocation. Borrows what pace_init() is given for as long as it is used.
 */
#pragma once
#include "audio/arrivals.h"
#include "audio/playout.h"

#include <stdbool.h>
#include <stddef.h>

struct resample;

enum { PACE_WINDOWS = 8 };

struct pace_limits {
	uint32_t min_delay_ms, max_delay_ms; /* see struct jitter_opts */
};

struct pace {
	struct playout *playout;
	struct resample *resample;
	const struct arrivals *arrivals;
	struct pace_limits limits;
	size_t tick; /* samples of one, rounded up: 220 and 221 take turns at 11025 Hz */

	/* all leads in ms */
	double lead_ms;        /* after the last tick */
	double start_ms;       /* after the first tick of this talkspurt; if has_start */
	double least_now, least_before; /* of this window and the one before; LEAD_UNKNOWN */
	double least_then[PACE_WINDOWS]; /* of older ones, in a ring, less moved_ms; */
	double least_old;      /* the least of them */
	unsigned n_windows;    /* complete in this talkspurt */
	double rest_low_ms, rest_high_ms; /* of this window and the one before, or since the delay was changed */
	double rest_low_now, rest_high_now;
	double moved_ms;       /* all changes that the leads of the past were corrected by */
	double change_ms;      /* wanted in the next silence; positive: to be left out */
	nsec window_end;
	double peak_ms;        /* lateness seen, decaying */
	double trim_ppm, drift_ppm;
	nsec missed_at;        /* the tick that ran out; NSEC_NONE: none, or its lateness is known */
	double late_ms;        /* of the first arrival after it */
	nsec calm_at;          /* no time compression before */
	nsec compressed_at;    /* when the last piece was left out; before the first: early enough that it may go now */
	bool has_start;
	bool holding;          /* the lead left its band: it is held from now on */
	bool compressing;      /* surplus is being left out, piece by piece */

	uint64_t n_late, n_shrinks, n_compressions; /* see struct jitter_stats */
	double dropped_ms;
};

/* A tick that was played, and the state after it. */
struct pace_tick {
	size_t n;
	double lead_ms;
	double stored_ms; /* of the lead; gaps and held frames, too */
	bool playing; /* the talker's own sound, at the end of the tick */
};

/* In a zeroed struct. */
void pace_init(struct pace *p, struct playout *playout, struct resample *resample, const struct arrivals *arrivals);
/* A new talkspurt: no trim, no lead to hold. */
void pace_begin_spurt(struct pace *p);
/* A datagram of `ms` arrived. */
void pace_arrived(struct pace *p, double ms, nsec now);

/* Whether a tick of `n` samples may begin a talkspurt; `ahead`: samples stored, or known to come. */
bool pace_ready(const struct pace *p, size_t ahead, size_t n, nsec now);
/* Before the first tick of a talkspurt. */
void pace_start(struct pace *p, nsec now);
/* Before each tick of `n` samples that goes on with the sound of the one before: silence is made shorter or longer. */
void pace_before(struct pace *p, size_t n);
/* After each tick that played. */
void pace_run(struct pace *p, const struct pace_tick *t, nsec now);

/* A tick ran out of sound that is late or lost; or it did, but neither is the reason. */
void pace_missed(struct pace *p, nsec now);
void pace_not_missed(struct pace *p);
/* The sound is back after `concealed` samples. The lead tells whether it was late or lost. */
void pace_resumed(struct pace *p, double lead_ms, size_t concealed, nsec now);

/* Leaves out about `n` stored samples at once (up to a period more), cross-faded. */
void pace_skip(struct pace *p, size_t n);

double pace_margin_ms(const struct pace *p);
/* Of the last one to two seconds; LEAD_UNKNOWN: no tick was played in them. A finite number: leads that are not known yet
 * are corrected like the others, and count as known then. */
#define LEAD_UNKNOWN 1e9
double pace_least_lead_ms(const struct pace *p);
