/* SPDX-License-Identifier: MIT */
/* A call over a net and a session that the test plays: addresses, refusals, lines, and how it ends. */
#include "support/test.h"

#include "client/call.h"
#include "support/fake_wt.h"

#include <stdlib.h>

/* --- the net ---------------------------------------------------------------------------- */

struct quic_conn {
	uint64_t packets_in;
	bool closed;
};

struct net {
	const struct net_opts *opts;
	const struct wt_app *app;
	nsec at;
	size_t n_conns;
	struct quic_conn conns[4];
	void *users[4];
	char path[128];
	int connect_result[4];
	unsigned n_closed;
	void (*on_closed)(void *ctx); /* what net_close() owes */
	void *closed_ctx;
};
static struct net the_net;

void net_opts_default(struct net_opts *o) { *o = (struct net_opts){.timeout_ms = 10000}; }

int net_new(uv_loop_t *loop, const struct net_opts *opts, const struct wt_app *app, const struct log *log, struct net **out)
{
	(void)loop, (void)log;
	the_net.opts = opts;
	the_net.app = app;
	*out = &the_net;
	return 0;
}

int net_connect(struct net *n, const struct net_target *to, void *user, nsec now, struct quic_conn **conn)
{
	size_t i = n->n_conns++;

	(void)now;
	snprintf(n->path, sizeof n->path, "%s", to->path);
	n->users[i] = user;
	if (n->connect_result[i])
		return n->connect_result[i];
	*conn = &n->conns[i];
	return 0;
}

void net_at(struct net *n, nsec at) { n->at = at; }
void net_wake(struct net *n) { (void)n; }

void net_close(struct net *n, void (*on_closed)(void *ctx), void *ctx)
{
	n->n_closed++;
	n->on_closed = on_closed;
	n->closed_ctx = ctx;
}

/* The loop comes round: handles have closed. */
static void settle(void)
{
	void (*on_closed)(void *ctx) = the_net.on_closed;

	the_net.on_closed = NULL;
	if (on_closed)
		on_closed(the_net.closed_ctx);
}

void quic_conn_close(struct quic_conn *c, uint64_t code)
{
	(void)code;
	c->closed = true;
}

void quic_conn_info(const struct quic_conn *c, struct quic_conn_info *out) { *out = (struct quic_conn_info){.packets_in = c->packets_in}; }

/* --- what fake_wt has not ---------------------------------------------------------------- */

static struct wt_stream the_control;

int wt_stream_open(struct wt_session *s, bool bidi, struct wt_stream **out)
{
	assert_true(bidi);
	the_control = (struct wt_stream){.s = s, .bidi = true};
	buf_init(&the_control.out, 1 << 16);
	s->streams[s->n_streams++] = &the_control;
	*out = &the_control;
	return 0;
}

const char *wt_session_refusal(const struct wt_session *s) { (void)s; return "the room is full"; }

/* --- a call ------------------------------------------------------------------------------ */

struct world {
	struct call *call;
	struct wt_session session;
	nsec now; /* when it began, or a moment later */
	unsigned n_opened, n_ended, n_played;
	char line[128]; /* the last that was passed on */
	struct call_end end;
};

static size_t capture(void *ctx, int16_t *pcm, size_t n)
{
	(void)ctx;
	memset(pcm, 1, n * sizeof *pcm);
	return n;
}

static void play(void *ctx, const int16_t *pcm, size_t n, nsec now)
{
	(void)pcm, (void)n, (void)now;
	((struct world *)ctx)->n_played++;
}

static void on_open(void *ctx, nsec now)
{
	(void)now;
	((struct world *)ctx)->n_opened++;
}

static void on_line(void *ctx, const char *line, size_t len, nsec now)
{
	struct world *w = ctx;

	(void)now;
	snprintf(w->line, sizeof w->line, "%.*s", (int)len, line);
}

static void on_end(void *ctx, const struct call_end *end)
{
	struct world *w = ctx;

	w->n_ended++;
	w->end = *end;
}

/* `hosts`: numeric addresses, comma separated. */
static void begin(struct world *w, const char *hosts, bool v1)
{
	const struct call_handler handler = {.ctx = w, .capture = capture, .play = play, .on_open = on_open, .on_line = on_line, .on_end = on_end};
	static const struct log log;
	struct quic_addr addrs[4];
	struct call_opts opts;
	struct url url;
	char copy[128], *save, why[256] = "";
	size_t n = 0;

	memset(w, 0, sizeof *w);
	memset(the_net.conns, 0, sizeof the_net.conns);
	the_net.n_conns = 0;
	the_net.n_closed = 0;
	w->session = (struct wt_session){.datagram_max = 1200};
	snprintf(copy, sizeof copy, "%s", hosts);
	for (char *h = strtok_r(copy, ",", &save); h; h = strtok_r(NULL, ",", &save))
		assert_int_equal(quic_addr_parse(h, 4433, &addrs[n++]), 0);
	assert_int_equal(url_parse("https://voice.example:4433/audio?room=a", &url, why), 0);
	call_opts_default(&opts);
	opts.v1 = v1;
	opts.line_bytes_max = 100;
	assert_int_equal(call_new(NULL, &opts, &url, addrs, n, &handler, &log, &w->call), 0);
	w->now = clock_now();
}

