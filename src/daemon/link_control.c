/* SPDX-License-Identifier: MIT */
/* What a client asks for on its lines, and the answers. */
#include "daemon/link_private.h"

#include "base/err.h"
#include "daemon/control.h"

#include <string.h>

static void send_error(struct link *l, const char *code, const char *text, nsec now)
{
	l->owner->stats.control_bad++;
	if (link_has_lines(l))
		link_send(l, control_error(links_line(l->owner), code, text), now);
}

static void send_stats(struct link *l, nsec now)
{
	struct participant_stats ps;
	struct session_info info;

	participant_stats(l->participant, &ps);
	session_info(l->session, &info);
	link_send(l, control_stats(links_line(l->owner), l->datagrams_in, &ps, &info), now);
}

void link_stats_due(struct stats_wish *w, nsec now)
{
	struct link *l = (struct link *)((char *)w - offsetof(struct link, stats));

	if (link_has_lines(l))
		send_stats(l, now);
	if (!link_has_lines(l)) /* closed, or lost just now */
		stats_timer_set(&l->owner->stats_timer, w, 0, now);
}

/* --- what is asked for ------------------------------------------------------------------------ */

/* Not at each message: that would be one more to write. */
static void warn_limited(struct link *l, nsec now)
{
	static const struct rate each_second = {.cost = 1000000000, .burst = 1000000000};

	if (link_has_lines(l) && limit_take(&l->limited, &each_second, 1, now))
		link_send(l, control_warning(links_line(l->owner), "messages_limited",
			"more is written in this room than it may pass on; your message was dropped"), now);
}

static void handle_message(struct link *l, const struct control_msg *m, nsec now)
{
	int err = participant_message(l->participant, m->to, m->text, now);

	if (err == ERR_NOTFOUND)
		send_error(l, "no_such_participant", "nobody with that id is in the room", now);
	else if (err == ERR_LIMIT)
		warn_limited(l, now);
	else if (err)
		send_error(l, "bad_message", "text must be 1 to 4096 bytes of UTF-8", now);
}

static void handle_mute(struct link *l, const struct control_msg *m, nsec now)
{
	participant_mute(l->participant, m->muted, now);
}

static void handle_bridge(struct link *l, const struct control_msg *m, nsec now)
{
	if (participant_bridge(l->participant, m->mode, now))
		send_error(l, "no_bridge", "there is no bridge in this room", now);
}

static void note_poll(struct link *l, nsec now)
{
	presence_polled(&l->presence, now);
	link_watch(l, now);
}

static void handle_stats(struct link *l, const struct control_msg *m, nsec now)
{
	stats_timer_set(&l->owner->stats_timer, &l->stats, m->every_ms, now);
	note_poll(l, now);
	send_stats(l, now);
}

static void handle_played(struct link *l, const struct control_msg *m, nsec now)
{
	participant_played(l->participant, m->epoch, m->samples);
	presence_played(&l->presence, l->packets_out, now);
	link_watch(l, now);
}

static void handle_ping(struct link *l, const struct control_msg *m, nsec now)
{
	note_poll(l, now);
	link_send(l, control_pong(links_line(l->owner), m->t), now);
}

static void handle_bye(struct link *l, const struct control_msg *m, nsec now)
{
	(void)m;
	session_close(l->session, CLOSE_OK, "bye", now); /* frees the link */
}

static void ignore(struct link *l, const struct control_msg *m, nsec now)
{
	(void)l, (void)m, (void)now;
}

/* May end the link. */
typedef void handler_fn(struct link *l, const struct control_msg *m, nsec now);

static handler_fn *const handlers[CONTROL_N_TYPES] = {
	[CONTROL_MESSAGE] = handle_message,
	[CONTROL_MUTE] = handle_mute,
	[CONTROL_BRIDGE] = handle_bridge,
	[CONTROL_STATS] = handle_stats,
	[CONTROL_PING] = handle_ping,
	[CONTROL_PLAYED] = handle_played,
	[CONTROL_BYE] = handle_bye,
	[CONTROL_UNKNOWN] = ignore,
};

/* --- lines ------------------------------------------------------------------------------------ */

int link_write_welcome(struct link *l)
{
	const struct control_welcome w = {.session = l->session->id,
		.participant = l->participant,
		.hears = &l->hears,
		.frame_ms = l->owner->opts.cfg->rooms.frame_ms};

	return control_welcome(links_line(l->owner), &w);
}

void link_ready(void *user, nsec now)
{
	struct link *l = user;

	link_slow_end(l);
	link_send_kind(l, SESSION_LINE_VITAL, link_write_welcome(l), now);
	presence_lines(&l->presence, false, now);
	link_watch(l, now);
}

void link_lines_ended(void *user, nsec now)
{
	struct link *l = user;

	presence_lines(&l->presence, true, now);
	link_watch(l, now);
}

static size_t without_blanks(const char *line, size_t len)
{
	static const char blanks[] = " \t\r";

	while (len > 0 && memchr(blanks, line[len - 1], sizeof blanks - 1))
		len--;
	return len;
}

/* A message of one client goes to the whole room: too many of them would hold up the voice of all. */
static bool within_limits(struct link *l, size_t len, nsec now)
{
	const struct links *ls = l->owner;

	return limit_take(&l->messages, &ls->messages, 1, now) && limit_take(&l->bytes, &ls->bytes, len, now);
}

void link_line(void *user, const char *line, size_t len, nsec now)
{
	struct link *l = user;
	struct control_msg m;
	char why[CONTROL_WHY];

	presence_heard(&l->presence, now);
	len = without_blanks(line, len);
	if (len == 0)
		return;
	if (!within_limits(l, len, now)) {
		l->owner->stats.control_limited++;
		link_warn_once(l, WARNED_MESSAGES, "rate_limited", "too many messages a second; some were ignored", now);
		return;
	}
	l->owner->stats.control_in++;
	if (control_parse(line, len, &m, why))
		send_error(l, "bad_message", why, now);
	else
		handlers[m.type](l, &m, now);
}

void link_long_line(void *user, nsec now)
{
	struct link *l = user;

	presence_heard(&l->presence, now);
	send_error(l, "line_too_long", "the line was longer than the server takes and was skipped", now);
}
