/* SPDX-License-Identifier: MIT */
/* json_line - a line of the server's, parsed. */
#pragma once
#include "base/surrogate.h"

#include <stdlib.h>
#include <yyjson.h>

/* For yyjson_doc_free(); NULL: not JSON, or no memory. Half of a surrogate pair is U+FFFD. */
static inline yyjson_doc *json_line(const char *line, size_t len)
{
	char *copy, *whole = (char *)(uintptr_t)surrogate_mend(line, len, &copy); /* not written: yyjson copies it */
	yyjson_doc *doc = whole ? yyjson_read_opts(whole, len, YYJSON_READ_BIGNUM_AS_RAW, NULL, NULL) : NULL;

	free(copy);
	return doc;
}
