/* SPDX-License-Identifier: MIT */
/*
 * shard - one thread's part of the server: a libuv loop with its own socket for each address, and the connections,
 * sessions and rooms on it (stack.h). Shard 0 runs on the loop of main, beside the HTTP server; each of the others
 * has a thread. Objects are shared only if their header says so; shards send messages to one another through the
 * exchange.
 *
 * These functions are for main's thread unless their comment says otherwise.
 */
#pragma once
#include "daemon/exchange.h"
#include "daemon/stack.h"
#include "http/server.h"
#include "quic/handshake_queue.h"
#include "quic/udp.h"

#include <uv.h>

struct shard;

struct shard_opts {
	unsigned index, n_shards;
	uv_loop_t *loop;           /* of shard 0; the others have their own */
	const struct config *cfg;
	struct registry *registry;
	struct certs *certs;
	struct quic_group *group;
	struct exchange *exchange; /* NULL: there is one shard only */
	struct quic_tls *tls;      /* a reference is taken */
	http_handler_fn *on_request; /* called in each shard's thread */
	/* Replies of the kinds below, in main's thread. */
	void (*on_mail)(void *ctx, struct mail *m);
	void *ctx;
	struct http_server *page; /* for shard 0, which gives it a share of its time; NULL: none */
};

/* All counters of a shard, to be added up. */
struct shard_report {
	struct mail mail; /* comes back as SHARD_REPORTED */
	void *ctx;        /* the asker's */
	struct quic_stats quic;
	struct udp_stats udp;
	struct wt_stats wt;
	struct rooms_stats rooms;
	struct links_stats links;
	struct handshake_queue_stats handshakes;
	uint64_t forward_dropped;
	double load; /* share of its time that it works */
};

enum shard_reply { SHARD_REPORTED = 64, SHARD_CLOSED, SHARD_GONE };
enum shard_command {
	SHARD_DRAIN, /* refuses new sessions and asks those that are open to leave */
	SHARD_CLOSE, /* closes every session and sends CONNECTION_CLOSE; SHARD_CLOSED follows */
	SHARD_QUIT,  /* closes everything; SHARD_GONE follows when its thread is about to end: then shard_free() */
	SHARD_N_COMMANDS,
};

/* Borrows what `o` points to until shard_free(). */
int shard_new(const struct shard_opts *o, const struct log *log, struct shard **out);
/* Before it starts; for shard 0 first, then for the others in order. ERR_IO with errno set. */
int shard_bind(struct shard *s, const struct quic_addr *addr, struct quic_addr *bound);
/* It runs from now on, each but shard 0 in a thread of its own. ERR_IO. */
int shard_start(struct shard *s);
/* Does it run in a thread of its own? */
bool shard_started(const struct shard *s);
/* Returns at once; shard 0 has handled it then. Each command at most once, in the order of the enum. */
void shard_send(struct shard *s, enum shard_command command);
void shard_use_tls(struct shard *s, struct quic_tls *tls);
/* Fills `r` and sends it back; in shard 0 at once. */
void shard_report(struct shard *s, struct shard_report *r);
/* For shard 0, before its page is closed. */
void shard_end_page(struct shard *s);
/* How often it has done what was due, in all: see watchdog.h. */
uint64_t shard_turns(const struct shard *s);
/* It turns once more as soon as it can. Not after SHARD_QUIT. */
void shard_ask_to_turn(struct shard *s);
/* After SHARD_GONE of every shard; or before shard_start(), then it closes everything first. Accepts NULL. */
void shard_free(struct shard *s);

/* For exchange_free(). */
void shard_discard_mail(unsigned to, struct mail *m);
