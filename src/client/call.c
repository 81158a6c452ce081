/* SPDX-License-Identifier: MIT */
#include "client/call.h"

#include "base/buf.h"
#include "base/err.h"
#include "client/json_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NEXT_ADDRESS_MS = 1000, /* that a silent address gets if there is another ... */
	NEXT_LOOPBACK_MS = 200, /* ... and that loopback gets: a server there answers at once */
	CATCH_UP_FRAMES = 5,    /* that are sent late; older ones are passed over */
	PING_FRAMES = 1000 / MEDIA_FRAME_MS,
	PLAYED_FRAMES = 100 / MEDIA_FRAME_MS,
	SILENT_LEAST_MS = 3000, /* three pings */
	OWN_LINE_MAX = 128, /* of a pong or a flush */
};

enum call_state {
	CALL_STATE_CONNECTING, /* one attempt is under way */
	CALL_STATE_OPEN,       /* the session is there */
	CALL_STATE_OVER,       /* `end` is written, the net is closing */
};

/* One address; on_closed of an attempt that was given up is of no interest. */
struct attempt {
	struct call *call;
	struct quic_conn *conn; /* NULL: gone */
};

struct call {
	struct call_opts opts;
	struct call_handler handler;
	struct url url;
	struct net *net;
	enum call_state state;
	struct quic_addr addr[URL_ADDRESSES_MAX];
	struct attempt attempt[URL_ADDRESSES_MAX];
	size_t n_addrs, n_tried;
	nsec started, next_address, opened, give_up_at;
	struct wt_session *session;
	struct wt_stream *control;
	struct buf line;
	struct media *media;
	bool pongs;      /* the server answers pings */
	nsec looked_at;  /* for a sign of life, once a second; ... */
	uint32_t silent_ms; /* ... none came for this long */
	uint64_t late;   /* see struct call_stats; the next two as well */
	double join_ms, rtt_ms;
	struct call_stats end_stats; /* as they were when it ended */
	struct call_end end;
	bool hanging_up;
};

void call_opts_default(struct call_opts *o)
{
	memset(o, 0, sizeof *o);
	net_opts_default(&o->net);
	o->play_rate_hz = o->send_rate_hz = 16000;
	o->line_bytes_max = 4 << 20; /* the welcome to a room of ten thousand */
}

/* --- the end ------------------------------------------------------------------------------------ */

static void on_net_closed(void *ctx)
{
	struct call *c = ctx;

	c->net = NULL;
	c->handler.on_end(c->handler.ctx, &c->end);
}

static void finish(struct call *c, enum call_end_kind kind, const char *text)
{
	if (c->state == CALL_STATE_OVER)
		return;
	call_stats(c, &c->end_stats);
	c->state = CALL_STATE_OVER;
	c->session = NULL;
	c->control = NULL;
	c->end.kind = c->hanging_up ? CALL_ENDED : kind;
	snprintf(c->end.text, sizeof c->end.text, "%s", c->hanging_up ? "" : text);
	net_close(c->net, on_net_closed, c);
}

static void give_up(struct call *c, enum call_end_kind kind, const char *text)
{
	struct attempt *a = &c->attempt[c->n_tried - 1];

	if (a->conn)
		quic_conn_close(a->conn, 0);
	finish(c, kind, text);
}

void call_hang_up(struct call *c)
{
	if (c->state == CALL_STATE_OVER)
		return;
	c->hanging_up = true;
	if (c->session) {
		wt_session_close(c->session, 0, "", clock_now()); /* on_closed comes before it returns */
		net_wake(c->net);
		return;
	}
	give_up(c, CALL_ENDED, "");
}

/* --- connecting --------------------------------------------------------------------------------- */

