/* SPDX-License-Identifier: MIT */
#include "daemon/control.h"

#include "base/err.h"
#include "base/surrogate.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* --- lines in ----------------------------------------------------------------------------- */

static int fault(char why[CONTROL_WHY], const char *text)
{
	snprintf(why, CONTROL_WHY, "%s", text);
	return ERR_MALFORMED;
}

static int parse_message(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	yyjson_val *text = yyjson_obj_get(obj, "text"), *to = yyjson_obj_get(obj, "to");
	size_t len = yyjson_get_len(text);

	if (!yyjson_is_str(text) || len == 0 || len > MESSAGE_MAX || strlen(yyjson_get_str(text)) != len)
		return fault(why, "message: text must be a string of 1 to 4096 bytes without NUL");
	if (to && !yyjson_is_null(to) && !(yyjson_is_uint(to) && yyjson_get_uint(to) <= UINT32_MAX))
		return fault(why, "message: to must be a participant's id or null");
	memcpy(out->text, yyjson_get_str(text), len + 1);
	out->to = yyjson_is_uint(to) ? (uint32_t)yyjson_get_uint(to) : 0;
	return 0;
}

static int parse_played(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	yyjson_val *epoch = yyjson_obj_get(obj, "epoch"), *samples = yyjson_obj_get(obj, "samples");

	if (!yyjson_is_uint(epoch) || yyjson_get_uint(epoch) > 255)
		return fault(why, "played: epoch must be a number from 0 to 255");
	if (!yyjson_is_uint(samples))
		return fault(why, "played: samples must be a whole number");
	out->epoch = (uint8_t)yyjson_get_uint(epoch);
	out->samples = yyjson_get_uint(samples);
	return 0;
}

static int parse_bridge(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	static const enum bridge_mode modes[] = {BRIDGE_ACTIVE, BRIDGE_LISTENING, BRIDGE_MUTED};
	yyjson_val *mode = yyjson_obj_get(obj, "mode");

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (!yyjson_equals_str(mode, bridge_mode_name(modes[i])))
			continue;
		out->mode = modes[i];
		return 0;
	}
	return fault(why, "bridge: mode must be \"active\", \"listening\" or \"muted\"");
}

static int parse_mute(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	yyjson_val *muted = yyjson_obj_get(obj, "muted");

	if (!yyjson_is_bool(muted))
		return fault(why, "mute: muted must be true or false");
	out->muted = yyjson_get_bool(muted);
	return 0;
}

static int parse_stats(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	yyjson_val *every = yyjson_obj_get(obj, "every_ms");

	if (every && !(yyjson_is_uint(every) && yyjson_get_uint(every) <= 3600000))
		return fault(why, "stats: every_ms must be a number up to 3600000");
	out->every_ms = every ? (uint32_t)yyjson_get_uint(every) : 0;
	if (out->every_ms && out->every_ms < CONTROL_STATS_MIN_MS)
		out->every_ms = CONTROL_STATS_MIN_MS;
	return 0;
}

/* It comes back as it came: a whole number stays one, however large. */
static int parse_ping(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	yyjson_val *t = yyjson_obj_get(obj, "t");
	size_t len = 0;

	if (!t)
		return 0;
	char *text = yyjson_is_num(t) || yyjson_is_raw(t) ? yyjson_val_write(t, 0, &len) : NULL;
	bool fits = text && len < sizeof out->t;

	if (fits)
		memcpy(out->t, text, len + 1);
	free(text);
	return fits ? 0 : fault(why, "ping: t must be a number of at most 63 characters");
}

static int parse_nothing(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY])
{
	(void)obj, (void)out, (void)why;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(yyjson_val *obj, struct control_msg *out, char why[CONTROL_WHY]);
} types[CONTROL_N_TYPES] = {
	[CONTROL_MESSAGE] = {"message", parse_message},
	[CONTROL_MUTE] = {"mute", parse_mute},
	[CONTROL_BRIDGE] = {"bridge", parse_bridge},
	[CONTROL_STATS] = {"stats", parse_stats},
	[CONTROL_PING] = {"ping", parse_ping},
	[CONTROL_PLAYED] = {"played", parse_played},
	[CONTROL_BYE] = {"bye", parse_nothing},
	[CONTROL_UNKNOWN] = {"", parse_nothing},
};

