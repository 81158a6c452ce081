/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "http/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(the_content_type_follows_the_extension)
{
	assert_string_equal(http_content_type("/index.html"), "text/html; charset=utf-8");
	assert_string_equal(http_content_type("/a.b/c.JS"), "text/javascript; charset=utf-8");
	assert_string_equal(http_content_type("/x.mjs"), "text/javascript; charset=utf-8");
	assert_string_equal(http_content_type("/x.svg"), "image/svg+xml");
	assert_string_equal(http_content_type("/x.html.exe"), "application/octet-stream");
	assert_string_equal(http_content_type("/dir.html/plain"), "application/octet-stream");
	assert_string_equal(http_content_type(""), "application/octet-stream");
}

TEST(embedded_files_are_found_by_their_whole_path)
{
	static const struct http_file files[] = {
		{"/index.html", "text/html", (const uint8_t *)"a", 1},
		{"/js/index.html", "text/html", (const uint8_t *)"b", 1},
		{"/js/app.js", "text/javascript", (const uint8_t *)"c", 1},
	};

	assert_ptr_equal(http_file_find(files, 3, "/"), &files[0]);
	assert_ptr_equal(http_file_find(files, 3, "/index.html"), &files[0]);
	assert_ptr_equal(http_file_find(files, 3, "/js/"), &files[1]);
	assert_ptr_equal(http_file_find(files, 3, "/js/app.js"), &files[2]);
	assert_null(http_file_find(files, 3, "/js"));
	assert_null(http_file_find(files, 3, "/js/app"));
	assert_null(http_file_find(files, 3, "//index.html"));
	assert_null(http_file_find(files, 3, ""));
	assert_null(http_file_find(files, 0, "/"));
	assert_null(http_file_find(NULL, 0, "/"));
}

struct tree {
	char root[64], dir[80];
};

static void put(const struct tree *t, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", t->root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(const struct tree *t, const char *to, const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", t->root, name);
	assert_int_equal(symlink(to, path), 0);
}

static int setup(void **state)
{
	static const char *const dirs[] = {"web", "web/js", "web/js/deep", "web/.git", "web/dir.html"};
	struct tree *t = calloc(1, sizeof *t);
	char path[256];

	assert_non_null(t);
	snprintf(t->root, sizeof t->root, "/tmp/mynah-files-XXXXXX");
	assert_non_null(mkdtemp(t->root));
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		snprintf(path, sizeof path, "%s/%s", t->root, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put(t, "secret", "outside");
	put(t, "web/index.html", "page");
	put(t, "web/empty", "");
	put(t, "web/js/app.js", "code");
	put(t, "web/js/deep/a b", "space");
	put(t, "web/.env", "hidden");
	put(t, "web/.git/config", "hidden");
	link_to(t, "../secret", "web/out");
	link_to(t, "..", "web/up");
	link_to(t, "index.html", "web/alias");
	link_to(t, "js", "web/jslink");
	snprintf(path, sizeof path, "%s/web/fifo", t->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(t->dir, sizeof t->dir, "%s/web", t->root);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", t->root);
	assert_int_equal(system(command), 0);
	free(t);
	return 0;
}

static void files_beneath_the_directory_are_read(void **state)
{
	static const struct {
		const char *path, *text;
	} good[] = {
		{"/index.html", "page"}, {"/", "page"}, {"/js/app.js", "code"}, {"/js/deep/a b", "space"}, {"/empty", ""},
		{"//js//app.js", "code"},
	};
	struct tree *t = *state;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		uint8_t *data;
		size_t len;

		assert_int_equal(http_file_read(t->dir, good[i].path, 100, &data, &len), 0);
		assert_int_equal(len, strlen(good[i].text));
		assert_memory_equal(data, good[i].text, len);
		free(data);
	}
}

static void files_outside_hidden_or_linked_are_not_found(void **state)
{
	static const char *const bad[] = {
		"/nowhere", "/index.html/x", "/js", "/js/", "/js/deep", "/dir.html", "/..", "/../secret", "/js/../../secret",
		"/js/../index.html", "/./index.html", "/out", "/up/secret", "/up/web/index.html", "/alias", "/jslink/app.js",
		"/.env", "/.git/config", "/fifo", "index.html", "", "/etc/passwd",
	};
	struct tree *t = *state;
	char *over = calloc(1, 5000);

	assert_non_null(over);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t *data = NULL;
		size_t len;

		if (http_file_read(t->dir, bad[i], 100, &data, &len) != ERR_NOTFOUND)
			fail_msg("%s was served", bad[i]);
		assert_null(data);
	}
	memset(over, 'a', 4999);
	over[0] = '/';
	assert_int_equal(http_file_read(t->dir, over, 100, &(uint8_t *){NULL}, &(size_t){0}), ERR_NOTFOUND);
	assert_int_equal(http_file_read("/nonexistent", "/index.html", 100, &(uint8_t *){NULL}, &(size_t){0}), ERR_NOTFOUND);
	free(over);
}

static void long_files_are_refused(void **state)
{
	struct tree *t = *state;
	uint8_t *data;
	size_t len;

	assert_int_equal(http_file_read(t->dir, "/index.html", 3, &data, &len), ERR_LIMIT);
	assert_int_equal(http_file_read(t->dir, "/index.html", 4, &data, &len), 0);
	free(data);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_content_type_follows_the_extension),
		cmocka_unit_test(embedded_files_are_found_by_their_whole_path),
		CASE(files_beneath_the_directory_are_read),
		CASE(files_outside_hidden_or_linked_are_not_found),
		CASE(long_files_are_refused),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
