/* SPDX-License-Identifier: MIT */
#include "daemon/link_private.h"

#include "base/err.h"
#include "base/random.h"
#include "daemon/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REFUSALS_LOGGED = 20,    /* lines in ten seconds about sessions that were refused */
	LIVES_LOGGED = 200,      /* about those that joined, and as many about those that left: who comes and goes at once */
	LONGEST_LINE = 4 << 20,  /* the welcome to a room of ten thousand */
	LONGEST_KEPT = 64 << 10, /* the memory of a longer one is freed before the next */
};

/* Made when there is something to log, which is seldom: it is larger than the link. */
static struct log log_of(const struct link *l)
{
	struct log log;

	log_child(&log, &l->owner->log, "sess=%llu", (unsigned long long)l->session->id);
	return log;
}

/* --- lines to the client --------------------------------------------------------------------- */

bool link_has_lines(const struct link *l)
{
	return session_has_lines(l->session);
}

struct buf *links_line(struct links *ls)
{
	if (ls->line.cap > LONGEST_KEPT) {
		buf_fini(&ls->line);
		buf_init(&ls->line, LONGEST_LINE);
	}
	ls->line.len = 0;
	ls->line_serial = 0;
	return &ls->line;
}

void link_lose_lines(struct link *l, const char *why, nsec now)
{
	const struct log log = log_of(l);

	session_end_lines(l->session, now);
	link_slow_end(l);
	log_info(&log, "control stream lost: %s", why);
	l->owner->stats.control_lost++;
}

static void wait_for_company(struct link *l, nsec now)
{
	struct links *ls = l->owner;

	if (!list_empty(&l->unsent))
		return;
	if (list_empty(&ls->unsent))
		ls->unsent_due = now + nsec_from_ms(ls->opts.cfg->rooms.frame_ms);
	list_append(&ls->unsent, &l->unsent);
}

void link_queue(struct link *l, enum session_line kind, int err, nsec now)
{
	const struct buf *line = &l->owner->line;

	if (!link_has_lines(l))
		return;
	int queued = err ? err : session_queue_line(l->session, kind, line->p, line->len, now);

	if (!queued)
		wait_for_company(l, now);
	else if (!err && queued == ERR_LIMIT)
		link_line_lost(l, kind, now);
	else
		link_lose_lines(l, err_str(queued), now);
}

static void flush(struct link *l, nsec now)
{
	list_remove(&l->unsent);
	if (link_has_lines(l))
		session_flush_lines(l->session, now);
}

static nsec flush_deadline(const struct links *ls)
{
	return list_empty(&ls->unsent) ? NSEC_NONE : ls->unsent_due;
}

static void flush_all(struct links *ls, nsec now)
{
	if (flush_deadline(ls) > now)
		return;
	list_each (it, &ls->unsent, tmp)
		flush(list_entry(it, struct link, unsent), now);
}

void link_send_kind(struct link *l, enum session_line kind, int err, nsec now)
{
	link_queue(l, kind, err, now);
	flush(l, now);
}

void link_send(struct link *l, int err, nsec now)
{
	link_send_kind(l, SESSION_LINE_ORDINARY, err, now);
}

void link_warn_once(struct link *l, unsigned bit, const char *code, const char *text, nsec now)
{
	if (l->warned & 1u << bit || !link_has_lines(l))
		return;
	l->warned |= 1u << bit;
	link_send(l, control_warning(links_line(l->owner), code, text), now);
}

/* --- the room, towards the client ---------------------------------------------------------- */

static size_t room_packet_max(void *user)
{
	const struct link *l = user;
	size_t path = session_audio_max(l->session), ceiling = l->owner->opts.cfg->server.max_datagram_size;

	return path < ceiling ? path : ceiling;
}

static bool hears_room(void *user)
{
	return session_hears(((const struct link *)user)->session);
}

static void on_room_packet(void *user, const struct room_packet *p, nsec now)
{
	struct link *l = user;
	const struct packet *k = &p->packet;

	l->packets_out++;
	if (session_send_audio(l->session, k->head, k->head_len, k->body, k->body_len, now))
		l->owner->stats.send_failed++;
}

static void on_room_dropped(void *user, nsec now)
{
	struct link *l = user;

	(void)now;
	l->owner->stats.send_failed++;
}

