/* SPDX-License-Identifier: MIT */
#include "client/load.h"

#include "audio/packet.h"
#include "audio/pcm.h"
#include "base/err.h"
#include "base/random.h"
#include "client/mark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS = 40,               /* moments within a frame at which talkers send: 0.5 ms apart */
	SLOT_STRIDE = 11,         /* between one talker and the next: few of them are spread, too */
	TURN_FRAMES = 3,          /* of a talker among others: its mark, and room for the jitter of two ticks */
	SENT_RING = 512,          /* marks whose moment of sending is known */
	CATCH_UP_FRAMES = 5,      /* that are sent late; older ones are skipped and counted */
	SETTLE_MS = 1000, TRAIL_MS = 500,
	PING_EVERY_MS = 2000,
	NOISES = 16, NOISE_LEVEL = 56, /* -60 dBFS */
	PONG_BYTES = 24,          /* of a line: enough to know it */
	SESSIONS_PER_SOCKET = 256,
	MARK_BYTES = 2 * MARK_SAMPLES, /* encoded */
	SAMPLES_MAX = 1024,       /* of a datagram that is looked at */
};

enum load_state {
	LOAD_RAMP,    /* sessions are being opened */
	LOAD_SETTLE,  /* all are open or failed */
	LOAD_MEASURE,
	LOAD_TRAIL,   /* what is under way arrives. Talkers go on: the end of a stream stays in the filters of the server */
	LOAD_OVER,    /* sessions and handles are closing */
};

enum session_state {
	SESSION_TO_COME,
	SESSION_ASKED,
	SESSION_OPEN,
	SESSION_GONE, /* failed, lost or closed */
};

/* What one listener has of one talker while it is measured. */
struct heard {
	uint16_t newest; /* at first the one before the measured time */
	uint64_t window; /* bit i: newest - i was heard */
	uint32_t n;
};

struct talker {
	uint16_t next;               /* sequence of the next mark */
	uint16_t first, end;         /* those of the measured time: first <= seq < end */
	uint32_t turn, period;       /* marks in frames f with f mod period = turn */
	nsec sent_at[SENT_RING];
};

struct session {
	struct load *l;
	uint32_t index, room;
	enum session_state state;
	struct wt_session *wt;
	struct wt_stream *control;
	nsec asked_at, ping_at;
	struct talker *talker;       /* NULL: only listens */
	struct session *next_in_slot;
	bool measured;               /* open when measuring began, and since */
	struct heard *heard;         /* of each talker of the room */
	struct mark_reader marks;
	uint8_t line_len;
	char line[PONG_BYTES];       /* the beginning of the line that is coming in */
};

struct load {
	struct load_opts opts;
	struct load_handler handler;
	struct url url;
	struct quic_addr addr;
	struct net *net;
	enum load_state state;
	uint16_t run;
	struct session *sessions;
	uint32_t n_talkers, n_asked, n_settled;
	nsec started, state_until, measure_from;
	struct session *slot[SLOTS];
	uint64_t slot_at;            /* the next, counted from `started` */
	uint64_t n_pings;
	uint64_t n_seconds;
	uint8_t noise[NOISES][MARK_BYTES]; /* encoded */
	struct load_report report;
};

void load_opts_default(struct load_opts *o)
{
	memset(o, 0, sizeof *o);
	net_opts_default(&o->net);
	o->sessions = 20;
	o->rooms = 5;
	o->talkers = 0.25;
	o->ramp_per_s = 50;
	o->seconds = 10;
}

const struct load_report *load_report(const struct load *l)
{
	return &l->report;
}

static uint32_t talkers_of_room(const struct load *l, uint32_t room)
{
	return l->n_talkers / l->opts.rooms + (room < l->n_talkers % l->opts.rooms);
}

/* --- listening ---------------------------------------------------------------------------------- */

static bool in_measured(const struct load *l, const struct talker *t, uint16_t seq)
{
	if (l->state != LOAD_MEASURE && l->state != LOAD_TRAIL)
		return false;
	uint16_t end = l->state == LOAD_MEASURE ? t->next : t->end;

	return (uint16_t)(seq - t->first) < (uint16_t)(end - t->first);
}

