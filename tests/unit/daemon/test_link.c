/* SPDX-License-Identifier: MIT */
/* Links over a session that is made of nothing: real rooms, and every packet and line is seen here. */
#include "support/test.h"

#include "base/err.h"
#include "daemon/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEOPLE_MAX = 4, NONE = 0xffffffff };

/* Later with each call: a line that was written twice says two times. */
static int64_t wall_calls;

static int64_t wall_ms(void)
{
	return 1800000000000 + ++wall_calls;
}

/* --- a session ----------------------------------------------------------------------------------- */

struct client {
	struct session base; /* first */
	struct world *w;
	struct session_answer answer;
	char lines[8192];    /* what it was sent, since it was last looked at */
	size_t n_lines;
	unsigned n_flushes;
	unsigned n_audio, n_moves, moved_to;
	size_t audio_max, audio_bytes;
	int line_result, move_result;
	size_t room;         /* for lines ... */
	unsigned closed_to;  /* ... and kinds that find none, one bit each */
	uint64_t taken;
	bool nothing_waits;
	uint32_t closed_with; /* NONE: it is not closed */
	char reason[64];
};

struct world {
	struct config *cfg;
	struct rooms *rooms;
	struct registry *registry;
	struct links *links;
	struct client client[PEOPLE_MAX];
	size_t n_clients;
	nsec now;
	int move_result; /* of clients to come */
};

static const struct session_app *app_of(const struct client *c)
{
	return c->answer.app ? c->answer.app : links_host(c->w->links)->app;
}

static int send_audio(struct session *s, const void *head, size_t head_len, const void *body, size_t len, nsec now)
{
	struct client *c = (struct client *)s;

	(void)head, (void)body, (void)now;
	assert_true(head_len + len <= c->audio_max);
	c->n_audio++;
	c->audio_bytes += head_len + len;
	return 0;
}

static bool hears(const struct session *s)
{
	(void)s;
	return true;
}

static size_t audio_max(const struct session *s)
{
	return ((const struct client *)s)->audio_max;
}

static void end_lines(struct session *s, nsec now)
{
	(void)now;
	s->lines = SESSION_LINES_LOST;
}

static uint64_t lines_taken(const struct session *s)
{
	return ((const struct client *)s)->taken;
}

static size_t lines_waiting(const struct session *s)
{
	return ((const struct client *)s)->nothing_waits ? 0 : 1;
}

static int queue_line(struct session *s, enum session_line kind, const void *p, size_t len, nsec now)
{
	struct client *c = (struct client *)s;

	if (len > c->room || c->closed_to & 1u << kind)
		return ERR_LIMIT;
	if (c->line_result) {
		end_lines(s, now);
		return c->line_result;
	}
	assert_true(c->n_lines + len < sizeof c->lines);
	memcpy(c->lines + c->n_lines, p, len);
	c->n_lines += len;
	c->lines[c->n_lines] = '\0';
	return 0;
}

static void flush_lines(struct session *s, nsec now)
{
	(void)now;
	((struct client *)s)->n_flushes++;
}

static void info(const struct session *s, struct session_info *out)
{
	(void)s;
	*out = (struct session_info){.rtt_us = 1500, .packets_sent = 10, .packets_lost = 2, .audio_dropped = 3};
}

static void peer(const struct session *s, char out[SESSION_PEER_TEXT])
{
	(void)s;
	strcpy(out, "192.0.2.7:5000");
}

static int move(struct session *s, unsigned shard)
{
	struct client *c = (struct client *)s;

	c->n_moves++;
	c->moved_to = shard;
	return c->move_result;
}

static void ended(struct client *c, enum session_end end)
{
	const struct session_close why = {.end = end, .reason = "", .how = "test"};

	c->base.lines = SESSION_LINES_LOST;
	app_of(c)->on_closed(c->base.user, &why, c->w->now);
	if (c->closed_with == NONE)
		c->closed_with = 0;
}

static void close_session(struct session *s, uint32_t code, const char *reason, nsec now)
{
	struct client *c = (struct client *)s;

	(void)now;
	c->closed_with = code;
	snprintf(c->reason, sizeof c->reason, "%s", reason);
	ended(c, SESSION_END_LOCAL);
}

static const struct session_ops ops = {
	.send_audio = send_audio,
	.hears = hears,
	.audio_max = audio_max,
	.queue_line = queue_line,
	.flush_lines = flush_lines,
	.lines_taken = lines_taken,
	.lines_waiting = lines_waiting,
	.end_lines = end_lines,
	.info = info,
	.peer = peer,
	.move = move,
	.close = close_session,
};

/* --- a world ------------------------------------------------------------------------------------- */

static struct {
	unsigned joined, left, left_out;
} log_lines;

static void count_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)level;
	if (strstr(line, "lines_left_out="))
		log_lines.left_out++;
	else if (strstr(line, "joined peer="))
		log_lines.joined++;
	else if (strstr(line, "left end="))
		log_lines.left++;
}

static uint32_t room_text_bytes_per_s; /* 0: the default */

