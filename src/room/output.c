/* SPDX-License-Identifier: MIT */
#include "room/output.h"

#include "base/err.h"
#include "room/room_private.h"

#include <stdlib.h>

static bool same_format(const struct path_format *a, const struct path_format *b)
{
	return a->format.codec == b->format.codec && a->format.rate_hz == b->format.rate_hz && a->bitrate_bps == b->bitrate_bps;
}

static int output_new(struct room *r, const struct path_format *key, struct output **out)
{
	struct output *o = calloc(1, sizeof *o);

	if (!o)
		return ERR_NOMEM;
	o->key = *key;
	list_init(&o->listeners);
	int err = path_init(&o->path, r->rooms->table, r->rate_hz, key);

	if (err) {
		free(o);
		return err;
	}
	list_append(&r->outputs, &o->node);
	*out = o;
	return 0;
}

int output_get(struct room *r, const struct path_format *key, struct output **out)
{
	list_each(it, &r->outputs, tmp) {
		struct output *o = list_entry(it, struct output, node);

		if (same_format(&o->key, key)) {
			*out = o;
			return 0;
		}
	}
	return output_new(r, key, out);
}

void output_release(struct output *o)
{
	if (!list_empty(&o->listeners))
		return;
	list_remove(&o->node);
	path_fini(&o->path);
	free(o);
}

struct sound output_sound(struct room *r, struct output *o)
{
	struct rooms *rs = r->rooms;

	if (o->sound.n == 0) {
		rs->stats.mixes++;
		o->sound = path_run(&o->path, r, rs->sum, rs->shared);
	}
	if (++o->n_served == 2)
		rs->stats.shared_mixes++;
	return o->sound;
}

const struct frame *output_frame(struct room *r, struct output *o)
{
	struct sound s = output_sound(r, o);

	if (o->frame.n_samples == 0)
		path_encode(&o->path, &o->key.format, s, r->rooms->shared_payload, &o->frame);
	return &o->frame;
}

static void deliver(struct room *r, struct output *o, unsigned n_sources, nsec now)
{
	o->sound.n = 0;
	o->frame.n_samples = 0;
	o->n_served = 0;
	list_each(it, &o->listeners, tmp)
		listener_tick(list_entry(it, struct listener, node), r, n_sources, now);
}

void outputs_deliver(struct room *r, unsigned n_sources, nsec now)
{
	list_each(it, &r->outputs, tmp)
		deliver(r, list_entry(it, struct output, node), n_sources, now);
}
