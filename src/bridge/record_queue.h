/* SPDX-License-Identifier: MIT */
/*
 * record_queue - AudioSocket records on their way into a libuv stream whose reader may be slow: one is being written,
 * the others wait here, where the oldest audio can still be dropped for what is newer. Events are never dropped for
 * audio; they have a bound of their own. The loop's thread; only init allocates.
 */
#pragma once
#include "bridge/audiosocket_codec.h"

#include <uv.h>

/* From inside the calls below or from the loop. None is optional. */
struct record_queue_events {
	void (*on_audio_dropped)(void *ctx, size_t samples);
	void (*on_event_dropped)(void *ctx);         /* too many bytes of events wait */
	void (*on_idle)(void *ctx);                  /* the last of what waited was written */
	void (*on_broken)(void *ctx, const char *why); /* nothing more can be written, what waited is gone; NULL: the stream was closed */
};

struct record_queue {
	uv_stream_t *out;       /* NULL: nothing is written */
	const struct record_queue_events *ev;
	void *ctx;
	uint8_t *waiting;       /* whole records */
	size_t n_waiting, cap;  /* bytes */
	size_t n_audio, most_audio; /* bytes of sound that wait */
	size_t most_events;
	uv_write_t req;
	uint8_t *flight;        /* the record that libuv is writing, as far as it is not written */
	bool writing;
	uint64_t given;         /* bytes that were given to libuv */
};

/* Bounds: bytes of audio without the heads of records, bytes of events with them. Borrows `ev`. ERR_NOMEM. */
int record_queue_init(struct record_queue *q, size_t most_audio, size_t most_events, const struct record_queue_events *ev,
	void *ctx);
/* Not while something is being written. */
void record_queue_fini(struct record_queue *q);
/* A smaller bound than at init. */
void record_queue_bound(struct record_queue *q, size_t most_audio);
/* Writes into `out`, borrowed until record_queue_stop(). */
void record_queue_start(struct record_queue *q, uv_stream_t *out);
/* Writes nothing more; what libuv has of a record is finished, or ends with its handle. */
void record_queue_stop(struct record_queue *q);

/* One record, one write: a worker that reads records gets each as it is made. Copies. */
void record_queue_send(struct record_queue *q, const uint8_t *record, size_t len);
/* Something waits until the reader takes more. */
bool record_queue_waits(const struct record_queue *q);
/* Bytes that the kernel has taken for the reader, since the beginning. */
uint64_t record_queue_taken(const struct record_queue *q);
/* Forgets what waits. */
void record_queue_clear(struct record_queue *q);
