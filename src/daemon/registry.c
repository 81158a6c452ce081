/* SPDX-License-Identifier: MIT */
#include "daemon/registry.h"

#include "base/err.h"
#include "base/fair.h"
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	unsigned shard;
	uint32_t people;
	struct holder_key made_by;
};

/* What those of one address have. */
struct holder {
	uint32_t sessions, rooms;
};

struct registry {
	const struct config *cfg;
	pthread_mutex_t lock;
	struct quic_nets exempt;
	struct map *rooms;  /* of struct entry */
	struct map *holders; /* of struct holder */
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

	if (!err)
		err = map_new(sizeof((struct holder_key *)0)->b, &r->holders);
	if (err) {
		if (r)
			map_free(r->rooms);
		free(r);
		return err;
	}
	r->cfg = cfg;
	quic_nets_parse(&cfg->quic.exempt, &r->exempt);
	r->n_shards = n_shards;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	assert(r->sessions == 0 && r->n_private == 0 && map_count(r->rooms) == 0 && map_count(r->holders) == 0);
	pthread_mutex_destroy(&r->lock);
	map_free(r->rooms);
	map_free(r->holders);
	free(r);
}

/* --- who holds what ------------------------------------------------------------------------ */

struct holder_key registry_holder(const struct registry *r, const struct sockaddr *peer)
{
	struct holder_key k = {0};

	if (peer && !quic_nets_have(&r->exempt, peer))
		k.len = (uint8_t)quic_sockaddr_limit_key(peer, k.b);
	return k;
}

/* What they have; nothing if they have nothing. */
static struct holder held_by(const struct registry *r, const struct holder_key *k)
{
	const struct holder *h = k->len ? map_get(r->holders, k->b, k->len) : NULL;

	return h ? *h : (struct holder){0};
}

static struct holder *holder_get(struct registry *r, const struct holder_key *k)
{
	struct holder *h = map_get(r->holders, k->b, k->len);

	if (h)
		return h;
	h = calloc(1, sizeof *h);
	if (!h || map_put(r->holders, k->b, k->len, h)) {
		free(h);
		return NULL;
	}
	return h;
}

/* They have a session more, and a room. ERR_NOMEM. */
static int hold(struct registry *r, const struct holder_key *k, bool room)
{
	struct holder *h = k->len ? holder_get(r, k) : NULL;

	if (h) {
		h->sessions++;
		h->rooms += room;
	}
	return h || !k->len ? 0 : ERR_NOMEM;
}

static void let_go(struct registry *r, const struct holder_key *k, uint32_t sessions, uint32_t rooms)
{
	struct holder *h = k->len ? map_get(r->holders, k->b, k->len) : NULL;

	if (!h)
		return;
	assert(h->sessions >= sessions && h->rooms >= rooms);
	h->sessions -= sessions;
	h->rooms -= rooms;
	if (h->sessions || h->rooms)
		return;
	map_remove(r->holders, k->b, k->len);
	free(h);
}

static bool may_hold(const struct registry *r, const struct holder_key *k, uint32_t held, uint32_t taken, uint32_t max)
{
	return !k->len || fair_allows(held, taken, max, r->cfg->quic.address_share_percent);
}

/* --- places -------------------------------------------------------------------------------- */

/* The name as it is kept, and its rule. */
static enum verdict place(const struct registry *r, const char *room, char name[ROOM_NAME_MAX + 1],
	const struct room_rule **rule)
{
	if (r->draining)
		return VERDICT_DRAINING;
	int err = rooms_place(&r->cfg->rooms, room, name, rule);

	return !err ? VERDICT_ADMITTED : err == ERR_NOTFOUND ? VERDICT_NO_SUCH_ROOM : VERDICT_BAD_TEXT;
}

