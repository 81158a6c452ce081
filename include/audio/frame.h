/* SPDX-License-Identifier: MIT */
/*
 * frame - the audio of one datagram, as packet_parse() finds it and packet_first() takes it. Plain data; the payload is
 * borrowed.
 */
#pragma once
#include "audio/rate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codec;

#define FRAME_HEADER_BYTES 2
#define FRAME_V1_BYTES 12

enum frame_fault {
	FRAME_OK,
	FRAME_SHORT,       /* under two bytes, or under twelve of v1 */
	FRAME_EMPTY,       /* a header without a whole sample */
	FRAME_BAD_RATE,    /* outside 8000..48000 Hz */
	FRAME_ODD,         /* half a sample at the end was cut; the frame is usable */
	FRAME_UNSUPPORTED, /* v1 with a codec, a flag or a source that is not known */
	FRAME_N_FAULTS,
};

/* What a v1 header says beyond the rate. */
struct frame_v1 {
	uint8_t epoch;    /* of the flush it was sent after */
	bool begins;      /* a talkspurt starts: what lies before is silence, not loss */
	bool ends;        /* silence follows */
	uint16_t seq;     /* one more for each frame */
	uint32_t time;    /* of the first sample, in samples at the frame's rate; runs on in silence */
};

struct format {
	const struct codec *codec;
	uint32_t rate_hz;
};

struct frame {
	struct format format;
	const uint8_t *payload; /* encoded; borrowed, maybe unaligned */
	uint32_t len;           /* of the payload, in whole samples if it consists of such */
	uint32_t n_samples;
	bool is_v1;
	struct frame_v1 v1;     /* if is_v1, else zero */
};

/* snake_case, for metrics and warnings: "ok", "short", "empty", ... */
const char *frame_fault_name(enum frame_fault fault);

/* Takes a datagram apart, of either kind. Rate field 0 means `default_rate_hz` (8000..48000); 110, 220 and 441
 * mean 11025, 22050 and 44100 Hz exactly. `out` borrows `p` and is filled on FRAME_OK and
 * FRAME_ODD only. `p` may be NULL if `len` is 0. */
enum frame_fault frame_parse(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out);

/* The first field for a rate: hundreds of Hz, rounded down. */
uint16_t frame_rate_field(uint32_t rate_hz);

/* Writes the twelve bytes before the samples of source 0. */
void frame_v1_write(uint8_t out[FRAME_V1_BYTES], uint32_t rate_hz, const struct frame_v1 *h);

/* Most samples that one datagram of `max_payload` bytes carries; 0 if none. */
size_t frame_samples_max(size_t max_payload);

/* In how many datagrams of at most `max_payload` bytes `n_samples` travel: the fewest, and
 * frame_piece() makes them equal to within a sample. 0 if nothing fits or there is nothing. (With v1
 * give it the ten bytes less that its header leaves.) */
size_t frame_pieces(size_t n_samples, size_t max_payload);

/* Samples in piece `i` of `n_pieces`; the pieces add up to `n_samples`. i < n_pieces. */
size_t frame_piece(size_t n_samples, size_t n_pieces, size_t i);
