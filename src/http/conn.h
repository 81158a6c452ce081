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
	uv_timer_t close_timer;  /* never started: with nothing else open, on_closed still comes from the loop */
	struct closing handles;  /* listeners, connections, close_timer; the server itself is one until it closes */
	bool closing;
};

struct http_conn;
struct http_conn *http_conn_of(struct list *link);
/* Takes the connection that waits at `listener`. `tls` NULL: in clear. ERR_*: it is closed. */
int http_conn_accept(struct http_server *s, uv_stream_t *listener, struct tls_context *tls);
void http_conn_close(struct http_conn *c);
/* Closes the one that has been without a request for longest, or else with a part of one; false: all are being answered. */
bool http_conn_displace(struct http_server *s);
