/* SPDX-License-Identifier: MIT */
/* One table for everybody who asks: what CONNECT is told, and what /check says of the same request. */
#include "support/test.h"

#include "daemon/admission.h"
#include "daemon/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_NAME "01234567890123456789012345678901234567890123456789012345678901234"

struct world {
	struct config cfg;
	struct admission a;
	struct guest neighbour; /* of whom asks: at the same address; its room NULL: not there */
};

/* Whom all requests come from. */
static const struct sockaddr *peer(void)
{
	static struct quic_addr a;

	assert_int_equal(quic_addr_parse("192.0.2.9", 4000, &a), 0);
	return &a.sa;
}

/* Two shards. "small" has one place and it is taken, in shard 0; of five rooms three are there. */
static int open_world(void **state)
{
	static const char *const rules[] = {"team-*", "small"};
	struct world *w = calloc(1, sizeof *w);
	unsigned shard;

	assert_non_null(w);
	config_default(&w->cfg);
	for (size_t i = 0; i < 2; i++) {
		room_rule_default(&w->cfg.room[i]);
		strcpy(w->cfg.room[i].name, rules[i]);
	}
	w->cfg.room[1].max_participants = 1;
	w->cfg.rooms.rules = w->cfg.room;
	w->cfg.rooms.n_rules = 2;
	w->cfg.rooms.max_rooms = 5;
	w->cfg.limits.max_sessions = 6;
	w->a.cfg = &w->cfg;
	assert_int_equal(registry_new(&w->cfg, 2, &w->a.registry), 0);
	assert_int_equal(registry_enter(w->a.registry, &(struct guest){.room = "small"}, 0, &shard), VERDICT_ADMITTED);
	assert_int_equal(registry_enter(w->a.registry, &(struct guest){.room = "team-0"}, 0, &shard), VERDICT_ADMITTED);
	assert_int_equal(registry_enter(w->a.registry, &(struct guest){.room = "team-1"}, 1, &shard), VERDICT_ADMITTED);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	if (w->neighbour.room)
		registry_leave(w->a.registry, &w->neighbour);
	registry_leave(w->a.registry, &(struct guest){.room = "small"});
	registry_leave(w->a.registry, &(struct guest){.room = "team-0"});
	registry_leave(w->a.registry, &(struct guest){.room = "team-1"});
	assert_int_equal(registry_sessions(w->a.registry), 0);
	registry_free(w->a.registry);
	free(w);
	return 0;
}

/* --- what may have happened before -------------------------------------------------------- */

static void nothing(struct world *w)
{
	(void)w;
}

static void fill_rooms(struct world *w)
{
	w->cfg.rooms.max_rooms = 3;
}

static void fill_server(struct world *w)
{
	w->cfg.limits.max_sessions = 3;
}

static void join_neighbour(struct world *w, const char *room)
{
	unsigned shard;

	w->neighbour = (struct guest){room, registry_holder(w->a.registry, peer())};
	assert_int_equal(registry_enter(w->a.registry, &w->neighbour, 0, &shard), VERDICT_ADMITTED);
}

static void hold_the_share_of_sessions(struct world *w)
{
	join_neighbour(w, "team-0");
}

static void hold_the_share_of_rooms(struct world *w)
{
	w->cfg.limits.max_sessions = 100;
	join_neighbour(w, "team-2");
}

static void busy_here(struct world *w)
{
	registry_set_busy(w->a.registry, 0, true);
}

static void busy_everywhere(struct world *w)
{
	registry_set_busy(w->a.registry, 0, true);
	registry_set_busy(w->a.registry, 1, true);
}

static void list_origins(struct world *w)
{
	w->cfg.server.n_origins = 1;
	strcpy(w->cfg.server.origins[0], "https://a.example");
}

static void drain(struct world *w)
{
	registry_drain(w->a.registry);
}

static void drain_when_full(struct world *w)
{
	fill_server(w);
	drain(w);
}

