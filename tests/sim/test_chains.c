/* SPDX-License-Identifier: MIT */
/*
 * Chains of certificates against the limit of RFC 9000 8.1: until the client's address is known to be its own, a server sends three times
 * what it received, so a handshake with a long chain takes another round trip. The certificates carry what those of public CAs do.
 */
#include "support/test.h"

#include "sim/talk.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCT_BYTES = 242 + 21 /* and a policy */, CHAIN_MAX = 3, PEM_MAX = 1 << 16, DELAY_MS = 20 };

struct issuer {
	X509 *x;
	EVP_PKEY *key;
};

/* The one of a place in the chain, made once: only its size matters. */
static EVP_PKEY *find_key(bool rsa, unsigned place)
{
	static EVP_PKEY *made[2][CHAIN_MAX + 1];
	EVP_PKEY **key = &made[rsa][place];

	if (!*key)
		*key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	assert_non_null(*key);
	EVP_PKEY_up_ref(*key);
	return *key;
}

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);

	if (!e)
		fail_msg("%s = %s", OBJ_nid2sn(nid), value);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Two signed timestamps of certificate transparency, of which only the size matters here. */
static void add_timestamps(X509 *x, size_t len)
{
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
	uint8_t *bytes = calloc(1, len);

	assert_non_null(bytes);
	ASN1_OCTET_STRING_set(s, bytes, (int)len);
	X509_EXTENSION *e = X509_EXTENSION_create_by_NID(NULL, NID_ct_precert_scts, 0, s);

	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(s);
	free(bytes);
}

static void name_it(X509_NAME *n, const char *common)
{
	X509_NAME_add_entry_by_txt(n, "C", MBSTRING_ASC, (const unsigned char *)"US", -1, -1, 0);
	X509_NAME_add_entry_by_txt(n, "O", MBSTRING_ASC, (const unsigned char *)"Some Certificate Authority", -1, -1, 0);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0);
}

/* `by` NULL: signed by itself. `timestamps` 0: a CA. */
static struct issuer make_cert(const struct issuer *by, const char *name, EVP_PKEY *key, size_t timestamps)
{
	struct issuer c = {X509_new(), key};
	const struct issuer *from = by ? by : &c;

	assert_non_null(c.x);
	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.x), 0x7123456789abcdefu);
	ASN1_TIME_set(X509_getm_notBefore(c.x), 0);
	ASN1_TIME_set(X509_getm_notAfter(c.x), 2000000000);
	name_it(X509_get_subject_name(c.x), name);
	X509_set_pubkey(c.x, c.key);
	X509_set_issuer_name(c.x, X509_get_subject_name(from->x));
	add_ext(c.x, from->x, NID_basic_constraints, timestamps ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0");
	add_ext(c.x, from->x, NID_key_usage, timestamps ? "critical,digitalSignature" : "critical,digitalSignature,keyCertSign,cRLSign");
	add_ext(c.x, from->x, NID_ext_key_usage, "serverAuth,clientAuth");
	add_ext(c.x, from->x, NID_subject_key_identifier, "hash");
	add_ext(c.x, from->x, NID_authority_key_identifier, "keyid:always");
	add_ext(c.x, from->x, NID_info_access, "caIssuers;URI:http://issuer.ca.example/");
	add_ext(c.x, from->x, NID_crl_distribution_points, "URI:http://crl.ca.example/12.crl");
	if (timestamps) {
		add_ext(c.x, from->x, NID_subject_alt_name, "DNS:voice.example.com,DNS:www.voice.example.com");
		add_timestamps(c.x, timestamps);
	}
	assert_true(X509_sign(c.x, from->key, EVP_sha256()) > 0);
	return c;
}

static char *take_text(BIO *b)
{
	char *p, *text;
	long len = BIO_get_mem_data(b, &p);

	text = strndup(p, (size_t)len);
	assert_non_null(text);
	BIO_free(b);
	return text;
}

/* A chain of `n` certificates without its root, leaf first, in `out`; returns how long it is in DER. */
static size_t make_chain(unsigned n, bool rsa, size_t timestamps, struct quic_cert *out)
{
	struct issuer c[CHAIN_MAX + 1] = {make_cert(NULL, "Root X1", find_key(rsa, 0), 0)};
	BIO *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	char why[QUIC_CERT_ERROR];
	size_t bytes = 0;

	for (unsigned i = 1; i <= n; i++)
		c[i] = make_cert(&c[i - 1], i < n ? "Intermediate Authority" : "voice.example.com", find_key(rsa, i), i < n ? 0 : timestamps);
	for (unsigned i = n; i >= 1; i--) {
		bytes += (size_t)i2d_X509(c[i].x, NULL);
		PEM_write_bio_X509(chain, c[i].x);
	}
	PEM_write_bio_PKCS8PrivateKey(key, c[n].key, NULL, NULL, 0, NULL, NULL);
	char *chain_pem = take_text(chain), *key_pem = take_text(key);

	assert_int_equal(quic_cert_parse(chain_pem, key_pem, 1000000, out, why), 0);
	free(chain_pem);
	free(key_pem);
	for (unsigned i = 0; i <= n; i++) {
		X509_free(c[i].x);
		EVP_PKEY_free(c[i].key);
	}
	return bytes;
}

