/* SPDX-License-Identifier: MIT */
#include "initial.h"

#include "base/cursor.h"
#include "base/err.h"
#include "ossl.h"
#include "quic/endpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HASH = 32, BLOCK = 64, KEY = 16, IV = 12, TAG = 16, SAMPLE = 16, NUMBER_MAX = 4 };

struct initial_opener {
	EVP_MD_CTX *hash; /* SHA-256 */
	EVP_CIPHER_CTX *aead, *mask;
};

/* What the versions differ in (RFC 9001 5.2, RFC 9369 3.3). */
static const struct version {
	uint32_t number;
	uint8_t salt[20];
	const char *key, *iv, *hp;
} versions[] = {
	{NGTCP2_PROTO_VER_V1, {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		"quic key", "quic iv", "quic hp"},
	{NGTCP2_PROTO_VER_V2, {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
		"quicv2 key", "quicv2 iv", "quicv2 hp"},
};

struct keys {
	uint8_t key[KEY], iv[IV], hp[KEY];
};

int initial_opener_new(struct initial_opener **out)
{
	struct initial_opener *o = calloc(1, sizeof *o);
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL), *ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	bool ok = o && sha256 && gcm && ecb && (o->hash = EVP_MD_CTX_new()) && (o->aead = EVP_CIPHER_CTX_new()) &&
		(o->mask = EVP_CIPHER_CTX_new()) && EVP_DigestInit_ex2(o->hash, sha256, NULL) == 1 &&
		EVP_DecryptInit_ex2(o->aead, gcm, NULL, NULL, NULL) == 1 && EVP_EncryptInit_ex2(o->mask, ecb, NULL, NULL, NULL) == 1;

	EVP_MD_free(sha256);
	EVP_CIPHER_free(gcm);
	EVP_CIPHER_free(ecb);
	if (!ok) {
		ERR_clear_error();
		initial_opener_free(o);
		return ERR_NOMEM;
	}
	*out = o;
	return 0;
}

void initial_opener_free(struct initial_opener *o)
{
	if (!o)
		return;
	EVP_MD_CTX_free(o->hash);
	EVP_CIPHER_CTX_free(o->aead);
	EVP_CIPHER_CTX_free(o->mask);
	free(o);
}

/* --- keys --------------------------------------------------------------------------------- */

static bool hash2(EVP_MD_CTX *h, const uint8_t pad[BLOCK], const uint8_t *p, size_t len, uint8_t out[HASH])
{
	return EVP_DigestInit_ex2(h, NULL, NULL) == 1 && EVP_DigestUpdate(h, pad, BLOCK) == 1 && EVP_DigestUpdate(h, p, len) == 1 &&
		EVP_DigestFinal_ex(h, out, NULL) == 1;
}

/* RFC 2104, with keys of less than a block. OpenSSL's own allocates for each. */
static bool hmac(EVP_MD_CTX *h, const uint8_t *key, size_t key_len, const uint8_t *p, size_t len, uint8_t out[HASH])
{
	enum { INNER = 0x36, OUTER = 0x5c };
	uint8_t pad[BLOCK] = {0};

	memcpy(pad, key, key_len);
	for (int i = 0; i < BLOCK; i++)
		pad[i] ^= INNER;
	if (!hash2(h, pad, p, len, out))
		return false;
	for (int i = 0; i < BLOCK; i++)
		pad[i] ^= INNER ^ OUTER;
	return hash2(h, pad, out, HASH, out);
}

/* HKDF-Expand-Label of RFC 8446 7.1 without a context, for at most HASH bytes. */
static bool expand(EVP_MD_CTX *h, const uint8_t secret[HASH], const char *label, uint8_t *out, size_t len)
{
	uint8_t info[32] = {0, (uint8_t)len}, block[HASH];
	size_t n = strlen(label);

	info[2] = (uint8_t)(6 + n);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	info[9 + n] = 0;
	info[10 + n] = 1;
	if (!hmac(h, secret, HASH, info, 11 + n, block))
		return false;
	memcpy(out, block, len);
	return true;
}

/* Of what the client sends. */
static bool derive(EVP_MD_CTX *h, const struct version *v, const ngtcp2_cid *dcid, struct keys *k)
{
	uint8_t initial[HASH], client[HASH];

	return hmac(h, v->salt, sizeof v->salt, dcid->data, dcid->datalen, initial) && expand(h, initial, "client in", client, HASH) &&
		expand(h, client, v->key, k->key, KEY) && expand(h, client, v->iv, k->iv, IV) && expand(h, client, v->hp, k->hp, KEY);
}

/* --- the packet --------------------------------------------------------------------------- */

/* One packet: the header up to the number, the number, the payload with its tag. */
struct sealed {
	const uint8_t *p, *end;
	size_t number_at, number_len;
	uint8_t first, number[NUMBER_MAX]; /* without their protection */
};

/* RFC 9001 5.4.2 */
static bool unmask(EVP_CIPHER_CTX *c, const struct keys *k, struct sealed *s)
{
	const uint8_t *number = s->p + s->number_at;
	uint8_t mask[SAMPLE];
	int n;

	if (EVP_EncryptInit_ex2(c, NULL, k->hp, NULL, NULL) != 1 || EVP_EncryptUpdate(c, mask, &n, number + NUMBER_MAX, SAMPLE) != 1)
		return false;
	s->first = s->p[0] ^ (mask[0] & 0x0f);
	s->number_len = (s->first & 3) + 1u;
	for (size_t i = 0; i < s->number_len; i++)
		s->number[i] = number[i] ^ mask[1 + i];
	return true;
}

/* RFC 9001 5.3. Returns how many bytes are in `plain`, -1 if the packet was not sealed with these keys. */
static int unseal(EVP_CIPHER_CTX *c, const struct keys *k, const struct sealed *s, uint8_t plain[QUIC_PACKET_MAX])
{
	const uint8_t *payload = s->p + s->number_at + s->number_len, *tag = s->end - TAG;
	uint8_t nonce[IV];
	int n, more;

	memcpy(nonce, k->iv, IV);
	for (size_t i = 0; i < s->number_len; i++)
		nonce[IV - s->number_len + i] ^= s->number[i];
	if (EVP_DecryptInit_ex2(c, NULL, k->key, nonce, NULL) != 1 || EVP_DecryptUpdate(c, NULL, &n, &s->first, 1) != 1 ||
		EVP_DecryptUpdate(c, NULL, &n, s->p + 1, (int)s->number_at - 1) != 1 ||
		EVP_DecryptUpdate(c, NULL, &n, s->number, (int)s->number_len) != 1 ||
		EVP_DecryptUpdate(c, plain, &n, payload, (int)(tag - payload)) != 1 ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)tag) != 1 || EVP_DecryptFinal_ex(c, plain + n, &more) != 1)
		return -1;
	return n;
}

