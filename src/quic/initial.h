/* SPDX-License-Identifier: MIT */
/*
 * initial - opens the first packet of a client before anything is made for it. Its keys follow from the id that the client
 * chose (RFC 9001 5.2), so this costs a tenth of a TLS object and a connection, and tells noise behind a good header from
 * the beginning of a handshake. Says nothing of who sent it: anybody can make such keys.
 *
 * One thread, no clock; allocates in initial_opener_new() only.
 */
#pragma once
#include <ngtcp2/ngtcp2.h>

struct initial_opener;

enum initial_kind {
	INITIAL_NOISE, /* not sealed with its keys, or holds what no client begins with: not worth an answer */
	INITIAL_HELLO, /* holds the first bytes of a ClientHello */
	INITIAL_PIECE, /* of a ClientHello: a later one, or more pieces than any client makes */
};

/* Frames of a ClientHello in one packet. Chromium shuffles about ten. */
enum { INITIAL_PIECES_MAX = 32 };

/* ERR_NOMEM. */
int initial_opener_new(struct initial_opener **out);
void initial_opener_free(struct initial_opener *o); /* accepts NULL */

/* The first packet in `p`, an Initial packet of a version that ngtcp2 knows. Borrows all. */
enum initial_kind initial_open(struct initial_opener *o, const uint8_t *p, size_t len);
