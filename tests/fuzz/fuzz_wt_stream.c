/* SPDX-License-Identifier: MIT */
/*
 * An arbitrary client against the whole layer: the input is a row of steps, each one byte of
 * what happens, one of where, one of how long, and the bytes. Streams follow QUIC (nothing after
 * their end, ids of a client); all they carry is the fuzzer's.
 */
#include "support/fake_quic.h"
#include "support/h3_raw.h"
#include "wt/wt.h"

#include <assert.h>

enum step { FEED, FEED_FIN, DATAGRAM, RESET, STOP, ACK, WAIT, CLOSE_STREAM, CREDIT, OPEN_SESSION, APP, N_STEPS };

struct client {
	struct wt *w;
	struct quic_conn c;
	struct wt_session *s;
	struct wt_stream *st;
	uint64_t ended; /* client streams that are over: bidi n, uni 16 + n */
	unsigned sessions, closed;
};

static unsigned on_connect(void *ctx, struct wt_session *s, const struct http_request *req, struct http_response *res,
	void **user, nsec now)
{
	struct client *f = ctx;

	(void)now, (void)res;
	if (req->path[1] == 'n')
		return 403;
	assert(!f->s);
	f->s = s;
	f->sessions++;
	*user = f;
	return 200;
}

static void on_request(void *ctx, const struct http_request *req, struct http_response *res)
{
	(void)ctx;
	assert(req->path[0] == '/' && http_method_ok(req->method));
	res->body = req->path;
	res->len = strlen(req->path);
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct client *f = user;

	assert(len && f->s);
	wt_session_send(f->s, p, len, NULL, 0, now);
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	(void)now;
	((struct client *)user)->st = st;
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	assert(((struct client *)user)->s);
	wt_stream_send(st, p, len, fin, now);
}

static void on_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	struct client *f = user;

	(void)now;
	if (f->st == st)
		f->st = NULL;
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	struct client *f = user;

	(void)now;
	assert(f->s && why->reason);
	assert(!f->st);
	f->s = NULL;
	f->closed++;
}

static void open_session(struct client *f, uint8_t where)
{
	struct buf b;

	buf_init(&b, 65536);
	if (!(f->ended & 1u << 16) && !fake_find(&f->c, 2)) {
		raw_client_settings(&b);
		fake_feed(&f->c, 2, b.p, b.len, false, where & 7);
	}
	b.len = 0;
	if (!(f->ended & 1) && !fake_find(&f->c, 0) && !f->c.closed) {
		raw_connect(&b, where & 8 ? "/no" : "/yes", NULL);
		fake_feed(&f->c, 0, b.p, b.len, false, where >> 5);
	}
	buf_fini(&b);
}

static void app_step(struct client *f, uint8_t where)
{
	switch (where & 7) {
	case 0:
		wt_drain(f->w);
		break;
	case 1:
		if (f->s)
			wt_session_close(f->s, where, "reason", f->c.now);
		break;
	case 2:
		if (f->st)
			wt_stream_abort(f->st, where, f->c.now);
		break;
	case 3:
		if (f->s && f->c.next_uni < 14)
			wt_stream_open(f->s, where & 8, &f->st);
		break;
	case 4:
		if (f->st)
			wt_stream_send(f->st, "0123456789", 10, where & 8, f->c.now);
		break;
	default:
		if (f->s)
			wt_session_send(f->s, "ab", 2, "cd", 2, f->c.now);
		break;
	}
	fake_flush(&f->c);
}

static void do_step(struct client *f, enum step step, uint8_t where, const uint8_t *p, size_t len)
{
	unsigned slot = where & 31;
	int64_t id = slot < 16 ? slot * 4 : (slot - 16) * 4 + 2;
	bool over = f->ended >> slot & 1;

	switch (step) {
	case FEED:
	case FEED_FIN:
		if (over)
			return;
		f->ended |= (uint64_t)(step == FEED_FIN) << slot;
		fake_feed(&f->c, id, p, len, step == FEED_FIN, where >> 5);
		return;
	case DATAGRAM:
		fake_datagram(&f->c, p, len);
		return;
	case RESET:
		if (over || !fake_find(&f->c, id))
			return;
		f->ended |= (uint64_t)1 << slot;
		f->c.app->on_stream_reset(f->c.user, id, where, f->c.now);
		break;
	case STOP:
		id |= where >> 7; /* also ours */
		if (!fake_find(&f->c, id) || (id & 3) == 2)
			return;
		quic_stream_reset(&f->c, id, where);
		break;
	case ACK:
		fake_ack(&f->c);
		break;
	case WAIT:
		fake_wait(&f->c, nsec_from_ms((uint64_t)where * 4));
		break;
	case CLOSE_STREAM:
		if (!over || !fake_find(&f->c, id))
			return;
		fake_close_stream(&f->c, id, where);
		break;
	case CREDIT:
		f->c.credit = (size_t)where * 4;
		f->c.piece = where & 31;
		for (size_t i = 0; i < f->c.n_streams; i++)
			if (!f->c.stream[i].closed && f->c.stream[i].credit < 100000)
				fake_credit(&f->c, f->c.stream[i].id, where);
		break;
	case OPEN_SESSION:
		open_session(f, where);
		return;
	case APP:
		app_step(f, where);
		return;
	case N_STEPS:
		return;
	}
	if (!f->c.closed)
		fake_flush(&f->c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static const struct wt_app app = {.on_connect = on_connect, .on_datagram = on_datagram,
		.on_stream = on_stream, .on_stream_data = on_stream_data, .on_stream_closed = on_stream_closed,
		.on_closed = on_closed};
	static struct client f; /* 100 KB of it are streams */
	struct wt_opts opts;

	memset(&f, 0, sizeof f);
	wt_opts_default(&opts);
	opts.max_streams = 5;
	opts.max_early_bytes = 64;
	opts.stream_send_bytes = 3000;
	opts.max_requests = 4;
	if (wt_new(&opts, &app, &f, NULL, &f.w))
		return 0;
	wt_on_request(f.w, on_request, NULL);
	fake_init(&f.c, wt_quic_app(), true);
	if (!fake_open(&f.c, f.w))
		fake_flush(&f.c);
	while (len >= 3 && !f.c.closed && f.c.n_streams < FAKE_STREAMS - 8) {
		size_t n = p[2] < len - 3 ? p[2] : len - 3;

		do_step(&f, p[0] % N_STEPS, p[1], p + 3, n);
		p += 3 + n;
		len -= 3 + n;
	}
	fake_fini(&f.c, QUIC_END_PEER);
	assert(f.sessions == f.closed && !f.s);
	assert(wt_stats(f.w)->sessions == 0);
	wt_free(f.w);
	return 0;
}
