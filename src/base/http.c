/* SPDX-License-Identifier: MIT */
#include "base/http.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plain_text[] = "text/plain; charset=utf-8";

/* The phrase of the status line, and the body of a response that has nothing more precise to say. */
static const struct status {
	unsigned status;
	const char *reason, *text;
} statuses[] = {
	{200, "OK", "ok\n"},
	{204, "No Content", ""},
	{301, "Moved Permanently", "moved permanently\n"},
	{302, "Found", "found\n"},
	{303, "See Other", "see other\n"},
	{304, "Not Modified", ""},
	{307, "Temporary Redirect", "temporary redirect\n"},
	{308, "Permanent Redirect", "permanent redirect\n"},
	{400, "Bad Request", "bad request\n"},
	{401, "Unauthorized", "unauthorized\n"},
	{403, "Forbidden", "forbidden\n"},
	{404, "Not Found", "not found\n"},
	{405, "Method Not Allowed", "method not allowed\n"},
	{408, "Request Timeout", "request timeout\n"},
	{413, "Content Too Large", "content too large\n"},
	{421, "Misdirected Request", "misdirected request\n"},
	{429, "Too Many Requests", "too many requests\n"},
	{431, "Request Header Fields Too Large", "request header fields too large\n"},
	{500, "Internal Server Error", "internal server error\n"},
	{501, "Not Implemented", "not implemented\n"},
	{503, "Service Unavailable", "service unavailable\n"},
	{505, "HTTP Version Not Supported", "http version not supported\n"},
};

static const struct status *find(unsigned status)
{
	static const struct status unknown = {0, "Unknown", "unknown\n"};

	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].status == status)
			return &statuses[i];
	return &unknown;
}

const char *http_reason(unsigned status)
{
	return find(status)->reason;
}

bool http_status_has_body(unsigned status)
{
	return status != 204 && status != 304;
}

void http_response_init(struct http_response *res)
{
	*res = (struct http_response){.status = 200, .content_type = plain_text, .cache_control = "no-store"};
}

void http_response_text(struct http_response *res, unsigned status, const char *text)
{
	res->status = status;
	res->body = text;
	res->len = strlen(text);
	res->static_body = true;
}

struct http_response http_response_of(unsigned status)
{
	struct http_response res;

	http_response_init(&res);
	http_response_text(&res, status, find(status)->text);
	return res;
}

/* With a line break in its value, a field would begin another one. */
static bool is_clean(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

bool http_response_ok(const struct http_response *res, size_t max)
{
	return res->status >= 200 && res->status <= 599 && res->len <= max && res->content_type && is_clean(res->content_type) &&
		is_clean(res->cache_control) && is_clean(res->csp) && is_clean(res->location) && is_clean(res->cors) && is_clean(res->vary);
}

static void add(struct http_fields *f, const char *name, const char *value)
{
	if (value)
		f->field[f->n++] = (struct http_field){name, value};
}

void http_response_fields(const struct http_response *res, struct http_fields *out)
{
	out->n = 0;
	add(out, "server", "mynah");
	add(out, "x-content-type-options", "nosniff");
	add(out, "referrer-policy", "no-referrer");
	add(out, "cross-origin-opener-policy", "same-origin");
	if (http_status_has_body(res->status)) {
		snprintf(out->length, sizeof out->length, "%zu", res->len);
		add(out, "content-type", res->content_type);
		add(out, "content-length", out->length);
	}
	add(out, "cache-control", res->cache_control);
	add(out, "content-security-policy", res->csp);
	add(out, "location", res->location);
	add(out, "access-control-allow-origin", res->cors);
	add(out, "vary", res->vary);
	add(out, "allow", res->status == 405 ? "GET, HEAD" : NULL);
}

int http_body_init(struct http_body *b, const struct http_response *res)
{
	*b = (struct http_body){.p = res->body, .len = res->len, .owned = res->owned};
	if (res->owned || res->static_body || res->len == 0)
		return 0;
	b->owned = malloc(res->len);
	if (!b->owned) {
		*b = (struct http_body){0};
		return ERR_NOMEM;
	}
	b->p = memcpy(b->owned, res->body, res->len);
	return 0;
}

void http_body_fini(struct http_body *b)
{
	free(b->owned);
	*b = (struct http_body){0};
}
