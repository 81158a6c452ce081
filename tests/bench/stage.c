/* SPDX-License-Identifier: MIT */
#include "bench/stage.h"

#include "config/config.h"
#include "daemon/stack.h"
#include "support/sealed_initial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_US = 1000, DELAY_MS = 10, WIRE = 4096, FRAME_MS = 20, FRAME_MAX = 48000 / 1000 * FRAME_MS };
enum { READ_EVERY_MS = 4 }; /* the daemon reads busy sockets that often; here it is the writers who keep to it */

struct udp_packet {
	nsec at;
	struct quic_path path;
	uint8_t ecn;
	size_t len;
	uint8_t data[QUIC_PACKET_MAX];
};

/* One direction: every packet arrives DELAY_MS later. */
struct wire {
	struct stage *s;
	size_t first, end; /* counted up for ever */
	struct udp_packet ring[WIRE];
};

struct person {
	struct stage *s;
	struct quic_conn *conn;
	struct wt_session *session;
	struct wt_stream *control;
	double due_ms;    /* the next frame, on the person's own clock */
	double write_ms;  /* the next message */
	size_t at;        /* in the tune */
	uint64_t frames, silent;
	bool gone;
};

struct stage {
	struct stage_opts opts;
	nsec now, wake_at;
	bool talking;
	struct quic_tls *st, *ct;
	struct quic_cert cert;
	struct quic_addr server_addr, client_addr;
	struct config *cfg;
	struct registry *registry;
	struct stack server;
	struct wt *cw;
	struct quic_endpoint *ce;
	struct wire up, down;
	size_t n_people;
	struct person *people;
	uint64_t wakeups, messages;
	uint8_t tune[2 * 48000]; /* a second of sound */
};

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "stage: %s: %d\n", what, err);
	exit(1);
}

static void server(struct stage *s, bool on)
{
	if (s->opts.server)
		s->opts.server(on);
}

/* --- the wire ------------------------------------------------------------------------------ */

static uint8_t *on_slot(void *ctx)
{
	struct wire *w = ctx;

	return w->ring[w->end % WIRE].data;
}

static void on_commit(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len)
{
	struct wire *w = ctx;
	struct udp_packet *p = &w->ring[w->end % WIRE];

	p->at = w->s->now + nsec_from_ms(DELAY_MS);
	p->path = *path;
	p->ecn = ecn;
	p->len = len;
	w->end++;
	must(w->end - w->first >= WIRE, "the wire is full");
}

static void deliver(struct wire *w, struct quic_endpoint *to)
{
	for (; w->first < w->end && w->ring[w->first % WIRE].at <= w->s->now; w->first++) {
		struct udp_packet *p = &w->ring[w->first % WIRE];
		struct quic_path path = {.local = p->path.remote, .remote = p->path.local};

		quic_endpoint_recv(to, &path, p->ecn, p->data, p->len, w->s->now);
	}
}

/* --- the shard ------------------------------------------------------------------------------ */

static void run_server(struct stage *s)
{
	const struct wire *w = &s->up;
	bool mail = w->first < w->end && w->ring[w->first % WIRE].at <= s->now;

	if (!mail && s->wake_at > s->now)
		return;
	s->wakeups++;
	server(s, true);
	deliver(&s->up, s->server.endpoint);
	stack_settle(&s->server, s->now);
	s->wake_at = stack_deadline(&s->server);
	server(s, false);
}

/* --- the people ------------------------------------------------------------------------------ */

static void on_answer(void *user, struct wt_session *session, unsigned status, nsec now)
{
	static const char hello[] = "{\"type\":\"stats\"}\n";
	struct person *p = user;

	must(status != 200, "refused");
	p->session = session;
	must(wt_stream_open(session, true, &p->control), "control stream");
	must(wt_stream_send(p->control, hello, sizeof hello - 1, false, now), "control stream");
	size_t i = (size_t)(p - p->s->people);

	p->due_ms = (double)now * 1e-6 + (double)(i * 7 % FRAME_MS);
	if (p->s->opts.write_every_ms)
		p->write_ms = (double)(now / nsec_from_ms(1000) * 1000 + i * READ_EVERY_MS % p->s->opts.write_every_ms);
}

static void on_heard(void *user, const uint8_t *b, size_t len, nsec now)
{
	struct person *p = user;
	bool sound = false;

	(void)now;
	for (size_t i = 2; i < len && !sound; i++)
		sound = b[i] != 0;
	p->frames++;
	p->silent += !sound;
}

static void on_gone(void *user, const struct wt_close *why, nsec now)
{
	struct person *p = user;

	(void)why, (void)now;
	p->session = NULL;
	p->gone = true;
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	(void)user, (void)st, (void)now;
}

static void on_line(void *user, struct wt_stream *st, const uint8_t *b, size_t len, bool fin, nsec now)
{
	(void)user, (void)st, (void)b, (void)len, (void)fin, (void)now;
}

