/* SPDX-License-Identifier: MIT */
/*
 * load - how much of its time a shard's loop is at work, handshakes and the page excepted: they only take what voice leaves.
 * No clock, no loop: both are arguments.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

struct load {
	nsec at, idle;  /* the last look */
	nsec except;    /* since then */
	double share;   /* 0..1, of the last half second or so */
};

/* Excludes `spent` of the time since the last look. */
void load_except(struct load *l, nsec spent);
/* Ten times a second: is it time to look? */
bool load_due(const struct load *l, nsec now);
/* `idle`: how long the loop has slept in all. Does nothing unless it is time. */
void load_look(struct load *l, nsec idle, nsec now);
