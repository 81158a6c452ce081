/* SPDX-License-Identifier: MIT */
/*
 * read_grid - when busy sockets are read. Waking up for each packet costs more than the packet: once packets come fast,
 * they are read on points of a grid of `step` instead, four, two or one step after the last reading, the busier the
 * sooner. Once few come, packets wake the loop again.
 *
 *     off (at == NSEC_NONE) --> read_grid_packet(): 20 wake-ups within 20 steps ------> on
 *     on  (at: next reading) -> read_grid_read(): fewer than 10 packets in 20 steps --> off
 *
 * A policy: no socket, no clock, no allocation; the thread of the sockets.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

struct read_grid {
	nsec step;         /* between two points; 0: always off */
	nsec at;           /* the next reading; NSEC_NONE: off, packets wake the loop */
	nsec window_end;   /* of the count below */
	uint64_t n_window; /* off: wake-ups, on: packets */
	unsigned steps;    /* between two readings */
};

void read_grid_init(struct read_grid *g, nsec step);

static inline bool read_grid_on(const struct read_grid *g)
{
	return g->at != NSEC_NONE;
}

/* A packet has woken the loop. True: it is on now. */
bool read_grid_packet(struct read_grid *g, nsec now);

/* Is there to be a reading now? `tick`: when the owner's next mix is due. */
static inline bool read_grid_due(const struct read_grid *g, nsec tick, nsec now)
{
	return read_grid_on(g) && (now >= g->at || now >= tick);
}

/* It was read: `n` packets came. `more`: some were left, and are read at once, after the timers. True: it is off now. */
bool read_grid_read(struct read_grid *g, uint64_t n, bool more, nsec now);

/* When to wake up: see udp_wake_at(). */
nsec read_grid_wake_at(const struct read_grid *g, nsec tick, nsec rest);
