/* SPDX-License-Identifier: MIT */
/* response - the head of an answer. */
#pragma once
#include "base/buf.h"
#include "http/server.h"

struct http_head {
	bool close;      /* the connection ends after it */
	bool old;        /* to HTTP/1.0: keeping the connection must be said */
	bool allow;      /* say which methods there are (405) */
	size_t body_len; /* before HEAD leaves it out */
};

/* Is everything in it fit to be sent: a final status, no control characters in the fields? */
bool http_response_ok(const struct http_response *res);
/* Can an answer with this status have a body? */
bool http_response_has_body(unsigned status);
/* Appends status line and fields. ERR_LIMIT, ERR_NOMEM. */
int http_head(const struct http_response *res, const struct http_head *how, struct buf *out);
/* "Not Found"; "Unknown" for what has no name. */
const char *http_reason(unsigned status);
