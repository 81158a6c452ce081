/* SPDX-License-Identifier: MIT */
#include "quic/udp.h"

#include "base/closing_uv.h"
#include "base/err.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
	BATCH = 64,       /* packets of one recvmmsg or sendmmsg */
	ROUNDS = 64,      /* of recvmmsg for one wake-up, so that timers get their turn even in a flood */
	RECV_MAX = 2048,  /* longer ones are cut and dropped; we announce 1500 */
	CONTROL_MAX = 128,
	ECN_MASK = 3,
	ECT0 = 2,         /* set on the sockets, so that most packets need no control message */
	GRID_WINDOW = 20, /* grid points over which packets are counted */
	GRID_ENTER = 20,  /* wake-ups among them from which on the grid is kept */
	GRID_LEAVE = 10,  /* packets among them below which it is left */
	GRID_BATCH = 32,  /* packets that one reading may find before the next one comes sooner */
	GRID_STEPS = 4,   /* of the grid between two readings at the most */
	LATE_US = 2000,   /* a tick so late has missed what came meanwhile, unless that is read first */
};

struct udp_socket {
	struct udp *u;
	struct udp_socket *next;
	uv_poll_t poll;
	int fd;
	struct quic_addr addr;
	bool wildcard; /* the local address comes and goes with each packet */
	bool blocked;  /* waits until it is writable */
	uint32_t overflow; /* last SO_RXQ_OVFL */
};

struct rx {
	struct mmsghdr msg[BATCH];
	struct iovec vec[BATCH];
	struct sockaddr_storage from[BATCH];
	_Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL_MAX];
	uint8_t buf[BATCH][RECV_MAX];
	int stale; /* how many from the front the last call used */
};

struct tx_packet {
	struct quic_path path;
	struct udp_socket *socket;
	uint8_t ecn;
	size_t len;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_MAX];
	uint8_t buf[QUIC_PACKET_MAX];
};

struct tx {
	struct tx_packet packets[BATCH + 1]; /* one more to write into when all others wait */
	struct tx_packet *order[BATCH + 1];  /* the first n are to be sent */
	size_t n;
	struct mmsghdr msg[BATCH];
	struct iovec vec[BATCH];
};

struct udp {
	uv_loop_t *loop;
	struct udp_opts opts;
	struct udp_handler handler;
	struct log log;
	struct udp_stats stats;
	struct udp_socket *sockets;
	bool closing;
	nsec grid_at;      /* the next reading; NSEC_NONE: packets wake us */
	nsec window_end;   /* of the count below */
	uint64_t n_window; /* without a grid wake-ups, else packets */
	unsigned steps;    /* of the grid between two readings */
	struct closing handles;
	uv_timer_t close_timer; /* so that the loop calls on_closed even if there is no socket */
	struct rx rx;
	struct tx tx;
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
	u->grid_at = NSEC_NONE;
	closing_init(&u->handles, free, u);
	u->rx.stale = BATCH;
	for (size_t i = 0; i < BATCH + 1; i++)
		u->tx.order[i] = &u->tx.packets[i];
	*out = u;
	return 0;
}

/* --- sockets ------------------------------------------------------------------------------ */

static bool is_wildcard(const struct quic_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}

static void size_buffer(struct udp *u, int fd, bool receive)
{
	int want = (int)(receive ? u->opts.rcvbuf_bytes : u->opts.sndbuf_bytes), got = 0;
	socklen_t len = sizeof got;

	if (want <= 0)
		return;
	if (set_int(fd, SOL_SOCKET, receive ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, want))
		set_int(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, want);
	getsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, &got, &len);
	if (got / 2 < want) /* the kernel counts its own overhead, too, and reports twice the size */
		log_warn(&u->log, "%s buffer is %d bytes, asked %d: set net.core.%s=%d", receive ? "receive" : "send", got / 2,
			want, receive ? "rmem_max" : "wmem_max", want);
}

/* Local address, ECN and drop counts of each packet; DF, so that path MTU discovery means something. */
static bool set_options(struct udp *u, const struct udp_socket *s)
{
	int fd = s->fd, on = 1;
	bool v6 = s->addr.sa.sa_family == AF_INET6;

	if (v6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on))
		return false;
	if (u->opts.share != UDP_ALONE && set_int(fd, SOL_SOCKET, SO_REUSEPORT, on))
		return false;
	if (s->wildcard && set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, on))
		return false;
	set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, on);
	set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, ECT0);
	set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
		v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE);
	set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, on);
	size_buffer(u, fd, true);
	size_buffer(u, fd, false);
	return true;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* SO_REUSEPORT lets other processes of the same user join, too: a second daemon would take half of our packets without
 * a word, and port 0 may become a port that such a one has. So the first socket asks without it whether the address is
 * free, and what port 0 becomes. */
