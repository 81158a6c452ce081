/* SPDX-License-Identifier: MIT */
#include "wt/sendbuf.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN = 512 };

struct sendbuf_chunk {
	struct sendbuf_chunk *next;
	size_t len, cap;
	uint8_t p[];
};

void sendbuf_fini(struct sendbuf *b)
{
	for (struct sendbuf_chunk *k = b->first, *next; k; k = next) {
		next = k->next;
		free(k);
	}
	*b = (struct sendbuf){0};
}

static struct sendbuf_chunk *add_chunk(struct sendbuf *b, size_t len)
{
	size_t cap = len > CHUNK_MIN ? len : CHUNK_MIN;
	struct sendbuf_chunk *k = malloc(sizeof *k + cap);

	if (!k)
		return NULL;
	*k = (struct sendbuf_chunk){.cap = cap};
	if (b->last)
		b->last->next = k;
	else
		b->first = b->next = k;
	b->last = k;
	return k;
}

int sendbuf_append(struct sendbuf *b, const void *p, size_t len)
{
	struct sendbuf_chunk *k = b->last;

	if (k && k->len == 0 && k->cap < len) { /* an empty chunk must not be the first of several */
		sendbuf_fini(b);
		k = NULL;
	}
	if (!k || k->cap - k->len < len)
		k = add_chunk(b, len);
	if (!k)
		return ERR_NOMEM;
	memcpy(k->p + k->len, p, len);
	k->len += len;
	return 0;
}

bool sendbuf_all_sent(const struct sendbuf *b)
{
	return !b->next || (b->next == b->last && b->next_sent == b->next->len);
}

bool sendbuf_offer(const struct sendbuf *b, struct quic_send *out)
{
	size_t from = b->next_sent;
	const struct sendbuf_chunk *k = b->next;

	for (; k && out->n < QUIC_SEND_VECS; k = k->next, from = 0)
		if (k->len > from)
			out->v[out->n++] = (struct quic_vec){k->p + from, k->len - from};
	return !k;
}

void sendbuf_sent(struct sendbuf *b, size_t len)
{
	while (len) {
		size_t left = b->next->len - b->next_sent;
		size_t n = len < left ? len : left;

		b->next_sent += n;
		len -= n;
		if (b->next_sent < b->next->len || !b->next->next)
			break;
		b->next = b->next->next;
		b->next_sent = 0;
	}
	assert(!len);
}

/* The first chunk was acknowledged to its end: it is kept for what comes, or freed. */
static void first_done(struct sendbuf *b)
{
	struct sendbuf_chunk *k = b->first;

	b->first_acked = 0;
	if (k->next) {
		if (b->next == k) {
			b->next = k->next;
			b->next_sent = 0;
		}
		b->first = k->next;
		free(k);
	} else if (k->cap > CHUNK_MIN) {
		sendbuf_fini(b);
	} else {
		k->len = 0;
		b->next_sent = 0;
	}
}

size_t sendbuf_acked(struct sendbuf *b, size_t len)
{
	size_t left = len;

	while (left && b->first && b->first->len) {
		size_t unacked = b->first->len - b->first_acked;
		size_t n = left < unacked ? left : unacked;

		b->first_acked += n;
		left -= n;
		if (b->first_acked == b->first->len)
			first_done(b);
	}
	return len - left;
}
