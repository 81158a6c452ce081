/* SPDX-License-Identifier: MIT */
/* The playout buffer with frames that carry sequence and media time. */
#include "support/test.h"

#include "audio/jitter.h"
#include "audio/order.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/err.h"
#include "support/frames.h"
#include "support/signal.h"
#include "unit/audio/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 320
#define RATE 16000
enum { TICKS_MAX = 4000, LINK_MAX = 64 };

/* One frame under way. */
struct parcel {
	double at_s;
	uint32_t i;
	bool again;
};

/* A talker of a sine whose frame i holds the samples i * N ..., a network, and ticks. */
struct world {
	double phase_ms, loss, swap, twice, jitter_ms; /* of an arrival against its tick; shares of frames */
	uint16_t seq0;
	uint32_t time0;
	uint32_t ends_every;   /* frames between two silences of `silence_ms`; 0: there is none */
	double silence_ms;
	bool flagged;          /* frames say so */
	/* within */
	struct jitter *j;
	struct parcel link[LINK_MAX];
	size_t n_link;
	uint32_t seed, sent, n_lost, n_swapped, n_twice;
	uint64_t ticks, concealed, idle_after_start;
	float out[TICKS_MAX * N];
	size_t n_out;
	bool started;
};

static struct world *world_new(const struct world *like)
{
	struct world *w = malloc(sizeof *w);
	struct jitter_opts o = {.rate_hz = RATE};

	*w = *like;
	w->seed = 7;
	assert_int_equal(jitter_new(&o, table, &w->j), 0);
	return w;
}

static void world_free(struct world *w)
{
	jitter_free(w->j);
	free(w);
}

static double random_share(struct world *w)
{
	return fabs((double)sig_noise(&w->seed));
}

static uint32_t silence_before(const struct world *w, uint32_t i)
{
	return w->ends_every ? i / w->ends_every * (uint32_t)(w->silence_ms * RATE / 1000) : 0;
}

static float sample(uint64_t t)
{
	return (float)(0.5 * sin(2 * M_PI * fmod(440.0 * (double)t / RATE, 1)));
}

static void post(struct world *w, uint32_t i, double at_s, bool again)
{
	assert_true(w->n_link < LINK_MAX);
	w->link[w->n_link++] = (struct parcel){at_s, i, again};
}

/* Frame `i` leaves: to be lost, to be overtaken by the next, or to come twice. */
static void leave(struct world *w, uint32_t i)
{
	double at_s = 0.001 * w->phase_ms + 0.02 * i + (double)silence_before(w, i) / RATE + 0.001 * w->jitter_ms * random_share(w);
	double u = random_share(w);

	if (u < w->loss) {
		w->n_lost++;
		return;
	}
	if (u > 1 - w->swap) {
		at_s += 0.021;
		w->n_swapped++;
	}
	post(w, i, at_s, false);
	if (random_share(w) < w->twice) {
		post(w, i, at_s + 0.001, true);
		w->n_twice++;
	}
}

static void arrive(struct world *w, uint32_t i, double at_s)
{
	uint8_t pcm[2 * N];
	float x[N];
	bool last = w->ends_every && i % w->ends_every == w->ends_every - 1;
	struct frame f = {PCM_FRAME(RATE, pcm, N), .is_v1 = true};

	f.v1.seq = (uint16_t)(w->seq0 + i);
	f.v1.time = w->time0 + i * N + silence_before(w, i);
	f.v1.ends = w->flagged && last;
	f.v1.begins = w->flagged && w->ends_every && i % w->ends_every == 0;
	for (uint32_t k = 0; k < N; k++)
		x[k] = sample(i * (uint64_t)N + k);
	pcm_from_float(pcm, x, N);
	jitter_put(w->j, &f, (nsec)(at_s * 1e9));
}

static void bring(struct world *w, double until_s)
{
	for (;;) {
		size_t first = 0;

		for (size_t k = 1; k < w->n_link; k++)
			if (w->link[k].at_s < w->link[first].at_s)
				first = k;
		if (w->n_link == 0 || w->link[first].at_s > until_s)
			return;
		struct parcel p = w->link[first];

		w->link[first] = w->link[--w->n_link];
		arrive(w, p.i, p.at_s);
	}
}

