/* SPDX-License-Identifier: MIT */
/*
 * output - one format in which a room is heard: codec, rate and bitrate. A listener that makes no sound hears the sum of all, so
 * all silent listeners of an output share one path: limited, resampled and encoded once a tick.
 *
 *                      +-> shared path -> frame of the tick -> every silent listener
 *     sum of the tick -+
 *                      +-> sum - own -> own path -> frame of its own -> a listener that talks
 *
 * One thread. Memory is taken with the first listener of a format.
 */
#pragma once
#include "audio/codec.h"
#include "base/list.h"
#include "base/time.h"
#include "room/path.h"

struct room;

struct output {
	struct list node;      /* in room.outputs */
	struct list listeners;
	struct path_format key;
	struct path path;
	/* of this tick */
	struct sound sound;    /* n 0: not computed yet */
	struct frame frame;    /* n_samples 0: not encoded yet */
	unsigned n_served;     /* listeners that shared it */
};

/* The room's output of this format, a new one if there is none. ERR_RANGE for a rate, ERR_NOMEM. */
int output_get(struct room *r, const struct path_format *key, struct output **out);
/* Frees it if nobody listens to it. */
void output_release(struct output *o);

/* The shared sound of this tick, as samples and encoded. Computed by the first call of a tick. */
struct sound output_sound(struct room *r, struct output *o);
const struct frame *output_frame(struct room *r, struct output *o);

/* To every listener of every output. `n_sources`: how many sounds are in the sum. */
void outputs_deliver(struct room *r, unsigned n_sources, nsec now);
