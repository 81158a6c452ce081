/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "talk.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- handshake ------------------------------------------------------------------------------ */

static void handshake_takes_one_round_trip_on_a_clean_path(void **state)
{
	struct sim_link l = {.delay_us = 10000};
	struct world w;

	(void)state;
	world_init(&w, 1);
	sim_both(w.cn, &l);
	world_start(&w);
	nsec began = sim_now(w.sim);
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_in_range(t->handshaken_at - began, nsec_from_ms(20), nsec_from_ms(25));
	assert_int_equal(quic_endpoint_stats(w.se)->handshakes, 1);
	world_end(&w);
}

static void datagrams_echo_both_ways(void **state)
{
	struct sim_link l = {.delay_us = 10000};
	struct world w;

	(void)state;
	world_init(&w, 2);
	sim_both(w.cn, &l);
	w.echo_datagrams = true;
	world_start(&w);
	struct talker *t = world_join(&w, nsec_from_s(2));

	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(talk_datagram(t, i, 642), 0);
		world_run(&w, nsec_from_ms(20));
	}
	world_run(&w, nsec_from_ms(100));
	assert_int_equal(t->datagrams_in, 100);
	world_end(&w);
}

static void streams_echo(void **state)
{
	struct sim_link l = {.delay_us = 10000};
	struct world w;

	(void)state;
	world_init(&w, 3);
	sim_both(w.cn, &l);
	w.echo_streams = true;
	world_start(&w);
	struct talker *t = world_join(&w, nsec_from_s(2));

	assert_true(talk_stream(t, true, 300000) >= 0);
	assert_true(talk_stream(t, true, 1000) >= 0);
	assert_true(talk_stream(t, true, 0) >= 0);
	world_run(&w, nsec_from_s(5));
	assert_int_equal(t->streams_finished, 3);
	assert_int_equal(t->bytes_in, 301000);
	assert_int_equal(t->streams_closed, 3);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake_takes_one_round_trip_on_a_clean_path),
		cmocka_unit_test(datagrams_echo_both_ways),
		cmocka_unit_test(streams_echo),
	};

	return cmocka_run_group_tests_name("quic", tests, NULL, NULL);
}
