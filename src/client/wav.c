/* SPDX-License-Identifier: MIT */
#include "client/wav.h"

#include "audio/frame.h"
#include "base/cursor.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HEADER_BYTES = 44,
	FORMAT_PCM = 1,
	IN_BYTES = 16384, /* of the file at once; at least one sample of all channels */
};

static int fault(int err, char why[WAV_ERROR], const char *text)
{
	snprintf(why, WAV_ERROR, "%s", text);
	return err;
}

/* --- in ----------------------------------------------------------------------------------------- */

struct wav_in {
	int fd;
	bool ended; /* of the file; the buffer may hold more */
	struct wav_format format;
	uint64_t left; /* bytes of samples not read yet */
	size_t from, to; /* of `b` */
	uint8_t b[IN_BYTES];
};

/* One read, of up to `cap` bytes in the buffer. False: nothing is there now. */
static bool read_some(struct wav_in *w, size_t cap)
{
	ssize_t n = read(w->fd, w->b + w->to, cap - w->to);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return errno == EINTR;
	w->ended = n <= 0;
	w->to += n > 0 ? (size_t)n : 0;
	return true;
}

/* Reads what is there, up to `cap` bytes in the buffer. */
static void fill(struct wav_in *w, size_t cap)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};

	if (w->from) {
		memmove(w->b, w->b + w->from, w->to - w->from);
		w->to -= w->from;
		w->from = 0;
	}
	while (w->to < cap && !w->ended && poll(&p, 1, 0) != 0) {
		if (!read_some(w, cap))
			return;
	}
}

/* Waits for the head, of a FIFO as well. */
static int read_head(struct wav_in *w, char why[WAV_ERROR])
{
	struct wav_head head;
	size_t used;
	int err = 0;

	wav_head_init(&head);
	while (!err && head.state != WAV_AT_SAMPLES) {
		if (w->from == w->to) {
			w->from = w->to = 0;
			read_some(w, sizeof w->b);
		}
		if (w->ended)
			return wav_head_truncated(&head, why);
		err = wav_head_feed(&head, w->b + w->from, w->to - w->from, &used, why);
		w->from += used;
	}
	w->format = head.format;
	w->left = head.format.data_bytes;
	return err;
}

static int open_file(struct wav_in *w, const char *path, char why[WAV_ERROR])
{
	char what[WAV_ERROR];

	w->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (w->fd < 0) {
		snprintf(why, WAV_ERROR, "%.150s: %s", path, strerror(errno));
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	int err = read_head(w, what);

	if (!err && !audio_rate_ok(w->format.rate_hz)) {
		snprintf(what, sizeof what, "its rate of %u Hz is not within 8000 to 48000; convert it first", w->format.rate_hz);
		err = ERR_RANGE;
	}
	if (err)
		snprintf(why, WAV_ERROR, "%.150s: %.90s", path, what);
	return err;
}

int wav_in_open(const char *path, uint32_t raw_rate_hz, struct wav_in **out, char why[WAV_ERROR])
{
	struct wav_in *w = calloc(1, sizeof *w);
	int err = 0;

	if (!w)
		return fault(ERR_NOMEM, why, "out of memory");
	if (strcmp(path, "-") == 0) {
		w->fd = STDIN_FILENO;
		w->format = (struct wav_format){.rate_hz = raw_rate_hz, .channels = 1, .sample_bytes = 2};
		w->left = UINT64_MAX;
	} else {
		err = open_file(w, path, why);
	}
	if (err) {
		wav_in_close(w);
		return err;
	}
	*out = w;
	return 0;
}

uint32_t wav_in_rate(const struct wav_in *w)
{
	return w->format.rate_hz;
}

static size_t block_bytes(const struct wav_in *w)
{
	return (size_t)w->format.sample_bytes * w->format.channels;
}

/* Whole samples in the buffer that belong to the data. */
static size_t buffered(const struct wav_in *w)
{
	uint64_t have = w->to - w->from;

	return (size_t)(have < w->left ? have : w->left) / block_bytes(w);
}

static int32_t integer_sample(uint64_t v, unsigned bytes)
{
	uint32_t top = (uint32_t)v << (32 - 8 * bytes);

	return (int32_t)(bytes == 1 ? top ^ 0x80000000u : top);
}

static double float_sample(uint64_t v, unsigned bytes)
{
	uint32_t v32 = (uint32_t)v;
	float single;
	double x;

	memcpy(&x, &v, sizeof x);
	memcpy(&single, &v32, sizeof single);
	return bytes == sizeof single ? (double)single : x;
}

/* A sample of any coding, with INT32_MAX as full scale. */
static int32_t sample_at(const struct wav_format *f, const uint8_t *p)
{
	struct cursor c = cursor_of(p, f->sample_bytes);
	uint64_t v = f->big_endian ? cursor_be(&c, f->sample_bytes) : cursor_le(&c, f->sample_bytes);

	if (f->coding == WAV_INTEGER)
		return integer_sample(v, f->sample_bytes);
	double x = float_sample(v, f->sample_bytes) * 2147483648.0;

	if (isnan(x))
		return 0;
	return x >= INT32_MAX ? INT32_MAX : x <= INT32_MIN ? INT32_MIN : (int32_t)x;
}

static int16_t mix_down(const struct wav_format *f, const uint8_t *p)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < f->channels; i++)
		sum += sample_at(f, p + (size_t)i * f->sample_bytes);
	int64_t rounded = (sum / f->channels + 0x8000) >> 16;

	return (int16_t)(rounded > INT16_MAX ? INT16_MAX : rounded);
}