static void world_init_with(struct world *w, unsigned n_shards, uint32_t silent_client_ms)
{
	static struct log_out out = {.level = LOG_INFO, .journal = true, .hook = count_line};
	static const struct log quiet, counted = {.out = &out};

	memset(&log_lines, 0, sizeof log_lines);
	memset(w, 0, sizeof *w);
	wall_calls = 0;
	w->now = nsec_from_s(100);
	w->cfg = calloc(1, sizeof *w->cfg);
	assert_non_null(w->cfg);
	config_default(w->cfg);
	w->cfg->limits.silent_client_ms = silent_client_ms;
	if (room_text_bytes_per_s)
		w->cfg->rooms.room_text_bytes_per_s = room_text_bytes_per_s;
	assert_int_equal(rooms_new(&w->cfg->rooms, &quiet, &w->rooms), 0);
	assert_int_equal(registry_new(w->cfg, n_shards, &w->registry), 0);
	const struct links_opts o = {.cfg = w->cfg, .rooms = w->rooms, .registry = w->registry, .wall_ms = wall_ms};

	assert_int_equal(links_new(&o, &counted, &w->links), 0);
}

static void world_init_shards(struct world *w, unsigned n_shards)
{
	world_init_with(w, n_shards, 15000);
}

static void world_init(struct world *w)
{
	world_init_shards(w, 1);
}

static void world_init_text(struct world *w, uint32_t bytes_per_s)
{
	room_text_bytes_per_s = bytes_per_s;
	world_init(w);
	room_text_bytes_per_s = 0;
}

static void world_end(struct world *w)
{
	for (size_t i = 0; i < w->n_clients; i++)
		if (w->client[i].answer.decision == SESSION_ADMITTED && w->client[i].closed_with == NONE)
			ended(&w->client[i], SESSION_END_PEER);
	assert_int_equal(links_stats(w->links)->links, 0);
	assert_true(links_deadline(w->links) == NSEC_NONE);
	links_free(w->links);
	assert_int_equal(registry_sessions(w->registry), 0);
	registry_free(w->registry);
	rooms_free(w->rooms);
	free(w->cfg);
}

static struct client *ask(struct world *w, const char *path, const char *query, const char *origin)
{
	struct client *c = &w->client[w->n_clients++];
	char target[256];
	struct http_request req = {.method = "CONNECT", .host = "localhost:4433", .origin = origin};

	*c = (struct client){.base.ops = &ops, .base.id = w->n_clients, .w = w, .audio_max = 1200, .room = SIZE_MAX, .move_result = w->move_result,
		.closed_with = NONE};
	snprintf(target, sizeof target, "%s?%s", path, query);
	assert_int_equal(http_target_parse(target, &req), 0);
	app_of(c)->on_open(links_host(w->links)->ctx, &c->base, &req, &c->answer, w->now);
	c->base.user = c->answer.user;
	return c;
}

static void read_lines(struct client *c, char *out, size_t size)
{
	snprintf(out, size, "%s", c->lines);
	c->lines[0] = '\0';
	c->n_lines = 0;
}

static void open_lines(struct client *c)
{
	c->base.lines = SESSION_LINES_OPEN;
	app_of(c)->on_ready(c->base.user, c->w->now);
}

/* Somebody in room x whose lines are open; the welcome is read already. */
static struct client *join(struct world *w)
{
	struct client *c = ask(w, "/audio", "room=x", NULL);
	char welcome[4096];

	assert_int_equal(c->answer.decision, SESSION_ADMITTED);
	open_lines(c);
	read_lines(c, welcome, sizeof welcome);
	for (size_t i = 0; i < w->n_clients; i++)
		read_lines(&w->client[i], welcome, sizeof welcome);
	return c;
}

static void write_line(struct client *c, const char *line)
{
	char *copy = malloc(strlen(line) + 1); /* exactly this long, and without its NUL */

	memcpy(copy, line, strlen(line) + 1);
	app_of(c)->on_line(c->base.user, copy, strlen(line), c->w->now);
	free(copy);
}

/* Everything that `c` was sent since it was last asked. */
static void assert_was_sent(struct client *c, const char *want)
{
	char text[8192];

	read_lines(c, text, sizeof text);
	assert_string_equal(text, want);
}

