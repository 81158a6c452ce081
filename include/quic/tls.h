/* SPDX-License-Identifier: MIT */
/*
 * tls - certificates, and the TLS side of QUIC connections (OpenSSL >= 3.5). A `quic_tls`
 * is immutable and reference-counted: connections keep the one that they began with, so a new certificate takes effect
 * for new connections only. quic_tls_ref() and quic_tls_unref() may be called in any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- certificates --------------------------------------------------------------------- */

enum { QUIC_CERT_NAMES = 4096 };

/* Properties of a leaf certificate. */
struct quic_cert_info {
	uint8_t sha256[32];   /* of the leaf's DER, as in serverCertificateHashes */
	int64_t not_before_s; /* seconds since 1970 */
	int64_t not_after_s;
	bool self_signed;
	/* Fit for serverCertificateHashes: ECDSA on a named NIST curve, valid 14 days at
	 * most, X.509 v3. If not, `unfit` says why; otherwise it is empty. */
	bool pinnable;
	char unfit[96];
	char subject[128];
	/* Its DNS names (SAN; like browsers we know no other), in lower case, each with its NUL, behind the last an empty
	 * one. What names no host, apart from a leading "*.", is left out. */
	char names[QUIC_CERT_NAMES];
	bool names_left_out; /* there were more than fit */
};

/* A certificate chain and its key, in PEM. Owned; freed with quic_cert_free(). */
struct quic_cert {
	char *chain_pem, *key_pem;
	struct quic_cert_info info;
};

enum { QUIC_CERT_ERROR = 256 };

/* Makes an ECDSA P-256 certificate with an extensions block and a SAN for each of `names`
 * (DNS names and numeric addresses), valid from one hour before `now_s` for `days` days. */
int quic_cert_make(const char *const *names, size_t n_names, int days, int64_t now_s, struct quic_cert *out);

/* Reads and checks both files: there, readable, PEM, key belongs to the leaf, valid at
 * `now_s`. On error `why` names the file and the fault in one line:
 * ERR_NOTFOUND, ERR_IO, ERR_MALFORMED, ERR_TLS (mismatch, expired, not yet valid). */
int quic_cert_load(const char *chain_path, const char *key_path, int64_t now_s, struct quic_cert *out,
	char why[QUIC_CERT_ERROR]);
/* The same for PEM text in memory. */
int quic_cert_parse(const char *chain_pem, const char *key_pem, int64_t now_s, struct quic_cert *out,
	char why[QUIC_CERT_ERROR]);
/* Is `host`, as in struct authority (base/origin.h), among the names? See host_matches(). */
bool quic_cert_has_name(const struct quic_cert_info *info, const char *host);
/* A secret that can be made again from the certificate's private key and the same `label`, and tells nothing of the key.
 * ERR_TLS. */
int quic_cert_derive(const struct quic_cert *c, const void *label, size_t len, uint8_t out[32]);
void quic_cert_free(struct quic_cert *c); /* accepts a zeroed one; clears the key */

/* --- contexts ------------------------------------------------------------------------- */

struct quic_tls;

/* Key exchanges ("groups" in TLS) that a server may be told to use. */
enum { QUIC_TLS_GROUPS = 5 };
/* "X25519MLKEM768", "X25519", ...; NULL from QUIC_TLS_GROUPS on. */
const char *quic_tls_group_name(unsigned i);

/* A server's context: TLS 1.3, ALPN "h3", AES-128-GCM first, no 0-RTT, no tickets. Copies. `groups`: names joined by ':', the preferred first; NULL:
 * "X25519MLKEM768:X25519:P-256". The first that the client sent a key for is taken; only if there is none, the client is asked for
 * another key, which costs it a round trip. ERR_TLS: the certificate, the key or a name. */
int quic_tls_server(const struct quic_cert *cert, const char *groups, struct quic_tls **out);

struct quic_tls_client_opts {
	bool insecure;         /* accept any certificate */
	const uint8_t *sha256; /* 32 bytes: accept exactly this leaf; NULL: the system's trust store */
	bool post_quantum;     /* offer X25519MLKEM768 first, with a key for X25519 as well, as browsers do: a ClientHello of two packets */
};
int quic_tls_client(const struct quic_tls_client_opts *opts, struct quic_tls **out);

struct quic_tls *quic_tls_ref(struct quic_tls *t);
void quic_tls_unref(struct quic_tls *t); /* accepts NULL */
