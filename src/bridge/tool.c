/* SPDX-License-Identifier: MIT */
#include "bridge/tool.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "bridge/child.h"
#include "bridge/json.h"
#include "bridge/key.h"
#include "bridge/stderr_log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* To start a program takes a millisecond, in which no room is mixed: one at a time, and ticks between. */
enum { WHY_MAX = 160, KILL_MS = 500, START_EVERY_MS = 3, ROOM_NAME = 64 };

enum call_state {
	CALL_WAITS,    /* for another one to end */
	CALL_RUNS,
	CALL_ANSWERED, /* or cancelled, and killed: its end is awaited */
	CALL_GONE,     /* handles are closing */
};

struct tool_call {
	struct list node;          /* in tools.calls, oldest first */
	struct tools *owner;
	const struct bridge_tool *tool;
	uint64_t id;
	enum call_state state;
	uint64_t began_ms;
	char *arguments;
	size_t n_arguments;
	struct log log;
	struct child child;
	bool started;              /* the handles below are open; `timer` is so anyway */
	uv_pipe_t to, from;
	uv_poll_t exit;            /* of the pidfd */
	uv_timer_t timer;
	uv_write_t write;
	struct stderr_log err;
	unsigned n_open;
	struct buf result;
	char read_buf[4096];
};

struct tools {
	const struct bridge_opts *opts;
	struct log log;
	char room[ROOM_NAME + 1];
	bool knows_room;
	void (*answer)(void *ctx, uint64_t call, bool good, const char *json, size_t len);
	void *ctx;
	struct list calls;
	unsigned n_calls, n_running;
	const char **secrets;      /* names of variables, ended by NULL */
	uv_timer_t starter;        /* runs after a start, and until nothing waits for one */
	bool cancelling;           /* nothing is started meanwhile */
	bool closed, starter_closed;
};

static void start_next(struct tools *t);

/* ---- answers ---- */

static void answer(struct tools *t, uint64_t id, bool good, const char *json, size_t len)
{
	if (!t->cancelling && !t->closed)
		t->answer(t->ctx, id, good, json, len);
}

/* What a model is told instead of a result. */
static void answer_error(struct tools *t, uint64_t id, const char *why)
{
	struct buf b;

	buf_init(&b, 8 * WHY_MAX);
	if (buf_printf(&b, "{\"error\":") || json_quote(&b, why, strlen(why)) || buf_append(&b, "}", 1))
		answer(t, id, false, "{\"error\":\"no memory\"}", strlen("{\"error\":\"no memory\"}"));
	else
		answer(t, id, false, (const char *)b.p, b.len);
	buf_fini(&b);
}