static void assert_was_sent_with(struct client *c, const char *part)
{
	char text[8192];

	read_lines(c, text, sizeof text);
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static void run_until(struct world *w, nsec end)
{
	while (links_deadline(w->links) <= end) {
		w->now = links_deadline(w->links);
		links_run(w->links, w->now);
	}
	w->now = end;
}

/* --- coming and going ------------------------------------------------------------------------------ */

TEST(the_welcome_names_the_session_and_the_room)
{
	struct world w;

	world_init(&w);
	struct client *c = ask(&w, "/audio", "room=x&name=Ann&rate=24000", NULL);

	assert_int_equal(c->answer.decision, SESSION_ADMITTED);
	assert_was_sent(c, "");
	open_lines(c);
	assert_was_sent(c, "{\"type\":\"welcome\",\"session\":\"s1\",\"participant\":1,\"name\":\"Ann\",\"room\":\"x\",\"private\":false,"
			   "\"rate\":24000,\"room_rate\":16000,\"codec\":\"pcm\",\"frames\":\"legacy\",\"frame_ms\":20,\"participants\":"
			   "[{\"id\":1,\"name\":\"Ann\",\"muted\":false,\"speaking\":false}],\"bridge\":null}\n");
	world_end(&w);
}

TEST(lines_of_sessions_that_come_and_go_at_once_are_left_out_of_the_log)
{
	struct world w;

	world_init(&w);
	for (int i = 0; i < 1000; i++) {
		ended(ask(&w, "/audio", "room=x", NULL), SESSION_END_PEER);
		w.n_clients = 0;
	}
	assert_int_equal(log_lines.joined, 200);
	assert_int_equal(log_lines.left, 200);
	assert_int_equal(log_lines.left_out, 0);
	w.now += nsec_from_s(10);
	ended(ask(&w, "/audio", "room=x", NULL), SESSION_END_PEER);
	assert_int_equal(log_lines.joined, 201);
	assert_int_equal(log_lines.left, 201);
	assert_int_equal(log_lines.left_out, 2);
	world_end(&w);
}

TEST(refusals_have_a_status_and_a_reason)
{
	struct world w;

	world_init(&w);
	assert_int_equal(ask(&w, "/elsewhere", "room=x", NULL)->answer.status, 404);
	assert_int_equal(ask(&w, "/audio", "room=x&rate=7", NULL)->answer.status, 400);
	assert_int_equal(ask(&w, "/audio", "room=x", "https://elsewhere.example")->answer.status, 403);
	links_drain(w.links, 1000, w.now);
	assert_int_equal(ask(&w, "/audio", "room=x", NULL)->answer.status, 503);
	for (size_t i = 0; i < w.n_clients; i++) {
		assert_int_equal(w.client[i].answer.decision, SESSION_REFUSED);
		assert_true(w.client[i].answer.why != NULL);
	}
	world_end(&w);
}

/* A room that lives in shard 1; the links are those of shard 0. */
static void in_another_shard(struct world *w)
{
	unsigned shard;

	world_init_shards(w, 2);
	assert_int_equal(registry_enter(w->registry, &(struct guest){.room = "x"}, 1, &shard), VERDICT_ADMITTED);
	assert_int_equal(shard, 1);
}

TEST(a_session_for_a_room_of_another_shard_moves_there)
{
	struct world w;

	in_another_shard(&w);
	struct client *c = ask(&w, "/audio", "room=x", NULL);

	assert_int_equal(c->answer.decision, SESSION_MOVED);
	assert_int_equal(c->n_moves, 1);
	assert_int_equal(c->moved_to, 1);
	assert_int_equal(links_stats(w.links)->links, 0);
	registry_leave(w.registry, &(struct guest){.room = "x"});
	world_end(&w);
}

TEST(a_session_that_cannot_move_is_refused_and_counted)
{
	struct world w;

	in_another_shard(&w);
	w.move_result = ERR_LIMIT;
	struct client *c = ask(&w, "/audio", "room=x", NULL);

	assert_int_equal(c->answer.decision, SESSION_REFUSED);
	assert_int_equal(c->answer.status, 503);
	assert_int_equal(links_stats(w.links)->refused.status_503, 1);
	registry_leave(w.registry, &(struct guest){.room = "x"});
	world_end(&w);
}

static void leaves_with(enum session_end end, bool draining, const char *line)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	if (draining) {
		links_drain(w.links, 1000, w.now);
		assert_was_sent_with(a, "{\"type\":\"bye\",\"reason\":\"shutdown\"");
	}
	ended(b, end);
	assert_was_sent(a, line);
	world_end(&w);
}

TEST(the_others_are_told_why_somebody_left)
{
	leaves_with(SESSION_END_PEER, false, "{\"type\":\"left\",\"id\":2,\"reason\":\"closed\"}\n");
	leaves_with(SESSION_END_LOST, false, "{\"type\":\"left\",\"id\":2,\"reason\":\"lost\"}\n");
	leaves_with(SESSION_END_LOCAL, false, "{\"type\":\"left\",\"id\":2,\"reason\":\"closed\"}\n");
	leaves_with(SESSION_END_LOCAL, true, "{\"type\":\"left\",\"id\":2,\"reason\":\"shutdown\"}\n");
}

TEST(all_links_are_closed_with_one_code)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	links_close_all(w.links, CLOSE_SHUTDOWN, "the end", w.now);
	assert_int_equal(a->closed_with, CLOSE_SHUTDOWN);
	assert_int_equal(b->closed_with, CLOSE_SHUTDOWN);
	assert_string_equal(b->reason, "the end");
	assert_int_equal(links_stats(w.links)->links, 0);
	world_end(&w);
}

/* --- what clients ask for -------------------------------------------------------------------------- */

TEST(a_message_goes_to_everybody_in_one_and_the_same_line)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);
	static const char line[] = "{\"type\":\"message\",\"from\":1,\"to\":null,\"text\":\"hi\",\"time\":1800000000001}\n";

	write_line(a, "{\"type\":\"message\",\"text\":\"hi\"}");
	assert_was_sent(a, line);
	assert_was_sent(b, line);
	world_end(&w);
}