static void run_for(struct world *w, double s)
{
	for (uint64_t end = w->ticks + (uint64_t)(s * 50 + 0.5); w->ticks < end; w->ticks++) {
		double now_s = 0.02 * (double)w->ticks;
		float *out = w->out + w->n_out;

		while (0.02 * w->sent + (double)silence_before(w, w->sent) / RATE <= now_s)
			leave(w, w->sent++);
		bring(w, now_s);
		enum jitter_result r = jitter_get(w->j, out, N, (nsec)(now_s * 1e9));

		w->started |= r != JITTER_IDLE;
		w->concealed += r == JITTER_CONCEALED;
		w->idle_after_start += w->started && r == JITTER_IDLE;
		if (w->started)
			w->n_out += N;
	}
}

static struct jitter_stats stats(const struct world *w)
{
	struct jitter_stats s;

	jitter_stats(w->j, &s);
	return s;
}

/* Where in the talker's time a tick of the output lies, by likeness, near `guess`; in samples behind. */
static double behind(const struct world *w, size_t at, size_t guess)
{
	double best = -1e9, where = 0;

	for (double lag = (double)guess - 20; lag <= (double)guess + 20; lag += 0.25) {
		double sum = 0;

		for (size_t i = 0; i < N; i++)
			sum += (double)w->out[at + i] * 0.5 * sin(2 * M_PI * fmod(440 * ((double)(at + i) - lag) / RATE, 1));
		if (sum > best) {
			best = sum;
			where = lag;
		}
	}
	return where;
}

/* Share of ticks that hold what was sent in their place, to -40 dB, all at one delay: that of tick `like`. */
static double intact_as(const struct world *w, size_t like)
{
	size_t good = 0, all = 0;
	double d = behind(w, N * like, 16);

	for (size_t at = N; at + N <= w->n_out; at += N, all++) {
		double err = 0;

		for (size_t i = 0; i < N; i++) {
			double want = 0.5 * sin(2 * M_PI * fmod(440 * ((double)(at + i) - d) / RATE, 1));

			err += ((double)w->out[at + i] - want) * ((double)w->out[at + i] - want);
		}
		good += err / N < 1e-4 * 0.125;
	}
	return (double)good / (double)all;
}

/* Some tick may be one that was concealed. */
static double intact(const struct world *w)
{
	double most = 0;

	for (size_t like = 20; like < 30; like++)
		most = fmax(most, intact_as(w, like));
	return most;
}

static double click_db(const struct world *w)
{
	return sig_db(sig_click(w->out + 800, w->n_out - 800, RATE, 2000, NULL) / 0.5);
}

/* ---- cases ---- */

TEST(numbered_frames_in_order_play_as_legacy_frames_do)
{
	struct world *w = world_new(&(struct world){.phase_ms = 8});

	run_for(w, 20);
	assert_int_equal(w->concealed, 0);
	assert_int_equal(w->idle_after_start, 0);
	assert_true(intact(w) == 1);
	assert_true(stats(w).trim_ppm == 0);
	assert_int_equal(stats(w).order.n_lost + stats(w).order.n_reordered + stats(w).order.n_duplicates + stats(w).order.n_too_late, 0);
	world_free(w);
}

/* Every lost frame costs its own tick and the edge of the next one; the delay stays. */
TEST(loss_is_concealed_in_place)
{
	static const double losses[] = {0.1, 0.2};

	for (size_t i = 0; i < 2; i++) {
		for (double phase = 1; phase < 20; phase += 6) {
			struct world *w = world_new(&(struct world){.phase_ms = phase, .loss = losses[i]});

			run_for(w, 60);
			double lost = (double)w->n_lost / w->sent, kept = intact(w), lead = stats(w).lead_ms;

			print_message("loss %.0f %%, phase %.0f: lost %.1f %%, intact %.1f %%, lead %.1f ms, click %.1f dB\n",
				100 * losses[i], phase, 100 * lost, 100 * kept, lead, click_db(w));
			assert_in_range(stats(w).order.n_lost, w->n_lost - 10, w->n_lost); /* but before the first and after the last */
			assert_true(kept > 1 - 2.2 * lost);
			assert_true((double)w->concealed / (double)w->ticks < lost + 0.02);
			assert_true(click_db(w) < -40);
			assert_int_equal(stats(w).n_overflows, 0);
			world_free(w);
		}
	}
}

