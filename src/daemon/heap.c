/* SPDX-License-Identifier: MIT */
#include "daemon/heap.h"

#include <malloc.h>

bool heap_has_fallen(struct heap *h, uint32_t conns)
{
	if (conns >= h->most) {
		h->most = conns;
		return false;
	}
	if (h->most - conns < HEAP_FALL)
		return false;
	h->most = conns;
	return true;
}

static void give_back(uv_work_t *w)
{
	(void)w;
	malloc_trim(0);
}

static void on_given_back(uv_work_t *w, int status)
{
	struct heap *h = w->data;

	(void)status;
	h->busy = false;
}

void heap_look(struct heap *h, uv_loop_t *loop, uint32_t conns)
{
	if (h->busy || !heap_has_fallen(h, conns))
		return;
	h->work.data = h;
	h->busy = uv_queue_work(loop, &h->work, give_back, on_given_back) == 0;
}
