/* SPDX-License-Identifier: MIT */
#include "audio/jitter.h"
#include "audio/resample.h"
#include "base/err.h"
#include "room/names.h"
#include "room/room_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const double rooms_depth_bound_ms[8] = {5, 10, 20, 40, 60, 100, 150, 200};

void room_rule_default(struct room_rule *r)
{
	*r = (struct room_rule){.name = "*", .bridge = "none", .rate_hz = 16000, .max_participants = 100};
}

void rooms_opts_default(struct rooms_opts *o)
{
	*o = (struct rooms_opts){
		.private_rule = {.bridge = "parrot", .rate_hz = 16000, .max_participants = 1},
		.frame_ms = 20,
		.max_rooms = 1000,
		.input_rate_hz = 16000,
		.min_delay_ms = 3,
		.max_delay_ms = 200,
		.max_late_ms = 200,
		.room_text_bytes_per_s = 2000000,
		.bridge_text_bytes_per_s = 32768,
		.id_first = 1,
		.id_step = 1,
	};
}

const char *leave_reason_name(enum leave_reason r)
{
	static const char *const names[] = {"closed", "lost", "shutdown"};

	return (size_t)r < sizeof names / sizeof *names ? names[r] : "unknown";
}

/* ---- options ---- */

static bool bridge_known(const struct rooms_opts *o, const char *name)
{
	for (size_t i = 0; i < o->n_bridges; i++)
		if (strcmp(o->bridges[i].name, name) == 0)
			return o->bridges[i].ops || bridge_find(o->bridges[i].type);
	return strcmp(name, "none") == 0 || bridge_find(name);
}

static int check_rule(const struct rooms_opts *o, const struct room_rule *r)
{
	if (r->rate_hz != 8000 && r->rate_hz != 16000 && r->rate_hz != 24000 && r->rate_hz != 48000)
		return ERR_RANGE;
	if (r->max_participants == 0)
		return ERR_RANGE;
	return bridge_known(o, r->bridge) ? 0 : ERR_NOTFOUND;
}

static int check_opts(const struct rooms_opts *o)
{
	int err = check_rule(o, &o->private_rule);

	for (size_t i = 0; !err && i < o->n_rules; i++)
		err = check_rule(o, &o->rules[i]);
	for (size_t i = 0; !err && i < o->n_bridges; i++)
		if (o->bridges[i].rate_hz && !audio_rate_ok(o->bridges[i].rate_hz))
			err = ERR_RANGE;
	if (!err && ((o->frame_ms != 10 && o->frame_ms != 20) || o->max_rooms == 0 || !o->id_first || !o->id_step || !audio_rate_ok(o->input_rate_hz)))
		err = ERR_RANGE;
	return err;
}

/* The delays fit together? The buffer itself knows best. */
static int check_delays(const struct rooms *rs)
{
	const struct rooms_opts *o = &rs->opts;
	struct jitter_opts opts = {
		.rate_hz = 8000,
		.tick_ms = o->frame_ms,
		.min_delay_ms = o->min_delay_ms,
		.max_delay_ms = o->max_delay_ms,
	};
	struct jitter *j;
	int err = jitter_new(&opts, rs->table, &j);

	if (!err)
		jitter_free(j);
	return err;
}

/* ---- life ---- */

int rooms_new(const struct rooms_opts *opts, const struct log *log, struct rooms **out)
{
	int err = check_opts(opts);

	if (err)
		return err;
	struct rooms *rs = calloc(1, sizeof *rs);

	if (!rs)
		return ERR_NOMEM;
	rs->opts = *opts;
	rs->log = *log;
	rs->next_id = opts->id_first;
	rs->room_text = rate_make(opts->room_text_bytes_per_s, nsec_from_s(1), nsec_from_s(2));
	rs->bridge_text = rate_make(opts->bridge_text_bytes_per_s, nsec_from_s(1), nsec_from_s(2));
	grid_init(rs);
	list_init(&rs->builtins);
	err = map_new(ROOM_NAME_MAX, &rs->by_name);
	if (err)
		goto fail_rooms;
	err = resample_table_new(&rs->table);
	if (err)
		goto fail_map;
	err = check_delays(rs);
	if (err)
		goto fail_table;
	*out = rs;
	return 0;

fail_table:
	resample_table_free(rs->table);
fail_map:
	map_free(rs->by_name);
fail_rooms:
	free(rs);
	return err;
}

void rooms_free(struct rooms *rs)
{
	if (!rs)
		return;
	assert(!rs->calling && rs->stats.rooms == 0 && rs->stats.participants == 0 && rs->stats.bridges == 0);
	resample_table_free(rs->table);
	map_free(rs->by_name);
	room_free_builtins(rs);
	free(rs->contributions);
	free(rs);
}

