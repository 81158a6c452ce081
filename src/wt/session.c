/* SPDX-License-Identifier: MIT */
/* The WebTransport session of a connection: capsules, datagrams, and its end. */
#include "wt/conn.h"
#include "base/cursor.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLOSE_CODE_BYTES = 4,
	/* The connection ends this long after the session if the peer does not end it: Chrome
	 * drops its socket silently. Longer if our CLOSE still has to arrive. */
	LINGER_PTO = 3,
	LINGER_CLOSE_PTO = 10,
};
/* Granted to Safari, and not enforced: QUIC's own limits apply. */
#define CREDIT_DATA (UINT64_C(1) << 48)
#define CREDIT_STREAMS (UINT64_C(1) << 32)
#define QUARTER_MAX ((UINT64_C(1) << 60) - 1) /* RFC 9297 2.1 */

int session_new(struct wt_conn *c, int64_t id, struct wt_session **out)
{
	struct wt_session *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	s->c = c;
	s->id = id;
	s->number = c->w->opts.id_first + c->w->opts.id_step * c->w->n_sessions++;
	log_child(&s->log, &c->log, "sess=%llu", (unsigned long long)s->number);
	c->session = s;
	*out = s;
	return 0;
}

void session_free(struct wt_session *s)
{
	free(s->in.close);
	free(s->out.close);
	free(s->authority);
	free(s);
}

/* --- capsules of the peer ------------------------------------------------------------- */

static void begin_capsule(struct wt_session *s)
{
	const struct capsule_reader *in = &s->in.reader;

	switch (in->type) {
	case CAPSULE_CLOSE:
		if (in->len < CLOSE_CODE_BYTES || in->len > CLOSE_CODE_BYTES + CAPSULE_REASON_MAX)
			s->in.state = CAPSULES_MALFORMED;
		else
			s->in.close = malloc((size_t)in->len + 1);
		break;
	case CAPSULE_DATA_BLOCKED:
	case CAPSULE_STREAMS_BLOCKED_BIDI:
	case CAPSULE_STREAMS_BLOCKED_UNI:
		if (!s->blocked_logged)
			log_info(&s->log, "peer lacks WebTransport credit: capsule=0x%llx", (unsigned long long)in->type);
		s->blocked_logged = true;
		break;
	case CAPSULE_DRAIN:
		log_debug(&s->log, "peer drains");
		break;
	default: /* MAX_*, DATAGRAM, GREASE and unknown ones */
		s->c->w->stats.capsules_skipped++;
		break;
	}
}

static void capsule_event(struct wt_session *s, enum capsule_event ev)
{
	struct session_in *in = &s->in;

	if (ev == CAPSULE_BEGIN) {
		begin_capsule(s);
	} else if (ev == CAPSULE_DATA && in->close) {
		memcpy(in->close + in->close_len, in->reader.p, in->reader.n);
		in->close_len += in->reader.n;
	} else if (ev == CAPSULE_END && in->reader.type == CAPSULE_CLOSE) {
		in->state = CAPSULES_CLOSED;
	}
}

void session_capsules(struct wt_session *s, const uint8_t *p, size_t len)
{
	struct session_in *in = &s->in;
	enum capsule_event ev;

	if (in->state >= CAPSULES_MALFORMED || (s->state == SESSION_ENDED && in->state != CAPSULES_CLOSED))
		return;
	while (in->state == CAPSULES_READ && (ev = capsule_read(&in->reader, &p, &len)) != CAPSULE_NONE)
		capsule_event(s, ev);
	if (in->state == CAPSULES_CLOSED && len)
		in->state = CAPSULES_MALFORMED; /* nothing may follow CLOSE */
	s->c->unsettled |= in->state != CAPSULES_READ;
}

/* --- capsules of ours ----------------------------------------------------------------- */

