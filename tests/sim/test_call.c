/* SPDX-License-Identifier: MIT */
/*
 * Whole calls in virtual time: QUIC, WebTransport, control stream, rooms and mixing of a shard, all but its
 * sockets, against clients on a network that loses and delays.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "config/config.h"
#include "daemon/stack.h"
#include "support/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_SAMPLES = 320, FRAME_BYTES = 2 + 2 * FRAME_SAMPLES };

struct world {
	struct sim *sim;
	struct sim_node *sn, *cn;
	struct quic_tls *st, *ct;
	struct quic_cert cert;
	struct config *cfg;
	struct registry *registry;
	struct stack server;
	struct wt *cw;
	struct quic_endpoint *ce;
	struct person *people;
	size_t n_people;
};

/* A client that knows the two-byte header and says the same sample over and over. */
struct person {
	struct world *w;
	struct quic_conn *conn;
	struct wt_session *session;
	char path[128];
	int16_t says;          /* 0: silent */
	uint32_t rate_hz;      /* what his frames claim */
	uint32_t phase_ms;     /* his own moment within the frame */
	unsigned status;
	uint64_t sent, heard;  /* frames */
	uint64_t wrong;        /* frames with another sample in the middle than `expect`, once that is set */
	int16_t expect;
	int16_t last;
	bool closed, controls;
	bool v1;               /* knows the long header, and asks for it */
	uint16_t seq, heard_seq;
	uint32_t media_time, heard_time;
	uint64_t missing, disordered; /* by sequence; media time that does not go with it */
	struct wt_close why;
	struct wt_stream *control;
	struct buf lines;
};

/* --- server ---------------------------------------------------------------------------------- */

static void say(struct person *p, nsec now);

/* Every millisecond: rooms that are due, people whose moment it is. */
static void tick(void *ctx, nsec now)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->n_people; i++)
		if (nsec_to_ms(now) % 20 == w->people[i].phase_ms)
			say(&w->people[i], now);

	if (rooms_deadline(w->server.rooms) <= now)
		rooms_run(w->server.rooms, now);
	if (links_deadline(w->server.links) <= now)
		links_run(w->server.links, now);
}

/* --- clients --------------------------------------------------------------------------------- */

static void on_answer(void *user, struct wt_session *s, unsigned status, nsec now)
{
	struct person *p = user;

	(void)now;
	p->status = status;
	p->session = status == 200 ? s : NULL;
	if (p->session && p->controls)
		assert_int_equal(wt_stream_open(s, true, &p->control), 0);
	if (p->control)
		wt_stream_send(p->control, "{\"type\":\"stats\"}\n", 17, false, now);
}

static void hear_v1(struct person *p, const uint8_t *b, size_t len)
{
	struct frame f = {0};

	assert_int_equal(frame_parse(b, len, 16000, &f), FRAME_OK);
	assert_true(f.is_v1);
	int16_t ahead = (int16_t)(f.v1.seq - p->heard_seq);

	if (p->heard > 0 && ahead > 0) {
		p->missing += (uint64_t)ahead - 1;
		p->disordered += f.v1.time - p->heard_time != (uint32_t)ahead * FRAME_SAMPLES;
	}
	if (p->heard == 0 || ahead > 0) {
		p->heard_seq = f.v1.seq;
		p->heard_time = f.v1.time;
	}
}

static void on_heard(void *user, const uint8_t *b, size_t len, nsec now)
{
	struct person *p = user;
	size_t head = p->v1 ? FRAME_V1_BYTES : FRAME_HEADER_BYTES;

	(void)now;
	if (len != head + 2 * FRAME_SAMPLES)
		return;
	if (p->v1)
		hear_v1(p, b, len);
	p->heard++;
	p->last = (int16_t)(b[head + FRAME_SAMPLES] | b[head + FRAME_SAMPLES + 1] << 8);
	if (p->expect && abs(p->last - p->expect) > 2)
		p->wrong++;
}

