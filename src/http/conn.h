/* SPDX-License-Identifier: MIT */
/* conn - one connection of the HTTP server; and the server as its connections see it. */
#pragma once
#include "base/buf.h"
#include "base/closing_uv.h"
#include "base/list.h"
#include "http/request.h"
#include "http/server.h"
#include "http/tls_stream.h"

struct http_server {
	uv_loop_t *loop;
	struct http_opts opts;
	http_handler_fn *handler;
	void *ctx;
	struct log log;
	struct http_stats stats;
	struct tls_context *tls; /* NULL: no certificate yet */
	struct list listeners, conns;
	struct list accepting, due; /* listeners where somebody waits; connections with work to do. Both take turns */
	bool accept_next;           /* whose turn it is */
	nsec now;                   /* of http_server_run_next() */
	int fd_most;                /* connections have descriptors below it */
	int spare_fd;               /* given up for an answer when none is left; -1: none */
	uv_timer_t rest_timer;      /* runs while nothing can be accepted; there to the end, so on_closed comes from the loop */
	struct closing handles;     /* listeners, connections, rest_timer; the server itself is one until it closes */
	bool closing;
};

struct http_conn;
struct http_conn *http_conn_of(struct list *link);
/* Takes a socket that was accepted. `tls` NULL: in clear. ERR_*: `fd` is still the caller's. */
int http_conn_accept(struct http_server *s, int fd, struct tls_context *tls);
void http_conn_close(struct http_conn *c);
/* The first in server->due does one thing. */
void http_conn_run_next(struct http_server *s);
/* The one that has been without a request for longest, or else with a part of one; NULL: all are being answered or have
 * work that waits for us. */
struct http_conn *http_conn_idle(struct http_server *s);
