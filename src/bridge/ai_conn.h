/* SPDX-License-Identifier: MIT */
/*
 * ai_conn - the way to the provider: it dials, sets a session up and renews it before it is too old. A conversation outlives
 * its connections; who is there and what was said is not known here. A failure is reported to the room, with the shortest
 * pause that makes sense; the room says when to dial again.
 *
 *   IDLE -> ai_conn_dial() -> CONNECTING -> SETTING_UP -> READY -> failed, or being renewed -> IDLE ... -> CLOSED
 *
 * Uses ai_out (it is its transport), ai_trouble, the WebSocket client. One thread, the loop's, whose clock it uses. Takes
 * memory for each connection.
 */
#pragma once
#include "base/closing.h"
#include "bridge/ai_out.h"
#include "bridge/ai_trouble.h"
#include "bridge/json.h"

#include <uv.h>

enum {
	AI_KERNEL_BYTES = 24576,   /* 380 ms of sound; a third of that unsent */
	AI_MESSAGE_MAX = 4 << 20,
	AI_SETUP_MS = 15000,       /* from the connection to session.updated */
	AI_RENEW_GRACE_MS = 60000, /* how long a renewal waits for a quiet moment */
	AI_COMPLAINT_MAX = 128,
};

enum ai_conn_state {
	AI_CONN_IDLE,       /* failed, or about to be renewed */
	AI_CONN_CONNECTING,
	AI_CONN_SETTING_UP, /* session.update is to be answered */
	AI_CONN_READY,
	AI_CONN_CLOSED,     /* by the room: nothing is reported to it any more */
};

struct ai_conn_events {
	void (*on_event)(void *ctx, yyjson_val *event); /* a server event, borrowed */
	void (*on_ended)(void *ctx);                    /* the session has ended; the next one will follow */
	void (*on_closed)(void *ctx);                   /* after ai_conn_close(): no handle is open any more */
};

struct ai_conn {
	const struct ai_context *cx;
	struct ai_out *out;
	const struct ai_conn_events *events;
	void *ctx;
	enum ai_conn_state state;
	struct websocket *ws;      /* NULL: none. One that is closing is not ours any more */
	struct closing handles;    /* the timer, and connections that are closing */
	uv_timer_t timer;          /* set-up, age, renewal */
	bool renew_due;            /* the session is old: a quiet moment is waited for */
	uint64_t ready_at_ms;      /* by the loop's clock */
	unsigned refusals;         /* since a session last worked for a while */
	uint32_t retry_after_s;    /* as the provider asked last */
	char complaint[AI_COMPLAINT_MAX]; /* of our session.update, so far as is known; "": none */
	enum ai_trouble complaint_is;
	struct json_pool json;
};

extern const struct ai_transport ai_conn_transport; /* its ctx is a struct ai_conn */

/* Borrows. Opens a timer: end it with ai_conn_close(). */
void ai_conn_init(struct ai_conn *c, const struct ai_context *cx, struct ai_out *out, const struct ai_conn_events *events,
	void *ctx);
void ai_conn_dial(struct ai_conn *c);
/* The last call; on_closed follows from the loop. */
void ai_conn_close(struct ai_conn *c);

/* session.created came: answers with session.update. */
void ai_conn_set_up(struct ai_conn *c, bool create_response);
/* The provider complains while the session is set up. It may go on all the same: only if session.updated does not come in time, this
 * is why. */
void ai_conn_note_complaint(struct ai_conn *c, enum ai_trouble t, const char *what);
/* The timer's, AI_SETUP_MS after the connection. */
void ai_conn_setup_over(uv_timer_t *timer);
/* session.updated came. Returns whether the session has become ready just now. */
bool ai_conn_set_ready(struct ai_conn *c);
/* Ends the session. The next one begins at once if that was planned; else the failure is reported to the room. */
void ai_conn_end(struct ai_conn *c, enum ai_trouble t, const char *why);
