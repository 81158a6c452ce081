/* SPDX-License-Identifier: MIT */
/* Somebody talks over the bridge: turned down, taken back, or let be. */
#include "unit/room/stage.h"

#include "audio/pcm.h"
#include "audio/tone.h"
#include "room/barge.h"

enum { TICK = 320 };

/* A driver that says what it is told to, in a tone of 440 Hz. */
struct mouth {
	struct bridge_opts opts;
	size_t say;          /* samples, in the next tick */
	bool babbles;        /* a tick of speech in each tick */
	bool flush;
	uint32_t underway_ms; /* in the last tick */
	uint64_t item;
	const struct bridge_sink *sink;
	void *sink_ctx;
	struct tone tone;
	int last_err;
	unsigned n_interrupted;
	struct bridge_event interrupted;
};

static int mouth_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	struct mouth *m = (struct mouth *)(uintptr_t)opts; /* its options are the first member */

	(void)frame_samples, (void)log, (void)now;
	m->sink = sink;
	m->sink_ctx = sink_ctx;
	tone_init(&m->tone, 440, rate_hz, 0.3f);
	*self = m;
	return 0;
}

static bool mouth_audio(void *self, const struct bridge_input *in, nsec now)
{
	struct mouth *m = self;
	size_t n = m->babbles ? in->n : m->say;
	float *x = malloc((n + 1) * sizeof *x);
	int16_t *pcm = malloc((n + 1) * sizeof *pcm);

	(void)now;
	tone_run(&m->tone, x, n);
	pcm_to_i16(pcm, x, n);
	if (n)
		m->last_err = m->sink->audio(m->sink_ctx, m->item, pcm, n);
	m->say = 0;
	m->underway_ms = in->underway_ms;
	if (m->flush)
		m->sink->flush(m->sink_ctx);
	m->flush = false;
	free(pcm);
	free(x);
	return true;
}

static void mouth_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct mouth *m = self;

	(void)now;
	if (ev->kind != BRIDGE_INTERRUPTED)
		return;
	m->n_interrupted++;
	m->interrupted = *ev;
}

static void mouth_close(void *self)
{
	(void)self;
}

static const struct bridge_ops mouth_ops = {.type = "mouth", .open = mouth_open, .audio = mouth_audio, .event = mouth_event,
	.close = mouth_close};

/* Two people, one of whom may talk (`t`); the bridge has eight seconds to say and is in the middle of them. */
struct scene {
	struct mouth m;
	struct stage *s;
	struct actor *t, *l;
	size_t begun; /* samples that `t` had heard when it began to talk */
};

static void scene_open_as(struct scene *c, enum barge_in policy, enum packet_kind packets, uint32_t rate_hz)
{
	memset(c, 0, sizeof *c);
	c->s = stage_new();
	bridge_opts_default(&c->m.opts);
	snprintf(c->m.opts.name, BRIDGE_NAME_MAX, "mouth");
	c->m.opts.ops = &mouth_ops;
	c->m.opts.barge_in = policy;
	c->s->opts.bridges = &c->m.opts;
	c->s->opts.n_bridges = 1;
	snprintf(c->s->rules[0].bridge, BRIDGE_NAME_MAX, "mouth");
	stage_open(c->s);
	c->t = stage_join_as(c->s, "r", rate_hz, packets);
	c->l = stage_join_as(c->s, "r", rate_hz, packets);
	c->m.item = 1;
	c->m.say = 8 * 16000;
	stage_run(c->s, 1000);
}

static void scene_open(struct scene *c, enum barge_in policy)
{
	scene_open_as(c, policy, PACKET_LEGACY, 16000);
}

static void talk(struct scene *c)
{
	c->begun = c->t->n_heard;
	actor_talk(c->t, 1000, 0.2);
}

