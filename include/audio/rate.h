/* SPDX-License-Identifier: MIT */
/* rate - the sample rates of sound that enters or leaves. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define AUDIO_RATE_MIN_HZ 8000
#define AUDIO_RATE_MAX_HZ 48000

/* Whether sound of this rate may enter or leave. */
static inline bool audio_rate_ok(uint32_t rate_hz)
{
	return rate_hz >= AUDIO_RATE_MIN_HZ && rate_hz <= AUDIO_RATE_MAX_HZ;
}
