/* SPDX-License-Identifier: MIT */
/*
 * request - reads one HTTP/1.x request after the other out of bytes that come in any
 * pieces. Knows no socket. A request with a body is refused, so a request ends with its
 * header fields. Allocates in init() only.
 */
#pragma once
#include "base/http.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUEST_FIELD_MAX = 256 }; /* of Host and Origin, with the NUL */

/* Header fields that a handler is shown; each may come once. */
enum request_field { FIELD_HOST, FIELD_ORIGIN, FIELD_AUTHORIZATION, FIELD_USER_AGENT, FIELD_OTHER };

enum request_state {
	REQUEST_MORE,  /* more bytes are needed */
	REQUEST_READY, /* a whole request; `status` is 0, or 405 for a method that is not served */
	REQUEST_BAD,   /* `status` says how to answer; nothing more can be read from this connection */
};

struct request {
	llhttp_t parser;
	llhttp_settings_t settings;
	enum request_state state;
	unsigned status;
	uint32_t max_bytes, n_bytes; /* of this request */
	bool keep_alive, old;        /* old: HTTP/1.0 */
	bool head;                   /* HEAD */
	struct http_request http;    /* while READY with status 0; its strings are in `text` */
	char *text;                  /* max_bytes: the target, then the fields that are kept, each with its NUL */
	size_t text_len;             /* up to the NUL of the last */
	char name[16];               /* of the field being read, as far as it fits */
	size_t name_len;
	enum request_field field;    /* which one it is */
	size_t begins[FIELD_OTHER];  /* where its value begins in `text`; 0: it has not come */
};

/* ERR_NOMEM. The struct must not be moved afterwards. */
int http_parse_init(struct request *r, uint32_t max_bytes);
void http_parse_fini(struct request *r);
/* After READY: begins the next one; path, query and fields are gone. */
void http_parse_next(struct request *r);
/* Takes bytes up to the end of a request and returns how many; sets `state`. */
size_t http_parse_feed(struct request *r, const void *p, size_t len);
