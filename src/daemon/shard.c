/* SPDX-License-Identifier: MIT */
#include "daemon/shard.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "daemon/load.h"
#include "quic/ticker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So late with anything means that the shard is stuck. */
static const nsec unhealthy_after = 1000000000u;

enum { RECONNECT_MS = 1500 };

/* What handshakes may take at a time; and of all time while the shard is busy, one part in so many. */
enum { GREET_MS = 1, GREET_PARTS = 10 };

/* Mail to a shard: orders are these plus what is ordered. */
enum { MAIL_TLS = QUIC_MAIL_KINDS, MAIL_REPORT, MAIL_ORDER };

struct tls_mail {
	struct mail mail;
	struct quic_tls *tls;
};

struct shard {
	struct shard_opts opts;
	struct log log;
	uv_loop_t *loop, own_loop;
	pthread_t thread;
	bool threaded; /* there is one */
	bool closing, owes_closed;
	struct closing handles;

	struct udp *udp;
	struct stack stack;
	struct handshake_queue *handshakes;
	nsec greet_at; /* not before */
	struct load load;
	bool busy;     /* nobody new */
	struct ticker *ticker;
	uv_prepare_t before_sleep;
	uv_async_t news;
	struct bridge_opts *bridges; /* as configured, on this loop */

	struct mail orders[SHARD_N_ORDERS], closed, gone;
	_Atomic nsec due; /* what it sleeps until, or should have done since */
};

static void answer(struct shard *s, struct mail *m, enum shard_answer kind)
{
	m->kind = kind;
	if (s->opts.index == 0)
		s->opts.on_mail(s->opts.ctx, m);
	else
		exchange_post(s->opts.exchange, s->opts.index, 0, m);
}

/* After the flush: no connection leaves for another shard any more. */
static void answer_closed(struct shard *s)
{
	if (s->owes_closed)
		answer(s, &s->closed, SHARD_CLOSED);
	s->owes_closed = false;
}

/* --- its heartbeat -------------------------------------------------------------------------- */

static void on_mail(void *ctx, struct mail *m);

static void on_forwarded(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len)
{
	struct shard *s = ctx;

	quic_endpoint_recv(s->stack.endpoint, path, ecn, p, len, clock_now());
}

static nsec sooner(nsec a, nsec b)
{
	return a < b ? a : b;
}

static nsec voice_due(const struct shard *s)
{
	return udp_wake_at(s->udp, rooms_deadline(s->stack.rooms), stack_deadline(&s->stack));
}

static nsec earliest(const struct shard *s)
{
	return handshake_queue_len(s->handshakes) > 0 ? sooner(voice_due(s), s->greet_at) : voice_due(s);
}

/* Handshakes, in the time that voice leaves; a few even if it leaves none. */
static void greet(struct shard *s)
{
	struct quic_endpoint *ep = s->stack.endpoint;
	nsec begin = clock_now(), now = begin, until = sooner(voice_due(s), begin + nsec_from_ms(GREET_MS));

	if (begin < s->greet_at)
		return;
	while (handshake_queue_run_next(s->handshakes, ep, now) && (now = clock_now()) < until)
		;
	quic_endpoint_flush(ep, now);
	udp_flush(s->udp);
	now = clock_now();
	load_except(&s->load, now - begin);
	s->greet_at = s->busy ? now + (GREET_PARTS - 1) * (now - begin) : 0;
}

/* A loop that has no time left takes in nobody new, so that those who are there notice nothing. */
static void watch_load(struct shard *s, nsec now)
{
	uint32_t most = s->opts.cfg->limits.max_load_percent;
	bool busy;

	if (!load_due(&s->load, now)) /* libuv takes a lock to answer */
		return;
	load_look(&s->load, uv_metrics_idle_time(s->loop), now);
	busy = most > 0 && s->load.share * 100 >= most;
	if (busy == s->busy)
		return;
	log_warn(&s->log, "shard=%u %s", s->opts.index,
		busy ? "busy: nobody new is taken in" : "no longer busy: people are taken in again");
	s->busy = busy;
	registry_set_busy(s->opts.registry, s->opts.index, busy);
}

void shard_watch_load(struct shard *s)
{
	watch_load(s, clock_now());
}

