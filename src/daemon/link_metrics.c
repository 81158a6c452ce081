/* SPDX-License-Identifier: MIT */
#include "daemon/link.h"

static const struct metric links_rows[] = {
	{"sessions_refused_total", METRIC_COUNTER,
		"CONNECT requests refused, by status; other: malformed, not WebTransport, too large, or while shutting down.",
		.label = "status", .value = "400", METRIC_AT(struct links_stats, refused.status_400)},
	{"sessions_refused_total", .label = "status", .value = "403", METRIC_AT(struct links_stats, refused.status_403)},
	{"sessions_refused_total", .label = "status", .value = "404", METRIC_AT(struct links_stats, refused.status_404)},
	{"sessions_refused_total", .label = "status", .value = "503", METRIC_AT(struct links_stats, refused.status_503)},
	{"sessions_refused_total", .label = "status", .value = "other", METRIC_AT(struct links_stats, refused.status_400), .sign = -1},
	{"sessions_refused_total", .label = "status", .value = "other", METRIC_AT(struct links_stats, refused.status_403), .sign = -1},
	{"sessions_refused_total", .label = "status", .value = "other", METRIC_AT(struct links_stats, refused.status_404), .sign = -1},
	{"sessions_refused_total", .label = "status", .value = "other", METRIC_AT(struct links_stats, refused.status_503), .sign = -1},
	/* Refused, though they were open for a moment. */
	{"sessions_refused_total", .label = "status", .value = "other", METRIC_AT(struct links_stats, refused_opened)},
	{"sessions_opened_total", METRIC_AT(struct links_stats, refused_opened), .sign = -1},
	{"sessions_closed_total", METRIC_AT(struct links_stats, refused_closed), .sign = -1},
	{"sessions", METRIC_AT(struct links_stats, refused_open), .sign = -1},
	{"sessions_given_up_total", METRIC_COUNTER,
		"Sessions ended since their client had gone: it ended its control stream, or it used to report and fell silent.",
		.label = "reason", .value = "control_stream", METRIC_AT(struct links_stats, gone_lines)},
	{"sessions_given_up_total", .label = "reason", .value = "silent", METRIC_AT(struct links_stats, gone_silent)},
	{"control_messages_total", METRIC_COUNTER,
		"Lines on control streams, by outcome.", .label = "outcome", .value = "taken", METRIC_AT(struct links_stats, control_in)},
	{"control_messages_total", .label = "outcome", .value = "bad", METRIC_AT(struct links_stats, control_bad)},
	{"control_messages_total", .label = "outcome", .value = "rate_limited", METRIC_AT(struct links_stats, control_limited)},
	{"control_streams_lost_total", METRIC_COUNTER,
		"Control streams given up because the client took nothing for five seconds, or stopped them.", METRIC_AT(struct links_stats, control_lost)},
	{"messages_lost_total", METRIC_COUNTER,
		"Lines dropped on their way to a client that took them too slowly; it is told how many.", METRIC_AT(struct links_stats, lines_lost)},
	{"streams_rejected_total", METRIC_AT(struct links_stats, second_streams)},
	{"datagrams_dropped_total", .label = "reason", .value = "rate_limited", METRIC_AT(struct links_stats, rate_limited)},
	{"datagrams_dropped_total", .label = "reason", .value = "not_ready", METRIC_AT(struct links_stats, send_failed)},
};
const struct metric_table links_metrics = METRIC_TABLE(links_rows);
