/* SPDX-License-Identifier: MIT */
/*
 * toml - a TOML document as a plain tree. The parser is toml++; this is the only door to
 * it, and no exception comes through. Children of a table stand in the order of the file.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum node_type { NODE_TABLE, NODE_ARRAY, NODE_STRING, NODE_INT, NODE_FLOAT, NODE_BOOL, NODE_TIME };

struct toml_node {
	struct toml_node *next;   /* sibling */
	struct toml_node *first;  /* child, of a table or an array */
	char *key;                /* in its table; NULL for the root and in an array */
	char *text;               /* of a string: NUL-terminated, and may hold NUL before `len` */
	size_t len;
	double number;            /* of an integer, too */
	int64_t integer;
	bool boolean;
	enum node_type type;
	uint32_t line, column;    /* of the key if there is one, else of the value; from 1 */
};

/* Parses `len` bytes of `text`. On success *root is a table, freed with toml_free(). ERR_MALFORMED: not TOML
 * (duplicate keys, too), `line` and `why` say where and what; ERR_NOMEM. */
int toml_parse(const char *text, size_t len, struct toml_node **root, uint32_t *line, char *why, size_t why_size);
void toml_free(struct toml_node *n); /* with its siblings and children; accepts NULL */

/* The child of a table with this key, NULL if there is none; `table` may be NULL. */
const struct toml_node *toml_child(const struct toml_node *table, const char *key);

#ifdef __cplusplus
}
#endif
