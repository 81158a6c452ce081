/* SPDX-License-Identifier: MIT */
/*
 * stderr_log - what a child writes to its stderr, line by line in our log: LINES_PER_S of them, the others counted;
 * over-long lines in pieces. The log escapes what they hold.
 */
#pragma once
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { STDERR_LINE_MAX = 400, STDERR_LINES_PER_S = 20, STDERR_READ_PER_TICK = 32768 };

struct stderr_log {
	uv_pipe_t pipe;
	const struct log *log;
	char read_buf[4096], line[STDERR_LINE_MAX];
	size_t len;          /* of the line, so far */
	size_t read_budget;
	bool paused;
	uint64_t second;     /* when this one began, by the loop's clock in ms */
	unsigned lines, left_out;
};

/* Owns `fd`, also on an error. `log` is borrowed until close. */
int stderr_log_open(struct stderr_log *s, uv_loop_t *loop, int fd, const struct log *log);
/* Once a tick: more may be read. */
void stderr_log_tick(struct stderr_log *s);
/* The child has exited: reads what it left, without waiting. */
void stderr_log_drain(struct stderr_log *s);
/* `on_closed` comes with &s->pipe. */
void stderr_log_close(struct stderr_log *s, uv_close_cb on_closed);
