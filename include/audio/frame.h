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

enum frame_fault {
	FRAME_OK,
	FRAME_SHORT,       /* under two bytes, or under twelve of v1 */
	FRAME_EMPTY,       /* a header without a whole sample */
	FRAME_BAD_RATE,    /* outside 8000..48000 Hz */
	FRAME_ODD,         /* part of a sample at the end is ignored; the frame is usable */
	FRAME_UNSUPPORTED, /* v1 with a codec, a flag or a source that is not known */
	FRAME_N_FAULTS,
};

/* What a v1 header says beyond the rate. */
struct frame_v1 {
	uint8_t epoch;    /* of the last flush before it */
	bool begins;      /* a talkspurt starts: a gap before it is silence, not loss */
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
