/* SPDX-License-Identifier: MIT */
/* URLs: what was taken apart fits, and a query can be set and set again. */
#include "client/url.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	char text[4096], why[URL_ERROR];
	struct url u, v;

	if (len >= sizeof text)
		return 0;
	memcpy(text, p, len);
	text[len] = '\0';
	if (url_parse(text, &u, why))
		return 0;
	assert(u.host[0] && u.port && (u.path[0] == '/'));
	if (url_set_query(&u, "room", "a b"))
		return 0;
	v = u;
	assert(url_set_query(&v, "room", "a b") == 0);
	assert(strcmp(u.path, v.path) == 0);
	return 0;
}
