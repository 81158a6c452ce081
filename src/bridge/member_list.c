/* SPDX-License-Identifier: MIT */
#include "bridge/member_list.h"

#include <stdlib.h>
#include <string.h>

void member_list_add(struct member_list *l, uint32_t id, const char *name)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 4;
		struct member *p = realloc(l->p, cap * sizeof *p);

		if (!p)
			return;
		l->p = p;
		l->cap = cap;
	}
	char *copy = strdup(name);

	if (copy)
		l->p[l->n++] = (struct member){id, copy};
}

void member_list_remove(struct member_list *l, uint32_t id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->p[i].id != id)
			continue;
		free(l->p[i].name);
		memmove(&l->p[i], &l->p[i + 1], (--l->n - i) * sizeof *l->p);
		return;
	}
}

void member_list_fini(struct member_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->p[i].name);
	free(l->p);
	*l = (struct member_list){0};
}
