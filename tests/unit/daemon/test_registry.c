/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
	struct config cfg;
	struct registry *r;
};

static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	config_default(&w->cfg);
	strcpy(w->cfg.room[0].name, "team-*");
	w->cfg.room[0].max_participants = 2;
	w->cfg.rooms.max_rooms = 3;
	w->cfg.limits.max_sessions = 5;
	assert_int_equal(registry_new(&w->cfg, 3, &w->r), 0);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	registry_free(w->r);
	registry_free(NULL);
	free(w);
	return 0;
}

static void enter(struct world *w, const char *room, unsigned here)
{
	unsigned shard = 99;

	assert_int_equal(registry_enter(w->r, room, here, &shard), VERDICT_ADMITTED);
	assert_int_equal(shard, here);
}

static void a_room_stays_in_its_shard_until_the_last_participant_leaves(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 1);
	assert_int_equal(registry_enter(w->r, "team-a", 0, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 1);
	assert_int_equal(registry_sessions(w->r), 1); /* nothing is counted until that shard has decided */
	enter(w, "  team-a ", 1);
	registry_leave(w->r, "team-a");
	assert_int_equal(registry_enter(w->r, "team-a", 0, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 1);
	registry_leave(w->r, " team-a");
	enter(w, "team-a", 0);
	registry_leave(w->r, "team-a");
}

static void limits_hold_for_all_shards_together(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 0);
	enter(w, "team-a", 0);
	assert_int_equal(registry_enter(w->r, "team-a", 1, &shard), VERDICT_ROOM_FULL);
	assert_int_equal(registry_check(w->r, "team-a"), VERDICT_ROOM_FULL);
	enter(w, "", 1);
	enter(w, NULL, 0);
	assert_int_equal(registry_enter(w->r, "team-b", 0, &shard), VERDICT_TOO_MANY_ROOMS);
	assert_int_equal(registry_check(w->r, ""), VERDICT_TOO_MANY_ROOMS);
	registry_leave(w->r, "");
	enter(w, "team-b", 1);
	enter(w, "team-b", 1);
	assert_int_equal(registry_enter(w->r, "team-c", 1, &shard), VERDICT_SERVER_FULL);
	assert_int_equal(registry_check(w->r, "team-b"), VERDICT_SERVER_FULL);
	assert_int_equal(registry_sessions(w->r), 5);
	registry_leave(w->r, "team-b");
	registry_leave(w->r, "team-b");
	registry_leave(w->r, NULL);
	registry_leave(w->r, "team-a");
	registry_leave(w->r, "team-a");
}

static void room_names_and_rules_are_checked(void **state)
{
	struct world *w = *state;
	unsigned shard;

	assert_int_equal(registry_enter(w->r, "kitchen", 0, &shard), VERDICT_NO_SUCH_ROOM);
	assert_int_equal(registry_check(w->r, "   "), VERDICT_BAD_TEXT);
	assert_int_equal(registry_check(w->r, "team-\x01"), VERDICT_BAD_TEXT);
	assert_int_equal(registry_check(w->r, "team-x"), VERDICT_ADMITTED);
}

static void busy_shards_get_no_new_sessions(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 0);
	registry_set_busy(w->r, 0, true);
	assert_int_equal(registry_enter(w->r, "team-a", 0, &shard), VERDICT_SERVER_BUSY); /* into a room that is here */
	assert_int_equal(registry_check(w->r, "team-a"), VERDICT_SERVER_BUSY);
	assert_int_equal(registry_enter(w->r, "team-a", 1, &shard), VERDICT_MOVED); /* it may know better by then */
	assert_int_equal(shard, 0);
	assert_int_equal(registry_enter(w->r, "team-b", 0, &shard), VERDICT_MOVED); /* a new one goes where there is time */
	assert_int_equal(shard, 1);
	assert_int_equal(registry_enter(w->r, "", 0, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 1);
	registry_set_busy(w->r, 1, true);
	assert_int_equal(registry_enter(w->r, "team-b", 1, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 2);
	assert_int_equal(registry_check(w->r, "team-b"), VERDICT_ADMITTED);
	registry_set_busy(w->r, 2, true);
	assert_int_equal(registry_enter(w->r, "team-b", 2, &shard), VERDICT_SERVER_BUSY);
	assert_int_equal(registry_check(w->r, ""), VERDICT_SERVER_BUSY);
	registry_set_busy(w->r, 0, false);
	enter(w, "team-a", 0);
	assert_int_equal(registry_check(w->r, "team-b"), VERDICT_ADMITTED);
	registry_leave(w->r, "team-a");
	registry_leave(w->r, "team-a");
	assert_int_equal(registry_sessions(w->r), 0);
}

static void a_draining_server_admits_no_session(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 0);
	registry_drain(w->r);
	assert_int_equal(registry_enter(w->r, "team-a", 0, &shard), VERDICT_DRAINING);
	assert_int_equal(registry_enter(w->r, "team-a", 1, &shard), VERDICT_DRAINING);
	assert_int_equal(registry_enter(w->r, "kitchen", 1, &shard), VERDICT_DRAINING);
	assert_int_equal(registry_check(w->r, ""), VERDICT_DRAINING);
	assert_int_equal(registry_sessions(w->r), 1);
	registry_leave(w->r, "team-a");
}

/* --- several threads ---------------------------------------------------------------------------- */

enum { THREADS = 3, TURNS = 5000 };

struct guest {
	struct world *w;
	unsigned shard;
	unsigned entered, refused, elsewhere;
};

static void *come_and_go(void *ctx)
{
	struct guest *g = ctx;
	char room[16];

	for (unsigned i = 0; i < TURNS; i++) {
		unsigned shard;

		snprintf(room, sizeof room, "team-%u", i % 4);
		switch (registry_enter(g->w->r, room, g->shard, &shard)) {
		case VERDICT_ADMITTED:
			assert_int_equal(shard, g->shard);
			g->entered++;
			registry_leave(g->w->r, room);
			break;
		case VERDICT_MOVED:
			assert_int_not_equal(shard, g->shard);
			g->elsewhere++;
			break;
		default:
			g->refused++;
		}
	}
	return NULL;
}

static void threads_may_ask_at_once(void **state)
{
	struct world *w = *state;
	struct guest g[THREADS] = {0};
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		g[i] = (struct guest){.w = w, .shard = i};
		assert_int_equal(pthread_create(&t[i], NULL, come_and_go, &g[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(g[i].entered + g[i].refused + g[i].elsewhere, TURNS);
	assert_int_equal(registry_sessions(w->r), 0);
	assert_int_equal(registry_check(w->r, "team-0"), VERDICT_ADMITTED);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_room_stays_in_its_shard_until_the_last_participant_leaves),
		CASE(limits_hold_for_all_shards_together),
		CASE(room_names_and_rules_are_checked),
		CASE(busy_shards_get_no_new_sessions),
		CASE(a_draining_server_admits_no_session),
		CASE(threads_may_ask_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
