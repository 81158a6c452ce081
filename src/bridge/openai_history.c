/* SPDX-License-Identifier: MIT */
#include "bridge/openai.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t ai_cut(const char *text, size_t len)
{
	size_t at = 0;

	for (size_t n; text[at] && (n = utf8_char(text + at)) && at + n <= len; at += n)
		;
	return at;
}

static void forget_oldest(struct openai *a)
{
	a->history_bytes -= strlen(a->history[0].text);
	free(a->history[0].text);
	memmove(a->history, a->history + 1, --a->n_history * sizeof *a->history);
}

void ai_remember(struct openai *a, bool assistant, uint64_t number, const char *text)
{
	size_t len = ai_cut(text, AI_TURN_BYTES - 1);
	char *copy = len ? strndup(text, len) : NULL;

	if (!copy)
		return;
	while (a->n_history && (a->n_history == AI_HISTORY || a->history_bytes + len > AI_HISTORY_BYTES))
		forget_oldest(a);
	a->history[a->n_history++] = (struct ai_turn){assistant, number, copy};
	a->history_bytes += len;
}

void ai_remember_part(struct openai *a, uint64_t number, double part)
{
	for (size_t i = 0; i < a->n_history; i++) {
		struct ai_turn *t = &a->history[i];
		size_t len = strlen(t->text), kept;

		if (!t->assistant || t->number != number)
			continue;
		kept = ai_cut(t->text, (size_t)((double)len * (part < 1 ? part : 1)));
		t->text[kept] = '\0';
		a->history_bytes -= len - kept;
	}
}

void ai_replay(struct openai *a)
{
	for (size_t i = 0; i < a->n_history && a->state == AI_READY; i++)
		if (a->history[i].text[0])
			ai_send_turn(a, a->history[i].assistant ? AI_ASSISTANT : AI_USER, a->history[i].text);
}

void ai_forget_history(struct openai *a)
{
	while (a->n_history)
		forget_oldest(a);
}

bool ai_words_add(struct ai_words *w, const char *id, const char *text)
{
	if (strcmp(w->id, id) != 0) {
		snprintf(w->id, sizeof w->id, "%s", id);
		w->len = 0;
	}
	size_t n = ai_cut(text, sizeof w->text - 1 - w->len);

	memcpy(w->text + w->len, text, n);
	w->len += n;
	w->text[w->len] = '\0';
	return n > 0;
}
