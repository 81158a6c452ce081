/* SPDX-License-Identifier: MIT */
/* Children that behave and children that do not: see tests/tools/odd_worker.c. */
#include "support/test.h"

#include "bridge/bridge.h"
#include "bridge/openai_opts.h"
#include "bridge/process.h"
#include "unit/bridge/seat.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void set_command(struct seat *s, const char *const *argv, size_t n)
{
	struct process_opts *o = (struct process_opts *)s->own;

	for (size_t i = 0; i < n; i++)
		snprintf(o->command[i], BRIDGE_ARG_MAX, "%s", argv[i]);
	o->n_command = n;
}

static struct seat *seat_with(const char *mode, const char *arg)
{
	const char *argv[] = {WORKERS_DIR "/odd_worker", mode, arg};
	struct seat *s = seat_new("process");

	set_command(s, argv, arg ? 3 : 2);
	assert_int_equal(seat_open(s), 0);
	return s;
}

static bool failed(struct seat *s) { return s->failed[0] != '\0'; }
static bool has_text(struct seat *s) { return s->n_texts > 0; }
static bool spoke_a_second(struct seat *s) { return s->n_speech >= RATE; }
static bool ticked_100(struct seat *s) { return s->n_ticks >= 100; }

TEST(an_echo_returns_the_mix)
{
	struct seat *s = seat_with("echo", NULL);

	for (size_t i = 0; i < TICK; i++)
		s->mix[i] = (float)((int)(i % 100) - 50) / 128;
	assert_true(seat_run(s, spoke_a_second, 10000));
	for (size_t i = 0; i < RATE; i++)
		assert_true(s->speech[i] == s->mix[i % TICK]);
	assert_string_equal(s->failed, "");
	assert_int_equal(s->n_dropped, 0);
	assert_true(seat_free(s) < 900); /* it left at the hang-up */
}

TEST(a_worker_gets_the_uuid_first_and_no_extension_unasked)
{
	struct seat *s = seat_with("strict", NULL);

	seat_event(s, (struct bridge_event){.kind = BRIDGE_JOINED, .participant = 1, .name = "Ann"});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_SPEAKING, .participant = 1, .speaking = true});
	assert_true(seat_run(s, ticked_100, 10000));
	assert_string_equal(s->failed, "");
	seat_free(s);
}

/* It starts, and is there only when it has spoken, or has lasted for a second. */
TEST(a_worker_is_up_once_it_has_spoken_or_lasted_a_second)
{
	struct seat *s = seat_with("events", NULL);

	assert_int_equal(s->up_at, 0);
	assert_true(seat_run(s, has_text, 10000));
	assert_true(s->up_at > 0);
	seat_free(s);

	s = seat_with("strict", NULL); /* never speaks */
	assert_true(seat_run(s, ticked_100, 10000));
	assert_in_range(s->up_at, 50, 60);
	seat_free(s);

	s = seat_with("abort", NULL);
	seat_slow(s);
	assert_true(seat_run(s, failed, 10000));
	assert_int_equal(s->up_at, 0);
	seat_free(s);
}

static bool has_mark_b(struct seat *s) { return seat_has_text(s, "b"); }

TEST(a_mark_comes_back_when_the_speech_before_it_was_mixed)
{
	struct seat *s = seat_with("marks", NULL);

	assert_true(seat_run(s, has_mark_b, 10000));
	assert_int_equal(s->n_texts, 2);
	assert_string_equal(s->texts[0], "a");
	/* never early; late by a tick and the way to the child and back */
	assert_in_range(s->played_at[0], 200 * 16, 200 * 16 + 40 * TICK);
	assert_true(s->played_at[1] >= 500 * 16);
	seat_free(s);
}

static bool has_left(struct seat *s) { return seat_has_text(s, "{\"type\":\"left\",\"participant\":2}"); }

