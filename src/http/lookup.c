/* SPDX-License-Identifier: MIT */
/*
 *   loop                         thread
 *   start  --------------------> getaddrinfo
 *   on_async <-- uv_async_send -- give
 *   cancel: closes the async, so give() must not send any more
 *
 * Each side holds the memory; the last one frees it. The lock is held for a few instructions, and is the only way in
 * which they meet.
 */
#include "http/lookup.h"

#include "base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 512 * 1024 };

struct lookup {
	pthread_mutex_t lock;
	unsigned holders;        /* loop and thread */
	bool closing;            /* the loop does not want to hear any more */
	uv_async_t async;
	lookup_fn *done;
	void *ctx;
	int error;               /* set before the async is sent */
	struct addrinfo *found;
	char *host, *port;
};

static void let_go(struct lookup *l)
{
	pthread_mutex_lock(&l->lock);
	bool last = --l->holders == 0;

	pthread_mutex_unlock(&l->lock);
	if (!last)
		return;
	if (l->found)
		freeaddrinfo(l->found);
	pthread_mutex_destroy(&l->lock);
	free(l->host);
	free(l->port);
	free(l);
}

/* ---- the loop's side ---- */

static void on_async_closed(uv_handle_t *h)
{
	let_go(h->data);
}

void lookup_cancel(struct lookup *l)
{
	pthread_mutex_lock(&l->lock);
	l->closing = true;
	pthread_mutex_unlock(&l->lock);
	uv_close((uv_handle_t *)&l->async, on_async_closed);
}

static void on_async(uv_async_t *async)
{
	struct lookup *l = async->data;

	lookup_cancel(l); /* it is freed later, from the loop */
	l->done(l->ctx, l->error, l->found);
}

const char *lookup_why(int error)
{
	return gai_strerror(error);
}

/* ---- the thread's side ---- */

static int resolve(struct lookup *l, int flags)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};

	return getaddrinfo(l->host, l->port, &hints, &l->found);
}

static void *run(void *arg)
{
	struct lookup *l = arg;

	l->error = resolve(l, AI_ADDRCONFIG);
	pthread_mutex_lock(&l->lock);
	if (!l->closing)
		uv_async_send(&l->async);
	pthread_mutex_unlock(&l->lock);
	let_go(l);
	return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct lookup *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;

	if (pthread_attr_init(&attr))
		return ERR_NOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	l->holders++;
	int err = pthread_create(&thread, &attr, run, l);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	l->holders -= err != 0;
	return err ? ERR_LIMIT : 0;
}

static int begin(struct lookup *l)
{
	if (resolve(l, AI_NUMERICHOST) == 0) {
		uv_async_send(&l->async);
		return 0;
	}
	return start_thread(l);
}

int lookup_start(uv_loop_t *loop, const char *host, const char *port, lookup_fn *done, void *ctx, struct lookup **out)
{
	struct lookup *l = calloc(1, sizeof *l);

	if (!l)
		return ERR_NOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->holders = 1;
	l->done = done;
	l->ctx = ctx;
	l->host = strdup(host);
	l->port = strdup(port);
	if (!l->host || !l->port || uv_async_init(loop, &l->async, on_async)) {
		let_go(l);
		return ERR_NOMEM;
	}
	l->async.data = l;
	int err = begin(l);

	if (err)
		lookup_cancel(l);
	else
		*out = l;
	return err;
}
