/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/pcm.h"
#include "audio/resample.h"
#include "client/mark.h"

#include <stdlib.h>
#include <string.h>

enum { MARKS = 200, PIECE = 320 };

struct sink {
	struct mark_reader reader;
	struct mark got[MARKS * 2];
	size_t n, after[MARKS * 2];
};

static void found(void *ctx, const struct mark *m, size_t after)
{
	struct sink *s = ctx;

	assert_true(s->n < MARKS * 2);
	s->after[s->n] = after;
	s->got[s->n++] = *m;
}

static struct mark mark_of(size_t i)
{
	return (struct mark){0xbeef, (uint16_t)(i * 7919), (uint16_t)i};
}

/* `n` marks in a row, as one stream. */
static int16_t *stream_of(size_t n)
{
	int16_t *x = malloc(n * MARK_SAMPLES * sizeof *x);

	for (size_t i = 0; i < n; i++) {
		const struct mark m = mark_of(i);

		mark_write(&m, x + i * MARK_SAMPLES);
	}
	return x;
}

static void feed(struct sink *s, const int16_t *x, size_t n, size_t piece)
{
	for (size_t i = 0; i < n; i += piece)
		mark_read(&s->reader, x + i, n - i < piece ? n - i : piece, found, s);
}

static void assert_in_order(const struct sink *s, size_t n)
{
	assert_int_equal(s->n, n);
	for (size_t i = 0; i < n; i++) {
		const struct mark m = mark_of(i);

		assert_int_equal(s->got[i].run, m.run);
		assert_int_equal(s->got[i].talker, m.talker);
		assert_int_equal(s->got[i].seq, m.seq);
	}
}

TEST(every_mark_is_read_however_the_stream_is_cut)
{
	static const size_t pieces[] = {320, 160, 107, 1, 319, 321, 960, 64000};
	int16_t *x = stream_of(MARKS);

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct sink s = {.n = 0};

		mark_reader_init(&s.reader);
		feed(&s, x, MARKS * MARK_SAMPLES, pieces[i]);
		assert_in_order(&s, MARKS);
	}
	free(x);
}

TEST(an_offset_is_found_once_and_reported)
{
	int16_t *x = stream_of(MARKS), zeros[MARK_SAMPLES] = {0};

	for (size_t offset = 1; offset < MARK_SAMPLES; offset += 13) {
		struct sink s = {.n = 0};

		mark_reader_init(&s.reader);
		feed(&s, zeros, offset, PIECE);
		for (size_t i = 0; i + PIECE <= MARKS * MARK_SAMPLES; i += PIECE) { /* cut where the frames end */
			int16_t frame[PIECE];
			size_t head = i == 0 ? PIECE - offset : PIECE, from = i == 0 ? 0 : i - offset;

			memcpy(frame, x + from, head * sizeof *x);
			mark_read(&s.reader, frame, head, found, &s);
		}
		assert_in_order(&s, MARKS - 1);
		assert_true(s.reader.searches <= 2);
		for (size_t i = 1; i < s.n; i++)
			assert_int_equal(s.after[i], PIECE - offset);
	}
	free(x);
}

TEST(level_fade_and_faint_noise_do_no_harm)
{
	static const double levels[] = {0.05, 0.3, 1, 3.9};
	int16_t *x = stream_of(MARKS), *y = malloc(MARKS * MARK_SAMPLES * sizeof *y);

	srand(1);
	for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
		struct sink s = {.n = 0};

		mark_reader_init(&s.reader);
		for (size_t i = 0; i < MARKS * MARK_SAMPLES; i++) {
			double fade = i % 3200 < 80 ? (double)(i % 3200 + 1) / 81 : 1;

			y[i] = (int16_t)(x[i] * levels[k] * fade + (rand() % 9 - 4) * levels[k]);
		}
		feed(&s, y, MARKS * MARK_SAMPLES, PIECE);
		assert_in_order(&s, MARKS);
	}
	free(x);
	free(y);
}

/* Through resamplers as a room does it; returns how many of MARKS were read. */
static size_t read_through(uint32_t by_hz, double trim_ppm)
{
	struct resample_table *t;
	struct resample *a, *b;
	struct sink s = {.n = 0};
	int16_t *x = stream_of(MARKS), pcm[4096];
	float in[PIECE], mid[4096], out[4096];

	mark_reader_init(&s.reader);
	assert_int_equal(resample_table_new(&t), 0);
	assert_int_equal(resample_new(t, MARK_RATE_HZ, by_hz, &a), 0);
	assert_int_equal(resample_new(t, by_hz, MARK_RATE_HZ, &b), 0);
	if (trim_ppm != 0)
		resample_trim_ppm(a, trim_ppm);
	for (size_t i = 0; i < MARKS; i++) {
		pcm_from_i16(in, x + i * PIECE, PIECE);
		size_t n = resample_run(a, in, PIECE, mid, 4096);

		n = resample_run(b, mid, n, out, 4096);
		pcm_to_i16(pcm, out, n);
		mark_read(&s.reader, pcm, n, found, &s);
	}
	for (size_t i = 0; i < s.n; i++)
		assert_int_equal(s.got[i].talker, (uint16_t)(s.got[i].seq * 7919));
	resample_free(a);
	resample_free(b);
	resample_table_free(t);
	free(x);
	return s.n;
}

TEST(a_room_of_another_rate_and_a_wrong_clock_do_no_harm)
{
	static const uint32_t rates[] = {16000, 24000, 48000};
	static const double trims[] = {0, 30, -30, 250, -250, 1000, -1000, 5000, -5000};

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		for (size_t j = 0; j < sizeof trims / sizeof *trims; j++)
			if (read_through(rates[i], trims[j]) < MARKS - 1)
				fail_msg("%u Hz, %g ppm: %zu", rates[i], trims[j], read_through(rates[i], trims[j]));
}

TEST(noise_and_damaged_marks_are_not_read)
{
	struct sink s = {.n = 0};
	int16_t *x = stream_of(MARKS);

	srand(2);
	mark_reader_init(&s.reader);
	for (size_t i = 0; i < MARKS; i++)
		/* one bit of each turned round */
		for (size_t j = 0, at = i * MARK_SAMPLES + 64 + i % 64 * 4; j < 4; j++)
			x[at + j] = (int16_t)-x[at + j];
	feed(&s, x, MARKS * MARK_SAMPLES, PIECE);
	for (size_t i = 0; i < MARKS * MARK_SAMPLES; i++)
		x[i] = (int16_t)(rand() % 65536 - 32768);
	feed(&s, x, MARKS * MARK_SAMPLES, PIECE);
	assert_int_equal(s.n, 0);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mark_is_read_however_the_stream_is_cut),
		cmocka_unit_test(an_offset_is_found_once_and_reported),
		cmocka_unit_test(level_fade_and_faint_noise_do_no_harm),
		cmocka_unit_test(a_room_of_another_rate_and_a_wrong_clock_do_no_harm),
		cmocka_unit_test(noise_and_damaged_marks_are_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
