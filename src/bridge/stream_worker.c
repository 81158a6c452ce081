/* SPDX-License-Identifier: MIT */
#include "bridge/stream_worker.h"

#include "audio/pcm.h"
#include "base/err.h"
#include "bridge/stream_events.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PIECE = 512, SILENCE = 2 /* steps of 16 bits */, FLIGHT_MAX = AS_HEAD + AS_EVENT_MAX, LEAST_WAIT_MS = 40, MARK_HEAD = sizeof(uint64_t) + 1 };

/* ---- failing ---- */

void stream_worker_fail(struct stream_worker *w, const char *fmt, ...)
{
	char why[STREAM_WHY_MAX];
	va_list ap;

	if (w->failed || !w->sink)
		return;
	w->failed = true;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	w->sink->failed(w->sink_ctx, why);
}

static void end(struct stream_worker *w, const char *why)
{
	if (w->in && w->reading)
		uv_read_stop(w->in);
	w->reading = false;
	if (!w->failed)
		w->on_end(w, why);
}

/* A program that has started, or a server that accepts, may be gone the next moment: it is there once it has spoken, or
 * has been for a while. */
static void tell_there(struct stream_worker *w)
{
	if (w->there || w->failed || !w->sink)
		return;
	w->there = true;
	if (w->sink->up)
		w->sink->up(w->sink_ctx, true, "");
}

/* ---- to the worker: a queue of records, and one that is being written ---- */

static size_t record_len(const uint8_t *p)
{
	return AS_HEAD + ((size_t)p[1] << 8 | p[2]);
}

static void drop_record(struct stream_worker *w, uint8_t *at)
{
	size_t n = record_len(at);

	if (as_audio_rate(at[0]))
		w->queued_audio -= n - AS_HEAD;
	memmove(at, at + n, w->queued - (size_t)(at - w->queue) - n);
	w->queued -= n;
}

static void count_unheard(struct stream_worker *w, size_t samples)
{
	if (w->sink && w->sink->unheard)
		w->sink->unheard(w->sink_ctx, samples);
}

/* What is heard now matters more than what was said before. */
static void drop_oldest_audio(struct stream_worker *w)
{
	for (uint8_t *p = w->queue; p < w->queue + w->queued; p += record_len(p)) {
		if (!as_audio_rate(p[0]))
			continue;
		count_unheard(w, (record_len(p) - AS_HEAD) / 2);
		drop_record(w, p);
		return;
	}
}

static void write_next(struct stream_worker *w);

static void on_written(uv_write_t *req, int status)
{
	struct stream_worker *w = req->data;

	w->writing = false;
	if (status < 0) {
		w->queued = w->queued_audio = 0;
		if (w->hanging_up)
			w->on_silent(w);
		else if (status != UV_ECANCELED)
			end(w, "it does not read any more");
		return;
	}
	write_next(w);
}

/* Leaves the rest of a record to libuv, which waits until the stream takes it. */
static void write_rest(struct stream_worker *w, const uint8_t *p, size_t len)
{
	uv_buf_t buf;

	memcpy(w->flight, p, len);
	buf = uv_buf_init((char *)w->flight, (unsigned)len);
	w->writing = true;
	int err = uv_write(&w->req, w->out, &buf, 1, on_written);

	if (err) {
		w->writing = false;
		w->queued = w->queued_audio = 0;
		end(w, uv_strerror(err));
	}
}

static void write_next(struct stream_worker *w)
{
	while (!w->writing && w->queued > 0) {
		size_t n = record_len(w->queue);

		write_rest(w, w->queue, n); /* tries at once; comes back here from the loop */
		if (w->queued > 0)
			drop_record(w, w->queue);
	}
	if (w->hanging_up && !w->writing)
		w->on_silent(w);
}

static void enqueue(struct stream_worker *w, const uint8_t *record, size_t len)
{
	bool audio = as_audio_rate(record[0]) != 0;

	if (audio)
		while (w->queued_audio > 0 && w->queued_audio + len - AS_HEAD > w->most_audio)
			drop_oldest_audio(w);
	if (w->queued + len > w->queue_cap || (!audio && w->queued - w->queued_audio + len > STREAM_EVENTS_MAX)) {
		if (audio)
			count_unheard(w, (len - AS_HEAD) / 2);
		else if (w->events_lost++ == 0 && w->sink)
			log_warn(w->log, "the worker does not read: events for it are lost");
		return;
	}
	memcpy(w->queue + w->queued, record, len);
	w->queued += len;
	if (audio)
		w->queued_audio += len - AS_HEAD;
}

