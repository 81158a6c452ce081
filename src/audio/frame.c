/* SPDX-License-Identifier: MIT */
#include "audio/frame.h"

#include "audio/packet.h"

static const char *const fault_names[FRAME_N_FAULTS] = {
	[FRAME_OK] = "ok",
	[FRAME_SHORT] = "short",
	[FRAME_EMPTY] = "empty",
	[FRAME_BAD_RATE] = "bad_rate",
	[FRAME_ODD] = "odd",
	[FRAME_UNSUPPORTED] = "unsupported",
};

const char *frame_fault_name(enum frame_fault fault)
{
	return (unsigned)fault < FRAME_N_FAULTS ? fault_names[fault] : "unknown";
}

enum { V1_BEGINS = 0x0010, V1_ENDS = 0x0020, V1 = 0x8000 };

enum frame_fault frame_parse(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out)
{
	return packet_parse(p, len, default_rate_hz, out);
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
