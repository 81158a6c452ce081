/* SPDX-License-Identifier: MIT */
/*
 * parrot - waits until everybody pauses, then repeats what was said, once. Talking over it makes it stop at once;
 * the new words are repeated in turn.
 *
 *     input -> recording (the last 300 ms while listening, the last max_ms while recording)
 *                | a pause
 *            repetition -> sink, a little ahead of real time
 *
 * Of a speech longer than max_ms it keeps the end, which people remember best; so sound that never
 * pauses is bounded, too. It counts time in ticks. The room fades the beginning and the end of speech.
 */
#include "bridge/parrot.h"

#include "audio/pcm.h"
#include "audio/vad.h"
#include "base/err.h"
#include "bridge/drivers.h"
#include "bridge/pcm_queue.h"

#include <stdlib.h>

enum {
	PRE_ROLL_MS = 300, /* from before the voice was detected: soft beginnings */
	TAIL_MS = 200,     /* of the pause that is kept: soft endings */
	AHEAD_MS = 60,     /* how far speech is handed over before its time */
	PIECE = 240,       /* samples handed over at once */
};
#define LEAST_VOICED_MS 200.0f /* less is a cough or a click, not worth repeating */
#define ONSET_MS 40.0f      /* a voice above the noise for this long talks over it ... */
#define LOUD_DBFS (-35.0f)  /* ... and so does one tick this loud */

enum parrot_state {
	PARROT_LISTENING, /* nobody speaks; the pre-roll is kept */
	PARROT_RECORDING, /* somebody speaks, or paused for less than pause_ms */
	PARROT_REPEATING, /* speaks */
};

struct parrot {
	const struct parrot_opts *opts;
	const struct bridge_sink *sink;
	void *sink_ctx;
	uint32_t rate_hz;
	enum parrot_state state;
	struct vad vad;               /* of the mix */
	struct pcm_queue recording, repetition;
	float voiced_ms, quiet_ms;    /* of the recording: in all; since the last voice */
	uint64_t utterance;
};

static const struct parrot_opts defaults = {.pause_ms = 600, .max_ms = 15000};

static const struct option_row rows[] = {
	{.key = "pause_ms", .type = OPTION_U32, OPTION_AT(parrot_opts, pause_ms), .min = 100, .max = 5000, .unit = "ms",
		.help = "silence after which it repeats what it heard"},
	{.key = "max_ms", .type = OPTION_U32, OPTION_AT(parrot_opts, max_ms), .min = 1000, .max = 60000, .unit = "ms",
		.help = "longest repetition"},
};

static const struct bridge_options options = BRIDGE_OPTIONS(rows, defaults);

static size_t samples(const struct parrot *p, uint32_t ms)
{
	return (size_t)((uint64_t)p->rate_hz * ms / 1000);
}

static int parrot_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct parrot *p = calloc(1, sizeof *p);

	(void)log, (void)now;
	if (!p)
		return ERR_NOMEM;
	p->opts = opts->options ? opts->options : &defaults;
	p->sink = sink;
	p->sink_ctx = sink_ctx;
	p->rate_hz = rate_hz;
	vad_init(&p->vad, rate_hz);
	pcm_queue_init(&p->recording, samples(p, p->opts->max_ms) + 2 * frame_samples);
	pcm_queue_init(&p->repetition, samples(p, p->opts->max_ms) + 2 * frame_samples);
	*self = p;
	return 0;
}

static void parrot_close(void *self)
{
	struct parrot *p = self;

	pcm_queue_clear(&p->recording);
	pcm_queue_clear(&p->repetition);
	free(p);
}

/* Keeps the end of what was heard; drops first, so that the chunk can be used again. Without memory a piece of it is
 * missing. */
static void append(struct parrot *p, const struct bridge_input *in)
{
	size_t most = samples(p, p->state == PARROT_RECORDING ? p->opts->max_ms : PRE_ROLL_MS);
	int16_t pcm[PIECE];

	if (p->recording.len + in->n > most)
		pcm_queue_pull(&p->recording, NULL, p->recording.len + in->n - most);
	for (size_t at = 0, n; at < in->n; at += n) {
		n = in->n - at < PIECE ? in->n - at : PIECE;
		pcm_to_i16(pcm, in->pcm + at, n);
		(void)pcm_queue_push(&p->recording, pcm, n);
	}
}

