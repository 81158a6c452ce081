/* SPDX-License-Identifier: MIT */
/*
 * ring - a bounded queue of fixed slots between two threads, one writer and one reader, without locks or waiting.
 * Slots are filled and read in place. ring_new() allocates all memory.
 *
 *   void *s = ring_slot(r);  if (s) { fill s; ring_push(r); }           the writer
 *   while ((s = ring_peek(r)) != NULL) { use s; ring_pop(r); }          the reader
 */
#pragma once
#include <stddef.h>

struct ring;

/* `n_slots`: a power of two. ERR_RANGE, ERR_NOMEM. */
int ring_new(size_t n_slots, size_t slot_bytes, struct ring **out);
/* Drops what was not read. Neither thread may use it any more. Accepts NULL. */
void ring_free(struct ring *r);

/* Writer: room for one more, aligned for any type; NULL: full. The same until ring_push(). */
void *ring_slot(struct ring *r);
/* Writer: passes the slot to the reader. */
void ring_push(struct ring *r);

/* Reader: the oldest, NULL: empty. May be changed in place; valid until ring_pop(). */
void *ring_peek(struct ring *r);
void ring_pop(struct ring *r);
/* Reader: the number of slots that can be read, at least. */
size_t ring_ready(struct ring *r);
