/* SPDX-License-Identifier: MIT */
/*
 * A file becomes a struct config in three steps: toml.cpp makes a tree of it, the schema
 * stores each value where it belongs, and what no single value can show (a key without
 * its certificate, a room whose bridge is nowhere) is checked at the end. The first
 * mistake ends it.
 */
#include "base/err.h"
#include "config/check.h"
#include "config/files.h"
#include "config/schema.h"
#include "config/suggest.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

struct load {
	const char *file;
	struct config *c;
	char *why; /* CONFIG_ERROR bytes */
	bool look;      /* at what the file names, too */
	int64_t wall_s; /* when a certificate must be valid, with `look` */
};

/* --- messages ------------------------------------------------------------------------- */

enum { VALUE_SHOWN = 72 };

/* The value as it may have stood in the file, on one line and not too long. */
static void show_value(const struct toml_node *v, char out[VALUE_SHOWN + 4])
{
	struct buf b;

	buf_init(&b, 4096);
	switch (v->type) {
	case NODE_TABLE:
		buf_printf(&b, "{...}");
		break;
	case NODE_ARRAY:
		buf_printf(&b, "[%s]", v->first ? "..." : "");
		break;
	case NODE_STRING:
		toml_quote(&b, v->text, v->len < 500 ? v->len : 500);
		break;
	case NODE_INT:
		buf_printf(&b, "%lld", (long long)v->integer);
		break;
	case NODE_FLOAT:
		buf_printf(&b, fabs(v->number) < 1e15 && v->number == floor(v->number) ? "%.1f" : "%.12g", v->number);
		break;
	case NODE_BOOL:
		buf_printf(&b, "%s", v->boolean ? "true" : "false");
		break;
	case NODE_TIME:
		buf_printf(&b, "a date or time");
		break;
	}
	size_t n = b.len < VALUE_SHOWN ? b.len : VALUE_SHOWN;

	while (n < b.len && n > 0 && (b.p[n] & 0xc0) == 0x80) /* never half a character */
		n--;
	if (n)
		memcpy(out, b.p, n);
	memcpy(out + n, "...", 4);
	if (n == b.len)
		out[n] = '\0';
	buf_fini(&b);
}