static bool onset(const struct parrot *p)
{
	return p->vad.above_ms >= ONSET_MS || (p->vad.above_ms > 0 && p->vad.level_dbfs >= LOUD_DBFS);
}

static void record(struct parrot *p)
{
	p->state = PARROT_RECORDING;
	p->voiced_ms = p->vad.above_ms;
	p->quiet_ms = 0;
}

static void repeat(struct parrot *p)
{
	size_t pause = samples(p, (uint32_t)p->quiet_ms), tail = samples(p, TAIL_MS);

	if (pause > tail)
		pcm_queue_cut(&p->recording, p->recording.len > pause - tail ? p->recording.len - (pause - tail) : 0);
	pcm_queue_clear(&p->repetition);
	p->repetition = p->recording;
	pcm_queue_init(&p->recording, p->repetition.max);
	p->utterance++;
	p->state = PARROT_REPEATING;
}

static void forget(struct parrot *p)
{
	pcm_queue_clear(&p->recording);
	p->state = PARROT_LISTENING;
}

static void go_on_recording(struct parrot *p, float ms)
{
	if (p->vad.above_ms > 0) {
		p->voiced_ms += ms;
		p->quiet_ms = 0;
		return;
	}
	p->quiet_ms += ms;
	if (p->quiet_ms < (float)p->opts->pause_ms)
		return;
	if (p->voiced_ms >= LEAST_VOICED_MS)
		repeat(p);
	else
		forget(p);
}

/* Only a little ahead, so that the room does not hold all of it, too. Returns whether there was something. */
static bool hand_over(struct parrot *p, uint32_t waiting_ms)
{
	size_t waiting = samples(p, waiting_ms), want = samples(p, AHEAD_MS);
	bool had_some = p->repetition.len > 0;
	int16_t pcm[PIECE];

	while (waiting < want && p->repetition.len > 0) {
		size_t n = pcm_queue_pull(&p->repetition, pcm, PIECE);

		if (p->sink->audio(p->sink_ctx, p->utterance, pcm, n)) {
			pcm_queue_clear(&p->repetition); /* the backlog is smaller than this: say what fits */
			break;
		}
		waiting += n;
	}
	return had_some;
}

static void go_on_repeating(struct parrot *p, const struct bridge_input *in)
{
	if (onset(p)) {
		pcm_queue_clear(&p->repetition);
		p->sink->flush(p->sink_ctx);
		record(p);
		return;
	}
	if (!hand_over(p, in->waiting_ms) && in->waiting_ms == 0) {
		pcm_queue_clear(&p->repetition);
		p->state = PARROT_LISTENING;
	}
}

static bool parrot_audio(void *self, const struct bridge_input *in, nsec now)
{
	struct parrot *p = self;
	float ms = 1000 * (float)in->n / (float)p->rate_hz;

	(void)now;
	if (in->n == 0)
		return p->state != PARROT_LISTENING;
	vad_run(&p->vad, in->pcm, in->n);
	append(p, in);
	switch (p->state) {
	case PARROT_LISTENING:
		if (p->vad.speaking)
			record(p);
		else if (in->talkers == 0)
			forget(p);
		break;
	case PARROT_RECORDING:
		go_on_recording(p, ms);
		break;
	case PARROT_REPEATING:
		go_on_repeating(p, in);
		break;
	}
	return p->state != PARROT_LISTENING;
}

/* Silenced, or allowed to speak again: it does not go on in the middle of a repetition. */
static void parrot_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct parrot *p = self;

	(void)now;
	if (ev->kind != BRIDGE_MODE)
		return;
	pcm_queue_clear(&p->repetition);
	forget(p);
}

const struct bridge_ops bridge_parrot = {
	.type = "parrot",
	.open = parrot_open,
	.audio = parrot_audio,
	.event = parrot_event,
	.close = parrot_close,
	.options = &options,
	.barge_in = BARGE_IN_WORKER, /* it stops by itself, as soon as the room could */
};