TEST(the_lines_of_one_tick_leave_together)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);
	unsigned before;

	run_until(&w, w.now + nsec_from_ms(20));
	before = b->n_flushes;
	for (int i = 0; i < 5; i++)
		write_line(a, "{\"type\":\"message\",\"text\":\"hi\"}");
	run_until(&w, w.now + nsec_from_ms(19));
	assert_int_equal(b->n_flushes, before);
	run_until(&w, w.now + nsec_from_ms(1));
	assert_int_equal(b->n_flushes, before + 1);
	run_until(&w, w.now + nsec_from_ms(100));
	assert_int_equal(b->n_flushes, before + 1);
	write_line(a, "{\"type\":\"message\",\"text\":\"hi\"}");
	write_line(b, "{\"type\":\"ping\",\"t\":1}"); /* an answer waits for nobody, and takes along what does */
	assert_int_equal(b->n_flushes, before + 2);
	run_until(&w, w.now + nsec_from_ms(100));
	assert_int_equal(b->n_flushes, before + 2);
	world_end(&w);
}

TEST(senders_beyond_the_limit_of_their_room_are_told_once_a_second)
{
	struct world w;

	world_init_text(&w, 100); /* a line or two */
	struct client *a = join(&w), *b = join(&w);

	for (int i = 0; i < 5; i++)
		write_line(a, "{\"type\":\"message\",\"text\":\"hi\"}");
	char text[8192];

	read_lines(a, text, sizeof text);
	const char *first = strstr(text, "messages_limited");

	assert_non_null(first);
	assert_null(strstr(first + 1, "messages_limited"));
	assert_was_sent_with(b, "message");
	run_until(&w, w.now + nsec_from_ms(1000));
	write_line(a, "{\"type\":\"message\",\"text\":\"hi\"}");
	write_line(a, "{\"type\":\"message\",\"text\":\"hi\"}");
	assert_was_sent_with(a, "messages_limited");
	world_end(&w);
}

TEST(a_line_for_one_is_not_taken_for_that_of_everybody)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	write_line(a, "{\"type\":\"message\",\"text\":\"all\"}");
	write_line(a, "{\"type\":\"ping\",\"t\":1}");
	write_line(a, "{\"type\":\"message\",\"text\":\"you\",\"to\":2}");
	write_line(a, "{\"type\":\"mute\",\"muted\":true}");
	char text[1024];

	read_lines(b, text, sizeof text);
	assert_string_equal(text, "{\"type\":\"message\",\"from\":1,\"to\":null,\"text\":\"all\",\"time\":1800000000001}\n"
				  "{\"type\":\"message\",\"from\":1,\"to\":2,\"text\":\"you\",\"time\":1800000000002}\n"
				  "{\"type\":\"mute\",\"id\":1,\"muted\":true}\n");
	assert_was_sent_with(a, "{\"type\":\"pong\",\"t\":1}\n");
	world_end(&w);
}

TEST(a_ping_is_answered_and_a_bye_ends_the_session)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);

	write_line(c, "{\"type\":\"ping\",\"t\":2.5} \r");
	assert_was_sent(c, "{\"type\":\"pong\",\"t\":2.5}\n");
	write_line(c, "{\"type\":\"of a later version\"}");
	write_line(c, " \t");
	write_line(c, "");
	assert_was_sent(c, "");
	write_line(c, "{\"type\":\"bye\"}");
	assert_int_equal(c->closed_with, CLOSE_OK);
	assert_string_equal(c->reason, "bye");
	assert_int_equal(links_stats(w.links)->control_in, 3);
	world_end(&w);
}

TEST(an_impossible_request_is_answered_with_an_error)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);

	write_line(c, "hello");
	assert_was_sent_with(c, "{\"type\":\"error\",\"code\":\"bad_message\"");
	write_line(c, "{\"type\":\"message\",\"text\":\"x\",\"to\":99}");
	assert_was_sent_with(c, "{\"type\":\"error\",\"code\":\"no_such_participant\"");
	write_line(c, "{\"type\":\"bridge\",\"mode\":\"muted\"}");
	assert_was_sent_with(c, "{\"type\":\"error\",\"code\":\"no_bridge\"");
	app_of(c)->on_long_line(c->base.user, w.now);
	assert_was_sent_with(c, "{\"type\":\"error\",\"code\":\"line_too_long\"");
	assert_int_equal(links_stats(w.links)->control_bad, 4);
	world_end(&w);
}

TEST(lines_over_the_limit_are_ignored_and_warned_of_once)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);
	unsigned burst = 2 * w.cfg->limits.control_messages_per_s;

	for (unsigned i = 0; i < burst; i++)
		write_line(c, "{\"type\":\"played\",\"epoch\":0,\"samples\":0}");
	assert_was_sent(c, "");
	write_line(c, "{\"type\":\"ping\"}");
	assert_was_sent_with(c, "{\"type\":\"warning\",\"code\":\"rate_limited\"");
	write_line(c, "{\"type\":\"ping\"}");
	assert_was_sent(c, "");
	assert_int_equal(links_stats(w.links)->control_limited, 2);
	w.now += nsec_from_s(1);
	write_line(c, "{\"type\":\"ping\"}");
	assert_was_sent_with(c, "pong");
	world_end(&w);
}

