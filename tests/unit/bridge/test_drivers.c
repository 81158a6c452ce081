/* SPDX-License-Identifier: MIT */
/* The built-in drivers by themselves, in the hands of a room that is a few arrays. */
#include "support/test.h"

#include "audio/pcm.h"
#include "audio/tone.h"
#include "base/err.h"
#include "bridge/bridge.h"
#include "bridge/openai_opts.h"
#include "bridge/parrot.h"
#include "bridge/tone.h"
#include "bridge/ws_worker.h"
#include "support/signal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, TICK = 320, MOST = RATE * 40 };

struct seat {
	const struct bridge_ops *ops;
	struct bridge_opts opts;
	struct log log;
	void *self;
	float *said;
	size_t n_said, n_played;
	uint64_t last_item;
	unsigned n_flushes;
	bool wants;
	uint32_t seed;
};

static int on_audio(void *ctx, uint64_t item, const int16_t *pcm, size_t n)
{
	struct seat *s = ctx;

	assert_true(item >= s->last_item && item > 0);
	s->last_item = item;
	assert_true(s->n_said + n <= MOST);
	pcm_from_i16(s->said + s->n_said, pcm, n);
	s->n_said += n;
	return 0;
}

static void on_flush(void *ctx)
{
	struct seat *s = ctx;

	s->n_flushes++;
	s->n_said = s->n_played;
}

static void on_text(void *ctx, const char *text)
{
	(void)ctx;
	fail_msg("%s", text);
}

static const struct bridge_sink sink = {.audio = on_audio, .flush = on_flush, .message = on_text, .failed = on_text};

/* With the options that are there, or with every default. */
static int seat_open(struct seat *s, const char *type)
{
	if (!s->opts.type[0])
		bridge_opts_default(&s->opts);
	s->ops = bridge_find(type);
	s->said = malloc(MOST * sizeof(float));
	s->seed = 9;
	return s->ops->open(&s->opts, RATE, TICK, &sink, s, &s->log, 0, &s->self);
}

static void seat_close(struct seat *s)
{
	if (s->self)
		s->ops->close(s->self);
	free(s->said);
}

/* One tick of noise (0: nobody talks). */
static void hear(struct seat *s, float level)
{
	float x[TICK];

	for (size_t i = 0; i < TICK; i++)
		x[i] = level * sig_noise(&s->seed);
	struct bridge_input h = {.pcm = x, .n = TICK, .talkers = level > 0, .speech = level > 0.01f};

	h.level_dbfs = level > 0 ? (float)sig_db(sig_rms(x, TICK)) : -100;
	h.waiting_ms = (uint32_t)((s->n_said - s->n_played) * 1000 / RATE);
	s->wants = s->ops->audio(s->self, &h, 0);
	s->n_played = s->n_said - s->n_played > TICK ? s->n_played + TICK : s->n_said;
}

static void hear_ms(struct seat *s, float level, unsigned ms)
{
	for (unsigned i = 0; i < ms / 20; i++)
		hear(s, level);
}

TEST(a_driver_is_found_by_its_type)
{
	for (size_t i = 0; bridge_at(i); i++)
		assert_ptr_equal(bridge_find(bridge_at(i)->type), bridge_at(i));
	assert_null(bridge_find("nightingale"));
	assert_null(bridge_find(""));
}

TEST(without_options_a_bridge_is_a_parrot)
{
	struct bridge_opts o;

	bridge_opts_default(&o);
	assert_string_equal(o.type, "parrot");
	assert_non_null(bridge_find(o.type));
}

TEST(the_list_of_types_names_every_driver_once_in_alphabetical_order)
{
	const char *p = bridge_types();
	char last[BRIDGE_NAME_MAX] = "", type[BRIDGE_NAME_MAX];
	size_t n = 0, drivers = 0;

	for (; *p; p += strspn(p, ", "), n++) {
		snprintf(type, sizeof type, "%.*s", (int)strcspn(p, ","), p);
		assert_non_null(bridge_find(type));
		assert_true(strcmp(last, type) < 0);
		snprintf(last, sizeof last, "%s", type);
		p += strlen(type);
	}
	while (bridge_at(drivers))
		drivers++;
	assert_int_equal(n, drivers);
}

