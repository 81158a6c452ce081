/* SPDX-License-Identifier: MIT */
/*
 * Datagrams into a parser and a jitter buffer: one input is a series of datagrams, each a length
 * byte, a byte of milliseconds that pass before it, and its bytes. Between them ticks are pulled.
 * Whatever comes, samples are finite and what is stored stays within max_delay_ms.
 */
#include "audio/jitter.h"
#include "audio/packet.h"
#include "audio/resample.h"
#include "base/cursor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Cut small and parsed again, it is what it was. */
static void write_again(const struct frame *f)
{
	struct packet_writer w = {.kind = f->is_v1 ? PACKET_V1 : PACKET_LEGACY, .next_seq = f->v1.seq};
	struct packet p;
	struct frame g;
	uint8_t bytes[100];
	uint32_t n = 0, time = f->v1.time;

	expect(packet_first(&p, &w, f, sizeof bytes));
	do {
		expect(p.head_len + p.body_len <= sizeof bytes);
		memcpy(bytes, p.head, p.head_len);
		memcpy(bytes + p.head_len, p.body, p.body_len);
		expect(packet_parse(bytes, p.head_len + p.body_len, 16000, &g) == FRAME_OK);
		expect(g.format.rate_hz == f->format.rate_hz && g.is_v1 == f->is_v1 && g.v1.epoch == f->v1.epoch);
		expect(memcmp(g.payload, f->payload + 2 * n, g.len) == 0);
		expect(!g.is_v1 || (g.v1.time == time && g.v1.begins == (f->v1.begins && n == 0)));
		n += g.n_samples;
		time += g.n_samples;
		expect(!g.is_v1 || g.v1.ends == (f->v1.ends && n == f->n_samples));
	} while (packet_next(&p));
	expect(n == f->n_samples);
}

static void datagram(struct jitter *j, const uint8_t *p, size_t len, nsec now)
{
	struct frame f = {0};
	enum frame_fault fault = packet_parse(p, len, 16000, &f);

	expect(frame_fault_name(fault) != NULL);
	if (fault != FRAME_OK && fault != FRAME_ODD)
		return;
	expect(audio_rate_ok(f.format.rate_hz) && f.n_samples > 0);
	expect(f.len == 2 * f.n_samples);
	expect((f.is_v1 ? PACKET_V1_HEAD : PACKET_LEGACY_HEAD) + f.len + (fault == FRAME_ODD) == len);
	write_again(&f);
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
