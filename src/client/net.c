/* SPDX-License-Identifier: MIT */
#include "client/net.h"

#include "base/closing.h"
#include "base/err.h"
#include "quic/ticker.h"
#include "quic/udp.h"

#include <stdlib.h>

enum { SOCKETS_MAX = 64, GOODBYE_MS = 700, RCVBUF = 4 << 20, SNDBUF = 1 << 20, POOL_MIN = 1024 };

enum net_state {
	NET_OPEN,    /* sessions come and go */
	NET_LEAVING, /* connections get a moment to say goodbye */
	NET_CLOSING, /* handles are closing; the endpoint is gone */
};

struct net {
	struct net_opts opts;
	enum net_state state;
	struct udp *udp;
	struct ticker *ticker;
	struct quic_endpoint *endpoint;
	struct quic_tls *tls;
	struct wt *wt;
	struct quic_addr remote;             /* what the sockets below are for */
	struct quic_addr local[SOCKETS_MAX];
	uint32_t n_local, turn;
	nsec at, leave_by;
	bool settling; /* the ticker will be set at its end */
	struct closing handles;
};

void net_opts_default(struct net_opts *o)
{
	*o = (struct net_opts){.max_conns = 64, .sockets = 1, .timeout_ms = 10000};
}

/* --- the loop's heartbeat ----------------------------------------------------------------------- */

static void net_free(void *ctx)
{
	struct net *n = ctx;

	wt_free(n->wt);
	quic_tls_unref(n->tls);
	free(n);
}

static void close_handles(struct net *n)
{
	n->state = NET_CLOSING;
	quic_endpoint_free(n->endpoint);
	n->endpoint = NULL;
	ticker_close(n->ticker, closing_done, &n->handles);
	udp_close(n->udp, closing_done, &n->handles);
}

static nsec earliest(const struct net *n)
{
	nsec at = quic_endpoint_deadline(n->endpoint);

	if (n->state == NET_LEAVING && n->leave_by < at)
		at = n->leave_by;
	return n->at < at ? n->at : at;
}

/* After anything happened: the owner's turn if it is time, write what is to be sent, sleep until the next deadline. */
static void settle(struct net *n, nsec now)
{
	if (n->state == NET_CLOSING)
		return;
	if (n->at <= now) {
		n->at = NSEC_NONE;
		n->settling = true;
		if (n->opts.on_time)
			n->opts.on_time(n->opts.ctx, now);
		n->settling = false;
	}
	if (quic_endpoint_deadline(n->endpoint) <= now)
		quic_endpoint_expire(n->endpoint, now);
	quic_endpoint_flush(n->endpoint, now);
	udp_flush(n->udp);
	if (n->state == NET_LEAVING && (quic_endpoint_stats(n->endpoint)->conns == 0 || now >= n->leave_by))
		close_handles(n);
	else
		ticker_set(n->ticker, earliest(n));
}

static void on_tick(void *ctx, nsec now)
{
	settle(ctx, now);
}

static void on_batch(void *ctx, nsec now)
{
	settle(ctx, now);
}

static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	struct net *n = ctx;

	if (n->state != NET_CLOSING)
		quic_endpoint_recv(n->endpoint, path, ecn, p, len, now);
}

/* --- start -------------------------------------------------------------------------------------- */

static int open_quic(struct net *n, const struct wt_app *app, const struct log *log)
{
	struct quic_opts qo;
	struct wt_opts wo;
	const struct quic_out out = udp_out(n->udp);

	quic_opts_default(&qo);
	wt_opts_default(&wo);
	qo.max_conns = n->opts.max_conns;
	qo.handshake_timeout_ms = wo.connect_timeout_ms = n->opts.timeout_ms;
	qo.datagram_pool = n->opts.max_conns * 2 > POOL_MIN ? n->opts.max_conns * 2 : POOL_MIN;
	int err = wt_new(&wo, app, n, log, &n->wt);

	if (!err)
		err = quic_endpoint_new(&qo, &out, wt_quic_app(), n->wt, NULL, log, &n->endpoint);
	if (!err)
		wt_attach(n->wt, n->endpoint);
	return err;
}

