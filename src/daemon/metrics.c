/* SPDX-License-Identifier: MIT */
#include "daemon/metrics.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* Half a page would be taken for a whole one: what does not fit empties it, and keeps it empty. */
static void give_up(struct buf *out)
{
	out->len = out->max = 0;
}

#define put(out, ...)                               \
	do {                                        \
		if (buf_printf((out), __VA_ARGS__)) \
			give_up(out);               \
	} while (0)

/* One family: its name, what it counts, and how. */
static void family(struct buf *out, const char *name, const char *type, const char *help)
{
	put(out, "# HELP mynah_%s %s\n# TYPE mynah_%s %s\n", name, help, name, type);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
	family(out, name, "counter", help);
	put(out, "mynah_%s %llu\n", name, (unsigned long long)value);
}

static void gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	family(out, name, "gauge", help);
	put(out, "mynah_%s %llu\n", name, (unsigned long long)value);
}

/* One line of a family with a label. */
static void labelled(struct buf *out, const char *name, const char *label, const char *which, uint64_t value)
{
	put(out, "mynah_%s{%s=\"%s\"} %llu\n", name, label, which, (unsigned long long)value);
}

struct histogram {
	const char *name, *help;
	const double *bounds;     /* n of them, in the unit of the name */
	const uint64_t *buckets;  /* n + 1: the last holds what is beyond */
	size_t n;
	double scale, sum;        /* bounds are multiplied by scale */
};

static void histogram(struct buf *out, const struct histogram *h)
{
	uint64_t total = 0;

	family(out, h->name, "histogram", h->help);
	for (size_t i = 0; i < h->n; i++) {
		total += h->buckets[i];
		put(out, "mynah_%s_bucket{le=\"%g\"} %llu\n", h->name, h->bounds[i] * h->scale,
			(unsigned long long)total);
	}
	total += h->buckets[h->n];
	put(out, "mynah_%s_bucket{le=\"+Inf\"} %llu\n", h->name, (unsigned long long)total);
	put(out, "mynah_%s_sum %.9g\nmynah_%s_count %llu\n", h->name, h->sum, h->name, (unsigned long long)total);
}

/* Counters have 64 bits; counts of what is there now have 32 and lie two to a word, and their sum carries nothing over. */
static void add_words(void *sum, const void *p, size_t bytes)
{
	for (size_t i = 0; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t)) {
		uint64_t a, b;

		memcpy(&a, (char *)sum + i, sizeof a);
		memcpy(&b, (const char *)p + i, sizeof b);
		a += b;
		memcpy((char *)sum + i, &a, sizeof a);
	}
}

#define ADD(member)                                                                  \
	do {                                                                         \
		_Static_assert(sizeof sum->member % sizeof(uint64_t) == 0, "words"); \
		add_words(&sum->member, &r->member, sizeof sum->member);             \
	} while (0)

void metrics_add(struct shard_report *sum, const struct shard_report *r)
{
	ADD(quic);
	ADD(udp);
	ADD(wt);
	ADD(rooms);
	ADD(links);
	ADD(lobby);
	ADD(forward_dropped);
	if (r->load > sum->load)
		sum->load = r->load;
}

static void print_process(const struct metrics_sources *m, struct buf *out)
{
	family(out, "build_info", "gauge", "Always 1; the label is the version.");
	labelled(out, "build_info", "version", m->version, 1);
	gauge(out, "start_time_seconds", "When the daemon started, seconds since 1970.", (uint64_t)m->started_s);
	family(out, "load", "gauge", "Share of its time that the busiest shard is at work, handshakes excepted: 0 to 1.");
	put(out, "mynah_load %.3f\n", m->sum->load);
	gauge(out, "draining", "1 while the daemon is shutting down.", m->draining);
	gauge(out, "shards", "Threads that serve sessions.", m->n_shards);
	family(out, "certificate_seconds_left", "gauge", "Until the certificate shown now is no longer valid.");
	put(out, "mynah_certificate_seconds_left %lld\n", (long long)(m->certificate_ends_s - m->now_s));
}

