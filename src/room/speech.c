/* SPDX-License-Identifier: MIT */
#include "room/speech.h"

#include "audio/fade.h"
#include "audio/mixer.h"
#include "audio/resample.h"
#include "base/err.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define FADE_MS 5        /* at every beginning and end of speech */
#define INAUDIBLE 1e-4f  /* -80 dBFS */

static size_t samples(const struct speech *s, uint32_t ms)
{
	return (size_t)((uint64_t)s->rate_hz * ms / 1000);
}

int speech_init(struct speech *s, const struct resample_table *table, uint32_t rate_hz, uint32_t room_rate_hz,
	uint32_t backlog_ms)
{
	*s = (struct speech){.rate_hz = rate_hz, .room_rate_hz = room_rate_hz};
	pcm_queue_init(&s->backlog, samples(s, backlog_ms));
	catch_up_init(&s->catch_up, rate_hz, false);
	return rate_hz == room_rate_hz ? 0 : resample_new(table, rate_hz, room_rate_hz, &s->resample);
}

void speech_fini(struct speech *s)
{
	pcm_queue_clear(&s->backlog);
	resample_free(s->resample);
	s->resample = NULL;
}

void speech_trim(struct speech *s)
{
	if (s->backlog.len == 0)
		pcm_queue_clear(&s->backlog);
}

/* ---- the backlog ---- */

static int add_part(struct speech *s, uint64_t utterance, size_t n)
{
	struct speech_part *last = s->n_parts ? &s->parts[s->n_parts - 1] : NULL;

	if (last && last->utterance == utterance) {
		last->n += n;
		return 0;
	}
	if (s->n_parts == SPEECH_UTTERANCES)
		return ERR_LIMIT;
	s->parts[s->n_parts++] = (struct speech_part){utterance, n};
	return 0;
}

int speech_push(struct speech *s, uint64_t utterance, const int16_t *pcm, size_t n)
{
	size_t before = s->backlog.len;
	int err = pcm_queue_push(&s->backlog, pcm, n);

	if (!err && n > 0)
		err = add_part(s, utterance, n);
	if (err)
		pcm_queue_cut(&s->backlog, before);
	else
		catch_up_came(&s->catch_up, n);
	return err;
}

/* ---- what is on its way to an ear ---- */

static uint64_t end_of(const struct speech_run *r)
{
	return r->at + r->n;
}

/* The sample that such a listener hears next, by the clock. */
static uint64_t ear(const struct speech *s, uint32_t unplayed_ms)
{
	size_t behind = samples(s, unplayed_ms);

	return s->clock > behind ? s->clock - behind : 0;
}

static struct speech_cut cut_after(const struct speech *s, uint64_t utterance, size_t heard)
{
	return (struct speech_cut){utterance, (uint32_t)(1000 * (uint64_t)heard / s->rate_hz)};
}

static struct speech_cut cut_at(const struct speech *s, uint64_t at)
{
	for (unsigned i = 0; i < s->n_runs; i++) {
		const struct speech_run *r = &s->runs[i];

		if (end_of(r) > at)
			return cut_after(s, r->utterance, r->before + (at > r->at ? at - r->at : 0));
	}
	uint64_t next = s->n_parts ? s->parts[0].utterance : s->played;

	return cut_after(s, next, next == s->played ? s->n_played : 0);
}

uint32_t speech_underway_ms(const struct speech *s, uint32_t unplayed_ms)
{
	uint64_t at = ear(s, unplayed_ms), n = 0;

	for (unsigned i = s->n_runs; i-- > 0 && end_of(&s->runs[i]) > at;)
		n += end_of(&s->runs[i]) - (s->runs[i].at > at ? s->runs[i].at : at);
	return (uint32_t)((1000 * n + s->rate_hz - 1) / s->rate_hz);
}

/* At its very end counts as in it: more may come with the next tick. */
bool speech_goes_on(const struct speech *s, uint32_t unplayed_ms)
{
	return s->n_parts > 0 || (s->n_runs > 0 && end_of(&s->runs[s->n_runs - 1]) >= ear(s, unplayed_ms));
}

/* `n` samples more of the utterance that is played, at the clock. */
static void note_run(struct speech *s, size_t n)
{
	struct speech_run *last = s->n_runs ? &s->runs[s->n_runs - 1] : NULL;

	if (last && last->utterance == s->played && end_of(last) == s->clock && last->before + last->n == s->n_played) {
		last->n += n;
		return;
	}
	if (s->n_runs == SPEECH_RUNS)
		memmove(s->runs, s->runs + 1, --s->n_runs * sizeof *s->runs);
	s->runs[s->n_runs++] = (struct speech_run){s->played, s->clock, s->n_played, n};
}

static void forget_runs(struct speech *s)
{
	if (s->n_runs && end_of(&s->runs[s->n_runs - 1]) + samples(s, SPEECH_UNDERWAY_MS) < s->clock)
		s->n_runs = 0;
}

struct speech_cut speech_flush(struct speech *s, uint32_t unplayed_ms)
{
	struct speech_cut cut = cut_at(s, ear(s, unplayed_ms));

	pcm_queue_cut(&s->backlog, 0);
	s->n_parts = s->n_runs = 0;
	return cut;
}

void speech_begin(struct speech *s)
{
	(void)speech_flush(s, 0);
	s->played = 0;
	s->n_played = 0;
}

