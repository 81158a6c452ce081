/* SPDX-License-Identifier: MIT */
/* frames - frames of PCM for tests: struct frame f = {PCM_FRAME(16000, bytes, 320), .is_v1 = true}; */
#pragma once
#include "audio/packet.h"

#include <string.h>

#define PCM_FRAME(rate, bytes, n) \
	.format = {&codec_pcm, (rate)}, .payload = (bytes), .len = (uint32_t)(2 * (n)), .n_samples = (uint32_t)(n)

/* A whole frame as one datagram; returns its length. `out` takes PACKET_V1_HEAD + f->len bytes. */
static inline size_t datagram_of(uint8_t *out, struct packet_writer *w, const struct frame *f)
{
	struct packet p;

	if (!packet_first(&p, w, f, PACKET_V1_HEAD + f->len))
		return 0;
	memcpy(out, p.head, p.head_len);
	memcpy(out + p.head_len, p.body, p.body_len);
	return p.head_len + p.body_len;
}

/* The same of `n` samples in a legacy packet; `out` takes PACKET_LEGACY_HEAD + 2 * n bytes. */
static inline size_t datagram_of_float(uint8_t *out, uint32_t rate_hz, const float *x, size_t n)
{
	struct packet_writer w = {.kind = PACKET_LEGACY};
	uint8_t *payload = out + PACKET_LEGACY_HEAD;
	struct frame f = {PCM_FRAME(rate_hz, payload, n)};
	struct packet p;

	codec_pcm.encode(NULL, payload, x, n);
	if (!packet_first(&p, &w, &f, PACKET_V1_HEAD + f.len))
		return 0;
	memcpy(out, p.head, p.head_len);
	return p.head_len + p.body_len;
}
