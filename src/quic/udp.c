/* SPDX-License-Identifier: MIT */
#include "quic/udp.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "read_grid.h"
#include "udp_send.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
	ROUNDS = 64,     /* of recvmmsg for one wake-up, so that timers get their turn even in a flood */
	RECV_MAX = 2048, /* longer packets are cut and dropped; we announce 1500 */
	LATE_US = 2000,  /* a tick this late would miss packets that are in the socket: they are read first */
};

/* A socket on the loop. */
struct polled {
	struct udp_socket socket; /* first */
	struct udp *u;
	uv_poll_t poll;
};

struct rx {
	struct mmsghdr msg[UDP_BATCH];
	struct iovec vec[UDP_BATCH];
	struct sockaddr_storage from[UDP_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[UDP_BATCH][UDP_CONTROL_MAX];
	uint8_t buf[UDP_BATCH][RECV_MAX];
	int stale; /* entries from the front that the last call used */
};

struct udp {
	uv_loop_t *loop;
	struct udp_opts opts;
	struct udp_handler handler;
	struct log log;
	struct udp_stats stats;
	struct udp_socket *sockets;
	bool closing;
	struct read_grid grid;
	struct closing handles;
	uv_timer_t close_timer; /* so that the loop calls on_closed even if there is no socket */
	struct rx rx;
	struct udp_send tx;
};

void udp_opts_default(struct udp_opts *o)
{
	*o = (struct udp_opts){.rcvbuf_bytes = 16u << 20, .sndbuf_bytes = 4u << 20};
}

int udp_new(uv_loop_t *loop, const struct udp_opts *opts, const struct udp_handler *handler, const struct log *log,
	struct udp **out)
{
	struct udp *u = calloc(1, sizeof *u);

	if (!u)
		return ERR_NOMEM;
	u->loop = loop;
	u->opts = *opts;
	u->handler = *handler;
	if (log)
		u->log = *log;
	read_grid_init(&u->grid, nsec_from_us(opts->grid_us));
	closing_init(&u->handles, free, u);
	u->rx.stale = UDP_BATCH;
	udp_send_init(&u->tx);
	*out = u;
	return 0;
}

/* --- sockets ------------------------------------------------------------------------------ */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Sets which events of the socket the loop reports. */
static void update_poll(struct polled *p)
{
	int events = (read_grid_on(&p->u->grid) ? 0 : UV_READABLE) | (p->socket.blocked ? UV_WRITABLE : 0);

	if (events)
		uv_poll_start(&p->poll, events, on_poll);
	else
		uv_poll_stop(&p->poll);
}

static void update_polls(struct udp *u)
{
	for (struct udp_socket *s = u->sockets; s; s = s->next)
		update_poll((struct polled *)s);
}

int udp_bind(struct udp *u, const struct quic_addr *addr, struct quic_addr *bound)
{
	struct polled *p = calloc(1, sizeof *p);

	if (!p)
		return ERR_NOMEM;
	int err = udp_socket_open(&p->socket, addr, &u->opts, &u->log);
	int rv = err ? 0 : uv_poll_init(u->loop, &p->poll, p->socket.fd);

	if (rv) {
		udp_socket_close(&p->socket);
		errno = -rv;
		err = ERR_IO;
	}
	if (err) {
		free(p);
		return err;
	}
	p->u = u;
	p->poll.data = p;
	p->socket.next = u->sockets;
	u->sockets = &p->socket;
	closing_add(&u->handles);
	update_poll(p);
	if (bound)
		*bound = p->socket.addr;
	return 0;
}

int udp_steer(struct udp *u, unsigned n_sockets)
{
	return u->sockets ? udp_socket_steer(u->sockets, n_sockets) : ERR_STATE;
}

/* --- receiving ---------------------------------------------------------------------------- */

/* Only what the last call used is set up again: doing all 64 each time was the largest part of
 * our own cost per packet. */
static void rearm(struct rx *r)
{
	for (; r->stale > 0; r->stale--) {
		int i = r->stale - 1;

		r->vec[i] = (struct iovec){r->buf[i], RECV_MAX};
		r->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &r->from[i],
			.msg_namelen = sizeof r->from[i],
			.msg_iov = &r->vec[i],
			.msg_iovlen = 1,
			.msg_control = r->control[i],
			.msg_controllen = UDP_CONTROL_MAX,
		};
	}
}

static void read_control(struct polled *on, struct cmsghdr *c, struct quic_addr *local, uint8_t *ecn)
{
	int value = 0;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		local->in4.sin_addr = info.ipi_addr;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		local->in6.sin6_addr = info.ipi6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			local->in6.sin6_scope_id = info.ipi6_ifindex;
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
		*ecn = *(const uint8_t *)CMSG_DATA(c) & ECN_MASK; /* one byte, unlike the others */
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
		memcpy(&value, CMSG_DATA(c), sizeof value);
		*ecn = (uint8_t)(value & ECN_MASK);
	} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
		memcpy(&value, CMSG_DATA(c), sizeof value);
		on->u->stats.kernel_dropped += (uint32_t)value - on->socket.overflow;
		on->socket.overflow = (uint32_t)value;
	}
}

