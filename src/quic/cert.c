/* SPDX-License-Identifier: MIT */
#include "quic/tls.h"

#include "base/err.h"
#include "base/origin.h"
#include "base/random.h"
#include "ossl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	DAY_S = 86400,
	BACKDATE_S = 3600, /* clocks of browsers are wrong by minutes, seldom by an hour */
	PIN_DAYS_MAX = 14, /* serverCertificateHashes */
	FILE_MAX = 1 << 20,
	SERIAL_BYTES = 16,
};

/* --- looking at a leaf ------------------------------------------------------------------ */

static int64_t time_s(const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

/* A P-256, P-384 or P-521 key whose curve is given by name; explicit parameters are refused by browsers. */
static bool key_is_named_ec(EVP_PKEY *key)
{
	static const char *const curves[] = {"prime256v1", "P-256", "secp384r1", "P-384", "secp521r1", "P-521"};
	char group[32];
	int explicit_params = 0;
	size_t len;

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		EVP_PKEY_get_group_name(key, group, sizeof group, &len) != 1)
		return false;
	EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_params);
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
		if (strcmp(group, curves[i]) == 0)
			return !explicit_params;
	return false;
}

static void judge_pinning(const X509 *x, struct quic_cert_info *info)
{
	EVP_PKEY *key = X509_get0_pubkey(x);
	int64_t valid_s = info->not_after_s - info->not_before_s;

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		snprintf(info->unfit, sizeof info->unfit, "the key is %s, browsers pin ECDSA keys only",
			key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? "RSA" : "of another kind");
	else if (!key_is_named_ec(key))
		snprintf(info->unfit, sizeof info->unfit, "the key is on no named NIST curve");
	else if (valid_s > (int64_t)PIN_DAYS_MAX * DAY_S)
		snprintf(info->unfit, sizeof info->unfit, "it is valid for %lld days, browsers pin %d at most",
			(long long)((valid_s + DAY_S - 1) / DAY_S), PIN_DAYS_MAX);
	else if (X509_get_version(x) != X509_VERSION_3)
		snprintf(info->unfit, sizeof info->unfit, "it is X.509 version %ld, not 3", X509_get_version(x) + 1);
	else if (X509_get_ext_count(x) < 1)
		snprintf(info->unfit, sizeof info->unfit, "it has no extensions");
	info->pinnable = info->unfit[0] == '\0';
}

/* Appends one name at `at`, and returns where the next one goes. */
static size_t add_name(struct quic_cert_info *info, size_t at, const ASN1_STRING *name)
{
	const char *p = (const char *)ASN1_STRING_get0_data(name);
	size_t len = (size_t)ASN1_STRING_length(name), wild;
	char text[HOST_TEXT] = "";
	struct authority a;

	if (len >= sizeof text || memchr(p, 0, len))
		return at;
	memcpy(text, p, len);
	wild = strncmp(text, "*.", 2) ? 0 : 2;
	if (authority_parse(text + wild, &a) || a.is_address || a.port)
		return at;
	if (at + len + 2 > sizeof info->names) {
		info->names_left_out = true;
		return at;
	}
	memcpy(info->names + at, text, wild);
	memcpy(info->names + at + wild, a.host, len - wild + 1);
	return at + len + 1;
}

static void collect_names(const X509 *x, struct quic_cert_info *info)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t at = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) { /* -1 of NULL */
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		if (name->type == GEN_DNS)
			at = add_name(info, at, name->d.dNSName);
	}
	GENERAL_NAMES_free(all);
}

bool quic_cert_has_name(const struct quic_cert_info *info, const char *host)
{
	for (const char *name = info->names; *name; name += strlen(name) + 1)
		if (host_matches(host, name))
			return true;
	return false;
}

static bool inspect(X509 *x, struct quic_cert_info *info)
{
	unsigned len = 0;

	memset(info, 0, sizeof *info);
	if (X509_digest(x, EVP_sha256(), info->sha256, &len) != 1 || len != sizeof info->sha256)
		return false;
	info->not_before_s = time_s(X509_get0_notBefore(x));
	info->not_after_s = time_s(X509_get0_notAfter(x));
	info->self_signed = X509_self_signed(x, 1) == 1;
	X509_NAME_oneline(X509_get_subject_name(x), info->subject, (int)sizeof info->subject);
	judge_pinning(x, info);
	collect_names(x, info);
	ERR_clear_error();
	return true;
}

/* --- making one ------------------------------------------------------------------------- */

static bool add_ext(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(x, e, -1) == 1;

	X509_EXTENSION_free(e);
	return ok;
}