/* Counts it once, whatever the order. */
static void note_heard(struct load *l, struct heard *h, uint16_t seq)
{
	int16_t ahead = (int16_t)(uint16_t)(seq - h->newest);

	if (ahead > 0) {
		l->report.gaps += ahead > 1;
		h->window = ahead < 64 ? h->window << ahead : 0;
		h->newest = seq;
		ahead = 0;
	}
	if (ahead <= -64 || (h->window >> -ahead & 1)) {
		l->report.duplicates++;
		return;
	}
	h->window |= UINT64_C(1) << -ahead;
	h->n++;
}

/* The last sample of a datagram is heard as it arrives and those before it earlier, or the delay would jump by a frame when
 * the ticks of the server come to cut the marks in two. */
static void note_delay(struct load *l, nsec delay, size_t after)
{
	nsec early = (nsec)after * nsec_from_s(1) / MARK_RATE_HZ;

	histogram_add(&l->report.delay_us, nsec_since(early, delay) / 1000);
}

struct reception {
	struct session *s;
	nsec now;
};

static void on_mark(void *ctx, const struct mark *m, size_t after)
{
	const struct reception *e = ctx;
	struct session *s = e->s;
	struct load *l = s->l;

	if (m->run != l->run) {
		l->report.foreign++;
		return;
	}
	struct talker *t = m->talker < l->n_talkers ? l->sessions[m->talker].talker : NULL;

	/* Time compression and concealment damage marks; the checksum of one in ten thousand of these is still right. */
	if (!t || (uint16_t)(t->next - m->seq - 1) >= SENT_RING) {
		l->report.damaged++;
	} else if (m->talker == s->index) {
		l->report.own_voice++;
	} else if (l->sessions[m->talker].room != s->room) {
		l->report.wrong_room++;
	} else if (s->measured && in_measured(l, t, m->seq)) {
		note_delay(l, nsec_since(t->sent_at[m->seq % SENT_RING], e->now), after);
		note_heard(l, &s->heard[m->talker / l->opts.rooms], m->seq);
	}
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct session *s = user;
	struct reception reception = {s, now};
	int16_t pcm[SAMPLES_MAX];
	float x[SAMPLES_MAX];
	struct frame f;

	if (s->l->state == LOAD_MEASURE)
		s->l->report.frames_received++;
	if (packet_parse(p, len, MARK_RATE_HZ, &f) != FRAME_OK || f.format.rate_hz != MARK_RATE_HZ)
		return;
	size_t n = f.n_samples < SAMPLES_MAX ? f.n_samples : SAMPLES_MAX;

	f.format.codec->decode(NULL, f.payload, n * f.format.codec->unit_bytes, x, n);
	pcm_to_i16(pcm, x, n);
	mark_read(&s->marks, pcm, n, on_mark, &reception);
}

/* One frame of 20 ms. */
static void encode(uint8_t *payload, const int16_t *pcm)
{
	float x[MARK_SAMPLES];

	pcm_from_i16(x, pcm, MARK_SAMPLES);
	codec_pcm.encode(NULL, payload, x, MARK_SAMPLES);
}

/* --- talking ------------------------------------------------------------------------------------ */

/* The next mark of this talker, encoded. */
static void encode_mark(struct session *s, uint8_t *payload, nsec now)
{
	struct talker *t = s->talker;
	const struct mark m = {s->l->run, (uint16_t)s->index, t->next};
	int16_t pcm[MARK_SAMPLES];

	mark_write(&m, pcm);
	encode(payload, pcm);
	t->sent_at[t->next % SENT_RING] = now;
	t->next++;
}

/* Counts when it has left. A path that carries less than 642 bytes gets two packets. */
static void send_payload(struct session *s, const uint8_t *payload, nsec now)
{
	const struct frame f = {
		.format = {&codec_pcm, MARK_RATE_HZ},
		.payload = payload,
		.len = MARK_BYTES,
		.n_samples = MARK_SAMPLES,
	};
	struct packet_writer w = {.kind = PACKET_LEGACY};
	struct packet p;
	bool more = packet_first(&p, &w, &f, wt_session_datagram_max(s->wt)), sent = more;

	for (; more; more = packet_next(&p))
		sent &= wt_session_send(s->wt, p.head, p.head_len, p.body, p.body_len, now) == 0;
	if (sent && s->l->state == LOAD_MEASURE)
		s->l->report.frames_sent++;
}

