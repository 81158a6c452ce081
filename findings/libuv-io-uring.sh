#!/usr/bin/env bash
# Guess: libuv uses io_uring for files, and only if UV_USE_IO_URING=1 asks for it; a program of sockets and timers has no ring.
# Seen: each loop makes one as soon as it is initialised (to change its epoll set in batches), and UV_USE_IO_URING=0 does not stop it.
# mynah: leaves it as it is; the loop of each shard has one descriptor more than anybody asked for.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libuv1-dev=1.50.0-2

[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 2)" = 0 ] || skip "this kernel has no io_uring for us"
compile measure -luv <<'C'
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static unsigned rings(void)
{
	char target[256];
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		target[len > 0 ? len : 0] = 0;
		n += strstr(target, "io_uring") != NULL;
	}
	closedir(d);
	return n;
}

int main(void)
{
	uv_loop_t a, b;

	printf("version %s\nbefore %u\n", uv_version_string(), rings());
	if (uv_loop_init(&a) || uv_loop_init(&b))
		return 2;
	printf("after %u\n", rings());
}
C
unset UV_USE_IO_URING
./measure >out
expect "version" "$(value version)" 1.50.0
expect "rings before" "$(value before)" 0
expect "rings once two loops are initialised" "$(value after)" 2
UV_USE_IO_URING=0 ./measure >out
expect "the same with UV_USE_IO_URING=0" "$(value after)" 2
finish
