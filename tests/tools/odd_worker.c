/* SPDX-License-Identifier: MIT */
/*
 * A bridge worker that behaves as it is told: odd_worker MODE [ARGUMENT]. On stdin and stdout, or on the socket
 * that the tests hold at its other end.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HANGUP = 0x00, UUID = 0x01, AUDIO16 = 0x12, FLUSH = 0x20, MARK = 0x21, EVENT = 0x22 };

static uint8_t payload[65536];

static int next_record(size_t *len)
{
	uint8_t head[3];

	if (fread(head, 1, 3, stdin) != 3)
		return -1;
	*len = (size_t)head[1] << 8 | head[2];
	if (fread(payload, 1, *len, stdin) != *len)
		return -1;
	payload[*len] = 0;
	return head[0];
}

static void put(int type, const void *p, size_t len)
{
	const uint8_t head[3] = {(uint8_t)type, (uint8_t)(len >> 8), (uint8_t)len};

	if (fwrite(head, 1, 3, stdout) != 3 || (len && fwrite(p, 1, len, stdout) != len) || fflush(stdout))
		_exit(4);
}

static void put_event(const char *json)
{
	put(EVENT, json, strlen(json));
}

/* A message with `text`, whose quotes and backslashes are escaped. */
static void put_message(const char *text)
{
	static char json[16384];
	size_t n = (size_t)sprintf(json, "{\"type\":\"message\",\"text\":\"");

	for (; *text && n < sizeof json - 8; text++) {
		if (*text == '"' || *text == '\\')
			json[n++] = '\\';
		json[n++] = *text;
	}
	strcpy(json + n, "\"}");
	put_event(json);
}

static void put_sound(unsigned ms)
{
	static int16_t pcm[32 * 1000];

	for (unsigned i = 0; i < 16 * ms; i++)
		pcm[i] = (int16_t)(i % 2 ? 8000 : -8000);
	put(AUDIO16, pcm, 32 * (size_t)ms);
}

static _Noreturn void sleep_on(void)
{
	for (;;)
		pause();
}

static void until_hangup(void (*each)(int type, size_t len))
{
	size_t len;

	for (int type; (type = next_record(&len)) > HANGUP;)
		if (each)
			each(type, len);
}

/* ---- good ones ---- */

static void echo_one(int type, size_t len)
{
	if (type == AUDIO16)
		put(type, payload, len);
}

static void mode_echo(void) { until_hangup(echo_one); }

static unsigned n_uuid, n_other;

static void be_strict(int type, size_t len)
{
	if (type == UUID && len == 16 && n_uuid++ == 0 && n_other == 0)
		return;
	n_other++;
	if (type != AUDIO16 || len != 640)
		_exit(9);
}

static void mode_strict(void) { until_hangup(be_strict); }

static void tell_mark(int type, size_t len)
{
	(void)len;
	if (type == MARK)
		put_message((char *)payload);
}

static void mode_marks(void)
{
	put_sound(200);
	put(MARK, "a", 1);
	put_sound(300);
	put(MARK, "b", 1);
	until_hangup(tell_mark);
}

static void tell_event(int type, size_t len)
{
	(void)len;
	if (type == EVENT)
		put_message((char *)payload);
}

static void mode_events(void)
{
	put_event("{\"type\":\"ready\"}");
	put_event("{\"type\":\"transcript\",\"participant\":7,\"text\":\"h\\u00e4?\",\"final\":false}");
	put_event("{\"type\":\"transcript\",\"text\":\"so\"}");
	until_hangup(tell_event);
}

static unsigned heard;

static void flush_later(int type, size_t len)
{
	tell_mark(type, len);
	tell_event(type, len);
	if (type == AUDIO16 && ++heard == 20)
		put(FLUSH, NULL, 0);
}

static void mode_flush(void)
{
	put_sound(1000);
	put(MARK, "never", 5);
	until_hangup(flush_later);
}

static void mode_burst(void)
{
	for (int i = 0; i < 10; i++)
		put_sound(1000);
	until_hangup(NULL);
}

static void mode_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	char list[1000] = "";

	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
			sprintf(list + strlen(list), "%s ", e->d_name);
	closedir(d);
	fprintf(stderr, "fds %s\n", list);
	put_message(list);
	until_hangup(NULL);
}

