/* SPDX-License-Identifier: MIT */
#include "bridge/ai_history.h"

#include "bridge/ai_text.h"

#include <stdlib.h>
#include <string.h>

static void drop_oldest(struct ai_history *h)
{
	h->bytes -= strlen(h->turns[0].text);
	free(h->turns[0].text);
	memmove(h->turns, h->turns + 1, --h->n * sizeof *h->turns);
}

void ai_history_add(struct ai_history *h, enum ai_role role, uint64_t utterance, const char *text)
{
	size_t len = ai_text_fit(text, AI_TEXT_MAX - 1);
	char *copy = len ? strndup(text, len) : NULL;

	if (!copy)
		return;
	while (h->n && (h->n == AI_HISTORY_TURNS || h->bytes + len > AI_HISTORY_BYTES))
		drop_oldest(h);
	h->turns[h->n++] = (struct ai_history_turn){role, utterance, copy};
	h->bytes += len;
}

void ai_history_trim(struct ai_history *h, uint64_t utterance, double share)
{
	for (size_t i = 0; i < h->n; i++) {
		struct ai_history_turn *t = &h->turns[i];
		size_t len = strlen(t->text), kept;

		if (t->role != AI_ASSISTANT || t->utterance != utterance)
			continue;
		kept = ai_text_fit(t->text, (size_t)((double)len * (share < 1 ? share : 1)));
		t->text[kept] = '\0';
		h->bytes -= len - kept;
	}
}

void ai_history_replay(const struct ai_history *h, struct ai_out *out)
{
	for (size_t i = 0; i < h->n && out->ready; i++)
		if (h->turns[i].text[0])
			ai_out_text(out, h->turns[i].role, h->turns[i].text);
}

void ai_history_clear(struct ai_history *h)
{
	while (h->n)
		drop_oldest(h);
}
