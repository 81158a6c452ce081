/* SPDX-License-Identifier: MIT */
/*
 * epoch - what came of a session's v1 frames: which of them were taken back by a flush, and how much sound of this
 * epoch the server has sent. Plain data in the caller's storage, no clock.
 */
#pragma once
#include "audio/frame.h"

struct epoch {
	uint8_t now;
	bool any;          /* a frame of it has come: the next three are known */
	uint32_t rate_hz;
	uint16_t newest;   /* sequence */
	uint32_t end;      /* media time after it */
	uint64_t samples;  /* of this epoch, at the rate received; what was lost on the way is counted with them */
	uint64_t old;      /* frames of epochs that were over */
};

/* A flush says so, or a frame does: whichever comes first. True: `number` is a new epoch, and what is held is of an old one. */
bool epoch_enter(struct epoch *e, uint8_t number);
/* Counts a v1 frame of this epoch; false: it is of an older one, and not to be played. */
bool epoch_count(struct epoch *e, const struct frame *f);
