/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the token of an Initial packet, and a token of ours that was tampered with. None but the
 * untouched one of the same address, in time, is valid.
 */
#include "quic/token.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static enum token_kind check(const struct secret *s, ngtcp2_pkt_hd *hd, const uint8_t *p, size_t len, nsec now)
{
	struct quic_addr from;
	ngtcp2_cid odcid;
	uint8_t *exact = malloc(len ? len : 1);

	expect(exact && quic_addr_parse("192.0.2.7", 5000, &from) == 0);
	if (len)
		memcpy(exact, p, len);
	hd->token = exact;
	hd->tokenlen = len;
	enum token_kind kind = retry_token_check(s, hd, &from, now, &odcid);

	free(exact);
	return kind;
}

/* Two bytes each: where, and what is added there. True if that left it as it was. */
static bool tamper(uint8_t *token, size_t n, const uint8_t *data, size_t size)
{
	uint8_t before[RETRY_TOKEN_LEN];

	memcpy(before, token, n);
	for (; size >= 2; data += 2, size -= 2)
		token[data[0] % n] = (uint8_t)(token[data[0] % n] + data[1]);
	return memcmp(before, token, n) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t given[QUIC_SECRET_LEN] = {1};
	const nsec now = nsec_from_s(1000);
	struct secret s;
	struct quic_addr from;
	ngtcp2_cid odcid = {.datalen = 8};
	ngtcp2_pkt_hd hd = {.version = NGTCP2_PROTO_VER_V1, .dcid = {.datalen = 18}};
	uint8_t token[RETRY_TOKEN_LEN];

	if (size == 0)
		return 0;
	secret_init(&s, given);
	expect(check(&s, &hd, data + 1, size - 1, now) != TOKEN_VALID);
	expect(quic_addr_parse("192.0.2.7", 5000, &from) == 0);
	size_t n = retry_token_make(&s, hd.version, &from, &hd.dcid, &odcid, now, token);

	expect(n > 0);
	bool same = tamper(token, n, data + 1, size - 1), in_time = data[0] <= RETRY_LIFE_S;
	enum token_kind kind = check(&s, &hd, token, n, now + nsec_from_s(data[0]));

	if (data[0] != RETRY_LIFE_S)
		expect((kind == TOKEN_VALID) == (same && in_time));
	return 0;
}
