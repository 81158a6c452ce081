/* SPDX-License-Identifier: MIT */
/*
 * http - requests and responses as a handler sees them, whichever version of HTTP carries them: HTTP/1.1 over TCP
 * (http) or HTTP/3 (wt). Both take a target apart, name a status, list header fields and keep a body with the functions
 * here, so a path means the same over both. Plain data and pure functions, any thread, no clock; only
 * http_body_init() allocates.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/* Strings are NUL-terminated, borrowed until the handler returns, "" if absent unless said otherwise. */
struct http_request {
	const char *method;        /* "GET", "HEAD"; "CONNECT" where a session is asked for */
	const char *path, *query;  /* see http_target_parse() */
	const char *host;          /* Host field, or :authority */
	const char *origin;        /* NULL if absent, which is not the same as empty: see base/origin.h */
	const char *authorization; /* as it came: scheme and credentials */
	const char *user_agent;
	const struct sockaddr *peer; /* whom the connection comes from, which may be a relay; NULL: not known */
	void *conn;                /* for http_defer(); NULL: the answer cannot wait */
};

/* Filled by the handler. The data that it points to is copied right after the handler has returned, so it must not lie on the
 * handler's own stack; unless said otherwise it is not touched later. */
struct http_response {
	unsigned status;           /* 200 to 599 */
	const char *content_type;
	const void *body;
	size_t len;
	void *owned;               /* if set, freed with free() when sent; `body` points into it */
	bool static_body;          /* `body` outlives the server: not copied */
	const char *cache_control; /* NULL: none, as in what follows */
	const char *csp;           /* Content-Security-Policy */
	const char *location;      /* for 3xx */
	const char *cors;          /* Access-Control-Allow-Origin: "*", or the origin whose pages may read this */
	const char *vary;          /* names of the request's fields that decided */
};

/* Called for each complete request. `res` is as http_response_init() leaves it. */
typedef void http_handler_fn(void *ctx, const struct http_request *req, struct http_response *res);

/* --- requests --------------------------------------------------------------------------- */

/* Is this a method that handlers are asked with: GET or HEAD? Anything else is answered 405 without them. */
bool http_method_ok(const char *method);

/* Takes a target in origin form apart, in place: "/a%20b?c=%64" becomes the path "/a b" and the query "c=%64" ("" if
 * there is none), which point into it. ERR_MALFORMED: it does not begin with '/'; it holds a control character, a blank
 * or '#', or its path a byte beyond ASCII; the path has a bad escape, an escaped control character (NUL is one), or a
 * segment "." or "..", escaped or not. */
int http_target_parse(char *target, struct http_request *req);

/* The decoded value (application/x-www-form-urlencoded) of the first `key` in a query; "" where it has none.
 * ERR_NOTFOUND; ERR_MALFORMED: a bad escape, or a NUL; ERR_RANGE: longer than `cap` with its NUL. */
int http_query_get(const char *query, const char *key, char *out, size_t cap);

/* --- responses -------------------------------------------------------------------------- */

/* 200, plain text that is not to be stored, no body. */
void http_response_init(struct http_response *res);
/* The body is `text`, which outlives the server; what else `res` says stays. */
void http_response_text(struct http_response *res, unsigned status, const char *text);
/* The response that a status alone makes, with one line of text. */
struct http_response http_response_of(unsigned status);
/* Can it be sent: a final status, at most `max` bytes of body, no control characters in the fields? */
bool http_response_ok(const struct http_response *res, size_t max);
/* Can a response with this status have a body? */
bool http_status_has_body(unsigned status);
/* "Not Found"; "Unknown" for a status without a name. */
const char *http_reason(unsigned status);

struct http_field {
	const char *name, *value; /* the name in lower case */
};

enum { HTTP_FIELDS_MAX = 12 };

/* Header fields; they point into the response and into this, which must stay where it is. */
struct http_fields {
	struct http_field field[HTTP_FIELDS_MAX];
	size_t n;
	char length[24];
};

/* All fields of a response except those of the connection. */
void http_response_fields(const struct http_response *res, struct http_fields *out);

/* What is left to be sent of a body, and the memory that it is in, if it is ours. */
struct http_body {
	const uint8_t *p;
	size_t len;
	void *owned;
};

/* The body of `res` as it will be sent: what `res` owns (it is the body's now), static, or a copy. ERR_NOMEM: no copy
 * could be made, and `b` is empty. */
int http_body_init(struct http_body *b, const struct http_response *res);
/* Accepts a zeroed one, and leaves one. */
void http_body_fini(struct http_body *b);
