/* SPDX-License-Identifier: MIT */
/*
 * audiosocket_codec - the records of Asterisk's AudioSocket: u8 type, u16 big-endian length, payload; and three
 * of our own extension. The parser accepts a stream in any pieces. Pure; no allocation.
 *
 * Audio is returned as it arrives, in whole samples, so a record of 64 KiB needs no buffer; every other
 * record is returned whole. An unknown type ends the stream: nothing after it can be trusted.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum as_type {
	AS_HANGUP = 0x00,
	AS_UUID = 0x01,   /* 16 bytes; the first record after connecting */
	AS_DTMF = 0x03,   /* one ASCII digit */
	AS_AUDIO = 0x10,  /* 8 kHz; 16-bit little-endian mono, as the other rates */
	AS_AUDIO_LAST = 0x18, /* 192 kHz */
	AS_FLUSH = 0x20,  /* ours: drop what was not played */
	AS_MARK = 0x21,   /* ours: comes back when what was sent before it has been played */
	AS_EVENT = 0x22,  /* ours: a JSON object */
	AS_ERROR = 0xff,  /* an optional code */
};

enum { AS_HEAD = 3, AS_UUID_LEN = 16, AS_MARK_MAX = 255, AS_EVENT_MAX = 16384, AS_AUDIO_MAX = 65534 };

/* The type of audio at this rate; 0: AudioSocket has none. */
uint8_t as_audio_type(uint32_t rate_hz);
/* The rate of a type of audio; 0: it is not audio. */
uint32_t as_audio_rate(uint8_t type);

struct as_record {
	uint8_t type;
	const uint8_t *payload; /* borrowed until the next call; of audio: a part of the record, whole samples */
	size_t len;
};

/* Zero-initialise. */
struct as_parser {
	uint8_t head[AS_HEAD], n_head;
	uint8_t pair[2], n_pair;    /* a sample that was cut in two */
	size_t left;                /* of the payload, still to come */
	size_t n_body;
	uint8_t body[AS_EVENT_MAX];
	char why[80];               /* after ERR_MALFORMED */
};

/* Consumes bytes from the front of `*p`. 1: there is a record; 0: all are consumed and no record is complete;
 * ERR_MALFORMED: the stream cannot be parsed any further, see `why`. */
int as_next(struct as_parser *ps, const uint8_t **p, size_t *len, struct as_record *out);
/* Whether the stream so far ends in the middle of a record. */
bool as_cut(const struct as_parser *ps);

/* Writes the head of a record with `len` bytes of payload, at most 65535. */
void as_put_head(uint8_t out[AS_HEAD], uint8_t type, size_t len);
