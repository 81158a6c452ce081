/* SPDX-License-Identifier: MIT */
#include "wt/capsule.h"
#include "base/cursor.h"

#include <string.h>

/* Reads one varint; false if the input ended before it was complete. */
static bool read_varint(struct capsule_reader *r, const uint8_t **p, size_t *len, uint64_t *v)
{
	while (*len) {
		(*len)--;
		r->begun = true;
		if (varint_in_byte(&r->in, *(*p)++)) {
			*v = r->in.v;
			return true;
		}
	}
	return false;
}

static enum capsule_event read_value(struct capsule_reader *r, const uint8_t **p, size_t *len)
{
	if (!r->left) {
		r->state = CAPSULE_IN_TYPE;
		r->begun = false;
		return CAPSULE_END;
	}
	if (!*len)
		return CAPSULE_NONE;
	r->p = *p;
	r->n = *len < r->left ? *len : (size_t)r->left;
	r->left -= r->n;
	*p += r->n;
	*len -= r->n;
	return CAPSULE_DATA;
}

enum capsule_event capsule_read(struct capsule_reader *r, const uint8_t **p, size_t *len)
{
	switch (r->state) {
	case CAPSULE_IN_TYPE:
		if (!read_varint(r, p, len, &r->type))
			return CAPSULE_NONE;
		r->state = CAPSULE_IN_LENGTH;
		__attribute__((fallthrough));
	case CAPSULE_IN_LENGTH:
		if (!read_varint(r, p, len, &r->len))
			return CAPSULE_NONE;
		r->left = r->len;
		r->state = CAPSULE_IN_VALUE;
		return CAPSULE_BEGIN;
	case CAPSULE_IN_VALUE:
		break;
	}
	return read_value(r, p, len);
}

bool capsule_at_edge(const struct capsule_reader *r)
{
	return r->state == CAPSULE_IN_TYPE && !r->begun;
}

static uint8_t *put_head(uint8_t *p, uint64_t type, uint64_t len)
{
	return varint_put(varint_put(p, type), len);
}

size_t capsule_put_close(uint8_t out[CAPSULE_CLOSE_MAX], uint32_t code, const char *reason, size_t len)
{
	uint8_t *p = put_head(out, CAPSULE_CLOSE, 4 + len);

	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = (uint8_t)(code >> shift);
	if (len)
		memcpy(p, reason, len);
	return (size_t)(p - out) + len;
}

size_t capsule_put_drain(uint8_t out[CAPSULE_SMALL_MAX])
{
	return (size_t)(put_head(out, CAPSULE_DRAIN, 0) - out);
}

size_t capsule_put_varint(uint8_t out[CAPSULE_SMALL_MAX], uint64_t type, uint64_t value)
{
	return (size_t)(varint_put(put_head(out, type, varint_len(value)), value) - out);
}

size_t capsule_reason_len(const char *reason)
{
	size_t n = strnlen(reason, CAPSULE_REASON_MAX + 1);

	if (n <= CAPSULE_REASON_MAX)
		return n;
	n = CAPSULE_REASON_MAX;
	while (n && ((uint8_t)reason[n] & 0xc0) == 0x80) /* inside a character of several bytes */
		n--;
	return n;
}
