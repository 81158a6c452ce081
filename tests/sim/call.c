/* SPDX-License-Identifier: MIT */
#include "sim/call.h"

#include "base/err.h"
#include "support/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- shards ---------------------------------------------------------------------------------- */

struct reader {
	struct quic_endpoint *ep;
	nsec now;
};

static void on_mail(void *ctx, struct mail *m)
{
	struct reader *r = ctx;

	quic_endpoint_mail(r->ep, m, r->now);
}

static void on_forwarded(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len)
{
	struct reader *r = ctx;

	quic_endpoint_recv(r->ep, path, ecn, p, len, r->now);
}

static void read_exchange(struct world *w, unsigned shard, nsec now)
{
	struct reader r = {w->shard[shard].endpoint, now};
	const struct exchange_reader reader = {&r, on_mail, on_forwarded};

	for (unsigned i = 0; i < w->n_shards; i++)
		exchange_flush(w->exchange, i);
	exchange_take(w->exchange, shard, &reader);
}

static void drop_mail(unsigned to, struct mail *m)
{
	(void)to;
	quic_endpoint_mail(NULL, m, 0);
}

static void open_shard(struct world *w, unsigned i, const struct quic_out *out)
{
	static const struct log quiet;
	const struct quic_relay relay = w->exchange ? exchange_relay(w->exchange, i) : (struct quic_relay){0};
	const struct stack_opts o = {.cfg = w->cfg,
		.registry = w->registry,
		.shard = i,
		.n_shards = w->n_shards,
		.group = w->group,
		.relay = &relay};

	assert_int_equal(stack_init(&w->shard[i], &o, out, w->st, &quiet), 0);
	if (i == 0)
		sim_attach(w->sn, w->shard[i].endpoint);
	else
		sim_attach_more(w->sn, w->shard[i].endpoint);
}

static void open_shards(struct world *w)
{
	const struct quic_out out = sim_out(w->sn);

	if (w->n_shards > 1) {
		assert_int_equal(quic_group_new(w->n_shards, NULL, &w->group), 0);
		assert_int_equal(exchange_new(w->n_shards, &w->exchange), 0);
	}
	for (unsigned i = 0; i < w->n_shards; i++)
		open_shard(w, i, &out);
}

/* --- the clock -------------------------------------------------------------------------------- */

/* Every millisecond: mail and packets between shards, rooms that are due, clients that are due to send. */
static void tick(void *ctx, nsec now)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->n_people; i++)
		if (now / nsec_from_ms(1) % 20 == w->people[i].phase_ms)
			send_frame(&w->people[i], now);

	for (unsigned i = 0; i < w->n_shards; i++) {
		if (w->exchange && !w->hold[i])
			read_exchange(w, i, now);
		if (rooms_deadline(w->shard[i].rooms) <= now)
			rooms_run(w->shard[i].rooms, now);
		if (links_deadline(w->shard[i].links) <= now)
			links_run(w->shard[i].links, now);
	}
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

static void check_v1(struct person *p, const uint8_t *b, size_t len)
{
	struct frame f = {0};

	assert_int_equal(packet_parse(b, len, 16000, &f), FRAME_OK);
	assert_true(f.is_v1);
	int16_t ahead = (int16_t)(f.v1.seq - p->last_seq);

	if (p->received > 0 && ahead > 0) {
		p->missing += (uint64_t)ahead - 1;
		p->disordered += f.v1.time - p->last_time != (uint32_t)ahead * FRAME_SAMPLES;
	}
	if (p->received == 0 || ahead > 0) {
		p->last_seq = f.v1.seq;
		p->last_time = f.v1.time;
	}
}

static void on_packet(void *user, const uint8_t *b, size_t len, nsec now)
{
	struct person *p = user;
	size_t head = p->v1 ? PACKET_V1_HEAD : PACKET_LEGACY_HEAD;

	(void)now;
	if (len != head + 2 * FRAME_SAMPLES)
		return;
	if (p->v1)
		check_v1(p, b, len);
	p->received++;
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

static void on_closed(void *user, const struct wt_close *why, nsec now)
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
	.on_datagram = on_packet,
	.on_stream = on_stream,
	.on_stream_data = on_line,
	.on_stream_closed = on_stream_closed,
	.on_closed = on_closed,
};

void send_frame(struct person *p, nsec now)
{
	uint8_t bytes[PACKET_V1_HEAD + 2 * FRAME_SAMPLES], payload[2 * FRAME_SAMPLES];
	struct packet_writer w = {.kind = p->v1 ? PACKET_V1 : PACKET_LEGACY, .next_seq = p->seq};
	struct frame f = {PCM_FRAME(p->rate_hz, payload, FRAME_SAMPLES), .v1 = {.time = p->media_time}};

	if (!p->session || !p->sample)
		return;
	for (size_t i = 0; i < sizeof payload; i += 2) {
		payload[i] = (uint8_t)p->sample;
		payload[i + 1] = (uint8_t)((uint16_t)p->sample >> 8);
	}
	size_t len = datagram_of(bytes, &w, &f);

	p->seq++;
	p->media_time += FRAME_SAMPLES;
	if (wt_session_send(p->session, NULL, 0, bytes, len, now) == 0)
		p->sent++;
}

