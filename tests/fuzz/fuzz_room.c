/* SPDX-License-Identifier: MIT */
/*
 * Rooms under a random crowd. The input is a row of operations of three bytes: which one, who (one of eight places), and a
 * number; frames and texts take the bytes after them. Whatever comes, rooms mix on time and end empty.
 */
#include "base/cursor.h"
#include "room/room.h"
#include "support/frames.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLACES = 8, N_ROOMS = 4 };

struct place {
	uint32_t rate_hz;
	size_t packet_max;
	struct tap **tap;     /* of a tap: where its owner keeps it */
};

struct crowd {
	struct rooms *rooms;
	struct participant *p[PLACES];
	struct place places[PLACES];
	struct tap *tap;      /* in some room */
	struct place tap_place;
	nsec now;
};

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static size_t packet_max(void *user)
{
	return ((struct place *)user)->packet_max;
}

static void on_packet(void *user, const struct room_packet *p, nsec now)
{
	const struct place *place = user;
	uint32_t rate_hz = p->frame->format.rate_hz;
	volatile uint8_t last = p->packet.body[p->packet.body_len - 1];

	(void)last, (void)now;
	expect(p->packet.head_len + p->packet.body_len <= place->packet_max);
	expect(p->frame->n_samples > 0 && p->frame->n_samples <= rate_hz / 50 + 2 && rate_hz == place->rate_hz);
}

static void on_event(void *user, const struct room_event *ev, nsec now)
{
	(void)user, (void)now;
	expect(ev->member.id != 0 && (ev->text || (ev->kind != ROOM_MESSAGE && ev->kind != ROOM_TRANSCRIPT)));
}

/* One for all runs: its table of filters takes longer than a run. */
static struct rooms *shared_rooms(void)
{
	static struct room_rule rules[N_ROOMS];
	static struct rooms *rooms;
	static struct bridge_opts whistle; /* one that is interrupted */
	struct rooms_opts o;
	struct log silent = {0};

	if (rooms)
		return rooms;
	static const char *const bridges[N_ROOMS] = {"none", "echo", "parrot", "whistle"};

	for (int i = 0; i < N_ROOMS; i++) {
		room_rule_default(&rules[i]);
		rules[i].name[0] = (char)('a' + i);
		rules[i].name[1] = '\0';
		rules[i].rate_hz = i == 3 ? 48000 : 8000u << i % 2;
		rules[i].max_participants = 4;
		strcpy(rules[i].bridge, bridges[i]);
	}
	rooms_opts_default(&o);
	o.rules = rules;
	o.n_rules = N_ROOMS;
	bridge_opts_default(&whistle);
	strcpy(whistle.name, "whistle");
	strcpy(whistle.type, "tone");
	whistle.barge_in = BARGE_IN_IMMEDIATE;
	o.bridges = &whistle;
	o.n_bridges = 1;
	o.max_rooms = 5;
	expect(rooms_new(&o, &silent, &rooms) == 0);
	return rooms;
}

static void join(struct crowd *c, size_t who, uint8_t number)
{
	static const uint32_t rates[] = {8000, 11025, 16000, 22050, 24000, 44100, 48000, 47900};
	static const struct listener_sink sink = {.packet_max = packet_max, .packet = on_packet, .event = on_event};
	const char room[2] = {number % 5 ? (char)('a' + number % 5 - 1) : '\0'};
	const struct participant_opts o = {.room = room, .name = number & 64 ? "Ann" : "", .hears = {.rate_hz = rates[number / 5 % 8], .packets = number & 128 ? PACKET_V1 : PACKET_LEGACY}};

	if (c->p[who])
		return;
	c->places[who] = (struct place){.rate_hz = o.hears.rate_hz, .packet_max = number & 32 ? 4000 : number};
	if (rooms_join(c->rooms, &o, &sink, &c->places[who], c->now, &c->p[who]))
		c->p[who] = NULL;
}

/* A frame of a rate that is likely to be right, of bytes of the input again and again. */
static void speak(struct crowd *c, size_t who, uint8_t number, struct cursor *in)
{
	static const uint16_t fields[] = {80, 160, 480, 110, 441, 0, 240, 9999};
	uint8_t frame[1202];
	size_t n = 2 + number * 4u, seed = cursor_left(in) < 8 ? cursor_left(in) : 8;
	const uint8_t *p = seed ? cursor_bytes(in, seed) : (const uint8_t *)"x";

	for (size_t i = 0; i < n; i++)
		frame[i] = p[i % (seed ? seed : 1)];
	frame[0] = (uint8_t)fields[number % 8];
	frame[1] = (uint8_t)(fields[number % 8] >> 8);
	participant_audio(c->p[who], frame, n, c->now);
}

