/* SPDX-License-Identifier: MIT */
/* How bad an end is. */
#include "support/test.h"

#include "bridge/ai_trouble.h"

TEST(errors_of_key_quota_and_model_are_refusals)
{
	static const char *const codes[] = {"insufficient_quota", "invalid_api_key", "model_not_found", "billing_not_active"};

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		assert_int_equal(ai_trouble_of_error("invalid_request_error", codes[i]), AI_TROUBLE_REFUSED);
		assert_int_equal(ai_trouble_of_error(codes[i], ""), AI_TROUBLE_REFUSED);
	}
}

TEST(a_busy_provider_and_one_that_refuses_are_distinguished)
{
	assert_int_equal(ai_trouble_of_error("x", "rate_limit_exceeded"), AI_TROUBLE_BUSY);
	assert_int_equal(ai_trouble_of_error("overloaded_error", ""), AI_TROUBLE_BUSY);
}

TEST(an_expired_session_was_planned_and_all_else_passes)
{
	assert_int_equal(ai_trouble_of_error("invalid_request_error", "session_expired"), AI_TROUBLE_PLANNED);
	assert_int_equal(ai_trouble_of_error("invalid_request_error", "whatever"), AI_TROUBLE_PASSING);
	assert_int_equal(ai_trouble_of_error("", ""), AI_TROUBLE_PASSING);
}

TEST(an_end_is_judged_by_its_http_status)
{
	static const struct {
		unsigned status;
		const char *body;
		enum ai_trouble trouble;
		const char *hint;
	} rows[] = {
		{401, "", AI_TROUBLE_REFUSED, ": the key is refused"},
		{403, "", AI_TROUBLE_REFUSED, ": the key is refused"},
		{404, "", AI_TROUBLE_REFUSED, ": no such model or path"},
		{408, "", AI_TROUBLE_PASSING, ""},
		{429, "{}", AI_TROUBLE_BUSY, ""},
		{429, "{\"error\":{\"code\":\"insufficient_quota\"}}", AI_TROUBLE_REFUSED, ": the quota is used up"},
		{500, "", AI_TROUBLE_BUSY, ""},
		{503, "", AI_TROUBLE_BUSY, ""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct websocket_end end = {.err = ERR_DENIED, .http_status = rows[i].status, .body = rows[i].body};

		assert_int_equal(ai_trouble_of_end(&end), rows[i].trouble);
		assert_string_equal(ai_trouble_hint(&end), rows[i].hint);
	}
}

TEST(a_certificate_that_is_wrong_is_a_refusal_and_a_broken_line_is_not)
{
	assert_int_equal(ai_trouble_of_end(&(struct websocket_end){.err = ERR_TLS, .body = ""}), AI_TROUBLE_REFUSED);
	assert_int_equal(ai_trouble_of_end(&(struct websocket_end){.err = ERR_IO, .body = ""}), AI_TROUBLE_PASSING);
	assert_int_equal(ai_trouble_of_end(&(struct websocket_end){.err = ERR_OK, .body = ""}), AI_TROUBLE_PASSING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_of_key_quota_and_model_are_refusals),
		cmocka_unit_test(a_busy_provider_and_one_that_refuses_are_distinguished),
		cmocka_unit_test(an_expired_session_was_planned_and_all_else_passes),
		cmocka_unit_test(an_end_is_judged_by_its_http_status),
		cmocka_unit_test(a_certificate_that_is_wrong_is_a_refusal_and_a_broken_line_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
