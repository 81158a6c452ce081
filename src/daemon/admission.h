/* SPDX-License-Identifier: MIT */
/*
 * admission - the one place that decides whether a session may open, from the request that asks for it: path, query,
 * origin, then what all shards agree on (registry.h): shutting down, rooms, limits, shares of them, load. Asked by CONNECT and by /check.
 * Any thread, no clock; allocates for a room's entry in the registry at most.
 */
#pragma once
#include "base/http.h"
#include "daemon/certs.h"
#include "daemon/join.h"
#include "daemon/registry.h"

/* Borrows all. */
struct admission {
	const struct config *cfg;
	struct registry *registry;
	struct certs *certs; /* whose names are ours; NULL: none is */
};

/* A CONNECT that came to shard `here`. VERDICT_ADMITTED: `out` is what they asked for, and they are counted, for `from`,
 * until registry_leave(). VERDICT_MOVED: nothing was counted; *shard is to decide. Anything else refuses them. */
enum verdict admission_enter(const struct admission *a, const struct http_request *req, unsigned here, struct join *out,
	struct holder_key *from, unsigned *shard);

/* The verdict on a CONNECT with the same query now, on the right path; never VERDICT_MOVED. The origin is that of the
 * page that asks: a browser sends Origin to another server than the page's own, and none to its own, which counts as
 * allowed. Shares are those of the address that asks, which may not be the one that would connect. Counts nothing. */
enum verdict admission_check(const struct admission *a, const struct http_request *req);

/* May a page of the request's origin connect to its host? No origin: not a page, allowed. With a list: exactly those ("*":
 * all). Without: localhost, and the same host if that is an address or a name of the certificate, since a page can make
 * any other name lead here (DNS rebinding). What is no origin is refused, whatever the list says. */
bool admission_origin_ok(const struct admission *a, const struct http_request *req);

/* Is `host`, of a request for a page, ours: localhost, an address, a name of the certificate or of `[http] names`, or the
 * host of a listed origin? */
bool admission_host_ok(const struct admission *a, const char *host);

/* Whose pages may read the answer: "*", the request's own origin (borrowed from it), or NULL: only those of our own. */
const char *admission_reader(const struct admission *a, const struct http_request *req);
