/* SPDX-License-Identifier: MIT */
/* mynah call: one session from files, pipes and a terminal. */
#include "client/call.h"
#include "client/wav.h"
#include "client/cmd.h"
#include "client/json_line.h"

#include "audio/frame.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/err.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 64, STATUS_BYTES = 160, NAME_BYTES = 65, SECONDS_MAX = 1000000, FIGURES_EVERY = 1000 / MEDIA_FRAME_MS,
	/* Samples of a file that are converted at once; they become six times as many at most. */
	RESAMPLE_AT_ONCE = 128, SPARE_MAX = 2048 };

struct options {
	struct cmd_target target;
	const char *in, *out, *room, *name, *message, *frames;
	double rate_hz, seconds, linger_s, timeout_s; /* seconds, linger_s < 0: not given */
	bool once, mute, json, quiet, verbose;
	int exit_now; /* -1: go on */
};

/* Who is here, for lines that name people; those beyond the table are called by number. */
struct person {
	uint64_t id;
	char name[NAME_BYTES];
};

/* Between a call that was cut and the next one. */
struct gap {
	uv_timer_t timer;     /* runs: the next attempt is due */
	struct call_end loss; /* what is told if nothing comes of it */
	nsec since, until;    /* until 0: there is none */
	unsigned n;           /* that are over */
};

struct app {
	const struct options *o;
	const struct log *log;
	uv_loop_t loop;
	struct cmd_signals signals;
	struct call *call;
	struct gap gap;
	bool leaving;
	struct call_end end;
	struct wav_in *in;
	struct wav_out *out;
	struct resample_table *table; /* these two if the file's rate has no code on the wire */
	struct resample *resample;
	float spare[SPARE_MAX]; /* converted, yet to be said */
	size_t n_spare;
	uint32_t send_rate_hz;
	FILE *text;          /* events and figures: stdout, or stderr if that carries sound */
	bool status_line;    /* the last line of the terminal is ours */
	bool show_status;
	uint64_t frames, ended_at; /* of 20 ms, heard; when the input had ended */
	bool in_ended;
	struct call_stats last, final;
	struct person people[NAMES_MAX];
	size_t n_people;
};

/* --- options ------------------------------------------------------------------------------------ */

static void usage(FILE *f)
{
	fputs("usage: mynah call URL [--in FILE|-] [--out FILE|-] [options]\n"
	      "\n"
	      "  --in FILE         say this WAV file (PCM or floats); - for raw samples from standard input\n"
	      "  --out FILE        write what is heard to this WAV file; - for raw samples to standard output\n"
	      "  --rate HZ         of raw samples and of what is heard, 8000 to 48000 (16000)\n"
	      "  --room NAME       join this room instead of a private one\n"
	      "  --name NAME       what the others read\n"
	      "  --mute            listen only\n"
	      "  --message TEXT    send this to the room\n"
	      "  --seconds S       leave after S seconds\n"
	      "  --linger S        leave S seconds after --in has ended (2, if there is no --seconds)\n"
	      "  --timeout S       give up if there is no answer for S seconds (10)\n"
	      "  --once            end when the connection is cut, instead of connecting again for as long\n"
	      "  --insecure        accept any certificate\n"
	      "  --cert-sha256 HEX accept the certificate with this SHA-256, and no other\n"
	      "  --frames FORM     legacy: a header of two bytes; v1: twelve, with sequence and time (legacy)\n"
	      "  --json            events and figures as one JSON object a line\n"
	      "  --quiet           no events and no figures\n"
	      "  --verbose         say more of the connection\n"
	      "\n"
	      "Exit status: 0 ended as asked, 1 refused, 2 wrong usage, 3 cannot reach the server, 4 lost.\n"
	      "See mynah(1).\n",
		f);
}

static int frames_form(const char *text, struct options *o)
{
	o->frames = text;
	if (strcmp(text, "legacy") == 0 || strcmp(text, "v1") == 0)
		return 0;
	fputs("mynah call: --frames takes legacy or v1\n", stderr);
	return EXIT_USAGE;
}

enum { OPT_IN = 256, OPT_OUT, OPT_RATE, OPT_ROOM, OPT_NAME, OPT_MUTE, OPT_MESSAGE, OPT_SECONDS, OPT_LINGER, OPT_TIMEOUT, OPT_ONCE,
	OPT_INSECURE, OPT_SHA256, OPT_FRAMES, OPT_JSON, OPT_QUIET, OPT_VERBOSE, OPT_HELP };

