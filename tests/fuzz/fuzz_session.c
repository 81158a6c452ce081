/* SPDX-License-Identifier: MIT */
/*
 * Two clients and the whole way from their streams to a room: HTTP/3, session, control stream, datagrams. QUIC is
 * played by hand, so that every byte, order and end is the input's to choose: a row of operations, one byte for which
 * (its top bit: which client) and one for a number, then what each needs. Afterwards all rooms are empty.
 */
#include "base/cursor.h"
#include "daemon/link.h"
#include "session/session_wt.h"
#include "support/fake_quic.h"
#include "support/h3_raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 2, STREAMS = 12, BYTES_MAX = 600 };

/* Keeps to what QUIC lets a client do once only. */
struct client {
	struct quic_conn c;
	bool open;
	struct {
		bool begun, ended, closed;
	} stream[STREAMS];
};

struct world {
	struct rooms *rooms;
	struct links *links;
	struct registry *registry;
	struct wt *wt;
	struct client client[CLIENTS];
	nsec now;
};

/* In place of the real one, which this program must not link. */
const char *quic_end_name(enum quic_end end)
{
	return end == QUIC_END_PEER ? "peer" : "other";
}

static void expect(bool ok)
{
	if (!ok)
		abort();
}

/* --- a world for one input ------------------------------------------------------------------ */

/* One for all runs: their table of filters takes longer than a run. */
static struct rooms *shared_rooms(void)
{
	static struct room_rule rule;
	static struct rooms *rooms;
	struct rooms_opts o;
	struct log silent = {0};

	if (rooms)
		return rooms;
	room_rule_default(&rule);
	rooms_opts_default(&o);
	o.rules = &rule;
	o.n_rules = 1;
	expect(rooms_new(&o, &silent, &rooms) == 0);
	return rooms;
}

static const struct config *configuration(void)
{
	static struct config cfg;

	strcpy(cfg.server.path, "/audio");
	cfg.server.output_sample_rate = 16000;
	cfg.server.max_datagram_size = 65536;
	cfg.limits = (struct config_limits){.max_sessions = 10, .control_line_bytes = 300, .control_messages_per_s = 20, .control_bytes_per_s = 16384,
		.datagrams_per_s = 60};
	cfg.rooms.frame_ms = 20;
	return &cfg;
}

static void open_client(struct world *w, struct client *k)
{
	memset(k, 0, sizeof *k);
	fake_init(&k->c, wt_quic_app(), true);
	k->c.now = w->now;
	quic_addr_parse("192.0.2.1", 4433, &k->c.info.path.local);
	quic_addr_parse("192.0.2.2", 5000, &k->c.info.path.remote);
	k->open = true;
	expect(fake_open(&k->c, w->wt) == 0);
}

static void close_client(struct client *k, enum quic_end end)
{
	if (k->open)
		fake_fini(&k->c, end);
	k->open = false;
}

static void settle(struct world *w)
{
	if (links_deadline(w->links) <= w->now)
		links_run(w->links, w->now);
	if (rooms_deadline(w->rooms) <= w->now)
		rooms_run(w->rooms, w->now);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *k = &w->client[i];

		if (!k->open)
			continue;
		k->c.now = w->now;
		if (!k->c.closed)
			fake_flush(&k->c);
		if (k->c.closed)
			close_client(k, QUIC_END_LOCAL);
	}
}

static void pass(struct world *w, nsec d)
{
	nsec end = w->now + d;

	for (; w->now < end; settle(w)) {
		w->now = end - w->now < nsec_from_ms(20) ? end : w->now + nsec_from_ms(20);
		for (size_t i = 0; i < CLIENTS; i++)
			if (w->client[i].open)
				fake_wait(&w->client[i].c, w->now - w->client[i].c.now);
	}
}

/* --- operations ------------------------------------------------------------------------------- */

static int64_t stream_id(size_t i) /* eight of both directions, four of one */
{
	return i < 8 ? (int64_t)i * 4 : (int64_t)(i - 8) * 4 + 2;
}

static void feed(struct client *k, size_t i, const void *p, size_t len, bool fin, size_t piece)
{
	if (k->stream[i].ended || k->stream[i].closed || (!len && !fin))
		return;
	k->stream[i].begun = true;
	k->stream[i].ended = fin;
	fake_feed(&k->c, stream_id(i), p, len, fin, piece);
}

static void feed_bytes(struct client *k, uint8_t number, struct cursor *in)
{
	size_t len = cursor_le(in, 1) * 2, piece = cursor_le(in, 1);

	len = len < cursor_left(in) ? len : cursor_left(in);
	feed(k, number % STREAMS, len ? cursor_bytes(in, len) : NULL, len, number & 0x80, piece);
}

static void reset(struct client *k, size_t i)
{
	if (!k->stream[i].begun || k->stream[i].ended || k->stream[i].closed)
		return;
	k->stream[i].ended = true;
	k->c.app->on_stream_reset(k->c.user, stream_id(i), 7, k->c.now);
}

