/* SPDX-License-Identifier: MIT */
/* closing_uv - closing, for handles of libuv: for layers that use it. The loop's thread. */
#pragma once
#include "base/closing.h"

#include <uv.h>

static inline void closing_uv_done(uv_handle_t *h)
{
	closing_done(h->data);
}

/* Closes a handle that `c` counts: closing_done() follows from the loop. handle->data is `c` from now on, so no other
 * callback of the handle may need it; a stream with writes in flight is closed with a callback of its own. */
static inline void closing_close(struct closing *c, uv_handle_t *handle)
{
	handle->data = c;
	uv_close(handle, closing_uv_done);
}

/* For an owner that may have no handle left: closes `timer`, which was never opened, so that closing_done() comes from
 * the loop and not from inside a call. Counts `timer` itself. */
static inline void closing_later(struct closing *c, uv_loop_t *loop, uv_timer_t *timer)
{
	uv_timer_init(loop, timer);
	closing_add(c);
	closing_close(c, (uv_handle_t *)timer);
}
