/* SPDX-License-Identifier: MIT */
/* The sound of a call in virtual time: what is sent, what is played, and what a flush leaves of it. */
#include "support/test.h"

#include "base/err.h"
#include "client/media.h"
#include "support/signal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 400, BYTES = 2048 };

/* Two calls facing each other: packets of the one are datagrams of the other, a moment later. */
struct wire {
	size_t max; /* bytes of a packet */
	bool broken;
	size_t n;
	struct {
		uint8_t bytes[BYTES];
		size_t len;
	} packets[MANY];
};

static size_t packet_max(void *ctx)
{
	return ((struct wire *)ctx)->max;
}

static bool keep_packet(void *ctx, const struct packet *p, nsec now)
{
	struct wire *w = ctx;

	(void)now;
	if (w->broken)
		return false;
	assert_true(w->n < MANY && p->head_len + p->body_len <= w->max && w->max <= BYTES);
	memcpy(w->packets[w->n].bytes, p->head, p->head_len);
	memcpy(w->packets[w->n].bytes + p->head_len, p->body, p->body_len);
	w->packets[w->n++].len = p->head_len + p->body_len;
	return true;
}

static struct media *make(struct wire *w, uint32_t send_hz, uint32_t play_hz, enum packet_kind kind)
{
	const struct media_opts opts = {.send_rate_hz = send_hz, .play_rate_hz = play_hz, .kind = kind};
	const struct media_out out = {.ctx = w, .packet_max = packet_max, .packet = keep_packet};
	struct media *m;

	memset(w, 0, sizeof *w);
	w->max = 1200;
	assert_int_equal(media_new(&opts, &out, &m), 0);
	return m;
}

static struct frame frame_of(const struct wire *w, size_t i)
{
	struct frame f;

	assert_int_equal(packet_parse(w->packets[i].bytes, w->packets[i].len, 16000, &f), FRAME_OK);
	return f;
}

static void send_tone(struct media *m, uint64_t *at, uint32_t rate_hz, nsec now)
{
	int16_t pcm[MEDIA_SAMPLES_MAX];
	size_t n = media_samples_to_send(m);

	for (size_t i = 0; i < n; i++, ++*at)
		pcm[i] = (int16_t)lrint(8000 * sin(2 * M_PI * 440 * (double)*at / rate_hz));
	media_send(m, pcm, n, false, now);
}

/* One grid point of both: `from` sends, `to` receives 5 ms later and plays after that. */
static void step(struct media *from, struct wire *w, struct media *to, uint64_t *at, uint32_t rate_hz, int16_t *played, nsec now)
{
	w->n = 0;
	if (from)
		send_tone(from, at, rate_hz, now);
	for (size_t i = 0; i < w->n; i++)
		media_receive(to, w->packets[i].bytes, w->packets[i].len, now + nsec_from_ms(5));
	media_play(to, played, now + nsec_from_ms(10));
	if (from)
		media_advance(from);
	media_advance(to);
}

TEST(odd_rates_keep_the_pace)
{
	struct wire w;
	struct media *m = make(&w, 11025, 22050, PACKET_LEGACY);
	uint64_t at = 0, to_play = 0;

	for (int k = 0; k < 100; k++) {
		to_play += media_samples_to_play(m);
		send_tone(m, &at, 11025, nsec_from_ms(20u * (unsigned)k));
		media_advance(m);
	}
	assert_int_equal(at, 2 * 11025);
	assert_int_equal(to_play, 2 * 22050);
	assert_int_equal(media_grid(m), 100);
	media_free(m);
}

TEST(a_talkspurt_begins_and_ends_and_media_time_runs_on_in_silence)
{
	struct wire w;
	struct media *m = make(&w, 16000, 16000, PACKET_V1);
	const int16_t pcm[320] = {1};
	const size_t sent[] = {320, 320, 100, 0, 320}; /* 100 of 320: the source ended */

	for (size_t k = 0; k < 5; k++) {
		media_send(m, pcm, sent[k], false, nsec_from_ms(20 * k));
		media_advance(m);
	}
	assert_int_equal(w.n, 4);
	const bool begins[] = {true, false, false, true}, ends[] = {false, false, true, false};
	const uint32_t time[] = {0, 320, 640, 1280};

	for (size_t i = 0; i < 4; i++) {
		struct frame f = frame_of(&w, i);

		assert_true(f.is_v1 && f.v1.begins == begins[i] && f.v1.ends == ends[i]);
		assert_int_equal(f.v1.seq, i);
		assert_int_equal(f.v1.time, time[i]);
	}
	media_free(m);
}