/* Built as objects, not as text: a name with a comma must not smuggle in a second one. */
static bool add_names(X509 *x, const char *const *names, size_t n)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	bool ok = all != NULL;

	for (size_t i = 0; ok && i < n; i++) {
		ASN1_OCTET_STRING *ip = a2i_IPADDRESS(names[i]);
		GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, ip ? GEN_IPADD : GEN_DNS, names[i], 0);

		ASN1_OCTET_STRING_free(ip);
		ok = name && sk_GENERAL_NAME_push(all, name) > 0;
		if (!ok)
			GENERAL_NAME_free(name);
	}
	ok = ok && (n == 0 || X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1);
	GENERAL_NAMES_free(all);
	return ok;
}

static bool set_serial(X509 *x)
{
	uint8_t b[SERIAL_BYTES];
	BIGNUM *n = NULL;

	random_bytes(b, sizeof b);
	b[0] = (uint8_t)((b[0] & 0x7f) | 0x40); /* positive and of full length (RFC 5280 4.1.2.2) */
	n = BN_bin2bn(b, sizeof b, NULL);
	bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));

	BN_free(n);
	return ok;
}

static bool fill_cert(X509 *x, EVP_PKEY *key, const char *const *names, size_t n, int days, int64_t now_s)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int64_t from = now_s - BACKDATE_S, until = from + (int64_t)days * DAY_S;
	const char *cn = n > 0 && strlen(names[0]) <= 64 ? names[0] : "mynah";

	return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
		ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from) && ASN1_TIME_set(X509_getm_notAfter(x), (time_t)until) &&
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) == 1 &&
		X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, key) == 1 &&
		add_ext(x, NID_basic_constraints, "critical,CA:FALSE") &&
		add_ext(x, NID_key_usage, "critical,digitalSignature") && add_ext(x, NID_ext_key_usage, "serverAuth") &&
		add_ext(x, NID_subject_key_identifier, "hash") && add_names(x, names, n) &&
		X509_sign(x, key, EVP_sha256()) > 0;
}

static char *take_text(BIO *bio)
{
	char *p;
	long len = BIO_get_mem_data(bio, &p);
	char *text = len > 0 ? strndup(p, (size_t)len) : NULL;

	if (len > 0)
		OPENSSL_cleanse(p, (size_t)len);
	return text;
}

static bool to_pem(X509 *x, EVP_PKEY *key, struct quic_cert *out)
{
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());

	if (a && b && PEM_write_bio_X509(a, x) == 1 && PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1) {
		out->chain_pem = take_text(a);
		out->key_pem = take_text(b);
	}
	BIO_free(a);
	BIO_free(b);
	return out->chain_pem && out->key_pem;
}

int quic_cert_make(const char *const *names, size_t n_names, int days, int64_t now_s, struct quic_cert *out)
{
	struct quic_cert c = {0};

	if (days < 1)
		return ERR_RANGE;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	bool ok = key && x && fill_cert(x, key, names, n_names, days, now_s) && to_pem(x, key, &c) && inspect(x, &c.info);

	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	if (!ok) {
		quic_cert_free(&c);
		return ERR_TLS;
	}
	*out = c;
	return 0;
}

/* --- checking one ----------------------------------------------------------------------- */

/* What the two texts are called in messages. */
struct source {
	const char *chain, *key;
};

static int complain(char why[QUIC_CERT_ERROR], int err, const char *what, const char *fault)
{
	snprintf(why, QUIC_CERT_ERROR, "%s: %s", what, fault);
	ERR_clear_error();
	return err;
}

