/* SPDX-License-Identifier: MIT */
/*
 * voice - what a worker says, in the codings that workers use, into the room's sink. Counts what the room took, so that
 * with what still waits there one knows what was mixed. Takes no memory.
 */
#pragma once
#include "bridge/bridge.h"

#include <sys/types.h>

enum voice_coding { VOICE_PCM16, VOICE_ULAW };
enum { VOICE_SILENCE_MS = 300 };

struct voice {
	const struct bridge_sink *sink;
	void *sink_ctx;
	uint32_t rate_hz;
	uint64_t item;     /* what is said belongs to it; the owner changes it */
	uint64_t taken;    /* samples that the room took, since the beginning */
	uint64_t played;   /* of those, mixed or taken back, as of the last tick */
	uint64_t audible;  /* `taken` after the last that was no silence */
	/* While nothing audible waits, no more than VOICE_SILENCE_MS of silence do: a worker that sends without a pause, and
	 * whose clock runs fast, would be later every day. */
	bool skips_silence;
	uint8_t odd;       /* the first half of a sample whose second half is to come */
	bool has_odd;
	bool refused;      /* the room took less than all of what was said last */
};

void voice_init(struct voice *v, const struct bridge_sink *sink, void *sink_ctx, uint32_t rate_hz);
/* The next utterance begins; half a sample of the last one is lost. */
void voice_next(struct voice *v);
/* Returns how many samples came, taken or not. */
size_t voice_say(struct voice *v, enum voice_coding coding, const uint8_t *p, size_t len);
/* The same out of base64; -1: it is none, and some of it may have been said. */
ssize_t voice_say_base64(struct voice *v, enum voice_coding coding, const char *text, size_t len);
/* Once a tick, with what it tells: updates `played`. */
void voice_tick(struct voice *v, uint32_t waiting_ms);
