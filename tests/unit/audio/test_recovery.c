/* SPDX-License-Identifier: MIT */
/* How the playout buffer gets rid of delay while somebody speaks, and what is left to be heard of it. */
#include "support/test.h"

#include "audio/jitter.h"
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

#define RATE_MAX 48000
enum { SECONDS_MAX = 62, CUTS_MAX = 1024, PER_S = 50 };
#define SAFE_MS 22.0          /* lead that is held where nothing jitters: margin and a frame of 20 ms */
#define LEFT_MS 20            /* surplus that may be left */

/* ---- sounds; all but the white noise are below 4 kHz ---- */

struct sound {
	const char *name;
	float (*at)(const struct sound *s, double t);
	double hz, hz2, amplitude;
};

static double sine(double hz, double t)
{
	return sin(2 * M_PI * fmod(hz * t, 1));
}

static float tones(const struct sound *s, double t)
{
	return (float)(0.6 * sine(s->hz, t) + (s->hz2 > 0 ? 0.4 * sine(s->hz2, t) : 0));
}

/* A voice whose pitch glides between 0.8 and 1.25 times hz within a second and trembles; four syllables a second. */
static float voice(const struct sound *s, double t)
{
	double glide = -0.22 / (2 * M_PI) * cos(2 * M_PI * t), tremble = 0.02 / (2 * M_PI * 5.5) * sine(5.5, t);
	double x = 0, loud = 0.55 - 0.45 * cos(2 * M_PI * 4 * t);

	for (int k = 1; k * s->hz * 1.3 < 3800; k++) {
		double hz = k * s->hz, low = 1 / (1 + pow((hz - 600) / 300, 2)), high = 0.3 / (1 + pow((hz - 1700) / 300, 2));

		x += (low + high + 0.02) * sin(2 * M_PI * fmod(hz * (t + glide + tremble), 1) + 1.7 * k * k);
	}
	return (float)(0.3 * loud * x);
}

static float white(const struct sound *s, double t)
{
	uint32_t v = (uint32_t)lround(t * RATE_MAX);

	(void)s;
	v = (v ^ v >> 16) * 0x7feb352du;
	v = (v ^ v >> 15) * 0x846ca68bu;
	return (float)(int32_t)(v ^ v >> 16) / 2147483648.0f;
}

/* A fan: noise below some 600 Hz. */
static float rumble(const struct sound *s, double t)
{
	double x = 0;

	for (int k = 0; k < 20; k++)
		x += (double)white(s, t - k / 16000.0) * (0.5 - 0.5 * cos(2 * M_PI * (k + 0.5) / 20));
	return (float)(0.2 * x);
}

static float voice_and_fan(const struct sound *s, double t)
{
	return voice(s, t) + 0.03f * rumble(s, t);
}

/* Chords of three notes, struck four times a second, each with overtones that die away. */
static float music(const struct sound *s, double t)
{
	static const int chords[][3] = {{0, 4, 7}, {5, 9, 12}, {7, 11, 14}, {0, 3, 9}, {2, 5, 9}, {-3, 4, 12}, {1, 6, 10}, {0, 7, 16}};
	const int *chord = chords[(int)(t * 4) % 8];
	double since = fmod(t, 0.25), x = 0;

	for (int i = 0; i < 3; i++) {
		for (int k = 1; k <= 5; k++) {
			double hz = k * s->hz * pow(2, chord[i] / 12.0);

			if (hz < 3800)
				x += exp(-3 * k * since) / k * sine(hz, since);
		}
	}
	return (float)(0.3 * fmin(since / 0.01, 1) * fmin((0.25 - since) / 0.01, 1) * x);
}

/* ---- a talker, a network, ticks ---- */

struct world {
	/* to be set */
	struct sound sound;
	uint32_t hz;             /* of the talker and the mix; 0: 16000 */
	double phase_ms;         /* of an arrival against its tick; 0: 8 */
	double stall_s, stall_ms, every_s; /* frames sent within it arrive at its end; every_s 0: once */
	double path_ms, shorter_s; /* all come so late until then */
	double jitter_ms;        /* of arrivals, uniform, */
	double spike_ms, spike_share; /* and more for a share of them */
	double ppm, loss;
	bool every_other;        /* is lost */
	bool v1;
	uint32_t seed;
	/* within */
	struct jitter *j;
	uint32_t n_sent, n_lost;
	double next_s, last_s, put_s;
	uint64_t n_ticks;
	double lead_ms;          /* after the last tick: what is stored and the time since the last arrival */
	float *sent, *out;       /* after its 16 bits; what was played */
	size_t n_out, n_cuts;
	struct {
		size_t at, lag;
	} cuts[CUTS_MAX];
};