/* The level of the bridge's tone that `a` hears, in a tick counted from the moment that `t` began, against full level. */
static double tick_db(const struct actor *a, size_t begun, size_t tick)
{
	assert_true(a->n_heard >= begun + (tick + 1) * TICK);
	return sig_db(sig_level(a->heard + begun + tick * TICK, TICK, 16000, 440) / 0.3);
}

/* How many ticks until the tone that the talker hears is below `db`. */
static size_t ticks_to(const struct scene *c, double db)
{
	size_t t = 0;

	while ((t + 1) * TICK + c->begun <= c->t->n_heard && tick_db(c->t, c->begun, t) > db)
		t++;
	return t;
}

/* Without the beginning and the end of the speech itself. */
static double click_db(const struct actor *a)
{
	size_t n = a->n_heard < 127000 ? a->n_heard : 127000;

	return sig_db(sig_click(a->heard + 400, n - 400, 16000, 2500, NULL) / 0.3);
}

/* ---- cases ---- */

TEST(talking_over_the_bridge_ducks_it_at_once)
{
	struct scene c;

	scene_open(&c, BARGE_IN_WORKER);
	talk(&c);
	stage_run(c.s, 1000);
	/* the first frame is mixed one or two ticks after it was sent; the fade takes one tick */
	size_t t = ticks_to(&c, -11.5);

	print_message("down after %zu ticks, then %.2f dB, click %.1f dB\n", t, tick_db(c.t, c.begun, 20), click_db(c.t));
	assert_in_range(t, 1, 3);
	assert_near(tick_db(c.t, c.begun - TICK, 0), 0, 0.1);
	for (; t < 45; t++)
		assert_near(tick_db(c.t, c.begun, t), -12, 0.2);
	assert_below(click_db(c.t), -50);
	assert_int_equal(c.m.n_interrupted, 0);
	assert_int_equal(rooms_stats(c.s->rooms)->talked_over, 1);
	/* the driver says when */
	c.m.flush = true;
	stage_run(c.s, 200);
	assert_int_equal(c.m.n_interrupted, 1);
	assert_int_equal(actor_count(c.l, ROOM_FLUSH), 1);
	stage_close(c.s);
}

/* A cough: full level again, and every sample of the eight seconds was played, once. */
TEST(after_a_cough_nothing_is_lost_or_repeated)
{
	struct scene c;

	scene_open(&c, BARGE_IN_AUTO);
	assert_int_equal(barge_policy(&mouth_ops, &c.m.opts), BARGE_IN_CONFIRM);
	talk(&c);
	stage_run(c.s, 150);
	c.t->talks = false;
	stage_run(c.s, 1000);
	size_t down = ticks_to(&c, -11.5), up = down;

	while (tick_db(c.t, c.begun, up) < -0.1)
		up++;
	print_message("cough: down after %zu ticks, up after %zu\n", down, up);
	assert_in_range(down, 1, 3);
	assert_in_range(up, 25, 45);
	stage_run(c.s, 7000);
	assert_int_equal(c.m.n_interrupted, 0);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 0);
	assert_int_equal(rooms_stats(c.s->rooms)->flushes, 0);
	/* 8 s and the tick after the end; and the tone went on without a seam: what is left of it without its phase */
	assert_in_range(c.t->n_heard, 8 * 16000, 8 * 16000 + 2 * TICK);
	size_t last = 7 * 16000;
	double re[2] = {0}, im[2] = {0};

	for (size_t i = 0; i < 8000; i++) {
		double w = 2 * M_PI * 440 * (double)i / 16000;

		re[0] += (double)c.t->heard[2000 + i] * cos(w);
		im[0] += (double)c.t->heard[2000 + i] * sin(w);
		re[1] += (double)c.t->heard[last + i] * cos(w);
		im[1] += (double)c.t->heard[last + i] * sin(w);
	}
	double turn = 2 * M_PI * fmod(440.0 * (double)(last - 2000) / 16000, 1);
	double seam = fmod(atan2(im[0], re[0]) - atan2(im[1], re[1]) - turn + 5 * M_PI, 2 * M_PI) - M_PI;

	assert_near(seam, 0, 0.01); /* 0.06 samples */
	assert_below(click_db(c.t), -50);
	stage_close(c.s);
}

