/* SPDX-License-Identifier: MIT */
#include "tls_ctx.h"

#include "base/err.h"

#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* AES-128-GCM is the cheapest with hardware support; ChaCha20 is for peers that have none. */
static const char ciphersuites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups_server[] = "X25519MLKEM768:X25519:P-256";
static const char groups_classic[] = "X25519:P-256:X25519MLKEM768"; /* a key for the first alone */
static const char groups_browser[] = "*X25519MLKEM768:*X25519:P-256";
static const unsigned char alpn_h3[] = {2, 'h', '3'};

/* Fetches every algorithm once; without it each packet costs several times as much. */
static pthread_once_t init_once = PTHREAD_ONCE_INIT;

static void init(void)
{
	ngtcp2_crypto_ossl_init();
}

/* As they are configured and counted, and as OpenSSL calls them. */
static const struct {
	const char *name, *tls_name;
} group_names[QUIC_TLS_GROUPS] = {
	{"X25519MLKEM768", "X25519MLKEM768"},
	{"SecP256r1MLKEM768", "SecP256r1MLKEM768"},
	{"X25519", "x25519"},
	{"P-256", "secp256r1"},
	{"P-384", "secp384r1"},
};

const char *quic_tls_group_name(unsigned i)
{
	return i < QUIC_TLS_GROUPS ? group_names[i].name : NULL;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	unsigned in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
		if (in[i] == 2 && i + 2 < in_len && memcmp(in + i, alpn_h3, sizeof alpn_h3) == 0) {
			*out = in + i + 1;
			*out_len = 2;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static struct quic_tls *tls_new(const SSL_METHOD *method, const char *groups, bool server)
{
	pthread_once(&init_once, init);
	struct quic_tls *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->refs = 1;
	t->server = server;
	t->ctx = SSL_CTX_new(method);
	if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_ciphersuites(t->ctx, ciphersuites) != 1 ||
		SSL_CTX_set1_groups_list(t->ctx, groups) != 1) {
		quic_tls_unref(t);
		return NULL;
	}
	return t;
}

/* The leaf first, then what follows it. */
static bool use_chain(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool ok = x && SSL_CTX_use_certificate(ctx, x) == 1;

	X509_free(x);
	while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		ok = SSL_CTX_add1_chain_cert(ctx, x) == 1;
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error();
	return ok;
}

static bool use_key(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

int quic_tls_server(const struct quic_cert *cert, const char *groups, struct quic_tls **out)
{
	struct quic_tls *t = tls_new(TLS_server_method(), groups ? groups : groups_server, true);

	if (!t) {
		ERR_clear_error();
		return ERR_TLS;
	}
	SSL_CTX_set_options(t->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(t->ctx, 0);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(t->ctx, on_alpn, NULL);
	if (!use_chain(t->ctx, cert->chain_pem) || !use_key(t->ctx, cert->key_pem)) {
		ERR_clear_error();
		quic_tls_unref(t);
		return ERR_TLS;
	}
	*out = t;
	return 0;
}

/* Replaces the check of the chain: exactly this leaf, whatever its issuer. */
static int on_pinned_verify(X509_STORE_CTX *store, void *arg)
{
	const struct quic_tls *t = arg;
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (leaf && X509_digest(leaf, EVP_sha256(), hash, &len) == 1 && len == sizeof t->sha256 &&
		memcmp(hash, t->sha256, sizeof t->sha256) == 0)
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
	return 0;
}

int quic_tls_client(const struct quic_tls_client_opts *opts, struct quic_tls **out)
{
	struct quic_tls *t = tls_new(TLS_client_method(), opts->post_quantum ? groups_browser : groups_classic, false);

	if (!t)
		return ERR_NOMEM;
	if (opts->insecure) {
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	} else if (opts->sha256) {
		memcpy(t->sha256, opts->sha256, sizeof t->sha256);
		t->pinned = true;
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(t->ctx, on_pinned_verify, t);
	} else {
		t->system_trust = true;
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_set_default_verify_paths(t->ctx) != 1) {
			quic_tls_unref(t);
			return ERR_TLS;
		}
	}
	*out = t;
	return 0;
}

struct quic_tls *quic_tls_ref(struct quic_tls *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void quic_tls_unref(struct quic_tls *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* An address is checked against the certificate's addresses and never sent as SNI (RFC 6066 3). */
static bool name_server(const struct quic_tls *t, SSL *ssl, const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);

	if (ip) {
		ASN1_OCTET_STRING_free(ip);
		return !t->system_trust || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	}
	ERR_clear_error();
	if (SSL_set_tlsext_host_name(ssl, name) != 1)
		return false;
	return !t->system_trust || SSL_set1_host(ssl, name) == 1;
}

SSL *quic_tls_ssl(struct quic_tls *t, const char *server_name)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl)
		return NULL;
	if (t->server) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_set_connect_state(ssl);
	if (SSL_set_alpn_protos(ssl, alpn_h3, sizeof alpn_h3) != 0 ||
		(server_name && server_name[0] && !name_server(t, ssl, server_name))) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

unsigned quic_tls_group(SSL *ssl)
{
	const char *name = SSL_get0_group_name(ssl);
	unsigned i = 0;

	while (i < QUIC_TLS_GROUPS && !(name && !strcasecmp(name, group_names[i].tls_name)))
		i++;
	return i;
}

bool quic_tls_alpn_ok(const SSL *ssl)
{
	const unsigned char *p;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &p, &len);
	return len == 2 && memcmp(p, "h3", 2) == 0;
}