static struct world *world_new(const struct world *like)
{
	struct world *w = malloc(sizeof *w);

	assert_non_null(w);
	*w = *like;
	w->hz = w->hz ? w->hz : 16000;
	w->phase_ms = w->phase_ms > 0 ? w->phase_ms : 8;
	w->seed = w->seed ? w->seed : 5;
	w->next_s = -1;
	struct jitter_opts o = {.rate_hz = w->hz};

	assert_int_equal(jitter_new(&o, table, &w->j), 0);
	w->sent = calloc((size_t)w->hz * SECONDS_MAX, sizeof *w->sent);
	w->out = calloc((size_t)w->hz * SECONDS_MAX, sizeof *w->out);
	assert_true(w->sent && w->out);
	return w;
}

static void world_free(struct world *w)
{
	jitter_free(w->j);
	free(w->sent);
	free(w->out);
	free(w);
}

static struct jitter_stats stats(const struct world *w)
{
	struct jitter_stats s;

	jitter_stats(w->j, &s);
	return s;
}

static double random_share(struct world *w)
{
	return fabs((double)sig_noise(&w->seed));
}

static double now_s(const struct world *w)
{
	return 0.02 * (double)w->n_ticks;
}

static double arrival(struct world *w)
{
	double s = 0.001 * w->phase_ms + 0.02 * w->n_sent / (1 + w->ppm * 1e-6), from = w->stall_s;

	if (w->every_s > 0 && s > from)
		from += floor((s - from) / w->every_s) * w->every_s;
	if (s >= from && s < from + w->stall_ms / 1000)
		s = from + w->stall_ms / 1000;
	if (s < w->shorter_s)
		s += 0.001 * w->path_ms;
	s += 0.001 * w->jitter_ms * random_share(w);
	if (random_share(w) < w->spike_share)
		s += 0.001 * w->spike_ms * random_share(w);
	return w->last_s = fmax(s, w->last_s);
}

static void send_frame(struct world *w)
{
	size_t n = w->hz / PER_S, at = w->n_sent * n;
	double loud = w->sound.amplitude > 0 ? w->sound.amplitude : 0.5;
	float x[RATE_MAX / PER_S];
	uint8_t pcm[2 * (RATE_MAX / PER_S)];
	struct frame f = {PCM_FRAME(w->hz, pcm, n), .is_v1 = w->v1};

	f.v1.seq = (uint16_t)w->n_sent;
	f.v1.time = (uint32_t)at;
	for (size_t i = 0; i < n; i++)
		x[i] = (float)loud * w->sound.at(&w->sound, (double)(at + i) / w->hz);
	pcm_from_float(pcm, x, n);
	pcm_to_float(w->sent + at, pcm, n);
	if (random_share(w) < w->loss || (w->every_other && w->n_sent % 2))
		w->n_lost++;
	else
		jitter_put(w->j, &f, (nsec)(w->next_s * 1e9));
	w->n_sent++;
}

static void note_cut(struct world *w, struct jitter_stats before)
{
	struct jitter_stats s = stats(w);

	if (s.n_compressions == before.n_compressions)
		return;
	assert_int_equal(s.n_compressions, before.n_compressions + 1);
	assert_true(w->n_cuts < CUTS_MAX);
	w->cuts[w->n_cuts].at = w->n_out;
	w->cuts[w->n_cuts++].lag = (size_t)lround((s.dropped_ms - before.dropped_ms) * w->hz / 1000);
}

static void one_tick(struct world *w)
{
	size_t n = w->hz / PER_S;
	struct jitter_stats before;

	assert_true(w->n_out + n <= (size_t)w->hz * SECONDS_MAX);
	for (;;) {
		if (w->next_s < 0)
			w->next_s = arrival(w);
		if (w->next_s > now_s(w))
			break;
		send_frame(w);
		w->put_s = w->next_s;
		w->next_s = -1;
	}
	before = stats(w);
	jitter_get(w->j, w->out + w->n_out, n, (nsec)(now_s(w) * 1e9));
	w->n_out += n;
	note_cut(w, before);
	w->lead_ms = stats(w).depth_ms + 1000 * (now_s(w) - w->put_s);
	w->n_ticks++;
}

