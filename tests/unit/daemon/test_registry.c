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

/* --- somebody from an address that is nobody's in particular ------------------------------------ */

static enum verdict ask(struct world *w, const char *room, unsigned here, unsigned *shard)
{
	const struct guest g = {.room = room};

	return registry_enter(w->r, &g, here, shard);
}

static enum verdict check(struct world *w, const char *room)
{
	const struct guest g = {.room = room};

	return registry_check(w->r, &g);
}

static void leave(struct world *w, const char *room)
{
	const struct guest g = {.room = room};

	registry_leave(w->r, &g);
}

static void enter(struct world *w, const char *room, unsigned here)
{
	unsigned shard = 99;

	assert_int_equal(ask(w, room, here, &shard), VERDICT_ADMITTED);
	assert_int_equal(shard, here);
}

static void a_room_stays_in_its_shard_until_the_last_participant_leaves(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 1);
	assert_int_equal(ask(w, "team-a", 0, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 1);
	assert_int_equal(registry_sessions(w->r), 1); /* nothing is counted until that shard has decided */
	enter(w, "  team-a ", 1);
	leave(w, "team-a");
	assert_int_equal(ask(w, "team-a", 0, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 1);
	leave(w, " team-a");
	enter(w, "team-a", 0);
	leave(w, "team-a");
}

static void limits_hold_for_all_shards_together(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 0);
	enter(w, "team-a", 0);
	assert_int_equal(ask(w, "team-a", 1, &shard), VERDICT_ROOM_FULL);
	assert_int_equal(check(w, "team-a"), VERDICT_ROOM_FULL);
	enter(w, "", 1);
	enter(w, NULL, 0);
	assert_int_equal(ask(w, "team-b", 0, &shard), VERDICT_TOO_MANY_ROOMS);
	assert_int_equal(check(w, ""), VERDICT_TOO_MANY_ROOMS);
	leave(w, "");
	enter(w, "team-b", 1);
	enter(w, "team-b", 1);
	assert_int_equal(ask(w, "team-c", 1, &shard), VERDICT_SERVER_FULL);
	assert_int_equal(check(w, "team-b"), VERDICT_SERVER_FULL);
	assert_int_equal(registry_sessions(w->r), 5);
	leave(w, "team-b");
	leave(w, "team-b");
	leave(w, NULL);
	leave(w, "team-a");
	leave(w, "team-a");
}

static void room_names_and_rules_are_checked(void **state)
{
	struct world *w = *state;
	unsigned shard;

	assert_int_equal(ask(w, "kitchen", 0, &shard), VERDICT_NO_SUCH_ROOM);
	assert_int_equal(check(w, "   "), VERDICT_BAD_TEXT);
	assert_int_equal(check(w, "team-\x01"), VERDICT_BAD_TEXT);
	assert_int_equal(check(w, "team-x"), VERDICT_ADMITTED);
}

static void busy_shards_get_no_new_sessions(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 0);
	registry_set_busy(w->r, 0, true);
	assert_int_equal(ask(w, "team-a", 0, &shard), VERDICT_SERVER_BUSY); /* into a room that is here */
	assert_int_equal(check(w, "team-a"), VERDICT_SERVER_BUSY);
	assert_int_equal(ask(w, "team-a", 1, &shard), VERDICT_MOVED); /* it may know better by then */
	assert_int_equal(shard, 0);
	assert_int_equal(ask(w, "team-b", 0, &shard), VERDICT_MOVED); /* a new one goes where there is time */
	assert_int_equal(shard, 1);
	assert_int_equal(ask(w, "", 0, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 1);
	registry_set_busy(w->r, 1, true);
	assert_int_equal(ask(w, "team-b", 1, &shard), VERDICT_MOVED);
	assert_int_equal(shard, 2);
	assert_int_equal(check(w, "team-b"), VERDICT_ADMITTED);
	assert_false(registry_is_busy(w->r));
	registry_set_busy(w->r, 2, true);
	assert_true(registry_is_busy(w->r));
	assert_int_equal(ask(w, "team-b", 2, &shard), VERDICT_SERVER_BUSY);
	assert_int_equal(check(w, ""), VERDICT_SERVER_BUSY);
	registry_set_busy(w->r, 0, false);
	enter(w, "team-a", 0);
	assert_int_equal(check(w, "team-b"), VERDICT_ADMITTED);
	leave(w, "team-a");
	leave(w, "team-a");
	assert_int_equal(registry_sessions(w->r), 0);
}

