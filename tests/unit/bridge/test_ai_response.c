/* SPDX-License-Identifier: MIT */
/* What the model says: one response at a time, and what it is told after an interruption. */
#include "ai_stage.h"

static size_t requests(const struct ai_stage *s)
{
	return stage_count(s, "\"response.create\"");
}

/* --- asking ------------------------------------------------------------------------------- */

STAGE_TEST(an_answer_is_asked_for_at_once)
{
	stage_open(s);
	ai_response_want_answer(&s->response);
	assert_string_equal(stage_last(s), "{\"type\":\"response.create\",\"event_id\":\"m1\"}");
}

STAGE_TEST(answers_wanted_during_a_response_are_one_request_after_it)
{
	stage_open(s);
	ai_response_want_answer(&s->response);
	ai_response_want_answer(&s->response); /* before it has begun */
	ai_response_began(&s->response, "r1");
	ai_response_want_answer(&s->response);
	ai_response_want_answer(&s->response);
	assert_int_equal(requests(s), 1);
	assert_false(ai_response_ended(&s->response, "r0"));
	ai_response_request_due(&s->response);
	assert_int_equal(requests(s), 1);
	assert_true(ai_response_ended(&s->response, "r1"));
	ai_response_request_due(&s->response);
	assert_int_equal(requests(s), 2);
	ai_response_began(&s->response, "r2");
	assert_true(ai_response_ended(&s->response, "r2"));
	ai_response_request_due(&s->response);
	assert_int_equal(requests(s), 2);
}