const struct rooms_stats *rooms_stats(struct rooms *rs)
{
	rs->stats.depth_sum_ms = (uint64_t)rs->depth_sum_ms;
	rs->stats.dropped_ms = (uint64_t)rs->dropped_ms;
	return &rs->stats;
}

uint32_t rooms_next_id(struct rooms *rs)
{
	uint32_t id = rs->next_id;

	rs->next_id += rs->opts.id_step;
	if (rs->next_id < rs->opts.id_step) /* wrapped */
		rs->next_id = rs->opts.id_first;
	return id;
}

/* ---- admission ---- */

int rooms_place(const struct rooms_opts *o, const char *wish, char name[ROOM_NAME_MAX + 1], const struct room_rule **rule)
{
	*rule = &o->private_rule;
	name[0] = 0;
	if (!wish || !wish[0])
		return 0;
	if (name_clean(wish, name, ROOM_NAME_MAX + 1))
		return ERR_RANGE;
	for (size_t i = 0; i < o->n_rules; i++) {
		*rule = &o->rules[i];
		if (name_matches(o->rules[i].name, name))
			return 0;
	}
	return ERR_NOTFOUND;
}

/* Where a newcomer belongs: a room that exists (`*room`), or a rule to make one by. */
static int find_place(const struct rooms *rs, const char *wish, char name[ROOM_NAME_MAX + 1], struct room **room,
	const struct room_rule **rule)
{
	int err = rooms_place(&rs->opts, wish, name, rule);

	*room = err || !name[0] ? NULL : map_get(rs->by_name, name, strlen(name));
	if (err)
		return err;
	if (*room)
		return room_is_full(*room) ? ERR_LIMIT : 0;
	return rs->stats.rooms >= rs->opts.max_rooms ? ERR_LIMIT : 0;
}

static void count_refusal(struct rooms *rs, int err, const struct room *room)
{
	if (err == ERR_LIMIT && room)
		rs->stats.refused_full++;
	else if (err == ERR_LIMIT)
		rs->stats.refused_rooms++;
	else if (err == ERR_RANGE || err == ERR_NOTFOUND)
		rs->stats.refused_name++;
}

/* A place in the scratch for each possible talker. */
static int grow_scratch(struct rooms *rs, size_t n_talkers)
{
	if (n_talkers <= rs->n_contributions)
		return 0;
	size_t n = n_talkers < 8 ? 8 : n_talkers + n_talkers / 2;
	float *p = realloc(rs->contributions, n * TICK_SAMPLES_MAX * sizeof *p);

	if (!p)
		return ERR_NOMEM;
	rs->contributions = p;
	rs->n_contributions = n;
	return 0;
}

static void announce(struct participant *p, nsec now)
{
	struct room *r = p->room;
	struct room_event ev = {.kind = ROOM_JOINED, .member = participant_member(p), .text = ""};

	room_notify_others(p, &ev, now);
	if (r->seat && r->n_people == 1)
		seat_open(r->seat, now);
	else if (r->seat)
		seat_newcomer(r->seat, p, now);
}

static int enter(struct rooms *rs, struct room *r, const struct participant_opts *opts,
	const struct listener_sink *sink, void *user, nsec now, struct participant **out)
{
	struct participant *p;
	int err = grow_scratch(rs, r->n_people + 1);

	if (!err)
		err = participant_new(r, opts, sink, user, &p);
	if (err)
		return err;
	rs->stats.participants++;
	rs->stats.joins++;
	log_debug(&r->log, "joined participant=%u people=%u", p->id, r->n_people);
	*out = p;
	announce(p, now);
	return 0;
}

int rooms_join(struct rooms *rs, const struct participant_opts *opts, const struct listener_sink *sink, void *user,
	nsec now, struct participant **out)
{
	char name[ROOM_NAME_MAX + 1];
	const struct room_rule *rule;
	struct room *room;
	bool made = false;

	assert(!rs->calling);
	rooms_see_time(rs, now);
	int err = find_place(rs, opts->room, name, &room, &rule);

	if (!err && !audio_rate_ok(opts->hears.rate_hz))
		err = ERR_RANGE;
	if (!err && !room) {
		err = room_new(rs, rule, name, &room);
		made = !err;
	}
	if (!err)
		err = enter(rs, room, opts, sink, user, now, out);
	if (err && made)
		room_free(room);
	if (err)
		count_refusal(rs, err, made ? NULL : room);
	return err;
}
