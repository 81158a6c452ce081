/* SPDX-License-Identifier: MIT */
/*
 * url - https://host[:port]/path?query taken apart, and the addresses of its host. Plain data,
 * no allocation; url_resolve() alone asks the system, and blocks.
 */
#pragma once
#include "quic/addr.h"

enum { URL_HOST_MAX = 253, URL_PATH_MAX = 2047, URL_ERROR = 192, URL_ADDRESSES_MAX = 8 };

struct url {
	char host[URL_HOST_MAX + 1];           /* without brackets: what the certificate is checked against */
	char authority[URL_HOST_MAX + 1 + 10]; /* host[:port] as it goes into :authority */
	uint16_t port;                         /* 443 if none is given */
	char path[URL_PATH_MAX + 1];           /* with its query; "/audio" if the URL has none */
};

/* ERR_MALFORMED, ERR_RANGE (too long) with one line in `why`. A fragment is cut off. */
int url_parse(const char *text, struct url *out, char why[URL_ERROR]);

/* Sets `key` of the query to `value`, percent-encoded; what was there under that key goes. `key` needs no
 * encoding. ERR_RANGE: the path would be too long, nothing is changed. */
int url_set_query(struct url *u, const char *key, const char *value);

/* The addresses to be tried, in that order; "localhost" is ::1, then 127.0.0.1. ERR_NOTFOUND with one line in `why`. */
int url_resolve(const struct url *u, struct quic_addr out[URL_ADDRESSES_MAX], size_t *n, char why[URL_ERROR]);
