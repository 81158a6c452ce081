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

/* Reads a head that comes in pieces of `piece` bytes. */
static int read_head(const struct bytes *o, size_t piece, struct wav_head *h, size_t *data_at, char why[WAV_ERROR])
{
	size_t used;
	int err = 0;

	*data_at = 0;
	wav_head_init(h);
	for (size_t at = 0; !err && at < o->n && h->state != WAV_AT_SAMPLES; at += piece) {
		size_t n = o->n - at < piece ? o->n - at : piece;

		err = wav_head_feed(h, o->b + at, n, &used, why);
		*data_at += used;
	}
	return !err && h->state != WAV_AT_SAMPLES ? wav_head_truncated(h, why) : err;
}

static void put_extensible(struct bytes *o, unsigned tag, unsigned channels, unsigned bits)
{
	size_t at = o->n;

	put_fmt(o, 0xfffe, channels, 16000, bits);
	o->b[at + 4] = 40;
	put_le(o, 22, 2);
	put_le(o, bits, 2);
	put_le(o, 4, 4);
	put_le(o, tag, 2);
	put(o, "\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 14);
}

TEST(heads_of_every_kind)
{
	char why[WAV_ERROR];
	struct wav_head h;
	size_t data_at;

	for (size_t piece = 1; piece < 100; piece++) {
		struct bytes o = riff();

		put(&o, "LIST\3\0\0\0abc\0", 12); /* odd chunks are padded */
		put_fmt(&o, 1, 2, 44100, 16);
		put(&o, "junk\0\0\0\0", 8);
		put_data(&o, 1000);
		assert_int_equal(read_head(&o, piece, &h, &data_at, why), 0);
		assert_int_equal(h.format.rate_hz, 44100);
		assert_int_equal(h.format.channels, 2);
		assert_int_equal(data_at, o.n);
		assert_int_equal(h.format.data_bytes, 1000);

		o = riff(); /* WAVE_FORMAT_EXTENSIBLE, of a program that wrote to a pipe */
		put_extensible(&o, 1, 1, 16);
		put_data(&o, 0xffffffff);
		assert_int_equal(read_head(&o, piece, &h, &data_at, why), 0);
		assert_true(h.format.data_bytes == UINT64_MAX);

		o = riff(); /* ffmpeg -rf64 always */
		memcpy(o.b, "RF64", 4);
		put(&o, "ds64\x1c\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 36);
		put_fmt(&o, 1, 1, 16000, 16);
		put_data(&o, 0xffffffff);
		assert_int_equal(read_head(&o, piece, &h, &data_at, why), 0);
		assert_true(h.format.data_bytes == 0x100000002);
	}
}

TEST(an_unusable_file_is_refused_with_a_reason)
{
	static const struct {
		unsigned format, channels, bits;
		uint32_t rate_hz;
		int err;
		const char *why;
	} cases[] = {
		{3, 1, 16, 16000, ERR_UNSUPPORTED, "floats of 16 bits"}, {1, 1, 64, 16000, ERR_UNSUPPORTED, "PCM of 64 bits"},
		{1, 1, 0, 16000, ERR_UNSUPPORTED, "PCM of 0 bits"}, {2, 1, 4, 16000, ERR_UNSUPPORTED, "Microsoft ADPCM"},
		{6, 1, 8, 8000, ERR_UNSUPPORTED, "A-law"}, {7, 1, 8, 8000, ERR_UNSUPPORTED, "mu-law"},
		{0x31, 1, 0, 8000, ERR_UNSUPPORTED, "GSM 6.10"}, {0x55, 1, 0, 16000, ERR_UNSUPPORTED, "MP3"},
		{0x1234, 1, 16, 16000, ERR_UNSUPPORTED, "an unknown coding (format 0x1234)"},
		{1, 0, 16, 16000, ERR_MALFORMED, "fmt"}, {1, 65, 16, 16000, ERR_MALFORMED, "fmt"},
		{1, 1, 16, 0, ERR_MALFORMED, "fmt"}, {0xfffe, 1, 16, 16000, ERR_MALFORMED, "fmt"}};
	static const char *const files[][2] = {{"FORM\0\0\0\0AIFF", "an AIFF file"}, {"OggS\0\2\0\0\0\0\0\0", "an Ogg file"},
		{"fLaC\0\0\0\0\0\0\0\0", "a FLAC file"}, {"ID3\4\0\0\0\0\0\0\0\0", "an MP3 file"}, {"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "a Wave64 file"}};
	char why[WAV_ERROR];
	struct wav_head h;
	size_t data_at;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes o = riff();

		put_fmt(&o, cases[i].format, cases[i].channels, cases[i].rate_hz, cases[i].bits);
		put_data(&o, 4);
		assert_int_equal(read_head(&o, o.n, &h, &data_at, why), cases[i].err);
		assert_non_null(strstr(why, cases[i].why));
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct bytes o = {.n = 0};

		put(&o, files[i][0], 12);
		assert_int_equal(read_head(&o, o.n, &h, &data_at, why), ERR_UNSUPPORTED);
		assert_non_null(strstr(why, files[i][1]));
	}
	struct bytes o = riff();

	put_extensible(&o, 6, 1, 8);
	put_data(&o, 4);
	assert_int_equal(read_head(&o, o.n, &h, &data_at, why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why, "A-law"));
	o.b[59] ^= 1; /* a GUID that stands for no tag */
	assert_int_equal(read_head(&o, o.n, &h, &data_at, why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why, "0xfffe"));
	o = riff();
	put_data(&o, 4);
	assert_int_equal(read_head(&o, o.n, &h, &data_at, why), ERR_MALFORMED); /* no fmt */
	o = riff();
	put_fmt(&o, 1, 1, 16000, 16);
	put_data(&o, 4);
	for (size_t n = 0; n < o.n; n++) {
		struct bytes cut = o;

		cut.n = n;
		assert_int_equal(read_head(&cut, o.n, &h, &data_at, why), ERR_MALFORMED);
	}
	o.b[0] = 'X';
	assert_int_equal(read_head(&o, o.n, &h, &data_at, why), ERR_MALFORMED);
	o = riff(); /* a chunk that is longer than all files */
	put(&o, "LIST\xff\xff\xff\xff", 8);
	assert_int_equal(read_head(&o, o.n, &h, &data_at, why), ERR_MALFORMED);
}

/* Half of full scale up, half down, silence: in every coding that sox, ffmpeg and libsndfile write. */
TEST(samples_of_every_width_are_read)
{
	static const struct {
		const char *name;
		unsigned tag, bits;
		bool extensible; /* as sox and ffmpeg write what has more than 16 bits */
		bool big_endian; /* RIFX, as sox -B and libsndfile write it */
		const char *samples;
	} cases[] = {
		{"u8", 1, 8, false, false, "\xc0\x40\x80"},
		{"s16", 1, 16, false, false, "\0\x40\0\xc0\0\0"},
		{"s24", 1, 24, false, false, "\0\0\x40\0\0\xc0\0\0\0"},
		{"s24 extensible", 1, 24, true, false, "\0\0\x40\0\0\xc0\0\0\0"},
		{"s32 extensible", 1, 32, true, false, "\0\0\0\x40\0\0\0\xc0\0\0\0\0"},
		{"12 bits of 16", 1, 12, false, false, "\0\x40\0\xc0\0\0"},
		{"f32", 3, 32, false, false, "\0\0\0\x3f\0\0\0\xbf\0\0\0\0"},
		{"f32 extensible", 3, 32, true, false, "\0\0\0\x3f\0\0\0\xbf\0\0\0\0"},
		{"f64", 3, 64, false, false, "\0\0\0\0\0\0\xe0\x3f\0\0\0\0\0\0\xe0\xbf\0\0\0\0\0\0\0\0"},
		{"s16 big endian", 1, 16, false, true, "\x40\0\xc0\0\0\0"},
		{"f32 big endian", 3, 32, false, true, "\x3f\0\0\0\xbf\0\0\0\0\0\0\0"},
	};
	const char *path = path_of("d.wav");
	char why[WAV_ERROR];
	struct wav_in *in;
	int16_t y[8];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes o = riff();
		unsigned width = (cases[i].bits + 7) / 8;

		if (cases[i].big_endian) {
			put(&o, "fmt \0\0\0\x10\0", 9);
			put(&o, (uint8_t[]){(uint8_t)cases[i].tag, 0, 1, 0, 0, 0x3e, 0x80, 0, 0, 0, 0, 0, (uint8_t)width, 0,
				(uint8_t)cases[i].bits}, 15);
			put(&o, "data\0\0\0", 7);
			put_le(&o, 3 * width, 1);
			o.b[3] = 'X';
		} else {
			if (cases[i].extensible)
				put_extensible(&o, cases[i].tag, 1, cases[i].bits);
			else
				put_fmt(&o, cases[i].tag, 1, 16000, cases[i].bits);
			put_data(&o, 3 * width);
		}
		put(&o, cases[i].samples, (size_t)3 * width);
		put(&o, "LIST\4\0\0\0abcd", 12);
		save(path, &o);
		if (wav_in_open(path, 0, &in, why))
			fail_msg("%s: %s", cases[i].name, why);
		assert_int_equal(wav_in_rate(in), 16000);
		assert_int_equal(wav_in_read(in, y, 8), 3);
		if (y[0] != 16384 || y[1] != -16384 || y[2] != 0)
			fail_msg("%s: %d %d %d", cases[i].name, y[0], y[1], y[2]);
		wav_in_close(in);
	}
	unlink(path);
}

TEST(floats_are_clipped_at_full_scale_and_nan_is_silence)
{
	static const uint32_t samples[] = {0x40000000, 0xc0000000, 0x7f800000, 0x7fc00000, 0x3f800000}; /* 2, -2, inf, nan, 1 */
	static const int16_t expected[] = {32767, -32768, 32767, 0, 32767};
	const char *path = path_of("e.wav");
	struct bytes o = riff();
	char why[WAV_ERROR];
	struct wav_in *in;
	int16_t y[8];

	put_fmt(&o, 3, 1, 16000, 32);
	put_data(&o, sizeof samples);
	for (size_t i = 0; i < 5; i++)
		put_le(&o, samples[i], 4);
	save(path, &o);
	assert_int_equal(wav_in_open(path, 0, &in, why), 0);
	assert_int_equal(wav_in_read(in, y, 8), 5);
	assert_memory_equal(y, expected, sizeof expected);
	wav_in_close(in);
	unlink(path);
}

/* Pictures, notes and the padding of editors come before the samples. */
TEST(metadata_of_any_length_before_the_samples_is_skipped)
{
	static const uint32_t lengths[] = {4, 0, 0x7ffff000, 0xffffffff};
	const char *path = path_of("f.wav");
	char why[WAV_ERROR];
	struct wav_in *in;
	int16_t y[8];

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct bytes head = riff(), tail = {.n = 0};
		FILE *f = fopen(path, "wb");

		put_fmt(&head, 1, 1, 16000, 16);
		put(&head, "id3 \x01\0\x10\0", 8); /* 1 MiB and a byte: padded */
		put_data(&tail, lengths[i]);
		put(&tail, "\1\0\2\0", 4);
		assert_non_null(f);
		assert_int_equal(fwrite(head.b, 1, head.n, f), head.n);
		assert_int_equal(fseek(f, (1 << 20) + 2, SEEK_CUR), 0);
		assert_int_equal(fwrite(tail.b, 1, tail.n, f), tail.n);
		fclose(f);
		if (wav_in_open(path, 0, &in, why))
			fail_msg("length %x: %s", lengths[i], why);
		assert_int_equal(wav_in_read(in, y, 8), 2);
		assert_int_equal(y[0], 1);
		assert_int_equal(y[1], 2);
		assert_true(wav_in_ended(in));
		wav_in_close(in);
	}
	unlink(path);
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
		cmocka_unit_test(samples_of_every_width_are_read),
		cmocka_unit_test(floats_are_clipped_at_full_scale_and_nan_is_silence),
		cmocka_unit_test(metadata_of_any_length_before_the_samples_is_skipped),
		cmocka_unit_test(samples_are_read_back_as_they_were_written),
		cmocka_unit_test(stereo_is_mixed_down_and_what_follows_the_data_is_no_sound),
		cmocka_unit_test(unusable_files_are_named),
		cmocka_unit_test(a_pipe_is_never_waited_for),
		cmocka_unit_test(a_reader_that_does_not_read_costs_samples_not_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
