/* SPDX-License-Identifier: MIT */
/*
 * audiosocket - a connection for each room to a server that speaks Asterisk's AudioSocket, over TCP or a Unix socket.
 *
 *   open    [resolve] -> connect, one address after the other, CONNECT_MS in all -> UUID, audio
 *   close   HANGUP, end of our side; theirs is awaited, HANG_UP_MS at most
 */
#include "bridge/audiosocket.h"

#include "base/closing_uv.h"
#include "base/err.h"
#include "bridge/address.h"
#include "bridge/drivers.h"
#include "bridge/stream_worker.h"
#include "http/lookup.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESSES_MAX = 8, CONNECT_MS = 5000, HANG_UP_MS = 1000, SOCKET_MS = 150 };

enum phase {
	PHASE_CONNECTING, /* or it failed, and the room will close us */
	PHASE_UP,
	PHASE_HANGING_UP, /* closed by the room: the other side's end is awaited */
	PHASE_GONE,       /* handles are closing */
};

union stream {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

struct audiosocket {
	struct stream_worker worker;
	uv_loop_t *loop;
	enum phase phase;
	const char *text;          /* the address, as configured */
	struct worker_address address;
	struct lookup *lookup;     /* NULL: none is under way */
	struct sockaddr_storage found[ADDRESSES_MAX];
	size_t n_found, next;
	struct closing handles;    /* `timer`, and `to` while it is open */
	uv_timer_t timer;
	union stream to;           /* one for each address, one after the other */
	uv_connect_t connect;
	uv_shutdown_t shutdown;
};

static bool fix_address(char *text, size_t size, char accepts[128])
{
	struct worker_address a;

	(void)size, (void)accepts;
	return address_parse(text, &a) == 0;
}

static const struct audiosocket_opts defaults;

static const struct option_row rows[] = {
	{.key = "address", .type = OPTION_TEXT, OPTION_TEXT_AT(audiosocket_opts, address), .fix = fix_address,
		.accepts = "\"tcp://HOST:PORT\" or \"unix:/PATH\"", .required = true, .sample = "tcp://127.0.0.1:9092",
		.help = "where a server for AudioSocket listens"},
};

static const struct bridge_options options = BRIDGE_OPTIONS(rows, defaults);

/* ---- the end ---- */

static void free_audiosocket(void *audiosocket)
{
	struct audiosocket *a = audiosocket;

	stream_worker_fini(&a->worker);
	free(a);
}

static struct audiosocket *of_handle(uv_handle_t *h)
{
	return ((struct stream_worker *)h->data)->owner;
}

static void try_next(struct audiosocket *a);

static void on_stream_closed(uv_handle_t *h)
{
	struct audiosocket *a = of_handle(h);

	if (a->phase == PHASE_CONNECTING && a->worker.state != STREAM_FAILED)
		try_next(a);
	closing_done(&a->handles);
}

static void close_stream(struct audiosocket *a)
{
	if (uv_handle_get_type(&a->to.handle) != UV_UNKNOWN_HANDLE && !uv_is_closing(&a->to.handle))
		uv_close(&a->to.handle, on_stream_closed);
}

static void finish(struct audiosocket *a)
{
	if (a->phase == PHASE_GONE)
		return;
	a->phase = PHASE_GONE;
	stream_worker_end_output(&a->worker);
	if (a->lookup)
		lookup_cancel(a->lookup);
	a->lookup = NULL;
	close_stream(a);
	closing_close(&a->handles, (uv_handle_t *)&a->timer);
}

/* ---- connecting ---- */

static void cannot_connect(struct audiosocket *a, const char *why)
{
	uv_timer_stop(&a->timer);
	stream_worker_fail(&a->worker, "cannot connect to %.60s: %s", a->text, why);
}

/* Sound that the kernel holds is played late. */
static void tune(struct audiosocket *a)
{
	int bytes = (int)(2 * a->worker.rate_hz * SOCKET_MS / 1000);

	uv_send_buffer_size(&a->to.handle, &bytes);
	if (!a->address.local)
		uv_tcp_nodelay(&a->to.tcp, 1);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct audiosocket *a = req->data;

	if (a->phase != PHASE_CONNECTING || a->worker.state == STREAM_FAILED)
		return;
	if (status < 0) {
		if (a->next < a->n_found)
			close_stream(a); /* and then the next one */
		else
			cannot_connect(a, uv_strerror(status));
		return;
	}
	uv_timer_stop(&a->timer);
	a->phase = PHASE_UP;
	tune(a);
	stream_worker_start(&a->worker, &a->to.stream, &a->to.stream);
}

/* `to` was initialised, which cannot fail: no socket is made before it connects. */
static void add_stream(struct audiosocket *a)
{
	closing_add(&a->handles);
	a->to.handle.data = &a->worker;
	a->connect.data = a;
}

static void connect_local(struct audiosocket *a)
{
	uv_pipe_init(a->loop, &a->to.pipe, 0);
	add_stream(a);
	uv_pipe_connect(&a->connect, &a->to.pipe, a->address.path, on_connected);
}

static void try_next(struct audiosocket *a)
{
	if (a->next == a->n_found) {
		cannot_connect(a, "no address is left");
		return;
	}
	const struct sockaddr *to = (const struct sockaddr *)&a->found[a->next++];

	uv_tcp_init(a->loop, &a->to.tcp);
	add_stream(a);
	int err = uv_tcp_connect(&a->connect, &a->to.tcp, to, on_connected);
	if (err && a->next == a->n_found)
		cannot_connect(a, uv_strerror(err));
	else if (err)
		close_stream(a); /* and then the next one */
}

static void on_resolved(void *ctx, int error, const struct addrinfo *found)
{
	struct audiosocket *a = ctx;

	a->lookup = NULL;
	if (a->phase != PHASE_CONNECTING || a->worker.state == STREAM_FAILED)
		return;
	for (; found && a->n_found < ADDRESSES_MAX; found = found->ai_next)
		memcpy(&a->found[a->n_found++], found->ai_addr, found->ai_addrlen);
	if (error)
		cannot_connect(a, lookup_why(error));
	else
		try_next(a);
}

static void resolve(struct audiosocket *a)
{
	int err = lookup_start(a->loop, a->address.host, a->address.port, on_resolved, a, &a->lookup);

	if (err)
		cannot_connect(a, err_str(err));
}

/* ---- the connection's life ---- */

static void on_time(uv_timer_t *t)
{
	struct audiosocket *a = of_handle((uv_handle_t *)t);

	if (a->phase == PHASE_CONNECTING)
		cannot_connect(a, "no answer within 5 s");
	else if (a->phase == PHASE_HANGING_UP)
		finish(a);
}

static void on_end(struct stream_worker *w, const char *why)
{
	struct audiosocket *a = w->owner;

	if (a->phase == PHASE_HANGING_UP)
		finish(a);
	else if (a->phase == PHASE_UP && w->hung_up)
		stream_worker_leave(w, why);
	else if (a->phase == PHASE_UP)
		stream_worker_fail(w, "the connection: %s", why);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	(void)req, (void)status; /* the end of the other side follows, or the timer */
}

/* Closing at once might reset the connection, and the hang-up would be lost. */
static void on_drained(struct stream_worker *w)
{
	struct audiosocket *a = w->owner;

	if (a->phase != PHASE_HANGING_UP || w->queue.out == NULL)
		return;
	stream_worker_end_output(w);
	if (uv_shutdown(&a->shutdown, &a->to.stream, on_shutdown))
		finish(a);
}

/* ---- the room's calls ---- */

static int audiosocket_open(const struct bridge_opts *opts, uint32_t rate_hz, size_t frame_samples,
	const struct bridge_sink *sink, void *sink_ctx, const struct log *log, nsec now, void **self)
{
	const struct audiosocket_opts *own = opts->options;
	struct worker_address address;

	(void)frame_samples, (void)now;
	if (!opts->loop)
		return ERR_UNSUPPORTED;
	if (!own || address_parse(own->address, &address))
		return ERR_RANGE;
	struct audiosocket *a = calloc(1, sizeof *a);

	if (!a)
		return ERR_NOMEM;
	int err = stream_worker_init(&a->worker, opts, rate_hz, sink, sink_ctx, log);

	if (err) {
		free(a);
		return err;
	}
	stream_worker_bound(&a->worker, SOCKET_MS);
	a->worker.owner = a;
	a->worker.on_end = on_end;
	a->worker.on_drained = on_drained;
	a->loop = opts->loop;
	a->text = own->address;
	a->address = address;
	uv_timer_init(a->loop, &a->timer);
	a->timer.data = &a->worker;
	closing_init(&a->handles, free_audiosocket, a);
	closing_add(&a->handles);
	uv_timer_start(&a->timer, on_time, CONNECT_MS, 0);
	if (address.local)
		connect_local(a);
	else
		resolve(a);
	*self = a;
	return 0;
}

static bool audiosocket_audio(void *self, const struct bridge_input *h, nsec now)
{
	struct audiosocket *a = self;

	return stream_worker_audio(&a->worker, h, now);
}

static void audiosocket_event(void *self, const struct bridge_event *ev, nsec now)
{
	struct audiosocket *a = self;

	(void)now;
	stream_worker_event(&a->worker, ev);
}

static void audiosocket_close(void *self)
{
	struct audiosocket *a = self;

	if (a->phase != PHASE_UP || a->worker.state == STREAM_FAILED) {
		stream_worker_detach(&a->worker);
		finish(a);
		return;
	}
	a->phase = PHASE_HANGING_UP;
	uv_timer_start(&a->timer, on_time, HANG_UP_MS, 0);
	stream_worker_hang_up(&a->worker);
}

const struct bridge_ops bridge_audiosocket = {
	.type = "audiosocket",
	.catch_up = CATCH_UP_PAUSES,
	.tells_up = true,
	.open = audiosocket_open,
	.audio = audiosocket_audio,
	.event = audiosocket_event,
	.close = audiosocket_close,
	.check = stream_worker_check,
	.options = &options,
};
