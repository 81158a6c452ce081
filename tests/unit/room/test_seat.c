/* SPDX-License-Identifier: MIT */
/* The bridge's seat, with a driver that does what the test says. */
#include "unit/room/stage.h"

#include "audio/pcm.h"
#include "audio/tone.h"

/* A puppet: the test pulls its strings through the struct that its options are in. */
struct puppet {
	struct bridge_opts opts;
	/* strings */
	bool fail_open, fail_in_open, wants;
	uint32_t pause_ms;        /* asked for, before it fails */
	const char *fail_next;    /* in the next tick */
	size_t say;               /* samples to say in the next tick */
	uint64_t item;
	bool flush_next;
	bool babble;              /* a tone, tick by tick */
	/* what it was given */
	const struct bridge_sink *sink;
	void *sink_ctx;
	bool open;
	unsigned n_opens, n_closes, n_ticks;
	int last_err;
	struct tone tone;
	struct bridge_input input;
	struct bridge_event events[64];
	char texts[64][32];
	size_t n_events;
};

static struct puppet *puppet_of(const struct bridge_opts *o)
{
	return (struct puppet *)(uintptr_t)((const char *)o - offsetof(struct puppet, opts));
}

static int puppet_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct puppet *p = puppet_of(opts);

	(void)frame_samples, (void)log, (void)now;
	p->n_opens++;
	p->sink = sink;
	p->sink_ctx = sink_ctx;
	if (p->pause_ms)
		sink->pause(sink_ctx, p->pause_ms);
	if (p->fail_open)
		return ERR_IO;
	p->open = true;
	tone_init(&p->tone, 440, rate_hz, 0.3f);
	*self = p;
	if (p->fail_in_open)
		sink->failed(sink_ctx, "stillborn");
	return 0;
}

static int puppet_say(struct puppet *p, uint64_t item, size_t n)
{
	float *x = malloc(n * sizeof *x);
	int16_t *pcm = malloc(n * sizeof *pcm);

	tone_run(&p->tone, x, n);
	pcm_to_i16(pcm, x, n);
	int err = p->sink->audio(p->sink_ctx, item, pcm, n);

	free(pcm);
	free(x);
	return err;
}

static bool puppet_audio(void *self, const struct bridge_input *in, nsec now)
{
	struct puppet *p = self;

	(void)now;
	assert_true(p->open);
	p->n_ticks++;
	p->input = *in;
	if (p->say)
		p->last_err = puppet_say(p, p->item, p->say);
	p->say = 0;
	if (p->babble)
		p->last_err = puppet_say(p, p->item, in->n);
	if (p->flush_next)
		p->sink->flush(p->sink_ctx);
	p->flush_next = false;
	if (p->fail_next)
		p->sink->failed(p->sink_ctx, p->fail_next);
	p->fail_next = NULL;
	return p->wants;
}

static void puppet_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct puppet *p = self;

	(void)now;
	assert_true(p->n_events < 64);
	snprintf(p->texts[p->n_events], 32, "%s|%s", ev->name, ev->text);
	p->events[p->n_events++] = *ev;
}

static void puppet_close(void *self)
{
	struct puppet *p = self;

	assert_true(p->open);
	p->open = false;
	p->n_closes++;
}

static const struct bridge_ops puppet_ops = {.type = "puppet", .open = puppet_open, .audio = puppet_audio, .event = puppet_event,
	.close = puppet_close};

/* One whose worker is not connected yet when it is open. */
static const struct bridge_ops slow_ops = {.type = "puppet", .open = puppet_open, .audio = puppet_audio, .event = puppet_event,
	.close = puppet_close, .tells_up = true};

static struct stage *puppet_stage(struct puppet *p)
{
	struct stage *s = stage_new();
	const struct bridge_ops *ops = p->opts.ops ? p->opts.ops : &puppet_ops;

	bridge_opts_default(&p->opts);
	snprintf(p->opts.name, BRIDGE_NAME_MAX, "puppet");
	p->opts.ops = ops;
	p->opts.barge_in = BARGE_IN_OFF; /* test_barge.c */
	s->opts.bridges = &p->opts;
	s->opts.n_bridges = 1;
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "puppet");
	stage_open(s);
	return s;
}

static const struct bridge_event *last_event(const struct puppet *p, enum bridge_event_kind kind)
{
	for (size_t i = p->n_events; i-- > 0;)
		if (p->events[i].kind == kind)
			return &p->events[i];
	return NULL;
}

TEST(it_opens_with_the_first_and_closes_with_the_last)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a, *b;

	a = stage_join(s, "all");
	b = stage_join(s, "all");
	assert_int_equal(p.n_opens, 1);
	actor_leave(a);
	assert_int_equal(p.n_closes, 0);
	actor_leave(b);
	assert_int_equal(p.n_closes, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridges, 0);
	stage_join(s, "all");
	assert_int_equal(p.n_opens, 2);
	stage_close(s);
}

