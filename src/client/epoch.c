/* SPDX-License-Identifier: MIT */
#include "client/epoch.h"

bool epoch_enter(struct epoch *e, uint8_t number)
{
	uint8_t ahead = (uint8_t)(number - e->now); /* modulo 256: half of them are to come */

	if (ahead == 0 || ahead >= 128)
		return false;
	e->now = number;
	e->samples = 0;
	e->any = false; /* missing frames in between were of the old one, or cannot be told from it */
	return true;
}

/* Samples of the frames that are missing before this one, by media time; silence in between is none of theirs. */
static uint64_t missing(const struct epoch *e, const struct frame *f, unsigned n_frames)
{
	uint64_t passed = (uint32_t)(f->v1.time - e->end), most = (uint64_t)n_frames * f->n_samples;

	return passed < most ? passed : most;
}

bool epoch_count(struct epoch *e, const struct frame *f)
{
	int16_t ahead = e->any ? (int16_t)(uint16_t)(f->v1.seq - e->newest) : 1;

	if (f->v1.epoch != e->now) {
		e->old++;
		return false;
	}
	if (ahead <= 0) /* overtaken, and counted as missing; or here for the second time */
		return true;
	e->samples += f->n_samples;
	if (ahead > 1)
		e->samples += missing(e, f, (unsigned)ahead - 1);
	e->any = true;
	e->rate_hz = f->format.rate_hz;
	e->newest = f->v1.seq;
	e->end = f->v1.time + (uint32_t)f->n_samples;
	return true;
}