/* --- statistics ------------------------------------------------------------------------------------ */

TEST(statistics_come_as_often_as_asked_and_tell_of_the_connection)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);

	write_line(c, "{\"type\":\"stats\"}");
	assert_was_sent_with(c, "{\"type\":\"stats\",\"rtt_ms\":1.5,\"received_packets\":0,\"sent_packets\":10,\"lost_packets\":2,"
				"\"dropped_datagrams\":3,");
	assert_true(links_deadline(w.links) == NSEC_NONE);
	write_line(c, "{\"type\":\"stats\",\"every_ms\":500}");
	assert_was_sent_with(c, "stats");
	run_until(&w, w.now + nsec_from_ms(499));
	assert_was_sent(c, "");
	run_until(&w, w.now + nsec_from_ms(1));
	assert_was_sent_with(c, "stats");
	write_line(c, "{\"type\":\"stats\",\"every_ms\":0}");
	assert_was_sent_with(c, "stats");
	run_until(&w, w.now + nsec_from_s(5));
	assert_was_sent(c, "");
	world_end(&w);
}

TEST(no_statistics_are_made_for_a_client_whose_lines_are_lost)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);

	write_line(c, "{\"type\":\"stats\",\"every_ms\":200}");
	c->base.lines = SESSION_LINES_LOST; /* the client closed its stream */
	run_until(&w, w.now + nsec_from_ms(200));
	assert_true(links_deadline(w.links) == NSEC_NONE);
	assert_int_equal(links_stats(w.links)->control_lost, 0);
	world_end(&w);
}

TEST(a_client_that_is_gone_from_its_lines_is_counted_once_and_stays)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	write_line(a, "{\"type\":\"stats\",\"every_ms\":200}");
	a->line_result = ERR_STATE;
	run_until(&w, w.now + nsec_from_ms(200));
	assert_int_equal(links_stats(w.links)->control_lost, 1);
	assert_true(links_deadline(w.links) == NSEC_NONE);
	write_line(b, "{\"type\":\"message\",\"text\":\"hi\"}");
	assert_int_equal(links_stats(w.links)->control_lost, 1);
	assert_int_equal(links_stats(w.links)->links, 2);
	assert_int_equal(a->closed_with, NONE);
	world_end(&w);
}

/* --- clients that take their lines slowly ------------------------------------------------------------- */

static void has_room(struct client *c)
{
	c->room = SIZE_MAX;
	c->closed_to = 0;
	app_of(c)->on_lines_room(c->base.user, c->w->now);
}

static const char hi[] = "{\"type\":\"message\",\"text\":\"hi\"}", mutes[] = "{\"type\":\"mute\",\"muted\":true}";

TEST(a_message_without_room_is_lost_alone_and_told_once_there_is_room)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	a->room = 60;
	write_line(b, hi);
	write_line(b, hi);
	write_line(b, mutes); /* is shorter */
	assert_was_sent(a, "{\"type\":\"mute\",\"id\":2,\"muted\":true}\n");
	assert_was_sent_with(b, "message");
	assert_true(session_has_lines(&a->base));
	assert_int_equal(links_stats(w.links)->lines_lost, 2);
	has_room(a);
	assert_was_sent(a, "{\"type\":\"warning\",\"code\":\"messages_lost\",\"text\":\"you take lines more slowly than they come; some were "
			   "dropped\",\"lost\":2}\n");
	has_room(a);
	assert_was_sent(a, "");
	write_line(b, hi);
	assert_was_sent_with(a, "message");
	assert_int_equal(links_stats(w.links)->control_lost, 0);
	run_until(&w, w.now + nsec_from_ms(20));
	assert_true(links_deadline(w.links) == NSEC_NONE);
	world_end(&w);
}

TEST(a_client_whose_picture_is_wrong_gets_a_new_welcome)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	a->closed_to = 1u << SESSION_LINE_STATE | 1u << SESSION_LINE_ORDINARY;
	write_line(b, mutes);
	assert_was_sent(a, "");
	has_room(a);
	char text[8192];

	read_lines(a, text, sizeof text);
	const char *warning = strstr(text, "\"lost\":1}\n"), *welcome = strstr(text, "{\"type\":\"welcome\"");

	assert_true(warning && welcome && warning < welcome);
	assert_non_null(strstr(welcome, "\"muted\":true"));
	run_until(&w, w.now + nsec_from_ms(20));
	assert_true(links_deadline(w.links) == NSEC_NONE);
	world_end(&w);
}

TEST(news_that_find_no_room_yet_are_told_later)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	a->closed_to = 1u << SESSION_LINE_STATE;
	write_line(b, mutes);
	a->room = 200; /* enough for the warning, not for a welcome */
	app_of(a)->on_lines_room(a->base.user, w.now);
	assert_was_sent_with(a, "messages_lost");
	has_room(a);
	char text[8192];

	read_lines(a, text, sizeof text);
	assert_null(strstr(text, "messages_lost"));
	assert_non_null(strstr(text, "welcome"));
	world_end(&w);
}

