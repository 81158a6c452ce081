/* SPDX-License-Identifier: MIT */
#include "audio/vad.h"

#include "audio/simd.h"

#include <math.h>

#define SPEECH_OVER_FLOOR_DB 9.0f
#define SPEECH_MIN_DBFS (-50.0f)
#define FLOOR_MIN_DBFS (-70.0f)
#define FLOOR_START_MAX_DBFS (-45.0f) /* a talker who begins at once is not the noise */
#define FLOOR_RISE_DB_S 2.0f
#define FLOOR_FALL_DB_S 60.0f

void vad_init(struct vad *v, uint32_t rate_hz)
{
	*v = (struct vad){.level_dbfs = VAD_SILENCE_DBFS, .floor_dbfs = FLOOR_MIN_DBFS, .rate_hz = rate_hz};
}

/* A constant is no sound, so the mean is subtracted. One pass, relative to the first sample, so that a
 * large constant does not cost the small sums their digits. */
AUDIO_WIDE static float variance_of(const float *x, size_t n)
{
	const float from = x[0];
	lanes sums = {0}, squares = {0};
	float sum = 0, square = 0;
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		const lanes d = lanes_load(x + i) - from;

		sums += d;
		squares += d * d;
	}
	for (; i < n; i++) {
		sum += x[i] - from;
		square += (x[i] - from) * (x[i] - from);
	}
	sum = (sum + lanes_sum(sums)) / (float)n;
	return (square + lanes_sum(squares)) / (float)n - sum * sum;
}

static float level_of(const float *x, size_t n)
{
	float variance = variance_of(x, n);

	return variance > 1e-10f ? 10 * log10f(variance) : VAD_SILENCE_DBFS;
}

static float clamp(float x, float low, float high)
{
	return x < low ? low : x > high ? high : x;
}

/* Digital silence says nothing about the noise around the talker, who is muted. */
static void follow_floor(struct vad *v, float ms)
{
	float step = v->level_dbfs - v->floor_dbfs;

	if (v->level_dbfs <= VAD_SILENCE_DBFS)
		return;
	if (!v->primed) {
		v->primed = true;
		v->floor_dbfs = clamp(v->level_dbfs, FLOOR_MIN_DBFS, FLOOR_START_MAX_DBFS);
		return;
	}
	step = clamp(step, -FLOOR_FALL_DB_S * ms / 1000, FLOOR_RISE_DB_S * ms / 1000);
	v->floor_dbfs = clamp(v->floor_dbfs + step, FLOOR_MIN_DBFS, 0);
}

static bool decide(struct vad *v, float ms)
{
	bool above = v->level_dbfs >= SPEECH_MIN_DBFS && v->level_dbfs >= v->floor_dbfs + SPEECH_OVER_FLOOR_DB;

	v->above_ms = above ? v->above_ms + ms : 0;
	v->below_ms = above ? 0 : v->below_ms + ms;
	if (v->above_ms >= VAD_ENTER_MS)
		v->speaking = true;
	else if (v->below_ms >= VAD_LEAVE_MS)
		v->speaking = false;
	return v->speaking;
}

bool vad_run(struct vad *v, const float *x, size_t n)
{
	float ms = 1000 * (float)n / (float)v->rate_hz;

	v->level_dbfs = level_of(x, n);
	follow_floor(v, ms);
	return decide(v, ms);
}

bool vad_run_silence(struct vad *v, size_t n)
{
	v->level_dbfs = VAD_SILENCE_DBFS;
	return decide(v, 1000 * (float)n / (float)v->rate_hz);
}
