/* SPDX-License-Identifier: MIT */
#include "bridge/ear.h"

#include "audio/pcm.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int ear_init(struct ear *e, uint32_t rate_hz, uint32_t frame_ms, uint32_t wait_ms)
{
	memset(e, 0, sizeof *e);
	e->frame = (size_t)rate_hz * frame_ms / 1000;
	e->n_slots = wait_ms / frame_ms + 1;
	e->ring = malloc(e->n_slots * e->frame * 2);
	return e->ring ? 0 : ERR_NOMEM;
}

void ear_fini(struct ear *e)
{
	free(e->ring);
	e->ring = NULL;
}

static uint8_t *slot(const struct ear *e, size_t i)
{
	return e->ring + (e->first + i) % e->n_slots * e->frame * 2;
}

/* The one in the making is whole. */
static size_t seal(struct ear *e)
{
	size_t gone = 0;

	e->n_partial = 0;
	if (++e->count == e->n_slots) {
		gone = e->frame;
		ear_take(e);
	}
	return gone;
}

void ear_clear(struct ear *e)
{
	e->first = e->count = e->n_partial = 0;
}

size_t ear_hear(struct ear *e, const float *pcm, size_t n)
{
	size_t gone = 0;

	while (n > 0) {
		size_t take = e->frame - e->n_partial;

		take = take < n ? take : n;
		pcm_from_float(slot(e, e->count) + e->n_partial * 2, pcm, take);
		e->n_partial += take;
		pcm += take;
		n -= take;
		if (e->n_partial == e->frame)
			gone += seal(e);
	}
	return gone;
}

const uint8_t *ear_next(const struct ear *e)
{
	return e->count ? slot(e, 0) : NULL;
}

void ear_take(struct ear *e)
{
	e->first = (e->first + 1) % e->n_slots;
	e->count--;
}
