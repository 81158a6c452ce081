/* SPDX-License-Identifier: MIT */
#include "ep.h"

#include "base/err.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

/*
 * ACKs travel with other frames. ngtcp2 by itself sends one after min(max_ack_delay, srtt/8),
 * which on a short path is at once: an echo then costs two packets, and a server that
 * sends on a tick of 20 ms always pays for both. So a connection that has only ACKs to send
 * holds them for ACK_HOLD_MS, a little more than a tick and less than the max_ack_delay of
 * 25 ms that peers assume by default; any packet that is sent earlier carries the ACK
 * (ack_thresh = 1). tests/sim/test_quic.c counts the packets: 1.0 for each echo, 0.5 for
 * each datagram that has no answer.
 */
enum {
	ACK_HOLD_MS = 22,
	ACK_HOLD_PACKETS = 16, /* bulk senders need their ACK clock */
	TIMER_MIN_US = 100,    /* a deadline that cannot be met yet must not spin */
	CLOSE_PTOS = 3,        /* RFC 9000 10.2 */
};

/* --- ids ---------------------------------------------------------------------------------- */

int qconn_add_id(struct quic_conn *c, const ngtcp2_cid *cid)
{
	if (c->ids.n == CONN_IDS_MAX)
		return ERR_LIMIT;
	int err = cid_table_put(c->ep->cids, cid->data, cid->datalen, &c->owner);

	if (err)
		return err;
	struct cid *slot = &c->ids.id[c->ids.n++];

	slot->len = (uint8_t)cid->datalen;
	memcpy(slot->id, cid->data, cid->datalen);
	return 0;
}

void qconn_drop_id(struct quic_conn *c, const ngtcp2_cid *cid)
{
	struct cid_list *l = &c->ids;

	for (size_t i = 0; i < l->n; i++) {
		if (l->id[i].len != cid->datalen || memcmp(l->id[i].id, cid->data, cid->datalen) != 0)
			continue;
		cid_table_remove(c->ep->cids, cid->data, cid->datalen, &c->owner);
		l->id[i] = l->id[--l->n];
		return;
	}
}

/* --- accept and connect ------------------------------------------------------------------- */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct quic_conn *)ref->user_data)->q;
}

static struct quic_conn *conn_new(struct quic_endpoint *ep, const struct quic_path *path, struct quic_tls *tls)
{
	struct quic_conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	if (schedule_add(&ep->sched, &c->owner, &c->slot)) {
		free(c);
		return NULL;
	}
	c->owner.kind = CID_CONN;
	c->ep = ep;
	c->path = *path;
	c->tls.ctx = quic_tls_ref(tls);
	c->id = ep_number(ep);
	c->silence.heard_at = ep->now;
	c->app_timer = c->hold_until = NSEC_NONE;
	c->tls.ref = (ngtcp2_crypto_conn_ref){get_conn, c};
	list_init(&c->dirty);
	list_init(&c->half_open);
	dgram_queue_init(&c->dgrams);
	ep_count(ep, 1, 0);
	return c;
}

static void drop_tls(struct quic_conn *c)
{
	struct conn_tls *t = &c->tls;

	if (!t->ssl)
		return;
	SSL_set_app_data(t->ssl, NULL); /* else OpenSSL calls into a connection that may be gone */
	ngtcp2_crypto_ossl_ctx_set_ssl(t->ossl, NULL);
	SSL_free(t->ssl);
	t->ssl = NULL;
	ngtcp2_conn_set_tls_native_handle(c->q, NULL);
	ngtcp2_crypto_ossl_ctx_del(t->ossl);
	t->ossl = NULL;
}

void qconn_drop_dgrams(struct quic_conn *c)
{
	struct dgram *d;

	while ((d = dgram_pop(&c->dgrams)) != NULL)
		dgram_put(&c->ep->pool, d);
}

static void conn_free(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;

	qconn_drop_dgrams(c);
	qmove_cancel(c);
	for (size_t i = 0; i < c->ids.n; i++)
		cid_table_remove(ep->cids, c->ids.id[i].id, c->ids.id[i].len, &c->owner);
	for (size_t i = 0; i < PEER_IDS + 1; i++)
		if (c->resets[i].used)
			map_remove(ep->resets, c->resets[i].b, sizeof c->resets[i].b);
	drop_tls(c);
	ngtcp2_conn_del(c->q);
	ngtcp2_crypto_ossl_ctx_del(c->tls.ossl);
	quic_tls_unref(c->tls.ctx);
	qconn_leave_half_open(c);
	addr_limit_leave(ep->addrs, c->addr);
	list_remove(&c->dirty);
	if (c->slot != NO_SLOT)
		schedule_remove(&ep->sched, c->slot);
	ep_count(ep, -1, 0);
	qmove_over(ep, c->origin);
	free(c);
}

