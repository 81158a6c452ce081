/* SPDX-License-Identifier: MIT */
/* json - yyjson without an allocation for each document: one of ordinary size lives in a buffer that is reused. One thread. */
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

/* Look-ups. `obj` may be NULL or no object: nothing is found in it. */
yyjson_val *json_get(yyjson_val *obj, const char *key);
const char *json_text(yyjson_val *obj, const char *key);       /* "": none */
bool json_is(yyjson_val *obj, const char *key, const char *text);

/* Appends `s` as a JSON string, with its quotes. Bytes that are not UTF-8 become '?'. */
int json_quote(struct buf *out, const char *s, size_t len);
