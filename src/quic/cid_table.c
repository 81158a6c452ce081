/* SPDX-License-Identifier: MIT */
#include "cid_table.h"

#include "base/err.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

/* A map behind a type of its own, so that owners change by these rules only. */
struct cid_table {
	struct map *map;
};

int cid_table_new(struct cid_table **out)
{
	struct cid_table *t = calloc(1, sizeof *t);
	int err = t ? map_new(CID_MAX, &t->map) : ERR_NOMEM;

	if (err) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

void cid_table_free(struct cid_table *t)
{
	if (!t)
		return;
	assert(map_count(t->map) == 0);
	map_free(t->map);
	free(t);
}

int cid_table_put(struct cid_table *t, const uint8_t *id, size_t len, struct cid_owner *owner)
{
	return map_put(t->map, id, len, owner);
}

struct cid_owner *cid_table_get(const struct cid_table *t, const uint8_t *id, size_t len)
{
	return map_get(t->map, id, len);
}

void cid_table_remove(struct cid_table *t, const uint8_t *id, size_t len, const struct cid_owner *owner)
{
	if (map_get(t->map, id, len) == owner)
		map_remove(t->map, id, len);
}

void cid_table_move(struct cid_table *t, const uint8_t *id, size_t len, const struct cid_owner *from,
	struct cid_owner *to)
{
	if (map_get(t->map, id, len) != from)
		return;
	map_remove(t->map, id, len);
	int err = map_put(t->map, id, len, to); /* no growth: a slot was just freed */

	assert(err == 0);
	(void)err;
}

size_t cid_table_count(const struct cid_table *t)
{
	return map_count(t->map);
}
