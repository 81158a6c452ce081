/* SPDX-License-Identifier: MIT */
#include "http/response.h"

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{204, "No Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{413, "Content Too Large"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
};

const char *http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* A line break in a field would let whoever chose its text write fields of his own. */
static bool is_clean(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

bool http_response_ok(const struct http_response *res)
{
	return res->status >= 200 && res->status <= 599 && res->content_type && is_clean(res->content_type) &&
		is_clean(res->cache_control) && is_clean(res->csp) && is_clean(res->location);
}

bool http_response_has_body(unsigned status)
{
	return status != 204 && status != 304;
}

static int field(struct buf *out, const char *name, const char *value)
{
	return value ? buf_printf(out, "%s: %s\r\n", name, value) : 0;
}

int http_head(const struct http_response *res, const struct http_head *how, struct buf *out)
{
	int err = buf_printf(out,
		"HTTP/1.1 %u %s\r\n"
		"Server: mynah\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"Referrer-Policy: no-referrer\r\n"
		"Cross-Origin-Opener-Policy: same-origin\r\n",
		res->status, http_reason(res->status));

	if (!err && http_response_has_body(res->status))
		err = buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", res->content_type, how->body_len);
	if (!err)
		err = field(out, "Cache-Control", res->cache_control);
	if (!err)
		err = field(out, "Content-Security-Policy", res->csp);
	if (!err)
		err = field(out, "Location", res->location);
	if (!err && res->cors)
		err = field(out, "Access-Control-Allow-Origin", "*");
	if (!err && how->allow)
		err = field(out, "Allow", "GET, HEAD");
	if (!err && (how->close || how->old))
		err = field(out, "Connection", how->close ? "close" : "keep-alive");
	return err ? err : buf_append(out, "\r\n", 2);
}
