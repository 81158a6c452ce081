/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/utf8.h"

#include <assert.h>
#include <poll.h>
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

/* A line under construction. Text that does not fit is left out; there is always room for the end. */
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

/* C0, DEL, and C1: to a terminal U+009B is ESC [. */
static bool is_control(const char *s)
{
	unsigned char a = (unsigned char)s[0], b = (unsigned char)s[1];

	return a < 0x20 || a == 0x7f || (a == 0xc2 && b < 0xa0);
}

/* Escapes the first `n` bytes of `s`, NUL-terminated: control characters, what ends a JSON string, invalid UTF-8. */
static void put_escaped(struct line *l, const char *s, size_t n, bool json)
{
	for (size_t i = 0, len; i < n; i += len) {
		char esc[12];

		len = utf8_char(s + i);
		if (!len) {
			len = 1;
			snprintf(esc, sizeof esc, json ? "\\ufffd" : "\\x%02x", (unsigned char)s[i]);
			put_str(l, esc);
		} else if (is_control(s + i)) {
			unsigned code = len == 1 ? (unsigned char)s[i] : (unsigned char)s[i + 1];

			snprintf(esc, sizeof esc, json ? "\\u%04x" : "\\x%02x", code);
			put_str(l, esc);
		} else if (json && (s[i] == '"' || s[i] == '\\')) {
			esc[0] = '\\';
			esc[1] = s[i];
			put(l, esc, 2);
		} else {
			put(l, s + i, len);
		}
	}
}

const char *log_quoted(const char *s, char *out, size_t cap)
{
	size_t n = 1;

	assert(cap >= 3);
	out[0] = '"';
	for (size_t len; *s; s += len) {
		size_t slash = *s == '"' || *s == '\\';

		len = utf8_char(s) ? utf8_char(s) : 1;
		if (n + slash + len + 2 > cap)
			break;
		if (slash)
			out[n++] = '\\';
		memcpy(out + n, s, len);
		n += len;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
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

/* The end of a value of the context: at a blank, or after the quote that closes it. */
static size_t value_len(const char *v)
{
	size_t n = 1;

	if (v[0] != '"')
		return strcspn(v, " ");
	while (v[n] && v[n] != '"')
		n += v[n] == '\\' && v[n + 1] ? 2 : 1;
	return n + (v[n] == '"');
}

static void put_json_value(struct line *l, const char *v, size_t n)
{
	char plain[LOG_CTX_MAX];
	size_t len = 0;

	if (v[0] != '"') {
		put_escaped(l, v, n, true);
		return;
	}
	for (size_t i = 1; i < n && v[i] != '"'; i++) {
		i += v[i] == '\\' && i + 1 < n;
		plain[len++] = v[i];
	}
	plain[len] = '\0';
	put_escaped(l, plain, len, true);
}

/* a=1 b="2 c" becomes "a":"1","b":"2 c", */
static void put_json_ctx(struct line *l, const char *ctx)
{
	for (size_t n; *ctx; ctx += n + (ctx[n] == ' ')) {
		size_t key = strcspn(ctx, "= ");

		n = key;
		if (ctx[key] != '=')
			continue;
		n += 1 + value_len(ctx + key + 1);
		put_str(l, "\"");
		put_escaped(l, ctx, key, true);
		put_str(l, "\":\"");
		put_json_value(l, ctx + key + 1, n - key - 1);
		put_str(l, "\",");
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
	/* A full pipe or disk must not stop the voice: only the line is lost. The descriptor is shared with other
	 * processes and stays blocking; when it is ready a line fits (PIPE_BUF). Only a terminal is ready with less
	 * room than that: see fd_unwaiting(). */
	struct pollfd ready = {.fd = log->out->fd, .events = POLLOUT};

	if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(log->out->fd, l.text, l.len) < 0)
		return;
}

bool log_limit_take(struct log_limit *l, uint32_t most, nsec now, uint64_t *left_out)
{
	const nsec window = nsec_from_s(10);
	const struct rate rate = rate_make(most, window, window);

	*left_out = 0;
	if (l->limit.full_at == 0 || now - l->since >= window) {
		*left_out = l->left_out;
		*l = (struct log_limit){.since = now};
	}
	if (limit_take(&l->limit, &rate, 1, l->since))
		return true;
	l->left_out++;
	return false;
}
