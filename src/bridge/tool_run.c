/* SPDX-License-Identifier: MIT */
#include "bridge/tool_run.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "bridge/json.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KILL_MS = 500 }; /* from SIGKILL to the end of a program that is not stuck in the kernel */

/* ---- answers ---- */

static void fail(struct tool_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct tool_run *r, const char *fmt, ...)
{
	char why[TOOL_ERROR_MAX], quoted[TOOL_ERROR_MAX + 40];
	va_list ap;

	if (r->state > TOOL_RUN_RUNNING)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	r->state = TOOL_RUN_ANSWERED;
	log_warn(&r->log, "the tool failed why=%s", log_quoted(why, quoted, sizeof quoted));
	r->owner->on_error(r->owner->ctx, r, why);
}

static void succeed(struct tool_run *r, const char *json, size_t len)
{
	r->state = TOOL_RUN_ANSWERED;
	log_debug(&r->log, "the tool answered ms=%llu bytes=%zu", (unsigned long long)(uv_now(r->owner->loop) - r->began_ms), len);
	r->owner->on_result(r->owner->ctx, r, json, len);
}

/* Exactly one JSON document. Blanks go: they would be escaped, and the provider has to take it in one message. */
static char *normalise(const struct buf *result, size_t *len)
{
	yyjson_doc *doc = json_parse(result->p, result->len);
	char *json = doc ? yyjson_write(doc, 0, len) : NULL;

	yyjson_doc_free(doc);
	return json;
}

static void check_result(struct tool_run *r)
{
	size_t len = 0;
	char *json = r->result.len ? normalise(&r->result, &len) : NULL;

	if (r->result.len == 0)
		fail(r, "it wrote no result");
	else if (!json)
		fail(r, "its result is not JSON in UTF-8");
	else if (len > TOOL_RESULT_MAX) /* a number may have become longer */
		fail(r, "its result is longer than %d bytes", TOOL_RESULT_MAX);
	else
		succeed(r, json, len);
	free(json);
}

/* ---- the end ---- */

static void free_run(void *run)
{
	struct tool_run *r = run;
	const struct tool_runs *owner = r->owner;

	child_fini(&r->child);
	buf_fini(&r->result);
	free(r->arguments);
	free(r);
	owner->on_closed(owner->ctx);
}

static void on_err_closed(uv_handle_t *h)
{
	closing_done(&list_entry(h, struct tool_run, err.pipe)->handles);
}