STAGE_TEST(results_wait_until_nobody_speaks)
{
	stage_open(s);
	ai_turn_speech_started(&s->turn, 0);
	ai_response_want_results(&s->response);
	assert_int_equal(requests(s), 0);
	assert_false(ai_response_is_quiet(&s->response));
	ai_turn_answered(&s->turn);
	ai_response_request_due(&s->response);
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(an_answer_tells_of_results_as_well)
{
	stage_open(s);
	ai_turn_speech_started(&s->turn, 0);
	ai_response_want_results(&s->response);
	ai_response_want_answer(&s->response); /* to a message: speech does not matter */
	assert_int_equal(requests(s), 1);
	ai_turn_answered(&s->turn);
	ai_response_began(&s->response, "r");
	assert_true(ai_response_ended(&s->response, "r"));
	ai_response_request_due(&s->response);
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(a_request_that_came_too_early_is_made_again)
{
	stage_open(s);
	ai_response_want_answer(&s->response);
	ai_response_was_active(&s->response);
	assert_int_equal(requests(s), 1);
	assert_true(ai_response_ended(&s->response, "the other one"));
	ai_response_request_due(&s->response);
	assert_int_equal(requests(s), 2);
}

STAGE_TEST(a_request_that_may_have_been_refused_blocks_no_other)
{
	stage_open(s);
	ai_response_want_answer(&s->response);
	ai_response_maybe_refused(&s->response);
	ai_response_want_answer(&s->response);
	assert_int_equal(requests(s), 2);
	ai_response_began(&s->response, "r");
	ai_response_maybe_refused(&s->response); /* a complaint about something else */
	ai_response_want_answer(&s->response);
	assert_int_equal(requests(s), 2);
}

/* --- the greeting and sessions ------------------------------------------------------------ */

STAGE_TEST(people_are_greeted_once)
{
	snprintf(s->opts.greeting, sizeof s->opts.greeting, "Good \"morning\".");
	stage_open(s);
	ai_response_session_began(&s->response);
	assert_int_equal(requests(s), 1);
	assert_non_null(strstr(stage_last(s), "Say exactly this and nothing else: Good \\\"morning\\\"."));
	ai_response_session_ended(&s->response);
	ai_response_session_began(&s->response);
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(a_silenced_bridge_greets_nobody)
{
	snprintf(s->opts.greeting, sizeof s->opts.greeting, "Hello.");
	stage_open(s);
	ai_response_set_mode(&s->response, BRIDGE_LISTENING);
	ai_response_session_began(&s->response);
	ai_response_set_mode(&s->response, BRIDGE_ACTIVE);
	assert_int_equal(requests(s), 0);
}

STAGE_TEST(an_answer_wanted_without_a_session_is_asked_of_the_next)
{
	stage_open(s);
	s->out.ready = false;
	ai_response_want_answer(&s->response);
	assert_int_equal(requests(s), 0);
	s->out.ready = true;
	ai_response_session_began(&s->response);
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(a_session_that_ends_leaves_no_response_behind)
{
	stage_open(s);
	ai_response_want_answer(&s->response);
	ai_response_began(&s->response, "r");
	s->out.ready = false;
	ai_response_session_ended(&s->response);
	s->out.ready = true;
	ai_response_session_began(&s->response);
	assert_int_equal(requests(s), 1);
	ai_response_want_answer(&s->response);
	assert_int_equal(requests(s), 2);
}

/* --- silencing ---------------------------------------------------------------------------- */

STAGE_TEST(silencing_cancels_the_response_and_stops_answers)
{
	stage_open(s);
	ai_out_session(&s->out, true);
	ai_response_began(&s->response, "r1");
	ai_response_set_mode(&s->response, BRIDGE_LISTENING);
	assert_int_equal(stage_count(s, "\"response.cancel\",\"event_id\":\"m2\",\"response_id\":\"r1\""), 1);
	assert_int_equal(stage_count(s, "\"create_response\":false"), 1);
	ai_response_want_answer(&s->response);
	ai_response_want_results(&s->response);
	assert_true(ai_response_ended(&s->response, "r1"));
	ai_response_request_due(&s->response);
	ai_response_set_mode(&s->response, BRIDGE_ACTIVE);
	assert_int_equal(requests(s), 0);
	assert_int_equal(stage_count(s, "\"create_response\":true"), 2);
}

STAGE_TEST(a_response_that_begins_although_it_is_silenced_is_cancelled)
{
	stage_open(s);
	ai_response_set_mode(&s->response, BRIDGE_MUTED);
	ai_response_began(&s->response, "r1");
	assert_int_equal(stage_count(s, "\"response_id\":\"r1\""), 1);
	stage_model_speaks(s, "r1", "i", 100);
	assert_int_equal(s->n_samples, 0);
}

/* --- audio and interruptions -------------------------------------------------------------- */

STAGE_TEST(each_item_is_an_utterance_of_its_own)
{
	stage_open(s);
	ai_response_began(&s->response, "r");
	stage_model_speaks(s, "r", "i1", 200);
	uint64_t first = s->utterance;

	stage_model_speaks(s, "r", "i2", 100);
	assert_int_equal(s->utterance, first + 1);
	stage_model_speaks(s, "r", "i1", 100);
	assert_int_equal(s->utterance, first);
	assert_int_equal(s->n_samples, AI_RATE_HZ * 4 / 10);
}

STAGE_TEST(an_interrupted_item_is_truncated_to_what_was_heard)
{
	stage_open(s);
	ai_response_began(&s->response, "r");
	stage_model_speaks(s, "r", "i1", 500);
	ai_response_interrupted(&s->response, s->utterance, 320);
	assert_int_equal(stage_count(s, "\"response.cancel\""), 1);
	assert_string_equal(stage_last(s), "{\"type\":\"conversation.item.truncate\",\"event_id\":\"m2\",\"item_id\":\"i1\","
		"\"content_index\":0,\"audio_end_ms\":320}");
	stage_model_speaks(s, "r", "i1", 500);
	assert_int_equal(s->n_samples, AI_RATE_HZ / 2);
}

STAGE_TEST(a_truncation_never_goes_beyond_what_was_received)
{
	stage_open(s);
	stage_model_speaks(s, "r", "i1", 500);
	ai_response_interrupted(&s->response, s->utterance, 900);
	assert_int_equal(stage_count(s, "\"audio_end_ms\":500}"), 1);
}

STAGE_TEST(unheard_items_are_deleted_and_those_heard_before_stay)
{
	stage_open(s);
	stage_model_speaks(s, "r1", "heard", 300);
	stage_model_speaks(s, "r1", "cut", 300);
	uint64_t cut = s->utterance;

	stage_model_speaks(s, "r1", "unheard", 300);
	ai_response_interrupted(&s->response, cut, 100);
	assert_int_equal(stage_count(s, "\"item_id\":\"heard\""), 0);
	assert_int_equal(stage_count(s, "conversation.item.truncate\",\"event_id\":\"m1\",\"item_id\":\"cut\""), 1);
	assert_int_equal(stage_count(s, "conversation.item.delete\",\"event_id\":\"m2\",\"item_id\":\"unheard\"}"), 1);
}

STAGE_TEST(a_provider_that_cannot_truncate_is_not_asked_to)
{
	s->profile.truncates = false;
	stage_open(s);
	stage_model_speaks(s, "r", "i1", 300);
	ai_history_add(&s->history, AI_ASSISTANT, s->utterance, "0123456789");
	ai_response_interrupted(&s->response, s->utterance, 150);
	assert_int_equal(s->n_sent, 0);
	assert_string_equal(s->history.turns[0].text, "01234");
}

STAGE_TEST(items_of_an_older_session_are_only_remembered_in_part)
{
	stage_open(s);
	stage_model_speaks(s, "r", "i1", 300);
	ai_history_add(&s->history, AI_ASSISTANT, s->utterance, "0123456789");
	ai_response_session_ended(&s->response);
	ai_response_interrupted(&s->response, s->utterance, 150);
	assert_int_equal(s->n_sent, 0);
	assert_string_equal(s->history.turns[0].text, "01234");
}

STAGE_TEST(a_provider_that_interrupts_by_itself_is_not_told_to_cancel)
{
	stage_open(s);
	ai_response_began(&s->response, "r");
	ai_response_stop(&s->response, false);
	stage_model_speaks(s, "r", "i1", 100);
	assert_int_equal(s->n_sent, 0);
	assert_int_equal(s->n_samples, 0);
	assert_true(ai_response_is_ignored(&s->response, "r"));
	assert_false(ai_response_is_ignored(&s->response, ""));
}

STAGE_TEST(audio_that_is_not_base64_is_not_counted)
{
	const struct ai_audio_delta d = {"r", "i1", 0, "***", 3};

	stage_open(s);
	ai_response_audio(&s->response, &d);
	assert_int_equal(s->n_samples, 0);
	assert_int_equal(s->response.utterances[0].received, 0);
}

STAGE_TEST(utterances_are_bounded)
{
	char item[20];

	stage_open(s);
	for (int i = 0; i < AI_UTTERANCES + 5; i++) {
		snprintf(item, sizeof item, "i%d", i);
		stage_model_speaks(s, "r", item, 100);
	}
	assert_int_equal(s->response.n_utterances, AI_UTTERANCES);
	assert_string_equal(s->response.utterances[0].item, "i5");
}

STAGE_TEST(it_is_quiet_when_everything_was_played)
{
	stage_open(s);
	assert_true(ai_response_is_quiet(&s->response));
	stage_model_speaks(s, "r", "i1", 100);
	bridge_output_tick(&s->response.output, &(struct bridge_input){.waiting_ms = 20});
	assert_false(ai_response_is_quiet(&s->response));
	bridge_output_tick(&s->response.output, &(struct bridge_input){.waiting_ms = 0});
	assert_true(ai_response_is_quiet(&s->response));
	ai_response_began(&s->response, "r");
	assert_false(ai_response_is_quiet(&s->response));
}

/* --- words -------------------------------------------------------------------------------- */

STAGE_TEST(the_models_words_are_reported_as_they_grow)
{
	stage_open(s);
	ai_response_transcript_delta(&s->response, "r", "i1", "Half ");
	ai_response_transcript_delta(&s->response, "r", "i1", "past");
	ai_response_transcript(&s->response, "r", "i1", "Half past four.");
	assert_string_equal(s->transcripts[0], "0: Half ...");
	assert_string_equal(s->transcripts[1], "0: Half past...");
	assert_string_equal(s->transcripts[2], "0: Half past four.");
	assert_int_equal(s->history.turns[0].role, AI_ASSISTANT);
}

STAGE_TEST(an_interrupted_text_ends_where_it_was_interrupted)
{
	stage_open(s);
	ai_response_began(&s->response, "r");
	ai_response_transcript_delta(&s->response, "r", "i1", "A long ");
	ai_response_stop(&s->response, true);
	ai_response_transcript_delta(&s->response, "r", "i1", "story");
	ai_response_transcript(&s->response, "r", "i1", "A long story.");
	ai_response_transcript(&s->response, "r", "i2", "And another one.");
	assert_int_equal(s->n_transcripts, 2);
	assert_string_equal(stage_last_transcript(s), "0: A long ");
	assert_int_equal(s->history.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(an_answer_is_asked_for_at_once),
		STAGE_CASE(answers_wanted_during_a_response_are_one_request_after_it),
		STAGE_CASE(results_wait_until_nobody_speaks),
		STAGE_CASE(an_answer_tells_of_results_as_well),
		STAGE_CASE(a_request_that_came_too_early_is_made_again),
		STAGE_CASE(a_request_that_may_have_been_refused_blocks_no_other),
		STAGE_CASE(people_are_greeted_once),
		STAGE_CASE(a_silenced_bridge_greets_nobody),
		STAGE_CASE(an_answer_wanted_without_a_session_is_asked_of_the_next),
		STAGE_CASE(a_session_that_ends_leaves_no_response_behind),
		STAGE_CASE(silencing_cancels_the_response_and_stops_answers),
		STAGE_CASE(a_response_that_begins_although_it_is_silenced_is_cancelled),
		STAGE_CASE(each_item_is_an_utterance_of_its_own),
		STAGE_CASE(an_interrupted_item_is_truncated_to_what_was_heard),
		STAGE_CASE(a_truncation_never_goes_beyond_what_was_received),
		STAGE_CASE(unheard_items_are_deleted_and_those_heard_before_stay),
		STAGE_CASE(a_provider_that_cannot_truncate_is_not_asked_to),
		STAGE_CASE(items_of_an_older_session_are_only_remembered_in_part),
		STAGE_CASE(a_provider_that_interrupts_by_itself_is_not_told_to_cancel),
		STAGE_CASE(audio_that_is_not_base64_is_not_counted),
		STAGE_CASE(utterances_are_bounded),
		STAGE_CASE(it_is_quiet_when_everything_was_played),
		STAGE_CASE(the_models_words_are_reported_as_they_grow),
		STAGE_CASE(an_interrupted_text_ends_where_it_was_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
