/* SPDX-License-Identifier: MIT */
/*
 * bridge - the seam between a room and an AI worker. A driver hears the mix of all people
 * in the room, speaks into it as one more participant, and is told what happens. The room
 * opens one when its first person joins and closes it when the last one leaves.
 *
 * One thread, the room's. A driver never blocks and has no clock: `now` is an argument (a
 * driver with descriptors gets the loop in its options). It may call its sink from open,
 * audio, event and from its own loop callbacks, never after close. A driver's failure never ends a room: it
 * calls sink->failed, and the room opens (or resumes) it again after a pause that doubles. Its goodbye (sink->left) is no failure.
 */
#pragma once
#include "base/log.h"
#include "base/option.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BRIDGE_NAME_MAX = 32, BRIDGE_TEXT_MAX = 4096, BRIDGE_ARGS_MAX = 16, BRIDGE_ARG_MAX = 256, BRIDGE_TOOLS_MAX = 32 };

/* What people have made of a bridge for the time being. */
enum bridge_mode {
	BRIDGE_ACTIVE,    /* it hears and speaks */
	BRIDGE_LISTENING, /* it hears; somebody else has taken over, and it says nothing */
	BRIDGE_MUTED,     /* it neither hears nor speaks */
};
const char *bridge_mode_name(enum bridge_mode m); /* "active", "listening", "muted" */

struct bridge_options;
struct uv_loop_s;
struct tls_context;

/* What the room does when a person talks over a bridge. All but "off" turn its speech down at once. */
enum barge_in {
	BARGE_IN_AUTO,      /* what suits the driver: its ops->barge_in, or else confirm */
	BARGE_IN_IMMEDIATE, /* its speech is flushed at the first sound */
	BARGE_IN_CONFIRM,   /* ... once they have talked for confirm_ms */
	BARGE_IN_WORKER,    /* ... when the driver calls sink->flush */
	BARGE_IN_OFF,       /* nothing */
};

/* What the room does when live speech of a bridge is late, because its worker stalled. */
enum bridge_catch_up {
	CATCH_UP_AUTO,   /* what suits the driver: its ops->catch_up, or else off */
	CATCH_UP_PAUSES, /* its pauses are shortened until it is on time */
	CATCH_UP_OFF,    /* nothing */
};

/* [[bridge.NAME.tool]]: a program that a model may call. Plain data. */
struct bridge_tool {
	char name[65];                /* letters, digits, '-' and '_' */
	char description[1024];       /* for the model. default "" */
	char parameters[4096];        /* JSON Schema of its arguments, an object. default: it has none */
	char command[BRIDGE_ARGS_MAX][BRIDGE_ARG_MAX]; /* arguments on stdin, its result on stdout, both JSON */
	size_t n_command;
	uint32_t timeout_ms;          /* 100..600000. default 5000 */
};
void bridge_tool_default(struct bridge_tool *t);
extern const struct bridge_options bridge_tool_options; /* the rows of one */

/* [bridge.NAME]: the options of every bridge. Plain data, owned by the configuration, which outlives all bridges. */
struct bridge_opts {
	char name[BRIDGE_NAME_MAX]; /* also its name as a participant */
	char type[BRIDGE_NAME_MAX]; /* of the driver: one of bridge_types() */
	uint32_t rate_hz;           /* of its input and its speech, 8000..48000; 0: the room's. default 0 */
	uint32_t backlog_ms;        /* speech it may be ahead of real time; more is dropped. default 60000 */
	enum barge_in barge_in;     /* default BARGE_IN_AUTO */
	uint32_t confirm_ms;        /* 0..5000. default 250 */
	enum bridge_catch_up catch_up; /* default CATCH_UP_AUTO */
	uint32_t hold_ms;           /* 0..10000: its speech waits that long for the first who can hear it. default 2000 */
	uint32_t stall_ms;          /* a worker that takes nothing for this time while something waits, has failed. default 30000 */
	double duck_db;             /* how far its speech is turned down, -60..0. default -12 */
	const void *options;        /* the driver's own struct, as ops->options describes it; NULL: its defaults */
	const struct bridge_tool *tools; /* n_tools of them, BRIDGE_TOOLS_MAX at most; for drivers with ops->has_tools */
	size_t n_tools;
	/* Every bridge that is configured: no program of a bridge may see their keys. */
	const struct bridge_opts *all;
	size_t n_all;
	/* For wss://, shared by all; set by the daemon. NULL: each connection loads the system's roots for itself. */
	struct tls_context *tls;
	/* The loop that the room is driven from, for drivers with descriptors; set by the daemon,
	 * not in the configuration. NULL: such drivers do not open (ERR_UNSUPPORTED). A driver's callbacks
	 * on it may call the sink at any time between open and close. close() returns at once; what it has
	 * to wait for (a child, a socket) it finishes on the loop by itself within four seconds. */
	struct uv_loop_s *loop;
	/* A driver of the caller's own instead of a built-in type; the room hands its open() this very
	 * struct. Not in the configuration. default NULL */
	const struct bridge_ops *ops;
};
void bridge_opts_default(struct bridge_opts *o); /* type "parrot" */

