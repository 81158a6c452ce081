/* SPDX-License-Identifier: MIT */
#include "http/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

static const struct {
	const char *extension, *type;
} types[] = {
	{"html", "text/html; charset=utf-8"},
	{"js", "text/javascript; charset=utf-8"},
	{"mjs", "text/javascript; charset=utf-8"},
	{"css", "text/css; charset=utf-8"},
	{"json", "application/json"},
	{"map", "application/json"},
	{"webmanifest", "application/manifest+json"},
	{"txt", "text/plain; charset=utf-8"},
	{"md", "text/plain; charset=utf-8"},
	{"svg", "image/svg+xml"},
	{"png", "image/png"},
	{"jpg", "image/jpeg"},
	{"webp", "image/webp"},
	{"ico", "image/vnd.microsoft.icon"},
	{"wasm", "application/wasm"},
	{"woff2", "font/woff2"},
	{"wav", "audio/wav"},
	{"ogg", "audio/ogg"},
	{"opus", "audio/ogg"},
};

const char *http_content_type(const char *path)
{
	const char *name = strrchr(path, '/'), *dot = strrchr(name ? name : path, '.');

	for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
		if (!strcasecmp(dot + 1, types[i].extension))
			return types[i].type;
	return "application/octet-stream";
}

/* False: over-long. */
static bool with_index(const char *path, char out[PATH_BYTES])
{
	size_t n = strlen(path);
	int len = snprintf(out, PATH_BYTES, "%s%s", path, n && path[n - 1] == '/' ? "index.html" : "");

	return len > 0 && len < PATH_BYTES;
}

const struct http_file *http_file_find(const struct http_file *files, size_t n, const char *path)
{
	char full[PATH_BYTES];

	if (!with_index(path, full))
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(files[i].path, full))
			return &files[i];
	return NULL;
}

/* Opens segment by segment, so that nothing can be swapped for a link between a check and its use. */
static int open_beneath(const char *dir, char *path, int *out)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	char *save, *name = strtok_r(path, "/", &save);

	while (fd >= 0 && name) {
		char *after = strtok_r(NULL, "/", &save);

		if (name[0] == '.') {
			close(fd);
			return ERR_NOTFOUND;
		}
		/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
		next = openat(fd, name, O_NOFOLLOW | O_CLOEXEC | (after ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK));
		close(fd);
		fd = next;
		name = after;
	}
	*out = fd;
	return fd >= 0 ? 0 : errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO ? ERR_IO : ERR_NOTFOUND;
}

static int read_whole(int fd, size_t max, uint8_t **data, size_t *len)
{
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st) < 0)
		return ERR_IO;
	if (!S_ISREG(st.st_mode))
		return ERR_NOTFOUND;
	if ((uint64_t)st.st_size > max)
		return ERR_LIMIT;
	size_t size = (size_t)st.st_size;
	uint8_t *p = malloc(size + 1);

	if (!p)
		return ERR_NOMEM;
	while (n < size) { /* a file that shrinks meanwhile is served as far as it goes */
		ssize_t r = read(fd, p + n, size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			free(p);
			return ERR_IO;
		}
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*data = p;
	*len = n;
	return 0;
}

int http_file_read(const char *dir, const char *path, size_t max, uint8_t **data, size_t *len)
{
	char full[PATH_BYTES];
	int fd, err;

	if (path[0] != '/' || !with_index(path, full))
		return ERR_NOTFOUND;
	err = open_beneath(dir, full, &fd);
	if (err)
		return err;
	err = read_whole(fd, max, data, len);
	int saved = errno;

	close(fd);
	errno = saved;
	return err;
}
