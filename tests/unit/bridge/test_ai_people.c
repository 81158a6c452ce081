/* SPDX-License-Identifier: MIT */
/* Who speaks, as the model is told. */
#include "ai_stage.h"

static void two_people(struct ai_stage *s)
{
	s->opts.speaker_labels = true;
	stage_open(s);
	ai_people_joined(&s->people, 1, "Ann");
	ai_people_joined(&s->people, 2, "Bob");
}

STAGE_TEST(the_model_is_told_who_speaks)
{
	two_people(s);
	ai_people_spoke(&s->people, 1, "Ann", true);
	ai_people_label(&s->people, 0);
	assert_int_equal(stage_count(s, "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"[Ann is speaking]\""), 1);
}

STAGE_TEST(several_at_once_are_named_together)
{
	two_people(s);
	ai_people_joined(&s->people, 3, "Eve");
	ai_people_spoke(&s->people, 1, "Ann", true);
	ai_people_spoke(&s->people, 2, "Bob", true);
	ai_people_spoke(&s->people, 3, "Eve", true);
	ai_people_label(&s->people, 0);
	assert_int_equal(stage_count(s, "[Ann, Bob and Eve are speaking at the same time]"), 1);
}

STAGE_TEST(the_same_speaker_is_not_named_twice)
{
	two_people(s);
	for (uint64_t now_ms = 0; now_ms < 5000; now_ms += 20) {
		ai_people_spoke(&s->people, 1, "Ann", now_ms / 1000 % 2 == 0);
		ai_people_label(&s->people, now_ms);
	}
	assert_int_equal(s->n_sent, 1);
}

STAGE_TEST(labels_come_twice_a_second_at_most)
{
	two_people(s);
	for (uint64_t now_ms = 0; now_ms < 2000; now_ms += 20) {
		ai_people_spoke(&s->people, 1, "Ann", now_ms / 20 % 2 == 0);
		ai_people_spoke(&s->people, 2, "Bob", now_ms / 20 % 2 == 1);
		ai_people_label(&s->people, now_ms);
	}
	assert_in_range(s->n_sent, 2, 4);
}

STAGE_TEST(a_person_alone_needs_no_label)
{
	s->opts.speaker_labels = true;
	stage_open(s);
	ai_people_joined(&s->people, 1, "Ann");
	ai_people_spoke(&s->people, 1, "Ann", true);
	ai_people_label(&s->people, 0);
	assert_int_equal(s->n_sent, 0);
}

STAGE_TEST(without_labels_nobody_is_named)
{
	char text[AI_ATTRIBUTED_MAX];
	const struct ai_person ann = {1, "Ann"};

	two_people(s);
	s->opts.speaker_labels = false;
	ai_people_spoke(&s->people, 1, "Ann", true);
	ai_people_label(&s->people, 0);
	ai_people_attribute(&s->people, &ann, "Hello.", text);
	assert_int_equal(s->n_sent, 0);
	assert_string_equal(text, "Hello.");
}

STAGE_TEST(a_new_session_is_told_again_who_speaks)
{
	two_people(s);
	ai_people_spoke(&s->people, 1, "Ann", true);
	ai_people_label(&s->people, 0);
	ai_people_session_ended(&s->people);
	ai_people_label(&s->people, 20);
	assert_int_equal(stage_count(s, "[Ann is speaking]"), 2);
}

STAGE_TEST(texts_begin_with_the_name_where_speakers_are_labelled)
{
	char text[AI_ATTRIBUTED_MAX];
	const struct ai_person ann = {1, "Ann"}, nobody = {0};

	two_people(s);
	ai_people_attribute(&s->people, &ann, "Hello.", text);
	assert_string_equal(text, "Ann: Hello.");
	ai_people_attribute(&s->people, &nobody, "Hello.", text);
	assert_string_equal(text, "Hello.");
	ai_people_left(&s->people, 2);
	ai_people_attribute(&s->people, &ann, "Hello.", text);
	assert_string_equal(text, "Hello.");
}

STAGE_TEST(the_first_to_join_is_expected_to_speak_first)
{
	two_people(s);
	assert_int_equal(s->people.last.id, 1);
	ai_people_spoke(&s->people, 2, "Bob", true);
	assert_int_equal(s->people.last.id, 2);
	ai_people_spoke(&s->people, 2, "Bob", false);
	assert_int_equal(s->people.last.id, 2);
	ai_people_left(&s->people, 2);
	assert_int_equal(s->people.last.id, 0);
}

STAGE_TEST(a_crowd_that_speaks_at_once_is_named_in_part)
{
	two_people(s);
	for (uint32_t id = 1; id <= 20; id++)
		ai_people_spoke(&s->people, id, "A name of sixty-four bytes, which is the longest that people have", true);
	assert_int_equal(s->people.n_speaking, AI_SPEAKERS);
	ai_people_label(&s->people, 0);
	assert_int_equal(stage_count(s, " are speaking at the same time]\""), 1);
	for (uint32_t id = 1; id <= 20; id++)
		ai_people_left(&s->people, id);
	assert_int_equal(s->people.n_speaking, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(the_model_is_told_who_speaks),
		STAGE_CASE(several_at_once_are_named_together),
		STAGE_CASE(the_same_speaker_is_not_named_twice),
		STAGE_CASE(labels_come_twice_a_second_at_most),
		STAGE_CASE(a_person_alone_needs_no_label),
		STAGE_CASE(without_labels_nobody_is_named),
		STAGE_CASE(a_new_session_is_told_again_who_speaks),
		STAGE_CASE(texts_begin_with_the_name_where_speakers_are_labelled),
		STAGE_CASE(the_first_to_join_is_expected_to_speak_first),
		STAGE_CASE(a_crowd_that_speaks_at_once_is_named_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
