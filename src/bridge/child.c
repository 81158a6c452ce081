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

enum { IN_MS = 100, VARS = 3, VAR_MAX = 64 };

/* ---- environment ---- */

/* The supervisor speaks to us through these; a child that used them would be taken for us. */
static bool ours_alone(const char *var)
{
	static const char *const names[] = {"NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "LISTEN_FDS=", "LISTEN_PID=",
		"LISTEN_FDNAMES=", "JOURNAL_STREAM=", "MYNAH_BRIDGE=", "MYNAH_SAMPLE_RATE=", "MYNAH_FRAME_SAMPLES="};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(var, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

struct environment {
	char **vars; /* NULL-terminated; the strings are borrowed */
	char own[VARS][VAR_MAX];
};

static int make_environment(struct environment *e, const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples)
{
	size_t n = 0;

	while (environ[n])
		n++;
	e->vars = calloc(n + VARS + 1, sizeof *e->vars);
	if (!e->vars)
		return ERR_NOMEM;
	snprintf(e->own[0], VAR_MAX, "MYNAH_BRIDGE=%s", opts->name);
	snprintf(e->own[1], VAR_MAX, "MYNAH_SAMPLE_RATE=%u", rate_hz);
	snprintf(e->own[2], VAR_MAX, "MYNAH_FRAME_SAMPLES=%zu", frame_samples);
	n = 0;
	for (char **v = environ; *v; v++)
		if (!ours_alone(*v))
			e->vars[n++] = *v;
	for (size_t i = 0; i < VARS; i++)
		e->vars[n++] = e->own[i];
	return 0;
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

/* A pipe of 64 KiB holds two seconds; a worker that is late should hear what is said now. Returns how many
 * milliseconds fit. */
static uint32_t narrow(int fd, uint32_t rate_hz)
{
	int bytes = fcntl(fd, F_SETPIPE_SZ, (int)(2 * rate_hz * IN_MS / 1000));

	if (bytes < 0)
		bytes = fcntl(fd, F_GETPIPE_SZ);
	return (uint32_t)((uint64_t)(bytes > 0 ? bytes : 65536) * 1000 / (2 * rate_hz));
}

/* ---- start ---- */

static int spawn(struct child *c, const struct bridge_opts *opts, const struct pipes *p, char **vars)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char *argv[BRIDGE_ARGS_MAX + 1] = {NULL};
	sigset_t all, none;
	int err = 0;

	for (size_t i = 0; i < opts->n_command; i++)
		argv[i] = (char *)opts->command[i];
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

/* Where nothing can tell us of its end it must not live. */
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

int child_start(struct child *c, const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples, char *why,
	size_t why_size)
{
	struct environment env = {0};
	struct pipes p;

	*c = (struct child){.pidfd = -1, .in = -1, .out = -1, .err = -1};
	if (make_environment(&env, opts, rate_hz, frame_samples)) {
		snprintf(why, why_size, "no memory");
		return ERR_NOMEM;
	}
	int err = make_pipes(&p) ? errno : 0;

	if (!err) {
		c->in_ms = narrow(p.in[1], rate_hz);
		err = spawn(c, opts, &p, env.vars);
	}
	if (!err)
		err = watch(c);
	free(env.vars);
	if (err) {
		close_pipes(&p);
		c->pid = 0;
		snprintf(why, why_size, "cannot start %.60s: %s", opts->command[0], strerror(err));
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

bool child_bury(struct child *c, char *how, size_t how_size)
{
	siginfo_t end = {0};

	if (waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG | WNOWAIT) || end.si_pid == 0)
		return false;
	child_signal(c, SIGKILL); /* while the number is still taken by the dead leader, and nobody else's */
	waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG);
	c->pid = 0;
	if (end.si_code == CLD_EXITED)
		snprintf(how, how_size, "exited with status %d", end.si_status);
	else
		snprintf(how, how_size, "killed by signal %d (%s)", end.si_status, strsignal(end.si_status));
	return true;
}
