/* SPDX-License-Identifier: MIT */
/*
 * stack - all of a shard but its sockets and its clock: connections, sessions, rooms, and what joins them.
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
	unsigned shard, n_shards;       /* this one's number; 1 at least */
	struct quic_group *group;       /* of the endpoints of all shards; NULL: there is one */
	const struct quic_relay *relay; /* between them; NULL: there is one */
	http_handler_fn *on_request;    /* see wt_on_request(); may be NULL */
	void *request_ctx;
	int64_t (*wall_ms)(void);       /* see links_opts; may be NULL */
};

/* To be looked at, and each part used as its header says; made and freed together. */
struct stack {
	struct quic_endpoint *endpoint;
	struct wt *wt;
	struct rooms *rooms;
	struct links *links;
};

/* Borrows what `o` points to until stack_fini(); takes a reference to `tls`. On error nothing is left behind. */
int stack_init(struct stack *k, const struct stack_opts *o, const struct quic_out *out, struct quic_tls *tls,
	const struct log *log);
/* Ends whatever there is without a word. Bridges may have something to finish on their loop. */
void stack_end(struct stack *k);
/* When that loop has run empty. Accepts a zeroed one. */
void stack_fini(struct stack *k);

/* After anything happened: mixes what is due, writes what is to be sent. */
void stack_settle(struct stack *k, nsec now);
/* When it wants to be called again at the latest; NSEC_NONE: not at all. */
nsec stack_deadline(const struct stack *k);
