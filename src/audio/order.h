/* SPDX-License-Identifier: MIT */
/*
 * order - the v1 frames of one talker in their order: finds by sequence and media time which frames are new, duplicates or
 * too late and what is missing before one, and holds frames that overtook others. Bounded by ORDER_HELD
 * frames and ORDER_BYTES of payload (100 ms of PCM at 48 kHz). Single-threaded, no clock; only order_new() allocates.
 */
#pragma once
#include "audio/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_HELD = 32, ORDER_BYTES = 9600, ORDER_SEEN = 64, ORDER_DROPOUT = 3000 };

enum order_verdict {
	ORDER_NEWEST,    /* its number is the highest so far */
	ORDER_OLDER,     /* others overtook it; its turn is still to come */
	ORDER_DUPLICATE,
	ORDER_LATE,      /* its turn is over */
	ORDER_RESTART,   /* the numbers begin anew */
};

/* As a frame, its payload in `bytes`. */
struct order_held {
	struct format format;
	uint16_t at, len;
	uint32_t n_samples;
	struct frame_v1 v1;
};

struct order {
	bool live;        /* a frame was placed: the next six are known */
	bool ends;        /* silence follows the frame placed last */
	uint16_t next;    /* sequence to be placed next, */
	uint32_t time;    /* its media time, */
	uint32_t rate_hz, n_last; /* rate and samples of the frame before it */
	uint16_t newest;
	uint32_t newest_end; /* media time after it */
	uint64_t seen;    /* bit i: newest - i arrived */
	unsigned n_held;
	size_t used;      /* of bytes */
	struct order_held held[ORDER_HELD]; /* sorted */
	uint8_t bytes[ORDER_BYTES];
};

/* Between the frame placed last and another. */
struct order_gap {
	uint32_t samples; /* media time, at the rate of that other */
	uint32_t lost;    /* frames */
	bool silent;      /* the talker was silent: nothing to conceal */
};

/* NULL: no memory. Release it with free(). */
struct order *order_new(void);
/* Forgets everything: the next frame begins anew. */
void order_reset(struct order *o);

/* Judges a frame that arrived. After ORDER_RESTART the caller plays what is held and calls order_start(). `*skipped_ms`:
 * media time between the newest frame before and this one. */
enum order_verdict order_note(struct order *o, const struct frame *f, double *skipped_ms);
void order_start(struct order *o, const struct frame *f);

struct order_gap order_gap(const struct order *o, const struct frame *f);
/* `f` is played next, even if something is missing before it. */
void order_place(struct order *o, const struct frame *f);

/* Copies. ERR_LIMIT: no room for it. */
int order_hold(struct order *o, const struct frame *f);
/* The first one, its payload valid until one is held or dropped; false: none. */
bool order_first(const struct order *o, struct frame *out);
void order_drop_first(struct order *o);
/* Samples at `rate_hz` of the held frames with their gaps. */
size_t order_span(const struct order *o, uint32_t rate_hz);
