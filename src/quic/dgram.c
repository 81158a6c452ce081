/* SPDX-License-Identifier: MIT */
#include "dgram.h"

#include <assert.h>
#include <stdlib.h>

enum { CHUNK = 64 };

struct dgram_chunk {
	struct dgram_chunk *next;
	struct dgram bufs[CHUNK];
};

void dgram_pool_init(struct dgram_pool *p, uint32_t max)
{
	*p = (struct dgram_pool){.max = max};
}

void dgram_pool_fini(struct dgram_pool *p)
{
	assert(p->used == 0);
	while (p->chunks) {
		struct dgram_chunk *c = p->chunks;

		p->chunks = c->next;
		free(c);
	}
	*p = (struct dgram_pool){.max = p->max};
}

static void grow(struct dgram_pool *p)
{
	struct dgram_chunk *c = malloc(sizeof *c);

	if (!c)
		return;
	c->next = p->chunks;
	p->chunks = c;
	for (size_t i = 0; i < CHUNK && p->made < p->max; i++, p->made++) {
		c->bufs[i].next = p->free;
		p->free = &c->bufs[i];
	}
}

struct dgram *dgram_get(struct dgram_pool *p)
{
	if (!p->free && p->made < p->max)
		grow(p);
	struct dgram *d = p->free;

	if (!d)
		return NULL;
	p->free = d->next;
	p->used++;
	d->next = NULL;
	return d;
}

void dgram_put(struct dgram_pool *p, struct dgram *d)
{
	assert(p->used > 0);
	p->used--;
	d->next = p->free;
	p->free = d;
}

void dgram_queue_init(struct dgram_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
	q->n = 0;
}

void dgram_push(struct dgram_queue *q, struct dgram *d)
{
	d->next = NULL;
	*q->tail = d;
	q->tail = &d->next;
	q->n++;
}

struct dgram *dgram_pop(struct dgram_queue *q)
{
	struct dgram *d = q->head;

	if (!d)
		return NULL;
	q->head = d->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return d;
}
