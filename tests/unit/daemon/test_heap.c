/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/heap.h"

TEST(memory_is_given_back_when_many_connections_have_ended)
{
	static const struct {
		uint32_t conns;
		bool falls;
	} rows[] = {
		{0, false}, {1000, false}, {969, false}, {1000, false}, {968, true}, {960, false}, {937, false}, {936, true},
		{0, true}, {0, false}, {31, false}, {0, false}, {32, false}, {0, true},
	};
	struct heap h = {0};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(heap_has_fallen(&h, rows[i].conns), rows[i].falls);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_given_back_when_many_connections_have_ended),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
