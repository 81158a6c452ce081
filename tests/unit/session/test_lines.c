/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "session/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

/* Feeds `text` in pieces of `piece` bytes; what is reported, each in brackets, "[!]" for a line over the limit. */
static void feed(struct lines *l, const char *text, size_t piece, char *out, size_t out_size)
{
	size_t left = strlen(text), at = 0;

	out[0] = '\0';
	while (left > 0) {
		size_t n = piece < left ? piece : left, len = n;
		uint8_t *copy = malloc(n); /* exactly this long: the sanitizer sees every step beyond */
		const uint8_t *p = copy;
		const char *line = NULL;
		size_t line_len = 0;
		enum lines_event ev;

		memcpy(copy, text, n);
		while ((ev = lines_read(l, &p, &len, &line, &line_len)) != LINES_MORE) {
			if (ev == LINES_LINE)
				at += (size_t)snprintf(out + at, out_size - at, "[%.*s]", (int)line_len, line_len ? line : "");
			else
				at += (size_t)snprintf(out + at, out_size - at, "[!]");
			assert_true(at < out_size);
		}
		assert_int_equal(len, 0);
		free(copy);
		text += n;
		left -= n;
	}
}

static void reads_as(const char *text, const char *expected)
{
	size_t len = strlen(text);

	for (size_t piece = 1; piece <= len; piece++) {
		struct lines l;
		char out[256];

		lines_init(&l, MOST);
		feed(&l, text, piece, out, sizeof out);
		assert_string_equal(out, expected);
		lines_fini(&l);
	}
}

TEST(lines_are_the_same_however_the_bytes_are_cut)
{
	reads_as("one\ntwo\nthree\n", "[one][two][three]");
}

TEST(a_line_is_reported_when_its_line_feed_came)
{
	reads_as("one\ntwo", "[one]");
}

TEST(empty_lines_are_lines)
{
	reads_as("\n\na\n\n", "[][][a][]");
}

TEST(the_longest_line_fits)
{
	reads_as("12345678\nx\n", "[12345678][x]");
}

TEST(a_line_over_the_limit_is_reported_once_and_skipped)
{
	reads_as("123456789\nx\n", "[!][x]");
	reads_as("a\n12345678901234567890123456789\n12345678\n\n", "[a][!][12345678][]");
}

TEST(two_long_lines_are_reported_twice)
{
	reads_as("1234567890\n1234567890\nx\n", "[!][!][x]");
}

TEST(a_long_line_is_reported_before_it_ends)
{
	struct lines l;
	char out[16];

	lines_init(&l, MOST);
	feed(&l, "12345678", 8, out, sizeof out);
	assert_string_equal(out, "");
	feed(&l, "9", 1, out, sizeof out);
	assert_string_equal(out, "[!]");
	feed(&l, "and on", 6, out, sizeof out);
	assert_string_equal(out, "");
	lines_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_however_the_bytes_are_cut),
		cmocka_unit_test(a_line_is_reported_when_its_line_feed_came),
		cmocka_unit_test(empty_lines_are_lines),
		cmocka_unit_test(the_longest_line_fits),
		cmocka_unit_test(a_line_over_the_limit_is_reported_once_and_skipped),
		cmocka_unit_test(two_long_lines_are_reported_twice),
		cmocka_unit_test(a_long_line_is_reported_before_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
