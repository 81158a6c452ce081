/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "daemon/control.h"

#include <stdio.h>
#include <string.h>

static int parse(const char *line, struct control_msg *m)
{
	char why[CONTROL_WHY] = "";
	int err = control_parse(line, strlen(line), m, why);

	assert_true(err ? why[0] != '\0' : 1);
	return err;
}

TEST(every_type_of_message_is_parsed)
{
	static struct control_msg m;

	assert_int_equal(parse("{\"type\":\"message\",\"text\":\"hi \\u00e9\",\"to\":7}", &m), 0);
	assert_int_equal(m.type, CONTROL_MESSAGE);
	assert_string_equal(m.text, "hi \xc3\xa9");
	assert_int_equal(m.to, 7);
	assert_int_equal(parse("{\"type\":\"message\",\"text\":\"all\",\"to\":null}", &m), 0);
	assert_int_equal(m.to, 0);
	assert_int_equal(parse(" {\"type\":\"mute\",\"muted\":true,\"more\":[1,2]}", &m), 0);
	assert_int_equal(m.type, CONTROL_MUTE);
	assert_true(m.muted);
	assert_int_equal(parse("{\"type\":\"bridge\",\"mode\":\"listening\"}", &m), 0);
	assert_int_equal(m.type, CONTROL_BRIDGE);
	assert_int_equal(m.mode, BRIDGE_LISTENING);
	assert_int_equal(parse("{\"type\":\"bridge\",\"mode\":\"muted\"}", &m), 0);
	assert_int_equal(m.mode, BRIDGE_MUTED);
	assert_int_equal(parse("{\"type\":\"bridge\",\"mode\":\"active\"}", &m), 0);
	assert_int_equal(m.mode, BRIDGE_ACTIVE);
	assert_int_equal(parse("{\"type\":\"stats\",\"every_ms\":1}", &m), 0);
	assert_int_equal(m.every_ms, CONTROL_STATS_MIN_MS);
	assert_int_equal(parse("{\"type\":\"stats\"}", &m), 0);
	assert_int_equal(m.every_ms, 0);
	assert_int_equal(parse("{\"type\":\"ping\",\"t\":12.5}", &m), 0);
	assert_string_equal(m.t, "12.5");
	assert_int_equal(parse("{\"type\":\"played\",\"epoch\":255,\"samples\":4800000000}", &m), 0);
	assert_int_equal(m.type, CONTROL_PLAYED);
	assert_int_equal(m.epoch, 255);
	assert_true(m.samples == 4800000000);
	assert_int_equal(parse("{\"type\":\"bye\"}", &m), 0);
	assert_int_equal(m.type, CONTROL_BYE);
	assert_int_equal(parse("{\"type\":\"from the future\"}", &m), 0);
	assert_int_equal(m.type, CONTROL_UNKNOWN);
	assert_int_equal(parse("{\"type\":\"bye\\u0000\"}", &m), 0);
	assert_int_equal(m.type, CONTROL_UNKNOWN);
	assert_int_equal(parse("{\"type\":\"unknown\"}", &m), 0);
	assert_int_equal(m.type, CONTROL_UNKNOWN);
}

TEST(lines_that_are_not_messages_are_malformed)
{
	static const char *const bad[] = {"", "{", "[]", "null", "17", "{}", "{\"type\":1}", "hello",
		"{\"type\":\"message\"}", "{\"type\":\"message\",\"text\":\"\"}", "{\"type\":\"message\",\"text\":5}",
		"{\"type\":\"message\",\"text\":\"a\",\"to\":-1}", "{\"type\":\"message\",\"text\":\"a\",\"to\":4294967296}",
		"{\"type\":\"message\",\"text\":\"a\\u0000b\"}", "{\"type\":\"mute\"}", "{\"type\":\"mute\",\"muted\":1}",
		"{\"type\":\"bridge\"}", "{\"type\":\"bridge\",\"mode\":\"off\"}", "{\"type\":\"bridge\",\"mode\":true}",
		"{\"type\":\"stats\",\"every_ms\":-5}", "{\"type\":\"stats\",\"every_ms\":1e9}", "{\"type\":\"ping\",\"t\":\"x\"}",
		"{\"type\":\"played\"}", "{\"type\":\"played\",\"epoch\":256,\"samples\":0}",
		"{\"type\":\"played\",\"epoch\":-1,\"samples\":0}", "{\"type\":\"played\",\"epoch\":0,\"samples\":-1}",
		"{\"type\":\"played\",\"epoch\":0,\"samples\":1.5}", "{\"type\":\"played\",\"epoch\":0}",
		"{\"type\":\"ping\",\"t\":1} {\"type\":\"bye\"}", "{\"type\":\"bye\"\xff}", "{\"type\":\"bye\",\"x\":\"\xff\"}"};
	static struct control_msg m;
	char why[CONTROL_WHY];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parse(bad[i], &m) != ERR_MALFORMED)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(control_parse("{\"type\":\"bye\"}\0x", 16, &m, why), ERR_MALFORMED);
}