static void queue_small(struct wt_session *s, const uint8_t *p, size_t len)
{
	struct session_out *o = &s->out;
	size_t from = o->n_small ? o->small_end[o->n_small - 1] : 0;

	assert(o->n_small < SESSION_OUT_CAPSULES);
	memcpy(o->small + from, p, len);
	o->small_end[o->n_small++] = (uint8_t)(from + len);
}

static void queue_credit(struct wt_session *s)
{
	static const struct {
		uint64_t type, value;
	} credit[] = {
		{CAPSULE_MAX_DATA, CREDIT_DATA},
		{CAPSULE_MAX_STREAMS_BIDI, CREDIT_STREAMS},
		{CAPSULE_MAX_STREAMS_UNI, CREDIT_STREAMS},
	};
	uint8_t b[CAPSULE_SMALL_MAX];

	for (size_t i = 0; i < sizeof credit / sizeof *credit; i++)
		queue_small(s, b, capsule_put_varint(b, credit[i].type, credit[i].value));
}

static void queue_close(struct wt_session *s, uint32_t code, const char *reason)
{
	struct session_out *o = &s->out;
	size_t len = capsule_reason_len(reason);

	o->close = malloc(CAPSULE_CLOSE_MAX - CAPSULE_REASON_MAX + len);
	if (!o->close)
		return; /* then FIN alone closes the session */
	o->close_len = capsule_put_close(o->close, code, reason, len);
}

/* One capsule for each call: nghttp3 makes one DATA frame of it, as Safari requires. */
nghttp3_ssize session_read_data(struct wt_session *s, nghttp3_vec *vec, uint32_t *flags)
{
	struct session_out *o = &s->out;

	if (o->next_small < o->n_small) {
		size_t from = o->next_small ? o->small_end[o->next_small - 1] : 0;

		vec[0] = (nghttp3_vec){o->small + from, o->small_end[o->next_small++] - from};
		return 1;
	}
	if (o->close && !o->close_offered) {
		o->close_offered = true;
		vec[0] = (nghttp3_vec){o->close, o->close_len};
		*flags |= NGHTTP3_DATA_FLAG_EOF;
		return 1;
	}
	if (!o->fin)
		return NGHTTP3_ERR_WOULDBLOCK;
	*flags |= NGHTTP3_DATA_FLAG_EOF;
	return 0;
}

void session_drain(struct wt_session *s)
{
	uint8_t b[CAPSULE_SMALL_MAX];

	if (s->state != SESSION_OPEN)
		return;
	queue_small(s, b, capsule_put_drain(b));
	h3_resume(s->c, s->id);
}

/* --- open ----------------------------------------------------------------------------- */

void session_count_open(struct wt_session *s)
{
	struct wt_conn *c = s->c;

	s->state = SESSION_OPEN;
	c->w->stats.sessions_opened++;
	c->w->stats.sessions++;
	c->end_at = NSEC_NONE;
	conn_active(c);
	log_debug(&s->log, "open");
}

void session_accept(struct wt_session *s, void *user)
{
	struct wt_conn *c = s->c;
	struct quic_conn_info info;

	quic_conn_info(c->qc, &info);
	s->user = user;
	s->confirmed_by = c->now + (info.rtt_us ? nsec_from_us(info.rtt_us + 4 * info.rtt_var_us) : quic_conn_pto(c->qc));
	session_count_open(s);
	if (settings_want_credit(&c->peer.got)) {
		queue_credit(s);
		h3_resume(c, s->id);
	}
	session_opened(s);
}

static void deliver_early(struct wt_session *s)
{
	struct wt_conn *c = s->c;

	while (c->early && s->state == SESSION_OPEN) {
		struct early_datagram *e = c->early;

		c->early = e->next;
		c->n_early--;
		if (!c->early)
			c->early_tail = &c->early;
		session_datagram(c, e->p, e->len);
		free(e);
	}
	session_drop_early(c);
}

/* Delivers streams and datagrams that came before the session. They do not show that the peer saw our answer. */
void session_opened(struct wt_session *s)
{
	bool confirmed = s->confirmed;

	streams_of_session_open(s);
	deliver_early(s);
	s->confirmed = confirmed;
}

