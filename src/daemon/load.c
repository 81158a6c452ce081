/* SPDX-License-Identifier: MIT */
#include "daemon/load.h"

enum { LOOK_MS = 100, MEMORY_MS = 250 };

void load_except(struct load *l, nsec spent)
{
	l->except += spent;
}

bool load_due(const struct load *l, nsec now)
{
	return nsec_since(l->at, now) >= nsec_from_ms(LOOK_MS);
}

void load_look(struct load *l, nsec idle, nsec now)
{
	nsec time = nsec_since(l->at, now), not_ours = nsec_since(l->idle, idle) + l->except;

	if (!load_due(l, now))
		return;
	double share = 1 - (double)(not_ours < time ? not_ours : time) / (double)time;

	if (l->at > 0) /* after a long sleep only the sleep counts */
		l->share += (share - l->share) * (double)time / (double)(time + nsec_from_ms(MEMORY_MS));
	l->at = now;
	l->idle = idle;
	l->except = 0;
}
