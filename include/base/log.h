/* SPDX-License-Identifier: MIT */
/*
 * log - one line for each event. A `struct log` hangs on every long-lived object and
 * carries its context ("sess=17 room=lobby"), so messages stay short. Lines go to one
 * descriptor with one write each; nothing is buffered and nothing allocated.
 *
 * Text:  2026-11-20T12:00:00.123Z info  sess=17 room=lobby closed code=0
 *        (under systemd, JOURNAL_STREAM set, "<6>sess=17 room=lobby closed code=0")
 * JSON:  {"time":"...","level":"info","sess":"17","room":"lobby","msg":"closed code=0"}
 *
 * Control characters and bytes that are not UTF-8 are escaped, so no peer can forge a line; log_quoted() prevents
 * a forged field.
 */
#pragma once
#include "base/limit.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* The destination of lines; made once by main and borrowed by every struct log. */
struct log_out {
	int fd;                  /* usually 2 */
	enum log_level level;    /* less important lines are dropped */
	enum log_format format;
	bool journal;            /* text for systemd: priority prefix, no time */
	void (*hook)(void *ctx, enum log_level level, const char *line); /* for tests; may be NULL */
	void *hook_ctx;
};

enum { LOG_CTX_MAX = 120, LOG_LINE_MAX = 1024 };

/* All zero is a valid log that writes nothing. */
struct log {
	const struct log_out *out;
	char ctx[LOG_CTX_MAX]; /* key=value key="a value", may be empty */
};

/* A log for a child object: the parent's context, then `fmt`. Over-long context is cut. */
void log_child(struct log *child, const struct log *parent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* `s` between quotes, with `"` and `\` escaped: for what a peer chose. Cut at a character to `cap` bytes with the
 * NUL, at least 3. Returns `out`. */
const char *log_quoted(const char *s, char *out, size_t cap);

static inline bool log_enabled(const struct log *l, enum log_level level)
{
	return l->out && level <= l->out->level;
}

void log_write(const struct log *l, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(l, ...) log_write((l), LOG_ERROR, __VA_ARGS__)
#define log_warn(l, ...)  log_write((l), LOG_WARN, __VA_ARGS__)
#define log_info(l, ...)  log_write((l), LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...)                                                       \
	do {                                                                    \
		if (log_enabled((l), LOG_DEBUG))                                \
			log_write((l), LOG_DEBUG, __VA_ARGS__);                 \
	} while (0)

/* For lines that peers can cause at will: a number of them in each ten seconds, from the first one on. The others are counted,
 * so that a flood leaves one number in the log each ten seconds. All zero is ready. */
struct log_limit {
	nsec since; /* these ten seconds began, and the limit stands still in them */
	struct limit limit;
	uint64_t left_out;
};
/* May one be written now? *left_out: lines refused since the last that was written; 0 except for the first after a flood. */
bool log_limit_take(struct log_limit *l, uint32_t most, nsec now, uint64_t *left_out);
