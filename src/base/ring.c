/* SPDX-License-Identifier: MIT */
#include "base/ring.h"

#include "base/err.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { LINE = 64 }; /* of the cache: the two sides write to different lines */

/* Positions only grow. Each side caches the position of the other, and reads it again only when that is
 * used up. */
struct ring {
	size_t mask, slot_bytes;
	uint8_t *slots;
	alignas(LINE) atomic_size_t written;
	size_t read_seen;
	alignas(LINE) atomic_size_t read;
	size_t written_seen;
};

int ring_new(size_t n_slots, size_t slot_bytes, struct ring **out)
{
	const size_t unit = alignof(max_align_t);

	if (n_slots == 0 || (n_slots & (n_slots - 1)) != 0 || slot_bytes == 0)
		return ERR_RANGE;
	struct ring *r = aligned_alloc(LINE, sizeof *r);

	if (!r)
		return ERR_NOMEM;
	*r = (struct ring){.mask = n_slots - 1, .slot_bytes = (slot_bytes + unit - 1) / unit * unit};
	r->slots = calloc(n_slots, r->slot_bytes);
	if (!r->slots) {
		free(r);
		return ERR_NOMEM;
	}
	*out = r;
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	free(r->slots);
	free(r);
}

static void *slot_at(const struct ring *r, size_t at)
{
	return r->slots + (at & r->mask) * r->slot_bytes;
}

void *ring_slot(struct ring *r)
{
	size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);

	if (at - r->read_seen > r->mask)
		r->read_seen = atomic_load_explicit(&r->read, memory_order_acquire);
	return at - r->read_seen > r->mask ? NULL : slot_at(r, at);
}

void ring_push(struct ring *r)
{
	size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);

	atomic_store_explicit(&r->written, at + 1, memory_order_release);
}

void *ring_peek(struct ring *r)
{
	size_t at = atomic_load_explicit(&r->read, memory_order_relaxed);

	if (at == r->written_seen)
		r->written_seen = atomic_load_explicit(&r->written, memory_order_acquire);
	return at == r->written_seen ? NULL : slot_at(r, at);
}

void ring_pop(struct ring *r)
{
	size_t at = atomic_load_explicit(&r->read, memory_order_relaxed);

	atomic_store_explicit(&r->read, at + 1, memory_order_release);
}

size_t ring_ready(struct ring *r)
{
	r->written_seen = atomic_load_explicit(&r->written, memory_order_acquire);
	return r->written_seen - atomic_load_explicit(&r->read, memory_order_relaxed);
}