static void on_line(void *user, struct wt_stream *st, const uint8_t *b, size_t len, bool fin, nsec now)
{
	struct person *p = user;

	(void)st, (void)fin, (void)now;
	buf_append(&p->lines, b, len);
}

static void on_gone(void *user, const struct wt_close *why, nsec now)
{
	struct person *p = user;

	(void)now;
	p->closed = true;
	p->session = NULL;
	p->why = *why;
	p->why.reason = "";
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	(void)user, (void)st, (void)now;
}

static void on_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	(void)user, (void)st, (void)now;
}

static const struct wt_app client_app = {
	.on_answer = on_answer,
	.on_datagram = on_heard,
	.on_stream = on_stream,
	.on_stream_data = on_line,
	.on_stream_closed = on_stream_closed,
	.on_closed = on_gone,
};

static void say(struct person *p, nsec now)
{
	uint8_t frame[FRAME_V1_BYTES + 2 * FRAME_SAMPLES];
	struct frame_v1 h = {.seq = p->seq, .time = p->media_time};
	size_t head = p->v1 ? FRAME_V1_BYTES : FRAME_HEADER_BYTES;

	if (!p->session || !p->says)
		return;
	frame_v1_write(frame, p->rate_hz, &h);
	if (!p->v1) {
		frame[0] = (uint8_t)(p->rate_hz / 100);
		frame[1] = (uint8_t)(p->rate_hz / 100 >> 8);
	}
	for (size_t i = head; i < head + 2 * FRAME_SAMPLES; i += 2) {
		frame[i] = (uint8_t)p->says;
		frame[i + 1] = (uint8_t)((uint16_t)p->says >> 8);
	}
	p->seq++;
	p->media_time += FRAME_SAMPLES;
	if (wt_session_send(p->session, NULL, 0, frame, head + 2 * FRAME_SAMPLES, now) == 0)
		p->sent++;
}

/* --- world ----------------------------------------------------------------------------------- */

static void world_init(struct world *w, uint64_t seed, size_t n_people)
{
	static const struct log quiet;
	static const char *const names[] = {"localhost"};
	struct quic_opts qo;
	struct wt_opts wo;

	memset(w, 0, sizeof *w);
	w->sim = sim_new(seed);
	w->sn = sim_node(w->sim, "10.0.0.1", 4433);
	w->cn = sim_node(w->sim, "10.0.1.1", 50000);
	assert_int_equal(quic_cert_make(names, 1, 13, clock_wall_s(), &w->cert), 0);
	assert_int_equal(quic_tls_server(&w->cert, &w->st), 0);
	assert_int_equal(quic_tls_client(&(struct quic_tls_client_opts){.insecure = true}, &w->ct), 0);
	w->cfg = calloc(1, sizeof *w->cfg);
	config_default(w->cfg);
	assert_int_equal(registry_new(w->cfg, &w->registry), 0);
	quic_opts_default(&qo);
	wt_opts_default(&wo);
	qo.max_conns_per_addr = 5000;
	qo.retry_half_open = 5000;
	qo.max_half_open = 5000;
	const struct quic_out so = sim_out(w->sn), co = sim_out(w->cn);

	w->cfg->quic = qo;
	w->cfg->wt = wo;
	const struct stack_opts so_opts = {.cfg = w->cfg, .registry = w->registry, .n_shards = 1};

	assert_int_equal(stack_init(&w->server, &so_opts, &so, w->st, &quiet), 0);
	assert_int_equal(wt_new(&wo, &client_app, w, &quiet, &w->cw), 0);
	assert_int_equal(quic_endpoint_new(&qo, &co, wt_quic_app(), w->cw, NULL, &quiet, &w->ce), 0);
	wt_attach(w->cw, w->ce);
	sim_attach(w->sn, w->server.endpoint);
	sim_attach(w->cn, w->ce);
	sim_every(w->sim, sim_now(w->sim), nsec_from_ms(1), tick, w);
	w->people = calloc(n_people, sizeof *w->people);
}