/* Frames that come before their tick cost nothing; with more in store more of them do. */
TEST(reordering_within_the_margin_costs_nothing)
{
	struct world *w = world_new(&(struct world){.phase_ms = 8});

	run_for(w, 1);
	/* from a network that is 40 ms late from here on: the buffer learns to hold that much */
	w->jitter_ms = 50;
	run_for(w, 19);
	w->jitter_ms = 0;
	uint64_t concealed = w->concealed;

	w->swap = 0.1;
	w->twice = 0.1;
	run_for(w, 1.2);
	struct jitter_stats s = stats(w);

	print_message("swapped %u, reordered %lu, late %lu, lost %lu, duplicates %lu of %u, concealed %lu\n", w->n_swapped,
		(unsigned long)s.order.n_reordered, (unsigned long)s.order.n_too_late, (unsigned long)s.order.n_lost,
		(unsigned long)s.order.n_duplicates, w->n_twice, (unsigned long)(w->concealed - concealed));
	assert_int_equal(w->concealed, concealed);
	assert_in_range(w->n_swapped, 3, 30);
	world_free(w);
}

/* The same sound in another order, by hand: two frames, the first of them late but in time. */
TEST(overtaken_frames_are_placed)
{
	struct world *w = world_new(&(struct world){0});
	static const uint32_t order[] = {0, 1, 3, 2, 5, 4, 4, 3, 8, 7, 6, 9};
	float x[10 * N];

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		arrive(w, order[i], 0.001);
	for (int t = 0; t < 10; t++)
		assert_int_equal(jitter_get(w->j, x + t * N, N, nsec_from_ms(25 + 20 * (unsigned)t)), JITTER_PLAYING);
	for (size_t i = 400; i < 10 * N; i++) /* 16 samples of delay; the start is faded in */
		assert_true(fabsf(x[i] - sample(i - 16)) < 0.002f);
	assert_int_equal(stats(w).order.n_reordered, 4);
	assert_int_equal(stats(w).order.n_duplicates, 2);
	assert_int_equal(stats(w).order.n_lost, 0);
	world_free(w);
}

TEST(frames_after_their_turn_are_dropped)
{
	struct world *w = world_new(&(struct world){0});
	float x[N];

	arrive(w, 0, 0.001);
	arrive(w, 2, 0.001);
	for (int t = 0; t < 3; t++)
		jitter_get(w->j, x, N, nsec_from_ms(25 + 20 * (unsigned)t));
	assert_int_equal(stats(w).order.n_lost, 1);
	arrive(w, 1, 0.07);
	arrive(w, 1, 0.07);
	assert_int_equal(stats(w).order.n_too_late, 1);
	assert_int_equal(stats(w).order.n_duplicates, 1);
	world_free(w);
}

TEST(numbers_and_media_time_wrap)
{
	struct world *w = world_new(&(struct world){.phase_ms = 8, .loss = 0.05, .seq0 = 65436,
		.time0 = UINT32_MAX - 150 * N});

	run_for(w, 10);
	assert_in_range(stats(w).order.n_lost, w->n_lost - 2, w->n_lost);
	assert_true(intact(w) > 0.88);
	assert_int_equal(stats(w).order.n_duplicates + stats(w).order.n_too_late, 0);
	world_free(w);
}

/* A pause that the talker did not announce looks like loss until the sound goes on; an announced one conceals nothing. */
TEST(silence_is_not_loss)
{
	for (int flagged = 0; flagged < 2; flagged++) {
		struct world *w = world_new(&(struct world){.phase_ms = 8, .ends_every = 10, .silence_ms = 300, .flagged = flagged});

		run_for(w, 20);
		print_message("%s: %lu concealed in %lu spurts, click %.1f dB\n", flagged ? "flagged" : "silent",
			(unsigned long)w->concealed, (unsigned long)stats(w).n_spurts, click_db(w));
		assert_int_equal(stats(w).order.n_lost, 0);
		assert_int_equal(stats(w).n_spurts, 40);
		if (flagged)
			assert_int_equal(w->concealed, 0);
		assert_true(w->concealed <= 3 * 40);
		assert_true(click_db(w) < -40);
		world_free(w);
	}
}

