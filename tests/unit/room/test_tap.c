/* SPDX-License-Identifier: MIT */
/* Taps hear a room without being in it. Packets: how a frame is cut, numbered and timed. */
#include "unit/room/stage.h"

enum { FRAME = 320, TAP_SECONDS = 10, TAP_PACKETS = 2000 };

/* What one packet said. */
struct noted {
	struct frame_v1 v1;
	uint64_t frame_no;
	uint32_t n_samples;
};

/* Puts everything where its frame number says that it belongs. */
struct probe {
	struct tap *tap;
	struct stage *stage;
	size_t packet_max;
	uint64_t first_frame; /* what is heard there lies at sound[0] */
	float *sound;
	struct noted noted[TAP_PACKETS];
	size_t n_packets, n_dropped, n_ended, n_events;
	enum room_event_kind last_event;
};

static size_t probe_packet_max(void *user)
{
	return ((struct probe *)user)->packet_max;
}

static void probe_packet(void *user, const struct room_packet *p, nsec now)
{
	struct probe *e = user;
	uint8_t bytes[STAGE_PACKET];
	struct frame f;

	(void)now;
	assert_true(p->packet.head_len + p->packet.body_len <= e->packet_max);
	stage_parse(p, bytes, &f);
	assert_true(e->n_packets < TAP_PACKETS);
	e->noted[e->n_packets++] = (struct noted){f.v1, p->frame_no, f.n_samples};
	size_t at = (size_t)(p->frame_no - e->first_frame) * FRAME + (f.v1.time - p->frame->v1.time);

	assert_true(p->frame_no >= e->first_frame && at + f.n_samples <= TAP_SECONDS * 16000);
	pcm_to_float(e->sound + at, f.payload, f.n_samples);
}

static void probe_dropped(void *user, nsec now)
{
	(void)now;
	((struct probe *)user)->n_dropped++;
}

static void probe_event(void *user, const struct room_event *ev, nsec now)
{
	struct probe *e = user;

	(void)now;
	e->n_events++;
	e->last_event = ev->kind;
}

static void probe_ended(void *user, nsec now)
{
	struct probe *e = user;

	(void)now;
	e->n_ended++;
	e->tap = NULL;
}

static const struct listener_sink probe_sink = {.packet_max = probe_packet_max, .packet = probe_packet,
	.dropped = probe_dropped, .event = probe_event, .ended = probe_ended};

static struct probe *probe_listen(struct stage *s, struct actor *in, enum packet_kind packets)
{
	const struct listener_opts o = {.rate_hz = 16000, .packets = packets};
	struct probe *e = calloc(1, sizeof *e);

	e->stage = s;
	e->packet_max = STAGE_PACKET;
	e->first_frame = s->now / nsec_from_ms(20) + 1;
	e->sound = calloc(TAP_SECONDS * 16000, sizeof *e->sound);
	assert_int_equal(room_listen(in->p, &o, &probe_sink, e, &e->tap), 0);
	return e;
}

static void probe_free(struct probe *e)
{
	if (e->tap)
		tap_leave(e->tap);
	free(e->sound);
	free(e);
}

/* Of a tone, between two times after it began to listen. */
static double probe_db(const struct probe *e, double hz, uint32_t from_ms, uint32_t to_ms)
{
	return sig_db(sig_level(e->sound + from_ms * 16, (to_ms - from_ms) * 16, 16000, hz));
}

static void count_member(void *ctx, const struct room_member *m)
{
	(void)m;
	(*(unsigned *)ctx)++;
}

TEST(a_tap_hears_everybody_and_is_nobody)
{
	struct stage *s = stage_new();
	unsigned members = 0;

	stage_open(s);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
	size_t told = a->n_events;
	struct probe *e = probe_listen(s, a, PACKET_V1);

	actor_talk(a, 440, 0.2);
	actor_talk(b, 700, 0.1);
	stage_run(s, 2000);
	assert_near(probe_db(e, 440, 1000, 1900), sig_db(0.2), 0.1);
	assert_near(probe_db(e, 700, 1000, 1900), sig_db(0.1), 0.1);
	assert_near(actor_level_db(a, 700, 500), sig_db(0.1), 0.1);
	assert_below(actor_level_db(a, 440, 500), sig_db(0.2) - 60);
	participant_each_member(a->p, count_member, &members);
	assert_int_equal(members, 2);
	assert_int_equal(rooms_stats(s->rooms)->participants, 2);
	assert_int_equal(rooms_stats(s->rooms)->frames_out, a->n_frames + b->n_frames);
	assert_int_equal(actor_count(a, ROOM_JOINED), told);
	assert_int_equal(e->n_packets, a->n_frames);
	probe_free(e);
	assert_int_equal(actor_count(a, ROOM_LEFT), 0);
	stage_run(s, 100);
	stage_close(s);
}

