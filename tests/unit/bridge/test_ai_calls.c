/* SPDX-License-Identifier: MIT */
/* Calls of tools, with tools that answer when the test says so (the functions of bridge/tool.h are its own). */
#include "ai_stage.h"

struct tools {
	size_t n_called, n_cancelled;
	uint64_t last; /* the number of the call that was made last */
	char name[AI_NAME_MAX], arguments[100];
};

static struct tools fake;
static struct ai_calls calls;

int tools_new(const struct tools_opts *o, struct tools **out)
{
	(void)o;
	fake = (struct tools){0};
	*out = &fake;
	return 0;
}

void tools_call(struct tools *t, uint64_t call, const char *name, const char *arguments, size_t len)
{
	t->n_called++;
	t->last = call;
	snprintf(t->name, sizeof t->name, "%s", name);
	snprintf(t->arguments, sizeof t->arguments, "%.*s", (int)len, arguments);
}

void tools_cancel(struct tools *t)
{
	t->n_cancelled++;
}

void tools_tick(struct tools *t)
{
	(void)t;
}

void tools_close(struct tools *t)
{
	(void)t;
}

static void open_calls(struct ai_stage *s)
{
	s->bridge.n_tools = 1;
	stage_open(s);
	assert_int_equal(ai_calls_init(&calls, &s->cx, &s->out, &s->response), 0);
}

static void model_calls(const char *response, const char *id, bool last)
{
	const struct ai_called called = {response, id, "opening_hours", "{\"day\":1}", 9, last};

	ai_calls_add(&calls, &called);
}

static void response_ends(struct ai_stage *s, const char *id)
{
	assert_true(ai_response_ended(&s->response, id));
	ai_calls_response_ended(&calls);
	ai_response_request_due(&s->response);
}

static void result(uint64_t number)
{
	ai_calls_on_result(&calls, number, true, "{\"open\":9}", 10);
}

static size_t results(const struct ai_stage *s)
{
	return stage_count(s, "function_call_output");
}

static size_t requests(const struct ai_stage *s)
{
	return stage_count(s, "\"response.create\"");
}

STAGE_TEST(a_call_runs_its_tool_once_however_often_it_is_named)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	model_calls("r", "c1", false);
	model_calls("r", "c1", true);
	assert_int_equal(fake.n_called, 1);
	assert_string_equal(fake.name, "opening_hours");
	assert_string_equal(fake.arguments, "{\"day\":1}");
	assert_true(ai_calls_running(&calls));
	result(fake.last);
	result(fake.last);
	assert_int_equal(results(s), 1);
	assert_int_equal(stage_count(s, "\"call_id\":\"c1\",\"output\":\"{\\\"open\\\":9}\""), 1);
	assert_false(ai_calls_running(&calls));
	assert_true(ai_calls_unconfirmed(&calls));
}

STAGE_TEST(an_answer_is_wanted_when_all_calls_have_results_and_the_response_is_over)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	uint64_t first = fake.last;

	model_calls("r", "c2", false);
	result(first);
	response_ends(s, "r");
	assert_int_equal(requests(s), 0);
	result(fake.last);
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(results_that_come_before_the_end_of_the_response_wait_for_it)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	result(fake.last);
	assert_int_equal(requests(s), 0);
	response_ends(s, "r");
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(a_call_of_an_interrupted_response_is_not_run)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	ai_response_stop(&s->response, false);
	model_calls("r", "c1", false);
	assert_int_equal(fake.n_called, 0);
	assert_int_equal(stage_count(s, "not run"), 1);
	response_ends(s, "r");
	assert_int_equal(requests(s), 0);
}

STAGE_TEST(without_tools_a_call_gets_an_error)
{
	stage_open(s);
	assert_int_equal(ai_calls_init(&calls, &s->cx, &s->out, &s->response), 0);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	assert_int_equal(stage_count(s, "there is no such tool"), 1);
	response_ends(s, "r");
	assert_int_equal(requests(s), 1);
}

