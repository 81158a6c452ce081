/* SPDX-License-Identifier: MIT */
/*
 * ticker - one deadline in nanoseconds on the loop (a timerfd): libuv's own timers count milliseconds of
 * a cached clock, which is too coarse for mixing a room or sending a frame on time. The owner of the sockets
 * (udp) has one; one thread, which reads the clock here.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

struct uv_loop_s; /* uv_loop_t of <uv.h>, which only udp.c and ticker.c include */
struct ticker;

/* ERR_NOMEM, ERR_IO. */
int ticker_open(struct uv_loop_s *loop, void (*on_tick)(void *ctx, nsec now), void *ctx, struct ticker **out);
/* Calls on_tick at `at` or as soon as possible after; NSEC_NONE: not at all. Replaces the deadline that was set. */
void ticker_set(struct ticker *t, nsec at);
bool ticker_is_set(const struct ticker *t, nsec at);
/* Frees it; then the loop calls `on_closed` (may be NULL). */
void ticker_close(struct ticker *t, void (*on_closed)(void *ctx), void *ctx);