static struct person *join(struct world *w, const char *room, int16_t says)
{
	struct person *p = &w->people[w->n_people++];
	const struct quic_path path = sim_path(w->cn, w->sn);

	p->w = w;
	p->says = says;
	p->rate_hz = 16000;
	p->v1 = strstr(room, "frames=v1") != NULL;
	buf_init(&p->lines, 65536);
	snprintf(p->path, sizeof p->path, "/audio?room=%s&name=p%zu", room, w->n_people);
	assert_int_equal(quic_endpoint_connect(w->ce, w->ct, &path, "localhost", sim_now(w->sim), &p->conn), 0);
	assert_int_equal(wt_client_connect(w->cw, p->conn, "localhost:4433", p->path, NULL, p), 0);
	p->phase_ms = (uint32_t)(sim_random(w->sim) % 20);
	return p;
}

static bool everybody_is_in(void *ctx)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->n_people; i++)
		if (!w->people[i].session)
			return false;
	return true;
}

static void run(struct world *w, nsec time)
{
	sim_run(w->sim, NULL, NULL, time);
}

static void gather(struct world *w)
{
	assert_true(sim_run(w->sim, everybody_is_in, w, nsec_from_s(20)));
}

static void world_end(struct world *w)
{
	quic_endpoint_free(w->ce);
	stack_end(&w->server);
	wt_free(w->cw);
	assert_int_equal(rooms_stats(w->server.rooms)->participants, 0);
	assert_int_equal(rooms_stats(w->server.rooms)->rooms, 0);
	assert_int_equal(links_stats(w->server.links)->links, 0);
	stack_fini(&w->server);
	registry_free(w->registry);
	for (size_t i = 0; i < w->n_people; i++)
		buf_fini(&w->people[i].lines);
	quic_tls_unref(w->st);
	quic_tls_unref(w->ct);
	quic_cert_free(&w->cert);
	sim_free(w->sim);
	free(w->people);
	free(w->cfg);
}

/* From here on: what is heard is counted, and compared with `expect`. */
static void listen_from_now(struct world *w)
{
	for (size_t i = 0; i < w->n_people; i++)
		w->people[i].heard = w->people[i].wrong = 0;
}

/* --- cases ------------------------------------------------------------------------------------ */

static void two_people_hear_each_other_fifty_times_a_second(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1, 2);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	gather(&w);
	run(&w, nsec_from_s(1));
	a->expect = 2000;
	b->expect = 1000;
	listen_from_now(&w);
	run(&w, nsec_from_s(10));
	assert_in_range(a->heard, 499, 501);
	assert_in_range(b->heard, 499, 501);
	assert_int_equal(a->wrong + b->wrong, 0);
	world_end(&w);
}

static void a_thousand_sessions_hear_their_own_rooms_and_nothing_else(void **state)
{
	enum { N = 1000, ROOM = 4 };
	struct world w;

	(void)state;
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
	gather(&w);
	run(&w, nsec_from_s(1));
	listen_from_now(&w);
	run(&w, nsec_from_s(2));
	for (int i = 0; i < N; i++) {
		struct person *p = &w.people[i];

		if (i % ROOM == 0)
			assert_int_equal(p->heard, 0); /* he alone talks: nobody to hear */
		else
			assert_in_range(p->heard, 99, 101);
		assert_int_equal(p->wrong, 0);
	}
	assert_int_equal(rooms_stats(w.server.rooms)->rooms, N / ROOM);
	assert_int_equal(rooms_stats(w.server.rooms)->ticks_skipped, 0);
	world_end(&w);
}