static void run(struct world *w, unsigned after_ms)
{
	if (!w->n_ended)
		the_net.opts->on_time(the_net.opts->ctx, w->now + nsec_from_ms(after_ms));
	settle();
}

static void answer(struct world *w, size_t conn, unsigned status)
{
	w->session.app = the_net.app;
	w->session.user = the_net.users[conn];
	the_net.app->on_answer(the_net.users[conn], &w->session, status, w->now);
	settle();
}

static void open_call(struct world *w, bool v1)
{
	begin(w, "192.0.2.1", v1);
	answer(w, 0, 200);
	assert_int_equal(w->n_opened, 1);
}

/* Everything in 20 ms steps. */
static void run_until(struct world *w, unsigned from_ms, unsigned to_ms)
{
	for (unsigned ms = from_ms; ms <= to_ms; ms += 20)
		run(w, ms);
}

static void finish(struct world *w)
{
	if (!w->n_ended)
		call_hang_up(w->call);
	settle();
	assert_int_equal(w->n_ended, 1);
	assert_int_equal(the_net.n_closed, 1);
	call_free(w->call);
	buf_fini(&the_control.out);
}

static unsigned count(const char *text)
{
	unsigned n = 0;
	size_t len = strlen(text);

	for (size_t i = 0; i + len <= the_control.out.len; i++)
		n += memcmp(the_control.out.p + i, text, len) == 0;
	return n;
}

TEST(a_call_asks_for_its_rate_and_frames_and_sends_at_the_pace_of_sound)
{
	struct world w;

	open_call(&w, true);
	assert_non_null(strstr(the_net.path, "room=a"));
	assert_non_null(strstr(the_net.path, "rate=16000"));
	assert_non_null(strstr(the_net.path, "frames=v1"));
	run_until(&w, 0, 1980);
	assert_int_equal(w.n_played, 100);
	assert_int_equal(w.session.n_sent, 100);
	assert_int_equal(count("\"type\":\"ping\""), 2);
	finish(&w);
	assert_int_equal(w.end.kind, CALL_ENDED);
}

TEST(grid_points_that_passed_long_ago_are_counted_and_not_sent)
{
	struct world w;
	struct call_stats s;

	open_call(&w, false);
	run(&w, 1000);
	call_stats(w.call, &s);
	assert_int_equal(w.n_played, 51);
	assert_int_equal(s.late, 45); /* all but the last 100 ms */
	assert_int_equal(w.session.n_sent, 6);
	finish(&w);
}

TEST(lines_are_passed_on_and_pongs_are_not)
{
	struct world w;
	struct call_stats s;

	open_call(&w, true);
	fake_wt_data(&the_control, "{\"type\":\"welcome\"}\n{\"type\":\"po", w.now);
	assert_string_equal(w.line, "{\"type\":\"welcome\"}");
	fake_wt_data(&the_control, "ng\",\"t\":0}\n", w.now + nsec_from_ms(70));
	assert_string_equal(w.line, "{\"type\":\"welcome\"}");
	call_stats(w.call, &s);
	assert_true(s.rtt_ms >= 70);
	finish(&w);
}

TEST(a_line_that_is_too_long_ends_the_stream_and_not_the_call)
{
	struct world w;
	char text[120];

	open_call(&w, false);
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	fake_wt_data(&the_control, text, w.now);
	assert_int_equal(the_control.n_aborted, 1);
	run(&w, 20);
	assert_int_equal(w.n_played, 2);
	finish(&w);
}

TEST(a_flush_and_a_report_of_what_was_played)
{
	struct world w;
	struct call_stats s;
	uint8_t frame[12 + 640] = {0, 0x80, 0, 0, 160};

	open_call(&w, true);
	for (unsigned k = 0; k < 50; k++) {
		frame[6] = (uint8_t)k;
		frame[8] = (uint8_t)(320 * k);
		frame[9] = (uint8_t)(320 * k >> 8);
		the_net.app->on_datagram(the_net.users[0], frame, sizeof frame, w.now + nsec_from_ms(20 * k));
		run(&w, 20 * k + 10);
	}
	assert_true(count("\"type\":\"played\",\"epoch\":0") >= 8);
	fake_wt_data(&the_control, "{\"type\":\"flush\",\"epoch\":1}\n", w.now + nsec_from_ms(1000));
	assert_string_equal(w.line, "{\"type\":\"flush\",\"epoch\":1}");
	call_stats(w.call, &s);
	assert_int_equal(s.media.flushes, 1);
	assert_int_equal(s.media.frames_received, 50);
	finish(&w);
}

