/* SPDX-License-Identifier: MIT */
/*
 * tls_ctx - the inside of a `quic_tls`, for connections that begin a handshake.
 */
#pragma once
#include "ossl.h"
#include "quic/tls.h"

#include <stdatomic.h>

struct quic_tls {
	atomic_uint refs; /* connections of all threads hold it */
	SSL_CTX *ctx;
	bool server;
	bool system_trust; /* verify the name against the system's store */
	bool pinned;
	uint8_t sha256[32];
};

/* An SSL object ready for ngtcp2_crypto_ossl_configure_*_session. `server_name` is for
 * clients and may be NULL. NULL if memory is short. */
SSL *quic_tls_ssl(struct quic_tls *t, const char *server_name);
/* The number of the key exchange that was negotiated; QUIC_TLS_GROUPS: none of ours. */
unsigned quic_tls_group(SSL *ssl);
/* "h3" was negotiated; RFC 9001 8.1 forbids to continue without. */
bool quic_tls_alpn_ok(const SSL *ssl);
