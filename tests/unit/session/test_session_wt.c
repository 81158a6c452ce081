/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "session/session_wt.h"
#include "support/fake_wt.h"

#include <stdarg.h>
#include <stdlib.h>

enum { NOW = 5 };

/* The application: notes what it is told, one word for each call. */
struct app {
	char log[1024];
	size_t n;
	struct session_answer answer;
	unsigned move_to; /* 0: nowhere */
	int move_result;
	struct session *session;
	bool close_on_line;
	struct session_close why;
};

struct rig {
	struct app app;
	struct session_host host;
	struct wt_session wt;
	struct wt_stream control, more;
	struct http_response res;
};

__attribute__((format(printf, 2, 3))) static void note(struct app *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	a->n += (size_t)vsnprintf(a->log + a->n, sizeof a->log - a->n, fmt, ap);
	va_end(ap);
	assert_true(a->n < sizeof a->log);
}

static void on_open(void *ctx, struct session *s, const struct http_request *req, struct session_answer *out, nsec now)
{
	struct app *a = ctx;

	assert_int_equal(now, NOW);
	assert_int_equal(s->lines, SESSION_LINES_AWAITED);
	note(a, "open:%s ", req->path);
	a->session = s;
	if (a->move_to)
		a->move_result = session_move(s, a->move_to);
	*out = a->answer;
	out->user = a;
}

static void on_ready(void *user, nsec now)
{
	(void)now;
	note(user, "ready ");
}

static void on_lines_room(void *user, nsec now)
{
	(void)now;
	note(user, "room ");
}

static void on_lines_ended(void *user, nsec now)
{
	(void)now;
	note(user, "ended ");
}

static void on_audio(void *user, const uint8_t *p, size_t len, nsec now)
{
	(void)now;
	note(user, "audio:%.*s ", (int)len, (const char *)p);
}

static void on_line(void *user, const char *line, size_t len, nsec now)
{
	struct app *a = user;

	note(a, "line:%.*s ", (int)len, len ? line : "");
	if (a->close_on_line)
		session_close(a->session, 4, "enough", now);
}

static void on_long_line(void *user, nsec now)
{
	(void)now;
	note(user, "long ");
}

static void on_closed(void *user, const struct session_close *why, nsec now)
{
	struct app *a = user;

	(void)now;
	note(a, "closed:%s:%u:%s ", why->how, why->code, why->reason);
	a->why = *why;
	a->session = NULL;
}

static const struct session_app app = {
	.on_open = on_open,
	.on_ready = on_ready,
	.on_lines_room = on_lines_room,
	.on_lines_ended = on_lines_ended,
	.on_audio = on_audio,
	.on_line = on_line,
	.on_long_line = on_long_line,
	.on_closed = on_closed,
};

static unsigned ask(struct rig *r)
{
	const struct http_request req = {.method = "CONNECT", .path = "/audio", .query = "", .host = "localhost"};

	http_response_init(&r->res);
	unsigned status = session_wt_app()->on_connect(&r->host, &r->wt, &req, &r->res, &r->wt.user, NOW);

	if (status != 200)
		r->app.session = NULL; /* it is gone */
	return status;
}

static void rig_init(struct rig *r, enum session_decision decision)
{
	memset(r, 0, sizeof *r);
	r->app.answer.decision = decision;
	r->host = (struct session_host){.app = &app, .ctx = &r->app, .line_bytes = 8};
	r->wt.app = session_wt_app();
	r->wt.datagram_max = 1000;
}

/* An open session; nothing of it is in the log. */
static void rig_open(struct rig *r)
{
	rig_init(r, SESSION_ADMITTED);
	assert_int_equal(ask(r), 200);
	assert_string_equal(r->app.log, "open:/audio ");
	r->app.n = 0;
	r->app.log[0] = '\0';
}

static void rig_end(struct rig *r)
{
	const struct wt_close why = {.end = WT_END_PEER, .reason = ""};

	if (r->app.session)
		fake_wt_close(&r->wt, &why, NOW);
	buf_fini(&r->control.out);
	buf_fini(&r->more.out);
}

#define assert_log(r, want) assert_string_equal((r)->app.log, want)

/* --- opening ----------------------------------------------------------------------------------- */

TEST(a_refusal_has_the_status_and_the_line_that_the_application_gave)
{
	struct rig r;

	rig_init(&r, SESSION_REFUSED);
	r.app.answer.status = 404;
	r.app.answer.why = "no such room";
	assert_int_equal(ask(&r), 404);
	assert_int_equal(r.res.status, 404);
	assert_int_equal(r.res.len, 12);
	assert_memory_equal(r.res.body, "no such room", 12);
	assert_null(r.res.owned);
}

