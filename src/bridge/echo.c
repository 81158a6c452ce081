/* SPDX-License-Identifier: MIT */
/*
 * echo - says in the same tick what it hears in it: the shortest round trip, for measuring delay
 * and quality.
 */
#include "audio/pcm.h"
#include "audio/vad.h"
#include "base/err.h"
#include "bridge/drivers.h"

#include <stdlib.h>

enum { PIECE = 1024 }; /* samples handed over at once: more than a tick */

struct echo {
	const struct bridge_sink *sink;
	void *sink_ctx;
	uint64_t utterance; /* one for each stretch of sound */
	bool sounding;
};

static int echo_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct echo *e = calloc(1, sizeof *e);

	(void)opts, (void)rate_hz, (void)frame_samples, (void)log, (void)now;
	if (!e)
		return ERR_NOMEM;
	e->sink = sink;
	e->sink_ctx = sink_ctx;
	*self = e;
	return 0;
}

/* Over the backlog the room counts what it drops. */
static void say(struct echo *e, const float *x, size_t n)
{
	int16_t pcm[PIECE];

	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < PIECE ? n - at : PIECE;
		pcm_to_i16(pcm, x + at, k);
		e->sink->audio(e->sink_ctx, e->utterance, pcm, k);
	}
}

/* Digital silence is echoed, too: the sender counts on one frame back for each. */
static bool echo_audio(void *self, const struct bridge_input *in, nsec now)
{
	struct echo *e = self;
	bool sound = in->talkers > 0 || in->level_dbfs > VAD_SILENCE_DBFS;

	(void)now;
	if (sound && !e->sounding)
		e->utterance++;
	e->sounding = sound;
	if (sound)
		say(e, in->pcm, in->n);
	return false;
}

const struct bridge_ops bridge_echo = {
	.type = "echo",
	.open = echo_open,
	.audio = echo_audio,
	.close = free,
	.barge_in = BARGE_IN_OFF,
};
