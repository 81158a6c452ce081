/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include "base/err.h"
#include "daemon/certs.h"
#include "daemon/control.h"
#include "daemon/link.h"
#include "daemon/load.h"
#include "daemon/metrics.h"
#include "daemon/web.h"
#include "quic/lobby.h"
#include "quic/ticker.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A room later than this without being mixed means that the shard is stuck. */
static const nsec unhealthy_after = 1000000000u;

/* What handshakes may take at a time; and of all time while the shard is busy, one part in so many. */
enum { GREET_MS = 1, GREET_PARTS = 10 };

/* A tick so late has missed what came meanwhile, unless that is read first. */
enum { LATE_MS = 2 };

enum { DRAIN_LOOK_MS = 20, CERTS_CHECK_MS = 60000, CLOSE_GRACE_MS = 700, RECONNECT_MS = 1500 };

enum server_state {
	SERVER_RUNNING,  /* sessions come and go */
	SERVER_DRAINING, /* nobody new; those here were told and may leave by themselves */
	SERVER_CLOSING,  /* every session is closed; connections get a moment to say goodbye */
	SERVER_CLOSED,   /* handles are closing, then on_done */
};

struct server {
	uv_loop_t *loop;
	const struct config *cfg;
	const char *version;
	struct log log;
	enum server_state state;
	struct udp *udp;
	struct quic_endpoint *endpoint;
	struct quic_tls *tls;
	struct wt *wt;
	struct rooms *rooms;
	struct links *links;
	struct lobby *lobby;
	nsec greet_at; /* not before */
	struct load load;
	bool busy;     /* nobody new */
	struct certs *certs;
	struct http_server *http;
	struct ticker *ticker;
	struct web web, web_h3;
	bool draining; /* what /healthz says */
	uint16_t port, http_port;
	uv_timer_t certs_timer, drain_timer;
	uv_prepare_t before_sleep;
	int n_open; /* handles that must close before on_done */
	void (*on_done)(void *ctx);
	void *done_ctx;
	nsec close_by;
	int64_t started_s;
	char addresses[512];
};

/* --- the shard's heartbeat ------------------------------------------------------------------ */

static nsec sooner(nsec a, nsec b)
{
	return a < b ? a : b;
}

static nsec voice_due(const struct server *s)
{
	nsec due = sooner(rooms_deadline(s->rooms), quic_endpoint_deadline(s->endpoint));

	return udp_wake_at(s->udp, sooner(due, links_deadline(s->links)));
}

static nsec earliest(const struct server *s)
{
	return lobby_waiting(s->lobby) > 0 ? sooner(voice_due(s), s->greet_at) : voice_due(s);
}

/* Handshakes, in the time that voice leaves; a few even if it leaves none. */
static void greet(struct server *s)
{
	nsec begin = clock_now(), now = begin, until = sooner(voice_due(s), begin + nsec_from_ms(GREET_MS));

	if (begin < s->greet_at)
		return;
	while (lobby_admit(s->lobby, s->endpoint, now) && (now = clock_now()) < until)
		;
	quic_endpoint_flush(s->endpoint, now);
	udp_flush(s->udp);
	now = clock_now();
	load_except(&s->load, now - begin);
	s->greet_at = s->busy ? now + (GREET_PARTS - 1) * (now - begin) : 0;
}

/* A loop that has no time left takes in nobody new, so that those who are there notice nothing. */
static void watch_load(struct server *s, nsec now)
{
	uint32_t most = s->cfg->limits.max_load_percent;
	bool busy;

	load_look(&s->load, uv_metrics_idle_time(s->loop), now);
	busy = most > 0 && s->load.share * 100 >= most;
	if (busy != s->busy)
		log_warn(&s->log, busy ? "busy: nobody new is taken in" : "no longer busy: people are taken in again");
	s->busy = busy;
	links_set_busy(s->links, busy);
}

/* After anything happened: mix what is due, write what is to be sent, sleep until the next deadline. */
static void settle(struct server *s, nsec now)
{
	if (links_deadline(s->links) <= now)
		links_run(s->links, now);
	if (rooms_deadline(s->rooms) <= now)
		rooms_run(s->rooms, now);
	if (quic_endpoint_deadline(s->endpoint) <= now)
		quic_endpoint_expire(s->endpoint, now);
	quic_endpoint_flush(s->endpoint, now);
	udp_flush(s->udp);
	if (lobby_waiting(s->lobby) > 0)
		greet(s);
	watch_load(s, now);
	ticker_set(s->ticker, earliest(s));
}

/* A bridge's own callbacks on the loop may have woken a room or a connection. */
static void on_before_sleep(uv_prepare_t *h)
{
	struct server *s = h->data;

	if (s->state != SERVER_CLOSED && !ticker_is_set(s->ticker, earliest(s)))
		settle(s, clock_now());
}

