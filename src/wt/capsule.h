/* SPDX-License-Identifier: MIT */
/*
 * capsule - the capsules of a CONNECT stream (RFC 9297 section 3.2): a reader, which is fed
 * bytes in any pieces and stores none of them, and writers. Edges of DATA frames do not
 * matter. Pure functions; all zero is a reader at the start of a capsule.
 *
 *	while ((ev = capsule_read(&r, &p, &len)) != CAPSULE_NONE) ...
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wt/varint_in.h"

enum {
	CAPSULE_DATAGRAM = 0x00,
	CAPSULE_CLOSE = 0x2843,
	CAPSULE_DRAIN = 0x78ae,
	CAPSULE_MAX_DATA = 0x190b4d3d,
	CAPSULE_MAX_STREAMS_BIDI = 0x190b4d3f,
	CAPSULE_MAX_STREAMS_UNI = 0x190b4d40,
	CAPSULE_DATA_BLOCKED = 0x190b4d41,
	CAPSULE_STREAMS_BLOCKED_BIDI = 0x190b4d43,
	CAPSULE_STREAMS_BLOCKED_UNI = 0x190b4d44,
};

enum capsule_event {
	CAPSULE_NONE,  /* all input was read */
	CAPSULE_BEGIN, /* `type` and `len` are known */
	CAPSULE_DATA,  /* `p`, `n`: the next bytes of the value, inside the input */
	CAPSULE_END,   /* the value is complete */
};

struct capsule_reader {
	uint64_t type, len; /* of the current capsule, from BEGIN until END */
	const uint8_t *p;
	size_t n;
	/* private */
	struct varint_in in;
	uint64_t left;
	enum { CAPSULE_IN_TYPE, CAPSULE_IN_LENGTH, CAPSULE_IN_VALUE } state;
	bool begun; /* a byte of the type was read */
};

/* The next event; moves `*p`, `*len` over what it used. */
enum capsule_event capsule_read(struct capsule_reader *r, const uint8_t **p, size_t *len);
/* True between two capsules: the stream may end here. */
bool capsule_at_edge(const struct capsule_reader *r);

enum {
	CAPSULE_REASON_MAX = 1024,
	CAPSULE_CLOSE_MAX = 2 + 2 + 4 + CAPSULE_REASON_MAX, /* type, length, code, reason */
	CAPSULE_SMALL_MAX = 4 + 1 + 8,
};
/* Each returns the bytes written. */
size_t capsule_put_close(uint8_t out[CAPSULE_CLOSE_MAX], uint32_t code, const char *reason, size_t len);
size_t capsule_put_drain(uint8_t out[CAPSULE_SMALL_MAX]);
size_t capsule_put_varint(uint8_t out[CAPSULE_SMALL_MAX], uint64_t type, uint64_t value);

/* The longest prefix of `reason` that fits a CLOSE capsule, without a cut character. */
size_t capsule_reason_len(const char *reason);