TEST(a_tap_fills_no_room)
{
	struct stage *s = stage_new();

	s->rules[0].max_participants = 2;
	stage_open(s);
	struct actor *a = stage_join(s, "all");
	struct probe *e = probe_listen(s, a, PACKET_V1), *other = probe_listen(s, a, PACKET_LEGACY);

	stage_join(s, "all");
	probe_free(other);
	probe_free(e);
	stage_close(s);
}

TEST(a_tap_keeps_a_room_neither_awake_nor_alive)
{
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
	struct probe *e = probe_listen(s, a, PACKET_V1);

	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	actor_talk(a, 440, 0.2);
	stage_run(s, 500);
	a->talks = false;
	stage_run(s, 1000);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	actor_leave(a);
	assert_int_equal(e->n_ended, 0);
	actor_leave(b);
	assert_int_equal(e->n_ended, 1);
	assert_int_equal(rooms_stats(s->rooms)->rooms, 0);
	probe_free(e);
	stage_close(s);
}

/* Two people talk in turn, with pauses in which the room falls asleep. Everything lies where it was heard, and nothing between. */
TEST(a_tap_reconstructs_sound_and_silence)
{
	static const uint32_t begin_ms[] = {137, 1903, 5311}, end_ms[] = {1137, 2403, 7000};
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all"), *c = stage_join(s, "all");
	struct probe *e = probe_listen(s, c, PACKET_V1);
	nsec start = s->now;
	uint32_t ms = 0;

	for (int i = 0; i < 3; i++) {
		struct actor *talker = i % 2 ? b : a;

		stage_run(s, begin_ms[i] - ms);
		assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
		actor_talk(talker, 440, 0.3);
		stage_run(s, end_ms[i] - begin_ms[i]);
		talker->talks = false;
		ms = end_ms[i];
	}
	stage_run(s, 1000);
	for (int i = 0; i < 3; i++) {
		/* a frame lies where the grid of frames has it, not where the room's tick was: up to 20 ms earlier */
		uint32_t quiet_from = i > 0 ? end_ms[i - 1] + 200 : 0, quiet_to = begin_ms[i] - 20;

		assert_true(sig_peak(e->sound + quiet_from * 16, (quiet_to - quiet_from) * 16) == 0);
		assert_near(probe_db(e, 440, begin_ms[i] + 60, end_ms[i] - 20), sig_db(0.3), 0.1);
	}
	assert_int_equal(e->n_packets, c->n_frames);
	/* media time says the same as the numbers of the frames */
	for (size_t i = 0; i < e->n_packets; i++) {
		const struct noted *n = &e->noted[i], *first = &e->noted[0];

		assert_int_equal(n->v1.time - first->v1.time, (n->frame_no - first->frame_no) * FRAME);
		assert_int_equal(n->v1.seq, i);
		assert_int_equal(n->frame_no, c->frame_at[i] / nsec_from_ms(20) + 1);
		assert_int_equal(n->v1.begins, i == 0 || n->frame_no != e->noted[i - 1].frame_no + 1);
	}
	assert_true(e->noted[0].frame_no >= start / nsec_from_ms(20) + 1);
	probe_free(e);
	stage_close(s);
}

TEST(a_tap_shares_what_silent_people_hear)
{
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
	struct probe *e = probe_listen(s, a, PACKET_V1);

	actor_talk(a, 440, 0.2);
	stage_run(s, 1000);
	const struct rooms_stats *st = rooms_stats(s->rooms);

	assert_int_equal(e->n_packets, b->n_frames);
	assert_int_equal(st->mixes, b->n_frames);
	assert_int_equal(st->shared_mixes, b->n_frames);
	probe_free(e);
	stage_close(s);
}

TEST(a_tap_is_told_what_all_are_told)
{
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all");
	struct probe *e = probe_listen(s, a, PACKET_V1);
	struct actor *b = stage_join(s, "all");

	assert_int_equal(e->last_event, ROOM_JOINED);
	assert_int_equal(participant_message(a->p, 0, "all", s->now), 0);
	assert_int_equal(e->last_event, ROOM_MESSAGE);
	assert_int_equal(e->n_events, 2);
	assert_int_equal(participant_message(a->p, participant_id(b->p), "one", s->now), 0);
	assert_int_equal(e->n_events, 2);
	actor_leave(b);
	assert_int_equal(e->last_event, ROOM_LEFT);
	probe_free(e);
	stage_close(s);
}