/* Links refuse by status; wt refuses by itself what never reaches them: a second session (429), and the rest. */
static void print_refusals(const struct metrics_sources *m, struct buf *out)
{
	uint64_t known = m->sum->wt.second_sessions;

	family(out, "sessions_refused_total", "counter",
		"CONNECT requests refused, by status; other: malformed, not WebTransport, too large, or while shutting down.");
	for (size_t i = 0; i < sizeof links_refusals / sizeof *links_refusals; i++) {
		bool second = links_refusals[i] == 429;
		char status[8];

		known += m->sum->links.refused[i];
		snprintf(status, sizeof status, "%u", links_refusals[i]);
		labelled(out, "sessions_refused_total", "status", status,
			m->sum->links.refused[i] + (second ? m->sum->wt.second_sessions : 0));
	}
	labelled(out, "sessions_refused_total", "status", "other", m->sum->wt.refused > known ? m->sum->wt.refused - known : 0);
}

static void print_sessions(const struct metrics_sources *m, struct buf *out)
{
	gauge(out, "sessions", "WebTransport sessions open now.", m->sum->wt.sessions);
	counter(out, "sessions_opened_total", "Sessions accepted.", m->sum->wt.sessions_opened);
	counter(out, "sessions_closed_total", "Sessions ended, for whatever reason.", m->sum->wt.sessions_closed);
	print_refusals(m, out);
	counter(out, "second_sessions_total", "CONNECT requests on a connection that has a session.", m->sum->wt.second_sessions);
	counter(out, "http3_requests_total", "Plain HTTP/3 requests answered.", m->sum->wt.requests);
	counter(out, "protocol_errors_total", "Connections ended because the peer broke HTTP/3 or WebTransport.",
		m->sum->wt.protocol_errors);
	counter(out, "streams_opened_total", "WebTransport streams opened by clients.", m->sum->wt.streams_opened);
	counter(out, "streams_rejected_total", "WebTransport streams rejected.",
		m->sum->wt.streams_rejected + m->sum->links.second_streams);
	family(out, "control_messages_total", "counter", "Lines on control streams, by outcome.");
	labelled(out, "control_messages_total", "outcome", "taken", m->sum->links.control_in);
	labelled(out, "control_messages_total", "outcome", "bad", m->sum->links.control_bad);
	labelled(out, "control_messages_total", "outcome", "rate_limited", m->sum->links.control_limited);
	counter(out, "control_streams_lost_total", "Control streams given up because the client did not read, or wanted no more.",
		m->sum->links.control_lost);
}

