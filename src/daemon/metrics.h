/* SPDX-License-Identifier: MIT */
/*
 * metrics - the counters of all layers in the text form that Prometheus reads, added up over the shards. Each layer has
 * its table (base/metric.h); here they are put together, with the few numbers that belong to the process.
 */
#pragma once
#include "base/buf.h"
#include "daemon/shard.h"
#include "http/server.h"

struct metrics_sources {
	const struct shard_report *reports; /* n_shards of them */
	unsigned n_shards;
	const struct http_stats *http; /* may be NULL */
	const char *version;
	int64_t started_s, now_s, certificate_ends_s;
	bool draining;
	uint64_t misdirected; /* requests for a host that is not ours */
};

/* Appends the page to an empty `out`. ERR_NOMEM: it did not fit; `out` is empty and stays so. */
int metrics_print(const struct metrics_sources *m, struct buf *out);
/* Appends docs/metrics.md. */
int metrics_reference(struct buf *out);
