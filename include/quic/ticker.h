/* SPDX-License-Identifier: MIT */
/*
 * ticker - one deadline in nanoseconds on the loop (a timerfd): libuv's own timers count milliseconds of
 * a cached clock, and a room is to be mixed, a frame to be sent on time. Who owns sockets (udp) and a
 * clock has one; one thread.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

struct uv_loop_s; /* uv_loop_t of <uv.h>, which only ticker.c needs */
struct ticker;

/* ERR_NOMEM, ERR_IO. */
int ticker_open(struct uv_loop_s *loop, void (*on_tick)(void *ctx, nsec now), void *ctx, struct ticker **out);
/* Calls on_tick at `at` or as soon as it can after; NSEC_NONE: not at all. Replaces what was set. */
void ticker_set(struct ticker *t, nsec at);
bool ticker_is_set(const struct ticker *t, nsec at);
void ticker_close(struct ticker *t, void (*on_closed)(void *ctx), void *ctx);