TEST(a_bye_and_a_welcome_have_the_reserve)
{
	struct world w;

	world_init(&w);
	struct client *a = ask(&w, "/audio", "room=x", NULL);

	a->closed_to = 1u << SESSION_LINE_STATE | 1u << SESSION_LINE_ORDINARY;
	open_lines(a);
	assert_was_sent_with(a, "welcome");
	links_drain(w.links, 1000, w.now);
	assert_was_sent_with(a, "bye");
	world_end(&w);
}

TEST(a_client_that_takes_nothing_for_five_seconds_loses_its_lines_and_may_open_them_anew)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	a->room = 0;
	write_line(b, hi);
	run_until(&w, w.now + nsec_from_ms(4000));
	a->taken++; /* it takes a little */
	run_until(&w, w.now + nsec_from_ms(1000));
	assert_true(session_has_lines(&a->base));
	run_until(&w, w.now + nsec_from_ms(4999));
	assert_true(session_has_lines(&a->base));
	run_until(&w, w.now + nsec_from_ms(1));
	assert_false(session_has_lines(&a->base));
	assert_int_equal(links_stats(w.links)->control_lost, 1);
	assert_int_equal(a->closed_with, NONE);
	assert_true(links_deadline(w.links) == NSEC_NONE);
	a->room = SIZE_MAX;
	open_lines(a);
	assert_was_sent_with(a, "welcome");
	has_room(a);
	assert_was_sent(a, ""); /* the welcome has told it all */
	world_end(&w);
}

TEST(a_line_longer_than_all_room_does_not_end_the_lines)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	a->closed_to = 1u << SESSION_LINE_ORDINARY;
	a->nothing_waits = true;
	write_line(b, hi);
	run_until(&w, w.now + nsec_from_s(5));
	assert_was_sent_with(a, "\"lost\":1");
	assert_true(session_has_lines(&a->base));
	assert_true(links_deadline(w.links) == NSEC_NONE);
	world_end(&w);
}

TEST(a_slow_client_may_go)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	a->room = 0;
	write_line(b, hi);
	ended(a, SESSION_END_PEER);
	run_until(&w, w.now + nsec_from_s(6));
	assert_true(links_deadline(w.links) == NSEC_NONE);
	world_end(&w);
}

/* --- audio ----------------------------------------------------------------------------------------- */

static void write_audio(struct client *c)
{
	static const uint8_t frame[2 + 640] = {160, 0, 1, 2, 3, 4};

	app_of(c)->on_audio(c->base.user, frame, sizeof frame, c->w->now);
}

static void mix(struct world *w, unsigned frames)
{
	nsec end = w->now + nsec_from_ms(20 * frames);

	while (rooms_deadline(w->rooms) <= end) {
		w->now = rooms_deadline(w->rooms) > w->now ? rooms_deadline(w->rooms) : w->now;
		rooms_run(w->rooms, w->now);
	}
	w->now = end;
}

TEST(the_others_hear_in_packets_that_fit)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	b->audio_max = 400;
	for (int i = 0; i < 10; i++) {
		write_audio(a);
		mix(&w, 1);
	}
	assert_true(b->n_audio >= 10 && b->n_audio % 2 == 0); /* each frame in two */
	assert_int_equal(b->audio_bytes, b->n_audio * (2 + 320));
	assert_int_equal(a->n_audio, 0);
	assert_int_equal(links_stats(w.links)->send_failed, 0);
	b->audio_max = 0; /* a path that carries none */
	write_audio(a);
	mix(&w, 3);
	assert_true(links_stats(w.links)->send_failed > 0);
	mix(&w, 100); /* until the room sleeps */
	world_end(&w);
}

TEST(audio_over_the_limit_is_dropped_and_warned_of_once)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);
	unsigned burst = 2 * w.cfg->limits.datagrams_per_s;

	for (unsigned i = 0; i < burst + 10; i++)
		write_audio(c);
	assert_int_equal(links_stats(w.links)->rate_limited, 10);
	assert_was_sent_with(c, "{\"type\":\"warning\",\"code\":\"rate_limited\"");
	write_audio(c);
	assert_was_sent(c, "");
	world_end(&w);
}

TEST(each_kind_of_broken_frame_is_warned_of_once)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);

	app_of(c)->on_audio(c->base.user, (const uint8_t *)"x", 1, w.now);
	assert_was_sent_with(c, "{\"type\":\"warning\",\"code\":\"");
	app_of(c)->on_audio(c->base.user, (const uint8_t *)"x", 1, w.now);
	assert_was_sent(c, "");
	app_of(c)->on_audio(c->base.user, (const uint8_t *)"\xa0\x00", 2, w.now);
	assert_was_sent_with(c, "{\"type\":\"warning\",\"code\":\"");
	world_end(&w);
}

/* --- clients that have gone ------------------------------------------------------------------------- */

static void end_lines_of(struct client *c)
{
	app_of(c)->on_lines_ended(c->base.user, c->w->now);
}

