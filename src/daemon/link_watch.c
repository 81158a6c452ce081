/* SPDX-License-Identifier: MIT */
/* Links whose client may have gone without a word: see presence.h. */
#include "daemon/link_private.h"

void link_watch(struct link *l, nsec now)
{
	struct links *ls = l->owner;
	nsec due = presence_due(&l->presence, &ls->presence, now);

	if (due == NSEC_NONE) {
		list_remove(&l->watched);
		return;
	}
	if (list_empty(&l->watched))
		list_append(&ls->watched, &l->watched);
	if (due < ls->watch_due)
		ls->watch_due = due;
}

static void give_up(struct link *l, enum leave_reason left, uint32_t code, const char *why, nsec now)
{
	l->left = left;
	session_close(l->session, code, why, now); /* frees the link */
}

void links_watch_run(struct links *ls, nsec now)
{
	if (now < ls->watch_due)
		return;
	ls->watch_due = NSEC_NONE;
	list_each (it, &ls->watched, tmp) {
		struct link *l = list_entry(it, struct link, watched);

		switch (presence_state(&l->presence, &ls->presence, l->packets_out, now)) {
		case PRESENCE_THERE:
			link_watch(l, now);
			break;
		case PRESENCE_ENDED:
			ls->stats.gone_lines++;
			give_up(l, LEAVE_CLOSED, CLOSE_LINES_ENDED, "the control stream has ended", now);
			break;
		case PRESENCE_SILENT:
			ls->stats.gone_silent++;
			give_up(l, LEAVE_LOST, CLOSE_SILENT, "nothing was heard of the client any more", now);
			break;
		}
	}
}
