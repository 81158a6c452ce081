/* SPDX-License-Identifier: MIT */
/*
 * Who is in the room and who speaks, for a model that hears one mix: "[Ann is speaking]" before what she says becomes
 * part of the conversation. As a user's text and no more than that: people choose their names themselves.
 */
#include "bridge/openai.h"

#include <stdio.h>
#include <string.h>

static void forget_voice(struct openai *a, uint32_t id)
{
	for (size_t i = 0; i < a->n_voices; i++) {
		if (a->voices[i].id != id)
			continue;
		memmove(&a->voices[i], &a->voices[i + 1], (--a->n_voices - i) * sizeof *a->voices);
		return;
	}
}

static void set_person(struct ai_person *p, uint32_t id, const char *name)
{
	p->id = id;
	snprintf(p->name, sizeof p->name, "%s", name);
}

void ai_person_joined(struct openai *a, uint32_t id, const char *name)
{
	a->n_people++;
	if (!a->speaker.id) /* whoever speaks first: it will be he */
		set_person(&a->speaker, id, name);
}

void ai_person_left(struct openai *a, uint32_t id)
{
	a->n_people -= a->n_people > 0;
	forget_voice(a, id);
	if (a->speaker.id == id)
		a->speaker.id = 0;
}

void ai_person_speaks(struct openai *a, uint32_t id, const char *name, bool speaking)
{
	forget_voice(a, id);
	if (!speaking)
		return;
	set_person(&a->speaker, id, name);
	if (a->n_voices < AI_VOICES)
		set_person(&a->voices[a->n_voices++], id, name);
}

/* "Ann", "Ann and Bob", "Ann, Bob and Eve" */
static size_t put_names(const struct openai *a, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_voices; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i == 0 ? "" : i + 1 < a->n_voices ? ", " : " and ", a->voices[i].name);
	return n;
}

void ai_label(struct openai *a, uint64_t now_ms)
{
	char label[AI_LABEL_MAX] = "[";
	bool wait = a->label[0] && now_ms - a->labelled_at_ms < AI_LABEL_MS;

	if (!a->opts->speaker_labels || a->n_people < 2 || a->n_voices == 0 || a->state != AI_READY || wait)
		return;
	size_t n = 1 + put_names(a, label + 1, sizeof label - 1);

	snprintf(label + n, sizeof label - n, a->n_voices == 1 ? " is speaking]" : " are speaking at the same time]");
	if (strcmp(label, a->label) == 0)
		return;
	memcpy(a->label, label, sizeof label);
	a->labelled_at_ms = now_ms;
	ai_send_turn(a, AI_USER, label);
}

void ai_attribute(const struct openai *a, const struct ai_person *who, const char *text, char out[AI_SAID_MAX])
{
	bool named = a->opts->speaker_labels && a->n_people > 1 && who->id;
	size_t n = named ? (size_t)snprintf(out, AI_SAID_MAX, "%s: ", who->name) : 0, len = ai_cut(text, AI_SAID_MAX - 1 - n);

	memcpy(out + n, text, len);
	out[n + len] = '\0';
}
