/* SPDX-License-Identifier: MIT */
/*
 * server - the small HTTP/1.1 server beside the voice: the page, health, metrics. Runs on
 * the caller's libuv loop; one thread. Every connection, request and response is bounded;
 * bodies of requests are refused. With a certificate it speaks TLS. The process must ignore
 * SIGPIPE: libuv writes to sockets that the peer may have closed.
 */
#pragma once
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;
struct http_later;

struct http_opts {
	/* default 256; above: the one that has waited longest for a whole request is closed, or else the newcomer at once; counted */
	uint32_t max_conns;
	uint32_t max_header_bytes;   /* request line and fields. default 8192; above: 431 */
	uint32_t max_response_bytes; /* default 4 MiB; above: 500 */
	uint32_t idle_timeout_ms;    /* between requests, and for a half-sent one. default 15000 */
};
void http_opts_default(struct http_opts *o);

struct http_request {
	const char *method; /* "GET", "HEAD"; others were answered 405 */
	const char *path;   /* percent-decoded, starts with '/', no query, no ".." */
	const char *query;  /* after '?', as it came; "" if none */
	const char *host;   /* Host field */
	const char *origin; /* Origin field, "" if absent */
	void *conn;         /* for http_later() */
};

/* Filled by the handler. What it points to is copied right after the handler has returned, so it must not lie on the
 * handler's own stack; unless said otherwise it is not touched later. No control characters in the fields: that, a
 * status that is none or a body over the bound are answered 500. */
struct http_response {
	unsigned status;           /* default 200 */
	const char *content_type;  /* default "text/plain; charset=utf-8" */
	const void *body;
	size_t len;
	void *owned;               /* if set, freed with free() when sent; `body` points into it */
	bool static_body;          /* `body` outlives the server: not copied */
	const char *cache_control; /* default "no-store" */
	const char *csp;           /* Content-Security-Policy, NULL: none */
	const char *location;      /* for 3xx, NULL: none */
	bool cors;                 /* Access-Control-Allow-Origin: * */
};

/* A handler that has to wait for its answer calls http_later() and leaves `res` alone; the connection reads nothing
 * meanwhile, and its idle time runs. http_answer() with the response, once and in any case, ends that: nothing happens if
 * the connection or the server has gone. NULL: out of memory, answer now. */
struct http_later *http_later(const struct http_request *req);
void http_answer(struct http_later *l, const struct http_response *res);

/* Called for each complete request, on the loop. */
typedef void http_handler_fn(void *ctx, const struct http_request *req, struct http_response *res);

struct http_stats {
	uint64_t requests, responses_2xx, responses_3xx, responses_4xx, responses_5xx;
	uint64_t conns_accepted, conns_refused, conns_displaced, bad_requests, tls_failures, timeouts;
	uint32_t conns; /* now */
};

int http_server_new(uv_loop_t *loop, const struct http_opts *opts, http_handler_fn *handler, void *ctx,
	const struct log *log, struct http_server **out);
/* Listens on one more address, numeric. `tls`: with the certificate last set. `bound_port` may be NULL. ERR_IO with
 * errno set; ERR_STATE: TLS without a certificate. */
int http_server_listen(struct http_server *s, const char *host, uint16_t port, bool tls, uint16_t *bound_port);
/* For new connections from now on. PEM text, copied. ERR_TLS. */
int http_server_set_certificate(struct http_server *s, const char *chain_pem, const char *key_pem);
const struct http_stats *http_server_stats(const struct http_server *s);
extern const struct metric_table http_metrics; /* of struct http_stats */
/* Closes everything; `on_closed` (may be NULL) is called by the loop when the memory is gone. */
void http_server_close(struct http_server *s, void (*on_closed)(void *ctx), void *ctx);
