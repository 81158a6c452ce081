/* SPDX-License-Identifier: MIT */
/*
 * code - error codes of HTTP/3 (RFC 9114 8.1) and WebTransport, and the mapping of an
 * application's codes into the range that HTTP/3 leaves them (draft-ietf-webtrans-http3
 * 4.3; every 31st value is skipped, because those are reserved for greasing). Pure.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
	H3_DATAGRAM_ERROR = 0x33,
	H3_NO_ERROR = 0x100,
	H3_GENERAL_PROTOCOL_ERROR = 0x101,
	H3_INTERNAL_ERROR = 0x102,
	H3_CLOSED_CRITICAL_STREAM = 0x104,
	H3_EXCESSIVE_LOAD = 0x107,
	H3_ID_ERROR = 0x108,
	H3_SETTINGS_ERROR = 0x109,
	H3_MISSING_SETTINGS = 0x10a,
	H3_REQUEST_REJECTED = 0x10b,
	H3_REQUEST_CANCELLED = 0x10c,
	H3_MESSAGE_ERROR = 0x10e,
	WT_SESSION_GONE = 0x170d7b68,
	WT_BUFFERED_STREAM_REJECTED = 0x3994bd84,
};

#define WT_CODE_FIRST UINT64_C(0x52e4a40fa8db)

/* What a client that ends the whole connection with its application's close code (Deno) meant; 0: the code is HTTP/3's
 * or QPACK's own. */
static inline uint32_t wt_code_of_conn(uint64_t code)
{
	bool theirs = code == H3_DATAGRAM_ERROR || (code >= H3_NO_ERROR && code < 0x300) || code > UINT32_MAX;

	return theirs ? 0 : (uint32_t)code;
}

static inline uint64_t wt_code_to_h3(uint32_t n)
{
	return WT_CODE_FIRST + n + n / 0x1e;
}