static void set_params(struct quic_conn *c, ngtcp2_settings *s, ngtcp2_transport_params *p)
{
	const struct quic_opts *o = &c->ep->opts;

	ngtcp2_settings_default(s);
	s->initial_ts = c->ep->now;
	s->rand_ctx.native_handle = c;
	s->handshake_timeout = nsec_from_ms(o->handshake_timeout_ms);
	s->no_pmtud = !o->pmtud;
	s->ack_thresh = 1; /* see ACK_HOLD_MS */
	s->cc_algo = NGTCP2_CC_ALGO_CUBIC;
	ngtcp2_transport_params_default(p);
	p->initial_max_stream_data_bidi_local = o->stream_window_bytes;
	p->initial_max_stream_data_bidi_remote = o->stream_window_bytes;
	p->initial_max_stream_data_uni = o->stream_window_bytes;
	p->initial_max_data = o->conn_window_bytes;
	p->initial_max_streams_bidi = o->max_streams_bidi;
	p->initial_max_streams_uni = o->max_streams_uni;
	p->max_idle_timeout = nsec_from_ms(o->idle_timeout_ms);
	p->active_connection_id_limit = PEER_IDS;
	p->max_datagram_frame_size = 65535;
	p->max_udp_payload_size = QUIC_PACKET_MAX;
}

/* Joins TLS to ngtcp2. Order of teardown: the SSL object first, see drop_tls(). */
static int attach_tls(struct quic_conn *c, const char *server_name)
{
	struct conn_tls *t = &c->tls;

	if (ngtcp2_crypto_ossl_ctx_new(&t->ossl, NULL))
		return ERR_NOMEM;
	t->ssl = quic_tls_ssl(t->ctx, server_name);
	if (!t->ssl)
		return ERR_NOMEM;
	ngtcp2_crypto_ossl_ctx_set_ssl(t->ossl, t->ssl);
	SSL_set_app_data(t->ssl, &t->ref);
	int rv = c->server ? ngtcp2_crypto_ossl_configure_server_session(t->ssl)
	                   : ngtcp2_crypto_ossl_configure_client_session(t->ssl);

	if (rv)
		return ERR_TLS;
	ngtcp2_conn_set_tls_native_handle(c->q, t->ossl);
	silence_set_keep_alive(c->q, c->ep->opts.keep_alive_ms);
	return 0;
}

static int start_server(struct quic_conn *c, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid)
{
	ngtcp2_path path = qpath_of(&c->path);
	ngtcp2_settings s;
	ngtcp2_transport_params p;
	ngtcp2_cid scid;

	set_params(c, &s, &p);
	ep_random_cid(c->ep, &scid);
	p.original_dcid = odcid ? *odcid : hd->dcid;
	p.original_dcid_present = 1;
	if (odcid) {
		p.retry_scid = hd->dcid;
		p.retry_scid_present = 1;
		s.token = hd->token;
		s.tokenlen = hd->tokenlen;
		s.token_type = NGTCP2_TOKEN_TYPE_RETRY;
	}
	if (reset_token_make(&c->ep->reset_secret, &scid, p.stateless_reset_token))
		return ERR_TLS;
	p.stateless_reset_token_present = 1;
	if (ngtcp2_conn_server_new(&c->q, &hd->scid, &scid, &path, hd->version, &qconn_callbacks_server, &s, &p, NULL, c))
		return ERR_NOMEM;
	int err = qconn_add_id(c, &hd->dcid);

	if (!err)
		err = qconn_add_id(c, &scid);
	return err ? err : attach_tls(c, NULL);
}

int qconn_accept(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_pkt_hd *hd,
	const ngtcp2_cid *odcid, struct quic_conn **out)
{
	struct addr_entry *addr;
	int err = addr_limit_enter(ep->addrs, &path->remote, ep->opts.max_conns_per_addr, &addr);

	if (err)
		return err;
	struct quic_conn *c = conn_new(ep, path, ep->tls);

	if (!c) {
		addr_limit_leave(ep->addrs, addr);
		return ERR_NOMEM;
	}
	c->server = true;
	c->addr = addr;
	c->proven = odcid != NULL;
	if (c->proven)
		addr_limit_count_proven(ep->addrs, addr, 1);
	list_append(&ep->half_open, &c->half_open);
	ep_count(ep, 0, 1);
	err = start_server(c, hd, odcid);
	if (err) {
		conn_free(c);
		return err == ERR_LIMIT ? ERR_NOMEM : err;
	}
	ep->stats.conns_accepted++;
	*out = c;
	return 0;
}

