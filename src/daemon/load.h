/* SPDX-License-Identifier: MIT */
/*
 * load - how much of its time a shard's loop is at work, handshakes and the page excepted, which only take what voice
 * leaves; and whether it should take in new sessions.
 *
 * Newcomers cost nothing until they talk, and the measure follows half a second later. So each is charged in advance what a
 * talker costs, which is learned from the frames that pass: what they cost, and that a talker sends and hears fifty a second.
 * The charge goes as more frames pass, or after four seconds: some only listen. Between the two thresholds nothing changes.
 *
 * No clock, no loop: both are arguments.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Shares of the time, 0..1. */
struct load_rule {
	double refuse; /* from here on it is busy; 0: never */
	double resume; /* below this it is not busy any more */
};

enum { LOAD_WAITS = 8 };

struct load {
	nsec at, idle;    /* the last look */
	nsec except;      /* since then */
	double share;     /* 0..1, of the last half second or so */
	uint64_t frames;  /* at the last look */
	double talkers;   /* as many as would make the frames that pass; of the same time as `share` */
	double measured;  /* those of them who are in `share` */
	double talker;    /* what one of them takes; 0: not known yet */
	double newcomers[LOAD_WAITS]; /* who are not in `share` yet, by when they came: the latest first */
	nsec turned_at;   /* when the latest of these began */
	double late;      /* those whose charge has gone with time */
	bool busy;
};

/* `max` 0: never busy. A `resume` that is not below `max` counts as eight ninths of it. */
struct load_rule load_rule_make(uint32_t max_percent, uint32_t resume_percent);

/* Excludes `spent` of the time since the last look. */
void load_except(struct load *l, nsec spent);
/* Ten times a second: is it time to look? */
bool load_due(const struct load *l, nsec now);
/* `idle`: how long the loop has slept in all; `frames`: of audio, in and out, in all. Does nothing unless it is time. */
void load_look(struct load *l, nsec idle, uint64_t frames, nsec now);
/* `n` more have been taken in. */
void load_charge(struct load *l, uint64_t n);
/* The share with what newcomers will take. */
double load_expected(const struct load *l);
/* Decides anew. */
bool load_decide(struct load *l, const struct load_rule *r);
