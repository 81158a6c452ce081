/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

/* How a file is written: `mark` stands before what is only a suggestion. */
struct style {
	const char *mark; /* "" or "#" */
};

static int print_help(const struct option_row *f, struct buf *out)
{
	char accepts[ACCEPTS_MAX];
	int err = 0;

	if (f->group)
		err = buf_printf(out, "\n# -- %s\n\n", f->group);
	if (!err)
		err = buf_printf(out, "# %s", f->help);
	if (!err && f->type != OPTION_BOOL)
		err = buf_printf(out, " (%s%s%s)", field_accepts(f, accepts), f->unit ? " " : "", f->unit ? f->unit : "");
	return err ? err : buf_printf(out, "\n");
}

static int print_field(const struct style *st, const struct option_row *f, const void *base, struct buf *out)
{
	int err = print_help(f, out);

	if (!err)
		err = buf_printf(out, "%s%s = ", st->mark, f->key);
	if (!err)
		err = field_print(f, base, out);
	return err ? err : buf_printf(out, "\n");
}

static int print_fields(const struct style *st, const struct option_row *fields, size_t n, const void *base, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		int err = print_field(st, &fields[i], base, out);

		if (err)
			return err;
	}
	return 0;
}

static int print_rooms(const struct style *st, const struct section *s, const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < c->rooms.n_rules; i++) {
		int err = buf_printf(out, "\n%s[[room]]\n", st->mark);

		if (!err)
			err = print_fields(st, s->fields, s->n_fields, &c->rooms.rules[i], out);
		if (err)
			return err;
	}
	return 0;
}

/* What its type has besides. */
static int print_own(const struct style *st, const struct bridge_opts *b, struct buf *out)
{
	const struct bridge_options *o = bridge_find(b->type)->options;

	return o ? print_fields(st, o->rows, o->n_rows, b->options, out) : 0;
}

static int print_tools(const struct style *st, const struct bridge_opts *b, struct buf *out)
{
	for (size_t i = 0; i < b->n_tools; i++) {
		int err = buf_printf(out, "\n%s[[bridge.%s.tool]]\n", st->mark, b->name);

		if (!err)
			err = print_fields(st, bridge_tool_options.rows, bridge_tool_options.n_rows, &b->tools[i], out);
		if (err)
			return err;
	}
	return 0;
}

static int print_bridges(const struct style *st, const struct section *s, const struct bridge_opts *b, size_t n,
	struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		int err = buf_printf(out, "\n%s[bridge.%s]\n", st->mark, b[i].name);

		if (!err)
			err = print_fields(st, s->fields, s->n_fields, &b[i], out);
		if (!err)
			err = print_own(st, &b[i], out);
		if (!err)
			err = print_tools(st, &b[i], out);
		if (err)
			return err;
	}
	return 0;
}

static int print_section(const struct style *st, const struct section *s, const struct config *c, struct buf *out)
{
	if (s->kind == SECTION_ROOMS)
		return print_rooms(st, s, c, out);
	if (s->kind == SECTION_BRIDGES)
		return print_bridges(st, s, c->rooms.bridges, c->rooms.n_bridges, out);
	int err = buf_printf(out, "\n[%s]\n", s->name);

	return err ? err : print_fields(st, s->fields, s->n_fields, c, out);
}

static int print_all(const struct style *st, const struct config *c, struct buf *out)
{
	int err = 0;

	for (size_t i = 0; i < schema_sections && !err; i++)
		err = print_section(st, &schema[i], c, out);
	return err;
}

int config_print(const struct config *c, struct buf *out)
{
	static const struct style plain = {.mark = ""};
	int err = buf_printf(out, "# The whole configuration of mynahd, as it is in effect.\n");

	return err ? err : print_all(&plain, c, out);
}

static void put_samples(const struct bridge_options *o, void *base)
{
	for (size_t i = 0; o && i < o->n_rows; i++)
		field_set_sample(&o->rows[i], base);
}

static void add_tool(struct config *c, struct bridge_opts *b)
{
	struct bridge_tool *t = &c->tool[c->n_tools++];

	bridge_tool_default(t);
	put_samples(&bridge_tool_options, t);
	b->tools = t;
	b->n_tools = 1;
}

/* Every built-in type as a section of its own, for config_example(). */
static void add_builtin_bridges(struct config *c)
{
	const char *p = bridge_types();

	for (; *p; p += strspn(p, ", ")) {
		struct bridge_opts *b = &c->bridge[c->rooms.n_bridges];
		int len = (int)strcspn(p, ", ");

		bridge_opts_default(b);
		snprintf(b->name, sizeof b->name, "%.*s", len, p);
		snprintf(b->type, sizeof b->type, "%.*s", len, p);
		put_samples(bridge_find(b->type)->options, config_bridge_options(c, c->rooms.n_bridges++));
		if (bridge_find(b->type)->has_tools)
			add_tool(c, b);
		p += len;
	}
}

int config_example(struct buf *out)
{
	static const struct style suggested = {.mark = "#"};
	struct config *c = malloc(sizeof *c);

	if (!c)
		return ERR_NOMEM;
	config_default(c);
	add_builtin_bridges(c);
	int err = buf_printf(out,
		"# Configuration of mynahd. Every line that is commented out shows the default; remove its '#' to change it.\n"
		"# mynahd --check-config FILE tells whether a file is good. Reference: docs/configuration.md\n");

	if (!err)
		err = print_all(&suggested, c, out);
	free(c);
	return err;
}
