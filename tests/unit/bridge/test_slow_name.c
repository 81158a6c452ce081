/* SPDX-License-Identifier: MIT */
/* Workers at a name that the resolver thinks about for ever: a bridge that is closed holds nobody. */
#include "support/test.h"

#include "bridge/audiosocket.h"
#include "bridge/openai_opts.h"
#include "bridge/ws_worker.h"
#include "support/slow_resolver.h"
#include "unit/bridge/seat.h"

enum { SOON_MS = 1000 };

static struct seat *seat_at_slow_name(const char *type)
{
	static const struct audiosocket_opts audiosocket = {.address = "tcp://slow.test:9092"};
	static const struct ws_worker_opts websocket = {.url = "ws://slow.test:9092/"};
	static const struct openai_opts openai = {.url = "ws://slow.test:9092/", .profile = BRIDGE_GENERIC, .session_max_s = 3300};
	bool model = strcmp(type, "openai") == 0;
	struct seat *s = seat_new(type);

	s->opts.options = model ? (const void *)&openai : strcmp(type, "websocket") == 0 ? (const void *)&websocket : &audiosocket;
	s->opts.rate_hz = model ? 24000 : 0;
	return s;
}

static bool failed(struct seat *s) { return s->failed[0] != '\0'; }

TEST(closing_waits_for_no_resolver)
{
	static const char *const types[] = {"audiosocket", "websocket", "openai"};

	for (size_t i = 0; i < 3; i++) {
		struct seat *s = seat_at_slow_name(types[i]);

		assert_int_equal(seat_open(s), 0);
		slow_resolver_wait((int)i + 1);
		assert_in_range(seat_free(s), 0, SOON_MS);
	}
}

TEST(a_name_that_is_not_found_in_time_is_a_failure)
{
	struct seat *s = seat_at_slow_name("audiosocket");

	assert_int_equal(seat_open(s), 0);
	assert_true(seat_run(s, failed, 8000));
	assert_string_equal(s->failed, "cannot connect to tcp://slow.test:9092: no answer within 5 s");
	assert_in_range(seat_free(s), 0, SOON_MS);
}

TEST(nothing_is_left_when_the_answer_comes)
{
	slow_resolver_answer();
	slow_resolver_end(4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closing_waits_for_no_resolver),
		cmocka_unit_test(a_name_that_is_not_found_in_time_is_a_failure),
		cmocka_unit_test(nothing_is_left_when_the_answer_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
