/* SPDX-License-Identifier: MIT */
#include "client/wav_head.h"

#include "base/cursor.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

enum {
	FILE_BYTES = 12,
	CHUNK_BYTES = 8,
	DS64_BYTES = 16, /* of RIFF, of data; more may follow */
	FORMAT_PCM = 1,
	FORMAT_FLOAT = 3,
	FORMAT_EXTENSIBLE = 0xfffe,
	/* Programs that write to a pipe cannot know the length of their data and say 0 or a number from here on
	 * (sox 0x7ffff000, arecord 0x80000000, ffmpeg 0xffffffff). */
	LENGTH_UNKNOWN = 0x7ffff000,
};

/* The last 14 bytes of the GUID that stands for a format tag in WAVE_FORMAT_EXTENSIBLE. */
static const uint8_t tag_guid[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

static const struct {
	const char *magic, *name;
} other_files[] = {
	{"FORM", "an AIFF file"}, {"OggS", "an Ogg file"}, {"fLaC", "a FLAC file"}, {"ID3", "an MP3 file"},
	{"riff", "a Wave64 file"}, {"caff", "a CAF file"}, {".snd", "an AU file"}, {"#!AMR", "an AMR file"},
	{"\x1a\x45\xdf\xa3", "a Matroska or WebM file"},
};

static const struct {
	unsigned tag;
	const char *name;
} codings[] = {
	{0x02, "Microsoft ADPCM"}, {0x06, "A-law"}, {0x07, "mu-law"}, {0x11, "IMA ADPCM"}, {0x31, "GSM 6.10"},
	{0x40, "G.721 ADPCM"}, {0x50, "MPEG audio"}, {0x55, "MP3"}, {0x64, "G.726 ADPCM"}, {0xff, "AAC"},
	{0xf1ac, "FLAC"},
};

static int malformed(char why[WAV_ERROR], const char *text)
{
	snprintf(why, WAV_ERROR, "%s", text);
	return ERR_MALFORMED;
}

static void expect(struct wav_head *h, enum wav_head_state state, size_t want, uint64_t skip)
{
	h->state = state;
	h->want = want;
	h->have = 0;
	h->skip = skip;
}

void wav_head_init(struct wav_head *h)
{
	*h = (struct wav_head){0};
	expect(h, WAV_AT_FILE, FILE_BYTES, 0);
}

static uint64_t number(const struct wav_head *h, struct cursor *c, size_t n)
{
	return h->format.big_endian ? cursor_be(c, n) : cursor_le(c, n);
}

static int read_file_kind(struct wav_head *h, char why[WAV_ERROR])
{
	static const char *const kinds[] = {"RIFF", "RIFX", "RF64", "BW64"};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (memcmp(h->b, kinds[i], 4) == 0 && memcmp(h->b + 8, "WAVE", 4) == 0) {
			h->format.big_endian = i == 1;
			expect(h, WAV_AT_CHUNK, CHUNK_BYTES, 0);
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof other_files / sizeof *other_files; i++) {
		if (memcmp(h->b, other_files[i].magic, strlen(other_files[i].magic)) == 0) {
			snprintf(why, WAV_ERROR, "%s, not a WAV; convert it first", other_files[i].name);
			return ERR_UNSUPPORTED;
		}
	}
	return malformed(why, "not a WAV file");
}

static int unsupported_coding(unsigned tag, char why[WAV_ERROR])
{
	const char *name = "an unknown coding";

	for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
		if (codings[i].tag == tag)
			name = codings[i].name;
	}
	snprintf(why, WAV_ERROR, "%s (format 0x%x), not PCM; convert it first", name, tag);
	return ERR_UNSUPPORTED;
}

/* Samples lie at the top of their bytes, and a block of all channels says how many bytes those are. */
static unsigned bytes_per_sample(unsigned bits, unsigned block_bytes, unsigned channels)
{
	unsigned least = (bits + 7) / 8;
	unsigned told = block_bytes % channels == 0 ? block_bytes / channels : 0;

	return told > least && told <= 4 ? told : least;
}

static int check_coding(struct wav_format *f, unsigned tag, unsigned bits, char why[WAV_ERROR])
{
	f->coding = tag == FORMAT_FLOAT ? WAV_FLOAT : WAV_INTEGER;
	if (tag != FORMAT_PCM && tag != FORMAT_FLOAT)
		return unsupported_coding(tag, why);
	if (tag == FORMAT_FLOAT ? bits == 32 || bits == 64 : bits >= 1 && bits <= 32)
		return 0;
	snprintf(why, WAV_ERROR, "%s of %u bits; convert it first", tag == FORMAT_PCM ? "PCM" : "floats", bits);
	return ERR_UNSUPPORTED;
}

