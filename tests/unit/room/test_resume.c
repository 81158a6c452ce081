/* SPDX-License-Identifier: MIT */
/* A driver that outlives its worker: it stays open after a failure, learns what happens, and is told when to try again. */
#include "unit/room/stage.h"

struct survivor {
	struct bridge_opts opts;
	bool fail_at_once;        /* in open and in each attempt */
	uint32_t pause_ms;        /* asked for with that */
	const struct bridge_sink *sink;
	void *sink_ctx;
	unsigned n_opens, n_closes, n_resumes, n_ticks;
	size_t n_events[BRIDGE_MODE + 1]; /* by kind */
};

static void lose_worker(struct survivor *d, const char *why)
{
	if (d->pause_ms)
		d->sink->pause(d->sink_ctx, d->pause_ms);
	d->sink->failed(d->sink_ctx, why);
}

static int survivor_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct survivor *d = (struct survivor *)(uintptr_t)((const char *)opts - offsetof(struct survivor, opts));

	(void)rate_hz, (void)frame_samples, (void)log, (void)now;
	d->n_opens++;
	d->sink = sink;
	d->sink_ctx = sink_ctx;
	*self = d;
	if (d->fail_at_once)
		lose_worker(d, "nobody home");
	return 0;
}

static bool survivor_audio(void *self, const struct bridge_input *h, nsec now)
{
	(void)h, (void)now;
	((struct survivor *)self)->n_ticks++;
	return true;
}

static void survivor_event(void *self, const struct bridge_event *ev, nsec now)
{
	(void)now;
	((struct survivor *)self)->n_events[ev->kind]++;
}

static void survivor_resume(void *self, nsec now)
{
	struct survivor *d = self;

	(void)now;
	d->n_resumes++;
	if (d->fail_at_once)
		lose_worker(d, "nobody home");
}

static void survivor_close(void *self)
{
	((struct survivor *)self)->n_closes++;
}

static const struct bridge_ops survivor_ops = {.type = "survivor", .open = survivor_open, .audio = survivor_audio,
	.event = survivor_event, .close = survivor_close, .resume = survivor_resume, .tells_up = true};

static struct stage *survivor_stage(struct survivor *d)
{
	struct stage *s = stage_new();

	bridge_opts_default(&d->opts);
	snprintf(d->opts.name, BRIDGE_NAME_MAX, "survivor");
	d->opts.ops = &survivor_ops;
	s->opts.bridges = &d->opts;
	s->opts.n_bridges = 1;
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "survivor");
	stage_open(s);
	return s;
}

TEST(it_is_resumed_and_not_opened_again)
{
	struct survivor d = {0};
	struct stage *s = survivor_stage(&d);
	struct actor *a = stage_join(s, "all");

	d.sink->failed(d.sink_ctx, "gone");
	assert_int_equal(actor_count(a, ROOM_BRIDGE), 1); /* at once */
	assert_string_equal(actor_last(a, ROOM_BRIDGE)->text, "gone");
	stage_run(s, 99);
	assert_int_equal(d.n_resumes, 0);
	assert_int_equal(rooms_stats(s->rooms)->bridges, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 1);
	stage_run(s, 26);
	assert_int_equal(d.n_resumes, 1);
	assert_int_equal(d.n_opens, 1);
	assert_int_equal(d.n_closes, 0);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 1);
	d.sink->up(d.sink_ctx);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	assert_int_equal(rooms_stats(s->rooms)->bridge_failures, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridge_restarts, 1);
	stage_close(s);
	assert_int_equal(d.n_closes, 1);
}

TEST(meanwhile_it_gets_events_and_no_ticks)
{
	struct survivor d = {0};
	struct stage *s = survivor_stage(&d);
	struct actor *a = stage_join(s, "all");

	stage_run(s, 100);
	d.pause_ms = 5000;
	lose_worker(&d, "gone");
	struct actor *b = stage_join(s, "all"); /* before the room has handled the failure */
	unsigned ticks = d.n_ticks;

	assert_int_equal(d.n_events[BRIDGE_JOINED], 2);
	stage_run(s, 100);
	assert_int_equal(participant_message(a->p, 0, "hello", s->now), 0);
	assert_int_equal(d.n_events[BRIDGE_MESSAGE], 1);
	assert_int_equal(participant_bridge(a->p, BRIDGE_LISTENING, s->now), 0);
	assert_int_equal(d.n_events[BRIDGE_MODE], 1);
	actor_leave(b);
	assert_int_equal(d.n_events[BRIDGE_LEFT], 1);
	stage_run(s, 4000);
	assert_int_equal(d.n_ticks, ticks);
	stage_run(s, 1500);
	assert_true(d.n_ticks > ticks);
	assert_int_equal(d.n_events[BRIDGE_MODE], 1); /* it knows */
	stage_close(s);
}

