/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "room/room_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A built-in type with every default, shared by all rooms that name it. */
struct builtin {
	struct list node; /* in rooms.builtins */
	struct bridge_opts opts;
};

static const struct bridge_opts *find_builtin(struct rooms *rs, const char *name)
{
	list_each(it, &rs->builtins, tmp) {
		struct builtin *b = list_entry(it, struct builtin, node);

		if (strcmp(b->opts.name, name) == 0)
			return &b->opts;
	}
	struct builtin *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	bridge_opts_default(&b->opts);
	snprintf(b->opts.name, sizeof b->opts.name, "%s", name);
	snprintf(b->opts.type, sizeof b->opts.type, "%s", name);
	list_append(&rs->builtins, &b->node);
	return &b->opts;
}

void room_free_builtins(struct rooms *rs)
{
	list_each(it, &rs->builtins, tmp) {
		list_remove(it);
		free(list_entry(it, struct builtin, node));
	}
}

/* The bridge that a rule names. */
static const struct bridge_opts *find_bridge(struct rooms *rs, const char *name)
{
	for (size_t i = 0; i < rs->opts.n_bridges; i++)
		if (strcmp(rs->opts.bridges[i].name, name) == 0)
			return &rs->opts.bridges[i];
	return find_builtin(rs, name);
}

static int make_seat(struct room *r)
{
	if (strcmp(r->rule->bridge, "none") == 0)
		return 0;
	const struct bridge_opts *opts = find_bridge(r->rooms, r->rule->bridge);

	if (!opts)
		return ERR_NOMEM;
	const struct bridge_ops *ops = opts->ops ? opts->ops : bridge_find(opts->type);

	return ops ? seat_new(r, ops, opts, &r->seat) : ERR_NOTFOUND;
}

static int enter_name(struct room *r)
{
	return r->name[0] ? map_put(r->rooms->by_name, r->name, strlen(r->name), r) : 0;
}

int room_new(struct rooms *rs, const struct room_rule *rule, const char *name, struct room **out)
{
	struct room *r = calloc(1, sizeof *r);
	char quoted[72]; /* and a bridge's name beside it: LOG_CTX_MAX */
	int err;

	if (!r)
		return ERR_NOMEM;
	r->rooms = rs;
	r->rule = rule;
	r->rate_hz = rule->rate_hz;
	r->n = (size_t)rule->rate_hz * rs->opts.frame_ms / 1000;
	r->quiet = QUIET_TICKS;
	list_init(&r->people);
	list_init(&r->taps);
	list_init(&r->outputs);
	snprintf(r->name, sizeof r->name, "%s", name);
	log_child(&r->log, &rs->log, "room=%s", name[0] ? log_quoted(name, quoted, sizeof quoted) : "-");
	err = make_seat(r);
	if (err)
		goto fail_room;
	err = enter_name(r);
	if (err)
		goto fail_seat;
	grid_add(rs, r);
	rs->stats.rooms++;
	*out = r;
	return 0;

fail_seat:
	seat_free(r->seat);
fail_room:
	free(r);
	return err;
}

void room_free(struct room *r)
{
	assert(list_empty(&r->people) && list_empty(&r->taps) && list_empty(&r->outputs) && r->n_people == 0);
	if (r->name[0])
		map_remove(r->rooms->by_name, r->name, strlen(r->name));
	seat_free(r->seat);
	grid_remove(r);
	r->rooms->stats.rooms--;
	free(r->fade_tail);
	free(r);
}

void room_end(struct room *r, nsec now)
{
	taps_end(r, now);
	room_free(r);
}

bool room_is_full(const struct room *r)
{
	return r->n_people >= r->rule->max_participants;
}

static void notify_all_except(struct room *r, const struct participant *except, struct room_event *ev, nsec now)
{
	ev->serial = ++r->rooms->serial;
	list_each(it, &r->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);

		if (p != except)
			listener_report(&p->listener, ev, now);
	}
	list_each(it, &r->taps, tmp)
		listener_report(&list_entry(it, struct tap, node)->listener, ev, now);
}

bool room_may_tell(struct room *r, size_t len, uint32_t listeners, nsec now)
{
	struct rooms *rs = r->rooms;
	uint64_t most = rs->opts.room_text_bytes_per_s; /* in a very large room one message must be possible */
	uint64_t n = (uint64_t)(len + TEXT_LINE_BYTES) * (listeners ? listeners : r->n_people);

	if (limit_take(&r->text, &rs->room_text, n < most ? n : most, now))
		return true;
	rs->stats.text_limited++;
	return false;
}

void room_notify(struct room *r, struct room_event *ev, nsec now)
{
	notify_all_except(r, NULL, ev, now);
}

void room_notify_others(const struct participant *except, struct room_event *ev, nsec now)
{
	notify_all_except(except->room, except, ev, now);
}

void room_flush(struct room *r, nsec now)
{
	const struct room_member bridge = {.id = r->seat->id, .name = seat_name(r->seat), .bridge = true};

	r->rooms->stats.flushes++;
	list_each(it, &r->people, tmp)
		listener_flush(&list_entry(it, struct participant, node)->listener, &bridge, now);
	list_each(it, &r->taps, tmp)
		listener_flush(&list_entry(it, struct tap, node)->listener, &bridge, now);
}

struct participant *room_find(struct room *r, uint32_t id)
{
	list_each(it, &r->people, tmp) {
		struct participant *p = list_entry(it, struct participant, node);

		if (p->id == id)
			return p;
	}
	return NULL;
}
