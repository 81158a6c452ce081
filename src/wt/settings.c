/* SPDX-License-Identifier: MIT */
#include "wt/settings.h"
#include "base/cursor.h"
#include "base/err.h"

#include <assert.h>
#include <string.h>

enum { FRAME_SETTINGS = 0x04 };

static void take(struct settings *s, uint64_t id, uint64_t value)
{
	switch (id) {
	case SETTING_CONNECT_PROTOCOL:
		s->connect_protocol = value == 1;
		break;
	case SETTING_DATAGRAM:
	case SETTING_DATAGRAM_04:
		s->datagram |= value == 1;
		break;
	case SETTING_WT_02:
	case SETTING_WT_07:
	case SETTING_WT_13:
	case SETTING_WT_15:
		s->webtransport |= value != 0;
		break;
	case SETTING_WT_MAX_DATA:
		s->wt_max_data = value;
		break;
	case SETTING_WT_STREAMS_UNI:
		s->wt_streams_uni = value;
		break;
	case SETTING_WT_STREAMS_BIDI:
		s->wt_streams_bidi = value;
		break;
	default:
		break;
	}
}

/* Handles one complete varint. */
static int step(struct settings_reader *r)
{
	switch (r->state) {
	case SETTINGS_TYPE:
		if (r->in.v != FRAME_SETTINGS)
			return ERR_MALFORMED;
		r->state = SETTINGS_LENGTH;
		break;
	case SETTINGS_LENGTH:
		if (r->in.v > SETTINGS_FRAME_MAX)
			return ERR_LIMIT;
		r->left = r->in.v;
		r->state = SETTINGS_ID;
		r->done = r->left == 0;
		break;
	case SETTINGS_ID:
		if (!r->left)
			return ERR_MALFORMED; /* an identifier without a value */
		r->id = r->in.v;
		r->state = SETTINGS_VALUE;
		break;
	case SETTINGS_VALUE:
		take(&r->got, r->id, r->in.v);
		r->state = SETTINGS_ID;
		r->done = r->left == 0;
		break;
	}
	return 0;
}

int settings_read(struct settings_reader *r, const uint8_t *p, size_t len)
{
	for (; len && !r->done; len--) {
		bool inside = r->state >= SETTINGS_ID;
		bool complete = varint_in_byte(&r->in, *p++);

		if (inside)
			r->left--;
		if (inside && !complete && !r->left)
			return ERR_MALFORMED; /* the frame ends inside a varint */
		if (!complete)
			continue;
		int err = step(r);

		if (err)
			return err;
	}
	return 0;
}

static uint8_t *put(uint8_t *p, uint64_t id, uint64_t value)
{
	return varint_put(varint_put(p, id), value);
}

size_t settings_write(const struct settings_own *own, uint8_t out[SETTINGS_WRITE_MAX])
{
	uint8_t body[SETTINGS_WRITE_MAX], *p = body;

	p = put(p, SETTING_QPACK_TABLE, 0);
	p = put(p, SETTING_QPACK_BLOCKED, 0);
	p = put(p, SETTING_MAX_FIELD, own->max_field);
	if (own->server)
		p = put(p, SETTING_CONNECT_PROTOCOL, 1);
	p = put(p, SETTING_DATAGRAM, 1);
	p = put(p, SETTING_WT_02, 1);
	/* Exactly 1: above it Safari begins to want credit of WebTransport's flow control. */
	p = put(p, SETTING_WT_07, 1);
	if (own->draft15)
		p = put(p, SETTING_WT_15, 1);
	p = put(p, UINT64_C(0x1f) * own->grease + 0x21, own->grease);

	size_t len = (size_t)(p - body);
	uint8_t *q = out;

	*q++ = 0x00;
	q = varint_put(varint_put(q, FRAME_SETTINGS), len);
	assert((size_t)(q - out) + len <= SETTINGS_WRITE_MAX);
	memcpy(q, body, len);
	return (size_t)(q - out) + len;
}
