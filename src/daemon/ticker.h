/* SPDX-License-Identifier: MIT */
/*
 * ticker - one deadline in nanoseconds on the loop (a timerfd): libuv's own timers count milliseconds of
 * a cached clock, and a room is to be mixed on time.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>
#include <uv.h>

struct ticker;

int ticker_open(uv_loop_t *loop, void (*on_tick)(void *ctx, nsec now), void *ctx, struct ticker **out);
/* Calls on_tick at `at` or as soon as it can after; NSEC_NONE: not at all. Replaces what was set. */
void ticker_set(struct ticker *t, nsec at);
bool ticker_is_set(const struct ticker *t, nsec at);
void ticker_close(struct ticker *t, void (*on_closed)(void *ctx), void *ctx);
