/* SPDX-License-Identifier: MIT */
#include "audio/mixer.h"

#include "audio/simd.h"

#include <string.h>

void mix_clear(float *sum, size_t n)
{
	memset(sum, 0, n * sizeof *sum);
}

AUDIO_WIDE void mix_add(float *restrict sum, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += x[i];
}

AUDIO_WIDE void mix_minus(float *restrict out, const float *restrict sum, const float *restrict own, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = sum[i] - own[i];
}
