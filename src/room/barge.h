/* SPDX-License-Identifier: MIT */
/*
 * barge - somebody talks over the bridge: whether its speech is turned down, and when it is taken back. Decides once
 * a tick; plain data in the caller's storage, no clock.
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
	BARGE_TALKED_OVER, /* its speech goes on, turned down, until it is clear whether he means it */
	BARGE_YIELDED,     /* its speech was taken back; what it says before he pauses stays turned down */
};

struct barge {
	enum barge_in policy;
	float confirm_ms;
	float low;         /* the gain of speech that is turned down */
	enum barge_state state;
	float voiced_ms, quiet_ms; /* of the talker: in all since he began; since his last voice */
	float gain;        /* at the end of the last tick */
};

/* The policy that holds for a bridge of these options. */
enum barge_in barge_policy(const struct bridge_ops *ops, const struct bridge_opts *opts);
void barge_init(struct barge *b, const struct bridge_ops *ops, const struct bridge_opts *opts);

/* What one tick of `ms` brought. */
struct barge_tick {
	float ms;
	bool speaks;      /* the bridge has something to say */
	float voiced_ms;  /* the loudest person's voice has lasted so long; 0: nobody speaks */
	float level_dbfs; /* of that voice */
};
/* Returns whether the speech is to be taken back now. */
bool barge_run(struct barge *b, const struct barge_tick *t);

/* Turns one tick of speech down, or up again, without a corner that is heard. */
void barge_apply(struct barge *b, float *x, size_t n);
/* The same where there is no speech. */
void barge_rest(struct barge *b);
