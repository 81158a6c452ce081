/* SPDX-License-Identifier: MIT */
/*
 * surrogate - halves of UTF-16 pairs in JSON. The grammar allows the escape of one alone (RFC 8259, section 8.2), and JavaScript and
 * Python write it where a string was cut in the middle of an emoji; there is no UTF-8 for it, so parsers refuse the whole document.
 * Pure functions.
 */
#pragma once
#include <stddef.h>

/* `json` with \ufffd for each such escape, of the same length. Nearly always `json` itself, and `*copy` NULL; else a copy that the
 * caller frees. NULL: no memory. It need be no JSON: what is none before is none after. */
const char *surrogate_mend(const char *json, size_t len, char **copy);
