/* SPDX-License-Identifier: MIT */
/* closing: the last of several handles frees the owner, then notifies the caller. */
#include "base/closing.h"

#include "support/test.h"

#include <stdlib.h>

struct owner {
	struct closing handles;
	int *released;
};

static int order;

static void release(void *ctx)
{
	struct owner *o = ctx;

	*o->released = ++order;
	free(o); /* with the counter inside: nothing may be read afterwards */
}

static void tell(void *ctx)
{
	*(int *)ctx = ++order;
}

static struct owner *owner_new(int *released)
{
	struct owner *o = calloc(1, sizeof *o);

	assert_non_null(o);
	o->released = released;
	*released = order = 0;
	closing_init(&o->handles, release, o);
	return o;
}

TEST(the_last_of_three_handles_releases_the_owner_and_then_reports)
{
	int released, told = 0;
	struct owner *o = owner_new(&released);

	for (int i = 0; i < 3; i++)
		closing_add(&o->handles);
	closing_then(&o->handles, tell, &told);
	closing_done(&o->handles);
	closing_done(&o->handles);
	assert_int_equal(released, 0);
	assert_int_equal(told, 0);
	closing_done(&o->handles);
	assert_int_equal(released, 1);
	assert_int_equal(told, 2);
}

TEST(a_handle_that_closes_early_releases_nothing_while_another_is_open)
{
	int released;
	struct owner *o = owner_new(&released);

	closing_add(&o->handles); /* open for the owner's whole life */
	for (int i = 0; i < 3; i++) {
		closing_add(&o->handles);
		closing_done(&o->handles);
		assert_int_equal(released, 0);
	}
	closing_done(&o->handles);
	assert_int_equal(released, 1);
}

TEST(without_release_or_callback_only_the_count_changes)
{
	struct closing c;
	int told = 0;

	order = 0;
	closing_init(&c, NULL, NULL);
	closing_add(&c);
	closing_done(&c);
	assert_int_equal(c.n_open, 0);
	closing_add(&c);
	closing_then(&c, tell, &told);
	closing_done(&c);
	assert_int_equal(told, 1);
}

TEST(one_owner_counts_another_as_a_handle)
{
	struct closing outer;
	int released, told = 0;
	struct owner *inner = owner_new(&released);

	closing_init(&outer, NULL, NULL);
	closing_then(&outer, tell, &told);
	closing_add(&outer);
	closing_add(&outer);
	closing_add(&inner->handles);
	closing_then(&inner->handles, closing_done, &outer);
	closing_done(&inner->handles);
	assert_int_equal(released, 1);
	assert_int_equal(told, 0);
	closing_done(&outer);
	assert_int_equal(told, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_of_three_handles_releases_the_owner_and_then_reports),
		cmocka_unit_test(a_handle_that_closes_early_releases_nothing_while_another_is_open),
		cmocka_unit_test(without_release_or_callback_only_the_count_changes),
		cmocka_unit_test(one_owner_counts_another_as_a_handle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