TEST(a_silent_address_is_left_for_the_next)
{
	struct world w;

	begin(&w, "127.0.0.1,192.0.2.1,192.0.2.2", false);
	assert_int_equal(the_net.n_conns, 1);
	run(&w, 200);
	assert_int_equal(the_net.n_conns, 2);
	assert_true(the_net.conns[0].closed);
	run(&w, 700);
	assert_int_equal(the_net.n_conns, 2);
	the_net.conns[1].packets_in = 1; /* this one answers */
	run(&w, 1300);
	assert_int_equal(the_net.n_conns, 2);
	answer(&w, 1, 200);
	assert_int_equal(w.n_opened, 1);
	finish(&w);
}

TEST(nobody_answers)
{
	struct world w;

	begin(&w, "192.0.2.1", false);
	run(&w, 5000);
	assert_int_equal(w.n_ended, 0);
	run(&w, 10000);
	assert_int_equal(w.end.kind, CALL_UNREACHABLE);
	assert_non_null(strstr(w.end.text, "UDP"));
	finish(&w);
}

TEST(a_refusal_has_its_status_and_its_reason)
{
	struct world w;

	begin(&w, "192.0.2.1", false);
	answer(&w, 0, 503);
	assert_int_equal(w.end.kind, CALL_REFUSED);
	assert_int_equal(w.end.status, 503);
	assert_string_equal(w.end.text, "the room is full");
	assert_int_equal(w.n_opened, 0);
	finish(&w);
}

TEST(a_certificate_that_is_not_accepted_is_named)
{
	struct world w;
	const struct wt_close why = {.end = WT_END_CONN, .reason = "", .conn = {.end = QUIC_END_LOCAL, .code = 0x100 + 42}};

	begin(&w, "192.0.2.1", false);
	the_net.app->on_closed(the_net.users[0], &why, w.now);
	settle();
	assert_int_equal(w.end.kind, CALL_UNREACHABLE);
	assert_non_null(strstr(w.end.text, "alert 42"));
	finish(&w);
}

TEST(an_open_call_that_is_closed_is_lost)
{
	struct world w;
	const struct wt_close why = {.end = WT_END_PEER, .code = 1, .reason = "shutdown"};

	open_call(&w, false);
	fake_wt_close(&w.session, &why, w.now);
	settle();
	assert_int_equal(w.end.kind, CALL_LOST);
	assert_int_equal(w.end.code, 1);
	assert_non_null(strstr(w.end.text, "shutdown"));
	finish(&w);
}

TEST(a_server_that_answered_pings_and_then_says_nothing_is_lost)
{
	struct world w;

	open_call(&w, false);
	fake_wt_data(&the_control, "{\"type\":\"pong\",\"t\":0}\n", w.now);
	run_until(&w, 0, 8000);
	assert_int_equal(w.n_ended, 0);
	run_until(&w, 8020, 13000);
	assert_int_equal(w.end.kind, CALL_LOST);
	assert_true(the_net.conns[0].closed);
	finish(&w);
}

TEST(a_line_that_does_not_fit_is_refused_whole)
{
	struct world w;
	char text[300];

	open_call(&w, false);
	the_control.out.max = the_control.out.len + 200;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	size_t before = the_control.out.len;

	assert_int_equal(call_send_line(w.call, text, w.now), ERR_LIMIT);
	assert_int_equal(the_control.out.len, before);
	assert_int_equal(call_send_line(w.call, "{}", w.now), 0);
	assert_int_equal(the_control.out.len, before + 3);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_asks_for_its_rate_and_frames_and_sends_at_the_pace_of_sound),
		cmocka_unit_test(grid_points_that_passed_long_ago_are_counted_and_not_sent),
		cmocka_unit_test(lines_are_passed_on_and_pongs_are_not),
		cmocka_unit_test(a_line_that_is_too_long_ends_the_stream_and_not_the_call),
		cmocka_unit_test(a_flush_and_a_report_of_what_was_played),
		cmocka_unit_test(a_silent_address_is_left_for_the_next),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(a_refusal_has_its_status_and_its_reason),
		cmocka_unit_test(a_certificate_that_is_not_accepted_is_named),
		cmocka_unit_test(an_open_call_that_is_closed_is_lost),
		cmocka_unit_test(a_server_that_answered_pings_and_then_says_nothing_is_lost),
		cmocka_unit_test(a_line_that_does_not_fit_is_refused_whole),
	};

	return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
