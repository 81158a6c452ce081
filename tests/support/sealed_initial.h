/* SPDX-License-Identifier: MIT */
/*
 * sealed_initial - first packets as any client on the network can make them, with whatever frames, in a datagram of 1200
 * bytes. The keys come from libraries alone. For programs that link quic.
 */
#pragma once
#include "quic/ossl.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SEALED_INITIAL = 1200 };

static inline void sealed_must(bool ok)
{
	if (!ok)
		abort();
}

static inline void sealed_expand(const uint8_t secret[32], const char *label, uint8_t *out, size_t len)
{
	uint8_t info[40] = {0, (uint8_t)len, (uint8_t)(6 + strlen(label))};
	size_t n = strlen(label);
	ngtcp2_crypto_md md;

	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	sealed_must(ngtcp2_crypto_hkdf_expand(out, len, ngtcp2_crypto_md_init(&md, (void *)EVP_sha256()), secret, 32, info, 10 + n) == 0);
}

/* A packet of version 1 to `dcid` from an id of 8 zeros, with number 0 and these frames, which padding follows. */
static inline void sealed_initial(const uint8_t *dcid, uint8_t dcid_len, const uint8_t *frames, size_t n, uint8_t out[SEALED_INITIAL])
{
	static const uint8_t salt[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
		0xcc, 0xbb, 0x7f, 0x0a};
	enum { TAG = 16, NUMBER = 2 };
	uint8_t initial[32], client[32], key[16], iv[12], hp[16], plain[SEALED_INITIAL] = {0}, mask[16];
	uint8_t head[64] = {0xc0 | (NUMBER - 1), 0, 0, 0, 1, dcid_len};
	size_t at = 6;
	ngtcp2_crypto_md md;
	int len, more;

	memcpy(head + at, dcid, dcid_len);
	at += dcid_len;
	head[at] = 8;
	at += 1 + 8 + 1; /* its id; no token */
	size_t rest = SEALED_INITIAL - at - 2, plain_len = rest - NUMBER - TAG;

	head[at] = (uint8_t)(0x40 | rest >> 8);
	head[at + 1] = (uint8_t)rest;
	at += 2;
	sealed_must(n <= plain_len);
	memcpy(plain, frames, n);
	sealed_must(ngtcp2_crypto_hkdf_extract(initial, ngtcp2_crypto_md_init(&md, (void *)EVP_sha256()), dcid, dcid_len, salt, sizeof salt) == 0);
	sealed_expand(initial, "client in", client, sizeof client);
	sealed_expand(client, "quic key", key, sizeof key);
	sealed_expand(client, "quic iv", iv, sizeof iv);
	sealed_expand(client, "quic hp", hp, sizeof hp);

	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *sealed = out + at + NUMBER;
	bool ok = c && EVP_EncryptInit_ex2(c, EVP_aes_128_gcm(), key, iv, NULL) && EVP_EncryptUpdate(c, NULL, &len, head, (int)at + NUMBER) &&
		EVP_EncryptUpdate(c, sealed, &len, plain, (int)plain_len) && EVP_EncryptFinal_ex(c, sealed + len, &more) &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + plain_len) && EVP_EncryptInit_ex2(c, EVP_aes_128_ecb(), hp, NULL, NULL) &&
		EVP_EncryptUpdate(c, mask, &len, out + at + 4, sizeof mask);

	sealed_must(ok);
	EVP_CIPHER_CTX_free(c);
	head[0] ^= mask[0] & 0x0f;
	head[at] ^= mask[1];
	head[at + 1] ^= mask[2];
	memcpy(out, head, at + NUMBER);
}

/* `n` pieces of one byte of a ClientHello, every other byte of it from the first one on; returns their length. */
static inline size_t crumbs(uint8_t *frames, unsigned n)
{
	enum { CRYPTO = 6, CLIENT_HELLO = 1 };
	uint8_t *p = frames;

	for (unsigned i = 0; i < n; i++) {
		*p++ = CRYPTO;
		*p++ = (uint8_t)(0x40 | 2 * i >> 8);
		*p++ = (uint8_t)(2 * i);
		*p++ = 1;
		*p++ = i == 0 ? CLIENT_HELLO : 0;
	}
	return (size_t)(p - frames);
}
