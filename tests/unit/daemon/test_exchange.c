/* SPDX-License-Identifier: MIT */
/* What shards pass one another: order, bounds, and no reader sleeps while something waits for it. */
#include "support/test.h"

#include "daemon/exchange.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

struct letter {
	struct mail mail;
	unsigned number;
};

/* What a reader saw, in order: the number of a letter, or minus that of a packet. */
struct seen {
	int what[64];
	size_t n;
	unsigned wakes;
};

static void on_mail(void *ctx, struct mail *m)
{
	struct seen *s = ctx;

	s->what[s->n++] = (int)((struct letter *)m)->number;
}

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len)
{
	struct seen *s = ctx;

	assert_int_equal(quic_addr_port(&path->remote), 4433);
	assert_int_equal(ecn, 2);
	assert_int_equal(len, 3);
	if (s->n < 64)
		s->what[s->n] = -p[1];
	s->n++;
}

static void wake(void *ctx)
{
	((struct seen *)ctx)->wakes++;
}

static void pass(const struct quic_relay *r, unsigned to, uint8_t number)
{
	struct quic_path path;

	memset(&path, 0, sizeof path);
	assert_int_equal(quic_addr_parse("127.0.0.1", 4433, &path.remote), 0);
	r->packet(r->ctx, to, &path, 2, (uint8_t[]){0, number, 0}, 3);
}

TEST(mail_goes_before_the_packets_behind_it)
{
	struct exchange *x;
	struct seen s = {0};
	const struct exchange_reader reader = {&s, on_mail, on_packet};
	struct letter a = {.number = 1}, b = {.number = 2};

	assert_int_equal(exchange_new(3, &x), 0);
	const struct quic_relay relay = exchange_relay(x, 0);

	assert_false(exchange_take(x, 1, &reader));
	relay.post(relay.ctx, 1, &a.mail);
	pass(&relay, 1, 10);
	pass(&relay, 1, 11);
	exchange_post(x, 2, 1, &b.mail);
	exchange_flush(x, 0);
	assert_false(exchange_take(x, 2, &reader)); /* it was for another */
	assert_true(exchange_take(x, 1, &reader));
	assert_int_equal(s.n, 4);
	assert_memory_equal(s.what, ((int[]){1, 2, -10, -11}), 4 * sizeof(int));
	assert_false(exchange_take(x, 1, &reader));
	exchange_free(x, NULL);
	exchange_free(NULL, NULL);
}

TEST(a_sleeping_shard_is_woken_once)
{
	struct exchange *x;
	struct seen s = {0};
	const struct exchange_reader reader = {&s, on_mail, on_packet};
	struct letter l[3] = {{.number = 1}, {.number = 2}, {.number = 3}};

	assert_int_equal(exchange_new(2, &x), 0);
	exchange_on_wake(x, 1, wake, &s);
	const struct quic_relay relay = exchange_relay(x, 0);

	relay.post(relay.ctx, 1, &l[0].mail);
	assert_int_equal(s.wakes, 0); /* it is awake */
	assert_false(exchange_sleep(x, 1));
	assert_true(exchange_take(x, 1, &reader));
	assert_true(exchange_sleep(x, 1));
	pass(&relay, 1, 1);
	assert_int_equal(s.wakes, 0); /* with the flush, for the whole batch */
	pass(&relay, 1, 2);
	exchange_flush(x, 0);
	exchange_flush(x, 0);
	relay.post(relay.ctx, 1, &l[1].mail);
	assert_int_equal(s.wakes, 1);
	assert_true(exchange_take(x, 1, &reader));
	assert_true(exchange_sleep(x, 1));
	exchange_awake(x, 1);
	relay.post(relay.ctx, 1, &l[2].mail);
	assert_int_equal(s.wakes, 1);
	assert_true(exchange_take(x, 1, &reader));
	assert_int_equal(s.n, 5);
	exchange_free(x, NULL);
}