TEST(the_driver_is_told_what_happens)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a, *b;

	a = stage_join(s, "all");
	b = stage_join(s, "all");
	assert_int_equal(p.n_events, 2);
	assert_int_equal(p.events[0].kind, BRIDGE_JOINED);
	assert_int_equal(p.events[1].participant, participant_id(b->p));
	assert_int_equal(participant_message(a->p, 0, "hello", s->now), 0);
	assert_int_equal(last_event(&p, BRIDGE_MESSAGE)->participant, participant_id(a->p));
	assert_non_null(strstr(p.texts[2], "|hello"));
	actor_talk(a, 440, 0.2);
	stage_run(s, 200);
	assert_true(last_event(&p, BRIDGE_SPEAKING)->speaking);
	assert_int_equal(p.input.talkers, 1);
	assert_true(p.input.speech);
	assert_near(p.input.level_dbfs, sig_db(0.2) - 3, 0.3);
	a->talks = false;
	stage_run(s, 1000);
	assert_false(last_event(&p, BRIDGE_SPEAKING)->speaking);
	actor_leave(b);
	assert_non_null(last_event(&p, BRIDGE_LEFT));
	stage_close(s);
}

/* It keeps the room awake; a new talker is heard as early as in a room that was asleep. */
TEST(a_quiet_room_with_a_bridge_aligns_its_ticks_with_a_new_talker)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");

	stage_run(s, 33); /* a new one is quiet, too */
	for (int i = 0; i < 13; i++) {
		unsigned ticks = p.n_ticks;

		b->n_frames = 0;
		actor_talk(a, 440, 0.2);
		nsec first = a->next_send, start = s->now;

		stage_run(s, 200);
		a->talks = false;
		assert_in_range(b->frame_at[0] - first, nsec_from_ms(6), nsec_from_ms(11));
		for (size_t k = 1; k < b->n_frames; k++)
			assert_int_equal(b->frame_at[k] - b->frame_at[0], k * nsec_from_ms(20));
		stage_run(s, 1001 + 13 * (uint32_t)i);
		assert_in_range(p.n_ticks - ticks, (s->now - start) / nsec_from_ms(20) - 1, (s->now - start) / nsec_from_ms(20) + 2);
	}
	stage_close(s);
}

TEST(it_hears_people_and_not_itself)
{
	struct puppet p = {.babble = true, .item = 1, .wants = true};
	struct stage *s = puppet_stage(&p);

	stage_join(s, "all");
	stage_run(s, 500);
	assert_near(p.input.level_dbfs, -100, 0.1);
	assert_int_equal(p.input.talkers, 0);
	assert_true(s->actors[0].n_frames >= 24);
	stage_close(s);
}

TEST(its_messages_and_transcripts_reach_all)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");

	p.sink->message(p.sink_ctx, "I am a puppet");
	assert_string_equal(actor_last(a, ROOM_MESSAGE)->text, "I am a puppet");
	assert_string_equal(actor_last(b, ROOM_MESSAGE)->name, "puppet");
	p.sink->transcript(p.sink_ctx, participant_id(b->p), "what Bob said", true);
	assert_int_equal(actor_last(a, ROOM_TRANSCRIPT)->id, participant_id(b->p));
	assert_true(actor_last(a, ROOM_TRANSCRIPT)->final);
	p.sink->transcript(p.sink_ctx, 0, "what I said", false);
	assert_string_equal(actor_last(a, ROOM_TRANSCRIPT)->name, "puppet");
	size_t n = a->n_events;

	p.sink->transcript(p.sink_ctx, 4711, "what somebody said who left", true);
	assert_int_equal(a->n_events, n);
	/* a message to the bridge alone */
	uint32_t id = actor_last(a, ROOM_MESSAGE)->id;

	assert_int_equal(participant_message(a->p, id, "psst", s->now), 0);
	assert_int_equal(last_event(&p, BRIDGE_MESSAGE)->participant, participant_id(a->p));
	assert_int_equal(b->n_events, 3);
	stage_close(s);
}

TEST(its_text_is_bounded)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");
	char text[1001] = "";
	size_t n = a->n_events;

	memset(text, 'x', 1000);
	for (int i = 0; i < 100; i++) {
		p.sink->message(p.sink_ctx, text);
		p.sink->transcript(p.sink_ctx, 0, text, false);
	}
	assert_int_equal(a->n_events - n, 60); /* 65536 bytes of 1000 + 80 */
	assert_int_equal(rooms_stats(s->rooms)->bridge_text_limited, 140);
	stage_close(s);
}

