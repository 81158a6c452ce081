/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include "base/err.h"
#include "base/random.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Slots lie side by side in one block: the value (NULL = free), the key's length, the key. */
struct slot {
	void *value;
	uint8_t len;
	uint8_t key[];
};

struct map {
	uint8_t sipkey[16];
	size_t key_max, stride;
	size_t n_slots; /* power of two; at most half are taken, so a free one is always near */
	size_t count;
	uint8_t *slots;
};

enum { SLOTS_MIN = 16 };

static struct slot *slot_at(const struct map *m, size_t i)
{
	return (struct slot *)(void *)(m->slots + (i & (m->n_slots - 1)) * m->stride);
}

static size_t home_of(const struct map *m, const void *key, size_t len)
{
	return (size_t)siphash13(m->sipkey, key, len) & (m->n_slots - 1);
}

/* The slot that holds `key`, or the free one where it belongs. */
static size_t find(const struct map *m, const void *key, size_t len)
{
	for (size_t i = home_of(m, key, len);; i++) {
		struct slot *s = slot_at(m, i);

		if (!s->value || (s->len == len && memcmp(s->key, key, len) == 0))
			return i & (m->n_slots - 1);
	}
}

int map_new(size_t key_max, struct map **out)
{
	if (key_max < 1 || key_max > 255)
		return ERR_RANGE;
	struct map *m = calloc(1, sizeof *m);

	if (!m)
		return ERR_NOMEM;
	random_bytes(m->sipkey, sizeof m->sipkey);
	m->key_max = key_max;
	m->stride = (sizeof(struct slot) + key_max + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	m->n_slots = SLOTS_MIN;
	m->slots = calloc(m->n_slots, m->stride);
	if (!m->slots) {
		free(m);
		return ERR_NOMEM;
	}
	*out = m;
	return 0;
}

void map_free(struct map *m)
{
	if (!m)
		return;
	free(m->slots);
	free(m);
}

static void fill(struct slot *s, const void *key, size_t len, void *value)
{
	s->value = value;
	s->len = (uint8_t)len;
	memcpy(s->key, key, len);
}

static int grow(struct map *m)
{
	struct map old = *m;
	uint8_t *slots = calloc(old.n_slots * 2, old.stride);

	if (!slots)
		return ERR_NOMEM;
	m->slots = slots;
	m->n_slots *= 2;
	for (size_t i = 0; i < old.n_slots; i++) {
		struct slot *s = slot_at(&old, i);

		if (s->value)
			fill(slot_at(m, find(m, s->key, s->len)), s->key, s->len, s->value);
	}
	free(old.slots);
	return 0;
}

int map_put(struct map *m, const void *key, size_t len, void *value)
{
	if (len < 1 || len > m->key_max)
		return ERR_RANGE;
	size_t i = find(m, key, len);

	if (slot_at(m, i)->value)
		return ERR_EXISTS;
	if ((m->count + 1) * 2 > m->n_slots) {
		int err = grow(m);

		if (err)
			return err;
		i = find(m, key, len);
	}
	fill(slot_at(m, i), key, len, value);
	m->count++;
	return 0;
}

void *map_get(const struct map *m, const void *key, size_t len)
{
	if (len < 1 || len > m->key_max)
		return NULL;
	return slot_at(m, find(m, key, len))->value;
}

/* Moves later entries of the run back, so that no search ends at the hole. */
static void close_gap(struct map *m, size_t hole)
{
	for (size_t i = hole + 1;; i++) {
		struct slot *s = slot_at(m, i);

		if (!s->value)
			break;
		size_t home = home_of(m, s->key, s->len);

		if (((i - home) & (m->n_slots - 1)) >= ((i - hole) & (m->n_slots - 1))) {
			memcpy(slot_at(m, hole), s, m->stride);
			hole = i;
		}
	}
	slot_at(m, hole)->value = NULL;
}

void *map_remove(struct map *m, const void *key, size_t len)
{
	if (len < 1 || len > m->key_max)
		return NULL;
	size_t i = find(m, key, len);
	void *value = slot_at(m, i)->value;

	if (!value)
		return NULL;
	close_gap(m, i);
	m->count--;
	return value;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

void *map_next(const struct map *m, size_t *it)
{
	while (*it < m->n_slots) {
		struct slot *s = slot_at(m, (*it)++);

		if (s->value)
			return s->value;
	}
	return NULL;
}

/* --- SipHash-1-3 (Aumasson, Bernstein): one round for each word, three at the end ------- */

static uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t word_le(const uint8_t *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

/* The same for n = 8, as one load. */
static uint64_t whole_word_le(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return le64toh(w);
}

uint64_t siphash13(const uint8_t key[16], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t k0 = whole_word_le(key), k1 = whole_word_le(key + 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
		k1 ^ 0x7465646279746573u};

	for (size_t left = len; left >= 8; left -= 8, p += 8) {
		uint64_t w = whole_word_le(p);

		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	uint64_t last = (uint64_t)len << 56 | word_le(p, len & 7);

	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
