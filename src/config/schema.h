/* SPDX-License-Identifier: MIT */
/*
 * schema - every key of the configuration file, once: where it lives, what it takes, what
 * it is for. Defaults are not here: they are what config_default() leaves in the struct.
 */
#pragma once
#include "config/config.h"
#include "config/toml.h"

enum field_type {
	FIELD_BOOL,
	FIELD_U16,
	FIELD_U32,
	FIELD_DOUBLE,
	FIELD_NAME, /* an enum, one of `names` */
	FIELD_TEXT, /* char[width] */
	FIELD_LIST, /* char[max][width] with its length (size_t) at `count`; a lone string is a list of one */
};

/* Looks at a text and may put it into its normal form within `size` bytes. Returns false with what would be
 * accepted in `accepts`. */
typedef bool fix_fn(char *text, size_t size, char accepts[128]);

struct field {
	const char *group;          /* starts a group of keys with this heading; may be NULL */
	const char *key;
	enum field_type type;
	size_t offset;              /* in struct config, struct room_rule, struct bridge_opts or struct bridge_tool */
	double min, max;            /* of a number; of a list: how many */
	const uint32_t *choices;    /* of a number: these only, 0-terminated; else NULL */
	bool (*fits)(uint32_t v);   /* of a number: a further condition, told by `accepts`; else NULL */
	const char *const *names;   /* of an enum, NULL-terminated, in its order */
	size_t width, count;
	fix_fn *fix;
	const char *accepts;        /* in words; NULL: made from the bounds */
	const char *unit;           /* of min, max and choices; NULL: none */
	const char *bridge_type;    /* only bridges of this type (or these, comma separated) have the key; NULL: all */
	bool required;              /* of such a bridge */
	bool lines;                 /* of a text: line ends and tabs may stand in it */
	const char *help;
};
enum { FIELD_TEXT_MAX = 4096 }; /* the widest */

/* A bridge of this type has the key? */
bool field_of_type(const struct field *f, const char *bridge_type);
bool type_among(const char *types, const char *bridge_type); /* `types` as in struct field */

enum section_kind { SECTION_ONE, SECTION_ROOMS, SECTION_BRIDGES, SECTION_TOOLS };

struct section {
	const char *name;
	enum section_kind kind;
	const struct field *fields;
	size_t n_fields;
	const char *bridge_type; /* as of a field: bridges that have the section; NULL: all */
	const char *intro;   /* what the section is for; Markdown, a few sentences */
	const char *example; /* TOML; may be NULL */
};

extern const struct section schema[];
extern const size_t schema_sections;
extern const struct section schema_tool; /* [[bridge.NAME.tool]], which stands inside a bridge */
/* Where its keys are: "server", "room", "bridge.NAME", "bridge.NAME.tool". */
const char *schema_label(const struct section *s);

const struct section *schema_section(const char *name);              /* NULL: none */
const struct field *schema_field(const struct section *s, const char *key); /* NULL: none */

/* What a key takes, in words: "10 or 20", "true or false". Returns `out`. */
enum { ACCEPTS_MAX = 160 };
const char *field_accepts(const struct field *f, char out[ACCEPTS_MAX]);
/* Stores a value. On false `no` says what is wrong, and a list may be stored in part. */
struct refusal {
	const struct toml_node *at; /* the value, or the item of the list */
	char accepts[ACCEPTS_MAX];
};
bool field_set(const struct field *f, void *base, const struct toml_node *value, struct refusal *no);
/* Appends the value as TOML. */
int field_print(const struct field *f, const void *base, struct buf *out);
bool field_equal(const struct field *f, const void *a, const void *b);

/* Appends `s` as a TOML string, in quotes. */
int toml_quote(struct buf *out, const char *s, size_t len);
