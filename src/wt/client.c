/* SPDX-License-Identifier: MIT */
/* The client: its CONNECT and the answer. The rest is the same on both sides. */
#include "wt/conn.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum { LINGER_PTO = 3 };

static char *copy_string(char **at, const char *s)
{
	char *to = *at;
	size_t len = strlen(s) + 1;

	memcpy(to, s, len);
	*at += len;
	return to;
}

static int copy_request(struct wt_session *s, const char *authority, const char *path, const char *origin)
{
	size_t len = strlen(authority) + strlen(path) + (origin ? strlen(origin) : 0) + 3;
	char *at = malloc(len);

	if (!at)
		return ERR_NOMEM;
	s->authority = copy_string(&at, authority);
	s->path = copy_string(&at, path);
	s->origin = origin ? copy_string(&at, origin) : NULL;
	return 0;
}

int wt_client_connect(struct wt *w, struct quic_conn *qc, const char *authority, const char *path, const char *origin,
	void *user)
{
	struct wt_conn *c = quic_conn_user(qc);
	struct wt_session *s;
	int err = 0;

	if (!c) { /* before on_open */
		err = conn_new(w, qc, &c);
		if (err)
			return err;
		quic_conn_set_user(qc, c);
	}
	if (c->dead || c->server)
		return ERR_STATE;
	if (c->session)
		return ERR_EXISTS;
	err = session_new(c, -1, &s);
	if (err)
		return err;
	err = copy_request(s, authority, path, origin);
	if (err) {
		c->session = NULL;
		session_free(s);
		return err;
	}
	s->user = user;
	if (c->h3)
		conn_active(c);
	client_ask(c);
	return 0;
}

static nghttp3_nv pair(const char *name, const char *value)
{
	return (nghttp3_nv){(const uint8_t *)name, (const uint8_t *)value, strlen(name), strlen(value),
		NGHTTP3_NV_FLAG_NONE};
}

static int send_request(struct wt_session *s)
{
	static const nghttp3_data_reader reader = {request_read_data};
	struct wt_conn *c = s->c;
	nghttp3_nv nv[7];
	size_t n = 0;
	int64_t id;

	if (quic_stream_open(c->qc, true, &id))
		return ERR_LIMIT;
	struct wt_stream *st = stream_new(c, id, KIND_H3, true);
	struct request *r = st ? request_new(st) : NULL;

	if (!r)
		return ERR_NOMEM;
	s->id = id;
	r->session = s;
	nv[n++] = pair(":method", "CONNECT");
	nv[n++] = pair(":protocol", "webtransport");
	nv[n++] = pair(":scheme", "https");
	nv[n++] = pair(":authority", s->authority);
	nv[n++] = pair(":path", s->path);
	nv[n++] = pair("sec-webtransport-http3-draft02", "1");
	if (s->origin)
		nv[n++] = pair("origin", s->origin);
	s->state = SESSION_ASKED;
	return nghttp3_conn_submit_request(c->h3, id, nv, n, &reader, NULL) ? ERR_STATE : 0;
}

static void give_up(struct wt_session *s, const char *reason)
{
	struct wt_conn *c = s->c;
	struct wt_close why = {.end = WT_END_ERROR, .reason = reason};

	session_end(s, &why);
	conn_end(c, H3_NO_ERROR);
}

void client_ask(struct wt_conn *c)
{
	struct wt_session *s = c->session;

	if (!s || s->state != SESSION_WAITING || !c->h3 || !c->peer.done)
		return;
	if (!c->peer.got.connect_protocol || !c->peer.got.datagram || !c->peer.got.webtransport)
		give_up(s, "server speaks no WebTransport");
	else if (send_request(s))
		give_up(s, "request could not be sent");
	else
		quic_conn_wake(c->qc);
}

const char *wt_session_refusal(const struct wt_session *s)
{
	const struct wt_stream *st = s->id < 0 ? NULL : stream_find(s->c, s->id);

	return st && st->req && st->req->body.owned && s->state == SESSION_ENDED ? st->req->body.owned : "";
}

void client_answered(struct wt_session *s, unsigned status)
{
	struct wt_conn *c = s->c;
	const struct wt_app *app = &c->w->app;
	bool open = status / 100 == 2;

	if (s->state != SESSION_ASKED)
		return;
	if (open) {
		s->confirmed = true;
		session_count_open(s);
	} else {
		s->state = SESSION_ENDED;
		s->out.fin = true;
		h3_resume(c, s->id);
		conn_end_after(c, LINGER_PTO);
	}
	if (app->on_answer)
		app->on_answer(s->user, s, open ? 200 : status, c->now);
	if (open && s->state == SESSION_OPEN)
		session_opened(s);
}