/* Written once, however many links it is sent to. */
static int write_event(struct links *ls, const struct room_event *ev)
{
	if (ev->serial && ev->serial == ls->line_serial)
		return 0;
	int64_t wall_ms = ls->opts.wall_ms && ev->kind == ROOM_MESSAGE ? ls->opts.wall_ms() : 0;
	int err = control_event(links_line(ls), ev, wall_ms);

	ls->line_serial = err ? 0 : ev->serial;
	return err;
}

static enum session_line kind_of(const struct room_event *ev)
{
	switch (ev->kind) {
	case ROOM_MESSAGE:
	case ROOM_TRANSCRIPT: return SESSION_LINE_ORDINARY;
	case ROOM_FLUSH: return SESSION_LINE_VITAL;
	default: return SESSION_LINE_STATE;
	}
}

static void tell(struct link *l, enum session_line kind, int err, nsec now)
{
	if (kind == SESSION_LINE_VITAL)
		link_send_kind(l, kind, err, now);
	else
		link_queue(l, kind, err, now);
}

static void on_room_event(void *user, const struct room_event *ev, nsec now)
{
	struct link *l = user;

	if (link_has_lines(l))
		tell(l, kind_of(ev), write_event(l->owner, ev), now);
}

static const struct listener_sink room_sink = {
	.packet_max = room_packet_max,
	.packet = on_room_packet,
	.hears = hears_room,
	.dropped = on_room_dropped,
	.event = on_room_event,
};

/* --- joining ------------------------------------------------------------------------------- */

static struct link *link_new(struct links *ls, struct session *s, const struct join *j, nsec now)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->owner = ls;
	l->session = s;
	l->hears = j->hears;
	stats_wish_init(&l->stats);
	list_init(&l->watched);
	list_init(&l->unsent);
	list_init(&l->slow);
	presence_init(&l->presence, now);
	l->left = LEAVE_CLOSED;
	l->joined_at = now;
	return l;
}

static enum verdict verdict_of(int err)
{
	switch (err) {
	case 0: return VERDICT_ADMITTED;
	case ERR_LIMIT: return VERDICT_ROOM_FULL;
	case ERR_NOTFOUND: return VERDICT_NO_SUCH_ROOM;
	case ERR_RANGE: return VERDICT_BAD_TEXT;
	default: return VERDICT_NO_MEMORY;
	}
}

/* Joins the room where admission has counted the session already. */
static enum verdict enter(struct links *ls, struct session *s, const struct join *j, const struct holder_key *from,
	struct link **out, nsec now)
{
	struct link *l = link_new(ls, s, j, now);
	const struct guest guest = {j->room, *from};
	const struct participant_opts opts = {
		.room = j->room,
		.name = j->name,
		.hears = j->hears,
	};
	int err = l ? rooms_join(ls->opts.rooms, &opts, &room_sink, l, now, &l->participant) : ERR_NOMEM;

	if (!err) {
		l->from = *from;
		*out = l;
		return VERDICT_ADMITTED;
	}
	registry_leave(ls->admission.registry, &guest);
	free(l);
	return verdict_of(err);
}

static enum verdict admit(struct links *ls, struct session *s, const struct http_request *req, struct link **out, nsec now)
{
	struct join j;
	struct holder_key from;
	unsigned shard;
	enum verdict v = admission_enter(&ls->admission, req, ls->opts.shard, &j, &from, &shard);

	if (v == VERDICT_MOVED && session_move(s, shard))
		return VERDICT_NOT_MOVED;
	return v == VERDICT_ADMITTED ? enter(ls, s, &j, &from, out, now) : v;
}

/* Sessions and refusals cost an attacker nothing, so their lines in the log are limited. */
static bool may_log(struct links *ls, struct log_limit *l, uint32_t most, const char *what, nsec now)
{
	uint64_t left_out;

	if (!log_limit_take(l, most, now, &left_out))
		return false;
	if (left_out)
		log_info(&ls->log, "%s lines_left_out=%llu", what, (unsigned long long)left_out);
	return true;
}

static void log_refusal(struct links *ls, const struct session *s, const struct http_request *req, enum verdict v, nsec now)
{
	char origin[80], peer[SESSION_PEER_TEXT];

	if (!may_log(ls, &ls->refusals, REFUSALS_LOGGED, "refused", now))
		return;
	session_peer(s, peer);
	log_info(&ls->log, "refused status=%u peer=%s origin=%s why=\"%s\"", verdict_status(v), peer,
		log_quoted(req->origin ? req->origin : "", origin, sizeof origin), verdict_text(v));
}