TEST(a_muted_call_sends_nothing_and_still_shows_its_level)
{
	struct wire w;
	struct media *m = make(&w, 16000, 16000, PACKET_V1);
	struct media_stats s;
	int16_t pcm[320];

	for (size_t i = 0; i < 320; i++)
		pcm[i] = i % 2 ? 16384 : -16384;
	for (unsigned k = 0; k < 50; k++) {
		media_send(m, pcm, 320, true, nsec_from_ms(20 * k));
		media_advance(m);
	}
	media_stats(m, &s);
	assert_int_equal(w.n, 0);
	assert_int_equal(s.packets_sent, 0);
	assert_float_equal(s.sent_dbfs, -6.02, 0.01);
	media_send(m, pcm, 320, false, nsec_from_s(1));
	assert_true(frame_of(&w, 0).v1.begins);
	media_free(m);
}

TEST(packets_fit_the_path_and_unsent_ones_are_not_counted)
{
	struct wire w;
	struct media *m = make(&w, 48000, 16000, PACKET_V1);
	struct media_stats s;
	uint64_t at = 0;

	w.max = 1000; /* 960 samples are 1920 bytes */
	send_tone(m, &at, 48000, 0);
	assert_int_equal(w.n, 2);
	assert_int_equal(frame_of(&w, 0).n_samples + frame_of(&w, 1).n_samples, 960);
	w.broken = true;
	send_tone(m, &at, 48000, nsec_from_ms(20));
	w.broken = false;
	w.max = 12; /* not even one sample */
	send_tone(m, &at, 48000, nsec_from_ms(40));
	media_stats(m, &s);
	assert_int_equal(s.packets_sent, 2);
	media_free(m);
}

TEST(sound_arrives_as_it_was_sent)
{
	for (int kind = PACKET_LEGACY; kind <= PACKET_V1; kind++) {
		struct wire w, unused;
		struct media *from = make(&w, 48000, 16000, (enum packet_kind)kind), *to = make(&unused, 16000, 16000, PACKET_LEGACY);
		struct media_stats s;
		uint64_t at = 0;

		for (unsigned k = 0; k < 100; k++) {
			int16_t played[MEDIA_SAMPLES_MAX];

			step(from, &w, to, &at, 48000, played, nsec_from_ms(20 * k));
		}
		media_stats(to, &s);
		assert_int_equal(s.frames_received, 200); /* 48 kHz takes two packets each time */
		assert_int_equal(s.bad_frames + s.frames_lost, 0);
		assert_float_equal(s.played_dbfs, -15.257, 0.05); /* 8000 of 32768, a sine */
		media_free(from);
		media_free(to);
	}
}

static int loudest(const int16_t *pcm, size_t n)
{
	int most = 0;

	for (size_t i = 0; i < n; i++)
		most = abs(pcm[i]) > most ? abs(pcm[i]) : most;
	return most;
}

TEST(a_flush_ends_the_sound_within_five_milliseconds)
{
	struct wire w, unused;
	struct media *from = make(&w, 16000, 16000, PACKET_V1), *to = make(&unused, 16000, 16000, PACKET_V1);
	struct media_stats s;
	int16_t played[MEDIA_SAMPLES_MAX];
	uint64_t at = 0;

	for (unsigned k = 0; k < 50; k++)
		step(from, &w, to, &at, 16000, played, nsec_from_ms(20 * k));
	assert_true(loudest(played, 320) > 7000);
	media_flush(to, 1, nsec_from_ms(1000));
	media_flush(to, 1, nsec_from_ms(1000)); /* known already */
	step(NULL, &w, to, &at, 16000, played, nsec_from_ms(1000));
	assert_true(loudest(played, 80) > 0);
	assert_int_equal(loudest(played + 80, 240), 0);
	step(from, &w, to, &at, 16000, played, nsec_from_ms(1020)); /* of epoch 0 */
	assert_int_equal(loudest(played, 320), 0);
	media_stats(to, &s);
	assert_int_equal(s.flushes, 1);
	assert_int_equal(s.frames_received, 50);
	media_free(from);
	media_free(to);
}