TEST(a_confirmed_interruption_flushes_its_speech_for_everybody)
{
	struct scene c;

	scene_open(&c, BARGE_IN_CONFIRM);
	nsec began = c.s->now;

	talk(&c);
	stage_run(c.s, 1000);
	const struct stage_event *ev = actor_last(c.l, ROOM_FLUSH);

	assert_non_null(ev);
	assert_int_equal(actor_count(c.l, ROOM_FLUSH), 1);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 1);
	double after_ms = (double)(ev->at - began) * 1e-6;
	size_t silent = (c.t->n_heard - c.begun) / TICK;

	print_message("confirmed after %.0f ms, nothing was heard from tick %zu on, %u ms of utterance %lu were\n", after_ms, silent,
		c.m.interrupted.heard_ms, (unsigned long)c.m.interrupted.utterance);
	assert_near(after_ms, 250 + 20 + 3, 21);
	assert_near((double)silent * 20, after_ms, 41); /* the tick of the flush, with its fade */
	assert_int_equal(c.m.n_interrupted, 1);
	assert_int_equal(c.m.interrupted.utterance, 1);
	assert_near(c.m.interrupted.heard_ms, 1000 + after_ms, 41);
	assert_int_equal(c.t->epoch, 1);
	memset(c.t->heard + c.t->n_heard, 0, 1000 * sizeof(float));
	c.t->n_heard += 1000;
	assert_below(click_db(c.t), -50);
	/* what it says next begins in the new epoch, at full level after a pause */
	c.t->talks = false;
	stage_run(c.s, 1000);
	c.m.item = 2;
	c.m.say = 16000;
	actor_forget_heard(c.l);
	stage_run(c.s, 1500);
	assert_in_range(c.l->n_heard, 16000, 16000 + 2 * TICK);
	assert_near(tick_db(c.l, 0, 10), 0, 0.1);
	assert_int_equal(c.l->epoch, 1);
	stage_close(c.s);
}

TEST(an_immediate_interruption_silences_it_within_a_tick)
{
	struct scene c;

	scene_open(&c, BARGE_IN_IMMEDIATE);
	talk(&c);
	stage_run(c.s, 500);
	size_t ticks = (c.t->n_heard - c.begun) / TICK;

	print_message("immediate: nothing from tick %zu on\n", ticks);
	assert_in_range(ticks, 1, 3); /* until the frame is mixed; and the tick that fades */
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 1);
	assert_near(c.m.interrupted.heard_ms, 1000 + 20, 25);
	stage_close(c.s);
}

TEST(without_barge_in_nothing_changes)
{
	struct scene c;

	scene_open(&c, BARGE_IN_OFF);
	talk(&c);
	stage_run(c.s, 1000);
	for (size_t t = 0; t < 45; t++)
		assert_near(tick_db(c.t, c.begun, t), 0, 0.1);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH) + c.m.n_interrupted, 0);
	assert_int_equal(rooms_stats(c.s->rooms)->talked_over, 0);
	stage_close(c.s);
}

/* The client plays 300 ms behind, and reports that. */
TEST(heard_ms_follows_the_reports_of_the_person_who_interrupts)
{
	struct scene c;

	scene_open(&c, BARGE_IN_IMMEDIATE);
	participant_played(c.t->p, 0, c.t->n_heard - 4800);
	participant_played(c.t->p, 1, 0);           /* not yet */
	participant_played(c.t->p, 0, UINT64_MAX);  /* more than there was */
	participant_played(c.l->p, 0, 0);           /* somebody else's */
	talk(&c);
	stage_run(c.s, 500);
	assert_near(c.m.interrupted.heard_ms, 1000 + 20 - 300, 25);
	/* the utterance is shorter than the delay: nothing of it was heard */
	c.t->talks = false;
	stage_run(c.s, 1000);
	c.m.item = 2;
	c.m.say = 16000;
	stage_run(c.s, 200);
	talk(&c);
	stage_run(c.s, 500);
	assert_int_equal(c.m.n_interrupted, 2);
	assert_int_equal(c.m.interrupted.utterance, 2);
	assert_int_equal(c.m.interrupted.heard_ms, 0);
	stage_close(c.s);
}

