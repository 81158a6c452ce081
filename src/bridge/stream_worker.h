/* SPDX-License-Identifier: MIT */
/*
 * stream_worker - what `process` and `audiosocket` have in common: AudioSocket records over a pair of libuv
 * streams, or over one that goes both ways.
 *
 *   room -> audio, events -> record_queue (MOST_WAIT_MS of audio, the oldest is dropped) -> stream -> worker
 *   worker -> stream (READ_PER_TICK bytes) -> records -> sink: speech, flush, message, transcript
 *                                             marks wait here until what came before was heard
 *
 * The streams belong to the driver, which opens and closes them. Memory is taken by init and by what the worker
 * makes grow: marks, and one entry for each person in the room. Everything is called from the loop's thread.
 */
#pragma once
#include "base/stall.h"
#include "bridge/audiosocket_codec.h"
#include "bridge/bridge_output.h"
#include "bridge/marks.h"
#include "bridge/member_list.h"
#include "bridge/read_budget.h"
#include "bridge/record_queue.h"

#include <uv.h>

enum {
	STREAM_READ_MAX = 16384,          /* bytes of one read */
	STREAM_MOST_WAIT_MS = 300,        /* of audio for a worker that is slow, what the kernel holds included */
	STREAM_EVENTS_MAX = 65536,        /* bytes of events that wait for it */
	STREAM_MARKS_MAX = 65536,         /* bytes of marks that wait for their time */
	STREAM_CONFIRM_MS = 1000,         /* a worker that says nothing counts as up after this time */
	STREAM_WHY_MAX = 112,
};

enum stream_state {
	STREAM_OPENING,   /* there are no streams yet */
	STREAM_UP,        /* it runs, or accepts, but may be gone the next moment */
	STREAM_CONFIRMED, /* it has spoken, or has lasted for a while: the room was told */
	STREAM_FAILED,    /* or it has left: the room was told, and will close us */
	STREAM_CLOSED,    /* by the room: nothing is reported any more, and the worker's records are dropped */
};

enum stream_reading {
	READING_STOPPED, /* not begun, or ended for good */
	READING,
	READING_PAUSED,  /* the budget of this tick is used up */
};

struct stream_worker {
	const struct bridge_sink *sink;   /* NULL once the room has closed us */
	void *sink_ctx;
	const struct log *log;            /* the room's; as sink */
	uint32_t rate_hz;
	uint8_t audio_type;
	enum stream_state state;

	/* from the worker */
	uv_stream_t *in;                  /* NULL: not connected */
	enum stream_reading reading;
	size_t read_budget;
	struct as_parser parser;
	uint8_t read_buf[STREAM_READ_MAX];
	struct bridge_output output;      /* a new utterance after each flush or interruption */
	struct marks marks;
	bool hung_up;                     /* it said goodbye */
	bool extended;                    /* it sent a record of our extension, so it may be sent some */

	/* to the worker */
	struct record_queue queue;
	struct stall stall;
	uint32_t stall_ms;
	uint64_t n_sent;                  /* samples of the mix that it was sent, until it was confirmed */
	uint64_t events_lost;
	enum bridge_mode mode;
	struct member_list members;

	void *owner;
	/* The stream has ended or broken, or the worker has hung up (`hung_up` is set then); `why` says how. May come after hang_up too. */
	void (*on_end)(struct stream_worker *w, const char *why);
	/* After hang_up: all is written, or never will be. May come more than once. */
	void (*on_drained)(struct stream_worker *w);
};

/* For struct bridge_ops: AudioSocket is bound to some rates. */
bool stream_worker_check(const struct bridge_opts *opts, struct bridge_fault *f);
/* `sink`, `log` are borrowed until hang_up or detach, `opts` for the call. ERR_RANGE: not a rate of AudioSocket; ERR_NOMEM. */
int stream_worker_init(struct stream_worker *w, const struct bridge_opts *opts, uint32_t rate_hz,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log);
/* Audio that may wait in the kernel, out of our reach: less may wait here. */
void stream_worker_bound(struct stream_worker *w, uint32_t kernel_ms);
/* After the streams were closed, and their callbacks came. */
void stream_worker_fini(struct stream_worker *w);

/* Sends the UUID and reads. Borrows both (they may be the same) until they are closed; uses their `data`. */
void stream_worker_start(struct stream_worker *w, uv_stream_t *in, uv_stream_t *out);
/* Nothing is written to it any more. */
void stream_worker_end_output(struct stream_worker *w);
/* As in struct bridge_ops. Before start the mix is dropped. A worker that takes nothing for opts->stall_ms fails here. */
bool stream_worker_audio(struct stream_worker *w, const struct bridge_input *h, nsec now);
void stream_worker_event(struct stream_worker *w, const struct bridge_event *ev);
/* Reports it to the room once, unless that has closed us. */
void stream_worker_fail(struct stream_worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for a worker that has ended the call in order. */
void stream_worker_leave(struct stream_worker *w, const char *why);
/* The room closes us: nothing is reported to it any more. */
void stream_worker_detach(struct stream_worker *w);
/* Detaches, and sends the worker a hang-up as soon as it reads: then on_drained. */
void stream_worker_hang_up(struct stream_worker *w);
