/* SPDX-License-Identifier: MIT */
/* key - the secret that a worker asks for, from the place that the configuration names. Read when a connection begins, so that
 * it may be changed while the daemon runs; never logged. */
#pragma once
#include "bridge/bridge.h"

enum { KEY_MAX = 4096 };

/* Where a key is found: the first line of a file, or else an environment variable. "": none. */
struct bridge_key {
	char file[BRIDGE_ARG_MAX];
	char env[BRIDGE_NAME_MAX * 2];
};

/* The rows of the member `key` in a driver's options. */
#define KEY_ROWS(type_of_options) \
	{.key = "api_key_env", .type = OPTION_TEXT, .form = FORM_SECRET, OPTION_TEXT_AT(type_of_options, key.env), \
		.help = "the variable that holds the worker's key; empty: none, or the one that the profile's users have"}, \
	{.key = "api_key_file", .type = OPTION_TEXT, .form = FORM_FILE, OPTION_TEXT_AT(type_of_options, key.file), \
		.help = "the file that holds the worker's key, before api_key_env; empty: none"}

/* "": none is configured. ERR_NOTFOUND: missing or empty, ERR_RANGE: longer than KEY_MAX or not visible
 * ASCII; `why` describes it without the key. Wipe `out` after use. */
int key_read(const struct bridge_key *from, char out[KEY_MAX], char *why, size_t why_size);
void key_wipe(char key[KEY_MAX]);
/* For the check of struct bridge_ops. `safe`: the connection is over TLS or to this machine. */
bool key_check(const struct bridge_key *key, bool safe, struct bridge_fault *f);

/* The names of all variables that may hold the key of a bridge, configured or not: no program that a bridge starts may see them. Ended by NULL,
 * borrowed from the options; the caller frees the array. NULL: no memory. */
const char **key_variables(const struct bridge_opts *opts);