static void log_joined(const struct link *l, nsec now)
{
	if (!may_log(l->owner, &l->owner->joined, LIVES_LOGGED, "joined", now))
		return;
	const struct participant *p = l->participant;
	const struct log log = log_of(l);
	char peer[SESSION_PEER_TEXT], room[2 * ROOM_NAME_MAX + 3], name[2 * PARTICIPANT_NAME_MAX + 3];

	session_peer(l->session, peer);
	log_info(&log, "joined peer=%s room=%s name=%s participant=%u rate=%u", peer,
		log_quoted(participant_room(p), room, sizeof room), log_quoted(participant_name(p), name, sizeof name),
		participant_id(p), l->hears.rate_hz);
}

static void refuse(struct links *ls, struct session *s, const struct http_request *req, enum verdict v,
	struct session_answer *out, nsec now)
{
	refusals_count(&ls->stats.refused, v);
	log_refusal(ls, s, req, v, now);
	if (join_wants_bye(req->query) && !refused_open(ls, s, v, out, now))
		return;
	out->decision = SESSION_REFUSED;
	out->status = verdict_status(v);
	out->why = verdict_text(v);
}

static void on_open(void *ctx, struct session *s, const struct http_request *req, struct session_answer *out, nsec now)
{
	struct links *ls = ctx;
	struct link *l = NULL;
	enum verdict v = admit(ls, s, req, &l, now);

	if (v == VERDICT_MOVED) {
		out->decision = SESSION_MOVED;
		return;
	}
	if (v != VERDICT_ADMITTED) {
		refuse(ls, s, req, v, out, now);
		return;
	}
	list_append(&ls->all, &l->node);
	ls->stats.links++;
	log_joined(l, now);
	out->decision = SESSION_ADMITTED;
	out->user = l;
}

static void log_left(const struct link *l, const struct session_close *why, nsec now)
{
	if (!may_log(l->owner, &l->owner->left, LIVES_LOGGED, "left", now))
		return;
	const struct log log = log_of(l);
	struct participant_stats st;
	char text[128];

	participant_stats(l->participant, &st);
	log_info(&log, "left end=%s code=%u reason=%s seconds=%llu frames_in=%llu frames_out=%llu", why->how, why->code,
		log_quoted(why->reason, text, sizeof text),
		(unsigned long long)(nsec_since(l->joined_at, now) / nsec_from_s(1)), (unsigned long long)st.frames_in,
		(unsigned long long)st.frames_out);
}

static enum leave_reason leave_reason(const struct link *l, const struct session_close *why)
{
	const struct links *ls = l->owner;

	if (why->end == SESSION_END_LOST)
		return LEAVE_LOST;
	return why->end == SESSION_END_LOCAL && ls->draining ? LEAVE_SHUTDOWN : l->left;
}

static void on_closed(void *user, const struct session_close *why, nsec now)
{
	struct link *l = user;
	struct links *ls = l->owner;
	char room[ROOM_NAME_MAX + 1];
	const struct guest guest = {room, l->from};

	log_left(l, why, now);
	snprintf(room, sizeof room, "%s", participant_room(l->participant));
	participant_leave(l->participant, leave_reason(l, why), now);
	registry_leave(ls->admission.registry, &guest);
	list_remove(&l->node);
	list_remove(&l->watched);
	list_remove(&l->unsent);
	list_remove(&l->slow);
	stats_timer_set(&ls->stats_timer, &l->stats, 0, now);
	ls->stats.links--;
	free(l);
}

/* --- audio in ------------------------------------------------------------------------------ */

static const char *fault_text(enum frame_fault f)
{
	switch (f) {
	case FRAME_SHORT: return "a datagram needs the 2 bytes of the rate, or the 12 of the v1 header";
	case FRAME_EMPTY: return "a frame without samples was dropped";
	case FRAME_BAD_RATE: return "rates from 8000 to 48000 are played; the frame was dropped";
	case FRAME_ODD: return "an odd last byte was cut off";
	case FRAME_UNSUPPORTED: return "a codec, flag or source that this server does not know; the frame was dropped";
	default: return "";
	}
}

