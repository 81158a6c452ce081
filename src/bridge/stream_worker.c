/* SPDX-License-Identifier: MIT */
#include "bridge/stream_worker.h"

#include "audio/pcm.h"
#include "base/err.h"
#include "base/random.h"
#include "bridge/stream_events.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PIECE = OUTPUT_PIECE * 2, /* bytes */
	MIX_MAX = 2048,  /* samples of one tick */
	LEAST_WAIT_MS = 40,
};

/* ---- failing ---- */

void stream_worker_fail(struct stream_worker *w, const char *fmt, ...)
{
	char why[STREAM_WHY_MAX];
	va_list ap;

	if (w->state == STREAM_FAILED || w->state == STREAM_CLOSED)
		return;
	w->state = STREAM_FAILED;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	w->sink->failed(w->sink_ctx, why);
}

void stream_worker_leave(struct stream_worker *w, const char *why)
{
	if (w->state == STREAM_FAILED || w->state == STREAM_CLOSED)
		return;
	w->state = STREAM_FAILED;
	w->sink->left(w->sink_ctx, why);
}

static void stop_reading(struct stream_worker *w, enum stream_reading to)
{
	if (w->in && w->reading == READING)
		uv_read_stop(w->in);
	w->reading = to;
}

static void end(struct stream_worker *w, const char *why)
{
	stop_reading(w, READING_STOPPED);
	if (w->state != STREAM_FAILED)
		w->on_end(w, why);
}

/* A program that has started, or a server that accepts, may be gone the next moment. */
static void confirm(struct stream_worker *w)
{
	if (w->state != STREAM_UP)
		return;
	w->state = STREAM_CONFIRMED;
	if (w->sink->up)
		w->sink->up(w->sink_ctx);
}

/* ---- to the worker ---- */

static void on_audio_dropped(void *ctx, size_t samples)
{
	struct stream_worker *w = ctx;

	if (w->sink && w->sink->dropped)
		w->sink->dropped(w->sink_ctx, samples);
}

static void on_event_dropped(void *ctx)
{
	struct stream_worker *w = ctx;

	if (w->events_lost++ == 0 && w->sink)
		log_warn(w->log, "the worker does not read: events for it are lost");
}

static void on_idle(void *ctx)
{
	struct stream_worker *w = ctx;

	if (w->state == STREAM_CLOSED)
		w->on_drained(w);
}

static void on_broken(void *ctx, const char *why)
{
	struct stream_worker *w = ctx;

	if (w->state == STREAM_CLOSED)
		w->on_drained(w);
	else if (why)
		end(w, why);
}

static const struct record_queue_events queue_events = {
	.on_audio_dropped = on_audio_dropped,
	.on_event_dropped = on_event_dropped,
	.on_idle = on_idle,
	.on_broken = on_broken,
};

static void send_record(struct stream_worker *w, const uint8_t *record, size_t len)
{
	if (w->state != STREAM_FAILED)
		record_queue_send(&w->queue, record, len);
}

static void send_parts(struct stream_worker *w, uint8_t type, const void *payload, size_t len)
{
	uint8_t record[AS_HEAD + AS_MARK_MAX];

	assert(len <= AS_MARK_MAX);
	as_put_head(record, type, len);
	if (len)
		memcpy(record + AS_HEAD, payload, len);
	send_record(w, record, AS_HEAD + len);
}

static void send_event(struct stream_worker *w, const struct bridge_event *ev)
{
	size_t len;
	char *json = stream_event_print(ev, &len);
	uint8_t *record = json && len <= AS_EVENT_MAX ? malloc(AS_HEAD + len) : NULL;

	if (record) {
		as_put_head(record, AS_EVENT, len);
		memcpy(record + AS_HEAD, json, len);
		send_record(w, record, AS_HEAD + len);
	} else {
		log_debug(w->log, "an event for the worker is lost: too long, or no memory");
	}
	free(record);
	free(json);
}

static void send_uuid(struct stream_worker *w)
{
	uint8_t id[AS_UUID_LEN];

	random_uuid(id);
	send_parts(w, AS_UUID, id, sizeof id);
}

/* ---- events: for a worker that is known to understand them ---- */

static void begin_extension(struct stream_worker *w)
{
	if (w->extended)
		return;
	w->extended = true;
	for (size_t i = 0; i < w->members.n; i++) {
		const struct member *m = &w->members.p[i];

		send_event(w, &(struct bridge_event){.kind = BRIDGE_JOINED, .participant = m->id, .name = m->name});
	}
	if (w->mode != BRIDGE_ACTIVE)
		send_event(w, &(struct bridge_event){.kind = BRIDGE_MODE, .mode = w->mode});
}

/* ---- marks ---- */

