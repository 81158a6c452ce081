/* SPDX-License-Identifier: MIT */
/* process - the options of a bridge of type "process". */
#pragma once
#include "bridge/bridge.h"

enum { PROCESS_ENV_MAX = 16 };

struct process_opts {
	char command[BRIDGE_ARGS_MAX][BRIDGE_ARG_MAX]; /* a program, found as in a shell, and its arguments */
	size_t n_command;                              /* at least 1 */
	char env[PROCESS_ENV_MAX][BRIDGE_ARG_MAX];     /* "NAME=VALUE", or "NAME" of ours that it sees though it holds a bridge's key */
	size_t n_env;
};
