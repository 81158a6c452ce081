/* SPDX-License-Identifier: MIT */
/*
 * pcm_queue - 16-bit samples that wait, in chunks of 2 KB which are allocated as it grows and
 * freed as it is played, up to a bound. One chunk is kept for the next push, so a queue that is
 * filled and emptied at the same pace allocates nothing. For speech ahead of real time
 * and for recordings, which are long but rare; a ring for each would be 2 MB a minute.
 *
 * Plain data in the caller's storage: may be moved, not copied. Single-threaded.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct pcm_chunk;

struct pcm_queue {
	struct pcm_chunk *first, *last, *spare;
	size_t head, tail; /* samples gone from the first chunk; used in the last one */
	size_t len, max;   /* samples */
};

void pcm_queue_init(struct pcm_queue *q, size_t max);
/* Frees all memory; the queue is empty and usable. */
void pcm_queue_clear(struct pcm_queue *q);

/* Copies. All or nothing: ERR_LIMIT over `max`, ERR_NOMEM. */
int pcm_queue_push(struct pcm_queue *q, const int16_t *pcm, size_t n);
/* Removes up to `n` samples from the front and returns how many. `out` NULL: drops them. */
size_t pcm_queue_pull(struct pcm_queue *q, int16_t *out, size_t n);
/* The same, as floats: 1.0 is 32768. */
size_t pcm_queue_pull_float(struct pcm_queue *q, float *out, size_t n);
/* Copies up to `n` samples as floats from `at` on, without removing anything, and returns how many. */
size_t pcm_queue_peek_float(const struct pcm_queue *q, size_t at, float *out, size_t n);
/* Keeps the first `len` samples at most. */
void pcm_queue_cut(struct pcm_queue *q, size_t len);
