/* A client and a server of ngtcp2 in one process and in virtual time, over a link with a delay and a largest packet.
 * For findings/ngtcp2-*.sh; each program includes this once. Anything unexpected ends it. */
#pragma once
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT, SERVER, QUEUE = 4096, LARGEST = 1500 };
#define MS NGTCP2_MILLISECONDS
#define S NGTCP2_SECONDS

struct pair;

struct end {
	struct pair *pair;
	ngtcp2_conn *q;
	ngtcp2_crypto_conn_ref ref;
	unsigned n_dgrams, n_stop_sending, n_reset, n_data;
};

struct packet {
	uint64_t at;
	int to;
	size_t len;
	uint8_t bytes[LARGEST];
};

struct pair {
	uint64_t now, delay;
	size_t mtu;           /* longer packets are lost */
	bool writes_tx_time;  /* ngtcp2_conn_update_pkt_tx_time() after each write of streams */
	ngtcp2_settings settings;
	struct end end[2];
	struct packet queue[QUEUE];
	unsigned first, last;
};

#define must(what) do { if (!(what)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); exit(2); } } while (0)

static ngtcp2_sockaddr_in addr[2] = {
	{.sin_family = AF_INET, .sin_port = 1, .sin_addr = {0x0100007f}}, {.sin_family = AF_INET, .sin_port = 2, .sin_addr = {0x0100007f}},
};

static ngtcp2_path path_from(int from)
{
	return (ngtcp2_path){.local = {(ngtcp2_sockaddr *)&addr[from], sizeof addr[from]},
		.remote = {(ngtcp2_sockaddr *)&addr[!from], sizeof addr[!from]}};
}

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *r) { return ((struct end *)r->user_data)->q; }
static void on_rand(uint8_t *p, size_t n, const ngtcp2_rand_ctx *x) { (void)x; must(RAND_bytes(p, (int)n) == 1); }

static int on_new_cid(ngtcp2_conn *q, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token, size_t n, void *u)
{
	(void)q, (void)u;
	cid->datalen = n;
	must(RAND_bytes(cid->data, (int)n) == 1 && RAND_bytes(token->data, sizeof token->data) == 1);
	return 0;
}

static int on_dgram(ngtcp2_conn *q, uint32_t flags, const uint8_t *p, size_t n, void *u)
{
	(void)q, (void)flags, (void)p, (void)n;
	((struct end *)u)->n_dgrams++;
	return 0;
}

static int on_data(ngtcp2_conn *q, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *p, size_t n, void *u, void *su)
{
	(void)q, (void)flags, (void)id, (void)offset, (void)p, (void)n, (void)su;
	((struct end *)u)->n_data++;
	return 0;
}

static int on_stop_sending(ngtcp2_conn *q, int64_t id, uint64_t code, void *u, void *su)
{
	(void)q, (void)id, (void)code, (void)su;
	((struct end *)u)->n_stop_sending++;
	return 0;
}

static int on_reset(ngtcp2_conn *q, int64_t id, uint64_t size, uint64_t code, void *u, void *su)
{
	(void)q, (void)id, (void)size, (void)code, (void)su;
	((struct end *)u)->n_reset++;
	return 0;
}

