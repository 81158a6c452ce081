/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/g711.h"

#include <stdlib.h>

static const struct {
	int16_t pcm;
	uint8_t ulaw;
	int16_t back;
} known[] = { /* of the table in G.711, by its segments */
	{0, 0xff, 0}, {8, 0xfe, 8}, {-8, 0x7e, -8}, {-1, 0x7f, 0}, {120, 0xf0, 120}, {132, 0xef, 132}, {-132, 0x6f, -132},
	{996, 0xce, 988}, {-996, 0x4e, -988}, {32124, 0x80, 32124}, {32767, 0x80, 32124}, {-32124, 0x00, -32124},
	{-32768, 0x00, -32124},
};

TEST(samples_have_the_bytes_of_the_standard)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		uint8_t u;
		int16_t back;

		ulaw_encode(&u, &known[i].pcm, 1);
		ulaw_decode(&back, &u, 1);
		if (u != known[i].ulaw || back != known[i].back)
			fail_msg("%d became 0x%02x and %d", known[i].pcm, u, back);
	}
}

/* Decoded and encoded again, a byte is itself, except for the two zeros. */
TEST(every_byte_survives_the_round_trip)
{
	for (int i = 0; i < 256; i++) {
		uint8_t u = (uint8_t)i, again;
		int16_t pcm;

		ulaw_decode(&pcm, &u, 1);
		ulaw_encode(&again, &pcm, 1);
		assert_int_equal(again, u == 0x7f ? 0xff : u);
	}
}

/* Never further off than half a step of its segment: a sixteenth of the value and a little. */
TEST(every_sample_comes_back_within_its_step)
{
	int last = -40000;

	for (int i = -32635; i <= 32635; i++) {
		int16_t pcm = (int16_t)i, back;
		uint8_t u;

		ulaw_encode(&u, &pcm, 1);
		ulaw_decode(&back, &u, 1);
		assert_true(abs(back - i) <= (abs(i) + 132) / 32 + 1);
		assert_true(back >= last);
		last = back;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_have_the_bytes_of_the_standard),
		cmocka_unit_test(every_byte_survives_the_round_trip),
		cmocka_unit_test(every_sample_comes_back_within_its_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
