/* SPDX-License-Identifier: MIT */
#include "token.h"

#include "base/random.h"
#include "ossl.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <stdbool.h>
#include <string.h>

void secret_init(struct secret *s, const uint8_t *given)
{
	static const uint8_t zero[QUIC_SECRET_LEN];

	if (!given || memcmp(given, zero, QUIC_SECRET_LEN) == 0)
		random_bytes(s->b, QUIC_SECRET_LEN);
	else
		memcpy(s->b, given, QUIC_SECRET_LEN);
}

/*
 * A Retry token, of one length so that those of others are told apart:
 *
 *	kind 1 | time 8 | length of the client's first id 1 | that id 20 | tag 16
 *
 * None of it is secret from the client who gets it. ngtcp2's own has 31 bytes more, for which a Retry to a client with a
 * long id is more than a tenth of what it answers.
 */
enum { KIND = 0x72, TAG = 16, TAG_AT = 1 + 8 + 1 + NGTCP2_MAX_CIDLEN };

/* Of the token's fields and what it is bound to: the client's address, the id that it was given, the version. */
static bool retry_tag(const struct secret *s, const uint8_t token[TAG_AT], uint32_t version, const struct quic_addr *remote,
	const ngtcp2_cid *scid, uint8_t tag[TAG])
{
	uint8_t text[TAG_AT + 4 + 1 + 16 + 2 + 1 + NGTCP2_MAX_CIDLEN] = {0}, *p = text, hash[EVP_MAX_MD_SIZE];
	uint16_t port = quic_addr_port(remote);

	memcpy(p, token, TAG_AT);
	p += TAG_AT;
	memcpy(p, &version, sizeof version);
	p += sizeof version;
	*p++ = (uint8_t)remote->sa.sa_family;
	if (remote->sa.sa_family == AF_INET)
		memcpy(p, &remote->in4.sin_addr, sizeof remote->in4.sin_addr);
	else
		memcpy(p, &remote->in6.sin6_addr, sizeof remote->in6.sin6_addr);
	p += 16;
	memcpy(p, &port, sizeof port);
	p += sizeof port;
	*p++ = (uint8_t)scid->datalen;
	memcpy(p, scid->data, scid->datalen);
	if (!HMAC(EVP_sha256(), s->b, sizeof s->b, text, sizeof text, hash, NULL))
		return false;
	memcpy(tag, hash, TAG);
	return true;
}

size_t retry_token_make(const struct secret *s, uint32_t version, const struct quic_addr *remote,
	const ngtcp2_cid *retry_scid, const ngtcp2_cid *odcid, nsec now, uint8_t out[RETRY_TOKEN_LEN])
{
	_Static_assert(TAG_AT + TAG == RETRY_TOKEN_LEN, "what a token holds");
	memset(out, 0, TAG_AT);
	out[0] = KIND;
	memcpy(out + 1, &now, sizeof now);
	out[9] = (uint8_t)odcid->datalen;
	memcpy(out + 10, odcid->data, odcid->datalen);
	return retry_tag(s, out, version, remote, retry_scid, out + TAG_AT) ? RETRY_TOKEN_LEN : 0;
}

enum token_kind retry_token_check(const struct secret *s, const ngtcp2_pkt_hd *hd, const struct quic_addr *remote,
	nsec now, ngtcp2_cid *odcid)
{
	uint8_t tag[TAG];
	nsec made;

	/* Browsers keep tokens of other servers that ran at this address before: one that does not have
	 * our form counts as absent. */
	if (hd->tokenlen != RETRY_TOKEN_LEN || hd->token[0] != KIND)
		return TOKEN_NONE;
	if (!retry_tag(s, hd->token, hd->version, remote, &hd->dcid, tag) || CRYPTO_memcmp(tag, hd->token + TAG_AT, TAG) != 0)
		return TOKEN_BAD;
	memcpy(&made, hd->token + 1, sizeof made);
	if (nsec_since(made, now) >= nsec_from_s(RETRY_LIFE_S))
		return TOKEN_BAD;
	ngtcp2_cid_init(odcid, hd->token + 10, hd->token[9]);
	return TOKEN_VALID;
}

int reset_token_make(const struct secret *s, const ngtcp2_cid *cid, uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN])
{
	return ngtcp2_crypto_generate_stateless_reset_token(out, s->b, sizeof s->b, cid);
}
