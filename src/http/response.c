/* SPDX-License-Identifier: MIT */
#include "http/response.h"

#include <ctype.h>
#include <string.h>

/* "content-type" becomes "Content-Type", as HTTP/1.1 is usually written. */
static int field(struct buf *out, const struct http_field *f)
{
	char name[64];
	size_t len = strlen(f->name);
	bool begins = true;

	for (size_t i = 0; i <= len && i < sizeof name; i++) {
		name[i] = begins ? (char)toupper((unsigned char)f->name[i]) : f->name[i];
		begins = f->name[i] == '-';
	}
	return buf_printf(out, "%.*s: %s\r\n", (int)len, name, f->value);
}

int http_head(const struct http_response *res, const struct http_head *how, struct buf *out)
{
	struct http_fields fields;
	const struct http_field connection = {"connection", how->close ? "close" : "keep-alive"};
	int err = buf_printf(out, "HTTP/1.1 %u %s\r\n", res->status, http_reason(res->status));

	http_response_fields(res, &fields);
	for (size_t i = 0; i < fields.n && !err; i++)
		err = field(out, &fields.field[i]);
	if (!err && (how->close || how->old))
		err = field(out, &connection);
	return err ? err : buf_append(out, "\r\n", 2);
}