static void talk(struct session *s, uint64_t frame, nsec now)
{
	struct load *l = s->l;
	uint8_t mark[MARK_BYTES];
	const uint8_t *payload = l->noise[(s->index + frame) % NOISES];

	if (s->state != SESSION_OPEN)
		return;
	if (frame % s->talker->period == s->talker->turn) {
		encode_mark(s, mark, now);
		payload = mark;
	}
	send_payload(s, payload, now);
}

static nsec slot_due(const struct load *l)
{
	return l->started + l->slot_at * (nsec_from_ms(LOAD_FRAME_MS) / SLOTS);
}

static void run_slots(struct load *l, nsec now)
{
	nsec late;

	for (; slot_due(l) <= now; l->slot_at++) {
		struct session *s = l->slot[l->slot_at % SLOTS];
		uint64_t frame = l->slot_at / SLOTS;

		if (!s)
			continue;
		late = now - slot_due(l);
		if (l->state == LOAD_MEASURE)
			histogram_add(&l->report.late_us, late / 1000);
		for (; s; s = s->next_in_slot) {
			if (late <= nsec_from_ms(CATCH_UP_FRAMES * LOAD_FRAME_MS))
				talk(s, frame, now);
			else if (l->state == LOAD_MEASURE)
				l->report.skipped++;
		}
	}
	while (!l->slot[l->slot_at % SLOTS])
		l->slot_at++;
}

/* --- opening and closing ------------------------------------------------------------------------ */

static void settled(struct session *s)
{
	if (s->state == SESSION_ASKED)
		s->l->n_settled++;
}

static void session_failed(struct session *s, const char *why)
{
	struct load *l = s->l;

	settled(s);
	s->state = SESSION_GONE;
	l->report.failed++;
	snprintf(l->report.why, sizeof l->report.why, "%s", why);
}

static void open_session(struct session *s, nsec now)
{
	struct load *l = s->l;
	struct url url = l->url;
	char text[LOAD_ROOM_MAX + 16];

	snprintf(text, sizeof text, "%s-%u", l->opts.room, s->room);
	int err = url_set_query(&url, "room", text);

	snprintf(text, sizeof text, "load-%u", s->index);
	if (!err)
		err = url_set_query(&url, "name", text);
	if (!err)
		err = url_set_query(&url, "rate", "16000");
	const struct net_target to = {&l->addr, url.host, url.authority, url.path};

	s->state = SESSION_ASKED;
	s->asked_at = now;
	if (!err)
		err = net_connect(l->net, &to, s, now, NULL);
	if (err)
		session_failed(s, err_str(err));
}

static nsec ramp_due(const struct load *l)
{
	if (l->n_asked == l->opts.sessions)
		return NSEC_NONE;
	return l->started + (nsec)((double)l->n_asked / l->opts.ramp_per_s * 1e9);
}

static void on_answer(void *user, struct wt_session *w, unsigned status, nsec now)
{
	struct session *s = user;
	struct load *l = s->l;
	char text[LOAD_TEXT_MAX];

	if (s->state != SESSION_ASKED)
		return;
	if (l->state == LOAD_OVER) { /* interrupted meanwhile */
		wt_session_close(w, 0, "", now);
		return;
	}
	if (status != 200) {
		snprintf(text, sizeof text, "%u %.100s", status, wt_session_refusal(w));
		l->report.status = status;
		session_failed(s, text);
		return;
	}
	settled(s);
	s->state = SESSION_OPEN;
	s->wt = w;
	l->report.opened++;
	l->report.open++;
	histogram_add(&l->report.join_us, (now - s->asked_at) / 1000);
	if (wt_stream_open(w, true, &s->control))
		s->control = NULL;
	else /* the stream begins with its first byte */
		wt_stream_send(s->control, "{\"type\":\"ping\"}\n", 16, false, now);
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	struct session *s = user;
	struct load *l = s->l;
	char text[LOAD_TEXT_MAX];

	(void)now;
	if (s->state == SESSION_GONE || (s->state == SESSION_ASKED && l->state == LOAD_OVER)) /* interrupted */
		return;
	if (why->end == WT_END_CONN)
		snprintf(text, sizeof text, "the connection ended (%s, code 0x%llx)", quic_end_name(why->conn.end),
			(unsigned long long)why->conn.code);
	else
		snprintf(text, sizeof text, "the session was closed (code %u) %.80s", why->code, why->reason);
	if (s->state == SESSION_ASKED) {
		session_failed(s, text);
		return;
	}
	s->state = SESSION_GONE;
	s->measured = false;
	s->wt = NULL;
	l->report.open--;
	if (why->end == WT_END_LOCAL)
		return;
	l->report.lost++;
	snprintf(l->report.why, sizeof l->report.why, "%s", text);
}

