/* SPDX-License-Identifier: MIT */
/* mynah load: many sessions, and how the server served them. */
#include "client/call.h"
#include "client/cmd.h"
#include "client/load.h"
#include "client/proc.h"

#include "base/err.h"
#include "base/random.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

enum { STATUS_BYTES = 256 };

struct options {
	struct cmd_target target;
	struct load_opts load;
	double sessions, rooms, timeout_s, server_pid; /* rooms, server_pid 0: not given */
	bool json, quiet, verbose;
	int exit_now; /* -1: go on */
};

/* CPU and memory of a process at the moments that count. */
struct cost {
	bool known;
	struct proc_usage before, begin, end;
};

struct app {
	struct options *o;
	const struct log *log;
	uv_loop_t loop;
	struct cmd_signals signals;
	struct call *probe;
	struct call_end probe_end;
	bool probe_ok, stopped;
	struct load *load;
	pid_t server_pid;
	struct cost server, self;
	uint32_t measured_sessions;
	bool show_progress, status_line;
};

/* --- options ------------------------------------------------------------------------------------ */

static void usage(FILE *f)
{
	fputs("usage: mynah load URL [options]\n"
	      "\n"
	      "  --sessions N      how many (20)\n"
	      "  --rooms M         in how many rooms (a quarter of the sessions)\n"
	      "  --talkers SHARE   of the sessions, 0 to 1 (0.25); the others listen\n"
	      "  --ramp PER_S      sessions opened a second (50)\n"
	      "  --seconds S       measured, once all are open (10)\n"
	      "  --room NAME       rooms are called NAME-0, NAME-1, ... (load- and a random number)\n"
	      "  --server-pid PID  whose CPU and memory to report (found by its port, on this machine)\n"
	      "  --timeout S       give up on a session after S seconds (10)\n"
	      "  --insecure        accept any certificate\n"
	      "  --cert-sha256 HEX accept the certificate with this SHA-256, and no other\n"
	      "  --json            the report as one JSON object\n"
	      "  --quiet           no progress line\n"
	      "  --verbose         say more of the connections\n"
	      "\n"
	      "Exit status: 0 all sessions were opened and stayed, 1 some were refused, 2 wrong usage,\n"
	      "3 cannot reach the server, 4 sessions were lost or heard another room.\n"
	      "See mynah(1). Load only servers that are yours.\n",
		f);
}

enum { OPT_SESSIONS = 256, OPT_ROOMS, OPT_TALKERS, OPT_RAMP, OPT_SECONDS, OPT_ROOM, OPT_PID, OPT_TIMEOUT, OPT_INSECURE,
	OPT_SHA256, OPT_JSON, OPT_QUIET, OPT_VERBOSE, OPT_HELP };

static int take_option(int c, struct options *o)
{
	switch (c) {
	case OPT_SESSIONS: return cmd_number("load", "--sessions", optarg, 1, LOAD_SESSIONS_MAX, &o->sessions);
	case OPT_ROOMS: return cmd_number("load", "--rooms", optarg, 1, LOAD_SESSIONS_MAX, &o->rooms);
	case OPT_TALKERS: return cmd_number("load", "--talkers", optarg, 0, 1, &o->load.talkers);
	case OPT_RAMP: return cmd_number("load", "--ramp", optarg, 0.1, 100000, &o->load.ramp_per_s);
	case OPT_SECONDS: return cmd_number("load", "--seconds", optarg, 0.1, LOAD_SECONDS_MAX, &o->load.seconds);
	case OPT_PID: return cmd_number("load", "--server-pid", optarg, 1, 1 << 30, &o->server_pid);
	case OPT_TIMEOUT: return cmd_number("load", "--timeout", optarg, 0.1, 600, &o->timeout_s);
	case OPT_SHA256: return cmd_sha256("load", optarg, &o->target);
	case OPT_INSECURE: o->target.insecure = true; return 0;
	case OPT_JSON: o->json = true; return 0;
	case OPT_QUIET: o->quiet = true; return 0;
	case OPT_VERBOSE: o->verbose = true; return 0;
	case OPT_ROOM:
		if (!*optarg || strlen(optarg) > LOAD_ROOM_MAX) {
			fprintf(stderr, "mynah load: --room takes 1 to %d bytes\n", LOAD_ROOM_MAX);
			return EXIT_USAGE;
		}
		snprintf(o->load.room, sizeof o->load.room, "%s", optarg);
		return 0;
	default: usage(stderr); return EXIT_USAGE;
	}
}

