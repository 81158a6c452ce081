/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "client/wav.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
	uint8_t b[8192];
	size_t n;
};

static void put(struct bytes *o, const void *p, size_t n)
{
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

static void put_le(struct bytes *o, uint32_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		o->b[o->n++] = (uint8_t)(v >> (8 * i));
}

static void put_fmt(struct bytes *o, unsigned format, unsigned channels, uint32_t rate_hz, unsigned bits)
{
	put(o, "fmt ", 4);
	put_le(o, 16, 4);
	put_le(o, format, 2);
	put_le(o, channels, 2);
	put_le(o, rate_hz, 4);
	put_le(o, rate_hz * channels * bits / 8, 4);
	put_le(o, channels * bits / 8, 2);
	put_le(o, bits, 2);
}

static struct bytes riff(void)
{
	struct bytes o = {.n = 0};

	put(&o, "RIFF\xff\xff\xff\xffWAVE", 12);
	return o;
}

static void put_data(struct bytes *o, uint32_t bytes)
{
	put(o, "data", 4);
	put_le(o, bytes, 4);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/mynah-test-%d-%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid(), name);
	return path;
}

static void save(const char *path, const struct bytes *o)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(o->b, 1, o->n, f), o->n);
	fclose(f);
}

TEST(heads_of_every_kind)
{
	struct wav_format f;
	char why[WAV_ERROR];
	struct bytes o = riff();

	put(&o, "LIST\3\0\0\0abc\0", 12); /* odd chunks are padded */
	put_fmt(&o, 1, 2, 44100, 16);
	put(&o, "junk\0\0\0\0", 8);
	put_data(&o, 1000);
	assert_int_equal(wav_parse(o.b, o.n, &f, why), 0);
	assert_int_equal(f.rate_hz, 44100);
	assert_int_equal(f.channels, 2);
	assert_int_equal(f.data_at, o.n);
	assert_int_equal(f.data_bytes, 1000);

	o = riff(); /* WAVE_FORMAT_EXTENSIBLE, of a program that wrote to a pipe */
	put_fmt(&o, 0xfffe, 1, 16000, 16);
	o.b[16] = 40;
	put(&o, "\x16\0\x10\0\4\0\0\0\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 24);
	put_data(&o, 0xffffffff);
	assert_int_equal(wav_parse(o.b, o.n, &f, why), 0);
	assert_true(f.data_bytes == UINT64_MAX);
}

TEST(an_unusable_file_is_refused_with_a_reason)
{
	static const struct {
		unsigned format, channels, bits;
		uint32_t rate_hz;
		int err;
	} cases[] = {{3, 1, 32, 16000, ERR_UNSUPPORTED}, {1, 1, 8, 16000, ERR_UNSUPPORTED}, {1, 1, 24, 16000, ERR_UNSUPPORTED},
		{1, 0, 16, 16000, ERR_MALFORMED}, {1, 65, 16, 16000, ERR_MALFORMED}, {1, 1, 16, 0, ERR_MALFORMED},
		{0xfffe, 1, 16, 16000, ERR_MALFORMED}};
	struct wav_format f;
	char why[WAV_ERROR];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes o = riff();

		put_fmt(&o, cases[i].format, cases[i].channels, cases[i].rate_hz, cases[i].bits);
		put_data(&o, 4);
		assert_int_equal(wav_parse(o.b, o.n, &f, why), cases[i].err);
	}
	struct bytes o = riff();

	put_data(&o, 4);
	assert_int_equal(wav_parse(o.b, o.n, &f, why), ERR_MALFORMED); /* no fmt */
	o = riff();
	put_fmt(&o, 1, 1, 16000, 16);
	put_data(&o, 4);
	for (size_t n = 0; n < o.n; n++)
		assert_int_equal(wav_parse(o.b, n, &f, why), ERR_MALFORMED);
	o.b[0] = 'X';
	assert_int_equal(wav_parse(o.b, o.n, &f, why), ERR_MALFORMED);
	o = riff(); /* a chunk that is longer than all files */
	put(&o, "LIST\xff\xff\xff\xff", 8);
	assert_int_equal(wav_parse(o.b, o.n, &f, why), ERR_MALFORMED);
}

TEST(samples_are_read_back_as_they_were_written)
{
	const char *path = path_of("a.wav");
	char why[WAV_ERROR];
	int16_t x[5000], y[5000];
	struct wav_out *out;
	struct wav_in *in;
	size_t got = 0, n;

	for (size_t i = 0; i < 5000; i++)
		x[i] = (int16_t)(i * 12347);
	assert_int_equal(wav_out_open(path, 24000, &out, why), 0);
	assert_int_equal(wav_out_write(out, x, 1), 0);
	assert_int_equal(wav_out_write(out, x + 1, 4999), 0);
	assert_int_equal(wav_out_close(out), 0);
	assert_int_equal(wav_in_open(path, 0, &in, why), 0);
	assert_int_equal(wav_in_rate(in), 24000);
	while ((n = wav_in_read(in, y + got, got + 480 < 5000 ? 480 : 5000 - got)) > 0)
		got += n;
	assert_int_equal(got, 5000);
	assert_true(wav_in_ended(in));
	assert_memory_equal(x, y, sizeof x);
	wav_in_close(in);
	unlink(path);
}

