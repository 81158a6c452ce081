/* SPDX-License-Identifier: MIT */
/*
 * bridge_output - what a worker sends to be played, in the codings that workers use, into the room's sink. Counts what the
 * room accepted and, with what still waits there, what it has played, and what was heard of that. One thread, the driver's; allocates nothing; no clock.
 */
#pragma once
#include "bridge/bridge.h"

#include <sys/types.h>

enum output_coding { OUTPUT_PCM16, OUTPUT_ULAW };

enum {
	OUTPUT_PIECE = 480,           /* samples handed to the sink at once */
	OUTPUT_ALL_SILENCE = UINT16_MAX, /* for silence_ms */
};

struct bridge_output {
	const struct bridge_sink *sink;
	void *sink_ctx;
	uint32_t rate_hz;
	uint32_t silence_ms; /* as for bridge_output_init() */
	uint64_t utterance;  /* that the audio belongs to, from 1; the owner may change it */
	uint64_t accepted;   /* samples that the room accepted, since the beginning */
	uint64_t played;     /* of those, mixed or flushed, as of the last tick */
	uint64_t heard;      /* of those, heard, as far as people report it */
	uint64_t audible;    /* `accepted` after the last that was not silence */
	bool has_half;       /* a sample was cut: its second byte is to come */
	uint8_t half;        /* its first */
	bool refused;        /* the room refused some of the last message */
};

/* Borrows `sink`. While nothing audible waits to be played, silence is accepted up to `silence_ms` and then skipped: a worker that
 * sends without a pause, by a clock that runs fast or after a late start, would fall behind more and more.
 * OUTPUT_ALL_SILENCE: all is accepted. */
void bridge_output_init(struct bridge_output *o, const struct bridge_sink *sink, void *sink_ctx, uint32_t rate_hz,
	uint32_t silence_ms);
/* The next utterance begins; half a sample of the last one is dropped. */
void bridge_output_next(struct bridge_output *o);
/* The same after a flush: what was audible will not be played any more. */
void bridge_output_flushed(struct bridge_output *o);
/* One message of the worker's. Once the room has refused a piece, so is the rest: a sentence with a hole is worse
 * than a short one. Returns how many samples it had, accepted or not. */
size_t bridge_output_send(struct bridge_output *o, enum output_coding coding, const uint8_t *p, size_t len);
/* The same in base64. -1: it is not base64; some of it may have been played. */
ssize_t bridge_output_send_base64(struct bridge_output *o, enum output_coding coding, const char *text, size_t len);
/* Once a tick: updates `played` and `heard`. What waits is rounded up, so nothing counts too early. */
void bridge_output_tick(struct bridge_output *o, const struct bridge_input *h);
