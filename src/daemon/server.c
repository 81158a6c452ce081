/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "daemon/certs.h"
#include "daemon/heap.h"
#include "daemon/listen.h"
#include "daemon/reset_secret.h"
#include "daemon/scrape.h"
#include "daemon/shard.h"
#include "daemon/web.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_LOOK_MS = 20, CERTS_CHECK_MS = 60000, CLOSE_GRACE_MS = 700 };

enum server_state {
	SERVER_RUNNING,  /* sessions come and go */
	SERVER_DRAINING, /* nobody new; those here were told and may leave by themselves */
	SERVER_CLOSING,  /* every session is closed; connections get a moment to say goodbye */
	SERVER_QUITTING, /* the other shards' threads end */
	SERVER_CLOSED,   /* handles are closing, then on_done */
};

struct server {
	uv_loop_t *loop;
	const struct config *cfg;
	const char *version;
	struct log log;
	enum server_state state;
	struct shard *shard[QUIC_SHARDS_MAX];
	unsigned n_shards;
	unsigned n_closed, n_gone; /* shards that answered so */
	struct registry *registry;
	struct quic_group *group;
	struct exchange *exchange; /* NULL: one shard */
	struct quic_tls *tls;
	struct certs *certs;
	struct http_server *http;
	struct web web, web_h3;
	struct scraper scraper;
	struct watchdog watchdog;
	atomic_bool draining; /* what /healthz says */
	atomic_ullong misdirected;
	uint16_t port, http_port;
	uv_timer_t certs_timer, drain_timer, heap_timer;
	struct heap heap;
	struct closing handles; /* the shard on this loop is one */
	nsec close_by;
	int64_t started_s;
	char addresses[512];
};

/* --- requests over HTTP/3, in any shard's thread ------------------------------------------------ */

static void on_request(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct server *s = ctx;

	web_answer(&s->web_h3, req, res);
}

/* --- HTTP/1.1 -------------------------------------------------------------------------------- */

static void on_http(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct server *s = ctx;

	web_answer(&s->web, req, res);
}

/* --- /metrics ---------------------------------------------------------------------------------- */

static void describe_process(void *ctx, struct metrics_sources *m)
{
	struct server *s = ctx;
	struct quic_cert_info cert = certs_info(s->certs);

	m->http = http_server_stats(s->http);
	m->version = s->version;
	m->started_s = s->started_s;
	m->now_s = clock_wall_s();
	m->certificate_ends_s = cert.not_after_s;
	m->draining = s->draining;
	m->misdirected = s->misdirected;
}

static void answer_metrics(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct server *s = ctx;

	scrape_begin(&s->scraper, req, res);
}

/* --- certificates ----------------------------------------------------------------------------- */

enum { GROUPS_TEXT = sizeof(((struct config_server *)0)->tls_groups) };

/* "X25519MLKEM768:X25519" */
static void join_groups(const struct config_server *c, char out[GROUPS_TEXT])
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_tls_groups; i++)
		n += (size_t)snprintf(out + n, GROUPS_TEXT - n, "%s%s", i ? ":" : "", c->tls_groups[i]);
}

static int use_certificate(void *ctx, const struct quic_cert *cert)
{
	struct server *s = ctx;
	struct quic_tls *tls;
	char groups[GROUPS_TEXT];

	join_groups(&s->cfg->server, groups);
	int err = quic_tls_server(cert, groups, &tls);

	if (err)
		return err;
	if (s->http && s->cfg->http.tls)
		err = http_server_set_certificate(s->http, cert->chain_pem, cert->key_pem);
	if (err) {
		quic_tls_unref(tls);
		return err;
	}
	for (unsigned i = 0; s->state == SERVER_RUNNING && i < s->n_shards && s->shard[i]; i++)
		shard_use_tls(s->shard[i], tls);
	quic_tls_unref(s->tls);
	s->tls = tls;
	return 0;
}

void server_reload(struct server *s, char status[CERTS_STATUS])
{
	status[0] = '\0';
	if (s->state >= SERVER_QUITTING)
		return; /* the HTTP server may be gone */
	certs_reload(s->certs, clock_wall_s(), status);
}

