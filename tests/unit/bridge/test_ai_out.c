/* SPDX-License-Identifier: MIT */
/* What the provider is sent: the client events, in the shapes of both generations. */
#include "ai_stage.h"

STAGE_TEST(each_event_has_an_id_of_its_own)
{
	stage_open(s);
	ai_out_commit(&s->out);
	ai_out_commit(&s->out);
	assert_string_equal(s->sent[0], "{\"type\":\"input_audio_buffer.commit\",\"event_id\":\"m1\"}");
	assert_string_equal(s->sent[1], "{\"type\":\"input_audio_buffer.commit\",\"event_id\":\"m2\"}");
}

STAGE_TEST(a_session_is_configured_in_todays_shape)
{
	snprintf(s->opts.instructions, sizeof s->opts.instructions, "Be \"brief\".");
	snprintf(s->opts.voice, sizeof s->opts.voice, "marin");
	snprintf(s->opts.transcription, sizeof s->opts.transcription, "t");
	stage_open(s);
	ai_out_session(&s->out, true);
	assert_string_equal(s->sent[0], "{\"type\":\"session.update\",\"event_id\":\"m1\",\"session\":{\"type\":\"realtime\","
		"\"output_modalities\":[\"audio\"],\"instructions\":\"Be \\\"brief\\\".\",\"audio\":{\"input\":{\"format\":{"
		"\"type\":\"audio/pcm\",\"rate\":24000},\"turn_detection\":{\"type\":\"server_vad\",\"create_response\":true,"
		"\"interrupt_response\":true},\"transcription\":{\"model\":\"t\"}},\"output\":{\"format\":{\"type\":\"audio/pcm\","
		"\"rate\":24000},\"voice\":\"marin\"}}}}");
}

STAGE_TEST(a_session_is_configured_in_the_shape_of_the_beta)
{
	s->profile.flat = true;
	s->opts.turn_detection = BRIDGE_SEMANTIC_VAD;
	stage_open(s);
	ai_out_session(&s->out, false);
	assert_string_equal(s->sent[0], "{\"type\":\"session.update\",\"event_id\":\"m1\",\"session\":{\"modalities\":[\"audio\","
		"\"text\"],\"turn_detection\":{\"type\":\"semantic_vad\",\"create_response\":false}}}");
}

STAGE_TEST(xai_has_voice_and_turns_at_the_top)
{
	s->profile = *ai_profile(BRIDGE_XAI);
	snprintf(s->opts.voice, sizeof s->opts.voice, "eve");
	snprintf(s->opts.instructions, sizeof s->opts.instructions, "Be brief.");
	stage_open(s);
	ai_out_session(&s->out, true);
	assert_string_equal(s->sent[0], "{\"type\":\"session.update\",\"event_id\":\"m1\",\"session\":{\"turn_detection\":{\"type\":"
		"\"server_vad\",\"create_response\":true,\"interrupt_response\":true},\"voice\":\"eve\",\"instructions\":\"Be brief.\","
		"\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\",\"rate\":24000}},\"output\":{\"format\":{"
		"\"type\":\"audio/pcm\",\"rate\":24000}}}}}");
	ai_out_create_response(&s->out, false);
	assert_string_equal(s->sent[1], "{\"type\":\"session.update\",\"event_id\":\"m2\",\"session\":{\"turn_detection\":{\"type\":"
		"\"server_vad\",\"create_response\":false,\"interrupt_response\":true}}}");
}

STAGE_TEST(tools_are_offered_with_their_parameters_as_they_are)
{
	struct bridge_tool tools[2];

	bridge_tool_default(&tools[0]);
	bridge_tool_default(&tools[1]);
	snprintf(tools[0].name, sizeof tools[0].name, "a");
	snprintf(tools[1].name, sizeof tools[1].name, "b");
	snprintf(tools[1].description, sizeof tools[1].description, "does \"b\"");
	s->bridge.tools = tools;
	s->bridge.n_tools = 2;
	stage_open(s);
	ai_out_session(&s->out, true);
	assert_int_equal(stage_count(s, "\"tool_choice\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"parameters\":"
		"{\"type\":\"object\",\"properties\":{}}},{\"type\":\"function\",\"name\":\"b\",\"description\":\"does \\\"b\\\"\","), 1);
}

STAGE_TEST(with_the_rooms_detection_the_provider_detects_no_turns)
{
	s->opts.turn_detection = BRIDGE_ROOM_VAD;
	stage_open(s);
	ai_out_session(&s->out, true);
	assert_int_equal(stage_count(s, "\"turn_detection\":null"), 1);
	ai_out_create_response(&s->out, false);
	assert_int_equal(s->n_sent, 1);
}

