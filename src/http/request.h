/* SPDX-License-Identifier: MIT */
/*
 * request - reads one HTTP/1.x request after the other out of bytes that come in any
 * pieces. Knows no socket. Requests with a body are refused, so a request ends with its
 * header fields. Memory is taken in init() only.
 */
#pragma once
#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUEST_FIELD_MAX = 256 };

enum request_state {
	REQUEST_MORE,  /* more bytes are needed */
	REQUEST_READY, /* a whole request; `status` is 0, or 405 for a method that we don't have */
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
	char *target;                /* max_bytes; becomes path and query */
	size_t target_len;
	const char *path, *query;
	char name[16];               /* of the field being read, as far as it fits */
	size_t name_len;
	char host[REQUEST_FIELD_MAX], origin[REQUEST_FIELD_MAX];
	size_t host_len, origin_len;
	unsigned n_host, n_origin;   /* how often they came */
};

/* ERR_NOMEM. The struct must not be moved afterwards. */
int http_parse_init(struct request *r, uint32_t max_bytes);
void http_parse_fini(struct request *r);
/* After READY: begins the next one; path, query and fields are gone. */
void http_parse_next(struct request *r);
/* Takes bytes up to the end of a request and returns how many; sets `state`. */
size_t http_parse_feed(struct request *r, const void *p, size_t len);
