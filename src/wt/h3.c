/* SPDX-License-Identifier: MIT */
/*
 * nghttp3, and the control stream beside it. nghttp3 1.15 can neither send nor show
 * settings that it does not know, so our control stream is written here and never bound.
 * It therefore has no control stream of its own, and nghttp3_conn_submit_shutdown_notice,
 * nghttp3_conn_shutdown and nghttp3_conn_is_drained must never be called: they assert one.
 */
#include "wt/conn.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/random.h"

#include <assert.h>
#include <string.h>

enum { FRAME_GOAWAY = 0x07 };

/* --- callbacks of nghttp3 ------------------------------------------------------------- */

static struct request *request_of(struct wt_conn *c, int64_t id)
{
	struct wt_stream *st = stream_find(c, id);

	return st && st->kind == KIND_H3 ? st->req : NULL;
}

static int begin_headers(nghttp3_conn *h3, int64_t id, void *conn, void *stream)
{
	struct wt_conn *c = conn;
	struct wt_stream *st = stream_find(c, id);

	(void)h3, (void)stream;
	if (!st || st->req || !c->server)
		return 0;
	if (c->n_requests >= c->w->opts.max_requests) {
		h3_reject(st, H3_REQUEST_REJECTED);
		return 0;
	}
	return request_new(st) ? 0 : NGHTTP3_ERR_CALLBACK_FAILURE;
}

static int recv_header(nghttp3_conn *h3, int64_t id, int32_t token, nghttp3_rcbuf *name, nghttp3_rcbuf *value,
	uint8_t flags, void *conn, void *stream)
{
	struct wt_conn *c = conn;
	struct request *r = request_of(c, id);

	(void)h3, (void)flags, (void)stream;
	if (!r)
		return 0;
	request_field(r, token, name, value);
	if (r->field_bytes / 8 <= c->w->opts.max_field_bytes)
		return 0;
	c->fail_code = H3_EXCESSIVE_LOAD; /* the frame may be 2^62 bytes long: stop reading it */
	return NGHTTP3_ERR_CALLBACK_FAILURE;
}

static int end_headers(nghttp3_conn *h3, int64_t id, int fin, void *conn, void *stream)
{
	struct wt_conn *c = conn;
	struct request *r = request_of(c, id);

	(void)h3, (void)stream, (void)fin; /* end_stream follows */
	if (r)
		request_headers_end(r);
	return 0;
}

static int recv_data(nghttp3_conn *h3, int64_t id, const uint8_t *p, size_t len, void *conn, void *stream)
{
	struct wt_conn *c = conn;
	struct request *r = request_of(c, id);

	(void)h3, (void)stream;
	quic_stream_consume(c->qc, id, len); /* read_stream2 does not count this */
	if (r)
		request_body(r, p, len);
	return 0;
}

static int deferred_consume(nghttp3_conn *h3, int64_t id, size_t len, void *conn, void *stream)
{
	struct wt_conn *c = conn;

	(void)h3, (void)stream;
	quic_stream_consume(c->qc, id, len);
	return 0;
}

static int end_stream(nghttp3_conn *h3, int64_t id, void *conn, void *stream)
{
	struct wt_conn *c = conn;
	struct request *r = request_of(c, id);

	(void)h3, (void)stream;
	if (!r || !r->session)
		return 0;
	r->session->in.fin = true;
	c->unsettled = true;
	return 0;
}

static int stop_sending(nghttp3_conn *h3, int64_t id, uint64_t code, void *conn, void *stream)
{
	struct wt_conn *c = conn;

	(void)h3, (void)stream;
	quic_stream_stop(c->qc, id, code);
	return 0;
}

static int reset_stream(nghttp3_conn *h3, int64_t id, uint64_t code, void *conn, void *stream)
{
	struct wt_conn *c = conn;

	(void)h3, (void)stream;
	quic_stream_reset(c->qc, id, code);
	return 0;
}

static void fill_random(uint8_t *p, size_t len)
{
	random_bytes(p, len);
}

/* --- open and close ------------------------------------------------------------------- */