static bool take_news(struct shard *s)
{
	const struct exchange_reader reader = {s, on_mail, on_forwarded};

	return s->opts.exchange && exchange_take(s->opts.exchange, s->opts.index, &reader);
}

/* After anything happened: mix what is due, write what is to be sent, sleep until the next deadline. */
static void settle(struct shard *s, nsec now)
{
	watch_load(s, now); /* first: after a long sleep it is not as busy as it was before */
	if (s->opts.exchange)
		exchange_awake(s->opts.exchange, s->opts.index);
	if (take_news(s))
		now = clock_now(); /* a connection that came here has seen a later time than `now` */
	if (s->closing)
		return;
	stack_settle(&s->stack, now);
	udp_flush(s->udp);
	if (handshake_queue_len(s->handshakes) > 0)
		greet(s);
	answer_closed(s);
	nsec due = earliest(s);

	ticker_set(s->ticker, due);
	if (!s->opts.exchange)
		return;
	exchange_flush(s->opts.exchange, s->opts.index);
	atomic_store_explicit(&s->due, due, memory_order_relaxed);
}

/* A bridge's own callbacks on the loop may have woken a room or a connection; others may have left something. */
static void on_before_sleep(uv_prepare_t *h)
{
	enum { TURNS = 4 }; /* then the sockets' turn */
	struct shard *s = h->data;

	if (!s->closing && !ticker_is_set(s->ticker, earliest(s)))
		settle(s, clock_now());
	if (!s->opts.exchange)
		return;
	for (int i = 0; i < TURNS && !s->closing; i++) {
		if (exchange_sleep(s->opts.exchange, s->opts.index))
			return;
		settle(s, clock_now());
	}
	if (!s->closing)
		uv_async_send(&s->news);
}

static void on_tick(void *ctx, nsec now)
{
	struct shard *s = ctx;

	if (!udp_run(s->udp, rooms_deadline(s->stack.rooms), now))
		settle(s, now);
}

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	struct shard *s = ctx;

	if (handshake_queue_accepts(p, len))
		handshake_queue_put(s->handshakes, s->stack.endpoint, path, ecn, p, len, now);
	else
		quic_endpoint_recv(s->stack.endpoint, path, ecn, p, len, now);
}

static void on_batch(void *ctx, nsec now)
{
	settle(ctx, now);
}

static void on_news(uv_async_t *h)
{
	struct shard *s = h->data;

	if (!s->closing)
		settle(s, clock_now());
}

static void wake(void *ctx)
{
	struct shard *s = ctx;

	uv_async_send(&s->news); /* any thread */
}

/* --- orders ------------------------------------------------------------------------------------ */

static void fill_report(struct shard *s, struct shard_report *r)
{
	r->quic = *quic_endpoint_stats(s->stack.endpoint);
	r->udp = *udp_stats(s->udp);
	r->wt = *wt_stats(s->stack.wt);
	r->rooms = *rooms_stats(s->stack.rooms);
	r->links = *links_stats(s->stack.links);
	r->handshakes = *handshake_queue_stats(s->handshakes);
	r->load = s->load.share;
	r->forward_dropped = s->opts.exchange ? exchange_dropped(s->opts.exchange, s->opts.index) : 0;
	answer(s, &r->mail, SHARD_REPORTED);
}

static void take_tls(struct shard *s, struct tls_mail *m)
{
	quic_endpoint_set_tls(s->stack.endpoint, m->tls);
	quic_tls_unref(m->tls);
	free(m);
}

static void drain(struct shard *s)
{
	wt_drain(s->stack.wt);
	links_drain(s->stack.links, RECONNECT_MS, clock_now());
}

static void close_sessions(struct shard *s)
{
	quic_endpoint_refuse(s->stack.endpoint, true); /* else somebody new would be waited for */
	links_close_all(s->stack.links, CLOSE_SHUTDOWN, "the server is shutting down", clock_now());
	s->owes_closed = true;
}

/* The others say so when their thread's loop has run empty. */
static void on_handles_closed(void *ctx)
{
	struct shard *s = ctx;

	if (s->opts.index == 0)
		answer(s, &s->gone, SHARD_GONE);
}