/* The options that only one type of bridge has: a struct of the driver's own, and the rows that fill it. */
enum { BRIDGE_OPTIONS_MAX = 12288 };
struct bridge_options {
	const struct option_row *rows;
	size_t n_rows;
	const void *defaults; /* the struct, as it is where nothing is configured */
	size_t size;          /* of it, BRIDGE_OPTIONS_MAX at most */
};
#define BRIDGE_OPTIONS(row_array, default_struct) \
	{.rows = row_array, .n_rows = sizeof(row_array) / sizeof *(row_array), .defaults = &(default_struct), .size = sizeof(default_struct)}

/* For sink->pause. */
#define BRIDGE_NO_RETRY UINT32_MAX

/* What the room does for a driver. Every call returns at once and copies. */
struct bridge_sink {
	/* Speech at the driver's rate, faster than real time if it likes. `utterance` is its number, from 1 and
	 * growing. All or nothing: ERR_LIMIT: beyond backlog_ms (or more than 32 utterances are waiting), ERR_NOMEM,
	 * ERR_STATE after `failed`: nothing of it is played. */
	int (*audio)(void *ctx, uint64_t utterance, const int16_t *pcm, size_t n);
	/* Discards what was not played yet, in the clients too; BRIDGE_INTERRUPTED follows if there was something,
	 * after the call that the driver is in, or with the next tick. The room does the same by itself when somebody
	 * talks over the bridge (opts.barge_in); the rest of that utterance is then accepted and not played
	 * until they pause, for half a second at least. */
	void (*flush)(void *ctx);
	/* To everybody's control stream: type "message" from the bridge. Texts are UTF-8, BRIDGE_TEXT_MAX bytes at most. */
	void (*message)(void *ctx, const char *text);
	/* What `participant` (0: the bridge itself) said. */
	void (*transcript)(void *ctx, uint32_t participant, const char *text, bool final);
	/* `n` samples of the input, at the driver's rate, were dropped because the worker does not keep up: counted. Optional. */
	void (*dropped)(void *ctx, size_t n);
	/* The worker is connected, for certain: it has spoken or answered. A driver with ops->tells_up reports that after each
	 * opening and each resume: until then a worker that had failed counts as away. Everybody in the room is told of
	 * changes only. Optional. */
	void (*up)(void *ctx);
	/* If it fails now, another attempt is pointless for `ms`. BRIDGE_NO_RETRY: until the room has been empty.
	 * Optional. */
	void (*pause)(void *ctx, uint32_t ms);
	/* A call of a tool was answered, with a result (`good`) or with an error: counted. May be NULL. */
	void (*tool)(void *ctx, bool good);
	/* The room's name, "" for a private one; borrowed. May be NULL: it is not known. */
	const char *(*room)(void *ctx);
	/* The worker has ended the call in order; `why` is logged. As after `failed` the room closes the driver, but it calls
	 * again only when the room has been empty, or somebody has joined. What was said is played to its end. */
	void (*left)(void *ctx, const char *why);
	/* The worker is gone or cannot start; `why` is logged once. The room closes the driver, or lets it wait
	 * for ops->resume, and tries again later. */
	void (*failed)(void *ctx, const char *why);
};

