/* SPDX-License-Identifier: MIT */
/*
 * wav - sound from and to files and pipes: WAV with 16-bit PCM (stereo and more are mixed down to
 * mono), or raw 16-bit little-endian samples. Streams: nothing is held but a small buffer. A pipe is
 * never waited for: what is not there yet is told from the end. One thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAV_ERROR = 256, WAV_HEAD_MAX = 65536 };

struct wav_format {
	uint32_t rate_hz;
	unsigned channels;
	size_t data_at;      /* where the samples begin */
	uint64_t data_bytes; /* UINT64_MAX: as long as the file goes on */
};

/* Reads the chunks at the head of a file up to the samples, which must begin within `len`. ERR_MALFORMED,
 * ERR_UNSUPPORTED (a WAV, but not of 16-bit PCM) with a phrase in `why`. */
int wav_parse(const uint8_t *p, size_t len, struct wav_format *out, char why[WAV_ERROR]);

struct wav_in;
struct wav_out;

/* Opens a WAV file; "-" is standard input with raw samples at `raw_rate_hz`. On error one line in `why`. */
int wav_in_open(const char *path, uint32_t raw_rate_hz, struct wav_in **out, char why[WAV_ERROR]);
uint32_t wav_in_rate(const struct wav_in *w);
/* Up to `n` mono samples, without waiting. Fewer: no more are there now, or ever: see wav_in_ended(). A file or pipe
 * gives either all `n` or none until its end. */
size_t wav_in_read(struct wav_in *w, int16_t *pcm, size_t n);
bool wav_in_ended(const struct wav_in *w);
void wav_in_close(struct wav_in *w); /* accepts NULL */

/* Makes or replaces a WAV file of mono samples; "-" is standard output, raw. */
int wav_out_open(const char *path, uint32_t rate_hz, struct wav_out **out, char why[WAV_ERROR]);
/* A pipe that takes nothing now loses the block, which is counted. ERR_IO: nobody reads any more, or the disk is full. */
int wav_out_write(struct wav_out *w, const int16_t *pcm, size_t n);
uint64_t wav_out_dropped(const struct wav_out *w); /* samples */
/* Completes the header. Frees `w` whatever happens; accepts NULL. ERR_IO, but not for a pipe whose reader has left. */
int wav_out_close(struct wav_out *w);
