/* SPDX-License-Identifier: MIT */
/*
 * websocket - a WebSocket client (RFC 6455) on the caller's libuv loop, in clear or over TLS. One thread. Takes memory
 * when a connection begins, for every message received and for every send; all of it is bounded by the options. No
 * extensions, so no compression; redirects are not followed. Errors are described with host and port, never with the
 * path, the query or a header. The process must ignore SIGPIPE.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct tls_context;
struct websocket;

/* --- addresses ---------------------------------------------------------------------------- */

struct websocket_url {
	bool secure;       /* wss:// */
	bool loopback;     /* localhost, 127.0.0.0/8 or ::1 */
	char host[256];    /* without the brackets of an IPv6 address */
	uint16_t port;
	const char *target; /* path and query, points into the text; may be "" or begin with '?' */
};
/* "ws://HOST[:PORT][/PATH][?QUERY]", also wss://. ERR_RANGE: anything else; a name and password, a fragment and
 * characters other than visible ASCII are refused, too. */
int websocket_url_parse(const char *text, struct websocket_url *out);

/* --- connections -------------------------------------------------------------------------- */

struct websocket_header {
	const char *name, *value;
};

struct websocket_opts {
	const char *url;
	/* Further fields of the request, such as Authorization. Ended by one whose name is NULL; may be NULL. */
	const struct websocket_header *headers;
	const char *subprotocols;     /* offered, comma separated; NULL: none */
	/* For wss://. NULL: one of its own with the system's roots, which takes some 30 ms and 1 MB: share one. */
	struct tls_context *tls;
	uint32_t connect_timeout_ms;  /* name, TCP, TLS and upgrade together. default 10000 */
	uint32_t attempt_timeout_ms;  /* for one address while there are others. default 3000 */
	/* If nothing is received in this time, a ping is sent; if nothing follows in the same time, it ends. default 15000, 0: never */
	uint32_t ping_ms;
	/* If the other side takes nothing in this time while something waits for it, the connection ends. Counted from when the
	 * kernel takes no more. default 30000, 0: never */
	uint32_t stall_ms;
	uint32_t close_timeout_ms;    /* for the other side's close. default 2000 */
	size_t max_message;           /* bytes received; default 1 MiB, less than 2 GiB */
	/* Bytes that are received between two calls of websocket_read_on(); every frame counts as WEBSOCKET_FRAME_BYTES more, since empty
	 * ones cost, too. What a read took beyond it is taken off the next. default 0: no bound */
	size_t read_per_turn;
	size_t max_queue;             /* bytes that may wait to be sent; default 1 MiB */
	int kernel_buffer;            /* bytes that the kernel may hold beyond these, a third of them unsent; default 0: its own choice */
};
void websocket_opts_default(struct websocket_opts *o);

enum { WEBSOCKET_FRAME_BYTES = 64 };
enum { WEBSOCKET_WHY = 256, WEBSOCKET_BODY = 2048 };

/* The end of a connection. */
struct websocket_end {
	/* ERR_OK the other side closed in order, ERR_NOTFOUND no such host, ERR_TLS, ERR_DENIED the upgrade was
	 * refused, ERR_MALFORMED not HTTP or not WebSocket, ERR_LIMIT a message over max_message or a reader that is too
	 * slow for max_queue, ERR_IO every other fault of the network and time-outs, ERR_NOMEM */
	int err;
	const char *why;           /* one line */
	unsigned http_status;      /* of an upgrade that was refused, else 0 */
	uint32_t retry_after_s;    /* of its Retry-After; 0: none */
	const char *body;          /* of the refusal, its first WEBSOCKET_BODY bytes at most; "": none. May hold secrets: not for the log */
	uint16_t close_code;       /* received; 1005: none in it; 0: no close came */
};

/* All are needed. Every function may be called from them. */
struct websocket_events {
	/* `subprotocol`: the chosen one, "" if none. */
	void (*on_open)(void *ctx, const char *subprotocol);
	/* A whole message, borrowed until return. Text is valid UTF-8, not NUL-terminated. */
	void (*on_message)(void *ctx, bool text, const uint8_t *p, size_t len);
	void (*on_end)(void *ctx, const struct websocket_end *end); /* once; close it then */
	void (*on_closed)(void *ctx);                               /* after websocket_close(), which freed everything */
};

/* Connects; on_open or on_end follows from the loop. Copies the options and what they point to; borrows `ev` until
 * closed, references `tls`. ERR_RANGE: the URL, a header or the subprotocols have a wrong form; ERR_NOMEM, ERR_TLS,
 * ERR_IO: no callback comes. */
int websocket_connect(uv_loop_t *loop, const struct websocket_opts *opts, const struct websocket_events *ev, void *ctx,
	struct websocket **out);

/* Queues one message. Copies. ERR_LIMIT: over max_queue, nothing was queued; ERR_STATE: not open, or not any more (on_end
 * may come before this returns); ERR_NOMEM. */
int websocket_send_text(struct websocket *ws, const void *p, size_t len);
int websocket_send_binary(struct websocket *ws, const void *p, size_t len);
size_t websocket_queued(const struct websocket *ws); /* bytes on their way to the kernel */
size_t websocket_unsent(const struct websocket *ws); /* those that the kernel did not accept: the other side is slow */

/* A turn of read_per_turn begins: what waited is received, some of it before this returns. Nothing happens without a bound, or
 * while it is not open. */
void websocket_read_on(struct websocket *ws);

/* The last call. On an open connection the close follows what is queued (`reason` at most 123 bytes, may be NULL) and is
 * awaited from the other side, close_timeout_ms at most; any other ends at once. Only on_closed follows, from the loop. */
void websocket_close(struct websocket *ws, uint16_t code, const char *reason);
