/* SPDX-License-Identifier: MIT */
/*
 *            uv_tcp read -> (on_due ... tls_stream_work) -> [in BIO -> SSL_read] -> on_data
 * tls_stream_send -> [SSL_write -> out BIO] -> flush -> uv_write -> on_sent
 *
 * Whatever OpenSSL does may leave bytes in the out BIO (handshake, alerts, key updates), so every
 * step ends with a flush.
 */
#include "http/tls_stream.h"

#include "http/tls_context.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { READ_BYTES = 16384, OWN_SLACK = 16384 /* for records of TLS itself */ };

enum stream_state {
	STREAM_CONNECTING, /* TCP, then TLS */
	STREAM_OPEN,       /* connected and shaken hands */
	STREAM_OVER,       /* was open; on_end was called */
	STREAM_FAILED,     /* never was; on_end was called */
	STREAM_CLOSING,    /* by tls_stream_close() */
};

struct tls_stream {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_shutdown_t shutdown;
	struct tls_context *tls; /* NULL: in clear */
	SSL *ssl;
	BIO *in, *out;           /* owned by ssl */
	const struct tls_stream_events *ev;
	void *ctx;
	size_t max_queue, queued;
	uint64_t given;          /* to libuv */
	size_t held;             /* bytes in `buf` that wait for tls_stream_work() */
	enum stream_state state;
	bool paused, sending;    /* sending: on_sent is owed */
	bool ended;              /* our side, by tls_stream_end() */
	bool silent;             /* nobody wants on_closed */
	char why[96];            /* see tls_stream_why() */
	uint8_t buf[READ_BYTES];
};

struct write {
	uv_write_t req;
	struct tls_stream *s;
	size_t len;
	uint8_t bytes[];
};

static bool is_over(const struct tls_stream *s)
{
	return s->state == STREAM_OVER || s->state == STREAM_FAILED;
}

/* Connecting or open. */
static bool is_live(const struct tls_stream *s)
{
	return s->state == STREAM_CONNECTING || s->state == STREAM_OPEN;
}

static void because(struct tls_stream *s, const char *why)
{
	if (!is_over(s))
		snprintf(s->why, sizeof s->why, "%s", why);
}

/* The reason that OpenSSL gives; a fault of the certificate is clearer than the alert that it led to. */
static void because_of_tls(struct tls_stream *s)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	long verdict = SSL_get_verify_result(s->ssl);

	if (verdict != X509_V_OK)
		snprintf(s->why, sizeof s->why, "certificate refused: %s", X509_verify_cert_error_string(verdict));
	else
		because(s, reason ? reason : "connection cut off under TLS");
}

static void over(struct tls_stream *s, int err)
{
	if (!is_live(s))
		return;
	if (!s->why[0])
		because(s, err ? err_str(err) : "closed");
	s->state = s->state == STREAM_OPEN ? STREAM_OVER : STREAM_FAILED;
	uv_read_stop((uv_stream_t *)&s->tcp);
	s->ev->on_end(s->ctx, err);
}

/* --- out -------------------------------------------------------------------------------- */

static void on_written(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;
	struct tls_stream *s = w->s;

	s->queued -= w->len;
	free(w);
	if (s->state == STREAM_CLOSING)
		return;
	if (status < 0) {
		because(s, uv_strerror(status));
		over(s, ERR_IO);
		return;
	}
	if (s->queued == 0 && s->sending) {
		s->sending = false;
		s->ev->on_sent(s->ctx);
	}
}

/* `p` NULL: what waits in the out BIO. */
static int queue(struct tls_stream *s, const void *p, size_t len)
{
	struct write *w = malloc(sizeof *w + len);

	if (!w)
		return ERR_NOMEM;
	w->s = s;
	w->len = len;
	if (p)
		memcpy(w->bytes, p, len);
	else if (BIO_read(s->out, w->bytes, (int)len) != (int)len) {
		free(w);
		return ERR_TLS;
	}
	uv_buf_t b = uv_buf_init((char *)w->bytes, (unsigned)len);

	if (uv_write(&w->req, (uv_stream_t *)&s->tcp, &b, 1, on_written) < 0) {
		free(w);
		return ERR_IO;
	}
	s->queued += len;
	s->given += len;
	return 0;
}

static int flush(struct tls_stream *s)
{
	size_t n = s->ssl ? BIO_ctrl_pending(s->out) : 0;

	if (n == 0)
		return 0;
	if (s->queued + n > s->max_queue + s->max_queue / 64 + OWN_SLACK)
		return ERR_LIMIT;
	return queue(s, NULL, n);
}

