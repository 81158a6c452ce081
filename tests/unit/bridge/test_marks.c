/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "bridge/marks.h"

#include <stdio.h>
#include <string.h>

static void add(struct marks *m, uint64_t at, const char *text)
{
	assert_int_equal(marks_add(m, at, text, strlen(text)), 0);
}

static void assert_due(struct marks *m, uint64_t played, const char *text)
{
	size_t len;
	const char *mark = marks_due(m, played, &len);

	assert_non_null(mark);
	assert_int_equal(len, strlen(text));
	assert_string_equal(mark, text); /* it ends with a NUL */
	marks_pop(m);
}

TEST(marks_are_due_in_order_when_their_place_is_played)
{
	struct marks m;
	size_t len;

	marks_init(&m, 10, 1000);
	assert_null(marks_due(&m, UINT64_MAX, &len));
	add(&m, 100, "one");
	add(&m, 100, "");
	add(&m, 250, "three");
	assert_null(marks_due(&m, 99, &len));
	assert_due(&m, 100, "one");
	assert_due(&m, 100, "");
	assert_null(marks_due(&m, 249, &len));
	assert_due(&m, 250, "three");
	assert_null(marks_due(&m, UINT64_MAX, &len));
	marks_fini(&m);
}

TEST(the_bytes_of_a_mark_may_be_any)
{
	static const char bytes[] = {0, 'a', 0, (char)0xff};
	struct marks m;
	size_t len;

	marks_init(&m, 10, 1000);
	assert_int_equal(marks_add(&m, 0, bytes, sizeof bytes), 0);
	add(&m, 0, "next");
	const char *mark = marks_due(&m, 0, &len);

	assert_int_equal(len, sizeof bytes);
	assert_memory_equal(mark, bytes, sizeof bytes);
	marks_pop(&m);
	assert_due(&m, 0, "next");
	marks_fini(&m);
}

TEST(their_number_their_length_and_their_sum_have_bounds)
{
	static char text[MARK_MAX + 1];
	struct marks m;

	marks_init(&m, 2, 100000);
	assert_int_equal(marks_add(&m, 0, text, MARK_MAX + 1), ERR_LIMIT);
	assert_int_equal(marks_add(&m, 0, text, MARK_MAX), 0);
	assert_int_equal(marks_add(&m, 0, text, 1), 0);
	assert_int_equal(marks_add(&m, 0, text, 1), ERR_LIMIT);
	marks_pop(&m);
	assert_int_equal(marks_add(&m, 0, text, 1), 0);
	marks_fini(&m);
	marks_init(&m, SIZE_MAX, 1000);
	assert_int_equal(marks_add(&m, 0, text, 900), 0);
	assert_int_equal(marks_add(&m, 0, text, 100), ERR_LIMIT);
	assert_int_equal(m.n, 1);
	assert_int_equal(marks_add(&m, 0, text, 50), 0);
	marks_fini(&m);
}

TEST(cleared_marks_do_not_come)
{
	struct marks m;
	size_t len;

	marks_init(&m, 10, 1000);
	marks_clear(&m);
	marks_pop(&m);
	add(&m, 1, "gone");
	marks_clear(&m);
	assert_null(marks_due(&m, UINT64_MAX, &len));
	marks_pop(&m);
	add(&m, 2, "here");
	assert_due(&m, 2, "here");
	marks_fini(&m);
}

/* Many come and go, each as it was added. */
TEST(a_long_row_of_marks_stays_in_order)
{
	struct marks m;
	char text[32];
	size_t len;
	uint64_t next = 0;

	marks_init(&m, SIZE_MAX, 4000);
	for (uint64_t i = 0; i < 2000; i++) {
		snprintf(text, sizeof text, "%.*s%d", (int)(i % 17), "................", (int)i);
		add(&m, i * 10, text);
		for (; i > next + 20; next++) {
			snprintf(text, sizeof text, "%.*s%d", (int)(next % 17), "................", (int)next);
			assert_due(&m, next * 10, text);
			assert_null(marks_due(&m, next * 10 + 9, &len));
		}
	}
	marks_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_due_in_order_when_their_place_is_played),
		cmocka_unit_test(the_bytes_of_a_mark_may_be_any),
		cmocka_unit_test(their_number_their_length_and_their_sum_have_bounds),
		cmocka_unit_test(cleared_marks_do_not_come),
		cmocka_unit_test(a_long_row_of_marks_stays_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
