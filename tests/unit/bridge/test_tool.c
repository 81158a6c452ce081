/* SPDX-License-Identifier: MIT */
/* Tools on a real loop: the result that a model gets, whatever the program does. */
#include "support/test.h"

#include "base/err.h"
#include "bridge/openai_opts.h"
#include "bridge/tool.h"
#include "bridge/ws_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { BENCH_TOOLS = 24, BENCH_ANSWERS = 80 };

struct bench {
	uv_loop_t loop;
	uv_timer_t limit, tick;
	struct bridge_opts opts;
	struct bridge_tool tools[BENCH_TOOLS];
	struct log_out out;
	struct log log;
	struct tools *t;
	size_t until;          /* results */
	bool late, cancel_next;
	size_t n;
	uint64_t calls[BENCH_ANSWERS];
	bool good[BENCH_ANSWERS];
	uint64_t at_ms[BENCH_ANSWERS];
	char json[BENCH_ANSWERS][300]; /* the beginning */
	size_t len[BENCH_ANSWERS];
	uint64_t began_ms;
	char lines[200][400];
	size_t n_lines;
};

static void on_answer(void *ctx, uint64_t call, bool good, const char *json, size_t len)
{
	struct bench *b = ctx;

	assert_true(b->n < BENCH_ANSWERS);
	b->calls[b->n] = call;
	b->good[b->n] = good;
	b->len[b->n] = len;
	b->at_ms[b->n] = uv_hrtime() / 1000000 - b->began_ms;
	snprintf(b->json[b->n++], sizeof b->json[0], "%.*s", (int)len, json);
	if (b->cancel_next)
		tools_cancel(b->t);
	if (b->n >= b->until)
		uv_stop(&b->loop);
}

static void on_line(void *ctx, enum log_level level, const char *line)
{
	struct bench *b = ctx;

	(void)level;
	if (b->n_lines < 200)
		snprintf(b->lines[b->n_lines++], sizeof b->lines[0], "%s", line);
}

static size_t count_lines(const struct bench *b, const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_lines; i++)
		n += strstr(b->lines[i], what) != NULL;
	return n;
}

static void on_late(uv_timer_t *t)
{
	struct bench *b = t->data;

	b->late = true;
	uv_stop(&b->loop);
}

static void on_tick(uv_timer_t *t)
{
	tools_tick(((struct bench *)t->data)->t);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&b->loop);
	uv_timer_init(&b->loop, &b->limit);
	uv_timer_init(&b->loop, &b->tick);
	b->limit.data = b->tick.data = b;
	bridge_opts_default(&b->opts);
	snprintf(b->opts.name, sizeof b->opts.name, "clerk");
	b->opts.loop = &b->loop;
	b->opts.tools = b->tools;
	b->out = (struct log_out){.fd = -1, .level = LOG_DEBUG, .hook = on_line, .hook_ctx = b};
	b->log.out = &b->out;
	b->until = SIZE_MAX;
	b->began_ms = uv_hrtime() / 1000000;
	*state = b;
	return 0;
}

static void open_bench(struct bench *b)
{
	const struct tools_opts o = {.bridge = &b->opts, .room = "call \"7\"", .log = &b->log, .on_result = on_answer, .ctx = b};

	assert_int_equal(tools_new(&o, &b->t), 0);
	uv_timer_start(&b->tick, on_tick, 20, 20);
}

