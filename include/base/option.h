/* SPDX-License-Identifier: MIT */
/*
 * option - what can be configured: one row for each setting, with its type, its bounds and its help, in a table beside
 * the struct that it fills. Constant plain data. A layer that declares options declares their rows; the configuration
 * reads, checks, prints and documents them.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_BOOL,
	OPTION_U16,
	OPTION_U32,
	OPTION_DOUBLE,
	OPTION_NAME, /* an enum, one of `names` */
	OPTION_TEXT, /* char[width] */
	OPTION_LIST, /* char[max][width] with its length (size_t) at `count`; a lone string is a list of one */
};

/* What a text stands for. */
enum option_form {
	FORM_TEXT,     /* itself */
	FORM_FILE,     /* a file that is read; it may be named as a credential of the service */
	FORM_PAGES,    /* a directory with the files of a page */
	FORM_STATE,    /* a directory that is written to */
	FORM_SECRET,   /* an environment variable that holds a secret, which no program that we start may see */
	FORM_COMMAND,  /* a list: a program, found as in a shell, and its arguments */
};

/* Looks at a text and may put it into its normal form within `size` bytes. Returns false with what would be
 * accepted in `accepts`. */
typedef bool option_fix_fn(char *text, size_t size, char accepts[128]);

struct option_row {
	const char *group;          /* starts a group of keys with this heading; may be NULL */
	const char *key;
	enum option_type type;
	enum option_form form;
	size_t offset;              /* in the struct that the table is for */
	double min, max;            /* of a number; of a list: how many */
	const uint32_t *choices;    /* of a number: these only, 0-terminated; else NULL */
	bool (*fits)(uint32_t v);   /* of a number: a further condition, told by `accepts`; else NULL */
	const char *const *names;   /* of an enum, NULL-terminated, in its order */
	size_t width, count;
	option_fix_fn *fix;         /* of a text; NULL: as its form asks */
	const char *accepts;        /* in words; NULL: made from the bounds or the form */
	const char *unit;           /* of min, max and choices; NULL: none */
	bool required;
	bool lines;                 /* of a text: line ends and tabs may stand in it */
	const char *sample;         /* of a text without a useful default: what an example shows; NULL: the default */
	const char *help;
};

/* Where a member lives, and how wide a text is: .type = OPTION_TEXT, OPTION_TEXT_AT(tone_opts, name) */
#define OPTION_AT(type, member) .offset = offsetof(struct type, member)
#define OPTION_TEXT_AT(type, member) OPTION_AT(type, member), .width = sizeof(((struct type *)0)->member)
#define OPTION_LIST_AT(type, member, n_member) OPTION_AT(type, member), .width = sizeof(((struct type *)0)->member[0]), \
	.count = offsetof(struct type, n_member)
