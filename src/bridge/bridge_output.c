/* SPDX-License-Identifier: MIT */
#include "bridge/bridge_output.h"

#include "audio/g711.h"
#include "audio/pcm.h"
#include "base/base64.h"

enum {
	PIECE_TEXT = OUTPUT_PIECE * 2 / 3 * 4, /* characters of base64 in a piece */
	SILENCE = 2,                           /* steps of 16 bits */
};

void bridge_output_init(struct bridge_output *o, const struct bridge_sink *sink, void *sink_ctx, uint32_t rate_hz,
	uint32_t silence_ms)
{
	*o = (struct bridge_output){
		.sink = sink,
		.sink_ctx = sink_ctx,
		.rate_hz = rate_hz,
		.silence_ms = silence_ms,
		.utterance = 1,
	};
}

void bridge_output_next(struct bridge_output *o)
{
	o->utterance++;
	o->has_half = false;
	o->refused = false;
}

void bridge_output_flushed(struct bridge_output *o)
{
	bridge_output_next(o);
	o->audible = 0;
}

static bool is_silence(const int16_t *pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pcm[i] > SILENCE || pcm[i] < -SILENCE)
			return false;
	return true;
}

static bool skips_silence(const struct bridge_output *o)
{
	return o->silence_ms != OUTPUT_ALL_SILENCE && o->audible <= o->played &&
		o->accepted - o->played >= (uint64_t)o->rate_hz * o->silence_ms / 1000;
}

static void hand_over(struct bridge_output *o, const int16_t *pcm, size_t n)
{
	bool silence = is_silence(pcm, n);

	if (o->refused || (silence && skips_silence(o)))
		return;
	if (o->sink->audio(o->sink_ctx, o->utterance, pcm, n)) {
		o->refused = true;
		return;
	}
	o->accepted += n;
	if (!silence)
		o->audible = o->accepted;
}

/* ---- decoding, at most OUTPUT_PIECE samples ---- */

static void send_ulaw(struct bridge_output *o, const uint8_t *p, size_t n)
{
	int16_t pcm[OUTPUT_PIECE];

	ulaw_decode(pcm, p, n);
	hand_over(o, pcm, n);
}

static void send_pcm16(struct bridge_output *o, const uint8_t *p, size_t n)
{
	int16_t pcm[OUTPUT_PIECE];

	pcm_from_bytes(pcm, p, n);
	hand_over(o, pcm, n);
}

/* Completes the sample that was cut. */
static size_t join_half(struct bridge_output *o, uint8_t second)
{
	uint8_t sample[2] = {o->half, second};

	o->has_half = false;
	send_pcm16(o, sample, 1);
	return 1;
}

/* With half a sample more, if one was cut. */
static size_t send_piece(struct bridge_output *o, enum output_coding coding, const uint8_t *p, size_t len)
{
	size_t n = 0;

	if (coding == OUTPUT_ULAW) {
		send_ulaw(o, p, len);
		return len;
	}
	if (o->has_half && len) {
		n = join_half(o, *p);
		p++;
		len--;
	}
	if (len >= 2)
		send_pcm16(o, p, len / 2);
	o->has_half = len % 2;
	if (o->has_half)
		o->half = p[len - 1];
	return n + len / 2;
}

size_t bridge_output_send(struct bridge_output *o, enum output_coding coding, const uint8_t *p, size_t len)
{
	size_t step = coding == OUTPUT_ULAW ? OUTPUT_PIECE : OUTPUT_PIECE * 2, n = 0;

	o->refused = false;
	for (size_t k; len > 0; p += k, len -= k) {
		k = len < step ? len : step;
		n += send_piece(o, coding, p, k);
	}
	return n;
}

ssize_t bridge_output_send_base64(struct bridge_output *o, enum output_coding coding, const char *text, size_t len)
{
	size_t step = coding == OUTPUT_ULAW ? PIECE_TEXT / 2 : PIECE_TEXT, n = 0;
	uint8_t bytes[OUTPUT_PIECE * 2 + 3];

	o->refused = false;
	for (size_t k; len > 0; text += k, len -= k) {
		k = len < step ? len : step;
		ssize_t got = base64_decode(bytes, text, k);

		if (got < 0 || (k < len && got != (ssize_t)(k / 4 * 3))) /* padding belongs to the end */
			return -1;
		n += send_piece(o, coding, bytes, (size_t)got);
	}
	return (ssize_t)n;
}

static uint64_t but_the_last(uint64_t n, uint32_t ms, uint32_t rate_hz)
{
	uint64_t last = (uint64_t)ms * rate_hz / 1000;

	return n > last ? n - last : 0;
}

void bridge_output_tick(struct bridge_output *o, const struct bridge_input *h)
{
	o->played = but_the_last(o->accepted, h->waiting_ms, o->rate_hz);
	o->heard = but_the_last(o->played, h->underway_ms, o->rate_hz);
}