static int read_fmt(struct wav_head *h, char why[WAV_ERROR])
{
	struct wav_format *f = &h->format;
	struct cursor c = cursor_of(h->b, h->have);
	unsigned tag = (unsigned)number(h, &c, 2);

	f->channels = (unsigned)number(h, &c, 2);
	f->rate_hz = (uint32_t)number(h, &c, 4);
	cursor_bytes(&c, 4); /* bytes a second */
	unsigned block_bytes = (unsigned)number(h, &c, 2);
	unsigned bits = (unsigned)number(h, &c, 2);

	if (tag == FORMAT_EXTENSIBLE) {
		cursor_bytes(&c, 8); /* its length, valid bits, which loudspeaker */
		tag = (unsigned)number(h, &c, 2);
		const uint8_t *rest = cursor_bytes(&c, sizeof tag_guid);

		if (rest && !h->format.big_endian && memcmp(rest, tag_guid, sizeof tag_guid) != 0)
			tag = FORMAT_EXTENSIBLE; /* a coding without a tag */
	}
	if (c.bad || f->channels == 0 || f->channels > WAV_CHANNELS_MAX || f->rate_hz == 0)
		return malformed(why, "a broken fmt chunk");
	int err = check_coding(f, tag, bits, why);

	f->sample_bytes = bytes_per_sample(bits, block_bytes, f->channels);
	return err;
}

static int read_data_length(struct wav_head *h, char why[WAV_ERROR])
{
	if (h->format.rate_hz == 0)
		return malformed(why, "samples before their format");
	h->format.data_bytes = h->chunk_bytes;
	if (h->chunk_bytes == UINT32_MAX && h->long_data_bytes > 0)
		h->format.data_bytes = h->long_data_bytes;
	else if (h->chunk_bytes == 0 || h->chunk_bytes >= LENGTH_UNKNOWN)
		h->format.data_bytes = UINT64_MAX;
	expect(h, WAV_AT_SAMPLES, 0, 0);
	return 0;
}

/* What is left of the chunk at hand is passed over; chunks of an odd length are padded. */
static void expect_next_chunk(struct wav_head *h)
{
	expect(h, WAV_AT_CHUNK, CHUNK_BYTES, h->chunk_bytes + (h->chunk_bytes & 1) - h->have);
}

static int read_chunk_name(struct wav_head *h, char why[WAV_ERROR])
{
	struct cursor c = cursor_of(h->b, h->have);
	const uint8_t *id = cursor_bytes(&c, 4);

	h->chunk_bytes = number(h, &c, 4);
	size_t most = h->chunk_bytes < WAV_FMT_BYTES ? (size_t)h->chunk_bytes : WAV_FMT_BYTES;

	if (memcmp(id, "data", 4) == 0)
		return read_data_length(h, why);
	if (memcmp(id, "fmt ", 4) == 0) {
		expect(h, WAV_AT_FMT, most, 0);
	} else if (memcmp(id, "ds64", 4) == 0 && h->chunk_bytes >= DS64_BYTES) {
		expect(h, WAV_AT_DS64, DS64_BYTES, 0);
	} else {
		h->have = 0;
		expect_next_chunk(h);
	}
	return 0;
}

static int read_ds64(struct wav_head *h)
{
	struct cursor c = cursor_of(h->b, h->have);

	cursor_bytes(&c, 8); /* of the file */
	h->long_data_bytes = number(h, &c, 8);
	expect_next_chunk(h);
	return 0;
}

static int read_part(struct wav_head *h, char why[WAV_ERROR])
{
	int err;

	switch (h->state) {
	case WAV_AT_FILE:
		return read_file_kind(h, why);
	case WAV_AT_CHUNK:
		return read_chunk_name(h, why);
	case WAV_AT_FMT:
		err = read_fmt(h, why);
		expect_next_chunk(h);
		return err;
	case WAV_AT_DS64:
		return read_ds64(h);
	case WAV_AT_SAMPLES:
		break;
	}
	return 0;
}

int wav_head_feed(struct wav_head *h, const uint8_t *p, size_t len, size_t *used, char why[WAV_ERROR])
{
	int err = 0;

	*used = 0;
	while (!err && h->state != WAV_AT_SAMPLES) {
		size_t left = len - *used;
		size_t n = h->skip < left ? (size_t)h->skip : left;

		h->skip -= n;
		*used += n;
		left -= n;
		n = h->want - h->have < left ? h->want - h->have : left;
		if (n > 0)
			memcpy(h->b + h->have, p + *used, n);
		h->have += n;
		*used += n;
		if (h->skip > 0 || h->have < h->want)
			return 0;
		err = read_part(h, why);
	}
	return err;
}

int wav_head_truncated(const struct wav_head *h, char why[WAV_ERROR])
{
	return malformed(why, h->state == WAV_AT_FILE ? "not a WAV file" : "no samples in it");
}
