/* SPDX-License-Identifier: MIT */
#include "client/mark.h"

#include <string.h>

enum {
	BITS = 80,
	BIT_SAMPLES = MARK_SAMPLES / BITS,
	SYNC = 0xeb90,
	LOUD = MARK_LEVEL / 32, /* below it there is nothing to search for */
	NEAR = 2,              /* samples by which a drifting clock moves a mark from one to the next */
	STRETCH = 2,           /* samples by which it makes a mark longer or shorter: 0.6 % */
};

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
	r->phase = MARK_TAIL;
}

/* --- reading one -------------------------------------------------------------------------------- */

/* Where bit `b` of a mark begins that is `stretch` samples longer than it was. */
static size_t bit_at(int b, int stretch)
{
	return (size_t)(b * BIT_SAMPLES + (stretch * b + (stretch > 0 ? BITS / 2 : -BITS / 2)) / BITS);
}

static bool get_bit(const int16_t *p, int b, int stretch)
{
	p += bit_at(b, stretch);
	return p[0] + p[1] > p[2] + p[3];
}

static uint16_t get_word(const int16_t *p, int word, int stretch)
{
	unsigned value = 0;

	for (int b = 16 * word; b < 16 * word + 16; b++)
		value = value << 1 | get_bit(p, b, stretch);
	return (uint16_t)value;
}

static bool has_sync(const int16_t *p, int stretch)
{
	for (int b = 0; b < 16; b++)
		if (get_bit(p, b, stretch) != (SYNC >> (15 - b) & 1))
			return false;
	return true;
}

/* A mark that begins at `at`, at its own length or stretched by a clock, and complete. */
static bool read_at(const struct mark_reader *r, size_t at, size_t end, struct mark *m)
{
	static const int stretches[] = {0, 1, -1, 2, -2};

	for (size_t i = 0; i < sizeof stretches / sizeof *stretches; i++) {
		int k = stretches[i];
		const int16_t *p = r->x + at;

		if (at + bit_at(BITS - 1, k) + BIT_SAMPLES > end || !has_sync(p, k))
			continue;
		*m = (struct mark){get_word(p, 1, k), get_word(p, 2, k), get_word(p, 3, k)};
		if (get_word(p, 4, k) == crc_of(m))
			return true;
	}
	return false;
}

/* --- finding it --------------------------------------------------------------------------------- */

static bool is_loud(const int16_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] > LOUD || p[i] < -LOUD)
			return true;
	return false;
}

static bool search(struct mark_reader *r, size_t from, size_t to, size_t end, struct mark *m)
{
	for (size_t at = from > r->used ? from : r->used; at < to; at++)
		if (read_at(r, at, end, m)) {
			r->phase = at;
			return true;
		}
	return false;
}

/* A mark that ends in the last `n` samples of x[0 .. end), or that was too long to end before them: where the last one
 * did, close to that (its clock may drift), anywhere. */
static bool find(struct mark_reader *r, size_t n, size_t end, struct mark *m)
{
	size_t last = end - MARK_SAMPLES + STRETCH + 1;

	if (!is_loud(r->x + end - n, n))
		return false;
	for (size_t at = r->phase; at < last; at += MARK_SAMPLES)
		if (search(r, at, at + 1, end, m))
			return true;
	for (size_t at = r->phase; at < last; at += MARK_SAMPLES)
		if (search(r, at > NEAR ? at - NEAR : 0, at + NEAR + 1 < last ? at + NEAR + 1 : last, end, m))
			return true;
	r->searches++;
	return search(r, 0, last, end, m);
}

static size_t back(size_t at, size_t n)
{
	return at > n ? at - n : 0;
}

void mark_read(struct mark_reader *r, const int16_t *pcm, size_t n, mark_found_fn *found, void *ctx)
{
	struct mark m;

	while (n > 0) {
		size_t piece = n < MARK_SAMPLES ? n : MARK_SAMPLES; /* at most one mark can end in it */
		size_t end = MARK_TAIL + piece;

		memcpy(r->x + MARK_TAIL, pcm, piece * sizeof *pcm);
		bool yes = find(r, piece, end, &m);

		n -= piece;
		pcm += piece;
		if (yes) {
			r->used = r->phase + MARK_SAMPLES - STRETCH;
			found(ctx, &m, n + back(end, r->phase + MARK_SAMPLES));
			r->phase += MARK_SAMPLES;
		}
		memmove(r->x, r->x + piece, MARK_TAIL * sizeof *r->x);
		r->used = back(r->used, piece);
		/* The next one may be due any whole number of marks later. */
		r->phase = r->phase >= piece ? r->phase - piece : r->phase + MARK_SAMPLES - piece;
	}
}
