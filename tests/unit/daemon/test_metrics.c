/* SPDX-License-Identifier: MIT */
/* Every line is checked against Prometheus' text format, every value against the counter that it is said to be. */
#include "support/test.h"

#include "base/err.h"
#include "daemon/metrics.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FAMILIES = 256, MAX_SAMPLES = 512, NAME = 128 };

struct sample {
	char name[NAME], label[NAME], value_of_label[NAME]; /* at most one label is used here */
	double value;
};

struct page {
	struct { char name[NAME], type[16]; } family[MAX_FAMILIES];
	struct sample sample[MAX_SAMPLES];
	size_t n_families, n_samples;
};

/* Each counter of the daemon gets a value of its own. */
struct world {
	struct shard_report sum; /* of the only shard */
	struct http_stats http;
	struct metrics_sources all;
};

static void number(uint64_t *p, size_t bytes, uint64_t from)
{
	for (size_t i = 0; i < bytes / sizeof *p; i++)
		p[i] = from + i;
}

static void fill(struct world *w)
{
	memset(w, 0, sizeof *w);
	number((uint64_t *)&w->sum.quic, offsetof(struct quic_stats, conns), 1000);
	number((uint64_t *)&w->sum.wt, offsetof(struct wt_stats, sessions), 2000);
	number((uint64_t *)&w->sum.links, offsetof(struct links_stats, links), 3000);
	number((uint64_t *)&w->sum.handshakes, sizeof w->sum.handshakes, 4000);
	w->sum.load = 0.25;
	w->sum.wt.refused = 100000;
	w->sum.wt.sessions = 7;
	w->sum.rooms = (struct rooms_stats){.rooms = 3, .participants = 5, .bridges = 2, .ticks = 77, .late_sum_ns = 1500000000,
		.depth_sum_ms = 2500, .faults = {[FRAME_SHORT] = 9}};
	for (size_t i = 0; i < 10; i++)
		w->sum.rooms.late_bucket[i] = i + 1;
	for (size_t i = 0; i < 9; i++)
		w->sum.rooms.depth_bucket[i] = 10 * i;
	w->http.requests = 44;
	w->all = (struct metrics_sources){.reports = &w->sum, .n_shards = 1, .http = &w->http, .version = "1.2.3", .started_s = 1800000000, .now_s = 1800000100,
		.certificate_ends_s = 1800000050, .draining = true};
}

/* --- the format -------------------------------------------------------------------------- */

