/* SPDX-License-Identifier: MIT */
/* Any bytes as a configuration file: one line of complaint, or a struct that prints and reads back the same. */
#include "base/err.h"
#include "config/config.h"
#include "config/schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_options(const struct bridge_opts *a, const struct bridge_opts *b)
{
	const struct bridge_options *o = bridge_find(a->type)->options;

	assert(!strcmp(a->type, b->type) && (a->options != NULL) == (o != NULL));
	for (size_t i = 0; o && i < o->n_rows; i++)
		assert(field_equal(&o->rows[i], a->options, b->options));
}

static void same(const struct config *a, const struct config *b)
{
	assert(a->rooms.n_rules == b->rooms.n_rules && a->rooms.n_bridges == b->rooms.n_bridges);
	for (size_t i = 0; i < schema_sections; i++)
		for (size_t j = 0; j < schema[i].n_fields && schema[i].kind == SECTION_ONE; j++)
			assert(field_equal(&schema[i].fields[j], a, b));
	for (size_t i = 0; i < a->rooms.n_bridges; i++)
		same_options(&a->bridge[i], &b->bridge[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CONFIG_ERROR];
	struct config *c = malloc(2 * sizeof *c);
	struct buf text;

	assert(c);
	if (config_parse(data ? (const char *)data : "", size, "fuzz", &c[0], why)) {
		assert(why[0] && !strpbrk(why, "\r\n"));
		free(c);
		return 0;
	}
	buf_init(&text, 1 << 22);
	assert(config_print(&c[0], &text) == 0);
	int err = config_parse((const char *)text.p, text.len, "printed", &c[1], why);

	assert(!err);
	(void)err;
	same(&c[0], &c[1]);
	buf_fini(&text);
	free(c);
	return 0;
}
