/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_name[] = {"error", "warn", "info", "debug"};
static const int level_priority[] = {3, 4, 6, 7}; /* syslog(3), read by systemd */

void log_child(struct log *child, const struct log *parent, const char *fmt, ...)
{
	char ctx[LOG_CTX_MAX];
	int n = snprintf(ctx, sizeof ctx, "%s%s", parent->ctx, parent->ctx[0] ? " " : "");
	va_list ap;

	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < sizeof ctx)
		vsnprintf(ctx + n, sizeof ctx - (size_t)n, fmt, ap);
	va_end(ap);
	child->out = parent->out;
	memcpy(child->ctx, ctx, sizeof ctx);
}

/* A line under construction; what does not fit is left out, the end always has room. */
struct line {
	char text[LOG_LINE_MAX * 2];
	size_t len;
};

enum { TAIL_ROOM = 8 };

static void put(struct line *l, const char *s, size_t n)
{
	if (n > sizeof l->text - TAIL_ROOM - l->len)
		return;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* Escapes what would end a line or a JSON string. */
static void put_escaped(struct line *l, const char *s, size_t n, bool json)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		char esc[8];

		if (c < 0x20 || c == 0x7f) {
			snprintf(esc, sizeof esc, json ? "\\u%04x" : "\\x%02x", c);
			put_str(l, esc);
		} else if (json && (c == '"' || c == '\\')) {
			esc[0] = '\\';
			esc[1] = (char)c;
			put(l, esc, 2);
		} else {
			put(l, (const char *)&s[i], 1);
		}
	}
}

static void put_time(struct line *l)
{
	struct timespec t;
	struct tm tm;
	char s[40];

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	size_t n = strftime(s, sizeof s, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(s + n, sizeof s - n, ".%03dZ", (int)(t.tv_nsec / 1000000));
	put_str(l, s);
}

/* "a=1 b=2" becomes "a":"1","b":"2", */
static void put_json_ctx(struct line *l, const char *ctx)
{
	while (*ctx) {
		size_t n = strcspn(ctx, " ");
		const char *eq = memchr(ctx, '=', n);

		if (eq) {
			put_str(l, "\"");
			put_escaped(l, ctx, (size_t)(eq - ctx), true);
			put_str(l, "\":\"");
			put_escaped(l, eq + 1, n - (size_t)(eq + 1 - ctx), true);
			put_str(l, "\",");
		}
		ctx += n + (ctx[n] == ' ');
	}
}

static void compose_json(struct line *l, enum log_level level, const char *ctx, const char *msg)
{
	put_str(l, "{\"time\":\"");
	put_time(l);
	put_str(l, "\",\"level\":\"");
	put_str(l, level_name[level]);
	put_str(l, "\",");
	put_json_ctx(l, ctx);
	put_str(l, "\"msg\":\"");
	put_escaped(l, msg, strlen(msg), true);
	l->text[l->len++] = '"';
	l->text[l->len++] = '}';
}

static void compose_text(struct line *l, const struct log_out *out, enum log_level level, const char *ctx,
	const char *msg)
{
	char head[16];

	if (out->journal) {
		snprintf(head, sizeof head, "<%d>", level_priority[level]);
		put_str(l, head);
	} else {
		put_time(l);
		snprintf(head, sizeof head, " %-5s ", level_name[level]);
		put_str(l, head);
	}
	put_escaped(l, ctx, strlen(ctx), false);
	if (ctx[0])
		put_str(l, " ");
	put_escaped(l, msg, strlen(msg), false);
}

void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
{
	if (!log_enabled(log, level))
		return;
	char msg[LOG_LINE_MAX];
	struct line l = {.len = 0};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	if (log->out->format == LOG_JSON)
		compose_json(&l, level, log->ctx, msg);
	else
		compose_text(&l, log->out, level, log->ctx, msg);
	l.text[l.len] = '\0';
	if (log->out->hook) {
		log->out->hook(log->out->hook_ctx, level, l.text);
		return;
	}
	l.text[l.len++] = '\n';
	/* A full pipe or disk must not stop the voice: the line is lost, nothing else. */
	if (write(log->out->fd, l.text, l.len) < 0)
		return;
}
