/* SPDX-License-Identifier: MIT */
/* ai_text - texts of a conversation: cut to a size, and collected from their deltas. Pure; bounded; takes no memory. */
#pragma once
#include "bridge/ai_context.h"

/* Bytes of `text` that fit into `len` bytes in whole UTF-8 characters. */
size_t ai_text_fit(const char *text, size_t len);

/* A transcript that is still growing. Text that does not fit is left out. */
struct ai_partial {
	char item[AI_ID_MAX]; /* whose transcript it is */
	char text[AI_TEXT_MAX];
	size_t len;
};

/* Appends `delta`; another item begins a new text. Returns whether something was added. */
bool ai_partial_add(struct ai_partial *p, const char *item, const char *delta);
void ai_partial_clear(struct ai_partial *p);
/* What has come of this one; "": nothing. */
const char *ai_partial_of(const struct ai_partial *p, const char *item);
