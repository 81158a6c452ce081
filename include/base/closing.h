/* SPDX-License-Identifier: MIT */
/*
 * closing - an object with several handles is gone when the last of them has closed. Counts the handles, then releases
 * the object and calls on_closed. The owner's thread; no allocation, no clock. closing_uv.h closes handles of libuv.
 *
 *   closing_init(&x->handles, x_free, x);       at creation
 *   closing_add(&x->handles);                   for each handle that was opened
 *   closing_then(&x->handles, on_closed, ctx);  when the object is closed, if that is to be reported
 *   closing_done(&x->handles);                  from each handle's close callback
 *
 * Handles may close while the object still works: the count reaches 0 once, after the last one.
 */
#pragma once
#include <assert.h>
#include <stddef.h>

typedef void closing_fn(void *ctx);

struct closing {
	unsigned n_open;       /* handles that are not closed yet */
	closing_fn *release;   /* frees the owner; NULL: nothing to free */
	void *owner;
	closing_fn *on_closed; /* called after that; may be NULL */
	void *ctx;
};

/* Nothing is open. `owner` is what `release` gets, and may contain `c`. */
static inline void closing_init(struct closing *c, closing_fn *release, void *owner)
{
	*c = (struct closing){.release = release, .owner = owner};
}

/* One more handle is open. */
static inline void closing_add(struct closing *c)
{
	c->n_open++;
}

/* `on_closed` is called last of all, after `release`. NULL: no call. */
static inline void closing_then(struct closing *c, closing_fn *on_closed, void *ctx)
{
	c->on_closed = on_closed;
	c->ctx = ctx;
}

/* One handle has closed. After the last one `c` may be freed. Takes a `struct closing` as what it is, a closing_fn. */
static inline void closing_done(void *closing)
{
	struct closing *c = (struct closing *)closing;

	assert(c->n_open > 0);
	if (--c->n_open > 0)
		return;
	closing_fn *on_closed = c->on_closed;
	void *ctx = c->ctx;

	if (c->release)
		c->release(c->owner);
	if (on_closed)
		on_closed(ctx);
}
