/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "bridge/parrot.h"
#include "bridge/tone.h"
#include "config/config.h"
#include "config/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* struct config is large and points into itself: one of each on the heap for every case. */
struct both {
	struct config a, b;
	char why[CONFIG_ERROR];
	struct buf text;
};

static int setup(void **state)
{
	struct both *t = calloc(1, sizeof *t);

	assert_non_null(t);
	buf_init(&t->text, 1 << 20);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct both *t = *state;

	buf_fini(&t->text);
	free(t);
	return 0;
}

static int parse(struct both *t, struct config *c, const char *text)
{
	return config_parse(text, strlen(text), "mynah.toml", c, t->why);
}

static void must_parse(struct both *t, struct config *c, const char *text, size_t len)
{
	int err = config_parse(text, len, "mynah.toml", c, t->why);

	if (err)
		fail_msg("%s", t->why);
}

static char *read_tree(const char *name)
{
	char path[512];
	FILE *f;
	char *text = calloc(1, 1 << 20);

	snprintf(path, sizeof path, "%s/../%s", TESTS_DIR, name);
	f = fopen(path, "rb");
	if (!f) {
		print_error("no %s\n", path);
		free(text);
		return NULL;
	}
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
	fclose(f);
	return text;
}

typedef void each_fn(const char *place, const struct option_row *f, const void *p, const void *q);

static void compare_rows(const char *place, const struct option_row *rows, size_t n, const void *a, const void *b, each_fn *each)
{
	for (size_t i = 0; i < n; i++)
		each(place, &rows[i], a, b);
}

/* What the type of a bridge has besides. */
static void compare_options(const struct bridge_opts *a, const struct bridge_opts *b, each_fn *each)
{
	const struct bridge_options *o = bridge_find(a->type)->options;

	assert_true((o != NULL) == (a->options != NULL));
	if (o)
		compare_rows(a->type, o->rows, o->n_rows, a->options, b->options, each);
}

/* Calls `each` for every place that the schema names in both structs. */
static void compare(const struct config *a, const struct config *b, each_fn *each)
{
	assert_int_equal(a->rooms.n_rules, b->rooms.n_rules);
	assert_int_equal(a->rooms.n_bridges, b->rooms.n_bridges);
	for (size_t i = 0; i < schema_sections; i++) {
		const struct section *s = &schema[i];
		size_t n = s->kind == SECTION_ROOMS ? a->rooms.n_rules : s->kind == SECTION_BRIDGES ? a->rooms.n_bridges : 1;

		for (size_t k = 0; k < n; k++)
			compare_rows(s->name, s->fields, s->n_fields,
				s->kind == SECTION_ROOMS ? (const void *)&a->room[k] :
				s->kind == SECTION_BRIDGES ? (const void *)&a->bridge[k] : (const void *)a,
				s->kind == SECTION_ROOMS ? (const void *)&b->room[k] :
				s->kind == SECTION_BRIDGES ? (const void *)&b->bridge[k] : (const void *)b, each);
	}
	for (size_t k = 0; k < a->rooms.n_bridges; k++)
		compare_options(&a->bridge[k], &b->bridge[k], each);
}

/* The same for tools, which stand inside bridges. */
static void compare_tools(const struct config *a, const struct config *b, each_fn *each)
{
	for (size_t i = 0; i < a->rooms.n_bridges; i++) {
		assert_int_equal(a->bridge[i].n_tools, b->bridge[i].n_tools);
		for (size_t k = 0; k < a->bridge[i].n_tools; k++)
			compare_rows("tool", bridge_tool_options.rows, bridge_tool_options.n_rows, &a->bridge[i].tools[k],
				&b->bridge[i].tools[k], each);
	}
}

static void must_equal(const char *place, const struct option_row *f, const void *p, const void *q)
{
	if (!field_equal(f, p, q))
		fail_msg("%s.%s differs", place, f->key);
}