/* A v1 frame near others in sequence and time, or anywhere; loud, so that it interrupts. */
static void speak_v1(struct crowd *c, size_t who, uint8_t number, struct cursor *in)
{
	static const uint32_t rates[] = {16000, 16000, 48000, 11025};
	uint8_t bytes[PACKET_V1_HEAD + 1200], payload[1200];
	uint32_t seq = (uint32_t)cursor_le(in, 1), far = number & 32 ? (uint32_t)cursor_le(in, 4) : 0;
	struct packet_writer w = {.kind = PACKET_V1, .next_seq = (uint16_t)(seq + far)};
	struct frame f = {
		PCM_FRAME(rates[number % 4], payload, number & 16 ? 160 : 2 * (size_t)number),
		.v1 = {.time = seq * 160 + far, .begins = number & 64, .ends = number & 128},
	};

	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 37);
	participant_audio(c->p[who], bytes, datagram_of(bytes, &w, &f), c->now);
	participant_played(c->p[who], number, seq + far);
}

static void pass(struct crowd *c, nsec d)
{
	nsec end = c->now + d;

	while (rooms_deadline(c->rooms) <= end) {
		nsec at = rooms_deadline(c->rooms);

		c->now = at > c->now ? at : c->now;
		rooms_run(c->rooms, c->now);
		expect(rooms_deadline(c->rooms) > c->now); /* else the loop would spin */
	}
	c->now = end;
}

static void on_ended(void *user, nsec now)
{
	(void)now;
	*((struct place *)user)->tap = NULL;
}

/* One tap at a time: in the room of somebody, or away again. */
static void listen(struct crowd *c, size_t who)
{
	static const struct listener_sink sink = {.packet_max = packet_max, .packet = on_packet, .event = on_event, .ended = on_ended};
	const struct listener_opts o = {.rate_hz = 11025, .packets = PACKET_V1};

	if (c->tap) {
		tap_leave(c->tap);
		c->tap = NULL;
		return;
	}
	c->tap_place = (struct place){11025, 4000, &c->tap};
	expect(room_listen(c->p[who], &o, &sink, &c->tap_place, &c->tap) == 0);
}

static void leave(struct crowd *c, size_t who, uint8_t number)
{
	participant_leave(c->p[who], (enum leave_reason)(number % 3), c->now);
	c->p[who] = NULL;
}

static void operate(struct crowd *c, uint8_t what, size_t who, uint8_t number, struct cursor *in)
{
	struct participant_stats st;
	char text[8] = "";

	if (what % 8 == 0)
		join(c, who, number);
	else if (what % 8 == 1)
		pass(c, nsec_from_ms(number));
	else if (what % 8 == 2) /* late: as if the machine had slept */
		c->now += nsec_from_ms(4u * number);
	else if (!c->p[who])
		return;
	else if (what % 8 == 3)
		leave(c, who, number);
	else if (what % 8 == 4 && number & 8)
		participant_bridge(c->p[who], (enum bridge_mode)(number % 8 % 3), c->now);
	else if (what % 8 == 4 && number & 16)
		listen(c, who);
	else if (what % 8 == 4)
		participant_mute(c->p[who], number & 1, c->now);
	else if (what % 8 == 5) {
		if (cursor_left(in) >= sizeof text - 1)
			memcpy(text, cursor_bytes(in, sizeof text - 1), sizeof text - 1);
		participant_message(c->p[who], number, text, c->now);
	} else {
		if (what % 8 == 6)
			speak(c, who, number, in);
		else
			speak_v1(c, who, number, in);
		participant_stats(c->p[who], &st);
		expect(st.buffer_ms <= 1000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static nsec now = 1000000000u;
	struct crowd c = {.rooms = shared_rooms(), .now = now};
	struct cursor in = cursor_of(data, size);

	while (cursor_left(&in) >= 3) {
		uint8_t what = (uint8_t)cursor_le(&in, 1);
		size_t who = cursor_le(&in, 1) % PLACES;

		operate(&c, what, who, (uint8_t)cursor_le(&in, 1), &in);
	}
	pass(&c, nsec_from_ms(100));
	for (size_t i = 0; i < PLACES; i++)
		if (c.p[i])
			leave(&c, i, 0);
	pass(&c, nsec_from_ms(100));
	const struct rooms_stats *st = rooms_stats(c.rooms);

	expect(!c.tap && st->participants == 0 && st->rooms == 0 && st->bridges == 0 && st->joins == st->leaves);
	expect(rooms_deadline(c.rooms) == NSEC_NONE);
	now = c.now;
	return 0;
}