static bool find_free(struct quic_addr *addr)
{
	int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return false;
	bool v6_ok = addr->sa.sa_family != AF_INET6 || !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
	socklen_t len = sizeof addr->in6;
	bool ok = v6_ok && !bind(fd, &addr->sa, addr->len) && !getsockname(fd, &addr->sa, &len);
	int why = errno;

	close(fd);
	errno = why;
	return ok;
}

/* What the loop is to tell of it. */
static void listen_to(struct udp_socket *s)
{
	int events = (s->u->grid_at == NSEC_NONE ? UV_READABLE : 0) | (s->blocked ? UV_WRITABLE : 0);

	if (events)
		uv_poll_start(&s->poll, events, on_poll);
	else
		uv_poll_stop(&s->poll);
}

static int open_socket(struct udp *u, struct udp_socket *s, const struct quic_addr *addr)
{
	s->u = u;
	s->addr = *addr;
	s->wildcard = is_wildcard(addr);
	s->fd = -1;
	if (u->opts.share == UDP_FIRST && !find_free(&s->addr))
		return ERR_IO;
	s->fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return ERR_IO;
	socklen_t len = sizeof s->addr.in6;

	if (!set_options(u, s) || bind(s->fd, &s->addr.sa, addr->len) || getsockname(s->fd, &s->addr.sa, &len))
		return ERR_IO;
	s->addr.len = len;
	int rv = uv_poll_init(u->loop, &s->poll, s->fd);

	if (rv) {
		errno = -rv;
		return ERR_IO;
	}
	s->poll.data = s;
	return 0;
}

int udp_bind(struct udp *u, const struct quic_addr *addr, struct quic_addr *bound)
{
	struct udp_socket *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	int err = open_socket(u, s, addr);

	if (err) {
		int why = errno;

		if (s->fd >= 0)
			close(s->fd);
		free(s);
		errno = why;
		return err;
	}
	s->next = u->sockets;
	u->sockets = s;
	closing_add(&u->handles);
	listen_to(s);
	if (bound)
		*bound = s->addr;
	return 0;
}

/* Classic BPF over the UDP payload: an id follows the first byte of a short header, and version and length in a long
 * one (RFC 8999 5). A load beyond the end of the packet ends the program with 0. */
static int attach_steering(int fd, unsigned n_sockets)
{
	enum { AT_SHORT = 1, AT_LONG = 6 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 2, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_SHORT),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_LONG),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n_sockets),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog prog = {sizeof code / sizeof *code, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof prog) ? ERR_IO : 0;
}

int udp_steer(struct udp *u, unsigned n_sockets)
{
	return u->sockets ? attach_steering(u->sockets->fd, n_sockets) : ERR_STATE;
}

bool udp_can_steer(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool can = fd >= 0 && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) && !attach_steering(fd, 2);

	if (fd >= 0)
		close(fd);
	return can;
}

int udp_local_for(const struct quic_addr *remote, struct quic_addr *local)
{
	struct quic_addr a = {.len = sizeof a.in6};
	int fd = socket(remote->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_IO;
	int rv = connect(fd, &remote->sa, remote->len) || getsockname(fd, &a.sa, &a.len);
	int why = errno;

	close(fd);
	errno = why;
	if (rv)
		return ERR_IO;
	if (a.sa.sa_family == AF_INET)
		a.in4.sin_port = 0;
	else
		a.in6.sin6_port = 0;
	*local = a;
	return 0;
}

/* --- receiving ---------------------------------------------------------------------------- */

/* Only what the last call used needs to be set up again: doing all 64 each time was the
 * largest part of our own cost per packet. */
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
			.msg_controllen = CONTROL_MAX,
		};
	}
}

static void read_control(struct udp_socket *s, struct cmsghdr *c, struct quic_addr *local, uint8_t *ecn)
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
		s->u->stats.kernel_dropped += (uint32_t)value - s->overflow;
		s->overflow = (uint32_t)value;
	}
}

static void deliver(struct udp_socket *s, struct mmsghdr *m, uint8_t *p, nsec now)
{
	struct udp *u = s->u;
	struct quic_path path = {.local = s->addr};
	uint8_t ecn = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c))
		read_control(s, c, &path.local, &ecn);
	if (m->msg_len == 0 || (m->msg_hdr.msg_flags & MSG_TRUNC) || m->msg_hdr.msg_namelen > sizeof path.remote.in6)
		return;
	memcpy(&path.remote.sa, m->msg_hdr.msg_name, m->msg_hdr.msg_namelen);
	path.remote.len = m->msg_hdr.msg_namelen;
	u->stats.packets_in++;
	u->handler.on_packet(u->handler.ctx, &path, ecn, p, m->msg_len, now);
}

