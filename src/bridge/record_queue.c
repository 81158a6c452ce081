/* SPDX-License-Identifier: MIT */
#include "bridge/record_queue.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FLIGHT_MAX = AS_HEAD + AS_EVENT_MAX };

/* ---- what waits ---- */

static size_t record_len(const uint8_t *p)
{
	return AS_HEAD + ((size_t)p[1] << 8 | p[2]);
}

static bool is_audio(const uint8_t *record)
{
	return as_audio_rate(record[0]) != 0;
}

static void remove_record(struct record_queue *q, uint8_t *at)
{
	size_t n = record_len(at);

	if (is_audio(at))
		q->n_audio -= n - AS_HEAD;
	memmove(at, at + n, q->n_waiting - (size_t)(at - q->waiting) - n);
	q->n_waiting -= n;
}

static void count_dropped(struct record_queue *q, size_t len)
{
	q->ev->on_audio_dropped(q->ctx, (len - AS_HEAD) / 2);
}

/* New sound matters more than old. */
static void drop_oldest_audio(struct record_queue *q)
{
	for (uint8_t *p = q->waiting; p < q->waiting + q->n_waiting; p += record_len(p)) {
		if (!is_audio(p))
			continue;
		count_dropped(q, record_len(p));
		remove_record(q, p);
		return;
	}
}

static bool fits(const struct record_queue *q, const uint8_t *record, size_t len)
{
	if (q->n_waiting + len > q->cap)
		return false;
	return is_audio(record) || q->n_waiting - q->n_audio + len <= q->most_events;
}

static void enqueue(struct record_queue *q, const uint8_t *record, size_t len)
{
	while (is_audio(record) && q->n_audio > 0 && q->n_audio + len - AS_HEAD > q->most_audio)
		drop_oldest_audio(q);
	if (fits(q, record, len)) {
		memcpy(q->waiting + q->n_waiting, record, len);
		q->n_waiting += len;
		q->n_audio += is_audio(record) ? len - AS_HEAD : 0;
	} else if (is_audio(record)) {
		count_dropped(q, len);
	} else {
		q->ev->on_event_dropped(q->ctx);
	}
}

void record_queue_clear(struct record_queue *q)
{
	q->n_waiting = q->n_audio = 0;
}

/* ---- writing ---- */

static void write_next(struct record_queue *q);

static void broken(struct record_queue *q, const char *why)
{
	record_queue_clear(q);
	q->ev->on_broken(q->ctx, why);
}

static void on_written(uv_write_t *req, int status)
{
	struct record_queue *q = req->data;

	q->writing = false;
	if (status < 0)
		broken(q, status == UV_ECANCELED ? NULL : "it does not read any more");
	else
		write_next(q);
}

/* Leaves the rest of a record to libuv, which waits until the stream accepts it. */
static void write_rest(struct record_queue *q, const uint8_t *p, size_t len)
{
	uv_buf_t buf = uv_buf_init((char *)q->flight, (unsigned)len);

	memcpy(q->flight, p, len);
	q->writing = true;
	q->given += len;
	int err = uv_write(&q->req, q->out, &buf, 1, on_written);

	if (err) {
		q->writing = false;
		broken(q, uv_strerror(err));
	}
}

static void write_next(struct record_queue *q)
{
	while (!q->writing && q->n_waiting > 0 && q->out) {
		size_t n = record_len(q->waiting);

		write_rest(q, q->waiting, n); /* tries at once; comes back here from the loop */
		if (q->n_waiting > 0)
			remove_record(q, q->waiting);
	}
	if (!q->writing)
		q->ev->on_idle(q->ctx);
}

void record_queue_send(struct record_queue *q, const uint8_t *record, size_t len)
{
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)record, (unsigned)len);

	if (!q->out)
		return;
	if (q->writing) {
		enqueue(q, record, len);
		return;
	}
	int n = uv_try_write(q->out, &buf, 1);
	size_t done = n > 0 ? (size_t)n : 0;

	q->given += done;
	if (n < 0 && n != UV_EAGAIN)
		broken(q, n == UV_EPIPE ? "it does not read any more" : uv_strerror(n));
	else if (done < len)
		write_rest(q, record + done, len - done);
}

bool record_queue_waits(const struct record_queue *q)
{
	return q->out && q->writing;
}

uint64_t record_queue_taken(const struct record_queue *q)
{
	return q->given - (record_queue_waits(q) ? uv_stream_get_write_queue_size(q->out) : 0);
}

/* ---- life ---- */

int record_queue_init(struct record_queue *q, size_t most_audio, size_t most_events, const struct record_queue_events *ev,
	void *ctx)
{
	*q = (struct record_queue){.ev = ev, .ctx = ctx, .most_audio = most_audio, .most_events = most_events};
	q->cap = 2 * most_audio + most_events; /* heads of records too */
	q->waiting = malloc(q->cap);
	q->flight = malloc(FLIGHT_MAX);
	if (q->waiting && q->flight)
		return 0;
	record_queue_fini(q);
	return ERR_NOMEM;
}

void record_queue_fini(struct record_queue *q)
{
	assert(!q->writing);
	free(q->waiting);
	free(q->flight);
	q->waiting = q->flight = NULL;
}

void record_queue_bound(struct record_queue *q, size_t most_audio)
{
	q->most_audio = most_audio;
}

void record_queue_start(struct record_queue *q, uv_stream_t *out)
{
	q->out = out;
	q->req.data = q;
}

void record_queue_stop(struct record_queue *q)
{
	q->out = NULL;
}
