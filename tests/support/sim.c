/* SPDX-License-Identifier: MIT */
#include "support/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRS_MAX = 4, SHARDS_MAX = 4, TICKS_MAX = 16, DEFAULT_QUEUE = 65536, DEFAULT_REORDER_US = 10000 };

struct event {
	nsec at;
	uint64_t seq; /* keeps the order of equal times */
	struct quic_path path; /* local: the sender as the world sees it */
	uint8_t ecn;
	uint32_t len;
	uint8_t data[];
};

struct direction {
	struct sim_link link;
	nsec busy_until, last_at;
};

struct sim_node {
	struct sim *sim;
	struct sim_node *next;
	struct quic_endpoint *ep[SHARDS_MAX];
	size_t n_eps;
	struct quic_addr addrs[ADDRS_MAX];
	size_t n_addrs;
	struct quic_addr public; /* of addrs[0] */
	struct direction up, down;
	struct sim_counts sent;
	uint8_t slot[QUIC_PACKET_MAX];
};

struct tick {
	nsec at, period;
	sim_tick_fn fn;
	void *ctx;
};

struct sim {
	uint64_t rng;
	nsec now;
	uint64_t seq;
	struct sim_node *nodes;
	struct event **heap;
	size_t n, cap;
	struct tick ticks[TICKS_MAX];
	size_t n_ticks;
	sim_tap_fn tap;
	void *tap_ctx;
};

/* --- chance (splitmix64) ------------------------------------------------------------------ */

