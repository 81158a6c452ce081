/* SPDX-License-Identifier: MIT */
/*
 * speech - what a bridge says, from the driver until it is mixed:
 *
 *   driver -> backlog (utterances) -> [shorter pauses] -> fades -> [resampler] -> one tick at the room's rate
 *
 * It knows which samples belong to which utterance, how much of one was mixed, and when: a listener hears it later. Where
 * speech begins, runs out or is flushed it is faded, so nothing clicks. Used by the room's thread; it has no clock, a tick is a number of samples.
 * speech_init() allocates the resampler; the backlog allocates as it fills, speech_pull() never.
 */
#pragma once
#include "bridge/pcm_queue.h"
#include "room/catch_up.h"

#include <stdbool.h>

struct resample;
struct resample_table;

enum {
	SPEECH_UTTERANCES = 32,   /* that may wait */
	SPEECH_TICK_MAX = 960,    /* samples of a tick, at either rate */
	SPEECH_OUT_MAX = SPEECH_TICK_MAX + 256, /* what speech_pull() may write */
	SPEECH_CARRY = 16,
	SPEECH_RUNS = 32,         /* that may be on their way to an ear: with one a tick, 640 ms */
	SPEECH_UNDERWAY_MS = 5000, /* nobody hears it later than that */
};

/* The part of the backlog that belongs to one utterance. */
struct speech_part {
	uint64_t utterance;
	size_t n;
};

/* Samples of one utterance that were mixed without a gap. */
struct speech_run {
	uint64_t utterance;
	uint64_t at;   /* of the first, by speech.clock */
	size_t before; /* samples of the utterance that were mixed earlier */
	size_t n;
};

/* How much of an utterance was heard before it was stopped. */
struct speech_cut {
	uint64_t utterance; /* 0: none was */
	uint32_t heard_ms;
};

/* The end of a sound that broke off: its last value and its last slope sink to zero. */
struct speech_fade {
	float value, slope;
	size_t left; /* samples; 0: it is over */
};

struct speech {
	uint32_t rate_hz, room_rate_hz;
	struct pcm_queue backlog;
	struct speech_part parts[SPEECH_UTTERANCES]; /* of the backlog, in order */
	unsigned n_parts;
	uint64_t played;  /* the utterance played last */
	size_t n_played;  /* samples of it */
	uint64_t clock;   /* samples pulled so far, silence included */
	struct speech_run runs[SPEECH_RUNS]; /* the latest, in order, without what was heard long ago */
	unsigned n_runs;
	struct catch_up catch_up; /* off unless the owner turns it on */
	bool sounding;    /* the last sample was speech */
	float last, slope; /* that sample, and its difference from the one before */
	struct speech_fade fade_tail;
	struct resample *resample; /* NULL: the room has the same rate */
	bool filter_tail; /* the resampler still holds the end of a sound */
	float carry[SPEECH_CARRY]; /* resampled beyond the last tick */
	size_t n_carry;
};

/* Borrows `table`. ERR_RANGE for a rate outside 8000..48000, ERR_NOMEM. */
int speech_init(struct speech *s, const struct resample_table *table, uint32_t rate_hz, uint32_t room_rate_hz,
	uint32_t backlog_ms);
/* Accepts a zeroed one. */
void speech_fini(struct speech *s);

/* Copies `n` samples of `utterance` (from 1, never less than the last) into the backlog. All or nothing: ERR_LIMIT over
 * backlog_ms or over SPEECH_UTTERANCES, ERR_NOMEM. */
int speech_push(struct speech *s, uint64_t utterance, const int16_t *pcm, size_t n);
/* A driver begins, whose utterances have nothing to do with those before: forgets all that waits, what sounds fades. */
void speech_begin(struct speech *s);
/* The next tick: writes `n` <= SPEECH_TICK_MAX samples at the room's rate to `out`, which has space for SPEECH_OUT_MAX. Returns
 * false for silence; `out` is undefined then. */
bool speech_pull(struct speech *s, float *out, size_t n);
/* Discards the backlog; what is sounding fades. Tells at which utterance its listener was, and how much of that was heard, if
 * the last `unplayed_ms` of what was pulled have not been played. */
struct speech_cut speech_flush(struct speech *s, uint32_t unplayed_ms);
/* How much of it was pulled and is not heard yet by such a listener, rounded up. */
uint32_t speech_underway_ms(const struct speech *s, uint32_t unplayed_ms);
/* Whether such a listener would hear more of it: only then a flush means something. */
bool speech_goes_on(const struct speech *s, uint32_t unplayed_ms);
/* Frees what the backlog keeps for its next chunk. */
void speech_trim(struct speech *s);

/* Something waits in the backlog. */
static inline bool speech_waits(const struct speech *s) { return s->n_parts > 0; }
/* It is in the middle of saying something. */
static inline bool speech_talks(const struct speech *s) { return speech_waits(s) || s->sounding; }
/* Nothing waits, sounds or fades: speech_pull() would return false. */
bool speech_silent(const struct speech *s);
/* The utterance of the next sample; 0: nothing waits. */
uint64_t speech_next(const struct speech *s);
/* The utterance accepted last; 0: none was. */
uint64_t speech_newest(const struct speech *s);
uint32_t speech_waiting_ms(const struct speech *s); /* rounded up */