static void run_until(struct world *w, double s)
{
	while (now_s(w) < s - 0.001)
		one_tick(w);
}

/* ---- judging ---- */

/* Where in what was sent out[at..at + n) is, bit for bit, within half a second; -1: nowhere. */
static ptrdiff_t place_of(const struct world *w, size_t at, size_t n)
{
	size_t far = w->hz / 2, from = at > far ? at - far : 0;

	for (size_t k = at + far; k-- > from;)
		if (memcmp(w->out + at, w->sent + k, n * sizeof *w->out) == 0)
			return (ptrdiff_t)k;
	return -1;
}

static double energy(const float *x, size_t n)
{
	return (double)n * pow(sig_rms(x, n), 2);
}

/* What is to be heard of the cuts, at worst. */
struct verdict {
	double click_db; /* above 4.5 kHz, of the loudest there is; of what was sent below */
	double sent_db;
	double level_db; /* of a cross-fade, of the mean of its two sides */
	double match_db; /* of that, above the difference of the two sides */
	double pause_ms; /* the least between two */
};

static void judge_cut(const struct world *w, size_t i, struct verdict *v)
{
	size_t fade = w->hz / 200, at = w->cuts[i].at;
	ptrdiff_t k = place_of(w, at - fade, fade);
	float d[RATE_MAX / 200];

	assert_true(k >= 0);
	const float *x = w->out + at, *old = w->sent + (size_t)k + fade, *new = old + w->cuts[i].lag;
	double mean = (energy(old, fade) + energy(new, fade)) / 2 + 1e-12;

	/* nothing but the cross-fade differs from what was sent */
	assert_memory_equal(x + fade, new + fade, fade * sizeof *x);
	for (size_t n = 0; n < fade; n++)
		d[n] = old[n] - new[n];
	double level_db = sig_db(sqrt(energy(x, fade) / mean));

	v->level_db = fabs(level_db) > fabs(v->level_db) ? level_db : v->level_db;
	v->match_db = fmin(v->match_db, sig_db(sqrt(2 * mean / (energy(d, fade) + 1e-12))));
	v->click_db = fmax(v->click_db, sig_db(sig_click(x - 80, 160 + fade, w->hz, 4500, NULL) / sig_peak(w->sent, w->n_out)));
	v->sent_db = fmax(v->sent_db, sig_db(sig_click(old - 80, 160 + fade, w->hz, 4500, NULL) / sig_peak(w->sent, w->n_out)));
	v->sent_db = fmax(v->sent_db, sig_db(sig_click(new - 80, 160 + fade, w->hz, 4500, NULL) / sig_peak(w->sent, w->n_out)));
	if (i > 0)
		v->pause_ms = fmin(v->pause_ms, 1000.0 * (double)(at - w->cuts[i - 1].at) / w->hz);
}

static struct verdict judge(const struct world *w)
{
	struct verdict v = {.click_db = -200, .sent_db = -200, .match_db = 200, .pause_ms = 1e9};

	for (size_t i = 0; i < w->n_cuts; i++)
		judge_cut(w, i, &v);
	return v;
}

/* Seconds from `s` until the lead is down to what may be left, and stays there. */
static double time_to_recover(struct world *w, double s, double until_s)
{
	double gone_s = s;

	run_until(w, s);
	while (now_s(w) < until_s) {
		one_tick(w);
		if (w->lead_ms > SAFE_MS + LEFT_MS + 0.5)
			gone_s = now_s(w);
	}
	return gone_s - s;
}

#define STALL .stall_s = 2, .stall_ms = 160
#define STALL_END_S 2.16

/* ---- cases ---- */

