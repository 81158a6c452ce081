/* SPDX-License-Identifier: MIT */
#include "daemon/load.h"

enum { LOOK_MS = 100 };
static const double weight = 0.3; /* of the newest look */

void load_except(struct load *l, nsec spent)
{
	l->except += spent;
}

void load_look(struct load *l, nsec idle, nsec now)
{
	nsec time = nsec_until(l->at, now), not_ours = nsec_until(l->idle, idle) + l->except;

	if (time < nsec_from_ms(LOOK_MS))
		return;
	double share = 1 - (double)(not_ours < time ? not_ours : time) / (double)time;

	if (l->at > 0)
		l->share += weight * (share - l->share);
	l->at = now;
	l->idle = idle;
	l->except = 0;
}