static int check(struct options *o, int n_urls, const char *url)
{
	uint16_t number;

	if (n_urls != 1) {
		fputs("mynah load: one URL is needed\n", stderr);
		usage(stderr);
		return EXIT_USAGE;
	}
	o->load.sessions = (uint32_t)o->sessions;
	o->load.rooms = o->rooms > 0 ? (uint32_t)o->rooms : (o->load.sessions + 3) / 4;
	o->load.net.timeout_ms = (uint32_t)(o->timeout_s * 1000);
	if (o->load.rooms > o->load.sessions) {
		fputs("mynah load: --rooms must not exceed --sessions\n", stderr);
		return EXIT_USAGE;
	}
	random_bytes(&number, sizeof number);
	if (!o->load.room[0])
		snprintf(o->load.room, sizeof o->load.room, "load-%04x", number);
	return cmd_url("load", url, &o->target);
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"sessions", required_argument, NULL, OPT_SESSIONS}, {"rooms", required_argument, NULL, OPT_ROOMS},
		{"talkers", required_argument, NULL, OPT_TALKERS}, {"ramp", required_argument, NULL, OPT_RAMP},
		{"seconds", required_argument, NULL, OPT_SECONDS}, {"room", required_argument, NULL, OPT_ROOM},
		{"server-pid", required_argument, NULL, OPT_PID}, {"timeout", required_argument, NULL, OPT_TIMEOUT},
		{"insecure", no_argument, NULL, OPT_INSECURE}, {"cert-sha256", required_argument, NULL, OPT_SHA256},
		{"json", no_argument, NULL, OPT_JSON}, {"quiet", no_argument, NULL, OPT_QUIET},
		{"verbose", no_argument, NULL, OPT_VERBOSE}, {"help", no_argument, NULL, OPT_HELP}, {0},
	};
	int c;

	*o = (struct options){.sessions = 20, .timeout_s = 10, .exit_now = -1};
	load_opts_default(&o->load);
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == OPT_HELP) {
			usage(stdout);
			o->exit_now = 0;
			return;
		}
		int status = take_option(c, o);

		if (status) {
			o->exit_now = status;
			return;
		}
	}
	int status = check(o, argc - optind, argv[optind]);

	if (status)
		o->exit_now = status;
}

/* --- what it costs ------------------------------------------------------------------------------ */

static void on_measure(void *ctx, bool begin)
{
	struct app *a = ctx;

	if (begin)
		a->measured_sessions = load_report(a->load)->open;
	proc_usage(getpid(), begin ? &a->self.begin : &a->self.end);
	if (a->server.known && proc_usage(a->server_pid, begin ? &a->server.begin : &a->server.end))
		a->server.known = false; /* it ended */
}

static void find_server(struct app *a)
{
	a->server_pid = (pid_t)a->o->server_pid;
	if (!a->server_pid && proc_of_udp(call_address(a->probe), &a->server_pid))
		return;
	a->server.known = proc_usage(a->server_pid, &a->server.before) == 0;
	if (!a->server.known)
		fprintf(stderr, "mynah load: process %ld cannot be read\n", (long)a->server_pid);
}

/* Microseconds of CPU for one session and one second. */
static double cpu_of(const struct app *a, const struct cost *c)
{
	double session_seconds = (double)a->measured_sessions * load_report(a->load)->seconds;

	if (session_seconds <= 0 || c->end.cpu_us < c->begin.cpu_us)
		return 0;
	return (double)(c->end.cpu_us - c->begin.cpu_us) / session_seconds;
}

/* --- reports ------------------------------------------------------------------------------------ */

static double ms(const struct histogram *h, double share)
{
	return (double)histogram_percentile(h, share) * 1e-3;
}

static void on_second(void *ctx, const struct load_report *r)
{
	struct app *a = ctx;
	char text[STATUS_BYTES];
	int n;

	if (!a->show_progress)
		return;
	n = snprintf(text, sizeof text, "%s  %u/%u open", r->measuring ? "measuring" : r->seconds > 0 ? "closing" : "opening",
		r->open, r->sessions);
	if (r->failed || r->lost)
		n += snprintf(text + n, sizeof text - (size_t)n, ", %u failed, %u lost", r->failed, r->lost);
	if (r->measuring)
		snprintf(text + n, sizeof text - (size_t)n, "  %.0f s  delay p50 %.1f p99 %.1f ms  gaps %llu  wrong room %llu",
			r->seconds, ms(&r->delay_us, 0.5), ms(&r->delay_us, 0.99), (unsigned long long)r->gaps,
			(unsigned long long)r->wrong_room);
	cmd_status(text);
	a->status_line = true;
}

static void print_row(const char *name, const struct histogram *h)
{
	printf("%-18s %9.2f %9.2f %9.2f %9.2f\n", name, ms(h, 0.5), ms(h, 0.99), ms(h, 0.999), (double)h->max * 1e-3);
}

static double loss_percent(const struct load_report *r)
{
	return r->marks_expected ? 100.0 * (double)r->marks_lost / (double)r->marks_expected : 0;
}