static bool is_loopback(const struct quic_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* The next grid point of the open call. */
static nsec grid_due(const struct call *c)
{
	return c->opened + media_grid(c->media) * nsec_from_ms(MEDIA_FRAME_MS);
}

static void plan(struct call *c)
{
	nsec at = c->give_up_at;

	if (c->state == CALL_STATE_OVER)
		at = NSEC_NONE;
	else if (c->state == CALL_STATE_OPEN)
		at = grid_due(c);
	else if (c->next_address < at)
		at = c->next_address;
	net_at(c->net, at);
}

/* The next address that there is a way to. */
static int try_next(struct call *c, nsec now)
{
	int err = ERR_NOTFOUND;

	while (c->n_tried < c->n_addrs) {
		const struct quic_addr *to = &c->addr[c->n_tried];
		struct attempt *a = &c->attempt[c->n_tried++];
		const struct net_target target = {to, c->url.host, c->url.authority, c->url.path};

		a->call = c;
		err = net_connect(c->net, &target, a, now, &a->conn);
		if (err)
			continue;
		c->next_address = NSEC_NONE;
		if (c->n_tried < c->n_addrs)
			c->next_address = now + nsec_from_ms(is_loopback(to) ? NEXT_LOOPBACK_MS : NEXT_ADDRESS_MS);
		return 0;
	}
	return err;
}

/* Nothing at all came from this address: on to the next. */
static void give_up_address(struct call *c, nsec now)
{
	struct attempt *a = &c->attempt[c->n_tried - 1];
	struct quic_conn_info info = {0};

	c->next_address = NSEC_NONE;
	if (a->conn)
		quic_conn_info(a->conn, &info);
	if (info.packets_in > 0)
		return;
	struct quic_conn *old = a->conn;
	size_t n_tried = c->n_tried;

	if (try_next(c, now)) {
		c->n_tried = n_tried; /* no way to the others: go on waiting for this one */
		return;
	}
	a->conn = NULL;
	if (old)
		quic_conn_close(old, 0);
}

/* --- sound -------------------------------------------------------------------------------------- */

static size_t packet_max(void *ctx)
{
	return wt_session_datagram_max(((struct call *)ctx)->session);
}

static bool send_packet(void *ctx, const struct packet *p, nsec now)
{
	return wt_session_send(((struct call *)ctx)->session, p->head, p->head_len, p->body, p->body_len, now) == 0;
}

static void capture(struct call *c, nsec now)
{
	int16_t pcm[MEDIA_SAMPLES_MAX];

	if (c->handler.capture)
		media_send(c->media, pcm, c->handler.capture(c->handler.ctx, pcm, media_samples_to_send(c->media)), c->opts.muted, now);
}

static void play(struct call *c, nsec now)
{
	int16_t pcm[MEDIA_SAMPLES_MAX];

	media_play(c->media, pcm, now);
	if (c->handler.play)
		c->handler.play(c->handler.ctx, pcm, media_samples_to_play(c->media), now);
}

/* So that an interrupted bridge learns how much of its speech was heard. */
static void report_played(struct call *c, nsec now)
{
	char line[80];
	uint64_t samples;
	uint8_t epoch;

	if (!c->opts.v1 || !media_played(c->media, &epoch, &samples))
		return;
	snprintf(line, sizeof line, "{\"type\":\"played\",\"epoch\":%u,\"samples\":%llu}", epoch, (unsigned long long)samples);
	call_send_line(c, line, now);
}

/* QUIC's own estimate includes acknowledgements that waited for a packet to ride on; this does not. Its first
 * also tells the server of the stream, which then says welcome. */
static void ping(struct call *c, nsec now)
{
	char line[64];

	snprintf(line, sizeof line, "{\"type\":\"ping\",\"t\":%.3f}", (double)(now - c->started) * 1e-6);
	call_send_line(c, line, now);
}

/* True for a pong: the caller of this layer did not ask for it and does not get it. */
static bool handle_own(struct call *c, const char *line, size_t len, nsec now)
{
	yyjson_doc *doc = len <= OWN_LINE_MAX ? json_line(line, len) : NULL;
	yyjson_val *o = yyjson_doc_get_root(doc), *type = yyjson_obj_get(o, "type"), *t = yyjson_obj_get(o, "t");
	bool is_pong = yyjson_equals_str(type, "pong");

	c->pongs |= is_pong;
	if (is_pong && yyjson_is_num(t))
		c->rtt_ms = (double)(now - c->started) * 1e-6 - yyjson_get_num(t);
	if (yyjson_equals_str(type, "flush"))
		media_flush(c->media, (uint8_t)yyjson_get_uint(yyjson_obj_get(o, "epoch")), now);
	yyjson_doc_free(doc);
	return is_pong;
}

static void run_grid(struct call *c, nsec now)
{
	while (c->state == CALL_STATE_OPEN && grid_due(c) <= now) {
		uint64_t k = media_grid(c->media);

		if (now - grid_due(c) <= CATCH_UP_FRAMES * nsec_from_ms(MEDIA_FRAME_MS))
			capture(c, now);
		else
			c->late++; /* the sound waits in its source: it is sent later, not lost */
		if (k % PING_FRAMES == 0)
			ping(c, now);
		if (k % PLAYED_FRAMES == 0)
			report_played(c, now);
		if (c->state == CALL_STATE_OPEN)
			play(c, now);
		media_advance(c->media);
	}
}

/* QUIC notices after half a minute that nobody is there any more. Seconds in which this process did not run count as one. */
static void look_for_life(struct call *c, nsec now)
{
	if (nsec_since(c->looked_at, now) < nsec_from_s(1))
		return;
	c->looked_at = now;
	c->silent_ms += 1000;
	if (!c->pongs || c->silent_ms <= SILENT_LEAST_MS || c->silent_ms <= c->opts.net.timeout_ms)
		return;
	c->end.cut = true;
	give_up(c, CALL_LOST, "the server has gone silent");
}

static void on_time(void *ctx, nsec now)
{
	struct call *c = ctx;

	if (c->state == CALL_STATE_OPEN)
		run_grid(c, now);
	if (c->state == CALL_STATE_OPEN)
		look_for_life(c, now);
	if (c->state == CALL_STATE_CONNECTING && now >= c->next_address)
		give_up_address(c, now);
	if (c->state == CALL_STATE_CONNECTING && now >= c->give_up_at)
		give_up(c, CALL_UNREACHABLE, "no answer in time; is a server there, and is its UDP port open?");
	plan(c);
}

/* --- what the session tells --------------------------------------------------------------------- */

static void on_answer(void *user, struct wt_session *s, unsigned status, nsec now)
{
	struct attempt *a = user;
	struct call *c = a->call;

	if (!a->conn || c->state != CALL_STATE_CONNECTING)
		return;
	if (status != 200) {
		c->end.status = status;
		a->conn = NULL;
		finish(c, CALL_REFUSED, wt_session_refusal(s));
		return;
	}
	c->session = s;
	c->state = CALL_STATE_OPEN;
	c->opened = c->looked_at = now;
	c->join_ms = (double)(now - c->started) * 1e-6;
	if (wt_stream_open(s, true, &c->control))
		c->control = NULL;
	else if (c->opts.muted)
		call_send_line(c, "{\"type\":\"mute\",\"muted\":true}", now);
	if (c->handler.on_open)
		c->handler.on_open(c->handler.ctx, now);
	plan(c);
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct call *c = ((struct attempt *)user)->call;

	c->silent_ms = 0;
	if (c->state == CALL_STATE_OPEN)
		media_receive(c->media, p, len, now);
}

static void read_lines(struct call *c, nsec now)
{
	uint8_t *end;

	while (c->line.len > 0 && (end = memchr(c->line.p, '\n', c->line.len))) {
		size_t len = (size_t)(end - c->line.p);

		if (!handle_own(c, (const char *)c->line.p, len, now) && c->handler.on_line)
			c->handler.on_line(c->handler.ctx, (const char *)c->line.p, len, now);
		buf_consume(&c->line, len + 1);
	}
}

static void on_stream_data(void *user, struct wt_stream *st, const uint8_t *p, size_t len, bool fin, nsec now)
{
	struct call *c = ((struct attempt *)user)->call;

	(void)fin;
	c->silent_ms = 0;
	if (st != c->control)
		return;
	if (buf_append(&c->line, p, len)) {
		wt_stream_abort(st, 1, now);
		return;
	}
	read_lines(c, now);
}

static void on_stream(void *user, struct wt_stream *st, nsec now)
{
	(void)user;
	wt_stream_abort(st, 2, now); /* this protocol has none from the server */
}

static void on_stream_closed(void *user, struct wt_stream *st, nsec now)
{
	struct call *c = ((struct attempt *)user)->call;

	(void)now;
	if (c->control == st)
		c->control = NULL;
}

/* TLS alerts travel as 0x100 + alert (RFC 9001 4.8); 0x2 is CONNECTION_REFUSED (RFC 9000 20.1). */
static bool is_alert(const struct quic_close *q)
{
	return !q->app && q->code >= 0x100 && q->code <= 0x1ff;
}

static void failed_to_connect(struct call *c, const struct wt_close *why, nsec now)
{
	const struct quic_close *q = &why->conn;
	char text[CALL_TEXT_MAX];

	if (why->end != WT_END_CONN) {
		finish(c, CALL_UNREACHABLE, why->reason[0] ? why->reason : "the server ended the connection");
	} else if (q->end == QUIC_END_PEER && !q->app && q->code == 2) {
		finish(c, CALL_REFUSED, "the server takes no more connections");
	} else if (is_alert(q) && q->end != QUIC_END_PEER) {
		snprintf(text, sizeof text, "the certificate was not accepted (TLS alert %u); see --cert-sha256 and --insecure",
			(unsigned)(q->code & 0xff));
		finish(c, CALL_UNREACHABLE, text);
	} else if (!try_next(c, now)) {
		plan(c);
	} else {
		bool silent = q->end == QUIC_END_HANDSHAKE && q->code == 0;

		snprintf(text, sizeof text, silent ? "no answer" : "the connection failed (%s, code 0x%llx)", quic_end_name(q->end),
			(unsigned long long)q->code);
		finish(c, CALL_UNREACHABLE, text);
	}
}

static void lost(struct call *c, const struct wt_close *why)
{
	char text[CALL_TEXT_MAX];

	c->end.code = why->code;
	c->end.cut = why->end == WT_END_CONN && (why->conn.end == QUIC_END_RESET || why->conn.end == QUIC_END_IDLE);
	if (c->end.cut && why->conn.end == QUIC_END_RESET)
		snprintf(text, sizeof text, "the server has been restarted and knows nothing of the call");
	else if (why->end == WT_END_CONN)
		snprintf(text, sizeof text, "the connection ended (%s, code 0x%llx)", quic_end_name(why->conn.end),
			(unsigned long long)why->conn.code);
	else
		snprintf(text, sizeof text, "the server closed the session (code %u)%s%.300s", why->code,
			why->reason[0] ? ": " : "", why->reason);
	finish(c, CALL_LOST, text);
}

static void on_closed(void *user, const struct wt_close *why, nsec now)
{
	struct attempt *a = user;
	struct call *c = a->call;

	if (!a->conn || c->state == CALL_STATE_OVER)
		return;
	a->conn = NULL;
	if (c->state == CALL_STATE_OPEN)
		lost(c, why);
	else
		failed_to_connect(c, why, now);
}

static const struct wt_app session_app = {
	.on_answer = on_answer,
	.on_datagram = on_datagram,
	.on_stream = on_stream,
	.on_stream_data = on_stream_data,
	.on_stream_closed = on_stream_closed,
	.on_closed = on_closed,
};

/* --- from outside ------------------------------------------------------------------------------- */

int call_send_line(struct call *c, const char *line, nsec now)
{
	size_t len = strlen(line);

	if (!c->control)
		return ERR_STATE;
	if (wt_stream_room(c->control) < len + 1)
		return ERR_LIMIT;
	int err = wt_stream_send(c->control, line, len, false, now);

	return err ? err : wt_stream_send(c->control, "\n", 1, false, now);
}

const struct quic_addr *call_address(const struct call *c)
{
	return &c->addr[c->n_tried ? c->n_tried - 1 : 0];
}

void call_stats(const struct call *c, struct call_stats *out)
{
	struct quic_conn_info info;

	*out = c->end_stats;
	if (!c->session)
		return;
	wt_session_info(c->session, &info);
	media_stats(c->media, &out->media);
	out->late = c->late;
	out->join_ms = c->join_ms;
	out->rtt_ms = c->rtt_ms;
	out->packets_lost = info.packets_lost;
	out->seconds = (double)(media_grid(c->media) * MEDIA_FRAME_MS) * 1e-3;
}

static int open_media(struct call *c)
{
	const struct media_opts opts = {
		.send_rate_hz = c->opts.send_rate_hz,
		.play_rate_hz = c->opts.play_rate_hz,
		.kind = c->opts.v1 ? PACKET_V1 : PACKET_LEGACY,
	};
	const struct media_out out = {.ctx = c, .packet_max = packet_max, .packet = send_packet};

	return media_new(&opts, &out, &c->media);
}

static int begin(struct call *c, uv_loop_t *loop, const struct log *log)
{
	char rate[16];
	int err = open_media(c);

	if (err)
		return err;
	snprintf(rate, sizeof rate, "%u", c->opts.play_rate_hz);
	err = url_set_query(&c->url, "rate", rate);
	if (!err && c->opts.v1)
		err = url_set_query(&c->url, "frames", "v1");
	if (err)
		return err;
	c->opts.net.on_time = on_time;
	c->opts.net.ctx = c;
	err = net_new(loop, &c->opts.net, &session_app, log, &c->net);
	if (err)
		return err;
	c->started = clock_now();
	c->give_up_at = c->started + nsec_from_ms(c->opts.net.timeout_ms);
	if (try_next(c, c->started))
		finish(c, CALL_UNREACHABLE, "there is no way to the server's address");
	else
		plan(c);
	net_wake(c->net);
	return 0;
}

int call_new(uv_loop_t *loop, const struct call_opts *opts, const struct url *url, const struct quic_addr *addrs,
	size_t n_addrs, const struct call_handler *handler, const struct log *log, struct call **out)
{
	struct call *c = calloc(1, sizeof *c);

	if (!c)
		return ERR_NOMEM;
	c->opts = *opts;
	c->url = *url;
	c->handler = *handler;
	c->n_addrs = n_addrs < URL_ADDRESSES_MAX ? n_addrs : URL_ADDRESSES_MAX;
	memcpy(c->addr, addrs, c->n_addrs * sizeof *addrs);
	c->end_stats.media.sent_dbfs = c->end_stats.media.played_dbfs = -100;
	buf_init(&c->line, opts->line_bytes_max);
	int err = begin(c, loop, log);

	if (err) {
		call_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void call_free(struct call *c)
{
	if (!c)
		return;
	media_free(c->media);
	buf_fini(&c->line);
	free(c);
}