/* 0, or the exit status. */
static int take_option(int c, struct options *o)
{
	switch (c) {
	case OPT_IN: o->in = optarg; return 0;
	case OPT_OUT: o->out = optarg; return 0;
	case OPT_ROOM: o->room = optarg; return 0;
	case OPT_NAME: o->name = optarg; return 0;
	case OPT_MESSAGE: o->message = optarg; return 0;
	case OPT_ONCE: o->once = true; return 0;
	case OPT_MUTE: o->mute = true; return 0;
	case OPT_JSON: o->json = true; return 0;
	case OPT_QUIET: o->quiet = true; return 0;
	case OPT_VERBOSE: o->verbose = true; return 0;
	case OPT_INSECURE: o->target.insecure = true; return 0;
	case OPT_SHA256: return cmd_sha256("call", optarg, &o->target);
	case OPT_FRAMES: return frames_form(optarg, o);
	case OPT_RATE: return cmd_number("call", "--rate", optarg, AUDIO_RATE_MIN_HZ, AUDIO_RATE_MAX_HZ, &o->rate_hz);
	case OPT_SECONDS: return cmd_number("call", "--seconds", optarg, 0, SECONDS_MAX, &o->seconds);
	case OPT_LINGER: return cmd_number("call", "--linger", optarg, 0, SECONDS_MAX, &o->linger_s);
	case OPT_TIMEOUT: return cmd_number("call", "--timeout", optarg, 0.1, 600, &o->timeout_s);
	default: usage(stderr); return EXIT_USAGE;
	}
}

static int set_query(struct options *o, const char *key, const char *value)
{
	if (!value || url_set_query(&o->target.url, key, value) == 0)
		return 0;
	fprintf(stderr, "mynah call: --%s is too long\n", key);
	return EXIT_USAGE;
}

static int check(struct options *o, int n_urls, const char *url)
{
	if (n_urls != 1) {
		fputs("mynah call: one URL is needed\n", stderr);
		usage(stderr);
		return EXIT_USAGE;
	}
	int status = cmd_url("call", url, &o->target);

	if (!status)
		status = set_query(o, "room", o->room);
	if (!status)
		status = set_query(o, "name", o->name);
	if (!status)
		status = set_query(o, "frames", o->frames);
	return status;
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{"in", required_argument, NULL, OPT_IN}, {"out", required_argument, NULL, OPT_OUT},
		{"rate", required_argument, NULL, OPT_RATE}, {"room", required_argument, NULL, OPT_ROOM},
		{"name", required_argument, NULL, OPT_NAME}, {"mute", no_argument, NULL, OPT_MUTE},
		{"message", required_argument, NULL, OPT_MESSAGE}, {"seconds", required_argument, NULL, OPT_SECONDS},
		{"linger", required_argument, NULL, OPT_LINGER}, {"timeout", required_argument, NULL, OPT_TIMEOUT},
		{"once", no_argument, NULL, OPT_ONCE},
		{"insecure", no_argument, NULL, OPT_INSECURE}, {"cert-sha256", required_argument, NULL, OPT_SHA256},
		{"frames", required_argument, NULL, OPT_FRAMES}, {"json", no_argument, NULL, OPT_JSON},
		{"quiet", no_argument, NULL, OPT_QUIET}, {"verbose", no_argument, NULL, OPT_VERBOSE},
		{"help", no_argument, NULL, OPT_HELP}, {0},
	};
	struct options o = {.rate_hz = 16000, .seconds = -1, .linger_s = -1, .timeout_s = 10, .exit_now = -1};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == OPT_HELP) {
			usage(stdout);
			o.exit_now = 0;
			return o;
		}
		int status = take_option(c, &o);

		if (status) {
			o.exit_now = status;
			return o;
		}
	}
	int status = check(&o, argc - optind, argv[optind]);

	if (status)
		o.exit_now = status;
	return o;
}

/* --- lines for people --------------------------------------------------------------------------- */

static void clear_status(struct app *a)
{
	if (a->status_line)
		cmd_clear_status();
	a->status_line = false;
}

/* One event in words: pieces of ours and of peers, up to NULL. */
static void show(struct app *a, const char *piece, ...)
{
	va_list ap;

	if (a->o->quiet || a->o->json)
		return;
	clear_status(a);
	va_start(ap, piece);
	for (const char *p = piece; p; p = va_arg(ap, const char *))
		cmd_print_safe(a->text, p);
	va_end(ap);
	fputc('\n', a->text);
	fflush(a->text);
}