static const struct {
	void (*before)(struct world *w);
	const char *path, *query, *origin;
	enum verdict verdict;
	unsigned status;
	const char *text;
	unsigned shard; /* with VERDICT_MOVED: its number; /check answers that they may come */
} cases[] = {
	{nothing, "/audio", "", NULL, VERDICT_ADMITTED, 200, "admitted", 0},
	{nothing, "/audio", "room=team-0&name=Ann&rate=8000&codec=pcm&frames=v1&what=ever", "https://192.0.2.1:8443", VERDICT_ADMITTED,
		200, "admitted", 0},
	{nothing, "/audio", "room=team-1", NULL, VERDICT_MOVED, 0, "moved to another shard", 1},
	{busy_here, "/audio", "room=team-9", NULL, VERDICT_MOVED, 0, "moved to another shard", 1},
	{busy_here, "/audio", "", NULL, VERDICT_MOVED, 0, "moved to another shard", 1},
	{nothing, "/audio", "room=%zz", NULL, VERDICT_BAD_ROOM, 400, "room: badly encoded or longer than 64 bytes", 0},
	{nothing, "/audio", "room=a%00b", NULL, VERDICT_BAD_ROOM, 400, "room: badly encoded or longer than 64 bytes", 0},
	{nothing, "/audio", "room=" LONG_NAME, "", VERDICT_BAD_ROOM, 400, "room: badly encoded or longer than 64 bytes", 0},
	{nothing, "/audio", "name=%4", NULL, VERDICT_BAD_NAME, 400, "name: badly encoded or longer than 64 bytes", 0},
	{nothing, "/audio", "name=" LONG_NAME, "", VERDICT_BAD_NAME, 400, "name: badly encoded or longer than 64 bytes", 0},
	{nothing, "/audio", "rate=7999", NULL, VERDICT_BAD_RATE, 400, "rate: use 8000 to 48000", 0},
	{nothing, "/audio", "rate=", NULL, VERDICT_BAD_RATE, 400, "rate: use 8000 to 48000", 0},
	{nothing, "/audio", "codec=opus", NULL, VERDICT_BAD_CODEC, 400, "codec: this server speaks pcm", 0},
	{nothing, "/audio", "frames=v2", NULL, VERDICT_BAD_FRAMES, 400, "frames: this server speaks legacy and v1", 0},
	{nothing, "/audio", "name=a%0ab", NULL, VERDICT_BAD_TEXT, 400,
		"room and name: 1 to 64 bytes of UTF-8 without control characters", 0},
	{nothing, "/audio", "room=team-%ff", NULL, VERDICT_BAD_TEXT, 400,
		"room and name: 1 to 64 bytes of UTF-8 without control characters", 0},
	{nothing, "/audio", "room=+", NULL, VERDICT_BAD_TEXT, 400,
		"room and name: 1 to 64 bytes of UTF-8 without control characters", 0},
	{nothing, "/audio", "", "https://evil.example", VERDICT_BAD_ORIGIN, 403, "pages of this origin may not connect", 0},
	{nothing, "/audio", "", "", VERDICT_BAD_ORIGIN, 403, "pages of this origin may not connect", 0},
	{list_origins, "/audio", "", "https://192.0.2.1:8443", VERDICT_BAD_ORIGIN, 403, "pages of this origin may not connect", 0},
	{list_origins, "/audio", "", "https://a.example", VERDICT_ADMITTED, 200, "admitted", 0},
	{nothing, "/", "", NULL, VERDICT_NO_SUCH_PATH, 404, "no voice at this path", 0},
	{nothing, "/audio/", "room=%zz", NULL, VERDICT_NO_SUCH_PATH, 404, "no voice at this path", 0},
	{nothing, "/audio", "room=kitchen", NULL, VERDICT_NO_SUCH_ROOM, 404, "there is no such room here", 0},
	{drain, "/audio", "", NULL, VERDICT_DRAINING, 503, "the server is shutting down", 0},
	{drain, "/audio", "room=team-1", NULL, VERDICT_DRAINING, 503, "the server is shutting down", 0},
	{drain_when_full, "/audio", "", NULL, VERDICT_DRAINING, 503, "the server is shutting down", 0},
	{fill_server, "/audio", "room=team-0", NULL, VERDICT_SERVER_FULL, 503, "the server is full", 0},
	{busy_everywhere, "/audio", "", NULL, VERDICT_SERVER_BUSY, 503, "the server is busy", 0},
	{busy_here, "/audio", "room=team-0", NULL, VERDICT_SERVER_BUSY, 503, "the server is busy", 0},
	{nothing, "/audio", "room=small", NULL, VERDICT_ROOM_FULL, 503, "the room is full", 0},
	{fill_rooms, "/audio", "room=team-9", NULL, VERDICT_TOO_MANY_ROOMS, 503, "the server has no place for another room", 0},
	{fill_rooms, "/audio", "", NULL, VERDICT_TOO_MANY_ROOMS, 503, "the server has no place for another room", 0},
	{hold_the_share_of_sessions, "/audio", "room=team-0", NULL, VERDICT_ADDRESS_SESSIONS, 429,
		"the server fills up, and there are too many sessions from this address", 0},
	{hold_the_share_of_rooms, "/audio", "", NULL, VERDICT_ADDRESS_ROOMS, 429,
		"the server fills up, and there are too many rooms from this address", 0},
	{hold_the_share_of_rooms, "/audio", "room=team-0", NULL, VERDICT_ADMITTED, 200, "admitted", 0},
};

