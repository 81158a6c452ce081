/* SPDX-License-Identifier: MIT */
/*
 * catch_up - which part of the speech that waits is late for nothing, and where it may be left out.
 *
 * A worker that relays live sound and stalls for a second sends that second afterwards, all at once; from then on a second always waits,
 * and everything is heard a second late. Speech that was made in advance waits, too, but must stay whole. They differ in how they come: a live
 * source sends in every 200 ms about as much as is played in them. Where that holds for two seconds, the least that waited in them is of no
 * use to anybody (the standing queue of RFC 8289). It is left out in pauses: a voice detection looks at what is about to be played.
 *
 * Plain data in the caller's storage; one thread; no allocation. It has no clock: time is the samples that are played.
 */
#pragma once
#include "audio/vad.h"
#include "bridge/pcm_queue.h"

struct catch_up {
	bool on;             /* false: nothing is ever left out */
	uint32_t rate_hz;
	size_t excess;       /* samples that wait for nothing */
	/* how it comes */
	size_t slot_played, slot_came; /* samples, in the slot of 200 ms that runs */
	unsigned n_live;     /* slots in a row that looked live ... */
	size_t came, least;  /* ... what came in them, and the least that waited */
	/* where it pauses */
	struct vad ahead;    /* of what is LOOK_MS from being played */
	bool looked;         /* at all that was played lately */
	float quiet_ms;
};

void catch_up_init(struct catch_up *c, uint32_t rate_hz, bool on);
/* `n` samples have come. */
void catch_up_came(struct catch_up *c, size_t n);
/* `n` samples are played next, of those in `backlog`. Returns whether the `n` that follow may be laid over them, so that the pause
 * which both are in becomes shorter. */
bool catch_up_played(struct catch_up *c, const struct pcm_queue *backlog, size_t n);