static void on_tick(void *ctx, nsec now)
{
	struct server *s = ctx;
	bool late = nsec_until(rooms_deadline(s->rooms), now) > nsec_from_ms(LATE_MS);

	if (!udp_run(s->udp, late, now))
		settle(s, now);
}

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	struct server *s = ctx;

	if (lobby_takes(p, len))
		lobby_put(s->lobby, path, ecn, p, len, now);
	else
		quic_endpoint_recv(s->endpoint, path, ecn, p, len, now);
}

static void on_batch(void *ctx, nsec now)
{
	settle(ctx, now);
}

/* --- sessions and requests over HTTP/3 ------------------------------------------------------ */

static unsigned on_connect(void *ctx, struct wt_session *session, const struct wt_request *req,
	struct wt_response *res, void **user, nsec now)
{
	struct server *s = ctx;
	char why[128];
	unsigned status = links_connect(s->links, session, req, why, sizeof why, user, now);

	if (status != 200) {
		res->owned = strdup(why);
		res->body = res->owned;
		res->len = res->owned ? strlen(why) : 0;
	}
	return status;
}

static struct wt_response text_response(unsigned status, const char *text)
{
	return (struct wt_response){.status = status, .body = text, .len = strlen(text), .static_body = true};
}

static void on_request(void *ctx, const struct wt_request *req, struct wt_response *res, nsec now)
{
	struct server *s = ctx;
	char path[1024];
	size_t n = strcspn(req->path, "?#");

	(void)now;
	if (strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0) {
		*res = text_response(405, "GET or HEAD only\n");
		return;
	}
	if (n >= sizeof path) {
		*res = text_response(414, "the path is too long\n");
		return;
	}
	snprintf(path, sizeof path, "%.*s", (int)n, req->path);
	const struct http_request plain = {.method = req->method,
		.path = path,
		.query = req->path[n] == '?' ? req->path + n + 1 : "",
		.host = req->authority,
		.origin = req->origin};
	struct http_response a = {.status = 200};

	web_answer(&s->web_h3, &plain, &a);
	res->status = a.status;
	res->content_type = a.content_type;
	res->body = a.body;
	res->len = a.len;
	res->static_body = a.static_body;
	res->cache_control = a.cache_control;
	res->csp = a.csp;
	res->owned = a.owned;
}

static const struct wt_app session_app = {
	.on_connect = on_connect,
	.on_request = on_request,
	.on_datagram = link_datagram,
	.on_stream = link_stream,
	.on_stream_data = link_stream_data,
	.on_stream_closed = link_stream_closed,
	.on_closed = link_closed,
};

/* --- HTTP/1.1 -------------------------------------------------------------------------------- */

static void on_http(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct server *s = ctx;

	watch_load(s, clock_now()); /* nothing else may have happened for long */
	web_answer(&s->web, req, res);
}

static void print_metrics(void *ctx, struct buf *out)
{
	struct server *s = ctx;
	const struct metrics_sources m = {
		.quic = quic_endpoint_stats(s->endpoint),
		.udp = udp_stats(s->udp),
		.wt = wt_stats(s->wt),
		.rooms = rooms_stats(s->rooms),
		.links = links_stats(s->links),
		.lobby = lobby_stats(s->lobby),
		.load = s->load.share,
		.http = s->http ? http_server_stats(s->http) : NULL,
		.version = s->version,
		.started_s = s->started_s,
		.now_s = clock_wall_s(),
		.certificate_ends_s = certs_info(s->certs)->not_after_s,
		.draining = s->draining,
	};

	metrics_print(&m, out);
}

/* --- certificates ----------------------------------------------------------------------------- */

static int use_certificate(void *ctx, const struct quic_cert *cert)
{
	struct server *s = ctx;
	struct quic_tls *tls;
	int err = quic_tls_server(cert, &tls);

	if (err)
		return err;
	if (s->http && s->cfg->http.tls)
		err = http_server_set_certificate(s->http, cert->chain_pem, cert->key_pem);
	if (err) {
		quic_tls_unref(tls);
		return err;
	}
	if (s->endpoint)
		quic_endpoint_set_tls(s->endpoint, tls);
	quic_tls_unref(s->tls);
	s->tls = tls;
	return 0;
}

void server_reload(struct server *s)
{
	if (s->state == SERVER_CLOSED)
		return; /* the HTTP server may be gone */
	certs_reload(s->certs, clock_wall_s());
}

static void on_certs_timer(uv_timer_t *t)
{
	struct server *s = t->data;

	certs_check(s->certs, clock_wall_s());
}

/* --- listening -------------------------------------------------------------------------------- */

/* The addresses that a configured host stands for; `implied` ones may be missing on this machine.
 * "localhost" and the wildcards are reached over 127.0.0.1 and ::1, since browsers try ::1 first. */
