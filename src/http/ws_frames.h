/* SPDX-License-Identifier: MIT */
/*
 * ws_frames - messages of a WebSocket (RFC 6455) as bytes of a connection and back, for either side of it: fragments,
 * masks, pings and the closing handshake. Knows no socket and no clock: the owner passes received bytes in and gets
 * those to be sent. One thread. Allocates for every message, bounded by the options. No extensions.
 *
 *   send:    a message -> wslay frames (and masks) it -> `out` -> io->send, in one piece
 *   receive: bytes -> wslay -> io->on_message; its answers (pong, close) follow at the end of the call
 *
 * A zeroed struct may be flushed, counted and finished.
 */
#pragma once
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wslay/wslay.h>

enum {
	WS_CONTROL_BYTES = 16384, /* that may be sent beyond max_queue: pongs and the close */
	WS_REASON_MAX = 123,      /* RFC 6455 section 5.5 */
};

enum ws_role {
	WS_CLIENT, /* masks what it sends */
	WS_SERVER, /* refuses what is not masked */
};

/* Called from inside the functions below; from on_message all of these may be called but ws_frames_fini. */
struct ws_frames_io {
	int (*send)(void *ctx, const uint8_t *p, size_t len); /* copies; its errors are passed on */
	size_t (*queued)(void *ctx);                          /* bytes that it has copied and not sent */
	/* A whole message, borrowed until return. Text is valid UTF-8, not NUL-terminated. */
	void (*on_message)(void *ctx, bool text, const uint8_t *p, size_t len);
};

/* Why nothing more is received. */
struct ws_frames_end {
	/* ERR_OK the other side closed, ERR_MALFORMED not WebSocket, ERR_LIMIT a message over max_message, ERR_NOMEM; others
	 * from io->send */
	int err;
	uint16_t close_code; /* received; 1005: none in it; 0: no close came */
	char what[96];
};

enum ws_close_state {
	WS_CLOSE_NONE,
	WS_CLOSE_DUE,  /* asked for from on_message: it goes behind what waits */
	WS_CLOSE_SENT, /* messages that come are dropped */
};

/* Our part of the closing handshake. */
struct ws_close {
	enum ws_close_state state;
	uint16_t code;
	char reason[WS_REASON_MAX];
	size_t len;
};

struct ws_frames {
	wslay_event_context_ptr wslay; /* NULL: not open */
	const struct ws_frames_io *io;
	void *ctx;
	size_t max_message, max_queue;
	const uint8_t *in;             /* borrowed by ws_frames_receive() */
	size_t in_len;
	struct buf out;
	struct ws_close close;         /* kept here until its turn: wslay would send it before the messages that wait */
	uint64_t n_frames;             /* received, begun at least */
	bool receiving;                /* inside wslay: it must not be entered again */
	bool received, pinged;         /* since the last ws_frames_ping() */
};

/* Borrows `io`. ERR_NOMEM. */
int ws_frames_init(struct ws_frames *f, enum ws_role role, size_t max_message, size_t max_queue,
	const struct ws_frames_io *io, void *ctx);
void ws_frames_fini(struct ws_frames *f);
bool ws_frames_is_open(const struct ws_frames *f);

/* Queues one message and flushes, or leaves that to the ws_frames_receive() around it. Copies. ERR_LIMIT: over max_queue,
 * nothing was queued; ERR_NOMEM; ERR_STATE: after a close. `*broken` is what flushing failed with, 0 if it did not. */
int ws_frames_send(struct ws_frames *f, bool text, const void *p, size_t len, int *broken);
size_t ws_frames_queued(const struct ws_frames *f); /* bytes of messages on their way, with those of io */
/* Sends what waits. 0, or an error of io->send; ERR_NOMEM. */
int ws_frames_flush(struct ws_frames *f);

/* Handles received bytes, all of them. False: nothing more will come; `end` has the reason. */
bool ws_frames_receive(struct ws_frames *f, const uint8_t *p, size_t len, struct ws_frames_end *end);

/* At the end of each interval in which something should have been received. False: nothing has come since the ping of the
 * last one. Otherwise sends a ping if it was quiet; `*broken` as above. */
bool ws_frames_ping(struct ws_frames *f, int *broken);

/* Begins the closing handshake, behind the messages that wait. `reason` may be NULL; of a longer one 123 bytes are sent.
 * Returns what flushing did. */
int ws_frames_close(struct ws_frames *f, uint16_t code, const char *reason);
/* Receives nothing more. */
void ws_frames_stop(struct ws_frames *f);
