/* SPDX-License-Identifier: MIT */
#include "bridge/stderr_log.h"

#include "base/err.h"

#include <string.h>
#include <unistd.h>

enum { DRAIN_READS = 16 };

static void report_left_out(struct stderr_log *s)
{
	if (s->left_out)
		log_warn(s->log, "stderr lines_left_out=%u", s->left_out);
	s->left_out = 0;
}

static void end_line(struct stderr_log *s)
{
	char text[STDERR_LINE_MAX + 1], quoted[2 * STDERR_LINE_MAX + 3];
	uint64_t now = uv_now(s->pipe.loop);
	size_t len = s->len;

	s->len = 0;
	if (now - s->second >= 1000) {
		s->second = now;
		s->lines = 0;
		report_left_out(s);
	}
	if (s->lines >= STDERR_LINES_PER_S) {
		s->left_out++;
		return;
	}
	s->lines++;
	for (size_t i = 0; i < len; i++)
		text[i] = s->line[i] ? s->line[i] : '?';
	text[len] = '\0';
	log_info(s->log, "stderr=%s", log_quoted(text, quoted, sizeof quoted));
}

static void add_bytes(struct stderr_log *s, const char *p, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(p, '\n', len);
		size_t n = nl ? (size_t)(nl - p) : len, room = sizeof s->line - s->len;

		n = n < room ? n : room;
		memcpy(s->line + s->len, p, n);
		s->len += n;
		p += n;
		len -= n;
		bool whole = len > 0 && *p == '\n';

		if (whole) {
			p++;
			len--;
		}
		if (whole || s->len == sizeof s->line)
			end_line(s);
	}
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct stderr_log *s = h->data;

	(void)suggested;
	*buf = uv_buf_init(s->read_buf, sizeof s->read_buf);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct stderr_log *s = stream->data;

	if (n < 0) {
		uv_read_stop(stream); /* the child closed it, which is no fault */
		return;
	}
	add_bytes(s, buf->base, (size_t)n);
	s->read_budget -= (size_t)n < s->read_budget ? (size_t)n : s->read_budget;
	s->paused = s->read_budget == 0;
	if (s->paused)
		uv_read_stop(stream);
}

int stderr_log_open(struct stderr_log *s, uv_loop_t *loop, int fd, const struct log *log)
{
	s->log = log;
	s->read_budget = STDERR_READ_PER_TICK;
	s->second = uv_now(loop);
	uv_pipe_init(loop, &s->pipe, 0);
	s->pipe.data = s;
	if (uv_pipe_open(&s->pipe, fd)) {
		close(fd);
		return ERR_IO;
	}
	return uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read) ? ERR_IO : 0;
}

void stderr_log_tick(struct stderr_log *s)
{
	s->read_budget = STDERR_READ_PER_TICK;
	if (!s->paused)
		return;
	s->paused = false;
	uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
}

void stderr_log_drain(struct stderr_log *s)
{
	uv_os_fd_t fd;
	ssize_t n;

	if (uv_fileno((uv_handle_t *)&s->pipe, &fd))
		return;
	for (int i = 0; i < DRAIN_READS && (n = read(fd, s->read_buf, sizeof s->read_buf)) > 0; i++)
		add_bytes(s, s->read_buf, (size_t)n);
	if (s->len)
		end_line(s);
	report_left_out(s);
}

void stderr_log_close(struct stderr_log *s, uv_close_cb on_closed)
{
	uv_close((uv_handle_t *)&s->pipe, on_closed);
}
