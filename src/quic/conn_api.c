/* SPDX-License-Identifier: MIT */
/*
 * What the application may do with a connection. All of it may be called from within the
 * callbacks of ngtcp2, so nothing is written here: the connection is marked for the flush.
 */
#include "ep.h"

#include "base/err.h"

#include <string.h>

void quic_conn_wake(struct quic_conn *c)
{
	if (qconn_ending(c))
		return;
	c->want_stream = true;
	qconn_touch(c);
}

void quic_conn_close(struct quic_conn *c, uint64_t app_code)
{
	ngtcp2_ccerr e;

	ngtcp2_ccerr_set_application_error(&e, app_code, NULL, 0);
	qconn_end(c, QUIC_END_LOCAL, true, app_code, &e);
}

void quic_conn_set_timer(struct quic_conn *c, nsec at)
{
	c->app_timer = at;
	if (!qconn_ending(c) && at < schedule_at(&c->ep->sched, c->slot))
		schedule_set(&c->ep->sched, c->slot, at);
}

size_t quic_conn_datagram_max(const struct quic_conn *c)
{
	enum { SHORT_HEADER = 1 + 4, AEAD_TAG = 16, FRAME = 1 + 2 };
	const ngtcp2_transport_params *p = ngtcp2_conn_get_remote_transport_params(c->q);

	if (qconn_ending(c) || !qconn_opened(c) || !p || p->max_datagram_frame_size <= FRAME)
		return 0;
	size_t path = ngtcp2_conn_get_path_max_tx_udp_payload_size(c->q);

	if (path > qconn_packet_max(c))
		path = qconn_packet_max(c);
	size_t max = path - SHORT_HEADER - ngtcp2_conn_get_dcid(c->q)->datalen - AEAD_TAG - FRAME;

	if (max > p->max_datagram_frame_size - FRAME)
		max = (size_t)p->max_datagram_frame_size - FRAME;
	return max < DGRAM_MAX ? max : DGRAM_MAX;
}

/* A buffer for one more datagram of `c`; over a bound its oldest makes room. */
static struct dgram *take_buffer(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;
	struct dgram *d = c->dgrams.n < ep->opts.datagram_queue ? dgram_get(&ep->pool) : NULL;

	if (d)
		return d;
	++*(c->dgrams.n < ep->opts.datagram_queue ? &ep->stats.datagrams_dropped.pool : &ep->stats.datagrams_dropped.queue);
	c->dgrams_dropped++;
	return dgram_pop(&c->dgrams);
}

int quic_conn_send_datagram(struct quic_conn *c, const struct quic_vec *v, size_t n, nsec now)
{
	size_t len = 0, max = quic_conn_datagram_max(c);

	if (max == 0)
		return ERR_STATE;
	for (size_t i = 0; i < n; i++)
		len += v[i].len;
	if (len == 0 || len > max) {
		c->ep->stats.datagrams_dropped.size += len > max;
		return ERR_RANGE;
	}
	struct dgram *d = take_buffer(c);

	if (!d)
		return 0; /* the pool is empty and this one is the oldest: dropped and counted */
	d->at = now;
	d->len = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].len == 0)
			continue; /* its pointer may be NULL */
		memcpy(d->data + d->len, v[i].p, v[i].len);
		d->len += (uint32_t)v[i].len;
	}
	dgram_push(&c->dgrams, d);
	qconn_touch(c);
	return 0;
}

int quic_stream_open(struct quic_conn *c, bool bidi, int64_t *id)
{
	if (qconn_ending(c))
		return ERR_STATE;
	int rv = bidi ? ngtcp2_conn_open_bidi_stream(c->q, id, NULL) : ngtcp2_conn_open_uni_stream(c->q, id, NULL);

	if (rv == NGTCP2_ERR_STREAM_ID_BLOCKED)
		return ERR_LIMIT;
	return rv ? ERR_NOMEM : 0;
}

uint64_t quic_streams_left(const struct quic_conn *c, bool bidi)
{
	return bidi ? ngtcp2_conn_get_streams_bidi_left(c->q) : ngtcp2_conn_get_streams_uni_left(c->q);
}

static void touch_plain(struct quic_conn *c)
{
	c->want_plain = true;
	qconn_touch(c);
}

void quic_stream_reset(struct quic_conn *c, int64_t id, uint64_t code)
{
	if (qconn_ending(c))
		return;
	ngtcp2_conn_shutdown_stream_write(c->q, 0, id, code);
	touch_plain(c);
}

void quic_stream_stop(struct quic_conn *c, int64_t id, uint64_t code)
{
	if (qconn_ending(c))
		return;
	ngtcp2_conn_shutdown_stream_read(c->q, 0, id, code);
	touch_plain(c);
}

void quic_stream_consume(struct quic_conn *c, int64_t id, size_t len)
{
	if (qconn_ending(c) || len == 0)
		return;
	ngtcp2_conn_extend_max_stream_offset(c->q, id, len); /* a closed stream is no error here */
	ngtcp2_conn_extend_max_offset(c->q, len);
	touch_plain(c);
}

void quic_conn_info(const struct quic_conn *c, struct quic_conn_info *out)
{
	const ngtcp2_transport_params *p = ngtcp2_conn_get_remote_transport_params(c->q);
	ngtcp2_conn_info i;

	ngtcp2_conn_get_conn_info(c->q, &i);
	bool measured = i.min_rtt != UINT64_MAX;

	*out = (struct quic_conn_info){
		.path = c->path,
		.rtt_us = measured ? i.smoothed_rtt / 1000 : 0,
		.rtt_var_us = measured ? i.rttvar / 1000 : 0,
		.min_rtt_us = measured ? i.min_rtt / 1000 : 0,
		.cwnd_bytes = i.cwnd,
		.in_flight_bytes = i.bytes_in_flight,
		.packets_in = i.pkt_recv,
		.packets_out = i.pkt_sent,
		.packets_lost = i.pkt_lost,
		.bytes_in = i.bytes_recv,
		.bytes_out = i.bytes_sent,
		.datagrams_dropped = c->dgrams_dropped,
		.datagrams_queued = c->dgrams.n,
		.peer_datagram_max = p ? (size_t)p->max_datagram_frame_size : 0,
		.server = c->server,
		.handshake_done = ngtcp2_conn_get_handshake_completed(c->q),
		.id = c->id,
	};
}

const struct quic_addr *quic_conn_peer(const struct quic_conn *c)
{
	return &c->path.remote;
}

nsec quic_conn_pto(const struct quic_conn *c)
{
	return ngtcp2_conn_get_pto(c->q);
}

void *quic_conn_user(const struct quic_conn *c)
{
	return c->user;
}

void quic_conn_set_user(struct quic_conn *c, void *user)
{
	c->user = user;
}

int quic_conn_update_keys(struct quic_conn *c, nsec now)
{
	if (now > c->ep->now)
		c->ep->now = now;
	if (!qconn_live(c) || ngtcp2_conn_initiate_key_update(c->q, c->ep->now))
		return ERR_STATE;
	touch_plain(c);
	return 0;
}

int quic_conn_migrate(struct quic_conn *c, const struct quic_path *path, nsec now)
{
	ngtcp2_path view = qpath_of(path);

	if (now > c->ep->now)
		c->ep->now = now;
	if (c->server || !qconn_live(c) || ngtcp2_conn_initiate_migration(c->q, &view, c->ep->now))
		return ERR_STATE;
	touch_plain(c);
	return 0;
}