static const struct wt_app client_app = {
	.on_answer = on_answer,
	.on_datagram = on_heard,
	.on_stream = on_stream,
	.on_stream_data = on_line,
	.on_stream_closed = on_stream,
	.on_closed = on_gone,
};

static void say(struct person *p)
{
	struct stage *s = p->s;
	size_t n = s->opts.rate_hz * FRAME_MS / 1000;
	uint8_t head[2] = {(uint8_t)(s->opts.rate_hz / 100), (uint8_t)(s->opts.rate_hz / 100 >> 8)};

	if (p->at + n > s->opts.rate_hz)
		p->at = 0;
	wt_session_send(p->session, head, sizeof head, s->tune + 2 * p->at, 2 * n, s->now);
	p->at += n;
}

static void write_message(struct person *p)
{
	static const char line[] = "{\"type\":\"message\",\"text\":\"what people write is as long as this\"}\n";

	must(wt_stream_send(p->control, line, sizeof line - 1, false, p->s->now), "a message");
	p->s->messages++;
}

static void write_messages(struct stage *s, double now_ms)
{
	for (size_t i = 0; i < s->n_people && s->opts.write_every_ms; i++) {
		struct person *p = &s->people[i];

		if (!p->session || p->write_ms > now_ms)
			continue;
		if (s->talking)
			write_message(p);
		p->write_ms += s->opts.write_every_ms;
	}
}

static void run_people(struct stage *s)
{
	double now_ms = (double)s->now * 1e-6;

	for (size_t i = 0; i < s->n_people; i++) {
		struct person *p = &s->people[i];

		if (!p->session || p->due_ms > now_ms)
			continue;
		p->due_ms += (double)FRAME_MS / (1 + s->opts.drift_ppm * 1e-6);
		if (s->talking && i < s->opts.sessions && !s->opts.write_every_ms)
			say(p);
	}
	write_messages(s, now_ms);
	deliver(&s->down, s->ce);
	if (quic_endpoint_deadline(s->ce) <= s->now)
		quic_endpoint_expire(s->ce, s->now);
	quic_endpoint_flush(s->ce, s->now);
}

static struct person *come(struct stage *s, const char *host)
{
	struct person *p = &s->people[s->n_people++];
	const struct quic_path path = {s->client_addr, s->server_addr};
	size_t i = (size_t)(p - s->people);
	char url[128];

	memset(p, 0, sizeof *p);
	p->s = s;
	if (i >= s->opts.sessions)
		snprintf(url, sizeof url, "/audio?room=idle%zu", i);
	else if (s->opts.room)
		snprintf(url, sizeof url, "/audio?room=r%zu&name=p%zu&rate=%u", i / s->opts.room, i, s->opts.rate_hz);
	else
		snprintf(url, sizeof url, "/audio?name=p%zu&rate=%u", i, s->opts.rate_hz);
	must(quic_endpoint_connect(s->ce, s->ct, &path, host, s->now, &p->conn), "connect");
	must(wt_client_connect(s->cw, p->conn, "localhost:4433", url, NULL, p), "session");
	return p;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Speech-like enough: a tone that swells and pauses within each second. */
static void compose(struct stage *s)
{
	for (size_t i = 0; i < s->opts.rate_hz; i++) {
		double t = (double)i / s->opts.rate_hz, swell = sin(M_PI * fmin(t / 0.8, 1));
		int16_t v = (int16_t)(8000 * swell * sin(2 * M_PI * 220 * t) + 2000 * swell * sin(2 * M_PI * 1330 * t));

		s->tune[2 * i] = (uint8_t)v;
		s->tune[2 * i + 1] = (uint8_t)((uint16_t)v >> 8);
	}
}

static void configure(struct stage *s)
{
	s->cfg = calloc(1, sizeof *s->cfg);
	must(!s->cfg, "memory");
	config_default(s->cfg);
	snprintf(s->cfg->rooms.private_rule.bridge, sizeof s->cfg->rooms.private_rule.bridge, "%s", s->opts.bridge);
	s->cfg->rooms.max_rooms = s->cfg->limits.max_sessions = 100000;
	s->cfg->quic.max_conns_per_addr = s->cfg->quic.max_half_open = s->cfg->quic.retry_half_open = 100000;
	s->cfg->quic.max_conns = 100000;
	s->cfg->rooms.room_text_bytes_per_s = 1000000000;
}

struct stage *stage_new(const struct stage_opts *opts)
{
	static const struct log quiet;
	static const char *const names[] = {"localhost"};
	struct stage *s = calloc(1, sizeof *s);

