/* SPDX-License-Identifier: MIT */
/* Two shards behind one address: sessions go to where their room lives, and nobody hears that they did. */
#include "sim/call.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 64 }; /* where a connection is accepted is chance: one in two */

static const struct quic_stats *quic_of(const struct world *w, unsigned shard)
{
	return quic_endpoint_stats(w->shard[shard].endpoint);
}

static uint64_t moved(const struct world *w)
{
	return quic_of(w, 0)->conns_moved + quic_of(w, 1)->conns_moved;
}

static uint64_t forwarded(const struct world *w)
{
	return quic_of(w, 0)->forwarded + quic_of(w, 1)->forwarded;
}

static uint32_t away(const struct world *w)
{
	return quic_of(w, 0)->away + quic_of(w, 1)->away;
}

static void leave(struct world *w, struct person *p)
{
	wt_session_close(p->session, 0, "", sim_now(w->sim));
	run(w, nsec_from_ms(500));
	assert_true(p->closed);
}

static bool is_in(void *ctx)
{
	return ((struct person *)ctx)->session != NULL;
}

static void comes_in(struct world *w, struct person *p)
{
	assert_true(sim_run(w->sim, is_in, p, nsec_from_s(20)));
}

/* Somebody whose connection was accepted by another shard than that of the room, and went there. Who came by
 * the straight way meanwhile leaves again. */
static struct person *come_from_elsewhere(struct world *w, const char *room, int16_t says)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = moved(w);
		struct person *p = join(w, room, says);

		comes_in(w, p);
		if (moved(w) > before)
			return p;
		leave(w, p);
	}
	fail_msg("%d connections and all on the same shard", TRIES);
	return NULL;
}

/* The shard that a room with these people in it lives in: there is no other room. */
static unsigned home_of(const struct world *w)
{
	return rooms_stats(w->shard[0].rooms)->rooms ? 0 : 1;
}

static void both_hear_all(struct world *w, struct person *a, struct person *b, unsigned seconds)
{
	run(w, nsec_from_s(1));
	a->missing = b->missing = a->disordered = b->disordered = 0;
	a->expect = b->says;
	b->expect = a->says;
	listen_from_now(w);
	run(w, nsec_from_s(seconds));
	assert_in_range(a->heard, 50 * seconds - 2, 50 * seconds + 2);
	assert_in_range(b->heard, 50 * seconds - 2, 50 * seconds + 2);
	assert_int_equal(a->wrong + b->wrong, 0);
	assert_int_equal(a->missing + b->missing + a->disordered + b->disordered, 0);
}

/* A world with two people in one room, of whom the second came from elsewhere. */
static struct person *two_in_a_room(struct world *w, uint64_t seed, struct person **first)
{
	world_init_shards(w, seed, TRIES + 2, 2);
	*first = join(w, "x&frames=v1", 1000);
	comes_in(w, *first);
	return come_from_elsewhere(w, "x&frames=v1", 2000);
}

/* --- cases --------------------------------------------------------------------------------------- */

TEST(people_of_both_shards_hear_one_another)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 1, &a);

	both_hear_all(&w, a, b, 10);
	assert_int_equal(rooms_stats(w.shard[home_of(&w)].rooms)->participants, 2);
	assert_int_equal(rooms_stats(w.shard[1 - home_of(&w)].rooms)->participants, 0);
	assert_int_equal(rooms_stats(w.shard[home_of(&w)].rooms)->frames_lost, 0);
	assert_int_equal(quic_of(&w, 0)->unknown_packets + quic_of(&w, 1)->unknown_packets, 0);
	assert_true(forwarded(&w) > 100);
	assert_int_equal(away(&w), 1);
	world_end(&w);
}

TEST(rooms_stay_apart_wherever_they_live)
{
	enum { N = 24, ROOM = 3 };
	struct world w;
	char room[32];

	world_init_shards(&w, 2, N, 2);
	for (int i = 0; i < N; i++) {
		snprintf(room, sizeof room, "r%d&frames=v1", i / ROOM);
		/* one talker in each: the others hear his number */
		struct person *p = join(&w, room, (int16_t)(i % ROOM ? 0 : 1000 + 100 * (i / ROOM)));

		comes_in(&w, p);
		p->expect = (int16_t)(i % ROOM ? 1000 + 100 * (i / ROOM) : 0);
	}
	run(&w, nsec_from_s(1));
	listen_from_now(&w);
	for (int i = 0; i < N; i++)
		w.people[i].missing = 0;
	run(&w, nsec_from_s(5));
	for (int i = 0; i < N; i++) {
		if (i % ROOM)
			assert_in_range(w.people[i].heard, 248, 252);
		assert_int_equal(w.people[i].wrong, 0);
		assert_int_equal(w.people[i].missing, 0);
	}
	assert_int_equal(rooms_stats(w.shard[0].rooms)->rooms + rooms_stats(w.shard[1].rooms)->rooms, N / ROOM);
	assert_true(rooms_stats(w.shard[0].rooms)->rooms > 0 && rooms_stats(w.shard[1].rooms)->rooms > 0);
	assert_true(moved(&w) > 0);
	world_end(&w);
}