int tls_stream_send(struct tls_stream *s, const void *p, size_t len)
{
	int err;

	if (s->state != STREAM_OPEN || s->ended)
		return ERR_STATE;
	if (len > s->max_queue || s->queued > s->max_queue - len)
		return ERR_LIMIT;
	if (len == 0)
		return 0;
	if (!s->ssl) {
		err = queue(s, p, len);
	} else {
		ERR_clear_error();
		/* Into memory there is always room: all of it is taken or the connection is broken. */
		err = SSL_write(s->ssl, p, (int)len) == (int)len ? flush(s) : ERR_TLS;
	}
	if (!err)
		s->sending = true;
	return err;
}

void tls_stream_bound_kernel(struct tls_stream *s, int bytes)
{
	unsigned unsent = (unsigned)bytes / 3;
	uv_os_fd_t fd;

	if (s->state == STREAM_CLOSING)
		return;
	uv_send_buffer_size((uv_handle_t *)&s->tcp, &bytes);
	if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

void tls_stream_peer(const struct tls_stream *s, struct sockaddr_storage *out)
{
	int len = sizeof *out;

	if (uv_tcp_getpeername(&s->tcp, (struct sockaddr *)out, &len) < 0)
		*out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
}

const char *tls_stream_why(const struct tls_stream *s)
{
	return s->why;
}

size_t tls_stream_queued(const struct tls_stream *s)
{
	return s->queued;
}

size_t tls_stream_unsent(const struct tls_stream *s)
{
	return s->state == STREAM_CLOSING ? 0 : uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	(void)req, (void)status;
}

uint64_t tls_stream_taken(const struct tls_stream *s)
{
	return s->given - tls_stream_unsent(s);
}

void tls_stream_end(struct tls_stream *s)
{
	if ((s->state != STREAM_OPEN && s->state != STREAM_OVER) || s->ended)
		return;
	s->ended = true;
	if (s->ssl) {
		ERR_clear_error();
		SSL_shutdown(s->ssl);
		flush(s); /* without it the peer sees the FIN all the same */
	}
	uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, on_shut);
}

/* --- in --------------------------------------------------------------------------------- */

static void set_open(struct tls_stream *s)
{
	s->state = STREAM_OPEN;
	if (s->ev->on_open)
		s->ev->on_open(s->ctx);
}

static bool shake_hands(struct tls_stream *s)
{
	ERR_clear_error();
	int r = SSL_do_handshake(s->ssl);
	int err = flush(s); /* an alert, too */

	if (r != 1 && SSL_get_error(s->ssl, r) != SSL_ERROR_WANT_READ) {
		because_of_tls(s);
		err = ERR_TLS;
	}
	if (err) {
		over(s, err);
		return false;
	}
	if (r != 1)
		return false;
	set_open(s);
	return true;
}

/* What is in the in BIO, as far as it makes whole records. */
static void decrypt(struct tls_stream *s)
{
	uint8_t plain[READ_BYTES];
	int err = 0;

	if (s->state == STREAM_CONNECTING && !shake_hands(s))
		return;
	while (!err && !s->paused && is_live(s)) {
		ERR_clear_error();
		int n = SSL_read(s->ssl, plain, sizeof plain);

		err = flush(s);
		if (n > 0) {
			s->ev->on_data(s->ctx, plain, (size_t)n);
			continue;
		}
		int why = SSL_get_error(s->ssl, n);

		if (why == SSL_ERROR_WANT_READ)
			break;
		if (why != SSL_ERROR_ZERO_RETURN)
			because_of_tls(s);
		over(s, why == SSL_ERROR_ZERO_RETURN ? err : ERR_TLS);
		return;
	}
	if (err)
		over(s, err);
}

static void take(struct tls_stream *s, size_t n)
{
	if (!s->ssl)
		s->ev->on_data(s->ctx, s->buf, n);
	else if (BIO_write(s->in, s->buf, (int)n) == (int)n)
		decrypt(s);
	else
		over(s, ERR_NOMEM);
}

static void alloc_cb(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct tls_stream *s = h->data;

	(void)suggested;
	*b = uv_buf_init((char *)s->buf, sizeof s->buf);
}

static void read_cb(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct tls_stream *s = h->data;

	(void)b;
	if (n == 0 || s->state == STREAM_CLOSING)
		return;
	if (n < 0) {
		if (n != UV_EOF || s->ssl)
			because(s, n == UV_EOF ? "connection cut off" : uv_strerror((int)n));
		/* Under TLS an end without close_notify may be an attacker's (RFC 8446 6.1). */
		over(s, n != UV_EOF || (s->ssl && s->state == STREAM_OPEN) ? ERR_IO : s->ssl ? ERR_TLS : 0);
		return;
	}
	if (!s->ev->on_due) {
		take(s, (size_t)n);
		return;
	}
	s->held = (size_t)n;
	uv_read_stop(h);
	s->ev->on_due(s->ctx);
}

