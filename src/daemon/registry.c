/* SPDX-License-Identifier: MIT */
#include "daemon/registry.h"

#include "base/err.h"
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
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
	atomic_bool draining;
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

/* The name as it is kept, and its rule. */
static enum verdict place(const struct registry *r, const char *room, char name[ROOM_NAME_MAX + 1],
	const struct room_rule **rule)
{
	if (r->draining)
		return VERDICT_DRAINING;
	int err = rooms_place(&r->cfg->rooms, room, name, rule);

	return !err ? VERDICT_ADMITTED : err == ERR_NOTFOUND ? VERDICT_NO_SUCH_ROOM : VERDICT_BAD_TEXT;
}

/* Is there a place for one more? *out is the entry of the room, NULL if there is none yet. */
static enum verdict look(const struct registry *r, const char *name, const struct room_rule *rule, struct entry **out)
{
	*out = name[0] ? map_get(r->rooms, name, strlen(name)) : NULL;
	if (r->sessions >= r->cfg->limits.max_sessions)
		return VERDICT_SERVER_FULL;
	if (*out)
		return (*out)->people >= rule->max_participants ? VERDICT_ROOM_FULL : VERDICT_ADMITTED;
	return map_count(r->rooms) + r->n_private >= r->cfg->rooms.max_rooms ? VERDICT_TOO_MANY_ROOMS : VERDICT_ADMITTED;
}

static bool is_busy(const struct registry *r, unsigned shard)
{
	return r->busy >> shard & 1;
}

/* Where a new room goes: here, unless others have more time. */
static enum verdict choose(const struct registry *r, unsigned here, unsigned *shard)
{
	for (unsigned i = 0; i < r->n_shards; i++) {
		*shard = (here + i) % r->n_shards;
		if (!is_busy(r, *shard))
			return *shard == here ? VERDICT_ADMITTED : VERDICT_MOVED;
	}
	return VERDICT_SERVER_BUSY;
}

/* To where a room is: that shard knows best whether it is busy. */
static enum verdict go_to(const struct registry *r, const struct entry *e, unsigned here, unsigned *shard)
{
	*shard = e->shard;
	if (e->shard != here)
		return VERDICT_MOVED;
	return is_busy(r, here) ? VERDICT_SERVER_BUSY : VERDICT_ADMITTED;
}

static struct entry *add(struct registry *r, const char *name, unsigned shard)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e || map_put(r->rooms, name, strlen(name), e)) {
		free(e);
		return NULL;
	}
	e->shard = shard;
	return e;
}

static enum verdict count_in(struct registry *r, const char *name, struct entry *e, unsigned here)
{
	if (name[0] && !e)
		e = add(r, name, here);
	if (name[0] && !e)
		return VERDICT_NO_MEMORY;
	r->sessions++;
	if (name[0])
		e->people++;
	else
		r->n_private++;
	return VERDICT_ADMITTED;
}

static enum verdict enter(struct registry *r, const char *name, const struct room_rule *rule, unsigned here,
	unsigned *shard)
{
	struct entry *e;
	enum verdict v = look(r, name, rule, &e);

	if (v == VERDICT_ADMITTED)
		v = e ? go_to(r, e, here, shard) : choose(r, here, shard);
	return v == VERDICT_ADMITTED ? count_in(r, name, e, here) : v;
}

enum verdict registry_enter(struct registry *r, const char *room, unsigned here, unsigned *shard)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	enum verdict v = place(r, room, name, &rule);

	if (v != VERDICT_ADMITTED)
		return v;
	pthread_mutex_lock(&r->lock);
	v = enter(r, name, rule, here, shard);
	pthread_mutex_unlock(&r->lock);
	return v;
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

enum verdict registry_check(struct registry *r, const char *room)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	struct entry *e;
	unsigned shard;
	enum verdict v = place(r, room, name, &rule);

	if (v != VERDICT_ADMITTED)
		return v;
	pthread_mutex_lock(&r->lock);
	v = look(r, name, rule, &e);
	if (v == VERDICT_ADMITTED)
		v = e ? go_to(r, e, e->shard, &shard) : choose(r, 0, &shard);
	pthread_mutex_unlock(&r->lock);
	return v == VERDICT_MOVED ? VERDICT_ADMITTED : v;
}

void registry_set_busy(struct registry *r, unsigned shard, bool busy)
{
	uint64_t bit = UINT64_C(1) << shard;

	pthread_mutex_lock(&r->lock);
	r->busy = busy ? r->busy | bit : r->busy & ~bit;
	pthread_mutex_unlock(&r->lock);
}

void registry_drain(struct registry *r)
{
	r->draining = true;
}

uint32_t registry_sessions(struct registry *r)
{
	pthread_mutex_lock(&r->lock);
	uint32_t n = r->sessions;

	pthread_mutex_unlock(&r->lock);
	return n;
}
