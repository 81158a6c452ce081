/* SPDX-License-Identifier: MIT */
/*
 * net - what all sessions of a client share: sockets, a QUIC endpoint, WebTransport, TLS and one deadline on
 * a libuv loop. The server's loop turned round. One thread; time is read here once for each wake-up
 * and handed on.
 */
#pragma once
#include "base/log.h"
#include "quic/udp.h"
#include "wt/wt.h"

#include <uv.h>

struct net;

struct net_opts {
	bool insecure;           /* accept any certificate */
	const uint8_t *sha256;   /* 32 bytes: accept exactly this one; NULL: the system's trust store */
	bool classic;            /* no post-quantum key exchange: for servers that know none. default false */
	uint32_t max_conns;      /* default 64 */
	uint32_t sockets;        /* that connections take turns on. default 1 */
	uint32_t timeout_ms;     /* of a handshake and of the answer to the CONNECT. default 10000 */
	/* Called at the time that net_at() set, before packets are written. */
	void (*on_time)(void *ctx, nsec now);
	void *ctx;
};
void net_opts_default(struct net_opts *o);

/* Copies `opts` and `app`; `app` gets what net_connect() was given as user. ERR_NOMEM, ERR_TLS, ERR_IO. */
int net_new(uv_loop_t *loop, const struct net_opts *opts, const struct wt_app *app, const struct log *log, struct net **out);

/* Begins a session: on_answer or on_closed follow. `host` is what the certificate must name. All is copied. `conn`, if not
 * NULL, is valid until on_closed. ERR_LIMIT: max_conns; ERR_IO: no way to `remote`. */
struct net_target {
	const struct quic_addr *remote;
	const char *host, *authority, *path;
};
int net_connect(struct net *n, const struct net_target *to, void *user, nsec now, struct quic_conn **conn);

/* on_time is called at `at`, once. NSEC_NONE: not. */
void net_at(struct net *n, nsec at);
/* Sends at once what was queued outside the loop's callbacks (by a signal, say). */
void net_wake(struct net *n);

/* Lets connections say goodbye (700 ms at most), closes all handles, frees; `on_closed` is the last thing. Sessions
 * that are open then are told nothing: close them before. Twice is once. */
void net_close(struct net *n, void (*on_closed)(void *ctx), void *ctx);
