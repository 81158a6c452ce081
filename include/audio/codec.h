/* SPDX-License-Identifier: MIT */
/*
 * codec - how sound becomes the payload of a packet, and back. A constant table with one row for each codec; a
 * payload holds one channel.
 *
 * A codec may have state: a decoder for each talker, an encoder for each output. The row's own functions make, use
 * and free it. A row without `decoder_new` or `encoder_new` has none, and its functions are given NULL.
 *
 * Pure functions, except for that state, which belongs to one thread. Only *_new allocates. No clock.
 */
#pragma once
#include "audio/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most samples in a payload that cannot be cut: 60 ms at 48 kHz. */
enum { CODEC_SAMPLES_MAX = 2880 };

struct codec {
	uint8_t id;         /* in a v1 header, 0 to 15 */
	uint8_t unit_bytes; /* a payload is a row of samples of this size and may be cut between any two; 0: it is one piece */
	const char *name;   /* as in `codec=` of a request */
	bool (*rate_ok)(uint32_t rate_hz); /* of headers and of media time */

	/* Samples in a payload, CODEC_SAMPLES_MAX at the most if it cannot be cut. FRAME_OK, or FRAME_ODD: part of a sample at the end is to be ignored. Anything else:
	 * the payload is not usable and `*n_samples` is unchanged. */
	enum frame_fault (*measure)(const uint8_t *payload, size_t len, size_t *n_samples);

	int (*decoder_new)(uint32_t rate_hz, void **out); /* ERR_NOMEM */
	void (*decoder_free)(void *decoder);
	/* Decodes a payload, or a piece of one between two units, of `n` samples into `out`. */
	void (*decode)(void *decoder, const uint8_t *payload, size_t len, float *out, size_t n);
	/* Invents the `n` samples of a lost packet. NULL: the playout buffer conceals. */
	void (*conceal)(void *decoder, float *out, size_t n);

	int (*encoder_new)(uint32_t rate_hz, uint32_t bitrate_bps, void **out); /* bitrate 0: the codec's own choice. ERR_NOMEM */
	void (*encoder_copy)(void *to, const void *from); /* `to` goes on as `from` would; same rate and bitrate */
	void (*encoder_free)(void *encoder);
	/* Encodes `n` > 0 samples into `out` and returns the bytes written, 1 to 2 * n; 0: nothing is to be sent. */
	size_t (*encode)(void *encoder, uint8_t *out, const float *x, size_t n);
};

/* 16-bit little endian, no state, every rate of audio/rate.h. Legacy packets hold nothing else. */
extern const struct codec codec_pcm;

/* NULL: there is none. */
const struct codec *codec_by_id(unsigned id);
const struct codec *codec_by_name(const char *name);

/* The same two for rows with state and without. */
static inline int codec_decoder_new(const struct codec *c, uint32_t rate_hz, void **out)
{
	*out = NULL;
	return c->decoder_new ? c->decoder_new(rate_hz, out) : 0;
}

static inline void codec_decoder_free(const struct codec *c, void *decoder)
{
	if (c && c->decoder_free)
		c->decoder_free(decoder);
}

static inline int codec_encoder_new(const struct codec *c, uint32_t rate_hz, uint32_t bitrate_bps, void **out)
{
	*out = NULL;
	return c->encoder_new ? c->encoder_new(rate_hz, bitrate_bps, out) : 0;
}

static inline void codec_encoder_copy(const struct codec *c, void *to, const void *from)
{
	if (c->encoder_copy)
		c->encoder_copy(to, from);
}

static inline void codec_encoder_free(const struct codec *c, void *encoder)
{
	if (c && c->encoder_free)
		c->encoder_free(encoder);
}
