/* SPDX-License-Identifier: MIT */
/* Names, rules, bounds; what events are reported to whom. */
#include "unit/room/stage.h"

#include "room/names.h"

static int try_join(struct stage *s, const char *room, const char *name, struct actor **out)
{
	struct actor *a = &s->actors[s->n_actors];
	struct participant_opts o = {.room = room, .name = name, .hears.rate_hz = 16000};

	*a = (struct actor){.stage = s, .out_rate_hz = 16000, .rate_hz = 16000, .frame = nsec_from_ms(20)};
	int err = rooms_join(s->rooms, &o, &stage_sink, a, s->now, &a->p);

	if (err)
		return err;
	s->n_actors++;
	if (out)
		*out = a;
	return 0;
}

TEST(utf8_is_checked)
{
	static const char *const good[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x9c", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xff", "\xe2\x82", "a\xc3(", "\xf0\x80\x80\x80"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(utf8_ok(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(utf8_ok(bad[i]));
}

TEST(patterns_match)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{"*", "", true}, {"*", "anything", true}, {"team-*", "team-red", true}, {"team-*", "team-", true},
		{"team-*", "team", false}, {"team-*", "a team-red", false}, {"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false}, {"*.example", "x.example", true}, {"lobby", "lobby", true}, {"lobby", "lobby2", false},
		{"**", "x", true}, {"a*", "b", false}, {"", "x", false}, {"*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(name_matches(cases[i].pattern, cases[i].name), cases[i].match);
}

TEST(names_of_rooms_are_trimmed_and_checked)
{
	struct stage *s = stage_new();
	char sixty_four[66];
	struct actor *a, *b;

	memset(sixty_four, 'x', sizeof sixty_four);
	sixty_four[64] = 0;
	stage_open(s);
	assert_int_equal(try_join(s, " caf\xc3\xa9 ", "", &a), 0);
	assert_int_equal(try_join(s, "caf\xc3\xa9", "", &b), 0);
	assert_string_equal(participant_room(a->p), "caf\xc3\xa9");
	assert_int_equal(rooms_stats(s->rooms)->rooms, 1);
	assert_int_equal(try_join(s, sixty_four, "", NULL), 0);
	sixty_four[64] = 'x';
	sixty_four[65] = 0;
	static const char *const bad[] = {"  ", "a\nb", "a\tb", "\x7f", "\xc2\x85", "\xff", "\x01"};

	assert_int_equal(try_join(s, sixty_four, "", NULL), ERR_RANGE);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(try_join(s, bad[i], "", NULL), ERR_RANGE);
	assert_int_equal(rooms_stats(s->rooms)->refused_name, 1 + sizeof bad / sizeof *bad);
	stage_close(s);
}

TEST(names_of_people_are_cut_or_made_up)
{
	struct stage *s = stage_new();
	struct actor *a, *b, *c;
	char name[80], want[80];

	stage_open(s);
	memset(name, 'x', sizeof name);
	memcpy(name + 63, "\xc3\xa9\xc3\xa9", 5); /* the first would end at byte 65 */
	assert_int_equal(try_join(s, "r", name, &a), 0);
	assert_int_equal(strlen(participant_name(a->p)), 63);
	assert_int_equal(try_join(s, "r", "", &b), 0);
	snprintf(want, sizeof want, "guest-%u", participant_id(b->p));
	assert_string_equal(participant_name(b->p), want);
	assert_int_equal(try_join(s, "r", "  Ann \xf0\x9f\xa6\x9c ", &c), 0);
	assert_string_equal(participant_name(c->p), "Ann \xf0\x9f\xa6\x9c");
	assert_int_equal(try_join(s, "r", "a\nb", NULL), ERR_RANGE);
	assert_int_equal(try_join(s, "r", "\xff", NULL), ERR_RANGE);
	stage_close(s);
}

TEST(the_first_rule_that_matches_makes_the_room)
{
	struct stage *s = stage_new();
	struct actor *a, *b;

	s->opts.n_rules = 2;
	snprintf(s->rules[0].name, sizeof s->rules[0].name, "team-*");
	s->rules[0].rate_hz = 24000;
	snprintf(s->rules[1].name, sizeof s->rules[1].name, "lobby");
	s->rules[1].rate_hz = 8000;
	stage_open(s);
	assert_int_equal(try_join(s, "team-red", "", &a), 0);
	assert_int_equal(try_join(s, "lobby", "", &b), 0);
	assert_int_equal(participant_room_rate(a->p), 24000);
	assert_int_equal(participant_room_rate(b->p), 8000);
	assert_int_equal(try_join(s, "kitchen", "", NULL), ERR_NOTFOUND);
	assert_int_equal(rooms_stats(s->rooms)->rooms, 2);
	stage_close(s);
}

TEST(rooms_and_people_are_bounded)
{
	struct stage *s = stage_new();
	struct actor *a;

	s->rules[0].max_participants = 3;
	s->opts.max_rooms = 2;
	stage_open(s);
	for (int i = 0; i < 3; i++)
		assert_int_equal(try_join(s, "one", "", &a), 0);
	assert_int_equal(try_join(s, "one", "", NULL), ERR_LIMIT);
	assert_int_equal(rooms_stats(s->rooms)->refused_full, 1);
	assert_int_equal(try_join(s, "two", "", NULL), 0);
	assert_int_equal(try_join(s, "three", "", NULL), ERR_LIMIT);
	assert_int_equal(try_join(s, "", "", NULL), ERR_LIMIT);
	assert_int_equal(rooms_stats(s->rooms)->refused_rooms, 2);
	actor_leave(a);
	assert_int_equal(try_join(s, "one", "", NULL), 0);
	stage_close(s);
}

TEST(a_bad_output_rate_leaves_nothing_behind)
{
	static const uint32_t bad[] = {0, 7999, 48001};
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 3; i++) {
		struct participant_opts o = {.room = "r", .name = "", .hears.rate_hz = bad[i]};
		struct participant *p;

		assert_int_equal(rooms_join(s->rooms, &o, &stage_sink, NULL, s->now, &p), ERR_RANGE);
	}
	assert_int_equal(rooms_stats(s->rooms)->rooms, 0);
	assert_int_equal(rooms_stats(s->rooms)->participants, 0);
	stage_close(s);
}

TEST(private_rooms_are_apart)
{
	struct stage *s = stage_new();
	struct actor *a, *b;

	s->opts.private_rule = s->rules[0];
	stage_open(s);
	assert_int_equal(try_join(s, "", "", &a), 0);
	assert_int_equal(try_join(s, NULL, "", &b), 0);
	assert_int_equal(rooms_stats(s->rooms)->rooms, 2);
	assert_string_equal(participant_room(a->p), "");
	assert_int_equal(a->n_events + b->n_events, 0);
	assert_int_equal(participant_message(a->p, participant_id(b->p), "psst", s->now), ERR_NOTFOUND);
	assert_int_equal(participant_message(a->p, 0, "anybody?", s->now), 0);
	assert_int_equal(b->n_events, 0);
	assert_int_equal(a->n_events, 1);
	actor_talk(a, 440, 0.2);
	stage_run(s, 500);
	assert_int_equal(b->n_frames, 0);
	stage_close(s);
}

TEST(the_others_are_told_of_joining_and_leaving)
{
	struct stage *s = stage_new();
	struct actor *a, *b;

	stage_open(s);
	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	assert_int_equal(a->n_events, 0);
	assert_int_equal(try_join(s, "r", "Bob", &b), 0);
	uint32_t id = participant_id(b->p);

	assert_int_equal(b->n_events, 0);
	assert_int_equal(a->n_events, 1);
	assert_int_equal(a->events[0].kind, ROOM_JOINED);
	assert_int_equal(a->events[0].id, id);
	assert_string_equal(a->events[0].name, "Bob");
	participant_leave(b->p, LEAVE_LOST, s->now);
	b->p = NULL;
	assert_int_equal(a->n_events, 2);
	assert_int_equal(a->events[1].kind, ROOM_LEFT);
	assert_int_equal(a->events[1].id, id);
	assert_int_equal(a->events[1].reason, LEAVE_LOST);
	actor_leave(a);
	assert_int_equal(rooms_stats(s->rooms)->rooms, 0);
	assert_int_equal(rooms_stats(s->rooms)->leaves, 2);
	stage_close(s);
}

TEST(messages_reach_all_or_one)
{
	struct stage *s = stage_new();
	char longest[MESSAGE_MAX + 2];
	struct actor *a, *b, *c;

	stage_open(s);
	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	assert_int_equal(try_join(s, "r", "Bob", &b), 0);
	assert_int_equal(try_join(s, "r", "Cem", &c), 0);
	a->n_events = b->n_events = c->n_events = 0;
	assert_int_equal(participant_message(a->p, 0, "hello", s->now), 0);
	assert_int_equal(a->n_events, 1);
	assert_int_equal(b->n_events, 1);
	assert_int_equal(c->n_events, 1);
	assert_string_equal(c->events[0].text, "hello");
	assert_int_equal(c->events[0].id, participant_id(a->p));
	assert_int_equal(participant_message(a->p, participant_id(b->p), "psst", s->now), 0);
	assert_int_equal(a->n_events, 2);
	assert_int_equal(b->n_events, 2);
	assert_int_equal(c->n_events, 1);
	assert_int_equal(b->events[1].to, participant_id(b->p));
	assert_int_equal(participant_message(a->p, participant_id(a->p), "me", s->now), 0);
	assert_int_equal(a->n_events, 3);
	assert_int_equal(participant_message(a->p, 4711, "x", s->now), ERR_NOTFOUND);
	assert_int_equal(participant_message(a->p, 0, "", s->now), ERR_RANGE);
	assert_int_equal(participant_message(a->p, 0, "\xff", s->now), ERR_RANGE);
	memset(longest, 'x', sizeof longest);
	longest[MESSAGE_MAX + 1] = 0;
	assert_int_equal(participant_message(a->p, 0, longest, s->now), ERR_RANGE);
	longest[MESSAGE_MAX] = 0;
	assert_int_equal(participant_message(a->p, 0, longest, s->now), 0);
	stage_close(s);
}

TEST(the_text_of_a_room_is_bounded_for_all_its_listeners_together)
{
	struct stage *s = stage_new();
	struct actor *a, *b;
	int passed = 0;

	s->opts.room_text_bytes_per_s = 10000;
	stage_open(s);
	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	assert_int_equal(try_join(s, "r", "Bob", &b), 0);
	b->n_events = 0;
	for (int i = 0; i < 200; i++)
		passed += participant_message(i % 2 ? a->p : b->p, 0, "12345678901234567890", s->now) == 0;
	assert_int_equal(passed, 100); /* 2 x 10000 bytes of 2 x (20 + 80) */
	assert_int_equal(b->n_events, 100);
	assert_int_equal(participant_message(a->p, participant_id(b->p), "psst", s->now), ERR_LIMIT);
	assert_int_equal(rooms_stats(s->rooms)->text_limited, 101);
	assert_int_equal(participant_message(a->p, 0, "later", s->now + nsec_from_ms(500)), 0);
	stage_close(s);
}

TEST(a_message_passes_however_many_listen)
{
	struct stage *s = stage_new();
	char longest[MESSAGE_MAX + 1] = "";
	struct actor *a, *b;

	s->opts.room_text_bytes_per_s = 1000;
	stage_open(s);
	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	assert_int_equal(try_join(s, "r", "Bob", &b), 0);
	memset(longest, 'x', MESSAGE_MAX);
	assert_int_equal(participant_message(a->p, 0, longest, s->now), 0);
	stage_close(s);
}

TEST(an_event_has_one_serial_number_for_its_whole_audience)
{
	struct stage *s = stage_with_bridge("echo");
	struct actor *a, *b, *c;

	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	assert_int_equal(try_join(s, "r", "Bob", &b), 0);
	assert_int_equal(try_join(s, "r", "Cem", &c), 0);
	uint64_t joined = actor_last(a, ROOM_JOINED)->serial;

	assert_true(joined != 0 && joined == actor_last(b, ROOM_JOINED)->serial);
	participant_mute(b->p, true, s->now);
	uint64_t muted = actor_last(a, ROOM_MUTED)->serial;

	assert_true(muted != 0 && muted != joined);
	assert_int_equal(actor_last(b, ROOM_MUTED)->serial, muted);
	assert_int_equal(actor_last(c, ROOM_MUTED)->serial, muted);
	assert_int_equal(participant_message(a->p, 0, "all", s->now), 0);
	assert_int_equal(actor_last(a, ROOM_MESSAGE)->serial, actor_last(c, ROOM_MESSAGE)->serial);
	assert_true(actor_last(c, ROOM_MESSAGE)->serial > muted);
	/* a message to one is not everybody's */
	assert_int_equal(participant_message(a->p, participant_id(b->p), "one", s->now), 0);
	assert_int_equal(actor_last(a, ROOM_MESSAGE)->serial, 0);
	assert_int_equal(actor_last(b, ROOM_MESSAGE)->serial, 0);
	stage_close(s);
}

static void count_member(void *ctx, const struct room_member *m)
{
	unsigned *counts = ctx;

	counts[m->bridge]++;
	assert_true(m->id != 0 && m->name[0]);
}

TEST(the_bridge_is_a_member)
{
	struct stage *s = stage_with_bridge("echo");
	unsigned counts[2] = {0};
	struct actor *a;

	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	assert_int_equal(try_join(s, "r", "Bob", NULL), 0);
	participant_each_member(a->p, count_member, counts);
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 1);
	assert_int_equal(rooms_stats(s->rooms)->bridges, 1);
	stage_close(s);
}

TEST(faults_are_counted_and_survived)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum frame_fault fault;
	} cases[] = {
		{"", 0, FRAME_SHORT}, {"\xa0", 1, FRAME_SHORT}, {"\xa0\x00", 2, FRAME_EMPTY}, {"\x01\x00zz", 4, FRAME_BAD_RATE},
		{"\xa0\x00zzz", 5, FRAME_ODD}, {"\x01\x80zz", 4, FRAME_UNSUPPORTED},
	};
	struct stage *s = stage_new();
	struct participant_stats st;
	struct actor *a;

	stage_open(s);
	assert_int_equal(try_join(s, "r", "", &a), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(participant_audio(a->p, (const uint8_t *)cases[i].bytes, cases[i].len, s->now), cases[i].fault);
	participant_stats(a->p, &st);
	assert_int_equal(st.faults[FRAME_SHORT], 2);
	assert_int_equal(st.faults[FRAME_EMPTY], 1);
	assert_int_equal(st.faults[FRAME_BAD_RATE], 1);
	assert_int_equal(st.faults[FRAME_ODD], 1);
	assert_int_equal(st.faults[FRAME_UNSUPPORTED], 1);
	assert_int_equal(st.frames_in, 1);
	assert_int_equal(rooms_stats(s->rooms)->faults[FRAME_SHORT], 2);
	stage_run(s, 500);
	stage_close(s);
}

/* A sink that answers every message with another one and mutes itself, as sinks may. */
static void answer(void *user, const struct room_event *ev, nsec now)
{
	struct actor *a = user;

	stage_event(user, ev, now);
	if (ev->kind != ROOM_MESSAGE || ev->member.id == participant_id(a->p))
		return;
	assert_int_equal(participant_message(a->p, ev->member.id, "you said it", now), 0);
	participant_mute(a->p, true, now);
}

TEST(a_sink_may_send_from_inside)
{
	static const struct listener_sink sink = {.packet_max = stage_packet_max, .packet = stage_packet, .event = answer};
	struct stage *s = stage_new();
	struct actor *a, *b = &s->actors[1];

	stage_open(s);
	assert_int_equal(try_join(s, "r", "Ann", &a), 0);
	struct participant_opts o = {.room = "r", .name = "Bob", .hears.rate_hz = 16000};

	s->n_actors++;
	b->stage = s;
	b->out_rate_hz = 16000;
	assert_int_equal(rooms_join(s->rooms, &o, &sink, b, s->now, &b->p), 0);
	assert_int_equal(participant_message(a->p, 0, "hello", s->now), 0);
	assert_string_equal(actor_last(a, ROOM_MESSAGE)->text, "you said it");
	assert_true(actor_last(a, ROOM_MUTED)->muted);
	stage_close(s);
}

TEST(bad_options_are_refused)
{
	struct stage *s = stage_new();

	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "nonsense");
	assert_int_equal(rooms_new(&s->opts, &s->log, &s->rooms), ERR_NOTFOUND);
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "mine");
	snprintf(s->bridges[0].name, BRIDGE_NAME_MAX, "mine");
	s->opts.n_bridges = 1;
	assert_int_equal(rooms_new(&s->opts, &s->log, &s->rooms), 0);
	rooms_free(s->rooms);
	s->rooms = NULL;
	s->rules[0].rate_hz = 44100;
	assert_int_equal(rooms_new(&s->opts, &s->log, &s->rooms), ERR_RANGE);
	s->rules[0].rate_hz = 16000;
	s->opts.frame_ms = 15;
	assert_int_equal(rooms_new(&s->opts, &s->log, &s->rooms), ERR_RANGE);
	s->opts.frame_ms = 20;
	s->opts.min_delay_ms = s->opts.max_delay_ms;
	assert_int_equal(rooms_new(&s->opts, &s->log, &s->rooms), ERR_RANGE);
	rooms_free(NULL);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_checked),
		cmocka_unit_test(patterns_match),
		cmocka_unit_test(names_of_rooms_are_trimmed_and_checked),
		cmocka_unit_test(names_of_people_are_cut_or_made_up),
		cmocka_unit_test(the_first_rule_that_matches_makes_the_room),
		cmocka_unit_test(rooms_and_people_are_bounded),
		cmocka_unit_test(a_bad_output_rate_leaves_nothing_behind),
		cmocka_unit_test(private_rooms_are_apart),
		cmocka_unit_test(the_others_are_told_of_joining_and_leaving),
		cmocka_unit_test(messages_reach_all_or_one),
		cmocka_unit_test(the_text_of_a_room_is_bounded_for_all_its_listeners_together),
		cmocka_unit_test(a_message_passes_however_many_listen),
		cmocka_unit_test(an_event_has_one_serial_number_for_its_whole_audience),
		cmocka_unit_test(the_bridge_is_a_member),
		cmocka_unit_test(faults_are_counted_and_survived),
		cmocka_unit_test(a_sink_may_send_from_inside),
		cmocka_unit_test(bad_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