static void must_differ(const char *place, const struct option_row *f, const void *p, const void *q)
{
	if (!strcmp(place, "bridge") && !strcmp(f->key, "type") && !strcmp(((const struct bridge_opts *)p)->type, "parrot"))
		return;
	if (field_equal(f, p, q))
		fail_msg("unit/config/every_key.toml leaves %s.%s at its default: add it there", place, f->key);
}

static void no_file_means_the_documented_defaults(void **state)
{
	struct both *t = *state;

	config_default(&t->a);
	assert_string_equal(t->a.server.host[0], "0.0.0.0");
	assert_int_equal(t->a.server.n_hosts, 1);
	assert_int_equal(t->a.server.port, 4433);
	assert_int_equal(t->a.server.input_sample_rate, 16000);
	assert_int_equal(t->a.server.output_sample_rate, 16000);
	assert_string_equal(t->a.server.path, "/audio");
	assert_int_equal(t->a.server.max_datagram_size, 65536);
	assert_int_equal(t->a.server.n_origins, 0);
	assert_string_equal(t->a.server.certificate, "");
	assert_true(t->a.http.enabled);
	assert_string_equal(t->a.http.host[0], "127.0.0.1");
	assert_int_equal(t->a.http.port, 8080);
	assert_int_equal(t->a.rooms.n_rules, 1);
	assert_ptr_equal(t->a.rooms.rules, t->a.room);
	assert_string_equal(t->a.room[0].name, "*");
	assert_string_equal(t->a.room[0].bridge, "none");
	assert_string_equal(t->a.rooms.private_rule.bridge, "parrot");
	assert_ptr_equal(t->a.rooms.bridges, t->a.bridge);
	assert_int_equal(t->a.rooms.n_bridges, 0);
	assert_int_equal(t->a.rooms.frame_ms, 20);
	must_parse(t, &t->b, "", 0);
	compare(&t->a, &t->b, must_equal);
}

/* Each layer's default must be something that the schema accepts. */
static void every_default_is_accepted(void **state)
{
	struct both *t = *state;

	config_default(&t->a);
	assert_int_equal(config_print(&t->a, &t->text), 0);
	must_parse(t, &t->b, (char *)t->text.p, t->text.len);
	compare(&t->a, &t->b, must_equal);
}

static void every_key_survives_print_and_parse(void **state)
{
	struct both *t = *state;
	char *text = read_tree("tests/unit/config/every_key.toml");

	assert_non_null(text);
	must_parse(t, &t->a, text, strlen(text));
	free(text);
	config_default(&t->b);
	t->b.rooms.n_rules = t->a.rooms.n_rules;
	t->b.rooms.n_bridges = t->a.rooms.n_bridges;
	for (size_t i = 0; i < t->b.rooms.n_rules; i++)
		room_rule_default(&t->b.room[i]);
	for (size_t i = 0; i < t->b.rooms.n_bridges; i++) {
		bridge_opts_default(&t->b.bridge[i]);
		t->b.bridge[i].options = bridge_find(t->a.bridge[i].type)->options ?
			bridge_find(t->a.bridge[i].type)->options->defaults : NULL;
	}
	compare(&t->a, &t->b, must_differ);
	for (size_t i = 0; i < t->a.n_tools; i++)
		compare_rows("tool", bridge_tool_options.rows, bridge_tool_options.n_rows, &t->a.tool[i],
			bridge_tool_options.defaults, must_differ);
	assert_int_equal(t->a.rooms.input_rate_hz, t->a.server.input_sample_rate);

	assert_int_equal(config_print(&t->a, &t->text), 0);
	must_parse(t, &t->b, (char *)t->text.p, t->text.len);
	compare(&t->a, &t->b, must_equal);
	compare_tools(&t->a, &t->b, must_equal);
	assert_int_equal(t->b.n_tools, 2);
	for (size_t i = 0; i < t->a.rooms.n_bridges; i++)
		assert_string_equal(t->a.bridge[i].name, t->b.bridge[i].name);
	assert_ptr_equal(t->b.rooms.rules, t->b.room);
	assert_ptr_equal(t->b.rooms.bridges, t->b.bridge);
}

