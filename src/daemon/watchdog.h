/* SPDX-License-Identifier: MIT */
/*
 * watchdog - tells a shard that hangs from one that is slow, from one that sleeps, and from a machine that stood still.
 *
 * Every few hundred milliseconds main looks how often each shard has done what was due, its *turns*. A shard with turns
 * since the last look lives, however late it is. One without is asked to turn (it may have had nothing to do) and must
 * have done so by the next look. What counts is the number of looks and not the time between them: main looks as rarely
 * as everybody works while the machine stands still or has too much to do, so such a time is one look and no sign of anything.
 *
 * Main itself need not be watched: it does not look any more, so nobody is fed. No clock, no memory; one thread.
 */
#pragma once
#include "base/time.h"
#include "quic/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

enum watchdog_verdict {
	WATCHDOG_FEED, /* each shard has turned since the last look, or is asked to only now */
	WATCHDOG_WAIT, /* one was asked and has not turned yet */
	WATCHDOG_HUNG, /* one has not turned until shortly before the service's limit */
};

struct watchdog {
	uint32_t every_ms;    /* between looks */
	uint32_t looks_limit; /* without a turn: it hangs */
	struct watchdog_shard {
		uint64_t turns;
		uint32_t missed; /* looks since the last turn */
	} shard[QUIC_SHARDS_MAX];
};

/* `limit_ms`: what the service allows between two feedings (WatchdogSec=); 0: it has no watchdog. */
void watchdog_init(struct watchdog *w, uint64_t limit_ms);
/* Shard `i` has turned `turns` times in all. True: it did since the last look; false: ask it to. */
bool watchdog_look(struct watchdog *w, unsigned i, uint64_t turns);
/* After all `n` shards were looked at. */
enum watchdog_verdict watchdog_verdict(const struct watchdog *w, unsigned n);
/* Has a shard not turned for two seconds, pauses of the machine excepted? */
bool watchdog_stuck(const struct watchdog *w, unsigned i);
