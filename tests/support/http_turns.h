/* SPDX-License-Identifier: MIT */
/* http_turns - on a test's loop: does what is due in an HTTP server after each poll and before each sleep. */
#pragma once
#include "http/server.h"

struct http_turns {
	uv_check_t after;
	uv_prepare_t before;
	struct http_server *server;
};

static inline void http_turns_run(struct http_turns *t)
{
	while (http_server_run_next(t->server, clock_now()))
		;
}

static inline void http_turns_after(uv_check_t *h)
{
	http_turns_run(h->data);
}

static inline void http_turns_before(uv_prepare_t *h)
{
	http_turns_run(h->data);
}

static inline void http_turns_begin(struct http_turns *t, uv_loop_t *loop, struct http_server *server)
{
	t->server = server;
	uv_check_init(loop, &t->after);
	uv_prepare_init(loop, &t->before);
	t->after.data = t->before.data = t;
	uv_check_start(&t->after, http_turns_after);
	uv_prepare_start(&t->before, http_turns_before);
}

/* Before the server is closed. Nothing if it never began. */
static inline void http_turns_end(struct http_turns *t)
{
	if (!t->server)
		return;
	uv_close((uv_handle_t *)&t->after, NULL);
	uv_close((uv_handle_t *)&t->before, NULL);
	t->server = NULL;
}
