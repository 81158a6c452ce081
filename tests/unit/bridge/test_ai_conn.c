/* SPDX-License-Identifier: MIT */
/* What the room learns of the way to a provider: without a network, from one end of a session to the next. */
#include "ai_stage.h"

#include "bridge/ai_conn.h"

static struct ai_conn conn;
static uv_loop_t loop;
static size_t n_ended, n_closed, n_failed, n_up;
static uint32_t pause_ms;
static char why[200];

static void on_ended(void *ctx)
{
	(void)ctx;
	n_ended++;
}

static void on_closed(void *ctx)
{
	(void)ctx;
	n_closed++;
}

static void on_pause(void *ctx, uint32_t ms)
{
	(void)ctx;
	pause_ms = ms;
}

static void on_failed(void *ctx, const char *text)
{
	(void)ctx;
	n_failed++;
	snprintf(why, sizeof why, "%s", text);
}

static void on_up(void *ctx)
{
	(void)ctx;
	n_up++;
}

static const struct bridge_sink sink = {.pause = on_pause, .failed = on_failed, .up = on_up};
static const struct ai_conn_events events = {.on_ended = on_ended, .on_closed = on_closed};

static void open_conn(struct ai_stage *s)
{
	stage_open(s);
	n_ended = n_closed = n_failed = n_up = pause_ms = 0;
	why[0] = '\0';
	uv_loop_init(&loop);
	s->bridge.loop = &loop;
	s->cx.sink = &sink;
	s->out.ready = false;
	ai_conn_init(&conn, &s->cx, &s->out, &events, NULL);
}

static void close_conn(void)
{
	ai_conn_close(&conn);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_closed, 1);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* A session that is ready since `age_ms`. */
static void set_ready(uint64_t age_ms)
{
	conn.state = AI_CONN_SETTING_UP;
	assert_true(ai_conn_set_ready(&conn));
	conn.ready_at_ms -= age_ms;
}

STAGE_TEST(a_session_is_ready_once)
{
	open_conn(s);
	assert_false(ai_conn_set_ready(&conn));
	set_ready(0);
	assert_true(s->out.ready);
	assert_false(ai_conn_set_ready(&conn));
	assert_int_equal(n_up, 1);
	close_conn();
	assert_false(s->out.ready);
}

STAGE_TEST(it_is_configured_only_while_it_is_set_up)
{
	open_conn(s);
	ai_conn_set_up(&conn, true);
	assert_int_equal(s->n_sent, 0);
	conn.state = AI_CONN_SETTING_UP;
	ai_conn_set_up(&conn, true);
	assert_int_equal(stage_count(s, "\"session.update\""), 1);
	close_conn();
}

/* The timer ends it, and the reason names the complaint; the next connection begins without. */
STAGE_TEST(a_complaint_is_the_reason_if_the_session_is_never_set_up)
{
	open_conn(s);
	ai_conn_note_complaint(&conn, AI_TROUBLE_PASSING, "of nothing"); /* not while nothing is set up */
	assert_string_equal(conn.complaint, "");
	conn.state = AI_CONN_SETTING_UP;
	ai_conn_note_complaint(&conn, AI_TROUBLE_PASSING, "invalid_value session.voice");
	assert_int_equal(n_failed, 0);
	uv_timer_start(&conn.timer, ai_conn_setup_over, 0, 0);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(n_failed, 1);
	assert_int_equal(pause_ms, 60000);
	assert_string_equal(why, "the provider does not answer session.update: invalid_value session.voice");
	close_conn();
}

STAGE_TEST(a_lost_session_is_reported_with_the_shortest_pause)
{
	open_conn(s);
	set_ready(60000);
	ai_conn_end(&conn, AI_TROUBLE_PASSING, "gone");
	assert_int_equal(n_ended, 1);
	assert_int_equal(n_failed, 1);
	assert_int_equal(pause_ms, 500);
	assert_string_equal(why, "gone");
	assert_false(s->out.ready);
	close_conn();
}

STAGE_TEST(a_pause_that_the_provider_asks_for_is_kept_once_and_bounded)
{
	open_conn(s);
	conn.retry_after_s = 7;
	ai_conn_end(&conn, AI_TROUBLE_BUSY, "busy");
	assert_int_equal(pause_ms, 7000);
	ai_conn_end(&conn, AI_TROUBLE_BUSY, "busy");
	assert_int_equal(pause_ms, 500);
	conn.retry_after_s = 4000000000;
	ai_conn_end(&conn, AI_TROUBLE_BUSY, "busy");
	assert_int_equal(pause_ms, 600000);
	close_conn();
}

STAGE_TEST(a_refusal_is_tried_three_times_more)
{
	static const uint32_t pauses[] = {60000, 300000, 900000, BRIDGE_NO_RETRY, BRIDGE_NO_RETRY};

	open_conn(s);
	for (size_t i = 0; i < 5; i++) {
		ai_conn_end(&conn, AI_TROUBLE_REFUSED, "no");
		assert_int_equal(pause_ms, pauses[i]);
		ai_conn_end(&conn, AI_TROUBLE_PASSING, "gone"); /* between two refusals */
		assert_int_equal(pause_ms, 500);
	}
	set_ready(10000);
	ai_conn_end(&conn, AI_TROUBLE_REFUSED, "no");
	assert_int_equal(pause_ms, 60000);
	close_conn();
}

STAGE_TEST(an_old_session_is_renewed_without_a_report)
{
	open_conn(s);
	set_ready(10000);
	ai_conn_end(&conn, AI_TROUBLE_PLANNED, "");
	assert_int_equal(n_ended, 1);
	assert_int_equal(n_failed, 0);
	assert_true(uv_is_active((uv_handle_t *)&conn.timer));
	close_conn();
}

STAGE_TEST(a_session_that_ends_at_once_is_a_failure)
{
	open_conn(s);
	set_ready(9000);
	ai_conn_end(&conn, AI_TROUBLE_PLANNED, "expired");
	assert_int_equal(n_failed, 1);
	assert_false(uv_is_active((uv_handle_t *)&conn.timer));
	close_conn();
}

STAGE_TEST(a_missing_key_is_a_refusal)
{
	open_conn(s);
	snprintf(s->opts.key.env, sizeof s->opts.key.env, "MYNAH_NO_SUCH_KEY");
	ai_conn_dial(&conn);
	assert_string_equal(why, "the environment has no MYNAH_NO_SUCH_KEY");
	assert_int_equal(pause_ms, 60000);
	close_conn();
}

STAGE_TEST(a_closed_connection_reports_nothing_more)
{
	open_conn(s);
	set_ready(0);
	ai_conn_close(&conn);
	ai_conn_end(&conn, AI_TROUBLE_PASSING, "gone");
	assert_int_equal(n_failed, 0);
	assert_int_equal(n_ended, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_closed, 1);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_CASE(a_session_is_ready_once),
		STAGE_CASE(it_is_configured_only_while_it_is_set_up),
		STAGE_CASE(a_complaint_is_the_reason_if_the_session_is_never_set_up),
		STAGE_CASE(a_lost_session_is_reported_with_the_shortest_pause),
		STAGE_CASE(a_pause_that_the_provider_asks_for_is_kept_once_and_bounded),
		STAGE_CASE(a_refusal_is_tried_three_times_more),
		STAGE_CASE(an_old_session_is_renewed_without_a_report),
		STAGE_CASE(a_session_that_ends_at_once_is_a_failure),
		STAGE_CASE(a_missing_key_is_a_refusal),
		STAGE_CASE(a_closed_connection_reports_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
