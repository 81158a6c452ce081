/* SPDX-License-Identifier: MIT */
/*
 * scrape - the answer to /metrics: every shard is asked for its counters, and the request is answered when the last has
 * reported. Nobody waits. In main's thread; each scrape takes its memory for itself.
 */
#pragma once
#include "daemon/metrics.h"

struct scraper {
	struct shard *const *shards;
	unsigned n_shards;
	/* Fills in all but the reports. */
	void (*describe)(void *ctx, struct metrics_sources *m);
	void *ctx;
	bool ended; /* the HTTP server is closing: reports are only freed */
};

/* Answers `req`, in `res` or later. */
void scrape_begin(struct scraper *s, const struct http_request *req, struct http_response *res);
/* A shard's report, as mail. */
void scrape_report(struct shard_report *r);
