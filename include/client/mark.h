/* SPDX-License-Identifier: MIT */
/*
 * mark - a number in 20 ms of sound: who sent it and which one it is. It survives a mixing server, so delay,
 * loss, doubles and sound from a wrong room are read off what is heard, whatever the server says of itself.
 *
 *   80 bits of 4 samples at 16 kHz: 16 sync, 16 run, 16 talker, 16 sequence, 16 CRC
 *   1: + + - -     0: - - + +     at -12 dBFS
 *
 * Each bit holds no constant and little above 4 kHz, and only its sign counts: a fade, another level, a resampling to and
 * fro or a delay of part of a sample do no harm. The reader takes any cut into datagrams and finds a mark at any
 * offset. Two marks at once do not read: talkers of one room take turns (see load.h). Pure functions, no
 * allocation.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MARK_RATE_HZ = 16000, MARK_SAMPLES = 320, MARK_LEVEL = 8192 };

struct mark {
	uint16_t run;    /* of the program that sends, at random: others may be in the room */
	uint16_t talker;
	uint16_t seq;    /* counts up by one with each mark of this talker, and wraps */
};

void mark_write(const struct mark *m, int16_t pcm[MARK_SAMPLES]);

/* What a listener has heard lately. */
struct mark_reader {
	int16_t x[2 * MARK_SAMPLES - 1]; /* the last MARK_SAMPLES - 1, then what comes in */
	size_t phase;                    /* where in a piece the last mark began */
	uint64_t searches;               /* times that a loud piece held no mark where one was expected */
};
void mark_reader_init(struct mark_reader *r);

/* Takes samples and calls `found` for each mark that they complete. */
void mark_read(struct mark_reader *r, const int16_t *pcm, size_t n, void (*found)(void *ctx, const struct mark *m),
	void *ctx);
