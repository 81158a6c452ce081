/* SPDX-License-Identifier: MIT */
#include "audio/codec.h"
#include "audio/pcm.h"
#include "audio/rate.h"

static enum frame_fault measure(const uint8_t *payload, size_t len, size_t *n_samples)
{
	(void)payload;
	if (len < 2)
		return FRAME_EMPTY;
	*n_samples = len / 2;
	return len % 2 ? FRAME_ODD : FRAME_OK;
}

static void decode(void *decoder, const uint8_t *payload, size_t len, float *out, size_t n)
{
	(void)decoder;
	(void)len;
	pcm_to_float(out, payload, n);
}

static size_t encode(void *encoder, uint8_t *out, const float *x, size_t n)
{
	(void)encoder;
	pcm_from_float(out, x, n);
	return 2 * n;
}

const struct codec codec_pcm = {
	.id = 0,
	.unit_bytes = 2,
	.name = "pcm",
	.rate_ok = audio_rate_ok,
	.measure = measure,
	.decode = decode,
	.encode = encode,
};