static void close_handle(struct tool_run *r, void *handle)
{
	if (uv_handle_get_type(handle) != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
		closing_close(&r->handles, handle);
}

static void end(struct tool_run *r)
{
	if (r->state == TOOL_RUN_ENDED)
		return;
	r->state = TOOL_RUN_ENDED;
	close_handle(r, &r->timer);
	if (r->has_program) {
		close_handle(r, &r->to);
		close_handle(r, &r->from);
		close_handle(r, &r->exit);
		stderr_log_close(&r->err, on_err_closed);
	}
	r->owner->on_ended(r->owner->ctx, r);
}

static void on_timer(uv_timer_t *timer);

/* The whole group of it. */
static void kill_program(struct tool_run *r)
{
	child_signal(&r->child, SIGKILL);
	uv_timer_start(&r->timer, on_timer, KILL_MS, 0);
}

static void on_killed_too_long_ago(struct tool_run *r)
{
	char how[TOOL_ERROR_MAX];

	if (r->child.pid && !child_reap(&r->child, NULL, how, sizeof how))
		log_error(&r->log, "the tool cannot be killed pid=%d", (int)r->child.pid);
	end(r);
}

static void on_timer(uv_timer_t *timer)
{
	struct tool_run *r = timer->data;

	switch (r->state) {
	case TOOL_RUN_WAITING:
		fail(r, "timed out after %u ms: too many other calls are running", r->tool->timeout_ms);
		end(r);
		break;
	case TOOL_RUN_RUNNING:
		kill_program(r);
		fail(r, "timed out after %u ms", r->tool->timeout_ms);
		break;
	case TOOL_RUN_ANSWERED:
		on_killed_too_long_ago(r);
		break;
	case TOOL_RUN_ENDED:
		break;
	}
}

void tool_run_cancel(struct tool_run *r)
{
	bool waiting = r->state == TOOL_RUN_WAITING;

	r->state = TOOL_RUN_ANSWERED;
	if (waiting)
		end(r);
	else
		kill_program(r);
}

/* ---- its result ---- */

static void append_result(struct tool_run *r, const char *p, size_t len)
{
	if (r->state != TOOL_RUN_RUNNING || buf_append(&r->result, p, len) == 0)
		return;
	kill_program(r);
	fail(r, "its result is longer than %d bytes", TOOL_RESULT_MAX);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct tool_run *r = h->data;

	(void)suggested;
	*buf = uv_buf_init(r->read_buf, sizeof r->read_buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	if (n < 0)
		uv_read_stop(s); /* its exit says how it went */
	else
		append_result(s->data, buf->base, (size_t)n);
}

/* What was written before the exit and not read yet. Another process may keep the other end open. */
static void read_rest(struct tool_run *r)
{
	uv_os_fd_t fd;
	ssize_t n;

	if (uv_fileno((uv_handle_t *)&r->from, &fd))
		return;
	while (r->state == TOOL_RUN_RUNNING && (n = read(fd, r->read_buf, sizeof r->read_buf)) > 0)
		append_result(r, r->read_buf, (size_t)n);
}

static void on_exit_of_program(uv_poll_t *h, int status, int events)
{
	struct tool_run *r = h->data;
	char how[TOOL_ERROR_MAX];
	bool good;

	(void)status, (void)events;
	if (!child_reap(&r->child, &good, how, sizeof how))
		return;
	uv_poll_stop(h);
	read_rest(r);
	stderr_log_drain(&r->err);
	if (good && r->state == TOOL_RUN_RUNNING)
		check_result(r);
	else
		fail(r, "the tool failed: %s", how);
	end(r);
}

/* ---- its beginning ---- */

/* A program that does not read its arguments may not need them. */
static void on_written(uv_write_t *req, int status)
{
	struct tool_run *r = req->data;

	(void)status;
	close_handle(r, &r->to);
}

static int open_pipe(struct tool_run *r, uv_pipe_t *pipe, int *fd)
{
	uv_pipe_init(r->owner->loop, pipe, 0);
	pipe->data = r;
	closing_add(&r->handles);
	if (uv_pipe_open(pipe, *fd))
		return ERR_IO;
	*fd = -1;
	return 0;
}

static int open_stderr(struct tool_run *r)
{
	int fd = r->child.err;

	r->child.err = -1;
	closing_add(&r->handles);
	return stderr_log_open(&r->err, r->owner->loop, fd, &r->log);
}

static int watch_exit(struct tool_run *r)
{
	if (uv_poll_init(r->owner->loop, &r->exit, r->child.pidfd))
		return ERR_IO;
	r->exit.data = r;
	closing_add(&r->handles);
	return uv_poll_start(&r->exit, UV_READABLE, on_exit_of_program) ? ERR_IO : 0;
}

/* All of them, also after an error: they are closed together. */
static int open_handles(struct tool_run *r)
{
	int err_to = open_pipe(r, &r->to, &r->child.in), err_from = open_pipe(r, &r->from, &r->child.out);
	int err_stderr = open_stderr(r), err_exit = watch_exit(r);

	return err_to || err_from || err_stderr || err_exit ? ERR_IO : 0;
}

static int send_arguments(struct tool_run *r)
{
	uv_buf_t buf = uv_buf_init(r->arguments, (unsigned)r->n_arguments);

	r->write.data = r;
	if (uv_write(&r->write, (uv_stream_t *)&r->to, &buf, 1, on_written))
		close_handle(r, &r->to);
	return uv_read_start((uv_stream_t *)&r->from, on_alloc, on_read) ? ERR_IO : 0;
}

static int start_program(struct tool_run *r, char why[TOOL_ERROR_MAX])
{
	char bridge[BRIDGE_NAME_MAX + 16], tool[sizeof r->tool->name + 16], room[BRIDGE_ARG_MAX];
	const char *const vars[] = {bridge, tool, r->owner->room ? room : NULL, NULL};
	const struct child_opts o = {
		.command = r->tool->command,
		.n_command = r->tool->n_command,
		.vars = vars,
		.without = r->owner->secrets,
	};

	snprintf(bridge, sizeof bridge, "MYNAH_BRIDGE=%s", r->owner->bridge);
	snprintf(tool, sizeof tool, "MYNAH_TOOL=%s", r->tool->name);
	if (r->owner->room)
		snprintf(room, sizeof room, "MYNAH_ROOM=%s", r->owner->room);
	return child_start(&r->child, &o, why, TOOL_ERROR_MAX);
}

void tool_run_start(struct tool_run *r)
{
	char why[TOOL_ERROR_MAX];

	r->state = TOOL_RUN_RUNNING;
	if (start_program(r, why)) {
		fail(r, "%s", why);
		end(r);
		return;
	}
	r->has_program = true;
	if (open_handles(r) || send_arguments(r)) {
		kill_program(r);
		fail(r, "no handles for it");
	}
}

void tool_run_tick(struct tool_run *r)
{
	if (r->has_program)
		stderr_log_tick(&r->err);
}

/* The loop's idea of now may be as old as this turn of it: without an update the time-out would begin then. */
static void start_timer(struct tool_run *r)
{
	closing_add(&r->handles);
	uv_timer_init(r->owner->loop, &r->timer);
	r->timer.data = r;
	uv_update_time(r->owner->loop);
	r->began_ms = uv_now(r->owner->loop);
	uv_timer_start(&r->timer, on_timer, r->tool->timeout_ms, 0);
}

struct tool_run *tool_run_new(const struct tool_runs *owner, const struct bridge_tool *tool, uint64_t call, const char *arguments,
	size_t len)
{
	struct tool_run *r = calloc(1, sizeof *r);
	char *copy = malloc(len);

	if (!r || !copy) {
		free(r);
		free(copy);
		return NULL;
	}
	memcpy(copy, arguments, len);
	r->arguments = copy;
	r->n_arguments = len;
	r->owner = owner;
	r->tool = tool;
	r->call = call;
	r->child = (struct child){.pidfd = -1, .in = -1, .out = -1, .err = -1};
	buf_init(&r->result, TOOL_RESULT_MAX);
	log_child(&r->log, owner->log, "tool=%s", tool->name);
	closing_init(&r->handles, free_run, r);
	start_timer(r);
	return r;
}
