/* SPDX-License-Identifier: MIT */
/*
 * lookup - the addresses of a host. Numbers are known at once; a name is looked up in a thread of its own, which nobody
 * waits for: neither a caller that cancelled, nor other lookups, nor the end of the process.
 * (A resolver may take half a minute to say that nobody answers. libuv's would hold up the loop for all that time.)
 */
#pragma once
#include <netdb.h>
#include <uv.h>

struct lookup;

/* `error` 0 and the addresses, which are gone after the call; or one of EAI_*. The look-up is over, and its pointer with it. */
typedef void lookup_fn(void *ctx, int error, const struct addrinfo *found);

/* Calls `done` from the loop, never from inside. Copies `host` and `port`, a number. ERR_NOMEM, ERR_LIMIT: no more threads. */
int lookup_start(uv_loop_t *loop, const char *host, const char *port, lookup_fn *done, void *ctx, struct lookup **out);
/* `done` is not called any more. The loop is held for one turn at most. */
void lookup_cancel(struct lookup *l);
/* What an error means, in words. */
const char *lookup_why(int error);
