/* SPDX-License-Identifier: MIT */
/*
 * child - starts a program in a session of its own, with three pipes and no other descriptor of ours, and
 * reaps it together with everything that it started. Only the exec is waited for.
 *
 * posix_spawn and not fork: it borrows our memory until the exec, so it takes a fraction of a millisecond even in a
 * large process. The child's environment is ours without the variables that systemd means for us alone.
 */
#pragma once
#include "bridge/bridge.h"

#include <sys/types.h>

struct child {
	pid_t pid;        /* 0: none, or reaped */
	int pidfd;        /* readable once it has exited; -1: none */
	int in, out, err; /* our ends of its stdin, stdout and stderr; -1: none, or given away */
	size_t in_bytes;  /* that its stdin holds in the kernel */
};

/* All borrowed for the call. */
struct child_opts {
	const char (*command)[BRIDGE_ARG_MAX]; /* a program, found as in a shell, and its arguments */
	size_t n_command;
	const char *const *vars;    /* "NAME=VALUE", ended by NULL: instead of what our environment has by that name, or beside it */
	const char *const *without; /* names it is not to see, ended by NULL; may be NULL */
	size_t in_bytes;            /* wanted of its stdin; 0: as the system likes */
};

/* On an error nothing is left and `why` has the reason. ERR_IO, ERR_NOTFOUND: no such program; ERR_NOMEM. */
int child_start(struct child *c, const struct child_opts *o, char *why, size_t why_size);
/* Closes the descriptors that were not given away. */
void child_fini(struct child *c);
/* To it and everything it started, unless that left its session. */
void child_signal(const struct child *c, int signum);
/* False while it runs. Then kills what it started, and describes how it ended: "exited with status 3"; `*good`, which may
 * be NULL, whether that was 0. */
bool child_reap(struct child *c, bool *good, char *how, size_t how_size);
