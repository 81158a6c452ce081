/* SPDX-License-Identifier: MIT */
/*
 * files - the files of a page: built into the binary, or read from a directory during
 * development. No state, any thread; reading allocates and blocks.
 */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* One embedded file. The arrays are generated; everything in them lives as long as the program. */
struct http_file {
	const char *path;         /* as in the URL, "/index.html" */
	const char *content_type;
	const uint8_t *data;
	size_t len;
};

/* The file with exactly this path; "/" and what ends in '/' means the index.html there. NULL: none. */
const struct http_file *http_file_find(const struct http_file *files, size_t n, const char *path);

/* By the extension; "application/octet-stream" if it is not known. Never NULL. */
const char *http_content_type(const char *path);

/* Reads the regular file `path` (percent-decoded, as in http_request; '/' at the end means index.html) beneath
 * `dir`. Never leaves it: ".." and symbolic links inside are not followed, names that begin with '.' are not served.
 * *data is the caller's, freed with free(). ERR_NOTFOUND (also for everything that is not served), ERR_LIMIT: longer than
 * `max`, ERR_NOMEM, ERR_IO with errno set. */
int http_file_read(const char *dir, const char *path, size_t max, uint8_t **data, size_t *len);
