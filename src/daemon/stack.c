/* SPDX-License-Identifier: MIT */
#include "daemon/stack.h"

#include "daemon/control.h"
#include "session/session_wt.h"

#include <string.h>

/* A welcome lists all people in the room. It must fit the stream's send buffer, with room to spare. */
static uint32_t send_bytes(const struct config *cfg)
{
	uint32_t most = cfg->rooms.private_rule.max_participants;

	for (size_t i = 0; i < cfg->rooms.n_rules; i++)
		if (cfg->rooms.rules[i].max_participants > most)
			most = cfg->rooms.rules[i].max_participants;
	size_t needed = 2 * control_welcome_max(most);

	return needed > cfg->wt.stream_send_bytes ? (uint32_t)needed : cfg->wt.stream_send_bytes;
}

static int open_rooms(struct stack *k, const struct stack_opts *o, const struct log *log)
{
	struct rooms_opts rooms = o->rooms ? *o->rooms : o->cfg->rooms;

	rooms.id_first = o->shard + 1; /* so that no two participants of the process have the same */
	rooms.id_step = o->n_shards;
	int err = rooms_new(&rooms, log, &k->rooms);

	if (err)
		return err;
	const struct links_opts links = {
		.cfg = o->cfg, .rooms = k->rooms, .registry = o->registry, .certs = o->certs, .shard = o->shard, .wall_ms = o->wall_ms};

	return links_new(&links, log, &k->links);
}

static int open_endpoint(struct stack *k, const struct stack_opts *o, const struct quic_out *out, struct quic_tls *tls,
	const struct log *log)
{
	struct wt_opts wt = o->cfg->wt;
	struct quic_opts quic = o->cfg->quic;

	wt.stream_send_bytes = send_bytes(o->cfg);
	wt.id_first = o->shard + 1;
	wt.id_step = o->n_shards;
	quic.shard = (uint8_t)o->shard;
	int err = wt_new(&wt, session_wt_app(), links_host(k->links), log, &k->wt);

	if (!err)
		err = quic_endpoint_new(&quic, out, wt_quic_app(), k->wt, tls, log, &k->endpoint);
	if (err)
		return err;
	if (o->group)
		quic_endpoint_join(k->endpoint, o->group, o->relay);
	wt_attach(k->wt, k->endpoint);
	wt_on_request(k->wt, o->on_request, o->request_ctx);
	return 0;
}

int stack_init(struct stack *k, const struct stack_opts *o, const struct quic_out *out, struct quic_tls *tls,
	const struct log *log)
{
	memset(k, 0, sizeof *k);
	int err = open_rooms(k, o, log);

	if (!err)
		err = open_endpoint(k, o, out, tls, log);
	if (err)
		stack_fini(k);
	return err;
}

void stack_end(struct stack *k)
{
	quic_endpoint_free(k->endpoint);
	k->endpoint = NULL;
}

void stack_fini(struct stack *k)
{
	stack_end(k);
	wt_free(k->wt);
	links_free(k->links);
	rooms_free(k->rooms);
	memset(k, 0, sizeof *k);
}

void stack_settle(struct stack *k, nsec now)
{
	if (links_deadline(k->links) <= now)
		links_run(k->links, now);
	if (rooms_deadline(k->rooms) <= now)
		rooms_run(k->rooms, now);
	if (quic_endpoint_deadline(k->endpoint) <= now)
		quic_endpoint_expire(k->endpoint, now);
	quic_endpoint_flush(k->endpoint, now);
}

nsec stack_deadline(const struct stack *k)
{
	nsec mix = rooms_deadline(k->rooms), expiry = quic_endpoint_deadline(k->endpoint), links = links_deadline(k->links);

	if (mix > expiry)
		mix = expiry;
	return mix < links ? mix : links;
}