TEST(a_session_for_another_shard_moves_there)
{
	struct rig r;

	rig_init(&r, SESSION_MOVED);
	r.app.move_to = 3;
	assert_int_equal(ask(&r), 0);
	assert_int_equal(r.wt.n_moves, 1);
	assert_int_equal(r.wt.moved_to, 3);
	assert_int_equal(r.app.move_result, 0);
}

TEST(the_application_learns_that_a_session_cannot_move)
{
	struct rig r;

	rig_init(&r, SESSION_REFUSED);
	r.app.answer.status = 503;
	r.app.answer.why = "busy";
	r.app.move_to = 3;
	r.wt.move_result = ERR_LIMIT;
	assert_int_equal(ask(&r), 503);
	assert_int_equal(r.app.move_result, ERR_LIMIT);
}

TEST(a_session_reports_its_id_and_its_connection)
{
	struct rig r;
	struct session_info info;
	char peer[SESSION_PEER_TEXT];

	rig_open(&r);
	assert_int_equal(quic_addr_parse("192.0.2.7", 5000, &r.wt.info.path.remote), 0);
	r.wt.info.rtt_us = 1500;
	r.wt.info.packets_out = 10;
	r.wt.info.packets_lost = 2;
	r.wt.info.datagrams_dropped = 3;
	assert_int_equal(r.app.session->id, 17);
	session_info(r.app.session, &info);
	assert_int_equal(info.rtt_us, 1500);
	assert_int_equal(info.packets_sent, 10);
	assert_int_equal(info.packets_lost, 2);
	assert_int_equal(info.audio_dropped, 3);
	session_peer(r.app.session, peer);
	assert_string_equal(peer, "192.0.2.7:5000");
	rig_end(&r);
}

/* --- audio ------------------------------------------------------------------------------------- */

TEST(audio_goes_both_ways_without_a_stream)
{
	struct rig r;

	rig_open(&r);
	r.wt.app->on_datagram(r.wt.user, (const uint8_t *)"abc", 3, NOW);
	assert_log(&r, "audio:abc ");
	assert_int_equal(session_send_audio(r.app.session, "head", 4, "body", 4, NOW), 0);
	assert_string_equal(r.wt.sent, "head|body");
	assert_int_equal(session_audio_max(r.app.session), 1000);
	assert_false(session_hears(r.app.session));
	r.wt.confirmed = true;
	assert_true(session_hears(r.app.session));
	r.wt.send_result = ERR_STATE;
	assert_int_equal(session_send_audio(r.app.session, "head", 4, "body", 4, NOW), ERR_STATE);
	rig_end(&r);
}

/* --- lines ------------------------------------------------------------------------------------- */

TEST(no_line_is_sent_before_the_client_opens_its_stream)
{
	struct rig r;

	rig_open(&r);
	assert_false(session_has_lines(r.app.session));
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "x\n", 2, NOW), ERR_STATE);
	assert_int_equal(r.app.session->lines, SESSION_LINES_AWAITED);
	rig_end(&r);
}

TEST(the_first_bidirectional_stream_carries_lines_both_ways)
{
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	assert_true(session_has_lines(r.app.session));
	fake_wt_data(&r.control, "on", NOW);
	fake_wt_data(&r.control, "e\ntwo\n123456789", NOW);
	fake_wt_data(&r.control, "0\nend\n", NOW);
	assert_log(&r, "ready line:one line:two long line:end ");
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "hello\n", 6, NOW), 0);
	assert_int_equal(r.control.out.len, 6);
	assert_memory_equal(r.control.out.p, "hello\n", 6);
	rig_end(&r);
}

TEST(streams_beside_the_first_are_refused)
{
	struct rig r;
	struct wt_stream uni;

	rig_open(&r);
	fake_wt_stream(&r.wt, &uni, false, NOW);
	assert_int_equal(uni.abort_code, 2);
	assert_log(&r, "");
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	fake_wt_stream(&r.wt, &r.more, true, NOW);
	assert_int_equal(r.more.n_aborted, 1);
	assert_int_equal(r.more.abort_code, 2);
	assert_int_equal(r.control.n_aborted, 0);
	assert_int_equal(r.host.streams_refused, 2);
	fake_wt_data(&r.more, "one\n", NOW);
	fake_wt_data(&r.control, "two\n", NOW);
	assert_log(&r, "ready line:two ");
	rig_end(&r);
}