static void close_handles(struct shard *s)
{
	s->closing = true;
	if (s->opts.exchange)
		exchange_awake(s->opts.exchange, s->opts.index); /* nobody need wake it any more */
	if (s->stack.endpoint)
		stack_end(&s->stack); /* tells whoever is still there nothing: they were told before */
	closing_close(&s->handles, (uv_handle_t *)&s->before_sleep);
	if (s->opts.exchange)
		closing_close(&s->handles, (uv_handle_t *)&s->news);
	if (s->ticker)
		ticker_close(s->ticker, closing_done, &s->handles);
	if (s->udp)
		udp_close(s->udp, closing_done, &s->handles);
}

static void obey(struct shard *s, enum shard_order order)
{
	switch (order) {
	case SHARD_DRAIN: drain(s); break;
	case SHARD_CLOSE: close_sessions(s); break;
	case SHARD_QUIT: close_handles(s); break;
	case SHARD_N_ORDERS: break;
	}
}

/* In the shard's thread. After the last order only connections that are over are still heard of. */
static void on_mail(void *ctx, struct mail *m)
{
	struct shard *s = ctx;

	if (m->kind < QUIC_MAIL_KINDS)
		quic_endpoint_mail(s->stack.endpoint, m, clock_now());
	else if (m->kind == MAIL_TLS)
		take_tls(s, (struct tls_mail *)m);
	else if (m->kind == MAIL_REPORT)
		fill_report(s, (struct shard_report *)m);
	else if (m->kind < MAIL_ORDER + SHARD_N_ORDERS)
		obey(s, (enum shard_order)(m->kind - MAIL_ORDER));
	else
		s->opts.on_mail(s->opts.ctx, m);
}

void shard_order(struct shard *s, enum shard_order order)
{
	if (s->opts.index == 0) {
		obey(s, order);
		if (!s->closing)
			settle(s, clock_now());
		return;
	}
	s->orders[order].kind = MAIL_ORDER + (unsigned)order;
	exchange_post(s->opts.exchange, 0, s->opts.index, &s->orders[order]);
}

void shard_use_tls(struct shard *s, struct quic_tls *tls)
{
	if (s->opts.index == 0) {
		quic_endpoint_set_tls(s->stack.endpoint, tls);
		return;
	}
	struct tls_mail *m = calloc(1, sizeof *m);

	if (!m) { /* the old certificate goes on */
		log_error(&s->log, "shard=%u: no memory for the new certificate", s->opts.index);
		return;
	}
	m->mail.kind = MAIL_TLS;
	m->tls = quic_tls_ref(tls);
	exchange_post(s->opts.exchange, 0, s->opts.index, &m->mail);
}

void shard_report(struct shard *s, struct shard_report *r)
{
	if (s->opts.index == 0) {
		fill_report(s, r);
		return;
	}
	r->mail.kind = MAIL_REPORT;
	exchange_post(s->opts.exchange, 0, s->opts.index, &r->mail);
}

bool shard_healthy(struct shard *s, nsec now)
{
	nsec due = s->opts.index == 0 ? rooms_deadline(s->stack.rooms) : atomic_load_explicit(&s->due, memory_order_relaxed);

	return due == NSEC_NONE || nsec_since(due, now) < unhealthy_after;
}

void shard_leftover(unsigned to, struct mail *m)
{
	(void)to;
	if (m->kind < QUIC_MAIL_KINDS)
		quic_endpoint_mail(NULL, m, 0);
	/* whatever else there is lies in its sender's memory */
}

/* --- beginning ----------------------------------------------------------------------------------- */

/* Bridges with sockets and children of their own work on the loop of the room. */
static int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int open_stack(struct shard *s)
{
	const struct shard_opts *o = &s->opts;
	struct rooms_opts rooms = o->cfg->rooms;
	size_t n = rooms.n_bridges;

	s->bridges = malloc((n + 1) * sizeof *s->bridges);
	if (!s->bridges)
		return ERR_NOMEM;
	if (n)
		memcpy(s->bridges, rooms.bridges, n * sizeof *s->bridges);
	for (size_t i = 0; i < n; i++)
		s->bridges[i].loop = s->loop;
	rooms.bridges = s->bridges;
	const struct quic_out out = udp_out(s->udp);
	const struct quic_relay relay = o->exchange ? exchange_relay(o->exchange, o->index) : (struct quic_relay){0};
	const struct stack_opts vo = {.cfg = o->cfg,
		.rooms = &rooms,
		.registry = o->registry,
		.shard = o->index,
		.n_shards = o->n_shards,
		.group = o->group,
		.relay = &relay,
		.on_request = o->on_request,
		.request_ctx = o->ctx,
		.wall_ms = wall_ms};

	return stack_init(&s->stack, &vo, &out, o->tls, &s->log);
}

