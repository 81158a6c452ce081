/* SPDX-License-Identifier: MIT */
/*
 * Endpoints behind one address, and connections that move from one to another:
 *
 *     old thread                                     new thread
 *     quic_conn_move()
 *     qconn_depart(): out of every table       --->  arrive(): into every table; the application goes on
 *     CID_MOVED_OUT owns its ids: ep_forward() --->  quic_endpoint_recv()
 *     forget_ids()                             <---  qmove_over(): it ended, and its closing state, too
 *
 * `struct quic_move` is the memory for all of that, allocated by quic_conn_move(), where failure changes nothing: first
 * the message to the new thread, then the owner of the ids that stay, at last the message back. ngtcp2, nghttp3 and
 * OpenSSL keep nothing that is bound to a thread.
 */
#include "ep.h"

#include "base/err.h"
#include "base/random.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct quic_group {
	unsigned n;
	struct secret retry_secret, reset_secret;
	struct addr_limit *addrs;
	atomic_uint conns, half_open;
	atomic_uint moving[QUIC_SHARDS_MAX]; /* connections on their way to each endpoint */
};

/* Until it comes back, the new thread uses mail, conn and seen, the old one the rest. */
struct quic_move {
	struct mail mail;       /* first */
	struct quic_conn *conn;
	nsec seen;              /* the latest time of the old endpoint */
	struct cid_owner owner; /* of the ids that stay */
	struct list node;       /* in moved_out of the old endpoint */
	uint8_t from, to;
	struct cid_list ids;
};

int quic_group_new(unsigned n, const uint8_t *reset_secret, struct quic_group **out)
{
	if (n < 1 || n > QUIC_SHARDS_MAX)
		return ERR_RANGE;
	struct quic_group *g = calloc(1, sizeof *g);
	int err = g ? addr_limit_new(&g->addrs) : ERR_NOMEM;

	if (err) {
		free(g);
		return err;
	}
	secret_init(&g->retry_secret, NULL);
	secret_init(&g->reset_secret, reset_secret);
	g->n = n;
	*out = g;
	return 0;
}

void quic_group_free(struct quic_group *g)
{
	if (!g)
		return;
	assert(atomic_load(&g->conns) == 0 && atomic_load(&g->half_open) == 0);
	addr_limit_free(g->addrs);
	OPENSSL_cleanse(&g->retry_secret, sizeof g->retry_secret);
	OPENSSL_cleanse(&g->reset_secret, sizeof g->reset_secret);
	free(g);
}

uint32_t quic_group_conns(const struct quic_group *g)
{
	return atomic_load_explicit(&g->conns, memory_order_relaxed);
}

void quic_endpoint_join(struct quic_endpoint *ep, struct quic_group *g, const struct quic_relay *relay)
{
	assert(!ep->group && ep->opts.shard < g->n && ep->stats.conns == 0);
	addr_limit_free(ep->addrs);
	ep->addrs = g->addrs;
	ep->group = g;
	ep->retry_secret = g->retry_secret;
	ep->reset_secret = g->reset_secret;
	if (relay)
		ep->relay = *relay;
}

/* --- counts ------------------------------------------------------------------------------- */

uint32_t ep_conns(const struct quic_endpoint *ep)
{
	return ep->group ? quic_group_conns(ep->group) : ep->stats.conns;
}

uint32_t ep_half_open(const struct quic_endpoint *ep)
{
	return ep->group ? atomic_load_explicit(&ep->group->half_open, memory_order_relaxed) : ep->stats.half_open;
}

void ep_count(struct quic_endpoint *ep, int conns, int half_open)
{
	ep->stats.conns += (unsigned)conns;
	ep->stats.half_open += (unsigned)half_open;
	if (ep->group && conns)
		atomic_fetch_add_explicit(&ep->group->conns, (unsigned)conns, memory_order_relaxed);
	if (ep->group && half_open)
		atomic_fetch_add_explicit(&ep->group->half_open, (unsigned)half_open, memory_order_relaxed);
}

uint64_t ep_number(struct quic_endpoint *ep)
{
	uint64_t n = ++ep->next_id;

	return ep->group ? (n - 1) * ep->group->n + ep->opts.shard + 1 : n;
}

/* --- moving --------------------------------------------------------------------------------- */

int quic_conn_move(struct quic_conn *c, unsigned to)
{
	struct quic_endpoint *ep = c->ep;
	struct quic_group *g = ep->group;

	if (!g || !ep->relay.post || !c->server || !qconn_live(c) || c->move || c->origin)
		return ERR_STATE;
	if (to >= g->n || to == ep->opts.shard)
		return ERR_RANGE;
	if (atomic_fetch_add_explicit(&g->moving[to], 1, memory_order_relaxed) >= QUIC_MOVES_MAX) {
		atomic_fetch_sub_explicit(&g->moving[to], 1, memory_order_relaxed);
		return ERR_LIMIT;
	}
	c->move = calloc(1, sizeof *c->move);
	if (!c->move) {
		atomic_fetch_sub_explicit(&g->moving[to], 1, memory_order_relaxed);
		return ERR_NOMEM;
	}
	c->move->from = ep->opts.shard;
	c->move->to = (uint8_t)to;
	list_init(&c->move->node);
	qconn_touch(c);
	return 0;
}