/* "#key = value" and "#[section]" become live; "# words" stay comments. */
static void uncomment(char *text)
{
	for (char *p = text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (p[0] == '#' && p[1] != ' ')
			*p = ' ';
}

/* What has no default. */
static void put_samples(const struct bridge_options *o, void *base)
{
	for (size_t i = 0; o && i < o->n_rows; i++)
		field_set_sample(&o->rows[i], base);
}

static void the_example_file_is_current_and_means_the_defaults(void **state)
{
	struct both *t = *state;
	char *text = read_tree("packaging/mynah.toml");

	assert_non_null(text);
	assert_int_equal(config_example(&t->text), 0);
	if (strlen(text) != t->text.len || memcmp(text, t->text.p, t->text.len) != 0)
		fail_msg("packaging/mynah.toml is out of date: build/sanitize/bin/config_doc example >packaging/mynah.toml");
	config_default(&t->a);
	must_parse(t, &t->b, text, strlen(text));
	compare(&t->a, &t->b, must_equal);

	uncomment(text);
	must_parse(t, &t->b, text, strlen(text));
	assert_int_equal(t->b.rooms.n_bridges, 7);
	t->a.rooms.n_bridges = 7;
	for (size_t i = 0; i < 7; i++) {
		bridge_opts_default(&t->a.bridge[i]);
		snprintf(t->a.bridge[i].type, BRIDGE_NAME_MAX, "%s", t->b.bridge[i].name);
		put_samples(bridge_find(t->a.bridge[i].type)->options, config_bridge_options(&t->a, i));
	}
	compare(&t->a, &t->b, must_equal);
	assert_int_equal(t->b.n_tools, 1);
	free(text);
}

static void the_reference_is_current(void **state)
{
	struct both *t = *state;
	char *text = read_tree("docs/configuration.md");

	assert_int_equal(config_document(&t->text), 0);
	assert_non_null(text);
	if (strlen(text) != t->text.len || memcmp(text, t->text.p, t->text.len) != 0)
		fail_msg("docs/configuration.md is out of date: build/sanitize/bin/config_doc reference >docs/configuration.md");
	free(text);
}

static void every_example_in_the_reference_parses(void **state)
{
	struct both *t = *state;

	for (size_t i = 0; i < schema_sections; i++)
		if (schema[i].example)
			must_parse(t, &t->a, schema[i].example, strlen(schema[i].example));
	must_parse(t, &t->a, schema_tool.example, strlen(schema_tool.example));
}

static void rooms_and_bridges_keep_their_order(void **state)
{
	struct both *t = *state;

	assert_int_equal(parse(t, &t->a,
		"[[room]]\nname = \"zoo\"\nbridge = \"polly\"\n[[room]]\nname = \"a*\"\n"
		"[bridge.polly]\ntype = \"parrot\"\npause_ms = 300\n[bridge.echo]\nbacklog_ms = 100\n[bridge.a]\ntype = \"tone\"\ntone_hz = 1000\n"), 0);
	assert_int_equal(t->a.rooms.n_rules, 2);
	assert_string_equal(t->a.room[0].name, "zoo");
	assert_string_equal(t->a.room[0].bridge, "polly");
	assert_string_equal(t->a.room[1].name, "a*");
	assert_string_equal(t->a.room[1].bridge, "none");
	assert_int_equal(t->a.rooms.n_bridges, 3);
	assert_string_equal(t->a.bridge[0].name, "polly");
	assert_int_equal(((const struct parrot_opts *)t->a.bridge[0].options)->pause_ms, 300);
	assert_null(t->a.bridge[1].options);
	assert_string_equal(t->a.bridge[1].name, "echo");
	assert_string_equal(t->a.bridge[1].type, "echo");
	assert_string_equal(t->a.bridge[2].name, "a");
	assert_true(((const struct tone_opts *)t->a.bridge[2].options)->hz == 1000);
}

static void tools_belong_to_their_bridges(void **state)
{
	struct both *t = *state;

	assert_int_equal(parse(t, &t->a,
		"[bridge.a]\ntype = \"openai\"\nmodel = \"m\"\n[[bridge.a.tool]]\nname = \"x\"\ncommand = \"true\"\n"
		"[[bridge.a.tool]]\nname = \"y\"\ncommand = [\"echo\", \"{}\"]\ntimeout_ms = 100\n"
		"[bridge.b]\ntype = \"openai\"\nmodel = \"m\"\ntool = [{name = \"x\", command = \"false\"}]\n"
		"[bridge.c]\ntype = \"openai\"\nmodel = \"m\"\ntool = []\n"), 0);
	assert_int_equal(t->a.bridge[0].n_tools, 2);
	assert_string_equal(t->a.bridge[0].tools[0].name, "x");
	assert_string_equal(t->a.bridge[0].tools[0].description, "");
	assert_string_equal(t->a.bridge[0].tools[0].parameters, "{\"type\":\"object\",\"properties\":{}}");
	assert_int_equal(t->a.bridge[0].tools[0].timeout_ms, 5000);
	assert_int_equal(t->a.bridge[0].tools[1].n_command, 2);
	assert_string_equal(t->a.bridge[0].tools[1].command[1], "{}");
	assert_int_equal(t->a.bridge[0].tools[1].timeout_ms, 100);
	assert_int_equal(t->a.bridge[1].n_tools, 1);
	assert_string_equal(t->a.bridge[1].tools[0].command[0], "false");
	assert_int_equal(t->a.bridge[2].n_tools, 0);
	assert_ptr_equal(t->a.bridge[1].all, t->a.bridge);
	assert_int_equal(t->a.bridge[1].n_all, 3);
}

static void origins_take_the_form_browsers_send(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{"https://voice.example.com", "https://voice.example.com"},
		{"HTTPS://Voice.Example.COM:443", "https://voice.example.com"},
		{"http://localhost:80", "http://localhost"},
		{"https://example.com:80", "https://example.com:80"},
		{"http://192.0.2.1:3000", "http://192.0.2.1:3000"},
		{"https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"},
		{"https://[2001:DB8:0::1]", "https://[2001:db8::1]"},
		{"chrome-extension://abcdefgh", "chrome-extension://abcdefgh"},
		{"*", "*"},
		{"example.com", NULL},
		{"https://", NULL},
		{"https://example.com/", NULL},
		{"https://example.com/path", NULL},
		{"https://example.com:", NULL},
		{"https://example.com:0", NULL},
		{"https://example.com:65536", NULL},
		{"https://example.com:000443", NULL},
		{"https://user@example.com", NULL},
		{"https://*.example.com", NULL},
		{"https://[::1", NULL},
		{"https://[1.2.3.4]", NULL},
		{"https://[]", NULL},
		{"null", NULL},
		{"", NULL},
		{"://x", NULL},
		{"ht tp://x", NULL},
		{"https://.example.com", NULL},
		{"https://example.com.", NULL},
		{"https://example.com:0443", NULL},
		{"https://example..com", NULL},
		{"https://127.1", NULL},
		{"https://2130706433", NULL},
	};
	struct both *t = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];

		snprintf(text, sizeof text, "[server]\norigins = [\"https://first.example\", \"%s\"]\n", cases[i].in);
		int err = parse(t, &t->a, text);

		if (err != (cases[i].out ? 0 : ERR_RANGE))
			fail_msg("%s: %d %s", cases[i].in, err, t->why);
		if (cases[i].out)
			assert_string_equal(t->a.server.origins[1], cases[i].out);
	}
}

