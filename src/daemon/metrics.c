/* SPDX-License-Identifier: MIT */
#include "daemon/metrics.h"

#include "base/metric.h"

enum { N_SOURCES = 8 };

/* What no layer counts. */
struct process_numbers {
	uint64_t one, started_s, draining, shards, misdirected;
	int64_t certificate_s;
	double load;
};

static struct process_numbers process_of(const struct metrics_sources *m)
{
	struct process_numbers p = {
		.one = 1,
		.started_s = (uint64_t)m->started_s,
		.draining = m->draining,
		.shards = m->n_shards,
		.misdirected = m->misdirected,
		.certificate_s = m->certificate_ends_s - m->now_s,
	};

	for (unsigned i = 0; i < m->n_shards; i++)
		if (m->reports[i].load > p.load)
			p.load = m->reports[i].load;
	return p;
}

#define PROCESS(field) METRIC_AT(struct process_numbers, field)

/* Everything in the order of the page. The version is a label: its table is made for each page. */
static int with_sources(const struct metrics_sources *m, int (*use)(const struct metric_source *, size_t, struct buf *), struct buf *out)
{
	const struct process_numbers process = process_of(m);
	const struct metric process_rows[] = {
		{"build_info", METRIC_GAUGE, "Always 1; the label is the version.", "version", m->version, PROCESS(one)},
		{"start_time_seconds", METRIC_GAUGE, "When the daemon started, seconds since 1970.", PROCESS(started_s)},
		{"load", METRIC_GAUGE, "Share of its time that the busiest shard is at work, handshakes excepted: 0 to 1.", PROCESS(load)},
		{"draining", METRIC_GAUGE, "1 while the daemon is shutting down.", PROCESS(draining)},
		{"shards", METRIC_GAUGE, "Threads that serve sessions.", PROCESS(shards)},
		{"misdirected_requests_total", METRIC_COUNTER, "Requests for a host that is not known here, answered 421: see [http] names.",
			PROCESS(misdirected)},
		{"certificate_seconds_left", METRIC_GAUGE, "Until the certificate shown now is no longer valid.", PROCESS(certificate_s)},
	};
	static const struct metric shard_rows[] = {
		{"packets_forward_dropped_total", METRIC_COUNTER, "Forwarded packets dropped because the other shard did not keep up.",
			METRIC_AT(struct shard_report, forward_dropped)},
	};
	static const struct metric_table shard_metrics = METRIC_TABLE(shard_rows);
	const struct metric_table process_metrics = METRIC_TABLE(process_rows);
	const struct shard_report *r = m->reports;
	const struct metric_source sources[N_SOURCES + 1] = {
		{&process_metrics, &process, 1, 0},
		{&wt_metrics, &r->wt, m->n_shards, sizeof *r},
		{&links_metrics, &r->links, m->n_shards, sizeof *r},
		{&rooms_metrics, &r->rooms, m->n_shards, sizeof *r},
		{&quic_metrics, &r->quic, m->n_shards, sizeof *r},
		{&handshake_queue_metrics, &r->handshakes, m->n_shards, sizeof *r},
		{&shard_metrics, r, m->n_shards, sizeof *r},
		{&udp_metrics, &r->udp, m->n_shards, sizeof *r},
		{&http_metrics, m->http, m->http != NULL, 0},
	};

	return use(sources, N_SOURCES + 1, out);
}

int metrics_print(const struct metrics_sources *m, struct buf *out)
{
	return with_sources(m, metrics_print_all, out);
}

int metrics_reference(struct buf *out)
{
	static const struct shard_report nothing;
	static const struct http_stats no_http;
	const struct metrics_sources m = {.reports = &nothing, .n_shards = 1, .http = &no_http, .version = "VERSION"};
	int err = buf_printf(out, "# Metrics\n\n"
		"All that `/metrics` shows, added up over the shards. Made from the tables of the layers by\n"
		"`build/sanitize/bin/metrics_doc`. [operations.md](operations.md#health-and-metrics) says which ones to watch, and what they mean when they move.\n\n");

	return err ? err : with_sources(&m, metrics_document, out);
}