/* One record, one write: a worker that reads records sees each as it is made. */
static void send_record(struct stream_worker *w, const uint8_t *record, size_t len)
{
	uv_buf_t buf = uv_buf_init((char *)record, (unsigned)len);

	if (!w->out || w->failed)
		return;
	if (w->writing) {
		enqueue(w, record, len);
		return;
	}
	int n = uv_try_write(w->out, &buf, 1);

	if (n < 0 && n != UV_EAGAIN)
		end(w, n == UV_EPIPE ? "it does not read any more" : uv_strerror(n));
	else if (n < (int)len)
		write_rest(w, record + (n > 0 ? n : 0), len - (size_t)(n > 0 ? n : 0));
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

/* Random, version 4 of RFC 9562. */
static void send_uuid(struct stream_worker *w)
{
	uint8_t id[AS_UUID_LEN] = {0};

	(void)!getrandom(id, sizeof id, 0);
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	send_parts(w, AS_UUID, id, sizeof id);
}

/* ---- who is in the room: told to a worker as soon as it is known to listen ---- */

static void add_member(struct stream_worker *w, uint32_t id, const char *name)
{
	if (w->n_members == w->members_cap) {
		size_t cap = w->members_cap ? 2 * w->members_cap : 4;
		struct stream_member *p = realloc(w->members, cap * sizeof *p);

		if (!p)
			return;
		w->members = p;
		w->members_cap = cap;
	}
	char *copy = strdup(name);

	if (copy)
		w->members[w->n_members++] = (struct stream_member){id, copy};
}

static void remove_member(struct stream_worker *w, uint32_t id)
{
	for (size_t i = 0; i < w->n_members; i++) {
		if (w->members[i].id != id)
			continue;
		free(w->members[i].name);
		memmove(&w->members[i], &w->members[i + 1], (--w->n_members - i) * sizeof *w->members);
		return;
	}
}

static void begin_ours(struct stream_worker *w)
{
	if (w->speaks_ours)
		return;
	w->speaks_ours = true;
	for (size_t i = 0; i < w->n_members; i++) {
		struct bridge_event ev = {.kind = BRIDGE_JOINED, .participant = w->members[i].id, .name = w->members[i].name};

		send_event(w, &ev);
	}
	if (w->mode != BRIDGE_ACTIVE)
		send_event(w, &(struct bridge_event){.kind = BRIDGE_MODE, .mode = w->mode});
}

/* ---- marks ---- */

static void add_mark(struct stream_worker *w, const struct as_record *rec)
{
	uint8_t mark[MARK_HEAD + AS_MARK_MAX];

	memcpy(mark, &w->taken, sizeof w->taken);
	mark[MARK_HEAD - 1] = (uint8_t)rec->len;
	memcpy(mark + MARK_HEAD, rec->payload, rec->len);
	if (buf_append(&w->marks, mark, MARK_HEAD + rec->len))
		stream_worker_fail(w, "more than %d bytes of marks wait", STREAM_MARKS_MAX);
}

/* Sends back those whose time has come. */
static void return_marks(struct stream_worker *w)
{
	uint64_t where;
	size_t at = 0;

	while (at < w->marks.len) {
		const uint8_t *m = w->marks.p + at;

		memcpy(&where, m, sizeof where);
		if (where > w->played)
			break;
		send_parts(w, AS_MARK, m + MARK_HEAD, m[MARK_HEAD - 1]);
		at += MARK_HEAD + m[MARK_HEAD - 1];
	}
	if (at)
		buf_consume(&w->marks, at);
}

/* What it had said will not be played, so its marks do not come back. */
static void forget_speech(struct stream_worker *w)
{
	w->marks.len = 0;
	w->audible = 0;
	w->item++;
}

/* ---- from the worker ---- */

static bool silent(const int16_t *pcm, size_t n)
{
	int most = 0;

	for (size_t i = 0; i < n; i++)
		most = abs(pcm[i]) > most ? abs(pcm[i]) : most;
	return most <= SILENCE;
}

/* Silence with nothing audible before it takes no time: servers that send frames all day, by a clock of their own
 * or after a late start, would be further and further behind. Beyond the backlog the room counts what it drops. */
static void say(struct stream_worker *w, const int16_t *pcm, size_t n)
{
	bool quiet = silent(pcm, n);

	if ((quiet && w->audible <= w->played) || w->sink->audio(w->sink_ctx, w->item, pcm, n))
		return;
	w->taken += n;
	if (!quiet)
		w->audible = w->taken;
}

static void take_audio(struct stream_worker *w, const struct as_record *rec)
{
	uint32_t rate_hz = as_audio_rate(rec->type);
	int16_t pcm[PIECE];

	if (rate_hz != w->rate_hz) {
		stream_worker_fail(w, "it speaks at %u Hz (type 0x%02x), but sample_rate is %u", rate_hz, rec->type, w->rate_hz);
		return;
	}
	for (size_t at = 0, n; at < rec->len / 2; at += n) {
		n = rec->len / 2 - at < PIECE ? rec->len / 2 - at : PIECE;
		pcm_from_bytes(pcm, rec->payload + 2 * at, n);
		say(w, pcm, n);
	}
}

static void take_event(struct stream_worker *w, const struct as_record *rec)
{
	char why[STREAM_WHY_MAX];

	if (stream_event_take(rec->payload, rec->len, w->sink, w->sink_ctx, why, sizeof why))
		stream_worker_fail(w, "%s", why);
}

static void take_record(struct stream_worker *w, const struct as_record *rec)
{
	if (rec->type != AS_HANGUP && rec->type != AS_ERROR)
		tell_there(w);
	if (as_audio_rate(rec->type)) {
		take_audio(w, rec);
		return;
	}
	switch (rec->type) {
	case AS_HANGUP:
		end(w, "it hung up");
		break;
	case AS_ERROR:
		stream_worker_fail(w, "it reported an error, code 0x%02x", rec->len ? rec->payload[0] : 0);
		break;
	case AS_FLUSH:
		begin_ours(w);
		forget_speech(w);
		w->sink->flush(w->sink_ctx);
		break;
	case AS_MARK:
		begin_ours(w);
		add_mark(w, rec);
		break;
	case AS_EVENT:
		begin_ours(w);
		take_event(w, rec);
		break;
	default: /* a UUID or a digit means nothing to a room */
		break;
	}
}

static void take_bytes(struct stream_worker *w, const uint8_t *p, size_t len)
{
	struct as_record rec;
	int got = 0;

	while (!w->failed && !w->hanging_up && w->reading && (got = as_next(&w->parser, &p, &len, &rec)) == 1)
		take_record(w, &rec);
	if (got < 0)
		stream_worker_fail(w, "%s", w->parser.why);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct stream_worker *w = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)w->read_buf, sizeof w->read_buf);
}

