/* SPDX-License-Identifier: MIT */
#include "daemon/shard.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "daemon/load.h"
#include "daemon/share.h"
#include "quic/ticker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECONNECT_MS = 1500 };

/* While the shard is busy, handshakes get one part in BUSY_PARTS of all time, and so does the page; else the page gets one in
 * PAGE_PARTS: what a flood of requests costs the loop beside the requests themselves counts as load. */
enum { BUSY_PARTS = 10, PAGE_PARTS = 2 };

/* While all shards are busy: a client that has waited for longer is told so instead of being heard, for a twentieth of what
 * a handshake takes. Sooner, its session is refused with a status that it can read. */
enum { BUSY_PATIENCE_MS = 500 };

/* Mail to a shard: MAIL_COMMAND plus the command. */
enum { MAIL_TLS = QUIC_MAIL_KINDS, MAIL_REPORT, MAIL_COMMAND };

enum shard_state {
	STATE_RUNNING,   /* sessions come and go */
	STATE_REPLY_DUE, /* sessions were closed: SHARD_CLOSED follows after the next flush */
	STATE_LINGERING, /* connections get a moment to end */
	STATE_CLOSING,   /* handles are closing */
};

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
	enum shard_state state;
	struct closing handles;

	struct udp *udp;
	struct stack stack;
	struct handshake_queue *handshakes;
	struct share handshake_share, page_share;
	struct load load;
	struct load_rule load_rule;
	uint64_t joins; /* all that the load was told of */
	bool busy;      /* new sessions are refused */
	struct ticker *ticker;
	uv_prepare_t before_sleep;
	uv_async_t wakeup;
	struct bridge_opts *bridges; /* as configured, on this loop */

	struct mail commands[SHARD_N_COMMANDS], closed, gone;
	_Atomic uint64_t turns; /* written in its own thread */
};

static bool is_closing(const struct shard *s)
{
	return s->state == STATE_CLOSING;
}

static void reply(struct shard *s, struct mail *m, enum shard_reply kind)
{
	m->kind = kind;
	if (s->opts.index == 0)
		s->opts.on_mail(s->opts.ctx, m);
	else
		exchange_post(s->opts.exchange, s->opts.index, 0, m);
}

/* After the flush: no connection moves to another shard any more. */
static void reply_closed(struct shard *s)
{
	if (s->state != STATE_REPLY_DUE)
		return;
	s->state = STATE_LINGERING;
	reply(s, &s->closed, SHARD_CLOSED);
}

/* --- the loop ------------------------------------------------------------------------------- */

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

static bool page_is_due(const struct shard *s)
{
	return s->opts.page && http_server_due(s->opts.page);
}

static nsec earliest(const struct shard *s)
{
	nsec at = voice_due(s);

	if (handshake_queue_len(s->handshakes) > 0)
		at = sooner(at, s->handshake_share.next);
	return page_is_due(s) ? sooner(at, s->page_share.next) : at;
}

/* Handles handshakes in the time that voice leaves; a few even if it leaves none. */
static void run_handshakes(struct shard *s)
{
	struct quic_endpoint *ep = s->stack.endpoint;
	nsec begin = clock_now(), now = begin, until = share_until(begin, voice_due(s));
	nsec patience = s->busy && registry_is_busy(s->opts.registry) ? nsec_from_ms(BUSY_PATIENCE_MS) : NSEC_NONE;

	if (!share_may(&s->handshake_share, begin))
		return;
	while (handshake_queue_run_next(s->handshakes, ep, patience, now) && (now = clock_now()) < until)
		;
	quic_endpoint_flush(ep, now);
	udp_flush(s->udp);
	now = clock_now();
	load_except(&s->load, now - begin);
	share_took(&s->handshake_share, begin, now, s->busy ? BUSY_PARTS : 1);
}

/* The same for the page: requests, handshakes of TLS, connections to accept. */
static void run_page(struct shard *s)
{
	nsec begin = clock_now(), now = begin, until = share_until(begin, voice_due(s));

	if (!share_may(&s->page_share, begin))
		return;
	while (http_server_run_next(s->opts.page, now) && (now = clock_now()) < until)
		;
	now = clock_now();
	load_except(&s->load, now - begin);
	share_took(&s->page_share, begin, now, s->busy ? BUSY_PARTS : PAGE_PARTS);
}

