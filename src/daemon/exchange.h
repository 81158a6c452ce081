/* SPDX-License-Identifier: MIT */
/*
 * exchange - what shards pass one another: mail (base/mailbox.h), which is never lost, and UDP payloads, one ring
 * (base/ring.h) for each pair of shards that needs one, which drop packets when they are full. Nobody locks,
 * nobody waits; a reader that sleeps is woken. Knows no loop.
 *
 *   writer: exchange_post(), exchange_relay()'s packet; after a batch exchange_flush()
 *   reader: exchange_take(); before it goes to sleep exchange_sleep()
 */
#pragma once
#include "quic/endpoint.h"

struct exchange;

enum { EXCHANGE_PACKETS = 256 }; /* in one ring */

int exchange_new(unsigned n_shards, struct exchange **out);
/* All threads are done. Mail that was not taken is handed to `untaken`, with the shard that it was for. Accepts NULL. */
void exchange_free(struct exchange *x, void (*untaken)(unsigned to, struct mail *m));
/* `wake` is called by other threads, to make `shard` take what there is. Before they begin. */
void exchange_on_wake(struct exchange *x, unsigned shard, void (*wake)(void *ctx), void *ctx);

/* As shard `from`, in its thread. */
void exchange_post(struct exchange *x, unsigned from, unsigned to, struct mail *m);
/* For quic_endpoint_join(); valid while `x` lives. */
struct quic_relay exchange_relay(struct exchange *x, unsigned from);
/* Wakes those that packets were passed to. */
void exchange_flush(struct exchange *x, unsigned from);

struct exchange_reader {
	void *ctx;
	void (*mail)(void *ctx, struct mail *m); /* it is the reader's now */
	void (*packet)(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len);
};
/* Takes what is there for `shard`; mail goes before packets that were passed on after it. False: nothing was. */
bool exchange_take(struct exchange *x, unsigned shard, const struct exchange_reader *r);
/* True: nothing is there, and whatever comes from now on wakes. False: take again. */
bool exchange_sleep(struct exchange *x, unsigned shard);
/* It is awake anyway and will take before it sleeps again: nobody need wake it. */
void exchange_awake(struct exchange *x, unsigned shard);

/* Packets that found a ring full, as counted by the shard they came to. In its thread. */
uint64_t exchange_dropped(const struct exchange *x, unsigned from);