static void stop_reading(struct stream_worker *w)
{
	uv_read_stop(w->in);
	w->reading = false;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct stream_worker *w = s->data;

	if (n < 0) {
		end(w, n != UV_EOF ? uv_strerror((int)n) : as_cut(&w->parser) ? "it ended in the middle of a record" : "it ended");
		w->reading = false;
		return;
	}
	take_bytes(w, (const uint8_t *)buf->base, (size_t)n);
	w->read_budget -= (size_t)n < w->read_budget ? (size_t)n : w->read_budget;
	if (!w->reading)
		return;
	w->paused = w->read_budget == 0;
	if (w->paused || w->failed)
		stop_reading(w);
}

static void read_on(struct stream_worker *w)
{
	w->read_budget = STREAM_READ_PER_TICK;
	w->paused = false;
	w->reading = true;
	int err = uv_read_start(w->in, on_alloc, on_read);

	if (err)
		end(w, uv_strerror(err));
}

/* ---- the room's calls ---- */

bool stream_worker_audio(struct stream_worker *w, const struct bridge_hearing *h)
{
	uint8_t record[AS_HEAD + 2 * 2048];

	if (!w->out || w->failed)
		return true;
	uint64_t waiting = (uint64_t)h->waiting_ms * w->rate_hz / 1000; /* rounded up: no mark is early */

	w->played = w->taken > waiting ? w->taken - waiting : 0;
	return_marks(w);
	if (h->n > 0 && h->n <= 2048) {
		as_put_head(record, w->audio_type, 2 * h->n);
		pcm_from_float(record + AS_HEAD, h->pcm, h->n);
		send_record(w, record, AS_HEAD + 2 * h->n);
	}
	w->heard += h->n;
	if (w->heard * 1000 >= (uint64_t)w->rate_hz * STREAM_THERE_MS)
		tell_there(w);
	w->read_budget = STREAM_READ_PER_TICK;
	if (w->paused && !w->failed)
		read_on(w);
	return true; /* silence too: a worker tells by it that somebody has finished */
}