static void on_certs_timer(uv_timer_t *t)
{
	struct server *s = t->data;

	certs_check(s->certs, clock_wall_s());
}

static void on_heap_timer(uv_timer_t *t)
{
	struct server *s = t->data;

	heap_look(&s->heap, s->loop, quic_group_conns(s->group));
}

/* --- listening -------------------------------------------------------------------------------- */

static int bind_voice(void *ctx, const char *host, bool implied)
{
	struct server *s = ctx;
	struct quic_addr addr, bound;
	int err = quic_addr_parse(host, s->port, &addr);

	for (unsigned i = 0; i < s->n_shards && !err; i++) { /* in this order: see udp_steer() */
		err = shard_bind(s->shard[i], &addr, &bound);
		if (!err)
			addr = bound;
	}
	if (!err) {
		s->port = quic_addr_port(&bound);
		return 0;
	}
	if (implied) {
		log_debug(&s->log, "no voice on %s: %s", host, strerror(errno));
		return 0;
	}
	log_error(&s->log, "cannot listen on %s port %u/udp: %s", host, s->port, err == ERR_IO ? strerror(errno) : err_str(err));
	return err;
}

static int bind_http(void *ctx, const char *host, bool implied)
{
	struct server *s = ctx;
	uint16_t bound;
	int err = http_server_listen(s->http, host, s->http_port, s->cfg->http.tls, &bound);

	if (!err) {
		s->http_port = bound;
		return 0;
	}
	if (implied) {
		log_debug(&s->log, "no page on %s: %s", host, strerror(errno));
		return 0;
	}
	log_error(&s->log, "cannot listen on %s port %u/tcp: %s", host, s->http_port,
		err == ERR_IO ? strerror(errno) : err_str(err));
	return err;
}

static void describe(struct server *s)
{
	const struct config *cfg = s->cfg;
	int n = snprintf(s->addresses, sizeof s->addresses, "url=https://%s:%u%s", listen_typed_host(cfg->server.host[0]), s->port,
		cfg->server.path);

	if (s->http && n > 0 && (size_t)n < sizeof s->addresses)
		snprintf(s->addresses + n, sizeof s->addresses - (size_t)n, " page=%s://%s:%u/", cfg->http.tls ? "https" : "http",
			listen_typed_host(cfg->http.host[0]), s->http_port);
}

const char *server_addresses(const struct server *s)
{
	return s->addresses;
}

/* --- start ------------------------------------------------------------------------------------ */

static void open_timer(struct server *s, uv_timer_t *t)
{
	uv_timer_init(s->loop, t);
	t->data = s;
	closing_add(&s->handles);
}

static unsigned count_cores(void)
{
	cpu_set_t ours;

	return sched_getaffinity(0, sizeof ours, &ours) ? 1 : (unsigned)CPU_COUNT(&ours);
}

static unsigned count_shards(const struct server *s)
{
	unsigned n = s->cfg->server.shards ? s->cfg->server.shards : count_cores();

	if (n > QUIC_SHARDS_MAX)
		n = QUIC_SHARDS_MAX;
	if (n > 1 && !udp_can_steer()) {
		log_warn(&s->log, "one shard instead of %u: the kernel cannot steer packets by connection id: %s", n,
			strerror(errno));
		n = 1;
	}
	return n;
}

static void on_reply(void *ctx, struct mail *m);

static int open_shards(struct server *s)
{
	uint8_t reset_secret[QUIC_SECRET_LEN];
	int err = registry_new(s->cfg, s->n_shards, &s->registry);

	reset_secret_find(&s->cfg->server, certs_current(s->certs), &s->log, reset_secret);
	if (!err)
		err = quic_group_new(s->n_shards, reset_secret, &s->group);
	if (!err && s->n_shards > 1)
		err = exchange_new(s->n_shards, &s->exchange);
	for (unsigned i = 0; i < s->n_shards && !err; i++) {
		const struct shard_opts o = {.index = i,
			.n_shards = s->n_shards,
			.loop = s->loop,
			.cfg = s->cfg,
			.registry = s->registry,
			.certs = s->certs,
			.group = s->group,
			.exchange = s->exchange,
			.tls = s->tls,
			.on_request = on_request,
			.on_mail = on_reply,
			.ctx = s,
			.page = i == 0 ? s->http : NULL};

		err = shard_new(&o, &s->log, &s->shard[i]);
		if (i == 0 && s->shard[0])
			closing_add(&s->handles);
	}
	return err;
}

