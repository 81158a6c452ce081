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

/* Fits, with the NUL: the method and the names of fields, which are not kept, take more than the NULs. */
static void append(struct request *r, const char *at, size_t len)
{
	memcpy(r->text + r->text_len, at, len);
	r->text_len += len;
	r->text[r->text_len] = '\0';
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
	append(p->data, at, len);
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

static enum request_field field_of(const struct request *r)
{
	static const char *const names[] = {[FIELD_HOST] = "host", [FIELD_ORIGIN] = "origin",
		[FIELD_AUTHORIZATION] = "authorization", [FIELD_USER_AGENT] = "user-agent"};

	for (int f = 0; f < FIELD_OTHER; f++)
		if (r->name_len == strlen(names[f]) && !strncasecmp(r->name, names[f], r->name_len))
			return (enum request_field)f;
	return FIELD_OTHER;
}

static int on_field_done(llhttp_t *p)
{
	struct request *r = p->data;

	r->field = field_of(r);
	if (r->field == FIELD_OTHER)
		return 0;
	/* Given twice it is ambiguous, and a proxy before us may have used the other one. */
	if (r->begins[r->field])
		return refuse(r, 400);
	r->begins[r->field] = ++r->text_len;
	append(r, "", 0);
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
	struct request *r = p->data;

	if (r->field == FIELD_OTHER)
		return 0;
	append(r, at, len);
	bool is_short = r->field == FIELD_HOST || r->field == FIELD_ORIGIN;

	return is_short && r->text_len - r->begins[r->field] >= REQUEST_FIELD_MAX ? refuse(r, 400) : 0;
}

static int on_value_done(llhttp_t *p)
{
	struct request *r = p->data;

	r->name_len = 0;
	return 0;
}

static const char *value_or(const struct request *r, enum request_field f, const char *absent)
{
	return r->begins[f] ? r->text + r->begins[f] : absent;
}

/* --- target ----------------------------------------------------------------------------- */

static bool is_host(const char *s)
{
	for (; *s; s++)
		if (!((*s >= '0' && *s <= ':') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || strchr("-._[]", *s)))
			return false;
	return true;
}

/* "http://host/path", as for a proxy, must be understood (RFC 9112 3.2.2); its host counts. The path, NULL: malformed. */
static char *split_absolute(struct request *r, char *target)
{
	size_t skip = !strncasecmp(target, "http://", 7) ? 7 : !strncasecmp(target, "https://", 8) ? 8 : 0;

	if (!skip)
		return target;
	char *host = target + skip;
	size_t len = strcspn(host, "/?");
	char *end = host + len;

	if (len == 0 || len >= REQUEST_FIELD_MAX)
		return NULL;
	r->http.host = memmove(host - 2, host, len); /* makes room for a NUL, and a "/" if there is no path */
	end[-2] = '\0';
	if (*end == '/')
		return end;
	end[-1] = '/';
	return end - 1;
}

static bool split_target(struct request *r)
{
	char *path = split_absolute(r, r->text);

	return path && !http_target_parse(path, &r->http);
}

/* --- the whole -------------------------------------------------------------------------- */

/* 0, or how to answer. */
static unsigned judge(struct request *r)
{
	const llhttp_t *p = &r->parser;
	bool body = (p->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) || ((p->flags & F_CONTENT_LENGTH) && p->content_length > 0);

	if (p->http_major != 1 || p->http_minor > 1)
		return 505;
	if (p->http_minor == 1 && !r->begins[FIELD_HOST])
		return 400;
	if (body || p->method == HTTP_CONNECT)
		r->keep_alive = false;
	if (!http_method_ok(r->http.method))
		return 405;
	if (body)
		return 413;
	return split_target(r) && is_host(r->http.host) ? 0 : 400;
}

static int on_headers(llhttp_t *p)
{
	struct request *r = p->data;

	r->old = p->http_major == 1 && p->http_minor == 0;
	r->head = p->method == HTTP_HEAD;
	r->keep_alive = llhttp_should_keep_alive(p);
	r->http = (struct http_request){.method = llhttp_method_name((llhttp_method_t)p->method),
		.path = "",
		.query = "",
		.host = value_or(r, FIELD_HOST, ""),
		.origin = value_or(r, FIELD_ORIGIN, NULL),
		.authorization = value_or(r, FIELD_AUTHORIZATION, ""),
		.user_agent = value_or(r, FIELD_USER_AGENT, "")};
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
	r->text = malloc((size_t)max_bytes + 1);
	if (!r->text)
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
	free(r->text);
	r->text = NULL;
}

void http_parse_next(struct request *r)
{
	llhttp_init(&r->parser, HTTP_REQUEST, &r->settings);
	r->parser.data = r;
	r->state = REQUEST_MORE;
	r->status = 0;
	r->n_bytes = 0;
	r->keep_alive = r->old = r->head = false;
	r->text_len = r->name_len = 0;
	r->text[0] = '\0';
	memset(r->begins, 0, sizeof r->begins);
	r->http = (struct http_request){.method = "", .path = "", .query = "", .host = "", .authorization = "", .user_agent = ""};
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
