/* SPDX-License-Identifier: MIT */
#include "http/tls_context.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tls_context {
	SSL_CTX *ctx;
	atomic_uint refs; /* bridges of all threads hold it */
	bool insecure;
};

/* A key with a passphrase must fail, not ask on the terminal. */
static int no_passphrase(char *buf, int size, int rw, void *arg)
{
	(void)buf, (void)size, (void)rw, (void)arg;
	return -1;
}

static BIO *text_bio(const char *pem)
{
	return BIO_new_mem_buf(pem, -1);
}

/* The first certificate is the leaf, the others lead to the root. */
static bool use_chain(SSL_CTX *ctx, const char *pem)
{
	BIO *b = text_bio(pem);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, no_passphrase, NULL) : NULL;
	bool good = x && SSL_CTX_use_certificate(ctx, x) == 1;

	X509_free(x);
	while (good && (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)) != NULL) {
		good = SSL_CTX_add1_chain_cert(ctx, x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	return good;
}

static bool use_key(SSL_CTX *ctx, const char *pem)
{
	BIO *b = text_bio(pem);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	bool good = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	BIO_free(b);
	return good;
}

static const unsigned char alpn[] = "\x08http/1.1";

/* A client that offers others only is served all the same: it will speak HTTP/1.1 or be answered 400. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	unsigned in_len, void *arg)
{
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof alpn - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int new_context(const SSL_METHOD *method, struct tls_context **out)
{
	struct tls_context *t = calloc(1, sizeof *t);

	if (!t)
		return ERR_NOMEM;
	t->refs = 1;
	t->ctx = SSL_CTX_new(method);
	if (!t->ctx) {
		free(t);
		return ERR_NOMEM;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	*out = t;
	return 0;
}

int tls_context_server(const char *chain_pem, const char *key_pem, struct tls_context **out)
{
	struct tls_context *t;
	int err = new_context(TLS_server_method(), &t);

	if (err)
		return err;
	SSL_CTX_set_num_tickets(t->ctx, 0); /* a page load is one connection or six at once: nothing to resume */
	SSL_CTX_set_alpn_select_cb(t->ctx, select_alpn, NULL);
	if (!use_chain(t->ctx, chain_pem) || !use_key(t->ctx, key_pem)) {
		tls_context_unref(t);
		ERR_clear_error();
		return ERR_TLS;
	}
	ERR_clear_error(); /* the end of the PEM text leaves a mark */
	*out = t;
	return 0;
}

static bool trust(SSL_CTX *ctx, const char *ca_pem)
{
	if (!ca_pem)
		return SSL_CTX_set_default_verify_paths(ctx) == 1;
	BIO *b = text_bio(ca_pem);
	X509 *x;
	size_t n = 0;

	while (b && (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)) != NULL) {
		n += X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	return n > 0;
}

int tls_context_client(const struct tls_client_opts *opts, struct tls_context **out)
{
	struct tls_context *t;
	int err = new_context(TLS_client_method(), &t);

	if (err)
		return err;
	t->insecure = opts->insecure;
	SSL_CTX_set_verify(t->ctx, opts->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(t->ctx, alpn, sizeof alpn - 1);
	if (!opts->insecure && !trust(t->ctx, opts->ca_pem)) {
		tls_context_unref(t);
		ERR_clear_error();
		return ERR_TLS;
	}
	ERR_clear_error();
	*out = t;
	return 0;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void tls_context_unref(struct tls_context *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* SNI carries names only (RFC 6066 section 3); an address is verified against the certificate's IP entries. */
static bool expect_name(SSL *ssl, const char *name)
{
	uint8_t addr[16];

	if (inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

SSL *tls_context_ssl(struct tls_context *t, bool server, const char *server_name)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl)
		return NULL;
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	/* A client that verifies must know whom it expects. */
	bool good = server || (server_name ? expect_name(ssl, server_name) : t->insecure);

	if (!good) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}
