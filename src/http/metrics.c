/* SPDX-License-Identifier: MIT */
#include "http/server.h"

static const struct metric http_rows[] = {
	{"http_connections", METRIC_GAUGE,
		"HTTP/1.1 connections now.", METRIC_AT(struct http_stats, conns)},
	{"http_connections_accepted_total", METRIC_COUNTER,
		"HTTP/1.1 connections accepted.", METRIC_AT(struct http_stats, conns_accepted)},
	{"http_requests_total", METRIC_COUNTER,
		"HTTP/1.1 requests.", METRIC_AT(struct http_stats, requests)},
	{"http_requests_limited_total", METRIC_COUNTER,
		"HTTP/1.1 requests answered 429: more a second than a connection may make.", METRIC_AT(struct http_stats, requests_limited)},
	{"http_connections_displaced_total", METRIC_COUNTER,
		"HTTP/1.1 connections without a request closed to make room, or for want of descriptors.", METRIC_AT(struct http_stats, conns_displaced)},
	{"http_connections_refused_total", METRIC_COUNTER,
		"HTTP/1.1 connections refused: all were being answered, or there was no memory or descriptor.", METRIC_AT(struct http_stats, conns_refused)},
	{"http_bad_requests_total", METRIC_COUNTER,
		"HTTP/1.1 requests that could not be parsed or were too large.", METRIC_AT(struct http_stats, bad_requests)},
	{"http_tls_failures_total", METRIC_COUNTER,
		"HTTP/1.1 connections whose TLS handshake failed.", METRIC_AT(struct http_stats, tls_failures)},
	{"http_timeouts_total", METRIC_COUNTER,
		"HTTP/1.1 connections closed because nothing came in time.", METRIC_AT(struct http_stats, timeouts)},
	{"http_responses_total", METRIC_COUNTER,
		"HTTP/1.1 responses, by class.", .label = "class", .value = "2xx", METRIC_AT(struct http_stats, responses_2xx)},
	{"http_responses_total", .label = "class", .value = "3xx", METRIC_AT(struct http_stats, responses_3xx)},
	{"http_responses_total", .label = "class", .value = "4xx", METRIC_AT(struct http_stats, responses_4xx)},
	{"http_responses_total", .label = "class", .value = "5xx", METRIC_AT(struct http_stats, responses_5xx)},
};
const struct metric_table http_metrics = METRIC_TABLE(http_rows);