/* One recvmmsg; how many it gave, empty ones included, so that a flood of them ends, too. */
static int receive(struct udp_socket *s, nsec *now)
{
	struct udp *u = s->u;
	struct rx *r = &u->rx;

	rearm(r);
	int n = recvmmsg(s->fd, r->msg, BATCH, MSG_DONTWAIT, NULL);

	u->stats.recv_calls++;
	if (n <= 0)
		return 0;
	r->stale = n;
	*now = clock_now();
	for (int i = 0; i < n && !u->closing; i++)
		deliver(s, &r->msg[i], r->buf[i], *now);
	return n;
}

/* Until it is empty, but not for ever: how many packets came. */
static int drain(struct udp_socket *s, nsec *now)
{
	int n = BATCH, all = 0;

	for (int round = 0; round < ROUNDS && n == BATCH && !s->u->closing; round++) {
		n = receive(s, now);
		all += n;
	}
	return all;
}

/* The first point of the grid after `at`. */
static nsec point_after(const struct udp *u, nsec at)
{
	nsec step = nsec_from_us(u->opts.grid_us);

	return (at / step + 1) * step;
}

static nsec next_reading(const struct udp *u, nsec now)
{
	return point_after(u, now + (u->steps - 1) * nsec_from_us(u->opts.grid_us));
}

/* `n` packets came in a window. */
static void choose_steps(struct udp *u, uint64_t n)
{
	u->steps = GRID_STEPS;
	while (u->steps > 1 && n * u->steps > GRID_BATCH * GRID_WINDOW)
		u->steps /= 2;
}

static void set_grid(struct udp *u, nsec at)
{
	bool changes = (at == NSEC_NONE) != (u->grid_at == NSEC_NONE);

	u->grid_at = at;
	for (struct udp_socket *s = changes ? u->sockets : NULL; s; s = s->next)
		listen_to(s);
}

/* True once in a window, with `*n` things in it. */
static bool window_over(struct udp *u, nsec now, uint64_t *n)
{
	if (now < u->window_end)
		return false;
	*n = u->n_window;
	u->n_window = 0;
	u->window_end = now + GRID_WINDOW * nsec_from_us(u->opts.grid_us);
	return true;
}

/* Woken by a packet. */
static void consider_grid(struct udp *u, nsec now)
{
	uint64_t n;

	if (u->opts.grid_us == 0)
		return;
	if (++u->n_window >= GRID_ENTER && now < u->window_end) {
		u->window_end = 0;
		u->steps = 1;
		set_grid(u, next_reading(u, now));
	}
	window_over(u, now, &n);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *s = poll->data;
	struct udp *u = s->u;
	nsec now = 0;

	if (status < 0)
		return;
	if (events & UV_WRITABLE) {
		s->blocked = false;
		listen_to(s);
		udp_flush(u);
	}
	if (!(events & UV_READABLE) || drain(s, &now) == 0 || u->closing)
		return;
	consider_grid(u, now);
	u->handler.on_batch(u->handler.ctx, now);
}

nsec udp_wake_at(const struct udp *u, nsec tick, nsec rest)
{
	if (u->grid_at == NSEC_NONE)
		return tick < rest ? tick : rest;
	return tick < u->grid_at ? point_after(u, tick - 1) : u->grid_at;
}

/* After a reading on the grid: when the next one is. `most`: packets of the fullest socket. */
static void plan_reading(struct udp *u, int all, int most, nsec now)
{
	uint64_t n = 0;

	u->stats.grid_reads++;
	u->n_window += (unsigned)all;
	if (window_over(u, now, &n)) {
		choose_steps(u, n);
		if (n < GRID_LEAVE) {
			set_grid(u, NSEC_NONE);
			return;
		}
	}
	u->grid_at = most < ROUNDS * BATCH ? next_reading(u, now) : now; /* the rest at once, after the timers */
}

bool udp_run(struct udp *u, nsec tick, nsec now)
{
	bool grid = u->grid_at != NSEC_NONE, late = nsec_since(tick, now) > nsec_from_us(LATE_US);
	int all = 0, most = 0;

	if (!late && !(grid && (now >= u->grid_at || now >= tick)))
		return false;
	for (struct udp_socket *s = u->sockets; s && !u->closing; s = s->next) {
		nsec seen = now;
		int got = drain(s, &seen);

		now = seen > now ? seen : now;
		all += got;
		most = got > most ? got : most;
	}
	if (grid)
		plan_reading(u, all, most, now);
	if (all > 0 && !u->closing)
		u->handler.on_batch(u->handler.ctx, now);
	return all > 0;
}