/* Silence inside what is stored keeps its length. */
TEST(a_short_silence_keeps_its_place)
{
	struct world *w = world_new(&(struct world){.ends_every = 1, .silence_ms = 10});
	float x[6 * N];

	for (uint32_t i = 0; i < 4; i++)
		arrive(w, i, 0.001);
	for (int t = 0; t < 5; t++)
		jitter_get(w->j, x + t * N, N, nsec_from_ms(25 + 20 * (unsigned)t));
	for (size_t i = 1; i < 3; i++) {
		size_t at = i * (N + 160) + 16; /* of frame i */

		/* what is in the filter when silence begins comes after it */
		for (size_t k = 90; k < N - 16; k++)
			assert_true(fabsf(x[at + k] - sample(i * N + k)) < 0.002f);
		assert_true(sig_peak(x + at + N + 90, 60) < 0.01);
	}
	assert_int_equal(stats(w).n_concealed, 0);
	world_free(w);
}

TEST(a_restart_and_a_return_to_legacy_are_followed)
{
	struct world *w = world_new(&(struct world){.phase_ms = 8});
	uint8_t pcm[2 * N] = {0};
	struct frame legacy = {PCM_FRAME(RATE, pcm, N)};

	run_for(w, 1);
	w->seq0 = 30000;
	w->time0 = 77777;
	run_for(w, 1);
	w->seq0 = 29000; /* backwards */
	run_for(w, 1);
	assert_int_equal(w->idle_after_start, 0);
	assert_in_range(w->concealed, 0, 2);
	assert_int_equal(stats(w).order.n_lost, 0);
	for (int t = 0; t < 50; t++) {
		nsec now = nsec_from_ms(3008 + 20 * (unsigned)t);

		jitter_put(w->j, &legacy, now);
		assert_int_equal(jitter_get(w->j, w->out, N, now + nsec_from_ms(12)), JITTER_PLAYING);
	}
	world_free(w);
}

TEST(frames_withheld_by_the_caller_are_not_lost)
{
	struct world *w = world_new(&(struct world){.phase_ms = 8});

	run_for(w, 1);
	jitter_clear(w->j);
	w->n_link = 0;
	w->sent += 100;
	w->ticks += 100;
	run_for(w, 1);
	while (jitter_active(w->j)) {
		w->sent = 1000000;
		w->n_link = 0;
		jitter_get(w->j, w->out, N, nsec_from_ms(20 * (unsigned)w->ticks++));
	}
	jitter_skip(w->j);
	arrive(w, 2000, 0.02 * (double)w->ticks);
	assert_int_equal(stats(w).order.n_lost, 0);
	world_free(w);
}

/* However much is missing, in whatever order it comes. */
TEST(held_frames_are_bounded)
{
	struct world *w = world_new(&(struct world){0});
	float x[N];

	for (uint32_t i = 0; i < 2000; i++) {
		arrive(w, i * 2 + (i % 7) * 4, 0.001 * i);
		assert_true(stats(w).depth_ms <= 200.01);
		if (i % 20 == 0)
			jitter_get(w->j, x, N, nsec_from_ms(i));
	}
	for (unsigned i = 0; i < 30; i++)
		jitter_get(w->j, x, N, nsec_from_ms(2000 + 20 * i));
	assert_false(jitter_active(w->j));
	world_free(w);
}

/* 48 kHz in two datagrams for each 20 ms, one of them lost: ten milliseconds are. */
TEST(pieces_are_concealed_by_themselves)
{
	struct jitter_opts o = {.rate_hz = RATE};
	uint8_t pcm[960];
	struct jitter_stats s;
	struct jitter *j;
	float out[N], x[480];

	assert_int_equal(jitter_new(&o, table, &j), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct frame f = {PCM_FRAME(48000, pcm, 480), .is_v1 = true,
			.v1 = {.seq = (uint16_t)i, .time = i * 480}};

		for (uint32_t k = 0; k < 480; k++)
			x[k] = (float)(0.5 * sin(2 * M_PI * fmod(440.0 * (i * 480 + k) / 48000, 1)));
		pcm_from_float(pcm, x, 480);
		if (i % 20 != 7)
			jitter_put(j, &f, nsec_from_ms(20 * (i / 2) + 8));
		if (i % 2)
			jitter_get(j, out, N, nsec_from_ms(20 * (i / 2) + 20));
	}
	jitter_stats(j, &s);
	assert_int_equal(s.order.n_lost, 50);
	assert_in_range(s.n_concealed, 45, 55);
	assert_int_equal(s.n_late, 0);
	jitter_free(j);
}

