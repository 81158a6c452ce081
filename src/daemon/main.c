/* SPDX-License-Identifier: MIT */
/*
 * mynahd: options, configuration, logging, start, run, stop.
 */
#include "base/err.h"
#include "base/fd.h"
#include "config/config.h"
#include "daemon/notify.h"
#include "daemon/server.h"
#include "http/tls_stream.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#ifndef MYNAH_VERSION
#define MYNAH_VERSION "unknown"
#endif

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 /* EX_CONFIG of sysexits.h */ };

struct options {
	const char *config; /* NULL: all defaults */
	bool check, print;
	bool done;  /* nothing is left to do: exit with `status` */
	int status;
};

struct app {
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
	uv_timer_t watchdog;
	struct server *server;
	struct tls_context *tls; /* of bridges; NULL: none needs it */
	struct log log;
	bool stopping;
};

static void usage(FILE *f)
{
	fputs("usage: mynahd [-c FILE] [--check-config FILE] [--print-config] [--version] [--help]\n"
	      "\n"
	      "  -c, --config FILE       read this TOML file; without it every default holds\n"
	      "      --check-config FILE say what is wrong with the file, or that nothing is\n"
	      "      --print-config      print the whole configuration that would be used\n"
	      "      --version           print the version\n"
	      "      --help              print this\n"
	      "\n"
	      "SIGTERM ends the daemon after its sessions were told, SIGHUP reads the certificate again.\n"
	      "See mynahd(8).\n",
		f);
}

static struct options parse_options(int argc, char **argv)
{
	enum { OPT_CHECK = 256, OPT_PRINT, OPT_VERSION, OPT_HELP };
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", required_argument, NULL, OPT_CHECK},
		{"print-config", no_argument, NULL, OPT_PRINT},
		{"version", no_argument, NULL, OPT_VERSION},
		{"help", no_argument, NULL, OPT_HELP},
		{0},
	};
	struct options o = {.status = EXIT_SUCCESS};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c': o.config = optarg; break;
		case OPT_CHECK: o.config = optarg; o.check = true; break;
		case OPT_PRINT: o.print = true; break;
		case OPT_VERSION: puts("mynahd " MYNAH_VERSION); o.done = true; return o;
		case 'h':
		case OPT_HELP: usage(stdout); o.done = true; return o;
		default: usage(stderr); o.done = true; o.status = EXIT_USAGE; return o;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "mynahd: what is \"%s\"?\n", argv[optind]);
		usage(stderr);
		o.done = true;
		o.status = EXIT_USAGE;
	}
	return o;
}

/* A file that is only to be checked is checked with all that it names. */
static int read_config(const struct options *o, struct config *cfg, char why[CONFIG_ERROR])
{
	if (!o->config)
		return 0;
	return o->check ? config_check(o->config, clock_wall_s(), cfg, why) : config_load(o->config, cfg, why);
}

/* Reads the configuration. True: serve with it; false: that was all, *status is the exit status. */
static bool configure(const struct options *o, struct config *cfg, int *status)
{
	char why[CONFIG_ERROR];

	config_default(cfg);
	if (read_config(o, cfg, why)) {
		fprintf(stderr, "mynahd: %s\n", why);
		*status = EXIT_CONFIG;
		return false;
	}
	if (o->print) {
		struct buf b;

		buf_init(&b, 1 << 20);
		int err = config_print(cfg, &b);

		if (!err)
			fwrite(b.p, 1, b.len, stdout);
		buf_fini(&b);
		*status = err ? EXIT_FAILURE : EXIT_SUCCESS;
		return false;
	}
	if (o->check) {
		printf("%s: fine\n", o->config);
		*status = EXIT_SUCCESS;
		return false;
	}
	return true;
}

/* --- signals and watchdog ---------------------------------------------------------------------- */

/* A signal that comes before there is a handler waits for it; one that comes after changes nothing any more. */
static void hold_signals(int how)
{
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigprocmask(how, &ours, NULL);
}

static void on_drained(void *ctx)
{
	struct app *a = ctx;

	/* libuv gives a signal back its default action with its handle; asked twice to end, we still end with status 0 */
	hold_signals(SIG_BLOCK);
	uv_close((uv_handle_t *)&a->term, NULL);
	uv_close((uv_handle_t *)&a->interrupt, NULL);
	uv_close((uv_handle_t *)&a->hangup, NULL);
	uv_close((uv_handle_t *)&a->watchdog, NULL);
}

static void on_stop(uv_signal_t *h, int signum)
{
	struct app *a = h->data;

	if (!a->stopping) {
		notify_send("STOPPING=1");
		log_info(&a->log, "stopping signal=%s", signum == SIGTERM ? "TERM" : "INT");
	}
	a->stopping = true;
	server_drain(a->server, on_drained, a);
}