/* Of the chain: OpenSSL would take one that is cut for the end, and clients would miss it. */
static bool rest_is_readable(BIO *bio)
{
	X509 *x;

	ERR_clear_error();
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		X509_free(x);
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static int read_leaf(const char *pem, const char *what, X509 **out, char why[QUIC_CERT_ERROR])
{
	if (!strstr(pem, "-----BEGIN "))
		return complain(why, ERR_MALFORMED, what, "is not PEM");
	if (!strstr(pem, "CERTIFICATE-----"))
		return complain(why, ERR_MALFORMED, what, "has no certificate in it");
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool whole = x && rest_is_readable(bio);

	BIO_free(bio);
	if (!x)
		return complain(why, ERR_MALFORMED, what, "the certificate cannot be read");
	if (!whole) {
		X509_free(x);
		return complain(why, ERR_MALFORMED, what, "a certificate after the first cannot be read");
	}
	*out = x;
	return 0;
}

/* No terminal is asked for a passphrase. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)arg = true;
	return -1;
}

static int read_key(const char *pem, const char *what, EVP_PKEY **out, char why[QUIC_CERT_ERROR])
{
	bool encrypted = false;

	if (!strstr(pem, "-----BEGIN "))
		return complain(why, ERR_MALFORMED, what, "is not PEM");
	if (!strstr(pem, "PRIVATE KEY-----"))
		return complain(why, ERR_MALFORMED, what, "has no private key in it");
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted) : NULL;

	BIO_free(bio);
	if (!key)
		return complain(why, ERR_MALFORMED, what,
			encrypted ? "the private key is encrypted" : "the private key cannot be read");
	*out = key;
	return 0;
}

static int check_dates(const struct quic_cert_info *info, int64_t now_s, const char *what, char why[QUIC_CERT_ERROR])
{
	char fault[64], day[32];
	struct tm tm;
	bool early = now_s < info->not_before_s;
	time_t t = (time_t)(early ? info->not_before_s : info->not_after_s);

	if (!early && now_s <= info->not_after_s)
		return 0;
	gmtime_r(&t, &tm);
	strftime(day, sizeof day, "%Y-%m-%d %H:%M:%SZ", &tm);
	snprintf(fault, sizeof fault, early ? "is not valid before %s" : "expired at %s", day);
	return complain(why, ERR_TLS, what, fault);
}

static int check_pair(X509 *x, EVP_PKEY *key, int64_t now_s, const struct source *src, struct quic_cert_info *info,
	char why[QUIC_CERT_ERROR])
{
	EVP_PKEY *pub = X509_get0_pubkey(x);

	if (!pub || EVP_PKEY_eq(pub, key) != 1)
		return complain(why, ERR_TLS, src->key, "does not belong to the certificate");
	if (!inspect(x, info))
		return complain(why, ERR_NOMEM, src->chain, "cannot be examined");
	return check_dates(info, now_s, src->chain, why);
}

static int parse(const char *chain_pem, const char *key_pem, const struct source *src, int64_t now_s,
	struct quic_cert *out, char why[QUIC_CERT_ERROR])
{
	struct quic_cert c = {0};
	X509 *x = NULL;
	EVP_PKEY *key = NULL;

	why[0] = '\0';
	int err = read_leaf(chain_pem, src->chain, &x, why);

	if (!err)
		err = read_key(key_pem, src->key, &key, why);
	if (!err)
		err = check_pair(x, key, now_s, src, &c.info, why);
	X509_free(x);
	EVP_PKEY_free(key);
	if (err)
		return err;
	c.chain_pem = strdup(chain_pem);
	c.key_pem = strdup(key_pem);
	if (!c.chain_pem || !c.key_pem) {
		quic_cert_free(&c);
		return complain(why, ERR_NOMEM, src->chain, "out of memory");
	}
	*out = c;
	return 0;
}

int quic_cert_parse(const char *chain_pem, const char *key_pem, int64_t now_s, struct quic_cert *out,
	char why[QUIC_CERT_ERROR])
{
	static const struct source src = {"certificate", "private key"};

	return parse(chain_pem, key_pem, &src, now_s, out, why);
}

static int read_open_file(FILE *f, char **out)
{
	char *text = malloc(FILE_MAX + 1);

	if (!text)
		return ERR_NOMEM;
	size_t n = fread(text, 1, FILE_MAX + 1, f);

	if (ferror(f) || n > FILE_MAX) {
		if (!ferror(f))
			errno = EFBIG;
		OPENSSL_cleanse(text, FILE_MAX + 1);
		free(text);
		return ERR_IO;
	}
	text[n] = '\0';
	*out = text;
	return 0;
}

static int read_file(const char *path, char **out, char why[QUIC_CERT_ERROR])
{
	FILE *f = fopen(path, "re");

	if (!f)
		return complain(why, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, path, strerror(errno));
	setvbuf(f, NULL, _IONBF, 0); /* no copy of a key in a buffer of stdio */
	int err = read_open_file(f, out);

	if (err)
		complain(why, err, path, err == ERR_IO ? strerror(errno) : err_str(err));
	fclose(f);
	return err;
}

static void free_secret(char *text)
{
	if (!text)
		return;
	OPENSSL_cleanse(text, strlen(text));
	free(text);
}

int quic_cert_load(const char *chain_path, const char *key_path, int64_t now_s, struct quic_cert *out,
	char why[QUIC_CERT_ERROR])
{
	const struct source src = {chain_path, key_path};
	char *chain = NULL, *key = NULL;

	why[0] = '\0';
	int err = read_file(chain_path, &chain, why);

	if (!err)
		err = read_file(key_path, &key, why);
	if (!err)
		err = parse(chain, key, &src, now_s, out, why);
	free(chain);
	free_secret(key);
	return err;
}

int quic_cert_derive(const struct quic_cert *c, const void *label, size_t len, uint8_t out[32])
{
	char why[QUIC_CERT_ERROR];
	unsigned char *der = NULL;
	EVP_PKEY *key;
	int err = read_key(c->key_pem, "", &key, why);

	if (err)
		return ERR_TLS;
	int n = i2d_PrivateKey(key, &der); /* whatever form the PEM has */
	bool made = n > 0 && HMAC(EVP_sha256(), der, n, label, len, out, NULL);

	EVP_PKEY_free(key);
	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	return made ? 0 : ERR_TLS;
}

void quic_cert_free(struct quic_cert *c)
{
	free(c->chain_pem);
	free_secret(c->key_pem);
	memset(c, 0, sizeof *c);
}
