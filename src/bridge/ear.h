/* SPDX-License-Identifier: MIT */
/*
 * ear - what a room's worker is to hear, as 16-bit frames of one length that wait for it. Over the bound the oldest go:
 * what is heard now matters more than what was said before. Takes its memory at the start.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct ear {
	uint8_t *ring;       /* `n_slots` frames of `frame` samples, one of them in the making */
	size_t frame, n_slots;
	size_t first, count; /* whole frames that wait */
	size_t n_partial;    /* samples in the one in the making */
};

/* Frames of `frame_ms`, of which `wait_ms` may wait. ERR_NOMEM. */
int ear_init(struct ear *e, uint32_t rate_hz, uint32_t frame_ms, uint32_t wait_ms);
void ear_fini(struct ear *e);
/* Returns how many samples had to go for it. */
size_t ear_hear(struct ear *e, const float *pcm, size_t n);
/* The oldest frame, 16 bits little endian; NULL: none is whole. Valid until ear_hear(). */
const uint8_t *ear_next(const struct ear *e);
void ear_clear(struct ear *e); /* nothing waits */
void ear_take(struct ear *e); /* it is gone */
