/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/fd.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(a_file_and_a_pipe_stay_what_they_are)
{
	int pipes[2], null = open("/dev/null", O_WRONLY);

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(fd_unwaiting(pipes[1]), pipes[1]);
	assert_int_equal(fd_unwaiting(null), null);
	close(pipes[0]);
	close(pipes[1]);
	close(null);
}

/* A terminal whose other end does not read: a line that hangs ends the test by the alarm. */
TEST(a_terminal_that_nobody_reads_stops_no_log)
{
	char name[64], text[201], got[64];
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	assert_int_equal(ptsname_r(master, name, sizeof name), 0);
	int terminal = open(name, O_WRONLY | O_NOCTTY);

	assert_true(terminal >= 0);
	const struct log_out out = {.fd = fd_unwaiting(terminal), .level = LOG_INFO};
	const struct log log = {.out = &out};

	assert_true(out.fd != terminal);
	assert_int_equal(fcntl(terminal, F_GETFL) & O_NONBLOCK, 0);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	alarm(20);
	for (int i = 0; i < 3000; i++)
		log_info(&log, "%.*s", 1 + i % 200, text); /* every length, so that some find less room than they need */
	alarm(0);
	assert_true(read(master, got, 25) == 25); /* what was first is there */
	assert_memory_equal(got + 10, "T", 1);
	close(out.fd);
	close(terminal);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_and_a_pipe_stay_what_they_are),
		cmocka_unit_test(a_terminal_that_nobody_reads_stops_no_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
