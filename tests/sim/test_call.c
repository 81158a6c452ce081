/* SPDX-License-Identifier: MIT */
/* Whole calls in virtual time. */
#include "sim/call.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- cases ------------------------------------------------------------------------------------ */

TEST(two_people_hear_each_other_fifty_times_a_second)
{
	struct world w;

	world_init(&w, 1, 2);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	a->expect = 2000;
	b->expect = 1000;
	count_from_now(&w);
	run(&w, nsec_from_s(10));
	assert_in_range(a->received, 499, 501);
	assert_in_range(b->received, 499, 501);
	assert_int_equal(a->wrong + b->wrong, 0);
	world_end(&w);
}

TEST(a_thousand_sessions_hear_their_own_rooms_and_nothing_else)
{
	enum { N = 1000, ROOM = 4 };
	struct world w;

	world_init(&w, 2, N);
	for (int i = 0; i < N; i++) {
		char room[16];

		snprintf(room, sizeof room, "r%d", i / ROOM);
		struct person *p = join(&w, room, i % ROOM == 0 ? (int16_t)(100 + i * 20) : 0);

		if (i % 50 == 49)
			run(&w, nsec_from_ms(100));
		if (i % ROOM)
			p->expect = (int16_t)(100 + i / ROOM * ROOM * 20);
	}
	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	count_from_now(&w);
	run(&w, nsec_from_s(2));
	for (int i = 0; i < N; i++) {
		struct person *p = &w.people[i];

		if (i % ROOM == 0)
			assert_int_equal(p->received, 0); /* the only talker of its room */
		else
			assert_in_range(p->received, 99, 101);
		assert_int_equal(p->wrong, 0);
	}
	assert_int_equal(rooms_stats(w.shard[0].rooms)->rooms, N / ROOM);
	assert_int_equal(rooms_stats(w.shard[0].rooms)->ticks_skipped, 0);
	world_end(&w);
}

TEST(loss_jitter_and_reordering_cost_only_the_lost_frames)
{
	static const struct sim_link rough = {
		.loss = 0.05, .duplicate = 0.02, .reorder = 0.05, .reorder_us = 8000, .delay_us = 30000, .jitter_us = 15000};
	struct world w;

	world_init(&w, 3, 2);
	sim_both(w.cn, &rough);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(2));
	count_from_now(&w);
	run(&w, nsec_from_s(20));
	/* 5 % are lost on the way to the listener; what is lost on the way here is concealed. */
	assert_in_range(a->received, 900, 1000);
	assert_in_range(b->received, 900, 1000);
	assert_false(a->closed || b->closed);
	world_end(&w);
}

/* In both directions the numbers show the losses, and only lost frames are missing. */
TEST(numbered_frames_show_what_was_lost)
{
	static const struct sim_link rough = {.loss = 0.1, .delay_us = 30000, .jitter_us = 2000};
	struct world w;

	world_init(&w, 9, 2);
	struct person *a = join(&w, "x&frames=v1", 1000), *b = join(&w, "x&frames=v1", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(2));
	sim_both(w.cn, &rough);
	run(&w, nsec_from_s(1));
	uint64_t lost = rooms_stats(w.shard[0].rooms)->sequence.lost, sent = a->sent + b->sent, in = rooms_stats(w.shard[0].rooms)->frames_in;

	count_from_now(&w);
	a->missing = b->missing = 0;
	a->expect = 2000;
	b->expect = 1000;
	run(&w, nsec_from_s(40));
	sent = a->sent + b->sent - sent;
	in = rooms_stats(w.shard[0].rooms)->frames_in - in;
	lost = rooms_stats(w.shard[0].rooms)->sequence.lost - lost;
	print_message("sent %lu, arrived %lu, lost %lu by number; received %lu and %lu, missing %lu and %lu, concealed %lu\n",
		(unsigned long)sent, (unsigned long)in, (unsigned long)lost, (unsigned long)a->received, (unsigned long)b->received,
		(unsigned long)a->missing, (unsigned long)b->missing, (unsigned long)rooms_stats(w.shard[0].rooms)->concealed);
	assert_in_range(lost + in, sent - 6, sent + 6);
	assert_in_range(lost, sent * 8 / 100, sent * 12 / 100);
	assert_int_equal(a->disordered + b->disordered, 0);
	for (struct person *p = a; p; p = p == a ? b : NULL) {
		assert_in_range(p->received + p->missing, 1996, 2004);
		assert_in_range(p->missing, 150, 250);
		assert_true(p->wrong < p->received / 8); /* concealment of a constant fades after a while */
	}
	world_end(&w);
}

