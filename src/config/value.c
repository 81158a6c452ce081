/* SPDX-License-Identifier: MIT */
#include "config/schema.h"

#include "base/err.h"
#include "config/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *at(const struct option_row *f, void *base)
{
	return (char *)base + f->offset;
}

static const void *at_const(const struct option_row *f, const void *base)
{
	return (const char *)base + f->offset;
}

static size_t list_len(const struct option_row *f, const void *base)
{
	size_t n;

	memcpy(&n, (const char *)base + f->count, sizeof n);
	return n;
}

static uint32_t get_u32(const struct option_row *f, const void *base)
{
	uint32_t v;
	uint16_t small;

	if (f->type == OPTION_U16) {
		memcpy(&small, at_const(f, base), sizeof small);
		return small;
	}
	memcpy(&v, at_const(f, base), sizeof v);
	return v;
}

static double get_double(const struct option_row *f, const void *base)
{
	double v;

	memcpy(&v, at_const(f, base), sizeof v);
	return v;
}

/* --- forms ---------------------------------------------------------------------------- */

static option_fix_fn *fix_of(const struct option_row *f)
{
	if (f->fix)
		return f->fix;
	return f->form == FORM_FILE ? check_credential : f->form == FORM_SECRET ? check_variable : check_text;
}

static const char *accepts_of(const struct option_row *f)
{
	if (f->accepts)
		return f->accepts;
	return f->form == FORM_FILE ? "a file name, or \"credential:NAME\"" :
		f->form == FORM_SECRET ? "the name of an environment variable" : NULL;
}

/* --- what is accepted ----------------------------------------------------------------- */

static void say_choices(const struct option_row *f, char out[ACCEPTS_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; f->choices[i]; i++)
		n += (size_t)snprintf(out + n, ACCEPTS_MAX - n, "%s%u", !i ? "" : f->choices[i + 1] ? ", " : " or ",
			f->choices[i]);
}

static void say_names(const struct option_row *f, char out[ACCEPTS_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; f->names[i]; i++)
		n += (size_t)snprintf(out + n, ACCEPTS_MAX - n, "%s\"%s\"", !i ? "" : f->names[i + 1] ? ", " : " or ",
			f->names[i]);
}

const char *field_accepts(const struct option_row *f, char out[ACCEPTS_MAX])
{
	char text[1] = "", words[128] = "a text";

	if (accepts_of(f))
		snprintf(out, ACCEPTS_MAX, "%s", accepts_of(f));
	else if (f->choices)
		say_choices(f, out);
	else if (f->names)
		say_names(f, out);
	else if (f->type == OPTION_BOOL)
		snprintf(out, ACCEPTS_MAX, "true or false");
	else if (f->type == OPTION_TEXT || f->type == OPTION_LIST) {
		fix_of(f)(text, sizeof text, words); /* a check without fixed words tells them when it refuses */
		snprintf(out, ACCEPTS_MAX, "%s", words);
	} else
		snprintf(out, ACCEPTS_MAX, "%.0f to %.0f", f->min, f->max);
	return out;
}

/* --- storing -------------------------------------------------------------------------- */

static bool set_number(const struct option_row *f, void *base, const struct toml_node *v)
{
	if (v->type != NODE_INT || v->integer < 0 || v->integer > UINT32_MAX)
		return false;
	uint32_t n = (uint32_t)v->integer;
	uint16_t small = (uint16_t)n;
	bool good = f->choices ? false : n >= f->min && n <= f->max;

	for (size_t i = 0; f->choices && f->choices[i]; i++)
		good = good || n == f->choices[i];
	if (!good || (f->fits && !f->fits(n)))
		return false;
	if (f->type == OPTION_U16)
		memcpy(at(f, base), &small, sizeof small);
	else
		memcpy(at(f, base), &n, sizeof n);
	return true;
}

static bool set_double(const struct option_row *f, void *base, const struct toml_node *v)
{
	if ((v->type != NODE_FLOAT && v->type != NODE_INT) || !isfinite(v->number) || v->number < f->min ||
		v->number > f->max)
		return false;
	memcpy(at(f, base), &v->number, sizeof v->number);
	return true;
}

static bool set_name(const struct option_row *f, void *base, const struct toml_node *v)
{
	_Static_assert(sizeof(enum log_level) == sizeof(int) && sizeof(enum log_format) == sizeof(int), "enums are ints");
	if (v->type != NODE_STRING)
		return false;
	for (int i = 0; f->names[i]; i++) {
		if (strcmp(f->names[i], v->text) != 0)
			continue;
		memcpy(at(f, base), &i, sizeof i);
		return true;
	}
	return false;
}

/* A text that fits into `width` bytes, brought to its normal form in `out`. */
static bool take_text(const struct option_row *f, const struct toml_node *v, char *out, char accepts[ACCEPTS_MAX])
{
	char words[128] = "";

	if (v->type != NODE_STRING)
		return false;
	if (v->len >= f->width) {
		snprintf(accepts, ACCEPTS_MAX, "at most %zu bytes", f->width - 1);
		return false;
	}
	for (size_t i = 0; i < v->len; i++) {
		bool line = f->lines && (v->text[i] == '\n' || v->text[i] == '\t');

		if (!line && ((unsigned char)v->text[i] < 0x20 || v->text[i] == 0x7f)) {
			snprintf(accepts, ACCEPTS_MAX, "a text without control characters");
			return false;
		}
	}
	memcpy(out, v->text, v->len + 1);
	if (fix_of(f)(out, f->width, words))
		return true;
	if (words[0])
		snprintf(accepts, ACCEPTS_MAX, "%s", words);
	return false;
}

