/* SPDX-License-Identifier: MIT */
#include "udp_send.h"

#include <errno.h>
#include <string.h>

void udp_send_init(struct udp_send *t)
{
	t->n = 0;
	for (size_t i = 0; i < UDP_BATCH + 1; i++)
		t->order[i] = &t->packets[i];
}

bool udp_send_commit(struct udp_send *t, struct udp_socket *s, const struct quic_path *path, uint8_t ecn, size_t len)
{
	struct udp_send_packet *p = t->order[t->n];

	if (udp_send_full(t))
		return false;
	p->socket = s;
	p->path = *path;
	p->ecn = ecn;
	p->len = len;
	t->n++;
	return true;
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

static void prepare(struct udp_send *t, size_t i, struct udp_send_packet *p)
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
	if (p->socket->wildcard && !udp_is_wildcard(&p->path.local))
		add_source(h, &p->path.local);
	if (p->ecn != ECT0) {
		int tos = p->ecn & ECN_MASK;

		add_control(h, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof tos);
	}
	if (h->msg_controllen == 0)
		h->msg_control = NULL;
}

/* Sends the packets `first`.. `end` - 1, all of one socket; returns how many are dealt with. A full socket is `blocked`
 * then, and keeps the others until it is writable. */
static size_t send_run(struct udp_send *t, size_t first, size_t end, struct udp_stats *stats)
{
	struct udp_socket *s = t->order[first]->socket;
	size_t i = first;

	while (i < end) {
		int n = sendmmsg(s->fd, t->msg + i, (unsigned)(end - i), 0);

		stats->send_calls++;
		if (n > 0) {
			i += (size_t)n;
			stats->packets_out += (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			s->blocked = true;
			break;
		} else if (n == 0 || errno != EINTR) {
			stats->send_dropped++; /* the first packet: unreachable, too long, no buffer */
			i++;
		}
	}
	return i - first;
}

/* Moves a packet that has to wait to place `to`, in exchange for the buffer there. */
static void keep(struct udp_send *t, size_t from, size_t to)
{
	struct udp_send_packet *p = t->order[from];

	t->order[from] = t->order[to];
	t->order[to] = p;
}

bool udp_send_flush(struct udp_send *t, struct udp_stats *stats)
{
	size_t kept = 0;
	bool blocked = false;

	for (size_t i = 0; i < t->n; i++)
		prepare(t, i, t->order[i]);
	for (size_t i = 0; i < t->n;) {
		struct udp_socket *s = t->order[i]->socket;
		size_t end = i + 1;

		while (end < t->n && t->order[end]->socket == s)
			end++;
		if (!s->blocked) {
			i += send_run(t, i, end, stats);
			blocked |= s->blocked;
		}
		for (; i < end; i++)
			keep(t, i, kept++);
	}
	t->n = kept;
	return blocked;
}
