/* SPDX-License-Identifier: MIT */
/* With a resolver of our own, which answers when the test lets it. */
#include "support/test.h"

#include "support/slow_resolver.h"

#include "http/lookup.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

struct heard {
	int n, error, n_found, family;
	bool over_loopback;
};

static void on_done(void *ctx, int error, const struct addrinfo *found)
{
	struct heard *h = ctx;

	h->n++;
	h->error = error;
	for (; found; found = found->ai_next) {
		h->n_found++;
		h->family = found->ai_family;
		if (found->ai_family == AF_INET)
			h->over_loopback = ((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	}
}

static void run_out(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}

TEST(numbers_need_no_thread)
{
	struct heard four = {0}, six = {0};
	struct lookup *l;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(lookup_start(&loop, "127.0.0.1", "80", on_done, &four, &l), 0);
	assert_int_equal(lookup_start(&loop, "::1", "80", on_done, &six, &l), 0);
	assert_int_equal(four.n, 0); /* from the loop */
	run_out(&loop);
	assert_int_equal(four.n, 1);
	assert_int_equal(four.error, 0);
	assert_int_equal(four.n_found, 1);
	assert_true(four.over_loopback);
	assert_int_equal(six.family, AF_INET6);
}

TEST(a_name_is_found_or_not)
{
	struct heard yes = {0}, no = {0};
	struct lookup *l;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(lookup_start(&loop, "there.test", "80", on_done, &yes, &l), 0);
	assert_int_equal(lookup_start(&loop, "nowhere.test", "80", on_done, &no, &l), 0);
	run_out(&loop);
	assert_int_equal(yes.n + no.n, 2);
	assert_true(yes.over_loopback);
	assert_int_equal(no.error, EAI_NONAME);
	assert_int_equal(no.n_found, 0);
	assert_true(strlen(lookup_why(no.error)) > 0);
}

/* The loop ends while the resolver still thinks; what it finds later hurts nobody and is given back. */
TEST(a_slow_lookup_delays_no_other)
{
	struct heard slow = {0}, quick = {0};
	struct lookup *l, *other;
	uv_loop_t loop;

	uv_loop_init(&loop);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(lookup_start(&loop, "slow.test", "80", on_done, &slow, &l), 0);
		if (i % 2)
			slow_resolver_wait(i + 1); /* it is asked; else it may not have been yet */
		lookup_cancel(l);
	}
	assert_int_equal(lookup_start(&loop, "there.test", "80", on_done, &quick, &other), 0);
	run_out(&loop);
	assert_int_equal(quick.n, 1);
	assert_int_equal(slow.n, 0);
	slow_resolver_wait(20);
	slow_resolver_answer();
	slow_resolver_end(20);
	assert_int_equal(slow.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_need_no_thread),
		cmocka_unit_test(a_name_is_found_or_not),
		cmocka_unit_test(a_slow_lookup_delays_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
