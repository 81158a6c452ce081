/* SPDX-License-Identifier: MIT */
/*
 * stack - a shard without its sockets and its clock: connections, sessions, rooms, and what joins them.
 * The daemon puts it on a loop (shard.h); tests and benchmarks run it in virtual time. One thread.
 *
 *   quic_endpoint_recv() for each packet, then stack_settle() once; stack_settle() again at stack_deadline()
 */
#pragma once
#include "daemon/link.h"
#include "daemon/registry.h"
#include "wt/wt.h"

struct stack_opts {
	const struct config *cfg;
	const struct rooms_opts *rooms; /* NULL: cfg->rooms */
	struct registry *registry;
	struct certs *certs;            /* see struct admission; may be NULL */
	unsigned shard, n_shards;       /* this one's number; 1 at least */
	struct quic_group *group;       /* of the endpoints of all shards; NULL: there is one */
	const struct quic_relay *relay; /* between them; NULL: there is one */
	http_handler_fn *on_request;    /* see wt_on_request(); may be NULL */
	void *request_ctx;
	int64_t (*wall_ms)(void);       /* see links_opts; may be NULL */
};

/* Made and freed together; each part may be used as its header says. */
struct stack {
	struct quic_endpoint *endpoint;
	struct wt *wt;
	struct rooms *rooms;
	struct links *links;
};

/* Borrows what `o` points to until stack_fini(); takes a reference to `tls`. On error everything is freed again. */
int stack_init(struct stack *k, const struct stack_opts *o, const struct quic_out *out, struct quic_tls *tls,
	const struct log *log);
/* Ends all connections without a packet. Bridges may still have work on their loop. */
void stack_end(struct stack *k);
/* After that loop has run empty. Accepts a zeroed one. */
void stack_fini(struct stack *k);

/* After each batch of packets, commands or callbacks: mixes the rooms that are due and writes packets. */
void stack_settle(struct stack *k, nsec now);
/* The latest time of the next stack_settle(); NSEC_NONE: none is needed. */
nsec stack_deadline(const struct stack *k);
