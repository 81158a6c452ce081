/* SPDX-License-Identifier: MIT */
#include "daemon/registry.h"

#include "base/err.h"
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	unsigned shard;
	uint32_t people;
};

struct registry {
	const struct config *cfg;
	pthread_mutex_t lock;
	struct map *rooms;  /* of struct entry */
	uint32_t n_private; /* rooms without a name: one person each */
	uint32_t sessions;
	unsigned n_shards;
	uint64_t busy;      /* one bit for each */
};

int registry_new(const struct config *cfg, unsigned n_shards, struct registry **out)
{
	struct registry *r = calloc(1, sizeof *r);
	int err = r ? map_new(ROOM_NAME_MAX, &r->rooms) : ERR_NOMEM;

	if (err) {
		free(r);
		return err;
	}
	r->cfg = cfg;
	r->n_shards = n_shards;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	assert(r->sessions == 0 && r->n_private == 0 && map_count(r->rooms) == 0);
	pthread_mutex_destroy(&r->lock);
	map_free(r->rooms);
	free(r);
}

/* The entry, NULL if there is none yet, or why nobody may come. */
static int look(const struct registry *r, const char *name, const struct room_rule *rule, struct entry **out)
{
	*out = name[0] ? map_get(r->rooms, name, strlen(name)) : NULL;
	if (r->sessions >= r->cfg->limits.max_sessions)
		return ERR_STATE;
	if (*out)
		return (*out)->people >= rule->max_participants ? ERR_LIMIT : 0;
	return map_count(r->rooms) + r->n_private >= r->cfg->rooms.max_rooms ? ERR_LIMIT : 0;
}

static bool is_busy(const struct registry *r, unsigned shard)
{
	return r->busy >> shard & 1;
}

/* Where a new room goes: here, unless others have more time. */
static int choose(const struct registry *r, unsigned here, unsigned *shard)
{
	for (unsigned i = 0; i < r->n_shards; i++) {
		*shard = (here + i) % r->n_shards;
		if (!is_busy(r, *shard))
			return 0;
	}
	return ERR_DENIED;
}

static int add(struct registry *r, const char *name, unsigned shard, struct entry **out)
{
	struct entry *e = calloc(1, sizeof *e);
	int err = e ? map_put(r->rooms, name, strlen(name), e) : ERR_NOMEM;

	if (err) {
		free(e);
		return err;
	}
	e->shard = shard;
	*out = e;
	return 0;
}

static int enter(struct registry *r, const char *name, const struct room_rule *rule, unsigned here, unsigned *shard)
{
	struct entry *e;
	int err = look(r, name, rule, &e);

	if (err)
		return err;
	if (!e)
		err = choose(r, here, shard);
	else if (e->shard == here && is_busy(r, here))
		err = ERR_DENIED;
	else
		*shard = e->shard; /* which knows best whether it is busy */
	if (err || *shard != here)
		return err;
	if (name[0] && !e)
		err = add(r, name, here, &e);
	if (err)
		return err;
	r->sessions++;
	if (name[0])
		e->people++;
	else
		r->n_private++;
	return 0;
}

int registry_enter(struct registry *r, const char *room, unsigned here, unsigned *shard)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	int err = rooms_place(&r->cfg->rooms, room, name, &rule);

	if (err)
		return err;
	pthread_mutex_lock(&r->lock);
	err = enter(r, name, rule, here, shard);
	pthread_mutex_unlock(&r->lock);
	return err;
}

static void leave(struct registry *r, const char *name)
{
	struct entry *e = map_get(r->rooms, name, strlen(name));

	assert(e && e->people > 0);
	if (--e->people == 0) {
		map_remove(r->rooms, name, strlen(name));
		free(e);
	}
}

void registry_leave(struct registry *r, const char *room)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	int err = rooms_place(&r->cfg->rooms, room, name, &rule);

	assert(!err);
	(void)err;
	pthread_mutex_lock(&r->lock);
	r->sessions--;
	if (name[0])
		leave(r, name);
	else
		r->n_private--;
	pthread_mutex_unlock(&r->lock);
}

int registry_check(struct registry *r, const char *room)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	struct entry *e;
	unsigned shard;
	int err = rooms_place(&r->cfg->rooms, room, name, &rule);

	if (err)
		return err;
	pthread_mutex_lock(&r->lock);
	err = look(r, name, rule, &e);
	if (!err && e)
		err = is_busy(r, e->shard) ? ERR_DENIED : 0;
	else if (!err)
		err = choose(r, 0, &shard);
	pthread_mutex_unlock(&r->lock);
	return err;
}

void registry_set_busy(struct registry *r, unsigned shard, bool busy)
{
	uint64_t bit = UINT64_C(1) << shard;

	pthread_mutex_lock(&r->lock);
	r->busy = busy ? r->busy | bit : r->busy & ~bit;
	pthread_mutex_unlock(&r->lock);
}

uint32_t registry_sessions(struct registry *r)
{
	pthread_mutex_lock(&r->lock);
	uint32_t n = r->sessions;

	pthread_mutex_unlock(&r->lock);
	return n;
}