/* A room with both kinds of header; media time runs on in silence. */
TEST(numbers_go_on_through_silence)
{
	struct world w;

	world_init(&w, 10, 2);
	struct person *a = join(&w, "x&frames=v1", 0), *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	a->expect = 2000;
	count_from_now(&w);
	run(&w, nsec_from_s(1));
	assert_in_range(a->received, 49, 51);
	assert_int_equal(a->wrong + a->missing + a->disordered, 0);
	uint16_t seq = a->last_seq;
	uint32_t time = a->last_time;

	a->expect = 0;
	b->sample = 0;
	run(&w, nsec_from_s(3));
	uint16_t tail = (uint16_t)(a->last_seq - seq); /* concealment after the last frame of b */

	b->sample = 2000;
	run(&w, nsec_from_s(1));
	assert_true(tail <= 5);
	assert_int_equal(a->missing, 0);
	assert_int_equal(a->disordered, 1);
	assert_in_range(a->last_time - time, 16000 * 4 - 640, 16000 * 4 + 640);
	assert_in_range((uint16_t)(a->last_seq - seq), 48, 56);
	assert_int_equal(rooms_stats(w.shard[0].rooms)->sequence.lost, 0);
	world_end(&w);
}

TEST(a_client_behind_a_new_address_goes_on_talking)
{
	struct world w;

	world_init(&w, 4, 2);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(2));
	sim_rebind(w.cn, "10.9.9.9", 60000);
	run(&w, nsec_from_s(1));
	count_from_now(&w);
	a->expect = 2000;
	b->expect = 1000;
	run(&w, nsec_from_s(2));
	assert_in_range(a->received, 99, 101);
	assert_in_range(b->received, 99, 101);
	assert_int_equal(a->wrong + b->wrong, 0);
	world_end(&w);
}

static bool both_receive_again(void *ctx)
{
	struct world *w = ctx;

	return w->people[0].received >= 5 && w->people[1].received >= 5;
}

/* The network carries nothing for a while. Returns the time from its return until both receive voice. */
static nsec outage(uint32_t seconds)
{
	static const struct sim_link far = {.delay_us = 30000, .jitter_us = 3000};
	struct sim_link dead = far;
	struct world w;

	dead.blackout = true;
	world_init(&w, 11 + seconds, 2);
	sim_both(w.cn, &far);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(5));
	sim_both(w.cn, &dead);
	run(&w, nsec_from_s(seconds));
	sim_both(w.cn, &far);
	count_from_now(&w);
	nsec from = sim_now(w.sim);

	assert_true(sim_run(w.sim, both_receive_again, &w, nsec_from_s(15)));
	nsec took = nsec_since(from, sim_now(w.sim));

	run(&w, nsec_from_s(2));
	a->expect = 2000;
	b->expect = 1000;
	count_from_now(&w);
	run(&w, nsec_from_s(2));
	assert_in_range(a->received, 99, 101);
	assert_in_range(b->received, 99, 101);
	assert_int_equal(a->wrong + b->wrong, 0);
	world_end(&w);
	return took;
}

TEST(voice_is_back_soon_after_an_outage)
{
	for (uint32_t s = 2; s <= 26; s += 8) /* the idle timeout is 30 */
		assert_in_range(outage(s) / nsec_from_ms(1), 1, 1000);
}