/* --- control stream: only pongs matter ---------------------------------------------------------- */

static void take_line(struct session *s, nsec now)
{
	static const char pong[] = "{\"type\":\"pong\"";
	struct load *l = s->l;

	if (s->ping_at == 0 || s->line_len < sizeof pong - 1 || memcmp(s->line, pong, sizeof pong - 1) != 0)
		return;
	if (l->state == LOAD_MEASURE)
		histogram_add(&l->report.rtt_us, nsec_since(s->ping_at, now) / 1000);
	s->ping_at = 0;
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct session *s = user;

	(void)fin;
	if (st != s->control)
		return;
	while (len > 0) {
		const uint8_t *end = memchr(p, '\n', len);
		size_t n = end ? (size_t)(end - p) : len, room = PONG_BYTES - s->line_len, keep = n < room ? n : room;

		memcpy(s->line + s->line_len, p, keep);
		s->line_len = (uint8_t)(s->line_len + keep);
		if (end) {
			take_line(s, now);
			s->line_len = 0;
			n++;
		}
		p += n;
		len -= n;
	}
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	(void)user;
	wt_stream_abort(st, 2, now);
}

static void on_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	struct session *s = user;

	(void)now;
	if (s->control == st)
		s->control = NULL;
}

static nsec ping_due(const struct load *l)
{
	if (l->state != LOAD_MEASURE)
		return NSEC_NONE;
	return l->measure_from + l->n_pings * nsec_from_ms(PING_EVERY_MS) / l->opts.sessions;
}

static void ping(struct load *l, nsec now)
{
	struct session *s = &l->sessions[l->n_pings++ % l->opts.sessions];

	if (!s->control || s->ping_at) /* an answer that is still awaited would be taken for this one's */
		return;
	if (wt_stream_send(s->control, "{\"type\":\"ping\"}\n", 16, false, now) == 0)
		s->ping_at = now;
}

/* --- the course of it --------------------------------------------------------------------------- */

static void enter(struct load *l, enum load_state state, nsec until)
{
	l->state = state;
	l->state_until = until;
}

static void begin_measuring(struct load *l, nsec now)
{
	for (uint32_t i = 0; i < l->opts.sessions; i++) {
		struct session *s = &l->sessions[i];

		s->measured = s->state == SESSION_OPEN;
		s->ping_at = 0;
		if (s->talker)
			s->talker->first = s->talker->next;
	}
	for (uint32_t i = 0; i < l->opts.sessions; i++)
		for (uint32_t j = l->sessions[i].room; j < l->n_talkers; j += l->opts.rooms)
			l->sessions[i].heard[j / l->opts.rooms].newest = (uint16_t)(l->sessions[j].talker->first - 1);
	l->measure_from = now;
	l->report.measuring = true;
	enter(l, LOAD_MEASURE, now + (nsec)(l->opts.seconds * 1e9));
	if (l->handler.on_measure)
		l->handler.on_measure(l->handler.ctx, true);
}

static void end_measuring(struct load *l, nsec now)
{
	for (uint32_t i = 0; i < l->n_talkers; i++)
		l->sessions[i].talker->end = l->sessions[i].talker->next;
	l->report.seconds = (double)(now - l->measure_from) * 1e-9;
	l->report.measuring = false;
	enter(l, LOAD_TRAIL, now + nsec_from_ms(TRAIL_MS));
	if (l->handler.on_measure)
		l->handler.on_measure(l->handler.ctx, false);
}