static void mode_env(void)
{
	static const char *const names[] = {"OPENAI_API_KEY", "SHOP_KEY", "SHOP_KEY_ID", "GREETING"};
	char text[200];

	snprintf(text, sizeof text, "%s %s %s %s", getenv("MYNAH_BRIDGE"), getenv("MYNAH_SAMPLE_RATE"),
		getenv("MYNAH_FRAME_SAMPLES"), getenv("NOTIFY_SOCKET") ? "notify" : "-");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(text);
		const char *value = getenv(names[i]);

		snprintf(text + n, sizeof text - n, " %s", value ? value : "-");
	}
	put_message(text);
	until_hangup(NULL);
}

/* ---- bad ones ---- */

static void mode_hang(void)
{
	signal(SIGTERM, SIG_IGN);
	fprintf(stderr, "hanging\n");
	put_message("hanging");
	sleep_on();
}

static void mode_stalled(void)
{
	put_message("stalled");
	sleep_on();
}

static void mode_flood(void)
{
	for (;;)
		put_sound(1000);
}

static void mode_shout(void)
{
	for (;;)
		fprintf(stderr, "a line of stderr\n");
}

static void mode_stderr(void)
{
	fprintf(stderr, "one\nt\"w\"o\n\x1b[31mthree");
	exit(0);
}

static void mode_half(void)
{
	fwrite("\x12\x01\x00hal", 1, 6, stdout);
	fflush(stdout);
	sleep_on();
}

static void mode_cut(void)
{
	fwrite("\x12\x01\x00hal", 1, 6, stdout);
	fflush(stdout);
	close(STDOUT_FILENO);
	sleep_on();
}

static void mode_garbage(void)
{
	printf("Traceback (most recent call last):\n");
	fflush(stdout);
	sleep_on();
}

static void mode_rate(void)
{
	put(0x10, "1234", 4);
	until_hangup(NULL);
}

static void mode_badjson(void)
{
	put_event("{\"type\":\"message\",\"text\":\"\xff\"}");
	until_hangup(NULL);
}

static void mode_notext(void)
{
	put_event("{\"type\":\"message\"}");
	until_hangup(NULL);
}

static const char *argument; /* NULL: none */

static void mode_bye(void)
{
	put(HANGUP, NULL, 0);
	until_hangup(NULL);
}

/* Leaves while the last of it is still in the pipe. */
static void mode_parting(void)
{
	for (int i = 0; i < 3; i++)
		put_sound(1000);
	exit(atoi(argument));
}

static void mode_error(void)
{
	put(0xff, "\x04", 1);
	until_hangup(NULL);
}

static void mode_abort(void)
{
	raise(SIGKILL);
}

/* Leaves a child behind that nothing but SIGKILL ends, and tells its number. */
static void mode_orphan(void)
{
	pid_t pid = fork();
	char text[20];

	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		sleep_on();
	}
	snprintf(text, sizeof text, "%d", (int)pid);
	put_message(text);
	until_hangup(NULL);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } modes[] = {
		{"echo", mode_echo}, {"strict", mode_strict}, {"marks", mode_marks}, {"events", mode_events},
		{"flush", mode_flush}, {"burst", mode_burst}, {"fds", mode_fds}, {"env", mode_env}, {"hang", mode_hang},
		{"stalled", mode_stalled}, {"flood", mode_flood}, {"shout", mode_shout}, {"stderr", mode_stderr}, {"half", mode_half},
		{"cut", mode_cut}, {"garbage", mode_garbage}, {"rate", mode_rate}, {"badjson", mode_badjson},
		{"notext", mode_notext}, {"bye", mode_bye}, {"error", mode_error}, {"abort", mode_abort}, {"orphan", mode_orphan},
		{"parting", mode_parting},
	};

	argument = argc > 2 ? argv[2] : NULL;
	if (argument && strcmp(argv[1], "exit") == 0)
		return atoi(argument);
	for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run();
			return 0;
		}
	fprintf(stderr, "odd_worker: what is %s?\n", argc > 1 ? argv[1] : "nothing");
	return 2;
}