static int on_alpn(SSL *s, const unsigned char **out, unsigned char *n, const unsigned char *in, unsigned len, void *u)
{
	(void)s, (void)u, (void)len;
	*out = in + 1, *n = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	must(X509_sign(x, key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void start_tls(struct end *e, bool is_server)
{
	SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	ngtcp2_crypto_ossl_ctx *native;
	SSL *ssl;

	if (is_server) {
		certify(ctx);
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	}
	must(ctx && (ssl = SSL_new(ctx)) && !ngtcp2_crypto_ossl_ctx_new(&native, ssl));
	if (is_server) {
		must(!ngtcp2_crypto_ossl_configure_server_session(ssl));
		SSL_set_accept_state(ssl);
	} else {
		must(!ngtcp2_crypto_ossl_configure_client_session(ssl));
		SSL_set_connect_state(ssl);
		SSL_set_alpn_protos(ssl, (const unsigned char *)"\2h3", 3);
	}
	SSL_set_app_data(ssl, &e->ref);
	ngtcp2_conn_set_tls_native_handle(e->q, native);
}

static const ngtcp2_callbacks callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb, .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb, .recv_retry = ngtcp2_crypto_recv_retry_cb,
	.encrypt = ngtcp2_crypto_encrypt_cb, .decrypt = ngtcp2_crypto_decrypt_cb, .hp_mask = ngtcp2_crypto_hp_mask_cb,
	.update_key = ngtcp2_crypto_update_key_cb, .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb, .rand = on_rand,
	.get_new_connection_id2 = on_new_cid, .recv_datagram = on_dgram, .recv_stream_data = on_data,
	.stream_stop_sending = on_stop_sending, .stream_reset = on_reset,
};

static ngtcp2_transport_params params(void)
{
	ngtcp2_transport_params t;

	ngtcp2_transport_params_default(&t);
	t.initial_max_data = t.initial_max_stream_data_bidi_local = t.initial_max_stream_data_bidi_remote = 1 << 20;
	t.initial_max_stream_data_uni = 1 << 20;
	t.initial_max_streams_bidi = t.initial_max_streams_uni = 100;
	t.max_idle_timeout = 600 * S;
	t.max_datagram_frame_size = 65535;
	return t;
}

static void pair_init(struct pair *p)
{
	memset(p, 0, sizeof *p);
	p->now = S, p->delay = 20 * MS, p->mtu = LARGEST, p->writes_tx_time = true;
	ngtcp2_settings_default(&p->settings);
	must(!ngtcp2_crypto_ossl_init());
	for (int i = 0; i < 2; i++)
		p->end[i].pair = p, p->end[i].ref = (ngtcp2_crypto_conn_ref){conn_of, &p->end[i]};
}

static void pair_send(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
	if (n > p->mtu)
		return;
	struct packet *k = &p->queue[p->last++ % QUEUE];
	must(p->last - p->first < QUEUE);
	k->at = p->now + p->delay, k->to = !from, k->len = n;
	memcpy(k->bytes, bytes, n);
}

/* Streams, acknowledgements, handshake. */
static void pair_write(struct pair *p, int i)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info info;
	uint8_t bytes[LARGEST];
	ngtcp2_ssize n;

	if (!p->end[i].q)
		return;
	for (;;) {
		ngtcp2_path_storage_zero(&ps);
		n = ngtcp2_conn_write_pkt(p->end[i].q, &ps.path, &info, bytes, sizeof bytes, p->now);
		must(n >= 0);
		if (n == 0)
			break;
		pair_send(p, i, bytes, (size_t)n);
	}
	if (p->writes_tx_time)
		ngtcp2_conn_update_pkt_tx_time(p->end[i].q, p->now);
}

static void accept_client(struct pair *p, const struct packet *k)
{
	struct end *e = &p->end[SERVER];
	ngtcp2_transport_params t = params();
	ngtcp2_path path = path_from(SERVER);
	ngtcp2_cid scid = {.datalen = 8};
	ngtcp2_pkt_hd hd;

	must(!ngtcp2_accept(&hd, k->bytes, k->len) && RAND_bytes(scid.data, 8) == 1);
	t.original_dcid = hd.dcid, t.original_dcid_present = 1;
	p->settings.initial_ts = p->now;
	must(!ngtcp2_conn_server_new(&e->q, &hd.scid, &scid, &path, hd.version, &callbacks, &p->settings, &t, NULL, e));
	start_tls(e, true);
}

static void deliver(struct pair *p)
{
	struct packet *k = &p->queue[p->first++ % QUEUE];
	ngtcp2_path path = path_from(k->to);
	ngtcp2_pkt_info info = {0};

	if (!p->end[k->to].q)
		accept_client(p, k);
	must(!ngtcp2_conn_read_pkt(p->end[k->to].q, &path, &info, k->bytes, k->len, p->now));
	pair_write(p, k->to);
}

/* Lets time pass. */
static void pair_run(struct pair *p, uint64_t time)
{
	uint64_t end = p->now + time;

	for (;;) {
		uint64_t next = end;
		int due = -1;

		if (p->first != p->last && p->queue[p->first % QUEUE].at <= next)
			next = p->queue[p->first % QUEUE].at, due = 2;
		for (int i = 0; i < 2; i++)
			if (p->end[i].q && ngtcp2_conn_get_expiry(p->end[i].q) < next)
				next = ngtcp2_conn_get_expiry(p->end[i].q), due = i;
		if (next > p->now)
			p->now = next;
		if (due < 0)
			return;
		if (due == 2) {
			deliver(p);
		} else {
			must(!ngtcp2_conn_handle_expiry(p->end[due].q, p->now));
			pair_write(p, due);
		}
	}
}

static void pair_connect(struct pair *p)
{
	struct end *e = &p->end[CLIENT];
	ngtcp2_transport_params t = params();
	ngtcp2_path path = path_from(CLIENT);
	ngtcp2_cid dcid = {.datalen = 16}, scid = {.datalen = 8};

	must(RAND_bytes(dcid.data, 16) == 1 && RAND_bytes(scid.data, 8) == 1);
	p->settings.initial_ts = p->now;
	must(!ngtcp2_conn_client_new(&e->q, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks, &p->settings, &t, NULL, e));
	start_tls(e, false);
	pair_write(p, CLIENT);
	pair_run(p, S);
	must(ngtcp2_conn_get_handshake_completed(e->q) && ngtcp2_conn_get_handshake_completed(p->end[SERVER].q));
}

/* One datagram of `len` bytes: what ngtcp2 returned; *accepted as it said. */
static ngtcp2_ssize pair_dgram(struct pair *p, int from, size_t len, int *accepted)
{
	static const uint8_t zeros[LARGEST];
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info info;
	uint8_t bytes[LARGEST];
	ngtcp2_vec v = {(uint8_t *)zeros, len};

	ngtcp2_path_storage_zero(&ps);
	ngtcp2_ssize n = ngtcp2_conn_writev_datagram(p->end[from].q, &ps.path, &info, bytes, sizeof bytes, accepted, 0, 0, &v, 1, p->now);
	if (n > 0)
		pair_send(p, from, bytes, (size_t)n);
	return n;
}

static void pair_stream(struct pair *p, int from, int64_t id, const char *text)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info info;
	uint8_t bytes[LARGEST];
	ngtcp2_ssize took;
	ngtcp2_vec v = {(uint8_t *)text, strlen(text)};

	ngtcp2_path_storage_zero(&ps);
	ngtcp2_ssize n = ngtcp2_conn_writev_stream(p->end[from].q, &ps.path, &info, bytes, sizeof bytes, &took, 0, id, &v, 1, p->now);
	must(n >= 0);
	if (n > 0)
		pair_send(p, from, bytes, (size_t)n);
	if (p->writes_tx_time)
		ngtcp2_conn_update_pkt_tx_time(p->end[from].q, p->now);
}