TEST(its_backlog_is_played_to_the_end)
{
	static const int16_t pcm[8000] = {[0 ... 7999] = 3000};
	struct survivor d = {0};
	struct stage *s = survivor_stage(&d);
	struct actor *a = stage_join(s, "all");

	assert_int_equal(d.sink->audio(d.sink_ctx, 1, pcm, 8000), 0);
	stage_run(s, 100);
	d.sink->failed(d.sink_ctx, "gone");
	assert_int_equal(d.sink->audio(d.sink_ctx, 1, pcm, 8000), ERR_STATE);
	stage_run(s, 900);
	size_t loud = 0;

	for (size_t i = 0; i < a->n_heard; i++)
		loud += fabsf(a->heard[i]) > 0.08f;
	assert_in_range(loud, 7800, 8000);
	stage_close(s);
}

TEST(people_may_interrupt_what_it_still_has_to_say)
{
	static const int16_t pcm[48000] = {[0 ... 47999] = 3000};
	struct survivor d = {.pause_ms = 5000};
	struct stage *s = survivor_stage(&d);
	struct actor *a = stage_join(s, "all");

	assert_int_equal(d.sink->audio(d.sink_ctx, 1, pcm, 48000), 0);
	stage_run(s, 100);
	lose_worker(&d, "gone");
	actor_talk(a, 440, 0.3);
	stage_run(s, 1000);
	assert_int_equal(d.n_events[BRIDGE_INTERRUPTED], 1);
	assert_int_equal(d.n_resumes, 0);
	stage_close(s);
}

TEST(a_failure_while_it_opens_is_seen_by_the_first_to_join)
{
	struct survivor d = {.fail_at_once = true};
	struct stage *s = survivor_stage(&d);

	stage_join(s, "all");
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 1);
	assert_int_equal(d.n_events[BRIDGE_JOINED], 1);
	stage_run(s, 1000);
	assert_in_range(d.n_resumes, 2, 4);
	assert_int_equal(d.n_opens, 1);
	stage_close(s);
	assert_int_equal(d.n_closes, 1);
}

TEST(without_a_retry_it_stays_down_until_the_room_was_empty)
{
	struct survivor d = {.fail_at_once = true, .pause_ms = BRIDGE_NO_RETRY};
	struct stage *s = survivor_stage(&d);
	struct actor *a = stage_join(s, "all");

	stage_run(s, 100000);
	assert_int_equal(d.n_resumes, 0);
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 1);
	actor_leave(a);
	assert_int_equal(d.n_closes, 1);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	d.fail_at_once = false;
	a = stage_join(s, "all");
	assert_int_equal(d.n_opens, 2);
	assert_int_equal(rooms_stats(s->rooms)->bridges_down, 0);
	stage_close(s);
}

/* The pause doubles, whatever an attempt takes: only time with a worker counts. */
TEST(attempts_that_time_out_are_made_less_and_less_often)
{
	struct survivor d = {0};
	struct stage *s = survivor_stage(&d);

	stage_join(s, "all");
	for (unsigned i = 0; i < 4; i++) {
		stage_run(s, 11000); /* nobody answers */
		assert_int_equal(d.n_resumes, i);
		d.sink->failed(d.sink_ctx, "no answer");
		stage_run(s, i < 3 ? 1500 : 700);
	}
	assert_int_equal(d.n_resumes, 3); /* the fourth pause is 800 ms and more */
	stage_run(s, 800);
	d.sink->up(d.sink_ctx);
	stage_run(s, 11000);
	d.sink->failed(d.sink_ctx, "gone"); /* it had worked: 100 ms again */
	stage_run(s, 200);
	assert_int_equal(d.n_resumes, 5);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_resumed_and_not_opened_again),
		cmocka_unit_test(meanwhile_it_gets_events_and_no_ticks),
		cmocka_unit_test(its_backlog_is_played_to_the_end),
		cmocka_unit_test(people_may_interrupt_what_it_still_has_to_say),
		cmocka_unit_test(a_failure_while_it_opens_is_seen_by_the_first_to_join),
		cmocka_unit_test(without_a_retry_it_stays_down_until_the_room_was_empty),
		cmocka_unit_test(attempts_that_time_out_are_made_less_and_less_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