/* At 48 kHz five frames fill what can be held. One that they overtook still comes before them. */
TEST(an_overtaken_frame_comes_first_even_when_no_more_can_be_held)
{
	static const uint32_t order[] = {0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 3, 14, 15};
	struct jitter_opts o = {.rate_hz = RATE};
	static const uint8_t pcm[960];
	struct jitter_stats s;
	struct jitter *j;
	float out[N];

	assert_int_equal(jitter_new(&o, table, &j), 0);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		struct frame f = {PCM_FRAME(48000, pcm, 480), .is_v1 = true,
			.v1 = {.seq = (uint16_t)order[i], .time = order[i] * 480}};

		assert_int_equal(jitter_put(j, &f, nsec_from_ms(1)), JITTER_STORED);
	}
	for (unsigned t = 0; t < 12; t++)
		jitter_get(j, out, N, nsec_from_ms(25 + 20 * t));
	jitter_stats(j, &s);
	assert_int_equal(s.order.n_lost, 1);
	assert_int_equal(s.order.n_reordered, 1);
	assert_false(jitter_active(j));
	jitter_free(j);
}

/* Room is free again when a frame is taken out, though others stay. */
TEST(room_for_held_frames_becomes_free_again)
{
	struct order *o = order_new();
	uint8_t pcm[1920];
	struct frame f = {PCM_FRAME(48000, pcm, 960), .is_v1 = true};

	order_start(o, &f);
	for (uint32_t i = 1; i < 200; i++) {
		f.v1 = (struct frame_v1){.seq = (uint16_t)(i ^ 1), .time = (i ^ 1) * 960};
		memset(pcm, (int)(i ^ 1), sizeof pcm);
		assert_int_equal(order_hold(o, &f), 0);
		if (i < 4)
			continue;
		struct frame first;

		assert_true(order_first(o, &first));
		assert_int_equal(first.len, sizeof pcm);
		for (size_t k = 0; k < sizeof pcm; k++)
			assert_int_equal(first.payload[k], (uint8_t)first.v1.seq);
		order_drop_first(o);
	}
	free(o);
}

/* Half a tick at the end, after a gap that a tick has cut in two: both are played out, and nothing comes back. */
TEST(a_gap_at_the_end_is_played_out)
{
	static const size_t lengths[] = {240, 240, 240, 40};
	struct world *w = world_new(&(struct world){0});
	uint8_t pcm[480];
	uint32_t time = 0;
	float x[N];

	for (uint16_t i = 0; i < 4; time += (uint32_t)lengths[i++]) {
		struct frame f = {PCM_FRAME(RATE, pcm, lengths[i]), .is_v1 = true, .v1 = {.seq = i, .time = time}};

		for (size_t k = 0; k < lengths[i]; k++)
			x[k] = sample(time + k);
		pcm_from_float(pcm, x, lengths[i]);
		if (i != 2)
			jitter_put(w->j, &f, nsec_from_ms(1));
	}
	for (unsigned t = 0; t < 10; t++) {
		jitter_get(w->j, x, N, nsec_from_ms(25 + 20 * t));
		if (t >= 5)
			assert_true(sig_peak(x, N) == 0);
	}
	assert_int_equal(stats(w).n_spurts, 1);
	assert_int_equal(stats(w).order.n_lost, 1);
	assert_false(jitter_active(w->j));
	world_free(w);
}

enum { STREAM = 400 };

/* A stream of any rate and cut, on a network of any kind. */
struct weather {
	uint32_t seed, rate_hz, room_hz, len, loss, swap, twice; /* the last three in percent, places, percent */
	bool stalls; /* what comes within 150 ms comes at once */
	uint32_t order[STREAM];
};

static uint32_t draw(struct weather *w, uint32_t n)
{
	w->seed = w->seed * 1664525u + 1013904223u;
	return (w->seed >> 8) % n;
}

