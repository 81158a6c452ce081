/* SPDX-License-Identifier: MIT */
/*
 * tool - programs that a model may call: arguments on stdin, result on stdout, both JSON. Calls run side by side, each
 * in a session of its own. Starting a program blocks for about a millisecond; nothing else waits for it.
 *
 *   tools_call() -> waits while TOOLS_RUNNING others run -> tool_run -> on_result
 *
 * Every call gets one result, within its timeout_ms: what the program wrote, or {"error":"..."} that tells a model why
 * there is nothing. One thread, the loop's. Takes memory for each call.
 */
#pragma once
#include "bridge/tool_run.h"

enum {
	/* Of one bridge: more than a model asks for in one breath, and an eighth of the tasks that the unit allows. */
	TOOLS_RUNNING = 8,
	TOOLS_CALLS = 32,            /* with those that wait; more get an error */
	TOOL_ARGUMENTS_MAX = 65536,
};

struct tools;

struct tools_opts {
	const struct bridge_opts *bridge; /* its tools, loop and name; borrowed until close */
	const char *room;                 /* its name, for MYNAH_ROOM; copied. NULL: unknown */
	const struct log *log;            /* copied */
	/* `json` is a JSON document of TOOL_RESULT_MAX bytes at most without blanks between its parts, borrowed for the
	 * call. May come from inside tools_call(). May cancel and call, not close. */
	void (*on_result)(void *ctx, uint64_t call, bool good, const char *json, size_t len);
	void *ctx;
};

/* ERR_NOMEM. */
int tools_new(const struct tools_opts *o, struct tools **out);
/* `call` is the caller's own number. Copies; the arguments are a JSON object, or nothing at all. */
void tools_call(struct tools *t, uint64_t call, const char *name, const char *arguments, size_t len);
/* Ends all calls and their programs; none of them gets a result any more. */
void tools_cancel(struct tools *t);
/* Once a tick: what they write to stderr may be read on. */
void tools_tick(struct tools *t);
/* Cancels; it frees itself when the last program is gone, on the loop. Accepts NULL. */
void tools_close(struct tools *t);