void session_confirm(struct wt_session *s)
{
	s->confirmed = true;
}

/* --- end ------------------------------------------------------------------------------ */

/* Ends our side of the CONNECT stream, and after a while the connection. */
static void finish(struct wt_session *s, enum session_state was, bool with_close)
{
	struct wt_conn *c = s->c;
	struct wt_stream *st = s->id < 0 ? NULL : stream_find(c, s->id);

	s->out.fin = true;
	if (st && c->server && was == SESSION_WAITING)
		h3_reject(st, H3_REQUEST_CANCELLED); /* there was no answer, and none is expected */
	else if (st)
		h3_resume(c, s->id);
	conn_end_after(c, with_close ? LINGER_CLOSE_PTO : LINGER_PTO);
}

void session_end(struct wt_session *s, const struct wt_close *why)
{
	struct wt_conn *c = s->c;
	const struct wt_app *app = &c->w->app;
	enum session_state was = s->state;

	if (was == SESSION_ENDED)
		return;
	s->state = SESSION_ENDED;
	if (!c->dead)
		streams_refuse_early(c);
	session_drop_early(c);
	streams_of_session_end(s);
	if (!c->dead)
		finish(s, was, s->out.close != NULL);
	if (was == SESSION_OPEN) {
		c->w->stats.sessions--;
		c->w->stats.sessions_closed++;
		log_debug(&s->log, "closed end=%d code=%u", why->end, why->code);
	}
	if (app->on_closed && (was == SESSION_OPEN || !c->server))
		app->on_closed(s->user, why, c->now);
}

static void end_malformed(struct wt_session *s)
{
	struct wt_conn *c = s->c;
	struct wt_stream *st = stream_find(c, s->id);
	struct wt_close why = {.end = WT_END_ERROR, .reason = "malformed capsules"};

	if (s->in.state == CAPSULES_REJECTED)
		return;
	s->in.state = CAPSULES_REJECTED;
	c->w->stats.protocol_errors++;
	log_info(&s->log, "closed: malformed capsules");
	session_end(s, &why);
	if (st && !c->dead)
		h3_reject(st, H3_MESSAGE_ERROR);
}

static void end_by_close(struct wt_session *s)
{
	struct cursor in = cursor_of(s->in.close, s->in.close_len);
	struct wt_close why = {.end = WT_END_PEER, .code = (uint32_t)cursor_be(&in, CLOSE_CODE_BYTES), .reason = ""};

	if (s->in.close) {
		s->in.close[s->in.close_len] = 0;
		why.reason = (const char *)s->in.close + CLOSE_CODE_BYTES;
	}
	session_end(s, &why);
}

void session_settle(struct wt_session *s)
{
	struct wt_close fin = {.end = WT_END_PEER, .reason = ""};
	struct session_in *in = &s->in;

	if (s->state == SESSION_WAITING || s->state == SESSION_ASKED)
		return;
	/* RFC 9297 3.3: a capsule that is cut by the end of the stream is malformed, too. */
	if (s->state == SESSION_OPEN && in->fin && in->state == CAPSULES_READ && !capsule_at_edge(&in->reader))
		in->state = CAPSULES_MALFORMED;
	if (in->state >= CAPSULES_MALFORMED)
		end_malformed(s);
	else if (in->state == CAPSULES_CLOSED)
		end_by_close(s);
	else if (in->fin)
		session_end(s, &fin);
}

void wt_session_close(struct wt_session *s, uint32_t code, const char *reason, nsec now)
{
	struct wt_conn *c = s->c;
	struct wt_close why = {.end = WT_END_LOCAL, .code = code, .reason = reason ? reason : ""};
	bool open = s->state == SESSION_OPEN;

	if (now > c->now)
		c->now = now;
	if (c->dead || s->state == SESSION_ENDED || (c->server && !open))
		return;
	if (open)
		queue_close(s, code, why.reason);
	session_end(s, &why);
	if (!open)
		conn_end(c, H3_REQUEST_CANCELLED);
}

