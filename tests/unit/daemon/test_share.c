/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/share.h"

#include <stdint.h>

#define US ((nsec)1000)
#define MS (1000 * US)

struct flood {
	struct share share;
	nsec now, spent, longest; /* of its slices */
	uint32_t parts;
};

/* A turn of the loop, in which there is always more to do, `cost` each. Voice is due every `voice` and takes none. */
static void turn(struct flood *f, nsec cost, nsec voice)
{
	nsec begin = f->now, until = share_until(begin, begin + voice - begin % voice);

	if (!share_may(&f->share, begin)) {
		f->now += 100 * US;
		return;
	}
	do
		f->now += cost;
	while (f->now < until);
	f->spent += f->now - begin;
	if (f->longest < f->now - begin)
		f->longest = f->now - begin;
	share_took(&f->share, begin, f->now, f->parts);
	f->now += 5 * US; /* the rest of the loop */
}

static void a_flood_gets_its_part_and_no_more(void **state)
{
	static const struct {
		uint32_t parts;
		nsec cost;
	} floods[] = {{2, 17 * US}, {2, 600 * US}, {10, 17 * US}, {10, 600 * US}, {10, 5 * MS}};

	(void)state;
	for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
		struct flood f = {.now = 1000 * MS, .parts = floods[i].parts};

		while (f.now < 11000 * MS)
			turn(&f, floods[i].cost, 20 * MS);
		double part = (double)f.spent / (double)(f.now - 1000 * MS);

		assert_true(part <= 1.0 / f.parts + 0.001);
		assert_true(part >= 0.8 / f.parts); /* and it gets that */
		assert_true(f.longest < SHARE_SLICE_MS * MS + floods[i].cost);
	}
}

static void a_slice_ends_when_voice_is_due(void **state)
{
	struct flood f = {.now = 19900 * US, .parts = 2};

	(void)state;
	turn(&f, 17 * US, 20 * MS);
	assert_true(f.longest >= 100 * US && f.longest < 117 * US);
}

static void voice_that_leaves_no_time_leaves_one_step(void **state)
{
	struct share s = {0};

	(void)state;
	assert_true(share_may(&s, 5 * MS));
	assert_int_equal(share_until(5 * MS, 4 * MS), 4 * MS); /* the owner does one thing first, then looks */
	share_took(&s, 5 * MS, 6 * MS, 10);
	assert_false(share_may(&s, 15 * MS - 1));
	assert_true(share_may(&s, 15 * MS));
}

static void without_parts_there_is_no_rest(void **state)
{
	struct share s = {0};

	(void)state;
	share_took(&s, 5 * MS, 6 * MS, 1);
	assert_true(share_may(&s, 6 * MS));
	assert_int_equal(s.next, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_gets_its_part_and_no_more),
		cmocka_unit_test(a_slice_ends_when_voice_is_due),
		cmocka_unit_test(voice_that_leaves_no_time_leaves_one_step),
		cmocka_unit_test(without_parts_there_is_no_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
