/* SPDX-License-Identifier: MIT */
/* What each server event means, for the whole driver. A recorder stands for its WebSocket. */
#include "ai_stage.h"

#include "bridge/ai_events.h"

static struct openai ai;
static uv_loop_t loop;

static void on_closed(void *ctx)
{
	*(bool *)ctx = true;
}

static const struct ai_conn_events closes_only = {.on_closed = on_closed};

/* A driver that has just connected. */
static void open_driver(struct ai_stage *s)
{
	uv_loop_init(&loop);
	s->bridge.loop = &loop;
	assert_int_equal(openai_init(&ai, &s->bridge, &stage_sink, s, &s->log), 0);
	ai.out.transport = &stage_transport;
	ai.out.transport_ctx = s;
	ai.conn.state = AI_CONN_SETTING_UP;
}

static void close_driver(void)
{
	bool closed = false;

	ai.conn.events = &closes_only;
	ai.conn.ctx = &closed;
	ai_conn_close(&ai.conn);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(closed);
	assert_int_equal(uv_loop_close(&loop), 0);
	openai_fini(&ai);
}

static void event(const char *json)
{
	yyjson_val *ev = json_read(&ai.conn.json, json, strlen(json));

	assert_non_null(ev);
	ai_events_handle(&ai, ev);
}

static void open_session(struct ai_stage *s)
{
	open_driver(s);
	event("{\"type\":\"session.created\"}");
	event("{\"type\":\"session.updated\",\"session\":{\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\"}}}}}");
	assert_true(ai.out.ready);
}

STAGE_TEST(a_session_is_configured_once_and_then_ready)
{
	open_driver(s);
	event("{\"type\":\"session.created\"}");
	assert_int_equal(stage_count(s, "\"session.update\""), 1);
	assert_false(ai.out.ready);
	event("{\"type\":\"session.updated\"}");
	assert_true(ai.out.ready);
	assert_int_equal(ai.conn.state, AI_CONN_READY);
	event("{\"type\":\"session.created\"}");
	assert_int_equal(stage_count(s, "\"session.update\""), 1);
	close_driver();
}

STAGE_TEST(a_mode_that_changed_during_the_set_up_is_sent_after_it)
{
	open_driver(s);
	event("{\"type\":\"session.created\"}");
	ai_response_set_mode(&ai.response, BRIDGE_LISTENING);
	assert_int_equal(stage_count(s, "\"create_response\":false"), 0);
	event("{\"type\":\"session.updated\"}");
	assert_int_equal(stage_count(s, "\"create_response\":false"), 1);
	close_driver();
}

STAGE_TEST(both_names_of_each_audio_event_mean_the_same)
{
	static const char *const audio[] = {"response.audio.delta", "response.output_audio.delta"};
	static const char *const words[] = {"response.audio_transcript.delta", "response.output_audio_transcript.delta"};
	static const char *const text[] = {"response.audio_transcript.done", "response.output_audio_transcript.done"};
	char json[200];

	open_session(s);
	for (size_t i = 0; i < 2; i++) {
		snprintf(json, sizeof json, "{\"type\":\"%s\",\"item_id\":\"i%zu\",\"delta\":\"AAAAAAAA\"}", audio[i], i);
		event(json);
		assert_int_equal(s->n_samples, 3 * (i + 1));
		snprintf(json, sizeof json, "{\"type\":\"%s\",\"item_id\":\"i%zu\",\"delta\":\"Hel\"}", words[i], i);
		event(json);
		assert_string_equal(stage_last_transcript(s), "0: Hel...");
		snprintf(json, sizeof json, "{\"type\":\"%s\",\"item_id\":\"i%zu\",\"transcript\":\"Hello.\"}", text[i], i);
		event(json);
		assert_string_equal(stage_last_transcript(s), "0: Hello.");
	}
	close_driver();
}

STAGE_TEST(speech_that_starts_takes_the_floor_and_flushes)
{
	open_session(s);
	event("{\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}");
	event("{\"type\":\"input_audio_buffer.speech_started\"}");
	assert_int_equal(s->n_flushes, 1);
	assert_true(ai_turn_is_taken(&ai.turn));
	assert_int_equal(stage_count(s, "response.cancel"), 0); /* the provider does that itself */
	event("{\"type\":\"input_audio_buffer.speech_stopped\"}");
	assert_int_equal(ai.turn.floor, AI_FLOOR_WAITING);
	event("{\"type\":\"response.created\",\"response\":{\"id\":\"r2\"}}");
	assert_false(ai_turn_is_taken(&ai.turn));
	close_driver();
}

