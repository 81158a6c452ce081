/* SPDX-License-Identifier: MIT */
#include "closing_state.h"

#include <stdlib.h>
#include <string.h>

struct closing_state {
	struct cid_owner owner; /* first: the table gives this back */
	uint32_t slot, n_packets;
	uint32_t n_ids, close_len;
	struct cid *ids;
	uint8_t *close;
	struct quic_move *origin;
};

struct closing_state *closing_state_new(const struct cid *ids, size_t n_ids, const uint8_t *close, size_t close_len)
{
	struct closing_state *t = malloc(sizeof *t + n_ids * sizeof *ids + close_len);

	if (!t)
		return NULL;
	*t = (struct closing_state){
		.owner.kind = CID_CLOSING,
		.n_ids = (uint32_t)n_ids,
		.close_len = (uint32_t)close_len,
		.ids = (struct cid *)(t + 1),
		.close = (uint8_t *)(t + 1) + n_ids * sizeof *ids,
	};
	memcpy(t->ids, ids, n_ids * sizeof *ids);
	if (close_len)
		memcpy(t->close, close, close_len);
	return t;
}

void closing_state_take_ids(struct closing_state *t, struct cid_table *cids, const struct cid_owner *from)
{
	for (uint32_t i = 0; i < t->n_ids; i++)
		cid_table_move(cids, t->ids[i].id, t->ids[i].len, from, &t->owner);
}

void closing_state_free(struct closing_state *t, struct cid_table *cids)
{
	for (uint32_t i = 0; i < t->n_ids; i++)
		cid_table_remove(cids, t->ids[i].id, t->ids[i].len, &t->owner);
	free(t);
}

bool closing_state_recv(struct closing_state *t, const struct quic_out *out, const struct quic_path *path, size_t len)
{
	t->n_packets++;
	if (t->close_len == 0 || (t->n_packets & (t->n_packets - 1)) != 0)
		return false;
	if (t->close_len > 3 * len) /* the sender of this need not be the peer (RFC 9000 8.1) */
		return false;
	memcpy(out->slot(out->ctx), t->close, t->close_len);
	out->commit(out->ctx, path, 0, t->close_len);
	return true;
}

uint32_t *closing_state_slot(struct closing_state *t)
{
	return &t->slot;
}

struct quic_move **closing_state_origin(struct closing_state *t)
{
	return &t->origin;
}
