/* SPDX-License-Identifier: MIT */
/*
 * schema - every key of the configuration file, once: where it is stored, what it accepts, what
 * it is for. Defaults are not here: they are what config_default() leaves in the struct. The keys that only some types
 * of bridge have are declared by their drivers.
 */
#pragma once
#include "config/config.h"
#include "config/toml.h"

enum { FIELD_TEXT_MAX = 4096 }; /* the widest */

enum section_kind { SECTION_ONE, SECTION_ROOMS, SECTION_BRIDGES, SECTION_TOOLS };

struct section {
	const char *name;
	enum section_kind kind;
	const struct option_row *fields; /* offsets in struct config, struct room_rule or struct bridge_opts */
	size_t n_fields;
	const char *intro;   /* what the section is for; Markdown, a few sentences */
	const char *example; /* TOML; may be NULL */
};

extern const struct section schema[];
extern const size_t schema_sections;
extern const struct section schema_tool; /* [[bridge.NAME.tool]], which stands inside a bridge */
/* Where its keys are: "server", "room", "bridge.NAME", "bridge.NAME.tool". */
const char *schema_label(const struct section *s);

const struct section *schema_section(const char *name);              /* NULL: none */
const struct option_row *schema_field(const struct section *s, const char *key); /* NULL: none */
/* The keys of a section one after the other; in that of bridges those of all drivers follow the common ones, each once.
 * NULL: no more. */
const struct option_row *schema_row(const struct section *s, size_t i);
/* Those of the drivers alone; `*owner` is the first that has it. */
const struct option_row *schema_driver_row(size_t i, const struct bridge_ops **owner);
/* The types of bridge that alone have this key, "websocket, openai"; "": none, so it is a common key or unknown. Returns `out`. */
enum { TYPES_MAX = 128 };
const char *schema_types(const char *key, char out[TYPES_MAX]);

/* What a key accepts, in words: "10 or 20", "true or false". Returns `out`. */
enum { ACCEPTS_MAX = 160 };
const char *field_accepts(const struct option_row *f, char out[ACCEPTS_MAX]);
/* Stores the sample of a key that has one, as in an example. */
void field_set_sample(const struct option_row *f, void *base);
/* Stores a value. On false `no` says what is wrong, and a list may be stored in part. */
struct refusal {
	const struct toml_node *at; /* the value, or the item of the list */
	char accepts[ACCEPTS_MAX];
};
bool field_set(const struct option_row *f, void *base, const struct toml_node *value, struct refusal *no);
/* Appends the value as TOML. */
int field_print(const struct option_row *f, const void *base, struct buf *out);
bool field_equal(const struct option_row *f, const void *a, const void *b);

/* Appends `s` as a TOML string, in quotes. */
int toml_quote(struct buf *out, const char *s, size_t len);
