/* SPDX-License-Identifier: MIT */
#include "http/server.h"

#include "http/conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128, REST_MS = 100, RESERVE_PARTS = 4, RESERVE_MAX = 64 };

/* Polled until somebody waits there; then in `accepting` until nobody does. libuv's own listener would accept at once, close
 * unanswered whom it has no descriptor for, and stop for good if we have no memory. */
struct listener {
	struct list link, due;
	uv_poll_t poll;
	int fd;
	struct http_server *server;
	bool tls, put_off; /* put_off: who waits was not refused yet */
};

void http_opts_default(struct http_opts *o)
{
	*o = (struct http_opts){
		.max_conns = 256,
		.requests_per_second = 200,
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
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	free(s);
}

/* Connections have none from here on. */
static int most_fd(void)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most) || most.rlim_cur > 1 << 30)
		return 1 << 30;
	rlim_t reserve = most.rlim_cur / RESERVE_PARTS < RESERVE_MAX ? most.rlim_cur / RESERVE_PARTS : RESERVE_MAX;

	return (int)(most.rlim_cur - reserve);
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
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
	list_init(&s->accepting);
	list_init(&s->due);
	s->fd_most = most_fd();
	s->spare_fd = open_spare();
	uv_timer_init(loop, &s->rest_timer);
	s->rest_timer.data = s;
	closing_add(&s->handles);
	*out = s;
	return 0;
}

/* --- accepting -------------------------------------------------------------------------- */

static void displace(struct http_server *s, struct http_conn *idle)
{
	http_conn_close(idle); /* its descriptor is free at once */
	s->stats.conns_displaced++;
}

/* An answer that takes no memory; under TLS there is none. */
static void refuse(struct listener *l, int fd)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nServer: mynah\r\nContent-Type: text/plain; charset=utf-8\r\n"
				     "Content-Length: 20\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nservice unavailable\n";
	char request[4096];

	l->server->stats.conns_refused++;
	if (!l->tls) {
		send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		recv(fd, request, sizeof request, MSG_DONTWAIT); /* unread, it would make a reset of the end */
	}
	close(fd);
}

