/* SPDX-License-Identifier: MIT */
/*
 * metrics - the counters of all layers in the text form that Prometheus reads
 * (exposition format 0.0.4). docs/operations.md explains each.
 */
#pragma once
#include "base/buf.h"
#include "daemon/link.h"
#include "http/server.h"
#include "quic/lobby.h"
#include "quic/udp.h"

struct metrics_sources {
	const struct quic_stats *quic;
	const struct udp_stats *udp;
	const struct wt_stats *wt;
	const struct rooms_stats *rooms;
	const struct links_stats *links;
	const struct lobby_stats *lobby;
	double load;                   /* share of its time that the shard is at work */
	const struct http_stats *http; /* may be NULL */
	const char *version;
	int64_t started_s, now_s, certificate_ends_s;
	bool draining;
};

/* Appends the page to an empty `out`. ERR_NOMEM: it did not fit; `out` is empty and stays so. */
int metrics_print(const struct metrics_sources *m, struct buf *out);
