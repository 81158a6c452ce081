/* SPDX-License-Identifier: MIT */
/*
 * input_queue - what a worker is to hear, as frames of 16-bit samples that wait until it takes them. Over its bound the oldest
 * frame is dropped: what is said now matters more than what was said before. One thread, the driver's; no clock;
 * allocates in init only.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct input_queue {
	uint8_t *ring;       /* `n_slots` frames of `frame` samples, the last of them incomplete */
	size_t frame, n_slots;
	size_t first, count; /* complete frames that wait */
	size_t n_partial;    /* samples in the incomplete one */
};

/* Frames of `frame_ms`, of which `wait_ms` may wait. ERR_NOMEM. */
int input_queue_init(struct input_queue *q, uint32_t rate_hz, uint32_t frame_ms, uint32_t wait_ms);
void input_queue_fini(struct input_queue *q);
/* Returns how many samples were dropped. */
size_t input_queue_push(struct input_queue *q, const float *pcm, size_t n);
/* The oldest frame, 16 bits little endian; NULL: none is complete. Valid until input_queue_push(). */
const uint8_t *input_queue_front(const struct input_queue *q);
/* Removes that frame. */
void input_queue_pop(struct input_queue *q);
void input_queue_clear(struct input_queue *q);