static int start_client(struct quic_conn *c, const char *server_name)
{
	ngtcp2_path path = qpath_of(&c->path);
	ngtcp2_settings s;
	ngtcp2_transport_params p;
	ngtcp2_cid scid, dcid = {.datalen = CID_LEN + 8};

	set_params(c, &s, &p);
	ep_random_cid(c->ep, &scid);
	random_bytes(dcid.data, dcid.datalen);
	if (ngtcp2_conn_client_new(&c->q, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &qconn_callbacks_client, &s, &p, NULL,
		    c))
		return ERR_NOMEM;
	int err = qconn_add_id(c, &scid);

	return err ? err : attach_tls(c, server_name);
}

int quic_endpoint_connect(struct quic_endpoint *ep, struct quic_tls *tls, const struct quic_path *path,
	const char *server_name, nsec now, struct quic_conn **out)
{
	if (now > ep->now)
		ep->now = now;
	if (ep->stats.conns >= ep->opts.max_conns)
		return ERR_LIMIT;
	struct quic_conn *c = conn_new(ep, path, tls);

	if (!c)
		return ERR_NOMEM;
	int err = start_client(c, server_name);

	if (err) {
		conn_free(c);
		return err;
	}
	c->want_plain = true;
	qconn_touch(c);
	*out = c;
	return 0;
}

/* --- end ---------------------------------------------------------------------------------- */

void qconn_end(struct quic_conn *c, enum quic_end end, bool app, uint64_t code, const ngtcp2_ccerr *close)
{
	if (qconn_ending(c))
		return;
	c->end.how = close ? ENDING_CLOSE : ENDING_SILENT;
	c->end.why = (struct quic_close){end, app, code};
	if (close)
		c->end.close = *close;
	qconn_touch(c);
}

static void end_by_peer(struct quic_conn *c)
{
	const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(c->q);

	if (qconn_ending(c))
		c->end.how = ENDING_SILENT; /* we were about to close ourselves */
	if (c->end.was_reset)
		qconn_end(c, QUIC_END_RESET, false, 0, NULL);
	else
		qconn_end(c, QUIC_END_PEER, e->type == NGTCP2_CCERR_TYPE_APPLICATION, e->error_code, NULL);
}

void qconn_fail(struct quic_conn *c, int rv)
{
	enum quic_end how = c->phase < CONN_COMPLETE ? QUIC_END_HANDSHAKE : QUIC_END_ERROR;
	uint8_t alert = ngtcp2_conn_get_tls_alert(c->q);
	ngtcp2_ccerr e;

	switch (rv) {
	case NGTCP2_ERR_DRAINING:
		end_by_peer(c);
		return;
	case NGTCP2_ERR_IDLE_CLOSE:
		qconn_end(c, QUIC_END_IDLE, false, 0, NULL);
		return;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
	case NGTCP2_ERR_DROP_CONN:
	case NGTCP2_ERR_RETRY:
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		qconn_end(c, QUIC_END_HANDSHAKE, false, 0, NULL);
		return;
	}
	ngtcp2_ccerr_default(&e);
	if (rv == NGTCP2_ERR_CRYPTO || (rv == NGTCP2_ERR_CALLBACK_FAILURE && alert))
		ngtcp2_ccerr_set_tls_alert(&e, alert, NULL, 0);
	else
		ngtcp2_ccerr_set_liberr(&e, rv, NULL, 0);
	log_debug(&c->ep->log, "conn=%llu %s", (unsigned long long)c->id, ngtcp2_strerror(rv));
	qconn_end(c, how, false, e.error_code, &e);
}

void qconn_count_lost(struct quic_conn *c)
{
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(c->q, &info);
	c->ep->stats.packets_lost += info.pkt_lost - c->packets_lost;
	c->packets_lost = info.pkt_lost;
}

static void announce_end(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;

	qconn_count_lost(c);
	if (qconn_half_open(c) || (!c->server && !qconn_opened(c)))
		ep->stats.handshake_failures++;
	if (qconn_half_open(c))
		recent_add(&ep->failed, ep->now);
	ep->stats.conns_closed++;
	c->end.how = ENDING_SILENT; /* nothing that the application asks for now has any effect */
	if (qconn_opened(c) || c->user)
		ep->app->on_closed(c->user, &c->end.why, ep->now);
}

void qconn_destroy(struct quic_conn *c)
{
	announce_end(c);
	conn_free(c);
}

bool qconn_drop_oldest_half_open(struct quic_endpoint *ep)
{
	if (list_empty(&ep->half_open))
		return false;
	struct quic_conn *c = list_entry(ep->half_open.next, struct quic_conn, half_open);

	c->end.why = (struct quic_close){QUIC_END_HANDSHAKE, false, 0};
	qconn_destroy(c);
	return true;
}

/* After a timeout the peer is gone: no closing state. After a close late packets are likely. */
static bool has_closing_state(const struct quic_conn *c)
{
	const struct conn_end *e = &c->end;

	return e->why.end != QUIC_END_IDLE && e->why.end != QUIC_END_RESET &&
		!(e->why.end == QUIC_END_HANDSHAKE && e->how == ENDING_SILENT) && c->ep->n_closing < c->ep->opts.max_conns;
}