TEST(the_options_of_every_driver_fit_and_are_found_by_key)
{
	for (size_t i = 0; bridge_at(i); i++) {
		const struct bridge_options *o = bridge_at(i)->options;

		for (size_t r = 0; o && r < o->n_rows; r++)
			assert_ptr_equal(bridge_option(bridge_at(i), o->rows[r].key), &o->rows[r]);
		assert_true(!o || (o->size > 0 && o->size <= BRIDGE_OPTIONS_MAX));
		assert_null(bridge_option(bridge_at(i), "type"));
	}
}

TEST(a_bridge_over_tls_needs_the_system_s_roots)
{
	static const struct ws_worker_opts clear = {.url = "ws://127.0.0.1/"}, secure = {.url = "wss://bot.example/"};
	static const struct openai_opts own_server = {.url = "ws://127.0.0.1/"};
	struct bridge_opts o;

	bridge_opts_default(&o);
	assert_false(bridge_needs_tls(&o));
	snprintf(o.type, sizeof o.type, "websocket");
	o.options = &clear;
	assert_false(bridge_needs_tls(&o));
	o.options = &secure;
	assert_true(bridge_needs_tls(&o));
	snprintf(o.type, sizeof o.type, "openai");
	o.options = &own_server;
	assert_false(bridge_needs_tls(&o));
	o.options = NULL; /* at the profile's own address */
	assert_true(bridge_needs_tls(&o));
}

TEST(tone_is_steady_and_of_its_level)
{
	struct seat s = {0};
	static const double hz[] = {1000};
	struct tone tone;
	float x;

	bridge_opts_default(&s.opts);
	s.opts.options = &(struct tone_opts){.hz = 1000, .dbfs = -12};
	assert_int_equal(seat_open(&s, "tone"), 0);
	hear_ms(&s, 0, 2000);
	assert_true(s.wants);
	assert_int_equal(s.n_said, 2 * RATE);
	assert_true(fabs(sig_db(sig_rms(s.said, s.n_said)) + 12) < 0.01);
	assert_true(sig_snr(s.said, s.n_said, RATE, hz, 1, NULL, NULL) > 88); /* that of its 16 bits, and to the bit: */
	tone_init(&tone, 1000, RATE, (float)(pow(10, -12.0 / 20) * sqrt(2)));
	for (size_t i = 0; i < s.n_said; i++) {
		tone_run(&tone, &x, 1);
		assert_true(s.said[i] * 32768 == rintf(x * 32768));
	}
	seat_close(&s);
}

TEST(tone_above_half_the_rate_is_refused)
{
	struct seat s = {0};

	bridge_opts_default(&s.opts);
	s.opts.options = &(struct tone_opts){.hz = 8000, .dbfs = -20};
	assert_int_equal(seat_open(&s, "tone"), ERR_RANGE);
	seat_close(&s);
}

TEST(echo_returns_the_mix_in_the_same_tick)
{
	struct seat s = {0};

	assert_int_equal(seat_open(&s, "echo"), 0);
	hear_ms(&s, 0, 100);
	assert_int_equal(s.n_said, 0);
	assert_false(s.wants);
	hear_ms(&s, 0.1f, 100);
	assert_int_equal(s.n_said, 5 * TICK);
	assert_int_equal(s.last_item, 1);
	hear_ms(&s, 0, 100);
	assert_int_equal(s.n_said, 5 * TICK);
	hear_ms(&s, 0.1f, 20);
	assert_int_equal(s.last_item, 2);
	seat_close(&s);
}

