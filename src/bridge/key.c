/* SPDX-License-Identifier: MIT */
#include "bridge/key.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void key_wipe(char key[KEY_MAX])
{
	explicit_bzero(key, KEY_MAX);
}

static int from_env(const char *name, char out[KEY_MAX], char *why, size_t why_size)
{
	const char *value = getenv(name);

	if (!value || !*value) {
		snprintf(why, why_size, "the environment has no %s", name);
		return ERR_NOTFOUND;
	}
	if (strlen(value) >= KEY_MAX) {
		snprintf(why, why_size, "%s is too long for a key", name);
		return ERR_RANGE;
	}
	memcpy(out, value, strlen(value) + 1);
	return 0;
}

static int from_file(const char *path, char out[KEY_MAX], char *why, size_t why_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, out, KEY_MAX - 1);
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		snprintf(why, why_size, "the key cannot be read from %.80s: %s", path, strerror(err));
		return ERR_NOTFOUND;
	}
	out[n] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	if (!*out)
		snprintf(why, why_size, "there is no key in %.80s", path);
	return *out ? 0 : ERR_NOTFOUND;
}

int key_read(const struct bridge_key *from, char out[KEY_MAX], char *why, size_t why_size)
{
	int err = 0;

	out[0] = '\0';
	if (from->file[0])
		err = from_file(from->file, out, why, why_size);
	else if (from->env[0])
		err = from_env(from->env, out, why, why_size);
	for (const char *p = out; !err && *p; p++) {
		if (*p > ' ' && *p <= '~')
			continue;
		snprintf(why, why_size, "the key in %.80s holds a character that no key has",
			from->file[0] ? from->file : from->env);
		err = ERR_RANGE;
	}
	if (err)
		key_wipe(out);
	return err;
}

bool key_check(const struct bridge_key *key, bool safe, struct bridge_fault *f)
{
	if ((key->file[0] || key->env[0]) && !safe)
		return bridge_faulty(f, key->file[0] ? "api_key_file" : "api_key_env",
			"it with a wss:// url: in clear a key goes to this machine only");
	return true;
}

/* --- variables that hold keys -------------------------------------------------------------- */

struct names {
	const char **name;
	size_t n;
};

/* Those that one bridge names; only counts where there is no array yet. */
static void add_variables(const struct bridge_opts *b, struct names *out)
{
	const struct bridge_ops *ops = b->ops ? b->ops : bridge_find(b->type);

	for (size_t i = 0; ops && ops->options && b->options && i < ops->options->n_rows; i++) {
		const struct option_row *row = &ops->options->rows[i];
		const char *name = (const char *)b->options + row->offset;

		if (row->form != FORM_SECRET || !*name)
			continue;
		if (out->name)
			out->name[out->n] = name;
		out->n++;
	}
}

static void add_all(const struct bridge_opts *opts, struct names *out)
{
	static const char *const usual[] = {"OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "XAI_API_KEY"};

	out->n = sizeof usual / sizeof *usual;
	if (out->name)
		memcpy(out->name, usual, sizeof usual);
	for (size_t i = 0; i < opts->n_all; i++)
		add_variables(&opts->all[i], out);
	add_variables(opts, out);
}

const char **key_variables(const struct bridge_opts *opts)
{
	struct names names = {0};

	add_all(opts, &names);
	names.name = calloc(names.n + 1, sizeof *names.name);
	if (names.name)
		add_all(opts, &names);
	return names.name;
}
