/* SPDX-License-Identifier: MIT */
#include "bridge/json.h"

#include "base/surrogate.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { ORDINARY = 65536 }; /* bytes of text; the buffer for it is twelve times as large */

static yyjson_doc *parse(const char *text, size_t len, const yyjson_alc *alc)
{
	char *copy, *whole = (char *)(uintptr_t)surrogate_mend(text, len, &copy); /* not written: yyjson copies it */
	yyjson_doc *doc = whole ? yyjson_read_opts(whole, len, YYJSON_READ_BIGNUM_AS_RAW, alc, NULL) : NULL;

	free(copy);
	return doc;
}

yyjson_doc *json_parse(const void *text, size_t len)
{
	return parse(text, len, NULL);
}

static yyjson_val *read_big(struct json_pool *pool, const char *text, size_t len)
{
	pool->big = json_parse(text, len);
	return yyjson_doc_get_root(pool->big);
}

yyjson_val *json_read(struct json_pool *pool, const void *text, size_t len)
{
	size_t need = yyjson_read_max_memory_usage(len, YYJSON_READ_BIGNUM_AS_RAW);
	yyjson_alc alc;

	yyjson_doc_free(pool->big);
	pool->big = NULL;
	if (len > ORDINARY)
		return read_big(pool, text, len);
	if (need > pool->cap) {
		void *grown = realloc(pool->p, need);

		if (!grown)
			return NULL;
		pool->p = grown;
		pool->cap = need;
	}
	if (!yyjson_alc_pool_init(&alc, pool->p, pool->cap))
		return NULL;
	return yyjson_doc_get_root(parse(text, len, &alc));
}

void json_fini(struct json_pool *pool)
{
	yyjson_doc_free(pool->big);
	free(pool->p);
	*pool = (struct json_pool){0};
}

yyjson_val *json_get(yyjson_val *obj, const char *key)
{
	return yyjson_obj_get(obj, key);
}

const char *json_text(yyjson_val *obj, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(obj, key));

	return s ? s : "";
}

bool json_is(yyjson_val *obj, const char *key, const char *text)
{
	return yyjson_equals_str(yyjson_obj_get(obj, key), text);
}

static int put_char(struct buf *out, const char *s, size_t n)
{
	unsigned char c = (unsigned char)*s;

	if (c == '"' || c == '\\')
		return buf_printf(out, "\\%c", c);
	if (c < 0x20)
		return buf_printf(out, "\\u%04x", c);
	return buf_append(out, s, n);
}

int json_quote(struct buf *out, const char *s, size_t len)
{
	int err = buf_append(out, "\"", 1);

	for (const char *end = s + len; s < end && *s && !err;) {
		size_t n = utf8_char(s);

		err = n ? put_char(out, s, n) : buf_append(out, "?", 1);
		s += n ? n : 1;
	}
	return err ? err : buf_append(out, "\"", 1);
}
