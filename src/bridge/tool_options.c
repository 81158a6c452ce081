/* SPDX-License-Identifier: MIT */
/* The options of a tool, [[bridge.NAME.tool]]. */
#include "bridge/bridge.h"

#include <string.h>
#include <yyjson.h>

static bool fix_name(char *text, size_t size, char accepts[128])
{
	(void)size, (void)accepts;
	return bridge_name_ok(text); /* its length is bounded by the row's */
}

static bool fix_parameters(char *text, size_t size, char accepts[128])
{
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	yyjson_val *root = yyjson_doc_get_root(doc), *type = yyjson_obj_get(root, "type");
	bool good = yyjson_is_obj(root) && (!type || yyjson_equals_str(type, "object"));

	(void)size, (void)accepts;
	yyjson_doc_free(doc);
	return good;
}

static const struct bridge_tool defaults = {.parameters = "{\"type\":\"object\",\"properties\":{}}", .timeout_ms = 5000};

static const struct option_row rows[] = {
	{.key = "name", .type = OPTION_TEXT, OPTION_TEXT_AT(bridge_tool, name), .fix = fix_name,
		.accepts = "1 to 64 letters, digits, '-' and '_'", .required = true, .sample = "opening_hours",
		.help = "what the model calls it by"},
	{.key = "description", .type = OPTION_TEXT, OPTION_TEXT_AT(bridge_tool, description),
		.accepts = "a text", .lines = true, .sample = "When the shop is open this week.",
		.help = "what it does and when it is to be called, for the model"},
	{.key = "parameters", .type = OPTION_TEXT, OPTION_TEXT_AT(bridge_tool, parameters), .fix = fix_parameters,
		.accepts = "a JSON Schema of an object, such as '{\"type\":\"object\",\"properties\":{}}'", .lines = true,
		.help = "the arguments it takes, as JSON Schema"},
	{.key = "command", .type = OPTION_LIST, .form = FORM_COMMAND,
		OPTION_LIST_AT(bridge_tool, command, n_command), .min = 1, .max = BRIDGE_ARGS_MAX,
		.accepts = "a program and its arguments, such as [\"python3\", \"/srv/tool.py\"]", .required = true,
		.sample = "/usr/local/bin/opening-hours",
		.help = "the program, found as in a shell, and its arguments: it reads the call's arguments from stdin and writes "
			"the result to stdout, both JSON"},
	{.key = "timeout_ms", .type = OPTION_U32, OPTION_AT(bridge_tool, timeout_ms), .min = 100, .max = 600000, .unit = "ms",
		.help = "how long a call may take; then it is ended, with all that it started"},
};

const struct bridge_options bridge_tool_options = BRIDGE_OPTIONS(rows, defaults);

void bridge_tool_default(struct bridge_tool *t)
{
	*t = defaults;
}