uint64_t speech_next(const struct speech *s)
{
	return s->n_parts ? s->parts[0].utterance : 0;
}

uint64_t speech_newest(const struct speech *s)
{
	return s->n_parts ? s->parts[s->n_parts - 1].utterance : s->played;
}

uint32_t speech_waiting_ms(const struct speech *s)
{
	return (uint32_t)((1000 * (uint64_t)s->backlog.len + s->rate_hz - 1) / s->rate_hz);
}

bool speech_silent(const struct speech *s)
{
	return s->backlog.len == 0 && !s->sounding && s->fade_tail.left == 0 && !s->filter_tail;
}

/* Takes `n` samples off the parts; `timed`: they take time, too. */
static void count_taken(struct speech *s, size_t n, bool timed)
{
	for (size_t k; n > 0 && s->n_parts > 0; n -= k) {
		struct speech_part *part = &s->parts[0];

		k = n < part->n ? n : part->n;
		if (part->utterance != s->played) {
			s->played = part->utterance;
			s->n_played = 0;
		}
		if (timed) {
			note_run(s, k);
			s->clock += k;
		}
		s->n_played += k;
		part->n -= k;
		if (part->n == 0)
			memmove(part, part + 1, --s->n_parts * sizeof *part);
	}
}

/* ---- its ends ---- */

static void fade_begin(const struct speech *s, float *x, size_t n)
{
	size_t len = samples(s, FADE_MS);

	for (size_t i = 0; i < n && i < len; i++)
		x[i] *= fade_rising(i, len);
}

/* Adds the end of a sound that broke off. The slope, which would be heard as a click if it stopped at once, lasts for a third
 * of the time that the value does. */
static void fade_end(struct speech *s, float *x, size_t n)
{
	struct speech_fade *f = &s->fade_tail;
	size_t len = samples(s, FADE_MS);

	for (size_t i = 0; i < n && f->left > 0; i++, f->left--) {
		float at = (float)(len - f->left + 1), t = at / (float)len, u = 3 * t;

		x[i] += f->value * (1 - t) * (1 - t) * (1 + 2 * t);
		if (u < 1)
			x[i] += f->slope * at * (1 - u) * (1 - u);
	}
}

/* Speech ran out. Returns whether there is something to fade. */
static bool break_off(struct speech *s, float *x, size_t n)
{
	s->sounding = false;
	if (fabsf(s->last) + fabsf(s->slope) < INAUDIBLE)
		return false;
	s->fade_tail = (struct speech_fade){s->last, s->slope, samples(s, FADE_MS)};
	fade_end(s, x, n);
	return true;
}

/* ---- playing: exactly a tick at a time ---- */

/* Lays the next `n` samples over those in `x`: the second half of a pause over its first. Both are noise, so their powers add up. */
static void lay_over(struct speech *s, float *x, size_t n)
{
	float y[SPEECH_TICK_MAX];
	size_t got = pcm_queue_pull_float(&s->backlog, y, n);

	count_taken(s, got, false);
	for (size_t i = 0; i < got; i++) {
		float t = (float)(i + 1) / (float)(n + 1);

		x[i] = x[i] * sqrtf(1 - t) + y[i] * sqrtf(t);
	}
}

static size_t pull_backlog(struct speech *s, float *x, size_t n)
{
	bool shorter = catch_up_played(&s->catch_up, &s->backlog, n);
	size_t got = pcm_queue_pull_float(&s->backlog, x, n);

	if (got == 0)
		return 0;
	count_taken(s, got, true);
	if (shorter)
		lay_over(s, x, got);
	if (!s->sounding)
		fade_begin(s, x, got);
	s->slope = x[got - 1] - (got > 1 ? x[got - 2] : s->sounding ? s->last : 0);
	s->last = x[got - 1];
	s->sounding = true;
	return got;
}

/* `n` samples at the driver's rate. Returns whether any may be other than silence. */
static bool play(struct speech *s, float *x, size_t n)
{
	bool sounds = s->fade_tail.left > 0;
	size_t got = pull_backlog(s, x, n);

	s->clock += n - got;
	mix_clear(x + got, n - got);
	fade_end(s, x, n); /* an earlier end goes on under what comes */
	if (s->sounding && got < n)
		sounds |= break_off(s, x + got, n - got);
	return sounds || got > 0;
}

/* Both resamplers of a seat round up what they have made so far, so a driver that says a sample for each it hears is
 * never short of one. */
static bool play_resampled(struct speech *s, float *out, size_t n)
{
	float x[SPEECH_TICK_MAX];
	size_t have = s->n_carry;
	bool played = false;

	memcpy(out, s->carry, have * sizeof *out);
	while (have < n) {
		size_t want = ((n - have) * s->rate_hz + s->room_rate_hz - 1) / s->room_rate_hz;

		played |= play(s, x, want);
		have += resample_run(s->resample, x, want, out + have, SPEECH_OUT_MAX - have);
	}
	s->n_carry = have - n;
	assert(s->n_carry <= SPEECH_CARRY);
	memcpy(s->carry, out + n, s->n_carry * sizeof *out);
	bool sounds = played || s->filter_tail;

	s->filter_tail = played;
	return sounds;
}

bool speech_pull(struct speech *s, float *out, size_t n)
{
	if (speech_silent(s)) {
		s->clock += n * s->rate_hz / s->room_rate_hz;
		forget_runs(s);
		return false;
	}
	return s->resample ? play_resampled(s, out, n) : play(s, out, n);
}
