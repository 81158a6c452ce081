/* SPDX-License-Identifier: MIT */
#include "client/mark.h"

#include <string.h>

enum { BITS = 80, BIT_SAMPLES = MARK_SAMPLES / BITS, TAIL = MARK_SAMPLES - 1, SYNC = 0xeb90, LOUD = MARK_LEVEL / 8, NEAR = 2 };

/* CRC-16/CCITT of the three fields. */
static uint16_t crc_of(const struct mark *m)
{
	const uint16_t words[3] = {m->run, m->talker, m->seq};
	uint32_t crc = 0xffff;

	for (int i = 0; i < 48; i++) {
		uint32_t bit = (uint32_t)(words[i / 16] >> (15 - i % 16)) & 1;

		crc = (crc << 1) ^ ((crc >> 15 & 1) ^ bit ? 0x1021 : 0);
	}
	return (uint16_t)crc;
}

static int16_t *put_word(int16_t *p, uint16_t word)
{
	for (int bit = 15; bit >= 0; bit--) {
		int16_t level = word >> bit & 1 ? MARK_LEVEL : -MARK_LEVEL;

		*p++ = level;
		*p++ = level;
		*p++ = (int16_t)-level;
		*p++ = (int16_t)-level;
	}
	return p;
}

void mark_write(const struct mark *m, int16_t pcm[MARK_SAMPLES])
{
	pcm = put_word(pcm, SYNC);
	pcm = put_word(pcm, m->run);
	pcm = put_word(pcm, m->talker);
	pcm = put_word(pcm, m->seq);
	put_word(pcm, crc_of(m));
}

void mark_reader_init(struct mark_reader *r)
{
	memset(r, 0, sizeof *r);
	r->phase = TAIL;
}

static uint16_t get_word(const int16_t *p)
{
	unsigned word = 0;

	for (int i = 0; i < 16; i++, p += BIT_SAMPLES)
		word = word << 1 | (p[0] + p[1] > p[2] + p[3]);
	return (uint16_t)word;
}

static bool has_sync(const int16_t *p)
{
	for (int bit = 15; bit >= 0; bit--, p += BIT_SAMPLES)
		if ((p[0] + p[1] > p[2] + p[3]) != (SYNC >> bit & 1))
			return false;
	return true;
}

static bool read_at(const int16_t *p, struct mark *m)
{
	enum { WORD = 16 * BIT_SAMPLES };

	if (!has_sync(p))
		return false;
	*m = (struct mark){get_word(p + WORD), get_word(p + 2 * WORD), get_word(p + 3 * WORD)};
	return get_word(p + 4 * WORD) == crc_of(m);
}

static bool is_loud(const int16_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] > LOUD || p[i] < -LOUD)
			return true;
	return false;
}

/* A mark that begins in x[0 .. n): where the last one did, close to that (its clock may be trimmed), anywhere. */
static bool find(struct mark_reader *r, size_t n, struct mark *m)
{
	size_t around = r->phase % MARK_SAMPLES, from = around > NEAR ? around - NEAR : 0;

	if (around < n && read_at(r->x + around, m))
		return true;
	if (!is_loud(r->x + TAIL, n))
		return false;
	for (size_t s = from; s <= around + NEAR && s < n; s++)
		if (read_at(r->x + s, m)) {
			r->phase = s;
			return true;
		}
	r->searches++;
	for (size_t s = 0; s < n; s++)
		if (read_at(r->x + s, m)) {
			r->phase = s;
			return true;
		}
	return false;
}

void mark_read(struct mark_reader *r, const int16_t *pcm, size_t n, void (*found)(void *ctx, const struct mark *m), void *ctx)
{
	struct mark m;

	while (n > 0) {
		size_t piece = n < MARK_SAMPLES ? n : MARK_SAMPLES; /* in which at most one mark can begin */

		memcpy(r->x + TAIL, pcm, piece * sizeof *pcm);
		bool yes = find(r, piece, &m);

		memmove(r->x, r->x + piece, TAIL * sizeof *r->x);
		r->phase = (r->phase + MARK_SAMPLES - piece) % MARK_SAMPLES;
		if (yes)
			found(ctx, &m);
		pcm += piece;
		n -= piece;
	}
}
