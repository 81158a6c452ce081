/* SPDX-License-Identifier: MIT */
#include "config/config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void server_default(struct config_server *s, const struct rooms_opts *rooms)
{
	snprintf(s->host[0], sizeof s->host[0], "0.0.0.0");
	s->n_hosts = 1;
	s->port = 4433;
	s->input_sample_rate = rooms->input_rate_hz;
	s->output_sample_rate = 16000;
	snprintf(s->path, sizeof s->path, "/audio");
	s->max_datagram_size = 65536;
	s->drain_ms = 1000;
	snprintf(s->tls_groups[0], sizeof s->tls_groups[0], "X25519MLKEM768");
	snprintf(s->tls_groups[1], sizeof s->tls_groups[1], "X25519");
	snprintf(s->tls_groups[2], sizeof s->tls_groups[2], "P-256");
	s->n_tls_groups = 3;
}

static void http_default(struct config_http *h)
{
	h->enabled = true;
	snprintf(h->host[0], sizeof h->host[0], "127.0.0.1");
	h->n_hosts = 1;
	h->port = 8080;
}

static void limits_default(struct config_limits *l)
{
	l->max_sessions = 5000;
	l->control_line_bytes = 16384;
	l->control_grace_ms = 5000;
	l->silent_client_ms = 15000;
	l->control_messages_per_s = 20;
	l->control_bytes_per_s = 16384;
	l->datagrams_per_s = 250;
	l->max_waiting_handshakes = 1024;
	l->max_load_percent = 90;
	l->resume_load_percent = 80;
}

void *config_bridge_options(struct config *c, size_t i)
{
	const struct bridge_options *o = bridge_find(c->bridge[i].type)->options;

	c->bridge[i].options = NULL;
	if (!o)
		return NULL;
	assert(o->size <= sizeof c->bridge_options[i].bytes);
	c->bridge[i].options = memcpy(c->bridge_options[i].bytes, o->defaults, o->size);
	return c->bridge_options[i].bytes;
}

void config_default(struct config *c)
{
	memset(c, 0, sizeof *c);
	quic_opts_default(&c->quic);
	wt_opts_default(&c->wt);
	udp_opts_default(&c->udp);
	http_opts_default(&c->http_server);
	rooms_opts_default(&c->rooms);
	server_default(&c->server, &c->rooms);
	http_default(&c->http);
	limits_default(&c->limits);
	room_rule_default(&c->room[0]);
	c->rooms.rules = c->room;
	c->rooms.n_rules = 1;
	c->rooms.bridges = c->bridge;
	c->rooms.n_bridges = 0;
	c->log_level = LOG_INFO;
	c->log_format = LOG_TEXT;
}