/* What it says from now on is another utterance: the room tells them apart by that. */
static void change_mode(struct stream_worker *w, enum bridge_mode mode)
{
	w->mode = mode;
	forget_speech(w);
}

void stream_worker_event(struct stream_worker *w, const struct bridge_event *ev)
{
	if (ev->kind == BRIDGE_JOINED)
		add_member(w, ev->participant, ev->name);
	else if (ev->kind == BRIDGE_LEFT)
		remove_member(w, ev->participant);
	else if (ev->kind == BRIDGE_INTERRUPTED && ev->item == w->item)
		forget_speech(w); /* by the room itself */
	else if (ev->kind == BRIDGE_MODE)
		change_mode(w, ev->mode);
	if (w->speaks_ours)
		send_event(w, ev);
}

void stream_worker_detach(struct stream_worker *w)
{
	w->sink = NULL;
	w->sink_ctx = NULL;
	w->log = NULL;
	w->hanging_up = true;
	w->queued = w->queued_audio = 0;
}

void stream_worker_hang_up(struct stream_worker *w)
{
	stream_worker_detach(w);
	if (!w->out || w->failed) {
		if (!w->writing)
			w->on_silent(w);
		return;
	}
	uint8_t record[AS_HEAD];
	uv_buf_t buf = uv_buf_init((char *)record, sizeof record);

	as_put_head(record, AS_HANGUP, 0);
	if (w->writing)
		enqueue(w, record, sizeof record);
	else if (uv_try_write(w->out, &buf, 1) == UV_EAGAIN)
		write_rest(w, record, sizeof record);
	if (!w->writing)
		w->on_silent(w);
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

	w->most_audio = bytes_of(w, room ? STREAM_MOST_WAIT_MS - kernel_ms : LEAST_WAIT_MS);
}

int stream_worker_init(struct stream_worker *w, uint32_t rate_hz, const struct bridge_sink *sink, void *sink_ctx,
	const struct log *log)
{
	*w = (struct stream_worker){
		.sink = sink,
		.sink_ctx = sink_ctx,
		.log = log,
		.rate_hz = rate_hz,
		.audio_type = as_audio_type(rate_hz),
		.item = 1,
	};
	if (!w->audio_type)
		return ERR_RANGE;
	w->most_audio = bytes_of(w, STREAM_MOST_WAIT_MS);
	w->queue_cap = 2 * w->most_audio + STREAM_EVENTS_MAX; /* heads of records too */
	buf_init(&w->marks, STREAM_MARKS_MAX);
	w->queue = malloc(w->queue_cap);
	w->flight = malloc(FLIGHT_MAX);
	if (w->queue && w->flight)
		return 0;
	stream_worker_fini(w);
	return ERR_NOMEM;
}

void stream_worker_fini(struct stream_worker *w)
{
	assert(!w->writing);
	for (size_t i = 0; i < w->n_members; i++)
		free(w->members[i].name);
	free(w->members);
	free(w->queue);
	free(w->flight);
	buf_fini(&w->marks);
	w->members = NULL;
	w->queue = w->flight = NULL;
	w->n_members = 0;
}

void stream_worker_start(struct stream_worker *w, uv_stream_t *in, uv_stream_t *out)
{
	w->in = in;
	w->out = out;
	in->data = out->data = w;
	w->req.data = w;
	send_uuid(w);
	read_on(w);
}
