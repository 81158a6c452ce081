/* SPDX-License-Identifier: MIT */
#include "bridge/pcm_queue.h"

#include "audio/pcm.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

static void release_chunk(struct pcm_queue *q, struct pcm_chunk *c)
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
		release_chunk(q, q->first);
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

int pcm_queue_push(struct pcm_queue *q, const int16_t *pcm, size_t n)
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
		memcpy(q->last->pcm + q->tail, pcm + at, take * sizeof *pcm);
		q->tail += take;
		q->len += take;
	}
	return 0;
}

static void next_chunk(struct pcm_queue *q)
{
	struct pcm_chunk *empty = q->first;

	q->first = empty->next;
	q->head = 0;
	if (!q->first) {
		q->last = NULL;
		q->tail = 0;
	}
	release_chunk(q, empty);
}

/* How many of `n` samples lie in one piece at the front. */
static size_t piece(const struct pcm_queue *q, size_t n)
{
	return min(n, (q->first == q->last ? q->tail : CHUNK_SAMPLES) - q->head);
}

static const int16_t *front(const struct pcm_queue *q)
{
	return q->first->pcm + q->head;
}

static void remove_piece(struct pcm_queue *q, size_t n)
{
	size_t end = q->first == q->last ? q->tail : CHUNK_SAMPLES;

	q->head += n;
	q->len -= n;
	if (q->head == end)
		next_chunk(q);
}

size_t pcm_queue_pull(struct pcm_queue *q, int16_t *out, size_t n)
{
	n = min(n, q->len);
	for (size_t at = 0, k; at < n; at += k) {
		k = piece(q, n - at);
		if (out)
			memcpy(out + at, front(q), k * sizeof *out);
		remove_piece(q, k);
	}
	return n;
}

size_t pcm_queue_pull_float(struct pcm_queue *q, float *out, size_t n)
{
	n = min(n, q->len);
	for (size_t at = 0, k; at < n; at += k) {
		k = piece(q, n - at);
		pcm_from_i16(out + at, front(q), k);
		remove_piece(q, k);
	}
	return n;
}

size_t pcm_queue_peek_float(const struct pcm_queue *q, size_t at, float *out, size_t n)
{
	const struct pcm_chunk *c = q->first;
	size_t in = q->head + at, got = 0; /* counted from the start of `c` */

	n = at < q->len ? min(n, q->len - at) : 0;
	for (size_t k; got < n; got += k, in += k) {
		for (; in >= CHUNK_SAMPLES; in -= CHUNK_SAMPLES)
			c = c->next;
		k = min(n - got, CHUNK_SAMPLES - in);
		pcm_from_i16(out + got, c->pcm + in, k);
	}
	return n;
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
		release_chunk(q, gone);
	}
	c->next = NULL;
	q->last = c;
	q->tail = end;
	q->len = len;
}
