/* SPDX-License-Identifier: MIT */
#include "audio/tone.h"

#include <math.h>

void tone_init(struct tone *t, double hz, uint32_t rate_hz, float amplitude)
{
	*t = (struct tone){.step = hz / rate_hz, .level = amplitude};
}

void tone_run(struct tone *t, float *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = t->level * (float)sin(2 * M_PI * t->phase);
		t->phase += t->step;
		t->phase -= floor(t->phase);
	}
}
