/* SPDX-License-Identifier: MIT */
/*
 * child - starts a program in a session of its own, with three pipes and no other descriptor of ours, and
 * buries it with all it started. Nothing here waits, but for the exec.
 *
 * posix_spawn and not fork: it borrows our memory until the exec, so it takes the same fraction of a millisecond
 * however large we are. Its environment is ours without what systemd means for us alone, and with MYNAH_BRIDGE,
 * MYNAH_SAMPLE_RATE and MYNAH_FRAME_SAMPLES.
 */
#pragma once
#include "bridge/bridge.h"

#include <sys/types.h>

struct child {
	pid_t pid;        /* 0: none, or buried */
	int pidfd;        /* readable once it has exited; -1: none */
	int in, out, err; /* our ends of its stdin, stdout and stderr; -1: none, or given away */
	uint32_t in_ms;   /* of audio that its stdin holds in the kernel */
};

/* On an error `why` tells, and nothing is left. ERR_IO, ERR_NOTFOUND: no such program; ERR_NOMEM. */
int child_start(struct child *c, const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples, char *why,
	size_t why_size);
/* Closes the descriptors that were not given away. */
void child_fini(struct child *c);
/* To it and everything it started, unless that left its session. */
void child_signal(const struct child *c, int signum);
/* False while it runs. Then kills what it started, and tells how it ended: "exited with status 3". */
bool child_bury(struct child *c, char *how, size_t how_size);
