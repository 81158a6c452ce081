/* SPDX-License-Identifier: MIT */
/*
 * cid_table - which object owns a connection id: a connection, one in the closing state, or one that has moved to
 * another endpoint. The client chooses the first id that it sends to, so the hash is keyed (base/map) and an id that is
 * there already keeps its owner. The endpoint's thread; allocates as it grows.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CID_LEN = 8, CID_MAX = 20 };

struct cid {
	uint8_t len, id[CID_MAX];
};

/* First member of each object that owns ids. */
struct cid_owner {
	enum cid_kind { CID_CONN, CID_CLOSING, CID_MOVED_OUT } kind;
};

struct cid_table;

int cid_table_new(struct cid_table **out);
/* Asserts that it is empty. Accepts NULL. */
void cid_table_free(struct cid_table *t);
/* ERR_EXISTS if the id has an owner, ERR_RANGE for an empty or over-long id, ERR_NOMEM. */
int cid_table_put(struct cid_table *t, const uint8_t *id, size_t len, struct cid_owner *owner);
struct cid_owner *cid_table_get(const struct cid_table *t, const uint8_t *id, size_t len);
/* Nothing happens unless `owner` owns it. */
void cid_table_remove(struct cid_table *t, const uint8_t *id, size_t len, const struct cid_owner *owner);
/* Hands an id from one owner to another. */
void cid_table_move(struct cid_table *t, const uint8_t *id, size_t len, const struct cid_owner *from,
	struct cid_owner *to);
size_t cid_table_count(const struct cid_table *t);
