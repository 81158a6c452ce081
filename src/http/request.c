/* SPDX-License-Identifier: MIT */
#include "http/request.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- fields ----------------------------------------------------------------------------- */

static int refuse(struct request *r, unsigned status)
{
	r->status = status;
	return HPE_USER;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
	struct request *r = p->data;

	/* Fits: the request has max_bytes at most, and its version and lines take more than the NUL. */
	memcpy(r->target + r->target_len, at, len);
	r->target_len += len;
	return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t len)
{
	struct request *r = p->data;
	size_t room = sizeof r->name - 1 - r->name_len;

	memcpy(r->name + r->name_len, at, len < room ? len : room);
	r->name_len += len < room ? len : room;
	return 0;
}

static bool is_field(const struct request *r, const char *name)
{
	return r->name_len == strlen(name) && !strncasecmp(r->name, name, r->name_len);
}

static int on_field_done(llhttp_t *p)
{
	struct request *r = p->data;

	r->n_host += is_field(r, "host");
	r->n_origin += is_field(r, "origin");
	/* Two of these are two opinions, and somebody before us may have acted on the other one. */
	return r->n_host > 1 || r->n_origin > 1 ? refuse(r, 400) : 0;
}

static bool append(char field[REQUEST_FIELD_MAX], size_t *field_len, const char *at, size_t len)
{
	if (len >= REQUEST_FIELD_MAX - *field_len)
		return false;
	memcpy(field + *field_len, at, len);
	*field_len += len;
	field[*field_len] = '\0';
	return true;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
	struct request *r = p->data;
	bool good = true;

	if (is_field(r, "host"))
		good = append(r->host, &r->host_len, at, len);
	else if (is_field(r, "origin"))
		good = append(r->origin, &r->origin_len, at, len);
	return good ? 0 : refuse(r, 400);
}

static int on_value_done(llhttp_t *p)
{
	struct request *r = p->data;

	r->name_len = 0;
	return 0;
}

/* --- target ----------------------------------------------------------------------------- */

