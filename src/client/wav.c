/* SPDX-License-Identifier: MIT */
#include "client/wav.h"

#include "audio/frame.h"
#include "base/cursor.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HEADER_BYTES = 44,
	FORMAT_PCM = 1,
	FORMAT_EXTENSIBLE = 0xfffe,
	CHANNELS_MAX = 64,
	IN_BYTES = 16384, /* of the file at once; at least one frame of all channels */
};

/* --- the header --------------------------------------------------------------------------------- */

static int fault(int err, char why[WAV_ERROR], const char *text)
{
	snprintf(why, WAV_ERROR, "%s", text);
	return err;
}

static int parse_fmt(struct cursor c, struct wav_format *f, char why[WAV_ERROR])
{
	unsigned format = (unsigned)cursor_le(&c, 2);

	f->channels = (unsigned)cursor_le(&c, 2);
	f->rate_hz = (uint32_t)cursor_le(&c, 4);
	cursor_bytes(&c, 6); /* bytes a second, bytes a block */
	unsigned bits = (unsigned)cursor_le(&c, 2);

	if (format == FORMAT_EXTENSIBLE) {
		cursor_bytes(&c, 8); /* its length, valid bits, which loudspeaker */
		format = (unsigned)cursor_le(&c, 2);
	}
	if (c.bad || f->channels == 0 || f->channels > CHANNELS_MAX || f->rate_hz == 0)
		return fault(ERR_MALFORMED, why, "a broken fmt chunk");
	if (format != FORMAT_PCM || bits != 16)
		return fault(ERR_UNSUPPORTED, why, "not 16-bit PCM; convert it first");
	return 0;
}

int wav_parse(const uint8_t *p, size_t len, struct wav_format *out, char why[WAV_ERROR])
{
	struct cursor c = cursor_of(p, len);
	struct wav_format f = {0};
	const uint8_t *riff = cursor_bytes(&c, 4);

	cursor_bytes(&c, 4);
	const uint8_t *wave = cursor_bytes(&c, 4);

	if (!riff || !wave || memcmp(riff, "RIFF", 4) != 0 || memcmp(wave, "WAVE", 4) != 0)
		return fault(ERR_MALFORMED, why, "not a WAV file");
	for (;;) {
		const uint8_t *id = cursor_bytes(&c, 4);
		size_t n = (size_t)cursor_le(&c, 4);

		if (c.bad)
			return fault(ERR_MALFORMED, why, "no samples in it");
		if (memcmp(id, "data", 4) == 0) {
			f.data_at = (size_t)(c.p - p);
			/* Programs that write to a pipe cannot know, and say 0 or a great number. */
			f.data_bytes = n == 0 || n >= 0x7ffff000 ? UINT64_MAX : n;
			break;
		}
		const uint8_t *body = cursor_bytes(&c, n + (n & 1));

		if (body && memcmp(id, "fmt ", 4) == 0) {
			int err = parse_fmt(cursor_of(body, n), &f, why);

			if (err)
				return err;
		}
	}
	if (f.rate_hz == 0)
		return fault(ERR_MALFORMED, why, "samples before their format");
	*out = f;
	return 0;
}

/* --- in ----------------------------------------------------------------------------------------- */

struct wav_in {
	int fd;
	bool ended; /* of the file; the buffer may hold more */
	struct wav_format format;
	uint64_t left; /* bytes of samples not read yet */
	size_t from, to; /* of `b` */
	uint8_t b[WAV_HEAD_MAX];
};

/* Reads what is there, up to `cap` bytes in the buffer. */
static void fill(struct wav_in *w, size_t cap, bool wait)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};

	if (w->from) {
		memmove(w->b, w->b + w->from, w->to - w->from);
		w->to -= w->from;
		w->from = 0;
	}
	while (w->to < cap && !w->ended) {
		if (!wait && poll(&p, 1, 0) == 0)
			return;
		ssize_t n = read(w->fd, w->b + w->to, cap - w->to);

		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			if (errno == EAGAIN && !wait)
				return;
			continue;
		}
		w->ended = n <= 0;
		w->to += n > 0 ? (size_t)n : 0;
	}
}

static int open_file(struct wav_in *w, const char *path, char why[WAV_ERROR])
{
	char what[WAV_ERROR];

	w->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (w->fd < 0) {
		snprintf(why, WAV_ERROR, "%.150s: %s", path, strerror(errno));
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	fill(w, sizeof w->b, true);
	int err = wav_parse(w->b, w->to, &w->format, what);

	if (!err && !audio_rate_ok(w->format.rate_hz))
		err = fault(ERR_RANGE, what, "its rate is not within 8000 to 48000 Hz; convert it first");
	if (err) {
		snprintf(why, WAV_ERROR, "%.150s: %.90s", path, what);
		return err;
	}
	w->from = w->format.data_at;
	w->left = w->format.data_bytes;
	return 0;
}

int wav_in_open(const char *path, uint32_t raw_rate_hz, struct wav_in **out, char why[WAV_ERROR])
{
	struct wav_in *w = calloc(1, sizeof *w);
	int err = 0;

	if (!w)
		return fault(ERR_NOMEM, why, "out of memory");
	if (strcmp(path, "-") == 0) {
		w->fd = STDIN_FILENO;
		w->format = (struct wav_format){.rate_hz = raw_rate_hz, .channels = 1};
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
	return 2u * w->format.channels;
}

/* Whole samples in the buffer that belong to the data. */
static size_t buffered(const struct wav_in *w)
{
	uint64_t have = w->to - w->from;

	return (size_t)(have < w->left ? have : w->left) / block_bytes(w);
}

static int16_t mix_down(const uint8_t *p, unsigned channels)
{
	int32_t sum = 0;

	for (unsigned i = 0; i < channels; i++)
		sum += (int16_t)(uint16_t)(p[2 * i] | p[2 * i + 1] << 8);
	return (int16_t)(sum / (int32_t)channels);
}

size_t wav_in_read(struct wav_in *w, int16_t *pcm, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t want = (n - done) * block_bytes(w);

		if (buffered(w) < n - done && w->left > w->to - w->from)
			fill(w, want < IN_BYTES ? want : IN_BYTES, false);
		size_t have = buffered(w) < n - done ? buffered(w) : n - done;

		if (have < n - done && !w->ended && w->left > w->to - w->from && w->to - w->from < IN_BYTES)
			return done; /* a pipe: the rest is yet to come */
		if (have == 0)
			break;
		for (size_t i = 0; i < have; i++, w->from += block_bytes(w))
			pcm[done++] = mix_down(w->b + w->from, w->format.channels);
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
