/* SPDX-License-Identifier: MIT */
/* Two shards behind one address: sessions move to the shard of their room, and clients notice nothing. */
#include "sim/call.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 64 }; /* which shard accepts a connection is random: one in two */

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

static uint32_t moved_out(const struct world *w)
{
	return quic_of(w, 0)->moved_out + quic_of(w, 1)->moved_out;
}

static void leave(struct world *w, struct person *p)
{
	wt_session_close(p->session, 0, "", sim_now(w->sim));
	run(w, nsec_from_ms(500));
	assert_true(p->closed);
}

static bool has_session(void *ctx)
{
	return ((struct person *)ctx)->session != NULL;
}

static void wait_for(struct world *w, struct person *p)
{
	assert_true(sim_run(w->sim, has_session, p, nsec_from_s(20)));
}

/* A client whose connection was accepted by the other shard and moved to that of the room. Those that needed no move
 * leave again. */
static struct person *join_and_move(struct world *w, const char *room, int16_t sample)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = moved(w);
		struct person *p = join(w, room, sample);

		wait_for(w, p);
		if (moved(w) > before)
			return p;
		leave(w, p);
	}
	fail_msg("%d connections and all on the same shard", TRIES);
	return NULL;
}

/* The shard of the only room that there is. */
static unsigned shard_of_room(const struct world *w)
{
	return rooms_stats(w->shard[0].rooms)->rooms ? 0 : 1;
}

static void assert_both_hear_all(struct world *w, struct person *a, struct person *b, unsigned seconds)
{
	run(w, nsec_from_s(1));
	a->missing = b->missing = a->disordered = b->disordered = 0;
	a->expect = b->sample;
	b->expect = a->sample;
	count_from_now(w);
	run(w, nsec_from_s(seconds));
	assert_in_range(a->received, 50 * seconds - 2, 50 * seconds + 2);
	assert_in_range(b->received, 50 * seconds - 2, 50 * seconds + 2);
	assert_int_equal(a->wrong + b->wrong, 0);
	assert_int_equal(a->missing + b->missing + a->disordered + b->disordered, 0);
}

/* A world with two people in one room; the second one moved. */
static struct person *two_in_a_room(struct world *w, uint64_t seed, struct person **first)
{
	world_init_shards(w, seed, TRIES + 2, 2);
	*first = join(w, "x&frames=v1", 1000);
	wait_for(w, *first);
	return join_and_move(w, "x&frames=v1", 2000);
}

/* --- cases --------------------------------------------------------------------------------------- */

TEST(people_of_both_shards_hear_one_another)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 1, &a);

	assert_both_hear_all(&w, a, b, 10);
	assert_int_equal(rooms_stats(w.shard[shard_of_room(&w)].rooms)->participants, 2);
	assert_int_equal(rooms_stats(w.shard[1 - shard_of_room(&w)].rooms)->participants, 0);
	assert_int_equal(rooms_stats(w.shard[shard_of_room(&w)].rooms)->sequence.lost, 0);
	assert_int_equal(quic_of(&w, 0)->unknown_packets + quic_of(&w, 1)->unknown_packets, 0);
	assert_true(forwarded(&w) > 100);
	assert_int_equal(moved_out(&w), 1);
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
		/* one talker in each room, with a sample of its own */
		struct person *p = join(&w, room, (int16_t)(i % ROOM ? 0 : 1000 + 100 * (i / ROOM)));

		wait_for(&w, p);
		p->expect = (int16_t)(i % ROOM ? 1000 + 100 * (i / ROOM) : 0);
	}
	run(&w, nsec_from_s(1));
	count_from_now(&w);
	for (int i = 0; i < N; i++)
		w.people[i].missing = 0;
	run(&w, nsec_from_s(5));
	for (int i = 0; i < N; i++) {
		if (i % ROOM)
			assert_in_range(w.people[i].received, 248, 252);
		assert_int_equal(w.people[i].wrong, 0);
		assert_int_equal(w.people[i].missing, 0);
	}
	assert_int_equal(rooms_stats(w.shard[0].rooms)->rooms + rooms_stats(w.shard[1].rooms)->rooms, N / ROOM);
	assert_true(rooms_stats(w.shard[0].rooms)->rooms > 0 && rooms_stats(w.shard[1].rooms)->rooms > 0);
	assert_true(moved(&w) > 0);
	world_end(&w);
}