TEST(a_failed_open_never_fails_a_join)
{
	struct puppet p = {.fail_open = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	assert_int_equal(a->n_events, 0);
	assert_true(rooms_deadline(s->rooms) <= s->now); /* to tell of it */
	stage_run(s, 0);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 1);
	assert_false(actor_last(a, ROOM_BRIDGE)->up);
	assert_int_equal(rooms_stats(s->rooms)->bridge_failures, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridge_restarts, 0);
	p.fail_open = false;
	stage_run(s, 99);
	assert_int_equal(p.n_opens, 1);
	stage_run(s, 26);
	assert_int_equal(p.n_opens, 2);
	assert_true(actor_last(a, ROOM_BRIDGE)->up);
	assert_int_equal(last_event(&p, BRIDGE_JOINED)->participant, participant_id(a->p));
	assert_int_equal(rooms_stats(s->rooms)->bridges, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	assert_int_equal(rooms_stats(s->rooms)->bridge_restarts, 1);
	stage_close(s);
	assert_int_equal(p.n_closes, 1);
}

TEST(dropped_input_is_counted)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);

	stage_join(s, "all");
	for (int i = 0; i < 100; i++)
		p.sink->dropped(p.sink_ctx, 8);
	assert_int_equal(rooms_stats(s->rooms)->bridge_input_dropped_ms, 50);
	stage_close(s);
}

/* What was said while nobody could hear it waits, and counts as heard from there on. */
TEST(the_first_words_wait_for_the_first_who_hears_them)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");

	a->outside = b->outside = true;
	assert_int_equal(puppet_say(&p, 1, 16000), 0);
	stage_run(s, 400);
	assert_int_equal(a->n_frames, 0);
	assert_int_equal(p.input.waiting_ms, 1000);
	b->outside = false;
	stage_run(s, 500);
	assert_in_range(p.input.waiting_ms, 480, 540);
	p.sink->flush(p.sink_ctx);
	stage_run(s, 20);
	assert_in_range(last_event(&p, BRIDGE_INTERRUPTED)->heard_ms, 460, 520);
	/* later everybody else is somebody who came late */
	b->outside = true;
	a->n_frames = 0;
	assert_int_equal(puppet_say(&p, 2, 16000), 0);
	stage_run(s, 500);
	assert_true(a->n_frames >= 24);
	stage_close(s);
}

TEST(the_first_words_do_not_wait_for_ever)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	a->outside = true;
	p.opts.hold_ms = 300;
	assert_int_equal(puppet_say(&p, 1, 16000), 0);
	stage_run(s, 300);
	assert_in_range(a->n_frames, 0, 1);
	stage_run(s, 200);
	assert_in_range(a->n_frames, 9, 11);
	stage_close(s);
}

/* Until it is tried again; returns how long that took. */
static uint32_t next_try(struct stage *s, const struct puppet *p)
{
	unsigned before = p->n_opens;
	uint32_t ms = 0;

	while (p->n_opens == before) {
		assert_true(ms <= 30000);
		stage_run(s, 1);
		ms++;
	}
	return ms;
}

TEST(the_pause_doubles_to_half_a_minute)
{
	static const uint32_t pause_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 24000, 24000, 24000};
	struct puppet p = {.fail_open = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	stage_run(s, 0);
	for (size_t i = 0; i < sizeof pause_ms / sizeof *pause_ms; i++)
		assert_in_range(next_try(s, &p), pause_ms[i], pause_ms[i] * 5 / 4 + 1); /* a little more, by chance */
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 1); /* nothing new in all that time */
	p.fail_open = false;
	next_try(s, &p);
	assert_true(p.open);
	assert_true(actor_last(a, ROOM_BRIDGE)->up);
	/* failing soon goes on with the long pause, failing after ten seconds begins anew */
	p.sink->failed(p.sink_ctx, "soon");
	assert_true(rooms_deadline(s->rooms) <= s->now);
	assert_in_range(next_try(s, &p), 24000, 30001);
	assert_true(p.open);
	stage_run(s, 10000);
	p.sink->failed(p.sink_ctx, "late");
	assert_in_range(next_try(s, &p), 100, 127);
	assert_true(p.open);
	assert_string_equal(actor_last(a, ROOM_BRIDGE)->text, "");
	assert_int_equal(p.n_closes, 2);
	stage_close(s);
}

TEST(rooms_that_failed_together_do_not_come_back_together)
{
	struct puppet p = {.fail_open = true};
	struct stage *s = puppet_stage(&p);
	unsigned most = 0;
	char name[12];

	for (int i = 0; i < 32; i++) {
		snprintf(name, sizeof name, "%d", i);
		stage_join(s, name);
	}
	stage_run(s, 3000);
	for (int ms = 0; ms < 4000; ms++) {
		unsigned before = p.n_opens;

		stage_run(s, 1);
		most = p.n_opens - before > most ? p.n_opens - before : most;
	}
	assert_in_range(most, 1, 8);
	stage_close(s);
}

TEST(the_driver_may_ask_for_a_longer_pause)
{
	struct puppet p = {.fail_open = true, .pause_ms = 20000};
	struct stage *s = puppet_stage(&p);

	stage_join(s, "all");
	stage_run(s, 19999);
	assert_int_equal(p.n_opens, 1);
	p.pause_ms = 0;
	stage_run(s, 2);
	assert_int_equal(p.n_opens, 2);
	assert_in_range(next_try(s, &p), 200, 251); /* it asked once */
	stage_close(s);
}

