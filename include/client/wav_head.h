/* SPDX-License-Identifier: MIT */
/*
 * wav_head - the head of a WAV file, read as it comes: RIFF, RIFX (big endian), RF64 and BW64, up to the
 * first sample. Chunks of any length are skipped, none is held. Allocates nothing. One thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAV_ERROR = 256, WAV_CHANNELS_MAX = 64, WAV_FMT_BYTES = 40 };

enum wav_coding {
	WAV_INTEGER, /* 1 byte: offset binary; 2 to 4: two's complement */
	WAV_FLOAT,   /* 4 or 8 bytes, full scale is 1 */
};

struct wav_format {
	uint32_t rate_hz;
	unsigned channels;
	unsigned sample_bytes;
	enum wav_coding coding;
	bool big_endian;
	uint64_t data_bytes; /* UINT64_MAX: as long as the file goes on */
};

enum wav_head_state {
	WAV_AT_FILE,    /* what kind of file it is, comes */
	WAV_AT_CHUNK,   /* the name and length of a chunk come */
	WAV_AT_FMT,     /* the chunk that describes the samples comes */
	WAV_AT_DS64,    /* the chunk with the lengths that 32 bits cannot hold comes */
	WAV_AT_SAMPLES, /* the next byte is the first sample's */
};

struct wav_head {
	struct wav_format format; /* complete in WAV_AT_SAMPLES */
	enum wav_head_state state;
	uint64_t skip;        /* bytes to pass over first ... */
	size_t have, want;    /* ... then bytes to collect in `b` */
	uint64_t chunk_bytes; /* of the chunk at hand */
	uint64_t long_data_bytes;
	uint8_t b[WAV_FMT_BYTES];
};

void wav_head_init(struct wav_head *h);
/* Reads on; `*used` bytes belong to the head. All of them are, until the state is WAV_AT_SAMPLES.
 * ERR_MALFORMED; ERR_UNSUPPORTED (a WAV of another coding): `why` says what it is. */
int wav_head_feed(struct wav_head *h, const uint8_t *p, size_t len, size_t *used, char why[WAV_ERROR]);
/* The file ended before its samples: ERR_MALFORMED. */
int wav_head_truncated(const struct wav_head *h, char why[WAV_ERROR]);
