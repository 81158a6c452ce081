/* SPDX-License-Identifier: MIT */
/*
 * session - a client's session, whatever carries it: packets of audio both ways, which may be lost, and lines of text,
 * which may not. A transport implements `struct session_ops` and calls `struct session_app`; above it nothing needs
 * to know which transport it is. Today there is one, WebTransport (session/session_wt.h).
 *
 * One thread, no clock, no socket. Memory is taken when a session opens and for its lines; audio allocates nothing.
 */
#pragma once
#include "base/http.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SESSION_PEER_TEXT = 64 };

/* Can lines be sent? */
enum session_lines {
	SESSION_LINES_AWAITED, /* not yet: the client has not opened its side of them */
	SESSION_LINES_OPEN,
	SESSION_LINES_LOST,    /* not any more: reset by the client, or given up. Audio goes on, and the client may open them anew */
};

/* What becomes of a line when the client takes them more slowly than they come. */
enum session_line {
	SESSION_LINE_ORDINARY, /* the first to be dropped: a quarter of the room is kept for the others */
	SESSION_LINE_STATE,    /* without it the client has a wrong picture: an eighth is kept for the last kind */
	SESSION_LINE_VITAL,    /* finds room unless there is none at all */
};

/* Of the connection beneath. */
struct session_info {
	uint64_t rtt_us;
	uint64_t packets_sent, packets_lost;
	uint64_t audio_dropped; /* packets of audio that were too old, or too many, when they could have been sent */
};

struct session;

/* What a session can do. Each transport has one of these; all of them are set. */
struct session_ops {
	/* One packet of two pieces, copied; `head` may be empty. ERR_RANGE: longer than audio_max(); ERR_STATE: not yet,
	 * the client may not have seen that the session is open. */
	int (*send_audio)(struct session *s, const void *head, size_t head_len, const void *body, size_t len, nsec now);
	/* Whether the client is known to have seen that the session is open: until then it may throw audio away. */
	bool (*hears)(const struct session *s);
	/* The longest packet that fits now; it changes with the path. */
	size_t (*audio_max)(const struct session *s);
	/* Whole lines, each with its line feed; copied. ERR_STATE unless `lines` is SESSION_LINES_OPEN. ERR_LIMIT: no room
	 * for these, which are dropped; on_lines_room follows. On every other error no more lines can be sent. They wait for
	 * company: they leave with the next packet of audio, at the latest after flush_lines(). */
	int (*queue_line)(struct session *s, enum session_line kind, const void *p, size_t len, nsec now);
	void (*flush_lines)(struct session *s, nsec now);
	/* Bytes of lines on the present stream: those that have arrived, ever, and those that have not. */
	uint64_t (*lines_taken)(const struct session *s);
	size_t (*lines_waiting)(const struct session *s);
	/* Gives the lines up: something that the client must know could not be written. Audio goes on. */
	void (*end_lines)(struct session *s, nsec now);
	void (*info)(const struct session *s, struct session_info *out);
	/* The client's address and port. */
	void (*peer)(const struct session *s, char out[SESSION_PEER_TEXT]);
	/* From on_open alone: the client's whole connection goes to another shard. ERR_*: it cannot go; refuse it. */
	int (*move)(struct session *s, unsigned shard);
	/* on_closed follows before this returns. From any callback except on_open. */
	void (*close)(struct session *s, uint32_t code, const char *reason, nsec now);
};

/* The part that all transports share; the first member of theirs. To be read, not written, above them. */
struct session {
	const struct session_ops *ops;
	const struct session_app *app;
	void *user;              /* what on_open stored */
	uint64_t id;             /* for logs */
	enum session_lines lines;
};

/* What on_open answers. */
enum session_decision {
	SESSION_REFUSED,  /* `status` and `why` go to the client */
	SESSION_ADMITTED, /* it is open */
	SESSION_MOVED,    /* by session_move(): on_open is called again in the other shard */
};
struct session_answer {
	enum session_decision decision;
	void *user;      /* SESSION_ADMITTED: of all calls that follow ... */
	const struct session_app *app; /* ... which are those of this one; NULL: of the one that was asked */
	unsigned status; /* SESSION_REFUSED: 400 to 599 */
	const char *why; /* one line for people, which outlives the server */
};