/* An open driver may have no worker yet. */
TEST(a_slow_driver_is_connected_when_it_says_so)
{
	struct puppet p = {.opts = {.ops = &slow_ops}};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	p.sink->up(p.sink_ctx);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 0); /* nobody thought otherwise */
	for (int i = 0; i < 5; i++) {
		p.sink->failed(p.sink_ctx, "nobody home");
		next_try(s, &p);
		assert_int_equal(rooms_stats(s->rooms)->bridges_down, 1);
	}
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 1);
	p.sink->failed(p.sink_ctx, "something else");
	next_try(s, &p);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 2);
	assert_string_equal(actor_last(a, ROOM_BRIDGE)->text, "something else");
	assert_false(actor_last(a, ROOM_BRIDGE)->up);
	p.sink->up(p.sink_ctx);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 3);
	assert_true(actor_last(a, ROOM_BRIDGE)->up);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	assert_int_equal(rooms_stats(s->rooms)->bridge_failures, 6);
	assert_int_equal(rooms_stats(s->rooms)->bridge_restarts, 6);
	stage_close(s);
}

/* A goodbye is no failure: it is not called back into a call that it has ended. */
TEST(a_worker_that_left_rests_until_somebody_joins)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	p.sink->left(p.sink_ctx, "it hung up");
	stage_run(s, 1);
	assert_int_equal(p.n_closes, 1);
	assert_false(actor_last(a, ROOM_BRIDGE)->up);
	assert_string_equal(actor_last(a, ROOM_BRIDGE)->text, "it hung up");
	assert_true(actor_last(a, ROOM_BRIDGE)->left);
	stage_run(s, 3600000);
	assert_int_equal(p.n_opens, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridge_failures, 0);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	struct actor *b = stage_join(s, "all");

	stage_run(s, 1);
	assert_int_equal(p.n_opens, 2);
	assert_int_equal(p.n_events, 3); /* both are there for it */
	assert_true(actor_last(a, ROOM_BRIDGE)->up);
	assert_false(actor_last(a, ROOM_BRIDGE)->left);
	assert_true(actor_last(b, ROOM_BRIDGE)->up);
	assert_int_equal(rooms_stats(s->rooms)->bridge_restarts, 0);
	stage_join(s, "all");
	stage_run(s, 1);
	assert_int_equal(p.n_opens, 2);
	stage_close(s);
}

TEST(a_worker_that_left_is_there_for_the_next_call)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	p.sink->left(p.sink_ctx, "it hung up");
	stage_run(s, 1000);
	actor_leave(a);
	a = stage_join(s, "all");
	assert_int_equal(p.n_opens, 2);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 0);
	/* and a crash of that one is a crash */
	p.sink->failed(p.sink_ctx, "broken");
	assert_in_range(next_try(s, &p), 100, 127);
	assert_int_equal(rooms_stats(s->rooms)->bridge_failures, 1);
	stage_close(s);
}

/* A goodbye comes faster than it is played. */
TEST(speech_before_leaving_is_heard_to_its_end)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	assert_int_equal(puppet_say(&p, 1, 16000), 0);
	p.sink->left(p.sink_ctx, "it hung up");
	stage_run(s, 2000);
	assert_in_range(a->n_frames, 50, 51); /* and the end of a fade */
	/* what the next one says is another utterance, though it has the same number */
	stage_join(s, "all");
	stage_run(s, 1);
	assert_int_equal(puppet_say(&p, 1, 8000), 0);
	stage_run(s, 200);
	p.sink->flush(p.sink_ctx);
	stage_run(s, 20);
	assert_in_range(last_event(&p, BRIDGE_INTERRUPTED)->heard_ms, 160, 220);
	stage_close(s);
}

static void find_bridge(void *ctx, const struct room_member *m)
{
	if (m->bridge)
		*(struct room_member *)ctx = *m;
}

TEST(newcomers_see_that_the_bridge_is_down)
{
	struct puppet p = {.opts = {.ops = &slow_ops}};
	struct stage *s = puppet_stage(&p);
	struct room_member m = {.down = "?"};

	stage_join(s, "all");
	participant_each_member(stage_join(s, "all")->p, find_bridge, &m);
	assert_null(m.down);
	p.sink->failed(p.sink_ctx, "nobody home");
	stage_run(s, 1);
	participant_each_member(stage_join(s, "all")->p, find_bridge, &m);
	assert_string_equal(m.down, "nobody home");
	next_try(s, &p);
	participant_each_member(stage_join(s, "all")->p, find_bridge, &m);
	assert_string_equal(m.down, "nobody home");
	p.sink->up(p.sink_ctx);
	participant_each_member(stage_join(s, "all")->p, find_bridge, &m);
	assert_null(m.down);
	stage_close(s);
}