static const char *text_of(yyjson_val *obj, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(obj, key));

	return s ? s : "";
}

static struct person *find_person(struct app *a, uint64_t id)
{
	for (size_t i = 0; i < a->n_people; i++)
		if (a->people[i].id == id)
			return &a->people[i];
	return NULL;
}

static void learn(struct app *a, yyjson_val *participant)
{
	uint64_t id = yyjson_get_uint(yyjson_obj_get(participant, "id"));
	struct person *p = find_person(a, id);

	if (!p && a->n_people < NAMES_MAX)
		p = &a->people[a->n_people++];
	if (!p)
		return;
	p->id = id;
	snprintf(p->name, sizeof p->name, "%s", text_of(participant, "name"));
}

static void forget(struct app *a, uint64_t id)
{
	struct person *p = find_person(a, id);

	if (p)
		*p = a->people[--a->n_people];
}

static const char *name_of(struct app *a, yyjson_val *id, char number[24])
{
	const struct person *p = find_person(a, yyjson_get_uint(id));

	if (p)
		return p->name;
	snprintf(number, 24, "#%llu", (unsigned long long)yyjson_get_uint(id));
	return number;
}

/* A worker that is not there. */
static const char *went(yyjson_val *o)
{
	return yyjson_get_bool(yyjson_obj_get(o, "left")) ? "left" : "failed";
}

static void show_participant(struct app *a, yyjson_val *p)
{
	bool bridge = yyjson_get_bool(yyjson_obj_get(p, "bridge")), down = yyjson_is_false(yyjson_obj_get(p, "up"));

	show(a, "  here: ", text_of(p, "name"), bridge ? " (bridge)" : "", down ? ", which has " : "", down ? went(p) : "",
		down ? ": " : "", down ? text_of(p, "text") : "", NULL);
}

static void show_welcome(struct app *a, yyjson_val *o)
{
	yyjson_val *people = yyjson_obj_get(o, "participants"), *p;
	bool alone = yyjson_get_bool(yyjson_obj_get(o, "private"));
	uint64_t me = yyjson_get_uint(yyjson_obj_get(o, "participant"));
	size_t i, n;

	show(a, "you are ", text_of(o, "name"), alone ? " in a private room" : " in room ", alone ? "" : text_of(o, "room"),
		NULL);
	yyjson_arr_foreach(people, i, n, p) {
		learn(a, p);
		if (yyjson_get_uint(yyjson_obj_get(p, "id")) != me)
			show_participant(a, p);
	}
}

static void show_bridge(struct app *a, yyjson_val *o, const char *who)
{
	yyjson_val *by = yyjson_obj_get(o, "by");
	const char *mode = text_of(o, "mode");
	char number[24];

	if (by) {
		show(a, who, strcmp(mode, "muted") == 0 ? " is muted" : strcmp(mode, "listening") == 0 ? " only listens" :
			" may speak again", ", says ", name_of(a, by, number), NULL);
		return;
	}
	bool up = yyjson_get_bool(yyjson_obj_get(o, "up"));

	show(a, who, up ? " is back" : " has ", up ? "" : went(o), text_of(o, "text")[0] ? ": " : "", text_of(o, "text"), NULL);
}

static void show_event(struct app *a, yyjson_val *o)
{
	const char *type = text_of(o, "type");
	char number[24];
	yyjson_val *id = yyjson_obj_get(o, strcmp(type, "message") == 0 ? "from" : "id");
	const char *who = name_of(a, id, number);

	if (strcmp(type, "welcome") == 0) {
		show_welcome(a, o);
	} else if (strcmp(type, "joined") == 0) {
		learn(a, yyjson_obj_get(o, "participant"));
		show(a, text_of(yyjson_obj_get(o, "participant"), "name"), " joined", NULL);
	} else if (strcmp(type, "left") == 0) {
		show(a, who, " left (", text_of(o, "reason"), ")", NULL);
		forget(a, yyjson_get_uint(id));
	} else if (strcmp(type, "speaking") == 0) {
		show(a, who, yyjson_get_bool(yyjson_obj_get(o, "speaking")) ? " speaks" : " is silent", NULL);
	} else if (strcmp(type, "mute") == 0) {
		show(a, who, yyjson_get_bool(yyjson_obj_get(o, "muted")) ? " is muted" : " is unmuted", NULL);
	} else if (strcmp(type, "message") == 0) {
		show(a, who, ": ", text_of(o, "text"), NULL);
	} else if (strcmp(type, "transcript") == 0) {
		show(a, who, yyjson_get_bool(yyjson_obj_get(o, "final")) ? " said: " : " says: ", text_of(o, "text"), NULL);
	} else if (strcmp(type, "bridge") == 0) {
		show_bridge(a, o, who);
	} else if (strcmp(type, "warning") == 0 || strcmp(type, "error") == 0) {
		show(a, type, ": ", text_of(o, "text"), NULL);
	} else if (strcmp(type, "bye") == 0) {
		show(a, "the server says goodbye: ", text_of(o, "text"), NULL);
	}
}