static int open_handles(struct net *n, uv_loop_t *loop, const struct log *log)
{
	const struct udp_handler handler = {.ctx = n, .on_packet = on_packet, .on_batch = on_batch};
	struct udp_opts uo;
	int err;

	udp_opts_default(&uo);
	uo.rcvbuf_bytes = RCVBUF;
	uo.sndbuf_bytes = SNDBUF;
	err = udp_new(loop, &uo, &handler, log, &n->udp);
	if (err)
		return err;
	closing_add(&n->handles);
	err = ticker_open(loop, on_tick, n, &n->ticker);
	if (!err)
		closing_add(&n->handles);
	return err;
}

/* What net_new() has opened before it failed; nothing is in flight yet. */
static void undo(struct net *n, uv_loop_t *loop)
{
	quic_endpoint_free(n->endpoint);
	n->state = NET_CLOSING;
	if (n->ticker)
		ticker_close(n->ticker, NULL, NULL);
	if (n->udp)
		udp_close(n->udp, NULL, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	net_free(n);
}

int net_new(uv_loop_t *loop, const struct net_opts *opts, const struct wt_app *app, const struct log *log, struct net **out)
{
	const struct quic_tls_client_opts to = {.insecure = opts->insecure, .sha256 = opts->sha256,
		.post_quantum = !opts->classic};
	struct net *n = calloc(1, sizeof *n);

	if (!n)
		return ERR_NOMEM;
	closing_init(&n->handles, net_free, n);
	n->opts = *opts;
	n->opts.sockets = opts->sockets < 1 ? 1 : opts->sockets > SOCKETS_MAX ? SOCKETS_MAX : opts->sockets;
	n->at = n->leave_by = NSEC_NONE;
	int err = quic_tls_client(&to, &n->tls);

	if (!err)
		err = open_handles(n, loop, log);
	if (!err)
		err = open_quic(n, app, log);
	if (err) {
		undo(n, loop);
		return err;
	}
	*out = n;
	return 0;
}

/* --- sessions ----------------------------------------------------------------------------------- */

/* Sockets are bound to the address that the kernel would use, as they are needed, then taken in turn. */
static int local_towards(struct net *n, const struct quic_addr *remote, struct quic_addr *local)
{
	struct quic_addr any;

	if (!quic_addr_equal(remote, &n->remote)) {
		n->remote = *remote;
		n->n_local = n->turn = 0;
	}
	uint32_t i = n->turn++ % n->opts.sockets;

	if (i >= n->n_local) {
		int err = udp_local_for(remote, &any);

		if (!err)
			err = udp_bind(n->udp, &any, &n->local[i]);
		if (err) {
			n->turn--;
			return err;
		}
		n->n_local = i + 1;
	}
	*local = n->local[i];
	return 0;
}

int net_connect(struct net *n, const struct net_target *to, void *user, nsec now, struct quic_conn **conn)
{
	struct quic_path path = {.remote = *to->remote};
	struct quic_conn *c;

	if (n->state != NET_OPEN)
		return ERR_STATE;
	int err = local_towards(n, to->remote, &path.local);

	if (!err)
		err = quic_endpoint_connect(n->endpoint, n->tls, &path, to->host, now, &c);
	if (err)
		return err;
	err = wt_client_connect(n->wt, c, to->authority, to->path, NULL, user);
	if (err) {
		quic_conn_close(c, 0);
		return err;
	}
	if (conn)
		*conn = c;
	return 0;
}

void net_at(struct net *n, nsec at)
{
	n->at = at;
	if (n->state != NET_CLOSING && !n->settling)
		ticker_set(n->ticker, earliest(n));
}

void net_wake(struct net *n)
{
	if (n->state != NET_CLOSING)
		ticker_set(n->ticker, clock_now());
}

void net_close(struct net *n, void (*on_closed)(void *ctx), void *ctx)
{
	if (n->state != NET_OPEN)
		return;
	n->state = NET_LEAVING;
	closing_then(&n->handles, on_closed, ctx);
	n->leave_by = clock_now() + nsec_from_ms(GOODBYE_MS);
	net_wake(n);
}
