/* SPDX-License-Identifier: MIT */
/* What a new session is told of the last one, and how texts are kept within their bounds. */
#include "ai_stage.h"

#include "bridge/ai_text.h"

TEST(a_text_is_cut_between_characters)
{
	assert_int_equal(ai_text_fit("abc", 3), 3);
	assert_int_equal(ai_text_fit("abc", 2), 2);
	assert_int_equal(ai_text_fit("a\xc3\xa4", 2), 1);
	assert_int_equal(ai_text_fit("a\xc3\xa4", 3), 3);
	assert_int_equal(ai_text_fit("a\xff" "b", 3), 1);
	assert_int_equal(ai_text_fit("", 9), 0);
}

TEST(deltas_of_one_item_make_one_text)
{
	struct ai_partial p = {0};

	assert_true(ai_partial_add(&p, "i", "Hel"));
	assert_true(ai_partial_add(&p, "i", "lo"));
	assert_string_equal(p.text, "Hello");
	assert_false(ai_partial_add(&p, "i", ""));
	assert_true(ai_partial_add(&p, "k", "Other"));
	assert_string_equal(p.text, "Other");
}

TEST(a_growing_text_stays_within_its_bound)
{
	static struct ai_partial p;
	char delta[1000];

	memset(delta, 'x', sizeof delta - 1);
	delta[sizeof delta - 1] = '\0';
	for (int i = 0; i < 6; i++)
		ai_partial_add(&p, "i", delta);
	assert_int_equal(strlen(p.text), AI_TEXT_MAX - 1);
	assert_false(ai_partial_add(&p, "i", delta));
}

STAGE_TEST(a_new_session_is_told_everything_in_order)
{
	stage_open(s);
	ai_history_add(&s->history, AI_USER, 0, "My name is Ada.");
	ai_history_add(&s->history, AI_ASSISTANT, 1, "Hello, Ada.");
	ai_history_add(&s->history, AI_USER, 0, "");
	ai_history_replay(&s->history, &s->out);
	assert_int_equal(s->n_sent, 2);
	assert_non_null(strstr(s->sent[0], "\"role\":\"user\""));
	assert_non_null(strstr(s->sent[0], "My name is Ada."));
	assert_non_null(strstr(s->sent[1], "\"role\":\"assistant\""));
	assert_non_null(strstr(s->sent[1], "Hello, Ada."));
}

STAGE_TEST(only_the_heard_share_of_an_utterance_is_kept)
{
	stage_open(s);
	ai_history_add(&s->history, AI_ASSISTANT, 1, "heard to its end");
	ai_history_add(&s->history, AI_ASSISTANT, 2, "0123456789");
	ai_history_add(&s->history, AI_USER, 2, "a user's text");
	ai_history_add(&s->history, AI_ASSISTANT, 3, "not heard");
	ai_history_trim(&s->history, 2, 0.5);
	ai_history_trim(&s->history, 3, 0);
	ai_history_replay(&s->history, &s->out);
	assert_int_equal(s->n_sent, 3);
	assert_int_equal(stage_count(s, "\"heard to its end\""), 1);
	assert_int_equal(stage_count(s, "\"01234\""), 1);
	assert_int_equal(stage_count(s, "\"a user's text\""), 1);
}

STAGE_TEST(the_oldest_turns_go_first)
{
	stage_open(s);
	for (int i = 0; i < AI_HISTORY_TURNS + 3; i++) {
		char text[20];

		snprintf(text, sizeof text, "turn %d.", i);
		ai_history_add(&s->history, AI_USER, 0, text);
	}
	ai_history_replay(&s->history, &s->out);
	assert_int_equal(s->n_sent, AI_HISTORY_TURNS);
	assert_non_null(strstr(s->sent[0], "\"turn 3.\""));
}

STAGE_TEST(the_text_of_all_turns_is_bounded)
{
	char text[AI_TEXT_MAX + 100];

	stage_open(s);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int i = 0; i < 9; i++)
		ai_history_add(&s->history, AI_USER, 0, text);
	assert_int_equal(s->history.n, 4);
	assert_int_equal(s->history.bytes, 4 * (AI_TEXT_MAX - 1));
}

STAGE_TEST(replay_stops_when_the_session_ends)
{
	stage_open(s);
	ai_history_add(&s->history, AI_USER, 0, "x");
	s->out.ready = false;
	ai_history_replay(&s->history, &s->out);
	assert_int_equal(s->n_sent, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_cut_between_characters),
		cmocka_unit_test(deltas_of_one_item_make_one_text),
		cmocka_unit_test(a_growing_text_stays_within_its_bound),
		STAGE_CASE(a_new_session_is_told_everything_in_order),
		STAGE_CASE(only_the_heard_share_of_an_utterance_is_kept),
		STAGE_CASE(the_oldest_turns_go_first),
		STAGE_CASE(the_text_of_all_turns_is_bounded),
		STAGE_CASE(replay_stops_when_the_session_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
