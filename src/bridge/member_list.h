/* SPDX-License-Identifier: MIT */
/* member_list - who is in the room, for a worker that learns later than they came. Takes memory for each person; one that
 * cannot be noted is left out. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct member {
	uint32_t id;
	char *name;
};

/* Zero-initialise. */
struct member_list {
	struct member *p;
	size_t n, cap;
};

void member_list_add(struct member_list *l, uint32_t id, const char *name); /* copies */
void member_list_remove(struct member_list *l, uint32_t id);
void member_list_fini(struct member_list *l);
