/* SPDX-License-Identifier: MIT */
/* read_grid: when packets stop waking the loop, how often they are read then, and when they wake it again. */
#include "quic/read_grid.h"

#include "support/test.h"

static const nsec ms = 1000000;

/* Wake-ups 1 ms apart until it is on; how many that took. */
static int enter(struct read_grid *g, nsec *now, nsec apart, int most)
{
	int n = 1;

	for (; !read_grid_packet(g, *now) && n < most; n++)
		*now += apart;
	return n;
}

static struct read_grid busy(nsec *now)
{
	struct read_grid g;

	read_grid_init(&g, ms);
	*now = 1000 * ms + 300000;
	assert_in_range(enter(&g, now, ms / 2, 100), 20, 21);
	assert_true(read_grid_on(&g));
	return g;
}

TEST(the_grid_is_off_at_first_and_stays_off_without_a_step)
{
	struct read_grid g;

	read_grid_init(&g, 0);
	for (nsec now = ms; now < 100 * ms; now += ms / 100)
		assert_false(read_grid_packet(&g, now));
	assert_false(read_grid_on(&g));
	assert_false(read_grid_due(&g, 0, ms));
	assert_int_equal(read_grid_wake_at(&g, 7 * ms, 9 * ms), 7 * ms);
	assert_int_equal(read_grid_wake_at(&g, 9 * ms, 7 * ms), 7 * ms);
	assert_int_equal(read_grid_wake_at(&g, NSEC_NONE, NSEC_NONE), NSEC_NONE);
}

TEST(slow_packets_never_turn_it_on)
{
	struct read_grid g;
	nsec now = 1000 * ms;

	read_grid_init(&g, ms);
	assert_int_equal(enter(&g, &now, ms + ms / 10, 1000), 1000);
	assert_false(read_grid_on(&g));
}

TEST(the_first_reading_is_on_the_next_point)
{
	nsec now;
	struct read_grid g = busy(&now);

	assert_int_equal(g.at % ms, 0);
	assert_true(g.at > now && g.at - now <= ms);
	assert_false(read_grid_due(&g, NSEC_NONE, g.at - 1));
	assert_true(read_grid_due(&g, NSEC_NONE, g.at));
	assert_true(read_grid_due(&g, now, now)); /* a mix that is due takes along what came */
}

TEST(the_more_packets_come_the_sooner_is_the_next_reading)
{
	static const struct { uint64_t n; nsec apart; } rows[] = {{1, 4}, {6, 4}, {10, 2}, {14, 2}, {20, 1}, {500, 1}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		nsec now, before;
		struct read_grid g = busy(&now);

		for (int k = 0; k < 60; k++) { /* rows[i].n packets in each step */
			before = g.at;
			nsec steps = k ? (g.at - now) / ms : 1;

			now = g.at;
			assert_false(read_grid_read(&g, rows[i].n * steps, false, now));
		}
		assert_int_equal((g.at - before) / ms, rows[i].apart);
		assert_int_equal(g.at % ms, 0);
	}
}

TEST(packets_left_in_the_socket_are_read_at_once)
{
	nsec now;
	struct read_grid g = busy(&now);

	now = g.at;
	assert_false(read_grid_read(&g, 4096, true, now));
	assert_int_equal(g.at, now);
	assert_true(read_grid_due(&g, NSEC_NONE, now));
}

TEST(the_grid_is_off_again_when_few_packets_come)
{
	nsec now;
	struct read_grid g = busy(&now);
	int readings = 0;

	do {
		now = g.at;
		readings++;
	} while (!read_grid_read(&g, readings == 1, false, now) && readings < 100);
	assert_in_range(readings, 1, 25);
	assert_false(read_grid_on(&g));
	assert_int_equal(enter(&g, &now, ms + ms / 10, 100), 100); /* and waits for busy times */
}

TEST(a_tick_before_the_reading_is_met_on_the_point_at_or_after_it)
{
	nsec now;
	struct read_grid g = busy(&now);

	g.at = 2000 * ms;
	assert_int_equal(read_grid_wake_at(&g, 1990 * ms, NSEC_NONE), 1990 * ms);
	assert_int_equal(read_grid_wake_at(&g, 1990 * ms + 1, NSEC_NONE), 1991 * ms);
	assert_int_equal(read_grid_wake_at(&g, 3000 * ms, 1), 2000 * ms); /* the rest waits for the reading */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grid_is_off_at_first_and_stays_off_without_a_step),
		cmocka_unit_test(slow_packets_never_turn_it_on),
		cmocka_unit_test(the_first_reading_is_on_the_next_point),
		cmocka_unit_test(the_more_packets_come_the_sooner_is_the_next_reading),
		cmocka_unit_test(packets_left_in_the_socket_are_read_at_once),
		cmocka_unit_test(the_grid_is_off_again_when_few_packets_come),
		cmocka_unit_test(a_tick_before_the_reading_is_met_on_the_point_at_or_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
