/* SPDX-License-Identifier: MIT */
/*
 * write - packets out. One flush of one connection:
 *
 *   datagrams, oldest first --+
 *   stream bytes (next_data) -+--> packets, several frames in each while they fit
 *   ACK, credit, probes ------+    (WRITE_MORE), until nothing is left or the send
 *                                  quantum (10 packets, or 1 ms of the path) is used up
 */
#include "ep.h"

#include <assert.h>
#include <string.h>

_Static_assert(QUIC_SEND_VECS == 16, "struct quic_vec is handed to ngtcp2 piece by piece");

void qpath_copy(struct quic_path *to, const ngtcp2_path *from)
{
	memset(to, 0, sizeof *to);
	memcpy(&to->local.sa, from->local.addr, from->local.addrlen);
	to->local.len = from->local.addrlen;
	memcpy(&to->remote.sa, from->remote.addr, from->remote.addrlen);
	to->remote.len = from->remote.addrlen;
}

/* The packet under construction. */
struct packet {
	struct quic_path path;
	ngtcp2_path view; /* of `path`, as ngtcp2 wants it */
	ngtcp2_pkt_info pi;
	uint8_t *p;
	size_t max;
	bool begun; /* ngtcp2 returned WRITE_MORE: only writes are allowed until it is complete */
};

static void begin(struct quic_conn *c, struct packet *k)
{
	k->path.local.len = k->path.remote.len = 0;
	k->view = qpath_of(&k->path);
	k->pi = (ngtcp2_pkt_info){0};
	k->p = c->ep->out.slot(c->ep->out.ctx);
	k->max = qconn_packet_max(c);
	k->begun = false;
}

static void commit(struct quic_conn *c, struct packet *k, size_t len)
{
	k->path.local.len = k->view.local.addrlen;
	k->path.remote.len = k->view.remote.addrlen;
	c->ep->out.commit(c->ep->out.ctx, &k->path, k->pi.ecn, len);
	c->ep->stats.packets_out++;
	c->ep->stats.bytes_out += len;
}

/* --- datagrams ---------------------------------------------------------------------------- */

static void drop_head(struct quic_conn *c, uint64_t *counter)
{
	dgram_put(&c->ep->pool, dgram_pop(&c->dgrams));
	c->dgrams_dropped++;
	++*counter;
}

/* False: a black hole was just found, large datagrams do not get through. */
static bool try_large(struct quic_conn *c)
{
	if (black_hole_try(&c->black_hole, c->q, c->ep->now))
		return true;
	c->ep->stats.black_holes++;
	return false;
}

/* If not, the datagram waits in the queue, until it is too old. */
static bool may_send(struct quic_conn *c, size_t len)
{
	return !c->silence.unanswered && (len <= BLACK_HOLE_LARGE || try_large(c));
}

/* A short datagram fits the smallest packet of QUIC; the peer's limit was checked when it was queued. */
static bool fits(const struct quic_conn *c, size_t len)
{
	return len <= BLACK_HOLE_LARGE || len <= quic_conn_datagram_max(c);
}

/* The oldest that may be sent. One that fits no packet (the path shrank since it was queued) is
 * dropped at once: ngtcp2 would refuse it, and all behind it, for ever. */
static struct dgram *next_dgram(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;
	nsec age = nsec_from_ms(ep->opts.datagram_age_ms);

	if (!c->dgrams.head)
		return NULL;
	if (!silence_short(&c->silence, ep->now) && qconn_live(c))
		silence_check(&c->silence, c->q, ep->now);
	while (c->dgrams.head) {
		struct dgram *d = c->dgrams.head;

		if (d->at + age < ep->now)
			drop_head(c, &ep->stats.datagrams_dropped.age);
		else if (!fits(c, d->len))
			drop_head(c, &ep->stats.datagrams_dropped.size);
		else
			return may_send(c, d->len) ? d : NULL;
	}
	return NULL;
}

/* NGTCP2_ERR_WRITE_MORE: the packet goes on; else as fill(). */
static ngtcp2_ssize add_dgrams(struct quic_conn *c, struct packet *k)
{
	struct dgram *d;

	while ((d = next_dgram(c)) != NULL) {
		uint32_t flags = d->next || c->want_stream ? NGTCP2_WRITE_DATAGRAM_FLAG_MORE : 0;
		ngtcp2_vec v = {d->data, d->len};
		int taken = 0;
		ngtcp2_ssize n = ngtcp2_conn_writev_datagram(c->q, &k->view, &k->pi, k->p, k->max, &taken, flags,
			0, &v, 1, c->ep->now);

		if (taken) {
			black_hole_sent(&c->black_hole, d->len);
			dgram_put(&c->ep->pool, dgram_pop(&c->dgrams));
			c->ep->stats.datagrams_out++;
		}
		if (n != NGTCP2_ERR_WRITE_MORE)
			return n;
		k->begun = true;
	}
	return NGTCP2_ERR_WRITE_MORE;
}

