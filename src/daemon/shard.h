/* SPDX-License-Identifier: MIT */
/*
 * shard - one thread's part of the server: a libuv loop with its own socket for each address, and the connections,
 * sessions and rooms on it (stack.h). Shard 0 runs on the loop of main, beside the HTTP server; each of the others
 * has a thread. Nothing is shared but what its header says so of; shards reach one another through the
 * exchange.
 *
 * Unless it says otherwise, call these from main's thread.
 */
#pragma once
#include "daemon/exchange.h"
#include "daemon/stack.h"
#include "quic/handshake_queue.h"
#include "quic/udp.h"

#include <uv.h>

struct shard;

struct shard_opts {
	unsigned index, n_shards;
	uv_loop_t *loop;           /* of shard 0; the others make theirs */
	const struct config *cfg;
	struct registry *registry;
	struct quic_group *group;
	struct exchange *exchange; /* NULL: there is one shard only */
	struct quic_tls *tls;      /* a reference is taken */
	http_handler_fn *on_request; /* called in each shard's thread */
	/* Answers of the kinds below, in main's thread. */
	void (*on_mail)(void *ctx, struct mail *m);
	void *ctx;
};

/* All that a shard counts, to be added up. */
struct shard_report {
	struct mail mail; /* comes back as SHARD_REPORTED */
	void *ctx;        /* of who asked */
	struct quic_stats quic;
	struct udp_stats udp;
	struct wt_stats wt;
	struct rooms_stats rooms;
	struct links_stats links;
	struct handshake_queue_stats handshakes;
	uint64_t forward_dropped;
	double load; /* share of its time that it is at work */
};

enum shard_answer { SHARD_REPORTED = 64, SHARD_CLOSED, SHARD_GONE };
enum shard_order {
	SHARD_DRAIN, /* nobody new; those here are told */
	SHARD_CLOSE, /* every session; answered by SHARD_CLOSED. Connections say goodbye */
	SHARD_QUIT,  /* everything; answered by SHARD_GONE when its thread is about to end: shard_free() */
	SHARD_N_ORDERS,
};

/* Borrows what `o` points to until shard_free(). */
int shard_new(const struct shard_opts *o, const struct log *log, struct shard **out);
/* Before it starts; the shards one after the other, 0 first. ERR_IO with errno set. */
int shard_bind(struct shard *s, const struct quic_addr *addr, struct quic_addr *bound);
/* From now on it lives; the others than 0 in a thread of their own. ERR_IO. */
int shard_start(struct shard *s);
/* In a thread of its own? */
bool shard_started(const struct shard *s);
/* Returns at once; what it leads to may have happened already where it is shard 0. Each at most once, in this order. */
void shard_order(struct shard *s, enum shard_order order);
void shard_use_tls(struct shard *s, struct quic_tls *tls);
/* Fills `r` and sends it back; in shard 0 at once. */
void shard_report(struct shard *s, struct shard_report *r);
/* In shard 0, before it is asked whether it is busy. */
void shard_watch_load(struct shard *s);
/* Was everything that it had to do done in time lately? */
bool shard_healthy(struct shard *s, nsec now);
/* Gone, and so is every other thread; or never started (then it is closed here). Accepts NULL. */
void shard_free(struct shard *s);

/* For exchange_free(). */
void shard_leftover(unsigned to, struct mail *m);