TEST(a_text_cut_in_the_middle_of_a_pair_is_taken)
{
	static struct control_msg m;

	assert_int_equal(parse("{\"type\":\"message\",\"text\":\"half \\ud83d\"}", &m), 0);
	assert_string_equal(m.text, "half \xef\xbf\xbd");
	assert_int_equal(parse("{\"type\":\"message\",\"text\":\"\\ude00\\ud83d\\ude00\",\"\\udc00\":[]}", &m), 0);
	assert_string_equal(m.text, "\xef\xbf\xbd\xf0\x9f\x98\x80");
}

TEST(a_number_comes_back_as_it_came)
{
	static const struct {
		const char *t, *back; /* NULL: the same */
	} cases[] = {
		{"0", NULL}, {"-7", NULL}, {"1700000000123", NULL}, {"9007199254740993", NULL}, {"-9223372036854775808", NULL},
		{"18446744073709551615", NULL}, {"123456789012345678901234567890", NULL}, {"1e400", NULL}, {"12.5", NULL},
		{"0.1", NULL}, {"1234.567", NULL}, {"3.0", NULL}, {"1e2", "100.0"},
	};
	static struct control_msg m;
	char line[200];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *back = cases[i].back ? cases[i].back : cases[i].t;
		struct buf b;

		snprintf(line, sizeof line, "{\"type\":\"ping\",\"t\":%s}", cases[i].t);
		assert_int_equal(parse(line, &m), 0);
		assert_string_equal(m.t, back);
		buf_init(&b, 200);
		assert_int_equal(control_pong(&b, m.t), 0);
		snprintf(line, sizeof line, "{\"type\":\"pong\",\"t\":%s}\n", back);
		assert_int_equal(b.len, strlen(line));
		assert_memory_equal(b.p, line, b.len);
		buf_fini(&b);
	}
	assert_int_equal(parse("{\"type\":\"ping\"}", &m), 0);
	assert_string_equal(m.t, "0");
	snprintf(line, sizeof line, "{\"type\":\"ping\",\"t\":1%080d}", 0);
	assert_int_equal(parse(line, &m), ERR_MALFORMED);
}

/* Every type with every kind of value in every field that it has: it is understood, or refused with a reason. */
TEST(each_line_of_json_is_understood_or_refused_with_a_reason)
{
	static const char *const types[] = {"message", "mute", "bridge", "stats", "ping", "played", "bye", "other"};
	static const char *const fields[] = {"text", "to", "muted", "mode", "every_ms", "t", "epoch", "samples"};
	static const char *const values[] = {"null", "true", "false", "0", "-1", "1.5", "1e400", "-1e400", "4294967296", "18446744073709551616",
		"\"\"", "\"x\"", "\"\\ud83d\"", "\"\\u0000\"", "\"active\"", "[]", "{}", "[[[]]]", "{\"\":{\"\":null}}"};
	static struct control_msg m;
	char line[200], why[CONTROL_WHY];

	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
			for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
				snprintf(line, sizeof line, "{\"type\":\"%s\",\"%s\":%s}", types[t], fields[f], values[v]);
				why[0] = '\0';
				int err = control_parse(line, strlen(line), &m, why);

				if (err && (err != ERR_MALFORMED || !why[0] || strncmp(why, types[t], strlen(types[t])) != 0))
					fail_msg("%s: %s", line, why);
			}
}

TEST(a_message_may_be_4096_bytes_and_no_more)
{
	static struct control_msg m;
	static char line[MESSAGE_MAX + 64];

	for (int over = 0; over <= 1; over++) {
		int n = snprintf(line, sizeof line, "{\"type\":\"message\",\"text\":\"%0*d\"}", MESSAGE_MAX + over, 0);

		assert_true(n > 0 && (size_t)n < sizeof line);
		assert_int_equal(parse(line, &m), over ? ERR_MALFORMED : 0);
	}
}