/* True: there is something new to decide by. */
static bool look_at_load(struct shard *s, nsec now)
{
	const struct rooms_stats *rooms = rooms_stats(s->stack.rooms);
	uint64_t joins = rooms->joins - s->joins;
	bool due = load_due(&s->load, now);

	load_charge(&s->load, joins);
	s->joins += joins;
	if (due) /* libuv takes a lock to answer */
		load_look(&s->load, uv_metrics_idle_time(s->loop), rooms->frames_in + rooms->frames_out, now);
	return due || joins > 0;
}

/* A loop without spare time refuses new sessions, so that the sound of those that are open stays whole. */
static void watch_load(struct shard *s, nsec now)
{
	if (!look_at_load(s, now))
		return;
	bool busy = load_decide(&s->load, &s->load_rule);

	if (busy == s->busy)
		return;
	log_warn(&s->log, "shard=%u %s", s->opts.index,
		busy ? "busy: new sessions are refused" : "no longer busy: new sessions are accepted");
	s->busy = busy;
	registry_set_busy(s->opts.registry, s->opts.index, busy);
}

void shard_end_page(struct shard *s)
{
	s->opts.page = NULL;
}

static bool read_exchange(struct shard *s)
{
	const struct exchange_reader reader = {s, on_mail, on_forwarded};

	return s->opts.exchange && exchange_take(s->opts.exchange, s->opts.index, &reader);
}

static void count_turn(struct shard *s)
{
	uint64_t turns = atomic_load_explicit(&s->turns, memory_order_relaxed);

	atomic_store_explicit(&s->turns, turns + 1, memory_order_relaxed);
}

/* After each event: mixes rooms that are due, writes packets, sets the next deadline. */
static void settle(struct shard *s, nsec now)
{
	watch_load(s, now); /* first: after a long sleep it is not as busy as it was before */
	if (s->opts.exchange)
		exchange_awake(s->opts.exchange, s->opts.index);
	if (read_exchange(s))
		now = clock_now(); /* a connection that moved here may have seen a later time than `now` */
	if (is_closing(s))
		return;
	stack_settle(&s->stack, now);
	udp_flush(s->udp);
	if (handshake_queue_len(s->handshakes) > 0)
		run_handshakes(s);
	if (page_is_due(s))
		run_page(s);
	reply_closed(s);
	ticker_set(s->ticker, earliest(s));
	if (s->opts.exchange)
		exchange_flush(s->opts.exchange, s->opts.index);
	count_turn(s);
}

/* Callbacks of bridges on this loop may have woken a room or a connection; other shards may have sent something. */
static void on_before_sleep(uv_prepare_t *h)
{
	enum { TURNS = 4 }; /* then sockets are polled first */
	struct shard *s = h->data;

	if (!is_closing(s) && !ticker_is_set(s->ticker, earliest(s)))
		settle(s, clock_now());
	if (!s->opts.exchange)
		return;
	for (int i = 0; i < TURNS && !is_closing(s); i++) {
		if (exchange_sleep(s->opts.exchange, s->opts.index))
			return;
		settle(s, clock_now());
	}
	if (!is_closing(s))
		uv_async_send(&s->wakeup);
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

static void on_wakeup(uv_async_t *h)
{
	struct shard *s = h->data;

	if (!is_closing(s))
		settle(s, clock_now());
}

static void wake(void *ctx)
{
	struct shard *s = ctx;

	uv_async_send(&s->wakeup); /* any thread */
}

/* --- commands ---------------------------------------------------------------------------------- */

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
	reply(s, &r->mail, SHARD_REPORTED);
}

static void use_tls(struct shard *s, struct tls_mail *m)
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
	quic_endpoint_refuse(s->stack.endpoint, true); /* new connections would delay the end */
	links_close_all(s->stack.links, CLOSE_SHUTDOWN, "the server is shutting down", clock_now());
	s->state = STATE_REPLY_DUE;
}

