/* SPDX-License-Identifier: MIT */
/*
 * Datagrams into a parser and a jitter buffer: one input is a series of datagrams, each a length
 * byte, a byte of milliseconds that pass before it, and its bytes. Between them ticks are pulled.
 * Whatever comes, samples are finite and what is stored stays within max_delay_ms.
 */
#include "audio/frame.h"
#include "audio/jitter.h"
#include "audio/resample.h"
#include "base/cursor.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

#define MAX_DELAY_MS 60

static struct resample_table *shared_table(void)
{
	static struct resample_table *table; /* once: it takes longer than a run */

	if (!table && resample_table_new(&table))
		abort();
	return table;
}

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void tick(struct jitter *j, nsec now)
{
	struct jitter_stats s;
	float out[320];

	jitter_get(j, out, 320, now);
	for (size_t i = 0; i < 320; i++)
		expect(isfinite(out[i]) && fabsf(out[i]) < 100);
	jitter_stats(j, &s);
	expect(s.depth_ms <= MAX_DELAY_MS + 0.01);
}

static void datagram(struct jitter *j, const uint8_t *p, size_t len, nsec now)
{
	struct frame f = {0};
	enum frame_fault fault = frame_parse(p, len, 16000, &f);

	expect(frame_fault_name(fault) != NULL);
	if (fault != FRAME_OK && fault != FRAME_ODD)
		return;
	expect(audio_rate_ok(f.format.rate_hz) && f.n_samples > 0);
	expect((f.is_v1 ? FRAME_V1_BYTES : FRAME_HEADER_BYTES) + 2 * f.n_samples + (fault == FRAME_ODD) == len);
	jitter_put(j, &f, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct jitter_opts o = {.rate_hz = 16000, .max_delay_ms = MAX_DELAY_MS};
	struct cursor c = cursor_of(p, len);
	struct jitter *j;
	nsec now = 0, next_tick = 0;

	expect(jitter_new(&o, shared_table(), &j) == 0);
	while (cursor_left(&c) >= 2) {
		size_t n = 4 * (size_t)cursor_le(&c, 1) + 3;

		now += nsec_from_ms(cursor_le(&c, 1));
		n = n < cursor_left(&c) ? n : cursor_left(&c);
		for (; next_tick <= now; next_tick += nsec_from_ms(20))
			tick(j, next_tick);
		datagram(j, cursor_bytes(&c, n), n, now);
	}
	for (int i = 0; i < 10; i++, next_tick += nsec_from_ms(20))
		tick(j, next_tick);
	expect(!jitter_active(j));
	jitter_free(j);
	return 0;
}
