/* SPDX-License-Identifier: MIT */
/*
 * order - the v1 frames of one talker in their order: tells by sequence and media time what is new, what came
 * twice or too late and what is missing before it, and holds frames that overtook others. Bounded by ORDER_HELD
 * frames and ORDER_BYTES of samples (100 ms at 48 kHz). Single-threaded, no clock; allocates in order_new() alone.
 */
#pragma once
#include "audio/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_HELD = 32, ORDER_BYTES = 9600, ORDER_SEEN = 64, ORDER_DROPOUT = 3000 };

enum order_verdict {
	ORDER_NEWEST,    /* further than any before */
	ORDER_OLDER,     /* others overtook it, its turn is still to come */
	ORDER_DUPLICATE,
	ORDER_LATE,      /* its turn is over */
	ORDER_RESTART,   /* the numbers begin anew: follows on nothing */
};

/* As a frame, its payload in `bytes`. */
struct order_held {
	struct format format;
	uint16_t at, len;
	uint32_t n_samples;
	struct frame_v1 v1;
};

struct order {
	bool live;        /* the next six are known */
	bool ends;        /* silence follows what was placed last */
	uint16_t next;    /* sequence to be placed next, */
	uint32_t time;    /* its media time, */
	uint32_t rate_hz, n_last; /* and what was placed before it */
	uint16_t newest;
	uint32_t newest_end; /* media time after it */
	uint64_t seen;    /* bit i: newest - i came */
	unsigned n_held;
	size_t used;      /* of bytes */
	struct order_held held[ORDER_HELD]; /* sorted */
	uint8_t bytes[ORDER_BYTES];
};

/* What lies between the frame placed last and another. */
struct order_gap {
	uint32_t samples; /* media time, at the rate of that other */
	uint32_t lost;    /* frames */
	bool silent;      /* nobody spoke: not to be concealed */
};

/* NULL: no memory. To be given to free(). */
struct order *order_new(void);
/* Forgets everything: the next frame follows on nothing. */
void order_reset(struct order *o);

/* Looks at a frame that arrived. After ORDER_RESTART the caller takes what is held and calls order_start(). `*skipped_ms`:
 * media time between the newest before and this one. */
enum order_verdict order_note(struct order *o, const struct frame *f, double *skipped_ms);
void order_start(struct order *o, const struct frame *f);

struct order_gap order_gap(const struct order *o, const struct frame *f);
/* `f` is played next, whatever was missing before it. */
void order_place(struct order *o, const struct frame *f);

/* Copies. ERR_LIMIT. */
int order_hold(struct order *o, const struct frame *f);
/* The first one, its payload valid until one is held or dropped; false: none. */
bool order_first(const struct order *o, struct frame *out);
void order_drop_first(struct order *o);
/* Samples at `rate_hz` that what is held will take with its gaps. */
size_t order_span(const struct order *o, uint32_t rate_hz);
