/* SPDX-License-Identifier: MIT */
#include "audio/frame.h"

#include "audio/pcm.h"

static const char *const fault_names[FRAME_N_FAULTS] = {
	[FRAME_OK] = "ok",
	[FRAME_SHORT] = "short",
	[FRAME_EMPTY] = "empty",
	[FRAME_BAD_RATE] = "bad_rate",
	[FRAME_ODD] = "odd",
	[FRAME_UNSUPPORTED] = "unsupported",
};

bool audio_rate_ok(uint32_t rate_hz)
{
	return rate_hz >= AUDIO_RATE_MIN_HZ && rate_hz <= AUDIO_RATE_MAX_HZ;
}

const char *frame_fault_name(enum frame_fault fault)
{
	return (unsigned)fault < FRAME_N_FAULTS ? fault_names[fault] : "unknown";
}

/* The field counts hundreds, which loses half of the family of 44100 Hz. */
static uint32_t rate_of_field(uint32_t field, uint32_t default_rate_hz)
{
	switch (field) {
	case 0:
		return default_rate_hz;
	case 110:
		return 11025;
	case 220:
		return 22050;
	default:
		return field * 100;
	}
}

enum { V1_CODEC = 0x000f, V1_BEGINS = 0x0010, V1_ENDS = 0x0020, V1_RESERVED = 0x7fc0, V1 = 0x8000 };

static uint32_t le(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* The samples, whatever header lies before them. */
static enum frame_fault take_pcm(const uint8_t *p, size_t len, uint32_t rate_hz, struct frame *out)
{
	if (!audio_rate_ok(rate_hz))
		return FRAME_BAD_RATE;
	if (len < 2)
		return FRAME_EMPTY;
	out->rate_hz = rate_hz;
	out->pcm = p;
	out->n_samples = len / 2;
	return len % 2 ? FRAME_ODD : FRAME_OK;
}

static enum frame_fault parse_v1(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out)
{
	uint32_t first = le(p, 2);

	if (first & (V1_CODEC | V1_RESERVED))
		return FRAME_UNSUPPORTED;
	if (len < FRAME_V1_BYTES)
		return FRAME_SHORT;
	if (p[2] != 0)
		return FRAME_UNSUPPORTED;
	enum frame_fault fault = take_pcm(p + FRAME_V1_BYTES, len - FRAME_V1_BYTES,
		rate_of_field(le(p + 4, 2), default_rate_hz), out);

	if (fault != FRAME_OK && fault != FRAME_ODD)
		return fault;
	out->is_v1 = true;
	out->v1 = (struct frame_v1){
		.epoch = p[3],
		.begins = first & V1_BEGINS,
		.ends = first & V1_ENDS,
		.seq = (uint16_t)le(p + 6, 2),
		.time = le(p + 8, 4),
	};
	return fault;
}

enum frame_fault frame_parse(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out)
{
	if (len < FRAME_HEADER_BYTES)
		return FRAME_SHORT;
	uint32_t field = le(p, 2);

	if (field & V1)
		return parse_v1(p, len, default_rate_hz, out);
	enum frame_fault fault = take_pcm(p + FRAME_HEADER_BYTES, len - FRAME_HEADER_BYTES,
		rate_of_field(field, default_rate_hz), out);

	if (fault == FRAME_OK || fault == FRAME_ODD) {
		out->is_v1 = false;
		out->v1 = (struct frame_v1){0};
	}
	return fault;
}

static void put_le(uint8_t *p, uint32_t v, size_t n)
{
	for (; n > 0; n--, v >>= 8)
		*p++ = (uint8_t)v;
}

void frame_v1_write(uint8_t out[FRAME_V1_BYTES], uint32_t rate_hz, const struct frame_v1 *h)
{
	put_le(out, V1 | (h->begins ? V1_BEGINS : 0u) | (h->ends ? V1_ENDS : 0u), 2);
	out[2] = 0;
	out[3] = h->epoch;
	put_le(out + 4, frame_rate_field(rate_hz), 2);
	put_le(out + 6, h->seq, 2);
	put_le(out + 8, h->time, 4);
}

uint16_t frame_rate_field(uint32_t rate_hz)
{
	return (uint16_t)(rate_hz / 100);
}

uint32_t frame_rate_said(uint32_t rate_hz)
{
	return rate_of_field(frame_rate_field(rate_hz), rate_hz);
}

size_t frame_samples_max(size_t max_payload)
{
	return max_payload < FRAME_HEADER_BYTES ? 0 : (max_payload - FRAME_HEADER_BYTES) / 2;
}

size_t frame_pieces(size_t n_samples, size_t max_payload)
{
	size_t most = frame_samples_max(max_payload);

	return most == 0 ? 0 : n_samples / most + (n_samples % most != 0);
}

size_t frame_piece(size_t n_samples, size_t n_pieces, size_t i)
{
	return n_samples / n_pieces + (i < n_samples % n_pieces);
}

static uint8_t *write_header(uint8_t *out, size_t cap, uint32_t rate_hz, size_t n_samples)
{
	uint16_t field = frame_rate_field(rate_hz);

	if (frame_samples_max(cap) < n_samples || cap < FRAME_HEADER_BYTES)
		return NULL;
	out[0] = (uint8_t)field;
	out[1] = (uint8_t)(field >> 8);
	return out + FRAME_HEADER_BYTES;
}

size_t frame_write(uint8_t *out, size_t cap, uint32_t rate_hz, const int16_t *pcm, size_t n_samples)
{
	uint8_t *p = write_header(out, cap, rate_hz, n_samples);

	if (!p)
		return 0;
	for (size_t i = 0; i < n_samples; i++) {
		*p++ = (uint8_t)pcm[i];
		*p++ = (uint8_t)((uint16_t)pcm[i] >> 8);
	}
	return FRAME_HEADER_BYTES + 2 * n_samples;
}

size_t frame_write_float(uint8_t *out, size_t cap, uint32_t rate_hz, const float *x, size_t n_samples)
{
	uint8_t *p = write_header(out, cap, rate_hz, n_samples);

	if (!p)
		return 0;
	pcm_from_float(p, x, n_samples);
	return FRAME_HEADER_BYTES + 2 * n_samples;
}