TEST(a_client_that_ends_its_control_stream_may_still_read_and_may_open_another)
{
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	fake_wt_fin(&r.control, "one\nha", NOW);
	assert_log(&r, "ready line:one ended ");
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "hello\n", 6, NOW), 0);
	assert_int_equal(r.control.out.len, 6);
	assert_false(r.control.fin);
	fake_wt_stream(&r.wt, &r.more, true, NOW);
	assert_true(r.control.fin); /* nobody reads there any more */
	fake_wt_stream_gone(&r.control, NOW);
	fake_wt_data(&r.more, "lf\n", NOW);
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "again\n", 6, NOW), 0);
	assert_int_equal(r.more.out.len, 6);
	assert_log(&r, "ready line:one ended ready line:lf ");
	assert_int_equal(r.host.streams_refused, 0);
	rig_end(&r);
}

TEST(a_control_stream_that_the_client_resets_may_be_followed_by_another)
{
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	fake_wt_data(&r.control, "ha", NOW);
	fake_wt_stream_gone(&r.control, NOW);
	assert_int_equal(r.app.session->lines, SESSION_LINES_LOST);
	assert_log(&r, "ready ended ");
	fake_wt_stream(&r.wt, &r.more, true, NOW);
	fake_wt_data(&r.more, "lf\n", NOW);
	assert_log(&r, "ready ended ready line:lf ");
	rig_end(&r);
}

TEST(a_control_stream_that_was_given_up_may_be_followed_by_another)
{
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	fake_wt_data(&r.control, "ha", NOW);
	session_end_lines(r.app.session, NOW);
	fake_wt_fin(&r.control, "", NOW);
	fake_wt_stream_gone(&r.control, NOW);
	assert_log(&r, "ready ");
	fake_wt_stream(&r.wt, &r.more, true, NOW);
	fake_wt_data(&r.more, "lf\n", NOW);
	assert_int_equal(r.more.n_aborted, 0);
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "again\n", 6, NOW), 0);
	assert_int_equal(r.more.out.len, 6);
	assert_log(&r, "ready ready line:lf ");
	rig_end(&r);
}

TEST(a_session_may_be_given_to_another_application_when_it_opens)
{
	static const struct session_app other = {.on_ready = on_ready, .on_lines_ended = on_lines_ended, .on_closed = on_closed};
	struct rig r;

	rig_init(&r, SESSION_ADMITTED);
	r.app.answer.app = &other;
	assert_int_equal(ask(&r), 200);
	assert_true(r.app.session->app == &other);
	rig_end(&r);
}

TEST(a_line_without_room_is_dropped_alone)
{
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	r.control.send_result = ERR_LIMIT;
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_VITAL, "x\n", 2, NOW), ERR_LIMIT);
	assert_int_equal(r.control.n_aborted, 0);
	assert_true(session_has_lines(r.app.session));
	assert_int_equal(r.control.wanted, 32768);
	r.control.send_result = 0;
	r.wt.app->on_stream_sent(r.wt.user, &r.control, NOW);
	assert_log(&r, "ready room ");
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "x\n", 2, NOW), 0);
	r.control.acked = 7;
	assert_int_equal(session_lines_taken(r.app.session), 7);
	rig_end(&r);
}

TEST(queued_lines_leave_with_the_next_that_is_sent)
{
	struct rig r;

	rig_open(&r);
	session_flush_lines(r.app.session, NOW); /* there are none yet */
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	assert_int_equal(session_queue_line(r.app.session, SESSION_LINE_ORDINARY, "x\n", 2, NOW), 0);
	assert_int_equal(r.control.out.len, 2);
	assert_int_equal(r.control.n_flushed, 0);
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_VITAL, "y\n", 2, NOW), 0);
	assert_int_equal(r.control.n_flushed, 1);
	rig_end(&r);
}

TEST(the_last_room_is_kept_for_the_lines_that_matter)
{
	static const struct {
		enum session_line kind;
		size_t kept;
	} table[] = {{SESSION_LINE_ORDINARY, 16384}, {SESSION_LINE_STATE, 8192}, {SESSION_LINE_VITAL, 0}};
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW); /* of 65536 bytes */
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		r.control.room = table[i].kept + 1;
		assert_int_equal(session_send_line(r.app.session, table[i].kind, "x\n", 2, NOW), ERR_LIMIT);
		r.control.room++;
		assert_int_equal(session_send_line(r.app.session, table[i].kind, "x\n", 2, NOW), 0);
	}
	assert_log(&r, "ready ");
	rig_end(&r);
}