static void loss_jitter_and_reordering_cost_only_what_was_lost(void **state)
{
	static const struct sim_link rough = {
		.loss = 0.05, .duplicate = 0.02, .reorder = 0.05, .reorder_us = 8000, .delay_us = 30000, .jitter_us = 15000};
	struct world w;

	(void)state;
	world_init(&w, 3, 2);
	sim_both(w.cn, &rough);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	gather(&w);
	run(&w, nsec_from_s(2));
	listen_from_now(&w);
	run(&w, nsec_from_s(20));
	/* 5 % are lost on the way to the listener; what is lost on the way here is concealed. */
	assert_in_range(a->heard, 900, 1000);
	assert_in_range(b->heard, 900, 1000);
	assert_false(a->closed || b->closed);
	world_end(&w);
}

/* Both ways the losses show in the numbers, and nothing but what was lost is missing. */
static void numbered_frames_tell_what_was_lost(void **state)
{
	static const struct sim_link rough = {.loss = 0.1, .delay_us = 30000, .jitter_us = 2000};
	struct world w;

	(void)state;
	world_init(&w, 9, 2);
	struct person *a = join(&w, "x&frames=v1", 1000), *b = join(&w, "x&frames=v1", 2000);

	gather(&w);
	run(&w, nsec_from_s(2));
	sim_both(w.cn, &rough);
	run(&w, nsec_from_s(1));
	uint64_t lost = rooms_stats(w.server.rooms)->frames_lost, sent = a->sent + b->sent, in = rooms_stats(w.server.rooms)->frames_in;

	listen_from_now(&w);
	a->missing = b->missing = 0;
	a->expect = 2000;
	b->expect = 1000;
	run(&w, nsec_from_s(40));
	sent = a->sent + b->sent - sent;
	in = rooms_stats(w.server.rooms)->frames_in - in;
	lost = rooms_stats(w.server.rooms)->frames_lost - lost;
	print_message("sent %lu, came %lu, lost %lu by number; heard %lu and %lu, missing %lu and %lu, concealed %lu\n",
		(unsigned long)sent, (unsigned long)in, (unsigned long)lost, (unsigned long)a->heard, (unsigned long)b->heard,
		(unsigned long)a->missing, (unsigned long)b->missing, (unsigned long)rooms_stats(w.server.rooms)->concealed);
	assert_in_range(lost + in, sent - 6, sent + 6);
	assert_in_range(lost, sent * 8 / 100, sent * 12 / 100);
	assert_int_equal(a->disordered + b->disordered, 0);
	for (struct person *p = a; p; p = p == a ? b : NULL) {
		assert_in_range(p->heard + p->missing, 1996, 2004);
		assert_in_range(p->missing, 150, 250);
		assert_true(p->wrong < p->heard / 8); /* what is invented for a constant fades after a while */
	}
	world_end(&w);
}

/* Rooms with both kinds; media time runs on where nobody spoke. */
static void numbers_go_on_through_silence(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 10, 2);
	struct person *a = join(&w, "x&frames=v1", 0), *b = join(&w, "x", 2000);

	gather(&w);
	run(&w, nsec_from_s(1));
	a->expect = 2000;
	listen_from_now(&w);
	run(&w, nsec_from_s(1));
	assert_in_range(a->heard, 49, 51);
	assert_int_equal(a->wrong + a->missing + a->disordered, 0);
	uint16_t seq = a->heard_seq;
	uint32_t time = a->heard_time;

	a->expect = 0;
	b->says = 0;
	run(&w, nsec_from_s(3));
	uint16_t tail = (uint16_t)(a->heard_seq - seq); /* what was concealed of his end */

	b->says = 2000;
	run(&w, nsec_from_s(1));
	assert_true(tail <= 5);
	assert_int_equal(a->missing, 0);
	assert_int_equal(a->disordered, 1);
	assert_in_range(a->heard_time - time, 16000 * 4 - 640, 16000 * 4 + 640);
	assert_in_range((uint16_t)(a->heard_seq - seq), 48, 56);
	assert_int_equal(rooms_stats(w.server.rooms)->frames_lost, 0);
	world_end(&w);
}

