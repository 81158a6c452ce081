/* SPDX-License-Identifier: MIT */
#include "room/barge.h"

#include "audio/fade.h"

#include <math.h>

#define ONSET_MS 40.0f     /* a voice above the noise for this long is somebody talking ... */
#define LOUD_DBFS (-35.0f) /* ... and so is one tick this loud */
#define PAUSE_MS 300.0f    /* longer than the gaps between words: the talker has stopped */
#define UP_TICKS 8         /* back to full level */

enum barge_in barge_policy(const struct bridge_ops *ops, const struct bridge_opts *opts)
{
	if (opts->barge_in != BARGE_IN_AUTO)
		return opts->barge_in;
	return ops->barge_in != BARGE_IN_AUTO ? ops->barge_in : BARGE_IN_CONFIRM;
}

void barge_init(struct barge *b, const struct bridge_ops *ops, const struct bridge_opts *opts)
{
	*b = (struct barge){
		.policy = barge_policy(ops, opts),
		.confirm_ms = (float)opts->confirm_ms,
		.low = (float)pow(10, opts->duck_db / 20),
		.gain = 1,
	};
}

static bool onset(const struct barge_tick *t)
{
	return t->voiced_ms >= ONSET_MS || (t->voiced_ms > 0 && t->level_dbfs >= LOUD_DBFS);
}

static bool paused(struct barge *b, const struct barge_tick *t)
{
	b->quiet_ms = t->voiced_ms > 0 ? 0 : b->quiet_ms + t->ms;
	return b->quiet_ms >= PAUSE_MS;
}

static bool confirmed(const struct barge *b)
{
	return b->policy == BARGE_IN_IMMEDIATE || (b->policy == BARGE_IN_CONFIRM && b->voiced_ms >= b->confirm_ms);
}

static bool talk_over(struct barge *b)
{
	if (!confirmed(b))
		return false;
	b->state = BARGE_YIELDED;
	return true;
}

bool barge_run(struct barge *b, const struct barge_tick *t)
{
	switch (b->state) {
	case BARGE_CALM:
		if (b->policy == BARGE_IN_OFF || !t->speaks || !onset(t))
			return false;
		b->state = BARGE_TALKED_OVER;
		b->voiced_ms = t->voiced_ms;
		b->quiet_ms = 0;
		return talk_over(b);
	case BARGE_TALKED_OVER:
		b->voiced_ms += t->voiced_ms > 0 ? t->ms : 0;
		if (paused(b, t) || !t->speaks) {
			b->state = BARGE_CALM;
			return false;
		}
		return talk_over(b);
	case BARGE_YIELDED:
		if (paused(b, t))
			b->state = BARGE_CALM;
		return false;
	}
	return false;
}

static float next_gain(const struct barge *b)
{
	float up = b->gain + (1 - b->low) / UP_TICKS;

	if (b->state != BARGE_CALM)
		return b->low;
	return up < 1 ? up : 1;
}

void barge_apply(struct barge *b, float *x, size_t n)
{
	float from = b->gain, to = next_gain(b);

	b->gain = to;
	if (from == 1 && to == 1)
		return;
	for (size_t i = 0; i < n; i++) {
		float t = (float)(i + 1) / (float)n;

		x[i] *= from + (to - from) * fade_curve(t);
	}
}

void barge_rest(struct barge *b)
{
	b->gain = next_gain(b);
}
