/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

/* How a file is written: `mark` stands before what is only a suggestion. */
struct style {
	const char *mark; /* "" or "#" */
};

static int print_help(const struct field *f, struct buf *out)
{
	char accepts[ACCEPTS_MAX];
	int err = 0;

	if (f->group)
		err = buf_printf(out, "\n# -- %s\n\n", f->group);
	if (!err)
		err = buf_printf(out, "# %s", f->help);
	if (!err && f->type != FIELD_BOOL)
		err = buf_printf(out, " (%s%s%s)", field_accepts(f, accepts), f->unit ? " " : "", f->unit ? f->unit : "");
	return err ? err : buf_printf(out, "\n");
}

static int print_field(const struct style *st, const struct field *f, const void *base, struct buf *out)
{
	int err = print_help(f, out);

	if (!err)
		err = buf_printf(out, "%s%s = ", st->mark, f->key);
	if (!err)
		err = field_print(f, base, out);
	return err ? err : buf_printf(out, "\n");
}

static int print_fields(const struct style *st, const struct section *s, const void *base, const char *bridge_type,
	struct buf *out)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct field *f = &s->fields[i];

		if (bridge_type && !field_of_type(f, bridge_type))
			continue;
		int err = print_field(st, f, base, out);

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
			err = print_fields(st, s, &c->rooms.rules[i], NULL, out);
		if (err)
			return err;
	}
	return 0;
}

static int print_tools(const struct style *st, const struct bridge_opts *b, struct buf *out)
{
	for (size_t i = 0; i < b->n_tools; i++) {
		int err = buf_printf(out, "\n%s[[bridge.%s.tool]]\n", st->mark, b->name);

		if (!err)
			err = print_fields(st, &schema_tool, &b->tools[i], NULL, out);
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
			err = print_fields(st, s, &b[i], b[i].type, out);
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

	return err ? err : print_fields(st, s, c, NULL, out);
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

static void suggest_tool(struct bridge_tool *t)
{
	bridge_tool_default(t);
	snprintf(t->name, sizeof t->name, "opening_hours");
	snprintf(t->description, sizeof t->description, "When the shop is open this week.");
	snprintf(t->command[0], sizeof t->command[0], "/usr/local/bin/opening-hours");
	t->n_command = 1;
}

/* What has no default. */
static void suggest_required(struct config *c, struct bridge_opts *b)
{
	if (!strcmp(b->type, "process")) {
		snprintf(b->command[0], sizeof b->command[0], "/usr/local/bin/worker");
		b->n_command = 1;
	} else if (!strcmp(b->type, "audiosocket")) {
		snprintf(b->address, sizeof b->address, "tcp://127.0.0.1:9092");
	} else if (!strcmp(b->type, "websocket")) {
		snprintf(b->url, sizeof b->url, "ws://127.0.0.1:8765/");
	} else if (!strcmp(b->type, "openai")) {
		snprintf(b->model, sizeof b->model, "gpt-realtime-2.1");
		suggest_tool(&c->tool[c->n_tools++]);
		b->tools = &c->tool[c->n_tools - 1];
		b->n_tools = 1;
	}
}

/* Every built-in type as a section of its own, for config_example(). */
static void add_builtin_bridges(struct config *c)
{
	const char *p = bridge_types();
	size_t n = 0;

	while (*p && n < CONFIG_BRIDGES_MAX) {
		size_t len = strcspn(p, ", ");

		if (len && len < BRIDGE_NAME_MAX) {
			struct bridge_opts *b = &c->bridge[n++];

			bridge_opts_default(b);
			memset(b->name, 0, sizeof b->name);
			memset(b->type, 0, sizeof b->type);
			memcpy(b->name, p, len);
			memcpy(b->type, p, len);
			suggest_required(c, b);
		}
		p += len;
		p += strspn(p, ", ");
	}
	c->rooms.n_bridges = n;
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