static enum control_type type_of(yyjson_val *name)
{
	for (int i = 0; i < CONTROL_UNKNOWN; i++)
		if (yyjson_equals_str(name, types[i].name)) /* to the end: "bye\u0000" is none */
			return (enum control_type)i;
	return CONTROL_UNKNOWN;
}

static yyjson_doc *read_line(const char *line, size_t len)
{
	char *copy, *whole = (char *)(uintptr_t)surrogate_mend(line, len, &copy); /* not written: yyjson copies it */
	yyjson_doc *doc = whole ? yyjson_read_opts(whole, len, YYJSON_READ_BIGNUM_AS_RAW, NULL, NULL) : NULL;

	free(copy);
	return doc;
}

int control_parse(const char *line, size_t len, struct control_msg *out, char why[CONTROL_WHY])
{
	yyjson_doc *doc = read_line(line, len);

	if (!doc)
		return fault(why, "not a JSON object in UTF-8");
	yyjson_val *obj = yyjson_doc_get_root(doc), *type = yyjson_obj_get(obj, "type");
	int err;

	if (!yyjson_is_str(type)) {
		err = fault(why, "an object needs a type");
	} else {
		out->type = type_of(type);
		out->text[0] = '\0';
		out->to = out->every_ms = 0;
		out->muted = false;
		memcpy(out->t, "0", sizeof "0");
		out->mode = BRIDGE_ACTIVE;
		out->epoch = 0;
		out->samples = 0;
		err = types[out->type].parse(obj, out, why);
	}
	yyjson_doc_free(doc);
	return err;
}

/* --- lines out ----------------------------------------------------------------------------- */

/* A line under construction: one object with a type. */
struct line {
	yyjson_mut_doc *doc;
	yyjson_mut_val *obj;
};

static struct line line_of(const char *type)
{
	struct line l = {yyjson_mut_doc_new(NULL), NULL};

	l.obj = yyjson_mut_obj(l.doc);
	yyjson_mut_doc_set_root(l.doc, l.obj);
	yyjson_mut_obj_add_str(l.doc, l.obj, "type", type);
	return l;
}

static void put_str(struct line *l, const char *key, const char *value)
{
	yyjson_mut_obj_add_str(l->doc, l->obj, key, value);
}

/* A driver's text, up to the first byte that is not UTF-8: a text cut in mid-character must not cost all clients
 * the line, and with it the stream. */
static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *value)
{
	size_t len = 0;

	for (size_t n; (n = utf8_char(value + len)); len += n)
		;
	yyjson_mut_obj_add_strn(doc, obj, "text", value, len);
}

static void put_text(struct line *l, const char *value)
{
	add_text(l->doc, l->obj, value);
}

static void put_uint(struct line *l, const char *key, uint64_t value)
{
	yyjson_mut_obj_add_uint(l->doc, l->obj, key, value);
}

/* Rounded to two places. */
static void put_ms(struct line *l, const char *key, double value)
{
	yyjson_mut_obj_add_real(l->doc, l->obj, key, (double)(int64_t)(value * 100 + (value < 0 ? -0.5 : 0.5)) / 100);
}

static int line_end(struct line *l, struct buf *out)
{
	size_t len;
	char *text = yyjson_mut_write(l->doc, 0, &len);
	int err = text ? buf_append(out, text, len) : ERR_NOMEM;

	if (!err)
		err = buf_append(out, "\n", 1);
	free(text);
	yyjson_mut_doc_free(l->doc);
	return err;
}

static void put_member(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct room_member *m)
{
	yyjson_mut_obj_add_uint(doc, obj, "id", m->id);
	yyjson_mut_obj_add_strcpy(doc, obj, "name", m->name);
	yyjson_mut_obj_add_bool(doc, obj, "muted", m->muted);
	yyjson_mut_obj_add_bool(doc, obj, "speaking", m->speaking);
	if (!m->bridge)
		return;
	yyjson_mut_obj_add_bool(doc, obj, "bridge", true);
	yyjson_mut_obj_add_str(doc, obj, "mode", bridge_mode_name(m->mode));
	yyjson_mut_obj_add_bool(doc, obj, "up", !m->down);
	if (m->down && m->left)
		yyjson_mut_obj_add_bool(doc, obj, "left", true);
	if (m->down)
		add_text(doc, obj, m->down);
}