TEST(reports_count_what_was_played_and_not_what_waits)
{
	struct wire w, unused;
	struct media *from = make(&w, 16000, 16000, PACKET_V1), *to = make(&unused, 16000, 16000, PACKET_V1);
	struct media_stats s;
	int16_t played[MEDIA_SAMPLES_MAX];
	uint64_t at = 0, samples = 0, before = 0;
	uint8_t epoch = 9;

	assert_false(media_played(to, &epoch, &samples));
	for (unsigned k = 0; k < 50; k++) {
		step(from, &w, to, &at, 16000, played, nsec_from_ms(20 * k));
		if (media_played(to, &epoch, &samples)) {
			assert_true(samples > before && samples <= 320 * (k + 1));
			before = samples;
		}
	}
	assert_int_equal(epoch, 0);
	assert_false(media_played(to, &epoch, &samples)); /* nothing new */
	w.n = 0;
	for (unsigned k = 0; k < 3; k++) { /* come at once, and wait */
		send_tone(from, &at, 16000, nsec_from_s(1));
		media_advance(from);
		media_receive(to, w.packets[k].bytes, w.packets[k].len, nsec_from_s(1));
	}
	media_stats(to, &s);
	assert_true(s.buffer_ms > 40);
	media_played(to, &epoch, &samples);
	assert_int_equal(samples, 53 * 320 - (uint64_t)(s.buffer_ms * 16));
	media_free(from);
	media_free(to);
}

TEST(legacy_frames_are_not_reported)
{
	struct wire w, unused;
	struct media *from = make(&w, 16000, 16000, PACKET_LEGACY), *to = make(&unused, 16000, 16000, PACKET_LEGACY);
	int16_t played[MEDIA_SAMPLES_MAX];
	uint64_t at = 0, samples;
	uint8_t epoch;

	for (unsigned k = 0; k < 20; k++)
		step(from, &w, to, &at, 16000, played, nsec_from_ms(20 * k));
	assert_false(media_played(to, &epoch, &samples));
	media_free(from);
	media_free(to);
}

TEST(a_datagram_that_is_no_frame_is_counted)
{
	struct wire w;
	struct media *m = make(&w, 16000, 16000, PACKET_V1);
	const uint8_t bad[] = {255, 127, 1, 2}, odd[] = {160, 0, 1, 2, 3};
	struct media_stats s;

	media_receive(m, bad, sizeof bad, 0);
	media_receive(m, bad, 1, 0);
	media_receive(m, odd, sizeof odd, 0); /* its whole samples are played */
	media_stats(m, &s);
	assert_int_equal(s.bad_frames, 2);
	assert_int_equal(s.frames_received, 1);
	media_free(m);
}

TEST(rates_that_no_frame_can_have_are_refused)
{
	const struct media_opts bad[] = {{7999, 16000, PACKET_V1}, {16000, 48001, PACKET_V1}};
	const struct media_out out = {0};
	struct media *m;

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(media_new(&bad[i], &out, &m), ERR_RANGE);
	media_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_rates_keep_the_pace),
		cmocka_unit_test(a_talkspurt_begins_and_ends_and_media_time_runs_on_in_silence),
		cmocka_unit_test(a_muted_call_sends_nothing_and_still_shows_its_level),
		cmocka_unit_test(packets_fit_the_path_and_unsent_ones_are_not_counted),
		cmocka_unit_test(sound_arrives_as_it_was_sent),
		cmocka_unit_test(a_flush_ends_the_sound_within_five_milliseconds),
		cmocka_unit_test(reports_count_what_was_played_and_not_what_waits),
		cmocka_unit_test(legacy_frames_are_not_reported),
		cmocka_unit_test(a_datagram_that_is_no_frame_is_counted),
		cmocka_unit_test(rates_that_no_frame_can_have_are_refused),
	};

	return cmocka_run_group_tests_name("media", tests, NULL, NULL);
}
