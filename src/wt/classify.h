/* SPDX-License-Identifier: MIT */
/*
 * classify - whether a stream of the peer belongs to WebTransport or to nghttp3, by its first
 * varint: 0x41 on a bidirectional and 0x54 on a unidirectional stream is WebTransport, and a
 * session id follows; any other stream is passed to nghttp3 from its first byte on. Varints
 * may have any of their lengths and come in any pieces. Pure functions; all zero is the start.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wt/varint_in.h"

enum {
	STREAM_CONTROL = 0x00,
	STREAM_PUSH = 0x01,
	STREAM_QPACK_ENCODER = 0x02,
	STREAM_QPACK_DECODER = 0x03,
	STREAM_WT_BIDI = 0x41,
	STREAM_WT_UNI = 0x54,
};

enum classify {
	CLASSIFY_MORE, /* not known yet */
	CLASSIFY_H3,   /* nghttp3: replay head[0..n_head), then the rest of the input */
	CLASSIFY_WT,   /* WebTransport; `session` is known, the rest is data of the application */
};

struct classifier {
	uint64_t type;    /* the first varint, once complete */
	uint64_t session;
	uint8_t head[8];  /* the first varint as it came */
	uint8_t n_head, n; /* bytes of the first varint; read altogether */
	/* private */
	struct varint_in in;
	bool typed;
};

/* Moves `*p`, `*len` over what it used. */
enum classify classify_read(struct classifier *c, bool bidi, const uint8_t **p, size_t *len);

/* Writes the prefix of a stream of ours; at most 10 bytes. */
enum { CLASSIFY_PREFIX_MAX = 2 + 8 };
size_t classify_prefix(uint8_t out[CLASSIFY_PREFIX_MAX], bool bidi, uint64_t session);
