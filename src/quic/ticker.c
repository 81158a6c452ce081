/* SPDX-License-Identifier: MIT */
#include "quic/ticker.h"

#include "base/err.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

struct ticker {
	uv_poll_t poll;
	int fd;
	nsec armed; /* NSEC_NONE: not */
	void (*on_tick)(void *ctx, nsec now);
	void *ctx;
	void (*on_closed)(void *ctx);
	void *closed_ctx;
};

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct ticker *t = h->data;
	uint64_t expirations;

	(void)status, (void)events;
	if (read(t->fd, &expirations, sizeof expirations) < 0)
		return; /* set anew in the meantime */
	t->armed = NSEC_NONE;
	t->on_tick(t->ctx, clock_now());
}

int ticker_open(uv_loop_t *loop, void (*on_tick)(void *ctx, nsec now), void *ctx, struct ticker **out)
{
	struct ticker *t = calloc(1, sizeof *t);

	if (!t)
		return ERR_NOMEM;
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->fd < 0 || uv_poll_init(loop, &t->poll, t->fd)) {
		if (t->fd >= 0)
			close(t->fd);
		free(t);
		return ERR_IO;
	}
	t->on_tick = on_tick;
	t->ctx = ctx;
	t->armed = NSEC_NONE;
	t->poll.data = t;
	uv_poll_start(&t->poll, UV_READABLE, on_readable);
	*out = t;
	return 0;
}

void ticker_set(struct ticker *t, nsec at)
{
	if (at == t->armed)
		return; /* a system call saved on nearly every packet */
	struct itimerspec when = {.it_value = {0, 0}};

	if (at != NSEC_NONE) { /* {0, 0} would disarm */
		when.it_value.tv_sec = (time_t)(at / 1000000000u);
		when.it_value.tv_nsec = (long)(at % 1000000000u) | 1;
	}
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL);
	t->armed = at;
}

bool ticker_is_set(const struct ticker *t, nsec at)
{
	return t->armed == at;
}

static void closed(uv_handle_t *h)
{
	struct ticker *t = h->data;
	void (*on_closed)(void *) = t->on_closed;
	void *ctx = t->closed_ctx;

	close(t->fd);
	free(t);
	if (on_closed)
		on_closed(ctx);
}

void ticker_close(struct ticker *t, void (*on_closed)(void *ctx), void *ctx)
{
	t->on_closed = on_closed;
	t->closed_ctx = ctx;
	uv_poll_stop(&t->poll);
	uv_close((uv_handle_t *)&t->poll, closed);
}
