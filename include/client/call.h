/* SPDX-License-Identifier: MIT */
/*
 * call - one session: connects, sends what capture() gives and hands what the server sends to play(), at the pace of the
 * sound (media.h). Its control stream answers pings, reports what was played, and passes all other lines on.
 *
 * Both follow one grid, start + n * 20 ms, that does not drift. One thread, the loop of its net. The sound
 * path allocates nothing.
 */
#pragma once
#include "client/media.h"
#include "client/net.h"
#include "client/url.h"

#include <stdbool.h>

enum { CALL_TEXT_MAX = 512 };

struct call;

struct call_opts {
	struct net_opts net;      /* on_time and ctx are the call's own */
	uint32_t play_rate_hz;    /* of play(); also asked of the server. default 16000 */
	uint32_t send_rate_hz;    /* of capture(), 8000..48000. default 16000 */
	bool muted;               /* from the start */
	bool v1;                  /* frames with numbers, both ways, and reports of what was played. default false */
	uint32_t line_bytes_max;  /* of the control stream; a longer line ends the stream. default 4 MiB */
};
void call_opts_default(struct call_opts *o);

enum call_end_kind {
	CALL_ENDED,       /* call_hang_up() */
	CALL_REFUSED,     /* `status` (0: the connection itself was), text: why */
	CALL_UNREACHABLE, /* nobody answered, or it was not the server we wanted */
	CALL_LOST,        /* after it was open: the server closed it with `code`, or is silent for net.timeout_ms, or the path is gone */
};
struct call_end {
	enum call_end_kind kind;
	unsigned status;
	uint32_t code;
	bool cut; /* CALL_LOST without a word of the server: it may be back, or be reached, in another call */
	char text[CALL_TEXT_MAX];
};

struct call_stats {
	struct media_stats media;
	uint64_t late;       /* grid points of ours that were passed over: this machine was too busy */
	double join_ms;      /* from the start to the server's 200 */
	double rtt_ms;       /* of the last ping on the control stream; one a second */
	uint64_t packets_lost; /* of ours, as QUIC counts */
	double seconds;      /* since it opened */
};

struct call_handler {
	void *ctx;
	/* Fills up to `n` samples and returns how many; 0: silence. NULL: listens only. */
	size_t (*capture)(void *ctx, int16_t *pcm, size_t n);
	void (*play)(void *ctx, const int16_t *pcm, size_t n, nsec now); /* each 20 ms while open */
	void (*on_open)(void *ctx, nsec now);
	/* A line of the control stream, without its end; no pong. */
	void (*on_line)(void *ctx, const char *line, size_t len, nsec now);
	/* The last call; `c` may be freed when it returns. */
	void (*on_end)(void *ctx, const struct call_end *end);
};

/* Tries `addrs` in turn. Copies all. ERR_*: nothing was begun. */
int call_new(uv_loop_t *loop, const struct call_opts *opts, const struct url *url, const struct quic_addr *addrs,
	size_t n_addrs, const struct call_handler *handler, const struct log *log, struct call **out);
/* Closes the session; on_end follows. From anywhere. */
void call_hang_up(struct call *c);
/* Sends one line (an object in JSON, without its end) on the control stream. ERR_STATE, ERR_LIMIT. */
int call_send_line(struct call *c, const char *line, nsec now);
/* The address that is, or was last, tried. */
const struct quic_addr *call_address(const struct call *c);
void call_stats(const struct call *c, struct call_stats *out);
/* After on_end. Accepts NULL. */
void call_free(struct call *c);