static void on_line(void *ctx, const char *line, size_t len, nsec now)
{
	struct app *a = ctx;
	yyjson_doc *doc = json_line(line, len);
	yyjson_val *o = yyjson_doc_get_root(doc);

	(void)now;
	if (!yyjson_is_obj(o)) {
		yyjson_doc_free(doc);
		return;
	}
	if (a->o->json && !a->o->quiet) {
		fwrite(line, 1, len, a->text);
		fputc('\n', a->text);
		fflush(a->text);
	} else {
		show_event(a, o);
	}
	yyjson_doc_free(doc);
}

/* --- figures ------------------------------------------------------------------------------------ */

static void show_status(struct app *a, const struct call_stats *s)
{
	unsigned t = (unsigned)(s->seconds + 0.5);
	char text[STATUS_BYTES];

	if (!a->show_status)
		return;
	snprintf(text, sizeof text, "%u:%02u  said %6.1f  heard %6.1f dBFS  %2llu/s  rtt %.1f ms  buffer %.0f ms  lost %llu",
		t / 60, t % 60, s->media.sent_dbfs, s->media.played_dbfs, (unsigned long long)(s->media.frames_received - a->last.media.frames_received),
		s->rtt_ms, s->media.buffer_ms, (unsigned long long)(s->packets_lost + s->media.frames_lost));
	cmd_status(text);
	a->status_line = true;
}

static void add_figures(yyjson_mut_doc *d, yyjson_mut_val *o, const struct call_stats *s)
{
	yyjson_mut_obj_add_real(d, o, "seconds", s->seconds);
	yyjson_mut_obj_add_real(d, o, "join_ms", s->join_ms);
	yyjson_mut_obj_add_real(d, o, "rtt_ms", s->rtt_ms);
	yyjson_mut_obj_add_real(d, o, "jitter_ms", s->media.jitter_ms);
	yyjson_mut_obj_add_real(d, o, "buffer_ms", s->media.buffer_ms);
	yyjson_mut_obj_add_real(d, o, "said_dbfs", s->media.sent_dbfs);
	yyjson_mut_obj_add_real(d, o, "heard_dbfs", s->media.played_dbfs);
	yyjson_mut_obj_add_uint(d, o, "frames_said", s->media.packets_sent);
	yyjson_mut_obj_add_uint(d, o, "samples_said", s->media.samples_sent);
	yyjson_mut_obj_add_uint(d, o, "frames_heard", s->media.frames_received);
	yyjson_mut_obj_add_uint(d, o, "concealed", s->media.concealed);
	yyjson_mut_obj_add_uint(d, o, "bad_frames", s->media.bad_frames);
	yyjson_mut_obj_add_uint(d, o, "late", s->late);
	yyjson_mut_obj_add_uint(d, o, "packets_lost", s->packets_lost);
	yyjson_mut_obj_add_uint(d, o, "frames_lost", s->media.frames_lost);
	yyjson_mut_obj_add_uint(d, o, "flushes", s->media.flushes);
}

static void print_json(struct app *a, yyjson_mut_doc *d, yyjson_mut_val *o)
{
	yyjson_mut_doc_set_root(d, o);
	char *text = yyjson_mut_write(d, 0, NULL);

	if (text)
		fprintf(a->text, "%s\n", text);
	fflush(a->text);
	free(text);
	yyjson_mut_doc_free(d);
}