static void enter_closing_state(struct quic_conn *c, const uint8_t *close, size_t len)
{
	struct quic_endpoint *ep = c->ep;
	struct closing_state *t = closing_state_new(c->ids.id, c->ids.n, close, len);

	if (!t)
		return;
	if (schedule_add(&ep->sched, (struct cid_owner *)t, closing_state_slot(t))) {
		closing_state_free(t, ep->cids);
		return;
	}
	closing_state_take_ids(t, ep->cids, &c->owner);
	*closing_state_origin(t) = c->origin;
	c->origin = NULL;
	ep->n_closing++;
	schedule_set(&ep->sched, *closing_state_slot(t), ep->now + CLOSE_PTOS * ngtcp2_conn_get_pto(c->q));
}

static void finish(struct quic_conn *c)
{
	uint8_t close[QUIC_PACKET_MAX];
	size_t len = c->end.how == ENDING_CLOSE ? qconn_write_close(c, close) : 0;
	bool leaves = has_closing_state(c);

	announce_end(c);
	if (leaves)
		enter_closing_state(c, close, len);
	conn_free(c);
}

/* --- packets and deadlines ---------------------------------------------------------------- */

/* Sets the next deadline. ngtcp2_conn_update_pkt_tx_time() must be called after every write:
 * it counts the bytes sent since its last call as one burst, so without it an hour of voice
 * would stall the next stream for minutes. The pacing time that it adds to the expiry matters
 * only if something waits to be sent; otherwise it would cost a wake-up for each packet. */
static void plan(struct quic_conn *c, bool wrote)
{
	struct quic_endpoint *ep = c->ep;
	nsec at = ngtcp2_conn_get_expiry(c->q);

	if (wrote)
		ngtcp2_conn_update_pkt_tx_time(c->q, ep->now);
	if (c->blocked)
		at = ngtcp2_conn_get_expiry(c->q);
	else if (c->held > 0 && at < c->hold_until)
		at = c->hold_until;
	if (at < ep->now + nsec_from_us(TIMER_MIN_US))
		at = ep->now + nsec_from_us(TIMER_MIN_US);
	schedule_set(&ep->sched, c->slot, at < c->app_timer ? at : c->app_timer);
}

int qconn_read(struct quic_conn *c, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len)
{
	ngtcp2_path view = qpath_of(path);
	ngtcp2_pkt_info pi = {.ecn = ecn};

	if (qconn_ending(c))
		return 0;
	int rv = ngtcp2_conn_read_pkt(c->q, &view, &pi, p, len, c->ep->now);

	if (rv == NGTCP2_ERR_RETRY && qconn_half_open(c)) {
		c->ep->stats.conns_accepted--;
		conn_free(c);
		return ERR_STATE;
	}
	if (rv == 0)
		silence_heard(&c->silence, c->q, c->ep->opts.keep_alive_ms, c->ep->now);
	c->held++;
	if (c->hold_until == NSEC_NONE)
		c->hold_until = c->ep->now + nsec_from_ms(ACK_HOLD_MS);
	if (c->phase < CONN_CONFIRMED || c->blocked || !quic_addr_equal(&path->remote, &c->path.remote) ||
		!quic_addr_equal(&path->local, &c->path.local))
		c->want_plain = true;
	qconn_touch(c);
	if (rv)
		qconn_fail(c, rv);
	return 0;
}

void qconn_expire(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;

	qconn_touch(c);
	if (qconn_ending(c))
		return;
	if (c->app_timer <= ep->now) {
		c->app_timer = NSEC_NONE;
		if (qconn_opened(c))
			ep->app->on_timer(c->user, ep->now);
	}
	bool due = ngtcp2_conn_get_expiry(c->q) <= ep->now;

	if (due) {
		int rv = ngtcp2_conn_handle_expiry(c->q, ep->now);

		qconn_count_lost(c);
		if (rv)
			qconn_fail(c, rv);
	}
	if (due || c->hold_until <= ep->now)
		c->want_plain = true;
}

void qconn_flush(struct quic_conn *c)
{
	bool wrote = false;

	if (!qconn_ending(c)) {
		/* 15 KB less for each connection; key updates need only ngtcp2's own secrets. */
		if (c->server && c->phase == CONN_CONFIRMED)
			drop_tls(c);
		if (c->held >= ACK_HOLD_PACKETS)
			c->want_plain = true;
		wrote = !c->move && (c->want_plain || c->want_stream || c->dgrams.head);
		if (wrote)
			qconn_write(c);
	}
	if (qconn_ending(c))
		finish(c);
	else if (c->move)
		qconn_depart(c);
	else
		plan(c, wrote);
}