/* Its client has played all that it received but the last `behind_ms`. Returns how many milliseconds of this epoch that is. */
static uint32_t report(const struct actor *a, uint32_t behind_ms)
{
	size_t n = a->n_heard - a->n_older, behind = (size_t)a->out_rate_hz * behind_ms / 1000;

	n = n > behind ? n - behind : 0;
	participant_played(a->p, a->epoch, n);
	return (uint32_t)(n * 1000 / a->out_rate_hz);
}

enum decider { THE_ROOM, THE_DRIVER_IN_A_TICK, THE_DRIVER_BETWEEN_TICKS, A_PERSON };

static void end_speech(struct scene *c, enum decider d)
{
	switch (d) {
	case THE_ROOM: /* as soon as it hears somebody */
		stage_run(c->s, 60);
		break;
	case THE_DRIVER_IN_A_TICK:
		c->m.flush = true;
		stage_run(c->s, 40);
		break;
	case THE_DRIVER_BETWEEN_TICKS:
		c->m.sink->flush(c->m.sink_ctx);
		stage_run(c->s, 20);
		break;
	case A_PERSON:
		assert_int_equal(participant_bridge(c->t->p, BRIDGE_LISTENING, c->s->now), 0);
		break;
	}
}

/* In every mode, however the listener is sent its frames. */
TEST(heard_is_what_the_ear_has_heard_by_whomever_it_is_ended)
{
	static const uint32_t rates[] = {16000, 48000};

	for (int d = THE_ROOM; d <= A_PERSON; d++) {
		for (int i = 0; i < 8; i++) {
			uint32_t behind_ms = i & 1 ? 180 : 0, rate_hz = rates[i >> 1 & 1];
			enum packet_kind packets = i & 4 ? PACKET_V1 : PACKET_LEGACY;
			struct scene c;

			scene_open_as(&c, d == THE_ROOM ? BARGE_IN_IMMEDIATE : BARGE_IN_WORKER, packets, rate_hz);
			report(c.l, 400);
			talk(&c);
			if (d != THE_ROOM)
				stage_run(c.s, 300);
			nsec at = c.s->now;
			uint32_t played_ms = behind_ms ? report(c.t, behind_ms) : (uint32_t)(c.t->n_heard * 1000 / rate_hz);

			end_speech(&c, (enum decider)d);
			assert_int_equal(actor_count(c.t, ROOM_FLUSH), 1);
			assert_int_equal(c.m.n_interrupted, 1);
			assert_int_equal(c.m.interrupted.utterance, 1);
			double since_ms = ((double)actor_last(c.t, ROOM_FLUSH)->at - (double)at) * 1e-6;

			assert_near(c.m.interrupted.heard_ms, played_ms + since_ms, 40);
			c.m.sink->flush(c.m.sink_ctx); /* ended once is ended */
			stage_run(c.s, 200);
			assert_int_equal(actor_count(c.t, ROOM_FLUSH), 1);
			assert_int_equal(c.m.n_interrupted, 1);
			stage_close(c.s);
		}
	}
}

