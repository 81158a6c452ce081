/* SPDX-License-Identifier: MIT */
/* frames - frames of PCM for tests: struct frame f = {PCM_FRAME(16000, bytes, 320), .is_v1 = true}; */
#pragma once
#include "audio/codec.h"

#define PCM_FRAME(rate, bytes, n) \
	.format = {&codec_pcm, (rate)}, .payload = (bytes), .len = (uint32_t)(2 * (n)), .n_samples = (uint32_t)(n)
