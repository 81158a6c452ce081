/* SPDX-License-Identifier: MIT */
/*
 * tool_run - one call of one tool: a program that gets its arguments on stdin and writes its result to stdout. Its exit, its
 * time-out or a result that is too long ends it, with everything that it started.
 *
 *   WAITING -> tool_run_start() -> RUNNING -> ANSWERED (result or error) -> its program is gone -> ENDED -> freed
 *
 * One thread, the loop's, whose clock it uses. Takes memory when the call is made and for the result; frees itself.
 */
#pragma once
#include "base/buf.h"
#include "base/closing.h"
#include "base/list.h"
#include "bridge/bridge.h"
#include "bridge/child.h"
#include "bridge/stderr_log.h"

#include <uv.h>

enum {
	TOOL_RESULT_MAX = 32768, /* some 8000 tokens: a quarter of what models of this kind keep in mind */
	TOOL_ERROR_MAX = 160,    /* of what is told instead of a result */
};

struct tool_run;

/* What all runs of one bridge share. Borrowed until the last of them is closed. */
struct tool_runs {
	uv_loop_t *loop;
	const struct log *log;
	const char *bridge;         /* its name, for MYNAH_BRIDGE */
	const char *room;           /* for MYNAH_ROOM; NULL: unknown */
	const char *const *secrets; /* names of variables that no tool sees, ended by NULL */
	/* Once, unless cancelled: a JSON document, or why there is none. May call everything but tool_run_start(). */
	void (*on_result)(void *ctx, struct tool_run *r, const char *json, size_t len);
	void (*on_error)(void *ctx, struct tool_run *r, const char *why);
	/* Its program is gone, or was never there: it stands in no list from now on. */
	void (*on_ended)(void *ctx, struct tool_run *r);
	void (*on_closed)(void *ctx); /* its memory is freed */
	void *ctx;
};

enum tool_run_state {
	TOOL_RUN_WAITING,
	TOOL_RUN_RUNNING,
	TOOL_RUN_ANSWERED, /* or cancelled. Where there is a program, its end is awaited */
	TOOL_RUN_ENDED,    /* handles are closing */
};

struct tool_run {
	struct list node;   /* the owner's list */
	const struct tool_runs *owner;
	const struct bridge_tool *tool;
	uint64_t call;      /* the caller's number */
	enum tool_run_state state;
	uint64_t began_ms;
	char *arguments;
	size_t n_arguments;
	struct log log;
	struct child child;
	bool has_program;   /* it was started: the handles below are open, or closing. `timer` is anyway */
	struct closing handles;
	uv_pipe_t to, from;
	uv_poll_t exit;     /* of the pidfd */
	uv_timer_t timer;
	uv_write_t write;
	struct stderr_log err;
	struct buf result;
	char read_buf[4096];
};

/* Copies the arguments; its time-out runs from now on. NULL: no memory. */
struct tool_run *tool_run_new(const struct tool_runs *owner, const struct bridge_tool *tool, uint64_t call, const char *arguments,
	size_t len);
/* Starts the program; see `has_program` for whether there is one now. */
void tool_run_start(struct tool_run *r);
/* Kills it. It is not answered any more. */
void tool_run_cancel(struct tool_run *r);
/* Once a tick: its stderr may be read on. */
void tool_run_tick(struct tool_run *r);
