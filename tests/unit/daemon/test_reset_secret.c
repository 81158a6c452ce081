/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "daemon/reset_secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1800000000 };

struct stage {
	struct config_server cfg;
	struct log_out out;
	struct log log;
	char lines[4096];
	char dir[64], path[128];
	struct quic_cert cert, other;
};

static void keep_line(void *ctx, enum log_level level, const char *line)
{
	struct stage *s = ctx;
	size_t len = strlen(s->lines);

	(void)level;
	snprintf(s->lines + len, sizeof s->lines - len, "%s\n", line);
}

static bool said(struct stage *s, const char *text)
{
	bool found = strstr(s->lines, text);

	s->lines[0] = '\0';
	return found;
}

static int open_stage(void **state)
{
	static const char *const names[] = {"localhost"};
	struct stage *s = calloc(1, sizeof *s);

	assert_non_null(s);
	strcpy(s->dir, "/tmp/mynah-secret-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof s->path, "%s/reset-secret", s->dir);
	s->out = (struct log_out){.level = LOG_DEBUG, .journal = true, .hook = keep_line, .hook_ctx = s};
	s->log = (struct log){.out = &s->out};
	s->cfg.port = 4433;
	assert_int_equal(quic_cert_make(names, 1, 10, NOW, &s->cert), 0);
	assert_int_equal(quic_cert_make(names, 1, 10, NOW, &s->other), 0);
	unsetenv("STATE_DIRECTORY");
	*state = s;
	return 0;
}

static void keep_in(struct stage *s, const char *dir)
{
	snprintf(s->cfg.state_dir, sizeof s->cfg.state_dir, "%s", dir);
}

static int close_stage(void **state)
{
	struct stage *s = *state;
	char command[96];

	snprintf(command, sizeof command, "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
	quic_cert_free(&s->cert);
	quic_cert_free(&s->other);
	unsetenv("STATE_DIRECTORY");
	free(s);
	return 0;
}

struct secret32 {
	uint8_t b[QUIC_SECRET_LEN];
};

/* What a daemon that starts now uses. */
static struct secret32 start(struct stage *s, const struct quic_cert *cert)
{
	struct secret32 x = {0};
	static const struct secret32 none;

	reset_secret_find(&s->cfg, cert, &s->log, x.b);
	assert_memory_not_equal(x.b, none.b, sizeof x);
	return x;
}

static bool same(struct secret32 a, struct secret32 b)
{
	return memcmp(a.b, b.b, sizeof a.b) == 0;
}

static void fill(const char *path, const void *p, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

static void it_is_the_same_at_the_next_start(void **state)
{
	struct stage *s = *state;
	struct stat st;

	keep_in(s, s->dir);
	umask(0);
	struct secret32 first = start(s, &s->cert);

	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, QUIC_SECRET_LEN);
	assert_true(same(first, start(s, &s->cert)));
	assert_true(same(first, start(s, &s->other))); /* the certificate was renewed, with another key */
	assert_string_equal(s->lines, "");
}

static void each_directory_has_its_own(void **state)
{
	struct stage *s = *state;
	char dir[80];

	keep_in(s, s->dir);
	struct secret32 first = start(s, &s->cert);

	snprintf(dir, sizeof dir, "%s/b", s->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	keep_in(s, dir);
	assert_false(same(first, start(s, &s->cert)));
}

static void systemd_names_the_directory(void **state)
{
	struct stage *s = *state;
	char value[160];

	snprintf(value, sizeof value, "%s:/nowhere", s->dir);
	setenv("STATE_DIRECTORY", value, 1);
	struct secret32 first = start(s, &s->cert);

	assert_int_equal(access(s->path, F_OK), 0);
	assert_true(same(first, start(s, &s->cert)));
	keep_in(s, s->dir); /* the file of the configuration goes first */
	setenv("STATE_DIRECTORY", "/nowhere", 1);
	assert_true(same(first, start(s, &s->cert)));
	assert_string_equal(s->lines, "");
}

static void a_bad_file_is_told_of_and_replaced(void **state)
{
	static const uint8_t zero[QUIC_SECRET_LEN];
	static const struct {
		const char *text;
		size_t len;
		mode_t mode;
		const char *fault;
	} bad[] = {
		{"", 0, 0600, "not 32 bytes"},
		{"0123456789abcdef0123456789abcde", 31, 0600, "not 32 bytes"},
		{"0123456789abcdef0123456789abcdef\n", 33, 0600, "not 32 bytes"},
		{"0123456789abcdef0123456789abcdef", 32, 0644, "others have access"},
		{"0123456789abcdef0123456789abcdef", 32, 0620, "others have access"},
		{(const char *)zero, 32, 0600, "all zero"},
	};
	struct stage *s = *state;

	keep_in(s, s->dir);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		fill(s->path, bad[i].text, bad[i].len, bad[i].mode);
		struct secret32 fresh = start(s, &s->cert);

		assert_true(bad[i].len != QUIC_SECRET_LEN || memcmp(fresh.b, bad[i].text, QUIC_SECRET_LEN) != 0);
		assert_non_null(strstr(s->lines, s->path));
		assert_true(said(s, bad[i].fault));
		assert_true(same(fresh, start(s, &s->cert)));
		assert_string_equal(s->lines, "");
	}
}

/* Whatever it points to is neither read nor written. */
static void a_link_is_not_followed(void **state)
{
	struct stage *s = *state;
	char aim[96];
	struct stat st;

	keep_in(s, s->dir);
	snprintf(aim, sizeof aim, "%s/aim", s->dir);
	fill(aim, "0123456789abcdef0123456789abcdef", 32, 0600);
	assert_int_equal(symlink(aim, s->path), 0);
	assert_memory_not_equal(start(s, &s->cert).b, "0123456789abcdef0123456789abcdef", 32);
	assert_true(said(s, "is not used"));
	assert_int_equal(lstat(s->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void a_pipe_does_not_stop_the_start(void **state)
{
	struct stage *s = *state;

	keep_in(s, s->dir);
	assert_int_equal(mkfifo(s->path, 0600), 0);
	struct secret32 fresh = start(s, &s->cert);

	assert_true(said(s, "no regular file"));
	assert_true(same(fresh, start(s, &s->cert)));
}

/* It serves all the same. */
static void a_file_that_cannot_be_written_is_told_of(void **state)
{
	struct stage *s = *state;
	char dir[192];

	snprintf(dir, sizeof dir, "%s/none", s->dir);
	keep_in(s, dir);
	struct secret32 first = start(s, &s->cert);

	assert_true(said(s, "cannot be written: No such file"));
	assert_false(same(first, start(s, &s->cert)));
	keep_in(s, s->dir);
	assert_int_equal(mkdir(s->path, 0700), 0); /* a directory has its name */
	start(s, &s->cert);
	assert_true(said(s, "cannot be written"));
	snprintf(dir, sizeof dir, "%s.new", s->path);
	assert_int_equal(access(dir, F_OK), -1);
}

static void a_start_that_was_cut_short_leaves_nothing_in_the_way(void **state)
{
	struct stage *s = *state;
	char fresh[160];

	keep_in(s, s->dir);
	snprintf(fresh, sizeof fresh, "%s.new", s->path);
	fill(fresh, "half", 4, 0600);
	struct secret32 first = start(s, &s->cert);

	assert_true(same(first, start(s, &s->cert)));
	assert_string_equal(s->lines, "");
}

static void without_a_directory_it_comes_from_the_private_key(void **state)
{
	struct stage *s = *state;

	strcpy(s->cfg.certificate, "cert.pem");
	struct secret32 first = start(s, &s->cert);

	assert_true(same(first, start(s, &s->cert)));
	assert_false(same(first, start(s, &s->other)));
	s->cfg.port = 4434; /* another daemon with the same certificate on this machine */
	assert_false(same(first, start(s, &s->cert)));
	assert_string_equal(s->lines, "");
}

/* A new one of these is made at each start. */
static void a_development_certificate_is_no_source(void **state)
{
	struct stage *s = *state;

	assert_false(same(start(s, &s->cert), start(s, &s->cert)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_is_the_same_at_the_next_start),
		CASE(each_directory_has_its_own),
		CASE(systemd_names_the_directory),
		CASE(a_bad_file_is_told_of_and_replaced),
		CASE(a_link_is_not_followed),
		CASE(a_pipe_does_not_stop_the_start),
		CASE(a_file_that_cannot_be_written_is_told_of),
		CASE(a_start_that_was_cut_short_leaves_nothing_in_the_way),
		CASE(without_a_directory_it_comes_from_the_private_key),
		CASE(a_development_certificate_is_no_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