/* Every talker whom this listener should have heard. */
static void count_listener(struct load *l, const struct session *s)
{
	for (uint32_t i = s->room; s->measured && i < l->n_talkers; i += l->opts.rooms) {
		const struct session *from = &l->sessions[i];
		uint16_t expected = (uint16_t)(from->talker->end - from->talker->first);
		const struct heard *h = &s->heard[i / l->opts.rooms];

		if (from == s || !from->measured)
			continue;
		l->report.marks_expected += expected;
		l->report.marks_heard += h->n;
		l->report.gaps += h->newest != (uint16_t)(from->talker->end - 1);
	}
}

static void on_net_closed(void *ctx)
{
	struct load *l = ctx;

	l->net = NULL;
	l->handler.on_end(l->handler.ctx);
}

static void finish(struct load *l, nsec now)
{
	if (l->state == LOAD_MEASURE)
		end_measuring(l, now);
	for (uint32_t i = 0; i < l->opts.sessions; i++)
		count_listener(l, &l->sessions[i]);
	l->report.marks_lost = l->report.marks_expected - l->report.marks_heard;
	l->report.done = true;
	memset(l->slot, 0, sizeof l->slot);
	enter(l, LOAD_OVER, NSEC_NONE);
	for (uint32_t i = 0; i < l->opts.sessions; i++)
		if (l->sessions[i].wt)
			wt_session_close(l->sessions[i].wt, 0, "", now);
	net_close(l->net, on_net_closed, l);
}

static void move_on(struct load *l, nsec now)
{
	if (l->state == LOAD_RAMP && l->n_asked == l->opts.sessions && l->n_settled == l->opts.sessions)
		enter(l, LOAD_SETTLE, now + nsec_from_ms(SETTLE_MS));
	if (l->state == LOAD_RAMP || l->state == LOAD_OVER)
		return;
	if (l->report.open == 0)
		finish(l, now);
	else if (now < l->state_until)
		return;
	else if (l->state == LOAD_SETTLE)
		begin_measuring(l, now);
	else if (l->state == LOAD_MEASURE)
		end_measuring(l, now);
	else
		finish(l, now);
}

static nsec second_due(const struct load *l)
{
	return l->started + nsec_from_s(l->n_seconds + 1);
}

static bool anybody_talks(const struct load *l)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (l->slot[i])
			return true;
	return false;
}

static void plan(struct load *l)
{
	const nsec due[] = {ramp_due(l), ping_due(l), second_due(l), l->state_until,
		anybody_talks(l) ? slot_due(l) : NSEC_NONE};
	nsec at = NSEC_NONE;

	for (size_t i = 0; i < sizeof due / sizeof *due; i++)
		at = due[i] < at ? due[i] : at;
	net_at(l->net, l->state == LOAD_OVER ? NSEC_NONE : at);
}

static void on_time(void *ctx, nsec now)
{
	struct load *l = ctx;

	if (l->state == LOAD_OVER)
		return;
	if (anybody_talks(l))
		run_slots(l, now);
	while (ramp_due(l) <= now)
		open_session(&l->sessions[l->n_asked++], now);
	while (ping_due(l) <= now)
		ping(l, now);
	if (l->state == LOAD_MEASURE)
		l->report.seconds = (double)(now - l->measure_from) * 1e-9;
	if (second_due(l) <= now) {
		l->n_seconds = (now - l->started) / nsec_from_s(1);
		if (l->handler.on_second)
			l->handler.on_second(l->handler.ctx, &l->report);
	}
	move_on(l, now);
	plan(l);
}

void load_stop(struct load *l)
{
	nsec now = clock_now();

	if (l->state == LOAD_MEASURE)
		end_measuring(l, now);
	else if (l->state == LOAD_RAMP || l->state == LOAD_SETTLE)
		finish(l, now);
	else
		return;
	plan(l);
	net_wake(l->net);
}

/* --- start and end ------------------------------------------------------------------------------ */

static const struct wt_app session_app = {
	.on_answer = on_answer,
	.on_datagram = on_datagram,
	.on_stream = on_stream,
	.on_stream_data = on_stream_data,
	.on_stream_closed = on_stream_closed,
	.on_closed = on_closed,
};