/* --- streams ------------------------------------------------------------------------------ */

static size_t to_vecs(const struct quic_send *s, ngtcp2_vec v[QUIC_SEND_VECS])
{
	size_t total = 0;

	assert(s->n <= QUIC_SEND_VECS);
	for (size_t i = 0; i < s->n; i++) {
		v[i] = (ngtcp2_vec){(uint8_t *)s->v[i].p, s->v[i].len};
		total += s->v[i].len;
	}
	return total;
}

/* Offers one piece of a stream; as add_dgrams(). */
static ngtcp2_ssize add_piece(struct quic_conn *c, struct packet *k, const struct quic_send *s)
{
	const struct quic_app *app = c->ep->app;
	ngtcp2_vec v[QUIC_SEND_VECS];
	size_t total = to_vecs(s, v);
	ngtcp2_ssize taken = -1;
	uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (s->fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u);
	ngtcp2_ssize n = ngtcp2_conn_writev_stream(c->q, &k->view, &k->pi, k->p, k->max, &taken, flags, s->id, v,
		s->n, c->ep->now);

	if (taken >= 0)
		app->data_sent(c->user, s->id, (size_t)taken, s->fin && (size_t)taken == total);
	if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
		app->data_blocked(c->user, s->id);
		return NGTCP2_ERR_WRITE_MORE;
	}
	if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
		app->data_refused(c->user, s->id);
		return NGTCP2_ERR_WRITE_MORE;
	}
	k->begun |= n == NGTCP2_ERR_WRITE_MORE;
	return n;
}

static ngtcp2_ssize add_streams(struct quic_conn *c, struct packet *k)
{
	struct quic_send s;

	/* Without credit of the connection every stream is blocked: the application is not asked. */
	while (c->want_stream && ngtcp2_conn_get_max_data_left(c->q) > 0) {
		s.id = -1;
		s.fin = false;
		s.n = 0;
		c->ep->app->next_data(c->user, &s);
		if (s.id < 0) {
			c->want_stream = false;
			break;
		}
		ngtcp2_ssize n = add_piece(c, k, &s);

		if (n != NGTCP2_ERR_WRITE_MORE)
			return n;
	}
	return NGTCP2_ERR_WRITE_MORE;
}

/* --- packets ------------------------------------------------------------------------------ */

/* ngtcp2's own frames: ACK, credit, probes. */
static ngtcp2_ssize add_plain(struct quic_conn *c, struct packet *k)
{
	return ngtcp2_conn_writev_stream(c->q, &k->view, &k->pi, k->p, k->max, NULL, 0, -1, NULL, 0, c->ep->now);
}

/* Length of the packet; 0: nothing to send, or not allowed now; < 0: the connection is broken. */
static ngtcp2_ssize fill(struct quic_conn *c, struct packet *k)
{
	ngtcp2_ssize n = add_dgrams(c, k);

	if (n == NGTCP2_ERR_WRITE_MORE && qconn_opened(c))
		n = add_streams(c, k);
	if (n != NGTCP2_ERR_WRITE_MORE)
		return n;
	if (!k->begun && !c->want_plain)
		return 0;
	n = add_plain(c, k);
	if (n == 0)
		c->want_plain = false;
	return n;
}

static bool wants(const struct quic_conn *c)
{
	return c->want_plain || c->want_stream || c->dgrams.head;
}

void qconn_write(struct quic_conn *c)
{
	size_t sent = 0, quantum = ngtcp2_conn_get_send_quantum(c->q);
	struct packet k;

	c->blocked = false;
	while (wants(c) && sent < quantum) {
		begin(c, &k);
		ngtcp2_ssize n = fill(c, &k);

		if (n < 0) {
			qconn_fail(c, (int)n);
			return;
		}
		if (n == 0)
			break;
		commit(c, &k, (size_t)n);
		sent += (size_t)n;
	}
	c->blocked = wants(c);
	c->want_plain = false;
	c->held = 0;
	c->hold_until = NSEC_NONE;
}

size_t qconn_write_close(struct quic_conn *c, uint8_t copy[QUIC_PACKET_MAX])
{
	struct packet k;

	begin(c, &k);
	ngtcp2_ssize n = ngtcp2_conn_write_connection_close(c->q, &k.view, &k.pi, k.p, QUIC_PACKET_MAX, &c->end.close,
		c->ep->now);

	if (n <= 0)
		return 0;
	memcpy(copy, k.p, (size_t)n);
	commit(c, &k, (size_t)n);
	return (size_t)n;
}