static int make_nghttp3(struct wt_conn *c)
{
	static const nghttp3_callbacks callbacks = {
		.begin_headers = begin_headers,
		.recv_header = recv_header,
		.end_headers = end_headers,
		.recv_data = recv_data,
		.deferred_consume = deferred_consume,
		.end_stream = end_stream,
		.stop_sending = stop_sending,
		.reset_stream = reset_stream,
		.rand = fill_random,
	};
	nghttp3_settings settings; /* never sent; must agree with what settings_write() sends */

	nghttp3_settings_default(&settings);
	settings.max_field_section_size = c->w->opts.max_field_bytes;
	settings.qpack_encoder_max_dtable_capacity = 0;
	settings.enable_connect_protocol = 1;
	settings.h3_datagram = 1;
	if (c->server)
		return nghttp3_conn_server_new(&c->h3, &callbacks, &settings, NULL, c);
	return nghttp3_conn_client_new(&c->h3, &callbacks, &settings, NULL, c);
}

int h3_open(struct wt_conn *c)
{
	struct quic_conn_info info;
	int err = quic_stream_open(c->qc, false, &c->control.id);

	if (!err)
		err = quic_stream_open(c->qc, false, &c->qpack_enc);
	if (!err)
		err = quic_stream_open(c->qc, false, &c->qpack_dec);
	if (err) {
		log_info(&c->log, "closed: peer allows no three unidirectional streams");
		return err;
	}
	quic_conn_info(c->qc, &info);
	struct settings_own own = {
		.server = c->server,
		.draft15 = c->w->opts.draft15,
		.max_field = c->w->opts.max_field_bytes,
		.grease = (uint8_t)info.id,
	};

	c->control.len = settings_write(&own, c->control.bytes);
	quic_conn_wake(c->qc);
	return 0;
}

int h3_begin(struct wt_conn *c)
{
	if (make_nghttp3(c) || nghttp3_conn_bind_qpack_streams(c->h3, c->qpack_enc, c->qpack_dec))
		return ERR_NOMEM;
	if (c->server)
		nghttp3_conn_set_max_client_streams_bidi(c->h3, H3_PRIORITY_AHEAD);
	return 0;
}

void h3_close(struct wt_conn *c)
{
	nghttp3_conn_del(c->h3);
	c->h3 = NULL;
}

/* RFC 9114 5.2: requests from this id on are not processed; it may never grow. */
void h3_goaway(struct wt_conn *c)
{
	struct control_out *o = &c->control;
	uint8_t *p = o->bytes + o->len;

	if (o->goaway_sent)
		return;
	o->goaway_sent = true;
	*p++ = FRAME_GOAWAY;
	*p++ = (uint8_t)varint_len((uint64_t)c->next_bidi);
	p = varint_put(p, (uint64_t)c->next_bidi);
	o->len = (size_t)(p - o->bytes);
	assert(o->len <= CONTROL_OUT_MAX);
}

/* --- reading -------------------------------------------------------------------------- */

/* The peer's SETTINGS, which nghttp3 reads, too, but does not show. */
void h3_control_input(struct wt_conn *c, const uint8_t *p, size_t len)
{
	int err = c->peer.done ? 0 : settings_read(&c->peer, p, len);

	if (err)
		h3_fail(c, err == ERR_LIMIT ? H3_EXCESSIVE_LOAD : H3_SETTINGS_ERROR, "bad SETTINGS");
	c->unsettled |= c->peer.done;
}

void h3_feed(struct wt_conn *c, struct wt_stream *st, const uint8_t *p, size_t len, bool fin)
{
	nghttp3_ssize n = nghttp3_conn_read_stream2(c->h3, st->id, p, len, fin, c->now);

	if (n < 0) {
		uint64_t code = c->fail_code ? c->fail_code : nghttp3_err_infer_quic_app_error_code((int)n);

		h3_fail(c, code, nghttp3_strerror((int)n));
		return;
	}
	quic_stream_consume(c->qc, st->id, (size_t)n);
	quic_conn_wake(c->qc);
}

/* Handles the events that the callbacks noted. */
void h3_settle(struct wt_conn *c)
{
	if (c->dead || !c->unsettled)
		return;
	c->unsettled = false;
	if (!c->server)
		client_ask(c);
	list_each(it, &c->streams, next) {
		struct wt_stream *st = list_entry(it, struct wt_stream, link);

		if (!c->dead && st->req && st->kind == KIND_H3)
			request_run(st->req);
	}
	if (!c->dead && c->session)
		session_settle(c->session);
}

