/* SPDX-License-Identifier: MIT */
/*
 * server - the small HTTP/1.1 server beside the voice: the page, health, metrics. Runs on
 * the caller's libuv loop; one thread. Every connection, request and response is bounded;
 * a request with a body is refused. With a certificate it speaks TLS. The process must ignore
 * SIGPIPE: libuv writes to sockets that the peer may have closed.
 *
 * What costs time waits until the owner calls http_server_run_next(): a connection to accept, a flight of a TLS handshake,
 * one request, one chunk of a response. Connections take turns. The owner's clock; none of its own except for idle timeouts.
 */
#pragma once
#include "base/err.h"
#include "base/http.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;
struct http_deferred;

struct http_opts {
	/* default 256; above it the connection that has waited longest for a whole request is closed; if all are being answered
	 * the new one gets a 503, in clear. Both are counted, and the same holds when descriptors run out: see below. */
	uint32_t max_conns;
	uint32_t requests_per_second; /* of a connection, after as many at once. default 200; above: 429 and the end of it */
	uint32_t max_header_bytes;   /* request line and fields. default 8192; above: 431 */
	uint32_t max_response_bytes; /* default 4 MiB; above: 500 */
	uint32_t idle_timeout_ms;    /* between requests, and for a half-sent one. default 15000 */
};
void http_opts_default(struct http_opts *o);

/* A handler that cannot respond yet calls http_defer() and leaves `res` alone. Meanwhile the connection reads nothing, and
 * its idle timeout runs. http_respond() must follow exactly once; it does nothing if the connection or the server is
 * gone. NULL: out of memory, or the request did not come over HTTP/1.1; respond now. */
struct http_deferred *http_defer(const struct http_request *req);
void http_respond(struct http_deferred *l, const struct http_response *res);

struct http_stats {
	uint64_t requests, requests_limited, responses_2xx, responses_3xx, responses_4xx, responses_5xx;
	uint64_t conns_accepted, conns_refused, conns_displaced, bad_requests, tls_failures, timeouts;
	uint32_t conns; /* now */
};

/* `handler` is called from http_server_run_next(). A response that cannot be sent (see http_response_ok()) becomes a 500.
 * A quarter of the descriptors that the process may have now (RLIMIT_NOFILE), 64 at most, is left to others. */
int http_server_new(uv_loop_t *loop, const struct http_opts *opts, http_handler_fn *handler, void *ctx,
	const struct log *log, struct http_server **out);
/* Listens on one more address, numeric. `tls`: with the certificate last set. `bound_port` may be NULL. ERR_IO with
 * errno set; ERR_STATE: TLS without a certificate. */
int http_server_listen(struct http_server *s, const char *host, uint16_t port, bool tls, uint16_t *bound_port);
/* Is there work that waits for http_server_run_next()? Only the loop's callbacks and http_respond() make it. */
bool http_server_due(const struct http_server *s);
/* Does one thing, and takes well below a millisecond for it, handler excepted. False: nothing is due. */
bool http_server_run_next(struct http_server *s, nsec now);
/* For new connections from now on. PEM text, copied. ERR_TLS. */
int http_server_set_certificate(struct http_server *s, const char *chain_pem, const char *key_pem);
const struct http_stats *http_server_stats(const struct http_server *s);
extern const struct metric_table http_metrics; /* of struct http_stats */
/* Closes everything; `on_closed` (may be NULL) is called by the loop when the memory is gone. */
void http_server_close(struct http_server *s, void (*on_closed)(void *ctx), void *ctx);