static int open_voice(struct server *s)
{
	int err = open_shards(s);

	s->port = s->cfg->server.port;
	return err ? err : listen_all(s->cfg->server.host, s->cfg->server.n_hosts, bind_voice, s);
}

static int open_page(struct server *s)
{
	if (!s->cfg->http.enabled)
		return 0;
	int err = http_server_new(s->loop, &s->cfg->http_server, on_http, s, &s->log, &s->http);

	if (!err)
		closing_add(&s->handles);
	return err;
}

static int listen_page(struct server *s)
{
	if (!s->http)
		return 0;
	s->http_port = s->cfg->http.port;
	return listen_all(s->cfg->http.host, s->cfg->http.n_hosts, bind_http, s);
}

static int open_all(struct server *s)
{
	int err = open_page(s);

	if (!err)
		err = certs_new(&s->cfg->server, use_certificate, s, &s->log, clock_wall_s(), &s->certs);
	if (!err)
		err = open_voice(s);
	if (!err)
		err = listen_page(s);
	return err;
}

static bool is_healthy(void *ctx)
{
	struct server *s = ctx;

	for (unsigned i = 0; i < s->n_shards; i++)
		if (watchdog_stuck(&s->watchdog, i))
			return false;
	return true;
}

/* Everything that threads other than this one read must be there before they are. */
static void prepare_pages(struct server *s)
{
	s->web = (struct web){.cfg = s->cfg, .registry = s->registry, .certs = s->certs, .port = s->port,
		.version = s->version, .draining = &s->draining, .misdirected = &s->misdirected, .healthy = is_healthy, .metrics = answer_metrics, .ctx = s};
	s->scraper = (struct scraper){.shards = s->shard, .n_shards = s->n_shards, .describe = describe_process, .ctx = s};
	s->web_h3 = s->web;
	s->web_h3.metrics = NULL;
	s->web_h3.healthy = NULL;
}

static int start_shards(struct server *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->n_shards && !err; i++)
		err = shard_start(s->shard[i]);
	return err;
}

static void quit(struct server *s);

int server_new(uv_loop_t *loop, const struct config *cfg, const char *version, uint64_t watchdog_ms, const struct log *log,
	struct server **out)
{
	struct server *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	closing_init(&s->handles, NULL, NULL);
	s->loop = loop;
	s->cfg = cfg;
	s->version = version;
	s->log = *log;
	s->started_s = clock_wall_s();
	watchdog_init(&s->watchdog, watchdog_ms);
	open_timer(s, &s->certs_timer);
	open_timer(s, &s->drain_timer);
	open_timer(s, &s->heap_timer);
	s->n_shards = count_shards(s);
	int err = open_all(s);

	if (!err) {
		prepare_pages(s);
		err = start_shards(s);
	}
	if (err) {
		log_error(&s->log, "not started: %s", err_str(err));
		quit(s);
		uv_run(loop, UV_RUN_DEFAULT);
		server_free(s);
		return err;
	}
	describe(s);
	uv_timer_start(&s->certs_timer, on_certs_timer, CERTS_CHECK_MS, CERTS_CHECK_MS);
	uv_timer_start(&s->heap_timer, on_heap_timer, HEAP_LOOK_MS, HEAP_LOOK_MS);
	*out = s;
	return 0;
}

/* --- watchdog --------------------------------------------------------------------------------- */

static void look_at(struct server *s, unsigned i)
{
	bool was_stuck = watchdog_stuck(&s->watchdog, i);

	if (!watchdog_look(&s->watchdog, i, shard_turns(s->shard[i])))
		shard_ask_to_turn(s->shard[i]);
	if (watchdog_stuck(&s->watchdog, i) != was_stuck)
		log_warn(&s->log, "shard=%u %s", i, was_stuck ? "turns again" : "stuck: it has not turned for two seconds");
}