STAGE_TEST(answering_is_switched_only_when_it_changes)
{
	stage_open(s);
	ai_out_session(&s->out, true);
	ai_out_create_response(&s->out, true);
	assert_int_equal(s->n_sent, 1);
	ai_out_create_response(&s->out, false);
	ai_out_create_response(&s->out, false);
	assert_int_equal(s->n_sent, 2);
	assert_string_equal(s->sent[1], "{\"type\":\"session.update\",\"event_id\":\"m2\",\"session\":{\"type\":\"realtime\","
		"\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\",\"create_response\":false,"
		"\"interrupt_response\":true}}}}}");
}

STAGE_TEST(before_the_session_is_ready_only_its_configuration_is_sent)
{
	static const uint8_t pcm[2];

	stage_open(s);
	s->out.ready = false;
	ai_out_create_response(&s->out, true);
	ai_out_audio(&s->out, pcm, 1);
	ai_out_commit(&s->out);
	ai_out_response(&s->out, NULL);
	ai_out_cancel(&s->out, "r");
	ai_out_truncate(&s->out, "i", 0, 1);
	ai_out_delete(&s->out, "i");
	ai_out_text(&s->out, AI_USER, "x");
	assert_int_equal(ai_out_result(&s->out, "c", "{}", 2), ERR_STATE);
	assert_int_equal(s->n_sent, 0);
	ai_out_session(&s->out, true);
	assert_int_equal(s->n_sent, 1);
}

STAGE_TEST(audio_is_base64_of_16_bits)
{
	static const uint8_t pcm[] = {1, 2, 3, 4};

	stage_open(s);
	ai_out_audio(&s->out, pcm, 2);
	assert_string_equal(s->sent[0], "{\"type\":\"input_audio_buffer.append\",\"audio\":\"AQIDBA==\"}");
}

STAGE_TEST(texts_have_the_kind_that_suits_their_role)
{
	stage_open(s);
	ai_out_text(&s->out, AI_USER, "a");
	ai_out_text(&s->out, AI_SYSTEM, "b");
	ai_out_text(&s->out, AI_ASSISTANT, "c\n");
	s->profile.flat = true;
	ai_out_text(&s->out, AI_ASSISTANT, "d");
	assert_int_equal(stage_count(s, "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"}]}}"), 1);
	assert_int_equal(stage_count(s, "\"role\":\"system\",\"content\":[{\"type\":\"input_text\",\"text\":\"b\"}]}}"), 1);
	assert_int_equal(stage_count(s, "\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"c\\u000a\"}]}}"), 1);
	assert_int_equal(stage_count(s, "\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"d\"}]}}"), 1);
}

STAGE_TEST(a_result_is_a_string_of_json)
{
	stage_open(s);
	assert_int_equal(ai_out_result(&s->out, "call_1", "{\"x\":1}", 7), 0);
	assert_int_equal(stage_count(s, "\"item\":{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":\"{\\\"x\\\":1}\"}}"), 1);
}

/* Nothing of it goes out, and the next event is whole. */
STAGE_TEST(an_event_that_does_not_fit_is_an_error_and_nothing_is_sent)
{
	static char big[AI_QUEUE_MAX + 1];

	memset(big, 'x', sizeof big);
	stage_open(s);
	assert_int_equal(ai_out_result(&s->out, "c", big, sizeof big), ERR_LIMIT);
	assert_int_equal(s->n_sent, 0);
	assert_int_equal(ai_out_result(&s->out, "c", "1", 1), 0);
	assert_int_equal(s->n_sent, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(each_event_has_an_id_of_its_own),
		STAGE_CASE(a_session_is_configured_in_todays_shape),
		STAGE_CASE(a_session_is_configured_in_the_shape_of_the_beta),
		STAGE_CASE(xai_has_voice_and_turns_at_the_top),
		STAGE_CASE(tools_are_offered_with_their_parameters_as_they_are),
		STAGE_CASE(with_the_rooms_detection_the_provider_detects_no_turns),
		STAGE_CASE(answering_is_switched_only_when_it_changes),
		STAGE_CASE(before_the_session_is_ready_only_its_configuration_is_sent),
		STAGE_CASE(audio_is_base64_of_16_bits),
		STAGE_CASE(texts_have_the_kind_that_suits_their_role),
		STAGE_CASE(a_result_is_a_string_of_json),
		STAGE_CASE(an_event_that_does_not_fit_is_an_error_and_nothing_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