/* A worker in real time never has a backlog, and the end of every answer is mixed before it is heard. */
TEST(speech_that_was_mixed_and_not_heard_can_be_ended)
{
	struct scene c;

	scene_open(&c, BARGE_IN_WORKER);
	stage_run(c.s, 7100); /* the eight seconds are over */
	c.m.babbles = true;
	c.m.item = 2;
	stage_run(c.s, 400);
	c.m.babbles = false;
	stage_run(c.s, 60);
	uint32_t played_ms = report(c.t, 180);

	stage_run(c.s, 40);
	assert_near(c.m.underway_ms, 100, 21);
	talk(&c);
	c.m.flush = true;
	stage_run(c.s, 60);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 1);
	assert_int_equal(c.m.interrupted.utterance, 2);
	assert_near(c.m.interrupted.heard_ms, played_ms + 40 + 20 - 8000, 40);
	assert_int_equal(c.m.underway_ms, 0);
	/* and what was heard to its end cannot */
	c.m.item = 3;
	c.m.say = 1600;
	stage_run(c.s, 100 + 180 + 60);
	assert_int_equal(c.m.underway_ms, 0);
	c.m.flush = true;
	stage_run(c.s, 100);
	assert_int_equal(c.m.n_interrupted, 1);
	stage_close(c.s);
}

/* ... and the others hear at other times. */
TEST(of_several_talkers_the_one_who_began_decides_how_much_was_heard)
{
	for (int first = 0; first < 2; first++) {
		struct scene c;

		scene_open(&c, BARGE_IN_WORKER);
		struct actor *a = first ? c.l : c.t, *b = first ? c.t : c.l;

		actor_talk(b, 1300, 0.1); /* began, and stopped again */
		stage_run(c.s, 300);
		b->talks = false;
		stage_run(c.s, 700);
		actor_talk(a, 1000, 0.05);
		stage_run(c.s, 200);
		actor_talk(b, 1300, 0.3); /* louder */
		stage_run(c.s, 200);
		uint32_t before_ms = 2400;

		report(a, 300);
		report(b, 60);
		c.m.flush = true;
		stage_run(c.s, 40);
		assert_near(c.m.interrupted.heard_ms, before_ms - 300 + 20, 40);
		stage_close(c.s);
	}
}

/* A silent room: of the two the one who spoke last, and before anybody has spoken the one who is furthest behind. */
TEST(where_nobody_talks_the_last_one_who_did_decides)
{
	for (int spoken = 0; spoken < 2; spoken++) {
		struct scene c;

		scene_open(&c, BARGE_IN_WORKER);
		if (spoken) {
			actor_talk(c.l, 1000, 0.1);
			stage_run(c.s, 300);
			c.l->talks = false;
			stage_run(c.s, 700);
		}
		report(c.t, 300);
		report(c.l, 100);
		c.m.flush = true;
		stage_run(c.s, 40);
		assert_near(c.m.interrupted.heard_ms, (spoken ? 2000 - 100 : 1000 - 300) + 20, 40);
		stage_close(c.s);
	}
}

/* A worker far away goes on for a while: it does not know yet. */
TEST(the_rest_of_an_interrupted_utterance_is_dropped)
{
	struct scene c;

	scene_open(&c, BARGE_IN_IMMEDIATE);
	c.m.babbles = true;
	talk(&c);
	stage_run(c.s, 300);
	actor_forget_heard(c.t);
	stage_run(c.s, 2000);
	assert_int_equal(c.m.last_err, 0);
	assert_int_equal(c.t->n_heard, 0);
	/* another utterance is played at once */
	c.m.item = 2;
	stage_run(c.s, 200);
	assert_in_range(c.t->n_heard, 9 * TICK, 11 * TICK);
	/* and one that never ends goes on after a pause */
	c.t->talks = false;
	stage_run(c.s, 1000);
	talk(&c);
	stage_run(c.s, 200);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 2);
	c.t->talks = false;
	actor_forget_heard(c.t);
	stage_run(c.s, 1000);
	assert_in_range(c.t->n_heard, 30 * TICK, 45 * TICK);
	stage_close(c.s);
}