static const struct {
	struct sound sound;
	double match_db, left_ms; /* at least; at most */
} cases[] = {
	{{.name = "tone", .at = tones, .hz = 100}, 20, 10},
	{{.name = "tone", .at = tones, .hz = 137}, 20, 10},
	{{.name = "tone", .at = tones, .hz = 440}, 20, 10},
	{{.name = "tone", .at = tones, .hz = 997}, 20, 10},
	{{.name = "tone", .at = tones, .hz = 3201}, 20, 10},
	{{.name = "tone", .at = tones, .hz = 4000}, 20, 10},
	{{.name = "tones", .at = tones, .hz = 440, .hz2 = 1000}, 12, 10},
	{{.name = "tones", .at = tones, .hz = 311, .hz2 = 697.3}, 12, 10},
	{{.name = "tones", .at = tones, .hz = 941, .hz2 = 1477}, 12, 10},
	{{.name = "tones", .at = tones, .hz = 120, .hz2 = 171}, 8, LEFT_MS},
	{{.name = "voice", .at = voice, .hz = 90}, 6, 15},
	{{.name = "voice", .at = voice, .hz = 130}, 6, 15},
	{{.name = "voice", .at = voice, .hz = 220}, 6, 15},
	{{.name = "voice", .at = voice, .hz = 350}, 6, 15},
	{{.name = "in noise", .at = voice_and_fan, .hz = 150}, 0, 15},
	{{.name = "white", .at = white}, 0, LEFT_MS},
	{{.name = "fan", .at = rumble}, 0, LEFT_MS},
	{{.name = "faint", .at = rumble, .amplitude = 0.05}, 0, LEFT_MS},
	{{.name = "music", .at = music, .hz = 110}, 3, LEFT_MS},
	{{.name = "music", .at = music, .hz = 220}, 3, LEFT_MS},
	{{.name = "music", .at = music, .hz = 523}, 3, LEFT_MS},
};

static void is_gone_inaudibly(struct world *w, double from_s, double most_s, double match_db, double left_ms)
{
	double s = time_to_recover(w, from_s, from_s + 6), left = w->lead_ms - SAFE_MS;
	struct verdict v = judge(w);
	struct jitter_stats st = stats(w);

	print_message("%5u %-8s %4.0f %4.0f: %.2f s, %2zu cuts, left %4.1f ms, match %5.1f, level %+.1f, click %6.1f (%.1f) dB\n",
		w->hz, w->sound.name, w->sound.hz, w->sound.hz2, s, w->n_cuts, left, v.match_db, v.level_db, v.click_db, v.sent_db);
	assert_true(s > 0.5 && s <= most_s);
	assert_true(left <= left_ms + 0.5);
	assert_true(st.trim_ppm == 0);
	assert_true(st.n_shrinks == 0 && st.n_overflows == 0);
	assert_true(v.match_db >= match_db);
	assert_true(fabs(v.level_db) < 4);
	assert_true(v.click_db < fmax(v.sent_db + 3, -60));
	assert_true(v.pause_ms >= 79.9);
}

TEST(a_stall_is_over_within_three_seconds)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = world_new(&(struct world){STALL, .sound = cases[i].sound});

		is_gone_inaudibly(w, STALL_END_S, 3, cases[i].match_db, cases[i].left_ms);
		world_free(w);
	}
}

TEST(a_stall_is_over_at_every_rate)
{
	static const uint32_t rates[] = {8000, 24000, 48000};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i += 4) {
		for (size_t r = 0; r < 3; r++) {
			struct world *w = world_new(&(struct world){STALL, .sound = cases[i].sound, .hz = rates[r]});

			is_gone_inaudibly(w, STALL_END_S, 3, cases[i].match_db - 2, LEFT_MS);
			world_free(w);
		}
	}
}

/* Whatever the phase of arrivals, and with numbers, too. */
TEST(a_stall_is_over_at_every_phase)
{
	for (double phase = 1; phase < 20; phase += 3) {
		for (int v1 = 0; v1 < 2; v1++) {
			struct world *w = world_new(&(struct world){STALL, .sound = {.name = "voice", .at = voice, .hz = 170},
				.phase_ms = phase, .v1 = v1});

			is_gone_inaudibly(w, STALL_END_S, 3, 6, 15);
			assert_int_equal(stats(w).order.n_too_late + stats(w).order.n_lost, 0);
			world_free(w);
		}
	}
}

TEST(a_tone_keeps_its_pitch)
{
	static const double hz[] = {137, 997, 3201};

	for (size_t i = 0; i < 3; i++) {
		struct world *w = world_new(&(struct world){STALL, .sound = {.name = "tone", .at = tones, .hz = hz[i]}});

		run_until(w, 6);
		assert_true(w->n_cuts > 4);
		size_t from = w->cuts[0].at - 800, n = w->cuts[4].at - from;
		double heard = sig_frequency(w->out + from, n, w->hz, hz[i]);
		double snr = sig_snr(w->out + from, n, w->hz, &heard, 1, NULL, NULL);

		print_message("%.0f Hz over five cuts: %+.2f Hz, %.1f dB above all else\n", hz[i], heard - hz[i], snr);
		assert_true(fabs(heard - hz[i]) < 0.3);
		assert_true(snr > 20);
		world_free(w);
	}
}

