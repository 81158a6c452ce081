/* SPDX-License-Identifier: MIT */
/*
 * tone - a continuous sine in blocks, for the tone bridge and for tests. The phase is
 * kept in [0, 1) turns, so it keeps its precision for days. Plain data.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct tone {
	double phase; /* turns */
	double step;  /* turns per sample */
	float level;  /* amplitude */
};

void tone_init(struct tone *t, double hz, uint32_t rate_hz, float amplitude);
void tone_run(struct tone *t, float *out, size_t n);
