/* SPDX-License-Identifier: MIT */
#include "daemon/link.h"

#include "base/err.h"
#include "base/limit.h"
#include "base/list.h"
#include "base/random.h"
#include "daemon/control.h"
#include "daemon/stats_timer.h"
#include "session/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct links {
	const struct config *cfg;
	struct rooms *rooms;
	struct admission admission;
	unsigned shard;
	struct log log;
	struct list all; /* of struct link */
	struct list leaving; /* said bye */
	struct stats_timer stats_timer;
	struct rate datagrams, messages, bytes; /* of one link; `bytes`: of its lines */
	bool draining;
	struct log_limit refusals;
	struct buf event;        /* the line of one that a whole room is told ... */
	uint64_t event_serial;   /* ... and which it is; 0: of none */
	struct links_stats stats;
};

struct link {
	struct links *owner;
	struct list node;
	struct list leaving;
	struct wt_session *session;
	struct participant *participant;
	struct log log;
	uint32_t out_rate_hz;
	bool v1;                   /* packets to it carry the long header */
	struct wt_stream *control; /* the first bidirectional stream he opened; NULL before and after */
	bool had_control;
	uint64_t datagrams_in;
	uint32_t warned;           /* kinds of fault that he was told of, one bit each */
	struct lines lines;
	struct limit datagrams, messages, bytes;
	struct stats_wish stats;
	nsec joined_at;
};

/* Lines in ten seconds about sessions that were refused. */
enum { REFUSALS_LOGGED = 20 };

/* Bits of `warned` beyond the frame faults. */
enum { WARNED_RATE_LIMIT = FRAME_N_FAULTS, WARNED_MESSAGES };

static struct rate rate_per_s(uint32_t n)
{
	return rate_make(n, nsec_from_s(1), nsec_from_s(2));
}

static struct buf line_buf(void)
{
	struct buf b;

	buf_init(&b, 4 << 20); /* the welcome to a room of ten thousand */
	return b;
}

int links_new(const struct config *cfg, struct rooms *rooms, struct registry *registry, unsigned shard,
	const struct log *log, struct links **out)
{
	struct links *ls = calloc(1, sizeof *ls);

	if (!ls)
		return ERR_NOMEM;
	ls->cfg = cfg;
	ls->rooms = rooms;
	ls->admission = (struct admission){cfg, registry};
	ls->shard = shard;
	ls->log = *log;
	list_init(&ls->all);
	ls->event = line_buf();
	list_init(&ls->leaving);
	stats_timer_init(&ls->stats_timer);
	ls->datagrams = rate_per_s(cfg->limits.datagrams_per_s);
	ls->messages = rate_per_s(cfg->limits.control_messages_per_s);
	ls->bytes = rate_per_s(cfg->limits.control_bytes_per_s);
	*out = ls;
	return 0;
}

void links_free(struct links *ls)
{
	if (ls)
		buf_fini(&ls->event);
	free(ls);
}

const struct links_stats *links_stats(const struct links *ls)
{
	return &ls->stats;
}

/* --- control stream, towards the client ---------------------------------------------------- */

static int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Sends the lines in `b`. A client that does not read loses the stream, not the sound. */
static void control_write(struct link *l, const struct buf *b, int err, nsec now)
{
	if (!err && l->control)
		err = wt_stream_send(l->control, b->p, b->len, false, now);
	if (err && l->control) {
		log_info(&l->log, "control stream lost: %s", err_str(err));
		l->owner->stats.control_lost++;
		wt_stream_abort(l->control, 1, now);
		l->control = NULL;
	}
}

/* Ends `b`, too. */
static void control_send(struct link *l, struct buf *b, int err, nsec now)
{
	control_write(l, b, err, now);
	buf_fini(b);
}

static void warn_once(struct link *l, unsigned bit, const char *code, const char *text, nsec now)
{
	struct buf b = line_buf();

	if (l->warned & 1u << bit || !l->control)
		return;
	l->warned |= 1u << bit;
	control_send(l, &b, control_warning(&b, code, text), now);
}

/* --- the room, towards the client ---------------------------------------------------------- */

static size_t room_packet_max(void *user)
{
	const struct link *l = user;
	size_t path = wt_session_datagram_max(l->session), ceiling = l->owner->cfg->server.max_datagram_size;

	return path < ceiling ? path : ceiling;
}

