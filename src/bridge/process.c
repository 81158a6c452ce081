/* SPDX-License-Identifier: MIT */
/*
 * process - a child for each room, AudioSocket records on its stdin and stdout, its stderr in our log.
 *
 *   open    the child starts; its output is read from the loop
 *   close   HANGUP and the end of its stdin; SIGTERM 1 s later, SIGKILL 2 s after that
 *   exit    everything that it started is killed; its status is the reason that the room reports
 */
#include "bridge/process.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "base/list.h"
#include "bridge/child.h"
#include "bridge/drivers.h"
#include "bridge/key.h"
#include "bridge/stderr_log.h"
#include "bridge/stream_worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IN_MS = 100, HANG_UP_MS = 1000, TERMINATE_MS = 2000, KILL_MS = 500, STATUS_MS = 200 };

enum phase {
	PHASE_UP,         /* it runs; or it never did, or has failed, and the room will close us */
	PHASE_ENDING,     /* its stream has ended: it is about to exit, and its status is a better reason */
	PHASE_EXITED,     /* it has exited, and its last words are read */
	PHASE_HANGING_UP, /* closed by the room: it was sent a hang-up */
	PHASE_TERMINATED, /* the same: it was sent SIGTERM */
	PHASE_KILLED,     /* the same: it was sent SIGKILL */
	PHASE_GONE,       /* handles are closing */
};

struct process {
	struct stream_worker worker;
	struct log log;           /* outlives the room's */
	uv_loop_t *loop;
	enum phase phase;
	struct child child;
	struct closing handles;   /* `timer` is always open, the other four from open_handles() on */
	uv_timer_t timer;
	bool started;             /* open_handles() was called */
	uv_pipe_t from, to;
	uv_poll_t exit;           /* of the pidfd */
	struct stderr_log err;
	bool exited_well;         /* PHASE_EXITED: with status 0 */
	char why[STREAM_WHY_MAX]; /* its stream ended, or it exited */
};

static const struct process_opts defaults;

static size_t name_length(const char *var)
{
	return strcspn(var, "=");
}

/* "NAME" or "NAME=VALUE", the name as a shell would take it. */
static bool fix_variable(char *text, size_t size, char accepts[128])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	(void)size, (void)accepts;
	return text[0] && !(text[0] >= '0' && text[0] <= '9') && strspn(text, letters) == name_length(text);
}

static const struct option_row rows[] = {
	{.key = "command", .type = OPTION_LIST, .form = FORM_COMMAND, OPTION_LIST_AT(process_opts, command, n_command), .min = 1,
		.max = BRIDGE_ARGS_MAX, .accepts = "a program and its arguments, such as [\"python3\", \"/srv/worker.py\"]",
		.required = true, .sample = "/usr/local/bin/worker",
		.help = "the program to run for each room, found as in a shell, and its arguments"},
	{.key = "env", .type = OPTION_LIST, OPTION_LIST_AT(process_opts, env, n_env), .max = PROCESS_ENV_MAX,
		.fix = fix_variable, .accepts = "\"NAME\" or \"NAME=VALUE\"",
		.help = "variables that it gets beside the daemon's own, or that it may see though they hold the key of a bridge"},
};

static const struct bridge_options options = BRIDGE_OPTIONS(rows, defaults);

/* ---- the end of the handles ---- */

static void free_process(void *process)
{
	struct process *p = process;

	stream_worker_fini(&p->worker);
	child_fini(&p->child);
	free(p);
}

static void on_err_closed(uv_handle_t *h)
{
	closing_done(&list_entry(h, struct process, err.pipe)->handles);
}

