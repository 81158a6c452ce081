/* SPDX-License-Identifier: MIT */
/* Any bytes as the capsules of a CONNECT stream: the pieces in which they come must make no difference. */
#include "wt/capsule.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out: how many of which kind, and the bytes of the values mixed into one number. */
struct story {
	uint64_t n_begun, n_ended, lengths, types, bytes;
	bool edge;
};

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void take(struct story *s, const struct capsule_reader *r, enum capsule_event ev, const uint8_t *p, size_t len)
{
	if (ev == CAPSULE_BEGIN) {
		s->n_begun++;
		s->types = s->types * 31 + r->type;
		s->lengths = s->lengths * 31 + r->len;
	} else if (ev == CAPSULE_DATA) {
		expect(r->n > 0 && r->p >= p && r->p + r->n <= p + len);
		for (size_t i = 0; i < r->n; i++)
			s->bytes = s->bytes * 31 + r->p[i];
	} else {
		s->n_ended++;
	}
}

static struct story read_all(const uint8_t *data, size_t size, size_t step)
{
	struct capsule_reader r = {0};
	struct story s = {0};

	for (size_t at = 0; at < size; at += step) {
		size_t n = size - at < step ? size - at : step, left = n;
		uint8_t *piece = malloc(n); /* of its own, so that reading past it is seen */
		const uint8_t *p = piece;
		enum capsule_event ev;

		expect(piece);
		memcpy(piece, data + at, n);
		while ((ev = capsule_read(&r, &p, &left)) != CAPSULE_NONE)
			take(&s, &r, ev, piece, n);
		expect(left == 0);
		free(piece);
	}
	expect(s.n_ended <= s.n_begun && s.n_begun <= s.n_ended + 1);
	s.edge = capsule_at_edge(&r);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct story whole = read_all(data + 1, size - 1, size), parts = read_all(data + 1, size - 1, 1 + data[0] % 16u);

	expect(memcmp(&whole, &parts, offsetof(struct story, edge)) == 0 && whole.edge == parts.edge);
	return 0;
}
