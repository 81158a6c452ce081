/* SPDX-License-Identifier: MIT */
#include "config/toml.h"

#include <toml++/toml.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

extern "C" {
#include "base/err.h"
}

static char *copy_text(std::string_view s)
{
	char *p = static_cast<char *>(std::malloc(s.size() + 1));

	if (!p)
		throw std::bad_alloc();
	if (!s.empty())
		std::memcpy(p, s.data(), s.size());
	p[s.size()] = '\0';
	return p;
}

static toml_node *new_node(const toml::source_position &at)
{
	auto *n = static_cast<toml_node *>(std::calloc(1, sizeof(toml_node)));

	if (!n)
		throw std::bad_alloc();
	n->line = at.line;
	n->column = at.column;
	return n;
}

static void fill(toml_node *n, const toml::node &from);

/* toml++ keeps a table sorted by name; people read files from the top. */
static void fill_table(toml_node *n, const toml::table &table)
{
	std::vector<std::pair<toml::source_position, const toml::node *>> order;
	std::vector<std::string_view> names;
	toml_node **end = &n->first;

	for (auto &&[key, value] : table)
		order.emplace_back(key.source().begin, &value), names.push_back(key.str());
	std::vector<size_t> index(order.size());
	for (size_t i = 0; i < index.size(); i++)
		index[i] = i;
	std::stable_sort(index.begin(), index.end(), [&](size_t a, size_t b) { return order[a].first < order[b].first; });
	for (size_t i : index) {
		toml_node *child = *end = new_node(order[i].first);

		end = &child->next;
		child->key = copy_text(names[i]);
		for (size_t k = 0; k < names[i].size(); k++)
			if (child->key[k] == '\0') /* "port\u0000" is not port */
				child->key[k] = '\1';
		fill(child, *order[i].second);
	}
}

static void fill_array(toml_node *n, const toml::array &array)
{
	toml_node **end = &n->first;

	for (auto &&value : array) {
		toml_node *child = *end = new_node(value.source().begin);

		end = &child->next;
		fill(child, value);
	}
}

static void fill(toml_node *n, const toml::node &from)
{
	if (auto *table = from.as_table()) {
		n->type = NODE_TABLE;
		fill_table(n, *table);
	} else if (auto *array = from.as_array()) {
		n->type = NODE_ARRAY;
		fill_array(n, *array);
	} else if (auto *s = from.as_string()) {
		n->type = NODE_STRING;
		n->len = s->get().size();
		n->text = copy_text(s->get());
	} else if (auto *i = from.as_integer()) {
		n->type = NODE_INT;
		n->integer = i->get();
		n->number = static_cast<double>(i->get());
	} else if (auto *f = from.as_floating_point()) {
		n->type = NODE_FLOAT;
		n->number = f->get();
	} else if (auto *b = from.as_boolean()) {
		n->type = NODE_BOOL;
		n->boolean = b->get();
	} else {
		n->type = NODE_TIME;
	}
}

int toml_parse(const char *text, size_t len, toml_node **root, uint32_t *line, char *why, size_t why_size)
{
	toml_node *n = nullptr;

	try {
		toml::table table = toml::parse(std::string_view(text, len));

		n = new_node({1, 1});
		fill(n, table);
		*root = n;
		return ERR_OK;
	} catch (const toml::parse_error &e) {
		*line = e.source().begin.line;
		std::snprintf(why, why_size, "%.*s", static_cast<int>(e.description().size()), e.description().data());
		return ERR_MALFORMED;
	} catch (...) { /* all that is left is memory */
		toml_free(n);
		*line = 0;
		std::snprintf(why, why_size, "out of memory");
		return ERR_NOMEM;
	}
}

void toml_free(toml_node *n)
{
	while (n) {
		toml_node *next = n->next;

		toml_free(n->first);
		std::free(n->key);
		std::free(n->text);
		std::free(n);
		n = next;
	}
}

const toml_node *toml_child(const toml_node *table, const char *key)
{
	if (!table || table->type != NODE_TABLE)
		return nullptr;
	for (const toml_node *n = table->first; n; n = n->next)
		if (!std::strcmp(n->key, key))
			return n;
	return nullptr;
}
