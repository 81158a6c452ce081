/* SPDX-License-Identifier: MIT */
/*
 * tone - a steady sine for everybody, whatever they say: to hear whether the way from the
 * server is clean.
 */
#include "audio/tone.h"

#include "base/err.h"
#include "bridge/drivers.h"

#include <math.h>
#include <stdlib.h>

struct tone_driver {
	const struct bridge_sink *sink;
	void *sink_ctx;
	struct tone tone;
};

static int tone_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct tone_driver *t;
	double amplitude = pow(10, opts->tone_dbfs / 20) * sqrt(2);

	(void)frame_samples, (void)now;
	if (opts->tone_hz <= 0 || opts->tone_hz >= rate_hz / 2.0) {
		log_error(log, "tone_hz=%g is not below half of the bridge's rate of %u Hz", opts->tone_hz, rate_hz);
		return ERR_RANGE;
	}
	t = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	t->sink = sink;
	t->sink_ctx = sink_ctx;
	tone_init(&t->tone, opts->tone_hz, rate_hz, (float)(amplitude < 1 ? amplitude : 1));
	*self = t;
	return 0;
}

static bool tone_audio(void *self, const struct bridge_hearing *h, nsec now)
{
	struct tone_driver *t = self;
	float pcm[256];

	(void)now;
	for (size_t at = 0, n; at < h->n; at += n) {
		n = h->n - at < 256 ? h->n - at : 256;
		tone_run(&t->tone, pcm, n);
		t->sink->audio(t->sink_ctx, 1, pcm, n);
	}
	return true;
}

const struct bridge_ops bridge_tone = {
	.type = "tone",
	.open = tone_open,
	.audio = tone_audio,
	.close = free,
};