static void add_mark(struct stream_worker *w, const struct as_record *rec)
{
	if (marks_add(&w->marks, w->output.accepted, rec->payload, rec->len))
		stream_worker_fail(w, "more than %d bytes of marks wait", STREAM_MARKS_MAX);
}

/* Sends back those whose time has come. */
static void return_marks(struct stream_worker *w)
{
	const char *mark;
	size_t len;

	while ((mark = marks_due(&w->marks, w->output.heard, &len))) {
		send_parts(w, AS_MARK, mark, len);
		marks_pop(&w->marks);
	}
}

/* Speech that waits will not be played, so its marks do not come back. */
static void forget_speech(struct stream_worker *w)
{
	marks_clear(&w->marks);
	bridge_output_flushed(&w->output);
}

/* ---- from the worker ---- */

/* Each piece by itself: what the room refuses of a record, over the backlog, it counts. */
static void receive_audio(struct stream_worker *w, const struct as_record *rec)
{
	uint32_t rate_hz = as_audio_rate(rec->type);
	size_t n_bytes = rec->len / 2 * 2;

	if (rate_hz != w->rate_hz) {
		stream_worker_fail(w, "it speaks at %u Hz (type 0x%02x), but sample_rate is %u", rate_hz, rec->type, w->rate_hz);
		return;
	}
	for (size_t at = 0, k; at < n_bytes; at += k) {
		k = n_bytes - at < PIECE ? n_bytes - at : PIECE;
		bridge_output_send(&w->output, OUTPUT_PCM16, rec->payload + at, k);
	}
}

static void receive_event(struct stream_worker *w, const struct as_record *rec)
{
	char why[STREAM_WHY_MAX];

	if (stream_event_handle(rec->payload, rec->len, w->sink, w->sink_ctx, why, sizeof why))
		stream_worker_fail(w, "%s", why);
}

static void receive_record(struct stream_worker *w, const struct as_record *rec)
{
	if (rec->type != AS_HANGUP && rec->type != AS_ERROR)
		confirm(w);
	if (as_audio_rate(rec->type)) {
		receive_audio(w, rec);
		return;
	}
	switch (rec->type) {
	case AS_HANGUP:
		w->hung_up = true;
		end(w, "it hung up");
		break;
	case AS_ERROR:
		stream_worker_fail(w, "it reported an error, code 0x%02x", rec->len ? rec->payload[0] : 0);
		break;
	case AS_FLUSH:
		begin_extension(w);
		forget_speech(w);
		w->sink->flush(w->sink_ctx);
		break;
	case AS_MARK:
		begin_extension(w);
		add_mark(w, rec);
		break;
	case AS_EVENT:
		begin_extension(w);
		receive_event(w, rec);
		break;
	default: /* a UUID or a digit means nothing to a room */
		break;
	}
}

static void receive_bytes(struct stream_worker *w, const uint8_t *p, size_t len)
{
	struct as_record rec;
	int got = 0;

	while (w->state < STREAM_FAILED && w->reading == READING && (got = as_next(&w->parser, &p, &len, &rec)) == 1)
		receive_record(w, &rec);
	if (got < 0)
		stream_worker_fail(w, "%s", w->parser.why);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct stream_worker *w = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)w->read_buf, sizeof w->read_buf);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct stream_worker *w = stream->data;

	if (n < 0) {
		end(w, n != UV_EOF ? uv_strerror((int)n) : as_cut(&w->parser) ? "it ended in the middle of a record" : "it ended");
		return;
	}
	receive_bytes(w, (const uint8_t *)buf->base, (size_t)n);
	w->read_budget -= (size_t)n < w->read_budget ? (size_t)n : w->read_budget;
	if (w->reading != READING)
		return;
	if (w->state == STREAM_FAILED)
		stop_reading(w, READING_STOPPED);
	else if (w->read_budget == 0)
		stop_reading(w, READING_PAUSED);
}

static void read_on(struct stream_worker *w)
{
	w->read_budget = BRIDGE_READ_PER_TICK;
	w->reading = READING;
	int err = uv_read_start(w->in, on_alloc, on_read);

	if (err)
		end(w, uv_strerror(err));
}

/* ---- the room's calls ---- */

static void send_mix(struct stream_worker *w, const struct bridge_input *h)
{
	uint8_t record[AS_HEAD + 2 * MIX_MAX];

	if (h->n == 0 || h->n > MIX_MAX)
		return;
	as_put_head(record, w->audio_type, 2 * h->n);
	pcm_from_float(record + AS_HEAD, h->pcm, h->n);
	send_record(w, record, AS_HEAD + 2 * h->n);
}

/* It is stopped, or hangs: whatever it is, nobody is served by it. */
static void watch(struct stream_worker *w, nsec now)
{
	nsec stalled = stall_ask(&w->stall, record_queue_waits(&w->queue), record_queue_taken(&w->queue), now);

	if (stalled >= nsec_from_ms(w->stall_ms))
		stream_worker_fail(w, "it has taken nothing for %g s", w->stall_ms / 1000.0);
}