enum { N_CASES = sizeof cases / sizeof *cases };

static struct http_request request_of(size_t i, const char *method, const char *path)
{
	return (struct http_request){.method = method, .path = path, .query = cases[i].query, .host = "192.0.2.1:4433",
		.origin = cases[i].origin, .authorization = "", .user_agent = "", .peer = peer()};
}

static void in_fresh_world(void (*run)(struct world *w, size_t i))
{
	for (size_t i = 0; i < N_CASES; i++) {
		void *state;

		open_world(&state);
		cases[i].before(state);
		run(state, i);
		close_world(&state);
	}
}

static void connect_case(struct world *w, size_t i)
{
	const struct http_request req = request_of(i, "CONNECT", cases[i].path);
	struct join j;
	struct holder_key from;
	uint32_t before = registry_sessions(w->a.registry);
	unsigned shard = 0;
	enum verdict v = admission_enter(&w->a, &req, 0, &j, &from, &shard);

	if (v != cases[i].verdict || verdict_status(v) != cases[i].status || strcmp(verdict_text(v), cases[i].text) != 0)
		fail_msg("%s?%s: %u %s", cases[i].path, cases[i].query, verdict_status(v), verdict_text(v));
	if (v == VERDICT_MOVED)
		assert_int_equal(shard, cases[i].shard);
	assert_int_equal(registry_sessions(w->a.registry), before + (v == VERDICT_ADMITTED));
	if (v == VERDICT_ADMITTED)
		registry_leave(w->a.registry, &(struct guest){j.room, from});
}

TEST(a_connect_gets_its_verdict)
{
	in_fresh_world(connect_case);
}

static void check_case(struct world *w, size_t i)
{
	static const atomic_bool not_draining;
	const struct web web = {.cfg = &w->cfg, .registry = w->a.registry, .version = "1", .draining = &not_draining};
	const struct http_request req = request_of(i, "GET", "/check");
	struct http_response res;
	uint32_t before = registry_sessions(w->a.registry);
	char want[256], got[256];

	http_response_init(&res);
	web_answer(&web, &req, &res);
	if (cases[i].verdict <= VERDICT_MOVED)
		snprintf(want, sizeof want, "{\"ok\":true}\n");
	else
		snprintf(want, sizeof want, "{\"ok\":false,\"status\":%u,\"reason\":\"%s\"}\n", cases[i].status, cases[i].text);
	snprintf(got, sizeof got, "%.*s", (int)res.len, (const char *)res.body);
	assert_int_equal(res.status, 200);
	assert_string_equal(got, want);
	assert_int_equal(registry_sessions(w->a.registry), before);
	free(res.owned);
}

static void check_case_of_the_right_path(struct world *w, size_t i)
{
	if (cases[i].verdict != VERDICT_NO_SUCH_PATH)
		check_case(w, i);
}

TEST(check_gives_the_verdict_on_the_same_connect)
{
	in_fresh_world(check_case_of_the_right_path);
}

TEST(every_verdict_is_in_the_table)
{
	bool found[VERDICT_N] = {
		[VERDICT_NOT_MOVED] = true, [VERDICT_NO_MEMORY] = true, /* those of the link: tests/sim/test_shards.c */
	};

	for (size_t i = 0; i < N_CASES; i++)
		found[cases[i].verdict] = true;
	for (int v = 0; v < VERDICT_N; v++)
		assert_true(found[v]);
}

TEST(a_verdict_is_one_line_with_a_status_that_is_counted)
{
	struct refusals r = {0};

	for (int v = VERDICT_MOVED + 1; v < VERDICT_N; v++) {
		const char *text = verdict_text((enum verdict)v);

		assert_true(strlen(text) > 8);
		for (const char *p = text; *p; p++)
			assert_true(*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\');
		refusals_count(&r, (enum verdict)v);
	}
	assert_int_equal(r.status_400, 6);
	assert_int_equal(r.status_403, 1);
	assert_int_equal(r.status_404, 2);
	assert_int_equal(r.status_503, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connect_gets_its_verdict),
		cmocka_unit_test(check_gives_the_verdict_on_the_same_connect),
		cmocka_unit_test(every_verdict_is_in_the_table),
		cmocka_unit_test(a_verdict_is_one_line_with_a_status_that_is_counted),
	};

	return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