/* Unless it never was opened, or is closing already. */
static void close_handle(struct process *p, void *handle)
{
	if (uv_handle_get_type(handle) != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
		closing_close(&p->handles, handle);
}

static void finish(struct process *p)
{
	p->phase = PHASE_GONE;
	close_handle(p, &p->timer);
	if (!p->started)
		return;
	close_handle(p, &p->from);
	close_handle(p, &p->to);
	close_handle(p, &p->exit);
	if (!uv_is_closing((uv_handle_t *)&p->err.pipe))
		stderr_log_close(&p->err, on_err_closed);
}

/* ---- the end of the child ---- */

/* Only one that has worked can say goodbye: a program that ends at once is the wrong one, or was given the wrong arguments. */
static void report_exit(struct process *p)
{
	uv_timer_stop(&p->timer);
	if (p->exited_well && (p->worker.hung_up || p->worker.state == STREAM_CONFIRMED))
		stream_worker_leave(&p->worker, p->why);
	else
		stream_worker_fail(&p->worker, "%s", p->why);
}

static void end_input(struct process *p)
{
	stream_worker_end_output(&p->worker);
	close_handle(p, &p->to);
}

static void on_time(uv_timer_t *t);

static void on_child_exit(uv_poll_t *h, int status, int events)
{
	struct process *p = ((struct stream_worker *)h->data)->owner;
	char how[STREAM_WHY_MAX];

	(void)status, (void)events;
	if (!child_reap(&p->child, &p->exited_well, how, sizeof how))
		return;
	uv_poll_stop(h);
	stderr_log_drain(&p->err);
	if (p->phase == PHASE_HANGING_UP || p->phase == PHASE_TERMINATED || p->phase == PHASE_KILLED) {
		log_debug(&p->log, "the worker %s", how);
		finish(p);
		return;
	}
	snprintf(p->why, sizeof p->why, "%s", how);
	if (p->worker.reading == READING_STOPPED) {
		report_exit(p);
		return;
	}
	p->phase = PHASE_EXITED;
	uv_timer_start(&p->timer, on_time, STATUS_MS, 0);
}

static void on_time(uv_timer_t *t)
{
	struct process *p = ((struct stream_worker *)t->data)->owner;

	switch (p->phase) {
	case PHASE_EXITED:
		report_exit(p);
		break;
	case PHASE_ENDING:
		if (p->worker.hung_up)
			stream_worker_leave(&p->worker, p->why);
		else
			stream_worker_fail(&p->worker, "%s", p->why);
		break;
	case PHASE_HANGING_UP:
		end_input(p);
		child_signal(&p->child, SIGTERM);
		p->phase = PHASE_TERMINATED;
		uv_timer_start(t, on_time, TERMINATE_MS, 0);
		break;
	case PHASE_TERMINATED:
		log_warn(&p->log, "the worker does not end pid=%d: killed", (int)p->child.pid);
		child_signal(&p->child, SIGKILL);
		p->phase = PHASE_KILLED;
		uv_timer_start(t, on_time, KILL_MS, 0);
		break;
	case PHASE_KILLED: /* stuck in the kernel; init inherits it */
		log_error(&p->log, "the worker cannot be killed pid=%d", (int)p->child.pid);
		finish(p);
		break;
	default:
		break;
	}
}

static void on_end(struct stream_worker *w, const char *why)
{
	struct process *p = w->owner;

	if (p->phase == PHASE_EXITED)
		report_exit(p);
	if (p->phase != PHASE_UP || p->child.pid == 0)
		return;
	snprintf(p->why, sizeof p->why, "%s%s", w->hung_up ? "" : "its output: ", why);
	p->phase = PHASE_ENDING;
	uv_timer_start(&p->timer, on_time, STATUS_MS, 0);
}

static void on_drained(struct stream_worker *w)
{
	end_input(w->owner);
}

/* ---- the room's calls ---- */

/* Gives one of the child's descriptors to a pipe handle. */
static int open_pipe(struct process *p, uv_pipe_t *pipe, int *fd)
{
	uv_pipe_init(p->loop, pipe, 0);
	pipe->data = &p->worker;
	closing_add(&p->handles);
	if (uv_pipe_open(pipe, *fd))
		return ERR_IO;
	*fd = -1;
	return 0;
}

static int watch_exit(struct process *p)
{
	if (uv_poll_init(p->loop, &p->exit, p->child.pidfd))
		return ERR_IO;
	closing_add(&p->handles);
	p->exit.data = &p->worker;
	return uv_poll_start(&p->exit, UV_READABLE, on_child_exit) ? ERR_IO : 0;
}

static int open_handles(struct process *p)
{
	int fd = p->child.err, err = open_pipe(p, &p->from, &p->child.out);
	int err_to = open_pipe(p, &p->to, &p->child.in);

	p->child.err = -1;
	int err_stderr = stderr_log_open(&p->err, p->loop, fd, &p->log);

	closing_add(&p->handles);
	p->started = true;
	return err || err_to || err_stderr || watch_exit(p) ? ERR_IO : 0;
}

/* A variable that is handed through by its name is no secret from this worker. */
static void remove_named(const char **secrets, const struct process_opts *own)
{
	size_t kept = 0;

	for (size_t i = 0; secrets[i]; i++) {
		bool named = false;

		for (size_t k = 0; k < own->n_env; k++)
			named = named || strcmp(secrets[i], own->env[k]) == 0;
		if (!named)
			secrets[kept++] = secrets[i];
	}
	secrets[kept] = NULL;
}

/* A pipe of 64 KiB holds two seconds; a worker that is late should be given the newest sound. */
static int start_child(struct process *p, const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	char why[STREAM_WHY_MAX])
{
	char name[64], rate[40], frame[48];
	const char *vars[3 + PROCESS_ENV_MAX + 1] = {name, rate, frame};
	const char **secrets = key_variables(opts);
	const struct process_opts *own = opts->options;
	size_t n = 3;

	if (!secrets) {
		snprintf(why, STREAM_WHY_MAX, "out of memory");
		return ERR_NOMEM;
	}
	remove_named(secrets, own);
	for (size_t i = 0; i < own->n_env; i++) {
		if (own->env[i][name_length(own->env[i])] == '=')
			vars[n++] = own->env[i];
	}
	const struct child_opts o = {
		.command = own->command,
		.n_command = own->n_command,
		.vars = vars,
		.without = secrets,
		.in_bytes = 2 * (size_t)rate_hz * IN_MS / 1000,
	};

	snprintf(name, sizeof name, "MYNAH_BRIDGE=%s", opts->name);
	snprintf(rate, sizeof rate, "MYNAH_SAMPLE_RATE=%u", rate_hz);
	snprintf(frame, sizeof frame, "MYNAH_FRAME_SAMPLES=%zu", frame_samples);
	int err = child_start(&p->child, &o, why, STREAM_WHY_MAX);

	free(secrets);
	return err;
}

static void start(struct process *p, const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples)
{
	char why[STREAM_WHY_MAX];

	if (start_child(p, opts, rate_hz, frame_samples, why)) {
		stream_worker_fail(&p->worker, "%s", why);
		return;
	}
	log_debug(&p->log, "the worker has started pid=%d", (int)p->child.pid);
	if (open_handles(p)) {
		stream_worker_fail(&p->worker, "no handles for %s", ((const struct process_opts *)opts->options)->command[0]);
		return;
	}
	stream_worker_start(&p->worker, (uv_stream_t *)&p->from, (uv_stream_t *)&p->to);
}

static int process_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	const struct process_opts *own = opts->options;

	(void)now;
	if (!opts->loop || !own || own->n_command == 0)
		return ERR_UNSUPPORTED;
	struct process *p = calloc(1, sizeof *p);

	if (!p)
		return ERR_NOMEM;
	int err = stream_worker_init(&p->worker, opts, rate_hz, sink, sink_ctx, log);

	if (err) {
		free(p);
		return err;
	}
	p->worker.owner = p;
	p->worker.on_end = on_end;
	p->worker.on_drained = on_drained;
	p->log = *log;
	p->loop = opts->loop;
	uv_timer_init(p->loop, &p->timer);
	p->timer.data = &p->worker;
	closing_init(&p->handles, free_process, p);
	closing_add(&p->handles);
	start(p, opts, rate_hz, frame_samples);
	stream_worker_bound(&p->worker, (uint32_t)(p->child.in_bytes * 1000 / (2 * rate_hz)));
	*self = p;
	return 0;
}

static bool process_audio(void *self, const struct bridge_input *h, nsec now)
{
	struct process *p = self;

	if (p->started)
		stderr_log_tick(&p->err);
	return stream_worker_audio(&p->worker, h, now);
}

static void process_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct process *p = self;

	(void)now;
	stream_worker_event(&p->worker, ev);
}

/* Its stdout is still read, up to a bound, so that its last writes do not fail. */
static void process_close(void *self)
{
	struct process *p = self;

	if (p->child.pid == 0 || !p->started) {
		child_signal(&p->child, SIGKILL);
		stream_worker_detach(&p->worker);
		finish(p);
		return;
	}
	p->phase = PHASE_HANGING_UP;
	uv_timer_start(&p->timer, on_time, HANG_UP_MS, 0);
	stream_worker_hang_up(&p->worker);
}

const struct bridge_ops bridge_process = {
	.type = "process",
	.catch_up = CATCH_UP_PAUSES,
	.tells_up = true,
	.open = process_open,
	.audio = process_audio,
	.event = process_event,
	.close = process_close,
	.check = stream_worker_check,
	.options = &options,
};
