/* SPDX-License-Identifier: MIT */
#include "bridge/voice.h"

#include "audio/g711.h"
#include "audio/pcm.h"
#include "base/base64.h"
#include "base/err.h"

#include <string.h>

enum { PIECE = 480, PIECE_TEXT = PIECE * 2 / 3 * 4, SILENCE = 3 /* steps of 16 bits */ };

void voice_init(struct voice *v, const struct bridge_sink *sink, void *sink_ctx, uint32_t rate_hz)
{
	*v = (struct voice){.sink = sink, .sink_ctx = sink_ctx, .rate_hz = rate_hz, .item = 1};
}

void voice_next(struct voice *v)
{
	v->item++;
	v->has_odd = false;
	v->refused = false;
}

static bool is_silence(const int16_t *pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pcm[i] > SILENCE || pcm[i] < -SILENCE)
			return false;
	return true;
}

static bool skips(const struct voice *v)
{
	return v->skips_silence && v->audible <= v->played &&
		v->taken - v->played >= (uint64_t)v->rate_hz * VOICE_SILENCE_MS / 1000;
}

static void give(struct voice *v, const int16_t *pcm, size_t n)
{
	bool silence = is_silence(pcm, n);

	if (v->refused) /* what comes after a hole would be worse than a shorter sentence */
		return;
	if (silence && skips(v))
		return;
	if (v->sink->audio(v->sink_ctx, v->item, pcm, n)) {
		v->refused = true;
		return;
	}
	v->taken += n;
	if (!silence)
		v->audible = v->taken;
}

/* At most PIECE samples. */
static void say_ulaw(struct voice *v, const uint8_t *p, size_t n)
{
	int16_t pcm[PIECE];

	ulaw_decode(pcm, p, n);
	give(v, pcm, n);
}

static void say_pcm16(struct voice *v, const uint8_t *p, size_t n)
{
	int16_t pcm[PIECE];

	pcm_from_bytes(pcm, p, n);
	give(v, pcm, n);
}

/* Completes the sample that was cut. */
static size_t join_odd(struct voice *v, const uint8_t *p)
{
	uint8_t whole[2] = {v->odd, *p};

	v->has_odd = false;
	say_pcm16(v, whole, 1);
	return 1;
}

/* At most PIECE samples and a half. */
static size_t say_piece(struct voice *v, enum voice_coding coding, const uint8_t *p, size_t len)
{
	size_t n = 0;

	if (coding == VOICE_ULAW) {
		say_ulaw(v, p, len);
		return len;
	}
	if (v->has_odd && len) {
		n = join_odd(v, p);
		p++;
		len--;
	}
	if (len >= 2)
		say_pcm16(v, p, len / 2);
	v->has_odd = len % 2;
	if (v->has_odd)
		v->odd = p[len - 1];
	return n + len / 2;
}

size_t voice_say(struct voice *v, enum voice_coding coding, const uint8_t *p, size_t len)
{
	size_t step = coding == VOICE_ULAW ? PIECE : PIECE * 2, n = 0;

	v->refused = false;
	for (size_t take; len > 0; p += take, len -= take) {
		take = len < step ? len : step;
		n += say_piece(v, coding, p, take);
	}
	return n;
}

ssize_t voice_say_base64(struct voice *v, enum voice_coding coding, const char *text, size_t len)
{
	size_t step = coding == VOICE_ULAW ? PIECE_TEXT / 2 : PIECE_TEXT, n = 0;
	uint8_t bytes[PIECE * 2 + 3];

	v->refused = false;
	for (size_t take; len > 0; text += take, len -= take) {
		take = len < step ? len : step;
		ssize_t got = base64_decode(bytes, text, take);

		if (got < 0 || (take < len && got != (ssize_t)(take / 4 * 3))) /* padding belongs to the end */
			return -1;
		n += say_piece(v, coding, bytes, (size_t)got);
	}
	return (ssize_t)n;
}

void voice_tick(struct voice *v, uint32_t waiting_ms)
{
	uint64_t waiting = (uint64_t)waiting_ms * v->rate_hz / 1000;

	v->played = v->taken > waiting ? v->taken - waiting : 0;
}