/* Also while it is called again because of them. */
TEST(newcomers_see_that_the_worker_has_left)
{
	struct puppet p = {.opts = {.ops = &slow_ops}};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");
	struct room_member m = {0};

	p.sink->left(p.sink_ctx, "it hung up");
	stage_run(s, 1);
	struct actor *b = stage_join(s, "all");

	stage_run(s, 1);
	assert_int_equal(p.n_opens, 2);
	participant_each_member(b->p, find_bridge, &m);
	assert_string_equal(m.down, "it hung up");
	assert_true(m.left);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 1);
	p.sink->failed(p.sink_ctx, "it hung up"); /* and this is no goodbye */
	stage_run(s, 1);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 2);
	assert_false(actor_last(a, ROOM_BRIDGE)->left);
	participant_each_member(b->p, find_bridge, &m);
	assert_false(m.left);
	stage_close(s);
}

TEST(a_driver_that_fails_while_it_opens_is_closed)
{
	struct puppet p = {.fail_in_open = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	stage_run(s, 50);
	assert_int_equal(p.n_closes, 1);
	assert_string_equal(actor_last(a, ROOM_BRIDGE)->text, "stillborn");
	stage_close(s);
}

TEST(people_hear_one_another_while_it_fails)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");

	actor_talk(a, 440, 0.3);
	stage_run(s, 1000);
	actor_forget_heard(b);
	for (int i = 0; i < 10; i++) {
		p.fail_next = "again";
		stage_run(s, 500);
	}
	assert_int_equal(b->n_frames, 250);
	static const double hz[] = {440};

	assert_above(sig_snr(b->heard, b->n_heard, 16000, hz, 1, NULL, NULL), 80);
	assert_true(actor_count(b, ROOM_BRIDGE) >= 6);
	stage_close(s);
}

TEST(people_may_leave_while_it_is_down)
{
	struct puppet p = {.fail_open = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");

	actor_leave(a);
	stage_run(s, 150);
	actor_leave(b);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	a = stage_join(s, "all");
	actor_leave(a); /* before anybody could tell */
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	stage_close(s);
	assert_int_equal(p.n_closes, 0);
}

TEST(speech_sent_early_is_played_in_real_time)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");
	static const double hz[] = {440};

	p.wants = true;
	stage_run(s, 100);
	p.wants = false; /* what waits keeps the room awake */
	p.item = 7;
	p.say = 5 * 16000;
	stage_run(s, 2500);
	assert_int_equal(p.last_err, 0);
	assert_int_equal(p.input.utterance, 7);
	assert_near(p.input.waiting_ms, 2500, 45);
	stage_run(s, 3500);
	assert_int_equal(p.input.utterance, 0);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	assert_in_range(a->n_heard, 5 * 16000, 5 * 16000 + 320);
	assert_above(sig_snr(a->heard + 1600, 4 * 16000, 16000, hz, 1, NULL, NULL), 80);
	/* both its ends are soft */
	memset(a->heard + a->n_heard, 0, 1000 * sizeof(float));
	assert_below(sig_db(sig_click(a->heard, a->n_heard + 1000, 16000, 2500, NULL)), -50);
	assert_int_equal(actor_count(a, ROOM_SPEAKING), 2);
	stage_close(s);
}

TEST(the_backlog_is_bounded)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);

	p.opts.backlog_ms = 60000;
	stage_join(s, "all");
	assert_int_equal(puppet_say(&p, 1, 16000 * 60), 0);
	assert_int_equal(puppet_say(&p, 1, 1), ERR_LIMIT);
	stage_run(s, 1000);
	assert_int_equal(puppet_say(&p, 1, 16000 - 640), 0);
	assert_int_equal(puppet_say(&p, 1, 16000), ERR_LIMIT);
	assert_int_equal(rooms_stats(s->rooms)->bridge_dropped_ms, 1000);
	stage_close(s);
}

TEST(the_number_of_waiting_utterances_is_bounded)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);

	stage_join(s, "all");
	for (uint64_t i = 1; i <= 32; i++)
		assert_int_equal(puppet_say(&p, i, 160), 0);
	assert_int_equal(puppet_say(&p, 33, 160), ERR_LIMIT);
	assert_int_equal(puppet_say(&p, 32, 160), 0);
	stage_run(s, 100);
	assert_int_equal(puppet_say(&p, 33, 160), 0);
	stage_close(s);
}

TEST(a_flush_fades_and_reports_what_was_heard)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	p.item = 3;
	p.say = 16000 * 2;
	stage_run(s, 500);
	p.item = 4;
	p.say = 16000 * 8;
	stage_run(s, 2500);
	assert_int_equal(p.input.utterance, 4);
	size_t before = a->n_frames;

	p.flush_next = true;
	stage_run(s, 500);
	assert_in_range(a->n_frames - before, 1, 2);
	const struct bridge_event *ev = last_event(&p, BRIDGE_INTERRUPTED);

	assert_non_null(ev);
	assert_int_equal(ev->utterance, 4);
	assert_near(ev->heard_ms, 1000, 25);
	assert_int_equal(p.input.waiting_ms, 0);
	memset(a->heard + a->n_heard, 0, 1000 * sizeof(float));
	assert_below(sig_db(sig_click(a->heard, a->n_heard + 1000, 16000, 2500, NULL)), -50);
	/* with nothing to flush there is nothing to report */
	size_t n = p.n_events;

	p.flush_next = true;
	stage_run(s, 100);
	assert_int_equal(p.n_events, n);
	/* and the next utterance is played from its start */
	actor_forget_heard(a);
	p.item = 5;
	p.say = 16000;
	stage_run(s, 1500);
	assert_in_range(a->n_heard, 16000, 16320);
	stage_close(s);
}