static void figures(struct app *a)
{
	struct call_stats s;

	call_stats(a->call, &s);
	if (a->o->json && !a->o->quiet) {
		yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *o = yyjson_mut_obj(d);

		yyjson_mut_obj_add_str(d, o, "type", "figures");
		add_figures(d, o, &s);
		print_json(a, d, o);
	} else {
		show_status(a, &s);
	}
	a->last = s;
}

static const char *const end_names[] = {
	[CALL_ENDED] = "ended", [CALL_REFUSED] = "refused", [CALL_UNREACHABLE] = "unreachable", [CALL_LOST] = "lost"};

static void summary_json(struct app *a)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d);

	yyjson_mut_obj_add_str(d, o, "type", "end");
	yyjson_mut_obj_add_str(d, o, "end", end_names[a->end.kind]);
	yyjson_mut_obj_add_uint(d, o, "status", a->end.status);
	yyjson_mut_obj_add_uint(d, o, "code", a->end.code);
	yyjson_mut_obj_add_str(d, o, "text", a->end.text);
	yyjson_mut_obj_add_uint(d, o, "cuts", a->gap.n);
	add_figures(d, o, &a->final);
	print_json(a, d, o);
}

static void summary(struct app *a)
{
	const struct call_stats *s = &a->final;
	char text[256];

	clear_status(a);
	if (a->end.kind == CALL_REFUSED || a->end.kind == CALL_UNREACHABLE || a->end.kind == CALL_LOST) {
		char status[16] = "";

		if (a->end.status)
			snprintf(status, sizeof status, " (%u)", a->end.status);
		fprintf(stderr, "mynah call: %s%s: ", end_names[a->end.kind], status);
		cmd_print_safe(stderr, a->end.text[0] ? a->end.text : "the server gave no reason");
		fputc('\n', stderr);
	}
	if (a->o->json && !a->o->quiet) {
		summary_json(a);
	} else if (a->end.kind == CALL_ENDED || a->end.kind == CALL_LOST) {
		snprintf(text, sizeof text, "%.1f s: %llu frames said, %llu heard; %llu pieces concealed, %llu packets lost, rtt %.1f ms",
			s->seconds, (unsigned long long)s->media.packets_sent, (unsigned long long)s->media.frames_received,
			(unsigned long long)s->media.concealed, (unsigned long long)s->packets_lost, s->rtt_ms);
		show(a, text, NULL);
	}
}

/* --- the call ----------------------------------------------------------------------------------- */

/* A file whose rate has no code on the wire is converted to 48 kHz. */
static size_t say_resampled(struct app *a, int16_t *pcm, size_t n)
{
	int16_t in[RESAMPLE_AT_ONCE];
	float x[RESAMPLE_AT_ONCE];
	size_t got;

	while (a->n_spare < n && (got = wav_in_read(a->in, in, RESAMPLE_AT_ONCE)) > 0) {
		pcm_from_i16(x, in, got);
		a->n_spare += resample_run(a->resample, x, got, a->spare + a->n_spare, SPARE_MAX - a->n_spare);
	}
	if (n > a->n_spare)
		n = a->n_spare;
	pcm_to_i16(pcm, a->spare, n);
	a->n_spare -= n;
	memmove(a->spare, a->spare + n, a->n_spare * sizeof *a->spare);
	return n;
}

static size_t on_capture(void *ctx, int16_t *pcm, size_t n)
{
	struct app *a = ctx;

	if (a->in_ended)
		return 0;
	size_t got = a->resample ? say_resampled(a, pcm, n) : wav_in_read(a->in, pcm, n);

	if (got == 0 && wav_in_ended(a->in)) {
		a->in_ended = true;
		a->ended_at = a->frames;
	}
	return got;
}

static bool time_to_leave(const struct app *a)
{
	const struct options *o = a->o;
	double linger_s = o->linger_s >= 0 ? o->linger_s : 2;

	if (o->seconds >= 0 && (double)(a->frames * MEDIA_FRAME_MS) * 1e-3 >= o->seconds)
		return true;
	if (!a->in_ended || (o->linger_s < 0 && o->seconds >= 0))
		return false;
	return (double)((a->frames - a->ended_at) * MEDIA_FRAME_MS) * 1e-3 >= linger_s;
}

static void on_play(void *ctx, const int16_t *pcm, size_t n, nsec now)
{
	struct app *a = ctx;

	(void)now;
	a->frames++;
	if (a->out && wav_out_write(a->out, pcm, n)) {
		call_hang_up(a->call); /* nobody reads any more */
		return;
	}
	if (a->frames % FIGURES_EVERY == 0)
		figures(a);
	if (time_to_leave(a))
		call_hang_up(a->call);
}

