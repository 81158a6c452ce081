/* SPDX-License-Identifier: MIT */
/*
 * presence - whether a client is still there, from what it says above QUIC: browsers keep the connection of a tab alive
 * that is long closed. It has left when it ended its lines and opens no others; and one that used to report (ping, stats,
 * played) and then sends neither line nor audio is lost. One that never reported may be silent for ever. Pure arithmetic.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct presence_opts {
	nsec grace;  /* from the end of its lines to its own */
	nsec silent; /* 0: nobody is lost for being silent */
};

/* Reports of one kind that come again and again. */
struct habit {
	nsec since, last;
};

struct presence {
	nsec heard;              /* the last line or audio */
	nsec ended;              /* since when its lines are ended; NSEC_NONE: they are not */
	struct habit polls;      /* ping and stats: they come whatever happens */
	struct habit plays;      /* played: only while the client is sent something to play */
	uint64_t sent_at_played; /* packets that it had been sent by then */
};

enum presence_state {
	PRESENCE_THERE,
	PRESENCE_ENDED,  /* the grace is over */
	PRESENCE_SILENT,
};

void presence_init(struct presence *p, nsec now);
static inline void presence_heard(struct presence *p, nsec now)
{
	p->heard = now;
}
void presence_polled(struct presence *p, nsec now);
void presence_played(struct presence *p, uint64_t packets_sent, nsec now);
void presence_lines(struct presence *p, bool ended, nsec now);

/* `packets_sent`: to it, ever. */
enum presence_state presence_state(const struct presence *p, const struct presence_opts *o, uint64_t packets_sent, nsec now);
/* When to look again, later than `now` of a client that is there; NSEC_NONE: there is nothing to look for. */
nsec presence_due(const struct presence *p, const struct presence_opts *o, nsec now);