/* Until the talker pauses, what the bridge answers is ducked and not flushed again. */
TEST(one_talker_interrupts_once_until_they_pause)
{
	struct scene c;

	scene_open(&c, BARGE_IN_IMMEDIATE);
	talk(&c);
	stage_run(c.s, 300);
	c.m.item = 2;
	c.m.say = 2 * 16000;
	stage_run(c.s, 1000);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 1);
	assert_near(tick_db(c.t, c.t->n_heard - TICK, 0), -12, 0.2);
	c.t->talks = false;
	stage_run(c.s, 900);
	assert_near(tick_db(c.t, c.t->n_heard - TICK, 0), 0, 0.1);
	talk(&c);
	stage_run(c.s, 100);
	assert_int_equal(actor_count(c.t, ROOM_FLUSH), 2);
	stage_close(c.s);
}

TEST(a_tone_that_may_be_interrupted_waits_for_a_pause)
{
	struct stage *s = stage_new();

	snprintf(s->bridges[0].name, BRIDGE_NAME_MAX, "whistle");
	snprintf(s->bridges[0].type, BRIDGE_NAME_MAX, "tone");
	s->bridges[0].barge_in = BARGE_IN_IMMEDIATE;
	s->opts.n_bridges = 1;
	snprintf(s->rules[0].bridge, BRIDGE_NAME_MAX, "whistle");
	stage_open(s);
	struct actor *a = stage_join(s, "r");

	for (unsigned round = 1; round <= 3; round++) {
		stage_run(s, 1000);
		actor_talk(a, 1000, 0.2);
		stage_run(s, 200);
		assert_int_equal(actor_count(a, ROOM_FLUSH), round);
		actor_forget_heard(a);
		stage_run(s, 500);
		assert_int_equal(a->n_heard, 0);
		a->talks = false;
		stage_run(s, 1500);
		assert_in_range(a->n_heard, 16000 * 0.5, 16000 * 1.2);
	}
	stage_close(s);
}

/* They wrap, too. */
TEST(each_session_counts_its_own_epochs)
{
	struct scene c;

	scene_open(&c, BARGE_IN_OFF);
	for (unsigned i = 1; i <= 260; i++) {
		c.m.flush = true;
		c.m.item++;
		c.m.say = 3200;
		stage_run(c.s, 20);
		c.t->n_events = c.l->n_events = 0;
	}
	assert_int_equal(c.t->epoch, 260 & 255);
	struct actor *late = stage_join(c.s, "r");

	c.m.item++;
	c.m.say = 16000;
	stage_run(c.s, 200);
	assert_int_equal(late->epoch, 0);
	c.m.flush = true;
	stage_run(c.s, 100);
	assert_int_equal(late->epoch, 1);
	assert_int_equal(c.t->epoch, 261 & 255);
	stage_close(c.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talking_over_the_bridge_ducks_it_at_once),
		cmocka_unit_test(after_a_cough_nothing_is_lost_or_repeated),
		cmocka_unit_test(a_confirmed_interruption_flushes_its_speech_for_everybody),
		cmocka_unit_test(an_immediate_interruption_silences_it_within_a_tick),
		cmocka_unit_test(without_barge_in_nothing_changes),
		cmocka_unit_test(heard_ms_follows_the_reports_of_the_person_who_interrupts),
		cmocka_unit_test(heard_is_what_the_ear_has_heard_by_whomever_it_is_ended),
		cmocka_unit_test(speech_that_was_mixed_and_not_heard_can_be_ended),
		cmocka_unit_test(of_several_talkers_the_one_who_began_decides_how_much_was_heard),
		cmocka_unit_test(where_nobody_talks_the_last_one_who_did_decides),
		cmocka_unit_test(the_rest_of_an_interrupted_utterance_is_dropped),
		cmocka_unit_test(one_talker_interrupts_once_until_they_pause),
		cmocka_unit_test(a_tone_that_may_be_interrupted_waits_for_a_pause),
		cmocka_unit_test(each_session_counts_its_own_epochs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
