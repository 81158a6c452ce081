/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A service manager's end, under `name`; '@' for the abstract namespace. */
static int listen_at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(a.sun_path, name, strlen(name));
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	return fd;
}

static void arrives(int fd, const char *expected)
{
	char text[128];
	ssize_t n = recv(fd, text, sizeof text - 1, 0); /* local: there when sendto() returned */

	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

static void nothing_arrives(int fd)
{
	char text[8];

	assert_int_equal(recv(fd, text, sizeof text, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

TEST(a_socket_with_a_path_is_notified)
{
	char dir[] = "/tmp/mynah-notify-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	int fd = listen_at(path);

	setenv("NOTIFY_SOCKET", path, 1);
	notify_send("READY=1");
	notify_send("RELOADING=1\nMONOTONIC_USEC=5");
	arrives(fd, "READY=1");
	arrives(fd, "RELOADING=1\nMONOTONIC_USEC=5");
	nothing_arrives(fd);
	close(fd);
	unlink(path);
	rmdir(dir);
	notify_send("WATCHDOG=1"); /* nobody there any more */
}

TEST(an_abstract_socket_is_notified)
{
	char name[64];

	snprintf(name, sizeof name, "@mynah-notify-%d", (int)getpid());
	int fd = listen_at(name);

	setenv("NOTIFY_SOCKET", name, 1);
	notify_send("STOPPING=1");
	arrives(fd, "STOPPING=1");
	close(fd);
}

TEST(a_full_socket_does_not_stop_the_daemon)
{
	char name[64];

	snprintf(name, sizeof name, "@mynah-notify-full-%d", (int)getpid());
	int fd = listen_at(name);

	setenv("NOTIFY_SOCKET", name, 1);
	for (int i = 0; i < 5000; i++) /* far beyond net.unix.max_dgram_qlen */
		notify_send("WATCHDOG=1");
	arrives(fd, "WATCHDOG=1");
	close(fd);
}

TEST(other_values_are_left_alone)
{
	char longest[300];

	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	const char *const values[] = {"", "relative", "vsock:2:1234", longest};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		setenv("NOTIFY_SOCKET", values[i], 1);
		notify_send("READY=1");
	}
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
}

TEST(the_watchdog_is_asked_for_in_microseconds)
{
	char pid[16];

	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_PID", "1", 1); /* another process's */
	assert_int_equal(notify_watchdog_ms(), 0);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_USEC", "999", 1);
	assert_int_equal(notify_watchdog_ms(), 1);
	static const char *const none[] = {"", "0", "soon"};

	for (size_t i = 0; i < 3; i++) {
		setenv("WATCHDOG_USEC", none[i], 1);
		assert_int_equal(notify_watchdog_ms(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_with_a_path_is_notified),
		cmocka_unit_test(an_abstract_socket_is_notified),
		cmocka_unit_test(a_full_socket_does_not_stop_the_daemon),
		cmocka_unit_test(other_values_are_left_alone),
		cmocka_unit_test(the_watchdog_is_asked_for_in_microseconds),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
