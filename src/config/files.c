/* SPDX-License-Identifier: MIT */
#include "config/files.h"

#include "http/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool faulty(char fault[FILES_FAULT], const char *text)
{
	snprintf(fault, FILES_FAULT, "%s", text);
	return false;
}

/* --- a file ---------------------------------------------------------------------------- */

/* A credential stands in the file by its name, so the path that it has become is told; ENOENT means that the unit has none of that name. */
static bool unreadable(const char *path, int err, char fault[FILES_FAULT])
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t n = dir ? strlen(dir) : 0;

	if (err == ENOENT && n && !strncmp(path, dir, n) && path[n] == '/')
		snprintf(fault, FILES_FAULT, "no such credential: add LoadCredential=%.64s:FILE to the unit", path + n + 1);
	else
		snprintf(fault, FILES_FAULT, "%s", strerror(err));
	return false;
}

static bool look_at_file(const char *path, char fault[FILES_FAULT])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char first;
	ssize_t n = fd < 0 ? -1 : read(fd, &first, 1);
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return unreadable(path, err, fault);
	return n > 0 || faulty(fault, "it is empty");
}

/* --- a program ------------------------------------------------------------------------- */

static bool can_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) || access(path, X_OK))
		return false;
	errno = EACCES; /* as execve says of a directory */
	return S_ISREG(st.st_mode);
}

/* As posix_spawnp() finds it. */
static bool is_in_path(const char *program)
{
	const char *dir = getenv("PATH");

	for (dir = dir ? dir : "/bin:/usr/bin"; ; dir++) {
		size_t n = strcspn(dir, ":");
		char path[PATH_MAX];
		int len = snprintf(path, sizeof path, "%.*s%s%s", (int)n, dir, n ? "/" : "", program);

		if (len > 0 && (size_t)len < sizeof path && can_run(path))
			return true;
		dir += n;
		if (!*dir)
			return false;
	}
}

static bool look_at_program(const char *program, char fault[FILES_FAULT])
{
	if (!strchr(program, '/'))
		return is_in_path(program) || faulty(fault, "no such program in PATH");
	return can_run(program) || faulty(fault, strerror(errno));
}

/* Programs that run a program: theirs is the first argument that is no option. */
static bool runs_scripts(const char *program)
{
	static const char *const names[] = {"python", "node", "deno", "perl", "ruby", "sh", "bash"};
	const char *slash = strrchr(program, '/'), *base = slash ? slash + 1 : program;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(names[i]);

		if (!strncmp(base, names[i], n) && strspn(base + n, "0123456789.") == strlen(base + n))
			return true;
	}
	return false;
}

/* One with a whole path: others may be words for the program, or are found by where it runs. */
static const char *find_script(const char *arg, size_t n, size_t width)
{
	size_t i = 1;

	if (n == 0 || !runs_scripts(arg))
		return NULL;
	while (i < n && arg[i * width] == '-')
		i++;
	return i < n && arg[i * width] == '/' ? arg + i * width : NULL;
}

static bool look_at_command(const char *arg, size_t n, size_t width, char fault[FILES_FAULT])
{
	const char *script = find_script(arg, n, width);
	char why[FILES_FAULT];

	if (n == 0 || !look_at_program(arg, fault))
		return n == 0;
	if (!script || look_at_file(script, why))
		return true;
	snprintf(fault, FILES_FAULT, "%.120s: %.60s", script, why);
	return false;
}

/* --- a page ---------------------------------------------------------------------------- */

static bool look_at_pages(const char *dir, char fault[FILES_FAULT])
{
	uint8_t *data;
	size_t len;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return faulty(fault, strerror(errno));
	close(fd);
	if (http_file_read(dir, "/", 4u << 20, &data, &len))
		return faulty(fault, "there is no index.html in it that can be read");
	free(data);
	return true;
}

/* --- a directory of ours ----------------------------------------------------------------- */

static bool look_at_state(const char *dir, char fault[FILES_FAULT])
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool usable = fd >= 0 && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0;
	int err = errno;

	if (fd >= 0)
		close(fd);
	return usable || faulty(fault, strerror(err));
}

bool files_look(const struct option_row *f, const void *base, char fault[FILES_FAULT])
{
	const char *text = (const char *)base + f->offset;
	size_t n;

	switch (f->form) {
	case FORM_FILE:
		return !*text || look_at_file(text, fault);
	case FORM_PAGES:
		return !*text || look_at_pages(text, fault);
	case FORM_STATE:
		return !*text || look_at_state(text, fault);
	case FORM_COMMAND:
		memcpy(&n, (const char *)base + f->count, sizeof n);
		return look_at_command(text, n, f->width, fault);
	case FORM_TEXT:
	case FORM_SECRET:
		break;
	}
	return true;
}