/* Returns how many milliseconds passed until nothing was left. */
static uint64_t close_bench(struct bench *b)
{
	uint64_t before = uv_hrtime();

	tools_close(b->t);
	b->t = NULL;
	uv_close((uv_handle_t *)&b->limit, NULL);
	uv_close((uv_handle_t *)&b->tick, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	return (uv_hrtime() - before) / 1000000;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	if (b->t)
		close_bench(b);
	free(b);
	return 0;
}

static void add_tool(struct bench *b, const char *name, const char *script, uint32_t timeout_ms)
{
	struct bridge_tool *t = &b->tools[b->opts.n_tools++];

	bridge_tool_default(t);
	snprintf(t->name, sizeof t->name, "%s", name);
	snprintf(t->command[0], sizeof t->command[0], "sh");
	snprintf(t->command[1], sizeof t->command[1], "-c");
	snprintf(t->command[2], sizeof t->command[2], "%s", script);
	t->n_command = 3;
	t->timeout_ms = timeout_ms;
}

static void call(struct bench *b, uint64_t id, const char *name, const char *arguments)
{
	tools_call(b->t, id, name, arguments, strlen(arguments));
}

/* Runs until there are `n` results. */
static void await(struct bench *b, size_t n)
{
	b->until = n;
	b->late = false;
	uv_timer_start(&b->limit, on_late, 20000, 0);
	if (b->n < n)
		uv_run(&b->loop, UV_RUN_DEFAULT);
	uv_timer_stop(&b->limit);
	b->until = SIZE_MAX;
	assert_false(b->late);
	assert_int_equal(b->n, n);
}

static void run_for(struct bench *b, uint64_t ms)
{
	b->until = SIZE_MAX;
	uv_timer_start(&b->limit, on_late, ms, 0);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	uv_timer_stop(&b->limit);
}

static const char *answer_to(const struct bench *b, uint64_t id)
{
	const char *found = NULL;

	for (size_t i = 0; i < b->n; i++) {
		if (b->calls[i] != id)
			continue;
		assert_null(found); /* once each */
		found = b->json[i];
	}
	assert_non_null(found);
	return found;
}

static void every_outcome_is_reported(void **state)
{
	static const struct { const char *script, *answer; bool good; } cases[] = {
		{"cat", "{\"a\":\"\xc3\xbc\"}", true},
		{"echo ' { \"x\" : [ 1, 2.5, \"a b\" ] }  '", "{\"x\":[1,2.5,\"a b\"]}", true},
		{"echo 42", "42", true},
		{"echo '\"text\"'", "\"text\"", true},
		{"echo null", "null", true},
		{"echo 123456789012345678901234567890", "123456789012345678901234567890", true},
		{"echo '[1e400]'", "[1e400]", true},
		{"printf %s '\"half \\ud83d\"'", "\"half \xef\xbf\xbd\"", true},
		{"printf '\"\\355\\240\\275\"'", "{\"error\":\"its result is not JSON in UTF-8\"}", false}, /* the same half in bytes */
		{"echo plain words", "{\"error\":\"its result is not JSON in UTF-8\"}", false},
		{"echo '{\"a\":1} {\"b\":2}'", "{\"error\":\"its result is not JSON in UTF-8\"}", false},
		{"printf '\"\\377\"'", "{\"error\":\"its result is not JSON in UTF-8\"}", false},
		{"true", "{\"error\":\"it wrote no result\"}", false},
		{"echo '{\"half\":'", "{\"error\":\"its result is not JSON in UTF-8\"}", false},
		{"echo '{}'; exit 3", "{\"error\":\"the tool failed: exited with status 3\"}", false},
		{"kill -SEGV $$", "{\"error\":\"the tool failed: killed by signal 11 (Segmentation fault)\"}", false},
		{"echo '{}'; sleep 60", "{\"error\":\"timed out after 400 ms\"}", false},
		{"exec sleep 60", "{\"error\":\"timed out after 400 ms\"}", false},
		{"trap '' TERM INT HUP; while :; do sleep 1; done", "{\"error\":\"timed out after 400 ms\"}", false},
		{"head -c 40000 /dev/zero | tr '\\0' 1", "{\"error\":\"its result is longer than 32768 bytes\"}", false},
		{"yes", "{\"error\":\"its result is longer than 32768 bytes\"}", false},
		{"exec <&-; echo '{}'", "{}", true},                    /* it reads no arguments */
		{"sleep 60 & echo '{\"left\":1}'", "{\"left\":1}", true},  /* what it started keeps its stdout */
		{"exec >&-; cat >/dev/null", "{\"error\":\"it wrote no result\"}", false},
	};
	struct bench *b = *state;
	const size_t n = sizeof cases / sizeof *cases;
	char name[16];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "t%zu", i);
		add_tool(b, name, cases[i].script, strstr(cases[i].answer, "timed out") ? 400 : 15000);
	}
	open_bench(b);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "t%zu", i);
		call(b, i, name, "{\"a\":\"\xc3\xbc\"}");
		await(b, i + 1);
		assert_string_equal(answer_to(b, i), cases[i].answer);
		assert_int_equal(b->good[i], cases[i].good);
		run_for(b, 1); /* nothing more follows */
	}
	assert_int_equal(b->n, n);
}

