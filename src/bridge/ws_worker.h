/* SPDX-License-Identifier: MIT */
/*
 * ws_worker - a worker behind a WebSocket, in one of the framings of telephony platforms: we are the platform, the
 * room is the call. The differences between them are in a struct ws_dialect.
 *
 *   room -> input queue (frames of 20 ms, 300 ms of them wait) -> dialect -> WebSocket -> worker
 *   worker -> WebSocket -> dialect -> output -> the room's backlog
 *                             marks wait here until what came before was heard
 */
#pragma once
#include "bridge/bridge_output.h"
#include "bridge/dial.h"
#include "bridge/input_queue.h"
#include "bridge/json.h"
#include "bridge/marks.h"
#include "bridge/read_budget.h"
#include "http/websocket.h"

enum {
	WS_FRAME_MS = 20,
	WS_WAIT_MS = 200,        /* of audio for a worker that is slow; a third ... */
	WS_KERNEL_MS = 300,      /* ... of this waits in the kernel, too. The rest of it is on its way */
	WS_MARKS_MAX = 64,
	WS_SILENCE_MS = 300,     /* of silence are played while nothing audible waits */
	WS_MESSAGE_MAX = 1 << 20,
	WS_REFUSED_S = 300,      /* before a server that refused us is called again */
	WS_PAUSE_MOST_S = 600,   /* at most, even where the server asks for more */
	WS_CONTROL_MAX = 65536,  /* bytes of JSON that may wait for the worker */
};

/* Whose calls the worker was written for. */
enum ws_framing { WS_JAMBONZ, WS_VONAGE, WS_TWILIO };

/* The options of a bridge of type "websocket". */
struct ws_worker_opts {
	char url[BRIDGE_TEXT_MAX];  /* "ws://HOST[:PORT][/PATH]" or wss:// */
	enum ws_framing framing;    /* default WS_JAMBONZ */
	struct bridge_key key;
};

enum ws_worker_state {
	WS_WORKER_CONNECTING, /* the mix is dropped */
	WS_WORKER_UP,
	WS_WORKER_LEFT,       /* it asked for the end, and its connection is closing: the room was told, and will close us */
	WS_WORKER_FAILED,     /* or it closed the connection: the same */
	WS_WORKER_CLOSED,     /* by the room: nothing is reported any more; freed with its connection */
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
	struct input_queue input;
	struct bridge_output output;
	struct marks marks;      /* names or JSON values */
	bool warned;             /* of something that it sent */
	struct json_pool json;
	struct buf out;          /* the message that is being written */
	char stream_sid[35], call_sid[35]; /* twilio */
	char uuid[37];           /* jambonz */
	uint64_t sequence, chunk;
};

struct ws_dialect {
	const char *subprotocols; /* offered; NULL: none */
	uint32_t rates[5];        /* that it allows, ended by 0 */
	uint32_t rate;            /* its usual one, where neither the configuration nor the room has one of these */
	bool binary;              /* the worker's speech comes in binary messages */
	void (*on_open)(struct ws_worker *w);
	void (*send_frame)(struct ws_worker *w, const uint8_t *pcm16, size_t n); /* of the mix */
	void (*on_message)(struct ws_worker *w, yyjson_val *message); /* an object */
	/* A mark of the worker's was reached, or `cleared` with the speech before it. */
	void (*mark_done)(struct ws_worker *w, const char *text, bool cleared);
	void (*before_close)(struct ws_worker *w); /* optional */
};
extern const struct ws_dialect ws_jambonz, ws_vonage, ws_twilio;

/* --- for the dialects ------------------------------------------------------------------- */

/* Makes a message in `out` and sends it: begin, append to w->out, end. */
struct buf *ws_begin(struct ws_worker *w);
void ws_end(struct ws_worker *w, int err);
/* The worker sent something that makes no sense: logged once. */
void ws_warn_once(struct ws_worker *w, const char *what);
/* mark_done() follows when everything that the worker has sent so far is played. */
void ws_mark(struct ws_worker *w, const char *text, size_t len);
/* Flushes what the worker has sent and was not played. Marks that wait are cleared. */
void ws_clear(struct ws_worker *w);
/* The worker ends the call. */
void ws_leave(struct ws_worker *w);