static void read_on(struct tls_stream *s)
{
	if (!s->paused && is_live(s))
		uv_read_start((uv_stream_t *)&s->tcp, alloc_cb, read_cb);
}

void tls_stream_work(struct tls_stream *s)
{
	size_t n = s->held;

	if (n == 0 || s->paused || !is_live(s))
		return;
	s->held = 0;
	take(s, n);
	read_on(s);
}

void tls_stream_pause(struct tls_stream *s, bool paused)
{
	if (!is_live(s) || s->paused == paused)
		return;
	s->paused = paused;
	if (paused) {
		uv_read_stop((uv_stream_t *)&s->tcp);
		return;
	}
	if (s->held > 0) {
		s->ev->on_due(s->ctx);
		return;
	}
	if (s->ssl && s->state == STREAM_OPEN)
		decrypt(s);
	read_on(s);
}

/* --- beginning and end ------------------------------------------------------------------ */

static void free_stream(struct tls_stream *s)
{
	SSL_free(s->ssl);
	tls_context_unref(s->tls);
	free(s);
}

static void closed_cb(uv_handle_t *h)
{
	struct tls_stream *s = h->data;
	const struct tls_stream_events *ev = s->silent ? NULL : s->ev;
	void *ctx = s->ctx;

	free_stream(s);
	if (ev)
		ev->on_closed(ctx);
}

void tls_stream_close(struct tls_stream *s)
{
	if (s->state == STREAM_CLOSING)
		return;
	s->state = STREAM_CLOSING;
	uv_close((uv_handle_t *)&s->tcp, closed_cb);
}

static void close_silently(struct tls_stream *s)
{
	s->silent = true;
	tls_stream_close(s);
}

/* The handle is initialised: from here on only closing gets rid of it. */
static int new_stream(uv_loop_t *loop, size_t max_queue, const struct tls_stream_events *ev, void *ctx,
	struct tls_stream **out)
{
	struct tls_stream *s = calloc(1, sizeof *s);

	if (!s)
		return ERR_NOMEM;
	if (uv_tcp_init(loop, &s->tcp) < 0) {
		free(s);
		return ERR_IO;
	}
	s->tcp.data = s;
	s->ev = ev;
	s->ctx = ctx;
	s->max_queue = max_queue;
	*out = s;
	return 0;
}

static int add_tls(struct tls_stream *s, struct tls_context *tls, bool server, const char *server_name)
{
	s->tls = tls_context_ref(tls);
	s->ssl = tls_context_ssl(tls, server, server_name);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	if (!s->ssl || !s->in || !s->out) {
		BIO_free(s->in);
		BIO_free(s->out);
		s->in = s->out = NULL;
		return ERR_TLS;
	}
	BIO_set_mem_eof_return(s->in, -1); /* empty means wait, not the end */
	SSL_set_bio(s->ssl, s->in, s->out);
	return 0;
}

int tls_stream_accept(uv_loop_t *loop, int fd, struct tls_context *tls, size_t max_queue,
	const struct tls_stream_events *ev, void *ctx, struct tls_stream **out)
{
	struct tls_stream *s;
	int err = new_stream(loop, max_queue, ev, ctx, &s);

	if (err)
		return err;
	if (tls)
		err = add_tls(s, tls, true, NULL);
	if (!err && uv_tcp_open(&s->tcp, fd) < 0) /* last: what fails leaves `fd` to the caller */
		err = ERR_IO;
	if (err) {
		close_silently(s);
		return err;
	}
	uv_tcp_nodelay(&s->tcp, 1);
	s->state = tls ? STREAM_CONNECTING : STREAM_OPEN;
	read_on(s);
	*out = s;
	return 0;
}

static void connect_cb(uv_connect_t *req, int status)
{
	struct tls_stream *s = req->handle->data;

	if (s->state == STREAM_CLOSING)
		return;
	if (status < 0) {
		because(s, uv_strerror(status));
		over(s, ERR_IO);
		return;
	}
	uv_tcp_nodelay(&s->tcp, 1);
	if (!s->paused)
		uv_read_start((uv_stream_t *)&s->tcp, alloc_cb, read_cb);
	if (s->ssl) {
		shake_hands(s);
		return;
	}
	set_open(s);
}

int tls_stream_connect(uv_loop_t *loop, const struct sockaddr *addr, struct tls_context *tls, const char *server_name,
	size_t max_queue, const struct tls_stream_events *ev, void *ctx, struct tls_stream **out)
{
	struct tls_stream *s;
	int err = new_stream(loop, max_queue, ev, ctx, &s);

	if (err)
		return err;
	if (tls)
		err = add_tls(s, tls, false, server_name);
	if (!err && uv_tcp_connect(&s->connect, &s->tcp, addr, connect_cb) < 0)
		err = ERR_IO;
	if (err) {
		close_silently(s);
		return err;
	}
	*out = s;
	return 0;
}