static void names_are_those_of_hosts(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{"mynah", "mynah"},
		{"Voice.Example.COM", "voice.example.com"},
		{"my_container-1", "my_container-1"},
		{"192.0.2.1", "192.0.2.1"},
		{"[2001:DB8::0:1]", "[2001:db8::1]"},
		{"mynah:8080", NULL},
		{"http://mynah", NULL},
		{"*.example.com", NULL},
		{"*", NULL},
		{"mynah.", NULL},
		{"127.1", NULL},
		{"", NULL},
	};
	struct both *t = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];

		snprintf(text, sizeof text, "[http]\nnames = [\"first.example\", \"%s\"]\n", cases[i].in);
		int err = parse(t, &t->a, text);

		if (err != (cases[i].out ? 0 : ERR_RANGE))
			fail_msg("%s: %d %s", cases[i].in, err, t->why);
		if (cases[i].out)
			assert_string_equal(t->a.http.names[1], cases[i].out);
	}
}

static void credentials_come_from_systemd(void **state)
{
	static const char text[] = "[server]\ncertificate = \"credential:cert.pem\"\nprivate_key = \"credential:key.pem\"\n";
	struct both *t = *state;

	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/mynahd.service", 1);
	must_parse(t, &t->a, text, sizeof text - 1);
	assert_string_equal(t->a.server.certificate, "/run/credentials/mynahd.service/cert.pem");
	assert_string_equal(t->a.server.private_key, "/run/credentials/mynahd.service/key.pem");
	assert_int_equal(parse(t, &t->a, "[server]\ncertificate = \"credential:../key\"\nprivate_key = \"k\"\n"), ERR_RANGE);
	assert_string_equal(t->why, "mynah.toml:2: server.certificate = \"credential:../key\": use a credential's name after "
		"\"credential:\", without '/' and not starting with '.'");
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(parse(t, &t->a, text), ERR_RANGE);
	assert_string_equal(t->why, "mynah.toml:2: server.certificate = \"credential:cert.pem\": use a file name, or run under "
		"systemd with LoadCredential=: CREDENTIALS_DIRECTORY is not set");
}