STAGE_TEST(a_provider_that_does_not_interrupt_is_told_to_cancel)
{
	open_session(s);
	event("{\"type\":\"session.updated\",\"session\":{\"turn_detection\":{\"interrupt_response\":false}}}");
	event("{\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}");
	event("{\"type\":\"input_audio_buffer.speech_started\"}");
	assert_int_equal(stage_count(s, "\"response.cancel\""), 1);
	close_driver();
}

STAGE_TEST(peoples_words_are_reported_and_remembered)
{
	open_session(s);
	ai_people_joined(&ai.people, 7, "Ann");
	event("{\"type\":\"input_audio_buffer.speech_started\"}");
	event("{\"type\":\"conversation.item.input_audio_transcription.delta\",\"item_id\":\"i\",\"delta\":\"Hel\"}");
	assert_string_equal(stage_last_transcript(s), "7: Hel...");
	event("{\"type\":\"conversation.item.input_audio_transcription.completed\",\"item_id\":\"i\",\"transcript\":\"Hello.\"}");
	assert_string_equal(stage_last_transcript(s), "7: Hello.");
	assert_int_equal(ai.history.n, 1);
	close_driver();
}

STAGE_TEST(a_call_is_understood_in_each_of_its_three_events)
{
	open_session(s);
	event("{\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}");
	event("{\"type\":\"response.function_call_arguments.done\",\"response_id\":\"r\",\"call_id\":\"c1\",\"name\":\"x\",\"arguments\":\"{}\"}");
	event("{\"type\":\"response.output_item.done\",\"response_id\":\"r\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c2\","
		"\"name\":\"x\",\"arguments\":\"{}\"}}");
	event("{\"type\":\"response.done\",\"response\":{\"id\":\"r\",\"output\":[{\"type\":\"message\"},{\"type\":\"function_call\","
		"\"call_id\":\"c3\",\"name\":\"x\",\"arguments\":\"{}\"}]}}");
	assert_int_equal(stage_count(s, "\"function_call_output\",\"call_id\":\"c"), 3);
	assert_int_equal(stage_count(s, "\"response.create\""), 1);
	close_driver();
}

/* However its arguments are written, or whether they are: every call is answered once, and then the model goes on. */
STAGE_TEST(every_call_is_answered_once)
{
	static const char *const arguments[] = {"", ",\"arguments\":null", ",\"arguments\":{}", ",\"arguments\":{\"a\":[1,null]}",
		",\"arguments\":[]", ",\"arguments\":7", ",\"arguments\":1e400", ",\"arguments\":true", ",\"arguments\":\"\"",
		",\"arguments\":\"{\"", ",\"arguments\":\"[]\"", ",\"arguments\":\"null\"", ",\"arguments\":\"{}\"",
		",\"arguments\":\"{\\\"a\\\":\\\"\\\\ud83d\\\"}\"", ",\"arguments\":\"{\\\"a\\\":\\\"\\ud83d\\\"}\""};
	static const char *const forms[] = { /* which events name it */
		"{\"type\":\"response.function_call_arguments.done\",\"response_id\":\"r\",\"call_id\":\"c\",\"name\":\"x\"%s}",
		"{\"type\":\"response.output_item.done\",\"response_id\":\"r\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c\","
			"\"name\":\"x\"%s}}",
		"{\"type\":\"response.done\",\"response\":{\"id\":\"r\",\"output\":[{\"type\":\"function_call\",\"call_id\":\"c\","
			"\"name\":\"x\"%s}]}}",
	};
	char json[400];

	for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
		for (int which = 1; which < 8; which++) {
			open_session(s);
			s->n_sent = 0;
			event("{\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}");
			for (size_t f = 0; f < 3; f++) {
				snprintf(json, sizeof json, forms[f], arguments[i]);
				if (which & 1 << f)
					event(json);
			}
			if (!(which & 4))
				event("{\"type\":\"response.done\",\"response\":{\"id\":\"r\"}}");
			if (stage_count(s, "\"function_call_output\",\"call_id\":\"c\"") != 1 || stage_count(s, "\"response.create\"") != 1)
				fail_msg("%s in form %d: not answered once", arguments[i], which);
			close_driver();
		}
}