static bool is_host(const char *s)
{
	for (; *s; s++)
		if (!((*s >= '0' && *s <= ':') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || strchr("-._[]", *s)))
			return false;
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place. No control character may come out of it, encoded or not. */
static bool percent_decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		int c = (unsigned char)*s;

		if (c == '%') {
			int high = hex(s[1]), low = high < 0 ? -1 : hex(s[2]);

			if (low < 0)
				return false;
			c = high * 16 + low;
			s += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

/* "." and ".." mean a way through directories: a browser resolves them before it asks. */
static bool has_dot_segment(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		p += *p == '/';
		size_t n = strcspn(p, "/");

		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return true;
	}
	return false;
}

/* "http://host/path", as for a proxy, must be understood (RFC 9112 3.2.2); its host counts. */
static char *take_authority(struct request *r, char *target)
{
	size_t skip = !strncasecmp(target, "http://", 7) ? 7 : !strncasecmp(target, "https://", 8) ? 8 : 0;

	if (!skip)
		return target;
	char *host = target + skip, *end = host + strcspn(host, "/?");

	r->host_len = 0;
	if (end == host || !append(r->host, &r->host_len, host, (size_t)(end - host)))
		return NULL;
	if (*end == '/')
		return end;
	end[-1] = '/'; /* no path: "/", in a place that is not needed any more */
	return end - 1;
}

static bool split_target(struct request *r)
{
	r->target[r->target_len] = '\0';
	for (size_t i = 0; i < r->target_len; i++)
		if ((unsigned char)r->target[i] <= ' ' || (unsigned char)r->target[i] >= 0x7f || r->target[i] == '#')
			return false;
	char *path = take_authority(r, r->target);

	if (!path || *path != '/')
		return false;
	char *query = strchr(path, '?');

	if (query)
		*query++ = '\0';
	r->path = path;
	r->query = query ? query : "";
	return percent_decode(path) && !has_dot_segment(path);
}

/* --- the whole -------------------------------------------------------------------------- */

/* 0, or how to answer. */
static unsigned judge(struct request *r)
{
	const llhttp_t *p = &r->parser;
	bool known = p->method == HTTP_GET || p->method == HTTP_HEAD;
	bool body = (p->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) || ((p->flags & F_CONTENT_LENGTH) && p->content_length > 0);

	if (p->http_major != 1 || p->http_minor > 1)
		return 505;
	if (p->http_minor == 1 && r->n_host == 0)
		return 400;
	if (body || p->method == HTTP_CONNECT)
		r->keep_alive = false;
	if (!known)
		return 405;
	if (body)
		return 413;
	return split_target(r) && is_host(r->host) ? 0 : 400;
}

static int on_headers(llhttp_t *p)
{
	struct request *r = p->data;

	r->old = p->http_major == 1 && p->http_minor == 0;
	r->head = p->method == HTTP_HEAD;
	r->keep_alive = llhttp_should_keep_alive(p);
	r->status = judge(r);
	return HPE_PAUSED; /* there is no body to read: this request is complete */
}

static unsigned fault_status(const struct request *r, llhttp_errno_t code)
{
	/* llhttp says "invalid version" also of what stands behind a good one. */
	bool good_version = r->parser.http_major == 1 && r->parser.http_minor <= 1;

	return code == HPE_PAUSED_H2_UPGRADE || (code == HPE_INVALID_VERSION && !good_version) ? 505 : 400;
}

int http_parse_init(struct request *r, uint32_t max_bytes)
{
	memset(r, 0, sizeof *r);
	r->max_bytes = max_bytes;
	r->target = malloc((size_t)max_bytes + 1);
	if (!r->target)
		return ERR_NOMEM;
	llhttp_settings_init(&r->settings);
	r->settings.on_url = on_url;
	r->settings.on_header_field = on_field;
	r->settings.on_header_field_complete = on_field_done;
	r->settings.on_header_value = on_value;
	r->settings.on_header_value_complete = on_value_done;
	r->settings.on_headers_complete = on_headers;
	http_parse_next(r);
	return 0;
}

void http_parse_fini(struct request *r)
{
	free(r->target);
	r->target = NULL;
}

void http_parse_next(struct request *r)
{
	llhttp_init(&r->parser, HTTP_REQUEST, &r->settings);
	r->parser.data = r;
	r->state = REQUEST_MORE;
	r->status = 0;
	r->n_bytes = 0;
	r->keep_alive = r->old = r->head = false;
	r->target_len = r->name_len = r->host_len = r->origin_len = 0;
	r->host[0] = r->origin[0] = '\0';
	r->n_host = r->n_origin = 0;
	r->path = r->query = "";
}

static void set_state(struct request *r, llhttp_errno_t code)
{
	if (code == HPE_PAUSED) {
		r->state = r->status == 0 || r->status == 405 ? REQUEST_READY : REQUEST_BAD;
		return;
	}
	if (code != HPE_OK) {
		r->state = REQUEST_BAD;
		if (code != HPE_USER)
			r->status = fault_status(r, code);
	} else if (r->n_bytes == r->max_bytes) {
		r->state = REQUEST_BAD;
		r->status = 431;
	}
}

size_t http_parse_feed(struct request *r, const void *p, size_t len)
{
	size_t room = r->max_bytes - r->n_bytes;
	const char *bytes = p;

	if (r->state != REQUEST_MORE || len == 0)
		return 0;
	if (len > room)
		len = room;
	llhttp_errno_t code = llhttp_execute(&r->parser, bytes, len);

	if (code == HPE_PAUSED)
		len = (size_t)(llhttp_get_error_pos(&r->parser) - bytes);
	r->n_bytes += (uint32_t)len;
	set_state(r, code);
	return len;
}
