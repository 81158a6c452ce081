/* SPDX-License-Identifier: MIT */
#include "wt/classify.h"
#include "base/cursor.h"

static uint64_t wt_type(bool bidi)
{
	return bidi ? STREAM_WT_BIDI : STREAM_WT_UNI;
}

enum classify classify_read(struct classifier *c, bool bidi, const uint8_t **p, size_t *len)
{
	while (*len) {
		uint8_t b = *(*p)++;

		(*len)--;
		c->n++;
		if (!c->typed)
			c->head[c->n_head++] = b;
		if (!varint_in_byte(&c->in, b))
			continue;
		if (c->typed) {
			c->session = c->in.v;
			return CLASSIFY_WT;
		}
		c->type = c->in.v;
		c->typed = true;
		if (c->type != wt_type(bidi))
			return CLASSIFY_H3;
	}
	return CLASSIFY_MORE;
}

size_t classify_prefix(uint8_t out[CLASSIFY_PREFIX_MAX], bool bidi, uint64_t session)
{
	return (size_t)(varint_put(varint_put(out, wt_type(bidi)), session) - out);
}
