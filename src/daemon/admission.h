/* SPDX-License-Identifier: MIT */
/*
 * admission - the one place that decides whether a session may open, from the request that asks for it: path, query,
 * origin, then what all shards agree on (registry.h): shutting down, rooms, limits, load. Asked by CONNECT and by /check.
 * Any thread, no clock; allocates for a room's entry in the registry at most.
 */
#pragma once
#include "base/http.h"
#include "daemon/join.h"
#include "daemon/registry.h"

/* Borrows both. */
struct admission {
	const struct config *cfg;
	struct registry *registry;
};

/* A CONNECT that came to shard `here`. VERDICT_ADMITTED: `out` is what they asked for, and they are counted until
 * registry_leave(). VERDICT_MOVED: nothing was counted; *shard is to decide. Anything else refuses them. */
enum verdict admission_enter(const struct admission *a, const struct http_request *req, unsigned here, struct join *out,
	unsigned *shard);

/* The verdict on a CONNECT with the same query now, on the right path; never VERDICT_MOVED. The origin is that of the
 * page that asks: a browser sends Origin to another server than the page's own, and none to its own, which counts as
 * allowed. Counts nothing. */
enum verdict admission_check(const struct admission *a, const struct http_request *req);

/* May a page of `origin` connect to `host`? No origin: not a page, allowed. With a list: exactly those ("*": all).
 * Without: the same host, and localhost. */
bool admission_origin_ok(const char *origin, const char *host, const struct config_server *cfg);
