/* SPDX-License-Identifier: MIT */
/* process - the options of a bridge of type "process". */
#pragma once
#include "bridge/bridge.h"

struct process_opts {
	char command[BRIDGE_ARGS_MAX][BRIDGE_ARG_MAX]; /* a program, found as in a shell, and its arguments */
	size_t n_command;                              /* at least 1 */
};