/* Each size of packet that a path may carry gives the same sound. */
TEST(frames_are_cut_to_what_a_packet_may_carry)
{
	static const size_t max[] = {14, 100, 333, 651, 652, 653};
	static const size_t pieces[] = {320, 8, 2, 2, 1, 1}; /* of 640 bytes, 12 for each head */

	for (size_t k = 0; k < sizeof max / sizeof *max; k++) {
		struct stage *s = stage_new();

		stage_open(s);
		struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
		struct probe *e = probe_listen(s, b, PACKET_V1);

		e->packet_max = max[k];
		actor_talk(a, 440, 0.2);
		stage_run(s, 103);
		a->talks = false;
		assert_true(b->n_frames > 2 && b->n_frames <= 5);
		assert_int_equal(e->n_packets, pieces[k] * b->n_frames);
		float *at = e->sound + (b->frame_at[0] / nsec_from_ms(20) + 1 - e->first_frame) * FRAME;

		assert_memory_equal(at, b->heard, b->n_heard * sizeof *b->heard);
		for (size_t i = 0; i < e->n_packets; i++) {
			assert_int_equal(e->noted[i].v1.seq, i);
			assert_int_equal(e->noted[i].v1.begins, i == 0);
			assert_in_range(e->noted[i].n_samples, FRAME / pieces[k], (FRAME + pieces[k] - 1) / pieces[k]);
		}
		probe_free(e);
		stage_close(s);
	}
}

/* To its listener such a frame is lost: the next one has the number after. */
TEST(a_frame_that_does_not_fit_takes_a_number)
{
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
	struct probe *e = probe_listen(s, b, PACKET_V1);

	e->packet_max = 13;
	actor_talk(a, 440, 0.2);
	stage_run(s, 203);
	size_t dropped = e->n_dropped;

	assert_true(dropped >= 8 && dropped == b->n_frames);
	assert_int_equal(e->n_packets, 0);
	e->packet_max = STAGE_PACKET;
	stage_run(s, 100);
	assert_int_equal(e->n_dropped, dropped);
	assert_int_equal(e->noted[0].v1.seq, dropped);
	assert_int_equal(e->noted[0].v1.time, dropped * FRAME);
	assert_false(e->noted[0].v1.begins);
	probe_free(e);
	stage_close(s);
}

/* The last frame of a filter is the only thing of which it is known that silence follows. */
TEST(the_end_of_a_filter_says_that_silence_follows)
{
	const struct listener_opts o = {.rate_hz = 8000, .packets = PACKET_V1};
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all");
	struct probe *e = probe_listen(s, a, PACKET_V1);

	tap_leave(e->tap);
	assert_int_equal(room_listen(a->p, &o, &probe_sink, e, &e->tap), 0);
	actor_talk(a, 440, 0.2);
	stage_run(s, 503);
	a->talks = false;
	stage_run(s, 500);
	for (size_t i = 0; i < e->n_packets; i++)
		assert_int_equal(e->noted[i].v1.ends, i == e->n_packets - 1);
	probe_free(e);
	stage_close(s);
}

TEST(a_tap_of_a_bad_rate_is_refused)
{
	const struct listener_opts o = {.rate_hz = 7999};
	struct stage *s = stage_new();
	struct tap *t;

	stage_open(s);
	assert_int_equal(room_listen(stage_join(s, "all")->p, &o, &probe_sink, NULL, &t), ERR_RANGE);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tap_hears_everybody_and_is_nobody),
		cmocka_unit_test(a_tap_fills_no_room),
		cmocka_unit_test(a_tap_keeps_a_room_neither_awake_nor_alive),
		cmocka_unit_test(a_tap_reconstructs_sound_and_silence),
		cmocka_unit_test(a_tap_shares_what_silent_people_hear),
		cmocka_unit_test(a_tap_is_told_what_all_are_told),
		cmocka_unit_test(frames_are_cut_to_what_a_packet_may_carry),
		cmocka_unit_test(a_frame_that_does_not_fit_takes_a_number),
		cmocka_unit_test(the_end_of_a_filter_says_that_silence_follows),
		cmocka_unit_test(a_tap_of_a_bad_rate_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