static void an_impossible_call_fails_at_once(void **state)
{
	struct bench *b = *state;
	char *big = calloc(1, TOOL_ARGUMENTS_MAX + 2);

	assert_non_null(big);
	add_tool(b, "cat", "cat", 5000);
	add_tool(b, "nothing", "", 5000);
	snprintf(b->tools[1].command[0], sizeof b->tools[1].command[0], "/nonexistent/tool");
	open_bench(b);
	call(b, 1, "dog", "{}");
	call(b, 2, "nothing", "{}");
	call(b, 3, "cat", "{\"a\":");
	call(b, 4, "cat", "[1]");
	call(b, 5, "cat", "words");
	memset(big, ' ', TOOL_ARGUMENTS_MAX + 1);
	call(b, 6, "cat", big);
	assert_int_equal(b->n, 6);
	assert_string_equal(answer_to(b, 1), "{\"error\":\"there is no such tool\"}");
	assert_string_equal(answer_to(b, 2), "{\"error\":\"cannot start /nonexistent/tool: No such file or directory\"}");
	assert_string_equal(answer_to(b, 3), "{\"error\":\"the arguments are not a JSON object\"}");
	assert_string_equal(answer_to(b, 4), "{\"error\":\"the arguments are not a JSON object\"}");
	assert_string_equal(answer_to(b, 6), "{\"error\":\"the arguments are too long\"}");
	call(b, 7, "cat", ""); /* some models send no arguments where a tool takes none */
	await(b, 7);
	assert_string_equal(answer_to(b, 7), "{}");
	call(b, 20, "cat", "{\"a\":\"\\ud83d\"}"); /* half of a pair: a program could not print it */
	await(b, 8);
	assert_string_equal(answer_to(b, 20), "{\"a\":\"\xef\xbf\xbd\"}");
	/* the longest result, more than a pipe holds on some machines */
	memset(big, 'x', TOOL_RESULT_MAX);
	memcpy(big, "{\"a\":\"", 6);
	memcpy(big + TOOL_RESULT_MAX - 2, "\"}", 3);
	call(b, 8, "cat", big);
	await(b, 9);
	assert_int_equal(b->len[8], TOOL_RESULT_MAX);
	free(big);
}

static void calls_run_side_by_side(void **state)
{
	struct bench *b = *state;

	add_tool(b, "slow", "sleep 0.5; echo '\"slow\"'", 10000);
	add_tool(b, "quick", "echo '\"quick\"'", 10000);
	open_bench(b);
	for (uint64_t i = 0; i < 6; i++)
		call(b, i, "slow", "{}");
	call(b, 6, "quick", "{}");
	await(b, 7);
	assert_int_equal(b->calls[0], 6);
	for (uint64_t i = 0; i < 6; i++)
		assert_string_equal(answer_to(b, i), "\"slow\"");
	assert_true(b->at_ms[6] < 6 * 500);
}