TEST(events_go_both_ways)
{
	static const char *const expected[] = {
		"7 h\xc3\xa4? more", "0 so final",
		"{\"type\":\"joined\",\"participant\":1,\"name\":\"A\\\"n\"}",
		"{\"type\":\"joined\",\"participant\":2,\"name\":\"Bob\"}",
		"{\"type\":\"speaking\",\"participant\":1,\"speaking\":true}",
		"{\"type\":\"message\",\"participant\":1,\"text\":\"hi\"}",
		"{\"type\":\"interrupted\",\"item\":3,\"heard_ms\":420}",
		"{\"type\":\"mode\",\"mode\":\"muted\"}", /* as it was before it sent anything */
		"{\"type\":\"message\",\"participant\":2,\"text\":\"psst\",\"direct\":true}",
		"{\"type\":\"mode\",\"mode\":\"active\",\"participant\":2}",
		"{\"type\":\"left\",\"participant\":2}",
	};
	struct seat *s = seat_with("events", NULL);

	seat_event(s, (struct bridge_event){.kind = BRIDGE_JOINED, .participant = 1, .name = "A\"n"});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_JOINED, .participant = 5, .name = "Eve"});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_LEFT, .participant = 5});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_JOINED, .participant = 2, .name = "Bob"});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_MODE, .mode = BRIDGE_MUTED, .participant = 1});
	assert_true(seat_run(s, has_text, 10000)); /* so it has sent something of ours */
	seat_event(s, (struct bridge_event){.kind = BRIDGE_SPEAKING, .participant = 1, .speaking = true});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_MESSAGE, .participant = 2, .text = "psst", .direct = true});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_MODE, .mode = BRIDGE_ACTIVE, .participant = 2});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_MESSAGE, .participant = 1, .text = "hi"});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_INTERRUPTED, .utterance = 3, .heard_ms = 420});
	seat_event(s, (struct bridge_event){.kind = BRIDGE_LEFT, .participant = 2});
	assert_true(seat_run(s, has_left, 10000));
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		if (!seat_has_text(s, expected[i]))
			fail_msg("it was not sent %s", expected[i]);
	assert_int_equal(s->n_texts, sizeof expected / sizeof *expected);
	seat_free(s);
}

static bool flushed(struct seat *s) { return s->n_flushes > 0; }
static bool ticked_200(struct seat *s) { return s->n_ticks >= 200; }

TEST(a_flush_drops_speech_and_its_marks)
{
	struct seat *s = seat_with("flush", NULL);

	s->hold = true;
	assert_true(seat_run(s, flushed, 10000));
	assert_int_equal(s->n_speech, 0);
	s->hold = false;
	s->n_ticks = 0;
	assert_true(seat_run(s, ticked_200, 10000));
	assert_int_equal(s->n_texts, 0);
	assert_string_equal(s->failed, "");
	seat_free(s);
}

static bool said_ten_seconds(struct seat *s) { return s->n_speech >= 10 * RATE; }

TEST(a_burst_is_played_whole)
{
	struct seat *s = seat_with("burst", NULL);

	assert_true(seat_run(s, said_ten_seconds, 10000));
	assert_int_equal(s->n_speech, 10 * RATE);
	seat_free(s);
}

TEST(a_worker_inherits_three_descriptors)
{
	int leaky = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	struct seat *s = seat_with("fds", NULL);

	assert_true(leaky > 2);
	assert_true(seat_run(s, has_text, 10000));
	size_t n[3] = {0};

	for (int i = 0; i < 3; i++)
		n[i] = strcspn(s->texts[0], i == 0 ? "0" : i == 1 ? "1" : "2");
	assert_int_equal(strlen(s->texts[0]), 6); /* "0 1 2 " in some order */
	assert_true(n[0] < 6 && n[1] < 6 && n[2] < 6);
	close(leaky);
	seat_free(s);
}

TEST(its_environment_has_the_rate_and_nothing_of_systemd)
{
	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	struct seat *s = seat_with("env", NULL);

	assert_true(seat_run(s, has_text, 10000));
	assert_string_equal(s->texts[0], "bot 16000 320 - - - - -");
	seat_free(s);
	unsetenv("NOTIFY_SOCKET");
}

