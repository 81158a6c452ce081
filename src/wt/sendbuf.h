/* SPDX-License-Identifier: MIT */
/*
 * sendbuf - the bytes of a stream's send side: appended, offered to QUIC, sent, acknowledged. QUIC keeps pointers into
 * them until then, so they lie in chunks that never move:
 *
 *     first              next                     last
 *     [ acked | sent     | sent | to be sent      | to be sent | free ]
 *
 * The connection's thread. Allocates a chunk when the last one is full; keeps one of the smallest size for what follows.
 */
#pragma once
#include "quic/endpoint.h"

#include <stdbool.h>
#include <stddef.h>

struct sendbuf_chunk;

struct sendbuf { /* all zero: empty */
	struct sendbuf_chunk *first, *last, *next; /* `next` holds the next byte to be sent */
	size_t first_acked, next_sent;             /* bytes of those two */
};

/* Frees all of it, sent or not. */
void sendbuf_fini(struct sendbuf *b);
/* Copies. ERR_NOMEM: nothing was appended. */
int sendbuf_append(struct sendbuf *b, const void *p, size_t len);
/* Nothing is left to be sent. */
bool sendbuf_all_sent(const struct sendbuf *b);
/* The next bytes to be sent, as pieces of out->v; they stay there until acknowledged. True: that is all there is. */
bool sendbuf_offer(const struct sendbuf *b, struct quic_send *out);
/* The first `len` bytes of what was offered were sent. */
void sendbuf_sent(struct sendbuf *b, size_t len);
/* The next `len` bytes were acknowledged. Returns how many of them were here. */
size_t sendbuf_acked(struct sendbuf *b, size_t len);
