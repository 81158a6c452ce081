/* SPDX-License-Identifier: MIT */
#include "http/upgrade.h"

#include "base/base64.h"
#include "base/random.h"
#include "http/openssl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const field_names[N_FIELDS] = {"upgrade", "connection", "sec-websocket-accept",
	"sec-websocket-protocol", "sec-websocket-extensions", "retry-after"};

/* --- checking --------------------------------------------------------------- */

/* "a, b" holds "b"? */
static bool has_token(const char *list, const char *token, size_t len)
{
	while (*list) {
		list += strspn(list, ", \t");
		size_t n = strcspn(list, ","), end = n;

		while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
			end--;
		if (end == len && len > 0 && !strncasecmp(list, token, len))
			return true;
		list += n;
	}
	return false;
}

/* What is wrong with a response of status 101; NULL: nothing. */
static const char *fault(const struct upgrade *u)
{
	const char *protocol = u->value[FIELD_PROTOCOL];

	if (!has_token(u->value[FIELD_UPGRADE], "websocket", 9) || !has_token(u->value[FIELD_CONNECTION], "upgrade", 7))
		return "the answer upgrades to something else than a WebSocket";
	if (strcmp(u->value[FIELD_ACCEPT], u->accept) != 0)
		return "the answer to the upgrade is another one's (Sec-WebSocket-Accept)";
	if (u->value[FIELD_EXTENSIONS][0])
		return "the answer to the upgrade brings an extension that nobody asked for";
	if (protocol[0] && (!u->offered || strchr(protocol, ',') || !has_token(u->offered, protocol, strlen(protocol))))
		return "the answer to the upgrade chooses a subprotocol that nobody offered";
	return NULL;
}

uint32_t upgrade_retry_after_s(const struct upgrade *u)
{
	const char *s = u->value[FIELD_RETRY];
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	return *s >= '0' && *s <= '9' && !*end ? (uint32_t)(v < 86400 ? v : 86400) : 0;
}

/* --- parsing --------------------------------------------------------------------------- */

static int bad(struct upgrade *u, const char *why)
{
	u->state = UPGRADE_BAD;
	u->why = why;
	return HPE_USER;
}

static int on_field(llhttp_t *p, const char *at, size_t len)
{
	struct upgrade *u = p->data;
	size_t room = sizeof u->name - 1 - u->name_len;

	memcpy(u->name + u->name_len, at, len < room ? len : room);
	u->name_len += len < room ? len : room;
	return 0;
}

static enum upgrade_field current_field(const struct upgrade *u)
{
	for (int i = 0; i < N_FIELDS; i++)
		if (u->name_len == strlen(field_names[i]) && !strncasecmp(u->name, field_names[i], u->name_len))
			return (enum upgrade_field)i;
	return N_FIELDS;
}

static int add_value(struct upgrade *u, enum upgrade_field f, const char *at, size_t len)
{
	if (len >= UPGRADE_VALUE_MAX - u->value_len[f])
		return bad(u, "a field of the answer to the upgrade is too long");
	memcpy(u->value[f] + u->value_len[f], at, len);
	u->value_len[f] += len;
	u->value[f][u->value_len[f]] = '\0';
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
	struct upgrade *u = p->data;
	enum upgrade_field f = current_field(u);

	return f == N_FIELDS ? 0 : add_value(u, f, at, len);
}

/* The second value of a field follows a comma. */
static int on_name_done(llhttp_t *p)
{
	struct upgrade *u = p->data;
	enum upgrade_field f = current_field(u);

	return f != N_FIELDS && u->value_len[f] ? add_value(u, f, ",", 1) : 0;
}

static int on_value_done(llhttp_t *p)
{
	((struct upgrade *)p->data)->name_len = 0;
	return 0;
}

/* For llhttp: 2 where neither a body nor another message follows. */
static int on_headers(llhttp_t *p)
{
	struct upgrade *u = p->data;

	u->in_body = true;
	if (p->status_code != 101)
		return 0;
	u->why = fault(u);
	if (u->why)
		return bad(u, u->why);
	return 2;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
	struct upgrade *u = p->data;
	size_t room = sizeof u->body - 1 - u->body_len;

	memcpy(u->body + u->body_len, at, len < room ? len : room);
	u->body_len += len < room ? len : room;
	if (len < room)
		return 0;
	u->state = UPGRADE_REFUSED; /* no more of it is kept */
	return HPE_PAUSED;
}

