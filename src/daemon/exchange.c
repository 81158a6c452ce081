/* SPDX-License-Identifier: MIT */
#include "daemon/exchange.h"

#include "base/err.h"
#include "base/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct packet {
	struct quic_path path;
	size_t len;
	uint8_t ecn;
	uint8_t data[QUIC_PACKET_MAX];
};

/* One shard's: what others have put there for it (first), and what it remembers as a writer. */
struct port {
	alignas(64) _Atomic uint64_t pending; /* one bit for each shard that put something there */
	atomic_bool asleep;
	struct mailbox mail;
	_Atomic(struct ring *) from[QUIC_SHARDS_MAX];
	void (*wake)(void *ctx);
	void *wake_ctx;

	alignas(64) struct exchange *x;
	unsigned self;
	uint64_t passed; /* to whom packets went since the last flush */
	uint64_t dropped;
};

struct exchange {
	unsigned n;
	struct port *port;
};

_Static_assert(QUIC_SHARDS_MAX <= 64, "one bit of a word for each");

int exchange_new(unsigned n, struct exchange **out)
{
	struct exchange *x = calloc(1, sizeof *x);

	if (!x)
		return ERR_NOMEM;
	x->n = n;
	x->port = aligned_alloc(alignof(struct port), n * sizeof *x->port);
	if (!x->port) {
		free(x);
		return ERR_NOMEM;
	}
	memset(x->port, 0, n * sizeof *x->port);
	for (unsigned i = 0; i < n; i++) {
		x->port[i].x = x;
		x->port[i].self = i;
	}
	*out = x;
	return 0;
}

/* `untaken` may post mail, too. */
static void return_untaken(struct exchange *x, void (*untaken)(unsigned to, struct mail *m))
{
	for (unsigned i = 0; i < x->n; i++) {
		struct mail *next;

		for (struct mail *m = mailbox_take(&x->port[i].mail); m; m = next) {
			next = m->next;
			untaken(i, m);
		}
	}
}

void exchange_free(struct exchange *x, void (*untaken)(unsigned to, struct mail *m))
{
	if (!x)
		return;
	return_untaken(x, untaken);
	for (unsigned i = 0; i < x->n; i++)
		for (unsigned k = 0; k < x->n; k++)
			ring_free(atomic_load(&x->port[i].from[k]));
	free(x->port);
	free(x);
}

void exchange_on_wake(struct exchange *x, unsigned shard, void (*wake)(void *ctx), void *ctx)
{
	x->port[shard].wake = wake;
	x->port[shard].wake_ctx = ctx;
}

/* --- writing -------------------------------------------------------------------------------- */

/* Either the reader sees what is pending before it sleeps, or we see that it sleeps: both stores come before both loads. */
static void announce(struct port *to, unsigned from)
{
	atomic_fetch_or_explicit(&to->pending, UINT64_C(1) << from, memory_order_seq_cst);
	if (atomic_load_explicit(&to->asleep, memory_order_seq_cst) && atomic_exchange(&to->asleep, false) && to->wake)
		to->wake(to->wake_ctx);
}

void exchange_post(struct exchange *x, unsigned from, unsigned to, struct mail *m)
{
	mailbox_post(&x->port[to].mail, m);
	announce(&x->port[to], from);
}

static void relay_post(void *ctx, unsigned to, struct mail *m)
{
	const struct port *self = ctx;

	exchange_post(self->x, self->self, to, m);
}

/* Made by its writer when it is first needed: most pairs of many shards never are. */
static struct ring *ring_to(struct port *to, unsigned from)
{
	struct ring *r = atomic_load_explicit(&to->from[from], memory_order_relaxed);

	if (!r && ring_new(EXCHANGE_PACKETS, sizeof(struct packet), &r) == 0)
		atomic_store_explicit(&to->from[from], r, memory_order_release);
	return r;
}

static void relay_packet(void *ctx, unsigned to, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len)
{
	struct port *self = ctx;
	struct ring *r = ring_to(&self->x->port[to], self->self);
	struct packet *k = r && len <= QUIC_PACKET_MAX ? ring_slot(r) : NULL;

	if (!k) {
		self->dropped++;
		return;
	}
	k->path = *path;
	k->ecn = ecn;
	k->len = len;
	memcpy(k->data, p, len);
	ring_push(r);
	self->passed |= UINT64_C(1) << to;
}

struct quic_relay exchange_relay(struct exchange *x, unsigned from)
{
	return (struct quic_relay){&x->port[from], relay_post, relay_packet};
}

void exchange_flush(struct exchange *x, unsigned from)
{
	struct port *self = &x->port[from];

	for (unsigned to = 0; self->passed; to++) {
		if (self->passed & 1)
			announce(&x->port[to], from);
		self->passed >>= 1;
	}
}

/* --- reading -------------------------------------------------------------------------------- */

static void read_ring(struct ring *r, size_t n, const struct exchange_reader *reader)
{
	for (; n > 0; n--) {
		struct packet *k = ring_peek(r);

		reader->packet(reader->ctx, &k->path, k->ecn, k->data, k->len);
		ring_pop(r);
	}
}

bool exchange_take(struct exchange *x, unsigned shard, const struct exchange_reader *reader)
{
	struct port *self = &x->port[shard];
	size_t ready[QUIC_SHARDS_MAX];
	uint64_t pending;

	if (!atomic_load_explicit(&self->pending, memory_order_relaxed))
		return false;
	pending = atomic_exchange_explicit(&self->pending, 0, memory_order_seq_cst);
	/* How many packets first, then the mail: mail that was sent before one of these packets is there by now. */
	for (unsigned i = 0; i < x->n; i++) {
		struct ring *r = pending >> i & 1 ? atomic_load_explicit(&self->from[i], memory_order_acquire) : NULL;

		ready[i] = r ? ring_ready(r) : 0;
	}
	struct mail *next;

	for (struct mail *m = mailbox_take(&self->mail); m; m = next) {
		next = m->next;
		reader->mail(reader->ctx, m);
	}
	for (unsigned i = 0; i < x->n; i++)
		if (ready[i])
			read_ring(atomic_load_explicit(&self->from[i], memory_order_relaxed), ready[i], reader);
	return true;
}

bool exchange_sleep(struct exchange *x, unsigned shard)
{
	struct port *self = &x->port[shard];

	atomic_store_explicit(&self->asleep, true, memory_order_seq_cst);
	if (!atomic_load_explicit(&self->pending, memory_order_seq_cst))
		return true;
	exchange_awake(x, shard);
	return false;
}

void exchange_awake(struct exchange *x, unsigned shard)
{
	atomic_store_explicit(&x->port[shard].asleep, false, memory_order_relaxed);
}

uint64_t exchange_dropped(const struct exchange *x, unsigned from)
{
	return x->port[from].dropped;
}