TEST(who_left_leaves_nothing_on_either_shard)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 3, &a);

	run(&w, nsec_from_s(2));
	assert_int_equal(away(&w), 1);
	leave(&w, b);
	run(&w, nsec_from_s(10));
	assert_int_equal(away(&w), 0);
	assert_int_equal(quic_of(&w, 0)->conns + quic_of(&w, 1)->conns, 1);
	assert_int_equal(quic_group_conns(w.group), 1);
	assert_int_equal(quic_of(&w, 0)->stateless_resets + quic_of(&w, 1)->stateless_resets, 0);
	world_end(&w);
}

TEST(the_server_may_close_who_came_from_elsewhere)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 4, &a);

	run(&w, nsec_from_s(1));
	links_close_all(w.shard[home_of(&w)].links, CLOSE_SHUTDOWN, "enough", sim_now(w.sim));
	run(&w, nsec_from_s(1));
	assert_true(a->closed && b->closed);
	assert_int_equal(b->why.code, CLOSE_SHUTDOWN);
	run(&w, nsec_from_s(10));
	assert_int_equal(away(&w), 0);
	assert_int_equal(quic_group_conns(w.group), 0);
	world_end(&w);
}

static void a_client_that_vanishes_is_forgotten_on_both_shards(void **state)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 5, &a);

	(void)state, (void)b;
	run(&w, nsec_from_s(1));
	sim_up(w.cn)->blackout = true;
	run(&w, nsec_from_s(40));
	assert_int_equal(quic_group_conns(w.group), 0);
	assert_int_equal(away(&w), 0);
	world_end(&w);
}

TEST(keys_change_after_the_move)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 6, &a);

	run(&w, nsec_from_s(1));
	assert_int_equal(quic_conn_update_keys(b->conn, sim_now(w.sim)), 0);
	both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_conn_update_keys(b->conn, sim_now(w.sim)), 0);
	both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_of(&w, home_of(&w))->key_updates, 2);
	world_end(&w);
}

/* Both by a new mapping of a NAT, with the old id, and by the client's will, with another of the ids that the first
 * shard gave it. */
TEST(the_client_moves_on_after_the_move)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 7, &a);

	run(&w, nsec_from_s(1));
	sim_rebind(w.cn, "10.0.9.9", 40000);
	both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_of(&w, home_of(&w))->migrations, 2);

	struct quic_path path = sim_path(w.cn, w.sn);

	path.local = sim_add_addr(w.cn, "10.0.2.2", 50001);
	assert_int_equal(quic_conn_migrate(b->conn, &path, sim_now(w.sim)), 0);
	both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_of(&w, home_of(&w))->migrations, 3);
	assert_int_equal(quic_of(&w, 0)->unknown_packets + quic_of(&w, 1)->unknown_packets, 0);
	world_end(&w);
}

/* The room's shard is busy for a while: what comes meanwhile waits in the ring, in order. */
TEST(nothing_is_lost_on_the_way)
{
	struct world w;
	struct person *a, *b = NULL;

	world_init_shards(&w, 8, TRIES + 2, 2);
	a = join(&w, "x&frames=v1", 1000);
	comes_in(&w, a);
	unsigned home = home_of(&w);

	for (int i = 0; i < TRIES && !b; i++) {
		uint64_t before = moved(&w);
		struct person *p = join(&w, "x&frames=v1", 2000);

		p->controls = true; /* opens his control stream as soon as he is in */
		w.hold[home] = true;
		run(&w, nsec_from_ms(300));
		if (moved(&w) > before) {
			assert_null(p->session);
			assert_int_equal(quic_of(&w, 0)->conns + quic_of(&w, 1)->conns, 1);
			assert_int_equal(quic_group_conns(w.group), 2);
			b = p;
		}
		w.hold[home] = false;
		comes_in(&w, p);
		if (!b)
			leave(&w, p);
	}
	assert_non_null(b);
	both_hear_all(&w, a, b, 5);
	assert_non_null(strstr((char *)b->lines.p, "welcome"));
	assert_int_equal(exchange_dropped(w.exchange, 0) + exchange_dropped(w.exchange, 1), 0);
	world_end(&w);
}

/* He goes while his connection is between the shards: it arrives, hears of it, and ends. */
TEST(who_gives_up_on_the_way_is_gone_when_he_arrives)
{
	struct world w;
	bool seen = false;

	world_init_shards(&w, 9, TRIES + 2, 2);
	struct person *a = join(&w, "x", 1000);

	comes_in(&w, a);
	unsigned home = home_of(&w);

	for (int i = 0; i < TRIES && !seen; i++) {
		uint64_t before = moved(&w);
		struct person *p = join(&w, "x", 0);

		w.hold[home] = true;
		run(&w, nsec_from_ms(100));
		seen = moved(&w) > before;
		quic_conn_close(p->conn, 0x100);
		run(&w, nsec_from_ms(100));
		w.hold[home] = false;
		run(&w, nsec_from_s(10));
		assert_true(p->closed);
	}
	assert_true(seen);
	assert_int_equal(away(&w), 0);
	assert_int_equal(quic_group_conns(w.group), 1);
	assert_int_equal(registry_sessions(w.registry), 1);
	world_end(&w);
}