TEST(a_client_that_ends_its_lines_has_left_five_seconds_later)
{
	struct world w;

	world_init(&w);
	struct client *a = join(&w), *b = join(&w);

	end_lines_of(b);
	run_until(&w, w.now + nsec_from_ms(4999));
	assert_was_sent(a, "");
	assert_int_equal(b->closed_with, NONE);
	run_until(&w, w.now + nsec_from_ms(1));
	assert_was_sent(a, "{\"type\":\"left\",\"id\":2,\"reason\":\"closed\"}\n");
	assert_int_equal(b->closed_with, CLOSE_LINES_ENDED);
	assert_int_equal(links_stats(w.links)->gone_lines, 1);
	world_end(&w);
}

TEST(a_client_that_opens_its_lines_anew_stays)
{
	struct world w;

	world_init(&w);
	struct client *c = join(&w);

	end_lines_of(c);
	run_until(&w, w.now + nsec_from_s(4));
	open_lines(c);
	assert_was_sent_with(c, "welcome");
	run_until(&w, w.now + nsec_from_s(60));
	assert_int_equal(c->closed_with, NONE);
	end_lines_of(c);
	run_until(&w, w.now + nsec_from_s(5));
	assert_int_equal(c->closed_with, CLOSE_LINES_ENDED);
	world_end(&w);
}

/* A line each second, then not a word. */
static struct client *reports_and_falls_silent(struct world *w, const char *line, unsigned seconds, unsigned silent_ms)
{
	struct client *c = join(w);

	for (unsigned i = 0; i <= seconds; i++) {
		write_line(c, line);
		run_until(w, w->now + nsec_from_s(i < seconds));
	}
	run_until(w, w->now + nsec_from_ms(silent_ms));
	return c;
}

static const char ping[] = "{\"type\":\"ping\",\"t\":1}", stats[] = "{\"type\":\"stats\"}",
		  played[] = "{\"type\":\"played\",\"epoch\":0,\"samples\":0}";

TEST(a_client_that_used_to_report_and_falls_silent_is_lost)
{
	static const char *const lines[] = {ping, stats};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct world w;

		world_init(&w);
		struct client *a = join(&w), *b = reports_and_falls_silent(&w, lines[i], 10, 14999);

		assert_int_equal(b->closed_with, NONE);
		read_lines(a, (char[8192]){0}, 8192);
		run_until(&w, w.now + nsec_from_ms(1));
		assert_int_equal(b->closed_with, CLOSE_SILENT);
		assert_was_sent(a, "{\"type\":\"left\",\"id\":2,\"reason\":\"lost\"}\n");
		assert_int_equal(links_stats(w.links)->gone_silent, 1);
		world_end(&w);
	}
}

TEST(a_client_that_never_made_a_habit_of_reporting_may_be_silent)
{
	struct world w;

	world_init(&w);
	struct client *mute = ask(&w, "/audio", "room=x", NULL), *at_first = reports_and_falls_silent(&w, ping, 5, 0);

	run_until(&w, w.now + nsec_from_s(3600));
	assert_int_equal(mute->closed_with, NONE);
	assert_int_equal(at_first->closed_with, NONE);
	assert_true(links_deadline(w.links) == NSEC_NONE);
	world_end(&w);
}

TEST(audio_is_a_sign_of_life)
{
	struct world w;

	world_init(&w);
	struct client *c = reports_and_falls_silent(&w, ping, 10, 14000);

	write_audio(c);
	run_until(&w, w.now + nsec_from_ms(14999));
	assert_int_equal(c->closed_with, NONE);
	run_until(&w, w.now + nsec_from_ms(1));
	assert_int_equal(c->closed_with, CLOSE_SILENT);
	mix(&w, 100);
	world_end(&w);
}

TEST(a_client_that_reports_what_it_played_is_lost_only_when_there_is_something_to_play)
{
	struct world w;

	world_init(&w);
	struct client *talker = ask(&w, "/audio", "room=x", NULL), *c = reports_and_falls_silent(&w, played, 10, 60000);

	assert_int_equal(c->closed_with, NONE);
	for (int i = 0; i < 500 && c->closed_with == NONE; i++) {
		write_audio(talker);
		mix(&w, 1);
		links_run(w.links, w.now);
	}
	assert_int_equal(c->closed_with, CLOSE_SILENT);
	mix(&w, 100);
	world_end(&w);
}

TEST(nobody_is_lost_for_being_silent_where_that_is_allowed)
{
	struct world w;

	world_init_with(&w, 1, 0);
	struct client *c = reports_and_falls_silent(&w, ping, 20, 3600000);

	assert_int_equal(c->closed_with, NONE);
	world_end(&w);
}

/* --- refusals that are told in a session -------------------------------------------------------------- */