/* The other shards reply when their thread's loop has ended. */
static void on_handles_closed(void *ctx)
{
	struct shard *s = ctx;

	if (s->opts.index == 0)
		reply(s, &s->gone, SHARD_GONE);
}

static void close_handles(struct shard *s)
{
	s->state = STATE_CLOSING;
	if (s->opts.exchange)
		exchange_awake(s->opts.exchange, s->opts.index); /* no wake-up is needed any more */
	if (s->stack.endpoint)
		stack_end(&s->stack); /* sends nothing: sessions were closed before */
	closing_close(&s->handles, (uv_handle_t *)&s->before_sleep);
	if (s->opts.exchange)
		closing_close(&s->handles, (uv_handle_t *)&s->wakeup);
	if (s->ticker)
		ticker_close(s->ticker, closing_done, &s->handles);
	if (s->udp)
		udp_close(s->udp, closing_done, &s->handles);
}

static void handle(struct shard *s, enum shard_command command)
{
	switch (command) {
	case SHARD_DRAIN: drain(s); break;
	case SHARD_CLOSE: close_sessions(s); break;
	case SHARD_QUIT: close_handles(s); break;
	case SHARD_N_COMMANDS: break;
	}
}

/* In the shard's thread. After SHARD_QUIT only mail about connections that have ended comes. */
static void on_mail(void *ctx, struct mail *m)
{
	struct shard *s = ctx;

	if (m->kind < QUIC_MAIL_KINDS)
		quic_endpoint_mail(s->stack.endpoint, m, clock_now());
	else if (m->kind == MAIL_TLS)
		use_tls(s, (struct tls_mail *)m);
	else if (m->kind == MAIL_REPORT)
		fill_report(s, (struct shard_report *)m);
	else if (m->kind < MAIL_COMMAND + SHARD_N_COMMANDS)
		handle(s, (enum shard_command)(m->kind - MAIL_COMMAND));
	else
		s->opts.on_mail(s->opts.ctx, m);
}

void shard_send(struct shard *s, enum shard_command command)
{
	if (s->opts.index == 0) {
		handle(s, command);
		if (!is_closing(s))
			settle(s, clock_now());
		return;
	}
	s->commands[command].kind = MAIL_COMMAND + (unsigned)command;
	exchange_post(s->opts.exchange, 0, s->opts.index, &s->commands[command]);
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

uint64_t shard_turns(const struct shard *s)
{
	return atomic_load_explicit(&s->turns, memory_order_relaxed);
}

void shard_ask_to_turn(struct shard *s)
{
	if (s->opts.index == 0)
		settle(s, clock_now());
	else
		wake(s);
}

void shard_discard_mail(unsigned to, struct mail *m)
{
	(void)to;
	if (m->kind < QUIC_MAIL_KINDS)
		quic_endpoint_mail(NULL, m, 0);
	/* the memory of other mail is its sender's */
}

/* --- start --------------------------------------------------------------------------------------- */

static int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Bridges with sockets and child processes use the loop of the room. */
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
		.certs = o->certs,
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
	const struct log quiet = {0}; /* the kernel grants all sockets the same: one warning is enough */
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
	s->load_rule = load_rule_make(o->cfg->limits.max_load_percent, o->cfg->limits.resume_load_percent);
	s->loop = o->loop;
	atomic_init(&s->turns, 0);
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
		uv_async_init(s->loop, &s->wakeup, on_wakeup);
		s->wakeup.data = s;
		closing_add(&s->handles);
		exchange_on_wake(o->exchange, o->index, wake, s);
	}
	*out = s; /* also on error: handles are open, so shard_free() must run the loop to its end */
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
	reply(s, &s->gone, SHARD_GONE);
	return NULL;
}

int shard_start(struct shard *s)
{
	sigset_t all, before;

	uv_prepare_start(&s->before_sleep, on_before_sleep);
	if (s->opts.index == 0)
		return 0;
	sigfillset(&all); /* main's thread handles signals */
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
	else if (!is_closing(s) && s->opts.index > 0) {
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