static void on_room_packet(void *user, const struct room_packet *p, nsec now)
{
	struct link *l = user;
	const struct packet *k = &p->packet;

	if (wt_session_send(l->session, k->head, k->head_len, k->body, k->body_len, now))
		l->owner->stats.send_failed++;
	else
		l->owner->stats.sent++;
}

static void on_room_dropped(void *user, nsec now)
{
	struct link *l = user;

	(void)now;
	l->owner->stats.send_failed++;
}

/* In ls->event. Written once, however many are told. */
static int event_line(struct links *ls, const struct room_event *ev)
{
	if (ev->serial && ev->serial == ls->event_serial)
		return 0;
	ls->event.len = 0;
	int err = control_event(&ls->event, ev, wall_ms());

	ls->event_serial = err ? 0 : ev->serial;
	return err;
}

static void on_room_event(void *user, const struct room_event *ev, nsec now)
{
	struct link *l = user;
	struct links *ls = l->owner;

	if (l->control)
		control_write(l, &ls->event, event_line(ls, ev), now);
}

static const struct listener_sink room_sink = {
	.packet_max = room_packet_max,
	.packet = on_room_packet,
	.dropped = on_room_dropped,
	.event = on_room_event,
};

/* --- joining ------------------------------------------------------------------------------- */

static struct link *link_new(struct links *ls, struct wt_session *s, const struct join *j, nsec now)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->owner = ls;
	l->session = s;
	l->out_rate_hz = j->out_rate_hz;
	l->v1 = j->v1;
	list_init(&l->leaving);
	stats_wish_init(&l->stats);
	l->joined_at = now;
	lines_init(&l->lines, ls->cfg->limits.control_line_bytes);
	log_child(&l->log, &ls->log, "sess=%llu", (unsigned long long)wt_session_id(s));
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

/* Into the room where they have a place. */
static enum verdict enter(struct links *ls, struct wt_session *s, const struct join *j, struct link **out, nsec now)
{
	struct link *l = link_new(ls, s, j, now);
	const struct participant_opts opts = {
		.room = j->room,
		.name = j->name,
		.hears = {.rate_hz = j->out_rate_hz, .packets = j->v1 ? PACKET_V1 : PACKET_LEGACY},
	};
	int err = l ? rooms_join(ls->rooms, &opts, &room_sink, l, now, &l->participant) : ERR_NOMEM;

	if (!err) {
		*out = l;
		return VERDICT_ADMITTED;
	}
	registry_leave(ls->admission.registry, j->room);
	free(l);
	return verdict_of(err);
}

static enum verdict admit(struct links *ls, struct wt_session *s, const struct http_request *req, struct join *j,
	struct link **out, nsec now)
{
	unsigned shard;
	enum verdict v = admission_enter(&ls->admission, req, ls->shard, j, &shard);

	if (v == VERDICT_MOVED && wt_session_move(s, shard))
		return VERDICT_NOT_MOVED;
	return v == VERDICT_ADMITTED ? enter(ls, s, j, out, now) : v;
}

/* A refusal costs whoever provokes it nothing, so the number of lines about them is limited. */
static void log_refusal(struct links *ls, const struct http_request *req, enum verdict v, const char *remote, nsec now)
{
	char origin[80];
	uint64_t left_out;

	if (!log_limit_take(&ls->refusals, REFUSALS_LOGGED, now, &left_out))
		return;
	if (left_out)
		log_info(&ls->log, "refused lines_left_out=%llu", (unsigned long long)left_out);
	log_info(&ls->log, "refused status=%u peer=%s origin=%s why=\"%s\"", verdict_status(v), remote,
		log_quoted(req->origin, origin, sizeof origin), verdict_text(v));
}

static unsigned on_connect(void *ctx, struct wt_session *s, const struct http_request *req, struct http_response *res,
	void **user, nsec now)
{
	struct links *ls = ctx;
	struct link *l = NULL;
	struct join j;
	struct quic_conn_info info;
	char remote[QUIC_ADDR_TEXT];
	enum verdict v = admit(ls, s, req, &j, &l, now);

	if (v == VERDICT_MOVED)
		return 0;
	wt_session_info(s, &info);
	quic_addr_format(&info.path.remote, remote);
	if (v != VERDICT_ADMITTED) {
		refusals_count(&ls->stats.refused, v);
		log_refusal(ls, req, v, remote, now);
		http_response_text(res, verdict_status(v), verdict_text(v));
		return res->status;
	}
	char room[2 * ROOM_NAME_MAX + 3], name[2 * PARTICIPANT_NAME_MAX + 3];

	list_append(&ls->all, &l->node);
	ls->stats.links++;
	log_info(&l->log, "joined peer=%s room=%s name=%s participant=%u rate=%u", remote,
		log_quoted(participant_room(l->participant), room, sizeof room),
		log_quoted(participant_name(l->participant), name, sizeof name), participant_id(l->participant), j.out_rate_hz);
	*user = l;
	return 200;
}

