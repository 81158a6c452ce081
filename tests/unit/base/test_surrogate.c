/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/surrogate.h"

#include <stdlib.h>
#include <string.h>

TEST(halves_of_pairs_become_replacement_characters)
{
	static const struct {
		const char *json, *mended; /* NULL: it stays as it is */
	} cases[] = {
		{"", NULL},
		{"{\"a\":\"plain \\n \\u00e9 \\\\ \\\" \"}", NULL},
		{"\"\\ud83d\\ude00\"", NULL}, /* a whole pair */
		{"\"\\uD83D\\uDE00\\ud83d\\ude00\"", NULL},
		{"\"\\\\ud83d\"", NULL}, /* a backslash, and words about it */
		{"\"\\\\\\ud83d\"", "\"\\\\\\ufffd\""},
		{"\"half \\ud83d\"", "\"half \\ufffd\""},
		{"\"\\uDBFF\"", "\"\\ufffd\""},
		{"\"\\ude00 half\"", "\"\\ufffd half\""},
		{"\"\\udFfF\"", "\"\\ufffd\""},
		{"\"\\ud83d\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\""}, /* the second one has its other half */
		{"\"\\ude00\\ud83d\"", "\"\\ufffd\\ufffd\""},
		{"\"\\ud83d\\n\\ude00\"", "\"\\ufffd\\n\\ufffd\""},
		{"\"\\ud83dx\\u00e9\"", "\"\\ufffdx\\u00e9\""},
		{"\"\\ud7ff\\ue000\"", NULL}, /* beside them */
		{"\"\\ud83", NULL}, /* cut in the middle: no JSON anyhow */
		{"\"\\ud83d", "\"\\ufffd"},
		{"\"\\ud83d\\ude0", "\"\\ufffd\\ude0"},
		{"\\", NULL},
		{"\\u", NULL},
		{"\\ud83g", NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i].json);
		char *exact = malloc(len + 1), *copy; /* so that a sanitizer sees what is read beyond it */

		memcpy(exact, cases[i].json, len);
		exact = realloc(exact, len ? len : 1);
		const char *out = surrogate_mend(exact, len, &copy);

		assert_non_null(out);
		if (cases[i].mended) {
			assert_ptr_equal(out, copy);
			if (memcmp(out, cases[i].mended, len) != 0)
				fail_msg("%s became %.*s", cases[i].json, (int)len, out);
		} else {
			assert_ptr_equal(out, exact);
			assert_null(copy);
		}
		free(copy);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_of_pairs_become_replacement_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
