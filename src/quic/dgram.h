/* SPDX-License-Identifier: MIT */
/*
 * dgram - queues of datagrams to be sent. Buffers come from one pool of the endpoint, which grows
 * in chunks up to its bound and shrinks only at the end, so that a steady load allocates nothing.
 * The endpoint's thread.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DGRAM_MAX = 1456 };

struct dgram {
	struct dgram *next;
	nsec at; /* queued */
	uint32_t len;
	uint8_t data[DGRAM_MAX];
};

struct dgram_pool {
	uint32_t max, made, used;
	struct dgram *free;
	struct dgram_chunk *chunks;
};

void dgram_pool_init(struct dgram_pool *p, uint32_t max);
/* Asserts that every buffer is back. */
void dgram_pool_fini(struct dgram_pool *p);
/* NULL: all `max` are in use, or memory is short. */
struct dgram *dgram_get(struct dgram_pool *p);
void dgram_put(struct dgram_pool *p, struct dgram *d);

struct dgram_queue {
	struct dgram *head, **tail;
	uint32_t n;
};

void dgram_queue_init(struct dgram_queue *q);
void dgram_push(struct dgram_queue *q, struct dgram *d);
struct dgram *dgram_pop(struct dgram_queue *q); /* NULL if empty */