struct members {
	struct line *line;
	yyjson_mut_val *array;
	char bridge[PARTICIPANT_NAME_MAX + 1];
};

static void add_member(void *ctx, const struct room_member *m)
{
	struct members *ms = ctx;

	put_member(ms->line->doc, yyjson_mut_arr_add_obj(ms->line->doc, ms->array), m);
	if (m->bridge)
		snprintf(ms->bridge, sizeof ms->bridge, "%s", m->name);
}

int control_welcome(struct buf *out, const struct control_welcome *w)
{
	struct line l = line_of("welcome");
	const char *room = participant_room(w->participant);
	char session[24];

	snprintf(session, sizeof session, "s%llu", (unsigned long long)w->session);
	put_str(&l, "session", session);
	put_uint(&l, "participant", participant_id(w->participant));
	put_str(&l, "name", participant_name(w->participant));
	put_str(&l, "room", room);
	yyjson_mut_obj_add_bool(l.doc, l.obj, "private", !room[0]);
	put_uint(&l, "rate", w->hears->rate_hz);
	put_uint(&l, "room_rate", participant_room_rate(w->participant));
	put_str(&l, "codec", w->hears->codec->name);
	put_str(&l, "frames", w->hears->packets == PACKET_V1 ? "v1" : "legacy");
	put_uint(&l, "frame_ms", w->frame_ms);
	struct members ms = {&l, yyjson_mut_obj_add_arr(l.doc, l.obj, "participants"), ""};

	participant_each_member(w->participant, add_member, &ms);
	if (ms.bridge[0])
		yyjson_mut_obj_add_strcpy(l.doc, l.obj, "bridge", ms.bridge);
	else
		yyjson_mut_obj_add_null(l.doc, l.obj, "bridge");
	return line_end(&l, out);
}

size_t control_welcome_max(uint32_t people)
{
	/* Names double where every character is escaped. Beside the people: the bridge, its name, why it is down, ours, the
	 * room's. */
	enum { MEMBER = 2 * PARTICIPANT_NAME_MAX + 128 };

	return ((size_t)people + 5) * MEMBER;
}

static void put_joined(struct line *l, const struct room_event *ev)
{
	put_member(l->doc, yyjson_mut_obj_add_obj(l->doc, l->obj, "participant"), &ev->member);
}

static void put_left(struct line *l, const struct room_event *ev)
{
	put_uint(l, "id", ev->member.id);
	put_str(l, "reason", leave_reason_name(ev->reason));
}

static void put_speaking(struct line *l, const struct room_event *ev)
{
	put_uint(l, "id", ev->member.id);
	yyjson_mut_obj_add_bool(l->doc, l->obj, "speaking", ev->member.speaking);
}

static void put_muted(struct line *l, const struct room_event *ev)
{
	put_uint(l, "id", ev->member.id);
	yyjson_mut_obj_add_bool(l->doc, l->obj, "muted", ev->member.muted);
}

static void put_message(struct line *l, const struct room_event *ev)
{
	put_uint(l, "from", ev->member.id);
	if (ev->to)
		put_uint(l, "to", ev->to);
	else
		yyjson_mut_obj_add_null(l->doc, l->obj, "to");
	put_text(l, ev->text);
}

static void put_transcript(struct line *l, const struct room_event *ev)
{
	put_uint(l, "id", ev->member.id);
	yyjson_mut_obj_add_bool(l->doc, l->obj, "final", ev->final);
	if (ev->text)
		put_text(l, ev->text);
}

static void put_bridge(struct line *l, const struct room_event *ev)
{
	put_uint(l, "id", ev->member.id);
	yyjson_mut_obj_add_bool(l->doc, l->obj, "up", ev->up);
	if (!ev->up && ev->member.left)
		yyjson_mut_obj_add_bool(l->doc, l->obj, "left", true);
	put_str(l, "mode", bridge_mode_name(ev->member.mode));
	if (ev->by)
		put_uint(l, "by", ev->by);
	if (ev->text)
		put_text(l, ev->text);
}