static void print_costs(const struct app *a, const struct load_report *r)
{
	const struct cost *c = &a->server;

	if (c->known)
		printf("server             pid %ld, %.0f us of CPU per session and second; %.1f MB resident, %.1f before\n",
			(long)a->server_pid, cpu_of(a, c), (double)c->end.rss_bytes / 1e6, (double)c->before.rss_bytes / 1e6);
	printf("this client        %.0f us of CPU per session and second; %llu frames skipped\n", cpu_of(a, &a->self),
		(unsigned long long)r->skipped);
}

static void print_table(const struct app *a, const struct load_report *r)
{
	printf("%u sessions in %u rooms, %u talkers, %.1f s: %u opened, %u failed, %u lost\n", r->sessions, r->rooms, r->talkers,
		r->seconds, r->opened, r->failed, r->lost);
	if (r->why[0]) {
		printf("  the last of these: ");
		cmd_print_safe(stdout, r->why);
		putchar('\n');
	}
	printf("%-18s %9s %9s %9s %9s\n", "ms", "p50", "p99", "p99.9", "max");
	print_row("join", &r->join_us);
	print_row("round trip", &r->rtt_us);
	print_row("person to person", &r->delay_us);
	print_row("client late", &r->late_us);
	printf("marks              %llu expected, %llu heard, %llu lost (%.3f %%), %llu gaps, %llu duplicates\n",
		(unsigned long long)r->marks_expected, (unsigned long long)r->marks_heard, (unsigned long long)r->marks_lost,
		loss_percent(r), (unsigned long long)r->gaps, (unsigned long long)r->duplicates);
	printf("frames             %llu sent, %llu received\n", (unsigned long long)r->frames_sent,
		(unsigned long long)r->frames_received);
	printf("wrong room         %llu\n", (unsigned long long)r->wrong_room);
	if (r->own_voice || r->foreign || r->damaged)
		printf("own voice          %llu; marks of another load %llu; damaged %llu\n", (unsigned long long)r->own_voice,
			(unsigned long long)r->foreign, (unsigned long long)r->damaged);
	print_costs(a, r);
}

static void add_histogram(yyjson_mut_doc *d, yyjson_mut_val *o, const char *name, const struct histogram *h)
{
	yyjson_mut_val *v = yyjson_mut_obj_add_obj(d, o, name);

	yyjson_mut_obj_add_uint(d, v, "count", h->count);
	yyjson_mut_obj_add_real(d, v, "mean", h->count ? h->sum / (double)h->count * 1e-3 : 0);
	yyjson_mut_obj_add_real(d, v, "p50", ms(h, 0.5));
	yyjson_mut_obj_add_real(d, v, "p99", ms(h, 0.99));
	yyjson_mut_obj_add_real(d, v, "p999", ms(h, 0.999));
	yyjson_mut_obj_add_real(d, v, "max", (double)h->max * 1e-3);
}

static void add_counts(yyjson_mut_doc *d, yyjson_mut_val *o, const struct load_report *r)
{
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"sessions", r->sessions}, {"rooms", r->rooms}, {"talkers", r->talkers}, {"opened", r->opened}, {"failed", r->failed},
		{"lost_sessions", r->lost}, {"marks_expected", r->marks_expected}, {"marks_heard", r->marks_heard},
		{"marks_lost", r->marks_lost}, {"duplicates", r->duplicates}, {"gaps", r->gaps}, {"wrong_room", r->wrong_room},
		{"own_voice", r->own_voice}, {"foreign", r->foreign}, {"damaged", r->damaged}, {"frames_sent", r->frames_sent},
		{"frames_received", r->frames_received}, {"client_skipped", r->skipped},
	};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		yyjson_mut_obj_add_uint(d, o, counts[i].name, counts[i].value);
	yyjson_mut_obj_add_real(d, o, "seconds", r->seconds);
	yyjson_mut_obj_add_real(d, o, "loss_percent", loss_percent(r));
	yyjson_mut_obj_add_str(d, o, "why", r->why);
}

static void print_json(const struct app *a, const struct load_report *r)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d), *v;

	yyjson_mut_doc_set_root(d, o);
	yyjson_mut_obj_add_str(d, o, "url", a->o->target.url.authority);
	add_counts(d, o, r);
	add_histogram(d, o, "join_ms", &r->join_us);
	add_histogram(d, o, "round_trip_ms", &r->rtt_us);
	add_histogram(d, o, "delay_ms", &r->delay_us);
	add_histogram(d, o, "client_late_ms", &r->late_us);
	yyjson_mut_obj_add_real(d, o, "client_cpu_us", cpu_of(a, &a->self));
	if (a->server.known) {
		v = yyjson_mut_obj_add_obj(d, o, "server");
		yyjson_mut_obj_add_int(d, v, "pid", a->server_pid);
		yyjson_mut_obj_add_real(d, v, "cpu_us", cpu_of(a, &a->server));
		yyjson_mut_obj_add_uint(d, v, "rss_bytes", a->server.end.rss_bytes);
		yyjson_mut_obj_add_uint(d, v, "rss_bytes_before", a->server.before.rss_bytes);
	}
	char *text = yyjson_mut_write(d, 0, NULL);

	puts(text ? text : "{}");
	free(text);
	yyjson_mut_doc_free(d);
}

