/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "quic/tls.h"

#include "base/err.h"
#include "quic/ossl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NOW = 1800000000, DAY = 86400 };

static const char *const names[] = {"voice.example.com", "localhost", "127.0.0.1", "::1"};

static struct quic_cert make(int days)
{
	struct quic_cert c;

	assert_int_equal(quic_cert_make(names, 4, days, NOW, &c), 0);
	return c;
}

static X509 *leaf_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

TEST(a_made_certificate_can_be_pinned_by_browsers)
{
	struct quic_cert c = make(13), again;
	char why[QUIC_CERT_ERROR];

	assert_true(c.info.pinnable);
	assert_string_equal(c.info.unfit, "");
	assert_true(c.info.self_signed);
	assert_int_equal(c.info.not_before_s, NOW - 3600);
	assert_int_equal(c.info.not_after_s, NOW - 3600 + 13 * DAY);
	assert_non_null(strstr(c.info.subject, "voice.example.com"));
	assert_int_equal(quic_cert_parse(c.chain_pem, c.key_pem, NOW, &again, why), 0);
	assert_memory_equal(&c.info, &again.info, sizeof c.info);
	quic_cert_free(&c);
	quic_cert_free(&again);
}

TEST(a_made_certificate_has_its_extensions)
{
	struct quic_cert c = make(13);
	X509 *x = leaf_of(c.chain_pem);
	uint8_t hash[32];
	unsigned len;

	assert_int_equal(X509_get_version(x), X509_VERSION_3);
	assert_int_equal(X509_check_host(x, "voice.example.com", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.example.com", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	X509_digest(x, EVP_sha256(), hash, &len);
	assert_memory_equal(hash, c.info.sha256, 32);
	X509_free(x);
	quic_cert_free(&c);
}

TEST(no_two_made_certificates_share_serial_or_key)
{
	struct quic_cert a = make(13), b = make(13);
	X509 *xa = leaf_of(a.chain_pem), *xb = leaf_of(b.chain_pem);

	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(xa), X509_get0_serialNumber(xb)), 0);
	assert_string_not_equal(a.key_pem, b.key_pem);
	X509_free(xa);
	X509_free(xb);
	quic_cert_free(&a);
	quic_cert_free(&b);
}

TEST(a_name_cannot_smuggle_in_another)
{
	static const char *const evil[] = {"a.example,DNS:bank.example"};
	struct quic_cert c;

	if (quic_cert_make(evil, 1, 13, NOW, &c))
		return;
	X509 *x = leaf_of(c.chain_pem);

	assert_int_equal(X509_check_host(x, "bank.example", 0, 0, NULL), 0);
	X509_free(x);
	quic_cert_free(&c);
}

/* NUL-separated, as in quic_cert_info. */
static void has_names(const char *const *made_for, size_t n, const char *expected, size_t len)
{
	struct quic_cert c;

	assert_int_equal(quic_cert_make(made_for, n, 5, NOW, &c), 0);
	assert_memory_equal(c.info.names, expected, len);
	assert_false(c.info.names_left_out);
	quic_cert_free(&c);
}

TEST(the_names_of_a_certificate_are_those_of_hosts)
{
	static const char *const hosts[] = {"127.0.0.1", "Voice.Example.com", "::1", "*.Example.org", "localhost"};
	static const char expected[] = "voice.example.com\0*.example.org\0localhost\0";
	static const char *const odd[] = {"a,DNS:b", "*", "*.", "*.*.a", "a.*", "*a.b", "caf\xc3\xa9", "a b", "a.", "127.1", "[::1]", "a:80", "*.1.2.3.4", "_ok"};
	static const char only[] = "_ok\0";

	has_names(hosts, 5, expected, sizeof expected);
	has_names(odd, sizeof odd / sizeof *odd, only, sizeof only);
	has_names(NULL, 0, "", 1); /* the common name does not count */
}

TEST(a_host_is_looked_up_among_the_names)
{
	static const char *const hosts[] = {"a.example", "*.b.example"};
	struct quic_cert c;

	assert_int_equal(quic_cert_make(hosts, 2, 5, NOW, &c), 0);
	assert_true(quic_cert_has_name(&c.info, "a.example"));
	assert_true(quic_cert_has_name(&c.info, "x.b.example"));
	assert_false(quic_cert_has_name(&c.info, "b.example"));
	assert_false(quic_cert_has_name(&c.info, "x.a.example"));
	assert_false(quic_cert_has_name(&c.info, ""));
	quic_cert_free(&c);
	assert_false(quic_cert_has_name(&c.info, "a.example"));
}

TEST(more_names_than_fit_are_left_out_and_that_is_known)
{
	enum { N = QUIC_CERT_NAMES / 16 + 1 };
	static char text[N][16];
	const char *hosts[N];
	struct quic_cert c;

	for (size_t i = 0; i < N; i++) {
		snprintf(text[i], sizeof text[i], "a%04zu.example00", i); /* 16 bytes with the NUL */
		hosts[i] = text[i];
	}
	assert_int_equal(quic_cert_make(hosts, N, 5, NOW, &c), 0);
	assert_true(c.info.names_left_out);
	assert_true(quic_cert_has_name(&c.info, hosts[N - 3]));
	assert_false(quic_cert_has_name(&c.info, hosts[N - 1]));
	quic_cert_free(&c);
	assert_int_equal(quic_cert_make(hosts, N - 2, 5, NOW, &c), 0);
	assert_false(c.info.names_left_out);
	quic_cert_free(&c);
}