TEST(each_line_sent_is_one_object)
{
	struct buf b;
	const struct room_event joined = {.kind = ROOM_JOINED, .member = {.id = 4, .name = "Bob \"x\"\n"}};
	const struct room_event left = {.kind = ROOM_LEFT, .member = {.id = 4, .name = "Bob"}, .reason = LEAVE_LOST};
	const struct room_event said = {.kind = ROOM_MESSAGE, .member = {.id = 4, .name = "Bob"}, .text = "a\nb", .to = 0};
	const struct room_member bot = {.id = 9, .name = "bot", .bridge = true, .muted = true, .mode = BRIDGE_LISTENING};
	const struct room_event taken = {.kind = ROOM_BRIDGE, .member = bot, .up = true, .text = "", .by = 4};
	const struct room_event failed = {.kind = ROOM_BRIDGE, .member = bot, .text = "why"};
	const struct room_event bot_joined = {.kind = ROOM_JOINED, .member = bot};
	struct room_event bot_down = bot_joined, bot_left = failed, bot_rests;
	char text[4096];

	bot_down.member.down = "why \xc3";
	bot_left.member.left = true;
	bot_rests = bot_down;
	bot_rests.member.left = true;
	buf_init(&b, 4096);
	assert_int_equal(control_event(&b, &joined, 0), 0);
	assert_int_equal(control_event(&b, &left, 0), 0);
	assert_int_equal(control_event(&b, &said, 1234), 0);
	assert_int_equal(control_event(&b, &(struct room_event){.kind = ROOM_FLUSH, .text = "", .epoch = 255}, 0), 0);
	assert_int_equal(control_event(&b, &taken, 0), 0);
	assert_int_equal(control_event(&b, &failed, 0), 0);
	assert_int_equal(control_event(&b, &bot_joined, 0), 0);
	assert_int_equal(control_event(&b, &bot_down, 0), 0);
	assert_int_equal(control_event(&b, &bot_left, 0), 0);
	assert_int_equal(control_event(&b, &bot_rests, 0), 0);
	assert_int_equal(control_pong(&b, "1.5"), 0);
	assert_int_equal(control_bye(&b, &(struct control_bye){.reason = "shutdown", .text = "ends", .reconnect_ms = 1500}), 0);
	snprintf(text, sizeof text, "%.*s", (int)b.len, (const char *)b.p);
	assert_string_equal(text,
		"{\"type\":\"joined\",\"participant\":{\"id\":4,\"name\":\"Bob \\\"x\\\"\\n\",\"muted\":false,\"speaking\":false}}\n"
		"{\"type\":\"left\",\"id\":4,\"reason\":\"lost\"}\n"
		"{\"type\":\"message\",\"from\":4,\"to\":null,\"text\":\"a\\nb\",\"time\":1234}\n"
		"{\"type\":\"flush\",\"epoch\":255}\n"
		"{\"type\":\"bridge\",\"id\":9,\"up\":true,\"mode\":\"listening\",\"by\":4,\"text\":\"\"}\n"
		"{\"type\":\"bridge\",\"id\":9,\"up\":false,\"mode\":\"listening\",\"text\":\"why\"}\n"
		"{\"type\":\"joined\",\"participant\":{\"id\":9,\"name\":\"bot\",\"muted\":true,\"speaking\":false,\"bridge\":true,"
		"\"mode\":\"listening\",\"up\":true}}\n"
		"{\"type\":\"joined\",\"participant\":{\"id\":9,\"name\":\"bot\",\"muted\":true,\"speaking\":false,\"bridge\":true,"
		"\"mode\":\"listening\",\"up\":false,\"text\":\"why \"}}\n"
		"{\"type\":\"bridge\",\"id\":9,\"up\":false,\"left\":true,\"mode\":\"listening\",\"text\":\"why\"}\n"
		"{\"type\":\"joined\",\"participant\":{\"id\":9,\"name\":\"bot\",\"muted\":true,\"speaking\":false,\"bridge\":true,"
		"\"mode\":\"listening\",\"up\":false,\"left\":true,\"text\":\"why \"}}\n"
		"{\"type\":\"pong\",\"t\":1.5}\n"
		"{\"type\":\"bye\",\"reason\":\"shutdown\",\"text\":\"ends\",\"reconnect_ms\":1500}\n");
	buf_fini(&b);
}

/* A reason of 160 bytes from far away may end in mid-character. */
TEST(a_text_cut_in_mid_character_loses_its_end_only)
{
	static const enum room_event_kind kinds[] = {ROOM_MESSAGE, ROOM_TRANSCRIPT, ROOM_BRIDGE};

	for (size_t i = 0; i < 3; i++) {
		struct buf b;

		buf_init(&b, 4096);
		assert_int_equal(control_event(&b, &(struct room_event){.kind = kinds[i], .text = "caf\xc3\xa9 \xe4\xb8"}, 0), 0);
		assert_int_equal(buf_append(&b, "", 1), 0);
		assert_non_null(strstr((const char *)b.p, "\"text\":\"caf\xc3\xa9 \""));
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_of_message_is_parsed),
		cmocka_unit_test(lines_that_are_not_messages_are_malformed),
		cmocka_unit_test(a_text_cut_in_the_middle_of_a_pair_is_taken),
		cmocka_unit_test(a_number_comes_back_as_it_came),
		cmocka_unit_test(each_line_of_json_is_understood_or_refused_with_a_reason),
		cmocka_unit_test(a_message_may_be_4096_bytes_and_no_more),
		cmocka_unit_test(each_line_sent_is_one_object),
		cmocka_unit_test(a_text_cut_in_mid_character_loses_its_end_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