	must(!s, "memory");
	s->opts = *opts;
	s->now = nsec_from_s(1000);
	s->up.s = s->down.s = s;
	s->people = calloc(opts->sessions + opts->idle + 1, sizeof *s->people);
	must(!s->people, "memory");
	compose(s);
	configure(s);
	must(quic_addr_parse("10.0.0.1", 4433, &s->server_addr), "address");
	must(quic_addr_parse("10.0.1.1", 50000, &s->client_addr), "address");
	must(quic_cert_make(names, 1, 13, clock_wall_s(), &s->cert), "certificate");
	must(quic_tls_server(&s->cert, NULL, &s->st), "tls");
	must(quic_tls_client(&(struct quic_tls_client_opts){.insecure = true, .post_quantum = opts->post_quantum}, &s->ct), "tls");

	const struct quic_out so = {&s->down, on_slot, on_commit}, co = {&s->up, on_slot, on_commit};

	must(wt_new(&s->cfg->wt, &client_app, s, &quiet, &s->cw), "wt");
	must(quic_endpoint_new(&s->cfg->quic, &co, wt_quic_app(), s->cw, NULL, &quiet, &s->ce), "endpoint");
	server(s, true);
	must(registry_new(s->cfg, 1, &s->registry), "registry");
	const struct stack_opts o = {.cfg = s->cfg, .registry = s->registry, .n_shards = 1};

	must(stack_init(&s->server, &o, &so, s->st, &quiet), "server");
	server(s, false);
	wt_attach(s->cw, s->ce);
	return s;
}

static void step(struct stage *s)
{
	s->now += nsec_from_us(STEP_US);
	run_people(s);
	run_server(s);
}

void stage_run(struct stage *s, nsec time)
{
	for (nsec end = s->now + time; s->now < end;)
		step(s);
}

void stage_talk(struct stage *s, bool on)
{
	s->talking = on;
}

static size_t n_in(const struct stage *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_people; i++)
		n += s->people[i].session != NULL;
	return n;
}

void stage_join(struct stage *s)
{
	size_t n = s->opts.sessions + s->opts.idle;

	while (s->n_people < n) {
		come(s, "localhost");
		stage_run(s, nsec_from_ms(5));
	}
	for (int i = 0; n_in(s) < n; i++) {
		must(i == 10000, "not everybody came in");
		step(s);
	}
}

void stage_visits(struct stage *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct person *p = come(s, "localhost");

		for (int k = 0; !p->session; k++) {
			must(k == 10000, "a visitor did not come in");
			step(s);
		}
		stage_run(s, nsec_from_ms(30));
		wt_session_close(p->session, 0, "", s->now);
		stage_run(s, nsec_from_ms(3000));
		must(!p->gone, "a visitor did not go");
		s->n_people--;
	}
}

void stage_flood(struct stage *s, bool in_crumbs, size_t n)
{
	enum { CRUMBS = 200, DCID_AT = 6 };
	struct quic_path path = {s->client_addr, s->server_addr};
	uint8_t frames[SEALED_INITIAL];
	size_t len = crumbs(frames, CRUMBS);

	for (uint32_t i = 0; i < n; i++) {
		uint8_t dcid[8] = {0xf1}, *p = on_slot(&s->up);

		memcpy(dcid + 1, &i, sizeof i);
		sealed_initial(dcid, sizeof dcid, frames, len, p);
		if (!in_crumbs)
			p[SEALED_INITIAL - 1] ^= 1;
		must(quic_addr_parse("10.0.2.1", (uint16_t)(1024 + i), &path.local), "address");
		on_commit(&s->up, &path, 0, SEALED_INITIAL);
		stage_run(s, nsec_from_ms(1));
	}
	stage_run(s, nsec_from_ms(DELAY_MS + 1));
}

struct stage_counts stage_counts(const struct stage *s)
{
	const struct quic_stats *q = quic_endpoint_stats(s->server.endpoint);
	const struct rooms_stats *r = rooms_stats(s->server.rooms);

	return (struct stage_counts){
		.datagrams_in = q->datagrams_in,
		.datagrams_out = q->datagrams_out,
		.packets_in = q->packets_in,
		.packets_out = q->packets_out,
		.handshakes = q->handshakes,
		.concealed = r->concealed,
		.wakeups = s->wakeups,
		.messages = s->messages,
	};
}

void stage_heard(const struct stage *s, uint64_t *frames, uint64_t *silent)
{
	*frames = *silent = 0;
	for (size_t i = 0; i < s->n_people; i++) {
		*frames += s->people[i].frames;
		*silent += s->people[i].silent;
	}
}

void stage_free(struct stage *s)
{
	quic_endpoint_free(s->ce);
	wt_free(s->cw);
	stack_fini(&s->server);
	registry_free(s->registry);
	quic_tls_unref(s->st);
	quic_tls_unref(s->ct);
	quic_cert_free(&s->cert);
	free(s->people);
	free(s->cfg);
	free(s);
}