static void link_closed(void *user, const struct wt_close *why, nsec now)
{
	struct link *l = user;
	static const char *const ends[] = {
		[WT_END_LOCAL] = "local",
		[WT_END_PEER] = "peer",
		[WT_END_RESET] = "reset",
		[WT_END_CONN] = "connection",
		[WT_END_ERROR] = "error",
	};
	enum leave_reason reason = why->end == WT_END_PEER ? LEAVE_CLOSED : LEAVE_LOST;

	if (why->end == WT_END_CONN && why->conn.end == QUIC_END_PEER)
		reason = LEAVE_CLOSED;
	if (why->end == WT_END_LOCAL)
		reason = l->owner->draining ? LEAVE_SHUTDOWN : LEAVE_CLOSED;
	struct participant_stats st;
	char text[128];

	participant_stats(l->participant, &st);
	log_info(&l->log, "left end=%s%s%s code=%u reason=%s seconds=%llu frames_in=%llu frames_out=%llu",
		ends[why->end], why->end == WT_END_CONN ? "/" : "", why->end == WT_END_CONN ? quic_end_name(why->conn.end) : "",
		why->code, log_quoted(why->reason, text, sizeof text), (unsigned long long)(nsec_since(l->joined_at, now) / 1000000000u),
		(unsigned long long)st.frames_in, (unsigned long long)st.frames_out);
	snprintf(text, sizeof text, "%s", participant_room(l->participant));
	participant_leave(l->participant, reason, now);
	registry_leave(l->owner->admission.registry, text);
	list_remove(&l->node);
	list_remove(&l->leaving);
	stats_timer_set(&l->owner->stats_timer, &l->stats, 0, now);
	l->owner->stats.links--;
	lines_fini(&l->lines);
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

static void link_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct link *l = user;

	l->datagrams_in++;
	l->owner->stats.datagrams_in++;
	if (!limit_take(&l->datagrams, &l->owner->datagrams, 1, now)) {
		l->owner->stats.rate_limited++;
		warn_once(l, WARNED_RATE_LIMIT, "rate_limited", "too many datagrams a second; some were dropped", now);
		return;
	}
	enum frame_fault f = participant_audio(l->participant, p, len, now);

	if (f != FRAME_OK)
		warn_once(l, f, frame_fault_name(f), fault_text(f), now);
}

/* --- control stream, from the client ------------------------------------------------------- */

static void send_error(struct link *l, const char *code, const char *text, nsec now)
{
	struct buf b = line_buf();

	l->owner->stats.control_bad++;
	if (l->control)
		control_send(l, &b, control_error(&b, code, text), now);
	else
		buf_fini(&b);
}

static void send_stats(struct link *l, nsec now)
{
	struct participant_stats ps;
	struct quic_conn_info info;
	struct buf b = line_buf();

	participant_stats(l->participant, &ps);
	wt_session_info(l->session, &info);
	control_send(l, &b, control_stats(&b, l->datagrams_in, &ps, &info), now);
}

static void say(struct link *l, const struct control_msg *m, nsec now)
{
	int err = participant_message(l->participant, m->to, m->text, now);

	if (err == ERR_NOTFOUND)
		send_error(l, "no_such_participant", "nobody with that id is in the room", now);
	else if (err)
		send_error(l, "bad_message", "text must be 1 to 4096 bytes of UTF-8", now);
}

static void obey(struct link *l, const struct control_msg *m, nsec now)
{
	struct buf b = line_buf();

	switch (m->type) {
	case CONTROL_MESSAGE:
		say(l, m, now);
		break;
	case CONTROL_MUTE:
		participant_mute(l->participant, m->muted, now);
		break;
	case CONTROL_BRIDGE:
		if (participant_bridge(l->participant, m->mode, now))
			send_error(l, "no_bridge", "there is no bridge in this room", now);
		break;
	case CONTROL_STATS:
		stats_timer_set(&l->owner->stats_timer, &l->stats, m->every_ms, now);
		send_stats(l, now);
		break;
	case CONTROL_PLAYED:
		participant_played(l->participant, m->epoch, m->samples);
		break;
	case CONTROL_PING:
		control_send(l, &b, control_pong(&b, m->t), now);
		break;
	case CONTROL_BYE: /* closing from here would pull the stream away under its reader */
		list_remove(&l->leaving);
		list_append(&l->owner->leaving, &l->leaving);
		break;
	default:
		break;
	}
}

