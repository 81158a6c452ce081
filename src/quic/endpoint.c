/* SPDX-License-Identifier: MIT */
#include "ep.h"

#include "base/err.h"
#include "base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void quic_opts_default(struct quic_opts *o)
{
	*o = (struct quic_opts){
		.max_conns = 10000,
		.max_conns_per_addr = 512,
		.max_half_open = 1000,
		.retry_half_open = 100,
		.handshake_timeout_ms = 10000,
		.idle_timeout_ms = 30000,
		.keep_alive_ms = 10000,
		.max_streams_bidi = 16,
		.max_streams_uni = 16,
		.stream_window_bytes = 65536,
		.conn_window_bytes = 262144,
		.datagram_queue = 32,
		.datagram_age_ms = 120,
		.datagram_pool = 4096,
		.address_share_percent = 10,
		.exempt = {{"127.0.0.0/8", "::1"}, 2}, /* a relay, or a test: it speaks for many */
		.stateless_per_s = 2000,
		.pmtud = true,
	};
}

const char *quic_end_name(enum quic_end end)
{
	switch (end) {
	case QUIC_END_LOCAL: return "local";
	case QUIC_END_PEER: return "peer";
	case QUIC_END_IDLE: return "idle";
	case QUIC_END_HANDSHAKE: return "handshake";
	case QUIC_END_ERROR: return "error";
	case QUIC_END_RESET: return "reset";
	}
	return "?";
}

int quic_endpoint_new(const struct quic_opts *opts, const struct quic_out *out, const struct quic_app *app, void *ctx,
	struct quic_tls *tls, const struct log *log, struct quic_endpoint **result)
{
	struct quic_endpoint *ep = calloc(1, sizeof *ep);
	int err = ERR_NOMEM;

	if (!ep)
		return err;
	ep->opts = *opts;
	ep->out = *out;
	ep->app = app;
	ep->app_ctx = ctx;
	if (log)
		ep->log = *log;
	list_init(&ep->dirty);
	list_init(&ep->moved_out);
	list_init(&ep->half_open);
	schedule_init(&ep->sched);
	dgram_pool_init(&ep->pool, opts->datagram_pool);
	quic_nets_parse(&opts->exempt, &ep->exempt);
	secret_init(&ep->retry_secret, NULL);
	secret_init(&ep->reset_secret, opts->reset_secret);
	random_bytes(ep->random_key, sizeof ep->random_key);
	err = cid_table_new(&ep->cids);
	if (err)
		goto fail_ep;
	err = addr_limit_new(&ep->addrs);
	if (err)
		goto fail_cids;
	err = map_new(NGTCP2_STATELESS_RESET_TOKENLEN, &ep->resets);
	if (err)
		goto fail_addrs;
	err = initial_opener_new(&ep->opener);
	if (err)
		goto fail_resets;
	ep->tls = tls ? quic_tls_ref(tls) : NULL;
	*result = ep;
	return 0;

fail_resets:
	map_free(ep->resets);
fail_addrs:
	addr_limit_free(ep->addrs);
fail_cids:
	cid_table_free(ep->cids);
fail_ep:
	free(ep);
	return err;
}

static void free_owner(struct quic_endpoint *ep, struct cid_owner *who)
{
	if (who->kind == CID_CONN) {
		qconn_destroy((struct quic_conn *)who);
		return;
	}
	struct closing_state *t = (struct closing_state *)who;

	schedule_remove(&ep->sched, *closing_state_slot(t));
	ep->n_closing--;
	qmove_over(ep, *closing_state_origin(t));
	closing_state_free(t, ep->cids);
}

void quic_endpoint_free(struct quic_endpoint *ep)
{
	if (!ep)
		return;
	for (uint32_t i = 0; i < ep->sched.n; i++)
		if (ep->sched.who[i])
			free_owner(ep, ep->sched.who[i]);
	ep_forget_moved_out(ep);
	assert(list_empty(&ep->dirty) && ep->n_closing == 0);
	assert(ep->stats.conns == 0 && ep->stats.half_open == 0);
	schedule_fini(&ep->sched);
	dgram_pool_fini(&ep->pool);
	assert(map_count(ep->resets) == 0);
	map_free(ep->resets);
	initial_opener_free(ep->opener);
	if (!ep->group)
		addr_limit_free(ep->addrs);
	cid_table_free(ep->cids);
	quic_tls_unref(ep->tls);
	OPENSSL_cleanse(&ep->retry_secret, sizeof ep->retry_secret);
	OPENSSL_cleanse(&ep->reset_secret, sizeof ep->reset_secret);
	OPENSSL_cleanse(ep->opts.reset_secret, sizeof ep->opts.reset_secret);
	free(ep);
}

void quic_endpoint_set_tls(struct quic_endpoint *ep, struct quic_tls *tls)
{
	struct quic_tls *old = ep->tls;

	ep->tls = tls ? quic_tls_ref(tls) : NULL;
	quic_tls_unref(old);
}

void quic_endpoint_refuse(struct quic_endpoint *ep, bool refuse)
{
	ep->refuse = refuse;
}

void ep_random_cid(struct quic_endpoint *ep, ngtcp2_cid *cid)
{
	cid->datalen = CID_LEN;
	random_bytes(cid->data, CID_LEN);
	cid->data[0] = ep->opts.shard;
}

