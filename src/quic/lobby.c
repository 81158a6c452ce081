/* SPDX-License-Identifier: MIT */
#include "quic/lobby.h"

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

/* Who has begun is led through before anybody new: a flood of beginnings, which costs its sender nothing, then takes
 * the place of beginnings only. */
struct lobby {
	struct lobby_stats stats;
	struct queue known, strangers;
};

static int queue_init(struct queue *q, uint32_t max)
{
	q->max = max;
	q->ring = calloc(max, sizeof q->ring[0]);
	return q->ring ? 0 : ERR_NOMEM;
}

int lobby_new(uint32_t max, struct lobby **out)
{
	struct lobby *l = calloc(1, sizeof *l);

	if (!l || queue_init(&l->known, max) || queue_init(&l->strangers, max)) {
		lobby_free(l);
		return ERR_NOMEM;
	}
	*out = l;
	return 0;
}

void lobby_free(struct lobby *l)
{
	if (!l)
		return;
	free(l->known.ring);
	free(l->strangers.ring);
	free(l);
}

void lobby_put(struct lobby *l, struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, const uint8_t *p,
	size_t len, nsec now)
{
	if (len > QUIC_PACKET_MAX)
		return; /* nobody was told that we take it */
	enum quic_caller who = quic_endpoint_caller(ep, p, len);
	struct queue *q = who == QUIC_CALLER_KNOWN ? &l->known : &l->strangers;

	if (who == QUIC_CALLER_NOBODY)
		return;
	if (q->n == q->max) {
		l->stats.full++;
		return;
	}
	struct waiting *w = &q->ring[(q->first + q->n++) % q->max];

	w->path = *path;
	w->at = now;
	w->len = (uint32_t)len;
	w->ecn = ecn;
	memcpy(w->data, p, len);
	l->stats.packets++;
}

static struct waiting *take(struct queue *q)
{
	struct waiting *w = &q->ring[q->first];

	q->n--;
	q->first = q->n > 0 ? (q->first + 1) % q->max : 0; /* so that a quiet ring touches only its first pages */
	return w;
}

bool lobby_admit(struct lobby *l, struct quic_endpoint *ep, nsec now)
{
	while (lobby_waiting(l) > 0) {
		struct waiting *w = take(l->known.n > 0 ? &l->known : &l->strangers);

		if (nsec_since(w->at, now) > nsec_from_ms(LOBBY_STALE_MS)) {
			l->stats.stale++;
			continue;
		}
		quic_endpoint_recv(ep, &w->path, w->ecn, w->data, w->len, now);
		return true;
	}
	return false;
}

uint32_t lobby_waiting(const struct lobby *l)
{
	return l->known.n + l->strangers.n;
}

const struct lobby_stats *lobby_stats(const struct lobby *l)
{
	return &l->stats;
}