TEST(a_client_that_left_leaves_nothing_on_either_shard)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 3, &a);

	run(&w, nsec_from_s(2));
	assert_int_equal(moved_out(&w), 1);
	leave(&w, b);
	run(&w, nsec_from_s(10));
	assert_int_equal(moved_out(&w), 0);
	assert_int_equal(quic_of(&w, 0)->conns + quic_of(&w, 1)->conns, 1);
	assert_int_equal(quic_group_conns(w.group), 1);
	assert_int_equal(quic_of(&w, 0)->stateless_resets + quic_of(&w, 1)->stateless_resets, 0);
	world_end(&w);
}

TEST(the_server_may_close_a_session_that_moved)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 4, &a);

	run(&w, nsec_from_s(1));
	links_close_all(w.shard[shard_of_room(&w)].links, CLOSE_SHUTDOWN, "enough", sim_now(w.sim));
	run(&w, nsec_from_s(1));
	assert_true(a->closed && b->closed);
	assert_int_equal(b->why.code, CLOSE_SHUTDOWN);
	run(&w, nsec_from_s(10));
	assert_int_equal(moved_out(&w), 0);
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
	assert_int_equal(moved_out(&w), 0);
	world_end(&w);
}

TEST(keys_change_after_the_move)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 6, &a);

	run(&w, nsec_from_s(1));
	assert_int_equal(quic_conn_update_keys(b->conn, sim_now(w.sim)), 0);
	assert_both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_conn_update_keys(b->conn, sim_now(w.sim)), 0);
	assert_both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_of(&w, shard_of_room(&w))->key_updates, 2);
	world_end(&w);
}

/* By a new mapping of a NAT, with the old id, and by the client's choice, with another of the ids that the first
 * shard gave it. */
TEST(a_client_may_migrate_after_the_move)
{
	struct world w;
	struct person *a, *b = two_in_a_room(&w, 7, &a);

	run(&w, nsec_from_s(1));
	sim_rebind(w.cn, "10.0.9.9", 40000);
	assert_both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_of(&w, shard_of_room(&w))->migrations, 2);

	struct quic_path path = sim_path(w.cn, w.sn);

	path.local = sim_add_addr(w.cn, "10.0.2.2", 50001);
	assert_int_equal(quic_conn_migrate(b->conn, &path, sim_now(w.sim)), 0);
	assert_both_hear_all(&w, a, b, 3);
	assert_int_equal(quic_of(&w, shard_of_room(&w))->migrations, 3);
	assert_int_equal(quic_of(&w, 0)->unknown_packets + quic_of(&w, 1)->unknown_packets, 0);
	world_end(&w);
}

/* The room's shard is busy for a while: packets wait in the ring, in order. */
TEST(nothing_is_lost_while_a_session_moves)
{
	struct world w;
	struct person *a, *b = NULL;

	world_init_shards(&w, 8, TRIES + 2, 2);
	a = join(&w, "x&frames=v1", 1000);
	wait_for(&w, a);
	unsigned room_shard = shard_of_room(&w);

	for (int i = 0; i < TRIES && !b; i++) {
		uint64_t before = moved(&w);
		struct person *p = join(&w, "x&frames=v1", 2000);

		p->controls = true; /* opens its control stream as soon as it has a session */
		w.hold[room_shard] = true;
		run(&w, nsec_from_ms(300));
		if (moved(&w) > before) {
			assert_null(p->session);
			assert_int_equal(quic_of(&w, 0)->conns + quic_of(&w, 1)->conns, 1);
			assert_int_equal(quic_group_conns(w.group), 2);
			b = p;
		}
		w.hold[room_shard] = false;
		wait_for(&w, p);
		if (!b)
			leave(&w, p);
	}
	assert_non_null(b);
	assert_both_hear_all(&w, a, b, 5);
	assert_non_null(strstr((char *)b->lines.p, "welcome"));
	assert_int_equal(exchange_dropped(w.exchange, 0) + exchange_dropped(w.exchange, 1), 0);
	world_end(&w);
}

