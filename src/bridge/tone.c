/* SPDX-License-Identifier: MIT */
/*
 * tone - a steady sine for everybody, whatever they say: to hear whether the path from the
 * server is clean. Where barge_in lets people interrupt it, it is silent until they pause and then begins again.
 */
#include "bridge/tone.h"

#include "audio/pcm.h"
#include "audio/tone.h"
#include "base/err.h"
#include "bridge/drivers.h"

#include <math.h>
#include <stdlib.h>

enum { PAUSE_MS = 200, PIECE = 256 };

struct tone_driver {
	const struct bridge_sink *sink;
	void *sink_ctx;
	struct tone tone;
	uint32_t rate_hz;
	uint64_t utterance;
	bool interrupted;
	size_t pause; /* samples since anybody spoke, while it is */
};

static const struct tone_opts defaults = {.hz = 440, .dbfs = -20};

static const struct option_row rows[] = {
	{.key = "tone_hz", .type = OPTION_DOUBLE, OPTION_AT(tone_opts, hz), .min = 20, .max = 20000, .unit = "Hz",
		.help = "pitch of the tone"},
	{.key = "tone_dbfs", .type = OPTION_DOUBLE, OPTION_AT(tone_opts, dbfs), .min = -60, .max = 0, .unit = "dBFS",
		.help = "loudness of the tone; a sine that fills the range has -3"},
};

static const struct bridge_options options = BRIDGE_OPTIONS(rows, defaults);

static int tone_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct tone_driver *t;
	const struct tone_opts *o = opts->options ? opts->options : &defaults;
	double amplitude = pow(10, o->dbfs / 20) * sqrt(2);

	(void)frame_samples, (void)now;
	if (o->hz <= 0 || o->hz >= rate_hz / 2.0) {
		log_error(log, "tone_hz=%g is not below half of the bridge's rate of %u Hz", o->hz, rate_hz);
		return ERR_RANGE;
	}
	t = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	t->sink = sink;
	t->sink_ctx = sink_ctx;
	t->utterance = 1;
	t->rate_hz = rate_hz;
	tone_init(&t->tone, o->hz, rate_hz, (float)(amplitude < 1 ? amplitude : 1));
	*self = t;
	return 0;
}

/* A voice counts as speech a little after it began, and for a while after it ended. */
static bool interrupted(struct tone_driver *t, const struct bridge_input *in)
{
	t->pause = in->speech ? 0 : t->pause + in->n;
	t->interrupted = t->interrupted && t->pause * 1000 < (size_t)t->rate_hz * PAUSE_MS;
	return t->interrupted;
}

static bool tone_audio(void *self, const struct bridge_input *in, nsec now)
{
	struct tone_driver *t = self;
	float x[PIECE];
	int16_t pcm[PIECE];

	(void)now;
	if (interrupted(t, in))
		return true;
	for (size_t at = 0, n; at < in->n; at += n) {
		n = in->n - at < PIECE ? in->n - at : PIECE;
		tone_run(&t->tone, x, n);
		pcm_to_i16(pcm, x, n);
		t->sink->audio(t->sink_ctx, t->utterance, pcm, n);
	}
	return true;
}

static void tone_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct tone_driver *t = self;

	(void)now;
	if (ev->kind != BRIDGE_INTERRUPTED)
		return;
	t->interrupted = true;
	t->pause = 0;
	t->utterance++;
}

const struct bridge_ops bridge_tone = {
	.type = "tone",
	.open = tone_open,
	.audio = tone_audio,
	.event = tone_event,
	.close = free,
	.options = &options,
	.barge_in = BARGE_IN_OFF,
};