static void a_client_behind_a_new_address_goes_on_talking(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 4, 2);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000);

	gather(&w);
	run(&w, nsec_from_s(2));
	sim_rebind(w.cn, "10.9.9.9", 60000);
	run(&w, nsec_from_s(1));
	listen_from_now(&w);
	a->expect = 2000;
	b->expect = 1000;
	run(&w, nsec_from_s(2));
	assert_in_range(a->heard, 99, 101);
	assert_in_range(b->heard, 99, 101);
	assert_int_equal(a->wrong + b->wrong, 0);
	world_end(&w);
}

static void clients_that_vanish_leave_nothing_behind(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 5, 50);
	for (int i = 0; i < 50; i++)
		join(&w, i % 2 ? "a" : "b", 500);
	gather(&w);
	run(&w, nsec_from_s(1));
	sim_attach(w.cn, NULL); /* the whole network of theirs is gone */
	run(&w, nsec_from_s(40));
	assert_int_equal(rooms_stats(w.server.rooms)->participants, 0);
	assert_int_equal(links_stats(w.server.links)->links, 0);
	assert_int_equal(quic_endpoint_stats(w.server.endpoint)->conns, 0);
	sim_attach(w.cn, w.ce);
	world_end(&w);
}

static void flood(void *ctx, nsec now)
{
	struct person *p = ctx;

	for (int i = 0; i < 20 && p->session; i++)
		say(p, now);
}

static void one_who_floods_is_heard_once_and_harms_nobody(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 6, 4);
	struct person *a = join(&w, "x", 1000), *b = join(&w, "x", 2000), *f = join(&w, "y", 300), *g = join(&w, "y", 0);

	gather(&w);
	run(&w, nsec_from_s(1));
	sim_every(w.sim, sim_now(w.sim), nsec_from_ms(5), flood, f); /* 4000 a second */
	run(&w, nsec_from_s(1));
	a->expect = 2000;
	b->expect = 1000;
	listen_from_now(&w);
	run(&w, nsec_from_s(5));
	assert_in_range(a->heard, 249, 251);
	assert_in_range(b->heard, 249, 251);
	assert_int_equal(a->wrong + b->wrong, 0);
	assert_in_range(g->heard, 240, 251);
	assert_true(links_stats(w.server.links)->rate_limited > 1000);
	world_end(&w);
}

static void the_control_stream_tells_who_is_there(void **state)
{
	struct world w;
	char text[8192];

	(void)state;
	world_init(&w, 7, 2);
	struct person *a = &w.people[0];

	a->controls = true;
	join(&w, "x", 0);
	gather(&w);
	run(&w, nsec_from_s(1));
	struct person *b = join(&w, "x", 2000);

	gather(&w);
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

static void refusals_carry_their_status(void **state)
{
	static const struct {
		const char *room;
		unsigned status;
	} cases[] = {{"a&rate=1", 400}, {"a&codec=opus", 400}, {"a&frames=v2", 400}, {"%01", 400}, {"ok", 200}};
	struct world w;

	(void)state;
	world_init(&w, 8, 8);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		join(&w, cases[i].room, 0);
	run(&w, nsec_from_s(3));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(w.people[i].status, cases[i].status);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_people_hear_each_other_fifty_times_a_second),
		cmocka_unit_test(a_thousand_sessions_hear_their_own_rooms_and_nothing_else),
		cmocka_unit_test(loss_jitter_and_reordering_cost_only_what_was_lost),
		cmocka_unit_test(numbered_frames_tell_what_was_lost),
		cmocka_unit_test(numbers_go_on_through_silence),
		cmocka_unit_test(a_client_behind_a_new_address_goes_on_talking),
		cmocka_unit_test(clients_that_vanish_leave_nothing_behind),
		cmocka_unit_test(one_who_floods_is_heard_once_and_harms_nobody),
		cmocka_unit_test(the_control_stream_tells_who_is_there),
		cmocka_unit_test(refusals_carry_their_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
