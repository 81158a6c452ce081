/* SPDX-License-Identifier: MIT */
/*
 * Refusals that the client can read. Browsers hide the status of a CONNECT, and Chromium makes a page wait longer after
 * each that fails. So a client that asks for it (join_wants_bye()) gets a session in which nothing is but a `bye`, and
 * the end with code and reason.
 */
#include "daemon/link_private.h"

#include "base/err.h"
#include "daemon/control.h"

#include <stdlib.h>

enum {
	LINES_MS = 2000, /* for the client to open its control stream */
	READ_MS = 500,   /* for it to read its bye: the end resets the stream */
};

struct refused {
	struct links *owner;
	struct session *session;
	struct list node; /* in refused_waiting, then in refused_told */
	enum verdict verdict;
	nsec until;
};

static void wait_in(struct refused *r, struct list *list, uint32_t ms, nsec now)
{
	list_remove(&r->node);
	list_append(list, &r->node);
	r->until = now + nsec_from_ms(ms);
}

static void on_ready(void *user, nsec now)
{
	struct refused *r = user;
	struct links *ls = r->owner;
	const struct control_bye bye = {.reason = "refused", .text = verdict_text(r->verdict),
		.status = verdict_status(r->verdict)};

	wait_in(r, &ls->refused_told, READ_MS, now);
	if (!control_bye(links_line(ls), &bye))
		session_send_line(r->session, SESSION_LINE_VITAL, ls->line.p, ls->line.len, now);
}

static void on_audio(void *user, const uint8_t *p, size_t len, nsec now)
{
	(void)user, (void)p, (void)len, (void)now;
}

static void on_line(void *user, const char *line, size_t len, nsec now)
{
	(void)user, (void)line, (void)len, (void)now;
}

static void on_nothing(void *user, nsec now)
{
	(void)user, (void)now;
}

static void on_closed(void *user, const struct session_close *why, nsec now)
{
	struct refused *r = user;

	(void)why, (void)now;
	r->owner->stats.refused_open--;
	r->owner->stats.refused_closed++;
	list_remove(&r->node);
	free(r);
}

static const struct session_app refused_app = {
	.on_ready = on_ready,
	.on_lines_room = on_nothing,
	.on_lines_ended = on_nothing,
	.on_audio = on_audio,
	.on_line = on_line,
	.on_long_line = on_nothing,
	.on_closed = on_closed,
};

int refused_open(struct links *ls, struct session *s, enum verdict v, struct session_answer *out, nsec now)
{
	struct refused *r = calloc(1, sizeof *r);

	if (!r)
		return ERR_NOMEM;
	r->owner = ls;
	r->session = s;
	r->verdict = v;
	list_init(&r->node);
	wait_in(r, &ls->refused_waiting, LINES_MS, now);
	ls->stats.refused_open++;
	ls->stats.refused_opened++;
	*out = (struct session_answer){.decision = SESSION_ADMITTED, .user = r, .app = &refused_app};
	return 0;
}

/* The one that waits the longest is the first of its list. */
static nsec first_until(const struct list *list)
{
	return list_empty(list) ? NSEC_NONE : list_entry(list->next, struct refused, node)->until;
}

nsec refused_deadline(const struct links *ls)
{
	nsec waiting = first_until(&ls->refused_waiting), told = first_until(&ls->refused_told);

	return waiting < told ? waiting : told;
}

static void close_until(struct list *list, nsec now)
{
	while (first_until(list) <= now) {
		struct refused *r = list_entry(list->next, struct refused, node);

		session_close(r->session, verdict_status(r->verdict), verdict_text(r->verdict), now); /* frees it */
	}
}

void refused_run(struct links *ls, nsec now)
{
	close_until(&ls->refused_waiting, now);
	close_until(&ls->refused_told, now);
}

static void close_all(struct list *list, uint32_t code, const char *reason, nsec now)
{
	list_each (it, list, tmp)
		session_close(list_entry(it, struct refused, node)->session, code, reason, now);
}

void refused_close_all(struct links *ls, uint32_t code, const char *reason, nsec now)
{
	close_all(&ls->refused_waiting, code, reason, now);
	close_all(&ls->refused_told, code, reason, now);
}