uint64_t sim_random(struct sim *s)
{
	uint64_t z = s->rng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool chance(struct sim *s, double p)
{
	return (double)(sim_random(s) >> 11) * 0x1p-53 < p;
}

/* --- events ------------------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void swap(struct sim *s, size_t a, size_t b)
{
	struct event *t = s->heap[a];

	s->heap[a] = s->heap[b];
	s->heap[b] = t;
}

static void push(struct sim *s, struct event *e)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 256;
		s->heap = realloc(s->heap, s->cap * sizeof *s->heap);
		assert(s->heap);
	}
	s->heap[s->n++] = e;
	for (size_t i = s->n - 1; i > 0 && before(s->heap[i], s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(s, i, (i - 1) / 2);
}

static struct event *pop(struct sim *s)
{
	struct event *e = s->heap[0];

	s->heap[0] = s->heap[--s->n];
	for (size_t i = 0;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->n; k++)
			if (before(s->heap[k], s->heap[least]))
				least = k;
		if (least == i)
			return e;
		swap(s, i, least);
		i = least;
	}
}

/* --- the way of a packet ------------------------------------------------------------------ */

static struct sim_node *owner_of(struct sim *s, const struct quic_addr *a)
{
	for (struct sim_node *n = s->nodes; n; n = n->next) {
		if (quic_addr_equal(&n->public, a))
			return n;
		for (size_t i = 1; i < n->n_addrs; i++)
			if (quic_addr_equal(&n->addrs[i], a))
				return n;
	}
	return NULL;
}

/* Waits for the packets before it on a link of limited rate; false: the queue is full. */
static bool queue(struct sim *s, struct direction *d, size_t len, nsec *at)
{
	if (!d->link.rate_bps)
		return true;
	nsec per_byte = nsec_from_s(8) / d->link.rate_bps;
	nsec start = d->busy_until > *at ? d->busy_until : *at;
	uint64_t backlog = (start - s->now) / (per_byte ? per_byte : 1);

	if (backlog > (d->link.queue_bytes ? d->link.queue_bytes : DEFAULT_QUEUE))
		return false;
	*at = d->busy_until = start + len * per_byte;
	return true;
}

/* Moves `at` to when the packet leaves the link; false: it does not. */
static bool pass(struct sim *s, struct direction *d, size_t len, nsec *at)
{
	const struct sim_link *l = &d->link;

	if (l->blackout || (l->mtu && len > l->mtu) || chance(s, l->loss) || !queue(s, d, len, at))
		return false;
	*at += nsec_from_us(l->delay_us);
	if (l->jitter_us)
		*at += nsec_from_us(sim_random(s) % (l->jitter_us + 1u));
	if (chance(s, l->reorder)) {
		*at += nsec_from_us(l->reorder_us ? l->reorder_us : DEFAULT_REORDER_US);
		return true;
	}
	if (*at < d->last_at)
		*at = d->last_at;
	d->last_at = *at;
	return true;
}

static void spoil(struct sim *s, struct event *e)
{
	for (uint64_t n = 1 + sim_random(s) % 4; n > 0; n--)
		e->data[sim_random(s) % e->len] ^= (uint8_t)(1 + sim_random(s) % 255);
}

static void launch(struct sim *s, struct sim_node *from, struct sim_node *to, const struct quic_path *path, uint8_t ecn,
	const uint8_t *p, size_t len)
{
	nsec at = s->now;

	if (!to || !pass(s, &from->up, len, &at) || !pass(s, &to->down, len, &at)) {
		from->sent.lost++;
		return;
	}
	struct event *e = malloc(sizeof *e + len);

	assert(e);
	*e = (struct event){.at = at, .seq = ++s->seq, .path = *path, .ecn = ecn, .len = (uint32_t)len};
	memcpy(e->data, p, len);
	if (ecn && (from->up.link.mark_ce || to->down.link.mark_ce))
		e->ecn = 3;
	if (chance(s, from->up.link.corrupt) || chance(s, to->down.link.corrupt))
		spoil(s, e);
	push(s, e);
}

static uint8_t *on_slot(void *ctx)
{
	return ((struct sim_node *)ctx)->slot;
}

static void on_commit(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len)
{
	struct sim_node *n = ctx;
	struct sim *s = n->sim;
	struct quic_path seen = *path;
	bool first = quic_addr_equal(&path->local, &n->addrs[0]);

	assert(len > 0 && len <= QUIC_PACKET_MAX);
	n->sent.packets++;
	n->sent.bytes += len;
	n->sent.ect += ecn != 0;
	if (first)
		seen.local = n->public;
	if (s->tap && !s->tap(s->tap_ctx, &seen, n->slot, len))
		return;
	struct sim_node *to = owner_of(s, &seen.remote);

	launch(s, n, to, &seen, ecn, n->slot, len);
	if (to && (chance(s, n->up.link.duplicate) || chance(s, to->down.link.duplicate)))
		launch(s, n, to, &seen, ecn, n->slot, len);
}

/* As the kernel does it, see udp_steer(). */
static struct quic_endpoint *endpoint_for(struct sim_node *n, const struct event *e)
{
	size_t at = e->len > 0 && e->data[0] & 0x80 ? 6 : 1;

	if (n->n_eps == 0)
		return NULL;
	return n->ep[at < e->len ? e->data[at] % n->n_eps : 0];
}

static void arrive(struct sim *s, struct event *e)
{
	struct sim_node *to = owner_of(s, &e->path.remote);

	struct quic_endpoint *ep = to ? endpoint_for(to, e) : NULL;

	if (!ep)
		return;
	struct quic_path path = {.local = e->path.remote, .remote = e->path.local};

	if (quic_addr_equal(&path.local, &to->public))
		path.local = to->addrs[0];
	quic_endpoint_recv(ep, &path, e->ecn, e->data, e->len, s->now);
}

void sim_inject(struct sim *s, const struct quic_path *path, const uint8_t *p, size_t len)
{
	struct event *e = malloc(sizeof *e + len);

	assert(e);
	*e = (struct event){.at = s->now, .seq = ++s->seq, .path = *path, .len = (uint32_t)len};
	memcpy(e->data, p, len);
	push(s, e);
}

/* --- making a world ------------------------------------------------------------------------ */

struct sim *sim_new(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof *s);

	assert(s);
	s->rng = seed;
	s->now = nsec_from_s(1000);
	return s;
}

void sim_free(struct sim *s)
{
	if (!s)
		return;
	while (s->nodes) {
		struct sim_node *n = s->nodes;

		s->nodes = n->next;
		free(n);
	}
	while (s->n > 0)
		free(s->heap[--s->n]);
	free(s->heap);
	free(s);
}

nsec sim_now(const struct sim *s)
{
	return s->now;
}

static struct quic_addr addr(const char *host, uint16_t port)
{
	struct quic_addr a;
	int err = quic_addr_parse(host, port, &a);