static void a_draining_server_admits_no_session(void **state)
{
	struct world *w = *state;
	unsigned shard;

	enter(w, "team-a", 0);
	registry_drain(w->r);
	assert_int_equal(ask(w, "team-a", 0, &shard), VERDICT_DRAINING);
	assert_int_equal(ask(w, "team-a", 1, &shard), VERDICT_DRAINING);
	assert_int_equal(ask(w, "kitchen", 1, &shard), VERDICT_DRAINING);
	assert_int_equal(check(w, ""), VERDICT_DRAINING);
	assert_int_equal(registry_sessions(w->r), 1);
	leave(w, "team-a");
}

/* --- shares of an address ------------------------------------------------------------------------ */

static struct holder_key key_of(struct world *w, const char *host)
{
	struct quic_addr a;

	assert_int_equal(quic_addr_parse(host, 4000, &a), 0);
	return registry_holder(w->r, &a.sa);
}

static enum verdict come_from(struct world *w, const char *host, const char *room)
{
	const struct guest g = {room, key_of(w, host)};
	unsigned shard;
	enum verdict seen = registry_check(w->r, &g), v = registry_enter(w->r, &g, 0, &shard);

	assert_int_equal(seen, v);
	return v;
}

static void go_from(struct world *w, const char *host, const char *room)
{
	const struct guest g = {room, key_of(w, host)};

	registry_leave(w->r, &g);
}

static void make_spacious(struct world *w)
{
	w->cfg.limits.max_sessions = 40;
	w->cfg.rooms.max_rooms = 40;
	w->cfg.quic.address_share_percent = 10;
	w->cfg.room[0].max_participants = 40;
}

/* One address, many sessions in a room that somebody else has made: half of the server is theirs, and no more. */
static void an_address_gets_no_more_than_its_share_of_sessions(void **state)
{
	struct world *w = *state;
	const char *const many = "192.0.2.1", *const one = "192.0.2.2";

	make_spacious(w);
	enter(w, "team-a", 0);
	for (int i = 0; i < 19; i++)
		assert_int_equal(come_from(w, many, "team-a"), VERDICT_ADMITTED);
	assert_int_equal(come_from(w, many, "team-a"), VERDICT_ADDRESS_SESSIONS);
	assert_int_equal(come_from(w, "::ffff:192.0.2.1", "team-a"), VERDICT_ADDRESS_SESSIONS);
	for (int i = 0; i < 4; i++)
		assert_int_equal(come_from(w, one, "team-a"), VERDICT_ADMITTED);
	assert_int_equal(come_from(w, one, "team-a"), VERDICT_ADDRESS_SESSIONS);
	for (int i = 0; i < 5; i++) /* half of it is free again */
		go_from(w, many, "team-a");
	assert_int_equal(come_from(w, many, "team-a"), VERDICT_ADMITTED);
	for (int i = 0; i < 15; i++)
		go_from(w, many, "team-a");
	for (int i = 0; i < 4; i++)
		go_from(w, one, "team-a");
	leave(w, "team-a");
}

/* "300 sessions of one host in 300 rooms, max_rooms = 300: none of 40 newcomers got a room." */
static void an_address_gets_no_more_than_its_share_of_rooms(void **state)
{
	struct world *w = *state;
	char room[32];
	int made = 0;

	make_spacious(w);
	w->cfg.limits.max_sessions = 1000;
	for (int i = 0; i < 40; i++) {
		snprintf(room, sizeof room, "team-%d", i);
		made += come_from(w, "2001:db8:0:1::1", room) == VERDICT_ADMITTED;
	}
	assert_int_equal(made, 20);
	assert_int_equal(come_from(w, "2001:db8:0:1::2", ""), VERDICT_ADDRESS_ROOMS);       /* private ones count, too */
	assert_int_equal(come_from(w, "2001:db8:0:1::2", "team-0"), VERDICT_ADMITTED);      /* into one that is there */
	for (int i = 0; i < 4; i++)
		assert_int_equal(come_from(w, "2001:db8:0:2::1", i % 2 ? "" : room), VERDICT_ADMITTED);
	go_from(w, "2001:db8:0:1::1", "team-0"); /* who made it has left, somebody else is there: it still counts */
	assert_int_equal(come_from(w, "2001:db8:0:1::1", ""), VERDICT_ADDRESS_ROOMS);
	go_from(w, "2001:db8:0:1::2", "team-0");
	for (int i = 1; i < 20; i++) {
		snprintf(room, sizeof room, "team-%d", i);
		go_from(w, "2001:db8:0:1::1", room);
	}
	for (int i = 0; i < 4; i++)
		go_from(w, "2001:db8:0:2::1", i % 2 ? "" : "team-39");
}