static void send_message(struct app *a, nsec now)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d);

	yyjson_mut_doc_set_root(d, o);
	yyjson_mut_obj_add_str(d, o, "type", "message");
	yyjson_mut_obj_add_str(d, o, "text", a->o->message);
	char *line = yyjson_mut_write(d, 0, NULL);

	if (!line || call_send_line(a->call, line, now))
		fputs("mynah call: the message could not be sent\n", stderr);
	free(line);
	yyjson_mut_doc_free(d);
}

/* What is written goes on through the gap, and so do the seconds. */
static void fill_gap(struct app *a, nsec now)
{
	static const int16_t silence[MEDIA_SAMPLES_MAX];
	size_t n = (size_t)a->o->rate_hz * MEDIA_FRAME_MS / 1000;

	for (nsec t = a->gap.since; t + nsec_from_ms(MEDIA_FRAME_MS) <= now; t += nsec_from_ms(MEDIA_FRAME_MS)) {
		a->frames++;
		if (a->out)
			wav_out_write(a->out, silence, n);
	}
}

static void tell_gap(struct app *a, const char *type, const char *text, double gap_ms)
{
	if (!a->o->json || a->o->quiet)
		return;
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d);

	yyjson_mut_obj_add_str(d, o, "type", type);
	if (text)
		yyjson_mut_obj_add_str(d, o, "text", text);
	else
		yyjson_mut_obj_add_real(d, o, "gap_ms", gap_ms);
	print_json(a, d, o);
}

static void end_gap(struct app *a, nsec now)
{
	fill_gap(a, now);
	tell_gap(a, "back", NULL, (double)(now - a->gap.since) * 1e-6);
	a->gap.until = 0;
	a->gap.n++;
	a->n_people = 0;
	memset(&a->last, 0, sizeof a->last);
}

static void on_open(void *ctx, nsec now)
{
	struct app *a = ctx;

	show(a, "connected to ", a->o->target.url.authority, NULL);
	if (a->gap.until)
		end_gap(a, now);
	else if (a->o->message)
		send_message(a, now);
}

static void begin_gap(struct app *a, const struct call_end *loss)
{
	a->gap.loss = *loss;
	a->gap.since = clock_now();
	a->gap.until = a->gap.since + nsec_from_ms((uint64_t)(a->o->timeout_s * 1000));
	show(a, loss->text, "; connecting again", NULL);
	tell_gap(a, "cut", loss->text, 0);
}

static void finish(struct app *a, const struct call_end *why)
{
	a->end = a->gap.until && why->kind != CALL_ENDED ? a->gap.loss : *why;
	cmd_signals_close(&a->signals);
	uv_close((uv_handle_t *)&a->gap.timer, NULL);
}

static void on_next_attempt(uv_timer_t *t);

/* A call that was cut is followed by another, at once: a server that resets is there already. If that fails, by more. */
static void on_end(void *ctx, const struct call_end *why)
{
	enum { AGAIN_MS = 300 };
	struct app *a = ctx;
	bool first = !a->gap.until;

	if (first)
		call_stats(a->call, &a->final);
	if (first && why->kind == CALL_LOST && why->cut && !a->o->once && !a->leaving)
		begin_gap(a, why);
	if (a->gap.until && why->kind != CALL_ENDED && clock_now() < a->gap.until)
		uv_timer_start(&a->gap.timer, on_next_attempt, first && a->final.seconds >= 1 ? 0 : AGAIN_MS, 0);
	else
		finish(a, why);
}

static void stop(void *ctx)
{
	struct app *a = ctx;

	a->leaving = true;
	if (uv_is_active((uv_handle_t *)&a->gap.timer))
		uv_timer_start(&a->gap.timer, on_next_attempt, 0, 0);
	else
		call_hang_up(a->call);
}

/* --- start and end ------------------------------------------------------------------------------ */

static bool rate_has_code(uint32_t hz)
{
	return hz % 100 == 0 || hz == 11025 || hz == 22050;
}