static void running_and_waiting_calls_are_bounded(void **state)
{
	struct bench *b = *state;

	add_tool(b, "slow", "sleep 60", 600);
	add_tool(b, "quick", "echo 1", 60000);
	open_bench(b);
	uint64_t before = uv_hrtime();

	for (uint64_t i = 0; i < TOOLS_RUNNING; i++)
		call(b, i, "slow", "{}");
	print_message("%d calls hold the loop for %.2f ms: one is started\n", TOOLS_RUNNING, (double)(uv_hrtime() - before) * 1e-6);
	call(b, 8, "slow", "{}"); /* waits, and its time-out runs */
	for (uint64_t i = 9; i < TOOLS_CALLS; i++)
		call(b, i, "quick", "{}");
	assert_int_equal(b->n, 0);
	call(b, 99, "quick", "{}");
	assert_string_equal(answer_to(b, 99), "{\"error\":\"too many calls at once\"}");
	await(b, TOOLS_CALLS + 1);
	assert_string_equal(answer_to(b, 3), "{\"error\":\"timed out after 600 ms\"}");
	assert_non_null(strstr(answer_to(b, 8), "timed out after 600 ms"));
	assert_string_equal(answer_to(b, TOOLS_CALLS - 1), "1");
}

static bool gone(pid_t pid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r"); /* a zombie counts as gone: the process that adopted it may be slow */

	if (!f)
		return true;
	if (!fread(text, 1, sizeof text - 1, f))
		text[0] = '\0';
	fclose(f);
	return strstr(text, ") Z ") || strstr(text, ") X ");
}

static pid_t pid_in_log(const struct bench *b, const char *what)
{
	for (size_t i = 0; i < b->n_lines; i++) {
		const char *at = strstr(b->lines[i], what);

		if (at)
			return (pid_t)atoi(at + strlen(what));
	}
	fail_msg("no %s in the log", what);
	return 0;
}

static bool goes_soon(pid_t pid)
{
	for (int i = 0; i < 400 && !gone(pid); i++)
		usleep(5000);
	return gone(pid);
}

#define FAMILY "trap '' TERM; sleep 60 & echo child=$! >&2; echo own=$$ >&2; echo '{}'; wait; sleep 60"

static void a_time_out_kills_the_whole_group(void **state)
{
	struct bench *b = *state;

	add_tool(b, "family", FAMILY, 500);
	open_bench(b);
	call(b, 1, "family", "{}");
	await(b, 1);
	assert_string_equal(b->json[0], "{\"error\":\"timed out after 500 ms\"}");
	assert_in_range(b->at_ms[0], 495, 5000);
	run_for(b, 200);
	assert_true(goes_soon(pid_in_log(b, "child=")) && goes_soon(pid_in_log(b, "own=")));
}

static void closing_kills_the_tools_and_reports_nothing(void **state)
{
	struct bench *b = *state;

	add_tool(b, "family", FAMILY, 60000);
	open_bench(b);
	for (uint64_t i = 0; i < TOOLS_RUNNING + 4; i++)
		call(b, i, "family", "{}");
	while (count_lines(b, "own=") < TOOLS_RUNNING)
		run_for(b, 50);
	pid_t child = pid_in_log(b, "child="), own = pid_in_log(b, "own=");

	assert_true(!gone(child) && !gone(own));
	assert_in_range(close_bench(b), 0, 1500);
	assert_int_equal(b->n, 0);
	assert_true(goes_soon(child) && goes_soon(own));
}

static void cancelled_calls_get_no_result_and_later_ones_do(void **state)
{
	struct bench *b = *state;

	add_tool(b, "slow", "sleep 0.3; echo 1", 60000);
	add_tool(b, "quick", "echo 2", 60000);
	open_bench(b);
	for (uint64_t i = 0; i < TOOLS_RUNNING + 4; i++)
		call(b, i, "slow", "{}");
	tools_cancel(b->t);
	call(b, 50, "quick", "{}");
	await(b, 1);
	run_for(b, 700);
	assert_int_equal(b->n, 1);
	assert_string_equal(answer_to(b, 50), "2");
	/* cancelling from within a result */
	b->cancel_next = true;
	for (uint64_t i = 60; i < 63; i++)
		call(b, i, "quick", "{}");
	await(b, 2);
	run_for(b, 300);
	assert_int_equal(b->n, 2);
}

