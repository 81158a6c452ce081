/* SPDX-License-Identifier: MIT */
/* sendbuf: whatever the order of appending, sending and acknowledging, the bytes leave once, in order and from places
 * that stay. */
#include "wt/sendbuf.h"

#include "support/test.h"

#include <string.h>

static struct quic_send offer(const struct sendbuf *b, bool *all)
{
	struct quic_send o = {.id = 1};

	*all = sendbuf_offer(b, &o);
	return o;
}

TEST(an_empty_buffer_offers_nothing)
{
	struct sendbuf b = {0};
	bool all;

	assert_true(sendbuf_all_sent(&b));
	assert_int_equal(offer(&b, &all).n, 0);
	assert_true(all);
	assert_int_equal(sendbuf_acked(&b, 5), 0);
	sendbuf_fini(&b);
}

TEST(bytes_in_flight_stay_where_they_were_offered)
{
	struct sendbuf b = {0};
	bool all;

	assert_int_equal(sendbuf_append(&b, "hello", 5), 0);
	struct quic_send o = offer(&b, &all);

	assert_int_equal(o.n, 1);
	assert_true(all);
	sendbuf_sent(&b, 5);
	assert_true(sendbuf_all_sent(&b));
	for (int i = 0; i < 100; i++)
		assert_int_equal(sendbuf_append(&b, "more than fits one chunk", 24), 0);
	assert_memory_equal(o.v[0].p, "hello", 5);
	assert_int_equal(sendbuf_acked(&b, 5), 5);
	sendbuf_fini(&b);
}

TEST(more_pieces_than_one_offer_takes_follow_in_the_next)
{
	static uint8_t big[600];
	struct sendbuf b = {0};
	bool all;

	for (int i = 0; i < QUIC_SEND_VECS + 3; i++)
		assert_int_equal(sendbuf_append(&b, big, sizeof big), 0);
	assert_int_equal(offer(&b, &all).n, QUIC_SEND_VECS);
	assert_false(all);
	sendbuf_sent(&b, QUIC_SEND_VECS * sizeof big);
	assert_int_equal(offer(&b, &all).n, 3);
	assert_true(all);
	sendbuf_fini(&b);
}

TEST(any_order_of_append_send_and_ack_gives_the_same_bytes)
{
	enum { STEPS = 20000, AHEAD = 4000 };
	static uint8_t piece[1500];
	struct sendbuf b = {0};
	uint64_t appended = 0, sent = 0, acked = 0;
	uint32_t seed = 7;
	bool all;

	for (int step = 0; step < STEPS; step++) {
		seed = seed * 1664525u + 1013904223u;
		size_t n = seed >> 8 & (seed & 0x80 ? 15 : 1023);

		switch (seed >> 29) {
		case 0: case 1: case 2:
			if (n == 0 || appended - acked + n > AHEAD)
				break;
			for (size_t i = 0; i < n; i++)
				piece[i] = (uint8_t)((appended + i) * 7);
			assert_int_equal(sendbuf_append(&b, piece, n), 0);
			appended += n;
			break;
		case 3: case 4: case 5: {
			struct quic_send o = offer(&b, &all);
			size_t took = 0;

			for (size_t i = 0; i < o.n && took < n; i++)
				for (size_t k = 0; k < o.v[i].len && took < n; k++, took++)
					assert_int_equal(o.v[i].p[k], (uint8_t)((sent + took) * 7));
			sendbuf_sent(&b, took);
			sent += took;
			break;
		}
		default:
			n = n < sent - acked ? n : sent - acked;
			assert_int_equal(sendbuf_acked(&b, n), n);
			acked += n;
		}
		assert_int_equal(sendbuf_all_sent(&b), sent == appended);
	}
	assert_true(acked > 100000);
	sendbuf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_offers_nothing),
		cmocka_unit_test(bytes_in_flight_stay_where_they_were_offered),
		cmocka_unit_test(more_pieces_than_one_offer_takes_follow_in_the_next),
		cmocka_unit_test(any_order_of_append_send_and_ack_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