static void deliver(struct polled *on, struct mmsghdr *m, uint8_t *p, nsec now)
{
	struct udp *u = on->u;
	struct quic_path path = {.local = on->socket.addr};
	uint8_t ecn = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c))
		read_control(on, c, &path.local, &ecn);
	if (m->msg_len == 0 || (m->msg_hdr.msg_flags & MSG_TRUNC) || m->msg_hdr.msg_namelen > sizeof path.remote.in6)
		return;
	memcpy(&path.remote.sa, m->msg_hdr.msg_name, m->msg_hdr.msg_namelen);
	path.remote.len = m->msg_hdr.msg_namelen;
	u->stats.packets_in++;
	u->handler.on_packet(u->handler.ctx, &path, ecn, p, m->msg_len, now);
}

/* One recvmmsg. Returns the number of packets, empty ones included, so that a flood of those ends, too. */
static int receive(struct polled *on, nsec *now)
{
	struct udp *u = on->u;
	struct rx *r = &u->rx;

	rearm(r);
	int n = recvmmsg(on->socket.fd, r->msg, UDP_BATCH, MSG_DONTWAIT, NULL);

	u->stats.recv_calls++;
	if (n <= 0)
		return 0;
	r->stale = n;
	*now = clock_now();
	for (int i = 0; i < n && !u->closing; i++)
		deliver(on, &r->msg[i], r->buf[i], *now);
	return n;
}

/* Reads until the socket is empty, ROUNDS times at the most. Returns the number of packets. */
static int drain(struct polled *on, nsec *now)
{
	int n = UDP_BATCH, all = 0;

	for (int round = 0; round < ROUNDS && n == UDP_BATCH && !on->u->closing; round++) {
		n = receive(on, now);
		all += n;
	}
	return all;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct polled *p = poll->data;
	struct udp *u = p->u;
	nsec now = 0;

	if (status < 0)
		return;
	if (events & UV_WRITABLE) {
		p->socket.blocked = false;
		update_poll(p);
		udp_flush(u);
	}
	if (!(events & UV_READABLE) || drain(p, &now) == 0 || u->closing)
		return;
	if (read_grid_packet(&u->grid, now))
		update_polls(u);
	u->handler.on_batch(u->handler.ctx, now);
}

nsec udp_wake_at(const struct udp *u, nsec tick, nsec rest)
{
	return read_grid_wake_at(&u->grid, tick, rest);
}

bool udp_run(struct udp *u, nsec tick, nsec now)
{
	bool grid = read_grid_on(&u->grid), late = nsec_since(tick, now) > nsec_from_us(LATE_US);
	int all = 0, most = 0;

	if (!late && !read_grid_due(&u->grid, tick, now))
		return false;
	for (struct udp_socket *s = u->sockets; s && !u->closing; s = s->next) {
		nsec seen = now;
		int got = drain((struct polled *)s, &seen);

		now = seen > now ? seen : now;
		all += got;
		most = got > most ? got : most;
	}
	if (grid) {
		u->stats.grid_reads++;
		if (read_grid_read(&u->grid, (uint64_t)all, most >= ROUNDS * UDP_BATCH, now))
			update_polls(u);
	}
	if (all > 0 && !u->closing)
		u->handler.on_batch(u->handler.ctx, now);
	return all > 0;
}

/* --- sending ------------------------------------------------------------------------------ */

static uint8_t *on_slot(void *ctx)
{
	struct udp *u = ctx;

	if (udp_send_full(&u->tx))
		udp_flush(u);
	return udp_send_slot(&u->tx);
}

static void on_commit(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len)
{
	struct udp *u = ctx;
	struct udp_socket *s = udp_socket_for(u->sockets, &path->local);

	if (!s || len == 0 || !udp_send_commit(&u->tx, s, path, ecn, len))
		u->stats.send_dropped++;
}

struct quic_out udp_out(struct udp *u)
{
	return (struct quic_out){u, on_slot, on_commit};
}

void udp_flush(struct udp *u)
{
	if (udp_send_flush(&u->tx, &u->stats))
		update_polls(u);
}

const struct udp_stats *udp_stats(const struct udp *u)
{
	return &u->stats;
}

/* --- end ---------------------------------------------------------------------------------- */

static void on_socket_closed(uv_handle_t *h)
{
	struct polled *p = h->data;
	struct udp *u = p->u;
	struct udp_socket **at = &u->sockets;

	while (*at != &p->socket)
		at = &(*at)->next;
	*at = p->socket.next;
	udp_socket_close(&p->socket);
	free(p);
	closing_done(&u->handles);
}

void udp_close(struct udp *u, void (*on_closed)(void *ctx), void *ctx)
{
	u->closing = true;
	closing_then(&u->handles, on_closed, ctx);
	udp_flush(u);
	closing_later(&u->handles, u->loop, &u->close_timer);
	for (struct udp_socket *s = u->sockets, *next; s; s = next) {
		next = s->next;
		uv_close((uv_handle_t *)&((struct polled *)s)->poll, on_socket_closed);
	}
}
