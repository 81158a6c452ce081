/* SPDX-License-Identifier: MIT */
/*
 * json - what peers of bridges write. All that the grammar allows is read: a half of a surrogate pair as U+FFFD, a number that no
 * double or 64 bits hold as its own text. What is not UTF-8 is no JSON.
 *
 * A pool is yyjson without an allocation for each document: one of ordinary size lives in a buffer that is reused. One thread.
 */
#pragma once
#include "base/buf.h"

#include <stdbool.h>
#include <yyjson.h>

struct json_pool {
	void *p;
	size_t cap;
	yyjson_doc *big; /* a document that did not fit, until the next one is read */
};

/* The root of the document, valid until the next call; NULL: not JSON, or no memory. Copies `text`. */
yyjson_val *json_read(struct json_pool *pool, const void *text, size_t len);
void json_fini(struct json_pool *pool);
/* The same once, on the heap: for yyjson_doc_free(). */
yyjson_doc *json_parse(const void *text, size_t len);

/* Look-ups. `obj` may be NULL or no object: nothing is found in it. */
yyjson_val *json_get(yyjson_val *obj, const char *key);
const char *json_text(yyjson_val *obj, const char *key);       /* "": none */
bool json_is(yyjson_val *obj, const char *key, const char *text);

/* Appends `s` as a JSON string, with its quotes. Bytes that are not UTF-8 become '?'. */
int json_quote(struct buf *out, const char *s, size_t len);