/* Two bridges have keys in the daemon's environment, one of them by a name of its own. */
TEST(a_worker_sees_no_key_of_a_bridge_unless_it_is_handed_through)
{
	static const struct {
		const char *env[3];
		const char *sees;
	} cases[] = {
		{{NULL}, "- - mine -"},
		{{"SHOP_KEY", "NOWHERE", NULL}, "- sk-2 mine -"},
		{{"GREETING=good day", "SHOP_KEY_ID=", NULL}, "- -  good day"},
		{{"OPENAI_API_KEY=other", "MYNAH_BRIDGE=x", NULL}, "other - mine -"},
	};
	struct openai_opts shop = openai_defaults;
	struct bridge_opts all = {.ops = bridge_find("openai"), .options = &shop};

	snprintf(shop.key.env, sizeof shop.key.env, "SHOP_KEY");
	setenv("OPENAI_API_KEY", "sk-1", 1);
	setenv("SHOP_KEY", "sk-2", 1);
	setenv("SHOP_KEY_ID", "mine", 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct seat *s = seat_new("process");
		struct process_opts *own = (struct process_opts *)s->own;
		char expected[100];

		set_command(s, (const char *[]){WORKERS_DIR "/odd_worker", "env"}, 2);
		for (; cases[i].env[own->n_env]; own->n_env++)
			snprintf(own->env[own->n_env], BRIDGE_ARG_MAX, "%s", cases[i].env[own->n_env]);
		s->opts.all = &all;
		s->opts.n_all = 1;
		assert_int_equal(seat_open(s), 0);
		assert_true(seat_run(s, has_text, 10000));
		snprintf(expected, sizeof expected, "bot 16000 320 - %s", cases[i].sees);
		assert_string_equal(s->texts[0], expected);
		seat_free(s);
	}
	unsetenv("OPENAI_API_KEY");
	unsetenv("SHOP_KEY");
	unsetenv("SHOP_KEY_ID");
}

/* Every end has its reason. */
TEST(the_reason_says_how_the_worker_ended)
{
	static const struct { const char *mode, *arg, *why; bool left; } ends[] = {
		{"exit", "0", "exited with status 0", false}, /* without a word: something is wrong with it */
		{"exit", "3", "exited with status 3", false},
		{"abort", NULL, "killed by signal 9 (Killed)", false},
		{"cut", NULL, "its output: it ended in the middle of a record", false},
		{"garbage", NULL, "a record of type 0x54 with 29281 bytes: no such type", false},
		{"rate", NULL, "it speaks at 8000 Hz (type 0x10), but sample_rate is 16000", false},
		{"badjson", NULL, "an event must be a JSON object in UTF-8", false},
		{"notext", NULL, "message: text must be a string of 1 to 4096 bytes without NUL", false},
		{"error", NULL, "it reported an error, code 0x04", false},
		{"bye", NULL, "it hung up", true},
		{"parting", "0", "exited with status 0", true},
		{"parting", "3", "exited with status 3", false},
	};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct seat *s = seat_with(ends[i].mode, ends[i].arg);

		seat_slow(s);
		assert_true(seat_run(s, failed, 10000));
		assert_string_equal(s->failed, ends[i].why);
		assert_int_equal(s->left, ends[i].left);
		seat_free(s);
	}
}

/* What it wrote last is still in the pipe when it is gone. */
TEST(speech_before_an_exit_is_read)
{
	for (int i = 0; i < 10; i++) {
		struct seat *s = seat_with("parting", i % 2 ? "0" : "3");

		assert_true(seat_run(s, failed, 10000));
		assert_int_equal(s->n_speech, 3 * RATE);
		seat_free(s);
	}
}

/* Stopped by SIGSTOP, in a debugger or in a loop of its own: its pipe is full, and nobody is served by it. */
TEST(a_worker_that_takes_nothing_is_given_up)
{
	static const uint32_t stall_ms[] = {30000, 2000};

	for (size_t i = 0; i < 2; i++) {
		const char *argv[] = {WORKERS_DIR "/odd_worker", "stalled"};
		struct seat *s = seat_new("process");

		set_command(s, argv, 2);
		s->opts.stall_ms = stall_ms[i];
		assert_int_equal(seat_open(s), 0);
		assert_true(seat_run(s, failed, 60000));
		assert_string_equal(s->failed, i == 0 ? "it has taken nothing for 30 s" : "it has taken nothing for 2 s");
		assert_false(s->left);
		assert_in_range(s->n_ticks, stall_ms[i] / 20, stall_ms[i] / 20 + 25);
		seat_free(s);
	}
}

