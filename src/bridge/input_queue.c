/* SPDX-License-Identifier: MIT */
#include "bridge/input_queue.h"

#include "audio/pcm.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int input_queue_init(struct input_queue *q, uint32_t rate_hz, uint32_t frame_ms, uint32_t wait_ms)
{
	memset(q, 0, sizeof *q);
	q->frame = (size_t)rate_hz * frame_ms / 1000;
	q->n_slots = wait_ms / frame_ms + 1;
	q->ring = malloc(q->n_slots * q->frame * 2);
	return q->ring ? 0 : ERR_NOMEM;
}

void input_queue_fini(struct input_queue *q)
{
	free(q->ring);
	q->ring = NULL;
}

static uint8_t *slot(const struct input_queue *q, size_t i)
{
	return q->ring + (q->first + i) % q->n_slots * q->frame * 2;
}

/* Returns how many samples were dropped. */
static size_t complete(struct input_queue *q)
{
	size_t dropped = 0;

	q->n_partial = 0;
	if (++q->count == q->n_slots) {
		dropped = q->frame;
		input_queue_pop(q);
	}
	return dropped;
}

void input_queue_clear(struct input_queue *q)
{
	q->first = q->count = q->n_partial = 0;
}

size_t input_queue_push(struct input_queue *q, const float *pcm, size_t n)
{
	size_t dropped = 0;

	while (n > 0) {
		size_t space = q->frame - q->n_partial, k = space < n ? space : n;

		pcm_from_float(slot(q, q->count) + q->n_partial * 2, pcm, k);
		q->n_partial += k;
		pcm += k;
		n -= k;
		if (q->n_partial == q->frame)
			dropped += complete(q);
	}
	return dropped;
}

const uint8_t *input_queue_front(const struct input_queue *q)
{
	return q->count ? slot(q, 0) : NULL;
}

void input_queue_pop(struct input_queue *q)
{
	q->first = (q->first + 1) % q->n_slots;
	q->count--;
}
