/* SPDX-License-Identifier: MIT */
#include "http/ws_frames.h"

#include "base/err.h"
#include "http/openssl.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_MAX = 14 }; /* of a frame: two bytes, eight of length, four of mask */

/* --- for wslay ------------------------------------------------------------------------- */

static ssize_t on_send(wslay_event_context_ptr w, const uint8_t *p, size_t len, int flags, void *ctx)
{
	struct ws_frames *f = ctx;

	(void)flags;
	if (buf_append(&f->out, p, len) == 0)
		return (ssize_t)len;
	wslay_event_set_error(w, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t on_recv(wslay_event_context_ptr w, uint8_t *p, size_t len, int flags, void *ctx)
{
	struct ws_frames *f = ctx;
	size_t n = len < f->in_len ? len : f->in_len;

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(w, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(p, f->in, n);
	f->in += n;
	f->in_len -= n;
	return (ssize_t)n;
}

/* Once a frame, so from OpenSSL's generator: base/random.h asks the kernel each time. */
static int on_mask(wslay_event_context_ptr w, uint8_t *p, size_t len, void *ctx)
{
	(void)ctx;
	if (RAND_bytes(p, (int)len) == 1)
		return 0;
	wslay_event_set_error(w, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static void on_frame(wslay_event_context_ptr w, const struct wslay_event_on_frame_recv_start_arg *frame, void *ctx)
{
	(void)w, (void)frame;
	((struct ws_frames *)ctx)->n_frames++;
}

static void on_message(wslay_event_context_ptr w, const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
	struct ws_frames *f = ctx;

	(void)w;
	if (!wslay_is_ctrl_frame(m->opcode) && f->close.state == WS_CLOSE_NONE)
		f->io->on_message(f->ctx, m->opcode == WSLAY_TEXT_FRAME, m->msg_length ? m->msg : (const uint8_t *)"", m->msg_length);
}

/* --- life ------------------------------------------------------------------------------ */

int ws_frames_init(struct ws_frames *f, enum ws_role role, size_t max_message, size_t max_queue,
	const struct ws_frames_io *io, void *ctx)
{
	static const struct wslay_event_callbacks calls = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.genmask_callback = on_mask,
		.on_frame_recv_start_callback = on_frame,
		.on_msg_recv_callback = on_message,
	};

	*f = (struct ws_frames){.io = io, .ctx = ctx, .max_message = max_message, .max_queue = max_queue};
	int err = role == WS_CLIENT ? wslay_event_context_client_init(&f->wslay, &calls, f) :
		wslay_event_context_server_init(&f->wslay, &calls, f);

	if (err) {
		f->wslay = NULL;
		return ERR_NOMEM;
	}
	buf_init(&f->out, max_queue + WS_CONTROL_BYTES);
	wslay_event_config_set_max_recv_msg_length(f->wslay, max_message);
	return 0;
}

void ws_frames_fini(struct ws_frames *f)
{
	if (f->wslay)
		wslay_event_context_free(f->wslay);
	f->wslay = NULL;
	buf_fini(&f->out);
}

bool ws_frames_is_open(const struct ws_frames *f)
{
	return f->wslay != NULL;
}

/* --- sending --------------------------------------------------------------------------- */

int ws_frames_flush(struct ws_frames *f)
{
	int err = 0;

	if (!f->wslay || f->receiving)
		return 0;
	if (wslay_event_want_write(f->wslay) && wslay_event_send(f->wslay) != 0)
		err = ERR_NOMEM;
	if (!err && f->out.len)
		err = f->io->send(f->ctx, f->out.p, f->out.len);
	buf_consume(&f->out, f->out.len);
	return err;
}

size_t ws_frames_queued(const struct ws_frames *f)
{
	return f->wslay ? wslay_event_get_queued_msg_length(f->wslay) + f->io->queued(f->ctx) : 0;
}

int ws_frames_send(struct ws_frames *f, bool text, const void *p, size_t len, int *broken)
{
	struct wslay_event_msg m = {.opcode = text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, .msg = p, .msg_length = len};
	size_t most = f->max_queue;

	*broken = 0;
	if (len + HEAD_MAX > most || ws_frames_queued(f) > most - (len + HEAD_MAX))
		return ERR_LIMIT;
	int err = f->close.state ? WSLAY_ERR_NO_MORE_MSG : wslay_event_queue_msg(f->wslay, &m);

	if (err)
		return err == WSLAY_ERR_NOMEM ? ERR_NOMEM : ERR_STATE;
	*broken = ws_frames_flush(f);
	return 0;
}

/* --- the end --------------------------------------------------------------------------- */

static int send_close(struct ws_frames *f)
{
	f->close.state = WS_CLOSE_SENT;
	wslay_event_queue_close(f->wslay, f->close.code, (const uint8_t *)f->close.reason, f->close.len);
	return ws_frames_flush(f);
}

int ws_frames_close(struct ws_frames *f, uint16_t code, const char *reason)
{
	size_t len = reason ? strlen(reason) : 0;

	f->close.state = WS_CLOSE_DUE;
	f->close.code = code;
	f->close.len = len < WS_REASON_MAX ? len : WS_REASON_MAX;
	if (len)
		memcpy(f->close.reason, reason, f->close.len);
	return f->receiving ? 0 : send_close(f);
}

void ws_frames_stop(struct ws_frames *f)
{
	if (f->wslay)
		wslay_event_shutdown_read(f->wslay);
}

static void close_received(const struct ws_frames *f, struct ws_frames_end *end)
{
	end->err = 0;
	end->close_code = wslay_event_get_status_code_received(f->wslay);
	if (end->close_code == WSLAY_CODE_NO_STATUS_RCVD)
		snprintf(end->what, sizeof end->what, "closed by the other side");
	else
		snprintf(end->what, sizeof end->what, "closed by the other side with code %u", end->close_code);
}

/* wslay judged what came and has queued its answer, a close with a code. */
static void judge(const struct ws_frames *f, struct ws_frames_end *end)
{
	uint16_t code = wslay_event_get_status_code_sent(f->wslay);

	*end = (struct ws_frames_end){.err = ERR_MALFORMED};
	if (wslay_event_get_close_received(f->wslay)) {
		close_received(f, end);
	} else if (code == WSLAY_CODE_MESSAGE_TOO_BIG) {
		end->err = ERR_LIMIT;
		snprintf(end->what, sizeof end->what, "a message is longer than %zu bytes", f->max_message);
	} else if (code == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA) {
		snprintf(end->what, sizeof end->what, "a text message is not UTF-8");
	} else {
		snprintf(end->what, sizeof end->what, "what came is not a WebSocket frame");
	}
}

/* --- receiving ------------------------------------------------------------------------- */

static void broke(struct ws_frames_end *end, int err)
{
	*end = (struct ws_frames_end){.err = err};
	snprintf(end->what, sizeof end->what, "%s", err == ERR_LIMIT ? "it does not take what we send" : err_str(err));
}

bool ws_frames_receive(struct ws_frames *f, const uint8_t *p, size_t len, struct ws_frames_end *end)
{
	f->in = p;
	f->in_len = len;
	f->received = true;
	f->receiving = true;
	int err = wslay_event_recv(f->wslay);

	f->receiving = false;
	int broken = ws_frames_flush(f);

	if (!broken && f->close.state == WS_CLOSE_DUE)
		broken = send_close(f);
	if (broken || err == WSLAY_ERR_NOMEM) {
		broke(end, broken ? broken : ERR_NOMEM);
		return false;
	}
	if (!err && wslay_event_get_read_enabled(f->wslay))
		return true;
	judge(f, end);
	return false;
}

bool ws_frames_ping(struct ws_frames *f, int *broken)
{
	struct wslay_event_msg ping = {.opcode = WSLAY_PING};
	bool quiet = !f->received;

	*broken = 0;
	if (quiet && f->pinged)
		return false;
	f->pinged = quiet;
	f->received = false;
	if (quiet && wslay_event_queue_msg(f->wslay, &ping) == 0)
		*broken = ws_frames_flush(f);
	return true;
}
