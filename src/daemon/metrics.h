/* SPDX-License-Identifier: MIT */
/*
 * metrics - the counters of all layers in the text form that Prometheus reads
 * (exposition format 0.0.4), added up over the shards. docs/operations.md explains each.
 */
#pragma once
#include "base/buf.h"
#include "daemon/shard.h"
#include "http/server.h"

struct metrics_sources {
	const struct shard_report *sum; /* of all shards */
	unsigned n_shards;
	const struct http_stats *http; /* may be NULL */
	const char *version;
	int64_t started_s, now_s, certificate_ends_s;
	bool draining;
};

/* Adds all that `r` counts to `sum`. */
void metrics_add(struct shard_report *sum, const struct shard_report *r);

/* Appends the page to an empty `out`. ERR_NOMEM: it did not fit; `out` is empty and stays so. */
int metrics_print(const struct metrics_sources *m, struct buf *out);
