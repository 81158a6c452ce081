/* SPDX-License-Identifier: MIT */
/* Any bytes as the start of a stream: what is not ours must reach nghttp3 whole, and pieces make no difference. */
#include "wt/classify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

/* Returns what it is; *used: how many bytes were read until then. */
static enum classify read_all(struct classifier *c, bool bidi, const uint8_t *data, size_t size, size_t step, size_t *used)
{
	enum classify what = CLASSIFY_MORE;

	memset(c, 0, sizeof *c);
	*used = 0;
	while (*used < size && what == CLASSIFY_MORE) {
		size_t n = size - *used < step ? size - *used : step, left = n;
		uint8_t *piece = malloc(n); /* of its own, so that reading past it is seen */
		const uint8_t *p = piece;

		expect(piece);
		memcpy(piece, data + *used, n);
		what = classify_read(c, bidi, &p, &left);
		expect(p == piece + (n - left) && (what != CLASSIFY_MORE || left == 0));
		*used += n - left;
		free(piece);
	}
	return what;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct classifier a, b;
	size_t used, used_b;

	if (size < 2)
		return 0;
	bool bidi = data[0] & 1;
	size_t step = 1 + data[0] / 2 % 10u;

	data++;
	size--;
	enum classify what = read_all(&a, bidi, data, size, size, &used);

	expect(what == read_all(&b, bidi, data, size, step, &used_b) && used == used_b);
	expect(a.type == b.type && a.session == b.session && a.n == used && a.n_head <= sizeof a.head);
	expect(memcmp(a.head, data, a.n_head) == 0);
	if (what == CLASSIFY_H3)
		expect(used == a.n_head);
	if (what == CLASSIFY_WT)
		expect(a.type == (bidi ? STREAM_WT_BIDI : STREAM_WT_UNI));
	return 0;
}