/* Nothing is missing when the network's way has become shorter: the surplus shows two seconds later. */
TEST(a_shorter_path_shortens_the_delay)
{
	for (int v1 = 0; v1 < 2; v1++) {
		struct world *w = world_new(&(struct world){.sound = {.name = "voice", .at = voice, .hz = 170},
			.path_ms = 120, .shorter_s = 3, .v1 = v1});

		is_gone_inaudibly(w, 3, 4, 6, 15);
		assert_int_equal(stats(w).n_concealed, 0);
		world_free(w);
	}
}

/* It was the server that did not run: nobody was late, nothing is concealed. */
TEST(delay_from_skipped_ticks_is_given_back)
{
	for (int v1 = 0; v1 < 2; v1++) {
		struct world *w = world_new(&(struct world){.sound = {.name = "voice", .at = voice, .hz = 170}, .v1 = v1});

		run_until(w, 3);
		w->n_ticks += 8;
		is_gone_inaudibly(w, now_s(w), 4, 6, 15);
		assert_int_equal(stats(w).n_concealed, 0);
		world_free(w);
	}
}

/* 15 ms more than what is held are no reason to cut, nor to be heard. */
TEST(a_small_surplus_is_trimmed)
{
	struct world *w = world_new(&(struct world){.sound = {.name = "tone", .at = tones, .hz = 440}, .phase_ms = 3,
		.path_ms = 24, .shorter_s = 3});
	double most = 0;

	run_until(w, 5);
	assert_true(w->lead_ms > SAFE_MS + 10);
	while (now_s(w) < 40) {
		one_tick(w);
		most = fmax(most, fabs(stats(w).trim_ppm));
	}
	assert_true(most > 900 && most <= 1000 + 100); /* and what is learnt of a clock */
	assert_true(fabs(w->lead_ms - SAFE_MS) < 3);
	assert_int_equal(w->n_cuts, 0);
	world_free(w);
}

/* As many concealments as without cuts, or fewer: what jitters needs its lead again. */
TEST(ordinary_jitter_causes_no_time_compression)
{
	static const struct {
		struct world w;
		unsigned concealed, cuts;
	} jittery[] = {
		{{.jitter_ms = 10}, 1, 0},
		{{.jitter_ms = 20}, 4, 0},
		{{.jitter_ms = 40}, 6, 0},
		{{.jitter_ms = 60}, 8, 0},
		{{.spike_ms = 40, .spike_share = 0.05}, 20, 15},
		{{.spike_ms = 60, .spike_share = 0.02, .jitter_ms = 10}, 30, 15},
		{{.spike_ms = 100, .spike_share = 0.01, .jitter_ms = 5}, 30, 15},
		{{.spike_ms = 30, .spike_share = 0.002, .jitter_ms = 5}, 8, 0},
	};

	for (size_t i = 0; i < sizeof jittery / sizeof *jittery; i++) {
		struct world like = jittery[i].w;

		like.sound = (struct sound){.name = "tone", .at = tones, .hz = 440};
		for (like.seed = 1; like.seed <= 3; like.seed++) {
			like.v1 = like.seed == 2;
			struct world *w = world_new(&like);

			run_until(w, 60);
			print_message("jitter %.0f, spikes of %.0f ms: %zu cuts, concealed %lu, late %lu, lead %.1f\n", w->jitter_ms,
				w->spike_ms, w->n_cuts, (unsigned long)stats(w).n_concealed, (unsigned long)stats(w).n_late, stats(w).lead_ms);
			assert_true(w->n_cuts <= jittery[i].cuts);
			assert_true(stats(w).n_concealed <= jittery[i].concealed);
			world_free(w);
		}
	}
}

