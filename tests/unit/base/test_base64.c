/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/base64.h"

#include <string.h>

static const struct {
	const char *plain, *text;
} pairs[] = { /* RFC 4648 section 10 */
	{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	{"\xff\xef\xbe", "/+++"},
};

TEST(known_texts_are_encoded_and_decoded)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		size_t n = strlen(pairs[i].plain), len = strlen(pairs[i].text);
		uint8_t back[16];
		char text[16];

		assert_int_equal(base64_len(n), len);
		assert_int_equal(base64_encode(text, pairs[i].plain, n) - text, len);
		assert_memory_equal(text, pairs[i].text, len);
		assert_int_equal(base64_decode(back, text, len), n);
		assert_memory_equal(back, pairs[i].plain, n);
	}
}

TEST(every_byte_round_trips)
{
	uint8_t plain[256], back[400];
	char text[400];

	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)(i * 167);
	for (size_t n = 0; n <= sizeof plain; n++) {
		size_t len = (size_t)(base64_encode(text, plain, n) - text);

		memcpy(back, text, len);
		assert_int_equal(base64_decode(back, (const char *)back, len), n); /* in place */
		assert_memory_equal(back, plain, n);
	}
}

TEST(malformed_base64_is_refused)
{
	static const char *const bad[] = {"Z", "Zg=", "Zg===", "====", "Zm9v\n", "Zm 9", "Zm9*", "Zm-_", "Zh==", "Zm9=", "=Zm9", "Zg==Zg=="};
	uint8_t out[16];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(base64_decode(out, bad[i], strlen(bad[i])), -1);
	assert_int_equal(base64_decode(out, "Zg", 2), 1); /* padding left out */
	assert_int_equal(base64_decode(out, "Zm8", 3), 2);
	assert_int_equal(base64_decode(out, "Zm\0v", 4), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_texts_are_encoded_and_decoded),
		cmocka_unit_test(every_byte_round_trips),
		cmocka_unit_test(malformed_base64_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