static void fail_call(struct tool_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail_call(struct tool_call *c, const char *fmt, ...)
{
	char why[WHY_MAX], quoted[WHY_MAX + 40];
	va_list ap;

	if (c->state > CALL_RUNS)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	c->state = CALL_ANSWERED;
	log_warn(&c->log, "the tool failed why=%s", log_quoted(why, quoted, sizeof quoted));
	answer_error(c->owner, c->id, why);
}

/* Any JSON document, but one. Blanks go: they would be escaped, and the provider has to take it in one message. */
static void judge_result(struct tool_call *c)
{
	char *text = (char *)(c->result.p ? c->result.p : (uint8_t *)""), *json;
	size_t len;

	if (c->result.len == 0) {
		fail_call(c, "it wrote no result");
		return;
	}
	yyjson_doc *doc = yyjson_read(text, c->result.len, 0);

	json = doc ? yyjson_write(doc, 0, &len) : NULL;
	yyjson_doc_free(doc);
	if (!json) {
		fail_call(c, "its result is not JSON in UTF-8");
		return;
	}
	if (len > TOOL_ANSWER_MAX) { /* a number may have become longer */
		fail_call(c, "its result is longer than %d bytes", TOOL_RESULT_MAX);
	} else {
		c->state = CALL_ANSWERED;
		log_debug(&c->log, "the tool answered ms=%llu bytes=%zu",
			(unsigned long long)(uv_now(c->timer.loop) - c->began_ms), len);
		answer(c->owner, c->id, true, json, len);
	}
	free(json);
}

/* ---- the end of a call ---- */

static void free_if_idle(struct tools *t)
{
	if (!t->closed || !t->starter_closed || t->n_calls)
		return;
	free(t->secrets);
	free(t);
}

static void free_call(struct tool_call *c)
{
	struct tools *t = c->owner;

	child_fini(&c->child);
	buf_fini(&c->result);
	free(c->arguments);
	free(c);
	t->n_calls--;
	free_if_idle(t);
}

static void one_closed(struct tool_call *c)
{
	if (--c->n_open == 0 && c->state == CALL_GONE)
		free_call(c);
}

static void on_closed(uv_handle_t *h)
{
	one_closed(h->data);
}

static void on_err_closed(uv_handle_t *h)
{
	one_closed(list_entry(h, struct tool_call, err.pipe));
}

static void close_handle(void *handle)
{
	if (uv_handle_get_type(handle) != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
		uv_close(handle, on_closed);
}

/* Its answer was given, its program is gone. */
static void finish(struct tool_call *c)
{
	if (c->state == CALL_GONE)
		return;
	c->state = CALL_GONE;
	list_remove(&c->node);
	close_handle(&c->timer);
	if (!c->started)
		return;
	c->owner->n_running--;
	close_handle(&c->to);
	close_handle(&c->from);
	close_handle(&c->exit);
	stderr_log_close(&c->err, on_err_closed);
	start_next(c->owner);
}

static void on_time(uv_timer_t *timer)
{
	struct tool_call *c = timer->data;
	char how[WHY_MAX];

	switch (c->state) {
	case CALL_WAITS:
		fail_call(c, "timed out after %u ms: too many other calls are running", c->tool->timeout_ms);
		finish(c);
		break;
	case CALL_RUNS:
		child_signal(&c->child, SIGKILL); /* the whole group of it */
		uv_timer_start(timer, on_time, KILL_MS, 0);
		fail_call(c, "timed out after %u ms", c->tool->timeout_ms);
		break;
	case CALL_ANSWERED:
		if (c->child.pid && !child_bury(&c->child, NULL, how, sizeof how)) /* stuck in the kernel */
			log_error(&c->log, "the tool cannot be killed pid=%d", (int)c->child.pid);
		finish(c);
		break;
	case CALL_GONE:
		break;
	}
}

static void kill_call(struct tool_call *c)
{
	child_signal(&c->child, SIGKILL);
	uv_timer_start(&c->timer, on_time, KILL_MS, 0);
}

/* ---- its result ---- */

static void take_result(struct tool_call *c, const char *p, size_t len)
{
	if (c->state != CALL_RUNS || buf_append(&c->result, p, len) == 0)
		return;
	kill_call(c);
	fail_call(c, "its result is longer than %d bytes", TOOL_RESULT_MAX);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct tool_call *c = h->data;

	(void)suggested;
	*buf = uv_buf_init(c->read_buf, sizeof c->read_buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	if (n < 0)
		uv_read_stop(s); /* its exit says how it went */
	else
		take_result(s->data, buf->base, (size_t)n);
}

/* What was written before the exit and not read yet. Whoever else has the other end may keep it. */
static void take_rest(struct tool_call *c)
{
	uv_os_fd_t fd;
	ssize_t n;

	if (uv_fileno((uv_handle_t *)&c->from, &fd))
		return;
	while (c->state == CALL_RUNS && (n = read(fd, c->read_buf, sizeof c->read_buf)) > 0)
		take_result(c, c->read_buf, (size_t)n);
}

static void on_exit_of_tool(uv_poll_t *h, int status, int events)
{
	struct tool_call *c = h->data;
	char how[WHY_MAX];
	bool good;

	(void)status, (void)events;
	if (!child_bury(&c->child, &good, how, sizeof how))
		return;
	uv_poll_stop(h);
	take_rest(c);
	stderr_log_last_words(&c->err);
	if (good && c->state == CALL_RUNS)
		judge_result(c);
	else
		fail_call(c, "the tool failed: %s", how);
	finish(c);
}

/* ---- its beginning ---- */

static void on_written(uv_write_t *req, int status)
{
	struct tool_call *c = req->data;

	(void)status; /* one that does not read its arguments may not need them */
	close_handle(&c->to);
}

static int open_pipe(struct tool_call *c, uv_pipe_t *pipe, int *fd)
{
	uv_pipe_init(c->timer.loop, pipe, 0);
	pipe->data = c;
	c->n_open++;
	if (uv_pipe_open(pipe, *fd))
		return ERR_IO;
	*fd = -1;
	return 0;
}

static int open_handles(struct tool_call *c)
{
	uv_loop_t *loop = c->timer.loop;
	int fd = c->child.err, err_to = open_pipe(c, &c->to, &c->child.in), err_from = open_pipe(c, &c->from, &c->child.out);

	c->child.err = -1;
	int err_stderr = stderr_log_open(&c->err, loop, fd, &c->log);

	c->n_open++;
	int err_exit = uv_poll_init(loop, &c->exit, c->child.pidfd);

	c->exit.data = c;
	c->n_open += err_exit == 0;
	if (!err_exit)
		err_exit = uv_poll_start(&c->exit, UV_READABLE, on_exit_of_tool);
	return err_to || err_from || err_stderr || err_exit ? ERR_IO : 0;
}

static int converse(struct tool_call *c)
{
	uv_buf_t buf = uv_buf_init(c->arguments, (unsigned)c->n_arguments);

	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->to, &buf, 1, on_written))
		close_handle(&c->to);
	return uv_read_start((uv_stream_t *)&c->from, on_alloc, on_read) ? ERR_IO : 0;
}

static int start_program(struct tool_call *c, char why[WHY_MAX])
{
	struct tools *t = c->owner;
	char bridge[BRIDGE_NAME_MAX + 16], tool[sizeof c->tool->name + 16], room[ROOM_NAME + 16];
	const char *const vars[] = {bridge, tool, t->knows_room ? room : NULL, NULL};
	const struct child_opts o = {
		.command = c->tool->command,
		.n_command = c->tool->n_command,
		.vars = vars,
		.without = t->secrets,
	};

	snprintf(bridge, sizeof bridge, "MYNAH_BRIDGE=%s", t->opts->name);
	snprintf(tool, sizeof tool, "MYNAH_TOOL=%s", c->tool->name);
	snprintf(room, sizeof room, "MYNAH_ROOM=%s", t->room);
	return child_start(&c->child, &o, why, WHY_MAX);
}

static void start(struct tool_call *c)
{
	char why[WHY_MAX];

	c->state = CALL_RUNS;
	if (start_program(c, why)) {
		fail_call(c, "%s", why);
		finish(c);
		return;
	}
	c->started = true;
	c->owner->n_running++;
	if (open_handles(c) || converse(c)) {
		kill_call(c);
		fail_call(c, "no handles for it");
	}
}

static struct tool_call *first_waiting(struct tools *t)
{
	list_each(it, &t->calls, tmp) {
		struct tool_call *c = list_entry(it, struct tool_call, node);

		if (c->state == CALL_WAITS)
			return c;
	}
	return NULL;
}

static void on_starter(uv_timer_t *timer)
{
	start_next(timer->data);
}

static void start_next(struct tools *t)
{
	bool may = !t->cancelling && !t->closed && t->n_running < TOOLS_RUNNING && !uv_is_active((uv_handle_t *)&t->starter);
	struct tool_call *c = may ? first_waiting(t) : NULL;

	if (!c)
		return;
	uv_timer_start(&t->starter, on_starter, START_EVERY_MS, 0);
	start(c);
}

/* ---- calls ---- */

static const struct bridge_tool *find_tool(const struct bridge_opts *o, const char *name)
{
	for (size_t i = 0; i < o->n_tools; i++)
		if (strcmp(o->tools[i].name, name) == 0)
			return &o->tools[i];
	return NULL;
}

static bool is_object(const char *json, size_t len)
{
	yyjson_doc *doc = yyjson_read(json, len, 0);
	bool good = yyjson_is_obj(yyjson_doc_get_root(doc));

	yyjson_doc_free(doc);
	return good;
}

static struct tool_call *new_call(struct tools *t, uint64_t id, const struct bridge_tool *tool, const char *arguments, size_t len)
{
	struct tool_call *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->arguments = malloc(len);
	if (!c->arguments) {
		free(c);
		return NULL;
	}
	memcpy(c->arguments, arguments, len);
	c->n_arguments = len;
	c->owner = t;
	c->id = id;
	c->tool = tool;
	c->child = (struct child){.pidfd = -1, .in = -1, .out = -1, .err = -1};
	buf_init(&c->result, TOOL_RESULT_MAX);
	log_child(&c->log, &t->log, "tool=%s", tool->name);
	uv_timer_init(t->opts->loop, &c->timer);
	c->timer.data = c;
	c->n_open = 1;
	list_append(&t->calls, &c->node);
	t->n_calls++;
	return c;
}

void tools_call(struct tools *t, uint64_t id, const char *name, const char *arguments, size_t len)
{
	const struct bridge_tool *tool = find_tool(t->opts, name);
	const char *fault = NULL;

	if (len == 0) { /* of a tool that takes none */
		arguments = "{}";
		len = 2;
	}
	if (!tool)
		fault = "there is no such tool";
	else if (t->n_calls >= TOOLS_CALLS)
		fault = "too many calls at once";
	else if (len > TOOL_ARGUMENTS_MAX)
		fault = "the arguments are too long";
	else if (!is_object(arguments, len))
		fault = "the arguments are not a JSON object";
	struct tool_call *c = fault ? NULL : new_call(t, id, tool, arguments, len);

	if (!c) {
		fault = fault ? fault : "no memory";
		log_warn(&t->log, "a call of a tool is refused: %s", fault);
		answer_error(t, id, fault);
		return;
	}
	uv_update_time(t->opts->loop); /* or its time would begin with this turn of the loop */
	c->began_ms = uv_now(t->opts->loop);
	uv_timer_start(&c->timer, on_time, tool->timeout_ms, 0);
	start_next(t);
}

void tools_cancel(struct tools *t)
{
	bool before = t->cancelling;

	t->cancelling = true;
	list_each(it, &t->calls, tmp) {
		struct tool_call *c = list_entry(it, struct tool_call, node);
		bool waits = c->state == CALL_WAITS;

		c->state = CALL_ANSWERED;
		if (waits)
			finish(c);
		else
			kill_call(c);
	}
	t->cancelling = before;
}

void tools_tick(struct tools *t)
{
	list_each(it, &t->calls, tmp) {
		struct tool_call *c = list_entry(it, struct tool_call, node);

		if (c->started)
			stderr_log_tick(&c->err);
	}
}

/* ---- life ---- */

int tools_new(const struct tools_opts *o, struct tools **out)
{
	struct tools *t = calloc(1, sizeof *t);

	if (!t)
		return ERR_NOMEM;
	t->secrets = key_variables(o->bridge);
	if (!t->secrets) {
		free(t);
		return ERR_NOMEM;
	}
	t->opts = o->bridge;
	t->log = *o->log;
	t->knows_room = o->room != NULL;
	snprintf(t->room, sizeof t->room, "%s", o->room ? o->room : "");
	t->answer = o->answer;
	t->ctx = o->ctx;
	list_init(&t->calls);
	uv_timer_init(t->opts->loop, &t->starter);
	t->starter.data = t;
	*out = t;
	return 0;
}

static void on_starter_closed(uv_handle_t *h)
{
	struct tools *t = h->data;

	t->starter_closed = true;
	free_if_idle(t);
}

void tools_close(struct tools *t)
{
	if (!t)
		return;
	tools_cancel(t);
	t->closed = true;
	uv_close((uv_handle_t *)&t->starter, on_starter_closed);
}
