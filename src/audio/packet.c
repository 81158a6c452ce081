/* SPDX-License-Identifier: MIT */
#include "audio/packet.h"

#include <assert.h>

enum { V1_CODEC = 0x000f, V1_BEGINS = 0x0010, V1_ENDS = 0x0020, V1_RESERVED = 0x7fc0, V1 = 0x8000 };
enum { AT_FIRST = 0, AT_SOURCE = 2, AT_EPOCH = 3, AT_RATE = 4, AT_SEQ = 6, AT_TIME = 8 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
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

static uint16_t field_of_rate(uint32_t rate_hz)
{
	return (uint16_t)(rate_hz / 100);
}

uint32_t packet_rate(uint32_t rate_hz)
{
	return rate_of_field(field_of_rate(rate_hz), rate_hz);
}

/* ---- reading ---- */

static bool usable(enum frame_fault fault)
{
	return fault == FRAME_OK || fault == FRAME_ODD;
}

/* Inlined: for a codec known at the call, nothing is called through the table. */
__attribute__((always_inline)) static inline enum frame_fault parse_payload(const struct codec *codec, uint32_t rate_hz, const uint8_t *p, size_t len,
	struct frame *out)
{
	size_t n;

	if (!codec->rate_ok(rate_hz))
		return FRAME_BAD_RATE;
	enum frame_fault fault = codec->measure(p, len, &n);

	if (!usable(fault))
		return fault;
	out->format = (struct format){codec, rate_hz};
	out->payload = p;
	out->n_samples = (uint32_t)n;
	out->len = codec->unit_bytes ? out->n_samples * codec->unit_bytes : (uint32_t)len;
	return fault;
}

static enum frame_fault parse_v1(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out)
{
	uint16_t first = get16(p);
	const struct codec *codec = codec_by_id(first & V1_CODEC);

	if (!codec || (first & V1_RESERVED))
		return FRAME_UNSUPPORTED;
	if (len < PACKET_V1_HEAD)
		return FRAME_SHORT;
	if (p[AT_SOURCE] != 0)
		return FRAME_UNSUPPORTED;
	enum frame_fault fault = parse_payload(codec, rate_of_field(get16(p + AT_RATE), default_rate_hz),
		p + PACKET_V1_HEAD, len - PACKET_V1_HEAD, out);

	if (!usable(fault))
		return fault;
	out->is_v1 = true;
	out->v1 = (struct frame_v1){
		.epoch = p[AT_EPOCH],
		.begins = first & V1_BEGINS,
		.ends = first & V1_ENDS,
		.seq = get16(p + AT_SEQ),
		.time = get32(p + AT_TIME),
	};
	return fault;
}

enum frame_fault packet_parse(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out)
{
	if (len < PACKET_LEGACY_HEAD)
		return FRAME_SHORT;
	uint16_t field = get16(p);

	if (field & V1)
		return parse_v1(p, len, default_rate_hz, out);
	enum frame_fault fault = parse_payload(&codec_pcm, rate_of_field(field, default_rate_hz),
		p + PACKET_LEGACY_HEAD, len - PACKET_LEGACY_HEAD, out);

	if (usable(fault)) {
		out->is_v1 = false;
		out->v1 = (struct frame_v1){0};
	}
	return fault;
}

/* ---- writing ---- */

/* The fewest packets with `room` bytes of payload each; 0: nothing fits. */
static uint32_t count_pieces(const struct frame *f, size_t room)
{
	uint8_t unit = f->format.codec->unit_bytes;

	if (f->len <= room)
		return f->len > 0;
	if (unit == 0 || room < unit)
		return 0;
	uint32_t most = (uint32_t)(room / unit);

	return (f->n_samples + most - 1) / most;
}

static void write_v1_head(uint8_t *head, const struct frame *f)
{
	put16(head, V1 | f->format.codec->id | (f->v1.begins ? V1_BEGINS : 0u));
	head[AT_SOURCE] = 0;
	head[AT_EPOCH] = f->v1.epoch;
	put16(head + AT_RATE, field_of_rate(f->format.rate_hz));
}

static void number_piece(struct packet *p, uint32_t n_samples)
{
	put16(p->head + AT_SEQ, p->writer->next_seq++);
	put32(p->head + AT_TIME, p->time);
	p->time += n_samples;
	if (p->ends && p->n_left == 0)
		p->head[AT_FIRST] |= V1_ENDS;
}

/* Cuts `f` into pieces and gives `p` the first of them. Returns its samples. */
static uint32_t cut(struct packet *p, const struct frame *f, uint32_t n_pieces)
{
	uint32_t n = f->n_samples;

	p->body = f->payload;
	p->body_len = f->len;
	p->n_left = n_pieces - 1;
	if (n_pieces == 1)
		return n;
	p->unit_bytes = f->format.codec->unit_bytes;
	p->n_samples = n / n_pieces;
	p->n_longer = n % n_pieces;
	n = p->n_samples;
	if (p->n_longer > 0) {
		p->n_longer--;
		n++;
	}
	p->body_len = n * p->unit_bytes;
	return n;
}

bool packet_first(struct packet *p, struct packet_writer *w, const struct frame *f, size_t max_bytes)
{
	size_t head_len = w->kind == PACKET_V1 ? PACKET_V1_HEAD : PACKET_LEGACY_HEAD;
	uint32_t n_pieces = max_bytes > head_len ? count_pieces(f, max_bytes - head_len) : 0;

	if (n_pieces == 0) {
		w->next_seq++;
		return false;
	}
	p->head_len = head_len;
	p->writer = w;
	uint32_t n = cut(p, f, n_pieces);

	if (w->kind == PACKET_LEGACY) {
		assert(f->format.codec == &codec_pcm);
		put16(p->head, field_of_rate(f->format.rate_hz));
		return true;
	}
	p->time = f->v1.time;
	p->ends = f->v1.ends;
	write_v1_head(p->head, f);
	number_piece(p, n);
	return true;
}

bool packet_next(struct packet *p)
{
	if (p->n_left == 0)
		return false;
	p->n_left--;
	uint32_t n = p->n_samples;

	if (p->n_longer > 0) {
		p->n_longer--;
		n++;
	}
	p->body += p->body_len;
	p->body_len = n * p->unit_bytes;
	if (p->writer->kind == PACKET_V1) {
		p->head[AT_FIRST] &= (uint8_t)~V1_BEGINS;
		number_piece(p, n);
	}
	return true;
}