/* The client closes its connection while that is between the shards: it arrives, learns of it, and ends. */
TEST(a_client_that_gives_up_while_it_moves_is_gone_on_arrival)
{
	struct world w;
	bool seen = false;

	world_init_shards(&w, 9, TRIES + 2, 2);
	struct person *a = join(&w, "x", 1000);

	wait_for(&w, a);
	unsigned room_shard = shard_of_room(&w);

	for (int i = 0; i < TRIES && !seen; i++) {
		uint64_t before = moved(&w);
		struct person *p = join(&w, "x", 0);

		w.hold[room_shard] = true;
		run(&w, nsec_from_ms(100));
		seen = moved(&w) > before;
		quic_conn_close(p->conn, 0x100);
		run(&w, nsec_from_ms(100));
		w.hold[room_shard] = false;
		run(&w, nsec_from_s(10));
		assert_true(p->closed);
	}
	assert_true(seen);
	assert_int_equal(moved_out(&w), 0);
	assert_int_equal(quic_group_conns(w.group), 1);
	assert_int_equal(registry_sessions(w.registry), 1);
	world_end(&w);
}

/* The number of connections on their way is bounded: over it, sessions are refused. */
TEST(a_shard_that_reads_no_mail_is_sent_a_bounded_number_of_sessions)
{
	enum { N = 3 * QUIC_MOVES_MAX };
	struct world w;
	unsigned refused = 0, waiting = 0;

	world_init_shards(&w, 10, N + 1, 2);
	w.cfg->room[0].max_participants = N + 1;
	w.cfg->wt.connect_timeout_ms = 60000;
	struct person *a = join(&w, "x", 0);

	wait_for(&w, a);
	unsigned room_shard = shard_of_room(&w);

	w.hold[room_shard] = true;
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
	w.hold[room_shard] = false;
	run(&w, nsec_from_s(3));
	for (int i = 1; i <= N; i++)
		assert_int_not_equal(w.people[i].status, 0);
	assert_int_equal(registry_sessions(w.registry), N + 1 - refused);
	world_end(&w);
}

/* The ring is full: packets are lost, as on any network, and QUIC sends again what must arrive. */
TEST(a_full_ring_drops_packets_and_sessions_survive)
{
	enum { N = 60 };
	struct world w;

	world_init_shards(&w, 11, N, 2);
	for (int i = 0; i < N; i++)
		join(&w, "x&frames=v1", 100);
	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	unsigned room_shard = shard_of_room(&w);

	w.hold[room_shard] = true;
	run(&w, nsec_from_s(3));
	assert_true(exchange_dropped(w.exchange, 1 - room_shard) > 0);
	w.hold[room_shard] = false;
	for (int i = 1; i < N; i++)
		w.people[i].sample = 0;
	run(&w, nsec_from_s(12)); /* until the last one has probed again */
	count_from_now(&w);
	for (int i = 1; i < N; i++) {
		w.people[i].expect = 100;
		w.people[i].missing = 0;
	}
	run(&w, nsec_from_s(3));
	for (int i = 1; i < N; i++) {
		assert_in_range(w.people[i].received, 148, 152);
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
	w.cfg->quic.address_share_percent = 100; /* all clients have one address */
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

TEST(draining_shards_refuse_sessions_that_arrive)
{
	struct world w;
	bool seen = false;

	world_init_shards(&w, 13, TRIES + 2, 2);
	struct person *a = join(&w, "x", 0);

	wait_for(&w, a);
	unsigned room_shard = shard_of_room(&w);

	w.hold[room_shard] = true;
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
	w.hold[room_shard] = false;
	run(&w, nsec_from_ms(200));
	assert_int_equal(w.people[w.n_people - 1].status, 503);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_of_both_shards_hear_one_another),
		cmocka_unit_test(rooms_stay_apart_wherever_they_live),
		cmocka_unit_test(a_client_that_left_leaves_nothing_on_either_shard),
		cmocka_unit_test(the_server_may_close_a_session_that_moved),
		cmocka_unit_test(a_client_that_vanishes_is_forgotten_on_both_shards),
		cmocka_unit_test(keys_change_after_the_move),
		cmocka_unit_test(a_client_may_migrate_after_the_move),
		cmocka_unit_test(nothing_is_lost_while_a_session_moves),
		cmocka_unit_test(a_client_that_gives_up_while_it_moves_is_gone_on_arrival),
		cmocka_unit_test(a_shard_that_reads_no_mail_is_sent_a_bounded_number_of_sessions),
		cmocka_unit_test(a_full_ring_drops_packets_and_sessions_survive),
		cmocka_unit_test(limits_count_both_shards),
		cmocka_unit_test(draining_shards_refuse_sessions_that_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