/* ngtcp2 asserts that time goes forward; the time of a batch may lie before the last write. */
static void advance(struct quic_endpoint *ep, nsec now)
{
	if (now > ep->now)
		ep->now = now;
}

/* A stateless reset has a random id; only its last bytes name the connection (RFC 9000 10.3.1). */
static struct cid_owner *owner_of_reset(const struct quic_endpoint *ep, const uint8_t *p, size_t len)
{
	enum { TOKEN = NGTCP2_STATELESS_RESET_TOKENLEN, RESET_MIN = TOKEN + 5 };

	if (map_count(ep->resets) == 0 || len < RESET_MIN)
		return NULL;
	return map_get(ep->resets, p + len - TOKEN, TOKEN);
}

/* An Initial of version 1, or a version that gets an answer; both only in a datagram that is long enough (RFC 9000
 * 14.1, 6.1). */
static bool may_begin(const ngtcp2_version_cid *vc, const uint8_t *p, size_t len)
{
	enum { TYPE_MASK = 0x30 }; /* 0: Initial */

	if (len < INITIAL_MIN || vc->version == 0)
		return false;
	return vc->version != NGTCP2_PROTO_VER_V1 || ((p[0] & TYPE_MASK) == 0 && vc->dcidlen >= NGTCP2_MIN_INITIAL_DCIDLEN);
}

enum quic_sender quic_endpoint_sender(struct quic_endpoint *ep, const uint8_t *p, size_t len)
{
	ngtcp2_version_cid vc;
	int rv = len > 0 ? ngtcp2_pkt_decode_version_cid(&vc, p, len, CID_LEN) : NGTCP2_ERR_INVALID_ARGUMENT;

	if (rv == 0 && cid_table_get(ep->cids, vc.dcid, vc.dcidlen))
		return QUIC_SENDER_KNOWN;
	if ((rv == 0 || rv == NGTCP2_ERR_VERSION_NEGOTIATION) && may_begin(&vc, p, len))
		return QUIC_SENDER_NEW;
	ep->stats.packets_in++;
	ep->stats.bytes_in += len;
	ep->stats.unknown_packets++;
	return QUIC_SENDER_NONE;
}

void quic_endpoint_recv(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len,
	nsec now)
{
	ngtcp2_version_cid vc;

	advance(ep, now);
	ep->stats.packets_in++;
	ep->stats.bytes_in += len;
	int rv = len > 0 ? ngtcp2_pkt_decode_version_cid(&vc, p, len, CID_LEN) : NGTCP2_ERR_INVALID_ARGUMENT;

	if (rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
		ep_send_version_negotiation(ep, path, &vc, len);
		return;
	}
	if (rv) {
		ep->stats.unknown_packets++;
		return;
	}
	struct cid_owner *who = cid_table_get(ep->cids, vc.dcid, vc.dcidlen);

	if (!who)
		who = owner_of_reset(ep, p, len);
	if (!who)
		ep_recv_unknown(ep, path, ecn, p, len, &vc);
	else if (who->kind == CID_CONN)
		qconn_read((struct quic_conn *)who, path, ecn, p, len);
	else if (who->kind == CID_MOVED_OUT)
		ep_forward(ep, who, path, ecn, p, len);
	else if (closing_state_recv((struct closing_state *)who, &ep->out, path, len))
		ep->stats.packets_out++;
}

void quic_endpoint_turn_away(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len,
	nsec now)
{
	ep->turn_away = true;
	quic_endpoint_recv(ep, path, ecn, p, len, now);
	ep->turn_away = false;
}

static void flush_dirty(struct quic_endpoint *ep)
{
	struct list batch;

	list_init(&batch);
	while (!list_empty(&ep->dirty)) {
		struct list *node = ep->dirty.next;

		list_remove(node);
		list_append(&batch, node);
	}
	while (!list_empty(&batch)) {
		struct list *node = batch.next;

		list_remove(node);
		qconn_flush(list_entry(node, struct quic_conn, dirty));
	}
}

void quic_endpoint_flush(struct quic_endpoint *ep, nsec now)
{
	enum { ROUNDS = 4 }; /* a callback may touch further connections */

	advance(ep, now);
	for (int i = 0; i < ROUNDS && !list_empty(&ep->dirty); i++)
		flush_dirty(ep);
}

nsec quic_endpoint_deadline(const struct quic_endpoint *ep)
{
	return list_empty(&ep->dirty) ? schedule_next(&ep->sched) : ep->now;
}

void quic_endpoint_expire(struct quic_endpoint *ep, nsec now)
{
	struct cid_owner *who;

	advance(ep, now);
	/* Each has a new deadline after its flush; none is called twice in one round. */
	for (uint32_t n = ep->sched.n; n > 0 && (who = schedule_pop(&ep->sched, ep->now)) != NULL; n--) {
		if (who->kind == CID_CONN)
			qconn_expire((struct quic_conn *)who);
		else
			free_owner(ep, who);
	}
	quic_endpoint_flush(ep, ep->now);
}

const struct quic_stats *quic_endpoint_stats(const struct quic_endpoint *ep)
{
	return &ep->stats;
}
