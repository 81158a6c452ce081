/* SPDX-License-Identifier: MIT */
/*
 * A worker's stream into the parser, once in one piece and once cut by the bytes themselves: both must
 * say the same, and never more than came in.
 */
#include "base/err.h"
#include "bridge/audiosocket_codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

struct outcome {
	struct as_parser ps;
	uint64_t sum, n;
	bool bad;
};

static void take(struct outcome *o, const uint8_t *p, size_t len)
{
	struct as_record rec;
	int got;

	while (!o->bad && (got = as_next(&o->ps, &p, &len, &rec)) != 0) {
		if (got < 0) {
			expect(got == ERR_MALFORMED && o->ps.why[0]);
			o->bad = true;
			return;
		}
		o->sum = o->sum * 31 + (as_audio_rate(rec.type) ? 0 : rec.type + 1u);
		for (size_t i = 0; i < rec.len; i++)
			o->sum = o->sum * 31 + rec.payload[i];
		o->n += rec.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct outcome *whole = calloc(1, sizeof *whole), *cut = calloc(1, sizeof *cut);

	expect(whole && cut);
	take(whole, p, len);
	expect(whole->n <= len);
	for (size_t at = 0, n; at < len; at += n) {
		n = 1 + p[at] % 7u;
		n = n < len - at ? n : len - at;
		take(cut, p + at, n);
	}
	expect(whole->bad == cut->bad && whole->n == cut->n);
	free(whole);
	free(cut);
	return 0;
}
