/* SPDX-License-Identifier: MIT */
/* suggest - what an unknown name may have been meant to be. */
#pragma once
#include "config/schema.h"

enum { SUGGEST_MAX = 160 };

/* Ends of a sentence: ", did you mean server.port?", or how to find out. Return `out`. */
const char *suggest_key(const struct section *s, const char *key, char out[SUGGEST_MAX]);
const char *suggest_section(const char *name, char out[SUGGEST_MAX]);
