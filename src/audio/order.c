/* SPDX-License-Identifier: MIT */
#include "audio/order.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* Media times of neighbours may differ by the rounding of a clock: less than this share of a second is no gap. */
#define GAP_PER_S 1000

struct order *order_new(void)
{
	return calloc(1, sizeof(struct order));
}

void order_reset(struct order *o)
{
	o->live = o->ends = false;
	o->n_held = 0;
	o->used = 0;
}

void order_start(struct order *o, const struct frame *f)
{
	order_reset(o);
	o->live = true;
	o->next = o->newest = f->v1.seq;
	o->time = f->v1.time;
	o->newest_end = f->v1.time + f->n_samples;
	o->rate_hz = f->format.rate_hz;
	o->n_last = 0;
	o->seen = 1;
}

static void note_newest(struct order *o, const struct frame *f, unsigned steps, double *skipped_ms)
{
	int32_t skipped = (int32_t)(f->v1.time - o->newest_end);

	if (skipped > 0 && f->format.rate_hz == o->rate_hz)
		*skipped_ms = 1000.0 * skipped / f->format.rate_hz;
	o->seen = steps < ORDER_SEEN ? o->seen << steps | 1 : 1;
	o->newest = f->v1.seq;
	o->newest_end = f->v1.time + f->n_samples;
}

enum order_verdict order_note(struct order *o, const struct frame *f, double *skipped_ms)
{
	int16_t ahead = (int16_t)(f->v1.seq - o->newest);
	uint64_t bit;

	*skipped_ms = 0;
	if (!o->live || ahead > ORDER_DROPOUT || ahead <= -ORDER_SEEN)
		return ORDER_RESTART;
	if (ahead > 0) {
		note_newest(o, f, (unsigned)ahead, skipped_ms);
		return ORDER_NEWEST;
	}
	bit = (uint64_t)1 << -ahead;
	if (o->seen & bit)
		return ORDER_DUPLICATE;
	o->seen |= bit;
	return (int16_t)(f->v1.seq - o->next) < 0 ? ORDER_LATE : ORDER_OLDER;
}

/* Between a frame of `n_last` samples whose successor would have had `seq` and `time`, and `f`. */
static struct order_gap gap_after(uint16_t seq, uint32_t time, uint32_t rate_hz, uint32_t n_last, const struct frame *f)
{
	int32_t samples = f->format.rate_hz == rate_hz ? (int32_t)(f->v1.time - time) : 0;
	struct order_gap g = {.lost = (uint16_t)(f->v1.seq - seq), .silent = f->v1.begins};

	if (samples * (int64_t)GAP_PER_S >= f->format.rate_hz)
		g.samples = (uint32_t)samples;
	if (g.lost == 0)
		g.silent = true;
	else if (g.samples == 0) /* a media time that does not count them, or at another rate */
		g.samples = (uint32_t)((uint64_t)g.lost * n_last * f->format.rate_hz / rate_hz);
	return g;
}

struct order_gap order_gap(const struct order *o, const struct frame *f)
{
	return gap_after(o->next, o->time, o->rate_hz, o->n_last, f);
}

void order_place(struct order *o, const struct frame *f)
{
	o->next = (uint16_t)(f->v1.seq + 1);
	o->time = f->v1.time + f->n_samples;
	o->rate_hz = f->format.rate_hz;
	o->n_last = f->n_samples;
	o->ends = f->v1.ends;
}

int order_hold(struct order *o, const struct frame *f)
{
	unsigned at = o->n_held;

	if (o->n_held == ORDER_HELD || f->len > ORDER_BYTES - o->used)
		return ERR_LIMIT;
	while (at > 0 && (int16_t)(f->v1.seq - o->held[at - 1].v1.seq) < 0)
		at--;
	memmove(&o->held[at + 1], &o->held[at], (o->n_held - at) * sizeof *o->held);
	o->held[at] = (struct order_held){f->format, (uint16_t)o->used, (uint16_t)f->len, f->n_samples, f->v1};
	memcpy(o->bytes + o->used, f->payload, f->len);
	o->used += f->len;
	o->n_held++;
	return 0;
}

static struct frame frame_of(const struct order *o, const struct order_held *h)
{
	return (struct frame){
		.format = h->format,
		.payload = o->bytes + h->at,
		.len = h->len,
		.n_samples = h->n_samples,
		.is_v1 = true,
		.v1 = h->v1,
	};
}

bool order_first(const struct order *o, struct frame *out)
{
	if (o->n_held == 0)
		return false;
	*out = frame_of(o, &o->held[0]);
	return true;
}

void order_drop_first(struct order *o)
{
	const size_t len = o->held[0].len, at = o->held[0].at;

	o->n_held--;
	memmove(&o->held[0], &o->held[1], o->n_held * sizeof *o->held);
	o->used -= len;
	memmove(o->bytes + at, o->bytes + at + len, o->used - at);
	for (unsigned i = 0; i < o->n_held; i++)
		if (o->held[i].at > at)
			o->held[i].at = (uint16_t)(o->held[i].at - len);
}

size_t order_span(const struct order *o, uint32_t rate_hz)
{
	uint64_t span = 0;

	for (unsigned i = 0; i < o->n_held; i++) {
		const struct frame f = frame_of(o, &o->held[i]);
		const struct order_held *before = i ? &o->held[i - 1] : NULL;
		struct order_gap g = before ? gap_after((uint16_t)(before->v1.seq + 1), before->v1.time + before->n_samples,
						      before->format.rate_hz, before->n_samples, &f)
					    : order_gap(o, &f);

		span += ((uint64_t)g.samples + f.n_samples) * rate_hz / f.format.rate_hz;
	}
	return (size_t)span;
}
