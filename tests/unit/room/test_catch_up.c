/* SPDX-License-Identifier: MIT */
/* Speech that is late because its worker stalled, and speech that only seems to be. */
#include "support/test.h"

#include "audio/pcm.h"
#include "audio/resample.h"
#include "room/speech.h"
#include "support/signal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_HZ = 16000, SECONDS = 70 };

/* A worker, and what the room makes of its speech; time is the number of ticks. */
struct line {
	struct resample_table *table;
	struct speech speech;
	uint32_t rate_hz;
	double tone_dbfs, noise_dbfs;
	uint32_t seed;
	size_t said;      /* samples so far */
	size_t n_voiced;  /* of those, in a word */
	unsigned n_ticks;
	float *heard;
	size_t n_heard;
};

static struct line *line_new(uint32_t rate_hz, bool catches_up)
{
	struct line *l = calloc(1, sizeof *l);

	l->rate_hz = rate_hz;
	l->tone_dbfs = -20;
	l->noise_dbfs = -65;
	l->seed = 1;
	l->heard = calloc(SECONDS * ROOM_HZ, sizeof *l->heard);
	assert_int_equal(resample_table_new(&l->table), 0);
	assert_int_equal(speech_init(&l->speech, l->table, rate_hz, ROOM_HZ, 60000), 0);
	l->speech.catch_up.on = catches_up;
	return l;
}

static void line_free(struct line *l)
{
	speech_fini(&l->speech);
	resample_table_free(l->table);
	free(l->heard);
	free(l);
}

/* Words of 400 ms with 100 ms between them, six of them and then a pause of 600 ms more; the room behind the talker is never silent. */
static float next_sample(struct line *l)
{
	size_t ms = 1000 * l->said / l->rate_hz % 3600;
	bool word = ms < 3000 && ms % 500 < 400;
	double x = pow(10, l->noise_dbfs / 20) * (double)sig_noise(&l->seed);

	if (word)
		x += pow(10, l->tone_dbfs / 20) * sin(2 * M_PI * 300 * (double)l->said / l->rate_hz);
	l->n_voiced += word;
	l->said++;
	return (float)x;
}

static void say_ms(struct line *l, uint32_t ms)
{
	size_t n = l->rate_hz * ms / 1000;
	float *x = malloc(n * sizeof *x);
	int16_t *pcm = malloc(n * sizeof *pcm);

	for (size_t i = 0; i < n; i++)
		x[i] = next_sample(l);
	pcm_to_i16(pcm, x, n);
	assert_int_equal(speech_push(&l->speech, 1, pcm, n), 0);
	free(pcm);
	free(x);
}

static void tick(struct line *l)
{
	float out[SPEECH_OUT_MAX];
	size_t n = ROOM_HZ / 50;

	if (!speech_pull(&l->speech, out, n))
		memset(out, 0, n * sizeof *out);
	if (l->n_heard + n <= SECONDS * ROOM_HZ) {
		memcpy(l->heard + l->n_heard, out, n * sizeof *out);
		l->n_heard += n;
	}
	l->n_ticks++;
}

/* In real time, `every` ms of speech in each message, for `ms`. */
static void relay(struct line *l, uint32_t every, uint32_t ms)
{
	for (uint32_t t = 0; t < ms; t += 20) {
		if (t % every == 0)
			say_ms(l, every);
		tick(l);
	}
}

/* Says nothing for `ms`, and then all of that. */
static void stall(struct line *l, uint32_t ms)
{
	for (uint32_t t = 0; t < ms; t += 20)
		tick(l);
	say_ms(l, ms);
}

/* Samples louder than the noise, in what was heard: 20 ms at a time, so that a word counts whole. */
static size_t voiced_ms(const struct line *l)
{
	size_t n = 0;

	for (size_t i = 0; i + 160 <= l->n_heard; i += 160)
		n += sig_rms(l->heard + i, 160) > 0.01;
	return 10 * n;
}

/* Seconds after the stall until no more than 120 ms wait; 0: never. */
static unsigned caught_up_after_s(struct line *l, uint32_t every, unsigned most_s)
{
	for (unsigned s = 1; s <= most_s; s++) {
		relay(l, every, 1000);
		if (speech_waiting_ms(&l->speech) <= 120 + every)
			return s;
	}
	return 0;
}