/* The path carries smaller packets than when the call began. At 32 kHz a frame filled nearly a whole packet. */
static void shrinking_path(int16_t talks)
{
	struct sim_link path = {.delay_us = 20000, .mtu = 1452};
	struct world w;

	world_init(&w, 12, 2);
	sim_both(w.cn, &path);
	struct person *a = join(&w, "x&rate=32000", talks), *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(10));
	assert_int_equal(a->received, 0); /* frames of 640 samples, each in one packet; see on_packet() */
	path.mtu = 1200;
	sim_both(w.cn, &path);
	run(&w, nsec_from_s(6));
	count_from_now(&w);
	run(&w, nsec_from_s(2));
	assert_in_range(a->received, 198, 202);
	assert_int_equal(quic_endpoint_stats(w.shard[0].endpoint)->black_holes, 1);
	assert_int_equal(b->closed, false);
	world_end(&w);
}

TEST(voice_goes_on_when_the_path_shrinks)
{
	shrinking_path(0);    /* it only listens: only acknowledgements come back */
	shrinking_path(1000);
}

TEST(clients_that_vanish_leave_nothing_behind)
{
	struct world w;

	world_init(&w, 5, 50);
	for (int i = 0; i < 50; i++)
		join(&w, i % 2 ? "a" : "b", 500);
	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	sim_attach(w.cn, NULL); /* their whole network is gone */
	run(&w, nsec_from_s(40));
	assert_int_equal(rooms_stats(w.shard[0].rooms)->participants, 0);
	assert_int_equal(links_stats(w.shard[0].links)->links, 0);
	assert_int_equal(quic_endpoint_stats(w.shard[0].endpoint)->conns, 0);
	sim_attach(w.cn, w.ce);
	world_end(&w);
}

static void flood(void *ctx, nsec now)
{
	struct person *p = ctx;

	for (int i = 0; i < 20 && p->session; i++)
		send_frame(p, now);
}

TEST(a_client_that_floods_is_limited_and_harms_nobody)
{
	struct world w;

	world_init(&w, 6, 4);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000), *f = join(&w, "y", 300), *g = join(&w, "y", 0);

	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	sim_every(w.sim, sim_now(w.sim), nsec_from_ms(5), flood, f); /* 4000 a second */
	run(&w, nsec_from_s(1));
	a->expect = 2000;
	b->expect = 1000;
	count_from_now(&w);
	run(&w, nsec_from_s(5));
	assert_in_range(a->received, 249, 251);
	assert_in_range(b->received, 249, 251);
	assert_int_equal(a->wrong + b->wrong, 0);
	assert_in_range(g->received, 240, 251);
	assert_true(links_stats(w.shard[0].links)->rate_limited > 1000);
	world_end(&w);
}

TEST(the_control_stream_lists_who_is_in_the_room)
{
	struct world w;
	char text[8192];

	world_init(&w, 7, 2);
	struct person *a = &w.people[0];

	a->controls = true;
	join(&w, "x", 0);
	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	struct person *b = join(&w, "x", 2000);

	wait_for_all(&w);
	run(&w, nsec_from_s(1));
	wt_session_close(b->session, 0, "off", sim_now(w.sim));
	run(&w, nsec_from_s(2));
	snprintf(text, sizeof text, "%.*s", (int)a->lines.len, (const char *)a->lines.p);
	const char *welcome = strstr(text, "{\"type\":\"welcome\""), *stats = strstr(text, "{\"type\":\"stats\"");
	const char *joined = strstr(text, "{\"type\":\"joined\""), *left = strstr(text, "{\"type\":\"left\"");

	assert_true(welcome && welcome == text && stats && joined && left && joined < left);
	assert_non_null(strstr(text, "\"name\":\"p2\""));
	assert_non_null(strstr(text, "\"reason\":\"closed\""));
	world_end(&w);
}

