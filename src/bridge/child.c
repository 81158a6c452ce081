/* SPDX-License-Identifier: MIT */
#include "bridge/child.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- environment ---- */

static bool is_named(const char *var, const char *name)
{
	size_t n = strcspn(name, "=");

	return strncmp(var, name, n) == 0 && var[n] == '=';
}

static bool is_in(const char *var, const char *const *names)
{
	for (; names && *names; names++)
		if (is_named(var, *names))
			return true;
	return false;
}

/* The service manager's channel to us: a child that used it would be mistaken for us. */
static const char *const ours_alone[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
	"LISTEN_FDNAMES", "JOURNAL_STREAM", NULL};

/* Ended by NULL, the strings borrowed; the array is the caller's to free. NULL: no memory. */
static char **make_environment(const struct child_opts *o)
{
	size_t n = 0;

	for (char **v = environ; *v; v++)
		n++;
	for (const char *const *v = o->vars; *v; v++)
		n++;
	char **vars = calloc(n + 1, sizeof *vars);

	if (!vars)
		return NULL;
	n = 0;
	for (char **v = environ; *v; v++)
		if (!is_in(*v, ours_alone) && !is_in(*v, o->vars) && !is_in(*v, o->without))
			vars[n++] = *v;
	for (const char *const *v = o->vars; *v; v++)
		vars[n++] = (char *)(uintptr_t)*v;
	return vars;
}

/* ---- pipes ---- */

/* Above stderr, so that the child's dup2 calls cannot meet each other. */
static int move_up(int *fd)
{
	int up = *fd > STDERR_FILENO ? *fd : fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (up >= 0 && up != *fd) {
		close(*fd);
		*fd = up;
	}
	return up;
}

struct pipes {
	int in[2], out[2], err[2]; /* read, write */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_pipes(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&p->in[i]);
		close_fd(&p->out[i]);
		close_fd(&p->err[i]);
	}
}

static int make_pipes(struct pipes *p)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	bool made = !pipe2(p->in, O_CLOEXEC) && !pipe2(p->out, O_CLOEXEC) && !pipe2(p->err, O_CLOEXEC);

	for (int i = 0; made && i < 2; i++)
		made = move_up(&p->in[i]) >= 0 && move_up(&p->out[i]) >= 0 && move_up(&p->err[i]) >= 0;
	if (made)
		return 0;
	int saved = errno;

	close_pipes(p);
	errno = saved;
	return ERR_IO;
}

/* Returns how much fits. */
static size_t resize(int fd, size_t wanted)
{
	int bytes = wanted ? fcntl(fd, F_SETPIPE_SZ, (int)wanted) : -1;

	if (bytes < 0)
		bytes = fcntl(fd, F_GETPIPE_SZ);
	return bytes > 0 ? (size_t)bytes : 65536;
}

/* ---- start ---- */

static int spawn(struct child *c, const struct child_opts *o, const struct pipes *p, char **vars)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char *argv[BRIDGE_ARGS_MAX + 1] = {NULL};
	sigset_t all, none;
	int err = 0;

	for (size_t i = 0; i < o->n_command; i++)
		argv[i] = (char *)(uintptr_t)o->command[i];
	sigfillset(&all);
	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&files))
		return ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return ENOMEM;
	}
	if (posix_spawn_file_actions_adddup2(&files, p->in[0], STDIN_FILENO) ||
		posix_spawn_file_actions_adddup2(&files, p->out[1], STDOUT_FILENO) ||
		posix_spawn_file_actions_adddup2(&files, p->err[1], STDERR_FILENO) ||
		posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1))
		err = ENOMEM;
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (!err)
		err = posix_spawnp(&c->pid, argv[0], &files, &attr, argv, vars);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return err;
}

/* A child whose end we could not notice is killed at once. */
static int watch(struct child *c)
{
	c->pidfd = pidfd_open(c->pid, 0); /* close-on-exec by itself */
	if (c->pidfd >= 0)
		return 0;
	int err = errno;

	child_signal(c, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

int child_start(struct child *c, const struct child_opts *o, char *why, size_t why_size)
{
	char **vars = make_environment(o);
	struct pipes p;

	*c = (struct child){.pidfd = -1, .in = -1, .out = -1, .err = -1};
	if (!vars) {
		snprintf(why, why_size, "no memory");
		return ERR_NOMEM;
	}
	int err = make_pipes(&p) ? errno : 0;

	if (!err) {
		c->in_bytes = resize(p.in[1], o->in_bytes);
		err = spawn(c, o, &p, vars);
	}
	if (!err)
		err = watch(c);
	free(vars);
	if (err) {
		close_pipes(&p);
		c->pid = 0;
		snprintf(why, why_size, "cannot start %.60s: %s", o->command[0], strerror(err));
		return err == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	c->in = p.in[1];
	c->out = p.out[0];
	c->err = p.err[0];
	p.in[1] = p.out[0] = p.err[0] = -1;
	close_pipes(&p);
	return 0;
}

/* ---- end ---- */

void child_fini(struct child *c)
{
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
	close_fd(&c->pidfd);
}

void child_signal(const struct child *c, int signum)
{
	if (c->pid > 0)
		kill(-c->pid, signum); /* its process group: setsid made one */
}

bool child_reap(struct child *c, bool *good, char *how, size_t how_size)
{
	siginfo_t end = {0};

	if (waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG | WNOWAIT) || end.si_pid == 0)
		return false;
	child_signal(c, SIGKILL); /* while its process number still belongs to the dead leader */
	waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG);
	c->pid = 0;
	if (good)
		*good = end.si_code == CLD_EXITED && end.si_status == 0;
	if (end.si_code == CLD_EXITED)
		snprintf(how, how_size, "exited with status %d", end.si_status);
	else
		snprintf(how, how_size, "killed by signal %d (%s)", end.si_status, strsignal(end.si_status));
	return true;
}
