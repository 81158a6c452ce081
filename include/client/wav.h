/* SPDX-License-Identifier: MIT */
/*
 * wav - sound from and to files and pipes. In: WAV of whatever wav_head reads (stereo and more are mixed
 * down to mono). Out: WAV with 16-bit PCM. Or raw 16-bit little-endian samples. Streams: only a small
 * buffer is held. A pipe is never waited for: what is not there yet is told from the end. One thread.
 */
#pragma once
#include "client/wav_head.h"

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