/* One line each, exactly. `text` stands in mynah.toml. */
static const struct {
	const char *text;
	int err;
	const char *why;
} bad[] = {
#include "bad_files.inc"
};

static void bad_files_are_reported_exactly(void **state)
{
	struct both *t = *state;
	size_t wrong = 0;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int err = parse(t, &t->a, bad[i].text);

		if (err == bad[i].err && !strcmp(t->why, bad[i].why))
			continue;
		print_error("case %zu: %s\n  said %d: %s\n  want %d: %s\n", i, bad[i].text, err, t->why, bad[i].err, bad[i].why);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void every_error_is_one_line(void **state)
{
	struct both *t = *state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		/* every prefix, too: most are no TOML, none may crash or say two lines */
		for (size_t n = 0; n <= strlen(bad[i].text); n++) {
			int err = config_parse(bad[i].text, n, "mynah.toml", &t->a, t->why);

			assert_true((err != 0) == (t->why[0] != '\0'));
			assert_null(strpbrk(t->why, "\r\n\t"));
			assert_true(strlen(t->why) < CONFIG_ERROR);
		}
	}
}

static void lists_and_files_are_bounded(void **state)
{
	struct both *t = *state;
	struct buf *b = &t->text;

	buf_printf(b, "[server]\norigins = [");
	for (int i = 0; i <= CONFIG_ORIGINS_MAX; i++)
		buf_printf(b, "\"https://h%d\",\n", i);
	buf_printf(b, "]\n");
	assert_int_equal(config_parse((char *)b->p, b->len, "f", &t->a, t->why), ERR_RANGE);
	assert_string_equal(t->why, "f:2: server.origins = [...]: use at most 64 of them");

	b->len = 0;
	for (int i = 0; i <= CONFIG_ROOMS_MAX; i++)
		buf_printf(b, "[[room]]\nname = \"r%d\"\n", i);
	assert_int_equal(config_parse((char *)b->p, b->len, "f", &t->a, t->why), ERR_RANGE);
	assert_string_equal(t->why, "f:513: room: use at most 256 of them");

	b->len = 0;
	for (int i = 0; i <= CONFIG_BRIDGES_MAX; i++)
		buf_printf(b, "[bridge.b%d]\ntype = \"echo\"\n", i);
	assert_int_equal(config_parse((char *)b->p, b->len, "f", &t->a, t->why), ERR_RANGE);
	assert_string_equal(t->why, "f:129: bridge: use at most 64 of them");

	b->len = 0;
	buf_printf(b, "[bridge.a]\ntype = \"openai\"\nmodel = \"m\"\n");
	for (int i = 0; i <= BRIDGE_TOOLS_MAX; i++)
		buf_printf(b, "[[bridge.a.tool]]\nname = \"t%d\"\ncommand = \"true\"\n", i);
	assert_int_equal(config_parse((char *)b->p, b->len, "f", &t->a, t->why), ERR_RANGE);
	assert_string_equal(t->why, "f:100: bridge.a.tool: use at most 32 in one bridge, and 64 in all");

	b->len = 0;
	for (int i = 0; i <= CONFIG_TOOLS_MAX; i++) {
		if (i % BRIDGE_TOOLS_MAX == 0)
			buf_printf(b, "[bridge.a%d]\ntype = \"openai\"\nmodel = \"m\"\n", i);
		buf_printf(b, "[[bridge.a%d.tool]]\nname = \"t%d\"\ncommand = \"true\"\n", i / BRIDGE_TOOLS_MAX * BRIDGE_TOOLS_MAX, i);
	}
	assert_int_equal(config_parse((char *)b->p, b->len, "f", &t->a, t->why), ERR_RANGE);
	assert_string_equal(t->why, "f:202: bridge.a64.tool: use at most 32 in one bridge, and 64 in all");

	char *big = calloc(1, (1 << 20) + 1);

	assert_non_null(big);
	memset(big, '\n', (1 << 20) + 1);
	assert_int_equal(config_parse(big, (1 << 20) + 1, "f", &t->a, t->why), ERR_RANGE);
	assert_string_equal(t->why, "f: longer than 1048576 bytes");
	assert_int_equal(config_parse(big, 1 << 20, "f", &t->a, t->why), 0);
	free(big);
}

