/* SPDX-License-Identifier: MIT */
/*
 * ws_worker - a worker behind a WebSocket, in one of the framings of telephony platforms: we are the platform, the
 * room is the call. What differs between them is in a struct ws_dialect.
 *
 *   room -> input queue (frames of 20 ms, 300 ms of them wait) -> dialect -> WebSocket -> worker
 *   worker -> WebSocket -> dialect -> output -> the room's backlog
 *                             marks wait here until the room has mixed what came before
 */
#pragma once
#include "bridge/bridge_output.h"
#include "bridge/dial.h"
#include "bridge/input_queue.h"
#include "bridge/json.h"
#include "bridge/marks.h"
#include "http/websocket.h"

enum {
	WS_FRAME_MS = 20,
	WS_WAIT_MS = 200,        /* of audio for a worker that is slow; and a third ... */
	WS_KERNEL_MS = 300,      /* ... of this in the kernel. The rest of it is on its way */
	WS_MARKS_MAX = 64,
	WS_SILENCE_MS = 300,     /* of silence are played while nothing audible waits */
	WS_MESSAGE_MAX = 1 << 20,
	WS_REFUSED_S = 300,      /* a server that refuses us is called again so much later */
	WS_PAUSE_MOST_S = 600,   /* however long it asks for */
	WS_CONTROL_MAX = 65536,  /* bytes of JSON that may wait for the worker */
};

/* Whose calls the worker was written for. */
enum ws_framing { WS_JAMBONZ, WS_VONAGE, WS_TWILIO };

/* What a bridge of type "websocket" can be told. */
struct ws_worker_opts {
	char url[BRIDGE_TEXT_MAX];  /* "ws://HOST[:PORT][/PATH]" or wss:// */
	enum ws_framing framing;    /* default WS_JAMBONZ */
	struct bridge_key key;
};

enum ws_worker_state {
	WORKER_CONNECTING, /* sound goes nowhere */
	WORKER_TALKS,
	WORKER_RESTS,      /* it said goodbye: nothing more is said or heard until the room closes us */
	WORKER_FAILED,     /* the room was told and will close us */
};

struct ws_worker {
	const struct ws_dialect *dialect;
	const struct bridge_opts *bridge;
	const struct ws_worker_opts *opts;
	const struct bridge_sink *sink;
	void *sink_ctx;
	const struct log *log;
	uint32_t rate_hz;
	enum ws_worker_state state;
	struct websocket *ws;    /* NULL: gone */
	bool closed;             /* by the room: nothing is said to it any more */
	struct input_queue input;
	struct bridge_output output;
	struct marks marks;      /* names or JSON values */
	bool complained;         /* about what it says, once */
	struct json_pool json;
	struct buf out;          /* the message in the making */
	char stream_sid[35], call_sid[35]; /* twilio */
	char uuid[37];           /* jambonz */
	uint64_t sequence, chunk;
};

struct ws_dialect {
	const char *subprotocols; /* offered; NULL: none */
	uint32_t rates[5];        /* that it knows, ended by 0 */
	uint32_t rate;            /* unless the configuration or the room has another of these */
	void (*greet)(struct ws_worker *w);
	void (*hear)(struct ws_worker *w, const uint8_t *pcm16, size_t n); /* one frame */
	bool binary;              /* the worker speaks in binary messages */
	void (*take)(struct ws_worker *w, yyjson_val *message);
	void (*marked)(struct ws_worker *w, const char *text, bool cleared);
	void (*bye)(struct ws_worker *w); /* may be NULL */
};
extern const struct ws_dialect ws_jambonz, ws_vonage, ws_twilio;

/* --- for the dialects ------------------------------------------------------------------- */

/* Makes a message in `out` and sends it: begin, append to w->out, end. */
struct buf *ws_begin(struct ws_worker *w);
void ws_end(struct ws_worker *w, int err);
/* Something that the worker said makes no sense: told once. */
void ws_complain(struct ws_worker *w, const char *what);
/* To be told by marked() when what was said so far is mixed. */
void ws_mark(struct ws_worker *w, const char *text, size_t len);
/* Takes back what the worker said and was not mixed. Marks that wait are told as cleared. */
void ws_clear(struct ws_worker *w);
/* The worker wants no more. */
void ws_rest(struct ws_worker *w);