TEST(a_failure_in_the_middle_of_a_word_fades)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	p.item = 1;
	p.say = 16000 * 5;
	stage_run(s, 1000);
	p.fail_next = "power cut";
	p.wants = false;
	stage_run(s, 1000);
	assert_in_range(a->n_frames, 49, 52);
	memset(a->heard + a->n_heard, 0, 1000 * sizeof(float));
	assert_below(sig_db(sig_click(a->heard, a->n_heard + 1000, 16000, 2500, NULL)), -50);
	assert_true(p.open);
	stage_close(s);
}

/* Speech from a callback of the loop, without a clock, wakes a room that sleeps. */
TEST(speech_from_a_loop_callback_wakes_the_room)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	stage_run(s, 100);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_run(s, 5000);
	assert_int_equal(puppet_say(&p, 1, 16000), 0);
	assert_true(rooms_deadline(s->rooms) != NSEC_NONE);
	uint64_t late = rooms_stats(s->rooms)->late_bucket[9], skipped = rooms_stats(s->rooms)->ticks_skipped;

	stage_run(s, 1500);
	assert_in_range(a->n_frames, 50, 51);
	assert_int_equal(rooms_stats(s->rooms)->late_bucket[9], late);
	assert_int_equal(rooms_stats(s->rooms)->ticks_skipped, skipped);
	stage_close(s);
}

/* A worker that delivers late and in lumps: gaps, but no clicks. */
TEST(a_worker_that_stutters_does_not_click)
{
	struct puppet p = {.wants = true, .item = 1};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");
	uint32_t seed = 3;

	for (int i = 0; i < 60; i++) {
		p.say = 300 + (size_t)((1 + (double)sig_noise(&seed)) * 600);
		stage_run(s, 60);
	}
	double click = sig_click(a->heard, a->n_heard, 16000, 2500, NULL);

	print_message("stuttering: click %.1f dB\n", sig_db(click));
	assert_below(sig_db(click), -50);
	stage_close(s);
}

/* ---- modes ---- */

static void count_member(void *ctx, const struct room_member *m)
{
	struct room_member *found = ctx;

	if (m->bridge)
		*found = *m;
}

/* It still hears; when it may speak again, the next utterance is played from its beginning. */
TEST(listening_mode_silences_it_within_a_tick)
{
	struct puppet p = {.say = 16000 * 5, .item = 1, .wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
	struct room_member m;

	actor_talk(b, 1000, 0.1);
	stage_run(s, 1000);
	size_t before = a->n_heard;

	assert_int_equal(participant_bridge(a->p, BRIDGE_LISTENING, s->now), 0);
	assert_int_equal(last_event(&p, BRIDGE_INTERRUPTED)->utterance, 1);
	assert_near(last_event(&p, BRIDGE_INTERRUPTED)->heard_ms, 1000, 25);
	p.babble = true; /* it ignores modes and goes on */
	assert_int_equal(last_event(&p, BRIDGE_MODE)->mode, BRIDGE_LISTENING);
	assert_int_equal(last_event(&p, BRIDGE_MODE)->participant, participant_id(a->p));
	assert_int_equal(actor_last(b, ROOM_BRIDGE)->mode, BRIDGE_LISTENING);
	assert_int_equal(actor_last(b, ROOM_BRIDGE)->by, participant_id(a->p));
	assert_true(actor_last(b, ROOM_BRIDGE)->up);
	assert_int_equal(actor_count(a, ROOM_FLUSH), 1);
	participant_each_member(a->p, count_member, &m);
	assert_true(m.muted && m.mode == BRIDGE_LISTENING);
	stage_run(s, 1000);
	assert_int_equal(p.last_err, 0); /* it may say what it likes */
	size_t tick = 320;

	assert_true(a->n_heard >= before + 45 * tick);
	assert_below(sig_db(sig_level(a->heard + before + 2 * tick, 40 * tick, 16000, 440)), -80);
	assert_near(sig_db(sig_level(a->heard + before + 2 * tick, 40 * tick, 16000, 1000)), -20, 0.3);
	memset(a->heard + a->n_heard, 0, 100 * sizeof(float));
	assert_true(p.input.speech && p.input.talkers == 1); /* it still hears */
	assert_near(p.input.level_dbfs, -23, 0.3);

	assert_int_equal(participant_bridge(b->p, BRIDGE_ACTIVE, s->now), 0);
	stage_run(s, 400); /* the rest of an utterance that began while it was silenced */
	assert_below(actor_level_db(a, 440, 300), -80);
	p.item = 2;
	stage_run(s, 400);
	assert_near(actor_level_db(a, 440, 300), sig_db(0.3), 0.3);
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 2);
	assert_int_equal(participant_bridge(b->p, BRIDGE_ACTIVE, s->now), 0); /* no change is not reported */
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 2);
	stage_close(s);
}