struct seen {
	unsigned round_trips;  /* until the client may send */
	uint64_t first_flight; /* bytes that the server sent before it heard again of the client */
};

static struct seen shake_hands(const struct quic_cert *cert, bool post_quantum)
{
	const struct sim_link link = {.delay_us = 1000 * DELAY_MS};
	struct quic_tls_client_opts o = {.sha256 = cert->info.sha256, .post_quantum = post_quantum};
	struct seen seen;
	struct world w;

	world_init(&w, 3);
	quic_tls_unref(w.st);
	quic_tls_unref(w.ct);
	assert_int_equal(quic_tls_server(cert, NULL, &w.st), 0);
	assert_int_equal(quic_tls_client(&o, &w.ct), 0);
	sim_both(w.cn, &link);
	world_start(&w);
	nsec began = sim_now(w.sim);
	struct talker *t = world_connect(&w);

	world_run(&w, nsec_from_ms(DELAY_MS + DELAY_MS / 2));
	seen.first_flight = quic_endpoint_stats(w.se)->bytes_out;
	world_run(&w, nsec_from_s(2));
	assert_true(t->handshaken);
	seen.round_trips = (unsigned)((t->handshaken_at - began) / nsec_from_ms(2 * DELAY_MS));
	world_end(&w);
	return seen;
}

/* The table of docs/operations.md, which this prints. */
TEST(chains_of_three_certificates_and_the_limit)
{
	static const struct {
		unsigned n;
		bool rsa;
		unsigned classic, browser; /* round trips */
	} rows[] = {
		{1, false, 1, 1}, {2, false, 1, 1}, {3, false, 1, 1}, {1, true, 1, 1}, {2, true, 1, 1}, {3, true, 2, 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct quic_cert cert;
		size_t bytes = make_chain(rows[i].n, rows[i].rsa, SCT_BYTES, &cert);
		struct seen classic = shake_hands(&cert, false), browser = shake_hands(&cert, true);

		print_message("| %u %s | %zu | %llu, %u round trip%s | %llu, %u round trip%s |\n", rows[i].n, rows[i].rsa ? "RSA-2048" : "ECDSA P-256", bytes,
			(unsigned long long)classic.first_flight, classic.round_trips, classic.round_trips == 1 ? "" : "s",
			(unsigned long long)browser.first_flight, browser.round_trips, browser.round_trips == 1 ? "" : "s");
		assert_in_range(classic.first_flight, 1200, 3 * 1200);
		assert_in_range(browser.first_flight, 1200, 3 * 2 * 1200);
		assert_int_equal(classic.round_trips, rows[i].classic);
		assert_int_equal(browser.round_trips, rows[i].browser);
		quic_cert_free(&cert);
	}
}

/* Bytes of DER of the longest chain, by steps of 10, that takes one round trip. */
static size_t longest(bool rsa, bool post_quantum)
{
	size_t low = 0, high = 700; /* tens of bytes */
	size_t bytes = 0;

	while (low + 1 < high) {
		size_t mid = (low + high) / 2;
		struct quic_cert cert;
		size_t n = make_chain(2, rsa, 10 * mid + 1, &cert);

		if (shake_hands(&cert, post_quantum).round_trips == 1) {
			low = mid;
			bytes = n;
		} else {
			high = mid;
		}
		quic_cert_free(&cert);
	}
	return bytes;
}

TEST(the_longest_chain_for_one_round_trip)
{
	size_t ec = longest(false, false), rsa = longest(true, false), ec_browser = longest(false, true), rsa_browser = longest(true, true);

	print_message("longest: ECDSA %zu, RSA %zu; with ML-KEM %zu and %zu\n", ec, rsa, ec_browser, rsa_browser);
	assert_in_range(ec, 2900, 3400);
	assert_in_range(rsa, 2700, 3200);
	assert_in_range(ec_browser, 5300, 5900);
	assert_in_range(rsa_browser, 5100, 5700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_of_three_certificates_and_the_limit),
		cmocka_unit_test(the_longest_chain_for_one_round_trip),
	};

	return cmocka_run_group_tests_name("chains", tests, NULL, NULL);
}