STAGE_TEST(an_incomplete_call_is_ignored)
{
	open_session(s);
	event("{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\",\"status\":\"incomplete\","
		"\"name\":\"x\",\"arguments\":\"{\"}}");
	event("{\"type\":\"response.function_call_arguments.done\",\"call_id\":\"c1\",\"arguments\":\"{}\"}"); /* its name follows */
	assert_int_equal(ai.calls.n, 0);
	/* and one without a name is none of ours */
	event("{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\",\"arguments\":\"{}\"}}");
	assert_int_equal(stage_count(s, "there is no such tool"), 1);
	close_driver();
}

/* As long as the others, and as important. */
STAGE_TEST(an_event_with_half_an_emoji_is_not_lost)
{
	open_session(s);
	event("{\"type\":\"response.output_audio_transcript.delta\",\"item_id\":\"i\",\"delta\":\"Hi \\ud83d\"}");
	assert_string_equal(stage_last_transcript(s), "0: Hi \xef\xbf\xbd...");
	event("{\"type\":\"response.done\",\"response\":{\"id\":\"r\",\"note\":\"\\ude00\",\"cost\":1e400}}");
	assert_int_equal(ai.response.phase, AI_IDLE);
	close_driver();
}

STAGE_TEST(a_result_is_confirmed_by_both_names_of_the_event)
{
	static const char *const types[] = {"conversation.item.added", "conversation.item.created"};
	char json[200];

	open_session(s);
	for (int i = 0; i < 2; i++) {
		snprintf(json, sizeof json, "{\"type\":\"response.function_call_arguments.done\",\"call_id\":\"c%d\",\"name\":\"x\","
			"\"arguments\":\"{}\"}", i);
		event(json);
		assert_true(ai_calls_unconfirmed(&ai.calls));
		snprintf(json, sizeof json, "{\"type\":\"%s\",\"item\":{\"type\":\"function_call_output\",\"call_id\":\"c%d\"}}", types[i], i);
		event(json);
		assert_false(ai_calls_unconfirmed(&ai.calls));
	}
	close_driver();
}

STAGE_TEST(a_response_that_the_provider_begins_tells_of_the_results_that_it_has)
{
	open_session(s);
	event("{\"type\":\"input_audio_buffer.speech_started\"}");
	event("{\"type\":\"response.function_call_arguments.done\",\"call_id\":\"c1\",\"name\":\"x\",\"arguments\":\"{}\"}");
	event("{\"type\":\"response.done\",\"response\":{}}");
	assert_true(ai.response.results_due);
	event("{\"type\":\"conversation.item.added\",\"item\":{\"type\":\"function_call_output\",\"call_id\":\"c1\"}}");
	event("{\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}");
	assert_false(ai.response.results_due);
	close_driver();
}

STAGE_TEST(a_complaint_does_not_end_the_session)
{
	open_session(s);
	event("{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"code\":\"whatever\"}}");
	event("{\"type\":\"error\",\"error\":{\"code\":\"response_cancel_not_active\"}}");
	event("{\"type\":\"error\"}");
	assert_true(ai.out.ready);
	event("{\"type\":\"error\",\"error\":{\"code\":\"conversation_already_has_active_response\"}}");
	assert_true(ai.out.ready);
	assert_int_equal(ai.response.due, AI_DUE_ANSWER);
	close_driver();
}

