/* SPDX-License-Identifier: MIT */
#include "base/metric.h"

#include "base/err.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static const char *const types[] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

/* All rows of all tables, one after the other. */
struct row_cursor {
	const struct metric_source *sources;
	size_t n, source, row;
};

static const struct metric *next_row(struct row_cursor *c, const struct metric_source **source)
{
	for (; c->source < c->n; c->source++, c->row = 0) {
		*source = &c->sources[c->source];
		if ((*source)->n > 0 && c->row < (*source)->table->n_rows)
			return &(*source)->table->rows[c->row++];
	}
	return NULL;
}

static bool same_label(const struct metric *a, const struct metric *b)
{
	return a->value && b->value ? strcmp(a->value, b->value) == 0 : a->value == b->value;
}

static double read_number(const struct metric *m, const void *counters)
{
	const char *p = (const char *)counters + m->offset;

	switch (m->number) {
	case METRIC_U64:
		return (double)*(const uint64_t *)p;
	case METRIC_U32:
		return *(const uint32_t *)p;
	case METRIC_I64:
		return (double)*(const int64_t *)p;
	case METRIC_F64:
		return *(const double *)p;
	}
	return 0;
}

/* Counters keep their 64 bits; everything else fits into a double. */
static uint64_t sum_u64(const struct metric_source *s, size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		sum += *(const uint64_t *)((const char *)s->first + i * s->stride + offset);
	return sum;
}

struct total {
	uint64_t added, taken; /* of METRIC_U64 */
	double rest;           /* of the others */
	bool whole;
};

static void add_row(struct total *t, const struct metric *m, const struct metric_source *s)
{
	if (m->number == METRIC_U64 && m->sign < 0)
		t->taken += sum_u64(s, m->offset);
	else if (m->number == METRIC_U64)
		t->added += sum_u64(s, m->offset);
	else
		for (size_t i = 0; i < s->n; i++)
			t->rest += read_number(m, (const char *)s->first + i * s->stride);
	t->whole &= m->number != METRIC_F64;
}

static int print_total(const struct metric *m, const struct total *t, struct buf *out)
{
	uint64_t counted = t->added > t->taken ? t->added - t->taken : 0;
	int err = m->label ? buf_printf(out, "mynah_%s{%s=\"%s\"} ", m->name, m->label, m->value) : buf_printf(out, "mynah_%s ", m->name);

	if (err)
		return err;
	if (!t->whole)
		return buf_printf(out, "%.3f\n", t->rest);
	if (t->rest < 0)
		return buf_printf(out, "%lld\n", (long long)t->rest);
	return buf_printf(out, "%llu\n", (unsigned long long)(counted + (uint64_t)t->rest));
}

static int print_buckets(const struct metric *m, const struct metric_source *s, struct buf *out)
{
	const struct metric_buckets *b = m->buckets;
	uint64_t total = 0;
	int err = 0;

	for (size_t i = 0; i < b->n && !err; i++) {
		total += sum_u64(s, m->offset + i * sizeof(uint64_t));
		err = buf_printf(out, "mynah_%s_bucket{le=\"%g\"} %llu\n", m->name, b->bounds[i] * b->bound_factor,
			(unsigned long long)total);
	}
	total += sum_u64(s, m->offset + b->n * sizeof(uint64_t));
	if (!err)
		err = buf_printf(out, "mynah_%s_bucket{le=\"+Inf\"} %llu\nmynah_%s_sum %.9g\nmynah_%s_count %llu\n", m->name,
			(unsigned long long)total, m->name, (double)sum_u64(s, b->sum_offset) * b->sum_factor, m->name,
			(unsigned long long)total);
	return err;
}

/* Was a row of this name, and with `label` of this label too, before `m`? */
static bool came_before(const struct metric_source *sources, size_t n, const struct metric *m, bool label)
{
	struct row_cursor c = {.sources = sources, .n = n};
	const struct metric_source *s;
	const struct metric *o;

	while ((o = next_row(&c, &s)) && o != m)
		if (strcmp(o->name, m->name) == 0 && (!label || same_label(o, m)))
			return true;
	return false;
}

/* One line: `m` and all later rows of its label. */
static int print_line(const struct metric_source *sources, size_t n, const struct metric *m, struct buf *out)
{
	struct row_cursor c = {.sources = sources, .n = n};
	struct total t = {.whole = true};
	const struct metric_source *s;
	const struct metric *o;

	while ((o = next_row(&c, &s))) {
		if (strcmp(o->name, m->name) != 0 || !same_label(o, m))
			continue;
		if (o->type == METRIC_HISTOGRAM)
			return print_buckets(o, s, out);
		add_row(&t, o, s);
	}
	return print_total(m, &t, out);
}

/* The row that says what the family of `name` is. */
static const struct metric *describing_row(const struct metric_source *sources, size_t n, const char *name)
{
	struct row_cursor c = {.sources = sources, .n = n};
	const struct metric_source *s;
	const struct metric *m;

	while ((m = next_row(&c, &s)))
		if (m->help && strcmp(m->name, name) == 0)
			return m;
	assert(false && "a family without help");
	return NULL;
}

static int print_family(const struct metric_source *sources, size_t n, const struct metric *first, struct buf *out)
{
	struct row_cursor c = {.sources = sources, .n = n};
	const struct metric *m, *what = describing_row(sources, n, first->name);
	const struct metric_source *s;
	int err = buf_printf(out, "# HELP mynah_%s %s\n# TYPE mynah_%s %s\n", what->name, what->help, what->name, types[what->type]);

	while (!err && (m = next_row(&c, &s)))
		if (strcmp(m->name, first->name) == 0 && !came_before(sources, n, m, true))
			err = print_line(sources, n, m, out);
	return err;
}

int metrics_print_all(const struct metric_source *sources, size_t n, struct buf *out)
{
	struct row_cursor c = {.sources = sources, .n = n};
	const struct metric_source *s;
	const struct metric *m;
	int err = 0;

	while (!err && (m = next_row(&c, &s)))
		if (!came_before(sources, n, m, false))
			err = print_family(sources, n, m, out);
	if (!err)
		return 0;
	out->len = out->max = 0;
	return ERR_NOMEM;
}

/* "`reason`: `full`, `stale`" */
static int document_labels(const struct metric_source *sources, size_t n, const struct metric *first, struct buf *out)
{
	struct row_cursor c = {.sources = sources, .n = n};
	const struct metric_source *s;
	const struct metric *m;
	int err = 0;

	while (!err && (m = next_row(&c, &s))) {
		if (strcmp(m->name, first->name) != 0 || !m->label || came_before(sources, n, m, true))
			continue;
		err = m == first ? buf_printf(out, "`%s`: `%s`", m->label, m->value) : buf_printf(out, ", `%s`", m->value);
	}
	return err;
}

int metrics_document(const struct metric_source *sources, size_t n, struct buf *out)
{
	struct row_cursor c = {.sources = sources, .n = n};
	const struct metric_source *s;
	const struct metric *m;
	int err = buf_printf(out, "| metric | type | what | label |\n|---|---|---|---|\n");

	while (!err && (m = next_row(&c, &s))) {
		if (came_before(sources, n, m, false))
			continue;
		const struct metric *what = describing_row(sources, n, m->name);

		err = buf_printf(out, "| `mynah_%s` | %s | %s | ", what->name, types[what->type], what->help);
		if (!err)
			err = document_labels(sources, n, m, out);
		if (!err)
			err = buf_printf(out, " |\n");
	}
	return err;
}