static enum verdict look_for_room(const struct registry *r, const struct guest *g, const struct entry *e,
	const struct room_rule *rule)
{
	uint32_t rooms = (uint32_t)map_count(r->rooms) + r->n_private, max = r->cfg->rooms.max_rooms;

	if (e)
		return e->people >= rule->max_participants ? VERDICT_ROOM_FULL : VERDICT_ADMITTED;
	if (rooms >= max)
		return VERDICT_TOO_MANY_ROOMS;
	return may_hold(r, &g->from, held_by(r, &g->from).rooms, rooms, max) ? VERDICT_ADMITTED : VERDICT_ADDRESS_ROOMS;
}

/* Is there a place for one more? *out is the entry of the room, NULL if there is none yet. */
static enum verdict look(const struct registry *r, const struct guest *g, const char *name, const struct room_rule *rule,
	struct entry **out)
{
	uint32_t max = r->cfg->limits.max_sessions;

	*out = name[0] ? map_get(r->rooms, name, strlen(name)) : NULL;
	if (r->sessions >= max)
		return VERDICT_SERVER_FULL;
	if (!may_hold(r, &g->from, held_by(r, &g->from).sessions, r->sessions, max))
		return VERDICT_ADDRESS_SESSIONS;
	return look_for_room(r, g, *out, rule);
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

static struct entry *add(struct registry *r, const char *name, unsigned shard, const struct holder_key *made_by)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e || map_put(r->rooms, name, strlen(name), e)) {
		free(e);
		return NULL;
	}
	e->shard = shard;
	e->made_by = *made_by;
	return e;
}

static enum verdict count_in(struct registry *r, const struct guest *g, const char *name, struct entry *e, unsigned here)
{
	bool makes_room = !e;

	if (hold(r, &g->from, makes_room))
		return VERDICT_NO_MEMORY;
	if (name[0] && !e)
		e = add(r, name, here, &g->from);
	if (name[0] && !e) {
		let_go(r, &g->from, 1, makes_room);
		return VERDICT_NO_MEMORY;
	}
	r->sessions++;
	if (name[0])
		e->people++;
	else
		r->n_private++;
	return VERDICT_ADMITTED;
}

static enum verdict enter(struct registry *r, const struct guest *g, const char *name, const struct room_rule *rule,
	unsigned here, unsigned *shard)
{
	struct entry *e;
	enum verdict v = look(r, g, name, rule, &e);

	if (v == VERDICT_ADMITTED)
		v = e ? go_to(r, e, here, shard) : choose(r, here, shard);
	return v == VERDICT_ADMITTED ? count_in(r, g, name, e, here) : v;
}

enum verdict registry_enter(struct registry *r, const struct guest *g, unsigned here, unsigned *shard)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	enum verdict v = place(r, g->room, name, &rule);

	if (v != VERDICT_ADMITTED)
		return v;
	pthread_mutex_lock(&r->lock);
	v = enter(r, g, name, rule, here, shard);
	pthread_mutex_unlock(&r->lock);
	return v;
}

static void leave_room(struct registry *r, const char *name)
{
	struct entry *e = map_get(r->rooms, name, strlen(name));

	assert(e && e->people > 0);
	if (--e->people > 0)
		return;
	let_go(r, &e->made_by, 0, 1);
	map_remove(r->rooms, name, strlen(name));
	free(e);
}

void registry_leave(struct registry *r, const struct guest *g)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	int err = rooms_place(&r->cfg->rooms, g->room, name, &rule);

	assert(!err);
	(void)err;
	pthread_mutex_lock(&r->lock);
	r->sessions--;
	let_go(r, &g->from, 1, !name[0]);
	if (name[0])
		leave_room(r, name);
	else
		r->n_private--;
	pthread_mutex_unlock(&r->lock);
}

enum verdict registry_check(struct registry *r, const struct guest *g)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	struct entry *e;
	unsigned shard;
	enum verdict v = place(r, g->room, name, &rule);

	if (v != VERDICT_ADMITTED)
		return v;
	pthread_mutex_lock(&r->lock);
	v = look(r, g, name, rule, &e);
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

bool registry_is_busy(struct registry *r)
{
	unsigned shard;

	pthread_mutex_lock(&r->lock);
	enum verdict v = choose(r, 0, &shard);

	pthread_mutex_unlock(&r->lock);
	return v == VERDICT_SERVER_BUSY;
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