static void on_hangup(uv_signal_t *h, int signum)
{
	struct app *a = h->data;
	char state[64 + CERTS_STATUS], status[CERTS_STATUS];

	(void)signum;
	if (a->stopping)
		return; /* and READY=1 would take STOPPING=1 back */
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_now() / 1000));
	notify_send(state);
	server_reload(a->server, status);
	snprintf(state, sizeof state, "READY=1\nSTATUS=%s", status); /* that it failed can be said in no other way */
	notify_send(state);
}

/* Told that a thread hangs, systemd does at once what it does when it is not fed (sd_notify(3)). */
static void on_watchdog(uv_timer_t *t)
{
	struct app *a = t->data;

	switch (server_look(a->server)) {
	case WATCHDOG_FEED: notify_send("WATCHDOG=1"); break;
	case WATCHDOG_WAIT: break;
	case WATCHDOG_HUNG: notify_send("WATCHDOG=trigger"); break;
	}
}

static void start_signals(struct app *a)
{
	uint64_t look_ms = server_look_ms(a->server);

	uv_signal_init(&a->loop, &a->term);
	uv_signal_init(&a->loop, &a->interrupt);
	uv_signal_init(&a->loop, &a->hangup);
	uv_timer_init(&a->loop, &a->watchdog);
	a->term.data = a->interrupt.data = a->hangup.data = a->watchdog.data = a;
	uv_signal_start(&a->term, on_stop, SIGTERM);
	uv_signal_start(&a->interrupt, on_stop, SIGINT);
	uv_signal_start(&a->hangup, on_hangup, SIGHUP);
	uv_timer_start(&a->watchdog, on_watchdog, look_ms, look_ms);
}

/* The roots that certificates are verified against take a megabyte and some 30 ms: once for all bridges. */
static int equip_bridges(struct app *a, struct config *cfg)
{
	struct tls_client_opts system_roots = {0};

	for (size_t i = 0; i < cfg->rooms.n_bridges; i++) {
		struct bridge_opts *b = &cfg->bridge[i];

		if (!a->tls && bridge_needs_tls(b) && tls_context_client(&system_roots, &a->tls)) {
			log_error(&a->log, "the system's certificate store cannot be read");
			return ERR_TLS;
		}
	}
	for (size_t i = 0; i < cfg->rooms.n_bridges; i++)
		cfg->bridge[i].tls = a->tls;
	return 0;
}

static int serve(struct app *a, struct config *cfg)
{
	signal(SIGPIPE, SIG_IGN);
	hold_signals(SIG_BLOCK);
	uv_loop_init(&a->loop);
	if (equip_bridges(a, cfg)
		|| server_new(&a->loop, cfg, MYNAH_VERSION, notify_watchdog_ms(), &a->log, &a->server)) {
		tls_context_unref(a->tls);
		uv_loop_close(&a->loop);
		return EXIT_FAILURE;
	}
	start_signals(a);
	log_info(&a->log, "ready version=" MYNAH_VERSION " %s", server_addresses(a->server));
	notify_send("READY=1");
	hold_signals(SIG_UNBLOCK);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	server_free(a->server);
	tls_context_unref(a->tls);
	log_info(&a->log, "stopped");
	return uv_loop_close(&a->loop) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* systemd names the journal's socket by device and inode; a redirected stderr is not it. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(mine, sizeof mine, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(mine, stream) == 0;
}

static int run(const struct options *o, struct app *a, struct config *cfg)
{
	int status;

	if (!configure(o, cfg, &status))
		return status;
	const struct log_out out = {.fd = fd_unwaiting(STDERR_FILENO),
		.level = cfg->log_level,
		.format = cfg->log_format,
		.journal = stderr_is_journal()};

	a->log.out = &out;
	return serve(a, cfg);
}

/* The kernel backs with huge pages what a mapping covers whole. By the C library's steps of 128 KB a heap never gets one where they are "always", as
 * on Debian 13. In steps of 64 MB of addresses it gets them throughout; memory is taken as it is used. */
static void grow_heap_in_large_steps(void)
{
#ifdef M_TOP_PAD
	mallopt(M_TOP_PAD, 64 << 20);
#endif
}

/* The soft limit, mostly 1024, is for programs that use select(); each connection to the page and each worker takes descriptors. */
static void raise_descriptor_limit(void)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most) || most.rlim_cur >= most.rlim_max)
		return;
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
}

int main(int argc, char **argv)
{
	fd_open_standard();
	raise_descriptor_limit();
	grow_heap_in_large_steps();
	struct options o = parse_options(argc, argv);

	if (o.done)
		return o.status;
	struct app *a = calloc(1, sizeof *a);
	struct config *cfg = calloc(1, sizeof *cfg);
	int status = a && cfg ? run(&o, a, cfg) : EXIT_FAILURE;

	free(cfg);
	free(a);
	return status;
}
