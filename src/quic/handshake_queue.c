/* SPDX-License-Identifier: MIT */
#include "quic/handshake_queue.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct waiting {
	struct quic_path path;
	nsec at;
	uint32_t len;
	uint8_t ecn;
	uint8_t data[QUIC_PACKET_MAX];
};

struct queue {
	uint32_t max, first, n;
	struct waiting *ring;
};

/* Handshakes that have begun are completed before new ones begin: a flood of first packets, which costs its sender
 * nothing, then displaces first packets only. */
struct handshake_queue {
	struct handshake_queue_stats stats;
	struct queue known, new_clients;
};

static int queue_init(struct queue *q, uint32_t max)
{
	q->max = max;
	q->ring = calloc(max, sizeof q->ring[0]);
	return q->ring ? 0 : ERR_NOMEM;
}

int handshake_queue_new(uint32_t max, struct handshake_queue **out)
{
	struct handshake_queue *h = calloc(1, sizeof *h);

	if (!h || queue_init(&h->known, max) || queue_init(&h->new_clients, max)) {
		handshake_queue_free(h);
		return ERR_NOMEM;
	}
	*out = h;
	return 0;
}

void handshake_queue_free(struct handshake_queue *h)
{
	if (!h)
		return;
	free(h->known.ring);
	free(h->new_clients.ring);
	free(h);
}

void handshake_queue_put(struct handshake_queue *h, struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn,
	const uint8_t *p, size_t len, nsec now)
{
	if (len > QUIC_PACKET_MAX)
		return; /* longer than our max_udp_payload_size */
	enum quic_sender from = quic_endpoint_sender(ep, p, len);
	struct queue *q = from == QUIC_SENDER_KNOWN ? &h->known : &h->new_clients;

	if (from == QUIC_SENDER_NONE)
		return;
	if (q->n == q->max) {
		h->stats.full++;
		return;
	}
	struct waiting *w = &q->ring[(q->first + q->n++) % q->max];

	w->path = *path;
	w->at = now;
	w->len = (uint32_t)len;
	w->ecn = ecn;
	memcpy(w->data, p, len);
	h->stats.packets++;
}

static struct waiting *pop(struct queue *q)
{
	struct waiting *w = &q->ring[q->first];

	q->n--;
	q->first = q->n > 0 ? (q->first + 1) % q->max : 0; /* a ring that is seldom full uses its first pages only */
	return w;
}

bool handshake_queue_run_next(struct handshake_queue *h, struct quic_endpoint *ep, nsec patience, nsec now)
{
	while (handshake_queue_len(h) > 0) {
		bool is_new = h->known.n == 0;
		struct waiting *w = pop(is_new ? &h->new_clients : &h->known);

		if (nsec_since(w->at, now) > nsec_from_ms(HANDSHAKE_STALE_MS)) {
			h->stats.stale++;
			continue;
		}
		if (is_new && nsec_since(w->at, now) > patience)
			quic_endpoint_turn_away(ep, &w->path, w->ecn, w->data, w->len, now);
		else
			quic_endpoint_recv(ep, &w->path, w->ecn, w->data, w->len, now);
		return true;
	}
	return false;
}

uint32_t handshake_queue_len(const struct handshake_queue *h)
{
	return h->known.n + h->new_clients.n;
}

const struct handshake_queue_stats *handshake_queue_stats(const struct handshake_queue *h)
{
	return &h->stats;
}
