/* SPDX-License-Identifier: MIT */
/*
 * upgrade - the opening handshake of a WebSocket (RFC 6455 section 4.1), the client's side: makes the request and parses
 * the response out of bytes that come in any pieces. Knows no socket; allocates in the caller's buffer only.
 */
#pragma once
#include "base/buf.h"
#include "http/websocket.h"

#include <llhttp.h>

enum { UPGRADE_HEADER_MAX = 16384, UPGRADE_VALUE_MAX = 256, UPGRADE_KEY = 25, UPGRADE_ACCEPT = 29 };

enum upgrade_state {
	UPGRADE_MORE,    /* more bytes are needed */
	UPGRADE_DONE,    /* a WebSocket; what follows are frames */
	UPGRADE_REFUSED, /* another status, with its body as far as it was kept */
	UPGRADE_BAD,     /* malformed, or for another request; see `why` */
};

enum upgrade_field { FIELD_UPGRADE, FIELD_CONNECTION, FIELD_ACCEPT, FIELD_PROTOCOL, FIELD_EXTENSIONS, FIELD_RETRY, N_FIELDS };

struct upgrade {
	llhttp_t parser;
	llhttp_settings_t settings;
	enum upgrade_state state;
	const char *why;
	size_t n_header;
	bool in_body;
	char key[UPGRADE_KEY], accept[UPGRADE_ACCEPT]; /* as sent; as expected */
	const char *offered;                           /* subprotocols; borrowed, may be NULL */
	char name[32];                                 /* of the field being read */
	size_t name_len;
	char value[N_FIELDS][UPGRADE_VALUE_MAX];       /* several of one name are joined by commas */
	size_t value_len[N_FIELDS];
	char body[WEBSOCKET_BODY];
	size_t body_len;
};

/* Chooses a key. The struct must not be moved afterwards. */
int upgrade_init(struct upgrade *u, const char *subprotocols);
/* Appends the request. ERR_RANGE: a header or the subprotocols hold a character that is not allowed there. */
int upgrade_request(const struct upgrade *u, const struct websocket_url *url, const struct websocket_header *headers,
	struct buf *out);
/* Parses up to the end of the response and returns how many bytes that were; sets `state`. */
size_t upgrade_feed(struct upgrade *u, const void *p, size_t len);
/* The connection ended: a response whose body has no length is complete. */
void upgrade_finish(struct upgrade *u);
uint32_t upgrade_retry_after_s(const struct upgrade *u); /* 0: none, or a date */
