/* SPDX-License-Identifier: MIT */
/*
 * proc - what another process on this machine costs, from /proc. Blocks a little; not for the sound path.
 */
#pragma once
#include "quic/addr.h"

#include <sys/types.h>

struct proc_usage {
	uint64_t cpu_us;    /* of all its threads so far */
	uint64_t rss_bytes; /* resident now */
};

/* ERR_NOTFOUND: no such process, or it may not be looked at. */
int proc_usage(pid_t pid, struct proc_usage *out);
/* The process that has the UDP port of `addr` open, if that address is of this machine and /proc lets us see it;
 * else ERR_NOTFOUND. */
int proc_of_udp(const struct quic_addr *addr, pid_t *out);
