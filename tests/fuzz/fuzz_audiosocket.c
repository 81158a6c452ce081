/* SPDX-License-Identifier: MIT */
/*
 * A worker's stream into the parser, once in one piece and once cut by the bytes themselves: both must
 * say the same, and never more than came in. Events go on to where they are understood.
 */
#include "base/err.h"
#include "base/utf8.h"
#include "bridge/audiosocket_codec.h"
#include "bridge/stream_events.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void on_message(void *ctx, const char *text)
{
	++*(unsigned *)ctx;
	expect(text[0] && strlen(text) <= BRIDGE_TEXT_MAX && utf8_ok(text));
}

static void on_transcript(void *ctx, uint32_t participant, const char *text, bool final)
{
	(void)participant, (void)final;
	on_message(ctx, text);
}

static void take_event(const struct as_record *rec)
{
	static const struct bridge_sink sink = {.message = on_message, .transcript = on_transcript};
	unsigned n_texts = 0;
	char why[100] = "";
	int err = stream_event_handle(rec->payload, rec->len, &sink, &n_texts, why, sizeof why);

	expect(err == 0 ? n_texts <= 1 && !why[0] : err == ERR_MALFORMED && n_texts == 0 && why[0]);
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
		if (rec.type == AS_EVENT)
			take_event(&rec);
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