/* speaches complains of a field and goes on. */
STAGE_TEST(an_error_while_the_session_is_set_up_is_no_refusal)
{
	static const struct {
		const char *error;
		bool ends;
	} cases[] = {
		{"{\"type\":\"invalid_request_error\",\"code\":\"unknown_parameter\",\"param\":\"session.x\"}", false},
		{"{\"type\":\"invalid_request_error\"}", false},
		{"{\"type\":\"server_error\",\"code\":null}", false},
		{"{\"code\":\"rate_limit_exceeded\"}", false},
		{"null", false},
		{"{\"code\":\"invalid_api_key\"}", true},
		{"{\"code\":\"model_not_found\"}", true},
		{"{\"type\":\"insufficient_quota\"}", true},
	};
	char json[200];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		open_driver(s);
		event("{\"type\":\"session.created\"}");
		snprintf(json, sizeof json, "{\"type\":\"error\",\"error\":%s}", cases[i].error);
		event(json);
		event("{\"type\":\"session.updated\"}");
		if (ai.out.ready == cases[i].ends)
			fail_msg("%s: ready %d", cases[i].error, ai.out.ready);
		close_driver();
	}
}

STAGE_TEST(a_transcript_that_ends_without_text_is_all_that_has_come)
{
	open_session(s);
	ai_people_joined(&ai.people, 7, "Ann");
	event("{\"type\":\"input_audio_buffer.speech_started\"}");
	event("{\"type\":\"conversation.item.input_audio_transcription.delta\",\"item_id\":\"u\",\"delta\":\"Who?\"}");
	event("{\"type\":\"conversation.item.input_audio_transcription.completed\",\"item_id\":\"u\"}");
	assert_string_equal(stage_last_transcript(s), "7: Who?");
	event("{\"type\":\"response.output_audio_transcript.delta\",\"item_id\":\"i\",\"delta\":\"It is \"}");
	event("{\"type\":\"response.output_audio_transcript.delta\",\"item_id\":\"i\",\"delta\":\"me.\"}");
	event("{\"type\":\"response.output_audio_transcript.done\",\"item_id\":\"i\"}");
	assert_string_equal(stage_last_transcript(s), "0: It is me.");
	assert_int_equal(ai.history.n, 2);
	size_t n = s->n_transcripts;

	event("{\"type\":\"response.output_audio_transcript.done\",\"item_id\":\"another\"}");
	assert_int_equal(s->n_transcripts, n);
	close_driver();
}

STAGE_TEST(a_refusal_ends_the_session_wherever_it_stands)
{
	open_session(s);
	event("{\"type\":\"error\",\"error\":{\"code\":\"insufficient_quota\"}}");
	assert_false(ai.out.ready);
	close_driver();
	open_session(s);
	event("{\"type\":\"response.done\",\"response\":{\"status\":\"failed\",\"status_details\":{\"error\":{\"code\":\"insufficient_quota\"}}}}");
	assert_false(ai.out.ready);
	close_driver();
}

STAGE_TEST(unknown_events_mean_nothing)
{
	open_session(s);
	size_t before = s->n_sent;

	event("{\"type\":\"something.new\",\"x\":[1,2,3]}");
	event("{\"type\":\"\"}");
	event("{\"type\":7}");
	event("{}");
	event("{\"type\":\"zzz\"}");
	assert_int_equal(s->n_sent, before);
	assert_true(ai.out.ready);
	close_driver();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(a_session_is_configured_once_and_then_ready),
		STAGE_CASE(a_mode_that_changed_during_the_set_up_is_sent_after_it),
		STAGE_CASE(both_names_of_each_audio_event_mean_the_same),
		STAGE_CASE(speech_that_starts_takes_the_floor_and_flushes),
		STAGE_CASE(a_provider_that_does_not_interrupt_is_told_to_cancel),
		STAGE_CASE(peoples_words_are_reported_and_remembered),
		STAGE_CASE(a_call_is_understood_in_each_of_its_three_events),
		STAGE_CASE(every_call_is_answered_once),
		STAGE_CASE(an_incomplete_call_is_ignored),
		STAGE_CASE(an_event_with_half_an_emoji_is_not_lost),
		STAGE_CASE(a_result_is_confirmed_by_both_names_of_the_event),
		STAGE_CASE(a_response_that_the_provider_begins_tells_of_the_results_that_it_has),
		STAGE_CASE(a_complaint_does_not_end_the_session),
		STAGE_CASE(an_error_while_the_session_is_set_up_is_no_refusal),
		STAGE_CASE(a_transcript_that_ends_without_text_is_all_that_has_come),
		STAGE_CASE(a_refusal_ends_the_session_wherever_it_stands),
		STAGE_CASE(unknown_events_mean_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
