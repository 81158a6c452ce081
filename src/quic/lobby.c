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

struct lobby {
	struct lobby_stats stats;
	uint32_t max, first, n;
	struct waiting ring[];
};

int lobby_new(uint32_t max, struct lobby **out)
{
	struct lobby *l = calloc(1, sizeof *l + max * sizeof l->ring[0]);

	if (!l)
		return ERR_NOMEM;
	l->max = max;
	*out = l;
	return 0;
}

void lobby_free(struct lobby *l)
{
	free(l);
}

void lobby_put(struct lobby *l, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len, nsec now)
{
	if (len > QUIC_PACKET_MAX)
		return; /* nobody was told that we take it */
	if (l->n == l->max) {
		l->stats.full++;
		return;
	}
	struct waiting *w = &l->ring[(l->first + l->n++) % l->max];

	w->path = *path;
	w->at = now;
	w->len = (uint32_t)len;
	w->ecn = ecn;
	memcpy(w->data, p, len);
	l->stats.packets++;
}

static struct waiting *take(struct lobby *l)
{
	struct waiting *w = &l->ring[l->first];

	l->first = (l->first + 1) % l->max;
	l->n--;
	return w;
}

bool lobby_admit(struct lobby *l, struct quic_endpoint *ep, nsec now)
{
	while (l->n > 0) {
		struct waiting *w = take(l);

		if (nsec_until(w->at, now) > nsec_from_ms(LOBBY_STALE_MS)) {
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
	return l->n;
}

const struct lobby_stats *lobby_stats(const struct lobby *l)
{
	return &l->stats;
}
