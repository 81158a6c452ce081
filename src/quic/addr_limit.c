/* SPDX-License-Identifier: MIT */
#include "addr_limit.h"

#include "base/err.h"
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 16 };

struct addr_entry {
	uint32_t n, proven;
	uint8_t len, key[KEY_MAX];
};

struct addr_limit {
	pthread_mutex_t lock;
	struct map *map;
};

int addr_limit_new(struct addr_limit **out)
{
	struct addr_limit *l = calloc(1, sizeof *l);
	int err = l ? map_new(KEY_MAX, &l->map) : ERR_NOMEM;

	if (err) {
		free(l);
		return err;
	}
	pthread_mutex_init(&l->lock, NULL);
	*out = l;
	return 0;
}

void addr_limit_free(struct addr_limit *l)
{
	if (!l)
		return;
	assert(map_count(l->map) == 0);
	map_free(l->map);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static struct addr_entry *add(struct addr_limit *l, const uint8_t *key, size_t len)
{
	struct addr_entry *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->len = (uint8_t)len;
	memcpy(e->key, key, len);
	if (map_put(l->map, key, len, e)) {
		free(e);
		return NULL;
	}
	return e;
}

static int enter(struct addr_limit *l, const uint8_t *key, size_t len, uint32_t max, struct addr_entry **out)
{
	struct addr_entry *e = map_get(l->map, key, len);

	if (e ? e->n >= max : max == 0)
		return ERR_LIMIT;
	if (!e)
		e = add(l, key, len);
	if (!e)
		return ERR_NOMEM;
	e->n++;
	*out = e;
	return 0;
}

int addr_limit_enter(struct addr_limit *l, const struct quic_addr *a, uint32_t max, struct addr_entry **out)
{
	uint8_t key[KEY_MAX];
	size_t len = quic_addr_limit_key(a, key);

	pthread_mutex_lock(&l->lock);
	int err = enter(l, key, len, max, out);

	pthread_mutex_unlock(&l->lock);
	return err;
}

void addr_limit_count_proven(struct addr_limit *l, struct addr_entry *e, int n)
{
	pthread_mutex_lock(&l->lock);
	e->proven += (unsigned)n;
	pthread_mutex_unlock(&l->lock);
}

uint32_t addr_limit_proven(struct addr_limit *l, const struct quic_addr *a)
{
	uint8_t key[KEY_MAX];
	size_t len = quic_addr_limit_key(a, key);

	pthread_mutex_lock(&l->lock);
	const struct addr_entry *e = map_get(l->map, key, len);
	uint32_t n = e ? e->proven : 0;

	pthread_mutex_unlock(&l->lock);
	return n;
}

void addr_limit_leave(struct addr_limit *l, struct addr_entry *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&l->lock);
	if (--e->n == 0) {
		map_remove(l->map, e->key, e->len);
		free(e);
	}
	pthread_mutex_unlock(&l->lock);
}
