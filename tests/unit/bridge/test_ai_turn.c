/* SPDX-License-Identifier: MIT */
/* Whose turn it is, with each kind of detection, and what becomes of people's sound and words. */
#include "ai_stage.h"

static void hear_ms(struct ai_stage *s, bool speech, uint32_t ms)
{
	for (uint32_t at = 0; at < ms; at += 20)
		stage_hear(s, speech);
}

STAGE_TEST(the_provider_hears_silence_too)
{
	stage_open(s);
	hear_ms(s, false, 400);
	assert_int_equal(stage_count(s, "input_audio_buffer.append"), 400 / AI_FRAME_MS);
	assert_int_equal(s->n_dropped, 0);
}

STAGE_TEST(a_slow_provider_loses_the_oldest_sound_and_it_is_counted)
{
	stage_open(s);
	s->unsent = 1;
	hear_ms(s, false, 1000);
	assert_int_equal(s->n_sent, 0);
	assert_in_range(s->n_dropped, AI_RATE_HZ * (1000 - AI_WAIT_MS - AI_FRAME_MS) / 1000, AI_RATE_HZ);
	s->unsent = 0;
	stage_hear(s, false);
	assert_in_range(s->n_sent, 1, AI_WAIT_MS / AI_FRAME_MS);
}

STAGE_TEST(nothing_waits_for_a_session_that_is_not_ready)
{
	stage_open(s);
	s->out.ready = false;
	hear_ms(s, false, 1000);
	assert_int_equal(s->n_dropped, 0);
	s->out.ready = true;
	ai_turn_session_began(&s->turn);
	hear_ms(s, false, 40);
	assert_int_equal(s->n_sent, 1);
}

STAGE_TEST(the_rooms_detection_sends_speech_with_its_lead_and_commits_it)
{
	s->opts.turn_detection = BRIDGE_ROOM_VAD;
	stage_open(s);
	hear_ms(s, false, 2000);
	assert_int_equal(s->n_sent, 0);
	assert_int_equal(stage_hear(s, true), AI_TURN_BEGAN);
	assert_in_range(s->n_sent, AI_LEAD_MS / AI_FRAME_MS - 1, AI_LEAD_MS / AI_FRAME_MS);
	assert_true(ai_turn_is_taken(&s->turn));
	hear_ms(s, true, 480);
	assert_int_equal(stage_hear(s, false), AI_TURN_COMMITTED);
	assert_string_equal(strstr(stage_last(s), "input_audio_buffer"), "input_audio_buffer.commit\",\"event_id\":\"m1\"}");
	assert_false(ai_turn_is_taken(&s->turn));
	assert_int_equal(s->n_dropped, 0);
}

STAGE_TEST(less_than_a_provider_takes_is_not_committed)
{
	s->opts.turn_detection = BRIDGE_ROOM_VAD;
	stage_open(s);
	s->turn.speech = true; /* as when a session begins in the middle of a word */
	hear_ms(s, true, 80);
	assert_int_equal(stage_hear(s, false), AI_TURN_SAME);
	assert_int_equal(stage_count(s, "commit"), 0);
}

STAGE_TEST(sound_that_an_older_session_was_sent_is_not_committed_to_the_new_one)
{
	s->opts.turn_detection = BRIDGE_ROOM_VAD;
	stage_open(s);
	hear_ms(s, true, 1000);
	s->out.ready = false;
	ai_turn_session_ended(&s->turn);
	s->out.ready = true;
	ai_turn_session_began(&s->turn);
	assert_int_equal(stage_hear(s, false), AI_TURN_SAME);
	assert_int_equal(stage_count(s, "commit"), 0);
}

STAGE_TEST(noise_in_the_room_is_no_turn_where_the_provider_detects_them)
{
	stage_open(s);
	hear_ms(s, true, 1000);
	assert_false(ai_turn_is_taken(&s->turn));
	ai_turn_speech_started(&s->turn, 1000);
	assert_true(ai_turn_is_taken(&s->turn));
}

STAGE_TEST(a_turn_ends_with_the_answer_or_a_second_after_speech)
{
	stage_open(s);
	ai_turn_speech_started(&s->turn, 1000);
	stage_hear(s, true);
	ai_turn_expire(&s->turn, 9000);
	assert_true(ai_turn_is_taken(&s->turn));
	ai_turn_speech_stopped(&s->turn, 9000);
	ai_turn_expire(&s->turn, 9000 + AI_ANSWER_MS - 1);
	assert_true(ai_turn_is_taken(&s->turn));
	ai_turn_expire(&s->turn, 9000 + AI_ANSWER_MS);
	assert_false(ai_turn_is_taken(&s->turn));
	ai_turn_speech_started(&s->turn, 20000);
	ai_turn_answered(&s->turn);
	assert_false(ai_turn_is_taken(&s->turn));
}

STAGE_TEST(a_turn_whose_end_is_never_reported_ends_with_silence)
{
	stage_open(s);
	ai_turn_speech_started(&s->turn, 1000);
	hear_ms(s, false, AI_STUCK_MS - 20);
	ai_turn_expire(&s->turn, 9000);
	assert_true(ai_turn_is_taken(&s->turn));
	hear_ms(s, false, 20);
	ai_turn_expire(&s->turn, 9000);
	assert_false(ai_turn_is_taken(&s->turn));
}

STAGE_TEST(a_transcript_names_the_person_who_began_the_turn)
{
	stage_open(s);
	ai_people_joined(&s->people, 7, "Ann");
	ai_people_joined(&s->people, 8, "Bob");
	ai_people_spoke(&s->people, 8, "Bob", true);
	ai_turn_speech_started(&s->turn, 0);
	ai_people_spoke(&s->people, 7, "Ann", true);
	ai_turn_transcript_delta(&s->turn, "i", "Half past ");
	ai_turn_transcript_delta(&s->turn, "i", "four");
	ai_turn_transcript(&s->turn, "i", "Half past four.");
	assert_int_equal(s->n_transcripts, 3);
	assert_string_equal(s->transcripts[0], "8: Half past ...");
	assert_string_equal(s->transcripts[1], "8: Half past four...");
	assert_string_equal(s->transcripts[2], "8: Half past four.");
	ai_history_replay(&s->history, &s->out);
	assert_int_equal(stage_count(s, "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Half past four.\""), 1);
}

STAGE_TEST(words_of_nobody_are_remembered_and_not_reported)
{
	stage_open(s);
	ai_turn_transcript_delta(&s->turn, "i", "Who");
	ai_turn_transcript(&s->turn, "i", "Who was that?");
	assert_int_equal(s->n_transcripts, 0);
	assert_int_equal(s->history.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(the_provider_hears_silence_too),
		STAGE_CASE(a_slow_provider_loses_the_oldest_sound_and_it_is_counted),
		STAGE_CASE(nothing_waits_for_a_session_that_is_not_ready),
		STAGE_CASE(the_rooms_detection_sends_speech_with_its_lead_and_commits_it),
		STAGE_CASE(less_than_a_provider_takes_is_not_committed),
		STAGE_CASE(sound_that_an_older_session_was_sent_is_not_committed_to_the_new_one),
		STAGE_CASE(noise_in_the_room_is_no_turn_where_the_provider_detects_them),
		STAGE_CASE(a_turn_ends_with_the_answer_or_a_second_after_speech),
		STAGE_CASE(a_turn_whose_end_is_never_reported_ends_with_silence),
		STAGE_CASE(a_transcript_names_the_person_who_began_the_turn),
		STAGE_CASE(words_of_nobody_are_remembered_and_not_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
