/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "client/epoch.h"

static bool come(struct epoch *e, uint8_t number, uint16_t seq, uint32_t time)
{
	const struct frame f = {.format.rate_hz = 16000, .n_samples = 320, .is_v1 = true,
		.v1 = {.epoch = number, .seq = seq, .time = time}};

	return epoch_count(e, &f);
}

TEST(losses_are_counted_and_silence_is_not)
{
	struct epoch e = {0};

	assert_true(come(&e, 0, 65534, UINT32_MAX - 319));
	assert_true(come(&e, 0, 65535, 0));
	assert_int_equal(e.samples, 640);
	assert_true(come(&e, 0, 2, 960)); /* 0 and 1 are missing */
	assert_int_equal(e.samples, 1600);
	assert_true(come(&e, 0, 1, 640)); /* it was only overtaken */
	assert_true(come(&e, 0, 2, 960));
	assert_int_equal(e.samples, 1600);
	assert_true(come(&e, 0, 3, 160000));
	assert_int_equal(e.samples, 1920);
	assert_true(come(&e, 0, 5, 320000)); /* a pause, and one frame lost somewhere in it */
	assert_int_equal(e.samples, 2560);
}

TEST(a_new_epoch_begins_once_and_never_goes_back)
{
	struct epoch e = {0};

	assert_true(come(&e, 0, 1, 0));
	assert_true(epoch_enter(&e, 1));
	assert_false(epoch_enter(&e, 1));
	assert_int_equal(e.samples, 0);
	assert_false(come(&e, 0, 2, 320));
	assert_int_equal(e.old, 1);
	assert_true(come(&e, 1, 3, 640));
	assert_false(epoch_enter(&e, 0));
	for (unsigned i = 2; i < 600; i++)
		assert_true(epoch_enter(&e, (uint8_t)i));
	assert_int_equal(e.now, 599 % 256);
}

TEST(frames_of_an_old_epoch_do_not_count)
{
	struct epoch e = {0};

	assert_true(come(&e, 0, 1, 0));
	assert_true(epoch_enter(&e, 1));
	assert_false(come(&e, 0, 2, 320));
	assert_true(come(&e, 1, 5, 1280)); /* 3 and 4 were of the old one */
	assert_int_equal(e.samples, 320);
	assert_true(come(&e, 1, 7, 1920));
	assert_int_equal(e.samples, 960);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_are_counted_and_silence_is_not),
		cmocka_unit_test(a_new_epoch_begins_once_and_never_goes_back),
		cmocka_unit_test(frames_of_an_old_epoch_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
