/* SPDX-License-Identifier: MIT */
#include "daemon/presence.h"

enum {
	HABIT_MS = 10000,      /* reports over this time are a habit ... */
	HABIT_GAP_MS = 5000,   /* ... unless there was a longer pause between two */
	AGAIN_MS = 5000,       /* to look again at one who is silent and may be */
	PACKETS_TO_PLAY = 100, /* that ask for a report: two seconds of frames of 20 ms */
};

void presence_init(struct presence *p, nsec now)
{
	*p = (struct presence){.heard = now, .ended = NSEC_NONE, .polls = {now, now}, .plays = {now, now}};
}

static void report(struct habit *h, nsec now)
{
	if (nsec_since(h->last, now) > nsec_from_ms(HABIT_GAP_MS))
		h->since = now;
	h->last = now;
}

static bool is_habit(const struct habit *h)
{
	return nsec_since(h->since, h->last) >= nsec_from_ms(HABIT_MS);
}

void presence_polled(struct presence *p, nsec now)
{
	report(&p->polls, now);
}

void presence_played(struct presence *p, uint64_t packets_sent, nsec now)
{
	report(&p->plays, now);
	p->sent_at_played = packets_sent;
}

void presence_lines(struct presence *p, bool ended, nsec now)
{
	p->ended = ended ? now : NSEC_NONE;
}

static bool reports_are_due(const struct presence *p, uint64_t packets_sent)
{
	return is_habit(&p->polls) || (is_habit(&p->plays) && packets_sent - p->sent_at_played >= PACKETS_TO_PLAY);
}

enum presence_state presence_state(const struct presence *p, const struct presence_opts *o, uint64_t packets_sent, nsec now)
{
	if (p->ended != NSEC_NONE && now >= p->ended + o->grace)
		return PRESENCE_ENDED;
	if (o->silent && now >= p->heard + o->silent && reports_are_due(p, packets_sent))
		return PRESENCE_SILENT;
	return PRESENCE_THERE;
}

nsec presence_due(const struct presence *p, const struct presence_opts *o, nsec now)
{
	nsec end = p->ended == NSEC_NONE ? NSEC_NONE : p->ended + o->grace;
	nsec silent = NSEC_NONE;

	if (o->silent && (is_habit(&p->polls) || is_habit(&p->plays)))
		silent = p->heard + o->silent;
	if (silent <= now) /* silent, and nothing was due of it */
		silent = now + nsec_from_ms(AGAIN_MS);
	return end < silent ? end : silent;
}
