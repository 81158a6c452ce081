/* SPDX-License-Identifier: MIT */
/*
 * ring - a bounded queue of fixed slots between two threads: one writes, one reads, nobody waits and nobody locks.
 * Slots are filled and read in place. All memory is taken by ring_new().
 *
 *   void *s = ring_slot(r);  if (s) { fill s; ring_push(r); }           the writer
 *   while ((s = ring_peek(r)) != NULL) { use s; ring_pop(r); }          the reader
 */
#pragma once
#include <stddef.h>

struct ring;

/* `n_slots`: a power of two. ERR_RANGE, ERR_NOMEM. */
int ring_new(size_t n_slots, size_t slot_bytes, struct ring **out);
/* What was not read is forgotten. Both sides are done with it. Accepts NULL. */
void ring_free(struct ring *r);

/* Writer: room for one more, aligned for any type; NULL: full. The same until ring_push(). */
void *ring_slot(struct ring *r);
/* Writer: the slot is the reader's now. */
void ring_push(struct ring *r);

/* Reader: the oldest, NULL: empty. May be changed in place; valid until ring_pop(). */
void *ring_peek(struct ring *r);
void ring_pop(struct ring *r);
/* Reader: how many there are to be read, at least. */
size_t ring_ready(struct ring *r);
