/* SPDX-License-Identifier: MIT */
/* Arbitrary bytes as a CONNECT stream's capsules: read in one piece and in pieces of a size that
 * the first byte chooses, the reader must tell the same. */
#include "wt/capsule.h"

#include <assert.h>
#include <string.h>

struct told {
	uint64_t hash, events, bytes;
};

static void mix(struct told *t, uint64_t v)
{
	t->hash = (t->hash ^ v) * 0x100000001b3u;
}

static void read_piece(struct capsule_reader *r, struct told *t, const uint8_t *p, size_t len)
{
	enum capsule_event ev;

	while ((ev = capsule_read(r, &p, &len)) != CAPSULE_NONE) {
		if (ev == CAPSULE_DATA) {
			assert(r->n > 0 && r->n <= r->len);
			for (size_t i = 0; i < r->n; i++)
				mix(t, r->p[i]);
			t->bytes += r->n;
			continue;
		}
		t->events++;
		mix(t, ev == CAPSULE_BEGIN ? r->type ^ r->len << 1 : 1);
	}
	assert(len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct capsule_reader whole = {0}, cut = {0};
	struct told a = {0}, b = {0};
	size_t piece = len ? p[0] % 17 + 1 : 1;

	read_piece(&whole, &a, p, len);
	for (size_t i = 0; i < len; i += piece)
		read_piece(&cut, &b, p + i, len - i < piece ? len - i : piece);
	assert(!memcmp(&a, &b, sizeof a));
	assert(capsule_at_edge(&whole) == capsule_at_edge(&cut));
	return 0;
}
