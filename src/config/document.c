/* SPDX-License-Identifier: MIT */
#include "base/err.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

static const char intro[] =
	"# Configuration\n"
	"\n"
	"`mynahd -c FILE` reads one [TOML](https://toml.io) file; without it every default below holds. The file is\n"
	"checked strictly before anything starts: an unknown key, a wrong type or a value out of bounds ends it with one line that\n"
	"names file, line, key, value and what would be accepted:\n"
	"\n"
	"```\n"
	"mynah.toml:12: audio.frame_ms = 15: use 10 or 20\n"
	"mynah.toml:3: server.prot: unknown key, did you mean server.port?\n"
	"```\n"
	"\n"
	"`mynahd --check-config FILE` does just that check, and looks at what the file names: certificate and key, page, keys and\n"
	"instructions of bridges, programs. `mynahd --print-config` prints the whole configuration in\n"
	"effect as such a file, with every key explained; `packaging/mynah.toml`, installed as `/etc/mynah/mynah.toml`, is a file with\n"
	"everything commented out to begin with.\n"
	"\n";

static const char roomkit[] =
	"## From RoomKit\n"
	"\n"
	"The eight settings of RoomKit's WebTransport backend have the same names, meanings and defaults here, under\n"
	"`[server]`: `host`, `port`, `certificate`, `private_key`, `input_sample_rate`, `output_sample_rate`, `path` and\n"
	"`max_datagram_size`. Two things are easier: without a certificate a development one is made and renewed, and\n"
	"`max_datagram_size` is only a ceiling, since what the network path carries is found out.\n"
	"\n"
	"## Secrets\n"
	"\n"
	"A private key is named, never written into the file. Under systemd, `private_key = \"credential:key.pem\"` is the\n"
	"credential `key.pem` of the unit (`LoadCredential=key.pem:/somewhere/key.pem`), readable by nobody else;\n"
	"`certificate` takes the same form.\n"
	"\n";

/* In a table a '|' would end the cell. */
static int put_cell(struct buf *out, const char *s)
{
	int err = 0;

	for (; *s && !err; s++)
		err = *s == '|' ? buf_printf(out, "\\|") : buf_append(out, s, 1);
	return err ? err : buf_printf(out, " | ");
}

/* "process, websocket" */
static int put_types(struct buf *out, const char *types)
{
	int err = buf_printf(out, "(type ");

	for (const char *p = types; *p && !err; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ", ");

		err = buf_printf(out, "%s`%.*s`", p == types ? "" : ", ", (int)n, p);
		p += n;
	}
	return err ? err : buf_printf(out, " only) ");
}

static const char *type_name(const struct option_row *f)
{
	switch (f->type) {
	case OPTION_BOOL: return "boolean";
	case OPTION_U16:
	case OPTION_U32: return "integer";
	case OPTION_DOUBLE: return "number";
	case OPTION_NAME:
	case OPTION_TEXT: return "string";
	case OPTION_LIST: return "string or list";
	}
	return "";
}

/* `types`: that alone have the key; "": it is common to all. */
static int document_field(const struct section *s, const struct option_row *f, const void *base, const char *types,
	struct buf *out)
{
	char accepts[ACCEPTS_MAX];
	int err = buf_printf(out, "| `%s` | %s | ", f->key, type_name(f));

	if (!err && s->kind == SECTION_BRIDGES && !strcmp(f->key, "type"))
		err = buf_printf(out, "NAME");
	else if (!err && f->required)
		err = buf_printf(out, "required");
	else if (!err) {
		err = buf_printf(out, "`");
		if (!err)
			err = field_print(f, base, out);
		if (!err)
			err = buf_printf(out, "`");
	}
	if (!err)
		err = buf_printf(out, " | ");
	if (!err && f->unit)
		err = buf_printf(out, "%s %s | ", field_accepts(f, accepts), f->unit);
	else if (!err)
		err = put_cell(out, field_accepts(f, accepts));
	if (!err && *types)
		err = put_types(out, types);
	if (!err)
		err = put_cell(out, f->help);
	if (!err)
		out->len--; /* the space behind the last bar */
	return err ? err : buf_printf(out, "\n");
}

static int table_head(struct buf *out)
{
	return buf_printf(out, "| key | type | default | accepted | meaning |\n|---|---|---|---|---|\n");
}

static int document_fields(const struct section *s, const struct option_row *fields, size_t n, const void *base, struct buf *out)
{
	int err = fields[0].group ? 0 : table_head(out);

	for (size_t i = 0; i < n && !err; i++) {
		const struct option_row *f = &fields[i];

		if (f->group)
			err = buf_printf(out, "%s### %s\n\n", i ? "\n" : "", f->group);
		if (f->group && !err)
			err = table_head(out);
		if (!err)
			err = document_field(s, f, base, "", out);
	}
	return err;
}

/* Below the keys of all bridges, in the same table. */
static int document_drivers(const struct section *s, struct buf *out)
{
	const struct bridge_ops *owner;
	const struct option_row *f;
	char types[TYPES_MAX];
	int err = 0;

	for (size_t i = 0; !err && (f = schema_driver_row(i, &owner)); i++)
		err = document_field(s, f, owner->options->defaults, schema_types(f->key, types), out);
	return err;
}

static int document_keys(const struct section *s, const struct config *c, struct buf *out)
{
	struct bridge_opts bridge;
	int err;

	switch (s->kind) {
	case SECTION_ROOMS:
		return document_fields(s, s->fields, s->n_fields, &c->room[0], out);
	case SECTION_TOOLS:
		return document_fields(s, bridge_tool_options.rows, bridge_tool_options.n_rows, bridge_tool_options.defaults, out);
	case SECTION_BRIDGES:
		bridge_opts_default(&bridge);
		err = document_fields(s, s->fields, s->n_fields, &bridge, out);
		return err ? err : document_drivers(s, out);
	case SECTION_ONE:
		break;
	}
	return document_fields(s, s->fields, s->n_fields, c, out);
}

static int document_section(const struct section *s, const struct config *c, struct buf *out)
{
	bool many = s->kind == SECTION_ROOMS || s->kind == SECTION_TOOLS;
	int err = buf_printf(out, "## %s%s%s\n\n%s\n\n", many ? "[[" : "[", schema_label(s), many ? "]]" : "]", s->intro);

	if (!err)
		err = document_keys(s, c, out);
	if (!err && s->example)
		err = buf_printf(out, "\n```toml\n%s```\n", s->example);
	return err ? err : buf_printf(out, "\n");
}

int config_document(struct buf *out)
{
	struct config *c = malloc(sizeof *c);

	if (!c)
		return ERR_NOMEM;
	config_default(c);
	int err = buf_printf(out, "%s", intro);

	for (size_t i = 0; i < schema_sections && !err; i++) {
		err = document_section(&schema[i], c, out);
		if (!err && schema[i].kind == SECTION_BRIDGES)
			err = document_section(&schema_tool, c, out);
	}
	if (!err)
		err = buf_printf(out, "%s", roomkit);
	if (!err)
		out->len--; /* the empty line at the end */
	free(c);
	return err;
}