TEST(a_program_that_cannot_be_started_is_a_failure)
{
	static const struct { const char *program, *why; } programs[] = {
		{"/nonexistent/worker", "cannot start /nonexistent/worker: No such file or directory"},
		{"/etc/passwd", "cannot start /etc/passwd: Permission denied"},
		{"/", "cannot start /: Permission denied"},
	};

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		struct seat *s = seat_new("process");

		set_command(s, &programs[i].program, 1);
		assert_int_equal(seat_open(s), 0);
		assert_string_equal(s->failed, programs[i].why);
		seat_free(s);
	}
	struct seat *s = seat_new("process");

	assert_int_equal(seat_open(s), ERR_UNSUPPORTED); /* no command */
	s->opts.loop = NULL;
	set_command(s, &programs[0].program, 1);
	assert_int_equal(seat_open(s), ERR_UNSUPPORTED);
	seat_free(s);
}

static bool ticked_500_more(struct seat *s) { return s->n_ticks >= 500; }

/* 10 s of sound for a worker that reads nothing: all except 300 ms at most, which wait, is dropped and counted. */
TEST(a_worker_that_never_reads_costs_a_bounded_queue)
{
	struct seat *s = seat_with("stalled", NULL);

	assert_true(seat_run(s, has_text, 10000));
	s->n_ticks = 0;
	s->n_dropped = 0;
	for (int i = 0; i < 20000; i++)
		seat_event(s, (struct bridge_event){.kind = BRIDGE_MESSAGE, .participant = 1, .text = "are you there?"});
	assert_true(seat_run(s, ticked_500_more, 20000));
	assert_string_equal(s->failed, "");
	assert_in_range(s->n_dropped, 500 * TICK - 300 * 16 - TICK, 500 * TICK);
	assert_int_equal(seat_count(s, "events for it are lost"), 1);
	assert_in_range(seat_free(s), 950, 2900); /* SIGTERM after a second was enough */
}

/* At most 64 KiB are read for each tick, and the time of a tick stays small. */
TEST(a_flood_is_read_in_portions)
{
	struct seat *s = seat_with("flood", NULL);

	assert_true(seat_run(s, said_ten_seconds, 10000));
	assert_true(s->most_per_tick <= 65536 / 2 + 16384 / 2);
	s->backlog_full = true;
	s->n_ticks = 0;
	assert_true(seat_run(s, ticked_100, 10000));
	assert_string_equal(s->failed, "");
	assert_true(seat_free(s) < 2900);
}

static bool shouted(struct seat *s) { return seat_count(s, "a line of stderr") >= 15 && s->n_ticks >= 50; }

TEST(stderr_is_logged_at_a_bounded_rate)
{
	struct seat *s = seat_with("shout", NULL);

	assert_true(seat_run(s, shouted, 10000));
	assert_in_range(seat_count(s, "a line of stderr"), 15, 60);
	seat_free(s);
}

TEST(stderr_is_logged_to_its_end_before_the_failure)
{
	struct seat *s = seat_with("stderr", NULL);

	assert_true(seat_run(s, failed, 10000));
	assert_int_equal(seat_count(s, "stderr=\"one\""), 1);
	assert_int_equal(seat_count(s, "stderr=\"t\\\"w\\\"o\""), 1);
	assert_int_equal(seat_count(s, "three"), 1);
	assert_int_equal(seat_count(s, "\x1b"), 0);
	seat_free(s);
}

TEST(half_a_record_waits_for_its_rest)
{
	struct seat *s = seat_with("half", NULL);

	assert_true(seat_run(s, ticked_100, 10000));
	assert_string_equal(s->failed, "");
	seat_free(s);
}

TEST(a_worker_that_hangs_is_killed_within_four_seconds)
{
	struct seat *s = seat_with("hang", NULL);

	assert_true(seat_run(s, has_text, 10000));
	assert_in_range(seat_free(s), 2900, 4000);
}

