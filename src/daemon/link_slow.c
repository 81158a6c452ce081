/* SPDX-License-Identifier: MIT */
/* Clients that take their lines more slowly than they come: see link_private.h. */
#include "daemon/link_private.h"

#include "base/err.h"
#include "daemon/control.h"

#include <string.h>

/* All wait equally long, so the last is the one to be looked at last. */
static void look_later(struct link *l, nsec now)
{
	list_remove(&l->slow);
	list_append(&l->owner->slow, &l->slow);
	l->lost.taken = session_lines_taken(l->session);
	l->lost.due = now + nsec_from_ms(LINES_STALL_MS);
}

void link_line_lost(struct link *l, enum session_line kind, nsec now)
{
	l->owner->stats.lines_lost++;
	l->lost.n++;
	l->lost.state |= kind != SESSION_LINE_ORDINARY;
	if (list_empty(&l->slow))
		look_later(l, now);
}

void link_slow_end(struct link *l)
{
	list_remove(&l->slow);
	memset(&l->lost, 0, sizeof l->lost);
}

/* True: there was room for the line. */
static bool tell(struct link *l, int err, nsec now)
{
	const struct buf *line = &l->owner->line;

	if (!err)
		err = session_send_line(l->session, SESSION_LINE_VITAL, line->p, line->len, now);
	if (err && err != ERR_LIMIT)
		link_lose_lines(l, err_str(err), now);
	return !err;
}

void link_lines_room(void *user, nsec now)
{
	struct link *l = user;

	if (l->lost.n && tell(l, control_messages_lost(links_line(l->owner), l->lost.n), now))
		l->lost.n = 0;
	if (l->lost.state && !l->lost.n && tell(l, link_write_welcome(l), now))
		l->lost.state = false;
	if (!l->lost.n && !l->lost.state)
		list_remove(&l->slow);
	else if (!list_empty(&l->slow))
		look_later(l, now);
}

nsec links_slow_deadline(const struct links *ls)
{
	return list_empty(&ls->slow) ? NSEC_NONE : list_entry(ls->slow.next, struct link, slow)->lost.due;
}

void links_slow_run(struct links *ls, nsec now)
{
	while (links_slow_deadline(ls) <= now) {
		struct link *l = list_entry(ls->slow.next, struct link, slow);

		if (!link_has_lines(l))
			link_slow_end(l);
		else if (!session_lines_waiting(l->session)) /* a line that was longer than all room */
			link_lines_room(l, now);
		else if (l->lost.taken == session_lines_taken(l->session))
			link_lose_lines(l, "the client takes nothing", now);
		else
			look_later(l, now);
	}
}