TEST(a_full_ring_drops_and_counts)
{
	struct exchange *x;
	struct seen s = {0};
	const struct exchange_reader reader = {&s, on_mail, on_packet};
	uint8_t big[QUIC_PACKET_MAX + 1] = {0};
	const struct quic_path path = {{.len = 0}, {.len = 0}};

	assert_int_equal(exchange_new(2, &x), 0);
	const struct quic_relay relay = exchange_relay(x, 0);

	for (int i = 0; i < EXCHANGE_PACKETS + 5; i++)
		pass(&relay, 1, (uint8_t)i);
	assert_int_equal(exchange_dropped(x, 0), 5);
	relay.packet(relay.ctx, 1, &path, 0, big, sizeof big);
	assert_int_equal(exchange_dropped(x, 0), 6);
	exchange_flush(x, 0);
	assert_true(exchange_take(x, 1, &reader));
	assert_int_equal(s.n, EXCHANGE_PACKETS);
	exchange_free(x, NULL);
}

static unsigned n_left;

static void untaken(unsigned to, struct mail *m)
{
	assert_int_equal(to, 1);
	n_left += ((struct letter *)m)->number;
}

TEST(mail_that_nobody_took_is_given_back)
{
	struct exchange *x;
	struct letter a = {.number = 1}, b = {.number = 2};

	assert_int_equal(exchange_new(2, &x), 0);
	exchange_post(x, 0, 1, &a.mail);
	exchange_post(x, 0, 1, &b.mail);
	n_left = 0;
	exchange_free(x, untaken);
	assert_int_equal(n_left, 3);
}

/* --- two threads, which sleep whenever there is nothing to do --------------------------------------- */

enum { TURNS = 20000 };

struct player {
	struct exchange *x;
	unsigned self;
	sem_t bell;
	struct letter ball;
	unsigned caught, packets;
};

static void player_wake(void *ctx)
{
	sem_post(&((struct player *)ctx)->bell);
}

/* Throws it back, with a packet ahead of it. */
static void player_mail(void *ctx, struct mail *m)
{
	struct player *p = ctx;
	struct letter *l = (struct letter *)m;
	const struct quic_relay r = exchange_relay(p->x, p->self);
	const struct quic_path path = {{.len = 0}, {.len = 0}};

	p->caught++;
	if (l->number++ >= TURNS)
		return;
	r.packet(r.ctx, 1 - p->self, &path, 0, (const uint8_t *)"x", 1);
	exchange_flush(p->x, p->self);
	exchange_post(p->x, p->self, 1 - p->self, m);
}

static void player_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len)
{
	struct player *me = ctx;

	(void)path, (void)ecn, (void)p;
	me->packets += len == 1;
}

static void *play(void *ctx)
{
	struct player *p = ctx;
	const struct exchange_reader reader = {p, player_mail, player_packet};

	while (p->caught < TURNS / 2) {
		exchange_take(p->x, p->self, &reader);
		while (p->caught < TURNS / 2 && exchange_sleep(p->x, p->self)) {
			sem_wait(&p->bell); /* for ever, if a wake was lost */
			exchange_take(p->x, p->self, &reader);
		}
	}
	return NULL;
}

TEST(no_wake_is_lost)
{
	struct exchange *x;
	struct player *p = calloc(2, sizeof *p);
	pthread_t t[2];

	assert_non_null(p);
	assert_int_equal(exchange_new(2, &x), 0);
	for (unsigned i = 0; i < 2; i++) {
		p[i].x = x;
		p[i].self = i;
		sem_init(&p[i].bell, 0, 0);
		exchange_on_wake(x, i, player_wake, &p[i]);
	}
	p[0].ball.number = 1;
	exchange_post(x, 0, 1, &p[0].ball.mail);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, play, &p[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(p[0].caught + p[1].caught, TURNS);
	assert_true(p[0].packets > 0 && p[1].packets > 0);
	exchange_free(x, NULL);
	for (unsigned i = 0; i < 2; i++)
		sem_destroy(&p[i].bell);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_goes_before_the_packets_behind_it),
		cmocka_unit_test(a_sleeping_shard_is_woken_once),
		cmocka_unit_test(a_full_ring_drops_and_counts),
		cmocka_unit_test(mail_that_nobody_took_is_given_back),
		cmocka_unit_test(no_wake_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