static size_t name_len(const char *s)
{
	size_t n = 0;

	while (isalpha((unsigned char)s[n]) || s[n] == '_' || s[n] == ':' || (n && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

static void take_name(const char **line, char out[NAME])
{
	size_t n = name_len(*line);

	assert_in_range(n, 1, NAME - 1);
	memcpy(out, *line, n);
	out[n] = '\0';
	*line += n;
}

static void take_label(const char **line, struct sample *s)
{
	if (**line != '{')
		return;
	++*line;
	take_name(line, s->label);
	assert_int_equal(strncmp(*line, "=\"", 2), 0);
	*line += 2;
	size_t n = strcspn(*line, "\"\\\n"); /* nothing here needs an escape */

	memcpy(s->value_of_label, *line, n);
	assert_int_equal(strncmp(*line + n, "\"}", 2), 0);
	*line += n + 2;
}

/* # HELP name text, # TYPE name type: in this order, once for each family, before its samples. */
static void take_comment(struct page *p, const char *line)
{
	bool help = strncmp(line, "# HELP ", 7) == 0;
	char name[NAME];

	assert_true(help || strncmp(line, "# TYPE ", 7) == 0);
	line += 7;
	take_name(&line, name);
	assert_int_equal(*line++, ' ');
	if (!help) {
		assert_string_equal(p->family[p->n_families - 1].name, name);
		assert_string_equal(p->family[p->n_families - 1].type, "");
		assert_true(!strcmp(line, "counter") || !strcmp(line, "gauge") || !strcmp(line, "histogram"));
		snprintf(p->family[p->n_families - 1].type, sizeof p->family->type, "%s", line);
		return;
	}
	assert_true(strlen(line) > 3 && line[strlen(line) - 1] == '.');
	for (size_t i = 0; i < p->n_families; i++)
		assert_string_not_equal(p->family[i].name, name);
	snprintf(p->family[p->n_families++].name, NAME, "%s", name);
}

static bool belongs(const struct page *p, const char *name)
{
	const char *family = p->family[p->n_families - 1].name, *type = p->family[p->n_families - 1].type;
	size_t n = strlen(family);
	const char *rest = name + n;

	if (strncmp(name, family, n) != 0)
		return false;
	if (!strcmp(type, "histogram"))
		return !strcmp(rest, "_bucket") || !strcmp(rest, "_sum") || !strcmp(rest, "_count");
	if (!strcmp(type, "counter"))
		assert_string_equal(family + n - 6, "_total");
	return !*rest;
}

static void take_sample(struct page *p, const char *line)
{
	struct sample *s = &p->sample[p->n_samples++];
	char *end;

	assert_true(p->n_samples < MAX_SAMPLES);
	take_name(&line, s->name);
	take_label(&line, s);
	assert_int_equal(*line++, ' ');
	assert_false(isspace((unsigned char)*line));
	s->value = strtod(line, &end);
	assert_int_equal(*end, '\0');
	assert_true(isfinite(s->value) && belongs(p, s->name));
	for (const struct sample *o = p->sample; o < s; o++)
		assert_false(!strcmp(o->name, s->name) && !strcmp(o->label, s->label) &&
			     !strcmp(o->value_of_label, s->value_of_label));
}

static void read_page(const struct world *w, struct page *p)
{
	struct buf b;
	char *save;

	memset(p, 0, sizeof *p);
	buf_init(&b, 1 << 20);
	assert_int_equal(metrics_print(&w->all, &b), 0);
	assert_int_equal(b.p[b.len - 1], '\n');
	assert_int_equal(buf_append(&b, "", 1), 0);
	assert_null(strstr((char *)b.p, "\n\n"));
	for (char *line = strtok_r((char *)b.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (*line == '#')
			take_comment(p, line);
		else
			take_sample(p, line);
	}
	buf_fini(&b);
}

static double value(const struct page *p, const char *name, const char *of_label)
{
	for (size_t i = 0; i < p->n_samples; i++)
		if (!strcmp(p->sample[i].name, name) && !strcmp(p->sample[i].value_of_label, of_label))
			return p->sample[i].value;
	fail_msg("no sample %s %s", name, of_label);
	return 0;
}

/* --- cases ----------------------------------------------------------------------------------- */

TEST(every_line_is_prometheus_text)
{
	struct world w;
	struct page p;

	fill(&w);
	read_page(&w, &p);
	assert_true(p.n_families > 60);
	for (size_t i = 0; i < p.n_families; i++) {
		bool used = false;

		assert_string_not_equal(p.family[i].type, "");
		assert_int_equal(strncmp(p.family[i].name, "mynah_", 6), 0);
		for (size_t j = 0; j < p.n_samples; j++)
			used |= !strncmp(p.sample[j].name, p.family[i].name, strlen(p.family[i].name));
		assert_true(used);
	}
	w.all.http = NULL; /* no HTTP server, no lines about it */
	size_t before = p.n_families;

	read_page(&w, &p);
	assert_int_equal(before - p.n_families, 10);
}

static void check_histogram(const struct page *p, const char *name, size_t n_buckets, double total, double sum)
{
	char bucket[NAME], count[NAME], sum_name[NAME];
	double last = 0, bound = -1;
	size_t n = 0;

	snprintf(bucket, sizeof bucket, "%s_bucket", name);
	snprintf(count, sizeof count, "%s_count", name);
	snprintf(sum_name, sizeof sum_name, "%s_sum", name);
	for (size_t i = 0; i < p->n_samples; i++) {
		const struct sample *s = &p->sample[i];

		if (strcmp(s->name, bucket) != 0)
			continue;
		double le = strcmp(s->value_of_label, "+Inf") ? atof(s->value_of_label) : (double)INFINITY;

		assert_string_equal(s->label, "le");
		assert_true(le > bound && s->value >= last);
		bound = le;
		last = s->value;
		n++;
	}
	assert_int_equal(n, n_buckets);
	assert_true(isinf(bound) && last == total && value(p, count, "") == total);
	assert_float_equal(value(p, sum_name, ""), sum, 1e-9);
}

TEST(histograms_are_cumulative_and_end_in_their_count)
{
	struct world w;
	struct page p;

	fill(&w);
	read_page(&w, &p);
	check_histogram(&p, "mynah_tick_late_seconds", 10, 55, 1.5);
	check_histogram(&p, "mynah_playout_depth_seconds", 9, 360, 2.5);
	assert_true(value(&p, "mynah_tick_late_seconds_bucket", "0.0001") == 1);
	assert_true(value(&p, "mynah_tick_late_seconds_bucket", "0.001") == 1 + 2 + 3 + 4);
	assert_true(value(&p, "mynah_playout_depth_seconds_bucket", "0.2") == 280);
}

TEST(values_are_those_of_their_counters)
{
	struct world w;
	struct page p;

	fill(&w);
	read_page(&w, &p);
	assert_true(value(&p, "mynah_build_info", "1.2.3") == 1);
	assert_true(value(&p, "mynah_certificate_seconds_left", "") == -50);
	assert_true(value(&p, "mynah_draining", "") == 1);
	assert_true(value(&p, "mynah_sessions", "") == 7);
	assert_true(value(&p, "mynah_participants", "") == 5);
	assert_true(value(&p, "mynah_frame_faults_total", "short") == 9);
	assert_true(value(&p, "mynah_ticks_total", "") == 77);
	assert_true(value(&p, "mynah_http_requests_total", "") == 44);
	assert_true(value(&p, "mynah_packets_lost_total", "") == (double)w.sum.quic.packets_lost);
	assert_true(value(&p, "mynah_connections_refused_total", "address") == (double)w.sum.quic.refused_addr);
	assert_true(value(&p, "mynah_stateless_packets_total", "retry") == (double)w.sum.quic.retries_sent);
	assert_true(value(&p, "mynah_datagrams_dropped_total", "send_age") == (double)w.sum.quic.datagrams_dropped.age);
	assert_true(value(&p, "mynah_datagrams_dropped_total", "rate_limited") == (double)w.sum.links.rate_limited);
	assert_true(value(&p, "mynah_datagrams_in_total", "") == (double)w.sum.wt.datagrams_in);
	assert_true(value(&p, "mynah_control_messages_total", "bad") == (double)w.sum.links.control_bad);
}

/* A counter that is not printed, or under a name of another, cannot be seen missing. */
TEST(every_refusal_is_in_one_line)
{
	static const char *const statuses[] = {"400", "403", "404", "429", "503", "other"};
	struct world w;
	struct page p;
	double sum = 0;

	fill(&w);
	read_page(&w, &p);
	for (size_t i = 0; i < 6; i++)
		sum += value(&p, "mynah_sessions_refused_total", statuses[i]);
	assert_true(sum == (double)(w.sum.wt.refused + w.sum.links.refused_opened));
	assert_true(value(&p, "mynah_sessions_refused_total", "429") ==
		(double)(w.sum.wt.second_sessions + w.sum.links.refused.status_429));
	assert_true(value(&p, "mynah_sessions_refused_total", "403") == (double)w.sum.links.refused.status_403);
}

TEST(no_room_for_it_is_an_error)
{
	struct world w;
	struct buf b;

	fill(&w);
	buf_init(&b, 4000); /* half a page would be taken for a whole one */
	assert_int_equal(metrics_print(&w.all, &b), ERR_NOMEM);
	buf_fini(&b);
}

TEST(shards_are_added_up)
{
	struct shard_report two[2] = {0};
	struct world w = {.all = {.reports = two, .n_shards = 2, .version = "1"}};
	struct page p;

	two[0].quic = (struct quic_stats){.packets_in = 5, .forwarded = 7, .conns = 3, .half_open = UINT32_MAX / 2};
	two[0].udp = (struct udp_stats){.recv_calls = 1, .kernel_dropped = UINT64_MAX / 4096};
	two[0].wt = (struct wt_stats){.sessions_opened = 11, .sessions = 9, .streams_rejected = 100};
	two[0].rooms = (struct rooms_stats){.rooms = 1, .participants = 2, .bridges = 3, .ticks = 4, .bridges_down = 5,
		.depth_sum_ms = 6, .late_bucket = {[9] = 8}};
	two[0].links = (struct links_stats){.refused = {.status_503 = 1}, .links = 17, .second_streams = 10};
	two[0].handshakes = (struct handshake_queue_stats){.packets = 23, .full = 1, .stale = 2};
	two[0].forward_dropped = 19;
	two[0].load = 0.5;
	two[1] = two[0];
	two[1].load = 0.25; /* the busiest counts */
	read_page(&w, &p);
	assert_true(value(&p, "mynah_packets_in_total", "") == 10);
	assert_true(value(&p, "mynah_packets_forwarded_total", "") == 14);
	assert_true(value(&p, "mynah_connections", "") == 6);
	assert_true(value(&p, "mynah_connections_half_open", "") == UINT32_MAX - 1);
	assert_true(value(&p, "mynah_udp_receive_calls_total", "") == 2);
	assert_true(value(&p, "mynah_udp_receive_dropped_total", "") == (double)(UINT64_MAX / 4096 * 2));
	assert_true(value(&p, "mynah_sessions_opened_total", "") == 22);
	assert_true(value(&p, "mynah_sessions", "") == 18);
	assert_true(value(&p, "mynah_streams_rejected_total", "") == 220);
	assert_true(value(&p, "mynah_rooms", "") == 2);
	assert_true(value(&p, "mynah_participants", "") == 4);
	assert_true(value(&p, "mynah_bridges", "") == 6);
	assert_true(value(&p, "mynah_ticks_total", "") == 8);
	assert_true(value(&p, "mynah_bridges_down", "") == 10);
	assert_true(value(&p, "mynah_playout_depth_seconds_sum", "") == 0.012);
	assert_true(value(&p, "mynah_tick_late_seconds_count", "") == 16);
	assert_true(value(&p, "mynah_sessions_refused_total", "503") == 2);
	assert_true(value(&p, "mynah_handshake_packets_total", "") == 46);
	assert_true(value(&p, "mynah_handshake_packets_dropped_total", "stale") == 4);
	assert_true(value(&p, "mynah_packets_forward_dropped_total", "") == 38);
	assert_true(value(&p, "mynah_load", "") == 0.5);
}

/* Counters of a struct that no row of its table shows. */
static unsigned count_unshown(const struct metric_table *t, size_t from, size_t bytes, const char *what)
{
	unsigned unshown = 0;

	for (size_t at = from; at < bytes; at += sizeof(uint32_t)) {
		bool shown = false;

		for (size_t i = 0; i < t->n_rows && !shown; i++) {
			const struct metric *m = &t->rows[i];
			size_t end = m->offset + (m->number == METRIC_U32 ? 4u : 8u);

			if (m->buckets)
				end = m->offset + (m->buckets->n + 1) * 8;
			shown = (at >= m->offset && at < end) || (m->buckets && at >= m->buckets->sum_offset && at < m->buckets->sum_offset + 8);
		}
		if (!shown)
			print_message("%s: nothing shows the counter at byte %zu\n", what, at);
		unshown += !shown;
	}
	return unshown;
}

TEST(every_counter_of_every_layer_is_shown)
{
	assert_int_equal(count_unshown(&quic_metrics, 0, offsetof(struct quic_stats, moved_out) + 4, "quic"), 0);
	assert_int_equal(count_unshown(&udp_metrics, 0, sizeof(struct udp_stats), "udp"), 0);
	assert_int_equal(count_unshown(&handshake_queue_metrics, 0, sizeof(struct handshake_queue_stats), "handshake_queue"), 0);
	assert_int_equal(count_unshown(&wt_metrics, 0, offsetof(struct wt_stats, sessions) + 4, "wt"), 0);
	assert_int_equal(count_unshown(&http_metrics, 0, offsetof(struct http_stats, conns) + 4, "http"), 0);
	/* faults[FRAME_OK] counts nothing; bridges_down has four bytes of padding behind it */
	assert_int_equal(count_unshown(&rooms_metrics, 0, sizeof(struct rooms_stats), "rooms"), 2 + 1 + 1);
	/* `links` is that of sessions */
	assert_int_equal(count_unshown(&links_metrics, 0, offsetof(struct links_stats, links), "links"), 0);
}

TEST(faults_of_frames_have_the_names_that_warnings_give_them)
{
	unsigned n = 0;

	for (size_t i = 0; i < rooms_metrics.n_rows; i++) {
		const struct metric *m = &rooms_metrics.rows[i];

		if (strcmp(m->name, "frame_faults_total") != 0)
			continue;
		size_t fault = (m->offset - offsetof(struct rooms_stats, faults)) / sizeof(uint64_t);

		assert_string_equal(m->value, frame_fault_name((enum frame_fault)fault));
		n++;
	}
	assert_int_equal(n, FRAME_N_FAULTS - 1);
}

TEST(the_reference_is_up_to_date)
{
	struct buf b;
	size_t len;
	char *file;
	FILE *f = fopen(TESTS_DIR "/../docs/metrics.md", "r");

	assert_non_null(f);
	file = calloc(1, 1 << 20);
	len = fread(file, 1, (1 << 20) - 1, f);
	fclose(f);
	buf_init(&b, 1 << 20);
	assert_int_equal(metrics_reference(&b), 0);
	if (b.len != len || memcmp(b.p, file, len) != 0)
		fail_msg("docs/metrics.md is out of date: build/sanitize/bin/metrics_doc >docs/metrics.md");
	buf_fini(&b);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_prometheus_text),
		cmocka_unit_test(histograms_are_cumulative_and_end_in_their_count),
		cmocka_unit_test(values_are_those_of_their_counters),
		cmocka_unit_test(every_refusal_is_in_one_line),
		cmocka_unit_test(no_room_for_it_is_an_error),
		cmocka_unit_test(shards_are_added_up),
		cmocka_unit_test(every_counter_of_every_layer_is_shown),
		cmocka_unit_test(faults_of_frames_have_the_names_that_warnings_give_them),
		cmocka_unit_test(the_reference_is_up_to_date),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