static void no_longer_moving(struct quic_group *g, const struct quic_move *m)
{
	atomic_fetch_sub_explicit(&g->moving[m->to], 1, memory_order_relaxed);
}

void qmove_cancel(struct quic_conn *c)
{
	if (!c->move)
		return;
	no_longer_moving(c->ep->group, c->move);
	free(c->move);
	c->move = NULL;
}

static void leave_ids(struct quic_conn *c, struct quic_move *m)
{
	m->owner.kind = CID_MOVED_OUT;
	m->ids = c->ids;
	for (size_t i = 0; i < m->ids.n; i++)
		cid_table_move(c->ep->cids, m->ids.id[i].id, m->ids.id[i].len, &c->owner, &m->owner);
}

void qconn_depart(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;
	struct quic_move *m = c->move;

	if (qconn_opened(c))
		ep->app->moved_out(c->user);
	qconn_drop_dgrams(c);
	qconn_count_lost(c);
	leave_ids(c, m);
	list_append(&ep->moved_out, &m->node);
	schedule_remove(&ep->sched, c->slot);
	ep->stats.conns--; /* the group's count goes on */
	ep->stats.conns_moved++;
	ep->stats.moved_out++;
	c->slot = NO_SLOT;
	c->ep = NULL;
	m->conn = c;
	m->seen = ep->now;
	m->mail.kind = QUIC_MAIL_CONN;
	ep->relay.post(ep->relay.ctx, m->to, &m->mail);
}

static int take_ids(struct quic_conn *c)
{
	int err = 0;

	for (size_t i = 0; i < c->ids.n && !err; i++)
		err = cid_table_put(c->ep->cids, c->ids.id[i].id, c->ids.id[i].len, &c->owner);
	return err;
}

static void arrive(struct quic_endpoint *ep, struct quic_move *m)
{
	struct quic_conn *c = m->conn;

	if (m->seen > ep->now) /* ngtcp2 asserts that time goes forward */
		ep->now = m->seen;
	no_longer_moving(ep->group, m);
	c->ep = ep;
	c->move = NULL;
	c->origin = m;
	ep->stats.conns++;
	if (qconn_opened(c))
		ep->app->moved_in(ep->app_ctx, c->user, ep->now);
	if (schedule_add(&ep->sched, &c->owner, &c->slot) || take_ids(c)) {
		c->end.why = (struct quic_close){QUIC_END_LOCAL, false, NGTCP2_INTERNAL_ERROR};
		qconn_destroy(c);
		return;
	}
	c->want_plain = true; /* it may have left with something to write */
	qconn_touch(c);
	if (qconn_opened(c))
		ep->app->moved(c->user, ep->now);
}

/* --- after the move --------------------------------------------------------------------------- */

void ep_forward(struct quic_endpoint *ep, struct cid_owner *moved_out, const struct quic_path *path, uint8_t ecn,
	const uint8_t *p, size_t len)
{
	const struct quic_move *m = list_entry(moved_out, struct quic_move, owner);

	ep->stats.packets_in--; /* the other endpoint counts it */
	ep->stats.bytes_in -= len;
	ep->stats.forwarded++;
	ep->relay.packet(ep->relay.ctx, m->to, path, ecn, p, len);
}

void qmove_over(struct quic_endpoint *ep, struct quic_move *origin)
{
	if (!origin)
		return;
	origin->mail.kind = QUIC_MAIL_OVER;
	ep->relay.post(ep->relay.ctx, origin->from, &origin->mail);
}

static void forget_ids(struct quic_endpoint *ep, struct quic_move *m)
{
	for (size_t i = 0; i < m->ids.n; i++)
		cid_table_remove(ep->cids, m->ids.id[i].id, m->ids.id[i].len, &m->owner);
	list_remove(&m->node);
	ep->stats.moved_out--;
}

void ep_forget_moved_out(struct quic_endpoint *ep)
{
	list_each(it, &ep->moved_out, tmp) /* their memory comes back by mail */
		forget_ids(ep, list_entry(it, struct quic_move, node));
}

void quic_endpoint_mail(struct quic_endpoint *ep, struct mail *mail, nsec now)
{
	struct quic_move *m = (struct quic_move *)mail;

	assert(mail->kind == QUIC_MAIL_OVER || (mail->kind == QUIC_MAIL_CONN && ep));
	if (ep && now > ep->now)
		ep->now = now;
	if (mail->kind == QUIC_MAIL_CONN) {
		arrive(ep, m);
		return;
	}
	if (ep)
		forget_ids(ep, m);
	free(m);
}