TEST(refusals_carry_their_status)
{
	static const struct {
		const char *room;
		unsigned status;
	} cases[] = {{"a&rate=1", 400}, {"a&codec=opus", 400}, {"a&frames=v2", 400}, {"%01", 400}, {"ok", 200}};
	struct world w;

	world_init(&w, 8, 8);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		join(&w, cases[i].room, 0);
	run(&w, nsec_from_s(3));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(w.people[i].status, cases[i].status);
	world_end(&w);
}

/* All clients have one address. */
TEST(an_address_that_has_its_share_is_told_so)
{
	struct world w;

	world_init(&w, 17, 5);
	w.cfg->rooms.max_rooms = 4;
	join(&w, "a", 0);
	join(&w, "b", 0);
	wait_for_all(&w);
	struct person *room = join(&w, "c", 0);

	run(&w, nsec_from_s(1));
	assert_int_equal(room->status, 429);
	w.cfg->limits.max_sessions = 4;
	struct person *session = join(&w, "a", 0);

	run(&w, nsec_from_s(1));
	assert_int_equal(session->status, 429);
	const struct refusals *r = &links_stats(w.shard[0].links)->refused;

	assert_int_equal(r->address_rooms, 1);
	assert_int_equal(r->address_sessions, 1);
	assert_int_equal(r->status_429, 2);
	w.cfg->limits.max_sessions = 5; /* of which two are not half */
	join(&w, "a", 0);
	run(&w, nsec_from_s(1));
	assert_int_equal(w.people[4].status, 200);
	world_end(&w);
}

TEST(a_refusal_is_told_in_a_session_to_those_who_ask_for_it)
{
	static const char bye[] = "{\"type\":\"bye\",\"reason\":\"refused\",\"text\":\"rate: use 8000 to 48000\",\"status\":400}\n";
	struct world w;

	world_init(&w, 13, 2);
	struct person *a = join(&w, "x&rate=1&refuse=bye", 1000), *b = join(&w, "x&rate=1&refuse=bye", 0);

	a->controls = true;
	run(&w, nsec_from_s(5));
	assert_int_equal(a->status, 200);
	assert_int_equal(a->lines.len, sizeof bye - 1);
	assert_memory_equal(a->lines.p, bye, sizeof bye - 1);
	for (size_t i = 0; i < 2; i++) {
		assert_true(w.people[i].closed);
		assert_int_equal(w.people[i].why.end, WT_END_PEER);
		assert_int_equal(w.people[i].why.code, 400);
	}
	assert_int_equal(b->status, 200);
	assert_int_equal(wt_stats(w.shard[0].wt)->sessions, 0);
	assert_int_equal(quic_endpoint_stats(w.shard[0].endpoint)->conns, 0);
	world_end(&w);
}

/* Somebody with a control stream, in room x beside a listener who is told everything. */
static struct person *watched(struct world *w, uint64_t seed, struct person **listener)
{
	world_init(w, seed, 2);
	*listener = join(w, "x", 0);
	struct person *p = join(w, "x", 0);

	(*listener)->controls = p->controls = true;
	wait_for_all(w);
	run(w, nsec_from_s(1));
	return p;
}

static bool was_told(const struct person *p, const char *text)
{
	return memmem(p->lines.p, p->lines.len, text, strlen(text)) != NULL;
}

TEST(the_end_of_the_control_stream_is_the_end_of_the_participant)
{
	struct world w;
	struct person *listener, *p = watched(&w, 14, &listener);

	wt_stream_send(p->control, NULL, 0, true, sim_now(w.sim));
	run(&w, nsec_from_s(4));
	assert_int_equal(wt_stream_open(p->session, true, &p->control), 0);
	wt_stream_send(p->control, "{\"type\":\"stats\"}\n", 17, false, sim_now(w.sim));
	run(&w, nsec_from_s(20));
	assert_false(p->closed);
	assert_false(was_told(listener, "\"left\""));
	wt_stream_abort(p->control, 0, sim_now(w.sim)); /* as good as its end */
	run(&w, nsec_from_s(4));
	assert_false(p->closed);
	run(&w, nsec_from_s(2));
	assert_true(p->closed);
	assert_int_equal(p->why.code, CLOSE_LINES_ENDED);
	assert_true(was_told(listener, "\"reason\":\"closed\""));
	world_end(&w);
}