static void make_weather(struct weather *w, uint32_t seed)
{
	static const uint32_t rates[] = {8000, 11025, 16000, 24000, 48000}, rooms[] = {8000, 16000, 48000};

	*w = (struct weather){.seed = seed, .room_hz = rooms[seed % 3]};
	w->rate_hz = rates[draw(w, 5)];
	w->len = 1 + draw(w, seed % 4 ? w->rate_hz / 50 : 40);
	w->loss = draw(w, 30);
	w->swap = draw(w, 8);
	w->twice = draw(w, 10);
	w->stalls = draw(w, 3) == 0;
	for (uint32_t i = 0; i < STREAM; i++)
		w->order[i] = i;
	for (uint32_t i = 0; w->swap && i + w->swap < STREAM; i++) {
		uint32_t k = i + draw(w, w->swap), x = w->order[i];

		if (draw(w, 4))
			continue;
		w->order[i] = w->order[k];
		w->order[k] = x;
	}
}

/* Plays the stream; returns how many frames between the first and the last that were taken are unaccounted for. */
static int64_t unaccounted(struct weather *w)
{
	static const uint8_t pcm[2 * 960];
	const struct jitter_opts o = {.rate_hz = w->room_hz};
	uint32_t first = STREAM, last = 0, taken = 0;
	uint16_t seq0 = (uint16_t)draw(w, 65536);
	struct jitter_stats s;
	struct jitter *j;
	float out[960];
	unsigned tick = 1;

	assert_int_equal(jitter_new(&o, table, &j), 0);
	for (uint32_t k = 0; k < STREAM; k++) {
		uint32_t i = w->order[k], ms = 1000 * w->len * k / w->rate_hz;
		struct frame f = {PCM_FRAME(w->rate_hz, pcm, w->len), .is_v1 = true,
			.v1 = {.seq = (uint16_t)(seq0 + i), .time = i * w->len}};

		for (ms = w->stalls ? ms / 150 * 150 : ms; 20 * tick <= ms; tick++)
			jitter_get(j, out, w->room_hz / 50, nsec_from_ms(20 * tick));
		for (uint32_t n = draw(w, 100) < w->loss ? 0 : 1 + (draw(w, 100) < w->twice); n > 0; n--) {
			if (jitter_put(j, &f, nsec_from_ms(ms)) == JITTER_REFUSED)
				continue;
			taken++;
			first = i < first ? i : first;
			last = i > last ? i : last;
		}
	}
	for (unsigned end = tick + 40; tick < end; tick++)
		jitter_get(j, out, w->room_hz / 50, nsec_from_ms(20 * tick));
	assert_false(jitter_active(j));
	jitter_stats(j, &s);
	jitter_free(j);
	return (int64_t)last - first + 1 - taken - (int64_t)s.order.n_lost;
}

TEST(every_frame_is_played_or_lost)
{
	for (uint32_t seed = 1; seed <= 200; seed++) {
		struct weather w;

		make_weather(&w, seed);
		int64_t n = unaccounted(&w);

		if (n)
			print_message("seed %u: %lld\n", seed, (long long)n);
		assert_true(n == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbered_frames_in_order_play_as_legacy_frames_do),
		cmocka_unit_test(loss_is_concealed_in_place),
		cmocka_unit_test(reordering_within_the_margin_costs_nothing),
		cmocka_unit_test(overtaken_frames_are_placed),
		cmocka_unit_test(frames_after_their_turn_are_dropped),
		cmocka_unit_test(numbers_and_media_time_wrap),
		cmocka_unit_test(silence_is_not_loss),
		cmocka_unit_test(a_short_silence_keeps_its_place),
		cmocka_unit_test(a_restart_and_a_return_to_legacy_are_followed),
		cmocka_unit_test(frames_withheld_by_the_caller_are_not_lost),
		cmocka_unit_test(held_frames_are_bounded),
		cmocka_unit_test(pieces_are_concealed_by_themselves),
		cmocka_unit_test(an_overtaken_frame_comes_first_even_when_no_more_can_be_held),
		cmocka_unit_test(room_for_held_frames_becomes_free_again),
		cmocka_unit_test(a_gap_at_the_end_is_played_out),
		cmocka_unit_test(every_frame_is_played_or_lost),
	};

	return cmocka_run_group_tests(tests, make_table, free_table);
}
