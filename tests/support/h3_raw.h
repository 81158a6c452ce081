/* SPDX-License-Identifier: MIT */
/*
 * h3_raw - HTTP/3 bytes by hand, right and wrong ones: for tests that play a peer without
 * any library. Everything appends to a `struct buf`.
 */
#pragma once
#include "base/buf.h"
#include <stdint.h>

void raw_varint(struct buf *b, uint64_t v);
/* In a form of `size` bytes (1, 2, 4, 8), longer than need be. */
void raw_varint_sized(struct buf *b, uint64_t v, size_t size);
void raw_bytes(struct buf *b, const void *p, size_t len);
void raw_frame(struct buf *b, uint64_t type, const void *p, size_t len);
/* A HEADERS frame of literal fields (QPACK without table and Huffman): name, value, ..., NULL. */
void raw_headers(struct buf *b, const char *const *fields);
/* A control stream's start: type and SETTINGS of id, value pairs. */
void raw_settings(struct buf *b, const uint64_t *pairs, size_t n_pairs);
/* A browser's extended CONNECT; `origin` may be NULL. */
void raw_connect(struct buf *b, const char *path, const char *origin);
/* The client's control stream as a browser writes it. */
void raw_client_settings(struct buf *b);