TEST(a_client_that_pinged_and_fell_silent_is_lost_though_its_connection_lives)
{
	struct world w;
	struct person *listener, *p = watched(&w, 15, &listener);

	for (int i = 0; i < 12; i++) {
		wt_stream_send(p->control, "{\"type\":\"ping\"}\n", 16, false, sim_now(w.sim));
		run(&w, nsec_from_s(1));
	}
	run(&w, nsec_from_s(13));
	assert_false(p->closed);
	run(&w, nsec_from_s(3));
	assert_true(p->closed);
	assert_int_equal(p->why.code, CLOSE_SILENT);
	assert_true(was_told(listener, "\"reason\":\"lost\""));
	run(&w, nsec_from_s(100));
	assert_false(listener->closed); /* it never reported */
	world_end(&w);
}

/* How often `text` stands in what this person was told; with `number`, the sum of the numbers behind it. */
static uint64_t count_told(const struct person *p, const char *text, bool number)
{
	const uint8_t *at = p->lines.p, *end = at + p->lines.len;
	uint64_t sum = 0;

	while (at < end && (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
		at += strlen(text);
		sum += number ? strtoull((const char *)at, NULL, 10) : 1;
	}
	return sum;
}

static void write_text(struct person *p, size_t len)
{
	char line[5000];
	int n = snprintf(line, sizeof line, "{\"type\":\"message\",\"text\":\"%0*d\"}\n", (int)len, 0);

	assert_int_equal(wt_stream_send(p->control, line, (size_t)n, false, sim_now(p->w->sim)), 0);
}

/* All write as much at once as one client may, which together is more than one client's stream has room for. */
static uint64_t burst_at_ten_readers(uint64_t seed, uint32_t delay_us)
{
	enum { READERS = 10, WRITERS = 3, EACH = 8, LEN = 4000 };
	const struct sim_link path = {.delay_us = delay_us};
	struct world w;
	uint64_t lost = 0;

	world_init(&w, seed, READERS + WRITERS);
	sim_both(w.cn, &path);
	for (int i = 0; i < READERS + WRITERS; i++)
		join(&w, "x", 0)->controls = true;
	wait_for_all(&w);
	run(&w, nsec_from_s(3));
	for (int k = 0; k < EACH; k++)
		for (int i = 0; i < WRITERS; i++)
			write_text(&w.people[READERS + i], LEN);
	run(&w, nsec_from_s(10));
	write_text(&w.people[READERS], 1);
	run(&w, nsec_from_s(2));
	for (int i = 0; i < READERS; i++) {
		const struct person *p = &w.people[i];
		uint64_t told = count_told(p, "\"lost\":", true);

		assert_int_equal(count_told(p, "{\"type\":\"message\"", false) + told, WRITERS * EACH + 1);
		assert_true(was_told(p, "\"text\":\"0\""));
		assert_int_equal(count_told(p, "{\"type\":\"welcome\"", false), 1);
		assert_int_equal(count_told(p, "messages_lost", false), told > 0);
		lost += told;
	}
	assert_int_equal(links_stats(w.shard[0].links)->control_lost, 0);
	world_end(&w);
	return lost;
}

TEST(messages_beyond_what_a_reader_takes_are_lost_alone_and_told)
{
	burst_at_ten_readers(17, 500);
	assert_true(burst_at_ten_readers(18, 150000) > 0);
}

TEST(connections_that_never_ask_for_anything_end_soon)
{
	struct world w;

	world_init(&w, 16, 1);
	const struct quic_path path = sim_path(w.cn, w.sn);
	struct quic_conn *spare;

	for (int i = 0; i < 4; i++)
		assert_int_equal(quic_endpoint_connect(w.ce, w.ct, &path, "localhost", sim_now(w.sim), &spare), 0);
	join(&w, "x", 0);
	wait_for_all(&w);
	run(&w, nsec_from_ms(4500));
	assert_int_equal(quic_endpoint_stats(w.shard[0].endpoint)->conns, 5);
	run(&w, nsec_from_s(2));
	assert_int_equal(quic_endpoint_stats(w.shard[0].endpoint)->conns, 1);
	assert_int_equal(wt_stats(w.shard[0].wt)->conns_unused, 4);
	world_end(&w);
}

/* A bot that greets when it is called: one second, all at once. */
static int greet(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples, const struct bridge_sink *sink,
	void *sink_ctx, const struct log *log, nsec now, void **self)
{
	static int16_t pcm[48000];

	(void)opts, (void)frame_samples, (void)log, (void)now;
	for (uint32_t i = 0; i < rate_hz; i++)
		pcm[i] = i % 2 ? 8000 : -8000;
	*self = NULL;
	return sink->audio(sink_ctx, 1, pcm, rate_hz);
}

static bool listen_on(void *self, const struct bridge_input *in, nsec now)
{
	(void)self, (void)in, (void)now;
	return true;
}

static void end_greeter(void *self)
{
	(void)self;
}

TEST(the_first_words_of_a_bot_are_heard)
{
	static const struct bridge_ops greeter = {.type = "greeter", .open = greet, .audio = listen_on, .close = end_greeter};
	static const uint32_t way_ms[] = {1, 25, 50, 100, 150};

	for (size_t i = 0; i < sizeof way_ms / sizeof *way_ms; i++) {
		const struct sim_link path = {.delay_us = 1000 * way_ms[i], .loss = i == 3 ? 0.1 : 0};
		struct bridge_opts bot;
		struct world w;

		bridge_opts_default(&bot);
		snprintf(bot.name, sizeof bot.name, "greeter");
		bot.ops = &greeter;
		world_init_bridge(&w, 20 + i, 1, &bot);
		sim_both(w.cn, &path);
		struct person *p = join(&w, "", 0);

		run(&w, nsec_from_s(6));
		printf("%u ms each way: %llu of 50 frames%s\n", way_ms[i], (unsigned long long)p->received, path.loss > 0 ? ", 10 % lost" : "");
		assert_in_range(p->received, path.loss > 0 ? 38 : 50, 51); /* and a fade */
		world_end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_people_hear_each_other_fifty_times_a_second),
		cmocka_unit_test(a_thousand_sessions_hear_their_own_rooms_and_nothing_else),
		cmocka_unit_test(loss_jitter_and_reordering_cost_only_the_lost_frames),
		cmocka_unit_test(numbered_frames_show_what_was_lost),
		cmocka_unit_test(numbers_go_on_through_silence),
		cmocka_unit_test(a_client_behind_a_new_address_goes_on_talking),
		cmocka_unit_test(voice_is_back_soon_after_an_outage),
		cmocka_unit_test(voice_goes_on_when_the_path_shrinks),
		cmocka_unit_test(clients_that_vanish_leave_nothing_behind),
		cmocka_unit_test(a_client_that_floods_is_limited_and_harms_nobody),
		cmocka_unit_test(the_control_stream_lists_who_is_in_the_room),
		cmocka_unit_test(refusals_carry_their_status),
		cmocka_unit_test(an_address_that_has_its_share_is_told_so),
		cmocka_unit_test(a_refusal_is_told_in_a_session_to_those_who_ask_for_it),
		cmocka_unit_test(the_end_of_the_control_stream_is_the_end_of_the_participant),
		cmocka_unit_test(a_client_that_pinged_and_fell_silent_is_lost_though_its_connection_lives),
		cmocka_unit_test(messages_beyond_what_a_reader_takes_are_lost_alone_and_told),
		cmocka_unit_test(connections_that_never_ask_for_anything_end_soon),
		cmocka_unit_test(the_first_words_of_a_bot_are_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