/* --- sending ------------------------------------------------------------------------------ */

static uint8_t *on_slot(void *ctx)
{
	struct udp *u = ctx;

	if (u->tx.n == BATCH)
		udp_flush(u);
	return u->tx.order[u->tx.n]->buf;
}

static struct udp_socket *socket_for(const struct udp *u, const struct quic_addr *local)
{
	struct udp_socket *any = NULL;

	for (struct udp_socket *s = u->sockets; s; s = s->next) {
		if (quic_addr_equal(&s->addr, local))
			return s;
		if (s->wildcard && s->addr.sa.sa_family == local->sa.sa_family &&
			quic_addr_port(&s->addr) == quic_addr_port(local))
			any = s;
	}
	return any;
}

static void on_commit(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len)
{
	struct udp *u = ctx;
	struct tx_packet *p = u->tx.order[u->tx.n];

	p->socket = socket_for(u, &path->local);
	if (!p->socket || u->tx.n == BATCH || len == 0) {
		u->stats.send_dropped++;
		return;
	}
	p->path = *path;
	p->ecn = ecn;
	p->len = len;
	u->tx.n++;
}

struct quic_out udp_out(struct udp *u)
{
	return (struct quic_out){u, on_slot, on_commit};
}

static void add_control(struct msghdr *h, int level, int type, const void *value, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)h->msg_control + h->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), value, len);
	h->msg_controllen += CMSG_SPACE(len);
}

static void add_source(struct msghdr *h, const struct quic_addr *local)
{
	if (local->sa.sa_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = local->in4.sin_addr};

		add_control(h, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	} else {
		struct in6_pktinfo info = {.ipi6_addr = local->in6.sin6_addr, .ipi6_ifindex = local->in6.sin6_scope_id};

		add_control(h, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	}
}

static void prepare(struct tx *t, size_t i, struct tx_packet *p)
{
	struct msghdr *h = &t->msg[i].msg_hdr;
	bool v6 = p->path.remote.sa.sa_family == AF_INET6;

	t->vec[i] = (struct iovec){p->buf, p->len};
	*h = (struct msghdr){
		.msg_name = &p->path.remote.sa,
		.msg_namelen = p->path.remote.len,
		.msg_iov = &t->vec[i],
		.msg_iovlen = 1,
		.msg_control = p->control,
	};
	if (p->socket->wildcard && !is_wildcard(&p->path.local))
		add_source(h, &p->path.local);
	if (p->ecn != ECT0) {
		int tos = p->ecn & ECN_MASK;

		add_control(h, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof tos);
	}
	if (h->msg_controllen == 0)
		h->msg_control = NULL;
}

/* A full socket keeps what is left until it is writable. */
static void wait_writable(struct udp_socket *s)
{
	s->blocked = true;
	listen_to(s);
}

/* Sends the packets `first`.. `end` - 1, all of one socket; returns how many are dealt with. */
static size_t send_run(struct udp *u, size_t first, size_t end)
{
	struct udp_socket *s = u->tx.order[first]->socket;
	size_t i = first;

	while (i < end) {
		int n = sendmmsg(s->fd, u->tx.msg + i, (unsigned)(end - i), 0);

		u->stats.send_calls++;
		if (n > 0) {
			i += (size_t)n;
			u->stats.packets_out += (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			wait_writable(s);
			break;
		} else if (n == 0 || errno != EINTR) {
			u->stats.send_dropped++; /* the first of them: unreachable, too long, no buffer */
			i++;
		}
	}
	return i - first;
}

/* Moves a packet that has to wait to place `to`; the buffer there takes its place. */
static void keep(struct tx *t, size_t from, size_t to)
{
	struct tx_packet *p = t->order[from];

	t->order[from] = t->order[to];
	t->order[to] = p;
}

void udp_flush(struct udp *u)
{
	struct tx *t = &u->tx;
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++)
		prepare(t, i, t->order[i]);
	for (size_t i = 0; i < t->n;) {
		struct udp_socket *s = t->order[i]->socket;
		size_t end = i + 1;

		while (end < t->n && t->order[end]->socket == s)
			end++;
		if (!s->blocked)
			i += send_run(u, i, end);
		for (; i < end; i++)
			keep(t, i, kept++);
	}
	t->n = kept;
}

const struct udp_stats *udp_stats(const struct udp *u)
{
	return &u->stats;
}

/* --- end ---------------------------------------------------------------------------------- */

static void on_socket_closed(uv_handle_t *h)
{
	struct udp_socket *s = h->data;
	struct udp *u = s->u;
	struct udp_socket **at = &u->sockets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	close(s->fd);
	free(s);
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
		uv_close((uv_handle_t *)&s->poll, on_socket_closed);
	}
}