static int accept_fd(const struct listener *l)
{
	return accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* The kernel gives the lowest one that is free. Those from `fd_most` on are left to bridges and what else opens some: one
 * that idles makes room below. False: nobody idles. */
static bool move_down(struct http_server *s, int *fd)
{
	struct http_conn *idle = *fd < s->fd_most ? NULL : http_conn_idle(s);

	if (!idle)
		return *fd < s->fd_most;
	displace(s, idle);
	int down = fcntl(*fd, F_DUPFD_CLOEXEC, 0);

	if (down >= 0) {
		close(*fd);
		*fd = down;
	}
	return true;
}

static void take(struct listener *l, int fd)
{
	struct http_server *s = l->server;
	struct http_conn *idle = s->stats.conns < s->opts.max_conns ? NULL : http_conn_idle(s);

	s->stats.conns_accepted++;
	if (idle)
		displace(s, idle);
	if (s->stats.conns >= s->opts.max_conns || !move_down(s, &fd)) {
		refuse(l, fd);
		return;
	}
	int err = http_conn_accept(s, fd, l->tls ? s->tls : NULL);

	if (err) {
		log_warn(&s->log, "http connection refused: %s", err_str(err));
		refuse(l, fd);
	}
}

/* No descriptor is left. One that idles gives up its own, or else the spare one is used to refuse. False: neither helped. */
static bool accept_in_need(struct listener *l)
{
	struct http_server *s = l->server;
	struct http_conn *idle = http_conn_idle(s);
	int fd;

	if (idle) {
		displace(s, idle);
		fd = accept_fd(l);
		if (fd >= 0)
			take(l, fd);
		return fd >= 0;
	}
	if (s->spare_fd < 0)
		return false;
	close(s->spare_fd);
	fd = accept_fd(l);
	if (fd >= 0) {
		s->stats.conns_accepted++;
		refuse(l, fd);
	}
	s->spare_fd = open_spare();
	return fd >= 0;
}

static void on_waiting(uv_poll_t *h, int status, int events)
{
	struct listener *l = h->data;

	(void)status, (void)events;
	uv_poll_stop(h);
	list_append(&l->server->accepting, &l->due);
}

static void poll_again(struct listener *l)
{
	if (list_empty(&l->due))
		uv_poll_start(&l->poll, UV_READABLE, on_waiting);
}

static void on_rested(uv_timer_t *t)
{
	struct http_server *s = t->data;

	if (s->spare_fd < 0)
		s->spare_fd = open_spare();
	list_each (it, &s->listeners, tmp)
		poll_again(list_entry(it, struct listener, link));
}

/* Who waits goes on waiting. */
static void rest(struct http_server *s)
{
	if (!uv_is_active((uv_handle_t *)&s->rest_timer))
		uv_timer_start(&s->rest_timer, on_rested, REST_MS, 0);
}

static bool is_want(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* The kernel says that there is no descriptor before it looks whether anybody waits. */
static bool somebody_waits(const struct listener *l)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static bool is_full(struct http_server *s)
{
	return s->stats.conns >= s->opts.max_conns && !http_conn_idle(s);
}

/* False: it has no turn again until it is polled. */
static bool try_to_accept(struct listener *l)
{
	int fd = accept_fd(l);

	if (fd >= 0) {
		take(l, fd);
		return true;
	}
	if (errno == EAGAIN || (is_want(errno) && !somebody_waits(l))) {
		poll_again(l);
		return false;
	}
	if (!is_want(errno) || accept_in_need(l))
		return true;
	log_warn(&l->server->log, "http accept: %s", strerror(errno));
	rest(l->server);
	return false;
}

/* While all places are taken, some will be free soon: nobody is refused before that was waited for. */
static bool wait_for_place(struct listener *l)
{
	struct http_server *s = l->server;

	if (!list_empty(&s->due))
		return true;
	l->put_off = true;
	rest(s);
	return false;
}

static void accept_one(struct listener *l)
{
	struct http_server *s = l->server;
	bool again;

	list_remove(&l->due);
	if (is_full(s) && !l->put_off) {
		again = wait_for_place(l);
	} else {
		l->put_off = is_full(s);
		again = try_to_accept(l);
	}
	if (again)
		list_append(&s->accepting, &l->due);
}

bool http_server_due(const struct http_server *s)
{
	return !list_empty(&s->accepting) || !list_empty(&s->due);
}

bool http_server_run_next(struct http_server *s, nsec now)
{
	bool accepts = !list_empty(&s->accepting), works = !list_empty(&s->due);

	if (!accepts && !works)
		return false;
	s->now = now;
	s->accept_next = accepts && (!works || !s->accept_next);
	if (s->accept_next)
		accept_one(list_entry(s->accepting.next, struct listener, due));
	else
		http_conn_run_next(s);
	return true;
}

/* --- listening -------------------------------------------------------------------------- */

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
	list_remove(&l->due);
	uv_close((uv_handle_t *)&l->poll, listener_closed);
	close(l->fd);
}

static int parse_addr(const char *host, uint16_t port, struct sockaddr_storage *out)
{
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0)
		return 0;
	return uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0 ? 0 : ERR_MALFORMED;
}

/* -1: see errno. */
static int bind_and_listen(const struct sockaddr_storage *addr, uint16_t *bound_port)
{
	bool six = addr->ss_family == AF_INET6;
	struct sockaddr_storage got;
	socklen_t len = sizeof got;
	int on = 1, fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* "0.0.0.0" and "::" can both be listened on: an IPv6 socket takes IPv6 only. */
	if ((six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)) ||
		bind(fd, (const struct sockaddr *)addr, six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) ||
		listen(fd, BACKLOG) || getsockname(fd, (struct sockaddr *)&got, &len)) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	if (bound_port) /* the port stands in the same place in both kinds of address */
		*bound_port = ntohs(((struct sockaddr_in *)&got)->sin_port);
	return fd;
}

int http_server_listen(struct http_server *s, const char *host, uint16_t port, bool tls, uint16_t *bound_port)
{
	struct sockaddr_storage addr = {0};
	int err = parse_addr(host, port, &addr);

	if (err)
		return err;
	if ((tls && !s->tls) || s->closing)
		return ERR_STATE;
	struct listener *l = calloc(1, sizeof *l);

	if (!l)
		return ERR_NOMEM;
	l->fd = bind_and_listen(&addr, bound_port);
	if (l->fd < 0) {
		free(l);
		return ERR_IO;
	}
	int r = uv_poll_init(s->loop, &l->poll, l->fd);

	if (r < 0) {
		close(l->fd);
		free(l);
		errno = -r;
		return ERR_IO;
	}
	l->server = s;
	l->tls = tls;
	l->poll.data = l;
	list_init(&l->due);
	list_append(&s->listeners, &l->link);
	closing_add(&s->handles);
	poll_again(l);
	return 0;
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
	closing_close(&s->handles, (uv_handle_t *)&s->rest_timer);
	closing_done(&s->handles);
}
