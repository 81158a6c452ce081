/* SPDX-License-Identifier: MIT */
#include "http/server.h"

#include "http/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 128 };

struct listener {
	struct list link;
	uv_tcp_t tcp;
	struct http_server *server;
	bool tls;
};

void http_opts_default(struct http_opts *o)
{
	*o = (struct http_opts){
		.max_conns = 256,
		.max_header_bytes = 8192,
		.max_response_bytes = 4 << 20,
		.idle_timeout_ms = 15000,
	};
}

static void free_server(void *ctx)
{
	struct http_server *s = ctx;

	assert(list_empty(&s->conns) && list_empty(&s->listeners) && s->stats.conns == 0);
	tls_context_unref(s->tls);
	free(s);
}

int http_server_new(uv_loop_t *loop, const struct http_opts *opts, http_handler_fn *handler, void *ctx,
	const struct log *log, struct http_server **out)
{
	struct http_server *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	s->loop = loop;
	s->opts = *opts;
	s->handler = handler;
	s->ctx = ctx;
	s->log = *log;
	closing_init(&s->handles, free_server, s);
	closing_add(&s->handles); /* the server itself, until it closes */
	list_init(&s->listeners);
	list_init(&s->conns);
	*out = s;
	return 0;
}

static void on_connection(uv_stream_t *tcp, int status)
{
	struct listener *l = tcp->data;
	struct http_server *s = l->server;

	if (status < 0) {
		log_warn(&s->log, "http accept: %s", uv_strerror(status));
		return;
	}
	s->stats.conns_accepted++;
	if (s->stats.conns >= s->opts.max_conns && !http_conn_displace(s)) {
		s->stats.conns_refused++;
		tls_stream_refuse(tcp);
		return;
	}
	int err = http_conn_accept(s, tcp, l->tls ? s->tls : NULL);

	if (err) {
		s->stats.conns_refused++;
		log_warn(&s->log, "http connection refused: %s", err_str(err));
	}
}

static void listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;
	struct http_server *s = l->server;

	free(l);
	closing_done(&s->handles);
}

static void listener_close(struct listener *l)
{
	list_remove(&l->link);
	uv_close((uv_handle_t *)&l->tcp, listener_closed);
}

static int parse_addr(const char *host, uint16_t port, struct sockaddr_storage *out)
{
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0)
		return 0;
	return uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0 ? 0 : ERR_MALFORMED;
}

/* libuv keeps the error of bind() until listen(). */
static int bind_and_listen(struct listener *l, const struct sockaddr_storage *addr, uint16_t *bound_port)
{
	struct sockaddr_storage got;
	int len = sizeof got;
	/* "0.0.0.0" and "::" can both be listened on: an IPv6 socket takes IPv6 only. */
	int r = uv_tcp_bind(&l->tcp, (const struct sockaddr *)addr, addr->ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);

	if (r == 0)
		r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	if (r == 0)
		r = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&got, &len);
	if (r < 0) {
		errno = -r;
		return ERR_IO;
	}
	if (bound_port) /* the port stands in the same place in both kinds of address */
		*bound_port = ntohs(((struct sockaddr_in *)&got)->sin_port);
	return 0;
}

int http_server_listen(struct http_server *s, const char *host, uint16_t port, bool tls, uint16_t *bound_port)
{
	struct sockaddr_storage addr = {0};
	struct listener *l;
	int err = parse_addr(host, port, &addr);

	if (err)
		return err;
	if ((tls && !s->tls) || s->closing)
		return ERR_STATE;
	l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NOMEM;
	l->server = s;
	l->tls = tls;
	l->tcp.data = l;
	list_init(&l->link);
	int r = uv_tcp_init(s->loop, &l->tcp);

	if (r < 0) {
		free(l);
		errno = -r;
		return ERR_IO;
	}
	list_append(&s->listeners, &l->link);
	closing_add(&s->handles);
	err = bind_and_listen(l, &addr, bound_port);
	if (err) {
		int saved = errno;

		listener_close(l);
		errno = saved;
	}
	return err;
}

int http_server_set_certificate(struct http_server *s, const char *chain_pem, const char *key_pem)
{
	struct tls_context *t;
	int err = tls_context_server(chain_pem, key_pem, &t);

	if (err)
		return err;
	tls_context_unref(s->tls);
	s->tls = t;
	return 0;
}

const struct http_stats *http_server_stats(const struct http_server *s)
{
	return &s->stats;
}

void http_server_close(struct http_server *s, void (*on_closed)(void *ctx), void *ctx)
{
	if (s->closing)
		return;
	s->closing = true;
	closing_then(&s->handles, on_closed, ctx);
	list_each (it, &s->listeners, tmp)
		listener_close(list_entry(it, struct listener, link));
	list_each (it, &s->conns, tmp)
		http_conn_close(http_conn_of(it));
	closing_later(&s->handles, s->loop, &s->close_timer);
	closing_done(&s->handles);
}