static void print_audio(const struct metrics_sources *m, struct buf *out)
{
	const struct rooms_stats *r = &m->sum->rooms;

	gauge(out, "rooms", "Rooms that exist now.", r->rooms);
	gauge(out, "participants", "People in rooms now.", r->participants);
	gauge(out, "bridges", "Bridge workers running now.", r->bridges);
	counter(out, "room_joins_total", "Joins.", r->joins);
	counter(out, "room_leaves_total", "Departures.", r->leaves);
	family(out, "room_refusals_total", "counter", "Joins refused, by reason.");
	labelled(out, "room_refusals_total", "reason", "room_full", r->refused_full);
	labelled(out, "room_refusals_total", "reason", "too_many_rooms", r->refused_rooms);
	labelled(out, "room_refusals_total", "reason", "bad_name", r->refused_name);
	counter(out, "ticks_total", "Mixing ticks.", r->ticks);
	counter(out, "ticks_skipped_total", "Ticks left out because the machine was too late for them.", r->ticks_skipped);
	counter(out, "frames_in_total", "Audio frames taken from clients.", r->frames_in);
	counter(out, "frames_out_total", "Audio frames mixed for clients.", r->frames_out);
	counter(out, "mixes_total", "Mixes computed.", r->mixes);
	counter(out, "mixes_shared_total", "Mixes that served several listeners.", r->shared_mixes);
	counter(out, "concealed_ticks_total", "Ticks of a talker that had to be concealed.", r->concealed);
	counter(out, "playout_dropped_milliseconds_total", "Sound left out of playout buffers to bound their delay or to regain it.", r->dropped_ms);
	family(out, "frame_faults_total", "counter", "Audio datagrams with a fault, by kind.");
	for (int f = FRAME_OK + 1; f < FRAME_N_FAULTS; f++)
		labelled(out, "frame_faults_total", "fault", frame_fault_name((enum frame_fault)f), r->faults[f]);
	gauge(out, "bridges_down", "Bridge workers that failed and wait to be started again.", r->bridges_down);
	counter(out, "bridge_restarts_total", "Bridge workers started again after a failure.", r->bridge_restarts);
	family(out, "frames_by_sequence_total", "counter", "Frames of clients that number them, by what became of them.");
	labelled(out, "frames_by_sequence_total", "what", "lost", r->frames_lost);
	labelled(out, "frames_by_sequence_total", "what", "reordered", r->frames_reordered);
	labelled(out, "frames_by_sequence_total", "what", "duplicate", r->frames_duplicate);
	labelled(out, "frames_by_sequence_total", "what", "late", r->frames_late);
	counter(out, "flushes_total", "Times that speech of a bridge was taken back.", r->flushes);
	counter(out, "bridge_talked_over_total", "Times that a bridge was turned down because somebody talked.", r->talked_over);
	family(out, "bridge_tool_calls_total", "counter", "Tools called by models, by what these were answered.");
	labelled(out, "bridge_tool_calls_total", "answer", "result", r->tool_results);
	labelled(out, "bridge_tool_calls_total", "answer", "error", r->tool_errors);
	counter(out, "bridge_failures_total", "Bridge workers that failed.", r->bridge_failures);
	counter(out, "bridge_dropped_milliseconds_total", "Speech of bridges beyond their backlog.", r->bridge_dropped_ms);
	counter(out, "bridge_unheard_milliseconds_total", "Sound dropped because a bridge worker did not take it.",
		r->bridge_unheard_ms);
	histogram(out, &(struct histogram){"tick_late_seconds", "How late ticks began.", rooms_late_bound_ms, r->late_bucket,
		9, 1e-3, (double)r->late_sum_ns * 1e-9});
	histogram(out, &(struct histogram){"playout_depth_seconds", "Sound waiting in the playout buffer of a talker.",
		rooms_depth_bound_ms, r->depth_bucket, 8, 1e-3, (double)r->depth_sum_ms * 1e-3});
}

static void print_datagrams(const struct metrics_sources *m, struct buf *out)
{
	counter(out, "datagrams_in_total", "Datagrams received in sessions.", m->sum->wt.datagrams_in);
	counter(out, "datagrams_out_total", "Datagrams sent.", m->sum->quic.datagrams_out);
	family(out, "datagrams_dropped_total", "counter", "Datagrams dropped, by reason.");
	labelled(out, "datagrams_dropped_total", "reason", "rate_limited", m->sum->links.rate_limited);
	labelled(out, "datagrams_dropped_total", "reason", "unknown_session", m->sum->wt.datagrams_unknown);
	labelled(out, "datagrams_dropped_total", "reason", "empty", m->sum->wt.datagrams_empty);
	labelled(out, "datagrams_dropped_total", "reason", "early", m->sum->wt.early_dropped);
	labelled(out, "datagrams_dropped_total", "reason", "send_queue", m->sum->quic.datagrams_dropped_queue);
	labelled(out, "datagrams_dropped_total", "reason", "send_age", m->sum->quic.datagrams_dropped_age);
	labelled(out, "datagrams_dropped_total", "reason", "send_size", m->sum->quic.datagrams_dropped_size);
	labelled(out, "datagrams_dropped_total", "reason", "send_pool", m->sum->quic.datagrams_dropped_pool);
	labelled(out, "datagrams_dropped_total", "reason", "not_ready", m->sum->links.send_failed);
}