STAGE_TEST(too_many_calls_get_an_error_once)
{
	char id[20];

	open_calls(s);
	ai_response_began(&s->response, "r");
	for (int i = 0; i < AI_CALLS; i++) {
		snprintf(id, sizeof id, "c%d", i);
		model_calls("r", id, false);
	}
	model_calls("r", "one more", false); /* a later event may find room for it */
	assert_int_equal(results(s), 0);
	model_calls("r", "one more", true);
	assert_int_equal(stage_count(s, "too many calls at once"), 1);
	assert_int_equal(fake.n_called, AI_CALLS);
}

STAGE_TEST(results_that_are_never_confirmed_take_no_place_from_others)
{
	char id[20];

	open_calls(s);
	for (int i = 0; i < 3 * AI_CALLS; i++) {
		snprintf(id, sizeof id, "c%d", i);
		ai_response_began(&s->response, id);
		model_calls(id, id, true);
		result(fake.last);
		response_ends(s, id);
	}
	assert_int_equal(fake.n_called, 3 * AI_CALLS);
	assert_int_equal(stage_count(s, "too many calls"), 0);
}

STAGE_TEST(confirmed_results_are_forgotten_with_their_response)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	ai_calls_confirm(&calls, "c1"); /* of what was not sent: means nothing */
	result(fake.last);
	assert_true(ai_calls_unconfirmed(&calls));
	ai_calls_confirm(&calls, "c1");
	assert_false(ai_calls_unconfirmed(&calls));
	assert_int_equal(calls.n, 1);
	response_ends(s, "r");
	ai_calls_confirm(&calls, "");
	assert_int_equal(calls.n, 0);
}

STAGE_TEST(the_next_session_is_told_of_results_that_were_lost)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	s->out.ready = false;
	ai_calls_session_ended(&calls);
	ai_response_session_ended(&s->response);
	assert_int_equal(fake.n_cancelled, 1);
	assert_false(ai_calls_running(&calls));
	result(fake.last); /* too late */
	s->out.ready = true;
	ai_calls_session_began(&calls);
	ai_response_session_began(&s->response);
	assert_int_equal(results(s), 0);
	assert_int_equal(stage_count(s, "\"role\":\"system\",\"content\":[{\"type\":\"input_text\",\"text\":\"The line to you broke while "
		"tools were at work (opening_hours)."), 1);
	assert_int_equal(requests(s), 1);
	ai_calls_session_began(&calls);
	assert_int_equal(stage_count(s, "The line to you broke"), 1);
}

STAGE_TEST(results_that_nobody_was_told_of_are_lost_with_the_session_too)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	result(fake.last);
	ai_turn_speech_started(&s->turn, 0);
	response_ends(s, "r");
	ai_calls_session_ended(&calls);
	ai_response_session_ended(&s->response);
	ai_calls_session_began(&calls);
	assert_int_equal(stage_count(s, "The line to you broke while tools were at work. Their results"), 1);
}

STAGE_TEST(a_session_without_calls_leaves_nothing_to_tell)
{
	open_calls(s);
	ai_calls_session_ended(&calls);
	ai_calls_session_began(&calls);
	assert_int_equal(s->n_sent, 0);
}

STAGE_TEST(a_provider_that_takes_no_results_is_of_no_use)
{
	open_calls(s);
	ai_response_began(&s->response, "r");
	model_calls("r", "c1", false);
	s->send_err = ERR_LIMIT;
	result(fake.last);
	assert_string_equal(s->failed, "the provider takes no results of tools");
	assert_int_equal(s->n_tools, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(a_call_runs_its_tool_once_however_often_it_is_named),
		STAGE_CASE(an_answer_is_wanted_when_all_calls_have_results_and_the_response_is_over),
		STAGE_CASE(results_that_come_before_the_end_of_the_response_wait_for_it),
		STAGE_CASE(a_call_of_an_interrupted_response_is_not_run),
		STAGE_CASE(without_tools_a_call_gets_an_error),
		STAGE_CASE(too_many_calls_get_an_error_once),
		STAGE_CASE(results_that_are_never_confirmed_take_no_place_from_others),
		STAGE_CASE(confirmed_results_are_forgotten_with_their_response),
		STAGE_CASE(the_next_session_is_told_of_results_that_were_lost),
		STAGE_CASE(results_that_nobody_was_told_of_are_lost_with_the_session_too),
		STAGE_CASE(a_session_without_calls_leaves_nothing_to_tell),
		STAGE_CASE(a_provider_that_takes_no_results_is_of_no_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