/* How a session ended. */
enum session_end {
	SESSION_END_LOCAL, /* session_close() */
	SESSION_END_PEER,  /* the client closed it, or its connection */
	SESSION_END_LOST,  /* silence, a reset, a breach of the protocol ... */
};
struct session_close {
	enum session_end end;
	uint32_t code;      /* 0 if none was given */
	const char *reason; /* never NULL; as the client gave it */
	const char *how;    /* "peer", "connection/idle" ...: for logs, in the transport's words */
};

/* What a session tells. All are set. `ctx` is that of the host, `user` what on_open stored. */
struct session_app {
	/* A client asks for a session. `out` is zeroed. Unless the decision is SESSION_ADMITTED, `s` is gone on return. From
	 * here a session can tell its id and peer, and move, nothing else. */
	void (*on_open)(void *ctx, struct session *s, const struct http_request *req, struct session_answer *out, nsec now);
	/* Lines can be sent from now on. Once, and again if the client opens them anew: after on_lines_ended, or when they were
	 * lost. */
	void (*on_ready)(void *user, nsec now);
	/* After ERR_LIMIT: half of the room for lines is free again. */
	void (*on_lines_room)(void *user, nsec now);
	/* The client has ended its side of the lines: it is going, unless on_ready follows. Lines can be sent as long as
	 * `lines` says so. Also right before on_closed. */
	void (*on_lines_ended)(void *user, nsec now);
	/* One packet, never empty. */
	void (*on_audio)(void *user, const uint8_t *p, size_t len, nsec now);
	/* One line, without its line feed; not NUL-terminated, maybe empty. */
	void (*on_line)(void *user, const char *line, size_t len, nsec now);
	/* A line was longer than the host's `line_bytes`; it is skipped. */
	void (*on_long_line)(void *user, nsec now);
	/* The last call; `s` is gone on return. */
	void (*on_closed)(void *user, const struct session_close *why, nsec now);
};

/* Where the sessions of one shard open, of all transports. Filled in by its owner, borrowed by the transports. */
struct session_host {
	const struct session_app *app;
	void *ctx;                /* of on_open */
	uint32_t line_bytes;      /* longest line of a client */
	uint64_t streams_refused; /* counted by the transports: streams that no session has a use for */
};

static inline int session_send_audio(struct session *s, const void *head, size_t head_len, const void *body, size_t len,
	nsec now)
{
	return s->ops->send_audio(s, head, head_len, body, len, now);
}

static inline bool session_hears(const struct session *s)
{
	return s->ops->hears(s);
}

static inline size_t session_audio_max(const struct session *s)
{
	return s->ops->audio_max(s);
}

static inline int session_queue_line(struct session *s, enum session_line kind, const void *p, size_t len, nsec now)
{
	return s->ops->queue_line(s, kind, p, len, now);
}

static inline void session_flush_lines(struct session *s, nsec now)
{
	s->ops->flush_lines(s, now);
}

/* At once, and with it all that waits. */
static inline int session_send_line(struct session *s, enum session_line kind, const void *p, size_t len, nsec now)
{
	int err = session_queue_line(s, kind, p, len, now);

	if (!err)
		session_flush_lines(s, now);
	return err;
}

static inline size_t session_lines_waiting(const struct session *s)
{
	return s->ops->lines_waiting(s);
}

static inline uint64_t session_lines_taken(const struct session *s)
{
	return s->ops->lines_taken(s);
}

static inline void session_end_lines(struct session *s, nsec now)
{
	s->ops->end_lines(s, now);
}

static inline bool session_has_lines(const struct session *s)
{
	return s->lines == SESSION_LINES_OPEN;
}

static inline void session_info(const struct session *s, struct session_info *out)
{
	s->ops->info(s, out);
}

static inline void session_peer(const struct session *s, char out[SESSION_PEER_TEXT])
{
	s->ops->peer(s, out);
}

static inline int session_move(struct session *s, unsigned shard)
{
	return s->ops->move(s, shard);
}

static inline void session_close(struct session *s, uint32_t code, const char *reason, nsec now)
{
	s->ops->close(s, code, reason, now);
}
