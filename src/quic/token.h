/* SPDX-License-Identifier: MIT */
/*
 * token - Retry tokens (RFC 9000 8.1.2) and stateless reset tokens (10.3): each kind is made with a secret of the endpoint,
 * so that the server stores nothing for them. Pure functions, except secret_init().
 */
#pragma once
#include "base/time.h"
#include "quic/addr.h"
#include "quic/endpoint.h"

#include <ngtcp2/ngtcp2.h>
#include <stdint.h>

enum { RETRY_TOKEN_LEN = 46, RETRY_LIFE_S = 10 };

struct secret {
	uint8_t b[QUIC_SECRET_LEN];
};

/* Copies `given`. NULL or all zero: random. */
void secret_init(struct secret *s, const uint8_t *given);

enum token_kind {
	TOKEN_NONE,  /* absent, or not made by us */
	TOKEN_VALID, /* *odcid is the id of the client's very first packet */
	TOKEN_BAD,   /* looks like our Retry token, but is forged, too old or from another address */
};

/* Returns RETRY_TOKEN_LEN, 0 on failure. */
size_t retry_token_make(const struct secret *s, uint32_t version, const struct quic_addr *remote,
	const ngtcp2_cid *retry_scid, const ngtcp2_cid *odcid, nsec now, uint8_t out[RETRY_TOKEN_LEN]);
/* For an Initial packet `hd` from `remote`. */
enum token_kind retry_token_check(const struct secret *s, const ngtcp2_pkt_hd *hd, const struct quic_addr *remote,
	nsec now, ngtcp2_cid *odcid);

int reset_token_make(const struct secret *s, const ngtcp2_cid *cid, uint8_t out[NGTCP2_STATELESS_RESET_TOKENLEN]);
