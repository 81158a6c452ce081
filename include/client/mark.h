/* SPDX-License-Identifier: MIT */
/*
 * mark - a number in 20 ms of sound: who sent it and which one it is. It survives a mixing server, so delay,
 * loss, doubles and sound from a wrong room are read off what is heard, whatever the server says of itself.
 *
 *   80 bits of 4 samples at 16 kHz: 16 sync, 16 run, 16 talker, 16 sequence, 16 CRC
 *   1: + + - -     0: - - + +     at -12 dBFS
 *
 * Each bit holds no constant and little above 4 kHz, and only its sign counts: a fade, another level, a resampling
 * to and fro, a delay of part of a sample or a clock bent by 0.5 % do no harm. The reader takes any cut into
 * datagrams and finds a mark at any offset. Two marks at once do not read: talkers of one room take turns (see
 * load.h). Pure functions, no allocation.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MARK_RATE_HZ = 16000, MARK_SAMPLES = 320, MARK_LEVEL = 8192, MARK_TAIL = MARK_SAMPLES + 2 };

struct mark {
	uint16_t run;    /* of the program that sends, at random: others may be in the room */
	uint16_t talker;
	uint16_t seq;    /* counts up by one with each mark of this talker, and wraps */
};

void mark_write(const struct mark *m, int16_t pcm[MARK_SAMPLES]);

/* What a listener has heard lately. */
struct mark_reader {
	int16_t x[MARK_TAIL + MARK_SAMPLES]; /* what was heard last, then what comes in */
	size_t phase;      /* where in it the next mark should begin */
	size_t used;       /* up to here it belongs to marks that were found */
	uint64_t searches; /* times that a loud piece held no mark where one was expected */
};
void mark_reader_init(struct mark_reader *r);

/* `after`: how many of the samples given come after its end. */
typedef void mark_found_fn(void *ctx, const struct mark *m, size_t after);
/* Takes samples and calls `found` for each mark that they complete. */
void mark_read(struct mark_reader *r, const int16_t *pcm, size_t n, mark_found_fn *found, void *ctx);