static bool gone(pid_t pid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r"); /* a zombie counts as gone: init may be slow to reap it */

	if (!f)
		return true;
	fread(text, 1, sizeof text - 1, f);
	fclose(f);
	return strstr(text, ") Z ") || strstr(text, ") X ");
}

TEST(programs_that_a_worker_started_end_with_it)
{
	struct seat *s = seat_with("orphan", NULL);

	assert_true(seat_run(s, has_text, 10000));
	pid_t pid = (pid_t)atoi(s->texts[0]);

	assert_true(pid > 1 && !gone(pid));
	seat_free(s);
	for (int i = 0; i < 200 && !gone(pid); i++)
		usleep(5000);
	assert_true(gone(pid));
}

TEST(closing_at_once_leaves_nothing)
{
	for (int i = 0; i < 5; i++)
		assert_true(seat_free(seat_with("echo", NULL)) < 950);
}

TEST(the_example_in_c_repeats_speech_after_a_pause)
{
	const char *argv[] = {WORKERS_DIR "/worker"};
	struct seat *s = seat_new("process");

	set_command(s, argv, 1);
	assert_int_equal(seat_open(s), 0);
	for (size_t i = 0; i < TICK; i++)
		s->mix[i] = i % 2 ? 0.25f : -0.25f;
	assert_true(seat_run(s, ticked_100, 10000));
	assert_int_equal(s->n_speech, 0);
	memset(s->mix, 0, sizeof s->mix);
	assert_true(seat_run(s, spoke_a_second, 10000));
	assert_true(s->speech[RATE / 2] == 0.25f || s->speech[RATE / 2] == -0.25f);
	seat_free(s);
}

TEST(the_example_in_python_halves_the_mix)
{
	const char *argv[] = {"python3", EXAMPLES_DIR "/worker.py"};
	struct seat *s = seat_new("process");

	set_command(s, argv, 2);
	for (size_t i = 0; i < TICK; i++)
		s->mix[i] = i % 2 ? 0.25f : -0.25f;
	assert_int_equal(seat_open(s), 0);
	assert_true(seat_run(s, spoke_a_second, 20000));
	for (size_t i = 0; i < RATE; i++)
		assert_true(s->speech[i] == s->mix[i % TICK] / 2);
	seat_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_echo_returns_the_mix),
		cmocka_unit_test(a_worker_gets_the_uuid_first_and_no_extension_unasked),
		cmocka_unit_test(a_worker_is_up_once_it_has_spoken_or_lasted_a_second),
		cmocka_unit_test(a_mark_comes_back_when_the_speech_before_it_was_mixed),
		cmocka_unit_test(events_go_both_ways),
		cmocka_unit_test(a_flush_drops_speech_and_its_marks),
		cmocka_unit_test(a_burst_is_played_whole),
		cmocka_unit_test(a_worker_inherits_three_descriptors),
		cmocka_unit_test(its_environment_has_the_rate_and_nothing_of_systemd),
		cmocka_unit_test(a_worker_sees_no_key_of_a_bridge_unless_it_is_handed_through),
		cmocka_unit_test(the_reason_says_how_the_worker_ended),
		cmocka_unit_test(speech_before_an_exit_is_read),
		cmocka_unit_test(a_worker_that_takes_nothing_is_given_up),
		cmocka_unit_test(a_program_that_cannot_be_started_is_a_failure),
		cmocka_unit_test(a_worker_that_never_reads_costs_a_bounded_queue),
		cmocka_unit_test(a_flood_is_read_in_portions),
		cmocka_unit_test(stderr_is_logged_at_a_bounded_rate),
		cmocka_unit_test(stderr_is_logged_to_its_end_before_the_failure),
		cmocka_unit_test(half_a_record_waits_for_its_rest),
		cmocka_unit_test(a_worker_that_hangs_is_killed_within_four_seconds),
		cmocka_unit_test(programs_that_a_worker_started_end_with_it),
		cmocka_unit_test(closing_at_once_leaves_nothing),
		cmocka_unit_test(the_example_in_c_repeats_speech_after_a_pause),
		cmocka_unit_test(the_example_in_python_halves_the_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