	assert(err == 0);
	(void)err;
	return a;
}

struct sim_node *sim_node(struct sim *s, const char *host, uint16_t port)
{
	struct sim_node *n = calloc(1, sizeof *n);

	assert(n);
	n->sim = s;
	n->addrs[0] = n->public = addr(host, port);
	n->n_addrs = 1;
	n->next = s->nodes;
	s->nodes = n;
	return n;
}

struct quic_out sim_out(struct sim_node *n)
{
	return (struct quic_out){n, on_slot, on_commit};
}

void sim_attach(struct sim_node *n, struct quic_endpoint *ep)
{
	n->ep[0] = ep;
	n->n_eps = ep ? 1 : 0;
}

void sim_attach_more(struct sim_node *n, struct quic_endpoint *ep)
{
	assert(n->n_eps < SHARDS_MAX);
	n->ep[n->n_eps++] = ep;
}

struct sim_link *sim_up(struct sim_node *n)
{
	return &n->up.link;
}

struct sim_link *sim_down(struct sim_node *n)
{
	return &n->down.link;
}

void sim_both(struct sim_node *n, const struct sim_link *l)
{
	n->up.link = n->down.link = *l;
}

const struct sim_counts *sim_sent(const struct sim_node *n)
{
	return &n->sent;
}

struct quic_addr sim_addr(const struct sim_node *n)
{
	return n->addrs[0];
}

struct quic_path sim_path(const struct sim_node *from, const struct sim_node *to)
{
	return (struct quic_path){from->addrs[0], to->public};
}

struct quic_addr sim_add_addr(struct sim_node *n, const char *host, uint16_t port)
{
	assert(n->n_addrs < ADDRS_MAX);
	return n->addrs[n->n_addrs++] = addr(host, port);
}

void sim_rebind(struct sim_node *n, const char *host, uint16_t port)
{
	n->public = addr(host, port);
}

void sim_tap(struct sim *s, sim_tap_fn fn, void *ctx)
{
	s->tap = fn;
	s->tap_ctx = ctx;
}

void sim_every(struct sim *s, nsec first, nsec period, sim_tick_fn fn, void *ctx)
{
	assert(s->n_ticks < TICKS_MAX && period > 0);
	s->ticks[s->n_ticks++] = (struct tick){first, period, fn, ctx};
}

/* --- running ------------------------------------------------------------------------------- */

static nsec next_time(const struct sim *s)
{
	nsec t = s->n > 0 ? s->heap[0]->at : NSEC_NONE;

	for (size_t i = 0; i < s->n_ticks; i++)
		if (s->ticks[i].at < t)
			t = s->ticks[i].at;
	for (const struct sim_node *n = s->nodes; n; n = n->next) {
		for (size_t i = 0; i < n->n_eps; i++) {
			nsec d = quic_endpoint_deadline(n->ep[i]);

			if (d < t)
				t = d;
		}
	}
	return t;
}

/* Everything that is due: packets in one batch, then ticks, then each endpoint once. */
static void step(struct sim *s)
{
	while (s->n > 0 && s->heap[0]->at <= s->now) {
		struct event *e = pop(s);

		arrive(s, e);
		free(e);
	}
	for (size_t i = 0; i < s->n_ticks; i++) {
		if (s->ticks[i].at > s->now)
			continue;
		s->ticks[i].at += s->ticks[i].period;
		s->ticks[i].fn(s->ticks[i].ctx, s->now);
	}
	for (struct sim_node *n = s->nodes; n; n = n->next) {
		for (size_t i = 0; i < n->n_eps; i++) {
			quic_endpoint_flush(n->ep[i], s->now);
			if (quic_endpoint_deadline(n->ep[i]) <= s->now)
				quic_endpoint_expire(n->ep[i], s->now);
		}
	}
}

bool sim_run(struct sim *s, sim_cond_fn cond, void *ctx, nsec limit)
{
	nsec end = s->now + limit;

	for (;;) {
		if (cond && cond(ctx))
			return true;
		nsec t = next_time(s);

		if (t > end) {
			s->now = end;
			return false;
		}
		if (t > s->now)
			s->now = t;
		step(s);
	}
}