struct listen_on {
	const char *addr[2];
	bool implied_second;
};

static struct listen_on addresses_of(const char *host)
{
	if (strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0)
		return (struct listen_on){{"127.0.0.1", "::1"}, true};
	if (strcmp(host, "0.0.0.0") == 0)
		return (struct listen_on){{host, "::1"}, true};
	if (strcmp(host, "::") == 0)
		return (struct listen_on){{host, "0.0.0.0"}, true};
	return (struct listen_on){{host, NULL}, false};
}

static int bind_voice(struct server *s, const char *host, bool implied)
{
	struct quic_addr addr, bound;
	int err = quic_addr_parse(host, s->port, &addr);

	if (!err)
		err = udp_bind(s->udp, &addr, &bound);
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

static int bind_http(struct server *s, const char *host, bool implied)
{
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

typedef int bind_fn(struct server *s, const char *host, bool implied);

static int bind_all(struct server *s, const char (*hosts)[64], size_t n, bind_fn *bind)
{
	for (size_t i = 0; i < n; i++) {
		struct listen_on l = addresses_of(hosts[i]);
		int err = bind(s, l.addr[0], false);

		if (!err && l.addr[1])
			err = bind(s, l.addr[1], l.implied_second);
		if (err)
			return err;
	}
	return 0;
}

/* What a person would type: the first host, localhost for a wildcard. */
static const char *spoken_host(const char *host)
{
	static const char *const local[] = {"0.0.0.0", "::", "127.0.0.1", "::1", "localhost"};

	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		if (strcmp(host, local[i]) == 0)
			return "localhost";
	return host;
}

static void describe(struct server *s)
{
	const struct config *cfg = s->cfg;
	int n = snprintf(s->addresses, sizeof s->addresses, "url=https://%s:%u%s", spoken_host(cfg->server.host[0]), s->port,
		cfg->server.path);

	if (s->http && n > 0 && (size_t)n < sizeof s->addresses)
		snprintf(s->addresses + n, sizeof s->addresses - (size_t)n, " page=%s://%s:%u/", cfg->http.tls ? "https" : "http",
			spoken_host(cfg->http.host[0]), s->http_port);
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
	s->n_open++;
}

/* A welcome lists everybody in the room, and must fit the stream's send buffer with something to spare. */
static uint32_t send_bytes(const struct config *cfg)
{
	uint32_t most = cfg->rooms.private_rule.max_participants;

	for (size_t i = 0; i < cfg->rooms.n_rules; i++)
		if (cfg->rooms.rules[i].max_participants > most)
			most = cfg->rooms.rules[i].max_participants;
	size_t needed = 2 * control_welcome_max(most);

	return needed > cfg->wt.stream_send_bytes ? (uint32_t)needed : cfg->wt.stream_send_bytes;
}

static int open_voice(struct server *s)
{
	const struct udp_handler handler = {.ctx = s, .on_packet = on_packet, .on_batch = on_batch};
	int err = udp_new(s->loop, &s->cfg->udp, &handler, &s->log, &s->udp);

	if (err)
		return err;
	s->n_open++;
	s->port = s->cfg->server.port;
	err = bind_all(s, s->cfg->server.host, s->cfg->server.n_hosts, bind_voice);
	if (err)
		return err;
	struct wt_opts wt_opts = s->cfg->wt;

	wt_opts.stream_send_bytes = send_bytes(s->cfg);
	err = wt_new(&wt_opts, &session_app, s, &s->log, &s->wt);
	if (err)
		return err;
	const struct quic_out out = udp_out(s->udp);

	err = quic_endpoint_new(&s->cfg->quic, &out, wt_quic_app(), s->wt, s->tls, &s->log, &s->endpoint);
	if (!err)
		wt_attach(s->wt, s->endpoint);
	return err;
}

static int open_page(struct server *s)
{
	if (!s->cfg->http.enabled)
		return 0;
	int err = http_server_new(s->loop, &s->cfg->http_server, on_http, s, &s->log, &s->http);

	if (!err)
		s->n_open++;
	return err;
}

static int listen_page(struct server *s)
{
	if (!s->http)
		return 0;
	s->http_port = s->cfg->http.port;
	return bind_all(s, s->cfg->http.host, s->cfg->http.n_hosts, bind_http);
}

static int open_all(struct server *s)
{
	int err = ticker_open(s->loop, on_tick, s, &s->ticker);

	if (err)
		return err;
	s->n_open++;
	err = rooms_new(&s->cfg->rooms, &s->log, &s->rooms);
	if (!err)
		err = links_new(s->cfg, s->rooms, &s->log, &s->links);
	if (!err)
		err = lobby_new(s->cfg->limits.max_waiting_handshakes, &s->lobby);
	if (!err)
		err = open_page(s);
	if (!err)
		err = certs_new(&s->cfg->server, use_certificate, s, &s->log, clock_wall_s(), &s->certs);
	if (!err)
		err = open_voice(s);
	if (!err)
		err = listen_page(s);
	return err;
}

static void close_handles(struct server *s);

int server_new(uv_loop_t *loop, const struct config *cfg, const char *version, const struct log *log,
	struct server **out)
{
	struct server *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
	s->loop = loop;
	s->cfg = cfg;
	s->version = version;
	s->log = *log;
	s->started_s = clock_wall_s();
	open_timer(s, &s->certs_timer);
	open_timer(s, &s->drain_timer);
	uv_prepare_init(loop, &s->before_sleep);
	s->before_sleep.data = s;
	s->n_open++;
	int err = open_all(s);

	if (err) {
		log_error(&s->log, "not started: %s", err_str(err));
		close_handles(s);
		uv_run(loop, UV_RUN_DEFAULT);
		server_free(s);
		return err;
	}
	s->web = (struct web){.cfg = cfg, .links = s->links, .certs = s->certs, .port = s->port, .version = version,
		.draining = &s->draining, .metrics = print_metrics, .ctx = s};
	s->web_h3 = s->web;
	s->web_h3.metrics = NULL;
	describe(s);
	uv_timer_start(&s->certs_timer, on_certs_timer, CERTS_CHECK_MS, CERTS_CHECK_MS);
	uv_prepare_start(&s->before_sleep, on_before_sleep);
	*out = s;
	return 0;
}

bool server_healthy(const struct server *s)
{
	nsec due = rooms_deadline(s->rooms);

	return due == NSEC_NONE || nsec_until(due, clock_now()) < unhealthy_after;
}

/* --- end -------------------------------------------------------------------------------------- */

static void handle_closed(void *ctx)
{
	struct server *s = ctx;

	if (--s->n_open == 0 && s->on_done)
		s->on_done(s->done_ctx);
}

static void handle_gone(uv_handle_t *h)
{
	handle_closed(h->data);
}

static void close_handles(struct server *s)
{
	s->state = SERVER_CLOSED;
	quic_endpoint_free(s->endpoint); /* tells whoever is still there nothing: they were told before */
	s->endpoint = NULL;
	uv_close((uv_handle_t *)&s->certs_timer, handle_gone);
	uv_close((uv_handle_t *)&s->drain_timer, handle_gone);
	uv_close((uv_handle_t *)&s->before_sleep, handle_gone);
	if (s->ticker)
		ticker_close(s->ticker, handle_closed, s);
	if (s->udp)
		udp_close(s->udp, handle_closed, s);
	if (s->http)
		http_server_close(s->http, handle_closed, s);
}

/* Until the last connection has gone, or the time is up. */
static void on_closing(uv_timer_t *t)
{
	struct server *s = t->data;

	if (quic_endpoint_stats(s->endpoint)->conns == 0 || clock_now() >= s->close_by)
		close_handles(s);
}

static void close_sessions(struct server *s)
{
	nsec now = clock_now();

	s->state = SERVER_CLOSING;
	quic_endpoint_refuse(s->endpoint, true); /* else somebody new would be waited for */
	links_close_all(s->links, CLOSE_SHUTDOWN, "the server is shutting down", now);
	settle(s, now);
	s->close_by = now + nsec_from_ms(CLOSE_GRACE_MS);
	uv_timer_start(&s->drain_timer, on_closing, 0, DRAIN_LOOK_MS);
}

/* Until everybody has left by himself, or the time is up. */
static void on_draining(uv_timer_t *t)
{
	struct server *s = t->data;

	if (links_stats(s->links)->links == 0 || clock_now() >= s->close_by)
		close_sessions(s);
}

void server_drain(struct server *s, void (*on_done)(void *ctx), void *ctx)
{
	nsec now = clock_now();

	if (s->state != SERVER_RUNNING) { /* asked twice: somebody is in a hurry */
		if (s->state == SERVER_DRAINING)
			close_sessions(s);
		return;
	}
	s->state = SERVER_DRAINING;
	s->draining = true;
	s->on_done = on_done;
	s->done_ctx = ctx;
	log_info(&s->log, "draining sessions=%u", links_stats(s->links)->links);
	wt_drain(s->wt);
	links_drain(s->links, RECONNECT_MS, now);
	settle(s, now);
	s->close_by = now + nsec_from_ms(s->cfg->server.drain_ms);
	uv_timer_start(&s->drain_timer, on_draining, 0, DRAIN_LOOK_MS);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	assert(s->state == SERVER_CLOSED && s->n_open == 0);
	wt_free(s->wt);
	links_free(s->links);
	lobby_free(s->lobby);
	rooms_free(s->rooms);
	certs_free(s->certs);
	quic_tls_unref(s->tls);
	free(s);
}