TEST(stereo_is_mixed_down_and_what_follows_the_data_is_no_sound)
{
	const char *path = path_of("b.wav");
	struct bytes o = riff();
	char why[WAV_ERROR];
	struct wav_in *in;
	int16_t y[16];

	put_fmt(&o, 1, 2, 8000, 16);
	put_data(&o, 12);
	put_le(&o, (uint16_t)-32768, 2), put_le(&o, (uint16_t)-32768, 2);
	put_le(&o, 100, 2), put_le(&o, 300, 2);
	put_le(&o, 32767, 2), put_le(&o, 32767, 2);
	put(&o, "LIST\4\0\0\0abcd", 12);
	save(path, &o);
	assert_int_equal(wav_in_open(path, 0, &in, why), 0);
	assert_int_equal(wav_in_read(in, y, 16), 3);
	assert_int_equal(y[0], -32768);
	assert_int_equal(y[1], 200);
	assert_int_equal(y[2], 32767);
	assert_int_equal(wav_in_read(in, y, 16), 0);
	assert_true(wav_in_ended(in));
	wav_in_close(in);
	unlink(path);
}

TEST(unusable_files_are_named)
{
	const char *path = path_of("c.wav");
	struct bytes o = riff();
	char why[WAV_ERROR];
	struct wav_out *out;
	struct wav_in *in;

	assert_int_equal(wav_in_open("/nowhere/x.wav", 0, &in, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "/nowhere/x.wav"));
	assert_int_equal(wav_out_open("/nowhere/x.wav", 16000, &out, why), ERR_IO);
	assert_non_null(strstr(why, "/nowhere/x.wav"));
	put_fmt(&o, 1, 1, 96000, 16);
	put_data(&o, 4);
	save(path, &o);
	assert_int_equal(wav_in_open(path, 0, &in, why), ERR_RANGE);
	assert_non_null(strstr(why, "8000"));
	unlink(path);
}

/* Standard input and output are what they are for the whole process; they are put back. */
TEST(a_pipe_is_never_waited_for)
{
	char why[WAV_ERROR];
	uint8_t b[1000] = {1, 0, 2, 0};
	int16_t y[400];
	struct wav_in *in;
	int fd[2], old = dup(0);

	assert_int_equal(pipe(fd), 0);
	dup2(fd[0], 0);
	assert_int_equal(wav_in_open("-", 16000, &in, why), 0);
	assert_int_equal(wav_in_read(in, y, 320), 0);
	assert_false(wav_in_ended(in));
	assert_int_equal(write(fd[1], b, 639), 639);
	assert_int_equal(wav_in_read(in, y, 320), 0); /* half a sample is missing */
	assert_int_equal(write(fd[1], b, 3), 3);
	assert_int_equal(wav_in_read(in, y, 320), 320);
	assert_int_equal(y[0], 1);
	assert_int_equal(y[1], 2);
	close(fd[1]);
	assert_int_equal(wav_in_read(in, y, 320), 1); /* the rest, at the end */
	assert_int_equal(wav_in_read(in, y, 320), 0);
	assert_true(wav_in_ended(in));
	wav_in_close(in);
	dup2(old, 0);
	close(old);
	close(fd[0]);
}

TEST(a_reader_that_does_not_read_costs_samples_not_time)
{
	char why[WAV_ERROR];
	int16_t x[1000] = {0};
	struct wav_out *out;
	int fd[2], old = dup(1), err = 0;

	fflush(stdout);
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], 1);
	assert_int_equal(wav_out_open("-", 16000, &out, why), 0);
	for (int i = 0; i < 100; i++)
		err |= wav_out_write(out, x, 1000);
	dup2(old, 1);
	close(old);
	assert_int_equal(err, 0);
	assert_true(wav_out_dropped(out) > 10000 && wav_out_dropped(out) < 100000);
	assert_int_equal(wav_out_close(out), 0);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_of_every_kind),
		cmocka_unit_test(an_unusable_file_is_refused_with_a_reason),
		cmocka_unit_test(samples_are_read_back_as_they_were_written),
		cmocka_unit_test(stereo_is_mixed_down_and_what_follows_the_data_is_no_sound),
		cmocka_unit_test(unusable_files_are_named),
		cmocka_unit_test(a_pipe_is_never_waited_for),
		cmocka_unit_test(a_reader_that_does_not_read_costs_samples_not_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
