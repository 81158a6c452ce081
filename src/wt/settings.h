/* SPDX-License-Identifier: MIT */
/*
 * settings - the start of a control stream: type 0x00, then one SETTINGS frame (RFC 9114
 * 6.2.1, 7.2.4). nghttp3 neither sends nor reports settings that it does not know, so ours
 * are written here, and the peer's are read here, too. Pure functions.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wt/varint_in.h"

enum {
	SETTING_QPACK_TABLE = 0x01,
	SETTING_MAX_FIELD = 0x06,
	SETTING_QPACK_BLOCKED = 0x07,
	SETTING_CONNECT_PROTOCOL = 0x08,
	SETTING_DATAGRAM = 0x33,
	SETTING_WT_MAX_DATA = 0x2b61,
	SETTING_WT_STREAMS_UNI = 0x2b64,
	SETTING_WT_STREAMS_BIDI = 0x2b65,
	SETTING_DATAGRAM_04 = 0xffd277, /* the same in draft-ietf-masque-h3-datagram-04 */
	SETTING_WT_13 = 0x14e9cd29,     /* drafts 13 and 14: WT_MAX_SESSIONS */
	SETTING_WT_15 = 0x2c7cf000,     /* from draft 15: WT_ENABLED */
	SETTING_WT_02 = 0x2b603742,     /* drafts 02 to 06: ENABLE_WEBTRANSPORT */
};
#define SETTING_WT_07 UINT64_C(0xc671706a) /* drafts 07 to 12: WEBTRANSPORT_MAX_SESSIONS */

/* The settings that were found; zero if absent. */
struct settings {
	bool connect_protocol, datagram;
	bool webtransport; /* one of the drafts' switches is on */
	uint64_t wt_max_data, wt_streams_uni, wt_streams_bidi;
};

/* Only Safari announces credit of WebTransport's own flow control, and stalls without ours. */
static inline bool settings_want_credit(const struct settings *s)
{
	return s->wt_max_data || s->wt_streams_uni || s->wt_streams_bidi;
}

enum { SETTINGS_FRAME_MAX = 4096 }; /* much more than any known client sends */

struct settings_reader {
	struct settings got;
	bool done;
	/* private */
	struct varint_in in;
	uint64_t id, left;
	enum { SETTINGS_TYPE, SETTINGS_LENGTH, SETTINGS_ID, SETTINGS_VALUE } state;
};

/* Bytes of the control stream after its type, in any pieces; those after the frame are
 * ignored. ERR_MALFORMED: no SETTINGS frame, or cut inside; ERR_LIMIT: too long. */
int settings_read(struct settings_reader *r, const uint8_t *p, size_t len);

enum { SETTINGS_WRITE_MAX = 96 };
struct settings_own {
	bool server;       /* only servers offer extended CONNECT */
	bool draft15;
	uint32_t max_field;
	uint8_t grease;    /* picks the reserved identifier (RFC 9114 7.2.4.1) */
};
/* Stream type and frame; returns the bytes written. */
size_t settings_write(const struct settings_own *own, uint8_t out[SETTINGS_WRITE_MAX]);
