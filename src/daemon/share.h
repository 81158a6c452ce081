/* SPDX-License-Identifier: MIT */
/*
 * share - what part of a loop's time a kind of work may take that must not hold up voice: handshakes, the page. Such work
 * waits in a queue, is done in slices of a millisecond at most, which end when voice is due, and then rests for as long
 * as its part demands. No clock, no loop: the owner measures, and says when voice is due.
 *
 *   if (share_may(&share, begin)) {
 *           until = share_until(begin, voice_due);
 *           while (do_one_thing() && (now = clock_now()) < until)
 *                   ;
 *           share_took(&share, begin, now, parts);
 *   }
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

enum { SHARE_SLICE_MS = 1 };

struct share {
	nsec next; /* not before; 0: at once */
};

static inline bool share_may(const struct share *s, nsec now)
{
	return now >= s->next;
}

/* When the slice that begins now ends. One thing is done even if that is now: voice that leaves no time leaves a little. */
static inline nsec share_until(nsec begin, nsec voice_due)
{
	nsec end = begin + nsec_from_ms(SHARE_SLICE_MS);

	return voice_due < end ? voice_due : end;
}

/* It gets one part in `parts` of all time; 1: no rest. */
static inline void share_took(struct share *s, nsec begin, nsec end, uint32_t parts)
{
	s->next = parts > 1 ? end + (parts - 1) * nsec_since(begin, end) : 0;
}
