/* SPDX-License-Identifier: MIT */
/*
 * stream_worker - what `process` and `audiosocket` have in common: AudioSocket records over a pair of libuv
 * streams, or over one that goes both ways.
 *
 *   room -> audio, events -> queue (MOST_WAIT_MS of audio, the oldest goes) -> stream -> worker
 *   worker -> stream (READ_PER_TICK bytes) -> records -> sink: speech, flush, message, transcript
 *                                             marks wait here until the room has mixed what came before
 *
 * The streams belong to the driver, which opens and closes them. Memory is taken by init and by what the worker
 * makes grow: marks, and one entry for each person in the room. Everything is called from the loop's thread.
 */
#pragma once
#include "base/buf.h"
#include "bridge/audiosocket_codec.h"
#include "bridge/bridge.h"

#include <uv.h>

enum {
	STREAM_READ_MAX = 16384,          /* bytes of one read */
	STREAM_READ_PER_TICK = 65536,     /* 3 MB/s: a minute of speech comes in two seconds, a flood takes no time */
	STREAM_MOST_WAIT_MS = 300,        /* of audio for a worker that is slow, what the kernel holds included */
	STREAM_EVENTS_MAX = 65536,        /* bytes of events that wait for it */
	STREAM_MARKS_MAX = 65536,         /* bytes of marks that wait for their time */
	STREAM_THERE_MS = 1000,           /* who has not spoken is taken to be there after so long */
	STREAM_WHY_MAX = 112,
};

struct stream_member { /* of the room */
	uint32_t id;
	char *name;
};

struct stream_worker {
	const struct bridge_sink *sink;   /* NULL once the room has closed us */
	void *sink_ctx;
	const struct log *log;            /* the room's; as sink */
	uint32_t rate_hz;
	uint8_t audio_type;
	uv_stream_t *in, *out;            /* NULL: not connected, or closed */
	bool failed;                      /* the sink was told */

	/* from the worker */
	struct as_parser parser;
	uint8_t read_buf[STREAM_READ_MAX];
	size_t read_budget;
	bool reading, paused;             /* paused: the budget of this tick is used up */
	uint64_t item;                    /* of its speech: a new one after each flush or interruption */
	uint64_t taken, played;           /* samples that the room took; and has mixed, as of the last tick */
	uint64_t audible;                 /* `taken` after the last that was no silence */
	struct buf marks;                 /* each: u64 where, u8 length, payload */
	bool speaks_ours;                 /* it sent a record of ours, so it may be sent some */
	bool there;                       /* the room knows that it is */
	uint64_t heard;                   /* samples that it was given, before that */

	/* to the worker */
	uint8_t *queue;                   /* whole records that wait */
	size_t queued, queue_cap, queued_audio, most_audio;
	uv_write_t req;
	uint8_t *flight;                  /* the one that libuv is writing */
	bool writing;
	bool hanging_up;
	uint64_t events_lost;

	enum bridge_mode mode;
	struct stream_member *members;
	size_t n_members, members_cap;

	void *owner;
	/* The stream has ended or broken; `why` says how. May come after hang_up too. */
	void (*on_end)(struct stream_worker *w, const char *why);
	/* After hang_up: all is written, or never will be. */
	void (*on_silent)(struct stream_worker *w);
};

/* For struct bridge_ops: AudioSocket is bound to some rates. */
bool stream_worker_check(const struct bridge_opts *opts, struct bridge_fault *f);
/* `sink`, `log` are borrowed until hang_up or detach. ERR_RANGE: not a rate of AudioSocket; ERR_NOMEM. */
int stream_worker_init(struct stream_worker *w, uint32_t rate_hz, const struct bridge_sink *sink, void *sink_ctx,
	const struct log *log);
/* So much audio may wait in the kernel, out of our reach: less may wait here. */
void stream_worker_bound(struct stream_worker *w, uint32_t kernel_ms);
/* After the streams were closed, and their callbacks came. */
void stream_worker_fini(struct stream_worker *w);

/* Sends the UUID and reads. Borrows both (they may be the same) until they are closed; uses their `data`. */
void stream_worker_start(struct stream_worker *w, uv_stream_t *in, uv_stream_t *out);
/* As in struct bridge_ops. Before start what is heard goes nowhere. */
bool stream_worker_audio(struct stream_worker *w, const struct bridge_hearing *h);
void stream_worker_event(struct stream_worker *w, const struct bridge_event *ev);
/* Tells the room once, unless it has closed us. */
void stream_worker_fail(struct stream_worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The room closes: nothing is said to it any more. */
void stream_worker_detach(struct stream_worker *w);
/* Detaches; from now on what the worker says is thrown away, and it is sent a hang-up
 * as soon as it takes it: then on_silent. */
void stream_worker_hang_up(struct stream_worker *w);
