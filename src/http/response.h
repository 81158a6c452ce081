/* SPDX-License-Identifier: MIT */
/* response - the head of an HTTP/1.1 response. */
#pragma once
#include "base/buf.h"
#include "base/http.h"

struct http_head {
	bool close; /* the connection ends after it */
	bool old;   /* to HTTP/1.0: "keep-alive" must be sent to keep the connection */
};

/* Appends status line and fields. ERR_LIMIT, ERR_NOMEM. */
int http_head(const struct http_response *res, const struct http_head *how, struct buf *out);