static void a_share_is_one_at_least(void **state)
{
	struct world *w = *state;

	w->cfg.limits.max_sessions = 4;
	assert_int_equal(come_from(w, "192.0.2.1", "team-a"), VERDICT_ADMITTED);
	assert_int_equal(come_from(w, "192.0.2.2", "team-a"), VERDICT_ADMITTED);
	assert_int_equal(come_from(w, "192.0.2.2", "team-b"), VERDICT_ADDRESS_SESSIONS);
	assert_int_equal(come_from(w, "192.0.2.3", "team-b"), VERDICT_ADMITTED);
	assert_int_equal(come_from(w, "192.0.2.4", "team-b"), VERDICT_ADMITTED);
	assert_int_equal(come_from(w, "192.0.2.5", "team-c"), VERDICT_SERVER_FULL);
	go_from(w, "192.0.2.1", "team-a");
	go_from(w, "192.0.2.2", "team-a");
	go_from(w, "192.0.2.3", "team-b");
	go_from(w, "192.0.2.4", "team-b");
}

/* By default those of this machine, which relays may be; and there is no address where there is no network. */
static void exempt_addresses_have_no_share(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"};
	struct world *w = *state;
	const struct sockaddr other = {.sa_family = AF_UNSPEC};

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		assert_int_equal(key_of(w, hosts[i]).len, 0);
	assert_int_equal(key_of(w, "128.0.0.1").len, 4);
	assert_int_equal(key_of(w, "::2").len, 8);
	assert_int_equal(registry_holder(w->r, NULL).len, 0);
	assert_int_equal(registry_holder(w->r, &other).len, 0);
	w->cfg.limits.max_sessions = 4;
	w->cfg.room[0].max_participants = 4;
	for (int i = 0; i < 4; i++)
		assert_int_equal(come_from(w, hosts[i], "team-a"), VERDICT_ADMITTED);
	for (int i = 0; i < 4; i++)
		go_from(w, hosts[i], "team-a");
}

/* --- several threads ---------------------------------------------------------------------------- */

enum { THREADS = 3, TURNS = 5000 };

struct visitor {
	struct world *w;
	unsigned shard;
	unsigned entered, refused, elsewhere;
};

static void *come_and_go(void *ctx)
{
	struct visitor *g = ctx;
	char room[16];

	for (unsigned i = 0; i < TURNS; i++) {
		unsigned shard;

		snprintf(room, sizeof room, "team-%u", i % 4);
		switch (ask(g->w, room, g->shard, &shard)) {
		case VERDICT_ADMITTED:
			assert_int_equal(shard, g->shard);
			g->entered++;
			leave(g->w, room);
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
	struct visitor g[THREADS] = {0};
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		g[i] = (struct visitor){.w = w, .shard = i};
		assert_int_equal(pthread_create(&t[i], NULL, come_and_go, &g[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(g[i].entered + g[i].refused + g[i].elsewhere, TURNS);
	assert_int_equal(registry_sessions(w->r), 0);
	assert_int_equal(check(w, "team-0"), VERDICT_ADMITTED);
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
		CASE(an_address_gets_no_more_than_its_share_of_sessions),
		CASE(an_address_gets_no_more_than_its_share_of_rooms),
		CASE(a_share_is_one_at_least),
		CASE(exempt_addresses_have_no_share),
		CASE(threads_may_ask_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
