/* SPDX-License-Identifier: MIT */
/*
 * barge - somebody talks over the bridge: whether its speech is ducked, and when it is flushed. Decides once a tick, on the
 * room's thread; plain data in the caller's storage, no allocation, no clock.
 *
 *     CALM --voice while it speaks--> TALKED_OVER --confirmed--> YIELDED
 *      ^                                 | a pause, or           |
 *      +---------------------------------+ it fell silent        | a pause
 *      +---------------------------------------------------------+
 */
#pragma once
#include "bridge/bridge.h"

enum barge_state {
	BARGE_CALM,
	BARGE_TALKED_OVER, /* its speech goes on, ducked, until the interruption is confirmed or over */
	BARGE_YIELDED,     /* its speech was flushed; new speech is ducked until the talker pauses */
};

struct barge {
	enum barge_in policy;
	float confirm_ms;
	float low;         /* the gain of ducked speech */
	enum barge_state state;
	float voiced_ms, quiet_ms; /* of the talker: with voice, since the beginning; without, since the last voice */
	float gain;        /* at the end of the last tick */
};

/* The policy that holds for a bridge of these options. */
enum barge_in barge_policy(const struct bridge_ops *ops, const struct bridge_opts *opts);
void barge_init(struct barge *b, const struct bridge_ops *ops, const struct bridge_opts *opts);

/* What happened in one tick of `ms`. */
struct barge_tick {
	float ms;
	bool speaks;      /* the bridge has something to say */
	float voiced_ms;  /* how long the loudest person's voice has lasted; 0: nobody speaks */
	float level_dbfs; /* of that voice */
};
/* Returns whether the speech is to be flushed now. */
bool barge_run(struct barge *b, const struct barge_tick *t);

/* Ducks one tick of speech, or turns it up again, without an audible step. */
void barge_apply(struct barge *b, float *x, size_t n);
/* A tick without speech. */
void barge_rest(struct barge *b);
