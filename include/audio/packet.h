/* SPDX-License-Identifier: MIT */
/*
 * packet - the bytes of a datagram, which nothing else knows. A legacy packet: u16 LE sample rate / 100, then PCM. The top
 * bit of the first field is never part of a rate; it marks a v1 packet, all little endian:
 *
 *     u16 0x8000 | codec | flags, u8 source, u8 epoch, u16 rate / 100, u16 sequence, u32 media time, then the payload
 *
 *     datagram -> packet_parse() -> struct frame -> packet_first(), packet_next() -> datagrams
 *
 * Single-threaded per writer. No allocation, no clock.
 */
#pragma once
#include "audio/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKET_LEGACY_HEAD = 2, PACKET_V1_HEAD = 12 };

/* Parses a datagram of either kind. Rate field 0 means `default_rate_hz`; 110, 220 and 441 mean 11025, 22050 and
 * 44100 Hz exactly. `out` borrows `p` and is filled on FRAME_OK and FRAME_ODD only. `p` may be NULL if `len` is 0. */
enum frame_fault packet_parse(const uint8_t *p, size_t len, uint32_t default_rate_hz, struct frame *out);

/* The rate that a header can name: `rate_hz` itself if it is in whole hundreds, 11025 or 22050; else rounded down. */
uint32_t packet_rate(uint32_t rate_hz);

enum packet_kind { PACKET_LEGACY, PACKET_V1 };

/* The packets of one direction of one session. Zero is a valid beginning. */
struct packet_writer {
	enum packet_kind kind;
	uint16_t next_seq; /* of the next v1 packet */
};

/* One packet, ready to be sent: `head`, then `body`. */
struct packet {
	uint8_t head[PACKET_V1_HEAD];
	size_t head_len;
	const uint8_t *body; /* part of the frame's payload */
	size_t body_len;
	/* for packet_next() */
	struct packet_writer *writer;
	uint32_t n_left;     /* packets to come */
	uint32_t n_samples;  /* in each of them, ... */
	uint32_t n_longer;   /* ... and one more in these */
	uint32_t time;       /* media time after this one */
	uint8_t unit_bytes;
	bool ends;           /* the last one does */
};

/*
 * Cuts an encoded frame into the fewest packets of at most `max_bytes`, equal to within a sample, and writes the first.
 * Of `f` the writer uses the format, the payload and the v1 epoch, time, begins (for the first packet) and ends (for
 * the last); it gives each packet the next sequence number itself. False: nothing fits. One number is used up then, as by
 * a packet that is not sent: to the receiver, both are lost.
 *
 * `p` borrows `w` and the payload of `f`. A payload with unit_bytes 0 is never cut.
 */
bool packet_first(struct packet *p, struct packet_writer *w, const struct frame *f, size_t max_bytes);
/* The next packet of the same frame; false: that was the last. */
bool packet_next(struct packet *p);
