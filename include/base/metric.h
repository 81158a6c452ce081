/* SPDX-License-Identifier: MIT */
/*
 * metric - what a layer counts, as a table beside its struct of counters: name, type, help, and where the number lies.
 * One table adds the counters up over the shards, prints them in Prometheus' text format (exposition format 0.0.4)
 * and describes them in docs/metrics.md. Pure functions; printing allocates in the caller's buffer.
 */
#pragma once
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_number { METRIC_U64, METRIC_U32, METRIC_I64, METRIC_F64 };

/* Of a histogram: `n` bounds and, at the row's offset, n + 1 counters, the last for what is beyond. The sum of all that
 * was counted is a METRIC_U64 at `sum_offset`. Both become seconds by their factors. */
struct metric_buckets {
	const double *bounds;
	size_t n;
	double bound_factor;
	size_t sum_offset;
	double sum_factor;
};

/* Rows of one name are one family, in whatever tables they are; rows of one name and one label are added. */
struct metric {
	const char *name;   /* without its "mynah_" */
	enum metric_type type;
	const char *help;   /* one sentence; exactly one row of a family has it, and the right type */
	const char *label, *value; /* NULL: none */
	size_t offset;      /* in the struct of counters */
	enum metric_number number;
	int sign;           /* -1: is taken off what the other rows of its label add up to, down to zero; else added */
	const struct metric_buckets *buckets; /* of a METRIC_HISTOGRAM */
};

/* METRIC_AT(struct quic_stats, conns): where a row's number lies, and its type. */
#define METRIC_AT(type_, field)                                                            \
	.offset = offsetof(type_, field), .number = _Generic(((type_ *)0)->field, uint64_t \
		: METRIC_U64, uint32_t                                                      \
		: METRIC_U32, int64_t                                                       \
		: METRIC_I64, double                                                        \
		: METRIC_F64)

struct metric_table {
	const struct metric *rows;
	size_t n_rows;
};
#define METRIC_TABLE(rows_) {(rows_), sizeof(rows_) / sizeof *(rows_)}

/* The counters of one layer: `n` structs, `stride` bytes apart. n = 0: the table is left out. */
struct metric_source {
	const struct metric_table *table;
	const void *first;
	size_t n, stride;
};

/* Appends all families to an empty `out`, in the order of their first rows. ERR_NOMEM: they did not fit; `out` is empty then
 * and takes no more, since half a page would be taken for a whole one. */
int metrics_print_all(const struct metric_source *sources, size_t n, struct buf *out);

/* Appends a Markdown table of all families. ERR_*: as buf_append(). */
int metrics_document(const struct metric_source *sources, size_t n, struct buf *out);
