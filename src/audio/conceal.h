/* SPDX-License-Identifier: MIT */
/*
 * conceal - sound for the place of what is missing: the last pitch period, repeated, 10 ms at full level and faded out by 50;
 * and the way back to what was sent. Single-threaded, no clock, no allocation.
 */
#pragma once
#include "audio/playout.h"

#include <stdbool.h>
#include <stddef.h>

enum { CONCEAL_MS = 50 }; /* then it is silence */

struct concealment {
	size_t lag;      /* period that is repeated */
	size_t n_done;   /* samples so far; 0 while the talker's own sound is played */
	float step;      /* jump that the repetition would make, faded out */
	bool quiet;      /* the concealment only ends the sound: it fades at once */
};

/* The sound ran out. Finds its period by correlation in the played sound. */
void conceal_start(struct concealment *c, const struct playout *p, bool quiet);
/* Conceals `n` samples before the stored sound. They become part of the played sound, at full level. */
void conceal_run(struct concealment *c, struct playout *p, float *out, size_t n);
/* `out` is the next sound at p->rd: fades it in over the concealment. */
void conceal_return(const struct concealment *c, const struct playout *p, float *out, size_t n);