/* --- frames ------------------------------------------------------------------------------- */

/* Most of a first packet is padding, and most of that at its end. */
static void skip_padding(struct cursor *c)
{
	if (c->p < c->end && *c->p == 0 && memcmp(c->p, c->p + 1, (size_t)(c->end - c->p) - 1) == 0)
		c->p = c->end;
	while (c->p < c->end && *c->p == 0)
		c->p++;
}

/* Of the frames that RFC 9000 17.2.2 allows, a client has no reason to acknowledge or to close at its beginning. */
static enum initial_kind look(const uint8_t *plain, size_t len)
{
	enum { PADDING, PING, CRYPTO = 6, CLIENT_HELLO = 1 };
	struct cursor c = cursor_of(plain, len);
	unsigned pieces = 0;
	bool begins = false;

	for (skip_padding(&c); cursor_left(&c) > 0; skip_padding(&c)) {
		uint64_t type = cursor_be(&c, 1);

		if (type == PING)
			continue;
		if (type != CRYPTO)
			return INITIAL_NOISE;
		uint64_t at = cursor_varint(&c), n = cursor_varint(&c);
		const uint8_t *p = cursor_bytes(&c, n);

		if (!p || (at == 0 && n > 0 && p[0] != CLIENT_HELLO))
			return INITIAL_NOISE;
		begins |= at == 0 && n > 0;
		if (++pieces > INITIAL_PIECES_MAX)
			return INITIAL_PIECE;
	}
	if (pieces == 0)
		return INITIAL_NOISE;
	return begins ? INITIAL_HELLO : INITIAL_PIECE;
}

static const struct version *version_of(uint32_t number)
{
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
		if (versions[i].number == number)
			return &versions[i];
	return NULL;
}

enum initial_kind initial_open(struct initial_opener *o, const uint8_t *p, size_t len)
{
	uint8_t plain[QUIC_PACKET_MAX];
	struct keys k;
	ngtcp2_pkt_hd hd;
	ngtcp2_ssize header = ngtcp2_pkt_decode_hd_long(&hd, p, len);
	const struct version *v = header > 0 && hd.type == NGTCP2_PKT_INITIAL ? version_of(hd.version) : NULL;

	if (!v || hd.len > len - (size_t)header || hd.len > QUIC_PACKET_MAX || hd.len < NUMBER_MAX + SAMPLE)
		return INITIAL_NOISE;
	struct sealed s = {.p = p, .end = p + (size_t)header + hd.len, .number_at = (size_t)header};

	if (!derive(o->hash, v, &hd.dcid, &k) || !unmask(o->mask, &k, &s))
		return INITIAL_NOISE;
	int n = unseal(o->aead, &k, &s, plain);

	return n < 0 ? INITIAL_NOISE : look(plain, (size_t)n);
}
