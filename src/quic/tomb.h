/* SPDX-License-Identifier: MIT */
/*
 * tomb - what remains of a closed connection for three PTO (RFC 9000 10.2): its ids, so
 * that late packets are neither taken for a new client nor answered with a reset, and the
 * CONNECTION_CLOSE packet, sent again for the 1st, 2nd, 4th, 8th ... packet that still
 * arrives. The state of ngtcp2 and TLS, some 60 KB, is gone by then.
 */
#pragma once
#include "cid_table.h"
#include "quic/endpoint.h"

struct tomb;

struct tomb_id {
	uint8_t len, id[CID_MAX];
};

/* Copies. `close_len` may be 0: draining, nothing is sent any more. NULL if memory is short. */
struct tomb *tomb_new(const struct tomb_id *ids, size_t n_ids, const uint8_t *close, size_t close_len);
/* Ids that still belong to `from` become the tomb's. */
void tomb_take_ids(struct tomb *t, struct cid_table *cids, const struct cid_owner *from);
/* Gives the ids back and frees. */
void tomb_free(struct tomb *t, struct cid_table *cids);
/* A packet of `len` bytes came for it; true if something was committed to `out`. */
bool tomb_recv(struct tomb *t, const struct quic_out *out, const struct quic_path *path, size_t len);
uint32_t *tomb_slot(struct tomb *t); /* in the schedule */
struct quic_move;
struct quic_move **tomb_home(struct tomb *t); /* see quic_conn.home */
