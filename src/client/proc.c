/* SPDX-License-Identifier: MIT */
#include "client/proc.h"

#include "base/err.h"
#include "quic/udp.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INODES_MAX = 16, STAT_BYTES = 1024 };

/* proc(5): the name may hold anything, so fields are counted from its last bracket; utime and stime are 14 and 15, rss
 * is 24. */
int proc_usage(pid_t pid, struct proc_usage *out)
{
	unsigned long long user, system;
	long rss, ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
	char path[64], text[STAT_BYTES];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return ERR_NOTFOUND;
	size_t n = fread(text, 1, sizeof text - 1, f);

	fclose(f);
	text[n] = '\0';
	const char *p = strrchr(text, ')');

	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
			  &user, &system, &rss) != 3 || ticks <= 0)
		return ERR_NOTFOUND;
	out->cpu_us = (user + system) * 1000000u / (unsigned long long)ticks;
	out->rss_bytes = (uint64_t)rss * (uint64_t)page;
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