bool stream_worker_audio(struct stream_worker *w, const struct bridge_input *h, nsec now)
{
	if (w->queue.out && w->state != STREAM_FAILED)
		watch(w, now);
	if (!w->queue.out || w->state == STREAM_FAILED)
		return true;
	bridge_output_tick(&w->output, h);
	return_marks(w);
	send_mix(w, h);
	w->n_sent += h->n;
	if (w->n_sent * 1000 >= (uint64_t)w->rate_hz * STREAM_CONFIRM_MS)
		confirm(w);
	w->read_budget = BRIDGE_READ_PER_TICK;
	if (w->reading == READING_PAUSED && w->state != STREAM_FAILED)
		read_on(w);
	return true; /* silence too: a worker finds out from it that somebody has finished */
}

/* Speech from now on is another utterance: so the room can tell it from what came before. */
static void change_mode(struct stream_worker *w, enum bridge_mode mode)
{
	w->mode = mode;
	forget_speech(w);
}

void stream_worker_event(struct stream_worker *w, const struct bridge_event *ev)
{
	if (ev->kind == BRIDGE_JOINED)
		member_list_add(&w->members, ev->participant, ev->name);
	else if (ev->kind == BRIDGE_LEFT)
		member_list_remove(&w->members, ev->participant);
	else if (ev->kind == BRIDGE_INTERRUPTED && ev->utterance == w->output.utterance)
		forget_speech(w); /* by the room itself */
	else if (ev->kind == BRIDGE_MODE)
		change_mode(w, ev->mode);
	if (w->extended)
		send_event(w, ev);
}

void stream_worker_end_output(struct stream_worker *w)
{
	record_queue_stop(&w->queue);
}

void stream_worker_detach(struct stream_worker *w)
{
	w->sink = NULL;
	w->sink_ctx = NULL;
	w->log = NULL;
	w->state = STREAM_CLOSED;
	record_queue_clear(&w->queue);
}

void stream_worker_hang_up(struct stream_worker *w)
{
	uint8_t record[AS_HEAD];
	bool failed = w->state == STREAM_FAILED;

	stream_worker_detach(w);
	as_put_head(record, AS_HANGUP, 0);
	if (!failed)
		record_queue_send(&w->queue, record, sizeof record);
	if (!w->queue.writing)
		w->on_drained(w);
}

/* ---- life ---- */

bool stream_worker_check(const struct bridge_opts *opts, struct bridge_fault *f)
{
	char accepts[sizeof f->accepts];

	if (opts->rate_hz == 0 || as_audio_type(opts->rate_hz))
		return true;
	snprintf(accepts, sizeof accepts,
		"8000, 12000, 16000, 24000, 32000, 44100 or 48000, since a bridge of type \"%s\" has no other", opts->type);
	return bridge_faulty(f, "sample_rate", accepts);
}

static size_t bytes_of(const struct stream_worker *w, uint32_t ms)
{
	return 2 * (size_t)((uint64_t)w->rate_hz * ms / 1000);
}

void stream_worker_bound(struct stream_worker *w, uint32_t kernel_ms)
{
	bool room = kernel_ms + LEAST_WAIT_MS < STREAM_MOST_WAIT_MS;

	record_queue_bound(&w->queue, bytes_of(w, room ? STREAM_MOST_WAIT_MS - kernel_ms : LEAST_WAIT_MS));
}

int stream_worker_init(struct stream_worker *w, const struct bridge_opts *opts, uint32_t rate_hz,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log)
{
	*w = (struct stream_worker){
		.sink = sink,
		.sink_ctx = sink_ctx,
		.log = log,
		.rate_hz = rate_hz,
		.audio_type = as_audio_type(rate_hz),
		.stall_ms = opts->stall_ms,
	};
	if (!w->audio_type)
		return ERR_RANGE;
	marks_init(&w->marks, SIZE_MAX, STREAM_MARKS_MAX);
	bridge_output_init(&w->output, sink, sink_ctx, rate_hz, 0);
	return record_queue_init(&w->queue, bytes_of(w, STREAM_MOST_WAIT_MS), STREAM_EVENTS_MAX, &queue_events, w);
}

void stream_worker_fini(struct stream_worker *w)
{
	record_queue_fini(&w->queue);
	member_list_fini(&w->members);
	marks_fini(&w->marks);
}

void stream_worker_start(struct stream_worker *w, uv_stream_t *in, uv_stream_t *out)
{
	w->in = in;
	in->data = out->data = w;
	record_queue_start(&w->queue, out);
	if (w->state == STREAM_OPENING)
		w->state = STREAM_UP;
	send_uuid(w);
	read_on(w);
}