/* "FILE:LINE: " and the message, without anything that would break the line. */
static int fail(const struct load *l, int err, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int fail(const struct load *l, int err, uint32_t line, const char *fmt, ...)
{
	int n = snprintf(l->why, CONFIG_ERROR, line ? "%.200s:%u: " : "%.200s: ", l->file, line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->why + n, CONFIG_ERROR - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *p = l->why; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return err;
}

/* `place`: "audio" or "bridge.NAME". */
static int refused(const struct load *l, const char *place, const char *key, const struct refusal *no)
{
	char shown[VALUE_SHOWN + 4];

	show_value(no->at, shown);
	return fail(l, ERR_RANGE, no->at->line, "%s.%s = %s: use %s", place, key, shown, no->accepts);
}

static int bad_value(const struct load *l, const char *place, const struct toml_node *v, const char *accepts)
{
	struct refusal no = {.at = v};

	snprintf(no.accepts, sizeof no.accepts, "%s", accepts);
	return refused(l, place, v->key, &no);
}

static int unknown_key(const struct load *l, const struct section *s, const char *place, const struct toml_node *v)
{
	char hint[SUGGEST_MAX];

	return fail(l, ERR_RANGE, v->line, "%s.%.64s: unknown key%s", place, v->key, suggest_key(s, v->key, hint));
}

/* [[bridge.NAME.tool]] stands among the keys of a bridge, and is none. */
static bool is_tools(const struct toml_node *v)
{
	return !strcmp(v->key, schema_tool.name);
}

/* --- values --------------------------------------------------------------------------- */

/* What it names is not as it should be. */
static int unusable(const struct load *l, const char *place, const struct toml_node *v, const char *fault)
{
	char shown[VALUE_SHOWN + 4];

	show_value(v, shown);
	return fail(l, ERR_IO, v->line, "%s.%s = %s: %s", place, v->key, shown, fault);
}

/* Stores one value of a table. */
static int load_value(const struct load *l, const char *place, const struct toml_node *v, const struct option_row *f, void *base)
{
	char fault[FILES_FAULT];
	struct refusal no;

	if (!field_set(f, base, v, &no))
		return refused(l, place, v->key, &no);
	return !l->look || files_look(f, base, fault) ? 0 : unusable(l, place, v, fault);
}

static int load_table(const struct load *l, const struct section *s, const char *place, const struct toml_node *table,
	void *base)
{
	int err = 0;

	for (const struct toml_node *v = table->first; v && !err; v = v->next) {
		const struct option_row *f = schema_field(s, v->key);

		err = f ? load_value(l, place, v, f, base) : unknown_key(l, s, place, v);
	}
	return err;
}

static int load_rooms(const struct load *l, const struct section *s, const struct toml_node *v)
{
	size_t n = 0;

	if (v->type != NODE_ARRAY)
		return fail(l, ERR_RANGE, v->line, "room: use [[room]], with two brackets, once for each rule");
	for (const struct toml_node *r = v->first; r; r = r->next, n++) {
		if (r->type != NODE_TABLE)
			return fail(l, ERR_RANGE, r->line, "room: use [[room]], with two brackets, once for each rule");
		if (n == CONFIG_ROOMS_MAX)
			return fail(l, ERR_RANGE, r->line, "room: use at most %d of them", CONFIG_ROOMS_MAX);
		room_rule_default(&l->c->room[n]);
		int err = load_table(l, s, "room", r, &l->c->room[n]);

		if (err)
			return err;
		if (!toml_child(r, "name"))
			return fail(l, ERR_RANGE, r->line, "room.name: it is missing; use a name or a pattern such as \"team-*\"");
	}
	if (n) /* `room = []` asks for nothing else than the default */
		l->c->rooms.n_rules = n;
	return 0;
}

/* The type comes first: it decides which other keys there are. */
static int load_bridge_type(const struct load *l, const struct section *s, const char *place, const struct toml_node *t,
	struct bridge_opts *b)
{
	const struct toml_node *type = toml_child(t, "type");
	struct refusal no;

	if (!type && !bridge_find(t->key))
		return fail(l, ERR_RANGE, t->line, "%s.type: it is missing; use %s", place,
			field_accepts(schema_field(s, "type"), no.accepts));
	if (!type)
		snprintf(b->type, sizeof b->type, "%s", t->key);
	else if (!field_set(schema_field(s, "type"), b, type, &no))
		return refused(l, place, type->key, &no);
	return 0;
}

/* A key that only other types have. */
static int check_keys_of_type(const struct load *l, const char *place, const struct toml_node *t, const struct bridge_ops *ops)
{
	char types[TYPES_MAX];

	for (const struct toml_node *v = t->first; v; v = v->next) {
		bool has = is_tools(v) ? ops->has_tools : bridge_option(ops, v->key) != NULL;

		if (!has && *schema_types(v->key, types))
			return fail(l, ERR_RANGE, v->line, "%s.%s: only a bridge of type \"%s\" has this key, and this one is \"%s\"",
				place, v->key, types, ops->type);
	}
	return 0;
}

/* The common keys into `b`, the others into the driver's own struct. */
static int load_bridge_table(const struct load *l, const struct section *s, const char *place, const struct toml_node *t,
	struct bridge_opts *b, void *own)
{
	const struct bridge_ops *ops = bridge_find(b->type);
	int err = 0;

	for (const struct toml_node *v = t->first; v && !err; v = v->next) {
		const struct option_row *f = bridge_option(ops, v->key);

		if (f)
			err = load_value(l, place, v, f, own);
		else if ((f = schema_field(s, v->key)))
			err = load_value(l, place, v, f, b);
		else if (!is_tools(v))
			err = unknown_key(l, s, place, v);
	}
	return err;
}

/* A type whose options have no default cannot do without a section. */
static bool type_stands_alone(const char *type)
{
	const struct bridge_ops *ops = bridge_find(type);
	struct bridge_opts all_defaults;
	struct bridge_fault f;

	for (size_t i = 0; ops->options && i < ops->options->n_rows; i++)
		if (ops->options->rows[i].required)
			return false;
	bridge_opts_default(&all_defaults);
	return !ops->check || ops->check(&all_defaults, &f);
}

/* What the driver itself knows. The key at fault may be one that was left at its default. */
static int check_driver(const struct load *l, const char *place, const struct toml_node *t, const struct bridge_opts *b)
{
	const struct bridge_ops *ops = bridge_find(b->type);
	struct bridge_fault f;

	if (!ops->check || ops->check(b, &f))
		return 0;
	const struct toml_node *v = toml_child(t, f.key);

	return v ? bad_value(l, place, v, f.accepts) : fail(l, ERR_RANGE, t->line, "%s.%s: use %s", place, f.key, f.accepts);
}

static int check_required(const struct load *l, const struct bridge_options *o, const char *place, const struct toml_node *t)
{
	char accepts[ACCEPTS_MAX];

	for (size_t i = 0; o && i < o->n_rows; i++) {
		const struct option_row *f = &o->rows[i];

		if (f->required && !toml_child(t, f->key))
			return fail(l, ERR_RANGE, t->line, "%s.%s: it is missing; use %s", place, f->key, field_accepts(f, accepts));
	}
	return 0;
}

/* One text with spaces is meant for a shell, and there is none. */
static int check_command(const struct load *l, const char *place, const struct toml_node *t, const struct option_row *f,
	const void *base)
{
	const struct toml_node *command = toml_child(t, f->key);
	const char *program = (const char *)base + f->offset;
	char accepts[ACCEPTS_MAX];

	if (!command || (program[0] && !(command->type == NODE_STRING && strchr(command->text, ' '))))
		return 0;
	return bad_value(l, place, command, field_accepts(f, accepts));
}

/* What no single value shows. */
static int check_options(const struct load *l, const struct bridge_options *o, const char *place, const struct toml_node *t,
	const void *base)
{
	int err = check_required(l, o, place, t);

	for (size_t i = 0; o && i < o->n_rows && !err; i++)
		if (o->rows[i].form == FORM_COMMAND)
			err = check_command(l, place, t, &o->rows[i], base);
	return err;
}

static int load_tool(const struct load *l, const char *place, const struct toml_node *t, struct bridge_tool *tool)
{
	if (t->type != NODE_TABLE)
		return fail(l, ERR_RANGE, t->line, "%s: use [[%s]], with two brackets, once for each tool", place, place);
	bridge_tool_default(tool);
	int err = load_table(l, &schema_tool, place, t, tool);

	return err ? err : check_options(l, &bridge_tool_options, place, t, tool);
}

static int check_tool_is_new(const struct load *l, const char *place, const struct toml_node *t, const struct bridge_opts *b)
{
	const struct bridge_tool *last = &b->tools[b->n_tools - 1];

	for (const struct bridge_tool *other = b->tools; other < last; other++)
		if (!strcmp(other->name, last->name))
			return bad_value(l, place, toml_child(t, "name"), "another name: an earlier tool of this bridge has it");
	return 0;
}

static int load_tools(const struct load *l, const char *bridge, const struct toml_node *v, struct bridge_opts *b)
{
	struct config *c = l->c;
	char place[sizeof "bridge..tool" + 64];

	snprintf(place, sizeof place, "%.70s.tool", bridge);
	if (v->type != NODE_ARRAY)
		return fail(l, ERR_RANGE, v->line, "%s: use [[%s]], with two brackets, once for each tool", place, place);
	b->tools = &c->tool[c->n_tools];
	for (const struct toml_node *t = v->first; t; t = t->next) {
		if (b->n_tools == BRIDGE_TOOLS_MAX || c->n_tools == CONFIG_TOOLS_MAX)
			return fail(l, ERR_RANGE, t->line, "%s: use at most %d in one bridge, and %d in all", place, BRIDGE_TOOLS_MAX,
				CONFIG_TOOLS_MAX);
		int err = load_tool(l, place, t, &c->tool[c->n_tools]);

		if (err)
			return err;
		c->n_tools++;
		b->n_tools++;
		err = check_tool_is_new(l, place, t, b);
		if (err)
			return err;
	}
	return 0;
}

static int load_bridge(const struct load *l, const struct section *s, const struct toml_node *t, size_t i)
{
	struct bridge_opts *b = &l->c->bridge[i];
	char place[sizeof "bridge." + 64];
	int err;

	snprintf(place, sizeof place, "bridge.%.60s", t->key);
	if (t->type != NODE_TABLE)
		return fail(l, ERR_RANGE, t->line, "%s: use a table, [bridge.NAME]", place);
	if (strlen(t->key) >= BRIDGE_NAME_MAX || !bridge_name_ok(t->key) || !strcmp(t->key, "none"))
		return fail(l, ERR_RANGE, t->line,
			"%s: use a name of 1 to %d letters, digits, '-' and '_', other than \"none\"", place, BRIDGE_NAME_MAX - 1);
	bridge_opts_default(b);
	snprintf(b->name, sizeof b->name, "%s", t->key);
	err = load_bridge_type(l, s, place, t, b);
	if (!err)
		err = check_keys_of_type(l, place, t, bridge_find(b->type));
	if (!err)
		err = load_bridge_table(l, s, place, t, b, config_bridge_options(l->c, i));
	if (!err && toml_child(t, schema_tool.name))
		err = load_tools(l, place, toml_child(t, schema_tool.name), b);
	if (!err)
		err = check_options(l, bridge_find(b->type)->options, place, t, b->options);
	return err ? err : check_driver(l, place, t, b);
}

static int load_bridges(const struct load *l, const struct section *s, const struct toml_node *v)
{
	if (v->type != NODE_TABLE)
		return fail(l, ERR_RANGE, v->line, "bridge: use [bridge.NAME], one bracket and a name of your choice");
	for (const struct toml_node *t = v->first; t; t = t->next) {
		size_t n = l->c->rooms.n_bridges;

		if (n == CONFIG_BRIDGES_MAX)
			return fail(l, ERR_RANGE, t->line, "bridge: use at most %d of them", CONFIG_BRIDGES_MAX);
		int err = load_bridge(l, s, t, n);

		if (err)
			return err;
		l->c->rooms.n_bridges = n + 1;
	}
	for (size_t i = 0; i < l->c->rooms.n_bridges; i++) {
		l->c->bridge[i].all = l->c->bridge;
		l->c->bridge[i].n_all = l->c->rooms.n_bridges;
	}
	return 0;
}

static int load_section(const struct load *l, const struct toml_node *v)
{
	const struct section *s = schema_section(v->key);
	char hint[SUGGEST_MAX];

	if (!s)
		return fail(l, ERR_RANGE, v->line, "%.64s: unknown %s%s", v->key,
			v->type == NODE_TABLE || v->type == NODE_ARRAY ? "section" : "key", suggest_section(v->key, hint));
	if (s->kind == SECTION_ROOMS)
		return load_rooms(l, s, v);
	if (s->kind == SECTION_BRIDGES)
		return load_bridges(l, s, v);
	if (v->type != NODE_TABLE)
		return fail(l, ERR_RANGE, v->line, "%s: use a table, [%s]", s->name, s->name);
	return load_table(l, s, s->name, v, l->c);
}

/* --- what only the whole shows -------------------------------------------------------- */

static bool bridge_exists(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->rooms.n_bridges; i++)
		if (!strcmp(c->bridge[i].name, name))
			return true;
	return !strcmp(name, "none") || (bridge_find(name) && type_stands_alone(name));
}

/* "echo", "parrot", ...: the types that need no section. */
static void say_alone(char out[ACCEPTS_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	for (const char *p = bridge_types(); *p; p += strspn(p, ", ")) {
		char type[BRIDGE_NAME_MAX];
		size_t len = strcspn(p, ", ");

		snprintf(type, sizeof type, "%.*s", (int)len, p);
		if (type_stands_alone(type) && n < ACCEPTS_MAX)
			n += (size_t)snprintf(out + n, ACCEPTS_MAX - n, "%s%s", n ? ", " : "", type);
		p += len;
	}
}

static int check_bridge_named(const struct load *l, const char *place, const struct toml_node *table)
{
	const struct toml_node *v = toml_child(table, "bridge");
	char accepts[ACCEPTS_MAX], alone[ACCEPTS_MAX];

	if (!v || bridge_exists(l->c, v->text))
		return 0;
	say_alone(alone);
	snprintf(accepts, sizeof accepts, "\"none\", one of %.80s, or add [bridge.%.32s]", alone, v->text);
	return bad_value(l, place, v, accepts);
}

/* A rule behind one that takes all its names would never be used. */
static int check_rooms(const struct load *l, const struct toml_node *rooms)
{
	size_t n = 0;

	for (const struct toml_node *r = rooms ? rooms->first : NULL; r; r = r->next, n++) {
		int err = check_bridge_named(l, "room", r);

		if (err)
			return err;
		for (size_t i = 0; i < n; i++)
			if (!strcmp(l->c->room[i].name, "*") || !strcmp(l->c->room[i].name, l->c->room[n].name))
				return bad_value(l, "room", toml_child(r, "name"),
					"another name or put this rule first: an earlier [[room]] takes all of these");
	}
	return 0;
}

static int check_pair(const struct load *l, const struct toml_node *server, const char *one, const char *other)
{
	const struct toml_node *v = toml_child(server, one), *w = toml_child(server, other);
	char words[ACCEPTS_MAX];

	if (!v || !v->len || (w && w->len))
		return 0;
	snprintf(words, sizeof words, "it together with server.%s", other);
	return bad_value(l, "server", v, words);
}

/* `key` must stay in `relation` to `other`; the message goes to whichever of them stands in the file. */
static int check_order(const struct load *l, const char *section, const struct toml_node *root, const char *low,
	uint32_t low_value, const char *high, uint32_t high_value, bool equal_ok)
{
	const struct toml_node *table = toml_child(root, section), *v = toml_child(table, low);
	char words[ACCEPTS_MAX];

	if (low_value < high_value || (equal_ok && low_value == high_value))
		return 0;
	if (v) {
		snprintf(words, sizeof words, "%s %s (%u)", equal_ok ? "at most" : "less than", high, high_value);
		return bad_value(l, section, v, words);
	}
	snprintf(words, sizeof words, "%s %s (%u)", equal_ok ? "at least" : "more than", low, low_value);
	return bad_value(l, section, toml_child(table, high), words);
}

static int check_hosts(const struct load *l, const struct toml_node *root, const char *section,
	const char (*host)[64], size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(host[i], host[j]))
				return bad_value(l, section, toml_child(toml_child(root, section), "host"), "each address once");
	return 0;
}

/* Both files are there: whether they are what they should be, and belong together. */
static int check_certificate(const struct load *l, const struct toml_node *server)
{
	const struct config_server *s = &l->c->server;
	struct quic_cert cert = {0};
	char why[QUIC_CERT_ERROR];

	if (!l->look || !s->certificate[0] || !quic_cert_load(s->certificate, s->private_key, l->wall_s, &cert, why)) {
		quic_cert_free(&cert);
		return 0;
	}
	const char *key = strncmp(why, s->certificate, strlen(s->certificate)) ? "private_key" : "certificate";
	const char *fault = strstr(why, ": ");

	return unusable(l, "server", toml_child(server, key), fault ? fault + 2 : why);
}

static int check_whole(const struct load *l, const struct toml_node *root)
{
	const struct toml_node *server = toml_child(root, "server");
	const struct config *c = l->c;
	int err = check_pair(l, server, "certificate", "private_key");

	if (!err)
		err = check_pair(l, server, "private_key", "certificate");
	if (!err)
		err = check_hosts(l, root, "server", c->server.host, c->server.n_hosts);
	if (!err)
		err = check_hosts(l, root, "http", c->http.host, c->http.n_hosts);
	if (!err)
		err = check_order(l, "audio", root, "min_delay_ms", c->rooms.min_delay_ms, "max_delay_ms",
			c->rooms.max_delay_ms, true);
	if (!err)
		err = check_order(l, "limits", root, "keep_alive_ms", c->quic.keep_alive_ms, "idle_timeout_ms",
			c->quic.idle_timeout_ms, false);
	if (!err)
		err = check_order(l, "limits", root, "stream_window_bytes", c->quic.stream_window_bytes,
			"connection_window_bytes", c->quic.conn_window_bytes, true);
	if (!err)
		err = check_bridge_named(l, "private", toml_child(root, "private"));
	if (!err)
		err = check_certificate(l, server);
	return err ? err : check_rooms(l, toml_child(root, "room"));
}

/* --- the file ------------------------------------------------------------------------- */

static int parse(const struct load *l, const char *text, size_t len)
{
	struct config *c = l->c;
	struct toml_node *root;
	char fault[256];
	uint32_t line = 0;

	l->why[0] = '\0';
	config_default(c);
	if (len > FILE_MAX)
		return fail(l, ERR_RANGE, 0, "longer than %d bytes", FILE_MAX);
	int err = toml_parse(text, len, &root, &line, fault, sizeof fault);

	if (err)
		return fail(l, err, line, "%s", fault);
	for (const struct toml_node *v = root->first; v && !err; v = v->next)
		err = load_section(l, v);
	if (!err)
		err = check_whole(l, root);
	c->rooms.input_rate_hz = c->server.input_sample_rate;
	toml_free(root);
	return err;
}

int config_parse(const char *text, size_t len, const char *file_name, struct config *c, char why[CONFIG_ERROR])
{
	const struct load l = {.file = file_name, .c = c, .why = why};

	return parse(&l, text, len);
}

/* At most FILE_MAX + 1 bytes: one more than is accepted. */
static int read_file(int fd, struct buf *b)
{
	uint8_t part[16384];

	for (;;) {
		ssize_t n = read(fd, part, sizeof part);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			return 0;
		int err = buf_append(b, part, (size_t)n);

		if (err)
			return err;
	}
}

static int load(const struct load *l)
{
	int fd = open(l->file, O_RDONLY | O_CLOEXEC);
	struct buf b;

	if (fd < 0)
		return fail(l, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, 0, "%s", strerror(errno));
	buf_init(&b, FILE_MAX);
	int err = read_file(fd, &b);

	if (err == ERR_IO)
		fail(l, err, 0, "%s", strerror(errno));
	else if (err == ERR_LIMIT)
		err = fail(l, ERR_RANGE, 0, "longer than %d bytes", FILE_MAX);
	else if (err)
		fail(l, err, 0, "%s", err_str(err));
	else
		err = parse(l, b.p ? (const char *)b.p : "", b.len);
	buf_fini(&b);
	close(fd);
	return err;
}

int config_load(const char *path, struct config *c, char why[CONFIG_ERROR])
{
	const struct load l = {.file = path, .c = c, .why = why};

	return load(&l);
}

int config_check(const char *path, int64_t wall_s, struct config *c, char why[CONFIG_ERROR])
{
	const struct load l = {.file = path, .c = c, .why = why, .look = true, .wall_s = wall_s};

	return load(&l);
}
