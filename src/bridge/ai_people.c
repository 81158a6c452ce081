/* SPDX-License-Identifier: MIT */
#include "bridge/ai_people.h"

#include "bridge/ai_text.h"

#include <stdio.h>
#include <string.h>

static void remove_speaker(struct ai_people *p, uint32_t id)
{
	for (size_t i = 0; i < p->n_speaking; i++) {
		if (p->speaking[i].id != id)
			continue;
		memmove(&p->speaking[i], &p->speaking[i + 1], (--p->n_speaking - i) * sizeof *p->speaking);
		return;
	}
}

static void set_person(struct ai_person *who, uint32_t id, const char *name)
{
	who->id = id;
	snprintf(who->name, sizeof who->name, "%s", name);
}

void ai_people_joined(struct ai_people *p, uint32_t id, const char *name)
{
	p->n++;
	if (!p->last.id)
		set_person(&p->last, id, name);
}

void ai_people_left(struct ai_people *p, uint32_t id)
{
	p->n -= p->n > 0;
	remove_speaker(p, id);
	if (p->last.id == id)
		p->last.id = 0;
}

void ai_people_spoke(struct ai_people *p, uint32_t id, const char *name, bool speaking)
{
	remove_speaker(p, id);
	if (!speaking)
		return;
	set_person(&p->last, id, name);
	if (p->n_speaking < AI_SPEAKERS)
		set_person(&p->speaking[p->n_speaking++], id, name);
}

/* "Ann", "Ann and Bob", "Ann, Bob and Eve" */
static size_t print_names(const struct ai_people *p, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_speaking; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i == 0 ? "" : i + 1 < p->n_speaking ? ", " : " and ",
			p->speaking[i].name);
	return n;
}

void ai_people_label(struct ai_people *p, uint64_t now_ms)
{
	char label[AI_LABEL_MAX] = "[";
	bool wait = p->label[0] && now_ms - p->labelled_at_ms < AI_LABEL_MS;

	if (!p->cx->opts->speaker_labels || p->n < 2 || p->n_speaking == 0 || !p->out->ready || wait)
		return;
	size_t n = 1 + print_names(p, label + 1, sizeof label - 1);

	snprintf(label + n, sizeof label - n, p->n_speaking == 1 ? " is speaking]" : " are speaking at the same time]");
	if (strcmp(label, p->label) == 0)
		return;
	memcpy(p->label, label, sizeof label);
	p->labelled_at_ms = now_ms;
	ai_out_text(p->out, AI_USER, label);
}

void ai_people_attribute(const struct ai_people *p, const struct ai_person *who, const char *text, char out[AI_ATTRIBUTED_MAX])
{
	bool named = p->cx->opts->speaker_labels && p->n > 1 && who->id;
	size_t n = named ? (size_t)snprintf(out, AI_ATTRIBUTED_MAX, "%s: ", who->name) : 0;
	size_t len = ai_text_fit(text, AI_ATTRIBUTED_MAX - 1 - n);

	memcpy(out + n, text, len);
	out[n + len] = '\0';
}

void ai_people_session_ended(struct ai_people *p)
{
	p->label[0] = '\0';
}