TEST(a_client_that_stopped_its_lines_loses_them_and_not_the_audio)
{
	struct rig r;

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	r.control.send_result = ERR_STATE;
	assert_int_equal(session_send_line(r.app.session, SESSION_LINE_ORDINARY, "x\n", 2, NOW), ERR_STATE);
	assert_int_equal(r.control.n_aborted, 1);
	assert_int_equal(r.control.abort_code, 1);
	assert_false(session_has_lines(r.app.session));
	r.wt.app->on_stream_sent(r.wt.user, &r.control, NOW);
	fake_wt_data(&r.control, "one\n", NOW);
	r.wt.app->on_datagram(r.wt.user, (const uint8_t *)"abc", 3, NOW);
	assert_log(&r, "ready audio:abc ");
	assert_int_equal(session_send_audio(r.app.session, "h", 1, "b", 1, NOW), 0);
	assert_int_equal(r.control.n_aborted, 1);
	rig_end(&r);
}

TEST(lines_that_are_given_up_reset_the_stream)
{
	struct rig r;

	rig_open(&r);
	session_end_lines(r.app.session, NOW);
	assert_int_equal(r.app.session->lines, SESSION_LINES_LOST);
	rig_end(&r);

	rig_open(&r);
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	session_end_lines(r.app.session, NOW);
	session_end_lines(r.app.session, NOW);
	assert_int_equal(r.control.n_aborted, 1);
	assert_int_equal(r.control.abort_code, 1);
	rig_end(&r);
}

/* --- the end ----------------------------------------------------------------------------------- */

TEST(a_session_may_be_closed_from_inside_a_line)
{
	struct rig r;

	rig_open(&r);
	r.app.close_on_line = true;
	fake_wt_stream(&r.wt, &r.control, true, NOW);
	fake_wt_data(&r.control, "one\ntwo\nthree\n", NOW);
	assert_log(&r, "ready line:one ended closed:local:4:enough ");
	assert_int_equal(r.wt.n_closed, 1);
	rig_end(&r);
}

TEST(the_ways_a_session_ends_are_distinguished)
{
	static const struct {
		struct wt_close wt;
		enum session_end end;
		const char *how;
	} table[] = {
		{{.end = WT_END_LOCAL}, SESSION_END_LOCAL, "closed:local:7:why "},
		{{.end = WT_END_PEER}, SESSION_END_PEER, "closed:peer:7:why "},
		{{.end = WT_END_RESET}, SESSION_END_LOST, "closed:reset:7:why "},
		{{.end = WT_END_ERROR}, SESSION_END_LOST, "closed:error:7:why "},
		{{.end = WT_END_CONN, .conn = {.end = QUIC_END_PEER}}, SESSION_END_PEER, "closed:connection/peer:7:why "},
		{{.end = WT_END_CONN, .conn = {.end = QUIC_END_IDLE}}, SESSION_END_LOST, "closed:connection/idle:7:why "},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct wt_close wt = table[i].wt;
		struct rig r;

		wt.code = 7;
		wt.reason = "why";
		rig_open(&r);
		fake_wt_close(&r.wt, &wt, NOW);
		assert_log(&r, table[i].how);
		assert_int_equal(r.app.why.end, table[i].end);
		rig_end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_has_the_status_and_the_line_that_the_application_gave),
		cmocka_unit_test(a_session_for_another_shard_moves_there),
		cmocka_unit_test(the_application_learns_that_a_session_cannot_move),
		cmocka_unit_test(a_session_reports_its_id_and_its_connection),
		cmocka_unit_test(audio_goes_both_ways_without_a_stream),
		cmocka_unit_test(no_line_is_sent_before_the_client_opens_its_stream),
		cmocka_unit_test(the_first_bidirectional_stream_carries_lines_both_ways),
		cmocka_unit_test(streams_beside_the_first_are_refused),
		cmocka_unit_test(a_client_that_ends_its_control_stream_may_still_read_and_may_open_another),
		cmocka_unit_test(a_control_stream_that_the_client_resets_may_be_followed_by_another),
		cmocka_unit_test(a_control_stream_that_was_given_up_may_be_followed_by_another),
		cmocka_unit_test(a_session_may_be_given_to_another_application_when_it_opens),
		cmocka_unit_test(a_line_without_room_is_dropped_alone),
		cmocka_unit_test(queued_lines_leave_with_the_next_that_is_sent),
		cmocka_unit_test(the_last_room_is_kept_for_the_lines_that_matter),
		cmocka_unit_test(a_client_that_stopped_its_lines_loses_them_and_not_the_audio),
		cmocka_unit_test(lines_that_are_given_up_reset_the_stream),
		cmocka_unit_test(a_session_may_be_closed_from_inside_a_line),
		cmocka_unit_test(the_ways_a_session_ends_are_distinguished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