/* So many connections on their way that no more are let go: their sessions are refused. */
TEST(a_shard_that_does_not_take_them_is_sent_no_more)
{
	enum { N = 3 * QUIC_MOVES_MAX };
	struct world w;
	unsigned refused = 0, waiting = 0;

	world_init_shards(&w, 10, N + 1, 2);
	w.cfg->room[0].max_participants = N + 1;
	w.cfg->wt.connect_timeout_ms = 60000;
	struct person *a = join(&w, "x", 0);

	comes_in(&w, a);
	unsigned home = home_of(&w);

	w.hold[home] = true;
	for (int i = 0; i < N; i++) {
		join(&w, "x", 0);
		run(&w, nsec_from_ms(5));
	}
	run(&w, nsec_from_ms(500));
	for (int i = 1; i <= N; i++) {
		refused += w.people[i].status == 503;
		waiting += w.people[i].status == 0;
	}
	assert_int_equal(waiting, QUIC_MOVES_MAX);
	assert_int_equal(moved(&w), QUIC_MOVES_MAX);
	assert_true(refused > 10);
	w.hold[home] = false;
	run(&w, nsec_from_s(3));
	for (int i = 1; i <= N; i++)
		assert_int_not_equal(w.people[i].status, 0);
	assert_int_equal(registry_sessions(w.registry), N + 1 - refused);
	world_end(&w);
}

/* The ring is full: packets are lost, as on any network, and what must not be lost comes again. */
TEST(a_full_ring_drops_packets_and_the_sessions_live_on)
{
	enum { N = 60 };
	struct world w;

	world_init_shards(&w, 11, N, 2);
	for (int i = 0; i < N; i++)
		join(&w, "x&frames=v1", 100);
	gather(&w);
	run(&w, nsec_from_s(1));
	unsigned home = home_of(&w);

	w.hold[home] = true;
	run(&w, nsec_from_s(3));
	assert_true(exchange_dropped(w.exchange, 1 - home) > 0);
	w.hold[home] = false;
	for (int i = 1; i < N; i++)
		w.people[i].says = 0;
	run(&w, nsec_from_s(12)); /* until the last has probed again whether it got through */
	listen_from_now(&w);
	for (int i = 1; i < N; i++) {
		w.people[i].expect = 100;
		w.people[i].missing = 0;
	}
	run(&w, nsec_from_s(3));
	for (int i = 1; i < N; i++) {
		assert_in_range(w.people[i].heard, 148, 152);
		assert_int_equal(w.people[i].wrong + w.people[i].missing, 0);
	}
	world_end(&w);
}

TEST(limits_count_both_shards)
{
	enum { N = 12 };
	struct world w;
	unsigned in = 0;

	world_init_shards(&w, 12, N, 2);
	w.cfg->limits.max_sessions = 5;
	for (int i = 0; i < N; i++) {
		char room[16];

		snprintf(room, sizeof room, "r%d", i);
		join(&w, room, 0);
		run(&w, nsec_from_ms(100));
	}
	run(&w, nsec_from_s(1));
	for (int i = 0; i < N; i++)
		in += w.people[i].status == 200;
	assert_int_equal(in, 5);
	world_end(&w);
}

TEST(drained_shards_refuse_who_arrives)
{
	struct world w;
	bool seen = false;

	world_init_shards(&w, 13, TRIES + 2, 2);
	struct person *a = join(&w, "x", 0);

	comes_in(&w, a);
	unsigned home = home_of(&w);

	w.hold[home] = true;
	for (int i = 0; i < TRIES && !seen; i++) {
		join(&w, "x", 0);
		run(&w, nsec_from_ms(50));
		seen = moved(&w) > 0;
	}
	assert_true(seen);
	for (unsigned i = 0; i < 2; i++) {
		wt_drain(w.shard[i].wt);
		links_drain(w.shard[i].links, 1000, sim_now(w.sim));
	}
	w.hold[home] = false;
	run(&w, nsec_from_ms(200));
	assert_int_equal(w.people[w.n_people - 1].status, 503);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_of_both_shards_hear_one_another),
		cmocka_unit_test(rooms_stay_apart_wherever_they_live),
		cmocka_unit_test(who_left_leaves_nothing_on_either_shard),
		cmocka_unit_test(the_server_may_close_who_came_from_elsewhere),
		cmocka_unit_test(a_client_that_vanishes_is_forgotten_on_both_shards),
		cmocka_unit_test(keys_change_after_the_move),
		cmocka_unit_test(the_client_moves_on_after_the_move),
		cmocka_unit_test(nothing_is_lost_on_the_way),
		cmocka_unit_test(who_gives_up_on_the_way_is_gone_when_he_arrives),
		cmocka_unit_test(a_shard_that_does_not_take_them_is_sent_no_more),
		cmocka_unit_test(a_full_ring_drops_packets_and_the_sessions_live_on),
		cmocka_unit_test(limits_count_both_shards),
		cmocka_unit_test(drained_shards_refuse_who_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