TEST(parrot_waits_for_the_pause_it_was_given)
{
	static const uint32_t pause_ms[] = {100, 300, 600, 1500};

	for (size_t i = 0; i < 4; i++) {
		struct seat s = {0};

		bridge_opts_default(&s.opts);
		s.opts.options = &(struct parrot_opts){.pause_ms = pause_ms[i], .max_ms = 15000};
		assert_int_equal(seat_open(&s, "parrot"), 0);
		hear_ms(&s, 0.2f, 1000);
		hear_ms(&s, 0, pause_ms[i] - 20);
		assert_int_equal(s.n_said, 0);
		assert_true(s.wants);
		hear_ms(&s, 0, 60);
		assert_true(s.n_said > 0);
		hear_ms(&s, 0, 2000);
		/* 200 ms of the pause are kept, no more */
		size_t tail = pause_ms[i] < 200 ? pause_ms[i] : 200;

		assert_in_range(s.n_said, (1000 + tail - 20) * 16, (1000 + tail + 20) * 16);
		assert_false(s.wants);
		seat_close(&s);
	}
}

TEST(parrot_keeps_the_soft_beginning)
{
	struct seat s = {0};

	assert_int_equal(seat_open(&s, "parrot"), 0);
	hear_ms(&s, 0.002f, 3000);
	hear_ms(&s, 0.2f, 1000);
	hear_ms(&s, 0, 3000);
	assert_in_range(s.n_said, (1000 + 200 + 200) * 16, (1000 + 200 + 320) * 16);
	seat_close(&s);
}

TEST(parrot_says_nothing_after_a_cough)
{
	struct seat s = {0};

	assert_int_equal(seat_open(&s, "parrot"), 0);
	hear_ms(&s, 0.3f, 180);
	hear_ms(&s, 0, 3000);
	assert_int_equal(s.n_said, 0);
	assert_false(s.wants);
	hear_ms(&s, 0.3f, 220);
	hear_ms(&s, 0, 3000);
	assert_true(s.n_said > 0);
	seat_close(&s);
}

TEST(parrot_stops_within_two_ticks)
{
	static const float levels[] = {0.3f, 0.02f};

	for (size_t i = 0; i < 2; i++) {
		struct seat s = {0};

		assert_int_equal(seat_open(&s, "parrot"), 0);
		hear_ms(&s, 0.001f, 1000); /* a quiet place, where soft is enough */
		hear_ms(&s, 0.2f, 3000);
		hear_ms(&s, 0, 1200);
		assert_int_equal(s.n_flushes, 0);
		hear_ms(&s, levels[i], 40); /* loud: the first tick; soft: the second */
		assert_int_equal(s.n_flushes, 1);
		size_t n = s.n_said;
		uint64_t item = s.last_item;

		hear_ms(&s, levels[i], 460);
		assert_int_equal(s.n_said, n);
		hear_ms(&s, 0, 3000);
		assert_int_equal(s.last_item, item + 1);
		assert_in_range(s.n_said - n, 650 * 16, 1050 * 16);
		seat_close(&s);
	}
}

TEST(parrot_never_repeats_more_than_its_limit)
{
	struct seat s = {0};

	bridge_opts_default(&s.opts);
	s.opts.options = &(struct parrot_opts){.pause_ms = 600, .max_ms = 2000};
	assert_int_equal(seat_open(&s, "parrot"), 0);
	for (int i = 0; i < 20; i++) {
		hear_ms(&s, 0.2f, 300);
		hear_ms(&s, 0, 200);
	}
	hear_ms(&s, 0, 5000);
	assert_in_range(s.n_said, 1500 * 16, 2000 * 16);
	seat_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_is_found_by_its_type),
		cmocka_unit_test(without_options_a_bridge_is_a_parrot),
		cmocka_unit_test(the_list_of_types_names_every_driver_once_in_alphabetical_order),
		cmocka_unit_test(the_options_of_every_driver_fit_and_are_found_by_key),
		cmocka_unit_test(a_bridge_over_tls_needs_the_system_s_roots),
		cmocka_unit_test(tone_is_steady_and_of_its_level),
		cmocka_unit_test(tone_above_half_the_rate_is_refused),
		cmocka_unit_test(echo_returns_the_mix_in_the_same_tick),
		cmocka_unit_test(parrot_waits_for_the_pause_it_was_given),
		cmocka_unit_test(parrot_keeps_the_soft_beginning),
		cmocka_unit_test(parrot_says_nothing_after_a_cough),
		cmocka_unit_test(parrot_stops_within_two_ticks),
		cmocka_unit_test(parrot_never_repeats_more_than_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
