/* SPDX-License-Identifier: MIT */
/* pem - certificates for the tests of TLS. After support/test.h. */
#pragma once
#include "http/openssl.h"

struct pem {
	char chain[2048], key[1024];
};

static void to_text(BIO *b, char *out, size_t size)
{
	int n = BIO_read(b, out, (int)size - 1);

	assert_true(n > 0);
	out[n] = '\0';
	BIO_free(b);
}

/* Self-signed, for localhost and 127.0.0.1. */
static void make_pem(struct pem *out, const char *common_name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());

	assert_true(key && x && chain && secret);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");

	assert_non_null(san);
	X509_add_ext(x, san, -1);
	X509_EXTENSION_free(san);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(chain, x), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL), 1);
	to_text(chain, out->chain, sizeof out->chain);
	to_text(secret, out->key, sizeof out->key);
	X509_free(x);
	EVP_PKEY_free(key);
}
