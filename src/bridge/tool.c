/* SPDX-License-Identifier: MIT */
#include "bridge/tool.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "base/surrogate.h"
#include "bridge/json.h"
#include "bridge/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* To start a program takes a millisecond, in which no room is mixed: one at a time, and ticks between. */
enum { START_EVERY_MS = 3, ROOM_NAME = 64 };

struct tools {
	const struct bridge_opts *opts;
	struct log log;
	char room[ROOM_NAME + 1];
	void (*on_result)(void *ctx, uint64_t call, bool good, const char *json, size_t len);
	void *ctx;
	struct tool_runs shared;
	struct list runs;          /* oldest first */
	unsigned n_runs;           /* with those whose handles are closing */
	unsigned n_running;        /* programs */
	const char **secrets;      /* names of variables, ended by NULL */
	uv_timer_t starter;        /* runs after a start, and until none waits for one */
	struct closing handles;    /* the starter, and each run */
	bool cancelling;           /* nothing is started or reported meanwhile */
	bool closed;
};

static void start_next(struct tools *t);

/* ---- results ---- */

static void report(struct tools *t, uint64_t call, bool good, const char *json, size_t len)
{
	if (!t->cancelling && !t->closed)
		t->on_result(t->ctx, call, good, json, len);
}

/* What a model is told instead of a result. */
static void report_error(struct tools *t, uint64_t call, const char *why)
{
	struct buf b;

	buf_init(&b, 8 * TOOL_ERROR_MAX);
	if (buf_printf(&b, "{\"error\":") || json_quote(&b, why, strlen(why)) || buf_append(&b, "}", 1))
		report(t, call, false, "{\"error\":\"no memory\"}", strlen("{\"error\":\"no memory\"}"));
	else
		report(t, call, false, (const char *)b.p, b.len);
	buf_fini(&b);
}

/* ---- what runs report ---- */

static void on_run_result(void *ctx, struct tool_run *r, const char *json, size_t len)
{
	report(ctx, r->call, true, json, len);
}

static void on_run_error(void *ctx, struct tool_run *r, const char *why)
{
	report_error(ctx, r->call, why);
}

static void on_run_ended(void *ctx, struct tool_run *r)
{
	struct tools *t = ctx;

	list_remove(&r->node);
	if (!r->has_program)
		return;
	t->n_running--;
	start_next(t);
}

static void on_run_closed(void *ctx)
{
	struct tools *t = ctx;

	t->n_runs--;
	closing_done(&t->handles);
}

/* ---- one start after another ---- */

static struct tool_run *first_waiting(struct tools *t)
{
	list_each(it, &t->runs, tmp) {
		struct tool_run *r = list_entry(it, struct tool_run, node);

		if (r->state == TOOL_RUN_WAITING)
			return r;
	}
	return NULL;
}

static void on_starter(uv_timer_t *timer)
{
	start_next(timer->data);
}

/* Counted before it is started: it may report from inside. */
static void start_next(struct tools *t)
{
	bool may = !t->cancelling && !t->closed && t->n_running < TOOLS_RUNNING && !uv_is_active((uv_handle_t *)&t->starter);
	struct tool_run *r = may ? first_waiting(t) : NULL;

	if (!r)
		return;
	uv_timer_start(&t->starter, on_starter, START_EVERY_MS, 0);
	t->n_running++;
	tool_run_start(r);
	t->n_running -= !r->has_program;
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
	yyjson_doc *doc = json_parse(json, len);
	bool good = yyjson_is_obj(yyjson_doc_get_root(doc));

	yyjson_doc_free(doc);
	return good;
}

/* NULL: nothing speaks against this call. */
static const char *find_fault(const struct tools *t, const struct bridge_tool *tool, const char *arguments, size_t len)
{
	if (!tool)
		return "there is no such tool";
	if (t->n_runs >= TOOLS_CALLS)
		return "too many calls at once";
	if (len > TOOL_ARGUMENTS_MAX)
		return "the arguments are too long";
	return is_object(arguments, len) ? NULL : "the arguments are not a JSON object";
}

static const char *add_run(struct tools *t, const struct bridge_tool *tool, uint64_t call, const char *arguments, size_t len)
{
	char *copy;
	const char *whole = surrogate_mend(arguments, len, &copy); /* not every program can print half of a pair */
	struct tool_run *r = whole ? tool_run_new(&t->shared, tool, call, whole, len) : NULL;

	free(copy);
	if (!r)
		return "no memory";
	list_append(&t->runs, &r->node);
	t->n_runs++;
	closing_add(&t->handles);
	return NULL;
}

void tools_call(struct tools *t, uint64_t call, const char *name, const char *arguments, size_t len)
{
	const struct bridge_tool *tool = find_tool(t->opts, name);

	if (len == 0) { /* of a tool that takes none */
		arguments = "{}";
		len = 2;
	}
	const char *fault = find_fault(t, tool, arguments, len);

	if (!fault)
		fault = add_run(t, tool, call, arguments, len);
	if (fault) {
		log_warn(&t->log, "a call of a tool is refused: %s", fault);
		report_error(t, call, fault);
		return;
	}
	start_next(t);
}

void tools_cancel(struct tools *t)
{
	bool before = t->cancelling;

	t->cancelling = true;
	list_each(it, &t->runs, tmp)
		tool_run_cancel(list_entry(it, struct tool_run, node));
	t->cancelling = before;
}

void tools_tick(struct tools *t)
{
	list_each(it, &t->runs, tmp)
		tool_run_tick(list_entry(it, struct tool_run, node));
}

/* ---- life ---- */

static void free_tools(void *tools)
{
	struct tools *t = tools;

	free(t->secrets);
	free(t);
}

static void share(struct tools *t, bool knows_room)
{
	t->shared = (struct tool_runs){
		.loop = t->opts->loop,
		.log = &t->log,
		.bridge = t->opts->name,
		.room = knows_room ? t->room : NULL,
		.secrets = t->secrets,
		.on_result = on_run_result,
		.on_error = on_run_error,
		.on_ended = on_run_ended,
		.on_closed = on_run_closed,
		.ctx = t,
	};
}

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
	snprintf(t->room, sizeof t->room, "%s", o->room ? o->room : "");
	t->on_result = o->on_result;
	t->ctx = o->ctx;
	share(t, o->room != NULL);
	list_init(&t->runs);
	closing_init(&t->handles, free_tools, t);
	closing_add(&t->handles);
	uv_timer_init(t->opts->loop, &t->starter);
	t->starter.data = t;
	*out = t;
	return 0;
}

void tools_close(struct tools *t)
{
	if (!t)
		return;
	tools_cancel(t);
	t->closed = true;
	closing_close(&t->handles, (uv_handle_t *)&t->starter);
}
