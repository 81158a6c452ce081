/* SPDX-License-Identifier: MIT */
/* What a load counts, from datagrams that a server might have sent. Looks inside: no server of ours sends the wrong ones. */
#include "support/test.h"

#include "client/load.c"
#include "support/frames.h"

/* 4 sessions in 2 rooms: 0 and 1 talk, 2 hears 0, 3 hears 1. */
static struct load *measuring(double talkers)
{
	struct load *l = calloc(1, sizeof *l);

	load_opts_default(&l->opts);
	l->opts.sessions = 4;
	l->opts.rooms = 2;
	l->run = 77;
	l->n_talkers = (uint32_t)(talkers * 4);
	histogram_init(&l->report.delay_us);
	assert_int_equal(make_sessions(l), 0);
	for (uint32_t i = 0; i < 4; i++)
		l->sessions[i].state = SESSION_OPEN;
	for (uint32_t i = 0; i < l->n_talkers; i++)
		l->sessions[i].talker->next = 65530; /* wraps soon */
	begin_measuring(l, nsec_from_s(1));
	return l;
}

static void says(struct load *l, uint32_t talker, nsec at)
{
	struct talker *t = l->sessions[talker].talker;

	t->sent_at[t->next++ % SENT_RING] = at;
}

static void hears(struct load *l, uint32_t listener, uint16_t run, uint32_t talker, uint16_t seq, nsec at)
{
	const struct mark m = {run, (uint16_t)talker, seq};
	uint8_t b[PACKET_LEGACY_HEAD + MARK_BYTES];
	int16_t pcm[MARK_SAMPLES];
	float x[MARK_SAMPLES];

	mark_write(&m, pcm);
	pcm_from_i16(x, pcm, MARK_SAMPLES);
	on_datagram(&l->sessions[listener], b, datagram_of_float(b, MARK_RATE_HZ, x, MARK_SAMPLES), at);
}

static void count(struct load *l)
{
	for (uint32_t i = 0; i < l->n_talkers; i++)
		l->sessions[i].talker->end = l->sessions[i].talker->next;
	l->state = LOAD_TRAIL;
	for (uint32_t i = 0; i < 4; i++)
		count_listener(l, &l->sessions[i]);
}

static void over(struct load *l)
{
	load_free(l);
}

TEST(a_perfect_server_loses_nothing)
{
	struct load *l = measuring(0.5);

	for (uint16_t i = 0; i < 100; i++) {
		says(l, 0, nsec_from_s(2) + i);
		says(l, 1, nsec_from_s(2) + i);
		hears(l, 2, 77, 0, (uint16_t)(65530 + i), nsec_from_s(2) + i + nsec_from_ms(12));
		hears(l, 3, 77, 1, (uint16_t)(65530 + i), nsec_from_s(2) + i + nsec_from_ms(12));
	}
	count(l);
	assert_int_equal(l->report.marks_expected, 200);
	assert_int_equal(l->report.marks_heard, 200);
	assert_int_equal(l->report.gaps + l->report.duplicates + l->report.wrong_room + l->report.own_voice + l->report.foreign, 0);
	assert_true(l->report.delay_us.sum == 200 * 12000);
	assert_int_equal(l->report.delay_us.max, 12000);
	over(l);
}

TEST(loss_doubles_and_disorder_are_distinguished)
{
	/* of 20 marks: 0 and 1 are lost, 5 comes twice, 8 after 9, 12 and 15 are lost, 19 is lost */
	static const uint16_t heard[] = {2, 3, 4, 5, 5, 6, 7, 9, 8, 10, 11, 13, 14, 16, 17, 18};
	struct load *l = measuring(0.5);

	for (uint16_t i = 0; i < 20; i++)
		says(l, 0, nsec_from_s(2));
	for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
		hears(l, 2, 77, 0, (uint16_t)(65530 + heard[i]), nsec_from_s(2));
	count(l);
	assert_int_equal(l->report.marks_expected, 20);
	assert_int_equal(l->report.marks_heard, 15);
	assert_int_equal(l->report.duplicates, 1);
	assert_int_equal(l->report.gaps, 5); /* the beginning, before 9, 12, 15, the end */
	over(l);
}

TEST(sound_of_another_room_is_the_fault_that_it_is)
{
	struct load *l = measuring(0.5);

	says(l, 0, nsec_from_s(2));
	hears(l, 3, 77, 0, 65530, nsec_from_s(2)); /* 3 is in the room of 1 */
	assert_int_equal(l->report.wrong_room, 1);
	hears(l, 0, 77, 0, 65530, nsec_from_s(2));
	assert_int_equal(l->report.own_voice, 1);
	hears(l, 2, 78, 0, 65530, nsec_from_s(2));
	assert_int_equal(l->report.foreign, 1);
	hears(l, 2, 77, 2, 65530, nsec_from_s(2)); /* 2 does not talk */
	hears(l, 3, 77, 0, 65531, nsec_from_s(2)); /* not said yet */
	hears(l, 3, 77, 0, 60000, nsec_from_s(2)); /* long ago */
	assert_int_equal(l->report.damaged, 3);
	assert_int_equal(l->report.wrong_room, 1);
	count(l);
	assert_int_equal(l->report.marks_heard, 0);
	over(l);
}

TEST(marks_sent_before_the_measured_time_do_not_count)
{
	struct load *l = measuring(0.5);

	hears(l, 2, 77, 0, 65529, nsec_from_s(2));
	hears(l, 2, 77, 0, 65530, nsec_from_s(2)); /* never said */
	says(l, 0, nsec_from_s(2));
	hears(l, 2, 77, 0, 65530, nsec_from_s(2));
	count(l);
	assert_int_equal(l->report.marks_expected, 1);
	assert_int_equal(l->report.marks_heard, 1);
	assert_int_equal(l->report.duplicates + l->report.gaps, 0);
	over(l);
}

TEST(talkers_of_one_room_take_turns)
{
	struct load *l = measuring(1);
	unsigned both = 0, marks[2] = {0};

	for (uint64_t frame = 0; frame < 600; frame++) {
		bool a = frame % l->sessions[0].talker->period == l->sessions[0].talker->turn;
		bool b = frame % l->sessions[2].talker->period == l->sessions[2].talker->turn;

		both += a && b;
		marks[0] += a;
		marks[1] += b;
	}
	assert_int_equal(both, 0);
	assert_int_equal(marks[0], 100);
	assert_int_equal(marks[1], 100);
	over(l);
}

TEST(nothing_is_expected_of_a_lost_listener)
{
	struct load *l = measuring(0.5);
	const struct wt_close why = {.end = WT_END_CONN, .reason = "", .conn = {.end = QUIC_END_IDLE}};

	l->report.open = 4;
	says(l, 0, nsec_from_s(2));
	says(l, 1, nsec_from_s(2));
	hears(l, 3, 77, 1, 65530, nsec_from_s(2));
	on_closed(&l->sessions[2], &why, nsec_from_s(3));
	count(l);
	assert_int_equal(l->report.lost, 1);
	assert_int_equal(l->report.open, 3);
	assert_int_equal(l->report.marks_expected, 1);
	assert_int_equal(l->report.marks_heard, 1);
	over(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_perfect_server_loses_nothing),
		cmocka_unit_test(loss_doubles_and_disorder_are_distinguished),
		cmocka_unit_test(sound_of_another_room_is_the_fault_that_it_is),
		cmocka_unit_test(marks_sent_before_the_measured_time_do_not_count),
		cmocka_unit_test(talkers_of_one_room_take_turns),
		cmocka_unit_test(nothing_is_expected_of_a_lost_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
