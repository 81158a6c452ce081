/* SPDX-License-Identifier: MIT */
/*
 * media - the sound of one call, both ways, on one grid of 20 ms that does not drift:
 *
 *   samples -> media_send() -> packets, cut to what the path carries
 *   datagrams -> media_receive() -> playout buffer -> media_play(), 20 ms at a time, silence included
 *
 * Grid point k stands for the samples between k and k + 1 times 20 ms, so that odd rates keep the pace. Time is an argument.
 * One thread. Memory is taken in media_new() and with the first frames; sending and playing allocate nothing.
 */
#pragma once
#include "audio/packet.h"
#include "base/time.h"

enum { MEDIA_FRAME_MS = 20, MEDIA_SAMPLES_MAX = 48000 / 1000 * MEDIA_FRAME_MS };

struct media;

struct media_opts {
	uint32_t send_rate_hz;    /* of media_send() */
	uint32_t play_rate_hz;    /* of media_play(); also what a rate field of 0 means */
	enum packet_kind kind;    /* of what is sent */
};

/* Where packets go. */
struct media_out {
	void *ctx;
	size_t (*packet_max)(void *ctx); /* bytes that a packet may have now */
	bool (*packet)(void *ctx, const struct packet *p, nsec now); /* false: not sent. Borrowed */
};

struct media_stats {
	uint64_t packets_sent, frames_received, samples_sent;
	uint64_t concealed;       /* grid points that had to be concealed */
	uint64_t bad_frames;      /* that could not be parsed */
	uint64_t flushes;
	uint64_t frames_lost;     /* by the sequence of v1 frames */
	double buffer_ms, jitter_ms;
	double sent_dbfs, played_dbfs; /* RMS of the last second, -100: silence */
};

/* Copies. ERR_RANGE, ERR_NOMEM. */
int media_new(const struct media_opts *opts, const struct media_out *out, struct media **m);
void media_free(struct media *m); /* accepts NULL */

/* Samples of the grid point that comes next, at either rate. */
size_t media_samples_to_send(const struct media *m);
size_t media_samples_to_play(const struct media *m);
/* Sends `n` of them; fewer than media_samples_to_send() end a talkspurt, 0 is silence. `quiet`: only measures them (muted). */
void media_send(struct media *m, const int16_t *pcm, size_t n, bool quiet, nsec now);
/* Fills `pcm` with media_samples_to_play() samples. */
void media_play(struct media *m, int16_t *pcm, nsec now);
/* On to the next grid point. */
void media_advance(struct media *m);
uint64_t media_grid(const struct media *m); /* points passed */

/* One datagram. */
void media_receive(struct media *m, const uint8_t *p, size_t len, nsec now);
/* The server says that `epoch` has begun: older sound is dropped, except for a short fade. Nothing happens if that is known. */
void media_flush(struct media *m, uint8_t epoch, nsec now);
/* How much of this epoch has been played, if v1 frames came and it is more than at the last call. */
bool media_played(struct media *m, uint8_t *epoch, uint64_t *samples);

void media_stats(const struct media *m, struct media_stats *out);
