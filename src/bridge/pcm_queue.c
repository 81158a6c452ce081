/* SPDX-License-Identifier: MIT */
#include "bridge/pcm_queue.h"

#include "audio/pcm.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>

enum { CHUNK_SAMPLES = 1012 }; /* 2 KB with the link and malloc's own */

struct pcm_chunk {
	struct pcm_chunk *next;
	int16_t pcm[CHUNK_SAMPLES];
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

void pcm_queue_init(struct pcm_queue *q, size_t max)
{
	*q = (struct pcm_queue){.max = max};
}

static void give_back(struct pcm_queue *q, struct pcm_chunk *c)
{
	if (q->spare)
		free(c);
	else
		q->spare = c;
}

static void drop_all(struct pcm_queue *q)
{
	for (struct pcm_chunk *next; q->first; q->first = next) {
		next = q->first->next;
		give_back(q, q->first);
	}
	q->last = NULL;
	q->head = q->tail = q->len = 0;
}

void pcm_queue_clear(struct pcm_queue *q)
{
	drop_all(q);
	free(q->spare);
	q->spare = NULL;
}

static int grow(struct pcm_queue *q)
{
	struct pcm_chunk *c = q->spare ? q->spare : malloc(sizeof *c);

	if (!c)
		return ERR_NOMEM;
	q->spare = NULL;
	c->next = NULL;
	if (q->last)
		q->last->next = c;
	else
		q->first = c;
	q->last = c;
	q->tail = 0;
	return 0;
}

int pcm_queue_push(struct pcm_queue *q, const float *pcm, size_t n)
{
	size_t before = q->len;

	if (n > q->max - q->len)
		return ERR_LIMIT;
	for (size_t at = 0, take; at < n; at += take) {
		if ((!q->last || q->tail == CHUNK_SAMPLES) && grow(q)) {
			pcm_queue_cut(q, before);
			return ERR_NOMEM;
		}
		take = min(n - at, CHUNK_SAMPLES - q->tail);
		pcm_to_i16(q->last->pcm + q->tail, pcm + at, take);
		q->tail += take;
		q->len += take;
	}
	return 0;
}

static void next_chunk(struct pcm_queue *q)
{
	struct pcm_chunk *gone = q->first;

	q->first = gone->next;
	q->head = 0;
	if (!q->first) {
		q->last = NULL;
		q->tail = 0;
	}
	give_back(q, gone);
}

size_t pcm_queue_pull(struct pcm_queue *q, float *out, size_t n)
{
	size_t taken = min(n, q->len);

	for (size_t at = 0, take; at < taken; at += take) {
		size_t end = q->first == q->last ? q->tail : CHUNK_SAMPLES;

		take = min(taken - at, end - q->head);
		if (out)
			pcm_from_i16(out + at, q->first->pcm + q->head, take);
		q->head += take;
		q->len -= take;
		if (q->head == end)
			next_chunk(q);
	}
	return taken;
}

void pcm_queue_cut(struct pcm_queue *q, size_t len)
{
	if (len >= q->len)
		return;
	if (len == 0) {
		drop_all(q);
		return;
	}
	struct pcm_chunk *c = q->first;
	size_t end = q->head + len; /* counted from the start of `c` */

	for (; end > CHUNK_SAMPLES; end -= CHUNK_SAMPLES)
		c = c->next;
	for (struct pcm_chunk *gone = c->next, *next; gone; gone = next) {
		next = gone->next;
		give_back(q, gone);
	}
	c->next = NULL;
	q->last = c;
	q->tail = end;
	q->len = len;
}