static void print_quic(const struct metrics_sources *m, struct buf *out)
{
	const struct quic_stats *q = &m->sum->quic;

	gauge(out, "connections", "QUIC connections now.", q->conns);
	gauge(out, "connections_half_open", "Handshakes under way.", q->half_open);
	counter(out, "connections_accepted_total", "QUIC connections accepted.", q->conns_accepted);
	counter(out, "connections_closed_total", "QUIC connections ended.", q->conns_closed);
	counter(out, "handshakes_total", "Handshakes completed.", q->handshakes);
	counter(out, "handshake_failures_total", "Handshakes that failed.", q->handshake_failures);
	family(out, "connections_refused_total", "counter", "Connections refused, by reason.");
	labelled(out, "connections_refused_total", "reason", "limit", q->refused_limit);
	labelled(out, "connections_refused_total", "reason", "address", q->refused_addr);
	labelled(out, "connections_refused_total", "reason", "half_open", q->dropped_half_open);
	counter(out, "handshake_packets_total", "Packets of handshakes, which wait while voice goes first.", m->sum->lobby.packets);
	family(out, "handshake_packets_dropped_total", "counter", "Those of them that were dropped, by reason.");
	labelled(out, "handshake_packets_dropped_total", "reason", "full", m->sum->lobby.full);
	labelled(out, "handshake_packets_dropped_total", "reason", "stale", m->sum->lobby.stale);
	family(out, "stateless_packets_total", "counter", "Packets sent without a connection, by kind.");
	labelled(out, "stateless_packets_total", "kind", "retry", q->retries_sent);
	labelled(out, "stateless_packets_total", "kind", "version_negotiation", q->version_negotiations);
	labelled(out, "stateless_packets_total", "kind", "reset", q->stateless_resets);
	counter(out, "stateless_dropped_total", "Such packets not sent because of the limit.", q->dropped_stateless);
	counter(out, "bad_tokens_total", "Retry tokens that did not fit.", q->bad_tokens);
	counter(out, "packets_in_total", "QUIC packets received.", q->packets_in);
	counter(out, "packets_out_total", "QUIC packets sent.", q->packets_out);
	counter(out, "bytes_in_total", "UDP payload bytes received.", q->bytes_in);
	counter(out, "bytes_out_total", "UDP payload bytes sent.", q->bytes_out);
	counter(out, "packets_lost_total", "Packets of ours that were lost.", q->packets_lost);
	counter(out, "packets_unknown_total", "Packets that belong to no connection.", q->unknown_packets);
	counter(out, "path_shrunk_total", "Connections whose path began to swallow large packets.", q->black_holes);
	counter(out, "migrations_total", "Connections that moved to another address.", q->migrations);
	counter(out, "key_updates_total", "Key updates.", q->key_updates);
	counter(out, "connections_moved_total", "Connections that went to the shard where their room lives.", q->conns_moved);
	gauge(out, "connections_away", "Of these, connections now whose first shard still hands packets on.", q->away);
	counter(out, "packets_forwarded_total", "Packets handed on to the shard where their connection lives.", q->forwarded);
	counter(out, "packets_forward_dropped_total", "Such packets dropped because that shard did not keep up.",
		m->sum->forward_dropped);
	counter(out, "udp_send_dropped_total", "Packets that the kernel did not take.", m->sum->udp.send_dropped);
	counter(out, "udp_receive_dropped_total", "Packets lost in full receive buffers.", m->sum->udp.kernel_dropped);
	counter(out, "udp_receive_calls_total", "recvmmsg calls.", m->sum->udp.recv_calls);
	counter(out, "udp_grid_reads_total", "Wake-ups on the grid that busy sockets are read on.", m->sum->udp.grid_reads);
	counter(out, "udp_send_calls_total", "sendmmsg calls.", m->sum->udp.send_calls);
}

static void print_http(const struct metrics_sources *m, struct buf *out)
{
	if (!m->http)
		return;
	gauge(out, "http_connections", "HTTP/1.1 connections now.", m->http->conns);
	counter(out, "http_requests_total", "HTTP/1.1 requests.", m->http->requests);
	counter(out, "http_connections_displaced_total", "HTTP/1.1 connections without a request closed to make room.", m->http->conns_displaced);
	counter(out, "http_connections_refused_total", "HTTP/1.1 connections refused: all were being answered.", m->http->conns_refused);
	family(out, "http_responses_total", "counter", "HTTP/1.1 responses, by class.");
	labelled(out, "http_responses_total", "class", "2xx", m->http->responses_2xx);
	labelled(out, "http_responses_total", "class", "3xx", m->http->responses_3xx);
	labelled(out, "http_responses_total", "class", "4xx", m->http->responses_4xx);
	labelled(out, "http_responses_total", "class", "5xx", m->http->responses_5xx);
}

int metrics_print(const struct metrics_sources *m, struct buf *out)
{
	print_process(m, out);
	print_sessions(m, out);
	print_audio(m, out);
	print_datagrams(m, out);
	print_quic(m, out);
	print_http(m, out);
	return out->len ? 0 : ERR_NOMEM;
}