TEST(muted_mode_withholds_its_input_too)
{
	struct puppet p = {.wants = true, .item = 1};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	actor_talk(a, 440, 0.2);
	stage_run(s, 500);
	assert_true(last_event(&p, BRIDGE_SPEAKING)->speaking);
	assert_int_equal(participant_bridge(a->p, BRIDGE_MUTED, s->now), 0);
	assert_false(last_event(&p, BRIDGE_SPEAKING)->speaking);
	stage_run(s, 100);
	assert_near(p.input.level_dbfs, -100, 0.1);
	assert_int_equal(p.input.talkers, 0);
	assert_false(p.input.speech);
	/* nor is it told what they write and when they speak; what it says is dropped */
	size_t n = p.n_events;

	assert_int_equal(participant_message(a->p, 0, "between us", s->now), 0);
	assert_int_equal(p.n_events, n);
	p.sink->message(p.sink_ctx, "but I");
	assert_string_equal(actor_last(a, ROOM_MESSAGE)->text, "between us");
	p.sink->transcript(p.sink_ctx, 0, "I say", true);
	assert_int_equal(actor_count(a, ROOM_TRANSCRIPT), 0);
	a->talks = false;
	stage_run(s, 1000);
	actor_talk(a, 440, 0.2);
	stage_run(s, 500);
	assert_false(last_event(&p, BRIDGE_SPEAKING)->speaking);
	assert_int_equal(participant_bridge(a->p, BRIDGE_ACTIVE, s->now), 0);
	assert_true(last_event(&p, BRIDGE_SPEAKING)->speaking);
	stage_run(s, 100);
	assert_near(p.input.level_dbfs, sig_db(0.2) - 3, 0.3);
	stage_close(s);
}

/* Of its own speech: the driver may still say how far it came. */
TEST(one_final_transcript_follows_an_interruption)
{
	struct puppet p = {.wants = true, .item = 1, .say = 16000};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	stage_run(s, 200);
	assert_int_equal(participant_bridge(a->p, BRIDGE_LISTENING, s->now), 0);
	p.sink->transcript(p.sink_ctx, participant_id(a->p), "what I said", true);
	p.sink->transcript(p.sink_ctx, 0, "what it", true);
	p.sink->transcript(p.sink_ctx, 0, "what more it", true);
	assert_int_equal(actor_count(a, ROOM_TRANSCRIPT), 2);
	assert_string_equal(actor_last(a, ROOM_TRANSCRIPT)->text, "what it");
	stage_close(s);
}

TEST(a_mode_outlives_failures_and_ends_with_the_room)
{
	struct puppet p = {0};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");

	p.sink->failed(p.sink_ctx, "once");
	stage_run(s, 10);
	assert_false(p.open);
	assert_int_equal(participant_bridge(a->p, BRIDGE_MUTED, s->now), 0);
	assert_false(actor_last(a, ROOM_BRIDGE)->up);
	assert_int_equal(actor_last(a, ROOM_BRIDGE)->mode, BRIDGE_MUTED);
	stage_run(s, 200);
	assert_true(p.open);
	assert_int_equal(last_event(&p, BRIDGE_MODE)->mode, BRIDGE_MUTED);
	actor_leave(a);
	p.n_events = 0;
	a = stage_join(s, "all");
	stage_run(s, 100);
	assert_null(last_event(&p, BRIDGE_MODE));
	stage_close(s);
}

TEST(where_there_is_no_bridge_there_is_no_mode)
{
	struct stage *s = stage_new();

	stage_open(s);
	struct actor *a = stage_join(s, "all");

	assert_int_equal(participant_bridge(a->p, BRIDGE_MUTED, s->now), ERR_NOTFOUND);
	stage_close(s);
}

/* ---- input ---- */

TEST(a_muted_person_is_not_heard_by_the_bridge)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");

	actor_talk(a, 440, 0.2);
	stage_run(s, 500);
	assert_int_equal(p.input.talkers, 1);
	participant_mute(a->p, true, s->now);
	assert_false(last_event(&p, BRIDGE_SPEAKING)->speaking);
	assert_int_equal(last_event(&p, BRIDGE_SPEAKING)->participant, participant_id(a->p));
	stage_run(s, 40);
	size_t n = p.n_events;

	for (int i = 0; i < 50; i++) {
		stage_run(s, 20);
		assert_int_equal(p.input.talkers, 0);
		assert_near(p.input.level_dbfs, -100, 0.1);
		assert_false(p.input.speech);
	}
	assert_int_equal(p.n_events, n);
	actor_talk(b, 700, 0.2);
	stage_run(s, 500);
	assert_int_equal(p.input.talkers, 1);
	participant_mute(a->p, false, s->now);
	stage_run(s, 500);
	assert_int_equal(p.input.talkers, 2);
	stage_close(s);
}