size_t wav_in_read(struct wav_in *w, int16_t *pcm, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t want = (n - done) * block_bytes(w);

		if (buffered(w) < n - done && w->left > w->to - w->from)
			fill(w, want < IN_BYTES ? want : IN_BYTES);
		size_t have = buffered(w) < n - done ? buffered(w) : n - done;

		if (have < n - done && !w->ended && w->left > w->to - w->from && w->to - w->from < IN_BYTES)
			return done; /* a pipe: the rest is yet to come */
		if (have == 0)
			break;
		for (size_t i = 0; i < have; i++, w->from += block_bytes(w))
			pcm[done++] = mix_down(&w->format, w->b + w->from);
		if (w->left != UINT64_MAX)
			w->left -= have * block_bytes(w);
	}
	return done;
}

bool wav_in_ended(const struct wav_in *w)
{
	return buffered(w) == 0 && (w->ended || w->left < block_bytes(w));
}

void wav_in_close(struct wav_in *w)
{
	if (!w)
		return;
	if (w->fd > STDIN_FILENO)
		close(w->fd);
	free(w);
}

/* --- out ---------------------------------------------------------------------------------------- */

struct wav_out {
	FILE *f;   /* a WAV */
	bool pipe; /* raw, to standard output */
	uint32_t rate_hz;
	uint64_t written, dropped; /* samples */
	bool failed;   /* nothing more is written ... */
	bool broken;   /* ... and not because the reader of a pipe has left */
};

static void put_le(uint8_t *p, uint32_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* Lengths that do not fit, or are not known yet, are the greatest there is: readers go to the end of the file. */
static bool write_header(struct wav_out *w, uint64_t samples)
{
	uint8_t h[HEADER_BYTES] = "RIFF....WAVEfmt ";
	uint32_t bytes = samples > (UINT32_MAX - HEADER_BYTES) / 2 ? UINT32_MAX - HEADER_BYTES : (uint32_t)samples * 2;

	put_le(h + 4, bytes + HEADER_BYTES - 8, 4);
	put_le(h + 16, 16, 4);
	put_le(h + 20, FORMAT_PCM, 2);
	put_le(h + 22, 1, 2);
	put_le(h + 24, w->rate_hz, 4);
	put_le(h + 28, w->rate_hz * 2, 4);
	put_le(h + 32, 2, 2);
	put_le(h + 34, 16, 2);
	memcpy(h + 36, "data", 4);
	put_le(h + 40, bytes, 4);
	return fwrite(h, sizeof h, 1, w->f) == 1;
}

int wav_out_open(const char *path, uint32_t rate_hz, struct wav_out **out, char why[WAV_ERROR])
{
	struct wav_out *w = calloc(1, sizeof *w);

	if (!w)
		return fault(ERR_NOMEM, why, "out of memory");
	w->rate_hz = rate_hz;
	w->pipe = strcmp(path, "-") == 0;
	if (!w->pipe) {
		w->f = fopen(path, "wbe");
		if (!w->f || !write_header(w, UINT64_MAX)) {
			snprintf(why, WAV_ERROR, "%.150s: %s", path, strerror(errno));
			if (w->f)
				fclose(w->f);
			free(w);
			return ERR_IO;
		}
	}
	*out = w;
	return 0;
}

static int write_pipe(struct wav_out *w, const uint8_t *p, size_t len)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

	while (len > 0) {
		/* A pipe that polls writable takes PIPE_BUF bytes without waiting. */
		size_t piece = len < 4096 ? len : 4096;

		if (poll(&fd, 1, 0) == 0 || !(fd.revents & (POLLOUT | POLLERR | POLLHUP))) {
			w->dropped += len / 2;
			return 0;
		}
		ssize_t n = write(STDOUT_FILENO, p, piece);

		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			w->broken = errno != EPIPE;
			return ERR_IO;
		}
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int wav_out_write(struct wav_out *w, const int16_t *pcm, size_t n)
{
	uint8_t b[2 * 1024];

	for (size_t done = 0; done < n && !w->failed;) {
		size_t piece = n - done < sizeof b / 2 ? n - done : sizeof b / 2;

		for (size_t i = 0; i < piece; i++)
			put_le(b + 2 * i, (uint16_t)pcm[done + i], 2);
		w->failed = w->pipe ? write_pipe(w, b, 2 * piece) != 0 : fwrite(b, 2, piece, w->f) != piece;
		done += piece;
		w->written += piece;
	}
	return w->failed ? ERR_IO : 0;
}

uint64_t wav_out_dropped(const struct wav_out *w)
{
	return w->dropped;
}

int wav_out_close(struct wav_out *w)
{
	if (!w)
		return 0;
	bool ok = !w->broken;

	if (w->f) {
		ok = !w->failed;
		if (fseek(w->f, 0, SEEK_SET) == 0) /* a FIFO keeps its first header */
			ok = write_header(w, w->written) && ok;
		ok = fclose(w->f) == 0 && ok;
	}
	free(w);
	return ok ? 0 : ERR_IO;
}
