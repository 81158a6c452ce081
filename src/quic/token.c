/* SPDX-License-Identifier: MIT */
#include "token.h"

#include "base/random.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <string.h>

void secret_init(struct secret *s, const uint8_t *given)
{
	static const uint8_t zero[QUIC_SECRET_LEN];

	if (!given || memcmp(given, zero, QUIC_SECRET_LEN) == 0)
		random_bytes(s->b, QUIC_SECRET_LEN);
	else
		memcpy(s->b, given, QUIC_SECRET_LEN);
}

size_t retry_token_make(const struct secret *s, uint32_t version, const struct quic_addr *remote,
	const ngtcp2_cid *retry_scid, const ngtcp2_cid *odcid, nsec now, uint8_t out[RETRY_TOKEN_MAX])
{
	_Static_assert(NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2 <= RETRY_TOKEN_MAX, "room for a token");
	ngtcp2_ssize n = ngtcp2_crypto_generate_retry_token2(out, s->b, sizeof s->b, version, &remote->sa, remote->len,
		retry_scid, odcid, now);

	return n > 0 ? (size_t)n : 0;
}

enum token_kind retry_token_check(const struct secret *s, const ngtcp2_pkt_hd *hd, const struct quic_addr *remote,
	nsec now, ngtcp2_cid *odcid)
{
	/* Browsers keep tokens of other servers that ran at this address before: one that does not have
	 * our form counts as absent. */
	if (hd->tokenlen != NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2 || hd->token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2)
		return TOKEN_NONE;
	int rv = ngtcp2_crypto_verify_retry_token2(odcid, hd->token, hd->tokenlen, s->b, sizeof s->b, hd->version,
		&remote->sa, remote->len, &hd->dcid, RETRY_LIFE_S * NGTCP2_SECONDS, now);

	return rv == 0 ? TOKEN_VALID : TOKEN_BAD;
}

int reset_token_make(const struct secret *s, const ngtcp2_cid *cid, uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN])
{
	return ngtcp2_crypto_generate_stateless_reset_token(out, s->b, sizeof s->b, cid);
}