void h3_reject(struct wt_stream *st, uint64_t code)
{
	struct wt_conn *c = st->c;

	nghttp3_conn_shutdown_stream_write(c->h3, st->id);
	nghttp3_conn_shutdown_stream_read(c->h3, st->id);
	stream_refuse(st, code);
}

void h3_resume(struct wt_conn *c, int64_t id)
{
	nghttp3_conn_resume_stream(c->h3, id);
	quic_conn_wake(c->qc);
}

/* --- writing -------------------------------------------------------------------------- */

static bool offer_control(struct wt_conn *c, struct quic_send *out)
{
	const struct control_out *o = &c->control;

	if (o->blocked || o->sent == o->len)
		return false;
	out->id = o->id;
	out->n = 1;
	out->v[0] = (struct quic_vec){o->bytes + o->sent, o->len - o->sent};
	return true;
}

static void offer_nghttp3(struct wt_conn *c, struct quic_send *out)
{
	nghttp3_vec v[QUIC_SEND_VECS];
	int fin = 0;
	nghttp3_ssize n = nghttp3_conn_writev_stream(c->h3, &out->id, &fin, v, QUIC_SEND_VECS);

	if (n < 0) {
		out->id = -1;
		h3_fail(c, nghttp3_err_infer_quic_app_error_code((int)n), nghttp3_strerror((int)n));
		return;
	}
	out->fin = fin;
	out->n = (size_t)n;
	for (size_t i = 0; i < out->n; i++)
		out->v[i] = (struct quic_vec){v[i].base, v[i].len};
}

void h3_next_data(struct wt_conn *c, struct quic_send *out)
{
	if (offer_control(c, out))
		return;
	if (!c->h3)
		return;
	if (!list_empty(&c->sendq))
		stream_offer(list_entry(c->sendq.next, struct wt_stream, send_link), out);
	else
		offer_nghttp3(c, out);
}

static struct wt_stream *own_stream(struct wt_conn *c, int64_t id)
{
	struct wt_stream *st = stream_find(c, id);

	return st && st->kind != KIND_H3 ? st : NULL;
}

void h3_data_sent(struct wt_conn *c, int64_t id, size_t len, bool fin)
{
	struct wt_stream *st;

	if (id == c->control.id) {
		c->control.sent += len;
	} else if ((st = own_stream(c, id))) {
		stream_sent(st, len, fin);
	} else if (nghttp3_conn_add_write_offset(c->h3, id, len)) {
		h3_fail(c, H3_INTERNAL_ERROR, "out of memory");
	}
}

void h3_data_blocked(struct wt_conn *c, int64_t id)
{
	struct wt_stream *st;

	if (id == c->control.id) {
		c->control.blocked = true;
	} else if ((st = own_stream(c, id))) {
		st->blocked = true;
		list_remove(&st->send_link);
	} else {
		nghttp3_conn_block_stream(c->h3, id);
	}
}

void h3_data_refused(struct wt_conn *c, int64_t id)
{
	struct wt_stream *st;

	if (id == c->control.id)
		c->control.sent = c->control.len; /* the peer sent STOP_SENDING: the stream closes, and with it the connection */
	else if ((st = own_stream(c, id)))
		stream_give_up(st);
	else
		nghttp3_conn_shutdown_stream_write(c->h3, id);
}

void h3_credit(struct wt_conn *c, int64_t id)
{
	if (id == c->control.id)
		c->control.blocked = false;
	else if (c->h3)
		nghttp3_conn_unblock_stream(c->h3, id);
	quic_conn_wake(c->qc);
}

void h3_stream_acked(struct wt_conn *c, int64_t id, uint64_t len)
{
	if (!c->h3 || id == c->control.id)
		return;
	/* The 200 is in the first bytes of its stream, all in one packet. */
	if (c->session && c->session->id == id && c->session->state == SESSION_OPEN)
		c->session->confirmed = true;
	else
		conn_active(c); /* an answer makes progress */
	if (nghttp3_conn_add_ack_offset(c->h3, id, len))
		h3_fail(c, H3_INTERNAL_ERROR, "acknowledgement refused");
}