static void on_audio(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct link *l = user;

	l->datagrams_in++;
	presence_heard(&l->presence, now);
	if (!limit_take(&l->datagrams, &l->owner->datagrams, 1, now)) {
		l->owner->stats.rate_limited++;
		link_warn_once(l, WARNED_RATE_LIMIT, "rate_limited", "too many datagrams a second; some were dropped", now);
		return;
	}
	enum frame_fault f = participant_audio(l->participant, p, len, now);

	if (f != FRAME_OK)
		link_warn_once(l, f, frame_fault_name(f), fault_text(f), now);
}

static const struct session_app session_app = {
	.on_open = on_open,
	.on_ready = link_ready,
	.on_lines_room = link_lines_room,
	.on_lines_ended = link_lines_ended,
	.on_audio = on_audio,
	.on_line = link_line,
	.on_long_line = link_long_line,
	.on_closed = on_closed,
};

/* --- all links --------------------------------------------------------------------------------- */

static struct rate rate_per_s(uint32_t n)
{
	return rate_make(n, nsec_from_s(1), nsec_from_s(2));
}

int links_new(const struct links_opts *o, const struct log *log, struct links **out)
{
	struct links *ls = calloc(1, sizeof *ls);

	if (!ls)
		return ERR_NOMEM;
	ls->opts = *o;
	ls->admission = (struct admission){o->cfg, o->registry, o->certs};
	ls->log = *log;
	ls->host = (struct session_host){.app = &session_app, .ctx = ls, .line_bytes = o->cfg->limits.control_line_bytes};
	list_init(&ls->all);
	stats_timer_init(&ls->stats_timer);
	list_init(&ls->watched);
	list_init(&ls->unsent);
	list_init(&ls->slow);
	list_init(&ls->refused_waiting);
	list_init(&ls->refused_told);
	ls->watch_due = NSEC_NONE;
	ls->presence = (struct presence_opts){nsec_from_ms(o->cfg->limits.control_grace_ms),
		nsec_from_ms(o->cfg->limits.silent_client_ms)};
	ls->datagrams = rate_per_s(o->cfg->limits.datagrams_per_s);
	ls->messages = rate_per_s(o->cfg->limits.control_messages_per_s);
	ls->bytes = rate_per_s(o->cfg->limits.control_bytes_per_s);
	buf_init(&ls->line, LONGEST_LINE);
	*out = ls;
	return 0;
}

void links_free(struct links *ls)
{
	if (ls)
		buf_fini(&ls->line);
	free(ls);
}

struct session_host *links_host(struct links *ls)
{
	return &ls->host;
}

const struct links_stats *links_stats(struct links *ls)
{
	ls->stats.second_streams = ls->host.streams_refused;
	return &ls->stats;
}

nsec links_deadline(const struct links *ls)
{
	nsec due = refused_deadline(ls), slow = links_slow_deadline(ls);

	due = slow < due ? slow : due;
	due = flush_deadline(ls) < due ? flush_deadline(ls) : due;
	due = ls->watch_due < due ? ls->watch_due : due;
	return ls->stats_timer.due < due ? ls->stats_timer.due : due;
}

void links_run(struct links *ls, nsec now)
{
	stats_timer_run(&ls->stats_timer, now, link_stats_due);
	flush_all(ls, now);
	links_slow_run(ls, now);
	links_watch_run(ls, now);
	refused_run(ls, now);
}

void links_drain(struct links *ls, uint32_t reconnect_ms, nsec now)
{
	ls->draining = true;
	registry_drain(ls->admission.registry);
	list_each (it, &ls->all, tmp) {
		struct link *l = list_entry(it, struct link, node);
		uint32_t spread = random_below(reconnect_ms / 2 + 1); /* so that not all come back in the same moment */

		const struct control_bye bye = {.reason = "shutdown", .text = "the server is shutting down",
			.reconnect_ms = reconnect_ms + spread};

		if (link_has_lines(l))
			link_send_kind(l, SESSION_LINE_VITAL, control_bye(links_line(ls), &bye), now);
	}
}

void links_close_all(struct links *ls, uint32_t code, const char *reason, nsec now)
{
	list_each (it, &ls->all, tmp)
		session_close(list_entry(it, struct link, node)->session, code, reason, now);
	refused_close_all(ls, code, reason, now);
}