static int open_in(struct app *a)
{
	char why[WAV_ERROR];

	a->send_rate_hz = (uint32_t)a->o->rate_hz;
	if (!a->o->in)
		return 0;
	if (wav_in_open(a->o->in, a->send_rate_hz, &a->in, why)) {
		fprintf(stderr, "mynah call: %s\n", why);
		return EXIT_USAGE;
	}
	a->send_rate_hz = wav_in_rate(a->in);
	if (rate_has_code(a->send_rate_hz))
		return 0;
	a->send_rate_hz = AUDIO_RATE_MAX_HZ;
	int err = resample_table_new(&a->table);

	if (!err)
		err = resample_new(a->table, wav_in_rate(a->in), a->send_rate_hz, &a->resample);
	if (err)
		fprintf(stderr, "mynah call: %s\n", err_str(err));
	return err ? EXIT_REFUSED : 0;
}

static int open_files(struct app *a)
{
	char why[WAV_ERROR];
	int status = open_in(a);

	if (status || !a->o->out)
		return status;
	if (wav_out_open(a->o->out, (uint32_t)a->o->rate_hz, &a->out, why)) {
		fprintf(stderr, "mynah call: %s\n", why);
		return EXIT_USAGE;
	}
	return 0;
}

static int close_files(struct app *a, int status)
{
	if (a->out && wav_out_dropped(a->out))
		fprintf(stderr, "mynah call: standard output was too slow: %llu samples were dropped\n",
			(unsigned long long)wav_out_dropped(a->out));
	if (wav_out_close(a->out) && status == 0) {
		fprintf(stderr, "mynah call: %s could not be written\n", a->o->out);
		status = EXIT_REFUSED;
	}
	wav_in_close(a->in);
	resample_free(a->resample);
	resample_table_free(a->table);
	return status;
}

static int start_call(struct app *a)
{
	const struct call_handler handler = {.ctx = a, .capture = a->in ? on_capture : NULL, .play = on_play, .on_open = on_open,
		.on_line = on_line, .on_end = on_end};
	const struct cmd_target *t = &a->o->target;
	struct call_opts opts;

	call_opts_default(&opts);
	cmd_trust(t, &opts.net);
	opts.net.timeout_ms = (uint32_t)(a->o->timeout_s * 1000);
	opts.play_rate_hz = (uint32_t)a->o->rate_hz;
	opts.send_rate_hz = a->send_rate_hz;
	opts.muted = a->o->mute;
	opts.v1 = a->o->frames && strcmp(a->o->frames, "v1") == 0;
	return call_new(&a->loop, &opts, &t->url, t->addr, t->n_addrs, &handler, a->log, &a->call);
}

static void on_next_attempt(uv_timer_t *t)
{
	struct app *a = t->data;
	const struct call_end ended = {.kind = CALL_ENDED};

	call_free(a->call);
	a->call = NULL;
	if (a->leaving)
		finish(a, &ended);
	else if (start_call(a))
		finish(a, &a->gap.loss);
}

static int run(struct app *a)
{
	static const int status_of[] = {
		[CALL_ENDED] = 0, [CALL_REFUSED] = EXIT_REFUSED, [CALL_UNREACHABLE] = EXIT_UNREACHABLE, [CALL_LOST] = EXIT_LOST};

	uv_loop_init(&a->loop);
	int err = start_call(a);

	if (err) {
		fprintf(stderr, "mynah call: %s\n", err_str(err));
		uv_loop_close(&a->loop);
		return EXIT_REFUSED;
	}
	uv_timer_init(&a->loop, &a->gap.timer);
	a->gap.timer.data = a;
	cmd_signals_open(&a->signals, &a->loop, stop, a);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	summary(a);
	call_free(a->call);
	uv_loop_close(&a->loop);
	return status_of[a->end.kind];
}

int cmd_call(int argc, char **argv)
{
	struct options o = parse_options(argc, argv);
	const struct log_out out = {.fd = STDERR_FILENO, .level = o.verbose ? LOG_DEBUG : LOG_ERROR};
	const struct log log = {.out = &out};
	struct app *a;
	int status = o.exit_now;

	if (status >= 0)
		return status;
	status = cmd_resolve("call", &o.target);
	if (status)
		return status;
	a = calloc(1, sizeof *a);
	if (!a)
		return EXIT_REFUSED;
	a->o = &o;
	a->log = &log;
	a->text = o.out && strcmp(o.out, "-") == 0 ? stderr : stdout;
	a->show_status = !o.quiet && !o.json && isatty(STDERR_FILENO);
	signal(SIGPIPE, SIG_IGN);
	status = open_files(a);
	if (!status)
		status = run(a);
	status = close_files(a, status);
	free(a);
	return status;
}
