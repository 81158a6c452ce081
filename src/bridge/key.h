/* SPDX-License-Identifier: MIT */
/* key - the secret that a worker wants, from where the configuration says it is. Read when a connection begins, so that
 * it may be changed while the daemon runs; never logged. */
#pragma once
#include "bridge/bridge.h"

enum { KEY_MAX = 4096 };

/* "": none is configured. ERR_NOTFOUND: it is not there (or empty), ERR_RANGE: longer than KEY_MAX or not visible
 * ASCII; `why` says which, without it. Wipe `out` after use. */
int key_read(const struct bridge_key *from, char out[KEY_MAX], char *why, size_t why_size);
void key_wipe(char key[KEY_MAX]);
/* For struct bridge_ops. `safe`: the way is one for secrets. */
bool key_check(const struct bridge_key *key, bool safe, struct bridge_fault *f);

/* The names of all variables that a bridge may have a key in, configured or not, for who must not see them: ended by NULL,
 * borrowed from the options; the array is the caller's to free. NULL: no memory. */
const char **key_variables(const struct bridge_opts *opts);