static bool set_text(const struct option_row *f, void *base, const struct toml_node *v, char accepts[ACCEPTS_MAX])
{
	char text[FIELD_TEXT_MAX];

	if (!take_text(f, v, text, accepts))
		return false;
	memcpy(at(f, base), text, f->width);
	return true;
}

static bool set_list(const struct option_row *f, void *base, const struct toml_node *v, struct refusal *no)
{
	const struct toml_node *item = v->type == NODE_ARRAY ? v->first : v;
	size_t n = 0;

	for (; item; item = v->type == NODE_ARRAY ? item->next : NULL) {
		char text[CONFIG_TEXT_MAX] = "";

		if (n == (size_t)f->max) {
			snprintf(no->accepts, ACCEPTS_MAX, "at most %.0f of them", f->max);
			return false;
		}
		if (!take_text(f, item, text, no->accepts)) {
			no->at = item;
			return false;
		}
		memcpy((char *)at(f, base) + n * f->width, text, f->width);
		n++;
	}
	if (n < (size_t)f->min) {
		snprintf(no->accepts, ACCEPTS_MAX, "at least %.0f", f->min);
		return false;
	}
	memcpy((char *)base + f->count, &n, sizeof n);
	return true;
}

/* "4433" for 4433 is the commonest slip of all. */
static void hint_at_quotes(const struct option_row *f, const struct toml_node *v, struct refusal *no)
{
	size_t n = strlen(no->accepts);

	if (v->type == NODE_STRING && (f->type == OPTION_BOOL || f->type == OPTION_U16 || f->type == OPTION_U32 ||
		f->type == OPTION_DOUBLE))
		snprintf(no->accepts + n, ACCEPTS_MAX - n, ", without quotes");
}

bool field_set(const struct option_row *f, void *base, const struct toml_node *v, struct refusal *no)
{
	no->at = v;
	field_accepts(f, no->accepts);
	hint_at_quotes(f, v, no);
	switch (f->type) {
	case OPTION_BOOL:
		if (v->type == NODE_BOOL)
			memcpy(at(f, base), &v->boolean, sizeof v->boolean);
		return v->type == NODE_BOOL;
	case OPTION_U16:
	case OPTION_U32:
		return set_number(f, base, v);
	case OPTION_DOUBLE:
		return set_double(f, base, v);
	case OPTION_NAME:
		return set_name(f, base, v);
	case OPTION_TEXT:
		return set_text(f, base, v, no->accepts);
	case OPTION_LIST:
		return set_list(f, base, v, no);
	}
	return false;
}

void field_set_sample(const struct option_row *f, void *base)
{
	const size_t one = 1;

	if (!f->sample)
		return;
	snprintf(at(f, base), f->width, "%s", f->sample);
	if (f->type == OPTION_LIST)
		memcpy((char *)base + f->count, &one, sizeof one);
}

/* --- printing and comparing ----------------------------------------------------------- */

int toml_quote(struct buf *out, const char *s, size_t len)
{
	int err = buf_append(out, "\"", 1);

	for (size_t i = 0; i < len && !err; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			err = buf_printf(out, "\\u%04X", c);
		else if (c == '"' || c == '\\')
			err = buf_printf(out, "\\%c", c);
		else
			err = buf_append(out, &c, 1);
	}
	return err ? err : buf_append(out, "\"", 1);
}

static int print_list(const struct option_row *f, const void *base, struct buf *out)
{
	size_t n = list_len(f, base);
	const char *item = at_const(f, base);
	int err;

	if (n == 1 && !strchr(item, ' ')) /* with a space it would look like a command for a shell */
		return toml_quote(out, item, strlen(item));
	err = buf_append(out, "[", 1);
	for (size_t i = 0; i < n && !err; i++, item += f->width) {
		err = buf_append(out, ", ", i ? 2 : 0);
		if (!err)
			err = toml_quote(out, item, strlen(item));
	}
	return err ? err : buf_append(out, "]", 1);
}

/* The fewest digits that read back as the same number. */
static int print_double(double v, struct buf *out)
{
	char text[40];

	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	return buf_printf(out, "%s", text);
}

int field_print(const struct option_row *f, const void *base, struct buf *out)
{
	const char *p = at_const(f, base);
	int i;

	switch (f->type) {
	case OPTION_BOOL:
		return buf_printf(out, "%s", *p ? "true" : "false");
	case OPTION_U16:
	case OPTION_U32:
		return buf_printf(out, "%u", get_u32(f, base));
	case OPTION_DOUBLE:
		return print_double(get_double(f, base), out);
	case OPTION_NAME:
		memcpy(&i, p, sizeof i);
		return buf_printf(out, "\"%s\"", f->names[i]);
	case OPTION_TEXT:
		return toml_quote(out, p, strlen(p));
	case OPTION_LIST:
		return print_list(f, base, out);
	}
	return ERR_RANGE;
}

bool field_equal(const struct option_row *f, const void *a, const void *b)
{
	const char *p = at_const(f, a), *q = at_const(f, b);

	switch (f->type) {
	case OPTION_BOOL:
		return *p == *q;
	case OPTION_U16:
	case OPTION_U32:
		return get_u32(f, a) == get_u32(f, b);
	case OPTION_DOUBLE:
		return get_double(f, a) == get_double(f, b);
	case OPTION_NAME:
		return !memcmp(p, q, sizeof(int));
	case OPTION_TEXT:
		return !strcmp(p, q);
	case OPTION_LIST:
		if (list_len(f, a) != list_len(f, b))
			return false;
		for (size_t i = 0; i < list_len(f, a); i++)
			if (strcmp(p + i * f->width, q + i * f->width) != 0)
				return false;
		return true;
	}
	return false;
}
