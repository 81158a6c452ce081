/* SPDX-License-Identifier: MIT */
/*
 * vad - voice activity: level above a noise floor that adapts slowly; fast to begin, slow to
 * end. DC does not count; steady noise stops counting when the floor has reached it (2 dB/s, so a test
 * tone that starts suddenly counts for ten seconds or more). Plain data in the caller's
 * storage, single-threaded, no allocation.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VAD_SILENCE_DBFS (-100.0f) /* what a block of zeros reports */
#define VAD_ENTER_MS 40
#define VAD_LEAVE_MS 400

struct vad {
	float level_dbfs; /* RMS of the last block without its mean; a full-scale sine is -3 */
	float floor_dbfs;
	float above_ms, below_ms; /* time above and below the threshold so far */
	uint32_t rate_hz;
	bool speaking, primed;
};

void vad_init(struct vad *v, uint32_t rate_hz);

/* Analyses one tick and returns whether its talker is speaking. n > 0. */
bool vad_run(struct vad *v, const float *x, size_t n);

/* A tick without sound, without touching samples: the same as vad_run() of `n` zeros. */
bool vad_run_silence(struct vad *v, size_t n);
