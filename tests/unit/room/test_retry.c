/* SPDX-License-Identifier: MIT */
/* When something that failed is tried again, in virtual time. */
#include "support/test.h"

#include "room/retry.h"

#define MS UINT64_C(1000000)

/* A failure at `now`; returns the pause that follows. */
static uint64_t fail_at(struct retry_queue *q, struct retry *r, bool worked, nsec now)
{
	retry_fail(q, r);
	assert_ptr_equal(retry_next_failed(q), r);
	uint64_t pause_ms = retry_wait(q, r, worked, now);

	assert_null(retry_next_failed(q));
	return pause_ms;
}

TEST(the_pause_doubles_up_to_thirty_seconds)
{
	static const uint64_t least_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 24000, 24000, 24000};
	struct retry_queue q;
	struct retry r;
	nsec now = 7;

	retry_queue_init(&q);
	retry_init(&r, 1);
	for (size_t i = 0; i < sizeof least_ms / sizeof *least_ms; i++) {
		retry_begin(&r, now);
		uint64_t pause_ms = fail_at(&q, &r, false, now);

		assert_in_range(pause_ms, least_ms[i], least_ms[i] * 5 / 4);
		assert_true(retry_deadline(&q) == now + pause_ms * MS);
		now += pause_ms * MS;
		assert_null(retry_due(&q, now - 1));
		assert_ptr_equal(retry_due(&q, now), &r);
		assert_true(retry_deadline(&q) == NSEC_NONE);
	}
}

TEST(the_pause_is_short_again_after_ten_seconds_of_work)
{
	static const struct {
		uint64_t worked_ms;
		bool worked;
		uint64_t least_ms;
	} cases[] = {{9999, true, 12800}, {10000, false, 12800}, {10000, true, 100}};

	for (size_t i = 0; i < 3; i++) {
		struct retry_queue q;
		struct retry r;

		retry_queue_init(&q);
		retry_init(&r, 1);
		for (int n = 0; n < 7; n++)
			fail_at(&q, &r, false, 0);
		retry_begin(&r, 50 * MS);
		assert_in_range(fail_at(&q, &r, cases[i].worked, (50 + cases[i].worked_ms) * MS), cases[i].least_ms,
			cases[i].least_ms * 5 / 4);
	}
}

TEST(a_pause_that_was_asked_for_holds_for_one_attempt)
{
	struct retry_queue q;
	struct retry r;

	retry_queue_init(&q);
	retry_init(&r, 1);
	retry_begin(&r, 0);
	retry_ask_pause(&r, 20); /* shorter than its own */
	assert_in_range(fail_at(&q, &r, false, 0), 100, 125);
	retry_begin(&r, 0);
	retry_ask_pause(&r, 5000);
	assert_int_equal(fail_at(&q, &r, false, 0), 5000);
	retry_begin(&r, 0);
	assert_in_range(fail_at(&q, &r, false, 0), 400, 500);
}

TEST(entries_come_when_they_are_due_whatever_their_order)
{
	enum { N = 200 };
	static struct retry r[N];
	struct retry_queue q;
	nsec now = 0, last = 0;
	unsigned n = 0;

	retry_queue_init(&q);
	for (uint32_t i = 0; i < N; i++) {
		retry_init(&r[i], i);
		for (uint32_t k = 0; k < i % 5; k++)
			retry_wait(&q, &r[i], false, now); /* of another level */
		fail_at(&q, &r[i], false, now);
	}
	while ((now = retry_deadline(&q)) != NSEC_NONE) {
		const struct retry *due = retry_due(&q, now);

		assert_non_null(due);
		assert_true(due->due == now && now >= last);
		last = now;
		n++;
	}
	assert_int_equal(n, N);
	assert_int_equal(q.n_waiting, 0);
}

TEST(entries_that_failed_together_do_not_come_together)
{
	enum { N = 100 };
	static struct retry r[N];
	struct retry_queue q;
	unsigned most = 0;

	retry_queue_init(&q);
	for (uint32_t i = 0; i < N; i++) {
		retry_init(&r[i], i);
		fail_at(&q, &r[i], false, 0);
	}
	for (uint64_t ms = 100; ms <= 125; ms++) {
		unsigned n = 0;

		while (retry_due(&q, ms * MS))
			n++;
		most = n > most ? n : most;
	}
	assert_int_equal(q.n_waiting, 0);
	assert_in_range(most, 4, 15);
}

TEST(a_cancelled_entry_does_not_come)
{
	struct retry_queue q;
	struct retry a, b;

	retry_queue_init(&q);
	retry_init(&a, 1);
	retry_init(&b, 2);
	retry_cancel(&q, &a); /* never in it: harmless */
	fail_at(&q, &a, false, 0);
	retry_fail(&q, &b);
	retry_cancel(&q, &a);
	retry_cancel(&q, &b);
	retry_cancel(&q, &b);
	assert_false(retry_any_failed(&q));
	assert_true(retry_deadline(&q) == NSEC_NONE);
	assert_null(retry_due(&q, NSEC_NONE - 1));
}

TEST(failures_are_handled_in_their_order)
{
	struct retry_queue q;
	struct retry a, b;

	retry_queue_init(&q);
	retry_init(&a, 1);
	retry_init(&b, 2);
	retry_fail(&q, &b);
	retry_fail(&q, &a);
	assert_true(retry_any_failed(&q));
	assert_ptr_equal(retry_next_failed(&q), &b);
	retry_wait(&q, &b, false, 0);
	assert_ptr_equal(retry_next_failed(&q), &a);
	retry_wait(&q, &a, false, 0);
	assert_false(retry_any_failed(&q));
}

TEST(one_that_is_hurried_waits_no_longer)
{
	struct retry_queue q;
	struct retry r, other;

	retry_queue_init(&q);
	retry_init(&r, 1);
	retry_init(&other, 2);
	fail_at(&q, &other, false, 0);
	for (int n = 0; n < 7; n++)
		fail_at(&q, &r, false, 0);
	retry_ask_pause(&r, RETRY_NEVER_MS);
	fail_at(&q, &r, false, 0);
	assert_null(retry_due(&q, 5));
	retry_hurry(&q, &r, 5);
	assert_true(retry_deadline(&q) == 5);
	assert_ptr_equal(retry_due(&q, 5), &r);
	assert_null(retry_due(&q, 5));
	retry_begin(&r, 5);
	assert_in_range(fail_at(&q, &r, false, 5), 100, 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pause_doubles_up_to_thirty_seconds),
		cmocka_unit_test(the_pause_is_short_again_after_ten_seconds_of_work),
		cmocka_unit_test(a_pause_that_was_asked_for_holds_for_one_attempt),
		cmocka_unit_test(entries_come_when_they_are_due_whatever_their_order),
		cmocka_unit_test(entries_that_failed_together_do_not_come_together),
		cmocka_unit_test(a_cancelled_entry_does_not_come),
		cmocka_unit_test(failures_are_handled_in_their_order),
		cmocka_unit_test(one_that_is_hurried_waits_no_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
