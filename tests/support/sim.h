/* SPDX-License-Identifier: MIT */
/*
 * sim - a network in virtual time: endpoints joined by links that lose, delay, reorder,
 * duplicate, corrupt and starve packets, all decided by one seed. Hours pass in seconds.
 * (Keys and connection ids are OpenSSL's and differ from run to run; what happens to the
 * n-th packet does not.)
 *
 *   struct sim *s = sim_new(7);
 *   struct sim_node *n = sim_node(s, "10.0.0.1", 4433);
 *   struct quic_out out = sim_out(n);
 *   quic_endpoint_new(.., &out, .., &ep);  sim_attach(n, ep);
 *   sim_run(s, done, ctx, nsec_from_s(10));
 */
#pragma once
#include "base/time.h"
#include "quic/endpoint.h"

struct sim;
struct sim_node;

/* One direction of a node's access link. All zero: perfect and immediate. */
struct sim_link {
	double loss, duplicate, corrupt, reorder; /* chance for each packet */
	uint32_t delay_us, jitter_us;             /* delay + 0..jitter; order is kept unless reordered */
	uint32_t reorder_us;                      /* how much later a reordered packet comes; 0: 10 ms */
	uint64_t rate_bps;                        /* 0: unlimited */
	uint32_t queue_bytes;                     /* before a limited rate; 0: 64 KiB */
	uint32_t mtu;                             /* largest UDP payload; 0: 65535 */
	bool blackout;                            /* nothing passes */
	uint8_t mark_ce;                          /* 1: ECT packets are marked congested */
};

struct sim_counts {
	uint64_t packets, bytes, lost; /* offered; of these not delivered */
	uint64_t ect; /* marked as capable of ECN */
};

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s); /* frees the nodes, not the endpoints; accepts NULL */
nsec sim_now(const struct sim *s);
uint64_t sim_random(struct sim *s);

struct sim_node *sim_node(struct sim *s, const char *host, uint16_t port);
struct quic_out sim_out(struct sim_node *n);
void sim_attach(struct sim_node *n, struct quic_endpoint *ep); /* NULL: neither receives nor sends */
/* One more endpoint behind the node's addresses: packets go to the one that the first byte of their connection id names,
 * modulo how many there are. */
void sim_attach_more(struct sim_node *n, struct quic_endpoint *ep);
struct sim_link *sim_up(struct sim_node *n);   /* from the node */
struct sim_link *sim_down(struct sim_node *n); /* to the node */
void sim_both(struct sim_node *n, const struct sim_link *l);
const struct sim_counts *sim_sent(const struct sim_node *n);
struct quic_addr sim_addr(const struct sim_node *n);
struct quic_path sim_path(const struct sim_node *from, const struct sim_node *to);

/* One more address of the same node, for active migration. */
struct quic_addr sim_add_addr(struct sim_node *n, const char *host, uint16_t port);
/* The node's first address is seen as this one from now on, as behind a NAT that forgot its
 * mapping: what is sent to the old one gets lost. */
void sim_rebind(struct sim_node *n, const char *host, uint16_t port);

/* Sees every packet that is sent, before its fate is decided; may change it. False: it is swallowed. */
typedef bool (*sim_tap_fn)(void *ctx, const struct quic_path *path, uint8_t *p, size_t len);
void sim_tap(struct sim *s, sim_tap_fn fn, void *ctx);
/* Puts a packet on the wire as if it came from path->local; delivered at once. */
void sim_inject(struct sim *s, const struct quic_path *path, const uint8_t *p, size_t len);

/* Calls `fn` every `period`, from `first` on (absolute), before endpoints are flushed at that time. */
typedef void (*sim_tick_fn)(void *ctx, nsec now);
void sim_every(struct sim *s, nsec first, nsec period, sim_tick_fn fn, void *ctx);

/* Runs until `cond` (may be NULL) holds, for `limit` at most; true if it held. */
typedef bool (*sim_cond_fn)(void *ctx);
bool sim_run(struct sim *s, sim_cond_fn cond, void *ctx, nsec limit);
