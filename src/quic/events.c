/* SPDX-License-Identifier: MIT */
/*
 * ngtcp2's callbacks, passed on to the application. None of them may write packets or free
 * the connection: both wait for the flush.
 */
#include "ep.h"

#include <string.h>

/* The application does not know the connection yet, or its end is decided: it gets no events. */
static bool detached(const struct quic_conn *c)
{
	return !qconn_opened(c) || qconn_ending(c);
}

/* Random numbers that need not be secret (which packet numbers to skip, values for greasing). Called now and then while
 * packets are written, where a system call or the locks of OpenSSL's generator would cost. */
static void on_rand(uint8_t *p, size_t len, const ngtcp2_rand_ctx *ctx)
{
	struct quic_endpoint *ep = ((struct quic_conn *)ctx->native_handle)->ep; /* may have moved to another endpoint */

	for (size_t at = 0, n; at < len; at += n) {
		uint64_t r = siphash13(ep->random_key, &ep->n_random, sizeof ep->n_random);

		ep->n_random++;
		n = len - at < sizeof r ? len - at : sizeof r;
		memcpy(p + at, &r, n);
	}
}

/* --- ids and keys ------------------------------------------------------------------------ */

static int on_new_cid(ngtcp2_conn *q, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token, size_t len, void *user)
{
	struct quic_conn *c = user;
	struct quic_endpoint *ep = c->ep;

	(void)q;
	(void)len; /* always CID_LEN: that of our first one */
	ep_random_cid(ep, cid);
	if (reset_token_make(&ep->reset_secret, cid, token->data))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return qconn_add_id(c, cid) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_remove_cid(ngtcp2_conn *q, const ngtcp2_cid *cid, void *user)
{
	struct quic_conn *c = user;

	(void)q;
	qconn_drop_id(c, cid);
	return 0;
}

static int on_update_key(ngtcp2_conn *q, uint8_t *rx_secret, uint8_t *tx_secret, ngtcp2_crypto_aead_ctx *rx_aead,
	uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx_aead, uint8_t *tx_iv, const uint8_t *old_rx, const uint8_t *old_tx,
	size_t len, void *user)
{
	struct quic_conn *c = user;

	/* ngtcp2 prepares the next keys in advance: the first call is no update yet. */
	if (c->key_preparations++ > 0)
		c->ep->stats.key_updates++;
	return ngtcp2_crypto_update_key_cb(q, rx_secret, tx_secret, rx_aead, rx_iv, tx_aead, tx_iv, old_rx, old_tx, len,
		user);
}

/* A server frees its TLS object after the handshake (see qconn_flush); no message of a client in
 * CRYPTO frames is legal after that. */
static int on_crypto_data(ngtcp2_conn *q, ngtcp2_encryption_level level, uint64_t offset, const uint8_t *p, size_t len,
	void *user)
{
	enum { UNEXPECTED_MESSAGE = 10 };
	struct quic_conn *c = user;

	if (!c->tls.ssl) {
		ngtcp2_conn_set_tls_alert(q, UNEXPECTED_MESSAGE);
		return NGTCP2_ERR_CRYPTO;
	}
	return ngtcp2_crypto_recv_crypto_data_cb(q, level, offset, p, len, user);
}

/* --- the handshake ------------------------------------------------------------------------ */

static int open_app(struct quic_conn *c)
{
	if (qconn_opened(c) || qconn_ending(c))
		return 0;
	if (c->ep->app->on_open(c->ep->app_ctx, c, &c->user, c->ep->now))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	c->phase = CONN_OPEN;
	c->want_stream = true;
	return 0;
}

/* A client opens in on_handshake: OpenSSL gives it the key for sending first, and ngtcp2
 * knows the server's stream limits only with the other one. */
static int on_tx_key(ngtcp2_conn *q, ngtcp2_encryption_level level, void *user)
{
	struct quic_conn *c = user;

	(void)q;
	return level == NGTCP2_ENCRYPTION_LEVEL_1RTT && c->server ? open_app(c) : 0;
}

static void count_group(struct quic_conn *c)
{
	unsigned group = quic_tls_group(c->tls.ssl);

	if (group < QUIC_TLS_GROUPS)
		c->ep->stats.by_group[group]++;
}

static int on_handshake(ngtcp2_conn *q, void *user)
{
	enum { NO_APPLICATION_PROTOCOL = 120 };
	struct quic_conn *c = user;

	/* OpenSSL does not ask us when the client offers no protocol at all. */
	if (!quic_tls_alpn_ok(c->tls.ssl)) {
		ngtcp2_conn_set_tls_alert(q, NO_APPLICATION_PROTOCOL);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	qconn_leave_half_open(c);
	c->ep->stats.handshakes++;
	count_group(c);
	c->want_plain = true;
	if (!c->server && open_app(c))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	if (qconn_opened(c))
		c->phase = c->server ? CONN_CONFIRMED : CONN_COMPLETE;
	if (!detached(c))
		c->ep->app->on_handshake(c->user, c->ep->now);
	return 0;
}

static int on_confirmed(ngtcp2_conn *q, void *user)
{
	struct quic_conn *c = user;

	(void)q;
	if (qconn_opened(c))
		c->phase = CONN_CONFIRMED;
	return 0;
}

/* --- streams ------------------------------------------------------------------------------ */

static int on_stream_data(ngtcp2_conn *q, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *p, size_t len,
	void *user, void *stream_user)
{
	struct quic_conn *c = user;

	(void)q;
	(void)offset;
	(void)stream_user;
	c->want_plain = true;
	if (!detached(c))
		c->ep->app->on_stream_data(c->user, id, p, len, flags & NGTCP2_STREAM_DATA_FLAG_FIN, c->ep->now);
	return 0;
}

static int on_stream_close(ngtcp2_conn *q, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream_user)
{
	struct quic_conn *c = user;

	(void)stream_user;
	c->want_plain = true;
	if (quic_stream_is_server(id) != c->server) { /* ngtcp2 never grants a stream by itself */
		if (quic_stream_is_bidi(id))
			ngtcp2_conn_extend_max_streams_bidi(q, 1);
		else
			ngtcp2_conn_extend_max_streams_uni(q, 1);
	}
	if (!detached(c))
		c->ep->app->on_stream_closed(c->user, id,
			flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET ? code : 0, c->ep->now);
	return 0;
}

static int on_stream_reset(ngtcp2_conn *q, int64_t id, uint64_t size, uint64_t code, void *user, void *stream_user)
{
	struct quic_conn *c = user;

	(void)q;
	(void)size;
	(void)stream_user;
	c->want_plain = true;
	if (!detached(c))
		c->ep->app->on_stream_reset(c->user, id, code, c->ep->now);
	return 0;
}

static int on_acked(ngtcp2_conn *q, int64_t id, uint64_t offset, uint64_t len, void *user, void *stream_user)
{
	struct quic_conn *c = user;

	(void)q;
	(void)offset;
	(void)stream_user;
	if (!detached(c))
		c->ep->app->on_stream_acked(c->user, id, len);
	return 0;
}

static int on_stream_credit(ngtcp2_conn *q, int64_t id, uint64_t max, void *user, void *stream_user)
{
	struct quic_conn *c = user;

	(void)q;
	(void)max;
	(void)stream_user;
	if (!detached(c)) {
		c->want_stream = true;
		c->ep->app->on_stream_credit(c->user, id);
	}
	return 0;
}

/* --- the rest ----------------------------------------------------------------------------- */

static int on_datagram(ngtcp2_conn *q, uint32_t flags, const uint8_t *p, size_t len, void *user)
{
	struct quic_conn *c = user;

	(void)q;
	(void)flags;
	if (detached(c))
		return 0;
	c->ep->stats.datagrams_in++;
	c->ep->app->on_datagram(c->user, p, len, c->ep->now);
	return 0;
}

/* The address that the application sees changes only here, after the peer proved it. */
static int on_path_validation(ngtcp2_conn *q, uint32_t flags, const ngtcp2_path *path, const ngtcp2_path *fallback,
	ngtcp2_path_validation_result res, void *user)
{
	struct quic_conn *c = user;
	struct quic_path now;

	(void)q;
	(void)flags;
	(void)fallback;
	c->want_plain = true;
	if (res != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
		return 0;
	qpath_copy(&now, path);
	if (!quic_addr_equal(&now.remote, &c->path.remote) || !quic_addr_equal(&now.local, &c->path.local)) {
		c->ep->stats.migrations++;
		black_hole_new_path(&c->black_hole);
	}
	c->path = now;
	return 0;
}

static int on_stateless_reset(ngtcp2_conn *q, const ngtcp2_pkt_stateless_reset2 *sr, void *user)
{
	struct quic_conn *c = user;

	(void)q;
	(void)sr;
	c->end.was_reset = true;
	return 0;
}

/* A client's server may reset the connection with this token. */
static int on_dcid_status(ngtcp2_conn *q, ngtcp2_connection_id_status_type type, uint64_t seq, const ngtcp2_cid *cid,
	const ngtcp2_stateless_reset_token *token, void *user)
{
	struct quic_conn *c = user;
	bool add = type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE;

	(void)q;
	(void)seq;
	(void)cid;
	for (size_t i = 0; token && i < PEER_IDS + 1; i++) {
		struct reset_token *t = &c->resets[i];

		if (add && !t->used && !map_put(c->ep->resets, token->data, sizeof t->b, c)) {
			memcpy(t->b, token->data, sizeof t->b);
			t->used = true;
			break;
		}
		if (!add && t->used && memcmp(t->b, token->data, sizeof t->b) == 0) {
			map_remove(c->ep->resets, t->b, sizeof t->b);
			t->used = false;
			break;
		}
	}
	return 0;
}

#define COMMON_CALLBACKS \
	.recv_crypto_data = on_crypto_data, .handshake_completed = on_handshake, .encrypt = ngtcp2_crypto_encrypt_cb, \
	.decrypt = ngtcp2_crypto_decrypt_cb, .hp_mask = ngtcp2_crypto_hp_mask_cb, .recv_stream_data = on_stream_data, \
	.acked_stream_data_offset = on_acked, .stream_close = on_stream_close, .rand = on_rand, \
	.get_new_connection_id2 = on_new_cid, .remove_connection_id = on_remove_cid, .update_key = on_update_key, \
	.path_validation = on_path_validation, .stream_reset = on_stream_reset, \
	.extend_max_stream_data = on_stream_credit, .handshake_confirmed = on_confirmed, \
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb, \
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb, .recv_datagram = on_datagram, \
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb, \
	.recv_tx_key = on_tx_key, .recv_stateless_reset2 = on_stateless_reset, \
	.get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb

const ngtcp2_callbacks qconn_callbacks_server = {
	COMMON_CALLBACKS,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};

const ngtcp2_callbacks qconn_callbacks_client = {
	COMMON_CALLBACKS,
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.dcid_status2 = on_dcid_status,
};
