/* SPDX-License-Identifier: MIT */
/*
 * map - byte strings to pointers, open addressing with SipHash-1-3 under a random key, so
 * a peer that chooses the strings cannot choose the collisions. Grows by itself; entries
 * hold a copy of the key.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct map;

/* `key_max`: longest key in bytes, 1..255. ERR_NOMEM. */
int map_new(size_t key_max, struct map **out);
/* The values are not touched. Accepts NULL. */
void map_free(struct map *m);

/* Copies `key`; `value` must not be NULL. ERR_EXISTS leaves the old entry, ERR_RANGE for an
 * empty or over-long key, ERR_NOMEM. */
int map_put(struct map *m, const void *key, size_t len, void *value);
void *map_get(const struct map *m, const void *key, size_t len);
/* Returns what was there, or NULL. */
void *map_remove(struct map *m, const void *key, size_t len);
size_t map_count(const struct map *m);

/* Walks all entries, unordered: start with *it = 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *m, size_t *it);

/* SipHash-1-3 of `len` bytes under a 16-byte key. */
uint64_t siphash13(const uint8_t key[16], const void *p, size_t len);
