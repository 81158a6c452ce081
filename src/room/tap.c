/* SPDX-License-Identifier: MIT */
/* Listeners that are not participants: a recorder, a supervisor. */
#include "base/err.h"
#include "room/room_private.h"

#include <assert.h>
#include <stdlib.h>

int room_listen(const struct participant *in, const struct listener_opts *opts, const struct listener_sink *sink, void *user,
	struct tap **out)
{
	struct room *r = in->room;

	assert(!r->rooms->calling);
	struct tap *t = calloc(1, sizeof *t);

	if (!t)
		return ERR_NOMEM;
	int err = listener_init(&t->listener, r, opts, sink, user);

	if (err) {
		free(t);
		return err;
	}
	t->listener.is_tap = true;
	list_append(&r->taps, &t->node);
	*out = t;
	return 0;
}

void tap_leave(struct tap *t)
{
	assert(!t->listener.room->rooms->calling);
	list_remove(&t->node);
	listener_fini(&t->listener);
	free(t);
}

void taps_end(struct room *r, nsec now)
{
	list_each(it, &r->taps, tmp) {
		struct tap *t = list_entry(it, struct tap, node);
		const struct listener_sink *sink = t->listener.sink;
		void *user = t->listener.user;

		tap_leave(t);
		r->rooms->calling++;
		if (sink->ended)
			sink->ended(user, now);
		r->rooms->calling--;
	}
}