/* --- world ----------------------------------------------------------------------------------- */

static void init(struct world *w, uint64_t seed, size_t n_people, unsigned n_shards, const struct bridge_opts *bridge)
{
	static const struct log quiet;
	static const char *const names[] = {"localhost"};
	struct quic_opts qo;
	struct wt_opts wo;

	memset(w, 0, sizeof *w);
	w->n_shards = n_shards;
	w->sim = sim_new(seed);
	w->sn = sim_node(w->sim, "10.0.0.1", 4433);
	w->cn = sim_node(w->sim, "10.0.1.1", 50000);
	assert_int_equal(quic_cert_make(names, 1, 13, clock_wall_s(), &w->cert), 0);
	assert_int_equal(quic_tls_server(&w->cert, NULL, &w->st), 0);
	assert_int_equal(quic_tls_client(&(struct quic_tls_client_opts){.insecure = true}, &w->ct), 0);
	w->cfg = calloc(1, sizeof *w->cfg);
	config_default(w->cfg);
	if (bridge) {
		w->cfg->rooms.bridges = bridge;
		w->cfg->rooms.n_bridges = 1;
		snprintf(w->cfg->rooms.private_rule.bridge, BRIDGE_NAME_MAX, "%s", bridge->name);
	}
	assert_int_equal(registry_new(w->cfg, n_shards, &w->registry), 0);
	quic_opts_default(&qo);
	wt_opts_default(&wo);
	qo.max_conns_per_addr = 5000;
	qo.retry_half_open = 5000;
	qo.max_half_open = 5000;
	const struct quic_out co = sim_out(w->cn);

	w->cfg->quic = qo;
	w->cfg->wt = wo;
	open_shards(w);
	assert_int_equal(wt_new(&wo, &client_app, w, &quiet, &w->cw), 0);
	assert_int_equal(quic_endpoint_new(&qo, &co, wt_quic_app(), w->cw, NULL, &quiet, &w->ce), 0);
	wt_attach(w->cw, w->ce);
	sim_attach(w->cn, w->ce);
	sim_every(w->sim, sim_now(w->sim), nsec_from_ms(1), tick, w);
	w->people = calloc(n_people, sizeof *w->people);
}

void world_init(struct world *w, uint64_t seed, size_t n_people)
{
	world_init_shards(w, seed, n_people, 1);
}

void world_init_shards(struct world *w, uint64_t seed, size_t n_people, unsigned n_shards)
{
	init(w, seed, n_people, n_shards, NULL);
}

void world_init_bridge(struct world *w, uint64_t seed, size_t n_people, const struct bridge_opts *bridge)
{
	init(w, seed, n_people, 1, bridge);
}

struct person *join(struct world *w, const char *room, int16_t sample)
{
	struct person *p = &w->people[w->n_people++];
	const struct quic_path path = sim_path(w->cn, w->sn);

	p->w = w;
	p->sample = sample;
	p->rate_hz = 16000;
	p->v1 = strstr(room, "frames=v1") != NULL;
	buf_init(&p->lines, 1 << 20);
	snprintf(p->path, sizeof p->path, "/audio?room=%s&name=p%zu", room, w->n_people);
	assert_int_equal(quic_endpoint_connect(w->ce, w->ct, &path, "localhost", sim_now(w->sim), &p->conn), 0);
	assert_int_equal(wt_client_connect(w->cw, p->conn, "localhost:4433", p->path, NULL, p), 0);
	p->phase_ms = (uint32_t)(sim_random(w->sim) % 20);
	return p;
}

static bool all_have_sessions(void *ctx)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->n_people; i++)
		if (!w->people[i].session)
			return false;
	return true;
}

void run(struct world *w, nsec time)
{
	sim_run(w->sim, NULL, NULL, time);
}

void wait_for_all(struct world *w)
{
	assert_true(sim_run(w->sim, all_have_sessions, w, nsec_from_s(20)));
}

void world_end(struct world *w)
{
	quic_endpoint_free(w->ce);
	wt_free(w->cw);
	for (unsigned i = 0; i < w->n_shards; i++)
		stack_end(&w->shard[i]);
	for (unsigned i = 0; i < w->n_shards; i++) {
		assert_int_equal(rooms_stats(w->shard[i].rooms)->participants, 0);
		assert_int_equal(rooms_stats(w->shard[i].rooms)->rooms, 0);
		assert_int_equal(links_stats(w->shard[i].links)->links, 0);
		stack_fini(&w->shard[i]);
	}
	exchange_free(w->exchange, drop_mail);
	quic_group_free(w->group);
	assert_int_equal(registry_sessions(w->registry), 0);
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

/* From here on: what is received is counted, and compared with `expect`. */
void count_from_now(struct world *w)
{
	for (size_t i = 0; i < w->n_people; i++)
		w->people[i].received = w->people[i].wrong = 0;
}