static void files_that_cannot_be_read_say_why(void **state)
{
	struct both *t = *state;

	assert_int_equal(config_load("/nonexistent/mynah.toml", &t->a, t->why), ERR_NOTFOUND);
	assert_string_equal(t->why, "/nonexistent/mynah.toml: No such file or directory");
	assert_int_equal(config_load("/", &t->a, t->why), ERR_IO);
	assert_string_equal(t->why, "/: Is a directory");
	assert_int_equal(config_load(TESTS_DIR "/../packaging/mynah.toml", &t->a, t->why), 0);
	assert_int_equal(config_load("/dev/null", &t->a, t->why), 0);
	assert_int_equal(config_load("/dev/zero", &t->a, t->why), ERR_RANGE);
}

/* --- what the file names -------------------------------------------------------------------- */

enum { NOW = 1800000000 };

static void write_text(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void write_certificate(const char *dir, const char *name, int64_t at)
{
	const char *names[] = {name};
	char file[64];
	struct quic_cert c;

	assert_int_equal(quic_cert_make(names, 1, 10, at, &c), 0);
	snprintf(file, sizeof file, "%s.pem", name);
	write_text(dir, file, c.chain_pem, 0600);
	snprintf(file, sizeof file, "%s.key", name);
	write_text(dir, file, c.key_pem, 0600);
	quic_cert_free(&c);
}

static const char *const written[] = {"a.pem", "a.key", "b.pem", "b.key", "old.pem", "old.key", "text", "nothing", "run", "index.html", "mynah.toml"};

static void write_all(const char *dir)
{
	write_certificate(dir, "a", NOW);
	write_certificate(dir, "b", NOW);
	write_certificate(dir, "old", NOW - 20 * 86400);
	write_text(dir, "text", "hello\n", 0600);
	write_text(dir, "nothing", "", 0600);
	write_text(dir, "run", "#!/bin/sh\n", 0700);
	write_text(dir, "index.html", "<p>\n", 0600);
}

/* A line of [server], [http] or of a bridge, "" if all is well, else how its complaint goes on behind "FILE:LINE: ". All run in the folder. */
static const struct {
	const char *text, *why;
} naming[] = {
	{"", ""},
	{"[server]\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\n", ""},
	{"[server]\ncertificate = \"no.pem\"\nprivate_key = \"a.key\"\n", "2: server.certificate = \"no.pem\": No such file or directory"},
	{"[server]\ncertificate = \"a.pem\"\nprivate_key = \"no.key\"\n", "3: server.private_key = \"no.key\": No such file or directory"},
	{"[server]\ncertificate = \".\"\nprivate_key = \"a.key\"\n", "2: server.certificate = \".\": Is a directory"},
	{"[server]\ncertificate = \"text\"\nprivate_key = \"a.key\"\n", "2: server.certificate = \"text\": is not PEM"},
	{"[server]\ncertificate = \"a.pem\"\nprivate_key = \"text\"\n", "3: server.private_key = \"text\": is not PEM"},
	{"[server]\ncertificate = \"a.pem\"\nprivate_key = \"nothing\"\n", "3: server.private_key = \"nothing\": it is empty"},
	{"[server]\nprivate_key = \"b.key\"\ncertificate = \"a.pem\"\n",
		"2: server.private_key = \"b.key\": does not belong to the certificate"},
	{"[server]\ncertificate = \"old.pem\"\nprivate_key = \"old.key\"\n",
		"2: server.certificate = \"old.pem\": expired at 2027-01-05 07:00:00Z"},
	{"[server]\ncertificate = \"credential:a.pem\"\nprivate_key = \"credential:a.key\"\n", ""},
	{"[server]\ncertificate = \"credential:a.pem\"\nprivate_key = \"credential:key\"\n",
		"3: server.private_key = \"credential:key\": no such credential: add LoadCredential=key:FILE to the unit"},
	{"[http]\nweb_dir = \".\"\n", ""},
	{"[http]\nweb_dir = \"no\"\n", "2: http.web_dir = \"no\": No such file or directory"},
	{"[http]\nweb_dir = \"text\"\n", "2: http.web_dir = \"text\": Not a directory"},
	{"[server]\nstate_dir = \".\"\n", ""},
	{"[server]\nstate_dir = \"no\"\n", "2: server.state_dir = \"no\": No such file or directory"},
	{"[server]\nstate_dir = \"text\"\n", "2: server.state_dir = \"text\": Not a directory"},
	{"[http]\nweb_dir = \"/\"\n", "2: http.web_dir = \"/\": there is no index.html in it that can be read"},
	{"[bridge.w]\ntype = \"process\"\ncommand = \"./run\"\n", ""},
	{"[bridge.w]\ntype = \"process\"\ncommand = [\"sh\", \"-e\", \"DIR/run\", \"/no/output\"]\n", ""},
	{"[bridge.w]\ntype = \"process\"\ncommand = [\"sh\", \"-c\", \"true\"]\n", ""},
	{"[bridge.w]\ntype = \"process\"\ncommand = [\"true\", \"/no/file\"]\n", ""},
	{"[bridge.w]\ntype = \"process\"\ncommand = \"no-such-program\"\n",
		"3: bridge.w.command = \"no-such-program\": no such program in PATH"},
	{"[bridge.w]\ntype = \"process\"\ncommand = \"./no\"\n", "3: bridge.w.command = \"./no\": No such file or directory"},
	{"[bridge.w]\ntype = \"process\"\ncommand = \"./text\"\n", "3: bridge.w.command = \"./text\": Permission denied"},
	{"[bridge.w]\ntype = \"process\"\ncommand = \"/tmp\"\n", "3: bridge.w.command = \"/tmp\": Permission denied"},
	{"[bridge.w]\ntype = \"process\"\ncommand = [\"/bin/sh\", \"-e\", \"/no/worker\"]\n",
		"3: bridge.w.command = [...]: /no/worker: No such file or directory"},
	{"[bridge.w]\ntype = \"websocket\"\nurl = \"wss://bot\"\napi_key_file = \"text\"\n", ""},
	{"[bridge.w]\ntype = \"websocket\"\nurl = \"wss://bot\"\napi_key_file = \"nothing\"\n",
		"4: bridge.w.api_key_file = \"nothing\": it is empty"},
	{"[bridge.w]\ntype = \"websocket\"\nurl = \"wss://bot\"\napi_key_file = \"credential:bot\"\n",
		"4: bridge.w.api_key_file = \"credential:bot\": no such credential: add LoadCredential=bot:FILE to the unit"},
	{"[bridge.w]\ntype = \"openai\"\nmodel = \"m\"\ninstructions_file = \"no\"\n",
		"4: bridge.w.instructions_file = \"no\": No such file or directory"},
	{"[bridge.w]\ntype = \"openai\"\nmodel = \"m\"\n[[bridge.w.tool]]\nname = \"t\"\ncommand = \"no-such-tool\"\n",
		"6: bridge.w.tool.command = \"no-such-tool\": no such program in PATH"},
};

/* Writes `text` as mynah.toml, "DIR" as the folder's name. */
static void write_config(const char *dir, const char *text)
{
	const char *mark = strstr(text, "DIR");
	char out[512];

	snprintf(out, sizeof out, "%.*s%s%s", mark ? (int)(mark - text) : (int)strlen(text), text, mark ? dir : "", mark ? mark + 3 : "");
	write_text(dir, "mynah.toml", out, 0600);
}

static void files_that_it_names_are_looked_at_when_asked(void **state)
{
	struct both *t = *state;
	char dir[] = "/tmp/mynah-config-XXXXXX", file[64], want[CONFIG_ERROR];

	assert_non_null(mkdtemp(dir));
	write_all(dir);
	assert_int_equal(chdir(dir), 0);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	snprintf(file, sizeof file, "%s/mynah.toml", dir);
	for (size_t i = 0; i < sizeof naming / sizeof *naming; i++) {
		write_config(dir, naming[i].text);
		assert_int_equal(config_load(file, &t->a, t->why), 0); /* a start finds out by itself */
		int err = config_check(file, NOW, &t->a, t->why);

		snprintf(want, sizeof want, "%s:%s", file, naming[i].why);
		assert_string_equal(t->why, naming[i].why[0] ? want : "");
		assert_int_equal(err, naming[i].why[0] ? ERR_IO : 0);
	}
	unsetenv("CREDENTIALS_DIRECTORY");
	for (size_t i = 0; i < sizeof written / sizeof *written; i++)
		assert_int_equal(unlink(written[i]), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(no_file_means_the_documented_defaults),
		CASE(every_default_is_accepted),
		CASE(every_key_survives_print_and_parse),
		CASE(the_example_file_is_current_and_means_the_defaults),
		CASE(the_reference_is_current),
		CASE(every_example_in_the_reference_parses),
		CASE(rooms_and_bridges_keep_their_order),
		CASE(tools_belong_to_their_bridges),
		CASE(origins_take_the_form_browsers_send),
		CASE(names_are_those_of_hosts),
		CASE(credentials_come_from_systemd),
		CASE(bad_files_are_reported_exactly),
		CASE(every_error_is_one_line),
		CASE(lists_and_files_are_bounded),
		CASE(files_that_cannot_be_read_say_why),
		CASE(files_that_it_names_are_looked_at_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
