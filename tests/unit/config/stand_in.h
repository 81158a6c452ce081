/* SPDX-License-Identifier: MIT */
/* Weak stand-ins for layers that are not here yet. */
#pragma once
#include "base/err.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <string.h>
#define WEAK __attribute__((weak))
WEAK void quic_opts_default(struct quic_opts *o);
WEAK void quic_opts_default(struct quic_opts *o)
{
	*o = (struct quic_opts){.max_conns = 10000, .max_conns_per_addr = 512, .max_half_open = 1000, .retry_half_open = 100,
		.handshake_timeout_ms = 10000, .idle_timeout_ms = 30000, .keep_alive_ms = 10000, .max_streams_bidi = 16,
		.max_streams_uni = 16, .stream_window_bytes = 65536, .conn_window_bytes = 262144, .datagram_queue = 32,
		.datagram_age_ms = 120, .datagram_pool = 4096, .stateless_per_s = 2000, .pmtud = true};
}
WEAK void wt_opts_default(struct wt_opts *o);
WEAK void wt_opts_default(struct wt_opts *o)
{
	*o = (struct wt_opts){10000, 8, 4, 4096, 16, 65536, 16384, 16, false};
}
WEAK void udp_opts_default(struct udp_opts *o);
WEAK void udp_opts_default(struct udp_opts *o)
{
	*o = (struct udp_opts){16 << 20, 4 << 20, false};
}
WEAK void room_rule_default(struct room_rule *r);
WEAK void room_rule_default(struct room_rule *r)
{
	*r = (struct room_rule){.name = "*", .bridge = "none", .rate_hz = 16000, .max_participants = 100};
}
WEAK void rooms_opts_default(struct rooms_opts *o);
WEAK void rooms_opts_default(struct rooms_opts *o)
{
	memset(o, 0, sizeof *o);
	room_rule_default(&o->private_rule);
	strcpy(o->private_rule.bridge, "parrot");
	o->private_rule.max_participants = 1;
	o->frame_ms = 20;
	o->max_rooms = 1000;
	o->input_rate_hz = 16000;
	o->min_delay_ms = 3;
	o->max_delay_ms = 200;
	o->max_late_ms = 200;
}
WEAK void bridge_opts_default(struct bridge_opts *o);
WEAK void bridge_opts_default(struct bridge_opts *o)
{
	*o = (struct bridge_opts){.type = "parrot", .backlog_ms = 60000, .tone_hz = 440, .tone_dbfs = -20, .pause_ms = 600,
		.max_ms = 15000};
}
static const struct bridge_ops stand_in_ops;
WEAK const struct bridge_ops *bridge_find(const char *type);
WEAK const struct bridge_ops *bridge_find(const char *type)
{
	return !strcmp(type, "echo") || !strcmp(type, "tone") || !strcmp(type, "parrot") ? &stand_in_ops : NULL;
}
WEAK const char *bridge_types(void);
WEAK const char *bridge_types(void)
{
	return "echo, tone, parrot";
}
WEAK int quic_addr_parse(const char *host, uint16_t port, struct quic_addr *out);
WEAK int quic_addr_parse(const char *host, uint16_t port, struct quic_addr *out)
{
	(void)port;
	return inet_pton(AF_INET, host, &out->in4.sin_addr) == 1 || inet_pton(AF_INET6, host, &out->in6.sin6_addr) == 1 ? 0 : ERR_MALFORMED;
}