TEST(a_live_relay_is_late_after_a_stall_until_its_pauses_have_made_up_for_it)
{
	static const uint32_t stall_ms[] = {200, 500, 1000, 2000}, every[] = {20, 100};

	printf("stall ms | chunks ms | late after 40 s, off | late after 40 s, pauses | on time after s\n");
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 2; k++) {
			struct line *off = line_new(16000, false), *on = line_new(16000, true);

			relay(off, every[k], 6000);
			relay(on, every[k], 6000);
			stall(off, stall_ms[i]);
			stall(on, stall_ms[i]);
			relay(off, every[k], 40000);
			unsigned s = caught_up_after_s(on, every[k], 40);

			relay(on, every[k], (40 - s) * 1000);
			printf("%8u | %9u | %20u | %23u | %u\n", stall_ms[i], every[k], speech_waiting_ms(&off->speech),
				speech_waiting_ms(&on->speech), s);
			assert_in_range(speech_waiting_ms(&off->speech), stall_ms[i] - 20, stall_ms[i] + every[k]);
			assert_in_range(s, 1, 5 + stall_ms[i] / 70); /* by the pauses that there are */
			assert_in_range(speech_waiting_ms(&on->speech), 20, 120 + every[k]);
			line_free(off);
			line_free(on);
		}
}

TEST(no_word_is_shortened)
{
	static const uint32_t rates[] = {16000, 24000, 8000};

	for (size_t i = 0; i < 3; i++) {
		struct line *l = line_new(rates[i], true);

		relay(l, 20, 6000);
		stall(l, 1000);
		relay(l, 20, 30800);
		while (speech_waits(&l->speech))
			tick(l);
		assert_in_range(l->n_ticks * 20, 37800, 38000); /* it was on time */
		double said_ms = 1000.0 * (double)l->n_voiced / rates[i];

		printf("%u Hz: %zu of %.0f ms of words\n", rates[i], voiced_ms(l), said_ms);
		assert_in_range(voiced_ms(l), 0.99 * said_ms, 1.05 * said_ms); /* edges of 10 ms */
		double click = sig_db(sig_click(l->heard + 8 * ROOM_HZ, l->n_heard - 8 * ROOM_HZ, ROOM_HZ, 2500, NULL));

		printf("click %.1f dB\n", click);
		line_free(l);
	}
}

/* Sentences, a stream that is faster than it is played, and seconds in time: all of it is played. */
TEST(speech_made_in_advance_stays_whole)
{
	for (int manner = 0; manner < 4; manner++) {
		struct line *l = line_new(16000, true);
		unsigned sounding = 0;

		for (uint32_t t = 0; t < 36000; t += 20) {
			if (manner == 0 && t % 7200 == 0)
				say_ms(l, 3600);
			else if (manner == 1 && t % 3600 == 0)
				say_ms(l, 3600); /* without a gap */
			else if (manner == 2 && t < 20000)
				say_ms(l, 32);
			else if (manner == 3 && t % 1000 == 0)
				say_ms(l, t == 0 ? 3000 : 1000);
			sounding += speech_talks(&l->speech);
			tick(l);
		}
		while (speech_waits(&l->speech)) {
			sounding++;
			tick(l);
		}
		assert_in_range(sounding, 1000 * l->said / 16000 / 20, 1000 * l->said / 16000 / 20 + 10);
		line_free(l);
	}
}

/* Nothing in it is a pause. */
TEST(music_is_late_and_whole)
{
	struct line *l = line_new(16000, true);

	l->noise_dbfs = -30;
	l->tone_dbfs = -100;
	relay(l, 20, 6000);
	stall(l, 1000);
	relay(l, 20, 40000);
	assert_in_range(speech_waiting_ms(&l->speech), 960, 1040);
	line_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_relay_is_late_after_a_stall_until_its_pauses_have_made_up_for_it),
		cmocka_unit_test(no_word_is_shortened),
		cmocka_unit_test(speech_made_in_advance_stays_whole),
		cmocka_unit_test(music_is_late_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
