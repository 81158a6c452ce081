/* SPDX-License-Identifier: MIT */
#include "daemon/reset_secret.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = CONFIG_TEXT_MAX + 32 };

/* --- without a file ------------------------------------------------------------------------------- */

static void add_machine(struct buf *b)
{
	char text[256] = "";
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);

	if (n > 0)
		buf_append(b, text, (size_t)n);
	if (fd >= 0)
		close(fd);
	if (gethostname(text, sizeof text - 1) == 0) /* containers often have no id, or share one */
		buf_append(b, text, strnlen(text, sizeof text));
}

static int derive(const struct config_server *cfg, const struct quic_cert *cert, uint8_t out[QUIC_SECRET_LEN])
{
	struct buf b;

	buf_init(&b, 1024);
	int err = buf_printf(&b, "mynah stateless reset %u ", cfg->port);

	if (!err) {
		add_machine(&b);
		err = quic_cert_derive(cert, b.p, b.len, out);
	}
	buf_fini(&b);
	return err;
}

/* --- the file ------------------------------------------------------------------------------------- */

/* The fault of an open file, NULL: none. */
static const char *read_from(int fd, uint8_t out[QUIC_SECRET_LEN])
{
	static const uint8_t zero[QUIC_SECRET_LEN];
	struct stat st;

	if (fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no regular file";
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return "others have access to it";
	if (st.st_size != QUIC_SECRET_LEN || read(fd, out, QUIC_SECRET_LEN) != QUIC_SECRET_LEN)
		return "it is not 32 bytes long";
	return memcmp(out, zero, QUIC_SECRET_LEN) ? NULL : "it is all zero";
}

/* True: `out` is the secret. Warns, unless there is no file yet. */
static bool read_file(const char *path, const struct log *log, uint8_t out[QUIC_SECRET_LEN])
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return false;
	const char *fault = fd < 0 ? strerror(errno) : read_from(fd, out);

	if (fd >= 0)
		close(fd);
	if (fault)
		log_warn(log, "%s is not used: %s; a new secret takes its place, and clients of the last run notice by silence only",
			path, fault);
	return !fault;
}

/* errno tells of a failure. */
static bool write_new(const char *path, const uint8_t secret[QUIC_SECRET_LEN])
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);

	if (fd < 0)
		return false;
	errno = ENOSPC; /* what a short write means */
	bool written = write(fd, secret, QUIC_SECRET_LEN) == QUIC_SECRET_LEN && fsync(fd) == 0;

	return close(fd) == 0 && written;
}

/* Whole or not at all, whenever the power fails. */
static void write_file(const char *path, const struct log *log, const uint8_t secret[QUIC_SECRET_LEN])
{
	char fresh[PATH_BYTES + 8];

	snprintf(fresh, sizeof fresh, "%s.new", path);
	unlink(fresh); /* of a start that was cut short */
	if (write_new(fresh, secret) && rename(fresh, path) == 0)
		return;
	log_warn(log, "%s cannot be written: %s; clients of this run will notice the next start by silence only", path,
		strerror(errno));
	unlink(fresh);
}

/* False: none is configured. */
static bool find_path(const struct config_server *cfg, char path[PATH_BYTES])
{
	const char *dir = cfg->state_dir[0] ? cfg->state_dir : getenv("STATE_DIRECTORY");
	size_t n = !dir ? 0 : dir == cfg->state_dir ? strlen(dir) : strcspn(dir, ":"); /* systemd's may be several */

	if (n == 0 || n >= CONFIG_TEXT_MAX)
		return false;
	snprintf(path, PATH_BYTES, "%.*s/reset-secret", (int)n, dir);
	return true;
}

void reset_secret_find(const struct config_server *cfg, const struct quic_cert *cert, const struct log *log,
	uint8_t out[QUIC_SECRET_LEN])
{
	char path[PATH_BYTES];
	bool kept = find_path(cfg, path);

	if (kept && read_file(path, log, out))
		return;
	if (kept || !cfg->certificate[0] || derive(cfg, cert, out))
		random_bytes(out, QUIC_SECRET_LEN);
	if (kept)
		write_file(path, log, out);
}
