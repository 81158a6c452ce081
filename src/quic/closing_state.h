/* SPDX-License-Identifier: MIT */
/*
 * closing_state - a connection in the closing or draining state (RFC 9000 10.2): for three PTO its ids stay known, so
 * that late packets neither look like a new client nor cause a stateless reset; closing, its CONNECTION_CLOSE packet is
 * sent again for the 1st, 2nd, 4th, 8th ... packet that still arrives. The memory of ngtcp2 and TLS, some 60 KB, is
 * freed before. The endpoint's thread; one allocation.
 */
#pragma once
#include "cid_table.h"
#include "quic/endpoint.h"

struct closing_state;

/* Copies. `close_len` 0: draining, nothing is sent. NULL if memory is short. */
struct closing_state *closing_state_new(const struct cid *ids, size_t n_ids, const uint8_t *close, size_t close_len);
/* Takes over the ids that still belong to `from`. */
void closing_state_take_ids(struct closing_state *t, struct cid_table *cids, const struct cid_owner *from);
/* Frees it; its ids are unknown from now on. */
void closing_state_free(struct closing_state *t, struct cid_table *cids);
/* A packet of `len` bytes came for it. True: a packet was committed to `out`. */
bool closing_state_recv(struct closing_state *t, const struct quic_out *out, const struct quic_path *path, size_t len);
uint32_t *closing_state_slot(struct closing_state *t); /* in the schedule */
struct quic_move;
struct quic_move **closing_state_origin(struct closing_state *t); /* see quic_conn.origin */
