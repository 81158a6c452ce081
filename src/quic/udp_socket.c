/* SPDX-License-Identifier: MIT */
#include "udp_socket.h"

#include "base/err.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <unistd.h>

bool udp_is_wildcard(const struct quic_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}

static void size_buffer(int fd, bool receive, const struct udp_opts *opts, const struct log *log)
{
	int want = (int)(receive ? opts->rcvbuf_bytes : opts->sndbuf_bytes), got = 0;
	socklen_t len = sizeof got;

	if (want <= 0)
		return;
	if (set_int(fd, SOL_SOCKET, receive ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, want))
		set_int(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, want);
	getsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, &got, &len);
	if (got / 2 < want) /* the kernel adds its own overhead and reports twice the size */
		log_warn(log, "%s buffer is %d bytes, asked %d: set net.core.%s=%d", receive ? "receive" : "send", got / 2,
			want, receive ? "rmem_max" : "wmem_max", want);
}

/* Local address, ECN and drop counts of each packet; DF, without which path MTU discovery finds nothing. */
static bool set_options(const struct udp_socket *s, const struct udp_opts *opts, const struct log *log)
{
	int fd = s->fd, on = 1;
	bool v6 = s->addr.sa.sa_family == AF_INET6;

	if (v6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on))
		return false;
	if (opts->share != UDP_ALONE && set_int(fd, SOL_SOCKET, SO_REUSEPORT, on))
		return false;
	if (s->wildcard && set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, on))
		return false;
	set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, on);
	set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, ECT0);
	set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
		v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE);
	set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, on);
	size_buffer(fd, true, opts, log);
	size_buffer(fd, false, opts, log);
	return true;
}

/* SO_REUSEPORT lets other processes of the same user join, too: a second daemon would silently get half of our packets,
 * and port 0 may become the port of another process. So the first socket is bound once without the option, to find out
 * whether the address is free and what port 0 becomes. */
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

static int open_socket(struct udp_socket *s, const struct quic_addr *addr, const struct udp_opts *opts,
	const struct log *log)
{
	if (opts->share == UDP_FIRST && !find_free(&s->addr))
		return ERR_IO;
	s->fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return ERR_IO;
	socklen_t len = sizeof s->addr.in6;

	if (!set_options(s, opts, log) || bind(s->fd, &s->addr.sa, addr->len) || getsockname(s->fd, &s->addr.sa, &len))
		return ERR_IO;
	s->addr.len = len;
	return 0;
}

int udp_socket_open(struct udp_socket *s, const struct quic_addr *addr, const struct udp_opts *opts,
	const struct log *log)
{
	*s = (struct udp_socket){.fd = -1, .addr = *addr, .wildcard = udp_is_wildcard(addr)};
	int err = open_socket(s, addr, opts, log);

	if (err)
		udp_socket_close(s);
	return err;
}

void udp_socket_close(struct udp_socket *s)
{
	int why = errno;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	errno = why;
}

struct udp_socket *udp_socket_for(struct udp_socket *all, const struct quic_addr *local)
{
	struct udp_socket *any = NULL;

	for (struct udp_socket *s = all; s; s = s->next) {
		if (quic_addr_equal(&s->addr, local))
			return s;
		if (s->wildcard && s->addr.sa.sa_family == local->sa.sa_family &&
			quic_addr_port(&s->addr) == quic_addr_port(local))
			any = s;
	}
	return any;
}

/* Classic BPF over the UDP payload: the connection id follows the first byte of a short header, and version and length in
 * a long one (RFC 8999 5). A load beyond the end of the packet ends the program with 0. */
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

int udp_socket_steer(const struct udp_socket *s, unsigned n_sockets)
{
	return attach_steering(s->fd, n_sockets);
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