/* A single talker passes through the room unchanged, sample for sample, after the fade-in. */
TEST(a_single_talker_reaches_it_at_unity_gain)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all");
	static const double hz[] = {440};
	static float heard[16000];
	size_t n = 0;

	for (int db = 0; db >= -60; db -= 20) {
		double amplitude = pow(10, db / 20.0);

		actor_talk(a, 440, amplitude);
		stage_run(s, 500);
		for (n = 0; n < 16000; n += 320) {
			stage_run(s, 20);
			assert_int_equal(p.input.n, 320);
			memcpy(heard + n, p.input.pcm, 320 * sizeof *heard);
		}
		assert_near(sig_db(sig_level(heard, n, 16000, 440)), db, 0.02);
		assert_above(sig_snr(heard, n, 16000, hz, 1, NULL, NULL), db + 92);
	}
	stage_close(s);
}

/* Changes of speaker are reported in their order, in the tick in which they are detected. */
TEST(changes_of_speaker_come_at_once_and_in_order)
{
	struct puppet p = {.wants = true};
	struct stage *s = puppet_stage(&p);
	struct actor *a = stage_join(s, "all"), *b = stage_join(s, "all");
	uint32_t ids[] = {participant_id(a->p), participant_id(b->p)};

	stage_run(s, 100);
	p.n_events = 0;
	for (int i = 0; i < 6; i++) {
		struct actor *who = i % 2 ? b : a;

		actor_talk(who, 440, 0.2);
		stage_run(s, 150);
		assert_true(last_event(&p, BRIDGE_SPEAKING)->speaking);
		assert_int_equal(last_event(&p, BRIDGE_SPEAKING)->participant, ids[i % 2]);
		assert_int_equal(actor_last(a, ROOM_SPEAKING)->id, ids[i % 2]); /* as everybody is told */
		who->talks = false;
		stage_run(s, 1000);
		assert_false(last_event(&p, BRIDGE_SPEAKING)->speaking);
	}
	assert_int_equal(p.n_events, 12);
	for (size_t i = 0; i < 12; i++) {
		assert_int_equal(p.events[i].participant, ids[i / 2 % 2]);
		assert_int_equal(p.events[i].speaking, i % 2 == 0);
		assert_true(p.texts[i][0] != '|'); /* it has a name */
	}
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_with_the_first_and_closes_with_the_last),
		cmocka_unit_test(the_driver_is_told_what_happens),
		cmocka_unit_test(a_quiet_room_with_a_bridge_aligns_its_ticks_with_a_new_talker),
		cmocka_unit_test(it_hears_people_and_not_itself),
		cmocka_unit_test(its_messages_and_transcripts_reach_all),
		cmocka_unit_test(its_text_is_bounded),
		cmocka_unit_test(a_failed_open_never_fails_a_join),
		cmocka_unit_test(dropped_input_is_counted),
		cmocka_unit_test(the_pause_doubles_to_half_a_minute),
		cmocka_unit_test(rooms_that_failed_together_do_not_come_back_together),
		cmocka_unit_test(the_driver_may_ask_for_a_longer_pause),
		cmocka_unit_test(a_slow_driver_is_connected_when_it_says_so),
		cmocka_unit_test(the_first_words_wait_for_the_first_who_hears_them),
		cmocka_unit_test(the_first_words_do_not_wait_for_ever),
		cmocka_unit_test(a_worker_that_left_rests_until_somebody_joins),
		cmocka_unit_test(a_worker_that_left_is_there_for_the_next_call),
		cmocka_unit_test(speech_before_leaving_is_heard_to_its_end),
		cmocka_unit_test(newcomers_see_that_the_bridge_is_down),
		cmocka_unit_test(newcomers_see_that_the_worker_has_left),
		cmocka_unit_test(a_driver_that_fails_while_it_opens_is_closed),
		cmocka_unit_test(people_hear_one_another_while_it_fails),
		cmocka_unit_test(people_may_leave_while_it_is_down),
		cmocka_unit_test(speech_sent_early_is_played_in_real_time),
		cmocka_unit_test(the_backlog_is_bounded),
		cmocka_unit_test(the_number_of_waiting_utterances_is_bounded),
		cmocka_unit_test(a_flush_fades_and_reports_what_was_heard),
		cmocka_unit_test(a_failure_in_the_middle_of_a_word_fades),
		cmocka_unit_test(speech_from_a_loop_callback_wakes_the_room),
		cmocka_unit_test(a_worker_that_stutters_does_not_click),
		cmocka_unit_test(listening_mode_silences_it_within_a_tick),
		cmocka_unit_test(muted_mode_withholds_its_input_too),
		cmocka_unit_test(one_final_transcript_follows_an_interruption),
		cmocka_unit_test(a_mode_outlives_failures_and_ends_with_the_room),
		cmocka_unit_test(where_there_is_no_bridge_there_is_no_mode),
		cmocka_unit_test(a_muted_person_is_not_heard_by_the_bridge),
		cmocka_unit_test(a_single_talker_reaches_it_at_unity_gain),
		cmocka_unit_test(changes_of_speaker_come_at_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
