/* SPDX-License-Identifier: MIT */
/*
 * path - limiter, resampler and encoder of something that is heard. All three remember what went through them, so
 * each stream of sound has a path of its own. Sound stays float until it is encoded.
 *
 *     mix at the room's rate -> limiter -> [resample] -> path_encode() -> payload
 *
 * Single-threaded, no clock: ticks are numbers. Only path_init() allocates.
 */
#pragma once
#include "audio/codec.h"
#include "audio/limiter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resample;
struct resample_table;
struct room;

/* What is made of the mix. */
struct path_format {
	struct format format;
	uint32_t bitrate_bps; /* 0: the codec's own choice */
};

struct path {
	struct limiter limiter;    /* at the room's rate */
	struct resample *resample; /* NULL: the room's rate is wanted */
	void *encoder;             /* NULL: the codec keeps no state */
	const struct codec *codec;
	uint64_t ran;              /* the last tick it ran in; 0: none */
};

/* `n` samples, borrowed. */
struct sound {
	const float *x;
	size_t n;
};

/* Borrows `t` until path_fini(). ERR_RANGE for a rate, ERR_NOMEM. */
int path_init(struct path *p, const struct resample_table *t, uint32_t room_rate_hz, const struct path_format *f);
void path_fini(struct path *p);
/* `to` goes on where `from` was; of the same format and room rate. */
void path_copy(struct path *to, const struct path *from);
/* Ran in this tick or in the one before: what comes now follows on what went in. */
static inline bool path_live(const struct path *p, uint64_t tick) { return p->ran + 1 >= tick && p->ran > 0; }

/* Limits and resamples one tick of the room, `x`; begins anew unless the path is live. The result is `x` itself or lies in
 * `out`, of OUT_SAMPLES_MAX samples. rooms.block is used up; it may be `x`. */
struct sound path_run(struct path *p, const struct room *r, const float *x, float *out);

/* Makes `f` the frame that `s` is, without its numbers (f->v1). Its payload is written to `out`, of 2 * s.n bytes. */
void path_encode(struct path *p, const struct format *format, struct sound s, uint8_t *out, struct frame *f);