TEST(a_client_that_asks_for_a_bye_is_refused_in_a_session)
{
	struct world w;

	world_init(&w);
	struct client *c = ask(&w, "/audio", "room=x&rate=7&refuse=bye", NULL);

	assert_int_equal(c->answer.decision, SESSION_ADMITTED);
	assert_int_equal(links_stats(w.links)->links, 0);
	assert_int_equal(links_stats(w.links)->refused.status_400, 1);
	assert_int_equal(links_stats(w.links)->refused_open, 1);
	app_of(c)->on_audio(c->base.user, (const uint8_t *)"\xa0\x00\x01\x00", 4, w.now);
	open_lines(c);
	write_line(c, "{\"type\":\"ping\"}");
	assert_was_sent(c, "{\"type\":\"bye\",\"reason\":\"refused\",\"text\":\"rate: use 8000 to 48000\",\"status\":400}\n");
	run_until(&w, w.now + nsec_from_ms(499));
	assert_int_equal(c->closed_with, NONE);
	run_until(&w, w.now + nsec_from_ms(1));
	assert_int_equal(c->closed_with, 400);
	assert_string_equal(c->reason, "rate: use 8000 to 48000");
	assert_int_equal(links_stats(w.links)->refused_open, 0);
	world_end(&w);
}

TEST(a_refused_client_without_a_control_stream_is_told_by_the_code)
{
	struct world w;

	world_init(&w);
	struct client *c = ask(&w, "/elsewhere", "refuse=bye", NULL), *other = ask(&w, "/audio", "room=x&rate=7&refuse=no", NULL);

	assert_int_equal(other->answer.decision, SESSION_REFUSED);
	run_until(&w, w.now + nsec_from_s(2));
	assert_int_equal(c->closed_with, 404);
	assert_string_equal(c->reason, "no voice at this path");
	world_end(&w);
}

TEST(refused_sessions_end_with_all_others)
{
	struct world w;

	world_init(&w);
	struct client *c = ask(&w, "/elsewhere", "refuse=bye", NULL), *told = ask(&w, "/elsewhere", "refuse=bye", NULL);

	open_lines(told);
	links_close_all(w.links, CLOSE_SHUTDOWN, "the end", w.now);
	assert_int_equal(c->closed_with, CLOSE_SHUTDOWN);
	assert_int_equal(told->closed_with, CLOSE_SHUTDOWN);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_welcome_names_the_session_and_the_room),
		cmocka_unit_test(refusals_have_a_status_and_a_reason),
		cmocka_unit_test(lines_of_sessions_that_come_and_go_at_once_are_left_out_of_the_log),
		cmocka_unit_test(a_session_for_a_room_of_another_shard_moves_there),
		cmocka_unit_test(a_session_that_cannot_move_is_refused_and_counted),
		cmocka_unit_test(the_others_are_told_why_somebody_left),
		cmocka_unit_test(all_links_are_closed_with_one_code),
		cmocka_unit_test(a_message_goes_to_everybody_in_one_and_the_same_line),
		cmocka_unit_test(the_lines_of_one_tick_leave_together),
		cmocka_unit_test(senders_beyond_the_limit_of_their_room_are_told_once_a_second),
		cmocka_unit_test(a_line_for_one_is_not_taken_for_that_of_everybody),
		cmocka_unit_test(a_ping_is_answered_and_a_bye_ends_the_session),
		cmocka_unit_test(an_impossible_request_is_answered_with_an_error),
		cmocka_unit_test(lines_over_the_limit_are_ignored_and_warned_of_once),
		cmocka_unit_test(statistics_come_as_often_as_asked_and_tell_of_the_connection),
		cmocka_unit_test(no_statistics_are_made_for_a_client_whose_lines_are_lost),
		cmocka_unit_test(a_client_that_is_gone_from_its_lines_is_counted_once_and_stays),
		cmocka_unit_test(a_message_without_room_is_lost_alone_and_told_once_there_is_room),
		cmocka_unit_test(a_client_whose_picture_is_wrong_gets_a_new_welcome),
		cmocka_unit_test(news_that_find_no_room_yet_are_told_later),
		cmocka_unit_test(a_bye_and_a_welcome_have_the_reserve),
		cmocka_unit_test(a_client_that_takes_nothing_for_five_seconds_loses_its_lines_and_may_open_them_anew),
		cmocka_unit_test(a_line_longer_than_all_room_does_not_end_the_lines),
		cmocka_unit_test(a_slow_client_may_go),
		cmocka_unit_test(the_others_hear_in_packets_that_fit),
		cmocka_unit_test(audio_over_the_limit_is_dropped_and_warned_of_once),
		cmocka_unit_test(each_kind_of_broken_frame_is_warned_of_once),
		cmocka_unit_test(a_client_that_ends_its_lines_has_left_five_seconds_later),
		cmocka_unit_test(a_client_that_opens_its_lines_anew_stays),
		cmocka_unit_test(a_client_that_used_to_report_and_falls_silent_is_lost),
		cmocka_unit_test(a_client_that_never_made_a_habit_of_reporting_may_be_silent),
		cmocka_unit_test(audio_is_a_sign_of_life),
		cmocka_unit_test(a_client_that_reports_what_it_played_is_lost_only_when_there_is_something_to_play),
		cmocka_unit_test(nobody_is_lost_for_being_silent_where_that_is_allowed),
		cmocka_unit_test(a_client_that_asks_for_a_bye_is_refused_in_a_session),
		cmocka_unit_test(a_refused_client_without_a_control_stream_is_told_by_the_code),
		cmocka_unit_test(refused_sessions_end_with_all_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