static void put_flush(struct line *l, const struct room_event *ev)
{
	put_uint(l, "epoch", ev->epoch);
}

int control_event(struct buf *out, const struct room_event *ev, int64_t wall_ms)
{
	static const struct {
		const char *type;
		void (*put)(struct line *l, const struct room_event *ev);
	} events[] = {
		[ROOM_JOINED] = {"joined", put_joined},
		[ROOM_LEFT] = {"left", put_left},
		[ROOM_SPEAKING] = {"speaking", put_speaking},
		[ROOM_MUTED] = {"mute", put_muted},
		[ROOM_MESSAGE] = {"message", put_message},
		[ROOM_TRANSCRIPT] = {"transcript", put_transcript},
		[ROOM_BRIDGE] = {"bridge", put_bridge},
		[ROOM_FLUSH] = {"flush", put_flush},
	};
	struct line l = line_of(events[ev->kind].type);

	events[ev->kind].put(&l, ev);
	if (ev->kind == ROOM_MESSAGE)
		yyjson_mut_obj_add_sint(l.doc, l.obj, "time", wall_ms);
	return line_end(&l, out);
}

int control_stats(struct buf *out, uint64_t datagrams_in, const struct participant_stats *p,
	const struct session_info *s)
{
	struct line l = line_of("stats");

	put_ms(&l, "rtt_ms", (double)s->rtt_us / 1000);
	put_uint(&l, "received_packets", datagrams_in);
	put_uint(&l, "sent_packets", s->packets_sent);
	put_uint(&l, "lost_packets", s->packets_lost);
	put_uint(&l, "dropped_datagrams", s->audio_dropped);
	put_uint(&l, "frames_in", p->frames_in);
	put_uint(&l, "frames_out", p->frames_out);
	put_uint(&l, "buffer_ms", p->buffer_ms);
	put_uint(&l, "target_ms", p->target_ms);
	put_ms(&l, "jitter_ms", (double)p->jitter_ms);
	put_uint(&l, "concealed", p->concealed);
	put_uint(&l, "dropped", p->dropped_ms);
	put_uint(&l, "frames_lost", p->sequence.lost);
	put_uint(&l, "frames_reordered", p->sequence.reordered);
	put_uint(&l, "frames_duplicate", p->sequence.duplicate);
	put_uint(&l, "frames_late", p->sequence.late);
	put_ms(&l, "level_dbfs", (double)p->level_dbfs);
	yyjson_mut_obj_add_sint(l.doc, l.obj, "drift_ppm", p->drift_ppm);
	return line_end(&l, out);
}

int control_pong(struct buf *out, const char *t)
{
	struct line l = line_of("pong");

	yyjson_mut_obj_add_val(l.doc, l.obj, "t", yyjson_mut_raw(l.doc, t));
	return line_end(&l, out);
}

static int notice(struct buf *out, const char *type, const char *code, const char *text)
{
	struct line l = line_of(type);

	put_str(&l, "code", code);
	put_str(&l, "text", text);
	return line_end(&l, out);
}

int control_warning(struct buf *out, const char *code, const char *text)
{
	return notice(out, "warning", code, text);
}

int control_messages_lost(struct buf *out, uint32_t n)
{
	struct line l = line_of("warning");

	put_str(&l, "code", "messages_lost");
	put_str(&l, "text", "you take lines more slowly than they come; some were dropped");
	put_uint(&l, "lost", n);
	return line_end(&l, out);
}

int control_error(struct buf *out, const char *code, const char *text)
{
	return notice(out, "error", code, text);
}

int control_bye(struct buf *out, const struct control_bye *b)
{
	struct line l = line_of("bye");

	put_str(&l, "reason", b->reason);
	put_str(&l, "text", b->text);
	if (b->status)
		put_uint(&l, "status", b->status);
	if (b->reconnect_ms)
		put_uint(&l, "reconnect_ms", b->reconnect_ms);
	return line_end(&l, out);
}