static void a_tool_inherits_neither_keys_nor_descriptors(void **state)
{
	struct bench *b = *state;
	static const struct openai_opts shop = {.key.env = "SHOP_KEY"};
	static const struct ws_worker_opts other = {.key.env = "OTHER_KEY"};
	struct bridge_opts all[2];
	int leaky = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */

	assert_true(leaky > 2);
	bridge_opts_default(&all[0]);
	bridge_opts_default(&all[1]);
	snprintf(all[0].type, sizeof all[0].type, "openai");
	all[0].options = &shop;
	snprintf(all[1].type, sizeof all[1].type, "websocket");
	all[1].options = &other;
	b->opts = all[0];
	snprintf(b->opts.name, sizeof b->opts.name, "clerk");
	b->opts.loop = &b->loop;
	b->opts.tools = b->tools;
	b->opts.all = all;
	b->opts.n_all = 2;
	setenv("OPENAI_API_KEY", "sk-1", 1);
	setenv("SHOP_KEY", "sk-2", 1);
	setenv("OTHER_KEY", "sk-3", 1);
	setenv("SHOP_KEY_ID", "mine", 1);
	setenv("MYNAH_TOOL", "another", 1);
	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	add_tool(b, "env", "echo \"\\\"${OPENAI_API_KEY-}${SHOP_KEY-}${OTHER_KEY-}${NOTIFY_SOCKET-}|$SHOP_KEY_ID|$MYNAH_BRIDGE|$MYNAH_TOOL|"
		"$(echo $MYNAH_ROOM | tr -d '\\\"')\\\"\"", 5000);
	add_tool(b, "fds", "i=0; while [ $i -lt 100 ]; do [ -e /proc/$$/fd/$i ] && s=$s$i; i=$((i + 1)); done; echo \"\\\"$s\\\"\"", 5000);
	add_tool(b, "session", "cut -d ' ' -f 1,6 /proc/$$/stat | awk '{print $1 == $2}'", 5000);
	open_bench(b);
	call(b, 1, "env", "{}");
	await(b, 1);
	assert_string_equal(b->json[0], "\"|mine|clerk|env|call 7\"");
	call(b, 2, "fds", "{}");
	await(b, 2);
	assert_string_equal(b->json[1], "\"012\"");
	call(b, 3, "session", "{}");
	await(b, 3);
	assert_string_equal(b->json[2], "1");
	close(leaky);
	for (int i = 0; i < 4; i++)
		unsetenv(((const char *[]){"OPENAI_API_KEY", "SHOP_KEY", "OTHER_KEY", "NOTIFY_SOCKET"})[i]);
}

static void stderr_goes_to_the_log(void **state)
{
	struct bench *b = *state;

	add_tool(b, "loud", "echo one >&2; yes '\"two' | head -n 50000 >&2; echo '{}'", 15000);
	open_bench(b);
	call(b, 1, "loud", "{}");
	await(b, 1);
	assert_string_equal(b->json[0], "{}");
	assert_int_equal(count_lines(b, "stderr=\"one\""), 1);
	assert_true(count_lines(b, "tool=loud") > 0);
	assert_in_range(count_lines(b, "stderr=\"\\\"two\""), 5, 100);
	assert_true(count_lines(b, "lines_left_out=") > 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(every_outcome_is_reported),
		CASE(an_impossible_call_fails_at_once),
		CASE(calls_run_side_by_side),
		CASE(running_and_waiting_calls_are_bounded),
		CASE(a_time_out_kills_the_whole_group),
		CASE(closing_kills_the_tools_and_reports_nothing),
		CASE(cancelled_calls_get_no_result_and_later_ones_do),
		CASE(a_tool_inherits_neither_keys_nor_descriptors),
		CASE(stderr_goes_to_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
