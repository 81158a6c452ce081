/* SPDX-License-Identifier: MIT */
#include "client/call.h"

#include "audio/jitter.h"
#include "audio/packet.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/buf.h"
#include "base/err.h"
#include "client/epoch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

enum {
	NEXT_ADDRESS_MS = 1000, /* a silent address gets so long if there is another ... */
	NEXT_LOOPBACK_MS = 200, /* ... and this one so long: whoever is there answers at once */
	CATCH_UP_FRAMES = 5,    /* that are sent late; older ones are passed over */
	PLAYOUT_MAX_MS = 500,
	LEVEL_FRAMES = 1000 / CALL_FRAME_MS,
	PING_FRAMES = 1000 / CALL_FRAME_MS,
	PLAYED_FRAMES = 100 / CALL_FRAME_MS,
	FLUSH_FADE_MS = 5,
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

struct meter {
	double sum;      /* of squares, in this second */
	size_t n;
	unsigned frames;
	double dbfs;     /* of the last whole one */
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
	struct resample_table *table;
	struct jitter *jitter;
	uint64_t grid; /* points passed since `opened` */
	bool talking;  /* at the last one */
	struct packet_writer writer;
	struct epoch epoch;
	uint64_t played; /* samples of this epoch, as last told */
	bool pongs;      /* the server answers pings */
	nsec looked_at;  /* for a sign of life, once a second; ... */
	uint32_t silent_ms; /* ... none came for so long */
	float tail[CALL_SAMPLES_MAX]; /* the end of what was flushed, ... */
	size_t n_tail;                /* ... to be heard next */
	struct meter said, heard;
	struct call_stats stats;
	struct call_end end;
	bool hanging_up;
};

void call_opts_default(struct call_opts *o)
{
	memset(o, 0, sizeof *o);
	net_opts_default(&o->net);
	o->rate_hz = o->say_rate_hz = 16000;
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
	call_stats(c, &c->stats);
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

static void plan(struct call *c)
{
	nsec at = c->give_up_at;

	if (c->state == CALL_STATE_OVER)
		at = NSEC_NONE;
	else if (c->state == CALL_STATE_OPEN)
		at = c->opened + c->grid * nsec_from_ms(CALL_FRAME_MS);
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

static void measure(struct meter *m, const int16_t *pcm, size_t n, size_t frame)
{
	for (size_t i = 0; i < n; i++)
		m->sum += (double)pcm[i] * pcm[i];
	m->n += frame;
	if (++m->frames < LEVEL_FRAMES)
		return;
	m->dbfs = m->sum > 0 ? 10 * log10(m->sum / (double)m->n / (32768.0 * 32768)) : -100;
	m->sum = 0;
	m->n = m->frames = 0;
}

/* Media time at grid point k, in samples. */
static uint64_t time_at(uint32_t rate_hz, uint64_t k)
{
	return k * rate_hz / (1000 / CALL_FRAME_MS);
}

/* The samples of grid point k: those between k and k + 1 times 20 ms, so that odd rates keep the pace. */
static size_t samples_at(uint32_t rate_hz, uint64_t k)
{
	return (size_t)(time_at(rate_hz, k + 1) - time_at(rate_hz, k));
}

static void send_packet(struct call *c, const struct packet *p, nsec now)
{
	if (wt_session_send(c->session, p->head, p->head_len, p->body, p->body_len, now) == 0)
		c->stats.frames_said++;
}

static void send_frame(struct call *c, const int16_t *pcm, size_t n, bool ends, nsec now)
{
	float x[CALL_SAMPLES_MAX];
	uint8_t payload[2 * CALL_SAMPLES_MAX];
	struct frame f = {
		.format = {&codec_pcm, c->opts.say_rate_hz},
		.payload = payload,
		.n_samples = (uint32_t)n,
		.v1 = {.begins = !c->talking, .ends = ends, .time = (uint32_t)time_at(c->opts.say_rate_hz, c->grid)},
	};
	struct packet p;

	pcm_from_i16(x, pcm, n);
	f.len = (uint32_t)f.format.codec->encode(NULL, payload, x, n);
	for (bool more = packet_first(&p, &c->writer, &f, wt_session_datagram_max(c->session)); more; more = packet_next(&p))
		send_packet(c, &p, now);
	c->stats.samples_said += n;
}

static void say(struct call *c, nsec now)
{
	int16_t pcm[CALL_SAMPLES_MAX];
	size_t want = samples_at(c->opts.say_rate_hz, c->grid), n;

	if (!c->handler.say)
		return;
	n = c->handler.say(c->handler.ctx, pcm, want);
	measure(&c->said, pcm, n, want);
	if (n > 0 && !c->opts.muted)
		send_frame(c, pcm, n, n < want, now);
	c->talking = n == want && !c->opts.muted;
}

static void hear(struct call *c, nsec now)
{
	float x[CALL_SAMPLES_MAX];
	int16_t pcm[CALL_SAMPLES_MAX];
	size_t n = samples_at(c->opts.rate_hz, c->grid);

	if (jitter_get(c->jitter, x, n, now) == JITTER_CONCEALED)
		c->stats.concealed++;
	for (size_t i = 0; i < n && i < c->n_tail; i++)
		x[i] += c->tail[i];
	c->n_tail = 0;
	pcm_to_i16(pcm, x, n);
	measure(&c->heard, pcm, n, n);
	if (c->handler.heard)
		c->handler.heard(c->handler.ctx, pcm, n, now);
}

static void fade_out(struct call *c, nsec now)
{
	size_t n = samples_at(c->opts.rate_hz, c->grid), fade = c->opts.rate_hz * FLUSH_FADE_MS / 1000;

	jitter_get(c->jitter, c->tail, n, now);
	for (size_t i = 0; i < fade; i++)
		c->tail[i] *= 1 - (float)(i + 1) / (float)fade;
	c->n_tail = fade;
}

/* What waits to be played is dropped, but for a short fade. */
static void flush(struct call *c, nsec now)
{
	c->stats.flushes++;
	c->played = 0;
	if (jitter_active(c->jitter))
		fade_out(c, now);
	jitter_clear(c->jitter); /* and the numbers: what was taken back is not missing */
}

/* So that who is interrupted knows how much of it was heard. */
static void tell_played(struct call *c, nsec now)
{
	char line[80];
	uint64_t waiting = (uint64_t)(jitter_depth_ms(c->jitter) * c->epoch.rate_hz / 1000);

	if (!c->opts.v1 || !c->epoch.any || c->epoch.samples < waiting + c->played + 1)
		return;
	c->played = c->epoch.samples - waiting;
	snprintf(line, sizeof line, "{\"type\":\"played\",\"epoch\":%u,\"samples\":%llu}", c->epoch.now,
		(unsigned long long)c->played);
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

/* True for a pong: the caller of this layer did not ask, so he is not told. */
static bool take_own(struct call *c, const char *line, size_t len, nsec now)
{
	yyjson_doc *doc = len <= OWN_LINE_MAX ? yyjson_read(line, len, 0) : NULL;
	yyjson_val *o = yyjson_doc_get_root(doc), *type = yyjson_obj_get(o, "type"), *t = yyjson_obj_get(o, "t");
	bool is_pong = yyjson_equals_str(type, "pong");

	c->pongs |= is_pong;
	if (is_pong && yyjson_is_num(t))
		c->stats.rtt_ms = (double)(now - c->started) * 1e-6 - yyjson_get_num(t);
	if (yyjson_equals_str(type, "flush") && epoch_enter(&c->epoch, (uint8_t)yyjson_get_uint(yyjson_obj_get(o, "epoch"))))
		flush(c, now);
	yyjson_doc_free(doc);
	return is_pong;
}

static void run_grid(struct call *c, nsec now)
{
	const nsec frame = nsec_from_ms(CALL_FRAME_MS);

	while (c->state == CALL_STATE_OPEN && c->opened + c->grid * frame <= now) {
		if (now - (c->opened + c->grid * frame) <= CATCH_UP_FRAMES * frame)
			say(c, now);
		else
			c->stats.late++; /* what was to be said waits: it comes later, not never */
		if (c->grid % PING_FRAMES == 0)
			ping(c, now);
		if (c->grid % PLAYED_FRAMES == 0)
			tell_played(c, now);
		if (c->state == CALL_STATE_OPEN)
			hear(c, now);
		c->grid++;
	}
}

/* QUIC notices after half a minute that nobody is there any more. Seconds in which this process did not run count as one. */
static void look_for_life(struct call *c, nsec now)
{
	if (nsec_since(c->looked_at, now) < nsec_from_s(1))
		return;
	c->looked_at = now;
	c->silent_ms += 1000;
	if (c->pongs && c->silent_ms > SILENT_LEAST_MS && c->silent_ms > c->opts.net.timeout_ms)
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
	c->stats.join_ms = (double)(now - c->started) * 1e-6;
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
	struct frame f;
	enum frame_fault fault = packet_parse(p, len, c->opts.rate_hz, &f);

	c->silent_ms = 0;
	if (c->state != CALL_STATE_OPEN)
		return;
	if (fault != FRAME_OK && fault != FRAME_ODD) {
		c->stats.bad_frames++;
		return;
	}
	if (f.is_v1 && epoch_enter(&c->epoch, f.v1.epoch))
		flush(c, now);
	if (f.is_v1 && !epoch_count(&c->epoch, &f))
		return;
	c->stats.frames_heard++;
	jitter_put(c->jitter, &f, now);
}

static void take_lines(struct call *c, nsec now)
{
	uint8_t *end;

	while (c->line.len > 0 && (end = memchr(c->line.p, '\n', c->line.len))) {
		size_t len = (size_t)(end - c->line.p);

		if (!take_own(c, (const char *)c->line.p, len, now) && c->handler.on_line)
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
	take_lines(c, now);
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
	if (why->end == WT_END_CONN)
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
	struct jitter_stats j;
	struct quic_conn_info info;

	*out = c->stats;
	if (!c->session)
		return;
	jitter_stats(c->jitter, &j);
	wt_session_info(c->session, &info);
	out->buffer_ms = j.depth_ms;
	out->jitter_ms = j.jitter_ms;
	out->packets_lost = info.packets_lost;
	out->frames_lost = j.order.n_lost;
	out->said_dbfs = c->said.dbfs;
	out->heard_dbfs = c->heard.dbfs;
	out->seconds = (double)(c->grid * CALL_FRAME_MS) * 1e-3;
}

static int open_sound(struct call *c)
{
	const struct jitter_opts jo = {.rate_hz = c->opts.rate_hz, .tick_ms = CALL_FRAME_MS, .max_delay_ms = PLAYOUT_MAX_MS};
	int err = resample_table_new(&c->table);

	return err ? err : jitter_new(&jo, c->table, &c->jitter);
}

static int begin(struct call *c, uv_loop_t *loop, const struct log *log)
{
	char rate[16];
	int err = open_sound(c);

	if (err)
		return err;
	snprintf(rate, sizeof rate, "%u", c->opts.rate_hz);
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
	c->writer.kind = opts->v1 ? PACKET_V1 : PACKET_LEGACY;
	c->n_addrs = n_addrs < URL_ADDRESSES_MAX ? n_addrs : URL_ADDRESSES_MAX;
	memcpy(c->addr, addrs, c->n_addrs * sizeof *addrs);
	c->said.dbfs = c->heard.dbfs = -100;
	c->stats.said_dbfs = c->stats.heard_dbfs = -100;
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
	jitter_free(c->jitter);
	resample_table_free(c->table);
	buf_fini(&c->line);
	free(c);
}