enum watchdog_verdict server_look(struct server *s)
{
	if (s->state != SERVER_RUNNING) /* the service manager has another limit for that */
		return WATCHDOG_FEED;
	for (unsigned i = 0; i < s->n_shards; i++)
		look_at(s, i);
	return watchdog_verdict(&s->watchdog, s->n_shards);
}

uint32_t server_look_ms(const struct server *s)
{
	return s->watchdog.every_ms;
}

/* --- end -------------------------------------------------------------------------------------- */

/* The other threads have ended, or there never were any. */
static void close_handles(struct server *s)
{
	s->state = SERVER_CLOSED;
	closing_close(&s->handles, (uv_handle_t *)&s->certs_timer);
	closing_close(&s->handles, (uv_handle_t *)&s->drain_timer);
	closing_close(&s->handles, (uv_handle_t *)&s->heap_timer);
	if (s->shard[0])
		shard_send(s->shard[0], SHARD_QUIT);
}

/* Ends all that runs. Some shards may not have been made or started. */
static void quit(struct server *s)
{
	s->state = SERVER_QUITTING;
	s->scraper.ended = true;
	uv_timer_stop(&s->drain_timer);
	if (s->shard[0])
		shard_end_page(s->shard[0]);
	if (s->http)
		http_server_close(s->http, closing_done, &s->handles);
	for (unsigned i = 1; i < s->n_shards; i++) {
		if (s->shard[i] && shard_started(s->shard[i]))
			shard_send(s->shard[i], SHARD_QUIT);
		else
			s->n_gone++;
	}
	if (s->n_gone == s->n_shards - 1)
		close_handles(s);
}

/* Replies of the shards. */
static void on_reply(void *ctx, struct mail *m)
{
	struct server *s = ctx;

	switch (m->kind) {
	case SHARD_REPORTED:
		scrape_report((struct shard_report *)m);
		break;
	case SHARD_CLOSED:
		s->n_closed++;
		break;
	case SHARD_GONE:
		if (s->state == SERVER_CLOSED) /* the one on this loop */
			closing_done(&s->handles);
		else if (++s->n_gone == s->n_shards - 1)
			close_handles(s);
		break;
	}
}

/* Until the last connection has gone, or the time is up. */
static void on_closing(uv_timer_t *t)
{
	struct server *s = t->data;

	if (s->n_closed == s->n_shards && (quic_group_conns(s->group) == 0 || clock_now() >= s->close_by))
		quit(s);
}

static void send_all(struct server *s, enum shard_command command)
{
	for (unsigned i = 0; i < s->n_shards; i++)
		shard_send(s->shard[i], command);
}

static void close_sessions(struct server *s)
{
	s->state = SERVER_CLOSING;
	send_all(s, SHARD_CLOSE);
	s->close_by = clock_now() + nsec_from_ms(CLOSE_GRACE_MS);
	uv_timer_start(&s->drain_timer, on_closing, 0, DRAIN_LOOK_MS);
}

/* Until every session has ended by itself, or the time is up. */
static void on_draining(uv_timer_t *t)
{
	struct server *s = t->data;

	if (registry_sessions(s->registry) == 0 || clock_now() >= s->close_by)
		close_sessions(s);
}

void server_drain(struct server *s, void (*on_done)(void *ctx), void *ctx)
{
	if (s->state != SERVER_RUNNING) { /* asked twice: somebody is in a hurry */
		if (s->state == SERVER_DRAINING)
			close_sessions(s);
		return;
	}
	s->state = SERVER_DRAINING;
	s->draining = true;
	closing_then(&s->handles, on_done, ctx);
	log_info(&s->log, "draining sessions=%u", registry_sessions(s->registry));
	send_all(s, SHARD_DRAIN);
	s->close_by = clock_now() + nsec_from_ms(s->cfg->server.drain_ms);
	uv_timer_start(&s->drain_timer, on_draining, 0, DRAIN_LOOK_MS);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	assert(s->state == SERVER_CLOSED && s->handles.n_open == 0);
	for (unsigned i = s->n_shards; i-- > 0;)
		shard_free(s->shard[i]);
	exchange_free(s->exchange, shard_discard_mail);
	quic_group_free(s->group);
	registry_free(s->registry);
	certs_free(s->certs);
	quic_tls_unref(s->tls);
	free(s);
}