TEST(days_must_be_positive)
{
	struct quic_cert c;

	assert_int_equal(quic_cert_make(names, 1, 0, NOW, &c), ERR_RANGE);
	assert_int_equal(quic_cert_make(names, 0, 5, NOW, &c), 0);
	quic_cert_free(&c);
}

TEST(a_certificate_valid_for_too_long_cannot_be_pinned)
{
	struct quic_cert c = make(15);

	assert_false(c.info.pinnable);
	assert_non_null(strstr(c.info.unfit, "15 days"));
	quic_cert_free(&c);
	c = make(14);
	assert_true(c.info.pinnable);
	quic_cert_free(&c);
}

/* --- certificates of other kinds, made here --------------------------------------------------- */

static char *pem_of(X509 *x, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *text;

	if (x)
		PEM_write_bio_X509(bio, x);
	else
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(bio, &p);

	text = strndup(p, (size_t)n);
	BIO_free(bio);
	return text;
}

static void judged(EVP_PKEY *key, long version, const EVP_MD *md, bool extension, const char *expected)
{
	X509 *x = X509_new();
	struct quic_cert c;
	char why[QUIC_CERT_ERROR];

	X509_set_version(x, version);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 5);
	ASN1_TIME_set(X509_getm_notBefore(x), NOW - 100);
	ASN1_TIME_set(X509_getm_notAfter(x), NOW + DAY);
	X509_set_pubkey(x, key);
	if (extension) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:FALSE");

		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(x, key, md) > 0);
	char *chain = pem_of(x, NULL), *secret = pem_of(NULL, key);

	assert_int_equal(quic_cert_parse(chain, secret, NOW, &c, why), 0);
	assert_int_equal(c.info.pinnable, expected == NULL);
	if (expected)
		assert_non_null(strstr(c.info.unfit, expected));
	quic_cert_free(&c);
	free(chain);
	free(secret);
	X509_free(x);
	EVP_PKEY_free(key);
}

static EVP_PKEY *explicit_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
	return key;
}

TEST(other_keys_are_served_but_cannot_be_pinned)
{
	judged(EVP_EC_gen("P-256"), X509_VERSION_3, EVP_sha256(), true, NULL);
	judged(EVP_EC_gen("P-384"), X509_VERSION_3, EVP_sha256(), true, NULL);
	judged(EVP_RSA_gen(2048), X509_VERSION_3, EVP_sha256(), true, "RSA");
	judged(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), X509_VERSION_3, NULL, true, "ECDSA");
	judged(EVP_EC_gen("secp256k1"), X509_VERSION_3, EVP_sha256(), true, "NIST");
	judged(explicit_key(), X509_VERSION_3, EVP_sha256(), true, "named");
	judged(EVP_EC_gen("P-256"), X509_VERSION_1, EVP_sha256(), false, "version 1");
	judged(EVP_EC_gen("P-256"), X509_VERSION_3, EVP_sha256(), false, "no extensions");
}

/* --- every way to be wrong -------------------------------------------------------------------- */

static void refused(const char *chain, const char *key, int64_t now, int err, const char *message)
{
	struct quic_cert c;
	char why[QUIC_CERT_ERROR] = "";

	assert_int_equal(quic_cert_parse(chain, key, now, &c, why), err);
	if (!strstr(why, message))
		fail_msg("\"%s\" does not say \"%s\"", why, message);
}

TEST(each_fault_has_its_own_message)
{
	struct quic_cert a = make(13), b = make(13);
	char *cut = strdup(a.chain_pem), *cut_key = strdup(a.key_pem);

	memset(strstr(cut, "-----BEGIN CERTIFICATE-----") + 40, '!', 20);
	memset(strstr(cut_key, "-----BEGIN PRIVATE KEY-----") + 40, '!', 20);
	refused("", a.key_pem, NOW, ERR_MALFORMED, "certificate: is not PEM");
	refused("hello", a.key_pem, NOW, ERR_MALFORMED, "certificate: is not PEM");
	refused(a.key_pem, a.key_pem, NOW, ERR_MALFORMED, "no certificate");
	refused(cut, a.key_pem, NOW, ERR_MALFORMED, "cannot be read");
	refused(a.chain_pem, "", NOW, ERR_MALFORMED, "private key: is not PEM");
	refused(a.chain_pem, a.chain_pem, NOW, ERR_MALFORMED, "no private key");
	refused(a.chain_pem, cut_key, NOW, ERR_MALFORMED, "private key cannot be read");
	refused(a.chain_pem, b.key_pem, NOW, ERR_TLS, "does not belong");
	refused(a.chain_pem, a.key_pem, NOW + 13 * DAY, ERR_TLS, "expired at 2027-01-28");
	refused(a.chain_pem, a.key_pem, NOW - 3601, ERR_TLS, "not valid before 2027-01-15");
	free(cut);
	free(cut_key);
	quic_cert_free(&a);
	quic_cert_free(&b);
}

