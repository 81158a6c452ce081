/* SPDX-License-Identifier: MIT */
#include "daemon/watchdog.h"

enum { LOOK_MS = 500, LOOKS = 8, STUCK_MS = 2000 };

void watchdog_init(struct watchdog *w, uint64_t limit_ms)
{
	uint64_t every_ms = limit_ms > 0 && limit_ms < LOOKS * LOOK_MS ? limit_ms / LOOKS : LOOK_MS;

	*w = (struct watchdog){.every_ms = every_ms > 0 ? (uint32_t)every_ms : 1};
	/* The last look that saw a turn may lie one interval after the shard began to hang, and a look may be late itself. */
	uint64_t looks = limit_ms / w->every_ms;

	w->looks_limit = looks > 2 && looks < UINT32_MAX ? (uint32_t)looks - 2 : UINT32_MAX;
}

bool watchdog_look(struct watchdog *w, unsigned i, uint64_t turns)
{
	struct watchdog_shard *s = &w->shard[i];
	bool turned = turns != s->turns;

	s->turns = turns;
	s->missed = turned ? 0 : s->missed + 1;
	return turned;
}

enum watchdog_verdict watchdog_verdict(const struct watchdog *w, unsigned n)
{
	enum watchdog_verdict verdict = WATCHDOG_FEED;

	for (unsigned i = 0; i < n; i++) {
		if (w->shard[i].missed >= w->looks_limit)
			return WATCHDOG_HUNG;
		if (w->shard[i].missed > 1) /* 1: it is asked only now */
			verdict = WATCHDOG_WAIT;
	}
	return verdict;
}

bool watchdog_stuck(const struct watchdog *w, unsigned i)
{
	return w->shard[i].missed > STUCK_MS / w->every_ms;
}