static int open_all(struct shard *s)
{
	const struct udp_handler handler = {.ctx = s, .on_packet = on_packet, .on_batch = on_batch};
	const struct log quiet = {0}; /* what the kernel grants to one, it grants to all */
	struct udp_opts udp = s->opts.cfg->udp;

	udp.grid_us = 1000; /* rooms tick on milliseconds */
	if (s->opts.n_shards > 1)
		udp.share = s->opts.index == 0 ? UDP_FIRST : UDP_JOIN;
	int err = ticker_open(s->loop, on_tick, s, &s->ticker);

	if (err)
		return err;
	closing_add(&s->handles);
	err = udp_new(s->loop, &udp, &handler, s->opts.index == 0 ? &s->log : &quiet, &s->udp);
	if (err)
		return err;
	closing_add(&s->handles);
	err = handshake_queue_new(s->opts.cfg->limits.max_waiting_handshakes, &s->handshakes);
	return err ? err : open_stack(s);
}

int shard_new(const struct shard_opts *o, const struct log *log, struct shard **out)
{
	struct shard *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	closing_init(&s->handles, on_handles_closed, s);
	s->opts = *o;
	s->log = *log;
	s->loop = o->loop;
	atomic_init(&s->due, NSEC_NONE);
	if (o->index > 0 && uv_loop_init(&s->own_loop)) {
		free(s);
		return ERR_IO;
	}
	if (o->index > 0)
		s->loop = &s->own_loop;
	uv_loop_configure(s->loop, UV_METRICS_IDLE_TIME);
	uv_prepare_init(s->loop, &s->before_sleep);
	s->before_sleep.data = s;
	closing_add(&s->handles);
	if (o->exchange) {
		uv_async_init(s->loop, &s->news, on_news);
		s->news.data = s;
		closing_add(&s->handles);
		exchange_on_wake(o->exchange, o->index, wake, s);
	}
	*out = s; /* also on error, for the caller's loop to run empty: see below */
	return open_all(s);
}

int shard_bind(struct shard *s, const struct quic_addr *addr, struct quic_addr *bound)
{
	int err = udp_bind(s->udp, addr, bound);

	return err || s->opts.n_shards == 1 || s->opts.index > 0 ? err : udp_steer(s->udp, s->opts.n_shards);
}

static void *run(void *ctx)
{
	struct shard *s = ctx;
	char name[16];

	snprintf(name, sizeof name, "mynahd/%u", s->opts.index);
	pthread_setname_np(pthread_self(), name);
	uv_run(s->loop, UV_RUN_DEFAULT);
	answer(s, &s->gone, SHARD_GONE);
	return NULL;
}

int shard_start(struct shard *s)
{
	sigset_t all, before;

	uv_prepare_start(&s->before_sleep, on_before_sleep);
	if (s->opts.index == 0)
		return 0;
	sigfillset(&all); /* signals are main's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	s->threaded = pthread_create(&s->thread, NULL, run, s) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return s->threaded ? 0 : ERR_IO;
}

bool shard_started(const struct shard *s)
{
	return s->threaded;
}

/* --- end ------------------------------------------------------------------------------------------- */

void shard_free(struct shard *s)
{
	if (!s)
		return;
	if (s->threaded)
		pthread_join(s->thread, NULL);
	else if (!s->closing && s->opts.index > 0) {
		close_handles(s);
		uv_run(s->loop, UV_RUN_DEFAULT);
	}
	assert(s->handles.n_open == 0);
	stack_fini(&s->stack);
	if (s->opts.index > 0)
		uv_loop_close(&s->own_loop);
	handshake_queue_free(s->handshakes);
	free(s->bridges);
	free(s);
}