static int on_done(llhttp_t *p)
{
	struct upgrade *u = p->data;

	if (p->status_code >= 100 && p->status_code < 200 && p->status_code != 101) { /* 103 and the like: the final response follows */
		u->in_body = false;
		memset(u->value, 0, sizeof u->value);
		memset(u->value_len, 0, sizeof u->value_len);
		return 0;
	}
	u->state = p->status_code == 101 ? UPGRADE_DONE : UPGRADE_REFUSED;
	return u->state == UPGRADE_DONE ? 0 : HPE_PAUSED; /* at an upgrade the parser stops by itself */
}

static bool choose_key(struct upgrade *u)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t nonce[16], digest[20];
	char text[UPGRADE_KEY + sizeof guid];

	random_bytes(nonce, sizeof nonce);
	*base64_encode(u->key, nonce, sizeof nonce) = '\0';
	size_t n = (size_t)snprintf(text, sizeof text, "%s%s", u->key, guid);

	if (EVP_Digest(text, n, digest, NULL, EVP_sha1(), NULL) != 1)
		return false;
	*base64_encode(u->accept, digest, sizeof digest) = '\0';
	return true;
}

int upgrade_init(struct upgrade *u, const char *subprotocols)
{
	memset(u, 0, sizeof *u);
	llhttp_settings_init(&u->settings);
	u->settings.on_header_field = on_field;
	u->settings.on_header_field_complete = on_name_done;
	u->settings.on_header_value = on_value;
	u->settings.on_header_value_complete = on_value_done;
	u->settings.on_headers_complete = on_headers;
	u->settings.on_body = on_body;
	u->settings.on_message_complete = on_done;
	llhttp_init(&u->parser, HTTP_RESPONSE, &u->settings);
	u->parser.data = u;
	u->offered = subprotocols;
	return choose_key(u) ? 0 : ERR_TLS;
}

/* How many of `len` bytes the parser has used when it stopped. */
static size_t used_bytes(const struct upgrade *u, const void *p, size_t len, llhttp_errno_t e)
{
	const char *at = llhttp_get_error_pos(&u->parser);

	return e == HPE_OK || !at ? len : (size_t)(at - (const char *)p);
}

size_t upgrade_feed(struct upgrade *u, const void *p, size_t len)
{
	if (u->state != UPGRADE_MORE)
		return 0;
	llhttp_errno_t e = llhttp_execute(&u->parser, p, len);
	size_t used = used_bytes(u, p, len, e);

	u->n_header += u->in_body ? 0 : used;
	if (u->state == UPGRADE_MORE && e != HPE_OK)
		bad(u, "the answer to the upgrade is not HTTP");
	if (u->state == UPGRADE_MORE && u->n_header > UPGRADE_HEADER_MAX)
		bad(u, "the answer to the upgrade is too long");
	return used;
}

void upgrade_finish(struct upgrade *u)
{
	if (u->state != UPGRADE_MORE)
		return;
	if (u->in_body && u->parser.status_code != 101)
		u->state = UPGRADE_REFUSED;
	else
		bad(u, "the connection was closed before the answer to the upgrade");
}

/* --- writing --------------------------------------------------------------------------- */

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool is_field_name(const char *s)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	return *s && strspn(s, good) == strlen(s);
}

static int write_headers(const struct websocket_header *h, struct buf *out)
{
	int err = 0;

	for (; h && h->name && !err; h++)
		err = is_field_name(h->name) && is_printable(h->value) ? buf_printf(out, "%s: %s\r\n", h->name, h->value) : ERR_RANGE;
	return err;
}

static int write_host(const struct websocket_url *url, struct buf *out)
{
	bool v6 = strchr(url->host, ':') != NULL;
	int err = buf_printf(out, "Host: %s%s%s", v6 ? "[" : "", url->host, v6 ? "]" : "");

	if (!err && url->port != (url->secure ? 443 : 80))
		err = buf_printf(out, ":%u", url->port);
	return err ? err : buf_printf(out, "\r\n");
}

int upgrade_request(const struct upgrade *u, const struct websocket_url *url, const struct websocket_header *headers,
	struct buf *out)
{
	int err = u->offered && !is_printable(u->offered) ? ERR_RANGE : 0;

	if (!err)
		err = buf_printf(out, "GET %s%s HTTP/1.1\r\n", *url->target == '/' ? "" : "/", url->target);
	if (!err)
		err = write_host(url, out);
	if (!err)
		err = buf_printf(out, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: %s\r\n", u->key);
	if (!err && u->offered)
		err = buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", u->offered);
	if (!err)
		err = write_headers(headers, out);
	return err ? err : buf_printf(out, "\r\n");
}