/* --- datagrams ------------------------------------------------------------------------ */

static void keep_datagram(struct wt_conn *c, const uint8_t *p, size_t len)
{
	struct early_datagram *e = NULL;

	if (c->n_early < c->w->opts.max_early_datagrams && len <= EARLY_DATAGRAM_MAX)
		e = malloc(sizeof *e + len);
	if (!e) {
		c->w->stats.early_dropped++;
		return;
	}
	e->next = NULL;
	e->len = len;
	memcpy(e->p, p, len);
	*c->early_tail = e;
	c->early_tail = &e->next;
	c->n_early++;
}

void session_drop_early(struct wt_conn *c)
{
	while (c->early) {
		struct early_datagram *e = c->early;

		c->early = e->next;
		c->n_early--;
		c->w->stats.early_dropped++;
		free(e);
	}
	c->early_tail = &c->early;
}

/* Datagrams may overtake the CONNECT of their session. */
static bool session_expected(const struct wt_conn *c, uint64_t id)
{
	const struct wt_session *s = c->session;

	if (s && (s->state == SESSION_OPEN || s->state == SESSION_ENDED))
		return false;
	return c->server ? c->refused_id < 0 || (uint64_t)c->refused_id != id : s && (uint64_t)s->id == id;
}

void session_datagram(struct wt_conn *c, const uint8_t *p, size_t len)
{
	struct wt_session *s = c->session;
	const struct wt_app *app = &c->w->app;
	struct cursor in = cursor_of(p, len);
	uint64_t quarter = cursor_varint(&in);
	size_t left = cursor_left(&in);

	if (in.bad || quarter > QUARTER_MAX) {
		h3_fail(c, H3_DATAGRAM_ERROR, "bad quarter stream id");
	} else if (!left) {
		c->w->stats.datagrams_empty++;
	} else if (s && s->state == SESSION_OPEN && (uint64_t)s->id == quarter * 4) {
		s->confirmed = true;
		c->w->stats.datagrams_in++;
		if (app->on_datagram)
			app->on_datagram(s->user, in.p, left, c->now);
	} else if (session_expected(c, quarter * 4)) {
		keep_datagram(c, p, len);
	} else {
		c->w->stats.datagrams_unknown++;
	}
}

size_t wt_session_datagram_max(const struct wt_session *s)
{
	size_t max = s->state == SESSION_OPEN && !s->c->dead ? quic_conn_datagram_max(s->c->qc) : 0;
	size_t quarter = varint_len((uint64_t)s->id / 4);

	return max > quarter ? max - quarter : 0;
}

bool wt_session_confirmed(const struct wt_session *s)
{
	return s->confirmed;
}

int wt_session_send(struct wt_session *s, const void *head, size_t head_len, const void *body, size_t body_len,
	nsec now)
{
	struct wt_conn *c = s->c;
	uint8_t quarter[8];

	if (s->state != SESSION_OPEN || c->dead || (!s->confirmed && now < s->confirmed_by))
		return ERR_STATE;
	if (!head_len && !body_len)
		return ERR_RANGE; /* Chrome fails on an empty datagram */
	struct quic_vec v[3] = {{quarter, (size_t)(varint_put(quarter, (uint64_t)s->id / 4) - quarter)}};
	size_t n = 1;

	if (head_len)
		v[n++] = (struct quic_vec){head, head_len};
	if (body_len)
		v[n++] = (struct quic_vec){body, body_len};
	int err = quic_conn_send_datagram(c->qc, v, n, now);

	if (err)
		return err;
	c->w->stats.datagrams_out++;
	if (c->waiting)
		streams_flush(c);
	return 0;
}

void wt_session_info(const struct wt_session *s, struct quic_conn_info *out)
{
	quic_conn_info(s->c->qc, out);
}

uint64_t wt_session_id(const struct wt_session *s)
{
	return s->number;
}
