/* SPDX-License-Identifier: MIT */
#include "support/h3_raw.h"
#include "base/cursor.h"

#include <assert.h>
#include <string.h>

void raw_bytes(struct buf *b, const void *p, size_t len)
{
	int err = len ? buf_append(b, p, len) : 0;

	assert(!err);
	(void)err;
}

void raw_varint(struct buf *b, uint64_t v)
{
	uint8_t p[8];

	raw_bytes(b, p, (size_t)(varint_put(p, v) - p));
}

void raw_varint_sized(struct buf *b, uint64_t v, size_t size)
{
	static const uint8_t mark[9] = {[1] = 0x00, [2] = 0x40, [4] = 0x80, [8] = 0xc0};
	uint8_t p[8];

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
	p[0] |= mark[size];
	raw_bytes(b, p, size);
}

void raw_frame(struct buf *b, uint64_t type, const void *p, size_t len)
{
	raw_varint(b, type);
	raw_varint(b, len);
	raw_bytes(b, p, len);
}

/* An integer with a prefix of `bits` bits (RFC 9204 4.1.1). */
static void prefixed(struct buf *b, uint8_t first, unsigned bits, size_t v)
{
	size_t max = (1u << bits) - 1;
	uint8_t byte = (uint8_t)(first | (v < max ? v : max));

	raw_bytes(b, &byte, 1);
	if (v < max)
		return;
	for (v -= max; v >= 128; v >>= 7) {
		byte = (uint8_t)(v | 128);
		raw_bytes(b, &byte, 1);
	}
	byte = (uint8_t)v;
	raw_bytes(b, &byte, 1);
}

void raw_headers(struct buf *b, const char *const *fields)
{
	struct buf block;

	buf_init(&block, 1 << 20);
	raw_bytes(&block, "\0", 2);
	for (; fields[0]; fields += 2) {
		prefixed(&block, 0x20, 3, strlen(fields[0]));
		raw_bytes(&block, fields[0], strlen(fields[0]));
		prefixed(&block, 0x00, 7, strlen(fields[1]));
		raw_bytes(&block, fields[1], strlen(fields[1]));
	}
	raw_frame(b, 0x01, block.p, block.len);
	buf_fini(&block);
}

void raw_settings(struct buf *b, const uint64_t *pairs, size_t n_pairs)
{
	struct buf body;

	buf_init(&body, 65536);
	for (size_t i = 0; i < 2 * n_pairs; i++)
		raw_varint(&body, pairs[i]);
	raw_varint(b, 0x00);
	raw_frame(b, 0x04, body.p, body.len);
	buf_fini(&body);
}

void raw_connect(struct buf *b, const char *path, const char *origin)
{
	raw_headers(b, (const char *const[]){":method", "CONNECT", ":protocol", "webtransport", ":scheme", "https",
			       ":authority", "localhost:4433", ":path", path, "sec-webtransport-http3-draft02", "1",
			       origin ? "origin" : NULL, origin, NULL});
}

void raw_client_settings(struct buf *b)
{
	static const uint64_t pairs[] = {0x1, 65536, 0x7, 100, 0x33, 1, 0x2b603742, 1, 0x40, 7};

	raw_settings(b, pairs, sizeof pairs / sizeof *pairs / 2);
}
