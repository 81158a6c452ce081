/* SPDX-License-Identifier: MIT */
#include "client/proc.h"

#include "base/err.h"
#include "quic/udp.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INODES_MAX = 16 };

/* The clock counts nanoseconds, where /proc/PID/stat counts ticks of 10 ms. */
int proc_usage(pid_t pid, struct proc_usage *out)
{
	long resident, page = sysconf(_SC_PAGESIZE);
	struct timespec cpu;
	clockid_t clock;
	char path[64];

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &cpu))
		return ERR_NOTFOUND;
	snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
	FILE *f = fopen(path, "re");

	if (!f)
		return ERR_NOTFOUND;
	int n = fscanf(f, "%*d %ld", &resident);

	fclose(f);
	if (n != 1)
		return ERR_NOTFOUND;
	out->cpu_us = (uint64_t)cpu.tv_sec * 1000000u + (uint64_t)cpu.tv_nsec / 1000u;
	out->rss_bytes = (uint64_t)resident * (uint64_t)page;
	return 0;
}

static size_t inodes_of_port(const char *table, unsigned port, unsigned long *inodes, size_t n)
{
	char line[512];
	FILE *f = fopen(table, "re");

	while (f && n < INODES_MAX && fgets(line, sizeof line, f)) {
		unsigned local;
		unsigned long inode;

		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %lu", &local, &inode) == 2 && local == port &&
			inode)
			inodes[n++] = inode;
	}
	if (f)
		fclose(f);
	return n;
}

static bool holds(const char *pid, const unsigned long *inodes, size_t n)
{
	char folder[300], link[600], target[64];
	bool yes = false;
	struct dirent *e;
	DIR *d;

	snprintf(folder, sizeof folder, "/proc/%.255s/fd", pid);
	d = opendir(folder);
	while (d && !yes && (e = readdir(d))) {
		unsigned long inode;

		snprintf(link, sizeof link, "%s/%s", folder, e->d_name);
		ssize_t len = readlink(link, target, sizeof target - 1);

		if (len <= 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < n; i++)
			yes |= inodes[i] == inode;
	}
	if (d)
		closedir(d);
	return yes;
}

/* Does the kernel reach it without leaving this machine? Then it would use the same address to send from. */
static bool is_here(const struct quic_addr *addr)
{
	struct quic_addr local, there = *addr;

	if (udp_local_for(addr, &local))
		return false;
	if (there.sa.sa_family == AF_INET)
		there.in4.sin_port = 0;
	else
		there.in6.sin6_port = 0;
	return quic_addr_equal(&local, &there);
}

int proc_of_udp(const struct quic_addr *addr, pid_t *out)
{
	unsigned long inodes[INODES_MAX];
	size_t n = 0;
	int err = ERR_NOTFOUND;
	struct dirent *e;
	DIR *d;

	if (!is_here(addr))
		return ERR_NOTFOUND;
	n = inodes_of_port("/proc/net/udp", quic_addr_port(addr), inodes, n);
	n = inodes_of_port("/proc/net/udp6", quic_addr_port(addr), inodes, n);
	d = n ? opendir("/proc") : NULL;
	while (d && err && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !holds(e->d_name, inodes, n))
			continue;
		*out = (pid_t)strtol(e->d_name, NULL, 10);
		err = 0;
	}
	if (d)
		closedir(d);
	return err;
}