TEST(a_chain_is_read_to_its_end)
{
	struct quic_cert a = make(13), b = make(13), c;
	char chain[8192], why[QUIC_CERT_ERROR];

	snprintf(chain, sizeof chain, "%s\nnotes\n%s%s\n\n", a.chain_pem, b.chain_pem, a.key_pem);
	assert_int_equal(quic_cert_parse(chain, a.key_pem, NOW, &c, why), 0);
	assert_memory_equal(c.info.sha256, a.info.sha256, 32);
	quic_cert_free(&c);
	snprintf(chain, sizeof chain, "%s%.300s", a.chain_pem, b.chain_pem); /* copied half */
	refused(chain, a.key_pem, NOW, ERR_MALFORMED, "a certificate after the first cannot be read");
	snprintf(chain, sizeof chain, "%s%s", a.chain_pem, b.chain_pem);
	memset(chain + strlen(a.chain_pem) + 40, '!', 20);
	refused(chain, a.key_pem, NOW, ERR_MALFORMED, "a certificate after the first cannot be read");
	quic_cert_free(&a);
	quic_cert_free(&b);
}

TEST(an_encrypted_key_has_its_own_message)
{
	struct quic_cert c = make(13);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;

	PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	BIO_write(bio, "", 1);
	BIO_get_mem_data(bio, &p);
	refused(c.chain_pem, p, NOW, ERR_MALFORMED, "encrypted");
	BIO_free(bio);
	EVP_PKEY_free(key);
	quic_cert_free(&c);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

TEST(files_are_named_in_messages)
{
	char dir[] = "/tmp/mynah-cert-XXXXXX", chain[64], key[64], why[QUIC_CERT_ERROR];
	struct quic_cert made = make(13), c;

	assert_non_null(mkdtemp(dir));
	snprintf(chain, sizeof chain, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	assert_int_equal(quic_cert_load(chain, key, NOW, &c, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "cert.pem: No such file"));
	write_file(chain, made.chain_pem);
	assert_int_equal(quic_cert_load(chain, key, NOW, &c, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "key.pem: No such file"));
	assert_int_equal(quic_cert_load(dir, key, NOW, &c, why), ERR_IO);
	assert_non_null(strstr(why, dir));
	write_file(key, "no key");
	assert_int_equal(quic_cert_load(chain, key, NOW, &c, why), ERR_MALFORMED);
	assert_non_null(strstr(why, "key.pem: is not PEM"));
	write_file(key, made.key_pem);
	assert_int_equal(quic_cert_load(chain, key, NOW, &c, why), 0);
	assert_memory_equal(c.info.sha256, made.info.sha256, 32);
	quic_cert_free(&c);
	if (geteuid() != 0) {
		chmod(key, 0);
		assert_int_equal(quic_cert_load(chain, key, NOW, &c, why), ERR_IO);
		assert_non_null(strstr(why, "Permission"));
	}
	unlink(chain);
	unlink(key);
	rmdir(dir);
	quic_cert_free(&made);
	quic_cert_free(&made); /* a zeroed one is fine */
}

TEST(contexts_are_reference_counted)
{
	struct quic_cert c = make(13);
	struct quic_tls *t, *u;
	struct quic_tls_client_opts o = {.insecure = true};

	assert_int_equal(quic_tls_server(&c, NULL, &t), 0);
	assert_ptr_equal(quic_tls_ref(t), t);
	quic_tls_unref(t);
	quic_tls_unref(t);
	assert_int_equal(quic_tls_client(&o, &u), 0);
	quic_tls_unref(u);
	quic_tls_unref(NULL);
	struct quic_cert broken = {c.chain_pem, (char *)"nonsense", c.info};

	assert_int_equal(quic_tls_server(&broken, NULL, &t), ERR_TLS);
	quic_cert_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_made_certificate_can_be_pinned_by_browsers),
		cmocka_unit_test(a_made_certificate_has_its_extensions),
		cmocka_unit_test(no_two_made_certificates_share_serial_or_key),
		cmocka_unit_test(a_name_cannot_smuggle_in_another),
		cmocka_unit_test(the_names_of_a_certificate_are_those_of_hosts),
		cmocka_unit_test(a_host_is_looked_up_among_the_names),
		cmocka_unit_test(more_names_than_fit_are_left_out_and_that_is_known),
		cmocka_unit_test(days_must_be_positive),
		cmocka_unit_test(a_certificate_valid_for_too_long_cannot_be_pinned),
		cmocka_unit_test(other_keys_are_served_but_cannot_be_pinned),
		cmocka_unit_test(each_fault_has_its_own_message),
		cmocka_unit_test(a_chain_is_read_to_its_end),
		cmocka_unit_test(an_encrypted_key_has_its_own_message),
		cmocka_unit_test(files_are_named_in_messages),
		cmocka_unit_test(contexts_are_reference_counted),
	};

	return cmocka_run_group_tests_name("cert", tests, NULL, NULL);
}
