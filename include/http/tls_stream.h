/* SPDX-License-Identifier: MIT */
/*
 * tls_stream - a TCP connection on the caller's libuv loop, in clear or under TLS (OpenSSL
 * over memory buffers), accepted or opened; the same calls for all four. One thread. Takes
 * memory when a connection begins and for every send; what is queued is bounded. The process
 * must ignore SIGPIPE, since libuv does not.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* --- contexts: immutable and counted ---------------------------------------------------- */

struct tls_context;

/* TLS 1.2 and 1.3, ALPN "http/1.1". PEM text, copied; leaf first. ERR_TLS: not PEM, or the key is another's; ERR_NOMEM. */
int tls_context_server(const char *chain_pem, const char *key_pem, struct tls_context **out);

struct tls_client_opts {
	const char *ca_pem; /* trust these roots; NULL: the system's */
	bool insecure;      /* accept any certificate */
};
int tls_context_client(const struct tls_client_opts *opts, struct tls_context **out);

struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t); /* accepts NULL */

/* --- streams ------------------------------------------------------------------------------ */

struct tls_stream;

/* All may be called from the loop and from tls_stream_pause(); from any of them everything may be called,
 * tls_stream_close() too. */
struct tls_stream_events {
	/* Connected, the handshake done. Not called for what was accepted in clear: that is open at once. May be NULL. */
	void (*on_open)(void *ctx);
	void (*on_data)(void *ctx, const uint8_t *p, size_t len); /* borrowed until return, at most 16 KiB */
	void (*on_sent)(void *ctx);         /* all that was queued went to the kernel */
	/* The peer sends no more: 0 in order, ERR_TLS handshake or protocol, ERR_IO connection lost or refused, ERR_LIMIT it
	 * makes us queue too much. Once; close the stream then. */
	void (*on_end)(void *ctx, int err);
	void (*on_closed)(void *ctx);       /* the last call; the memory is gone */
	/* Something was received, and nothing more is read until tls_stream_work(): the owner says when there is time for
	 * it. May come from tls_stream_pause(). NULL: what is received is handled at once. */
	void (*on_due)(void *ctx);
};

enum { TLS_STREAM_CHUNK = 65536 }; /* a good size for one send */

/* Takes a connected socket that was accepted. `tls` NULL: in clear; else it is referenced. Borrows `ev` until closed.
 * `max_queue`: bytes that may wait to be sent. ERR_IO, ERR_NOMEM, ERR_TLS: `fd` is still the caller's, and no callback
 * comes. */
int tls_stream_accept(uv_loop_t *loop, int fd, struct tls_context *tls, size_t max_queue,
	const struct tls_stream_events *ev, void *ctx, struct tls_stream **out);
/* Connects; on_open or on_end follows. `server_name` (with TLS, else NULL): for SNI and to verify, a name or a numeric
 * address; copied. */
int tls_stream_connect(uv_loop_t *loop, const struct sockaddr *addr, struct tls_context *tls, const char *server_name,
	size_t max_queue, const struct tls_stream_events *ev, void *ctx, struct tls_stream **out);

/* Queues bytes. Copies. ERR_LIMIT: over `max_queue`, nothing was queued; ERR_STATE: not open, ended or closed. After any
 * other error close it. */
int tls_stream_send(struct tls_stream *s, const void *p, size_t len);
/* The address at the other end; its family is AF_UNSPEC if the kernel does not know it any more. */
void tls_stream_peer(const struct tls_stream *s, struct sockaddr_storage *out);
/* After on_end: what went wrong, in a few words for a log ("connection refused"); "closed" if nothing did. */
const char *tls_stream_why(const struct tls_stream *s);
size_t tls_stream_queued(const struct tls_stream *s); /* bytes on their way to the kernel, TLS's own included */
/* Of these, what the kernel would not take yet: 0 right after a send that it took whole. */
size_t tls_stream_unsent(const struct tls_stream *s);
/* What the kernel has taken since the beginning. */
uint64_t tls_stream_taken(const struct tls_stream *s);
/* Asks the kernel to hold no more than some `bytes` for a peer that is slow. */
void tls_stream_bound_kernel(struct tls_stream *s, int bytes);
/* After on_due: handles what was received, a handshake's or data, and reads on. Nothing if nothing is due, or paused. */
void tls_stream_work(struct tls_stream *s);
/* While paused no on_data comes, and on_end only when sending fails. Resuming may call on_data before it returns. */
void tls_stream_pause(struct tls_stream *s, bool paused);
/* Sends what is queued, then the end (close_notify, FIN). Receiving goes on. */
void tls_stream_end(struct tls_stream *s);
/* At once, with what is queued. on_closed follows from the loop; nothing else does. */
void tls_stream_close(struct tls_stream *s);