/* Only what both sides have ended. */
static void close_stream(struct client *k, size_t i)
{
	struct fake_stream *s = fake_find(&k->c, stream_id(i));

	if (!k->stream[i].begun || !s || k->stream[i].closed || (!k->stream[i].ended && !s->stopped))
		return;
	if (i < 8 && !s->reset && !(s->out_fin && s->acked == s->out.len))
		return;
	k->stream[i].closed = true;
	fake_close_stream(&k->c, stream_id(i), 0);
}

static void ask(struct client *k, uint8_t number)
{
	static const char *const paths[] = {"/audio", "/audio?room=a", "/audio?room=a&name=%22Ann&rate=48000", "/audio?room=%00",
		"/other", "/audio?room=a&rate=11025"};
	struct buf b;

	buf_init(&b, 1 << 16);
	raw_client_settings(&b);
	feed(k, 8, b.p, b.len, false, number & 0x40 ? 1 : 0);
	b.len = 0;
	raw_connect(&b, paths[number % 6], number & 0x20 ? "https://localhost" : NULL);
	feed(k, number & 0x10 ? 1 : 0, b.p, b.len, false, 0);
	buf_fini(&b);
}

static void line(struct client *k, uint8_t number)
{
	static const char *const lines[] = {"\x40\x41\0", "{\"type\":\"message\",\"text\":\"hello\"}\n",
		"{\"type\":\"message\",\"text\":\"hello\",\"to\":1}\n", "{\"type\":\"mute\",\"muted\":true}\n",
		"{\"type\":\"mute\",\"muted\":false}\n", "{\"type\":\"stats\",\"every_ms\":200}\n", "{\"type\":\"ping\",\"t\":1}\n",
		"{\"type\":\"bye\"}\n"};
	const char *text = lines[number % 8];

	feed(k, 2 + number / 8 % 2u, text, number % 8 ? strlen(text) : 3, false, 0);
}

static void datagram(struct client *k, uint8_t number, struct cursor *in)
{
	uint8_t p[BYTES_MAX] = {number & 0x40 ? 1 : 0, 160};
	size_t len = cursor_le(in, 1) * 2, given = number % 16u;

	given = given < cursor_left(in) ? given : cursor_left(in);
	len = len < given ? given : len;
	if (given)
		memcpy(p, cursor_bytes(in, given), given);
	for (size_t i = given < 3 ? 3 : given; i < len; i++)
		p[i] = (uint8_t)(i * number);
	fake_datagram(&k->c, p, len);
}

static void operate(struct world *w, uint8_t what, uint8_t number, struct cursor *in)
{
	struct client *k = &w->client[what >> 7];

	if (!k->open && (what & 15) != 0)
		open_client(w, k);
	k->c.now = w->now;
	switch (what & 15) {
	case 0: close_client(k, (enum quic_end)(number % 6)); break;
	case 1: feed_bytes(k, number, in); break;
	case 2: reset(k, number % STREAMS); break;
	case 3: close_stream(k, number % STREAMS); break;
	case 4: ask(k, number); break;
	case 5: line(k, number); break;
	case 6: datagram(k, number, in); break;
	case 7: pass(w, nsec_from_ms(number * 4u)); break;
	case 8: fake_ack(&k->c); break;
	case 9: k->c.credit = number; break; /* of streams that come: a slow reader */
	case 10: k->c.piece = number; break;
	case 11: k->c.datagram_max = number * 5u; break;
	case 12:
		if (fake_find(&k->c, stream_id(number % STREAMS)))
			fake_credit(&k->c, stream_id(number % STREAMS), number * 8u);
		break;
	case 13: wt_drain(w->wt); links_drain(w->links, 1000, w->now); break;
	case 14: links_close_all(w->links, number, "enough", w->now); break;
	case 15: k->c.info.rtt_us = number * 100u; break;
	}
	settle(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static nsec now = 1000000000u;
	struct world *w = calloc(1, sizeof *w);
	struct cursor in = cursor_of(data, size);
	struct log silent = {0};
	struct wt_opts o;

	expect(w != NULL);
	w->rooms = shared_rooms();
	w->now = now;
	wt_opts_default(&o);
	o.stream_send_bytes = 2000;
	o.max_streams = 4;
	expect(registry_new(configuration(), 1, &w->registry) == 0);
	const struct links_opts links = {.cfg = configuration(), .rooms = w->rooms, .registry = w->registry};

	expect(links_new(&links, &silent, &w->links) == 0);
	expect(wt_new(&o, session_wt_app(), links_host(w->links), &silent, &w->wt) == 0);
	while (cursor_left(&in) >= 2) {
		uint8_t what = (uint8_t)cursor_le(&in, 1);

		operate(w, what, (uint8_t)cursor_le(&in, 1), &in);
	}
	for (size_t i = 0; i < CLIENTS; i++)
		close_client(&w->client[i], QUIC_END_IDLE);
	expect(links_stats(w->links)->links == 0 && wt_stats(w->wt)->sessions == 0);
	expect(rooms_stats(w->rooms)->participants == 0 && rooms_stats(w->rooms)->rooms == 0);
	now = w->now;
	expect(registry_sessions(w->registry) == 0);
	links_free(w->links);
	registry_free(w->registry);
	wt_free(w->wt);
	free(w);
	return 0;
}
