/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/stats_timer.h"

#include <string.h>

struct client {
	struct stats_wish wish;
	struct stats_timer *drop_from; /* its stream is gone: the next report is its last */
	unsigned n;
	nsec last;
};

static void send(struct stats_wish *w, nsec now)
{
	struct client *c = (struct client *)((char *)w - offsetof(struct client, wish));

	c->n++;
	c->last = now;
	if (c->drop_from)
		stats_timer_set(c->drop_from, w, 0, now);
}

static void client_init(struct client *c)
{
	memset(c, 0, sizeof *c);
	stats_wish_init(&c->wish);
}

/* Runs the timer whenever it is due, until `end`. */
static void pass(struct stats_timer *t, nsec end)
{
	while (t->due <= end)
		stats_timer_run(t, t->due, send);
}

TEST(reports_come_at_the_asked_interval)
{
	struct stats_timer t;
	struct client c;

	stats_timer_init(&t);
	client_init(&c);
	assert_true(t.due == NSEC_NONE);
	stats_timer_set(&t, &c.wish, 200, nsec_from_ms(1010));
	assert_true(t.due == nsec_from_ms(1250));
	pass(&t, nsec_from_ms(1249));
	assert_int_equal(c.n, 0);
	pass(&t, nsec_from_ms(3250));
	assert_int_equal(c.n, 11);
	assert_true(c.last == nsec_from_ms(3250));
}

TEST(intervals_are_rounded_up_to_the_grid)
{
	struct stats_timer t;
	struct client c;

	stats_timer_init(&t);
	client_init(&c);
	stats_timer_set(&t, &c.wish, 210, nsec_from_s(1));
	pass(&t, nsec_from_s(2));
	assert_int_equal(c.n, 4);
	assert_true(c.last == nsec_from_s(2));
}

TEST(an_interval_of_zero_ends_the_reports)
{
	struct stats_timer t;
	struct client a, b;

	stats_timer_init(&t);
	client_init(&a);
	client_init(&b);
	stats_timer_set(&t, &a.wish, 1000, 0);
	stats_timer_set(&t, &b.wish, 1000, 0);
	pass(&t, nsec_from_s(2));
	stats_timer_set(&t, &a.wish, 0, nsec_from_s(2));
	pass(&t, nsec_from_s(5));
	assert_int_equal(a.n, 2);
	assert_int_equal(b.n, 5);
}

TEST(one_may_be_dropped_while_it_is_served)
{
	struct stats_timer t;
	struct client a, b;

	stats_timer_init(&t);
	client_init(&a);
	client_init(&b);
	stats_timer_set(&t, &a.wish, 1000, 0);
	stats_timer_set(&t, &b.wish, 1000, 0);
	a.drop_from = &t;
	pass(&t, nsec_from_s(4));
	assert_int_equal(a.n, 1);
	assert_int_equal(b.n, 4);
	b.drop_from = &t;
	pass(&t, nsec_from_s(5));
	assert_int_equal(b.n, 5);
	assert_true(t.due == NSEC_NONE);
}

TEST(missed_reports_are_not_made_up_for)
{
	struct stats_timer t;
	struct client c;

	stats_timer_init(&t);
	client_init(&c);
	stats_timer_set(&t, &c.wish, 200, 0);
	stats_timer_run(&t, nsec_from_s(10), send);
	assert_int_equal(c.n, 1);
	assert_true(t.due == nsec_from_ms(10200));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_come_at_the_asked_interval),
		cmocka_unit_test(intervals_are_rounded_up_to_the_grid),
		cmocka_unit_test(an_interval_of_zero_ends_the_reports),
		cmocka_unit_test(one_may_be_dropped_while_it_is_served),
		cmocka_unit_test(missed_reports_are_not_made_up_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