static void take_line(struct link *l, const char *line, size_t len, nsec now)
{
	static const char blanks[] = " \t\r";
	struct control_msg m;
	char why[CONTROL_WHY];

	while (len > 0 && memchr(blanks, line[len - 1], 3))
		len--;
	if (len == 0)
		return;
	/* A message of one goes to everybody in the room: too many of them would take the way of their voice. */
	if (!limit_take(&l->messages, &l->owner->messages, 1, now) || !limit_take(&l->bytes, &l->owner->bytes, len, now)) {
		l->owner->stats.control_limited++;
		warn_once(l, WARNED_MESSAGES, "rate_limited", "too many messages a second; some were ignored", now);
		return;
	}
	l->owner->stats.control_in++;
	if (control_parse(line, len, &m, why))
		send_error(l, "bad_message", why, now);
	else
		obey(l, &m, now);
}

static void link_stream(void *user, struct wt_stream *st, nsec now)
{
	struct link *l = user;

	if (l->had_control || !wt_stream_is_bidi(st)) {
		l->owner->stats.second_streams++;
		wt_stream_abort(st, 2, now);
		return;
	}
	l->control = st;
	l->had_control = true;
	struct buf b = line_buf();
	const struct control_welcome w = {.session = wt_session_id(l->session),
		.participant = l->participant,
		.rate_hz = l->out_rate_hz,
		.frame_ms = l->owner->cfg->rooms.frame_ms,
		.v1 = l->v1};

	control_send(l, &b, control_welcome(&b, &w), now);
}

static void link_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct link *l = user;
	enum lines_event ev;
	const char *line;
	size_t n;

	(void)fin; /* a client may end its side and still listen to ours */
	while (st == l->control && (ev = lines_read(&l->lines, &p, &len, &line, &n)) != LINES_MORE) {
		if (ev == LINES_LINE)
			take_line(l, line, n, now);
		else
			send_error(l, "line_too_long", "the line was longer than the server takes and was skipped", now);
	}
}

static void link_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	struct link *l = user;

	(void)now;
	if (st == l->control)
		l->control = NULL;
}

/* --- what the wt calls ---------------------------------------------------------------------- */

const struct wt_app *links_app(void)
{
	static const struct wt_app app = {
		.on_connect = on_connect,
		.on_datagram = link_datagram,
		.on_stream = link_stream,
		.on_stream_data = link_stream_data,
		.on_stream_closed = link_stream_closed,
		.on_closed = link_closed,
	};

	return &app;
}

/* --- everybody ----------------------------------------------------------------------------- */

nsec links_deadline(const struct links *ls)
{
	return list_empty(&ls->leaving) ? ls->stats_timer.due : 0;
}

static void stats_due(struct stats_wish *w, nsec now)
{
	struct link *l = (struct link *)((char *)w - offsetof(struct link, stats));

	if (l->control)
		send_stats(l, now);
	if (!l->control) /* nobody can be sent any more */
		stats_timer_set(&l->owner->stats_timer, w, 0, now);
}

void links_run(struct links *ls, nsec now)
{
	list_each (it, &ls->leaving, tmp)
		wt_session_close(list_entry(it, struct link, leaving)->session, CLOSE_OK, "bye", now); /* ends in link_closed */
	stats_timer_run(&ls->stats_timer, now, stats_due);
}

void links_drain(struct links *ls, uint32_t reconnect_ms, nsec now)
{
	ls->draining = true;
	registry_drain(ls->admission.registry);
	list_each (it, &ls->all, tmp) {
		struct link *l = list_entry(it, struct link, node);
		struct buf b = line_buf();
		uint32_t spread = random_below(reconnect_ms / 2 + 1); /* so that not all come back in the same moment */

		if (l->control)
			control_send(l, &b, control_bye(&b, "shutdown", "the server is shutting down", reconnect_ms + spread), now);
	}
}

void links_close_all(struct links *ls, uint32_t code, const char *reason, nsec now)
{
	list_each (it, &ls->all, tmp)
		wt_session_close(list_entry(it, struct link, node)->session, code, reason, now);
}