static int make_talker(struct load *l, struct session *s)
{
	struct talker *t = calloc(1, sizeof *t);
	uint32_t k = talkers_of_room(l, s->room), slot = s->index % SLOTS * SLOT_STRIDE % SLOTS;

	if (!t)
		return ERR_NOMEM;
	t->period = k == 1 ? 1 : k * TURN_FRAMES;
	t->turn = k == 1 ? 0 : s->index / l->opts.rooms * TURN_FRAMES;
	s->talker = t;
	s->next_in_slot = l->slot[slot];
	l->slot[slot] = s;
	return 0;
}

static int make_sessions(struct load *l)
{
	l->sessions = calloc(l->opts.sessions, sizeof *l->sessions);
	if (!l->sessions)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < l->opts.sessions; i++) {
		struct session *s = &l->sessions[i];
		uint32_t k;

		s->l = l;
		s->index = i;
		s->room = i % l->opts.rooms;
		mark_reader_init(&s->marks);
		k = talkers_of_room(l, s->room);
		s->heard = calloc(k ? k : 1, sizeof *s->heard);
		if (!s->heard || (i < l->n_talkers && make_talker(l, s)))
			return ERR_NOMEM;
	}
	return 0;
}

static void make_noise(struct load *l)
{
	int16_t pcm[MARK_SAMPLES];
	uint32_t seed = 1;

	for (size_t i = 0; i < NOISES; i++) {
		for (size_t j = 0; j < MARK_SAMPLES; j++) {
			seed = seed * 1664525u + 1013904223u;
			pcm[j] = (int16_t)((int32_t)(seed >> 16) % (2 * NOISE_LEVEL + 1) - NOISE_LEVEL);
		}
		encode(l->noise[i], pcm);
	}
}

static int check(const struct load_opts *o)
{
	bool counts = o->sessions >= 1 && o->sessions <= LOAD_SESSIONS_MAX && o->rooms >= 1 && o->rooms <= o->sessions;
	bool shares = o->talkers >= 0 && o->talkers <= 1 && o->ramp_per_s > 0;
	bool times = o->seconds > 0 && o->seconds <= (double)LOAD_SECONDS_MAX;

	return counts && shares && times && o->room[0] ? 0 : ERR_RANGE;
}

static int begin(struct load *l, uv_loop_t *loop, const struct log *log)
{
	int err = make_sessions(l);

	if (err)
		return err;
	make_noise(l);
	l->opts.net.on_time = on_time;
	l->opts.net.ctx = l;
	l->opts.net.max_conns = l->opts.sessions + 8;
	l->opts.net.sockets = 1 + (l->opts.sessions - 1) / SESSIONS_PER_SOCKET;
	err = net_new(loop, &l->opts.net, &session_app, log, &l->net);
	if (err)
		return err;
	l->started = clock_now();
	enter(l, LOAD_RAMP, NSEC_NONE);
	plan(l);
	return 0;
}

int load_new(uv_loop_t *loop, const struct load_opts *opts, const struct url *url, const struct quic_addr *addr,
	const struct load_handler *handler, const struct log *log, struct load **out)
{
	struct load *l;
	int err = check(opts);

	if (err)
		return err;
	l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NOMEM;
	l->opts = *opts;
	l->url = *url;
	l->addr = *addr;
	l->handler = *handler;
	random_bytes(&l->run, sizeof l->run);
	l->n_talkers = (uint32_t)(opts->talkers * opts->sessions + 0.5);
	l->report = (struct load_report){.sessions = opts->sessions, .rooms = opts->rooms, .talkers = l->n_talkers};
	histogram_init(&l->report.join_us);
	histogram_init(&l->report.rtt_us);
	histogram_init(&l->report.delay_us);
	histogram_init(&l->report.late_us);
	err = begin(l, loop, log);
	if (err) {
		load_free(l);
		return err;
	}
	*out = l;
	return 0;
}

void load_free(struct load *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; l->sessions && i < l->opts.sessions; i++) {
		free(l->sessions[i].heard);
		free(l->sessions[i].talker);
	}
	free(l->sessions);
	free(l);
}