TEST(repeated_stalls_do_not_add_up)
{
	static const struct {
		double ms, every_s, most_ms; /* lead before the next */
	} stalls[] = {{160, 5, SAFE_MS + LEFT_MS}, {100, 5, SAFE_MS + LEFT_MS}, {60, 5, 80}, {80, 2, 110}};

	for (size_t i = 0; i < sizeof stalls / sizeof *stalls; i++) {
		struct world *w = world_new(&(struct world){.sound = {.name = "voice", .at = voice, .hz = 170},
			.stall_s = 3, .v1 = i % 2});
		double most = 0;
		unsigned n = 0;

		w->stall_ms = stalls[i].ms;
		w->every_s = stalls[i].every_s;
		for (double s = 3; s < 59; s += w->every_s, n++) {
			run_until(w, s);
			most = fmax(most, w->lead_ms);
		}
		struct jitter_stats st = stats(w);

		print_message("%u stalls of %.0f ms: lead before the next %.1f ms at most, %lu ticks concealed, %zu cuts\n", n,
			w->stall_ms, most, (unsigned long)st.n_concealed, w->n_cuts);
		assert_true(most <= stalls[i].most_ms + 0.5);
		assert_true(st.n_concealed <= 4 * n);
		assert_int_equal(st.n_overflows, 0);
		world_free(w);
	}
}

/* A ratio that is trimmed to follow a clock goes on so, and leaves the surplus to time compression. */
TEST(clock_drift_is_followed_during_recovery)
{
	for (int sign = -1; sign <= 1; sign += 2) {
		struct world *w = world_new(&(struct world){.sound = {.name = "voice", .at = voice, .hz = 170},
			.ppm = 800 * sign, .path_ms = 120, .shorter_s = 30});

		run_until(w, 30);
		double before = stats(w).trim_ppm, far = 0;

		assert_true(before * sign > 400);
		while (now_s(w) < 60) {
			one_tick(w);
			if (w->n_cuts > 0 && w->lead_ms > SAFE_MS + LEFT_MS)
				far = fmax(far, fabs(stats(w).trim_ppm - before));
		}
		print_message("%+.0f ppm: trim %+.0f, then at most %.0f away, lead %.1f, %zu cuts\n", w->ppm, before, far,
			w->lead_ms, w->n_cuts);
		assert_true(w->n_cuts > 5);
		assert_true(far < 1200);
		assert_true(w->lead_ms < SAFE_MS + 6 && w->lead_ms > SAFE_MS - 4);
		world_free(w);
	}
}

/* Numbers tell what was lost, and its place is kept: no cut goes over a gap. */
TEST(recovery_works_under_loss)
{
	static const double losses[] = {0.1, 0.5};

	for (size_t i = 0; i < 2; i++) {
		struct world *w = world_new(&(struct world){STALL, .sound = {.name = "voice", .at = voice, .hz = 170},
			.loss = losses[i], .v1 = true});
		double s = time_to_recover(w, STALL_END_S, 20);
		struct jitter_stats st = stats(w);

		print_message("%.0f %% lost: %.2f s, %zu cuts, %lu lost of %u, lead %.1f\n", 100 * w->loss, s, w->n_cuts,
			(unsigned long)st.order.n_lost, w->n_lost, w->lead_ms);
		assert_true(s < 4);
		assert_int_equal(st.order.n_too_late, 0);
		assert_in_range(st.order.n_lost, w->n_lost - 6, w->n_lost);
		world_free(w);
	}
}

/* Between gaps there is hardly room for a cut: it is trimmed after all. */
TEST(delay_is_trimmed_where_no_piece_can_be_left_out)
{
	struct world *w = world_new(&(struct world){STALL, .sound = {.name = "voice", .at = voice, .hz = 170},
		.every_other = true, .v1 = true});
	double s = time_to_recover(w, STALL_END_S, 60);

	print_message("every other frame lost: %.1f s, %zu cuts, lead %.1f ms\n", s, w->n_cuts, w->lead_ms);
	assert_true(s < 60);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stall_is_over_within_three_seconds),
		cmocka_unit_test(a_stall_is_over_at_every_rate),
		cmocka_unit_test(a_stall_is_over_at_every_phase),
		cmocka_unit_test(a_tone_keeps_its_pitch),
		cmocka_unit_test(a_shorter_path_shortens_the_delay),
		cmocka_unit_test(delay_from_skipped_ticks_is_given_back),
		cmocka_unit_test(a_small_surplus_is_trimmed),
		cmocka_unit_test(ordinary_jitter_causes_no_time_compression),
		cmocka_unit_test(repeated_stalls_do_not_add_up),
		cmocka_unit_test(clock_drift_is_followed_during_recovery),
		cmocka_unit_test(recovery_works_under_loss),
		cmocka_unit_test(delay_is_trimmed_where_no_piece_can_be_left_out),
	};

	return cmocka_run_group_tests(tests, make_table, free_table);
}