/* One tick of the room, for the driver. */
struct bridge_input {
	const float *pcm;  /* mix of all people, bridge excluded, limited; `n` samples at the driver's rate */
	size_t n;          /* the time of one tick, give or take a sample where the rate has no whole number */
	uint32_t talkers;  /* people whose sound is in it; 0: silence, or the end of a filter */
	bool speech;       /* somebody is speaking, by voice detection with hangover */
	float level_dbfs;  /* RMS of this tick, -100 for silence */
	uint64_t utterance;  /* of its own speech, being played now; 0: none */
	uint32_t waiting_ms; /* of its own speech, not mixed yet; rounded up */
	uint32_t underway_ms; /* of its own speech, mixed and not heard yet by the person who talks, or talked last; 0 without reports */
};

enum bridge_event_kind { BRIDGE_JOINED, BRIDGE_LEFT, BRIDGE_SPEAKING, BRIDGE_MESSAGE, BRIDGE_INTERRUPTED, BRIDGE_MODE };
struct bridge_event {
	enum bridge_event_kind kind;
	uint32_t participant;    /* mode: who has changed it; 0: it is so from the beginning */
	const char *name, *text; /* as the kind has them, else "" */
	bool speaking;
	bool direct;             /* message: to the bridge, not to everybody */
	enum bridge_mode mode;   /* mode: the room itself withholds speech and input; the driver may act on it, too */
	uint64_t utterance;      /* interrupted */
	uint32_t heard_ms;       /* of it: by the reports of the person who talks if there are any, else what was sent */
};

/* Options that do not fit: the key at fault, as in the file, and what would be accepted. */
struct bridge_fault {
	const char *key;
	char accepts[128];
};
bool bridge_faulty(struct bridge_fault *f, const char *key, const char *accepts); /* false */

/* A driver. Every callback is required unless it is called optional. */
struct bridge_ops {
	const char *type;
	/* `rate_hz` and `frame_samples` (per tick, rounded up) are settled. `opts`, `sink` and `log` are
	 * borrowed until close. `self` is the driver's own. An error (or `failed` from inside,
	 * which needs none) is tried again later; after an error nothing is open and close is not called. */
	int (*open)(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples, const struct bridge_sink *sink,
		void *sink_ctx, const struct log *log, nsec now, void **self);
	/* Once a tick. Returns true while it wants ticks even when nobody makes a sound. */
	bool (*audio)(void *self, const struct bridge_input *in, nsec now);
	/* Optional: it needs no events. */
	void (*event)(void *self, const struct bridge_event *ev, nsec now);
	/* After it nothing is called, and the driver calls nothing of the room's. */
	void (*close)(void *self);
	/* Optional: for a driver that keeps what it knows when its worker is lost. After `failed` it is not closed: it still
	 * gets events, and no ticks; this call begins the next attempt. */
	void (*resume)(void *self, nsec now);
	/* The rate for these options in a room of `room_hz`. Optional: sample_rate, or else the room's. */
	uint32_t (*rate)(const struct bridge_opts *opts, uint32_t room_hz);
	/* Whether the options make sense together; if not, `f` says why. Optional: any do. */
	bool (*check)(const struct bridge_opts *opts, struct bridge_fault *f);
	/* Whether it connects over TLS with these options. Optional: it never does. */
	bool (*needs_tls)(const struct bridge_opts *opts);
	const struct bridge_options *options; /* that only this type has. Optional: none */
	bool has_tools;         /* [[bridge.NAME.tool]] are for it */
	enum barge_in barge_in; /* unless the options say otherwise */
	enum bridge_catch_up catch_up; /* the same */
	bool tells_up;          /* the worker is not connected yet when open returns: see sink->up */
};

/* The rate at which a driver of this type is given sound and speaks, with these options. */
uint32_t bridge_rate(const struct bridge_ops *ops, const struct bridge_opts *opts, uint32_t room_hz);

/* Letters, digits, '-' and '_', one at least: of a bridge or a tool. */
bool bridge_name_ok(const char *name);

/* Whether a bridge with these options needs opts->tls. */
bool bridge_needs_tls(const struct bridge_opts *opts);

/* NULL: no such type. */
const struct bridge_ops *bridge_find(const char *type);
/* The built-in types, in the order of the reference; NULL: no more. */
const struct bridge_ops *bridge_at(size_t i);
/* Their names in alphabetical order, comma separated, for messages. */
const char *bridge_types(void);
/* A driver's own options by key; NULL: it has none of that name. */
const struct option_row *bridge_option(const struct bridge_ops *ops, const char *key);