static int report(struct app *a)
{
	const struct load_report *r = load_report(a->load);

	if (a->status_line)
		cmd_clear_status();
	if (a->o->json)
		print_json(a, r);
	else
		print_table(a, r);
	if (r->wrong_room)
		fprintf(stderr, "mynah load: %llu pieces of sound came from another room\n", (unsigned long long)r->wrong_room);
	if (r->opened == 0 && r->failed > 0)
		return r->status ? EXIT_REFUSED : EXIT_UNREACHABLE;
	if (r->lost || r->wrong_room)
		return EXIT_LOST;
	return r->failed ? EXIT_REFUSED : 0;
}

/* --- the first session: is it the right server, and which of its addresses answers? -------------- */

static void on_probe_open(void *ctx, nsec now)
{
	struct app *a = ctx;

	(void)now;
	a->probe_ok = true;
	call_hang_up(a->probe);
}

static void on_probe_end(void *ctx, const struct call_end *end)
{
	struct app *a = ctx;

	a->probe_end = *end;
}

static int probe(struct app *a)
{
	const struct call_handler handler = {.ctx = a, .on_open = on_probe_open, .on_end = on_probe_end};
	struct url url = a->o->target.url;
	char room[LOAD_ROOM_MAX + 4];
	struct call_opts opts;

	call_opts_default(&opts);
	cmd_trust(&a->o->target, &opts.net);
	opts.net.timeout_ms = a->o->load.net.timeout_ms;
	snprintf(room, sizeof room, "%s-0", a->o->load.room);
	int err = url_set_query(&url, "room", room);

	if (!err)
		err = call_new(&a->loop, &opts, &url, a->o->target.addr, a->o->target.n_addrs, &handler, a->log, &a->probe);
	if (err) {
		fprintf(stderr, "mynah load: %s\n", err_str(err));
		return EXIT_REFUSED;
	}
	uv_run(&a->loop, UV_RUN_DEFAULT);
	if (a->probe_ok || a->stopped)
		return 0;
	fprintf(stderr, "mynah load: ");
	if (a->probe_end.status)
		fprintf(stderr, "refused (%u): ", a->probe_end.status);
	cmd_print_safe(stderr, a->probe_end.text);
	fputc('\n', stderr);
	return a->probe_end.kind == CALL_REFUSED ? EXIT_REFUSED : EXIT_UNREACHABLE;
}

/* --- start and end ------------------------------------------------------------------------------ */

static void on_end(void *ctx)
{
	(void)ctx; /* the loop runs empty */
}

static void stop(void *ctx)
{
	struct app *a = ctx;

	a->stopped = true;
	if (a->load)
		load_stop(a->load);
	else if (a->probe)
		call_hang_up(a->probe);
}

static int run_load(struct app *a)
{
	const struct load_handler handler = {.ctx = a, .on_measure = on_measure, .on_second = on_second, .on_end = on_end};

	find_server(a);
	cmd_trust(&a->o->target, &a->o->load.net);
	int err = load_new(&a->loop, &a->o->load, &a->o->target.url, call_address(a->probe), &handler, a->log, &a->load);

	if (err) {
		fprintf(stderr, "mynah load: %s\n", err_str(err));
		return EXIT_REFUSED;
	}
	uv_run(&a->loop, UV_RUN_DEFAULT);
	return report(a);
}

static int run(struct app *a)
{
	uv_loop_init(&a->loop);
	cmd_signals_open(&a->signals, &a->loop, stop, a);
	int status = probe(a);

	if (!status && !a->stopped)
		status = run_load(a);
	load_free(a->load);
	call_free(a->probe);
	cmd_signals_close(&a->signals);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	uv_loop_close(&a->loop);
	return status;
}

int cmd_load(int argc, char **argv)
{
	struct options o;
	int status;

	parse_options(argc, argv, &o);
	status = o.exit_now >= 0 ? o.exit_now : cmd_resolve("load", &o.target);
	if (status || o.exit_now >= 0)
		return status;
	const struct log_out out = {.fd = STDERR_FILENO, .level = o.verbose ? LOG_DEBUG : LOG_ERROR};
	const struct log log = {.out = &out};
	struct app *a = calloc(1, sizeof *a);

	if (!a)
		return EXIT_REFUSED;
	a->o = &o;
	a->log = &log;
	a->show_progress = !o.quiet && isatty(STDERR_FILENO);
	status = run(a);
	free(a);
	return status;
}
